//! Self-metrics of the monitored series.

use bellwether_core::{Now, SelfMetrics, SelfMetricsBatch, self_metrics};

use super::{AnomalyMonitor, MonitoredSeries};

self_metrics! {
    ANOMALY = "bellwether_anomaly" Gauge ["metric", "series"]
        "Whether the latest value of a monitored series is anomalous.";
    SCORE = "bellwether_anomaly_score" Gauge ["metric", "series"]
        "Anomaly score of the latest value of a monitored series; its scale depends on the algorithm.";
    EXPECTED = "bellwether_anomaly_expected" Gauge ["metric", "series", "bound"]
        "Expected range of the latest value of a monitored series by bound: low, high.";
}

impl SelfMetrics for AnomalyMonitor {
    /// Series without enough samples for a score are left out.
    fn add_self_metrics(&self, batch: &mut SelfMetricsBatch<'_>, now: Now) {
        for monitored in self.all(now) {
            if !monitored.observation.warming {
                add_series(&monitored, batch);
            }
        }
    }
}

fn add_series(monitored: &MonitoredSeries, batch: &mut SelfMetricsBatch<'_>) {
    let (metric, series) = (&*monitored.metric, &*monitored.series);
    let observation = &monitored.observation;
    let anomalous = f64::from(observation.anomalous);
    batch.push(&ANOMALY, &[metric, series], anomalous);
    batch.push(&SCORE, &[metric, series], observation.score);
    if let Some((low, high)) = observation.expected {
        batch.push(&EXPECTED, &[metric, series, "low"], low);
        batch.push(&EXPECTED, &[metric, series, "high"], high);
    }
}
