//! One rule in one tick: what was seen of each label set, and what follows for its alert.
//!
//! Owns the way from rows to sights, also where there is nothing to see. Reads what it is given.

use crate::model::{LabelSet, Mono, Now};
use crate::store::Reader;

use super::condition::Verdict;
use super::detail::Detail;
use super::engine::{Alerts, Evaluation, Tick};
use super::expr::Formula;
use super::index::Index;
use super::instance::Instance;
use super::join::Selection;
use super::limit;
use super::question::{Finding, Look, Row, Rows};
use super::reason::Ground;
use super::rule::Rule;
use super::settings::Otherwise;
use super::step::Sight;
use super::template::Templates;

/// What is kept from tick to tick so that a store is read quickly.
pub(super) struct Cache<'a> {
    pub(super) selection: &'a mut Selection,
    pub(super) index: &'a mut Index,
    pub(super) values: &'a mut Vec<f64>,
}

/// One rule in one tick.
pub(super) struct Judging<'a> {
    pub(super) rule: &'a Rule,
    pub(super) templates: &'a Templates,
    pub(super) now: Now,
    /// Of the tick.
    pub(super) number: u64,
    /// Whether the rule is too young to tell missing data from data still to come.
    pub(super) warming: bool,
    pub(super) alerts: &'a mut Alerts,
    /// Of a rule with a limit, what holds and has no alert yet.
    pub(super) waiting: Vec<(LabelSet, Seen<'static>)>,
    pub(super) evaluation: Evaluation,
    pub(super) tick: &'a mut Tick,
}

/// What was seen of one label set.
#[derive(Clone, Debug)]
pub(super) struct Seen<'a> {
    sight: Sight,
    ground: Ground<'a>,
    /// The number that people are shown.
    value: Option<f64>,
    detail: Option<Detail>,
}

impl<'a> Seen<'a> {
    /// Without a value.
    fn bare(sight: Sight, ground: Ground<'a>) -> Self {
        Self { sight, ground, value: None, detail: None }
    }
}

impl Judging<'_> {
    /// Judges the series of the store that `formula` reads.
    pub(super) fn series(&mut self, formula: &Formula, reader: &Reader<'_>, cache: &mut Cache<'_>) {
        let Cache { selection, index, values } = cache;
        let (inputs, labels) = (&formula.inputs, self.rule.labels.fixed());
        if let Err(error) = selection.refresh(inputs, labels, reader, index) {
            self.failed(error);
            return;
        }
        let rows = selection.len();
        if rows == 0 {
            self.blind(Ground::NoData);
            return;
        }
        let mut left = self.alerts.len();
        for row in 0..rows {
            let sample = selection.read(inputs, reader, row, self.now.mono, values);
            let value = formula.judged(values);
            let (sight, ground) = self.sight(value, sample);
            let holds = sight.level().is_some();
            self.count(value.is_nan(), holds);
            if holds || !self.alerts.is_empty() {
                let key = selection.key(inputs, labels, reader, row);
                let value = formula.shown(values).filter(|_| !value.is_nan());
                let seen = Seen { sight, ground, value, detail: None };
                left = left.saturating_sub(usize::from(self.see(key, seen)));
            }
        }
        if left > 0 {
            self.absent();
        }
        self.limit();
    }

    /// Judges what history answered.
    pub(super) fn answer(&mut self, rows: Result<Rows, String>) {
        let Rows { rows, note } = match rows {
            Ok(rows) => rows,
            Err(error) => {
                self.failed(error);
                return;
            }
        };
        self.evaluation.note = note;
        // A query that is a condition itself answers with nothing when all is well.
        let condition = self.rule.question().is_some_and(|q| matches!(q.look, Look::Present));
        if rows.is_empty() && !condition {
            self.blind(Ground::NoData);
            return;
        }
        for Row { key, value, finding, detail } in rows {
            let sample = self.now.mono;
            let judged = |verdict| (Sight::Judged { verdict, sample }, Ground::Value);
            let (sight, ground) = match finding {
                Finding::Value => self.sight(value, sample),
                Finding::Holds => judged(Verdict::Holds(0)),
                Finding::HoldsOn if self.alerts.contains_key(&key) => judged(Verdict::Holds(0)),
                Finding::HoldsOn | Finding::Clear => judged(Verdict::Clear),
                Finding::Unknown => (Sight::Unknown, Ground::NoData),
            };
            let holds = sight.level().is_some();
            self.count(finding == Finding::Unknown || ground == Ground::NoData, holds);
            let value = Some(value).filter(|value| !value.is_nan());
            self.see(key, Seen { sight, ground, value, detail });
        }
        self.absent();
        self.limit();
    }

    fn count(&mut self, unknown: bool, holds: bool) {
        self.evaluation.holds += u32::from(holds && !unknown);
        self.evaluation.clear += u32::from(!holds && !unknown);
        self.evaluation.unknown += u32::from(unknown);
    }

    fn failed(&mut self, error: String) {
        self.blind(Ground::Error(&error));
        self.evaluation.error = Some(error);
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
                    self.advance(&key, Seen::bare(sight, ground));
                }
            }
            // The alerts of label sets stay as they are; the rule as a whole gets one of its own.
            Otherwise::Alert => {
                self.advance(&LabelSet::default(), Seen::bare(sight, ground));
            }
        }
    }

    /// Clears the alerts whose label sets this tick did not see.
    fn absent(&mut self) {
        let clear = Sight::Judged { verdict: Verdict::Clear, sample: self.now.mono };
        let (number, now) = (self.number, self.now.mono);
        let gone = |alert: &Instance| alert.seen != number && now >= alert.grace;
        for key in self.keys(gone) {
            if self.rule.overflow(&key).is_some() {
                continue;
            }
            let whole = key.is_empty() && self.alerts.get(&key).is_some_and(|alert| alert.blind);
            let ground = if whole { Ground::Returned } else { Ground::Vanished };
            self.advance(&key, Seen::bare(clear, ground));
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

    /// Lets in what waits as far as there is room, by labels, and tells of the rest in one alert of
    /// its own.
    fn limit(&mut self) {
        let Some(limit) = self.rule.limit else { return };
        let overflow = limit::overflow();
        let (beside, now) = (self.alerts.contains_key(&overflow), self.now.mono);
        let held = self.alerts.len() - usize::from(beside);
        let mut waiting = std::mem::take(&mut self.waiting);
        let total = held + waiting.len();
        waiting.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        let left_out = waiting.split_off(waiting.len().min(limit.saturating_sub(held)));
        for (key, seen) in waiting {
            self.advance(&key, seen);
        }
        let worst = left_out.iter().filter_map(|(_, seen)| seen.sight.level()).max();
        if beside || worst.is_some() {
            let verdict = worst.map_or(Verdict::Clear, Verdict::Holds);
            let sight = Sight::Judged { verdict, sample: now };
            let value = Some(total as f64);
            let ground = Ground::Limit(limit);
            self.advance(&overflow, Seen { sight, ground, value, detail: None });
        }
        self.evaluation.left_out = left_out.len() as u32;
        if worst.is_some() {
            let note = format!("alerts left out by the limit {limit}: {}", left_out.len());
            self.evaluation.note.get_or_insert(note);
        }
    }

    /// Takes in what was seen of one label set, or lets it wait where the rule has a limit; tells
    /// whether it had an alert.
    fn see(&mut self, key: LabelSet, seen: Seen<'static>) -> bool {
        let waits = self.rule.limit.is_some() && !self.alerts.contains_key(&key);
        if !waits {
            return self.advance(&key, seen);
        }
        if seen.sight.level().is_some() {
            self.waiting.push((key, seen));
        }
        false
    }

    /// Takes in what was seen of one label set; tells whether it had an alert.
    fn advance(&mut self, key: &LabelSet, seen: Seen<'_>) -> bool {
        let Seen { sight, ground, value, detail } = seen;
        let holds = sight.level().is_some();
        let (known, mut fresh) =
            (self.alerts.get_mut(key).map(|alert| &mut **alert), Instance::new());
        let existed = known.is_some();
        let Some(alert) = known.or(holds.then_some(&mut fresh)) else { return existed };
        alert.seen = self.number;
        alert.value = value.or(alert.value);
        alert.detail = detail.or(alert.detail.take());
        let before = alert.state;
        let transition = alert.advance(self.rule, self.templates, key, (sight, ground), self.now);
        self.tick.changed |= transition.is_some() || !alert.state.is_settled(&before);
        self.tick.transitions.extend(transition);
        match (existed, alert.is_idle()) {
            (true, true) => drop(self.alerts.remove(key)),
            (false, false) => drop(self.alerts.insert(key.clone(), Box::new(fresh))),
            _ => {}
        }
        existed
    }
}
