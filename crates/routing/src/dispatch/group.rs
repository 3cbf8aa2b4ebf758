//! One group of alerts: what it has notified about, and when it is flushed next. Pure.
//!
//! A flush has two parts: [`Group::plan_flush`] decides and changes nothing, [`Group::apply`] notes
//! the decisions in the group.

use std::sync::Arc;
use std::time::Duration;

use bellwether_core::{
    Cause, Dispatch, Fingerprint, Group as NotificationGroup, MonoMillis, Now, Severity,
};
use hashbrown::HashMap;

use super::dispatcher::LastNotified;
use super::flush::{Outgoing, RepeatSchedule};
use super::tracked::TrackedAlert;
use crate::mute::context::MuteContext;
use crate::mute::reason::MuteReason;
use crate::route::tree::Route;

/// Interval at which a group is flushed while one of its alerts is muted for an unknown time.
const RECHECK: Duration = Duration::from_secs(5);

/// Alerts that are notified about together.
#[derive(Clone, Debug)]
pub(super) struct Group {
    /// Index of its route.
    pub(super) route: usize,
    /// The group as notifications have it.
    pub(super) identity: Arc<NotificationGroup>,
    pub(super) members: HashMap<Fingerprint, GroupMember>,
    /// Earliest time to notify about changes; `NEVER` where nothing changed.
    changes_due: MonoMillis,
    /// Time of the next flush.
    pub(super) next_flush: MonoMillis,
    /// Time of the last notification.
    pub(super) last_notified: Option<MonoMillis>,
    /// Earliest time at which a channel is due for a repeat; `NEVER` where there is nothing to
    /// repeat.
    pub(super) next_repeat: MonoMillis,
}

/// Notifications that a group has sent about one of its alerts.
#[derive(Clone, Debug, Default)]
pub(super) struct GroupMember {
    /// Severity of the last notification; `None` before the first.
    pub(super) notified: Option<Severity>,
    /// Time of the first notification.
    pub(super) first_notified: MonoMillis,
    /// Notified before a restart or reload: the next notification is offered to all channels, since
    /// some of them may not have it.
    pub(super) unconfirmed: bool,
    /// True if the last notification was about a flapping alert.
    pub(super) flapping: bool,
    /// Escalation steps that were notified.
    pub(super) escalated: StepSet,
    /// True if the fallback was notified.
    pub(super) fell_back: bool,
    /// Mute reason at the last flush.
    pub(super) mute_reason: Option<MuteReason>,
}

/// Escalation steps of a route, by index; at most 32.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct StepSet(u32);

impl StepSet {
    pub(super) fn contains(self, step: usize) -> bool {
        self.0 & (1 << step) != 0
    }

    fn insert(&mut self, step: usize) {
        self.0 |= 1 << step;
    }
}

/// Inputs of a flush.
pub(super) struct FlushContext<'a> {
    pub(super) route: &'a Route,
    pub(super) alerts: &'a HashMap<Fingerprint, TrackedAlert>,
    pub(super) mutes: &'a MuteContext<'a>,
    pub(super) last_notified: LastNotified<'a>,
    pub(super) now: Now,
}

/// Decision of a flush about one member.
#[derive(Debug)]
enum Decision {
    /// Nothing is due, or a change waits for `group_interval`.
    Wait,
    /// The alert is muted.
    Muted(MuteReason),
    /// The alert is no longer muted; its change waits for `group_interval`.
    Unmuted,
    /// Notifications are due.
    Notify(DueNotifications),
    /// The alert resolved and leaves the group; `notify` if the group has notified about it.
    Resolved { notify: bool },
    /// The dispatcher does not track the alert any more.
    Untracked,
}

/// Notifications that are due about one member.
#[derive(Debug)]
struct DueNotifications {
    /// Cause of a notification to the receiver; `None` if only escalation is due.
    cause: Option<Cause>,
    /// Offers the alert to all channels once more, without counting as a notification.
    confirm: bool,
    /// Escalation steps that are due.
    steps: Vec<usize>,
    /// The acknowledgement, which stops repeats and escalation only.
    acknowledgement: Option<MuteReason>,
}

/// Decisions of a flush, not yet applied.
#[derive(Debug)]
pub(super) struct FlushPlan {
    decisions: Vec<(Fingerprint, Decision)>,
    /// Notifications in the order of the changes.
    pub(super) dispatches: Vec<Dispatch>,
    changes_due: MonoMillis,
    last_notified: Option<MonoMillis>,
    next_repeat: MonoMillis,
}

/// Changes of a group's members by a flush.
#[derive(Debug, Default)]
pub(super) struct MemberChanges {
    /// Members with another mute reason than before.
    pub(super) mute_reasons: Vec<(Fingerprint, Option<MuteReason>)>,
    /// Members that resolved and left.
    pub(super) left: Vec<Fingerprint>,
}

impl Group {
    pub(super) fn new(route: usize, identity: Arc<NotificationGroup>, due: MonoMillis) -> Self {
        Self {
            route,
            identity,
            members: HashMap::new(),
            changes_due: due,
            next_flush: due,
            last_notified: None,
            next_repeat: MonoMillis::NEVER,
        }
    }

    /// Schedules a flush for a change that has waited for `waited` already: after `group_wait`
    /// before the first notification, after `group_interval` then.
    pub(super) fn schedule_change(&mut self, route: &Route, now: MonoMillis, waited: Duration) {
        let group_wait = route.group_wait.saturating_sub(waited);
        let due = match self.last_notified {
            Some(last) => last
                .after(route.group_interval)
                .max(now.after(group_wait.min(route.group_interval))),
            None => now.after(group_wait),
        };
        self.changes_due = self.changes_due.min(due);
        self.next_flush = self.next_flush.min(self.changes_due);
    }

    /// Notes that an alert of the group was notified about before a restart or reload.
    pub(super) fn restore_notified(&mut self, route: &Route, first: MonoMillis, last: MonoMillis) {
        self.last_notified = self.last_notified.max(Some(last));
        self.next_repeat = self.next_repeat.min(route.next_repeat(first));
    }

    /// Decides which notifications to send at `context.now`.
    pub(super) fn plan_flush(&self, context: &FlushContext<'_>) -> FlushPlan {
        let (route, now) = (context.route, context.now.mono);
        let repeats = if self.next_repeat <= now {
            RepeatSchedule::new(self, context)
        } else {
            RepeatSchedule::empty(now)
        };
        let mut outgoing = Outgoing::new(route, repeats);
        let changes_are_due = self.changes_due <= now;
        let (mut notifies, mut unmuted) = (false, false);
        let mut decisions = Vec::new();
        for (alert, member) in &self.members {
            let tracked = context.alerts.get(alert);
            let decision = match tracked {
                None => Decision::Untracked,
                Some(tracked) if tracked.is_active() => {
                    let repeat_is_due = outgoing.repeat_is_due(member);
                    member.decide(tracked, context, changes_are_due, repeat_is_due)
                }
                Some(_) if changes_are_due => Decision::Resolved {
                    notify: member.notified.is_some(),
                },
                Some(_) => Decision::Wait,
            };
            if let Some(tracked) = tracked {
                self.add_notifications(&mut outgoing, member, tracked, &decision, context.now);
            }
            notifies |= decision.notifies();
            unmuted |= matches!(decision, Decision::Unmuted);
            decisions.push((*alert, decision));
        }
        let last_notified = if notifies {
            Some(now)
        } else {
            self.last_notified
        };
        let mut changes_due = if changes_are_due {
            MonoMillis::NEVER
        } else {
            self.changes_due
        };
        if unmuted {
            let soonest = last_notified.map_or(now, |last| last.after(route.group_interval));
            changes_due = changes_due.min(soonest.max(now));
        }
        FlushPlan {
            decisions,
            changes_due,
            last_notified,
            next_repeat: outgoing.next_repeat(self.next_repeat),
            dispatches: outgoing.into_dispatches(context.alerts),
        }
    }

    fn add_notifications(
        &self,
        outgoing: &mut Outgoing<'_>,
        member: &GroupMember,
        tracked: &TrackedAlert,
        decision: &Decision,
        now: Now,
    ) {
        let notification = |cause| tracked.notification(cause, &self.identity, now.wall);
        match decision {
            Decision::Resolved { notify: true } => {
                outgoing.push_resolved(notification(Cause::Change));
            }
            Decision::Notify(due) => {
                let confirm = due.confirm.then_some(Cause::Change);
                for cause in confirm.into_iter().chain(due.cause) {
                    outgoing.push_firing(member, notification(cause));
                }
                for step in &due.steps {
                    outgoing.push_escalation(*step, notification(Cause::Escalation));
                }
            }
            _ => {}
        }
    }

    /// Notes the decisions of `plan`, and schedules the next flush.
    pub(super) fn apply(
        &mut self,
        plan: FlushPlan,
        route: &Route,
        alerts: &HashMap<Fingerprint, TrackedAlert>,
        now: MonoMillis,
    ) -> MemberChanges {
        let mut changes = MemberChanges::default();
        for (alert, decision) in plan.decisions {
            match decision {
                Decision::Untracked => {
                    self.members.remove(&alert);
                }
                Decision::Resolved { .. } => {
                    self.members.remove(&alert);
                    changes.left.push(alert);
                }
                decision => {
                    if let (Some(member), Some(tracked)) =
                        (self.members.get_mut(&alert), alerts.get(&alert))
                        && member.apply(decision, tracked, now)
                    {
                        let reason = member.mute_reason.clone();
                        changes.mute_reasons.push((alert, reason));
                    }
                }
            }
        }
        self.changes_due = plan.changes_due;
        self.last_notified = plan.last_notified;
        self.next_repeat = plan.next_repeat;
        self.next_flush = self.changes_due.min(self.next_recheck(route, alerts, now));
        changes
    }

    /// Time of the next flush if nothing changes.
    fn next_recheck(
        &self,
        route: &Route,
        alerts: &HashMap<Fingerprint, TrackedAlert>,
        now: MonoMillis,
    ) -> MonoMillis {
        let mut next = self.next_repeat;
        for (alert, member) in &self.members {
            let due = match &member.mute_reason {
                Some(reason) if reason.mutes_all() => {
                    reason.ends_at().unwrap_or_else(|| now.after(RECHECK))
                }
                _ => {
                    let severity = alerts
                        .get(alert)
                        .map_or(Severity::Info, |tracked| tracked.alert.severity);
                    member.next_escalation(route, severity)
                }
            };
            next = next.min(due);
        }
        // An acknowledgement may end at any time, so what is due and muted is looked at again.
        if next > now { next } else { now.after(RECHECK) }
    }
}

impl Decision {
    /// Returns whether the receiver is notified, which delays the next notification by
    /// `group_interval`.
    fn notifies(&self) -> bool {
        match self {
            Self::Resolved { notify } => *notify,
            Self::Notify(due) => due.cause.is_some(),
            Self::Wait | Self::Muted(_) | Self::Unmuted | Self::Untracked => false,
        }
    }
}

impl GroupMember {
    /// Time of the next escalation step; `NEVER` before the first notification.
    fn next_escalation(&self, route: &Route, severity: Severity) -> MonoMillis {
        if self.notified.is_none() {
            return MonoMillis::NEVER;
        }
        self.open_steps(route, severity)
            .map(|step| self.first_notified.after(route.steps[step].after))
            .min()
            .unwrap_or(MonoMillis::NEVER)
    }

    /// Escalation steps for `severity` that were not notified.
    fn open_steps(&self, route: &Route, severity: Severity) -> impl Iterator<Item = usize> {
        let steps = route.steps.iter().enumerate();
        steps
            .filter(move |(index, step)| {
                !self.escalated.contains(*index) && severity >= step.min_severity
            })
            .map(|(index, _)| index)
    }

    fn is_muted(&self) -> bool {
        self.mute_reason.as_ref().is_some_and(MuteReason::mutes_all)
    }

    /// Cause for which a notification is due, mute reasons aside.
    fn cause(&self, tracked: &TrackedAlert, repeat_is_due: bool) -> Option<Cause> {
        match self.notified {
            None if tracked.flapping => Some(Cause::Flapping),
            None => Some(Cause::Change),
            Some(severity) if severity != tracked.alert.severity => Some(Cause::Change),
            Some(_) if self.flapping != tracked.flapping => Some(Cause::Flapping),
            Some(_) => repeat_is_due.then_some(Cause::Repeat),
        }
    }

    /// Decides about an active alert. `changes_are_due`: `group_wait` or `group_interval` is over;
    /// `repeat_is_due`: `repeat_interval` is over for a channel that was notified.
    fn decide(
        &self,
        tracked: &TrackedAlert,
        context: &FlushContext<'_>,
        changes_are_due: bool,
        repeat_is_due: bool,
    ) -> Decision {
        let (severity, was_notified) = (tracked.alert.severity, self.notified.is_some());
        let cause = self.cause(tracked, repeat_is_due);
        let is_change = cause.is_some_and(|cause| cause != Cause::Repeat);
        if is_change && !changes_are_due && !self.unconfirmed {
            if !self.is_muted() {
                return Decision::Wait;
            }
            return match context.mutes.mute_reason(tracked, was_notified) {
                Some(reason) => Decision::Muted(reason),
                None => Decision::Unmuted,
            };
        }
        let now = context.now.mono;
        let escalates = self.next_escalation(context.route, severity) <= now;
        if cause.is_none() && !escalates && !self.unconfirmed {
            return Decision::Wait;
        }
        if let Some(reason) = context.mutes.mute_reason(tracked, was_notified) {
            return Decision::Muted(reason);
        }
        let acknowledgement = context.mutes.acknowledgement(tracked);
        let cause = cause.filter(|_| is_change || acknowledgement.is_none());
        let mut steps = Vec::new();
        if escalates && acknowledgement.is_none() {
            let waited = now.since(self.first_notified);
            steps.extend(
                self.open_steps(context.route, severity)
                    .filter(|step| waited >= context.route.steps[*step].after),
            );
        }
        Decision::Notify(DueNotifications {
            confirm: self.unconfirmed && cause.is_none_or(|cause| cause == Cause::Repeat),
            cause,
            steps,
            acknowledgement,
        })
    }

    /// Notes a decision; returns whether the mute reason changed.
    fn apply(&mut self, decision: Decision, tracked: &TrackedAlert, now: MonoMillis) -> bool {
        let reason = match decision {
            Decision::Muted(reason) => Some(reason),
            Decision::Notify(due) => {
                self.unconfirmed = false;
                if due.cause.is_some() {
                    if self.notified.is_none() {
                        self.first_notified = now;
                    }
                    self.notified = Some(tracked.alert.severity);
                    self.flapping = tracked.flapping;
                }
                for step in due.steps {
                    self.escalated.insert(step);
                }
                due.acknowledgement
            }
            Decision::Unmuted => None,
            Decision::Wait | Decision::Resolved { .. } | Decision::Untracked => return false,
        };
        let changed = reason != self.mute_reason;
        self.mute_reason = reason;
        changed
    }
}
