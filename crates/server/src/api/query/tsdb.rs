//! `/api/v1/status/tsdb`: the metrics and labels with the most series in history.

use std::collections::{BTreeSet, HashMap};

use bellwether_core::{METRIC_NAME, UnixMillis};
use bellwether_promql::{Guard, Queryable};
use serde_json::{Value, json};

use super::request::{HistoryRequest, Reply, query_error};
use crate::api::endpoints::parameter::{Parameter, count};
use crate::api::response::ApiError;

/// Entries of each list without `limit`.
const DEFAULT_LIMIT: usize = 10;
/// Largest `limit`.
const MAX_LIMIT: usize = 10_000;

pub(crate) const PARAMETERS: &[Parameter] = &[count(
    "limit",
    "largest number of entries of each list; 10 by default",
)];

/// Counts the series in history.
///
/// # Errors
/// `limit` is not a number, or history cannot be read.
pub(crate) fn view(
    request: &HistoryRequest,
    source: &dyn Queryable,
    guard: &Guard,
) -> Result<Reply, ApiError> {
    let limit = match request.parameters.text("limit") {
        "" => DEFAULT_LIMIT,
        _ => request.parameters.limit("limit")?.min(MAX_LIMIT),
    };
    let series = source.series(&[], UnixMillis(i64::MIN), UnixMillis(i64::MAX), guard);
    let series = series.map_err(|error| query_error(error.into()))?;
    let mut by_metric: HashMap<&str, u64> = HashMap::new();
    let mut by_pair: HashMap<(&str, &str), u64> = HashMap::new();
    for labels in &series {
        guard
            .check()
            .map_err(|stopped| query_error(stopped.into()))?;
        *by_metric.entry(labels.get(METRIC_NAME)).or_default() += 1;
        for pair in labels.iter() {
            *by_pair.entry(pair).or_default() += 1;
        }
    }
    let mut values: HashMap<&str, u64> = HashMap::new();
    let mut bytes: HashMap<&str, u64> = HashMap::new();
    for (name, value) in by_pair.keys() {
        *values.entry(name).or_default() += 1;
        *bytes.entry(name).or_default() += value.len() as u64;
    }
    let pairs = by_pair.len();
    let by_pair = by_pair
        .into_iter()
        .map(|((name, value), n)| (format!("{name}={value}"), n));
    let history = request.backend.health().history;
    let oldest = history.and_then(|history| history.oldest);
    Ok(Reply::json(&json!({
        "headStats": {
            "numSeries": series.len(),
            "numLabelPairs": pairs,
            "chunkCount": 0,
            "minTime": oldest.map_or(0, |oldest| oldest.0),
            "maxTime": request.now.0,
        },
        "seriesCountByMetricName": top(by_metric.into_iter(), limit),
        "labelValueCountByLabelName": top(values.into_iter(), limit),
        "memoryInBytesByLabelName": top(bytes.into_iter(), limit),
        "seriesCountByLabelValuePair": top(by_pair, limit),
    })))
}

/// Returns the `limit` names with the largest counts, in descending order.
fn top(counts: impl Iterator<Item = (impl Into<String>, u64)>, limit: usize) -> Vec<Value> {
    let sorted: BTreeSet<(std::cmp::Reverse<u64>, String)> = counts
        .map(|(name, count)| (std::cmp::Reverse(count), name.into()))
        .collect();
    let first = sorted.into_iter().take(limit);
    first
        .map(|(count, name)| json!({ "name": name, "value": count.0 }))
        .collect()
}
