//! One alert of a group: what was notified about it, and what is due. Pure.

use bellwether_core::{Cause, MonoMillis, NotifiedState, Severity};

use super::group::FlushContext;
use super::tracked::TrackedAlert;
use crate::mute::reason::MuteReason;
use crate::route::tree::Route;

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

/// Decision of a flush about one member.
#[derive(Debug)]
pub(super) enum Decision {
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
pub(super) struct DueNotifications {
    /// Cause of a notification to the receiver; `None` if only escalation is due.
    pub(super) cause: Option<Cause>,
    /// Offers the alert to all channels once more, without counting as a notification.
    pub(super) confirm: bool,
    /// Escalation steps that are due.
    pub(super) steps: Vec<usize>,
    /// The acknowledgement, which stops repeats and escalation only.
    acknowledgement: Option<MuteReason>,
}

impl Decision {
    /// Returns whether the receiver is notified, which delays the next notification by
    /// `group_interval`.
    pub(super) fn notifies(&self) -> bool {
        match self {
            Self::Resolved { notify } => *notify,
            Self::Notify(due) => due.cause.is_some(),
            Self::Wait | Self::Muted(_) | Self::Unmuted | Self::Untracked => false,
        }
    }
}

impl GroupMember {
    /// Creates a member that was notified about before a restart or reload.
    pub(super) fn restored(notified: NotifiedState) -> Self {
        Self {
            notified: Some(notified.severity),
            first_notified: notified.first,
            unconfirmed: true,
            ..Self::default()
        }
    }

    /// Time of the next escalation step; `NEVER` before the first notification.
    pub(super) fn next_escalation(&self, route: &Route, severity: Severity) -> MonoMillis {
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

    /// Escalation steps that are due.
    fn due_steps(&self, route: &Route, severity: Severity, now: MonoMillis) -> Vec<usize> {
        let waited = now.since(self.first_notified);
        self.open_steps(route, severity)
            .filter(|step| waited >= route.steps[*step].after)
            .collect()
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
    pub(super) fn decide(
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
            return self.decide_waiting(tracked, context);
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
        Decision::Notify(DueNotifications {
            confirm: self.unconfirmed && cause.is_none_or(|cause| cause == Cause::Repeat),
            cause,
            steps: match escalates && acknowledgement.is_none() {
                true => self.due_steps(context.route, severity, now),
                false => Vec::new(),
            },
            acknowledgement,
        })
    }

    /// Decides about a change that waits for `group_interval`.
    fn decide_waiting(&self, tracked: &TrackedAlert, context: &FlushContext<'_>) -> Decision {
        if !self.is_muted() {
            return Decision::Wait;
        }
        let was_notified = self.notified.is_some();
        match context.mutes.mute_reason(tracked, was_notified) {
            Some(reason) => Decision::Muted(reason),
            None => Decision::Unmuted,
        }
    }

    /// Notes a decision; returns whether the mute reason changed.
    pub(super) fn apply(
        &mut self,
        decision: Decision,
        tracked: &TrackedAlert,
        now: MonoMillis,
    ) -> bool {
        let reason = match decision {
            Decision::Muted(reason) => Some(reason),
            Decision::Notify(due) => {
                self.note_notified(&due, tracked, now);
                due.acknowledgement
            }
            Decision::Unmuted => None,
            Decision::Wait | Decision::Resolved { .. } | Decision::Untracked => return false,
        };
        let changed = reason != self.mute_reason;
        self.mute_reason = reason;
        changed
    }

    fn note_notified(&mut self, due: &DueNotifications, tracked: &TrackedAlert, now: MonoMillis) {
        self.unconfirmed = false;
        if due.cause.is_some() {
            if self.notified.is_none() {
                self.first_notified = now;
            }
            self.notified = Some(tracked.alert.severity);
            self.flapping = tracked.flapping;
        }
        for step in &due.steps {
            self.escalated.insert(*step);
        }
    }
}
