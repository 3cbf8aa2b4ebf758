//! One group at its flush: what of it is told now, and when to look again. Pure.

use std::sync::Arc;
use std::time::Duration;

use bellwether_core::{Cause, Dispatch, Fingerprint, Group as Shared, MonoMillis, Now, Severity};
use hashbrown::HashMap;

use super::dispatcher::LastTold;
use super::gate::MuteReason;
use super::telling::{Due, Telling};
use super::tracked::Tracked;
use super::tree::Route;

/// How often a group is looked at while something keeps an alert of it from being told, and it is
/// not known until when.
const RECHECK: Duration = Duration::from_secs(5);

/// Alerts that are told together.
#[derive(Clone, Debug)]
pub(super) struct Group {
    /// The index of its route.
    pub(super) route: usize,
    pub(super) shared: Arc<Shared>,
    pub(super) members: HashMap<Fingerprint, Member>,
    /// When what changed may be told; the end of time where nothing did.
    ready: MonoMillis,
    /// When it is looked at next.
    pub(super) due: MonoMillis,
    /// When it was told last.
    pub(super) sent: Option<MonoMillis>,
    /// Before that no channel is to be told again; the end of time where there is nothing to tell.
    pub(super) again: MonoMillis,
}

/// What was told of one alert with its group.
#[derive(Clone, Debug, Default)]
pub(super) struct Member {
    /// The severity that was told last.
    pub(super) told: Option<Severity>,
    /// When it was told first.
    pub(super) first: MonoMillis,
    /// It was told before a restart or reload, and the channels must still be asked whether all of
    /// them know.
    pub(super) unsure: bool,
    /// Whether it was told as flapping.
    pub(super) flapping: bool,
    /// The steps of escalation that are done, one bit each.
    pub(super) steps: u32,
    /// Whether the fallback was told.
    pub(super) fell_back: bool,
    /// What kept it from being told, last.
    pub(super) gate: Option<MuteReason>,
}

/// What a flush brings forth.
#[derive(Debug, Default)]
pub(super) struct Flushed {
    /// What is told to whom, in the order of the changes.
    pub(super) dispatches: Vec<Dispatch>,
    /// Members whose gate is another one than before.
    pub(super) gates: Vec<(Fingerprint, Option<MuteReason>)>,
    /// Members that ended and left.
    pub(super) left: Vec<Fingerprint>,
}

/// What is said of one member.
#[derive(Debug, Default)]
struct Said {
    news: Option<Cause>,
    /// Steps of escalation that are due.
    steps: Vec<usize>,
    gate: Option<MuteReason>,
    /// Nothing keeps it back any more, and it is to be told when changes are.
    freed: bool,
}

/// What keeps alerts from being told.
pub(super) trait Judge {
    /// From being told at all; `told`: somebody was already.
    fn gate(&self, alert: &Tracked, told: bool) -> Option<MuteReason>;
    /// From being told again, and from escalation.
    fn acknowledged(&self, alert: &Tracked) -> Option<MuteReason>;
}

impl Group {
    pub(super) fn new(route: usize, shared: Arc<Shared>, due: MonoMillis) -> Self {
        Self {
            route,
            shared,
            members: HashMap::new(),
            ready: due,
            due,
            sent: None,
            again: MonoMillis::NEVER,
        }
    }

    /// Something of it changed, and waited for so long already: when it may be told at the soonest.
    pub(super) fn changed(&mut self, route: &Route, now: MonoMillis, waited: Duration) {
        let whole = route.wait.saturating_sub(waited);
        let wait = whole.min(route.interval);
        let soonest = match self.sent {
            Some(sent) => sent.after(route.interval).max(now.after(wait)),
            None => now.after(whole),
        };
        self.ready = self.ready.min(soonest);
        self.due = self.due.min(self.ready);
    }

    /// An alert of it was told before a restart or reload.
    pub(super) fn was_told(&mut self, route: &Route, first: MonoMillis, last: MonoMillis) {
        self.sent = self.sent.max(Some(last));
        self.again = self.again.min(route.repeats(first));
    }

    /// What is told of it now.
    pub(super) fn flush(
        &mut self,
        route: &Route,
        alerts: &HashMap<Fingerprint, Tracked>,
        judge: &impl Judge,
        last_told: LastTold<'_>,
        now: Now,
    ) -> Flushed {
        let mut out = Flushed::default();
        let due = match self.again <= now.mono {
            true => Due::of(self, route, alerts, last_told, now.mono),
            false => Due::nobody(now.mono),
        };
        let mut telling = Telling::new(route, due);
        let open = self.ready <= now.mono;
        let (shared, mut told, mut freed) = (self.shared.clone(), false, false);
        self.members.retain(|key, member| {
            let Some(tracked) = alerts.get(key) else {
                return false;
            };
            if !tracked.stands() {
                if !open {
                    return true;
                }
                if member.told.is_some() {
                    telling.end(tracked.notification(Cause::Change, &shared, now.wall));
                    told = true;
                }
                out.left.push(*key);
                return false;
            }
            let repeats = telling.repeats(member);
            let said = member.say(tracked, route, (open, repeats), judge, now.mono);
            freed |= said.freed;
            told |= said.news.is_some();
            // Who is unsure is asked again without counting as told, once nothing is in the way.
            let free = !said.gate.as_ref().is_some_and(MuteReason::holds_back);
            let unsure = member.unsure;
            member.unsure = unsure && !free;
            let asks = unsure && free && said.news.is_none_or(|cause| cause == Cause::Repeat);
            for cause in asks.then_some(Cause::Change).into_iter().chain(said.news) {
                telling.tell(member, tracked.notification(cause, &shared, now.wall));
            }
            for step in said.steps {
                member.steps |= 1 << step;
                let one = tracked.notification(Cause::Escalation, &shared, now.wall);
                telling.escalate(step, one);
            }
            if said.gate != member.gate {
                out.gates.push((*key, said.gate.clone()));
                member.gate = said.gate;
            }
            true
        });
        if told {
            self.sent = Some(now.mono);
        }
        if open {
            self.ready = MonoMillis::NEVER;
        }
        if freed {
            let soonest = self
                .sent
                .map_or(now.mono, |sent| sent.after(route.interval));
            self.ready = self.ready.min(soonest.max(now.mono));
        }
        self.again = telling.next(self.again);
        self.due = self.ready.min(self.next(route, alerts, now.mono));
        out.dispatches = telling.dispatches(alerts);
        out
    }

    /// When it must be looked at again if nothing changes.
    fn next(
        &self,
        route: &Route,
        alerts: &HashMap<Fingerprint, Tracked>,
        now: MonoMillis,
    ) -> MonoMillis {
        let mut next = MonoMillis::NEVER;
        for (key, member) in &self.members {
            if let Some(gate) = member.gate.as_ref().filter(|gate| gate.holds_back()) {
                next = next.min(gate.ends().unwrap_or_else(|| now.after(RECHECK)));
                continue;
            }
            let severity = alerts
                .get(key)
                .map_or(Severity::Info, |known| known.alert.severity);
            next = next.min(member.next_step(route, severity));
        }
        // An acknowledgement may end at any time; what is due and kept back is looked at again.
        let next = next.min(self.again);
        if next > now { next } else { now.after(RECHECK) }
    }
}

impl Member {
    /// Whether a step of escalation is done.
    pub(super) fn has_done(&self, step: usize) -> bool {
        self.steps & (1 << step) != 0
    }

    /// When the next step of escalation is due.
    pub(super) fn next_step(&self, route: &Route, severity: Severity) -> MonoMillis {
        let steps = route.steps.iter().enumerate();
        let open = steps.filter(|(number, step)| {
            !self.has_done(*number) && severity >= step.min_severity && self.told.is_some()
        });
        open.map(|(_, step)| self.first.after(step.after))
            .min()
            .unwrap_or(MonoMillis::NEVER)
    }

    /// Whether something keeps it from being told at all.
    fn is_kept(&self) -> bool {
        self.gate.as_ref().is_some_and(MuteReason::holds_back)
    }

    /// What is said of it where changes may be told (`open`), and what fires is told again
    /// (`repeats`).
    fn say(
        &mut self,
        tracked: &Tracked,
        route: &Route,
        (open, repeats): (bool, bool),
        judge: &impl Judge,
        now: MonoMillis,
    ) -> Said {
        let (severity, known) = (tracked.alert.severity, self.told.is_some());
        let news = match self.told {
            None if tracked.flapping => Some(Cause::Flapping),
            None => Some(Cause::Change),
            Some(told) if told != severity => Some(Cause::Change),
            Some(_) if self.flapping != tracked.flapping => Some(Cause::Flapping),
            Some(_) => repeats.then_some(Cause::Repeat),
        };
        if !open && !self.unsure && news.is_some_and(|cause| cause != Cause::Repeat) {
            // A change waits for its time. Who was kept back learns whether it may be told then.
            let gate = if self.is_kept() {
                judge.gate(tracked, known)
            } else {
                self.gate.clone()
            };
            let freed = self.is_kept() && gate.is_none();
            return Said {
                gate,
                freed,
                ..Said::default()
            };
        }
        let escalates = self.next_step(route, severity) <= now;
        if news.is_none() && !escalates && !self.unsure {
            return Said {
                gate: self.gate.clone(),
                ..Said::default()
            };
        }
        if let Some(gate) = judge.gate(tracked, known) {
            return Said {
                gate: Some(gate),
                ..Said::default()
            };
        }
        let gate = judge.acknowledged(tracked);
        let handled = gate.is_some();
        let news = news.filter(|cause| !handled || *cause != Cause::Repeat);
        if news.is_some() && !known {
            self.first = now;
        }
        if news.is_some() {
            (self.told, self.flapping) = (Some(severity), tracked.flapping);
        }
        let due = |number: &usize| {
            let step = &route.steps[*number];
            !self.has_done(*number)
                && severity >= step.min_severity
                && now.since(self.first) >= step.after
        };
        let steps = (0..route.steps.len()).filter(due);
        let steps = steps.filter(|_| escalates && !handled).collect();
        Said {
            news,
            steps,
            gate,
            freed: false,
        }
    }
}
