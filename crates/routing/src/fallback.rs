//! Who is told in place of receivers whose channels fail.

use std::sync::Arc;
use std::time::Duration;

use bellwether_core::{Cause, Dispatch, Fingerprint, Now};
use hashbrown::HashSet;

use super::dispatcher::{Advance, Dispatcher, Feedback};
use super::gates::Gates;
use super::group::{Group, Judge};
use super::tree::{Channels, Receiver, Route};

/// Channels and the alerts of which they refused a notification.
type Refused<'a> = HashSet<&'a (Arc<str>, Fingerprint)>;

/// What of one group did not get through.
struct Failed {
    group: usize,
    /// Who is told of it.
    channels: Channels,
    /// In the order of the changes, and whether something keeps each back.
    members: Vec<(Fingerprint, bool)>,
}

impl Dispatcher {
    /// Tells the fallbacks of receivers whose channels fail.
    pub(super) fn fall_back(&mut self, feedback: &Feedback, now: Now, out: &mut Advance) {
        if feedback.failing.is_empty() && feedback.refused.is_empty() {
            return;
        }
        for failed in self.failed(feedback, now) {
            let Some(group) = self.groups.get_mut(&failed.group) else {
                continue;
            };
            let mut notifications = Vec::new();
            for (key, _) in failed.members.iter().filter(|(_, kept)| !kept) {
                if let (Some(member), Some(known)) =
                    (group.members.get_mut(key), self.alerts.get(key))
                {
                    member.fell_back = true;
                    let shared = &group.shared;
                    notifications.push(known.notification(Cause::Fallback, shared, now.wall));
                }
            }
            // What is kept back is told from the start once nothing does so any more.
            let mut kept = failed.members.iter().filter(|(_, kept)| *kept).peekable();
            let later = kept.peek().is_some();
            for (key, _) in kept {
                if let Some(member) = group.members.get_mut(key) {
                    member.told = None;
                }
            }
            if later {
                self.hasten(failed.group, now.mono, Duration::ZERO);
            }
            if !notifications.is_empty() {
                out.dispatches.push(Dispatch {
                    to: Some(failed.channels),
                    notifications,
                });
            }
        }
    }

    fn failed(&self, feedback: &Feedback, now: Now) -> Vec<Failed> {
        let refused: Refused<'_> = feedback.refused.iter().collect();
        let groups = self.groups.iter().filter_map(|(id, group)| {
            let route = &self.routing.tree.routes()[group.route];
            let fallback = route.receiver.fallback.as_ref()?;
            let down = is_down(&route.receiver, fallback.after, feedback);
            if !down && refused.is_empty() {
                return None;
            }
            let members = self.failed_members(group, route, down, &refused, now);
            let channels = fallback.channels.clone();
            (!members.is_empty()).then_some(Failed {
                group: *id,
                channels,
                members,
            })
        });
        groups.collect()
    }

    fn failed_members(
        &self,
        group: &Group,
        route: &Route,
        down: bool,
        refused: &Refused<'_>,
        now: Now,
    ) -> Vec<(Fingerprint, bool)> {
        let gates = Gates {
            dispatcher: self,
            route,
            now,
        };
        let members = group.members.iter().filter_map(|(key, member)| {
            let fails = down || is_refused(&route.receiver, *key, refused);
            let waits = fails && !member.fell_back && member.told.is_some();
            let known = self
                .alerts
                .get(key)
                .filter(|known| waits && known.stands())?;
            Some((known.order, *key, gates.gate(known, true).is_some()))
        });
        let mut members: Vec<_> = members.collect();
        members.sort_by_key(|(order, ..)| *order);
        members
            .into_iter()
            .map(|(_, key, kept)| (key, kept))
            .collect()
    }
}

/// Whether all channels of `receiver` fail for so long.
fn is_down(receiver: &Receiver, after: Duration, feedback: &Feedback) -> bool {
    let fails = |channel: &Arc<str>| {
        feedback
            .failing
            .get(channel)
            .is_some_and(|long| *long >= after)
    };
    !receiver.channels.is_empty() && receiver.channels.iter().all(fails)
}

fn is_refused(receiver: &Receiver, alert: Fingerprint, refused: &Refused<'_>) -> bool {
    receiver
        .channels
        .iter()
        .any(|channel| refused.contains(&(channel.clone(), alert)))
}
