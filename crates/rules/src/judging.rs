//! One rule in one tick: what was seen of each label set, and what follows for its alert.
//!
//! Owns the way from rows to sights, also where there is nothing to see. Reads what it is given.

use bellwether_core::{LabelSet, MonoMillis, Now};
use bellwether_tsdb::store::Reader;

use super::asked::AskedTexts;
use super::condition::Verdict;
use super::detail::Detail;
use super::engine::{Alerts, Evaluation, Tick};
use super::expr::Formula;
use super::index::Index;
use super::instance::Instance;
use super::join::Selection;
use super::limit;
use super::question::{Finding, Row, Rows};
use super::reason::Ground;
use super::rule::Rule;
use super::settings::NoDataPolicy;
use super::step::{Sight, State};
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
    /// Texts that ask history, as they were written for this evaluation.
    pub(super) asked: AskedTexts,
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
    /// Whether there is a series.
    present: bool,
}

impl<'a> Seen<'a> {
    /// Of no series.
    fn bare(sight: Sight, ground: Ground<'a>) -> Self {
        Self {
            sight,
            ground,
            value: None,
            detail: None,
            present: false,
        }
    }
}

impl Judging<'_> {
    /// Judges the series of the store that `formula` reads.
    pub(super) fn series(&mut self, formula: &Formula, reader: &Reader<'_>, cache: &mut Cache<'_>) {
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
        let mut left = self.alerts.len();
        for row in 0..rows {
            let sample = selection.read(inputs, reader, row, self.now.mono, values);
            let value = formula.judged(values);
            let (sight, ground) = self.sight(value, sample);
            let holds = sight.level().is_some();
            self.count(value.is_nan(), holds);
            if holds || self.rule.remembers_series() || !self.alerts.is_empty() {
                let key = selection.key(inputs, labels, reader, row);
                let value = formula.shown(values).filter(|_| !value.is_nan());
                let seen = Seen {
                    sight,
                    ground,
                    value,
                    detail: None,
                    present: true,
                };
                left = left.saturating_sub(usize::from(self.see(key, seen)));
            }
        }
        if left > 0 {
            self.missing(true);
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
        if rows.is_empty() && !self.rule.ends_by_absence() {
            self.no_series();
            return;
        }
        for Row {
            key,
            value,
            finding,
            detail,
        } in rows
        {
            let sample = self.now.mono;
            let judged = |verdict| (Sight::Judged { verdict, sample }, Ground::Value);
            let (sight, ground) = match finding {
                Finding::Value => self.sight(value, sample),
                Finding::Holds => judged(Verdict::Holds(0)),
                Finding::HoldsOn if self.has_alert(&key) => judged(Verdict::Holds(0)),
                Finding::HoldsOn | Finding::Clear => judged(Verdict::Clear),
                Finding::Unknown => (Sight::Unknown, Ground::NoData),
            };
            let holds = sight.level().is_some();
            self.count(
                finding == Finding::Unknown || ground == Ground::NoData,
                holds,
            );
            let value = Some(value).filter(|value| !value.is_nan());
            self.see(
                key,
                Seen {
                    sight,
                    ground,
                    value,
                    detail,
                    present: true,
                },
            );
        }
        self.missing(true);
        self.limit();
    }

    fn count(&mut self, unknown: bool, holds: bool) {
        self.evaluation.holds += u32::from(holds && !unknown);
        self.evaluation.clear += u32::from(!holds && !unknown);
        self.evaluation.unknown += u32::from(unknown);
    }

    /// What a value means; NaN goes by `on_no_data`.
    fn sight(&self, value: f64, sample: MonoMillis) -> (Sight, Ground<'static>) {
        if value.is_nan() {
            return (self.otherwise(self.rule.on_no_data), Ground::NoData);
        }
        (
            Sight::Judged {
                verdict: self.rule.judge.verdict(value),
                sample,
            },
            Ground::Value,
        )
    }

    fn otherwise(&self, otherwise: NoDataPolicy) -> Sight {
        let verdict = match otherwise {
            NoDataPolicy::Keep => return Sight::Unknown,
            NoDataPolicy::Alert if self.warming => return Sight::Unknown,
            NoDataPolicy::Ok => Verdict::Clear,
            NoDataPolicy::Alert => Verdict::Holds(0),
        };
        Sight::Judged {
            verdict,
            sample: self.now.mono,
        }
    }

    /// The evaluation failed, so nothing can be said of any label set.
    fn failed(&mut self, error: String) {
        self.evaluation.unknown += 1;
        let (ground, sight) = (Ground::Error(&error), self.otherwise(self.rule.on_error));
        match self.rule.on_error {
            NoDataPolicy::Keep => {}
            NoDataPolicy::Ok => {
                for key in self.keys(|_| true) {
                    self.advance(&key, Seen::bare(sight, ground));
                }
            }
            // The alerts of label sets stay as they are; the rule as a whole gets one of its own.
            NoDataPolicy::Alert => {
                self.advance(&LabelSet::default(), Seen::bare(sight, ground));
            }
        }
        self.evaluation.error = Some(error);
    }

    /// There is no series at all. Where none was ever seen, the rule as a whole has no data.
    fn no_series(&mut self) {
        self.evaluation.unknown += 1;
        self.missing(false);
        let known = self.alerts.values().any(|alert| alert.observed);
        if self.rule.on_no_data == NoDataPolicy::Alert && !known {
            let sight = self.otherwise(NoDataPolicy::Alert);
            self.advance(&LabelSet::default(), Seen::bare(sight, Ground::NoData));
        }
        if self.rule.on_no_data == NoDataPolicy::Alert {
            self.limit();
        }
    }

    /// Applies `on_no_data` to each known label set whose series is missing, by itself: whether
    /// there are `others` makes no difference.
    fn missing(&mut self, others: bool) {
        let (number, now) = (self.number, self.now.mono);
        let (clear, otherwise) = (self.otherwise(NoDataPolicy::Ok), self.rule.on_no_data);
        let known = others || self.alerts.values().any(|alert| alert.observed);
        for key in self.keys(|alert| alert.seen != number) {
            let overflow = self.rule.overflow(&key).is_some();
            let Some(alert) = self.alerts.get_mut(&key) else {
                continue;
            };
            // That of those left out is for `limit` to end, as long as there are any.
            if overflow && (others || otherwise == NoDataPolicy::Alert) {
                continue;
            }
            // That of the rule as a whole ends with the first series.
            if !overflow && !alert.observed {
                if known {
                    self.advance(&key, Seen::bare(clear, Ground::Returned));
                } else if otherwise == NoDataPolicy::Ok {
                    self.advance(&key, Seen::bare(clear, Ground::NoData));
                }
                continue;
            }
            // After a restart its data may still come.
            if now < alert.grace {
                continue;
            }
            let gone = alert.misses(self.rule, now);
            let by_absence = self.rule.ends_by_absence();
            self.evaluation.unknown += u32::from(others && !by_absence);
            let (sight, ground) = match otherwise {
                _ if gone || by_absence => (clear, Ground::Vanished),
                NoDataPolicy::Keep => continue,
                NoDataPolicy::Ok => (clear, Ground::NoData),
                NoDataPolicy::Alert => (self.otherwise(NoDataPolicy::Alert), Ground::NoData),
            };
            self.see(key, Seen::bare(sight, ground));
        }
    }

    /// Whether a label set has an alert, and is not only remembered.
    fn has_alert(&self, key: &LabelSet) -> bool {
        self.alerts.get(key).is_some_and(|alert| !alert.is_idle())
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
        let held = self
            .alerts
            .values()
            .filter(|alert| !alert.is_idle())
            .count();
        let held = held - usize::from(beside);
        let mut waiting = std::mem::take(&mut self.waiting);
        let total = held + waiting.len();
        waiting.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        let left_out = waiting.split_off(waiting.len().min(limit.saturating_sub(held)));
        for (key, seen) in waiting {
            self.advance(&key, seen);
        }
        let worst = left_out
            .iter()
            .filter_map(|(_, seen)| seen.sight.level())
            .max();
        // After a restart those left out may still come.
        let early = self
            .alerts
            .get(&overflow)
            .is_some_and(|alert| now < alert.grace);
        if beside && !early || worst.is_some() {
            let verdict = worst.map_or(Verdict::Clear, Verdict::Holds);
            let sight = Sight::Judged {
                verdict,
                sample: now,
            };
            let value = Some(total as f64);
            let ground = Ground::Limit(limit);
            let seen = Seen {
                sight,
                ground,
                value,
                detail: None,
                present: true,
            };
            self.advance(&overflow, seen);
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
        let holds = seen.sight.level().is_some();
        let waits = self.rule.limit.is_some() && holds && !self.has_alert(&key);
        if !waits {
            return self.advance(&key, seen);
        }
        let remembered = self
            .alerts
            .get_mut(&key)
            .map(|alert| alert.seen = self.number);
        self.waiting.push((key, seen));
        remembered.is_some()
    }

    /// Takes in what was seen of one label set; tells whether it had an alert.
    fn advance(&mut self, key: &LabelSet, seen: Seen<'_>) -> bool {
        let Seen {
            sight,
            ground,
            value,
            detail,
            present,
        } = seen;
        let remembers = self.rule.remembers_series() && self.rule.overflow(key).is_none();
        let begins = sight.level().is_some() || present && remembers;
        let (known, mut fresh) = (
            self.alerts.get_mut(key).map(|alert| &mut **alert),
            Instance::new(),
        );
        let existed = known.is_some();
        let Some(alert) = known.or(begins.then_some(&mut fresh)) else {
            return existed;
        };
        alert.seen = self.number;
        alert.value = value.or(alert.value);
        alert.detail = detail.or(alert.detail.take());
        alert.asked = self.asked.remove(key).or(alert.asked.take());
        if present {
            (alert.observed, alert.missing) = (true, None);
            // It is from before a restart, and its data are there.
            let of_data = matches!(ground, Ground::Value | Ground::Limit(_));
            if alert.grace != MonoMillis::default() && of_data && sight != Sight::Unknown {
                alert.grace = MonoMillis::default();
                self.tick
                    .confirmed
                    .extend(alert.told.as_ref().map(|told| told.fingerprint));
            }
        }
        let before = alert.state;
        let transition = alert.advance(self.rule, self.templates, key, (sight, ground), self.now);
        let settled = alert.state.is_settled(&before)
            || existed && alert.state == before && before == State::INACTIVE;
        self.tick.changed |= transition.is_some() || !settled;
        self.tick.transitions.extend(transition);
        let remembered = remembers && alert.observed && ground != Ground::Vanished;
        let forgotten = alert.is_idle() && !remembered;
        match (existed, forgotten) {
            (true, true) => drop(self.alerts.remove(key)),
            (false, false) => drop(self.alerts.insert(key.clone(), Box::new(fresh))),
            _ => {}
        }
        existed
    }
}
