//! Self-metrics of the channels.

use bellwether_core::{Now, SelfMetrics, SelfMetricsBatch, self_metrics};

use super::Notifier;
use super::channel_state::ChannelState;

self_metrics! {
    NOTIFICATIONS = "bellwether_notifications_total" Counter ["channel", "result"]
        "Notifications by channel and result: sent, failed (one attempt), dropped.";
    DROPPED = "bellwether_notifications_dropped_total" Counter ["channel", "reason"]
        "Notifications dropped, by reason.";
    QUEUE = "bellwether_notification_queue_length" Gauge ["channel"]
        "Notifications that wait for delivery.";
    DEAD_LETTERS = "bellwether_notification_dead_letters" Gauge ["channel"]
        "Dead letters: notifications that the channel rejected or dropped, and that can be sent again.";
    BULLETINS = "bellwether_bulletins_total" Counter ["channel", "bulletin", "result"]
        "Reports and audit lines by channel and result: sent, failed (one attempt), dropped.";
    BULLETIN_QUEUE = "bellwether_bulletin_queue_length" Gauge ["channel"]
        "Reports and audit lines that wait for delivery.";
    BULLETIN_SUCCESS = "bellwether_bulletin_last_success_timestamp_seconds" Gauge ["channel", "bulletin"]
        "Time at which the last report, or the last audit lines, were delivered.";
}

impl SelfMetrics for Notifier {
    fn add_self_metrics(&self, batch: &mut SelfMetricsBatch<'_>, _: Now) {
        for channel in self.active.lock().iter() {
            add_channel(&channel.delivery.state, batch);
        }
    }
}

fn add_channel(channel: &ChannelState, batch: &mut SelfMetricsBatch<'_>) {
    let name: &str = channel.name();
    {
        let counts = channel.counts.lock();
        let dropped: u64 = counts.dropped.values().sum();
        batch.push(&NOTIFICATIONS, &[name, "sent"], counts.sent as f64);
        batch.push(&NOTIFICATIONS, &[name, "failed"], counts.failed as f64);
        batch.push(&NOTIFICATIONS, &[name, "dropped"], dropped as f64);
        for (reason, count) in &counts.dropped {
            batch.push(&DROPPED, &[name, reason], *count as f64);
        }
    }
    for stats in channel.bulletins.stats() {
        let topic: &str = &stats.topic;
        batch.push(&BULLETINS, &[name, topic, "sent"], stats.sent as f64);
        batch.push(&BULLETINS, &[name, topic, "failed"], stats.failed as f64);
        batch.push(&BULLETINS, &[name, topic, "dropped"], stats.dropped as f64);
        if let Some(at) = stats.last_success {
            batch.push(&BULLETIN_SUCCESS, &[name, topic], at.0 as f64 / 1000.0);
        }
    }
    batch.push(&BULLETIN_QUEUE, &[name], channel.bulletins.queued() as f64);
    let outbox = channel.outbox.lock();
    batch.push(&QUEUE, &[name], outbox.len() as f64);
    batch.push(&DEAD_LETTERS, &[name], outbox.dead_letters().count() as f64);
}
