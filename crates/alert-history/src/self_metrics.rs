//! Self-metrics of the alert history.

use bellwether_core::{Now, SelfMetrics, SelfMetricsBatch, self_metrics};

use super::AlertHistory;

self_metrics! {
    RECORDS = "bellwether_alert_history_records_total" Counter ["kind"]
        "Records added to the alert history by kind: transition, notification.";
    LOST = "bellwether_alert_history_records_lost_total" Counter ["reason"]
        "Records of the alert history that were lost by reason: queue_full_transition, queue_full_notification, memory (not written in time).";
    DAMAGED = "bellwether_alert_history_records_damaged_total" Counter []
        "Lines of the alert history that could not be read and are left out.";
    TORN_BYTES = "bellwether_alert_history_torn_bytes_total" Counter []
        "Bytes of a write that a crash interrupted, cut off when the alert history was opened.";
    WRITE_FAILURES = "bellwether_alert_history_write_failures_total" Counter []
        "Failed writes of the alert history; the records wait in memory.";
    BYTES = "bellwether_alert_history_bytes" Gauge ["part"]
        "Bytes of the alert history by part: disk, memory (not written yet).";
    OLDEST = "bellwether_alert_history_oldest_timestamp_seconds" Gauge []
        "Time of the oldest record in the alert history, or the start of its day.";
}

impl SelfMetrics for AlertHistory {
    fn add_self_metrics(&self, batch: &mut SelfMetricsBatch<'_>, _: Now) {
        let stats = self.stats();
        batch.push(&RECORDS, &["transition"], stats.transitions as f64);
        batch.push(&RECORDS, &["notification"], stats.notifications as f64);
        batch.push(
            &LOST,
            &["queue_full_transition"],
            stats.no_room_transitions as f64,
        );
        batch.push(
            &LOST,
            &["queue_full_notification"],
            stats.no_room_notifications as f64,
        );
        batch.push(&LOST, &["memory"], stats.evicted as f64);
        batch.push(&DAMAGED, &[], stats.damaged as f64);
        batch.push(&TORN_BYTES, &[], stats.torn_bytes as f64);
        batch.push(&WRITE_FAILURES, &[], stats.write_failures as f64);
        batch.push(&BYTES, &["disk"], stats.disk_bytes as f64);
        batch.push(&BYTES, &["memory"], stats.memory_bytes as f64);
        if let Some(oldest) = stats.oldest {
            batch.push(&OLDEST, &[], oldest.0 as f64 / 1000.0);
        }
    }
}
