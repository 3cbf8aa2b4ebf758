//! Statistics of a query, for `stats` of Prometheus's API.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use bellwether_core::{LabelSet, UnixMillis};
use bellwether_matcher::LabelMatcher;
use bellwether_promql::{Guard, Queryable, SampledSeries, StorageError};
use serde_json::{Value, json};

use super::params::Parameters;

/// Counts the samples that are read from a source.
pub(super) struct Counting<'a> {
    source: &'a dyn Queryable,
    /// Start of parsing.
    began: Instant,
    prepared: Duration,
    samples: AtomicU64,
    /// Samples of the largest read.
    peak: AtomicU64,
}

impl<'a> Counting<'a> {
    /// Counts from now on for a query whose parsing began at `began`.
    pub(super) fn new(source: &'a dyn Queryable, began: Instant) -> Self {
        let (samples, peak) = (AtomicU64::new(0), AtomicU64::new(0));
        Self {
            source,
            began,
            prepared: began.elapsed(),
            samples,
            peak,
        }
    }

    /// Returns the statistics of a query over `steps`, if the parameter `stats` asks for them.
    pub(super) fn stats(&self, parameters: &Parameters, steps: usize) -> Option<Value> {
        if parameters.text("stats").is_empty() {
            return None;
        }
        let whole = self.began.elapsed();
        let evaluated = whole.saturating_sub(self.prepared);
        Some(json!({
            "timings": {
                "evalTotalTime": whole.as_secs_f64(),
                "resultSortTime": 0.0,
                "queryPreparationTime": self.prepared.as_secs_f64(),
                "innerEvalTime": evaluated.as_secs_f64(),
                "execQueueTime": 0.0,
                "execTotalTime": whole.as_secs_f64(),
            },
            "samples": {
                "totalQueryableSamples": self.samples.load(Relaxed),
                "peakSamples": self.peak.load(Relaxed),
                "steps": steps,
            },
        }))
    }
}

impl Queryable for Counting<'_> {
    fn select(
        &self,
        matchers: &[LabelMatcher],
        from: UnixMillis,
        to: UnixMillis,
        guard: &Guard,
    ) -> Result<Vec<SampledSeries>, StorageError> {
        let series = self.source.select(matchers, from, to, guard)?;
        let read = series.iter().map(|series| series.times.len() as u64).sum();
        self.samples.fetch_add(read, Relaxed);
        self.peak.fetch_max(read, Relaxed);
        Ok(series)
    }

    fn series(
        &self,
        matchers: &[LabelMatcher],
        from: UnixMillis,
        to: UnixMillis,
        guard: &Guard,
    ) -> Result<Vec<LabelSet>, StorageError> {
        self.source.series(matchers, from, to, guard)
    }
}
