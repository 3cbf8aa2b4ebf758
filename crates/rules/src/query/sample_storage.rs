//! Storage of samples: queries, and recorded series.
//!
//! Owns the traits. History is a [`SampleStorage`], so is a [`RecordingOverlay`] over samples that
//! must not change. Time limits need a clock, so they come from outside ([`QueryLimiter`]).

use std::sync::Arc;
use std::time::Duration;

use bellwether_core::{LabelSet, UnixMillis};
use bellwether_matcher::LabelMatcher;
use bellwether_promql::{Guard, Queryable, SampledSeries, StorageError};
use bellwether_tsdb::history::History;

/// Samples to query, and storage for recorded ones.
pub trait SampleStorage: Queryable {
    /// Appends `samples` at the time `at`. Returns the number of series without room.
    fn record(&self, at: UnixMillis, samples: &[(LabelSet, f64)]) -> usize;
}

impl SampleStorage for History {
    fn record(&self, at: UnixMillis, samples: &[(LabelSet, f64)]) -> usize {
        let admitted: Vec<_> = samples
            .iter()
            .filter_map(|(labels, value)| Some((self.series_id(labels)?, *value)))
            .collect();
        self.append(at, &admitted);
        samples.len() - admitted.len()
    }
}

/// Samples of `source`, which stay as they are, together with samples recorded since.
pub struct RecordingOverlay<'a> {
    source: &'a dyn Queryable,
    recorded: History,
}

impl<'a> RecordingOverlay<'a> {
    /// Creates an overlay without recorded samples.
    #[must_use]
    pub fn new(source: &'a dyn Queryable) -> Self {
        Self {
            source,
            recorded: History::in_memory(usize::MAX),
        }
    }
}

impl SampleStorage for RecordingOverlay<'_> {
    fn record(&self, at: UnixMillis, samples: &[(LabelSet, f64)]) -> usize {
        self.recorded.record(at, samples)
    }
}

impl Queryable for RecordingOverlay<'_> {
    fn select(
        &self,
        matchers: &[LabelMatcher],
        from: UnixMillis,
        to: UnixMillis,
        guard: &Guard,
    ) -> Result<Vec<SampledSeries>, StorageError> {
        let mut series = self.source.select(matchers, from, to, guard)?;
        series.extend(self.recorded.select(matchers, from, to, guard)?);
        Ok(series)
    }

    fn series(
        &self,
        matchers: &[LabelMatcher],
        from: UnixMillis,
        to: UnixMillis,
        guard: &Guard,
    ) -> Result<Vec<LabelSet>, StorageError> {
        let mut series = self.source.series(matchers, from, to, guard)?;
        series.extend(self.recorded.series(matchers, from, to, guard)?);
        Ok(series)
    }
}

/// Limits queries one after the other and measures them.
pub trait QueryLimiter: Send + Sync {
    /// Starts a query; returns its limits.
    fn begin(&self) -> Arc<Guard>;

    /// Ends the query; returns the time that it took.
    fn end(&self) -> Duration;
}

/// Neither limits nor measures: virtual time passes only between evaluations.
#[derive(Clone, Copy, Debug)]
pub struct NoLimits;

impl QueryLimiter for NoLimits {
    fn begin(&self) -> Arc<Guard> {
        Arc::default()
    }

    fn end(&self) -> Duration {
        Duration::ZERO
    }
}
