//! Fallbacks: receivers that are notified in place of those whose channels fail.

use std::sync::Arc;
use std::time::Duration;

use bellwether_core::{Cause, Dispatch, Fingerprint, Now};
use hashbrown::HashSet;

use super::dispatcher::{Advance, Dispatcher, Feedback};
use super::group::Group;
use crate::route::tree::{Channels, Receiver, Route};

/// Channels with the alerts of which they rejected a notification.
type Rejected<'a> = HashSet<&'a (Arc<str>, Fingerprint)>;

/// Alerts of one group whose notifications were not delivered.
struct UndeliveredGroup {
    id: usize,
    fallback: Channels,
    /// In the order of the changes.
    alerts: Vec<UndeliveredAlert>,
}

struct UndeliveredAlert {
    fingerprint: Fingerprint,
    is_muted: bool,
}

impl Dispatcher {
    /// Notifies the fallbacks of receivers whose channels fail.
    pub(super) fn notify_fallbacks(&mut self, feedback: &Feedback, now: Now, out: &mut Advance) {
        if feedback.failing.is_empty() && feedback.rejected.is_empty() {
            return;
        }
        for undelivered in self.undelivered_groups(feedback, now) {
            let Some(group) = self.groups.get_mut(&undelivered.id) else {
                continue;
            };
            let mut notifications = Vec::new();
            let mut any_muted = false;
            for alert in &undelivered.alerts {
                let Some(member) = group.members.get_mut(&alert.fingerprint) else {
                    continue;
                };
                if alert.is_muted {
                    // Notified from the start once it is no longer muted.
                    member.notified = None;
                    any_muted = true;
                } else if let Some(tracked) = self.alerts.get(&alert.fingerprint) {
                    member.fell_back = true;
                    let identity = &group.identity;
                    notifications.push(tracked.notification(Cause::Fallback, identity, now.wall));
                }
            }
            if any_muted {
                self.schedule_change(undelivered.id, now.mono, Duration::ZERO);
            }
            if !notifications.is_empty() {
                out.dispatches.push(Dispatch {
                    to: Some(undelivered.fallback),
                    notifications,
                });
            }
        }
    }

    fn undelivered_groups(&self, feedback: &Feedback, now: Now) -> Vec<UndeliveredGroup> {
        let rejected: Rejected<'_> = feedback.rejected.iter().collect();
        let mut groups = Vec::new();
        for (id, group) in &self.groups {
            let route = &self.routing.tree.routes()[group.route];
            let Some(fallback) = &route.receiver.fallback else {
                continue;
            };
            let is_down = is_down(&route.receiver, fallback.after, feedback);
            if !is_down && rejected.is_empty() {
                continue;
            }
            let alerts = self.undelivered_alerts(group, route, is_down, &rejected, now);
            if !alerts.is_empty() {
                groups.push(UndeliveredGroup {
                    id: *id,
                    fallback: fallback.channels.clone(),
                    alerts,
                });
            }
        }
        groups
    }

    fn undelivered_alerts(
        &self,
        group: &Group,
        route: &Route,
        is_down: bool,
        rejected: &Rejected<'_>,
        now: Now,
    ) -> Vec<UndeliveredAlert> {
        let mutes = self.mute_context(route, now);
        let mut alerts = Vec::new();
        for (key, member) in &group.members {
            let fails = is_down || is_rejected(&route.receiver, *key, rejected);
            if !fails || member.fell_back || member.notified.is_none() {
                continue;
            }
            let Some(tracked) = self.alerts.get(key).filter(|tracked| tracked.is_active()) else {
                continue;
            };
            let alert = UndeliveredAlert {
                fingerprint: *key,
                is_muted: mutes.mute_reason(tracked, true).is_some(),
            };
            alerts.push((tracked.sequence, alert));
        }
        alerts.sort_by_key(|(sequence, _)| *sequence);
        alerts.into_iter().map(|(_, alert)| alert).collect()
    }
}

/// Returns whether all channels of `receiver` have failed for at least `after`.
fn is_down(receiver: &Receiver, after: Duration, feedback: &Feedback) -> bool {
    !receiver.channels.is_empty()
        && receiver.channels.iter().all(|channel| {
            let failing_for = feedback.failing.get(channel);
            failing_for.is_some_and(|failing_for| *failing_for >= after)
        })
}

fn is_rejected(receiver: &Receiver, alert: Fingerprint, rejected: &Rejected<'_>) -> bool {
    receiver
        .channels
        .iter()
        .any(|channel| rejected.contains(&(channel.clone(), alert)))
}
