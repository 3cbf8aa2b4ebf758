//! `/api/metrics`, `/api/health` and `/api/alerts`: the same data in a simple form, for scripts and for
//! clients that know these paths.

use bellwether_core::{AlertState, LabelSet, METRIC_NAME, MetricDef, UnixMillis};
use bellwether_exposition::SeriesNames;
use bellwether_matcher::LabelMatcher;
use bellwether_promql::{Guard, Queryable, SampledSeries};
use bellwether_tsdb::store::Store;
use hyper::StatusCode;
use serde_json::{Value, json};

use crate::api::endpoints::parameter::{Parameter, text, time};
use crate::api::json::number;
use crate::api::query::{
    HistoryRequest, Reply, bad_data, invalid, push_string, push_time, push_value, query_error,
};
use crate::api::response::ApiError;
use crate::api::view::ViewRequest;

/// Range without `start_time`, in milliseconds.
const DEFAULT_RANGE: i64 = 3_600_000;
/// Maximum number of samples in an answer.
const MAX_POINTS: usize = 100_000;
/// Units that end the name of a metric.
const UNITS: &[&str] = &[
    "percent", "ratio", "bytes", "seconds", "celsius", "hertz", "volts", "joules", "info",
];

pub(crate) const METRICS: &[Parameter] = &[
    text(
        "metric_name",
        "configured or exported name of a metric, or of a series in history",
    )
    .required(),
    time(
        "start_time",
        "earliest time; an hour before the end by default",
    ),
    time("end_time", "latest time; now by default"),
    text(
        "aggregation",
        "one value for each series over the range: avg, min, max, sum, count, first or last; all samples by default",
    ),
];

/// Function of the samples of a series.
type Aggregate = fn(&[f64]) -> f64;

const AGGREGATIONS: &[(&str, Aggregate)] = &[
    ("avg", |values| {
        values.iter().sum::<f64>() / values.len() as f64
    }),
    ("min", |values| {
        values.iter().copied().fold(f64::NAN, f64::min)
    }),
    ("max", |values| {
        values.iter().copied().fold(f64::NAN, f64::max)
    }),
    ("sum", |values| values.iter().sum()),
    ("count", |values| values.len() as f64),
    ("first", |values| {
        values.first().copied().unwrap_or(f64::NAN)
    }),
    ("last", |values| values.last().copied().unwrap_or(f64::NAN)),
];

/// Returns the samples of a metric.
///
/// # Errors
/// A parameter is invalid, there is no such metric, or it has too many samples.
pub(crate) fn metrics(
    request: &HistoryRequest,
    source: &dyn Queryable,
    guard: &Guard,
) -> Result<Reply, ApiError> {
    let parameters = &request.parameters;
    parameters.reject_unknown(METRICS)?;
    let name = parameters.text("metric_name");
    if name.is_empty() {
        return Err(bad_data("metric_name is missing").hint("/api/v1/metrics lists all"));
    }
    let end = parameters.time("end_time")?.unwrap_or(request.now);
    let start = parameters.time("start_time")?;
    let start = start.unwrap_or(UnixMillis(end.0.saturating_sub(DEFAULT_RANGE)));
    if end < start {
        return Err(invalid("end_time", "it is before start_time"));
    }
    let aggregate = aggregation(parameters.text("aggregation"))?;
    let store = request.backend.store();
    let mut points = Points::new(name);
    for matchers in matchers(&store, name) {
        let selected = source.select(&matchers, start, end, guard);
        for series in selected.map_err(|error| query_error(error.into()))? {
            points.add(&series, start, end, aggregate)?;
        }
    }
    if points.count == 0 && !is_configured(&store, name) {
        let message = format!("there is no metric {name:?} with samples in this range");
        let error = ApiError::new(StatusCode::NOT_FOUND, message);
        return Err(error.hint("/api/v1/metrics lists all"));
    }
    let text = points.finish();
    let charged = guard.charge_bytes(text.len());
    charged.map_err(|stopped| query_error(stopped.into()))?;
    Ok(Reply::Short(text))
}

fn aggregation(name: &str) -> Result<Option<Aggregate>, ApiError> {
    if name.is_empty() {
        return Ok(None);
    }
    let mut known = AGGREGATIONS.iter();
    let found = known.find(|(known, _)| *known == name);
    found.map(|(_, aggregate)| Some(*aggregate)).ok_or_else(|| {
        let names: Vec<&str> = AGGREGATIONS.iter().map(|(name, _)| *name).collect();
        invalid(
            "aggregation",
            &format!("{name:?} is none of {}", names.join(", ")),
        )
    })
}

fn definition<'a>(store: &'a Store, name: &str) -> Option<&'a MetricDef> {
    let mut metrics = store.metrics().iter();
    metrics.find(|def| &*def.name == name || &*def.exported == name)
}

fn is_configured(store: &Store, name: &str) -> bool {
    definition(store, name).is_some()
}

/// Returns matchers for the series of a metric; the buckets of a histogram are several.
fn matchers(store: &Store, name: &str) -> Vec<Vec<LabelMatcher>> {
    match definition(store, name) {
        Some(def) => {
            let names = SeriesNames::new(store.default_labels(), def);
            (0..names.value_indices().len())
                .map(|index| names.matchers(index))
                .collect()
        }
        None => vec![vec![LabelMatcher::equal(METRIC_NAME, name)]],
    }
}

/// Answer while it is written.
struct Points {
    out: Vec<u8>,
    count: usize,
}

impl Points {
    fn new(name: &str) -> Self {
        let mut out = br#"{"status":"success","data":{"metric_name":"#.to_vec();
        push_string(&mut out, name);
        out.extend_from_slice(br#","data_points":["#);
        Self { out, count: 0 }
    }

    /// Adds the samples of a series within the range, or one value made of them.
    fn add(
        &mut self,
        series: &SampledSeries,
        start: UnixMillis,
        end: UnixMillis,
        aggregate: Option<Aggregate>,
    ) -> Result<(), ApiError> {
        let samples = series.times.iter().zip(&series.values);
        let samples = samples.filter(|(at, value)| {
            (start.0..=end.0).contains(*at) && !SampledSeries::is_stale(**value)
        });
        let suffix = suffix(&series.labels);
        let Some(aggregate) = aggregate else {
            for (at, value) in samples {
                self.push(*value, UnixMillis(*at), &suffix)?;
            }
            return Ok(());
        };
        let values: Vec<f64> = samples.map(|(_, value)| *value).collect();
        if values.is_empty() {
            return Ok(());
        }
        self.push(aggregate(&values), end, &suffix)
    }

    fn push(&mut self, value: f64, at: UnixMillis, suffix: &[u8]) -> Result<(), ApiError> {
        if self.count >= MAX_POINTS {
            let message = format!("more than {MAX_POINTS} samples");
            return Err(bad_data(message)
                .hint("a shorter range, aggregation=avg, or /api/v1/query_range with a step"));
        }
        let separator = if self.count > 0 { "," } else { "" };
        self.out.extend_from_slice(separator.as_bytes());
        self.out.extend_from_slice(b"{\"value\":");
        match value.is_finite() {
            true => push_value(&mut self.out, value),
            false => self
                .out
                .extend_from_slice(number(value).to_string().as_bytes()),
        }
        self.out.extend_from_slice(b",\"timestamp\":");
        push_time(&mut self.out, at.0);
        self.out.extend_from_slice(suffix);
        self.count += 1;
        Ok(())
    }

    fn finish(mut self) -> Vec<u8> {
        self.out.extend_from_slice(b"]}}");
        self.out
    }
}

/// Returns the end of a data point: what all of a series have.
fn suffix(labels: &LabelSet) -> Vec<u8> {
    let mut out = b",\"tags\":{".to_vec();
    let mut separator = "";
    for (name, value) in labels.iter().filter(|(name, _)| *name != METRIC_NAME) {
        out.extend_from_slice(separator.as_bytes());
        push_string(&mut out, name);
        out.push(b':');
        push_string(&mut out, value);
        separator = ",";
    }
    out.extend_from_slice(b"},\"unit\":");
    push_string(&mut out, unit(labels.get(METRIC_NAME)));
    out.push(b'}');
    out
}

/// Unit by which a metric's name ends, as Prometheus's conventions have it; empty if it has none.
fn unit(name: &str) -> &'static str {
    let last = name.trim_end_matches("_total").rsplit('_').next();
    let unit = UNITS.iter().find(|unit| Some(**unit) == last);
    unit.copied().unwrap_or_default()
}

/// Returns the state of the process in four numbers.
pub(crate) fn health(request: &ViewRequest<'_>) -> Result<Value, ApiError> {
    let health = request.backend.health();
    Ok(json!({
        "running": true,
        "collectors_count": health.collectors.len(),
        "active_alerts": firing(request).len(),
        "uptime": request.now.mono.since(health.started.mono).as_secs_f64(),
    }))
}

/// Returns the firing alerts.
pub(crate) fn alerts(request: &ViewRequest<'_>) -> Result<Value, ApiError> {
    Ok(json!({ "alerts": firing(request) }))
}

fn firing(request: &ViewRequest<'_>) -> Vec<Value> {
    let alerts = request.backend.alerts();
    let firing = alerts
        .iter()
        .filter(|alert| alert.state == AlertState::Firing);
    let views = firing.map(|alert| {
        let since = alert.fired_at.unwrap_or(alert.active_at);
        json!({
            "alert_id": alert.fingerprint.to_string(),
            "rule_name": &*alert.rule,
            "severity": alert.severity.as_str(),
            "current_value": alert.value.map(number),
            "threshold": alert.threshold.map(number),
            "timestamp": since.0 as f64 / 1_000.0,
            "message": alert.message,
            "tags": alert.labels,
        })
    });
    views.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(values: &[f64]) -> SampledSeries {
        SampledSeries {
            labels: LabelSet::new([(METRIC_NAME, "cpu_usage_percent"), ("host", "a")]),
            times: (0..values.len() as i64).map(|at| at * 500).collect(),
            values: values.to_vec(),
        }
    }

    fn points(values: &[f64], aggregation_name: &str) -> Value {
        let mut points = Points::new("cpu");
        let aggregate = aggregation(aggregation_name).unwrap();
        let (start, end) = (UnixMillis(0), UnixMillis(1_500));
        points.add(&series(values), start, end, aggregate).unwrap();
        let answer: Value = serde_json::from_slice(&points.finish()).unwrap();
        assert_eq!(answer["data"]["metric_name"], "cpu");
        answer["data"]["data_points"].clone()
    }

    #[test]
    fn samples_have_value_time_tags_and_unit() {
        let point = |value: Value, at: Value| json!({"value": value, "timestamp": at, "tags": {"host": "a"}, "unit": "percent"});
        let values = [1.0, f64::NAN, SampledSeries::stale(), 2.5, 7.0];
        let expected = json!([
            point(json!(1), json!(0)),
            point(json!("NaN"), json!(0.5)),
            point(json!(2.5), json!(1.5))
        ]);
        assert_eq!(points(&values, ""), expected);
    }

    #[test]
    fn an_aggregation_is_one_value_of_a_series() {
        let values = [4.0, 1.0, 1.0, 2.0];
        for (name, expected) in [
            ("avg", 2.0),
            ("min", 1.0),
            ("max", 4.0),
            ("sum", 8.0),
            ("count", 4.0),
            ("first", 4.0),
            ("last", 2.0),
        ] {
            let found = points(&values, name);
            assert_eq!(found[0]["value"].as_f64(), Some(expected), "{name}");
            assert_eq!(found[0]["timestamp"], 1.5);
        }
        assert_eq!(points(&[], "avg"), json!([]));
        let message = aggregation("mean").err().unwrap().message;
        assert!(message.contains("none of avg, min, max"), "{message}");
    }

    #[test]
    fn the_unit_is_the_end_of_the_name() {
        for (name, expected) in [
            ("node_cpu_usage_percent", "percent"),
            ("network_bytes_total", "bytes"),
            ("load1", ""),
            ("", ""),
        ] {
            assert_eq!(unit(name), expected);
        }
    }
}
