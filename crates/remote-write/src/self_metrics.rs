//! Self-metrics of remote write.

use std::sync::atomic::Ordering::Relaxed;

use bellwether_core::{Now, SelfMetrics, SelfMetricsBatch, self_metrics};

use super::stats::Stats;
use super::writers::Writers;

self_metrics! {
    SENT = "bellwether_remote_write_samples_total" Counter ["destination"]
        "Samples that the receiver of remote write accepted.";
    FAILED = "bellwether_remote_write_samples_failed_total" Counter ["destination"]
        "Samples that the receiver rejected for good.";
    RETRIED = "bellwether_remote_write_samples_retried_total" Counter ["destination"]
        "Samples that were sent again after a retryable error.";
    DROPPED = "bellwether_remote_write_samples_dropped_total" Counter ["destination", "reason"]
        "Samples that were not sent by reason: relabelling, lost (deleted from the write-ahead log first).";
    BYTES = "bellwether_remote_write_bytes_total" Counter ["destination"]
        "Bytes of the requests that the receiver accepted, compressed.";
    NEWEST_SENT = "bellwether_remote_write_highest_sent_timestamp_seconds" Gauge ["destination"]
        "Time of the newest sample that the receiver accepted.";
    PENDING_SAMPLES = "bellwether_remote_write_pending_samples" Gauge ["destination"]
        "Samples in the write-ahead log that wait to be sent.";
    PENDING_BYTES = "bellwether_remote_write_pending_bytes" Gauge ["destination"]
        "Bytes of the write-ahead log that wait to be sent.";
}

impl SelfMetrics for Writers {
    fn add_self_metrics(&self, batch: &mut SelfMetricsBatch<'_>, _: Now) {
        for (name, stats) in self.stats.lock().iter() {
            add_destination(name, stats, batch);
        }
    }
}

fn add_destination(name: &str, stats: &Stats, batch: &mut SelfMetricsBatch<'_>) {
    for (metric, count) in [
        (&SENT, &stats.sent),
        (&FAILED, &stats.failed),
        (&RETRIED, &stats.retried),
        (&BYTES, &stats.bytes),
        (&PENDING_SAMPLES, &stats.pending_samples),
        (&PENDING_BYTES, &stats.pending_bytes),
    ] {
        batch.push(metric, &[name], count.load(Relaxed) as f64);
    }
    for (reason, count) in [("relabelling", &stats.relabelled), ("lost", &stats.lost)] {
        batch.push(&DROPPED, &[name, reason], count.load(Relaxed) as f64);
    }
    let newest = stats.newest_sent.load(Relaxed) as f64 / 1000.0;
    batch.push(&NEWEST_SENT, &[name], newest);
}
