//! Answers of an agent, as the views need them.

use bellwether_core::{Severity, UnixMillis};
use serde_json::Value;

use super::plot::{Curve, Plot};
use crate::cli::alerts::screen::round;
use crate::cli::asking::{binary, list, number};

/// Everything that the agent said.
#[derive(Clone, Debug, Default)]
pub(super) struct Data {
    /// Time of the newest of it; 0 before the first answer.
    pub(super) at: UnixMillis,
    pub(super) link: Link,
    /// Answer of `/api/v1/summary`, with health and alerts.
    pub(super) summary: Value,
    /// Answer of `/api/v1/bottlenecks`.
    pub(super) bottlenecks: Value,
    /// Answer of `/api/v1/score`.
    pub(super) score: Value,
    /// Most important series; moved on only while they are shown.
    pub(super) vitals: Vec<Plot>,
    /// Series of all metrics; moved on only while they are shown.
    pub(super) series: Vec<Plot>,
    /// Time since which the agent does not answer, and the error.
    pub(super) failing: Option<(UnixMillis, String)>,
}

/// Way by which the data come.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum Link {
    /// The agent is asked at each interval; the reason why it is not live, if that was tried.
    Polled(Option<String>),
    /// The agent sends what is new.
    #[default]
    Live,
}

/// Unit of a series, by which it is formatted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Unit {
    #[default]
    Number,
    Percent,
    Bytes,
    BytesPerSecond,
    PerSecond,
    Seconds,
    Milliseconds,
    /// Seconds since 1970.
    Time,
}

impl Data {
    /// Returns the curves of the most important series.
    pub(super) fn vitals(&self) -> impl Iterator<Item = &Curve> {
        self.vitals.iter().flat_map(|plot| &plot.curves)
    }

    /// Returns the curves of all metrics.
    pub(super) fn series(&self) -> impl Iterator<Item = &Curve> {
        self.series.iter().flat_map(|plot| &plot.curves)
    }

    /// Returns the pending and firing alerts: firing ones first, then by severity and age.
    pub(super) fn alerts(&self) -> Vec<&Value> {
        let mut alerts: Vec<&Value> = list(&self.summary["alerts"]["active"]).iter().collect();
        alerts.sort_by_key(|alert| {
            let severity = alert["severity"].as_str().and_then(Severity::rank);
            let is_muted = is_muted(alert);
            let since = alert["activeAt"].as_str().map(str::to_owned);
            (alert["state"] != "firing", is_muted, severity, since)
        });
        alerts
    }
}

/// Returns whether nobody is notified of an alert.
pub(super) fn is_muted(alert: &Value) -> bool {
    ["silencedBy", "inhibitedBy", "acknowledgedBy"]
        .iter()
        .any(|key| alert[key].is_string())
}

impl Unit {
    /// Guesses the unit from the name of a metric, by the conventions of Prometheus.
    pub(super) fn of(name: &str, is_rate: bool) -> Self {
        let ends = |suffixes: &[&str]| suffixes.iter().any(|suffix| name.ends_with(suffix));
        match is_rate {
            true if name.contains("_bytes") => Self::BytesPerSecond,
            true => Self::PerSecond,
            false if ends(&["_percent"]) => Self::Percent,
            false if ends(&["_timestamp_seconds"]) => Self::Time,
            false if name.contains("_bytes") => Self::Bytes,
            false if name.starts_with("neo4j") && name.contains("_duration") => Self::Milliseconds,
            false if ends(&["_seconds", "_duration", "_time"]) => Self::Seconds,
            false => Self::Number,
        }
    }

    /// Formats a value with its unit; a dash if it is missing.
    pub(super) fn format(self, value: Option<f64>) -> String {
        let Some(value) = value else {
            return "-".to_owned();
        };
        match self {
            Self::Number => short(value),
            Self::Percent => format!("{value:.1} %"),
            Self::Bytes => bytes(value),
            Self::BytesPerSecond => format!("{}/s", bytes(value)),
            Self::PerSecond => format!("{}/s", short(value)),
            Self::Seconds => time(value),
            Self::Milliseconds => time(value / 1000.0),
            Self::Time => date(value),
        }
    }
}

fn short(value: f64) -> String {
    number(&Value::from(value))
}

fn bytes(value: f64) -> String {
    let (value, unit) = binary(value);
    match value.abs() >= 100.0 || unit == "B" {
        true => format!("{value:.0} {unit}"),
        false => format!("{value:.1} {unit}"),
    }
}

fn time(seconds: f64) -> String {
    match seconds.abs() {
        below if below < 0.001 => format!("{:.0} us", seconds * 1e6),
        below if below < 1.0 => format!("{:.1} ms", seconds * 1e3),
        below if below < 120.0 => format!("{seconds:.2} s"),
        _ => round(seconds),
    }
}

/// Formats a time in UTC, without its year.
fn date(seconds: f64) -> String {
    let at = jiff::Timestamp::from_second(seconds as i64).unwrap_or_default();
    at.strftime("%m-%d %H:%M").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_units() {
        for (name, is_rate, value, expected) in [
            ("cpu_percent", false, 42.04, "42.0 %"),
            ("memory_used_bytes", false, 1_610_612_736.0, "1.5 GiB"),
            ("network_bytes_sent", true, 2048.0, "2.0 KiB/s"),
            ("api_request_count", true, 12.5, "12.5/s"),
            ("api_request_duration", false, 0.0421, "42.1 ms"),
            ("neo4j_query_duration_p95", false, 62.0, "62.0 ms"),
            ("queue_length", false, 1234.0, "1.234k"),
            (
                "last_reload_timestamp_seconds",
                false,
                1_767_268_800.0,
                "01-01 12:00",
            ),
        ] {
            assert_eq!(
                Unit::of(name, is_rate).format(Some(value)),
                expected,
                "{name}"
            );
        }
        assert_eq!(Unit::Percent.format(None), "-");
    }
}
