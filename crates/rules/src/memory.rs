//! What rules remember by: samples to ask, and a place for what recording rules make of them.
//!
//! Owns the traits; history is one [`SampleStorage`], so is an [`RecordingOverlay`] over samples that must stay as
//! they are. How long an evaluation may take is for who has a clock ([`QueryLimiter`]).

use std::sync::Arc;
use std::time::Duration;

use bellwether_core::{LabelSet, UnixMillis};
use bellwether_matcher::LabelMatcher;
use bellwether_promql::{Guard, Queryable, SampledSeries, StorageError};
use bellwether_tsdb::history::History;

/// Samples to ask, and a place for more.
pub trait SampleStorage: Queryable {
    /// Appends `samples` of the time `at`; how many series there was no room for.
    fn record(&self, at: UnixMillis, samples: &[(LabelSet, f64)]) -> usize;
}

impl SampleStorage for History {
    fn record(&self, at: UnixMillis, samples: &[(LabelSet, f64)]) -> usize {
        let known: Vec<_> = samples
            .iter()
            .filter_map(|(labels, value)| Some((self.series_id(labels)?, *value)))
            .collect();
        self.append(at, &known);
        samples.len() - known.len()
    }
}

/// Samples of `source` as they are, and beside them what was recorded since.
pub struct RecordingOverlay<'a> {
    source: &'a dyn Queryable,
    recorded: History,
}

impl<'a> RecordingOverlay<'a> {
    /// Nothing recorded yet.
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
        let mut found = self.source.select(matchers, from, to, guard)?;
        found.extend(self.recorded.select(matchers, from, to, guard)?);
        Ok(found)
    }

    fn series(
        &self,
        matchers: &[LabelMatcher],
        from: UnixMillis,
        to: UnixMillis,
        guard: &Guard,
    ) -> Result<Vec<LabelSet>, StorageError> {
        let mut found = self.source.series(matchers, from, to, guard)?;
        found.extend(self.recorded.series(matchers, from, to, guard)?);
        Ok(found)
    }
}

/// Watches one evaluation after the other: limits it, and tells how long it took.
pub trait QueryLimiter: Send + Sync {
    /// An evaluation begins; what it may do.
    fn begin(&self) -> Arc<Guard>;

    /// The evaluation has ended; how long it took.
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
