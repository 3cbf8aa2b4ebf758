//! Samples over time: what was collected, kept and found again.
//!
//! One writer ([`History::append`], fed by the store), any number of readers by
//! [`Queryable`](crate::promql::Queryable). Series are known by their whole label set, as
//! Prometheus knows them; a histogram is its `_bucket`, `_count` and `_sum` series.

mod settings;
#[cfg(test)]
mod tests;

pub use settings::{Backend, TrendStorage};

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
