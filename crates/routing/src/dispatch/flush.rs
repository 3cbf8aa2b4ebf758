//! Notifications of one flush: which channels get them, and when repeats are due. Pure.

use std::collections::BTreeSet;
use std::sync::Arc;

use bellwether_core::{Cause, Dispatch, Fingerprint, MonoMillis, Notification};
use hashbrown::HashMap;

use super::group::{FlushContext, Group};
use super::member::GroupMember;
use super::tracked::TrackedAlert;
use crate::route::tree::{Channels, Route};

/// Times at which the channels of a group are due for a repeat.
#[derive(Debug)]
pub(super) struct RepeatSchedule {
    times: Vec<(Arc<str>, MonoMillis)>,
    now: MonoMillis,
}

impl RepeatSchedule {
    /// No channel is due.
    pub(super) fn empty(now: MonoMillis) -> Self {
        Self {
            times: Vec::new(),
            now,
        }
    }

    /// Repeats of the receiver's channels and of those of the escalation steps that were notified.
    ///
    /// To a channel a group is one message, so the last notification about any of its alerts delays
    /// the next repeat for all of them. A channel that fails is not due before it has delivered its
    /// queue; one that has got no notification yet is due by the group's last one.
    pub(super) fn new(group: &Group, context: &FlushContext<'_>) -> Self {
        let route = context.route;
        let active: Vec<(Fingerprint, &GroupMember)> = group
            .members
            .iter()
            .map(|(alert, member)| (*alert, member))
            .filter(|(alert, _)| {
                let tracked = context.alerts.get(alert);
                tracked.is_some_and(TrackedAlert::is_active)
            })
            .collect();
        let mut channels: BTreeSet<&Arc<str>> = route.receiver.channels.iter().collect();
        for (index, step) in route.steps.iter().enumerate() {
            if active
                .iter()
                .any(|(_, member)| member.escalated.contains(index))
            {
                channels.extend(step.receiver.channels.iter());
            }
        }
        let mut times = Vec::new();
        for channel in channels {
            let last = active
                .iter()
                .filter_map(|(alert, _)| (context.last_notified)(channel, *alert))
                .max();
            if let Some(last) = last.or(group.last_notified) {
                times.push((channel.clone(), route.next_repeat(last)));
            }
        }
        Self {
            times,
            now: context.now.mono,
        }
    }

    /// Returns those of `channels` that are due.
    fn due_of(&self, channels: &Channels) -> Channels {
        if channels.iter().all(|channel| self.is_due(channel)) {
            return channels.clone();
        }
        channels
            .iter()
            .filter(|channel| self.is_due(channel))
            .cloned()
            .collect()
    }

    fn is_due(&self, channel: &Arc<str>) -> bool {
        self.times
            .iter()
            .any(|(scheduled, at)| scheduled == channel && *at <= self.now)
    }
}

/// Order of the notifications of one flush.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Priority {
    Firing,
    Resolved,
    Escalation(usize),
}

/// Notifications that one flush sends.
pub(super) struct Outgoing<'a> {
    route: &'a Route,
    repeats: RepeatSchedule,
    /// Channels of the receiver that are due for a repeat.
    receiver_repeats: Channels,
    /// Channels of each escalation step that are due for a repeat.
    step_repeats: Vec<Channels>,
    notifications: Vec<(Priority, Channels, Notification)>,
}

impl<'a> Outgoing<'a> {
    pub(super) fn new(route: &'a Route, repeats: RepeatSchedule) -> Self {
        Self {
            route,
            receiver_repeats: repeats.due_of(&route.receiver.channels),
            step_repeats: route
                .steps
                .iter()
                .map(|step| repeats.due_of(&step.receiver.channels))
                .collect(),
            repeats,
            notifications: Vec::new(),
        }
    }

    /// Returns whether a channel that was notified about `member` is due for a repeat.
    pub(super) fn repeat_is_due(&self, member: &GroupMember) -> bool {
        !self.receiver_repeats.is_empty()
            || self
                .step_repeats
                .iter()
                .enumerate()
                .any(|(step, channels)| member.escalated.contains(step) && !channels.is_empty())
    }

    /// Adds a notification for all channels that were notified about `member`; a repeat only for
    /// those that are due.
    pub(super) fn push_firing(&mut self, member: &GroupMember, notification: Notification) {
        let route = self.route;
        let is_repeat = notification.cause == Cause::Repeat;
        for (index, step) in route.steps.iter().enumerate() {
            if member.escalated.contains(index) {
                let channels = match is_repeat {
                    true => self.step_repeats[index].clone(),
                    false => step.receiver.channels.clone(),
                };
                self.push(Priority::Escalation(index), channels, notification.clone());
            }
        }
        let channels = match is_repeat {
            true => self.receiver_repeats.clone(),
            false => route.receiver.channels.clone(),
        };
        self.push(Priority::Firing, channels, notification);
    }

    /// Adds a notification for the channels of an escalation step.
    pub(super) fn push_escalation(&mut self, step: usize, notification: Notification) {
        let channels = self.route.steps[step].receiver.channels.clone();
        self.push(Priority::Escalation(step), channels, notification);
    }

    /// Adds a resolved notification for every channel of the route.
    pub(super) fn push_resolved(&mut self, notification: Notification) {
        let channels = self.route.all_channels.clone();
        self.push(Priority::Resolved, channels, notification);
    }

    fn push(&mut self, priority: Priority, channels: Channels, notification: Notification) {
        if !channels.is_empty() {
            self.notifications.push((priority, channels, notification));
        }
    }

    /// Returns the earliest time of a repeat after this flush; `before` is that before it.
    pub(super) fn next_repeat(&self, before: MonoMillis) -> MonoMillis {
        let now = self.repeats.now;
        let mut next = if before > now {
            before
        } else {
            MonoMillis::NEVER
        };
        if !self.notifications.is_empty() {
            next = next.min(self.route.next_repeat(now));
        }
        for (channel, at) in &self.repeats.times {
            if !self.repeats_to(channel) {
                next = next.min(*at);
            }
        }
        next
    }

    fn repeats_to(&self, channel: &Arc<str>) -> bool {
        self.notifications
            .iter()
            .any(|(_, channels, notification)| {
                notification.cause == Cause::Repeat && channels.contains(channel)
            })
    }

    /// Returns the notifications in the order of the changes, consecutive ones for the same channels
    /// together.
    pub(super) fn into_dispatches(
        self,
        alerts: &HashMap<Fingerprint, TrackedAlert>,
    ) -> Vec<Dispatch> {
        let mut notifications = self.notifications;
        notifications.sort_by_key(|(priority, _, notification)| {
            let tracked = alerts.get(&notification.alert.fingerprint);
            (*priority, tracked.map(|tracked| tracked.sequence))
        });
        let mut dispatches: Vec<Dispatch> = Vec::new();
        for (_, channels, notification) in notifications {
            match dispatches.last_mut() {
                Some(last)
                    if last
                        .to
                        .as_ref()
                        .is_some_and(|to| Arc::ptr_eq(to, &channels)) =>
                {
                    last.notifications.push(notification);
                }
                _ => dispatches.push(Dispatch {
                    to: Some(channels),
                    notifications: vec![notification],
                }),
            }
        }
        dispatches
    }
}
