//! What a rule asks of history, and what it makes of the answer: one row for each series.
//!
//! Owns queries, detectors and forecasts of rules. Knows no state of alerts; what a row means for
//! one is for `judging`.

use std::sync::Arc;
use std::time::Duration;

use bellwether_analysis::anomaly::{self, Detector};
use bellwether_analysis::forecast::{Days, Horizon, NoForecast, Outlook};
use bellwether_core::{LabelSet, Labels, UnixMillis};
use bellwether_promql::{Guard, Options, Query, Queryable, SampledSeries, Value};
use hashbrown::{HashMap, HashSet};

use super::detail::Detail;
use super::matcher::Matcher;
use super::names::Names;

/// A query over history and what is looked for in its answer.
#[derive(Clone, Debug)]
pub struct Question {
    /// What is asked.
    pub query: Query,
    /// That as declared, where the rule declares a query.
    pub declared: Option<Arc<str>>,
    /// How old the last sample of a series may be.
    pub lookback: Duration,
    /// Only series whose labels pass.
    pub matchers: Vec<(Arc<str>, Matcher)>,
    /// What is looked for.
    pub look: Look,
}

/// What is looked for in an answer.
#[derive(Clone, Debug)]
pub enum Look {
    /// Values to compare with the threshold of the rule.
    Compared,
    /// Series: each one holds, as in Prometheus.
    Present,
    /// Values that are odd.
    Anomaly(Detection),
    /// Values that will be reached.
    Forecast(Forecasting),
}

/// How odd values are found.
#[derive(Clone, Debug)]
pub struct Detection {
    /// How.
    pub settings: anomaly::Settings,
    /// How far apart samples are.
    pub interval: Duration,
}

/// Which value is foreseen.
#[derive(Clone, Copy, Debug)]
pub struct Forecasting {
    /// What is reached, and how soon.
    pub horizon: Horizon,
    /// How far apart samples are looked at.
    pub step: Duration,
}

/// What one series of an answer is.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// What tells its alert apart.
    pub key: LabelSet,
    /// Its value.
    pub value: f64,
    /// What follows from it.
    pub finding: Finding,
    /// What is known beside the value.
    pub detail: Option<Detail>,
}

/// What follows from a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// The value is to be compared.
    Value,
    /// The condition holds.
    Holds,
    /// It holds for an alert that there is, and makes no new one.
    HoldsOn,
    /// It does not hold.
    Clear,
    /// Nothing can be said yet.
    Unknown,
}

/// The rows of one answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rows {
    /// One for each series.
    pub rows: Vec<Row>,
    /// Why something could not be told that is no error.
    pub note: Option<String>,
}

/// What one rule keeps of its series from one question to the next, by what tells its alerts apart.
#[derive(Clone, Debug, Default)]
pub struct Detectors {
    warm: bool,
    by_key: HashMap<LabelSet, Detector>,
    /// What forecasts know of days.
    days: HashMap<LabelSet, Days>,
}

/// Where a question is asked.
pub struct Asking<'a> {
    /// Of whom.
    pub memory: &'a dyn Queryable,
    /// As of when.
    pub at: UnixMillis,
    /// Within which limits.
    pub guard: &'a Guard,
    /// What the labels of a series become.
    pub names: &'a Names,
    /// The labels that the rule adds.
    pub added: &'a Labels,
}

/// Most points of the past that a detector is shown at its start, coarse ones and recent ones.
const COARSE: u32 = 2_000;
const RECENT: u32 = 1_000;

impl Question {
    /// Asks; one row for each series.
    ///
    /// # Errors
    /// Why there is no answer, in one line.
    pub fn rows(&self, asking: &Asking<'_>, detectors: &mut Detectors) -> Result<Rows, String> {
        match &self.look {
            Look::Compared => self.values(asking, Finding::Value),
            Look::Present => self.values(asking, Finding::Holds),
            Look::Anomaly(detection) => self.anomalies(asking, detection, detectors),
            Look::Forecast(forecasting) => self.forecasts(asking, forecasting, detectors),
        }
    }

    fn values(&self, asking: &Asking<'_>, finding: Finding) -> Result<Rows, String> {
        let values = self.instant(asking)?.into_iter();
        let row = |(key, labels, value)| Row {
            key,
            value,
            finding,
            detail: Some(Detail::Series(labels)),
        };
        Ok(Rows {
            rows: values.map(row).collect(),
            note: None,
        })
    }

    /// The value of each series now, what tells its alert apart, and all its labels.
    fn instant(&self, asking: &Asking<'_>) -> Result<Vec<(LabelSet, LabelSet, f64)>, String> {
        let values = instant(
            &self.query,
            asking.memory,
            asking.at,
            self.lookback,
            asking.guard,
        )?;
        let mut seen = HashSet::with_capacity(values.len());
        let mut told = Vec::with_capacity(values.len());
        for (labels, value) in values.into_iter().filter(|(labels, _)| self.passes(labels)) {
            let key = asking.names.key(&labels, asking.added);
            if seen.insert(key.clone()) {
                told.push((key, labels, value));
            } else if *asking.names == Names::OfSeries {
                return Err(format!(
                    "two series of the result have the same labels: {key}"
                ));
            }
        }
        Ok(told)
    }

    fn passes(&self, labels: &LabelSet) -> bool {
        self.matchers
            .iter()
            .all(|(name, matcher)| matcher.passes(labels.get(name)))
    }

    /// The values of each series at every `step` up to and including `to`.
    fn range(
        &self,
        asking: &Asking<'_>,
        to: UnixMillis,
        steps: u32,
        step: Duration,
    ) -> Result<Vec<SampledSeries>, String> {
        let options = Options {
            lookback: self.lookback,
            ..Options::default()
        };
        let from = to.before(step * steps);
        let answer = self
            .query
            .range(asking.memory, from, to, step, &options, asking.guard);
        let Value::Matrix(mut series) = answer.map_err(|error| error.to_string())?.value else {
            return Err("the answer is no range".into());
        };
        series.retain(|series| self.passes(&series.labels));
        // Of two series that are one to the rule, that with the newer samples comes last.
        series.sort_by_key(|series| series.times.last().copied());
        Ok(series)
    }

    fn anomalies(
        &self,
        asking: &Asking<'_>,
        detection: &Detection,
        detectors: &mut Detectors,
    ) -> Result<Rows, String> {
        if !detectors.warm {
            *detectors = self.warmed(asking, detection)?;
        }
        let fresh = || Detector::new(&detection.settings, detection.interval);
        let mut rows = Vec::new();
        for (key, _, value) in self.instant(asking)? {
            let detector = detectors.by_key.entry(key.clone()).or_insert_with(fresh);
            let seen = detector.observe(asking.at, value);
            let finding = match seen {
                _ if seen.warming || !value.is_finite() => Finding::Unknown,
                // The event had its alert.
                _ if seen.repeated => Finding::HoldsOn,
                _ if seen.anomalous => Finding::Holds,
                _ => Finding::Clear,
            };
            let detail = Detail::Anomaly {
                score: seen.score,
                expected: seen.expected,
            };
            rows.push(Row {
                key,
                value,
                finding,
                detail: Some(detail),
            });
        }
        let warming = rows
            .iter()
            .filter(|row| row.finding == Finding::Unknown)
            .count();
        let note = (warming > 0).then(|| {
            format!(
                "{warming} of {} series have fewer than {} samples",
                rows.len(),
                detection.settings.min_samples
            )
        });
        Ok(Rows { rows, note })
    }

    /// Detectors that have seen what history holds: the window in coarse steps, and its end as it
    /// was collected.
    fn warmed(&self, asking: &Asking<'_>, detection: &Detection) -> Result<Detectors, String> {
        let Detection { settings, interval } = detection;
        let mut detectors = Detectors {
            warm: true,
            ..Detectors::default()
        };
        let recent = settings.min_samples.clamp(RECENT, 10_000);
        let end = asking.at.before(*interval);
        let begin = end.before(*interval * recent);
        let coarse = (settings.window / COARSE).max(*interval);
        let left = settings.window.saturating_sub(*interval * recent);
        let steps = (left.as_millis() / coarse.as_millis().max(1)) as u32;
        let before = match steps {
            0 => Vec::new(),
            _ => self.range(asking, begin.before(*interval), steps, coarse)?,
        };
        let after = self.range(asking, end, recent, *interval)?;
        for series in before.into_iter().chain(after) {
            let key = asking.names.key(&series.labels, asking.added);
            let fresh = || Detector::new(settings, *interval);
            let detector = detectors.by_key.entry(key).or_insert_with(fresh);
            for (time, value) in series.times.iter().zip(&series.values) {
                detector.observe(UnixMillis(*time), *value);
            }
        }
        Ok(detectors)
    }

    fn forecasts(
        &self,
        asking: &Asking<'_>,
        foreseen: &Forecasting,
        detectors: &mut Detectors,
    ) -> Result<Rows, String> {
        let Forecasting { horizon, step } = *foreseen;
        let steps = |span: Duration, step: Duration| {
            u32::try_from(span.as_millis() / step.as_millis().max(1)).unwrap_or(u32::MAX)
        };
        let lookback = steps(horizon.lookback(), step);
        // Of all series, once one of them needs it.
        let mut past: Option<HashMap<LabelSet, SampledSeries>> = None;
        let mut rows: HashMap<LabelSet, Row> = HashMap::new();
        let mut note = None;
        for series in self.range(asking, asking.at, lookback, step)? {
            // A series that has ended reaches nothing.
            if series.times.last() != Some(&asking.at.0) {
                continue;
            }
            let key = asking.names.key(&series.labels, asking.added);
            let of_series = || {
                let past = past.get_or_insert_with(|| {
                    let (span, step) = horizon.past();
                    let found = self.range(asking, asking.at, steps(span, step), step);
                    // So much of it may be too much to read; then nothing is known of it.
                    let found = found.unwrap_or_else(|error| {
                        note.get_or_insert(format!("the past is not known: {error}"));
                        Vec::new()
                    });
                    let of = |series: SampledSeries| {
                        (asking.names.key(&series.labels, asking.added), series)
                    };
                    found.into_iter().map(of).collect()
                });
                let found = past.get(&key);
                found.map_or_else(Default::default, |s| (s.times.clone(), s.values.clone()))
            };
            let days = detectors.days.entry(key.clone()).or_default();
            let outlook =
                horizon.outlook(&series.times, &series.values, asking.at, days, of_series);
            let (finding, reach, reason) = match outlook {
                Outlook::Soon(reach) => (Finding::Holds, Some(reach), None),
                Outlook::Young { reach, .. } | Outlook::Usual(reach) => {
                    (Finding::HoldsOn, Some(reach), outlook.not_firing_reason())
                }
                Outlook::Later(reach) => (Finding::Clear, Some(reach), None),
                // Who was told that it will be full is not told that it won't once it is.
                Outlook::None(NoForecast::AlreadyReached { .. }) => (Finding::Holds, None, None),
                Outlook::None(reason) => (Finding::Clear, None, Some(reason.to_string())),
            };
            if let Some(reason) = reason {
                note.get_or_insert_with(|| format!("no forecast for {key}: {reason}"));
            }
            let (value, words) = match (reach, finding) {
                (Some(reach), _) => (
                    reach.reaches_at.since(asking.at).as_secs_f64(),
                    reach.describe(asking.at),
                ),
                (None, Finding::Holds) => (0.0, "now".to_owned()),
                (None, _) => (f64::NAN, String::new()),
            };
            let detail = (!value.is_nan()).then_some(Detail::Forecast(words));
            rows.insert(
                key.clone(),
                Row {
                    key,
                    value,
                    finding,
                    detail,
                },
            );
        }
        detectors.days.retain(|key, _| rows.contains_key(key));
        let mut rows: Vec<Row> = rows.into_values().collect();
        rows.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(Rows { rows, note })
    }
}

/// The value of each series of `query` at `at`; a number is a series without labels.
///
/// # Errors
/// Why there is no answer, in one line.
pub fn instant(
    query: &Query,
    memory: &dyn Queryable,
    at: UnixMillis,
    lookback: Duration,
    guard: &Guard,
) -> Result<Vec<(LabelSet, f64)>, String> {
    let options = Options {
        lookback,
        ..Options::default()
    };
    let answer = query
        .instant(memory, at, &options, guard)
        .map_err(|error| error.to_string())?;
    match answer.value {
        Value::Vector(samples) => Ok(samples
            .into_iter()
            .map(|sample| (sample.labels, sample.value))
            .collect()),
        Value::Scalar { value, .. } => Ok(vec![(LabelSet::default(), value)]),
        Value::String { .. } | Value::Matrix(_) => Err("the answer is no number".into()),
    }
}

#[cfg(test)]
mod tests;
