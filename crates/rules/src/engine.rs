//! The tick: judges rules over the store and tells what changed.
//!
//! Owns the alerts of all rules and the record of each rule's last evaluation. Reads the store,
//! sends nothing, writes nothing, and knows the time only as an argument.

use std::sync::Arc;
use std::time::Duration;

use bellwether_core::{
    Alert, AlertState, Fingerprint, LabelSet, MonoMillis, Now, Origin, Transition, UnixMillis,
};
use bellwether_tsdb::store::Store;
use hashbrown::{HashMap, HashSet};

use super::asked::AskedTexts;
use super::compile::TOLERANCE;
use super::index::Index;
use super::instance::Instance;
use super::join::Selection;
use super::judging::{Cache, Judging};
use super::memory::{NoLimits, SampleStorage};
use super::pace::Judgements;
use super::question::Detectors;
use super::recording::Recording;
use super::round::{Found, QueryBatch, QueryResults, Recorded};
use super::rule::{Rule, RuleSet, Source};

/// Alerts of one rule by the labels that tell them apart. What fires for want of any series has
/// none. They are boxed because most rules have one, and a table keeps room for four.
pub(super) type Alerts = HashMap<LabelSet, Box<Instance>>;

/// All rules with their state.
#[derive(Debug)]
pub struct Engine {
    pub(super) set: Arc<RuleSet>,
    pub(super) judged: Vec<Judged>,
    pub(super) recorded: Vec<Kept>,
    /// Series of recording rules that are gone; they end with the next round.
    pub(super) leaving: Vec<LabelSet>,
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
    pub(super) since: MonoMillis,
    turns: Judgements,
    detectors: Detectors,
}

/// What the engine keeps of one recording rule.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// The series it recorded last.
    pub(super) series: HashSet<LabelSet>,
    pub(super) last: Option<Evaluation>,
    turns: Judgements,
}

/// One evaluation of one rule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evaluation {
    /// When.
    pub at: UnixMillis,
    /// Label sets for which the condition held.
    pub holds: u32,
    /// Those for which it did not.
    pub clear: u32,
    /// Those of which nothing was known.
    pub unknown: u32,
    /// Alerts that the rule's limit left out.
    pub left_out: u32,
    /// Why it failed, if it did.
    pub error: Option<String>,
    /// Why something could not be told that is no failure: no forecast, a detector warming up.
    pub note: Option<String>,
    /// How long history took to answer.
    pub took: Duration,
}

/// What one tick did.
#[derive(Debug, Default, PartialEq)]
pub struct Tick {
    /// What changed, in the order of the rules.
    pub transitions: Vec<Transition>,
    /// Alerts from before a restart whose data were seen for the first time since.
    pub confirmed: Vec<Fingerprint>,
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

/// One recording rule as others see it.
#[derive(Clone, Copy, Debug)]
pub struct RecordingStatus<'a> {
    /// The rule.
    pub rule: &'a Recording,
    /// Its last evaluation; `holds` is how many series it recorded.
    pub last: Option<&'a Evaluation>,
}

impl Tick {
    fn note(&mut self, evaluation: &Evaluation) {
        self.evaluated += 1;
        self.failed += usize::from(evaluation.error.is_some());
        self.unknown += evaluation.unknown as usize;
    }

    /// Adds what another one did after it.
    pub fn add(&mut self, other: Tick) {
        self.transitions.extend(other.transitions);
        self.confirmed.extend(other.confirmed);
        self.evaluated += other.evaluated;
        self.failed += other.failed;
        self.unknown += other.unknown;
        self.changed |= other.changed;
    }
}

/// Whether `rule` is too young to tell missing data from data still to come.
fn is_warming(rule: &Rule, since: MonoMillis, now: Now) -> bool {
    let needed = rule.longest_window().max(rule.pace.interval * TOLERANCE);
    now.mono.since(since) < needed
}

impl Engine {
    /// An engine that has seen nothing yet.
    #[must_use]
    pub fn new(mut set: RuleSet, now: Now) -> Self {
        set.settings = Vec::new();
        Self::of(Arc::new(set), now)
    }

    /// The same of rules that others have too.
    #[must_use]
    pub fn of(set: Arc<RuleSet>, now: Now) -> Self {
        let turns = Judgements::none(now.mono);
        let fresh = || Judged {
            since: now.mono,
            turns,
            ..Judged::default()
        };
        let kept = || Kept {
            turns,
            ..Kept::default()
        };
        Self {
            judged: set.rules.iter().map(|_| fresh()).collect(),
            recorded: set.recordings.iter().map(|_| kept()).collect(),
            set,
            leaving: Vec::new(),
            index: Index::default(),
            ticks: 0,
            counts: Counts::default(),
            values: Vec::new(),
        }
    }

    /// Judges the rules that `trigger` concerns, which was collected just now, and those not
    /// judged for one and a half of their intervals, so that a collector that hangs does not hang
    /// its rules. Without a trigger all are judged, but none before its own `interval` is over.
    ///
    /// It is [`Engine::judge`] and, with `memory`, a [`QueryBatch`] without limits: for virtual time.
    pub fn tick(
        &mut self,
        store: &Store,
        memory: Option<&dyn SampleStorage>,
        now: Now,
        trigger: Option<Origin>,
    ) -> Tick {
        let filled = trigger.as_ref().map(std::slice::from_ref);
        let mut tick = self.judge(store, now, filled);
        let round = self.round(now, filled);
        if !round.is_empty() {
            tick.add(self.answered(round.ask(memory, &NoLimits)));
        }
        tick
    }

    /// Judges the rules over series of the store that are due, where `filled` was collected just
    /// now, as in [`Engine::tick`].
    ///
    /// The store must have been built from the metrics that the rules were compiled with.
    pub fn judge(&mut self, store: &Store, now: Now, filled: Option<&[Origin]>) -> Tick {
        self.ticks += 1;
        let set = Arc::clone(&self.set);
        let reader = store.read();
        let mut tick = Tick::default();
        for (rule, judged) in set.rules.iter().zip(&mut self.judged) {
            let Source::Series(formula) = &rule.source else {
                continue;
            };
            if !rule.enabled || !judged.turns.take_turn(&rule.pace, now.mono, filled) {
                continue;
            }
            let Judged {
                selection,
                alerts,
                since,
                ..
            } = judged;
            let mut judging = Judging {
                rule,
                templates: &set.templates,
                now,
                number: self.ticks,
                warming: is_warming(rule, *since, now),
                alerts,
                asked: AskedTexts::default(),
                waiting: Vec::new(),
                evaluation: Evaluation {
                    at: now.wall,
                    ..Evaluation::default()
                },
                tick: &mut tick,
            };
            let (index, values) = (&mut self.index, &mut self.values);
            judging.series(
                formula,
                &reader,
                &mut Cache {
                    selection,
                    index,
                    values,
                },
            );
            let evaluation = judging.evaluation;
            tick.note(&evaluation);
            judged.last = Some(evaluation);
        }
        self.count(&tick);
        tick
    }

    /// What is due of the rules that ask history, as in [`Engine::judge`]. To be handed back by
    /// [`Engine::answered`] before the next one.
    #[must_use]
    pub fn round(&mut self, now: Now, filled: Option<&[Origin]>) -> QueryBatch {
        let set = Arc::clone(&self.set);
        let kept = set.recordings.iter().zip(&mut self.recorded).enumerate();
        let recordings = kept
            .filter_map(|(number, (rule, kept))| {
                let due = rule.enabled && kept.turns.take_turn(&rule.pace, now.mono, filled);
                due.then(|| (number, std::mem::take(&mut kept.series)))
            })
            .collect();
        let judged = set.rules.iter().zip(&mut self.judged).enumerate();
        let rules = judged
            .filter(|(_, (rule, _))| rule.enabled && rule.question().is_some())
            .filter_map(|(number, (rule, judged))| {
                let due = judged.turns.take_turn(&rule.pace, now.mono, filled);
                due.then(|| (number, std::mem::take(&mut judged.detectors)))
            })
            .collect();
        QueryBatch {
            now,
            leaving: std::mem::take(&mut self.leaving),
            recordings,
            rules,
            set,
        }
    }

    /// Judges what a round brought. What was asked for other rules than these, before a reload,
    /// counts for nothing.
    pub fn answered(&mut self, answered: QueryResults) -> Tick {
        let QueryResults {
            set,
            now,
            recordings,
            rules,
        } = answered;
        let mut tick = Tick::default();
        if !Arc::ptr_eq(&set, &self.set) {
            return tick;
        }
        self.ticks += 1;
        for Recorded {
            number,
            series,
            error,
            took,
        } in recordings
        {
            let holds = series.len() as u32;
            let evaluation = Evaluation {
                at: now.wall,
                holds,
                error,
                took,
                ..Evaluation::default()
            };
            tick.note(&evaluation);
            let kept = &mut self.recorded[number];
            (kept.series, kept.last) = (series, Some(evaluation));
        }
        for Found {
            number,
            detectors,
            rows,
            asked,
            took,
        } in rules
        {
            let (rule, judged) = (&set.rules[number], &mut self.judged[number]);
            judged.detectors = detectors;
            let mut judging = Judging {
                rule,
                templates: &set.templates,
                now,
                number: self.ticks,
                warming: is_warming(rule, judged.since, now),
                alerts: &mut judged.alerts,
                asked,
                waiting: Vec::new(),
                evaluation: Evaluation {
                    at: now.wall,
                    took,
                    ..Evaluation::default()
                },
                tick: &mut tick,
            };
            judging.answer(rows);
            let evaluation = judging.evaluation;
            tick.note(&evaluation);
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
        self.alerts_of(|_| true)
    }

    /// Those of the rules that are `wanted`.
    #[must_use]
    pub fn alerts_of(&self, wanted: impl Fn(&Rule) -> bool) -> Vec<Alert> {
        let mut alerts = Vec::new();
        let rules = self.set.rules.iter().zip(&self.judged);
        for (rule, judged) in rules.filter(|(rule, _)| wanted(rule)) {
            let start = alerts.len();
            let shown = judged
                .alerts
                .iter()
                .filter(|(_, alert)| alert.phase() != AlertState::Inactive);
            alerts.extend(shown.map(|(key, alert)| alert.alert(rule, &self.set.templates, key)));
            alerts[start..].sort_by(|a, b| a.labels.cmp(&b.labels));
        }
        alerts
    }

    /// How long the series of the alerts that are pending or firing have been missing, where they
    /// are.
    #[must_use]
    pub fn missing(&self) -> HashMap<Fingerprint, Duration> {
        let mut all = HashMap::new();
        for (rule, judged) in self.set.rules.iter().zip(&self.judged) {
            for (key, alert) in judged.alerts.iter().filter(|(_, alert)| !alert.is_idle()) {
                if let Some(missing) = alert.missing {
                    let labels = rule.alert_labels(key);
                    all.insert(Fingerprint::of(&rule.name, &labels), missing.length);
                }
            }
        }
        all
    }

    /// The recording rules, in the order of the declaration.
    pub fn recordings(&self) -> impl Iterator<Item = RecordingStatus<'_>> {
        let kept = self.set.recordings.iter().zip(&self.recorded);
        kept.map(|(rule, kept)| RecordingStatus {
            rule,
            last: kept.last.as_ref(),
        })
    }

    /// The rules with their state, in the order of the declaration.
    pub fn rules(&self) -> impl Iterator<Item = RuleStatus<'_>> {
        self.set
            .rules
            .iter()
            .zip(&self.judged)
            .map(|(rule, judged)| {
                let count = |phase| {
                    judged
                        .alerts
                        .values()
                        .filter(|alert| alert.phase() == phase)
                        .count()
                };
                let (pending, firing) = (count(AlertState::Pending), count(AlertState::Firing));
                let state = match (pending, firing) {
                    (0, 0) => AlertState::Inactive,
                    (_, 0) => AlertState::Pending,
                    _ => AlertState::Firing,
                };
                RuleStatus {
                    rule,
                    state,
                    pending,
                    firing,
                    last: judged.last.as_ref(),
                }
            })
    }
}

#[cfg(test)]
mod tests;
