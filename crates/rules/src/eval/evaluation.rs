//! Evaluation of one rule in one tick: observations of each label set, and the transitions of its
//! alerts.
//!
//! Owns the step from rows to observations, also for missing data. Reads only its arguments.

mod limit;
mod missing;

use bellwether_core::{LabelSet, MonoMillis, Now};
use bellwether_tsdb::store::Reader;

use crate::alert::active_alert::ActiveAlert;
use crate::alert::detail::Detail;
use crate::alert::reason::Cause;
use crate::alert::state_machine::{Observation, State};
use crate::alert::template::Templates;
use crate::eval::condition::ConditionState;
use crate::eval::engine::{Alerts, Evaluation, Tick};
use crate::eval::index::Index;
use crate::eval::join::Selection;
use crate::expr::Formula;
use crate::query::history_query::{Row, RowState, Rows};
use crate::query::rendered_text::RenderedTexts;
use crate::rule::Rule;

/// Caches between ticks for fast reads of the store.
pub(crate) struct Cache<'a> {
    pub(crate) selection: &'a mut Selection,
    pub(crate) index: &'a mut Index,
    pub(crate) values: &'a mut Vec<f64>,
}

/// Evaluation of one rule in one tick.
pub(crate) struct RuleEvaluation<'a> {
    pub(crate) rule: &'a Rule,
    pub(crate) templates: &'a Templates,
    pub(crate) now: Now,
    /// Number of the tick.
    pub(crate) number: u64,
    /// Set while the rule is too young to tell missing data from data still to come.
    pub(crate) warming: bool,
    pub(crate) alerts: &'a mut Alerts,
    /// Texts that query history, rendered for this evaluation.
    pub(crate) rendered: RenderedTexts,
    /// Label sets of a rule with a limit that hold and have no alert yet.
    pub(crate) waiting: Vec<(LabelSet, Evaluated<'static>)>,
    pub(crate) evaluation: Evaluation,
    pub(crate) tick: &'a mut Tick,
}

/// Observation of one label set.
#[derive(Clone, Debug)]
pub(crate) struct Evaluated<'a> {
    observation: Observation,
    cause: Cause<'a>,
    /// Value to show.
    value: Option<f64>,
    detail: Option<Detail>,
    /// Set if there is a series.
    present: bool,
}

impl<'a> Evaluated<'a> {
    /// Creates an observation without a series.
    fn without_series(observation: Observation, cause: Cause<'a>) -> Self {
        Self {
            observation,
            cause,
            value: None,
            detail: None,
            present: false,
        }
    }
}

impl RuleEvaluation<'_> {
    /// Notes the evaluation in the tick, and returns it.
    pub(crate) fn finish(self) -> Evaluation {
        self.tick.note(&self.evaluation);
        self.evaluation
    }

    /// Evaluates the series of the store that `formula` reads.
    pub(crate) fn series(&mut self, formula: &Formula, reader: &Reader<'_>, cache: &mut Cache<'_>) {
        let Cache {
            selection,
            index,
            values,
        } = cache;
        let (inputs, labels) = (&formula.inputs, self.rule.labels.fixed());
        if let Err(error) = selection.refresh(inputs, labels, reader, index) {
            self.failed(error);
            return;
        }
        let rows = selection.len();
        if rows == 0 {
            self.no_series();
            return;
        }
        let mut unmatched = self.alerts.len();
        for row in 0..rows {
            let sample = selection.read(inputs, reader, row, self.now.mono, values);
            let value = formula.evaluate(values);
            let (observation, cause) = self.observation(value, sample);
            let holds = observation.level().is_some();
            self.count(value.is_nan(), holds);
            if holds || self.rule.remembers_series() || !self.alerts.is_empty() {
                let key = selection.key(inputs, labels, reader, row);
                let value = formula.shown(values).filter(|_| !value.is_nan());
                let evaluated = Evaluated {
                    observation,
                    cause,
                    value,
                    detail: None,
                    present: true,
                };
                unmatched = unmatched.saturating_sub(usize::from(self.observe(key, evaluated)));
            }
        }
        if unmatched > 0 {
            self.missing(true);
        }
        self.limit();
    }

    /// Evaluates the rows of a query over history.
    pub(crate) fn query_rows(&mut self, rows: Result<Rows, String>) {
        let Rows { rows, note } = match rows {
            Ok(rows) => rows,
            Err(error) => {
                self.failed(error);
                return;
            }
        };
        self.evaluation.note = note;
        if rows.is_empty() && !self.rule.resolves_when_absent() {
            self.no_series();
            return;
        }
        for Row {
            key,
            value,
            state,
            detail,
        } in rows
        {
            let (observation, cause) = self.row_observation(&key, value, state);
            let holds = observation.level().is_some();
            self.count(state == RowState::Unknown || cause == Cause::NoData, holds);
            let value = Some(value).filter(|value| !value.is_nan());
            self.observe(
                key,
                Evaluated {
                    observation,
                    cause,
                    value,
                    detail,
                    present: true,
                },
            );
        }
        self.missing(true);
        self.limit();
    }

    fn row_observation(
        &self,
        key: &LabelSet,
        value: f64,
        state: RowState,
    ) -> (Observation, Cause<'static>) {
        let sample = self.now.mono;
        let condition = match state {
            RowState::Compare => return self.observation(value, sample),
            RowState::Unknown => return (Observation::Unknown, Cause::NoData),
            RowState::Breached => ConditionState::Breached(0),
            RowState::KeepsFiring if self.has_alert(key) => ConditionState::Breached(0),
            RowState::KeepsFiring | RowState::Ok => ConditionState::Ok,
        };
        (Observation::Evaluated { condition, sample }, Cause::Value)
    }

    fn count(&mut self, unknown: bool, holds: bool) {
        self.evaluation.holds += u32::from(holds && !unknown);
        self.evaluation.clear += u32::from(!holds && !unknown);
        self.evaluation.unknown += u32::from(unknown);
    }

    /// Compares a value; NaN goes by `on_no_data`.
    fn observation(&self, value: f64, sample: MonoMillis) -> (Observation, Cause<'static>) {
        if value.is_nan() {
            return (
                self.no_data_observation(self.rule.on_no_data),
                Cause::NoData,
            );
        }
        (
            Observation::Evaluated {
                condition: self.rule.comparison.evaluate(value),
                sample,
            },
            Cause::Value,
        )
    }

    /// Returns true if a label set has an alert; a series that is only remembered has none.
    fn has_alert(&self, key: &LabelSet) -> bool {
        self.alerts.get(key).is_some_and(|alert| !alert.is_idle())
    }

    fn keys(&self, wanted: impl Fn(&ActiveAlert) -> bool) -> Vec<LabelSet> {
        let mut keys: Vec<LabelSet> = self
            .alerts
            .iter()
            .filter(|(_, alert)| wanted(alert))
            .map(|(key, _)| key.clone())
            .collect();
        keys.sort_unstable();
        keys
    }

    /// Applies the observation of one label set, or queues it if the rule has a limit. Returns true
    /// if the label set had an entry.
    fn observe(&mut self, key: LabelSet, evaluated: Evaluated<'static>) -> bool {
        let holds = evaluated.observation.level().is_some();
        let waits = self.rule.limit.is_some() && holds && !self.has_alert(&key);
        if !waits {
            return self.advance(&key, evaluated);
        }
        let remembered = self
            .alerts
            .get_mut(&key)
            .map(|alert| alert.last_tick = self.number);
        self.waiting.push((key, evaluated));
        remembered.is_some()
    }

    /// Applies the observation of one label set. Returns true if it had an entry.
    fn advance(&mut self, key: &LabelSet, evaluated: Evaluated<'_>) -> bool {
        let Evaluated {
            observation,
            cause,
            value,
            detail,
            present,
        } = evaluated;
        let remembers = self.rule.remembers_series() && self.rule.overflow(key).is_none();
        let begins = observation.level().is_some() || present && remembers;
        let (existing, mut fresh) = (
            self.alerts.get_mut(key).map(|alert| &mut **alert),
            ActiveAlert::new(),
        );
        let existed = existing.is_some();
        let Some(alert) = existing.or(begins.then_some(&mut fresh)) else {
            return existed;
        };
        alert.last_tick = self.number;
        alert.value = value.or(alert.value);
        alert.detail = detail.or(alert.detail.take());
        alert.rendered = self.rendered.remove(key).or(alert.rendered.take());
        if present {
            (alert.observed, alert.missing) = (true, None);
            let of_data = matches!(cause, Cause::Value | Cause::Limit(_));
            if of_data && observation != Observation::Unknown {
                self.tick.confirmed.extend(alert.confirm());
            }
        }
        let before = alert.state;
        let transition = alert.advance(
            self.rule,
            self.templates,
            key,
            (observation, cause),
            self.now,
        );
        let settled = alert.state.is_settled(&before)
            || existed && alert.state == before && before == State::INACTIVE;
        self.tick.changed |= transition.is_some() || !settled;
        self.tick.transitions.extend(transition);
        let remembered = remembers && alert.observed && cause != Cause::Vanished;
        let forgotten = alert.is_idle() && !remembered;
        match (existed, forgotten) {
            (true, true) => drop(self.alerts.remove(key)),
            (false, false) => drop(self.alerts.insert(key.clone(), Box::new(fresh))),
            _ => {}
        }
        existed
    }
}
