//! The tick: judges rules over the store and tells what changed.
//!
//! Owns the alerts of all rules and the record of each rule's last evaluation. Reads the store,
//! sends nothing, writes nothing, and knows the time only as an argument.

use std::sync::Arc;

use hashbrown::HashMap;

use crate::model::{Alert, AlertState, LabelSet, Mono, Now, Origin, Transition, Wall};
use crate::store::{Reader, Store};

use super::compile::TOLERANCE;
use super::condition::Verdict;
use super::index::Index;
use super::instance::Instance;
use super::join::Selection;
use super::reason::Ground;
use super::rule::{Rule, RuleSet};
use super::settings::Otherwise;
use super::step::Sight;

/// Alerts of one rule by the labels that tell them apart. What fires for want of any series has
/// none.
pub(super) type Alerts = HashMap<LabelSet, Instance>;

/// All rules with their state.
#[derive(Debug)]
pub struct Engine {
    pub(super) set: Arc<RuleSet>,
    pub(super) judged: Vec<Judged>,
    index: Index,
    ticks: u64,
    counts: Counts,
    values: Vec<f64>,
}

/// What the engine keeps of one rule.
#[derive(Debug, Default)]
pub(super) struct Judged {
    selection: Selection,
    pub(super) alerts: Alerts,
    pub(super) last: Option<Evaluation>,
    /// Since when it, or the rule it goes on from, is judged.
    pub(super) since: Mono,
    /// When it was judged last, or began.
    judged_at: Mono,
}

/// One evaluation of one rule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evaluation {
    /// When.
    pub at: Wall,
    /// Label sets for which the condition held.
    pub holds: u32,
    /// Those for which it did not.
    pub clear: u32,
    /// Those of which nothing was known.
    pub unknown: u32,
    /// Why it failed, if it did.
    pub error: Option<String>,
}

/// What one tick did.
#[derive(Debug, Default, PartialEq)]
pub struct Tick {
    /// What changed, in the order of the rules.
    pub transitions: Vec<Transition>,
    /// Rules judged.
    pub evaluated: usize,
    /// Rules of them that failed.
    pub failed: usize,
    /// Label sets of which nothing was known.
    pub unknown: usize,
    /// Whether anything changed that a restart must not lose.
    pub changed: bool,
}

/// Totals since the process started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Rules judged.
    pub evaluations: u64,
    /// Evaluations that failed.
    pub failures: u64,
    /// Label sets of which nothing was known.
    pub unknown: u64,
    /// Alerts that fired.
    pub fired: u64,
    /// Alerts that resolved.
    pub resolved: u64,
}

/// One rule as others see it.
#[derive(Clone, Copy, Debug)]
pub struct RuleStatus<'a> {
    /// The rule.
    pub rule: &'a Rule,
    /// The furthest state of its alerts.
    pub state: AlertState,
    /// Alerts that are pending.
    pub pending: usize,
    /// Alerts that fire.
    pub firing: usize,
    /// Its last evaluation.
    pub last: Option<&'a Evaluation>,
}

impl Engine {
    /// An engine that has seen nothing yet.
    #[must_use]
    pub fn new(set: RuleSet, now: Now) -> Self {
        let fresh = || Judged { since: now.mono, judged_at: now.mono, ..Judged::default() };
        let judged = set.rules.iter().map(|_| fresh()).collect();
        Self {
            set: Arc::new(set),
            judged,
            index: Index::default(),
            ticks: 0,
            counts: Counts::default(),
            values: Vec::new(),
        }
    }

    /// Judges the rules on metrics that `trigger` filled just now, and those not judged for one
    /// and a half of their intervals, so that a collector that hangs does not hang its rules.
    /// Without a trigger all are judged.
    ///
    /// The store must have been built from the metrics that the rules were compiled with.
    pub fn tick(&mut self, store: &Store, now: Now, trigger: Option<Origin>) -> Tick {
        self.ticks += 1;
        let set = Arc::clone(&self.set);
        let reader = store.read();
        let mut tick = Tick::default();
        for (rule, judged) in set.rules.iter().zip(&mut self.judged) {
            let due = trigger.is_none_or(|origin| {
                rule.origins.contains(&origin)
                    || now.mono.since(judged.judged_at) >= rule.interval.mul_f64(1.5)
            });
            if !rule.enabled || !due {
                continue;
            }
            judged.judged_at = now.mono;
            let warming = rule.longest_window().max(rule.interval * TOLERANCE);
            let mut judging = Judging {
                rule,
                set: &set,
                reader: &reader,
                now,
                number: self.ticks,
                warming: now.mono.since(judged.since) < warming,
                alerts: &mut judged.alerts,
                evaluation: Evaluation { at: now.wall, ..Evaluation::default() },
                tick: &mut tick,
            };
            judging.judge(&mut judged.selection, &mut self.index, &mut self.values);
            let evaluation = judging.evaluation;
            tick.evaluated += 1;
            tick.failed += usize::from(evaluation.error.is_some());
            tick.unknown += evaluation.unknown as usize;
            judged.last = Some(evaluation);
        }
        self.count(&tick);
        tick
    }

    fn count(&mut self, tick: &Tick) {
        self.counts.evaluations += tick.evaluated as u64;
        self.counts.failures += tick.failed as u64;
        self.counts.unknown += tick.unknown as u64;
        self.count_transitions(&tick.transitions);
    }

    pub(super) fn count_transitions(&mut self, transitions: &[Transition]) {
        for transition in transitions {
            match (transition.from, transition.alert.state) {
                (AlertState::Firing, AlertState::Inactive) => self.counts.resolved += 1,
                (from, AlertState::Firing) if from != AlertState::Firing => self.counts.fired += 1,
                _ => {}
            }
        }
    }

    pub(super) fn continue_counts(&mut self, counts: Counts) {
        self.counts = counts;
    }

    /// Totals since the process started.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// The alerts that are pending or firing, in the order of the rules.
    #[must_use]
    pub fn alerts(&self) -> Vec<Alert> {
        let mut alerts = Vec::new();
        for (rule, judged) in self.set.rules.iter().zip(&self.judged) {
            let start = alerts.len();
            let shown =
                judged.alerts.iter().filter(|(_, alert)| alert.phase() != AlertState::Inactive);
            alerts.extend(shown.map(|(key, alert)| alert.alert(rule, &self.set.templates, key)));
            alerts[start..].sort_by(|a, b| a.labels.cmp(&b.labels));
        }
        alerts
    }

    /// The rules with their state, in the order of the declaration.
    pub fn rules(&self) -> impl Iterator<Item = RuleStatus<'_>> {
        self.set.rules.iter().zip(&self.judged).map(|(rule, judged)| {
            let count =
                |phase| judged.alerts.values().filter(|alert| alert.phase() == phase).count();
            let (pending, firing) = (count(AlertState::Pending), count(AlertState::Firing));
            let state = match (pending, firing) {
                (0, 0) => AlertState::Inactive,
                (_, 0) => AlertState::Pending,
                _ => AlertState::Firing,
            };
            RuleStatus { rule, state, pending, firing, last: judged.last.as_ref() }
        })
    }
}

/// One rule in one tick.
struct Judging<'a> {
    rule: &'a Rule,
    set: &'a RuleSet,
    reader: &'a Reader<'a>,
    now: Now,
    number: u64,
    /// Whether the rule is too young to tell missing data from data still to come.
    warming: bool,
    alerts: &'a mut Alerts,
    evaluation: Evaluation,
    tick: &'a mut Tick,
}

impl Judging<'_> {
    fn judge(&mut self, selection: &mut Selection, index: &mut Index, values: &mut Vec<f64>) {
        let rule = self.rule;
        let (inputs, labels) = (&rule.formula.inputs, rule.labels.fixed());
        if let Err(error) = selection.refresh(inputs, labels, self.reader, index) {
            self.blind(Ground::Error(&error));
            self.evaluation.error = Some(error);
            return;
        }
        let rows = selection.len();
        if rows == 0 {
            self.blind(Ground::NoData);
            return;
        }
        let mut left = self.alerts.len();
        for row in 0..rows {
            let sample = selection.read(inputs, self.reader, row, self.now.mono, values);
            let value = rule.formula.judged(values);
            let (sight, ground) = self.sight(value, sample);
            let holds = matches!(sight, Sight::Judged { verdict: Verdict::Holds(_), .. });
            self.evaluation.holds += u32::from(holds && !value.is_nan());
            self.evaluation.clear += u32::from(!holds && !value.is_nan());
            self.evaluation.unknown += u32::from(value.is_nan());
            if holds || !self.alerts.is_empty() {
                let key = selection.key(inputs, labels, self.reader, row);
                let shown = rule.formula.shown(values).filter(|_| !value.is_nan());
                left = left.saturating_sub(usize::from(self.advance(&key, sight, ground, shown)));
            }
        }
        if left > 0 {
            self.absent();
        }
    }

    /// What a value means; NaN goes by `on_no_data`.
    fn sight(&self, value: f64, sample: Mono) -> (Sight, Ground<'static>) {
        if value.is_nan() {
            return (self.otherwise(self.rule.on_no_data), Ground::NoData);
        }
        (Sight::Judged { verdict: self.rule.judge.verdict(value), sample }, Ground::Value)
    }

    fn otherwise(&self, otherwise: Otherwise) -> Sight {
        let verdict = match otherwise {
            Otherwise::Keep => return Sight::Unknown,
            Otherwise::Alert if self.warming => return Sight::Unknown,
            Otherwise::Ok => Verdict::Clear,
            Otherwise::Alert => Verdict::Holds(0),
        };
        Sight::Judged { verdict, sample: self.now.mono }
    }

    /// Nothing can be said of any label set: no series at all, or a failed evaluation.
    fn blind(&mut self, ground: Ground<'_>) {
        self.evaluation.unknown += 1;
        let otherwise = match ground {
            Ground::Error(_) => self.rule.on_error,
            _ => self.rule.on_no_data,
        };
        let sight = self.otherwise(otherwise);
        match otherwise {
            Otherwise::Keep => {}
            Otherwise::Ok => {
                for key in self.keys(|_| true) {
                    self.advance(&key, sight, ground, None);
                }
            }
            // The alerts of label sets stay as they are; the rule as a whole gets one of its own.
            Otherwise::Alert => {
                self.advance(&LabelSet::default(), sight, ground, None);
            }
        }
    }

    /// Clears the alerts whose label sets this tick did not see.
    fn absent(&mut self) {
        let clear = Sight::Judged { verdict: Verdict::Clear, sample: self.now.mono };
        let (number, now) = (self.number, self.now.mono);
        for key in self.keys(|alert| alert.seen != number && now >= alert.grace) {
            let whole = key.is_empty();
            self.advance(
                &key,
                clear,
                if whole { Ground::Returned } else { Ground::Vanished },
                None,
            );
        }
    }

    fn keys(&self, wanted: impl Fn(&Instance) -> bool) -> Vec<LabelSet> {
        let mut keys: Vec<LabelSet> = self
            .alerts
            .iter()
            .filter(|(_, alert)| wanted(alert))
            .map(|(key, _)| key.clone())
            .collect();
        keys.sort_unstable();
        keys
    }

    /// Takes in what was seen of one label set; tells whether it had an alert.
    fn advance(
        &mut self,
        key: &LabelSet,
        sight: Sight,
        ground: Ground<'_>,
        value: Option<f64>,
    ) -> bool {
        let holds = matches!(sight, Sight::Judged { verdict: Verdict::Holds(_), .. });
        let (known, mut fresh) = (self.alerts.get_mut(key), Instance::new());
        let existed = known.is_some();
        let Some(alert) = known.or(holds.then_some(&mut fresh)) else { return existed };
        alert.seen = self.number;
        alert.value = value.or(alert.value);
        let before = alert.state;
        let seen = (sight, ground);
        let transition = alert.advance(self.rule, &self.set.templates, key, seen, self.now);
        self.tick.changed |= transition.is_some() || !alert.state.is_settled(&before);
        self.tick.transitions.extend(transition);
        match (existed, alert.is_idle()) {
            (true, true) => drop(self.alerts.remove(key)),
            (false, false) => drop(self.alerts.insert(key.clone(), fresh)),
            _ => {}
        }
        existed
    }
}

#[cfg(test)]
mod tests;
