//! Evaluation of a subscription to the JSON of its series. Pure but for the samples.

use std::time::Duration;

use bellwether_core::{LabelValues, MetricId, UnixMillis};
use bellwether_exposition::SeriesNames;
use bellwether_promql::{
    Guard, Options, Query, QueryError, Queryable, Value, parse_within, selector_within,
};
use hyper::StatusCode;

use super::catalog::{Catalog, Sources};
use super::message::Subject;
use crate::api::query::{bad_data, push_string, push_value, query_error};
use crate::api::response::ApiError;

/// Input of an evaluation, and its limits.
pub(super) struct Context<'a> {
    pub(super) catalog: &'a Catalog,
    /// History; none if it is disabled.
    pub(super) source: Option<&'a dyn Queryable>,
    pub(super) at: UnixMillis,
    pub(super) lookback: Duration,
    pub(super) max_series: usize,
    pub(super) guard: &'a Guard,
}

/// Result of an evaluation.
pub(super) struct Evaluated {
    /// `"series":[...]`, with `"truncated":true` if there were more.
    pub(super) series: Vec<u8>,
    pub(super) sources: Sources,
}

impl Context<'_> {
    /// Evaluates a subscription.
    ///
    /// # Errors
    /// It is invalid, or the evaluation fails or is stopped by its limits.
    pub(super) fn evaluate(&self, subject: &Subject) -> Result<Evaluated, ApiError> {
        match subject {
            Subject::Metric(name) => self.metric(name),
            Subject::Selector(text) => {
                let is_selector = selector_within(text, self.guard);
                is_selector.map_err(|error| invalid("selector", error))?;
                self.query("selector", text)
            }
            Subject::Query(text) => self.query("query", text),
        }
    }

    fn metric(&self, name: &str) -> Result<Evaluated, ApiError> {
        let metric = self.catalog.metric(name);
        let (Some(metric), Some(origin)) = (metric, metric.and_then(|id| self.catalog.origin(id)))
        else {
            let message = format!("there is no metric {name:?}");
            let error = ApiError::new(StatusCode::NOT_FOUND, message);
            return Err(error.hint("/api/v1/metrics lists all; other series need \"selector\""));
        };
        let mut series = Series::new(self.max_series);
        current_values(self.catalog, metric, &mut series);
        Ok(Evaluated {
            series: series.finish(),
            sources: Sources::Origins([origin].into()),
        })
    }

    fn query(&self, key: &str, text: &str) -> Result<Evaluated, ApiError> {
        let source = self.source.ok_or_else(|| {
            let message = "history is disabled, so there is nothing to query";
            ApiError::new(StatusCode::SERVICE_UNAVAILABLE, message).hint(
                "subscribe by \"metric_name\", or set trend_analysis: {enabled: true} and restart",
            )
        })?;
        let query = parse_within(text, self.guard).map_err(|error| invalid(key, error))?;
        Ok(Evaluated {
            series: self.series(&query, source)?,
            sources: self.catalog.sources(&query),
        })
    }

    fn series(&self, query: &Query, source: &dyn Queryable) -> Result<Vec<u8>, ApiError> {
        let options = Options {
            lookback: self.lookback,
            ..Options::default()
        };
        let answer = query.instant(source, self.at, &options, self.guard);
        let mut series = Series::new(self.max_series);
        match answer.map_err(query_error)?.value {
            Value::Vector(samples) => {
                for sample in &samples {
                    series.push(sample.labels.iter(), sample.value);
                }
            }
            Value::Scalar { value, .. } => series.push([].into_iter(), value),
            Value::Matrix(_) | Value::String { .. } => {
                let message = "a subscription needs an instant vector or a scalar";
                return Err(bad_data(message).hint("such as rate(name_total[5m]) or sum(name)"));
            }
        }
        Ok(series.finish())
    }
}

fn invalid(key: &str, error: QueryError) -> ApiError {
    match error {
        QueryError::BadData(why) => bad_data(format!("invalid {key:?}: {why}")),
        error => query_error(error),
    }
}

/// Adds the current values of a metric, each series with the name and labels that it has in the text
/// format. Copies the values first, so that the store is locked only briefly.
pub(super) fn current_values(catalog: &Catalog, metric: MetricId, series: &mut Series) {
    let store = catalog.store();
    let (names, rows) = {
        let reader = store.read();
        let family = reader.family(metric);
        let rows: Vec<(LabelValues, Vec<f64>)> = family
            .series()
            .take(series.room() + 1)
            .map(|(_, row)| (row.labels().into(), row.values().to_vec()))
            .collect();
        (SeriesNames::new(store.default_labels(), family.def()), rows)
    };
    for (labels, values) in &rows {
        for (index, value) in names.value_indices().enumerate() {
            if series.is_full() {
                return series.truncate();
            }
            let labels = names.label_set(index, labels.as_packed());
            series.push(
                labels.iter(),
                values.get(value).copied().unwrap_or(f64::NAN),
            );
        }
    }
}

/// JSON of series while it is written.
pub(super) struct Series {
    out: Vec<u8>,
    count: usize,
    most: usize,
    truncated: bool,
}

impl Series {
    /// Begins a list of at most `most` series.
    pub(super) fn new(most: usize) -> Self {
        Self {
            out: b"\"series\":[".to_vec(),
            count: 0,
            most,
            truncated: false,
        }
    }

    /// Number of series that may follow.
    pub(super) fn room(&self) -> usize {
        self.most - self.count
    }

    /// Returns true if there is no series.
    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    fn is_full(&self) -> bool {
        self.count >= self.most
    }

    fn truncate(&mut self) {
        self.truncated = true;
    }

    /// Adds a series, unless there are too many.
    pub(super) fn push<'a>(
        &mut self,
        labels: impl Iterator<Item = (&'a str, &'a str)>,
        value: f64,
    ) {
        if self.is_full() {
            return self.truncate();
        }
        self.out.extend_from_slice(match self.count {
            0 => b"{\"labels\":{",
            _ => b",{\"labels\":{",
        });
        for (index, (name, text)) in labels.enumerate() {
            if index > 0 {
                self.out.push(b',');
            }
            push_string(&mut self.out, name);
            self.out.push(b':');
            push_string(&mut self.out, text);
        }
        self.out.extend_from_slice(b"},\"value\":");
        push_number(&mut self.out, value);
        self.out.push(b'}');
        self.count += 1;
    }

    /// Returns `"series":[...]`.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.out.push(b']');
        if self.truncated {
            self.out.extend_from_slice(b",\"truncated\":true");
        }
        self.out.shrink_to_fit();
        self.out
    }
}

/// Appends a number, or the text `NaN`, `+Inf` or `-Inf`, for which JSON has no number.
fn push_number(out: &mut Vec<u8>, value: f64) {
    if value.is_finite() {
        push_value(out, value);
    } else {
        out.push(b'"');
        push_value(out, value);
        out.push(b'"');
    }
}
