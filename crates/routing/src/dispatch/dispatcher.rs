//! Dispatcher: sorts alerts into groups, and decides at each flush which notifications to send.
//!
//! It reconciles: it knows which alerts are active, and compares at each flush of a group what was
//! notified with what should be. A mute reason, a reload or a restart loses nothing, since the next
//! flush makes the same comparison. What a channel was notified about is known to its outbox, which
//! accepts no resolved without a firing and no firing twice.
//!
//! Pure: time is an argument, and nothing is sent.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bellwether_core::{
    Alert, AlertState, Cause, Dispatch, Fingerprint, Group as NotificationGroup, Labels,
    MonoMillis, Notification, NotifiedState, Now, Transition, braced,
};
use hashbrown::HashMap;

use super::group::Group;
use super::heartbeat::Heartbeat;
use super::tracked::TrackedAlert;
use crate::mute::acknowledge::Acknowledgements;
use crate::mute::inhibit::Inhibitions;
use crate::mute::reason::MuteReason;
use crate::mute::silence::Silences;
use crate::routing::Routing;

/// Time that alerts from before a restart wait for their data.
const RESTORE_GRACE: Duration = Duration::from_secs(60);

/// State of the channels and rules, on which fallbacks and the heartbeat depend.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Feedback {
    /// Failing channels, and for how long they have failed.
    pub failing: HashMap<Arc<str>, Duration>,
    /// Notifications that channels rejected since the last feedback.
    pub rejected: Vec<(Arc<str>, Fingerprint)>,
    /// Time of the last evaluation of rules.
    pub last_evaluation: MonoMillis,
}

/// Returns the time at which a channel was last notified that an alert fires; now if such a
/// notification is in its outbox. The outboxes know.
pub type LastNotified<'a> = &'a dyn Fn(&str, Fingerprint) -> Option<MonoMillis>;

/// Result of [`Dispatcher::advance`].
#[derive(Debug, Default)]
pub struct Advance {
    /// Notifications to send, in order.
    pub dispatches: Vec<Dispatch>,
    /// Alerts that have another mute reason than before, or none any more.
    pub mute_changes: Vec<MuteChange>,
}

/// A change of an alert's mute reason in one group.
#[derive(Clone, Debug, PartialEq)]
pub struct MuteChange {
    /// The alert.
    pub alert: Arc<Alert>,
    /// Receiver of the group; empty for all channels.
    pub receiver: String,
    /// The new mute reason; `None`: the alert is not muted any more.
    pub reason: Option<MuteReason>,
    /// The mute reason as a sentence; empty without one.
    pub description: String,
}

/// The tracked alerts and their groups.
#[derive(Debug)]
pub struct Dispatcher {
    pub(super) routing: Arc<Routing>,
    pub(super) alerts: HashMap<Fingerprint, TrackedAlert>,
    pub(super) groups: HashMap<usize, Group>,
    /// Group ids by the index of the route and the group's labels.
    pub(super) group_ids: HashMap<(usize, Labels), usize>,
    /// Next flush of each group.
    pub(super) flushes: BTreeSet<(MonoMillis, usize)>,
    pub(super) silences: Silences,
    pub(super) acknowledgements: Acknowledgements,
    pub(super) inhibitions: Inhibitions,
    heartbeat: Heartbeat,
    /// Notifications from before a restart or reload about alerts that did not come again so far.
    pub(super) notified_before: HashMap<Fingerprint, NotifiedState>,
    /// True if the saved state changed otherwise than by a command.
    pub(super) unsaved: bool,
    /// Resolved notifications of alerts in no group, for every channel that was notified.
    pub(super) unrouted_resolved: Vec<Notification>,
    pub(super) next_group: usize,
    /// Sequence number of the last change.
    sequence: u64,
}

impl Dispatcher {
    /// Creates a dispatcher without alerts.
    #[must_use]
    pub fn new(routing: Arc<Routing>, now: Now) -> Self {
        let inhibitions = Inhibitions::new(&routing.inhibit);
        let mut silences = Silences::default();
        silences.configure(&routing.silences, &routing.intervals);
        Self {
            routing,
            silences,
            acknowledgements: Acknowledgements::default(),
            inhibitions,
            heartbeat: Heartbeat::new(now.mono),
            alerts: HashMap::new(),
            groups: HashMap::new(),
            group_ids: HashMap::new(),
            flushes: BTreeSet::new(),
            notified_before: HashMap::new(),
            unsaved: false,
            unrouted_resolved: Vec::new(),
            next_group: 0,
            sequence: 0,
        }
    }

    /// Restores alerts from before a restart: `firing` as far as is known, `notified` as the
    /// outboxes have it.
    pub fn restore(
        &mut self,
        firing: Vec<Arc<Alert>>,
        notified: HashMap<Fingerprint, NotifiedState>,
        now: Now,
    ) {
        self.notified_before = notified;
        for alert in firing {
            let key = alert.fingerprint;
            let mut tracked = TrackedAlert::new(alert, now.wall);
            tracked.restored_until = Some(now.mono.after(RESTORE_GRACE));
            let waited = tracked.firing_for(now.wall);
            self.add_to_groups(key, tracked, waited, now);
        }
    }

    /// Takes over alerts, silences and acknowledgements from the dispatcher before a reload;
    /// `notified` as the outboxes have it.
    pub fn continue_from(
        &mut self,
        before: Dispatcher,
        notified: HashMap<Fingerprint, NotifiedState>,
        now: Now,
    ) {
        let inhibited = before.inhibited();
        self.notified_before = notified;
        self.unsaved = before.unsaved;
        self.silences = before.silences;
        self.silences
            .configure(&self.routing.silences, &self.routing.intervals);
        self.acknowledgements = before.acknowledgements;
        self.heartbeat = before.heartbeat;
        self.unrouted_resolved.extend(before.unrouted_resolved);
        let mut alerts: Vec<_> = before.alerts.into_iter().collect();
        alerts.sort_by_key(|(_, tracked)| tracked.sequence);
        for (key, mut tracked) in alerts {
            tracked.groups.clear();
            if tracked.is_active() {
                let waited = tracked.firing_for(now.wall);
                self.add_to_groups(key, tracked, waited, now);
            } else {
                self.push_unrouted_resolved(&tracked, now);
                self.alerts.insert(key, tracked);
            }
        }
        self.note_uninhibited(&inhibited, now);
    }

    /// Applies the transitions of one evaluation.
    pub fn apply(&mut self, transitions: &[Transition], now: Now) {
        let inhibited = self.may_become_uninhibited(transitions);
        for transition in transitions {
            let was_firing = transition.from == AlertState::Firing;
            match transition.alert.state {
                AlertState::Firing => self.apply_firing(transition, now),
                _ if was_firing => self.apply_resolved(transition, now),
                _ => {}
            }
        }
        self.note_uninhibited(&inhibited, now);
    }

    /// Unmutes restored alerts whose rule was evaluated on their data since the restart.
    pub fn confirm(&mut self, alerts: &[Fingerprint], now: MonoMillis) {
        let mut groups = Vec::new();
        for alert in alerts {
            if let Some(tracked) = self.alerts.get_mut(alert)
                && tracked.restored_until.take().is_some()
            {
                groups.extend_from_slice(&tracked.groups);
            }
        }
        for id in groups {
            self.flush_at(id, now);
        }
    }

    fn apply_firing(&mut self, transition: &Transition, now: Now) {
        let key = transition.alert.fingerprint;
        let before = self.alerts.remove(&key);
        let starts = before.as_ref().is_none_or(|before| !before.firing);
        let mut tracked =
            before.unwrap_or_else(|| TrackedAlert::new(transition.alert.clone(), now.wall));
        self.update(&mut tracked, transition, true);
        if starts {
            self.count_flap(&mut tracked, now);
        }
        self.add_to_groups(key, tracked, Duration::ZERO, now);
    }

    fn apply_resolved(&mut self, transition: &Transition, now: Now) {
        let key = transition.alert.fingerprint;
        self.inhibitions.remove(key);
        self.acknowledgements.remove(key);
        let before = self.alerts.remove(&key);
        let mut tracked =
            before.unwrap_or_else(|| TrackedAlert::new(transition.alert.clone(), now.wall));
        self.update(&mut tracked, transition, false);
        tracked.resolved = Some(now);
        self.count_flap(&mut tracked, now);
        if tracked.groups.is_empty() {
            self.push_unrouted_resolved(&tracked, now);
        }
        for group in tracked.groups.clone() {
            self.schedule_change(group, now.mono, Duration::ZERO);
        }
        self.alerts.insert(key, tracked);
    }

    fn update(&mut self, tracked: &mut TrackedAlert, transition: &Transition, firing: bool) {
        self.sequence += 1;
        tracked.alert = transition.alert.clone();
        tracked.reason.clone_from(&transition.reason);
        tracked.changed = transition.at;
        tracked.firing = firing;
        tracked.restored_until = None;
        tracked.sequence = self.sequence;
    }

    fn count_flap(&self, tracked: &mut TrackedAlert, now: Now) {
        let settings = &self.routing.flapping;
        if settings.enabled {
            let interval = self.routing.interval(&tracked.alert.rule);
            tracked.flaps.change(settings, now.mono, interval);
            tracked.flapping = tracked.flaps.is_flapping(settings, now.mono, interval);
        }
    }

    /// Adds a resolved notification for every channel that was notified about the alert, which is
    /// in no group. Earlier notifications about it do not count any more.
    pub(super) fn push_unrouted_resolved(&mut self, tracked: &TrackedAlert, now: Now) {
        self.notified_before.remove(&tracked.alert.fingerprint);
        let group = Arc::new(NotificationGroup::default());
        self.unrouted_resolved
            .push(tracked.notification(Cause::Change, &group, now.wall));
    }

    /// Returns the time at which [`Dispatcher::advance`] has something to do if nothing happens
    /// before.
    #[must_use]
    pub fn next(&self) -> MonoMillis {
        if !self.unrouted_resolved.is_empty() {
            return MonoMillis(0);
        }
        let flush = self
            .flushes
            .first()
            .map_or(MonoMillis::NEVER, |(at, _)| *at);
        flush.min(self.heartbeat.next(&self.routing.heartbeat))
    }

    /// Returns the alerts that are active or whose resolved notification is still to be sent, and
    /// that of the heartbeat.
    pub fn tracked_alerts(&self) -> impl Iterator<Item = Fingerprint> {
        let tracked = self
            .alerts
            .iter()
            .filter(|(_, tracked)| tracked.is_active() || !tracked.groups.is_empty())
            .map(|(alert, _)| *alert);
        let unrouted = self.unrouted_resolved.iter();
        let heartbeat = self.routing.heartbeat.iter();
        tracked
            .chain(unrouted.map(|resolved| resolved.alert.fingerprint))
            .chain(heartbeat.map(|heartbeat| heartbeat.alert.fingerprint))
    }

    /// Flushes the groups that are due, and returns the notifications to send.
    pub fn advance(
        &mut self,
        feedback: &Feedback,
        last_notified: LastNotified<'_>,
        now: Now,
    ) -> Advance {
        let mut out = Advance::default();
        self.end_flapping(now);
        if !self.unrouted_resolved.is_empty() {
            out.dispatches.push(Dispatch {
                to: None,
                notifications: std::mem::take(&mut self.unrouted_resolved),
            });
        }
        while let Some((at, id)) = self.flushes.first().copied()
            && at <= now.mono
        {
            self.flushes.remove(&(at, id));
            self.flush(id, last_notified, now, &mut out);
        }
        self.notify_fallbacks(feedback, now, &mut out);
        if let Some(settings) = &self.routing.heartbeat {
            out.dispatches
                .extend(self.heartbeat.beat(settings, feedback, now));
        }
        self.forget_resolved(now);
        out
    }

    /// Ends the flapping of alerts that no longer change often.
    fn end_flapping(&mut self, now: Now) {
        let routing = self.routing.clone();
        let mut groups = Vec::new();
        for (key, tracked) in &mut self.alerts {
            let interval = routing.interval(&tracked.alert.rule);
            if !tracked.flapping
                || tracked
                    .flaps
                    .is_flapping(&routing.flapping, now.mono, interval)
            {
                continue;
            }
            tracked.flapping = false;
            if !tracked.firing {
                self.acknowledgements.remove(*key); // the alert is resolved now
            }
            groups.extend_from_slice(&tracked.groups);
        }
        for id in groups {
            self.schedule_change(id, now.mono, Duration::ZERO);
        }
    }

    /// Returns the name of an alert for users: `disk{mount="/"}`.
    pub(super) fn alert_name(&self, alert: Fingerprint) -> String {
        match self.alerts.get(&alert) {
            Some(tracked) => format!("{}{}", tracked.alert.rule, braced(&tracked.alert.labels)),
            None => alert.to_string(),
        }
    }

    /// Forgets resolved alerts after their cooldown and the checks that count for flapping.
    fn forget_resolved(&mut self, now: Now) {
        let routing = &self.routing;
        self.alerts.retain(|_, tracked| {
            tracked.is_active()
                || !tracked.groups.is_empty()
                || tracked.resolved.is_some_and(|at| {
                    now.mono.since(at.mono) < routing.resolved_retention(&tracked.alert.rule)
                })
        });
    }
}

#[cfg(test)]
mod tests;
