//! Interface of history for remote write: all samples in order, from a cursor on.

use std::sync::Arc;

use bellwether_core::LabelSet;
use bellwether_tsdb::history::{self, Cursor, History, TailBatch};

/// An append-only log. All calls may block on files.
pub trait Log: Send + Sync + 'static {
    /// Opens a reader that starts at `from`.
    fn open(&self, from: Cursor) -> Box<dyn Tail>;

    /// Returns the end of the log.
    fn end(&self) -> Cursor;

    /// Returns the size of the log after `from`.
    fn pending(&self, from: Cursor) -> Pending;

    /// Keeps the log after `from` for reader `name`, within the retention.
    fn hold(&self, name: &str, from: Cursor);

    /// Ends the hold of reader `name`.
    fn release(&self, name: &str);
}

/// Size of the part of a log that was not read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pending {
    pub samples: u64,
    /// Bytes; of the whole log where those of a part are unknown.
    pub bytes: u64,
}

/// A reader of a log.
pub trait Tail: Send {
    /// Reads the next samples: at least one collection if there is any, and not many more than
    /// `max_samples`.
    fn next(&mut self, max_samples: usize) -> Option<TailBatch>;
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
    fn next(&mut self, max_samples: usize) -> Option<TailBatch> {
        history::Tail::next(self, max_samples)
    }
}

/// A sample or a staleness marker of the log.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct TailSample {
    pub(super) labels: LabelSet,
    /// Milliseconds since the epoch.
    pub(super) at: i64,
    pub(super) value: f64,
}

/// Result of a read.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Tailed {
    /// Samples in the order of the log.
    pub(super) samples: Vec<TailSample>,
    /// Cursor of the next read.
    pub(super) next: Cursor,
    /// Number of samples that were deleted before they were read.
    pub(super) lost: u64,
}

/// Reads collections up to `max_samples` samples, but none after `until`. They are read one by one, so
/// that `until`, the end of an earlier read, is met exactly.
pub(super) fn gather(
    tail: &mut dyn Tail,
    from: Cursor,
    until: Option<Cursor>,
    max_samples: usize,
) -> Tailed {
    let mut tailed = Tailed {
        next: from,
        ..Tailed::default()
    };
    while tailed.samples.len() < max_samples && until.is_none_or(|until| tailed.next < until) {
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
