//! Collector of the self-metrics.
//!
//! Each crate declares its own self-metrics and writes their values; this one only asks the sources.

use std::sync::Arc;

use bellwether_core::{Batch, MetricDef, Now, SelfMetricIds, SelfMetrics, SelfMetricsBatch};

use crate::{Collecting, Collector};

/// The collector of the self-metrics.
#[derive(Clone)]
pub struct SelfMetricsCollector {
    ids: Arc<SelfMetricIds>,
    sources: Arc<[Arc<dyn SelfMetrics>]>,
}

impl SelfMetricsCollector {
    /// Creates a collector of `sources`, whose metrics are among `metrics`.
    #[must_use]
    pub fn new(metrics: &[MetricDef], sources: Vec<Arc<dyn SelfMetrics>>) -> Self {
        Self {
            ids: Arc::new(SelfMetricIds::new(metrics)),
            sources: sources.into(),
        }
    }

    /// Adds the self-metrics as of `now`. Never blocks.
    pub fn fill(&self, batch: &mut Batch, now: Now) {
        let mut batch = SelfMetricsBatch::new(&self.ids, batch);
        for source in self.sources.iter() {
            source.add_self_metrics(&mut batch, now);
        }
    }
}

impl Collector for SelfMetricsCollector {
    fn collect<'a>(&'a mut self, batch: &'a mut Batch, now: Now) -> Collecting<'a> {
        self.fill(batch, now);
        Box::pin(std::future::ready(Ok(())))
    }
}
