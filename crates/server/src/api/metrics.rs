//! `/api/v1/metrics`: the configured metrics and their current values.
//!
//! Owns the parameters and the JSON of a value. Copies the values out of the store before it makes
//! JSON of them, so the store is locked only briefly.

pub(crate) mod exposition;
pub(crate) mod metadata;
pub(crate) mod push;
pub(crate) mod receive;
pub(crate) mod record;

use bellwether_core::{Kind, LabelValues, MetricDef};
use bellwether_tsdb::store::Store;
use hyper::StatusCode;
use serde_json::{Map, Value, json};

use crate::api::endpoints::parameter::{Parameter, count, names, text};
use crate::api::json::{labels, number};
use crate::api::query::{Parameters, bad_data};
use crate::api::response::ApiError;
use crate::api::view::ViewRequest;

/// Series of all metrics together without `limit`.
const DEFAULT_LIMIT: usize = 1_000;

/// Largest `limit`; `/metrics` has more.
const MAX_LIMIT: usize = 10_000;

pub(crate) const PARAMETERS: &[Parameter] = &[
    text(
        "metric",
        "configured or exported name of a metric; all by default",
    )
    .repeated(),
    count(
        "limit",
        "largest number of series of all metrics together, 0 to 10000; 1000 by default",
    ),
];

/// Returns the data of `/api/v1/metrics`.
///
/// # Errors
/// A parameter is invalid, or a metric is not configured.
pub(crate) fn view(request: &ViewRequest<'_>) -> Result<Value, ApiError> {
    let query = Query::parse(request.parameters)?;
    request.backend.refresh();
    metrics(&request.backend.store(), &query)
}

/// Parsed parameters.
#[derive(Debug, PartialEq)]
struct Query {
    /// Configured or exported names; empty for all.
    names: Vec<String>,
    /// Maximum number of series; zero for the metrics alone.
    limit: usize,
}

impl Query {
    /// Parses `metric` (any number of them) and `limit`.
    ///
    /// # Errors
    /// A parameter is invalid or unknown.
    fn parse(parameters: &Parameters) -> Result<Self, ApiError> {
        let mut parsed = Self {
            names: Vec::new(),
            limit: DEFAULT_LIMIT,
        };
        for (key, value) in parameters.pairs() {
            match key {
                "metric" => parsed.names.push(value.to_owned()),
                "limit" => {
                    parsed.limit = value
                        .parse()
                        .ok()
                        .filter(|limit| *limit <= MAX_LIMIT)
                        .ok_or_else(|| {
                            bad_data(format!("limit must be 0 to {MAX_LIMIT}, found {value:?}"))
                        })?;
                }
                _ => {
                    let known = names(PARAMETERS);
                    return Err(bad_data(format!(
                        "unknown parameter {key:?}: there are {known}"
                    )));
                }
            }
        }
        Ok(parsed)
    }

    fn matches(&self, def: &MetricDef) -> bool {
        self.names.is_empty() || self.names.iter().any(|name| is_named(def, name))
    }
}

/// Returns true if `name` is the configured or the exported name of the metric.
fn is_named(def: &MetricDef, name: &str) -> bool {
    name == &*def.name || name == &*def.exported
}

/// Metric with the selected series.
struct MetricView {
    def: MetricDef,
    series: usize,
    rows: Vec<(LabelValues, Vec<f64>)>,
}

/// Returns the metrics that `query` selects, in the order of the configuration.
fn metrics(store: &Store, query: &Query) -> Result<Value, ApiError> {
    let unknown = query
        .names
        .iter()
        .find(|name| !store.metrics().iter().any(|def| is_named(def, name)));
    if let Some(unknown) = unknown {
        let message = format!("there is no metric {unknown:?}");
        return Err(ApiError::new(StatusCode::NOT_FOUND, message).hint("/api/v1/metrics lists all"));
    }
    let metrics = copy(store, query);
    let total: usize = metrics.iter().map(|metric| metric.series).sum();
    let listed: usize = metrics.iter().map(|metric| metric.rows.len()).sum();
    Ok(json!({
        "metrics": metrics.iter().map(metric).collect::<Vec<_>>(),
        "series": total,
        "truncated": listed < total,
    }))
}

fn copy(store: &Store, query: &Query) -> Vec<MetricView> {
    let mut remaining = query.limit;
    let reader = store.read();
    reader
        .families()
        .filter(|family| query.matches(family.def()))
        .map(|family| {
            let rows: Vec<_> = family
                .series()
                .take(remaining)
                .map(|(_, series)| (series.labels().into(), series.values().to_vec()))
                .collect();
            remaining -= rows.len();
            MetricView {
                def: family.def().clone(),
                series: family.len(),
                rows,
            }
        })
        .collect()
}

fn metric(metrics: &MetricView) -> Value {
    let def = &metrics.def;
    let values = metrics.rows.iter().map(|(label_values, values)| {
        let mut row = value(def, values);
        row.insert(
            "labels".into(),
            json!(labels(&def.labels, label_values.iter())),
        );
        Value::Object(row)
    });
    json!({
        "name": &*def.name,
        "exportedName": &*def.exported,
        "type": def.kind.as_str(),
        "help": &*def.help,
        "labels": def.labels.iter().map(|label| &**label).collect::<Vec<_>>(),
        "collector": def.origin.as_str(),
        "intervalSeconds": def.interval.as_secs_f64(),
        "series": metrics.series,
        "values": values.collect::<Vec<_>>(),
    })
}

/// Values of one series as JSON; `values` are in the order of [`MetricDef::width`].
fn value(def: &MetricDef, values: &[f64]) -> Map<String, Value> {
    let mut row = Map::new();
    let (key, bounds) = match def.kind {
        Kind::Counter | Kind::Gauge => {
            row.insert(
                "value".into(),
                values.first().map_or(Value::Null, |value| number(*value)),
            );
            return row;
        }
        Kind::Histogram => ("buckets", &def.buckets),
        Kind::Summary => ("quantiles", &def.quantiles),
    };
    let named = bounds.iter().zip(values);
    let named: Map<String, Value> = named
        .map(|(bound, value)| (bound.to_string(), number(*value)))
        .collect();
    row.insert(key.into(), Value::Object(named));
    for (key, value) in ["count", "sum"]
        .into_iter()
        .zip(&values[bounds.len().min(values.len())..])
    {
        row.insert(key.into(), number(*value));
    }
    row
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use bellwether_core::{Batch, MetricId, Now, Origin};
    use bellwether_tsdb::store::Options;

    use super::*;

    fn parse(query: &str) -> Result<Query, ApiError> {
        Query::parse(&Parameters::new(query, b""))
    }

    fn store() -> Store {
        let def = |name: &str, kind, labels: &[&str]| MetricDef {
            name: name.into(),
            exported: format!("app_{name}").into(),
            help: "Help.".into(),
            kind,
            labels: labels.iter().map(|label| Arc::from(*label)).collect(),
            buckets: if kind == Kind::Histogram {
                [0.5, 2.0].into()
            } else {
                [].into()
            },
            quantiles: [].into(),
            origin: Origin::APPLICATION,
            interval: Duration::from_secs(30),
        };
        let metrics = [
            def("queue_length", Kind::Gauge, &["queue"]),
            def("took", Kind::Histogram, &[]),
            def("unused", Kind::Counter, &[]),
        ];
        let store = Store::new(metrics.into(), Options::default());
        let mut batch = Batch::default();
        for (queue, value) in [("a", 1.0), ("b", f64::NAN), ("c", 3.0)] {
            batch.push(MetricId(0), &[queue], value);
        }
        batch.push_values(MetricId(1), &[], &[1.0, 2.0, 3.0, 9.5]);
        store.commit(&batch, Now::default());
        store
    }

    fn ask(query: &str) -> Value {
        metrics(&store(), &parse(query).unwrap()).unwrap()
    }

    #[test]
    fn every_metric_has_its_values() {
        let data = ask("");
        assert_eq!(
            (&data["series"], &data["truncated"]),
            (&json!(4), &json!(false))
        );
        let [queue, took, unused] = [0, 1, 2].map(|index| &data["metrics"][index]);
        assert_eq!(queue["name"], "queue_length");
        assert_eq!(queue["exportedName"], "app_queue_length");
        assert_eq!(
            queue["values"][1],
            json!({"labels": {"queue": "b"}, "value": "NaN"})
        );
        let histogram =
            json!({"labels": {}, "buckets": {"0.5": 1.0, "2": 2.0}, "count": 3.0, "sum": 9.5});
        assert_eq!(took["values"], json!([histogram]));
        assert_eq!(
            (&unused["series"], &unused["values"]),
            (&json!(0), &json!([]))
        );
    }

    #[test]
    fn by_either_name_and_up_to_a_limit() {
        let data = ask("metric=took&metric=app_unused");
        assert_eq!(data["metrics"].as_array().unwrap().len(), 2);
        let data = ask("limit=2");
        assert_eq!(data["metrics"][0]["values"].as_array().unwrap().len(), 2);
        assert_eq!(data["metrics"][0]["series"], 3);
        assert_eq!(data["truncated"], true);
        assert_eq!(
            ask("limit=0&metric=queue%5Flength")["metrics"][0]["series"],
            3
        );
    }

    #[test]
    fn invalid_parameters_are_errors() {
        let unknown = metrics(&store(), &parse("metric=nope").unwrap()).unwrap_err();
        assert_eq!(unknown.message, "there is no metric \"nope\"");
        for limit in ["x", "-1", "10001"] {
            let error = parse(&format!("limit={limit}")).unwrap_err().message;
            assert!(error.contains("0 to 10000"), "{error}");
        }
        assert!(
            parse("metrics=a")
                .unwrap_err()
                .message
                .contains("unknown parameter")
        );
    }
}
