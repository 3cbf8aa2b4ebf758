//! One group of alerts: what it has notified about, and when it is flushed next. Pure.
//!
//! A flush has two parts: [`Group::plan_flush`] decides and changes nothing, [`Group::apply`] notes
//! the decisions in the group.

use std::sync::Arc;
use std::time::Duration;

use bellwether_core::{
    Cause, Dispatch, Fingerprint, Group as NotificationGroup, MonoMillis, NotifiedState, Now,
    Severity,
};
use hashbrown::HashMap;

use super::dispatcher::LastNotified;
use super::flush::{Outgoing, RepeatSchedule};
use super::member::{Decision, GroupMember};
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

/// Inputs of a flush.
pub(super) struct FlushContext<'a> {
    pub(super) route: &'a Route,
    pub(super) alerts: &'a HashMap<Fingerprint, TrackedAlert>,
    pub(super) mutes: &'a MuteContext<'a>,
    pub(super) last_notified: LastNotified<'a>,
    pub(super) now: Now,
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
    fn restore_notified(&mut self, route: &Route, first: MonoMillis, last: MonoMillis) {
        self.last_notified = self.last_notified.max(Some(last));
        self.next_repeat = self.next_repeat.min(route.next_repeat(first));
    }

    /// Adds an alert. `notified`: notifications about it from before a restart or reload.
    pub(super) fn join(
        &mut self,
        alert: Fingerprint,
        route: &Route,
        notified: Option<NotifiedState>,
    ) {
        match notified.filter(|_| !self.members.contains_key(&alert)) {
            Some(notified) => {
                self.restore_notified(route, notified.first, notified.last);
                self.members.insert(alert, GroupMember::restored(notified));
            }
            None => {
                self.members.entry(alert).or_default();
            }
        }
    }

    /// Decides which notifications to send at `context.now`.
    pub(super) fn plan_flush(&self, context: &FlushContext<'_>) -> FlushPlan {
        let now = context.now.mono;
        let repeats = match self.next_repeat <= now {
            true => RepeatSchedule::new(self, context),
            false => RepeatSchedule::empty(now),
        };
        let mut outgoing = Outgoing::new(context.route, repeats);
        let mut decisions = Vec::new();
        for (alert, member) in &self.members {
            let tracked = context.alerts.get(alert);
            let decision = self.decide(member, tracked, context, &outgoing);
            if let Some(tracked) = tracked {
                self.add_notifications(&mut outgoing, member, tracked, &decision, context.now);
            }
            decisions.push((*alert, decision));
        }
        let notifies = decisions.iter().any(|(_, decision)| decision.notifies());
        let last_notified = match notifies {
            true => Some(now),
            false => self.last_notified,
        };
        FlushPlan {
            changes_due: self.changes_due_after(&decisions, last_notified, context),
            decisions,
            last_notified,
            next_repeat: outgoing.next_repeat(self.next_repeat),
            dispatches: outgoing.into_dispatches(context.alerts),
        }
    }

    /// Decides about one member.
    fn decide(
        &self,
        member: &GroupMember,
        tracked: Option<&TrackedAlert>,
        context: &FlushContext<'_>,
        outgoing: &Outgoing<'_>,
    ) -> Decision {
        let changes_are_due = self.changes_due <= context.now.mono;
        match tracked {
            None => Decision::Untracked,
            Some(tracked) if tracked.is_active() => {
                let repeat_is_due = outgoing.repeat_is_due(member);
                member.decide(tracked, context, changes_are_due, repeat_is_due)
            }
            Some(_) if changes_are_due => Decision::Resolved {
                notify: member.notified.is_some(),
            },
            Some(_) => Decision::Wait,
        }
    }

    /// Returns the earliest time to notify about changes after these decisions.
    fn changes_due_after(
        &self,
        decisions: &[(Fingerprint, Decision)],
        last_notified: Option<MonoMillis>,
        context: &FlushContext<'_>,
    ) -> MonoMillis {
        let now = context.now.mono;
        let due = match self.changes_due <= now {
            true => MonoMillis::NEVER,
            false => self.changes_due,
        };
        if !decisions
            .iter()
            .any(|(_, decision)| matches!(decision, Decision::Unmuted))
        {
            return due;
        }
        let soonest = last_notified.map_or(now, |last| last.after(context.route.group_interval));
        due.min(soonest.max(now))
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
            self.apply_decision(alert, decision, alerts.get(&alert), now, &mut changes);
        }
        self.changes_due = plan.changes_due;
        self.last_notified = plan.last_notified;
        self.next_repeat = plan.next_repeat;
        self.next_flush = self.changes_due.min(self.next_recheck(route, alerts, now));
        changes
    }

    fn apply_decision(
        &mut self,
        alert: Fingerprint,
        decision: Decision,
        tracked: Option<&TrackedAlert>,
        now: MonoMillis,
        changes: &mut MemberChanges,
    ) {
        match decision {
            Decision::Untracked => {
                self.members.remove(&alert);
            }
            Decision::Resolved { .. } => {
                self.members.remove(&alert);
                changes.left.push(alert);
            }
            decision => {
                if let (Some(member), Some(tracked)) = (self.members.get_mut(&alert), tracked)
                    && member.apply(decision, tracked, now)
                {
                    let reason = member.mute_reason.clone();
                    changes.mute_reasons.push((alert, reason));
                }
            }
        }
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
