//! Self-metrics of a recorder, for Bellwether.

use bellwether_core::{Now, SelfMetrics, SelfMetricsBatch, self_metrics};

use super::recorder::Recorder;

self_metrics! {
    REFUSED = "bellwether_application_records_rejected_total" Counter ["reason"]
        "Rejected application records.";
    OVER_LIMIT = "bellwether_application_series_overflow_total" Counter ["metric"]
        "Application records rejected because the metric has reached max_series.";
}

impl SelfMetrics for Recorder {
    fn add_self_metrics(&self, batch: &mut SelfMetricsBatch<'_>, _: Now) {
        for (reason, count) in self.rejected() {
            batch.push(&REFUSED, &[reason.as_str()], count as f64);
        }
        for count in self.series_counts() {
            batch.push(&OVER_LIMIT, &[&count.metric], count.over_limit as f64);
        }
    }
}
