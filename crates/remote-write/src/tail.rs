//! What remote write asks of history: everything that was taken, in order, from a place on.

use std::sync::Arc;

use bellwether_core::LabelSet;
use bellwether_tsdb::history::{self, Cursor, History, TailBatch};

/// A log that grows at its end. All calls may block on files.
pub trait Log: Send + Sync + 'static {
    /// A reader of what is behind `from`.
    fn open(&self, from: Cursor) -> Box<dyn Tail>;

    /// Where the log ends now.
    fn end(&self) -> Cursor;

    /// What waits behind `from`.
    fn pending(&self, from: Cursor) -> Pending;

    /// Keeps what is behind `from` from being deleted, within the retention, for reader `name`.
    fn hold(&self, name: &str, from: Cursor);

    /// Reader `name` is gone.
    fn release(&self, name: &str);
}

/// What waits in a log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pending {
    /// Samples.
    pub samples: u64,
    /// Bytes; of all the log where a part of it is not known.
    pub bytes: u64,
}

/// A reader of a log.
pub trait Tail: Send {
    /// The next samples, at least one collection if there is any, and not much more than `most`.
    fn next(&mut self, most: usize) -> Option<TailBatch>;
}

impl Log for Arc<History> {
    fn open(&self, from: Cursor) -> Box<dyn Tail> {
        Box::new(self.wal_tail(from))
    }

    fn end(&self) -> Cursor {
        self.wal_end()
    }

    fn pending(&self, from: Cursor) -> Pending {
        let end = self.wal_end();
        let samples = end.samples.saturating_sub(from.samples);
        let bytes = match samples {
            0 => 0,
            _ if end.segment == from.segment => end.offset.saturating_sub(from.offset),
            _ => self.stats().wal_bytes,
        };
        Pending { samples, bytes }
    }

    fn hold(&self, name: &str, from: Cursor) {
        History::hold(self, name, from);
    }

    fn release(&self, name: &str) {
        History::release(self, name);
    }
}

impl Tail for history::Tail {
    fn next(&mut self, most: usize) -> Option<TailBatch> {
        history::Tail::next(self, most)
    }
}

/// One sample on its way out; a staleness marker is one too.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct TailSample {
    /// Which series.
    pub(super) labels: LabelSet,
    /// Milliseconds since the epoch.
    pub(super) at: i64,
    /// Its value.
    pub(super) value: f64,
}

/// What a reading gave.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Tailed {
    /// In the order in which they were taken.
    pub(super) samples: Vec<TailSample>,
    /// Where to go on.
    pub(super) next: Cursor,
    /// Samples that were gone before they could be read.
    pub(super) lost: u64,
}

/// Reads collections until they hold `enough` samples, but none behind `until`. They are read one
/// by one, so that `until`, where an earlier reading ended, is met exactly.
pub(super) fn gather(
    tail: &mut dyn Tail,
    from: Cursor,
    until: Option<Cursor>,
    enough: usize,
) -> Tailed {
    let mut tailed = Tailed {
        next: from,
        ..Tailed::default()
    };
    while tailed.samples.len() < enough && until.is_none_or(|until| tailed.next < until) {
        let Some(batch) = tail.next(1) else { break };
        for series in batch.series {
            for (at, value) in series.times.into_iter().zip(series.values) {
                tailed.samples.push(TailSample {
                    labels: series.labels.clone(),
                    at,
                    value,
                });
            }
        }
        tailed.lost += batch.lost;
        tailed.next = batch.after;
    }
    tailed
}
