//! Selects the notifications of the next message from a queue. Pure.

use std::collections::HashSet;

use bellwether_core::{Fingerprint, Notification, Severity};

use super::channel::Channel;
use super::outbox::{Entry, Outbox};

/// Maximum number of queue entries that are searched for notifications that join the first.
const SCAN: usize = 4096;

/// Selection of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Priority {
    /// The oldest, and those that join it.
    Oldest,
    /// The oldest about an alert that is critical or worse, and those that join it.
    Urgent,
    /// The oldest of any groups.
    Any,
}

/// Returns at most `most` notifications of the next message with their sequence numbers, oldest
/// first. Each alert is in it once, and none overtakes an older notification of its alert.
pub(super) fn next_batch(
    outbox: &Outbox,
    channel: &dyn Channel,
    priority: Priority,
    most: usize,
) -> Vec<(u64, Notification)> {
    let mut picked: Vec<(u64, Notification)> = Vec::new();
    // Of an alert that was passed over, nothing younger may go before.
    let mut seen: HashSet<Fingerprint> = HashSet::new();
    for entry in outbox.queue().take(SCAN) {
        let next = &entry.notification;
        let is_first = seen.insert(next.alert.fingerprint);
        let fits = match (picked.first(), priority) {
            (_, Priority::Any) | (None, Priority::Oldest) => true,
            (None, Priority::Urgent) => is_urgent(entry),
            (Some((_, first)), _) => channel.joins(first, next),
        };
        if is_first && fits {
            picked.push((entry.seq, next.clone()));
        }
        // Notifications of a group stay in order.
        let next_message = fits && !is_first && priority != Priority::Any && !picked.is_empty();
        if picked.len() >= most || next_message {
            break;
        }
    }
    picked
}

fn is_urgent(entry: &Entry) -> bool {
    entry.notification.alert.severity >= Severity::Critical
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bellwether_core::{Alert, Status};

    use super::super::channel::{Attempt, Batch, same_group};
    use super::super::testing::notification;
    use super::*;

    /// Tells of one group in a message.
    struct Chat;

    impl Channel for Chat {
        fn deliver<'a>(&'a self, _: &'a Batch) -> Attempt<'a> {
            Box::pin(std::future::ready(Ok(())))
        }
        fn max_batch(&self) -> usize {
            100
        }
        fn joins(&self, first: &Notification, next: &Notification) -> bool {
            same_group(first, next)
        }
    }

    fn outbox(entries: &[(&str, &str, Severity, Status)]) -> Outbox {
        let mut outbox = Outbox::default();
        for (rule, mount, severity, status) in entries {
            let mut notification = notification(rule, mount, *status);
            notification.alert = Arc::new(Alert {
                severity: *severity,
                ..Alert::clone(&notification.alert)
            });
            outbox.offer(notification);
        }
        outbox
    }

    fn picked(outbox: &Outbox, priority: Priority) -> Vec<String> {
        next_batch(outbox, &Chat, priority, 100)
            .iter()
            .map(|(_, notification)| {
                format!(
                    "{} {} {}",
                    notification.status.as_str(),
                    notification.alert.rule,
                    notification.alert.labels["mount"]
                )
            })
            .collect()
    }

    use Severity::{Critical, Warning};
    use Status::{Firing, Resolved};

    #[test]
    fn a_group_is_gathered_from_the_queue_up_to_what_comes_after_it() {
        let outbox = outbox(&[
            ("a", "/1", Warning, Firing),
            ("b", "/1", Warning, Firing),
            ("a", "/2", Warning, Firing),
            ("a", "/1", Warning, Resolved),
            ("a", "/3", Warning, Firing),
        ]);
        assert_eq!(
            picked(&outbox, Priority::Oldest),
            ["firing a /1", "firing a /2"]
        );
        assert_eq!(picked(&outbox, Priority::Any).len(), 4);
        assert_eq!(next_batch(&outbox, &Chat, Priority::Any, 2).len(), 2);
    }

    #[test]
    fn what_is_urgent_goes_first_but_not_before_what_its_alert_waits_for() {
        let mixed = outbox(&[
            ("a", "/1", Warning, Firing),
            ("b", "/1", Warning, Firing),
            ("b", "/1", Critical, Firing),
            ("c", "/1", Critical, Firing),
        ]);
        assert_eq!(picked(&mixed, Priority::Urgent), ["firing c /1"]);
        let calm = outbox(&[("a", "/1", Warning, Firing)]);
        assert_eq!(picked(&calm, Priority::Urgent), [""; 0]);
    }
}
