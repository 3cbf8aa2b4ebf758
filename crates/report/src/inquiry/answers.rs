//! Answers of the API to parts of a report.

use bellwether_core::{Labels, UnixMillis};
use serde_json::Value;

use crate::api_data::list;
use crate::{Anomaly, Bottleneck, Capacity, Forecast, Health, HealthPart, Trend};

/// Seconds of a week and of a day.
const WEEK: f64 = 7.0 * 86_400.0;
const DAY: f64 = 86_400.0;

pub(super) fn health(score: &Value) -> Health {
    let parts = list(&score["parts"]).iter().map(|part| HealthPart {
        points: float(&part["points"]),
        name: plain(&part["name"]),
        reason: plain(&part["reason"]),
    });
    Health {
        score: float(&score["score"]),
        rating: plain(&score["rating"]),
        parts: parts.collect(),
    }
}

pub(super) fn bottleneck(one: &Value) -> Bottleneck {
    Bottleneck {
        name: plain(&one["name"]),
        resource: plain(&one["resource"]),
        labels: labels(&one["labels"]),
        impact: float(&one["impact"]),
        value: float(&one["value"]),
        unit: plain(&one["unit"]),
        advice: plain(&one["advice"]),
    }
}

pub(super) fn forecast(metric: &str, series: &Value, reaches: f64) -> Forecast {
    Forecast {
        metric: metric.to_owned(),
        labels: labels(&series["labels"]),
        latest: float(&series["latest"]),
        reaches,
        seconds: float(&series["linear"]["seconds"]),
        text: plain(&series["linear"]["text"]),
    }
}

pub(super) fn trend(metric: &str, series: &Value) -> Trend {
    Trend {
        metric: metric.to_owned(),
        labels: labels(&series["labels"]),
        movement: plain(&series["movement"]),
        verdict: series["verdict"].as_str().map(str::to_owned),
        mean: float(&series["mean"]),
        p95: series["quantiles"]["p95"].as_f64(),
        change: float(&series["change"]),
    }
}

pub(super) fn anomaly(metric: &str, labels: &Labels, anomaly: &Value) -> Anomaly {
    let (from, to) = (time(&anomaly["from"]), time(&anomaly["to"]));
    let span = to.unwrap_or_default().since(from.unwrap_or_default());
    let expected = list(&anomaly["expected"]);
    Anomaly {
        metric: metric.to_owned(),
        labels: labels.clone(),
        from: from.unwrap_or_default(),
        seconds: span.as_secs_f64(),
        value: float(&anomaly["value"]),
        expected: expected
            .first()
            .zip(expected.last())
            .map(|(low, high)| (float(low), float(high))),
        score: float(&anomaly["score"]),
    }
}

/// Computes the growth of a resource, in percent, over a range of `seconds`.
pub(super) fn usage(resource: String, before: Option<f64>, now: f64, seconds: f64) -> Capacity {
    let per_second = before.map(|before| (now - before) / (seconds - 3600.0).max(1.0));
    let days = per_second
        .filter(|growth| *growth > 0.0)
        .map(|growth| (100.0 - now).max(0.0) / growth / DAY);
    Capacity {
        resource,
        before,
        now,
        per_week: per_second.map(|growth| growth * WEEK),
        days_left: days.filter(|days| *days <= 365.0),
    }
}

/// Returns those of `names` that are configured.
pub(super) fn configured<'a>(names: &[&'a str], metrics: &[Value]) -> Vec<&'a str> {
    let is_configured = |name: &&&str| metrics.iter().any(|metric| metric["name"] == **name);
    names.iter().filter(is_configured).copied().collect()
}

/// Returns whether a series of a metric is a number: a trend of buckets says nothing.
pub(super) fn is_number(metric: &Value) -> bool {
    ["counter", "gauge"]
        .iter()
        .any(|kind| metric["type"] == *kind)
}

/// Returns labels and values of an instant query.
pub(super) fn vector(answer: &Value) -> impl Iterator<Item = (Labels, f64)> {
    let series = list(&answer["result"]).iter();
    series.filter_map(|series| {
        let value = series["value"][1].as_str()?.parse().ok()?;
        Some((labels(&series["metric"]), value))
    })
}

pub(super) fn labels(value: &Value) -> Labels {
    let labels = value.as_object().into_iter().flatten();
    labels
        .filter(|(name, _)| *name != "__name__")
        .map(|(name, value)| (name.clone(), plain(value)))
        .collect()
}

/// Returns a text as it is; each format escapes it.
pub(super) fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "-".to_owned(),
        other => other.to_string(),
    }
}

pub(super) fn float(value: &Value) -> f64 {
    value.as_f64().unwrap_or_default()
}

pub(super) fn time(value: &Value) -> Option<UnixMillis> {
    let at: jiff::Timestamp = value.as_str()?.parse().ok()?;
    Some(UnixMillis(at.as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_is_of_a_week_and_says_when_it_is_full() {
        let disk = usage("/".into(), Some(60.0), 70.0, WEEK + 3600.0);
        let days = disk.days_left.map(f64::round);
        assert_eq!((disk.per_week, days), (Some(10.0), Some(21.0)));
        assert_eq!(usage("/".into(), Some(70.0), 60.0, WEEK).days_left, None);
        assert_eq!(usage("/".into(), None, 60.0, WEEK).per_week, None);
    }
}
