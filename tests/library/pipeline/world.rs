//! Rules, a process that may die, and receivers, on virtual time.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use bellwether_core::{
    AlertState, Fingerprint, Labels, MonoMillis, Notification, Now, Severity, Status, Transition,
    UnixMillis,
};
use bellwether_notify::Preview;
use bellwether_routing::{Command, Dispatcher, Feedback, Matchers, SilenceDraft, State, View};
use bellwether_rules::Tick;

use super::configuration::{
    ALERTS, CHANNELS, SILENCED, alert, channels, inhibits, maintained, repeat, routing, silences,
};
use super::contract::{AlertStatus, Contract};
use super::rules::{Rules, Saved, Values, value};

/// Way in which the process dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    /// With all that happened written down.
    Saved,
    /// After queueing what happened last, before the state of the alerts was saved.
    Unsaved,
    /// Before queueing what happened last.
    Untold,
    /// After receivers took what waited, before that was written down.
    Unheard,
}

/// 2026-11-23T12:00:00Z.
const NOON: UnixMillis = UnixMillis(1_795_435_200_000);
/// The monotonic clock at the start of a process.
const BOOT: MonoMillis = MonoMillis(31 * 86_400_000);
/// Alerts that ended unseen are looked for this long after a start, and then this often.
const UNSEEN: [Duration; 2] = [Duration::from_secs(60), Duration::from_secs(30)];
/// Longer than any notification may take: the repeats, intervals and waits of all routes.
const SETTLES: u64 = 400;

/// A repeat comes as much later than it is due at most.
const LATE: Duration = Duration::from_secs(10);
/// Heartbeats are this far apart at most.
const BEAT: Duration = Duration::from_secs(22);

/// The alerts that fire as the rules have it: how bad, and since when.
type Firing = BTreeMap<usize, (Severity, UnixMillis)>;

pub struct World {
    now: Now,
    /// Time of a clock that nobody sets.
    real: UnixMillis,
    /// The wall clock was set, ever and since this process started.
    set: (bool, bool),
    /// Time of the last heartbeat.
    beat: UnixMillis,
    /// Start of this process.
    started: Now,
    /// Time of its first data.
    data: MonoMillis,
    /// Time at which alerts that ended unseen were looked for last.
    looked: MonoMillis,
    /// A process before this one may have left behind what ended unseen.
    left: bool,
    routes: usize,
    values: Values,
    rules: Rules,
    firing: Firing,
    saved: (Firing, Saved),
    dispatcher: Dispatcher,
    /// State of the dispatcher on disk.
    state: State,
    /// The alerts that others stand for; those for which none does any more, since when; and those
    /// of which somebody was notified since they fire.
    inhibited: BTreeSet<usize>,
    uninhibited: BTreeMap<usize, UnixMillis>,
    notified: BTreeSet<usize>,
    /// Silences: matcher, start and end on the wall clock.
    silenced: Vec<(usize, UnixMillis, UnixMillis)>,
    outboxes: Preview,
    works: [bool; CHANNELS.len()],
    failing: [Option<MonoMillis>; CHANNELS.len()],
    rejected: Vec<(Arc<str>, Fingerprint)>,
    contract: Contract,
    drawn: u128,
}

fn fingerprint(index: usize) -> Fingerprint {
    alert(index, Severity::Warning, NOON).fingerprint
}

fn index(alert: Fingerprint) -> usize {
    (0..ALERTS.len())
        .find(|index| fingerprint(*index) == alert)
        .expect("a known alert")
}

impl World {
    pub fn new(routes: usize) -> Self {
        let now = Now {
            mono: BOOT,
            wall: NOON,
        };
        Self {
            now,
            real: NOON,
            set: (false, false),
            beat: NOON,
            started: now,
            data: BOOT,
            looked: BOOT,
            left: false,
            routes,
            values: [Some(value(None)); ALERTS.len()],
            rules: Rules::new(now),
            firing: Firing::new(),
            saved: Default::default(),
            dispatcher: Dispatcher::new(routing(routes), now),
            state: State::default(),
            inhibited: BTreeSet::new(),
            uninhibited: BTreeMap::new(),
            notified: BTreeSet::new(),
            silenced: Vec::new(),
            outboxes: Preview::new(&channels()),
            works: [true; CHANNELS.len()],
            failing: [None; CHANNELS.len()],
            rejected: Vec::new(),
            contract: Contract::default(),
            drawn: 0,
        }
    }

    pub fn condition(&mut self, alert: usize, level: Option<Severity>) {
        self.values[alert] = Some(value(level));
    }

    pub fn missing(&mut self, alert: usize) {
        self.values[alert] = None;
    }

    fn save(&mut self) {
        self.saved = (self.firing.clone(), self.rules.save(self.now));
    }

    fn forward(&mut self, seconds: u64) {
        let span = Duration::from_secs(seconds);
        self.now = self.now.after(span);
        self.real = Now {
            wall: self.real,
            ..Now::default()
        }
        .after(span)
        .wall;
    }

    pub fn set_clock(&mut self, hours: i64) {
        self.now.wall.0 += hours * 3_600_000;
        self.set = (true, true);
    }

    pub fn flap(&mut self, alert: usize) -> Result<(), String> {
        for round in 0..8 {
            self.condition(alert, (round % 2 == 0).then_some(Severity::Warning));
            self.pass(2)?;
        }
        Ok(())
    }

    pub fn channel(&mut self, channel: usize, works: bool) {
        self.works[channel] = works;
    }

    fn order(&mut self, order: Command) -> bool {
        self.drawn += 1;
        let done = self
            .dispatcher
            .execute(order, self.drawn << 80, self.now)
            .is_ok();
        self.state = self.dispatcher.state();
        done
    }

    pub fn silence(&mut self, what: usize, seconds: u64) {
        let ends_at = self.now.after(Duration::from_secs(seconds)).wall;
        let draft = SilenceDraft {
            matchers: Matchers::parse(SILENCED[what]).expect("matchers"),
            ends_at,
            created_by: "ada".into(),
            comment: "known".into(),
            ..SilenceDraft::default()
        };
        assert!(self.order(Command::Silence(draft)));
        self.silenced.push((what, self.now.wall, ends_at));
    }

    pub fn expire(&mut self) {
        let all = self.dispatcher.silences().by_users();
        for id in all.map(|silence| silence.id.clone()).collect::<Vec<_>>() {
            assert!(self.order(Command::Expire(id)));
        }
        self.silenced.clear();
    }

    pub fn acknowledge(&mut self, alert: usize, seconds: Option<u64>) {
        let until = seconds.map(|seconds| self.now.after(Duration::from_secs(seconds)).wall);
        let (by, comment) = ("ada".into(), "on it".into());
        // Of an alert that does not fire it is rejected.
        self.order(Command::Acknowledge {
            alert: fingerprint(alert),
            by,
            comment,
            until,
        });
    }

    pub fn release(&mut self, alert: usize) {
        self.order(Command::Release(fingerprint(alert)));
    }

    pub fn reload(&mut self, routes: usize) {
        self.routes = routes;
        let next = Dispatcher::new(routing(routes), self.now);
        let before = std::mem::replace(&mut self.dispatcher, next);
        self.dispatcher
            .continue_from(before, self.outboxes.notified(), self.now);
        self.note_uninhibited();
    }

    pub fn crash(&mut self, how: Crash, down: u64, data: u64) -> Result<(), String> {
        self.forward(1);
        match how {
            Crash::Saved => self.turn()?,
            Crash::Unsaved => {
                let saved = self.saved.clone();
                self.turn()?;
                self.saved = saved;
            }
            Crash::Untold => {
                self.evaluate();
            }
            Crash::Unheard => {
                self.flush()?;
                self.save();
                for (channel, _) in CHANNELS.iter().zip(self.works).filter(|(_, works)| *works) {
                    for one in self.outboxes.queued(channel) {
                        if !is_heartbeat(&one) {
                            self.contract.taken(channel, &one, true, self.real)?;
                        }
                    }
                }
            }
        }
        self.forward(down);
        self.now.mono = BOOT;
        if std::mem::take(&mut self.set.1) {
            self.contract.blur();
        }
        (self.started, self.looked) = (self.now, BOOT);
        self.left = true;
        self.data = self.now.after(Duration::from_secs(data)).mono;
        self.failing = [None; CHANNELS.len()];
        self.rejected.clear();
        self.outboxes.reopen(self.now);
        self.firing = self.saved.0.clone();
        self.inhibited = self.inhibited_now();
        self.uninhibited
            .retain(|index, _| self.firing.contains_key(index));
        self.rules = Rules::restored(&self.saved.1, self.now);
        let firing = self.rules.engine.alerts().into_iter();
        let firing: Vec<_> = firing
            .filter(|one| one.state == AlertState::Firing)
            .map(Arc::new)
            .collect();
        let found: Vec<usize> = firing.iter().map(|one| index(one.fingerprint)).collect();
        assert!(
            found.len() == self.firing.len(),
            "saved {:?}, restored {found:?}",
            self.firing
        );
        self.dispatcher = Dispatcher::new(routing(self.routes), self.now);
        self.dispatcher
            .restore(firing, self.outboxes.notified(), self.now);
        self.dispatcher.restore_state(self.state.clone(), self.now);
        Ok(())
    }

    /// Evaluates the rules.
    fn evaluate(&mut self) -> Tick {
        if self.now.mono < self.data {
            return Tick::default();
        }
        let found = self.rules.evaluate(&self.values, self.now);
        for Transition { alert, from, .. } in &found.transitions {
            let index = index(alert.fingerprint);
            match (from, alert.state) {
                (_, AlertState::Firing) => {
                    let since = alert.fired_at.expect("it fires");
                    self.firing.insert(index, (alert.severity, since));
                }
                (AlertState::Firing, _) => {
                    self.firing.remove(&index);
                    self.notified.remove(&index);
                    self.uninhibited.remove(&index);
                }
                _ => {}
            }
        }
        self.note_uninhibited();
        found
    }

    /// The alerts that others stand for.
    fn inhibited_now(&self) -> BTreeSet<usize> {
        let firing = self
            .firing
            .iter()
            .map(|(index, (level, _))| (*index, *level));
        firing
            .filter(|(index, level)| self.is_inhibited(*index, *level))
            .map(|(index, _)| index)
            .collect()
    }

    fn note_uninhibited(&mut self) {
        let inhibited = self.inhibited_now();
        for index in &self.inhibited {
            if self.firing.contains_key(index) && !inhibited.contains(index) {
                self.uninhibited.insert(*index, self.real);
            }
        }
        self.inhibited = inhibited;
    }

    /// True if a first notification still waits, because the alert was inhibited a moment ago.
    fn waits(&self, channel: &str, index: usize, severity: Severity) -> bool {
        // Over a restart it is known by the wall clock alone.
        let Some(since) = self.uninhibited.get(&index).filter(|_| !self.set.0) else {
            return false;
        };
        let routing = routing(self.routes);
        let alert = alert(index, severity, self.now.wall);
        let taken = routing
            .tree
            .matching_routes(&View {
                alert: &alert,
                sender: &Labels::new(),
            })
            .into_iter();
        let routes = taken.map(|number| &routing.tree.routes()[number]);
        let telling =
            routes.filter(|route| route.all_channels.iter().any(|known| **known == *channel));
        let wait = telling
            .map(|route| route.group_wait)
            .min()
            .unwrap_or_default();
        self.real.since(*since) < wait && !self.notified.contains(&index)
    }

    /// Returns whether something mutes `channel`.
    fn muted(&self, channel: &str, index: usize, severity: Severity) -> bool {
        let (routing, now) = (routing(self.routes), self.now.wall);
        let alert = alert(index, severity, now);
        let taken = routing
            .tree
            .matching_routes(&View {
                alert: &alert,
                sender: &Labels::new(),
            })
            .into_iter();
        let mut routes = taken.map(|number| &routing.tree.routes()[number]);
        let holds = |name: &String| routing.intervals.contains(name, now);
        let notified = routes.any(|route| {
            route.all_channels.iter().any(|known| **known == *channel)
                && (route.active_intervals.is_empty() || route.active_intervals.iter().any(holds))
                && !route.mute_intervals.iter().any(holds)
        });
        let minute = now.0 / 60_000 % 1440;
        !notified || maintained(self.routes, index, minute) || self.is_silenced(index, severity)
    }

    fn is_silenced(&self, index: usize, severity: Severity) -> bool {
        let silenced = |(what, from, until): &(usize, UnixMillis, UnixMillis)| {
            (*from..*until).contains(&self.now.wall) && silences(*what, index, severity)
        };
        self.silenced.iter().any(silenced) || self.is_inhibited(index, severity)
    }

    fn is_inhibited(&self, index: usize, severity: Severity) -> bool {
        let inhibits = |(source, (level, _)): (&usize, &(Severity, UnixMillis))| {
            *source != index && inhibits(self.routes, (*source, *level), (index, severity))
        };
        self.firing.iter().any(inhibits)
    }

    fn status(&self, channel: &str, alert: Fingerprint) -> AlertStatus {
        let index = index(alert);
        let known = self.firing.get(&index).copied();
        let firing = known.map(|(severity, _)| severity);
        let explained = self.dispatcher.explain(alert, self.now);
        let acknowledged = self
            .dispatcher
            .acknowledgements()
            .active(alert, self.now.wall);
        AlertStatus {
            firing,
            active: firing.is_some() || explained.is_some_and(|known| known.flapping),
            muted: firing.is_some_and(|severity| self.muted(channel, index, severity)),
            waits: firing.is_some_and(|severity| self.waits(channel, index, severity)),
            acknowledged: acknowledged.is_some(),
            fresh: known.is_some_and(|(_, since)| since == self.now.wall),
            below_min_severity: channel == "mail"
                && firing.is_some_and(|level| level < Severity::Critical),
            repeat: repeat(self.routes),
        }
    }

    fn check_queued(&mut self, queued: &[(String, Notification)]) -> Result<(), String> {
        for (channel, one) in queued.iter().filter(|(_, one)| !is_heartbeat(one)) {
            let status = self.status(channel, one.alert.fingerprint);
            self.contract.queued(channel, one, status, self.real)?;
        }
        let firing = queued
            .iter()
            .filter(|(_, one)| one.status == Status::Firing);
        let known = firing.filter(|(_, one)| !is_heartbeat(one));
        self.notified
            .extend(known.map(|(_, one)| index(one.alert.fingerprint)));
        Ok(())
    }

    fn flush(&mut self) -> Result<(), String> {
        let failing = CHANNELS.iter().zip(self.failing);
        let failing = failing.filter_map(|(channel, since)| {
            Some((Arc::from(*channel), self.now.mono.since(since?)))
        });
        let feedback = Feedback {
            failing: failing.collect(),
            rejected: std::mem::take(&mut self.rejected),
            last_evaluation: self.now.mono,
        };
        let found = self.evaluate();
        self.dispatcher.confirm(&found.confirmed, self.now.mono);
        self.dispatcher.apply(&found.transitions, self.now);
        let (outboxes, now) = (&self.outboxes, self.now.mono);
        let notified = |channel: &str, alert| outboxes.last_notified(channel, alert, now);
        let dispatches = self
            .dispatcher
            .advance(&feedback, &notified, self.now)
            .dispatches;
        if self.dispatcher.take_unsaved() {
            self.state = self.dispatcher.state();
        }
        let queued = owned(self.outboxes.offer(&dispatches));
        self.check_queued(&queued)?;
        for (channel, one) in owned(self.outboxes.trim()) {
            if !is_heartbeat(&one) {
                self.contract.dropped(&channel, &one);
            }
        }
        Ok(())
    }

    fn deliver(&mut self) -> Result<(), String> {
        for (number, channel) in CHANNELS.iter().enumerate() {
            if self.works[number] {
                self.failing[number] = None;
                for one in self.outboxes.deliver_all(channel, self.now) {
                    if is_heartbeat(&one) {
                        self.beat = self.real;
                    } else {
                        self.contract.taken(channel, &one, false, self.real)?;
                    }
                }
            } else if !self.outboxes.queued(channel).is_empty() {
                self.failing[number].get_or_insert(self.now.mono);
            }
        }
        Ok(())
    }

    /// The receiver rejects what is next, once something waits for it.
    pub fn reject(&mut self, number: usize) {
        let channel = CHANNELS[number];
        let next = self.outboxes.queued(channel).into_iter().next();
        // What it took already it does not reject.
        if next.is_some_and(|next| {
            !is_heartbeat(&next) && !self.contract.knows_already(channel, &next)
        }) {
            for one in self
                .outboxes
                .reject_oldest(channel)
                .into_iter()
                .filter(|one| !is_heartbeat(one))
            {
                self.contract.rejected(channel, &one);
                self.rejected
                    .push((Arc::from(channel), one.alert.fingerprint));
            }
        }
    }

    fn reconcile(&mut self) -> Result<(), String> {
        let mut firing: HashSet<Fingerprint> = self
            .firing
            .keys()
            .map(|index| fingerprint(*index))
            .collect();
        firing.extend(self.dispatcher.tracked_alerts());
        let mut queued = owned(self.outboxes.reconcile(&firing, self.now.wall));
        // The resolved of a heartbeat goes to nobody else.
        queued.retain(|(_, one)| !is_heartbeat(one));
        // Observed ends are sent without that.
        if !std::mem::take(&mut self.left) && !queued.is_empty() {
            return Err(format!("an observed end is not sent: {queued:#?}"));
        }
        self.check_queued(&queued)
    }

    fn turn(&mut self) -> Result<(), String> {
        // What is queued is taken a second later.
        self.deliver()?;
        self.flush()?;
        self.save();
        let [first, each] = UNSEEN;
        let mono = self.now.mono;
        if mono.since(self.started.mono) >= first && mono.since(self.looked) >= each {
            self.looked = mono;
            self.reconcile()?;
        }
        self.check_acknowledged()
    }

    /// An acknowledgement is not older than its alert.
    fn check_acknowledged(&self) -> Result<(), String> {
        // Over a restart it is known by the wall clock alone.
        let known = self
            .dispatcher
            .acknowledgements()
            .iter()
            .filter(|_| !self.set.0);
        for (alert, one) in known {
            let firing = self.firing.get(&index(alert));
            let flaps = self
                .dispatcher
                .explain(alert, self.now)
                .is_some_and(|known| known.flapping);
            if !flaps && firing.is_none_or(|(_, since)| *since > one.at) {
                return Err(format!(
                    "acknowledged before it fired: {alert} {one:?} {firing:?}"
                ));
            }
        }
        Ok(())
    }

    pub fn pass(&mut self, seconds: u64) -> Result<(), String> {
        for _ in 0..seconds {
            self.forward(1);
            self.turn()?;
        }
        Ok(())
    }

    /// All channels work and nothing more happens: what must be known in the end is.
    pub fn settle(&mut self) -> Result<(), String> {
        self.works = [true; CHANNELS.len()];
        self.pass(SETTLES)?;
        for number in 0..ALERTS.len() {
            let fires = self.firing.get(&number).map(|(severity, _)| *severity);
            let key = fingerprint(number);
            for channel in CHANNELS {
                let status = self.status(channel, key);
                let notified =
                    fires.is_some_and(|severity| self.notified(channel, number, severity));
                let expected = notified && !status.muted && !status.below_min_severity;
                self.contract.settled(channel, key, fires, expected)?;
            }
        }
        self.check_repeated()?;
        if self.routes == 2 && self.real.since(self.beat) > BEAT {
            return Err("the heartbeat stopped".into());
        }
        Ok(())
    }

    /// Returns whether a route sends the alert to `channel` at all.
    fn notified(&self, channel: &str, index: usize, severity: Severity) -> bool {
        let alert = alert(index, severity, self.now.wall);
        let ways = routing(self.routes).matching_routes(&alert, self.now.wall);
        ways.iter()
            .any(|way| way.channels.iter().any(|known| known == channel))
    }

    /// Each channel was notified of each of its groups within the interval.
    fn check_repeated(&self) -> Result<(), String> {
        let mut groups = BTreeMap::new();
        for (number, (severity, since)) in &self.firing {
            let alert = alert(*number, *severity, *since);
            for way in routing(self.routes).matching_routes(&alert, self.now.wall) {
                let Some(repeat) = way.repeat_interval else {
                    continue;
                };
                for channel in way.channels {
                    let status = self.status(&channel, alert.fingerprint);
                    let free = !status.muted && !status.acknowledged && !status.below_min_severity;
                    let last = self.contract.last(&channel, alert.fingerprint);
                    let key = (way.route.clone(), way.group.clone(), channel);
                    let known = groups.entry(key).or_insert((repeat, false, None));
                    known.1 |= free;
                    known.2 = known.2.max(last);
                }
            }
        }
        // What does not fit into the queue of chat is sent with the next message that does.
        groups.retain(|(_, _, channel), (_, free, _)| *free && channel != "chat");
        for (group, (repeat, _, last)) in groups {
            if last.is_none_or(|last| self.real.since(last) > repeat + LATE) {
                return Err(format!(
                    "not repeated: {group:?} {last:?} at {:?}",
                    self.real
                ));
            }
        }
        Ok(())
    }
}

fn is_heartbeat(one: &Notification) -> bool {
    &*one.alert.rule == "Heartbeat"
}

fn owned(queued: Vec<(&str, Notification)>) -> Vec<(String, Notification)> {
    queued
        .into_iter()
        .map(|(channel, one)| (channel.to_owned(), one))
        .collect()
}
