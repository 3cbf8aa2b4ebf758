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
    let outbox = channel.outbox.lock();
    batch.push(&QUEUE, &[name], outbox.len() as f64);
    batch.push(&DEAD_LETTERS, &[name], outbox.dead_letters().count() as f64);
}
