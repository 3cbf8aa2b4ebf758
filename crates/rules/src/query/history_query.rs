//! Queries of rules over history, and their results: one row for each series.
//!
//! Owns queries, detectors and forecasts of rules. Knows no state of alerts; `eval::evaluation`
//! applies the rows.

mod anomaly;
mod forecast;

use std::sync::Arc;
use std::time::Duration;

use bellwether_analysis::anomaly::{Detector, Settings};
use bellwether_analysis::forecast::{Days, Horizon};
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
    pub configured: Option<Arc<str>>,
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
    pub settings: Settings,
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
        Ok(Rows {
            rows: values
                .map(|(key, labels, value)| Row {
                    key,
                    value,
                    state,
                    detail: Some(Detail::Series(labels)),
                })
                .collect(),
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
