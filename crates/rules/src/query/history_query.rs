//! Queries of rules over history, and their results: one row for each series.
//!
//! Owns queries, detectors and forecasts of rules. Knows no state of alerts; `eval::evaluation`
//! applies the rows.

use std::sync::Arc;
use std::time::Duration;

use bellwether_analysis::anomaly::{self, Detector};
use bellwether_analysis::forecast::{Days, Horizon, NoForecast, Outlook};
use bellwether_core::{LabelSet, Labels, UnixMillis};
use bellwether_promql::{Guard, Options, Query, Queryable, SampledSeries, Value};
use hashbrown::{HashMap, HashSet};

use crate::alert::alert_labels::AlertLabels;
use crate::alert::detail::Detail;
use crate::settings::matcher::Matcher;

/// Query over history and the interpretation of its result.
#[derive(Clone, Debug)]
pub struct HistoryQuery {
    pub query: Query,
    /// Text of the configuration, where the rule has a query.
    pub declared: Option<Arc<str>>,
    /// Maximum age of the last sample of a series.
    pub lookback: Duration,
    /// Matchers by label name; a series must match all.
    pub matchers: Vec<(Arc<str>, Matcher)>,
    pub kind: QueryKind,
}

/// Kind of a query over history.
#[derive(Clone, Debug)]
pub enum QueryKind {
    /// Values to compare with the threshold of the rule.
    Compared,
    /// Series: each series of the result holds, as in Prometheus.
    Present,
    /// Anomalous values.
    Anomaly(Detection),
    /// Values that will be reached.
    Forecast(Forecasting),
}

/// Settings of the anomaly detection.
#[derive(Clone, Debug)]
pub struct Detection {
    pub settings: anomaly::Settings,
    /// Interval of the samples.
    pub interval: Duration,
}

/// Settings of a forecast.
#[derive(Clone, Copy, Debug)]
pub struct Forecasting {
    /// Value to reach, and its time.
    pub horizon: Horizon,
    /// Interval of the points.
    pub step: Duration,
}

/// One series of a result.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Labels that identify its alert.
    pub key: LabelSet,
    pub value: f64,
    pub state: RowState,
    pub detail: Option<Detail>,
}

/// Condition of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowState {
    /// The value is to be compared.
    Compare,
    /// The condition holds.
    Breached,
    /// The condition holds for an existing alert, and begins no new one.
    KeepsFiring,
    /// The condition does not hold.
    Ok,
    /// Unknown yet.
    Unknown,
}

/// Rows of one result.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rows {
    /// One for each series.
    pub rows: Vec<Row>,
    /// Reason for a missing result that is no error.
    pub note: Option<String>,
}

/// State of one rule between two queries, by the labels that identify alerts.
#[derive(Clone, Debug, Default)]
pub struct Detectors {
    warm: bool,
    by_key: HashMap<LabelSet, Detector>,
    /// Daily patterns of forecasts.
    days: HashMap<LabelSet, Days>,
}

/// Context of a query.
pub struct QueryContext<'a> {
    pub storage: &'a dyn Queryable,
    /// Evaluation time.
    pub at: UnixMillis,
    /// Limits.
    pub guard: &'a Guard,
    /// Labels of alerts.
    pub names: &'a AlertLabels,
    /// Labels that the rule adds.
    pub added: &'a Labels,
}

/// Points of history that warm up a detector: coarse ones, and recent ones (more if it needs more).
const COARSE_POINTS: u32 = 2_000;
const RECENT_POINTS: u32 = 1_000;

impl HistoryQuery {
    /// Runs the query; returns one row for each series.
    ///
    /// # Errors
    /// The reason why there is no result, in one line.
    pub fn rows(
        &self,
        context: &QueryContext<'_>,
        detectors: &mut Detectors,
    ) -> Result<Rows, String> {
        match &self.kind {
            QueryKind::Compared => self.values(context, RowState::Compare),
            QueryKind::Present => self.values(context, RowState::Breached),
            QueryKind::Anomaly(detection) => self.anomalies(context, detection, detectors),
            QueryKind::Forecast(forecasting) => self.forecasts(context, forecasting, detectors),
        }
    }

    fn values(&self, context: &QueryContext<'_>, state: RowState) -> Result<Rows, String> {
        let values = self.instant(context)?.into_iter();
        let row = |(key, labels, value)| Row {
            key,
            value,
            state,
            detail: Some(Detail::Series(labels)),
        };
        Ok(Rows {
            rows: values.map(row).collect(),
            note: None,
        })
    }

    /// Returns for each series the key of its alert, all its labels and its current value.
    fn instant(
        &self,
        context: &QueryContext<'_>,
    ) -> Result<Vec<(LabelSet, LabelSet, f64)>, String> {
        let values = instant(
            &self.query,
            context.storage,
            context.at,
            self.lookback,
            context.guard,
        )?;
        let mut keys = HashSet::with_capacity(values.len());
        let mut series = Vec::with_capacity(values.len());
        for (labels, value) in values.into_iter().filter(|(labels, _)| self.passes(labels)) {
            let key = context.names.key(&labels, context.added);
            if keys.insert(key.clone()) {
                series.push((key, labels, value));
            } else if *context.names == AlertLabels::FromSeries {
                return Err(format!(
                    "two series of the result have the same labels: {key}"
                ));
            }
        }
        Ok(series)
    }

    fn passes(&self, labels: &LabelSet) -> bool {
        self.matchers
            .iter()
            .all(|(name, matcher)| matcher.passes(labels.get(name)))
    }

    /// Returns the values of each series at every `step` up to and including `to`.
    fn range(
        &self,
        context: &QueryContext<'_>,
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
            .range(context.storage, from, to, step, &options, context.guard);
        let Value::Matrix(mut series) = answer.map_err(|error| error.to_string())?.value else {
            return Err("the result is no range".into());
        };
        series.retain(|series| self.passes(&series.labels));
        // Of two series with the same key, the one with the newer samples comes last.
        series.sort_by_key(|series| series.times.last().copied());
        Ok(series)
    }

    fn anomalies(
        &self,
        context: &QueryContext<'_>,
        detection: &Detection,
        detectors: &mut Detectors,
    ) -> Result<Rows, String> {
        if !detectors.warm {
            *detectors = self.warmed(context, detection)?;
        }
        let fresh = || Detector::new(&detection.settings, detection.interval);
        let mut rows = Vec::new();
        for (key, _, value) in self.instant(context)? {
            let detector = detectors.by_key.entry(key.clone()).or_insert_with(fresh);
            let assessment = detector.observe(context.at, value);
            let state = match assessment {
                _ if assessment.warming || !value.is_finite() => RowState::Unknown,
                // The event had its alert.
                _ if assessment.repeated => RowState::KeepsFiring,
                _ if assessment.anomalous => RowState::Breached,
                _ => RowState::Ok,
            };
            let detail = Detail::Anomaly {
                score: assessment.score,
                expected: assessment.expected,
            };
            rows.push(Row {
                key,
                value,
                state,
                detail: Some(detail),
            });
        }
        let warming = rows
            .iter()
            .filter(|row| row.state == RowState::Unknown)
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

    /// Returns detectors warmed up by history: the window in coarse steps, and its end at the
    /// collection interval.
    fn warmed(
        &self,
        context: &QueryContext<'_>,
        detection: &Detection,
    ) -> Result<Detectors, String> {
        let Detection { settings, interval } = detection;
        let mut detectors = Detectors {
            warm: true,
            ..Detectors::default()
        };
        let recent = settings.min_samples.clamp(RECENT_POINTS, 10_000);
        let end = context.at.before(*interval);
        let begin = end.before(*interval * recent);
        let coarse = (settings.window / COARSE_POINTS).max(*interval);
        let left = settings.window.saturating_sub(*interval * recent);
        let steps = (left.as_millis() / coarse.as_millis().max(1)) as u32;
        let before = match steps {
            0 => Vec::new(),
            _ => self.range(context, begin.before(*interval), steps, coarse)?,
        };
        let after = self.range(context, end, recent, *interval)?;
        for series in before.into_iter().chain(after) {
            let key = context.names.key(&series.labels, context.added);
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
        context: &QueryContext<'_>,
        forecasting: &Forecasting,
        detectors: &mut Detectors,
    ) -> Result<Rows, String> {
        let Forecasting { horizon, step } = *forecasting;
        let steps = |span: Duration, step: Duration| {
            u32::try_from(span.as_millis() / step.as_millis().max(1)).unwrap_or(u32::MAX)
        };
        let lookback = steps(horizon.lookback(), step);
        // Read for all series, once one of them needs it.
        let mut past: Option<HashMap<LabelSet, SampledSeries>> = None;
        let mut rows: HashMap<LabelSet, Row> = HashMap::new();
        let mut note = None;
        for series in self.range(context, context.at, lookback, step)? {
            // A series that has ended reaches nothing.
            if series.times.last() != Some(&context.at.0) {
                continue;
            }
            let key = context.names.key(&series.labels, context.added);
            let of_series = || {
                let past = past.get_or_insert_with(|| {
                    let (span, step) = horizon.past();
                    let series = self.range(context, context.at, steps(span, step), step);
                    // It may exceed the query limits; then the forecast does without it.
                    let series = series.unwrap_or_else(|error| {
                        note.get_or_insert(format!("history cannot be read: {error}"));
                        Vec::new()
                    });
                    let of = |series: SampledSeries| {
                        (context.names.key(&series.labels, context.added), series)
                    };
                    series.into_iter().map(of).collect()
                });
                let series = past.get(&key);
                series.map_or_else(Default::default, |s| (s.times.clone(), s.values.clone()))
            };
            let days = detectors.days.entry(key.clone()).or_default();
            let outlook =
                horizon.outlook(&series.times, &series.values, context.at, days, of_series);
            let (state, reach, reason) = match outlook {
                Outlook::Soon(reach) => (RowState::Breached, Some(reach), None),
                Outlook::Young { reach, .. } | Outlook::Usual(reach) => (
                    RowState::KeepsFiring,
                    Some(reach),
                    outlook.not_firing_reason(),
                ),
                Outlook::Later(reach) => (RowState::Ok, Some(reach), None),
                // The alert must not resolve because the forecast has come true.
                Outlook::None(NoForecast::AlreadyReached { .. }) => {
                    (RowState::Breached, None, None)
                }
                Outlook::None(reason) => (RowState::Ok, None, Some(reason.to_string())),
            };
            if let Some(reason) = reason {
                note.get_or_insert_with(|| format!("no forecast for {key}: {reason}"));
            }
            let (value, words) = match (reach, state) {
                (Some(reach), _) => (
                    reach.reaches_at.since(context.at).as_secs_f64(),
                    reach.describe(context.at),
                ),
                (None, RowState::Breached) => (0.0, "now".to_owned()),
                (None, _) => (f64::NAN, String::new()),
            };
            let detail = (!value.is_nan()).then_some(Detail::Forecast(words));
            rows.insert(
                key.clone(),
                Row {
                    key,
                    value,
                    state,
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

/// Returns the value of each series of `query` at `at`; a scalar is a series without labels.
///
/// # Errors
/// The reason why there is no result, in one line.
pub fn instant(
    query: &Query,
    storage: &dyn Queryable,
    at: UnixMillis,
    lookback: Duration,
    guard: &Guard,
) -> Result<Vec<(LabelSet, f64)>, String> {
    let options = Options {
        lookback,
        ..Options::default()
    };
    let answer = query
        .instant(storage, at, &options, guard)
        .map_err(|error| error.to_string())?;
    match answer.value {
        Value::Vector(samples) => Ok(samples
            .into_iter()
            .map(|sample| (sample.labels, sample.value))
            .collect()),
        Value::Scalar { value, .. } => Ok(vec![(LabelSet::default(), value)]),
        Value::String { .. } | Value::Matrix(_) => Err("the result is no number".into()),
    }
}

#[cfg(test)]
mod tests;
