//! Engine: evaluates rules over the store and over query results, and returns transitions.
//!
//! Owns the alerts of all rules and the last evaluation of each rule. Reads the store, sends
//! nothing, writes nothing, and knows the time only as an argument.

mod self_metrics;
pub(crate) mod status;

use std::sync::Arc;
use std::time::Duration;

use bellwether_core::{
    AlertState, Fingerprint, LabelSet, MonoMillis, Now, Origin, Transition, UnixMillis,
};
use bellwether_tsdb::store::Store;
use hashbrown::{HashMap, HashSet};
pub use self_metrics::SELF_METRICS;

use crate::alert::active_alert::ActiveAlert;
use crate::alert::template::Templates;
use crate::compile::TOLERANCE;
use crate::eval::evaluation::{Cache, RuleEvaluation};
use crate::eval::index::Index;
use crate::eval::join::Selection;
use crate::eval::schedule::LastRun;
use crate::query::history_query::Detectors;
use crate::query::query_batch::{QueryBatch, QueryResults, RecordingResult};
use crate::query::rendered_text::RenderedTexts;
use crate::query::sample_storage::{NoLimits, SampleStorage};
use crate::rule::{Rule, RuleSet, Source};

/// Alerts of one rule by the labels that identify them; the alert of the rule as a whole has none.
/// They are boxed because most rules have one alert, and a table has room for four.
pub(crate) type Alerts = HashMap<LabelSet, Box<ActiveAlert>>;

/// Rules with their state.
#[derive(Debug)]
pub struct Engine {
    pub(crate) set: Arc<RuleSet>,
    pub(crate) rule_states: Vec<RuleState>,
    pub(crate) recording_states: Vec<RecordingState>,
    /// Series of recording rules that are gone; the next query batch ends them.
    pub(crate) ended_series: Vec<LabelSet>,
    index: Index,
    ticks: u64,
    counts: Counts,
    values: Vec<f64>,
}

/// State of one rule.
#[derive(Debug, Default)]
pub(crate) struct RuleState {
    selection: Selection,
    pub(crate) alerts: Alerts,
    pub(crate) last: Option<Evaluation>,
    /// Time since which the rule, or the one it continues after a reload, is evaluated.
    pub(crate) since: MonoMillis,
    last_run: LastRun,
    detectors: Detectors,
}

/// State of one recording rule.
#[derive(Debug, Default)]
pub(crate) struct RecordingState {
    /// Series of the last evaluation.
    pub(crate) series: HashSet<LabelSet>,
    pub(crate) last: Option<Evaluation>,
    last_run: LastRun,
}

/// One evaluation of one rule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evaluation {
    pub at: UnixMillis,
    /// Label sets for which the condition holds.
    pub holds: u32,
    /// Label sets for which it does not hold.
    pub clear: u32,
    /// Label sets without data.
    pub unknown: u32,
    /// Alerts over the limit of the rule.
    pub over_limit: u32,
    /// Error of a failed evaluation.
    pub error: Option<String>,
    /// Reason for a missing result that is no error: no forecast, a detector without enough
    /// samples.
    pub note: Option<String>,
    /// Time that the query took.
    pub took: Duration,
}

/// Result of one tick.
#[derive(Debug, Default, PartialEq)]
pub struct Tick {
    /// Transitions, in the order of the rules.
    pub transitions: Vec<Transition>,
    /// Alerts restored after a restart that got data for the first time.
    pub confirmed: Vec<Fingerprint>,
    /// Rules evaluated.
    pub evaluated: usize,
    /// Rules whose evaluation failed.
    pub failed: usize,
    /// Label sets without data.
    pub unknown: usize,
    /// Set if the state must be saved.
    pub changed: bool,
}

/// Totals since the process started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Rules evaluated.
    pub evaluations: u64,
    /// Evaluations that failed.
    pub failures: u64,
    /// Label sets without data.
    pub unknown: u64,
    /// Alerts that fired.
    pub fired: u64,
    /// Alerts that resolved.
    pub resolved: u64,
}

impl RecordingState {
    /// Notes the result of a query, and returns the evaluation.
    fn apply(&mut self, result: RecordingResult, now: Now) -> &Evaluation {
        let evaluation = Evaluation {
            at: now.wall,
            holds: result.series.len() as u32,
            error: result.error,
            took: result.took,
            ..Evaluation::default()
        };
        self.series = result.series;
        self.last.insert(evaluation)
    }
}

impl Tick {
    pub(crate) fn note(&mut self, evaluation: &Evaluation) {
        self.evaluated += 1;
        self.failed += usize::from(evaluation.error.is_some());
        self.unknown += evaluation.unknown as usize;
    }

    /// Adds the result of a later tick.
    pub fn add(&mut self, other: Tick) {
        self.transitions.extend(other.transitions);
        self.confirmed.extend(other.confirmed);
        self.evaluated += other.evaluated;
        self.failed += other.failed;
        self.unknown += other.unknown;
        self.changed |= other.changed;
    }
}

/// Rules that are evaluated in one tick.
struct Turn<'a> {
    templates: &'a Templates,
    now: Now,
    /// Number of the tick.
    number: u64,
    tick: Tick,
}

impl<'a> Turn<'a> {
    fn new(templates: &'a Templates, now: Now, number: u64) -> Self {
        Self {
            templates,
            now,
            number,
            tick: Tick::default(),
        }
    }

    /// Begins to evaluate a rule that is evaluated since `since`.
    fn begin<'b>(
        &'b mut self,
        rule: &'b Rule,
        alerts: &'b mut Alerts,
        since: MonoMillis,
    ) -> RuleEvaluation<'b> {
        RuleEvaluation {
            rule,
            templates: self.templates,
            now: self.now,
            number: self.number,
            warming: is_warming(rule, since, self.now),
            alerts,
            rendered: RenderedTexts::default(),
            waiting: Vec::new(),
            evaluation: Evaluation {
                at: self.now.wall,
                ..Evaluation::default()
            },
            tick: &mut self.tick,
        }
    }
}

/// Returns true while `rule` is too young to tell missing data from data still to come.
fn is_warming(rule: &Rule, since: MonoMillis, now: Now) -> bool {
    let needed = rule
        .longest_window()
        .max(rule.schedule.interval * TOLERANCE);
    now.mono.since(since) < needed
}

impl Engine {
    /// Creates an engine without alerts.
    #[must_use]
    pub fn new(mut set: RuleSet, now: Now) -> Self {
        set.settings = Vec::new();
        Self::from_shared(Arc::new(set), now)
    }

    /// Creates an engine for a shared rule set.
    #[must_use]
    pub fn from_shared(set: Arc<RuleSet>, now: Now) -> Self {
        let last_run = LastRun::none(now.mono);
        Self {
            rule_states: set
                .rules
                .iter()
                .map(|_| RuleState {
                    since: now.mono,
                    last_run,
                    ..RuleState::default()
                })
                .collect(),
            recording_states: set
                .recordings
                .iter()
                .map(|_| RecordingState {
                    last_run,
                    ..RecordingState::default()
                })
                .collect(),
            set,
            ended_series: Vec::new(),
            index: Index::default(),
            ticks: 0,
            counts: Counts::default(),
            values: Vec::new(),
        }
    }

    /// Evaluates the rules of `trigger`, the collector that has just run, and those without an
    /// evaluation for one and a half of their intervals, so that a hanging collector does not stop
    /// its rules. Without a trigger all rules are evaluated, but none before its own `interval` is
    /// over.
    ///
    /// It is [`Engine::evaluate`] followed, with `storage`, by a [`QueryBatch`] without limits: for
    /// virtual time.
    pub fn tick(
        &mut self,
        store: &Store,
        storage: Option<&dyn SampleStorage>,
        now: Now,
        trigger: Option<Origin>,
    ) -> Tick {
        let collected = trigger.as_ref().map(std::slice::from_ref);
        let mut tick = self.evaluate(store, now, collected);
        let batch = self.query_batch(now, collected);
        if !batch.is_empty() {
            tick.add(self.apply(batch.run(storage, &NoLimits)));
        }
        tick
    }

    /// Evaluates the due rules over series of the store, after the collectors `collected` have run;
    /// `None` means all. See [`Engine::tick`].
    ///
    /// The store must have been built from the metrics that the rules were compiled with.
    pub fn evaluate(&mut self, store: &Store, now: Now, collected: Option<&[Origin]>) -> Tick {
        self.ticks += 1;
        let set = Arc::clone(&self.set);
        let reader = store.read();
        let mut turn = Turn::new(&set.templates, now, self.ticks);
        for (rule, rule_state) in set.rules.iter().zip(&mut self.rule_states) {
            let Source::Series(formula) = &rule.source else {
                continue;
            };
            let last_run = &mut rule_state.last_run;
            if !rule.enabled || !last_run.start_if_due(&rule.schedule, now.mono, collected) {
                continue;
            }
            let mut rule_evaluation = turn.begin(rule, &mut rule_state.alerts, rule_state.since);
            let mut cache = Cache {
                selection: &mut rule_state.selection,
                index: &mut self.index,
                values: &mut self.values,
            };
            rule_evaluation.series(formula, &reader, &mut cache);
            rule_state.last = Some(rule_evaluation.finish());
        }
        let tick = turn.tick;
        self.count(&tick);
        tick
    }

    /// Returns the due queries of rules over history, as in [`Engine::evaluate`]. Their results go
    /// to [`Engine::apply`] before the next batch is made.
    #[must_use]
    pub fn query_batch(&mut self, now: Now, collected: Option<&[Origin]>) -> QueryBatch {
        let set = Arc::clone(&self.set);
        let recording_state = set
            .recordings
            .iter()
            .zip(&mut self.recording_states)
            .enumerate();
        let recordings = recording_state
            .filter_map(|(number, (rule, recording_state))| {
                let due = rule.enabled
                    && recording_state
                        .last_run
                        .start_if_due(&rule.schedule, now.mono, collected);
                due.then(|| (number, std::mem::take(&mut recording_state.series)))
            })
            .collect();
        let rule_state = set.rules.iter().zip(&mut self.rule_states).enumerate();
        let rules = rule_state
            .filter(|(_, (rule, _))| rule.enabled && rule.history_query().is_some())
            .filter_map(|(number, (rule, rule_state))| {
                let due = rule_state
                    .last_run
                    .start_if_due(&rule.schedule, now.mono, collected);
                due.then(|| (number, std::mem::take(&mut rule_state.detectors)))
            })
            .collect();
        QueryBatch {
            now,
            ended_series: std::mem::take(&mut self.ended_series),
            recordings,
            rules,
            set,
        }
    }

    /// Evaluates the results of a query batch. Results for another rule set, from before a reload,
    /// are ignored.
    pub fn apply(&mut self, results: QueryResults) -> Tick {
        let QueryResults {
            set,
            now,
            recordings,
            rules,
        } = results;
        if !Arc::ptr_eq(&set, &self.set) {
            return Tick::default();
        }
        self.ticks += 1;
        let mut turn = Turn::new(&set.templates, now, self.ticks);
        for result in recordings {
            let recording_state = &mut self.recording_states[result.index];
            turn.tick.note(recording_state.apply(result, now));
        }
        for result in rules {
            let rule_state = &mut self.rule_states[result.index];
            rule_state.detectors = result.detectors;
            let rule = &set.rules[result.index];
            let mut rule_evaluation = turn.begin(rule, &mut rule_state.alerts, rule_state.since);
            rule_evaluation.rendered = result.rendered;
            rule_evaluation.evaluation.took = result.took;
            rule_evaluation.query_rows(result.rows);
            rule_state.last = Some(rule_evaluation.finish());
        }
        let tick = turn.tick;
        self.count(&tick);
        tick
    }

    /// Resolves a firing alert for `reason`, whatever its condition. It fires anew only after its
    /// condition did not hold once. Returns the transition; none if no such alert fires.
    pub fn resolve(&mut self, alert: Fingerprint, reason: &str, now: Now) -> Option<Transition> {
        let rules = self.set.rules.iter().zip(&mut self.rule_states);
        let mut alerts = rules.flat_map(|(rule, state)| {
            let alerts = state.alerts.iter_mut();
            alerts.map(move |(key, alert)| (rule, key, alert))
        });
        let is_wanted = |rule: &Rule, key: &LabelSet| {
            Fingerprint::of(&rule.name, &rule.alert_labels(key)) == alert
        };
        let (_, _, alert) = alerts.find(|(rule, key, alert)| {
            alert.phase() == AlertState::Firing && is_wanted(rule, key)
        })?;
        let transition = alert.close(reason.to_owned(), now.wall)?;
        self.count_transitions(std::slice::from_ref(&transition));
        Some(transition)
    }

    fn count(&mut self, tick: &Tick) {
        self.counts.evaluations += tick.evaluated as u64;
        self.counts.failures += tick.failed as u64;
        self.counts.unknown += tick.unknown as u64;
        self.count_transitions(&tick.transitions);
    }

    pub(crate) fn count_transitions(&mut self, transitions: &[Transition]) {
        for transition in transitions {
            match (transition.from, transition.alert.state) {
                (AlertState::Firing, AlertState::Inactive) => self.counts.resolved += 1,
                (from, AlertState::Firing) if from != AlertState::Firing => self.counts.fired += 1,
                _ => {}
            }
        }
    }

    pub(crate) fn continue_counts(&mut self, counts: Counts) {
        self.counts = counts;
    }

    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }
}

#[cfg(test)]
mod tests;
