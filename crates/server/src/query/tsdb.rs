//! `/api/v1/status/tsdb`: of which metrics and labels history has the most series.

use std::collections::{BTreeSet, HashMap};

use bellwether_core::{METRIC_NAME, UnixMillis};
use bellwether_promql::{Guard, Queryable};
use serde_json::{Value, json};

use super::views::{Question, trouble};
use crate::answer::Trouble;

/// Entries of each list, unless `limit` says otherwise.
const LIMIT: usize = 10;
/// Most that `limit` may ask for.
const MOST: usize = 10_000;

/// The `data` of its answer.
pub(super) fn view(
    asked: &Question,
    source: &dyn Queryable,
    guard: &Guard,
) -> Result<Value, Trouble> {
    let limit = match asked.parameters.text("limit") {
        "" => LIMIT,
        _ => asked.parameters.limit("limit")?.min(MOST),
    };
    let series = source.series(&[], UnixMillis(i64::MIN), UnixMillis(i64::MAX), guard);
    let series = series.map_err(|error| trouble(error.into()))?;
    let mut by_metric: HashMap<&str, u64> = HashMap::new();
    let mut by_pair: HashMap<(&str, &str), u64> = HashMap::new();
    for labels in &series {
        guard.check().map_err(|stopped| trouble(stopped.into()))?;
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
    let times = |time: Option<UnixMillis>| time.map_or(0, |time| time.0);
    Ok(json!({
        "headStats": {
            "numSeries": series.len(),
            "numLabelPairs": pairs,
            "chunkCount": 0,
            "minTime": times(asked.oldest),
            "maxTime": asked.now.0,
        },
        "seriesCountByMetricName": top(by_metric.into_iter(), limit),
        "labelValueCountByLabelName": top(values.into_iter(), limit),
        "memoryInBytesByLabelName": top(bytes.into_iter(), limit),
        "seriesCountByLabelValuePair": top(by_pair, limit),
    }))
}

/// The `limit` names with the most, those first.
fn top(counts: impl Iterator<Item = (impl Into<String>, u64)>, limit: usize) -> Vec<Value> {
    let sorted: BTreeSet<(std::cmp::Reverse<u64>, String)> = counts
        .map(|(name, count)| (std::cmp::Reverse(count), name.into()))
        .collect();
    let first = sorted.into_iter().take(limit);
    first
        .map(|(count, name)| json!({ "name": name, "value": count.0 }))
        .collect()
}
