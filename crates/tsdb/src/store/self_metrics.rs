//! Self-metrics of the store.

use bellwether_core::{Now, Rejection, SelfMetrics, SelfMetricsBatch, self_metrics};

use super::Store;

self_metrics! {
    SERIES = "bellwether_series" Gauge []
        "Series with a current value.";
    DROPPED = "bellwether_series_dropped_total" Counter []
        "Series dropped because nothing refreshed them for three intervals.";
    REJECTED = "bellwether_samples_rejected_total" Counter []
        "Collected samples that did not fit the definition of their metric.";
    INGESTED = "bellwether_collector_series" Gauge ["collector"]
        "Series of a collector in the list `collectors`.";
    INGESTED_CREATED = "bellwether_collector_series_created_total" Counter ["collector"]
        "New series of a collector in the list `collectors`, those that came back included.";
    INGESTED_REJECTED = "bellwether_collector_samples_rejected_total" Counter ["collector", "reason"]
        "Samples of a collector in the list `collectors` that were rejected: limit, metric_limit, label_limit, name_in_use, type, duplicate, invalid, malformed, not_accepted, too_old or too_new.";
}

impl SelfMetrics for Store {
    fn add_self_metrics(&self, batch: &mut SelfMetricsBatch<'_>, _: Now) {
        let inner = self.inner.read();
        batch.push(&SERIES, &[], inner.series() as f64);
        batch.push(&DROPPED, &[], inner.dropped as f64);
        batch.push(&REJECTED, &[], inner.rejected as f64);
        for (source, counts) in inner.ingested.sources() {
            let source = source.as_str();
            batch.push(&INGESTED, &[source], counts.series as f64);
            batch.push(&INGESTED_CREATED, &[source], counts.created as f64);
            for reason in Rejection::ALL {
                let count = counts.rejected.get(&reason).copied().unwrap_or_default();
                batch.push(&INGESTED_REJECTED, &[source, reason.as_str()], count as f64);
            }
        }
    }
}
