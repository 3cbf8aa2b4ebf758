//! Self-metrics of the store.

use bellwether_core::{Now, SelfMetrics, SelfMetricsBatch, self_metrics};

use super::{Family, Store};

self_metrics! {
    SERIES = "bellwether_series" Gauge []
        "Series with a current value.";
    DROPPED = "bellwether_series_dropped_total" Counter []
        "Series dropped because nothing refreshed them for three intervals.";
    REJECTED = "bellwether_samples_rejected_total" Counter []
        "Collected samples that did not fit the definition of their metric.";
}

impl SelfMetrics for Store {
    fn add_self_metrics(&self, batch: &mut SelfMetricsBatch<'_>, _: Now) {
        let inner = self.inner.read();
        let series: usize = inner.families.iter().map(Family::len).sum();
        batch.push(&SERIES, &[], series as f64);
        batch.push(&DROPPED, &[], inner.dropped as f64);
        batch.push(&REJECTED, &[], inner.rejected as f64);
    }
}
