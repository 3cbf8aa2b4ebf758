//! Who is to be told again, and what one flush tells to whom. Pure.

use std::collections::BTreeSet;
use std::sync::Arc;

use bellwether_core::{Cause, Dispatch, Fingerprint, MonoMillis, Notification};
use hashbrown::HashMap;

use super::dispatcher::LastTold;
use super::group::{Group, Member};
use super::tracked::Tracked;
use super::tree::{Channels, Route};

/// The channels of a group, and when each is to be told again.
#[derive(Debug)]
pub(super) struct Due {
    times: Vec<(Arc<str>, MonoMillis)>,
    now: MonoMillis,
}

impl Due {
    /// None, or not yet.
    pub(super) fn nobody(now: MonoMillis) -> Self {
        Self {
            times: Vec::new(),
            now,
        }
    }

    /// To a channel a group is one message: what was told of any of its alerts puts off the next
    /// one for all. Where a channel fails, that is not before it has taken what waits.
    pub(super) fn of(
        group: &Group,
        route: &Route,
        alerts: &HashMap<Fingerprint, Tracked>,
        last_told: LastTold<'_>,
        now: MonoMillis,
    ) -> Self {
        let stands = |key: &Fingerprint| alerts.get(key).is_some_and(Tracked::stands);
        let standing: Vec<(&Fingerprint, &Member)> = group
            .members
            .iter()
            .filter(|(key, _)| stands(key))
            .collect();
        let done = |step: &usize| standing.iter().any(|(_, member)| member.has_done(*step));
        let done = (0..route.steps.len())
            .filter(done)
            .map(|step| &route.steps[step].receiver);
        let channels: BTreeSet<&Arc<str>> = done
            .chain([&route.receiver])
            .flat_map(|receiver| receiver.channels.iter())
            .collect();
        let times = channels.into_iter().filter_map(|channel| {
            let last = standing
                .iter()
                .filter_map(|(key, _)| last_told(channel, **key))
                .max();
            // Who took nothing of what it was offered is offered it again.
            Some((channel.clone(), route.repeats(last.or(group.sent)?)))
        });
        Self {
            times: times.collect(),
            now,
        }
    }

    /// Those of `channels` whose time has come.
    fn among(&self, channels: &Channels) -> Channels {
        let due = |channel: &Arc<str>| {
            self.times
                .iter()
                .any(|(known, at)| known == channel && *at <= self.now)
        };
        if channels.iter().all(due) {
            return channels.clone();
        }
        channels
            .iter()
            .filter(|channel| due(channel))
            .cloned()
            .collect()
    }
}

/// What goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    News,
    Ended,
    Step(usize),
}

/// What one flush tells.
pub(super) struct Telling<'a> {
    route: &'a Route,
    due: Due,
    /// The channels of the receiver and of each step of escalation that are to be told again.
    again: (Channels, Vec<Channels>),
    told: Vec<(Rank, Channels, Notification)>,
}

impl<'a> Telling<'a> {
    /// Nothing yet.
    pub(super) fn new(route: &'a Route, due: Due) -> Self {
        let steps = route
            .steps
            .iter()
            .map(|step| due.among(&step.receiver.channels))
            .collect();
        let again = (due.among(&route.receiver.channels), steps);
        Self {
            route,
            due,
            again,
            told: Vec::new(),
        }
    }

    /// Whether somebody who was told of `member` is to be told again.
    pub(super) fn repeats(&self, member: &Member) -> bool {
        let (receiver, steps) = &self.again;
        let mut steps = steps
            .iter()
            .enumerate()
            .filter(|(step, _)| member.has_done(*step));
        !receiver.is_empty() || steps.any(|(_, channels)| !channels.is_empty())
    }

    /// Tells all who know of `member`; only those who are due where it is a repeat.
    pub(super) fn tell(&mut self, member: &Member, one: Notification) {
        let repeats = one.cause == Cause::Repeat;
        for (step, all) in self.route.steps.iter().enumerate() {
            if member.has_done(step) {
                let to = if repeats {
                    &self.again.1[step]
                } else {
                    &all.receiver.channels
                };
                self.push(Rank::Step(step), to.clone(), one.clone());
            }
        }
        let to = if repeats {
            &self.again.0
        } else {
            &self.route.receiver.channels
        };
        self.push(Rank::News, to.clone(), one);
    }

    /// Tells those of a step of escalation.
    pub(super) fn escalate(&mut self, step: usize, one: Notification) {
        let to = self.route.steps[step].receiver.channels.clone();
        self.push(Rank::Step(step), to, one);
    }

    /// Tells every channel that alerts of the route are told on.
    pub(super) fn end(&mut self, one: Notification) {
        self.push(Rank::Ended, self.route.everyone.clone(), one);
    }

    fn push(&mut self, rank: Rank, to: Channels, one: Notification) {
        if !to.is_empty() {
            self.told.push((rank, to, one));
        }
    }

    /// Before that no channel is to be told again, where before this flush it was `known`.
    pub(super) fn next(&self, known: MonoMillis) -> MonoMillis {
        let repeats = |channel: &Arc<str>| {
            self.told
                .iter()
                .any(|(_, to, one)| one.cause == Cause::Repeat && to.contains(channel))
        };
        let left = self
            .due
            .times
            .iter()
            .filter(|(channel, _)| !repeats(channel));
        let known = if known <= self.due.now {
            MonoMillis::NEVER
        } else {
            known
        };
        let told = if self.told.is_empty() {
            MonoMillis::NEVER
        } else {
            self.route.repeats(self.due.now)
        };
        left.map(|(_, at)| *at)
            .fold(known.min(told), MonoMillis::min)
    }

    /// All of it, in the order of the changes.
    pub(super) fn dispatches(self, alerts: &HashMap<Fingerprint, Tracked>) -> Vec<Dispatch> {
        let mut told = self.told;
        told.sort_by_key(|(rank, _, one)| {
            (
                *rank,
                alerts.get(&one.alert.fingerprint).map(|known| known.order),
            )
        });
        let mut all: Vec<Dispatch> = Vec::new();
        for (_, to, one) in told {
            match all.last_mut() {
                Some(last)
                    if last
                        .to
                        .as_ref()
                        .is_some_and(|known| Arc::ptr_eq(known, &to)) =>
                {
                    last.notifications.push(one);
                }
                _ => all.push(Dispatch {
                    to: Some(to),
                    notifications: vec![one],
                }),
            }
        }
        all
    }
}
