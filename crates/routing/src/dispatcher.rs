//! Who is told what, and when: transitions in, notifications for channels out.
//!
//! It reconciles: it knows which alerts stand, asks at each flush of a group what its people should
//! know and were not told, and what keeps it from being told. Nothing is lost by a gate that
//! closes, a reload or a restart, since the next flush sees the same. What a channel was told is
//! the matter of its outbox, which takes no resolved without a firing and no firing twice.
//!
//! Pure: time is an argument, and nothing is sent.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bellwether_core::{
    Alert, AlertState, Cause, Dispatch, Fingerprint, Group as Shared, Labels, MonoMillis,
    Notification, NotifiedState, Now, Transition, braced,
};
use hashbrown::HashMap;

use super::acknowledge::Acknowledgements;
use super::gate::MuteReason;
use super::gates::Gates;
use super::group::{Flushed, Group, Member};
use super::heartbeat::Heartbeat;
use super::inhibit::Inhibitions;
use super::plan::Routing;
use super::silence::Silences;
use super::tracked::Tracked;
use super::view::View;

/// How long alerts from before a restart wait for their data.
const GRACE: Duration = Duration::from_secs(60);

/// How the channels fare.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Feedback {
    /// Channels that fail, and for how long.
    pub failing: HashMap<Arc<str>, Duration>,
    /// What channels refused for good since the last time.
    pub refused: Vec<(Arc<str>, Fingerprint)>,
    /// When rules were judged last.
    pub judged: MonoMillis,
}

/// When a channel was told last that an alert fires; now where it is about to be. The outboxes know.
pub type LastTold<'a> = &'a dyn Fn(&str, Fingerprint) -> Option<MonoMillis>;

/// What is to be done now.
#[derive(Debug, Default)]
pub struct Advance {
    /// Notifications, in order.
    pub dispatches: Vec<Dispatch>,
    /// Alerts that are kept back now by another gate than before, or by none any more.
    pub gates: Vec<Muted>,
}

/// An alert that is kept back, or no longer.
#[derive(Clone, Debug, PartialEq)]
pub struct Muted {
    /// The alert.
    pub alert: Arc<Alert>,
    /// The receiver of its group; empty for all channels.
    pub receiver: String,
    /// What keeps it back.
    pub gate: Option<MuteReason>,
    /// That in one sentence; empty where nothing does.
    pub why: String,
}

/// All alerts, and the groups they are told in.
#[derive(Debug)]
pub struct Dispatcher {
    pub(super) routing: Arc<Routing>,
    pub(super) alerts: HashMap<Fingerprint, Tracked>,
    pub(super) groups: HashMap<usize, Group>,
    /// By route and labels.
    index: HashMap<(usize, Labels), usize>,
    due: BTreeSet<(MonoMillis, usize)>,
    pub(super) silences: Silences,
    pub(super) acknowledgements: Acknowledgements,
    pub(super) inhibitions: Inhibitions,
    heartbeat: Heartbeat,
    remembered: HashMap<Fingerprint, NotifiedState>,
    /// Whether what a restart goes on from changed otherwise than by an order.
    pub(super) unsaved: bool,
    /// What ended that is in no group, for whoever was told.
    orphans: Vec<Notification>,
    next_group: usize,
    order: u64,
}

impl Dispatcher {
    /// Nothing fires yet.
    #[must_use]
    pub fn new(routing: Arc<Routing>, now: Now) -> Self {
        let inhibitions = Inhibitions::new(&routing.inhibit);
        let heartbeat = Heartbeat::new(now.mono);
        let mut silences = Silences::default();
        silences.declare(&routing.silences, &routing.intervals);
        Self {
            routing,
            silences,
            acknowledgements: Acknowledgements::default(),
            inhibitions,
            heartbeat,
            alerts: HashMap::new(),
            groups: HashMap::new(),
            index: HashMap::new(),
            due: BTreeSet::new(),
            remembered: HashMap::new(),
            unsaved: false,
            orphans: Vec::new(),
            next_group: 0,
            order: 0,
        }
    }

    /// Goes on from before a restart: `standing` fire as far as is known, `remembered` is what the
    /// channels were told of them.
    pub fn restore(
        &mut self,
        standing: Vec<Arc<Alert>>,
        remembered: HashMap<Fingerprint, NotifiedState>,
        now: Now,
    ) {
        self.remembered = remembered;
        for alert in standing {
            let key = alert.fingerprint;
            let mut tracked = Tracked::new(alert, now.wall);
            tracked.restored_until = Some(now.mono.after(GRACE));
            let waited = tracked.waited(now.wall);
            self.begin(key, tracked, waited, now);
        }
    }

    /// Goes on from the dispatcher before a reload.
    pub fn succeed(
        &mut self,
        before: Dispatcher,
        remembered: HashMap<Fingerprint, NotifiedState>,
        now: Now,
    ) {
        let inhibited = before.inhibited();
        self.remembered = remembered;
        self.unsaved = before.unsaved;
        self.silences = before.silences;
        self.silences
            .declare(&self.routing.silences, &self.routing.intervals);
        self.acknowledgements = before.acknowledgements;
        self.heartbeat = before.heartbeat;
        self.orphans.extend(before.orphans);
        let mut alerts: Vec<_> = before.alerts.into_iter().collect();
        alerts.sort_by_key(|(_, tracked)| tracked.order);
        for (key, mut tracked) in alerts {
            tracked.groups.clear();
            if tracked.stands() {
                let waited = tracked.waited(now.wall);
                self.begin(key, tracked, waited, now);
            } else {
                self.orphan(&tracked, now);
                self.alerts.insert(key, tracked);
            }
        }
        self.note_uninhibited(&inhibited, now);
    }

    /// Takes in what changed, all transitions of one judgement together.
    pub fn take(&mut self, transitions: &[Transition], now: Now) {
        let inhibited = self.may_become_uninhibited(transitions);
        for transition in transitions {
            let fired = transition.from == AlertState::Firing;
            match transition.alert.state {
                AlertState::Firing => self.fires(transition, now),
                _ if fired => self.ends(transition, now),
                _ => {}
            }
        }
        self.note_uninhibited(&inhibited, now);
    }

    /// Lifts the gate `restored` from alerts whose data are there: their rule was evaluated on them
    /// since the restart.
    pub fn confirm(&mut self, alerts: &[Fingerprint], now: MonoMillis) {
        let mut groups = Vec::new();
        for alert in alerts {
            let Some(tracked) = self.alerts.get_mut(alert) else {
                continue;
            };
            if tracked.restored_until.take().is_some() {
                groups.extend_from_slice(&tracked.groups);
            }
        }
        for id in groups {
            self.flush_at(id, now);
        }
    }

    fn fires(&mut self, transition: &Transition, now: Now) {
        let key = transition.alert.fingerprint;
        let known = self.alerts.remove(&key);
        let fresh = known.as_ref().is_none_or(|known| !known.fires);
        let mut tracked = known.unwrap_or_else(|| Tracked::new(transition.alert.clone(), now.wall));
        self.note(&mut tracked, transition, true);
        if fresh {
            self.count_change(&mut tracked, now);
        }
        self.begin(key, tracked, Duration::ZERO, now);
    }

    fn ends(&mut self, transition: &Transition, now: Now) {
        let key = transition.alert.fingerprint;
        self.inhibitions.remove(key);
        self.acknowledgements.remove(key);
        let known = self.alerts.remove(&key);
        let mut tracked = known.unwrap_or_else(|| Tracked::new(transition.alert.clone(), now.wall));
        self.note(&mut tracked, transition, false);
        tracked.resolved = Some(now);
        self.count_change(&mut tracked, now);
        if tracked.groups.is_empty() {
            self.orphan(&tracked, now);
        }
        for group in tracked.groups.clone() {
            self.hasten(group, now.mono, Duration::ZERO);
        }
        self.alerts.insert(key, tracked);
    }

    fn note(&mut self, tracked: &mut Tracked, transition: &Transition, fires: bool) {
        self.order += 1;
        tracked.alert = transition.alert.clone();
        tracked.reason.clone_from(&transition.reason);
        tracked.changed = transition.at;
        tracked.fires = fires;
        tracked.restored_until = None;
        tracked.order = self.order;
    }

    fn count_change(&self, tracked: &mut Tracked, now: Now) {
        let settings = &self.routing.flapping;
        if settings.enabled {
            let interval = self.routing.interval(&tracked.alert.rule);
            tracked.flaps.change(settings, now.mono, interval);
            tracked.flapping = tracked.flaps.is_flapping(settings, now.mono, interval);
        }
    }

    /// For whoever was told, in no group. What was told of it before is past with that.
    fn orphan(&mut self, tracked: &Tracked, now: Now) {
        self.remembered.remove(&tracked.alert.fingerprint);
        let group = Arc::new(Shared::default());
        self.orphans
            .push(tracked.notification(Cause::Change, &group, now.wall));
    }

    /// Adds an alert that stands to the group of each route that takes it; it waited there for so
    /// long already.
    fn begin(&mut self, key: Fingerprint, mut tracked: Tracked, waited: Duration, now: Now) {
        let routing = self.routing.clone();
        let alert = tracked.alert.clone();
        let view = View {
            alert: &alert,
            sender: &routing.sender,
        };
        // One that only flaps stands for no other.
        if tracked.fires {
            self.inhibitions.add(key, &view);
        }
        // It is of the moment when the alert is met first, and not of its later levels and groups.
        let memory = self.remembered.remove(&key);
        let mut groups = Vec::new();
        for number in routing.tree.take(&view) {
            let route = &routing.tree.routes()[number];
            let labels = route.group(&view);
            let wait = route.wait.saturating_sub(waited);
            let (id, new) = self.group(number, labels, now.mono.after(wait));
            let Some(group) = self.groups.get_mut(&id) else {
                continue;
            };
            let joins = !group.members.contains_key(&key);
            if let (
                true,
                Some(NotifiedState {
                    first,
                    last,
                    severity,
                }),
            ) = (joins, memory)
            {
                group.was_told(route, first, last);
                let told = Some(severity);
                group.members.insert(
                    key,
                    Member {
                        told,
                        first,
                        unsure: true,
                        ..Member::default()
                    },
                );
            } else {
                group.members.entry(key).or_default();
            }
            groups.push(id);
            if !new {
                self.hasten(id, now.mono, waited);
            }
        }
        // Groups that it is no longer in: who was told there hears of its end from the orphans.
        for left in tracked.groups.iter().filter(|id| !groups.contains(id)) {
            if let Some(group) = self.groups.get_mut(left) {
                group.members.remove(&key);
            }
        }
        tracked.groups = groups;
        self.alerts.insert(key, tracked);
    }

    /// The group of `labels` on the route `number`; whether it is new.
    fn group(&mut self, number: usize, labels: Labels, due: MonoMillis) -> (usize, bool) {
        let key = (number, labels);
        if let Some(id) = self.index.get(&key) {
            return (*id, false);
        }
        let id = self.next_group;
        self.next_group += 1;
        let route = &self.routing.tree.routes()[number];
        let shared = Arc::new(Shared {
            key: format!("{}:{}", route.key, braced(&key.1)),
            receiver: route.receiver.name.clone(),
            labels: key.1.clone(),
            whole: route.whole,
        });
        self.groups.insert(id, Group::new(number, shared, due));
        self.index.insert(key, id);
        self.due.insert((due, id));
        (id, true)
    }

    /// Something of a group changed, and waited for so long already.
    pub(super) fn hasten(&mut self, id: usize, now: MonoMillis, waited: Duration) {
        let Some(group) = self.groups.get_mut(&id) else {
            return;
        };
        let before = group.due;
        group.changed(&self.routing.tree.routes()[group.route], now, waited);
        if group.due != before {
            self.due.remove(&(before, id));
            self.due.insert((group.due, id));
        }
    }

    /// Looks at everything again at the next [`Dispatcher::advance`]: silences changed.
    pub fn look_again(&mut self, now: MonoMillis) {
        let kept = |group: &Group| group.members.values().any(|member| member.gate.is_some());
        let kept: Vec<usize> = self
            .groups
            .iter()
            .filter(|(_, group)| kept(group))
            .map(|(id, _)| *id)
            .collect();
        for id in kept {
            self.flush_at(id, now);
        }
    }

    /// Looks at a group at `now`, if that is sooner.
    pub(super) fn flush_at(&mut self, id: usize, now: MonoMillis) {
        let Some(group) = self.groups.get_mut(&id).filter(|group| group.due > now) else {
            return;
        };
        self.due.remove(&(group.due, id));
        group.due = now;
        self.due.insert((now, id));
    }

    /// When [`Dispatcher::advance`] has something to do, if nothing happens before.
    #[must_use]
    pub fn next(&self) -> MonoMillis {
        let group = self.due.first().map_or(MonoMillis::NEVER, |(at, _)| *at);
        let heartbeat = self.heartbeat.next(&self.routing.heartbeat);
        if self.orphans.is_empty() {
            group.min(heartbeat)
        } else {
            MonoMillis(0)
        }
    }

    /// The alerts that stand or whose end is still to be told.
    pub fn known(&self) -> impl Iterator<Item = Fingerprint> {
        let known = self.alerts.iter();
        let standing = known.filter(|(_, one)| one.stands() || !one.groups.is_empty());
        standing
            .map(|(key, _)| *key)
            .chain(self.orphans.iter().map(|ended| ended.alert.fingerprint))
            .chain(self.routing.heartbeat.iter().map(|h| h.alert.fingerprint))
    }

    /// What is to be told now.
    pub fn advance(&mut self, feedback: &Feedback, told: LastTold<'_>, now: Now) -> Advance {
        let mut out = Advance::default();
        self.calm_down(now);
        if !self.orphans.is_empty() {
            out.dispatches.push(Dispatch {
                to: None,
                notifications: std::mem::take(&mut self.orphans),
            });
        }
        while let Some((at, id)) = self.due.first().copied().filter(|(at, _)| *at <= now.mono) {
            self.due.remove(&(at, id));
            self.flush(id, told, now, &mut out);
        }
        self.fall_back(feedback, now, &mut out);
        if let Some(settings) = &self.routing.heartbeat {
            out.dispatches
                .extend(self.heartbeat.beat(settings, feedback, now));
        }
        self.forget(now);
        out
    }

    /// Ends the flapping of alerts that no longer change often.
    fn calm_down(&mut self, now: Now) {
        let routing = self.routing.clone();
        let mut calm = Vec::new();
        for (key, tracked) in self
            .alerts
            .iter_mut()
            .filter(|(_, tracked)| tracked.flapping)
        {
            let interval = routing.interval(&tracked.alert.rule);
            if !tracked
                .flaps
                .is_flapping(&routing.flapping, now.mono, interval)
            {
                tracked.flapping = false;
                if !tracked.fires {
                    self.acknowledgements.remove(*key); // it ends with this
                }
                calm.extend_from_slice(&tracked.groups);
            }
        }
        for id in calm {
            self.hasten(id, now.mono, Duration::ZERO);
        }
    }

    fn flush(&mut self, id: usize, told: LastTold<'_>, now: Now, out: &mut Advance) {
        let routing = self.routing.clone();
        let Some(mut group) = self.groups.remove(&id) else {
            return;
        };
        let route = &routing.tree.routes()[group.route];
        let gates = Gates {
            dispatcher: self,
            route,
            now,
        };
        let flushed = group.flush(route, &self.alerts, &gates, told, now);
        let receiver = &route.receiver;
        for (alert, gate) in &flushed.gates {
            if let Some(known) = self.alerts.get(alert) {
                let why = gate
                    .as_ref()
                    .map_or_else(String::new, |gate| gate.reason(|by| self.named(by)));
                let (alert, receiver) = (known.alert.clone(), receiver.name.clone());
                out.gates.push(Muted {
                    alert,
                    receiver,
                    gate: gate.clone(),
                    why,
                });
            }
        }
        let Flushed {
            dispatches, left, ..
        } = flushed;
        out.dispatches.extend(dispatches);
        for key in left {
            self.leave(key, id, now);
        }
        if group.members.is_empty() {
            self.index
                .remove(&(group.route, group.shared.labels.clone()));
        } else {
            self.due.insert((group.due, id));
            self.groups.insert(id, group);
        }
    }

    /// What an alert is called: `disk{mount="/"}`.
    pub(super) fn named(&self, alert: Fingerprint) -> String {
        let known = self.alerts.get(&alert).map(|known| &known.alert);
        known.map_or_else(
            || alert.to_string(),
            |one| format!("{}{}", one.rule, braced(&one.labels)),
        )
    }

    /// An alert that ended left a group; with the last one, whoever else was told hears of it.
    fn leave(&mut self, key: Fingerprint, id: usize, now: Now) {
        let Some(tracked) = self.alerts.get_mut(&key) else {
            return;
        };
        tracked.groups.retain(|group| *group != id);
        if tracked.groups.is_empty() {
            let tracked = tracked.clone();
            self.orphan(&tracked, now);
        }
    }

    /// Forgets alerts that ended and whose past no longer matters.
    fn forget(&mut self, now: Now) {
        let routing = &self.routing;
        self.alerts.retain(|_, tracked| {
            tracked.stands()
                || !tracked.groups.is_empty()
                || tracked
                    .resolved
                    .is_some_and(|at| now.mono.since(at.mono) < routing.memory(&tracked.alert.rule))
        });
    }
}

#[cfg(test)]
mod tests;
