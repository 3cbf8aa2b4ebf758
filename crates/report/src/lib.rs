//! Reports over a time range: what was wrong, what gets better or worse, what will be full.
//!
//! An [`Inquiry`] asks an agent for all that a [`Report`] says. A report is data; each [`Format`] is a function from
//! it to text: `html`, `markdown`, `csv`, and JSON by serde. All text comes from outside and is escaped by each format.
//! Reports by schedule are [`ReportSettings`], and [`Schedule`] says when one is due.
//!
//! - [`api_data`]: values in the answers of the API.
//! - [`units`]: units of values, and values as people read them.
//! - [`vitals`]: the most important series of an agent.

pub mod api_data;
mod bulletin;
mod chart;
mod csv;
mod digest;
mod format;
mod html;
mod inquiry;
mod markdown;
mod schedule;
mod settings;
pub mod units;
pub mod vitals;

use bellwether_core::{Labels, UnixMillis, self_metrics};
use serde::{Serialize, Serializer};

pub use bulletin::bulletin;
pub use csv::{CsvTable, tables};
pub use digest::{Tone, Verdict, digest};
pub use format::Format;
pub use inquiry::{Agent, Inquiry};
pub use schedule::{SavedSchedule, Schedule};
pub use settings::{ReportSettings, check, check_channel};

use crate::units::Unit;

self_metrics! {
    REPORT_FAILURES = "bellwether_report_failures_total" Counter ["report"]
        "Attempts to make a report that failed; the next is a minute later.";
}

/// Everything that a report says.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Host or URL of the agent.
    pub host: String,
    /// Version of the agent.
    pub version: String,
    /// Start of the time range.
    #[serde(serialize_with = "rfc3339")]
    pub from: UnixMillis,
    /// End of the time range.
    #[serde(serialize_with = "rfc3339")]
    pub to: UnixMillis,
    /// Health score at the end; `None` if it is not known.
    pub health: Option<Health>,
    /// Alerts that fired in the range, the newest first.
    pub alerts: Vec<AlertEpisode>,
    /// Trends over the range: those with a verdict first.
    pub trends: Vec<Trend>,
    /// Anomalies in the range, the clearest first.
    pub anomalies: Vec<Anomaly>,
    /// Bottlenecks at the end, the worst first.
    pub bottlenecks: Vec<Bottleneck>,
    /// Values that are going to be reached, the soonest first.
    pub forecasts: Vec<Forecast>,
    /// Resources with a limit, the fullest first.
    pub capacity: Vec<Capacity>,
    /// Series over the range.
    pub metrics: Vec<Series>,
    /// Parts that could not be asked for, with the reason.
    pub missing: Vec<String>,
}

/// Health score.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Health {
    /// Points, from 0 to 100.
    pub score: f64,
    /// The score in a word.
    pub rating: String,
    pub parts: Vec<HealthPart>,
}

/// Reason for which the score is not 100.
#[derive(Clone, Debug, Default, Serialize)]
pub struct HealthPart {
    pub points: f64,
    pub name: String,
    pub reason: String,
}

/// An alert from firing to resolving.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AlertEpisode {
    pub alertname: String,
    /// Labels without the name and the severity.
    pub labels: Labels,
    /// Highest severity.
    pub severity: String,
    #[serde(serialize_with = "rfc3339")]
    pub fired_at: UnixMillis,
    /// `None`: it fires at the end of the range.
    #[serde(serialize_with = "rfc3339_if_any")]
    pub resolved_at: Option<UnixMillis>,
    /// Time for which it fired, up to the end of the range.
    pub seconds: f64,
    pub peak: Option<f64>,
    pub message: String,
    /// Notifications that were delivered.
    pub delivered: usize,
    /// Attempts that failed, and notifications that were rejected.
    pub failed: usize,
}

/// Trend of a series over the range.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Trend {
    pub metric: String,
    pub labels: Labels,
    /// Movement: increasing, decreasing, stable or volatile.
    pub movement: String,
    /// `improving` or `degrading`, where it is known what is good for the metric.
    pub verdict: Option<String>,
    pub mean: f64,
    pub p95: Option<f64>,
    /// Change of the trend line over the range.
    pub change: f64,
}

/// Deviation from the expected range.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Anomaly {
    pub metric: String,
    pub labels: Labels,
    #[serde(serialize_with = "rfc3339")]
    pub from: UnixMillis,
    pub seconds: f64,
    pub value: f64,
    /// Lowest and highest expected value.
    pub expected: Option<(f64, f64)>,
    pub score: f64,
}

/// A resource that limits the others.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Bottleneck {
    pub name: String,
    pub resource: String,
    pub labels: Labels,
    /// Severity, from 0 to 100.
    pub impact: f64,
    pub value: f64,
    pub unit: String,
    pub advice: String,
}

/// A value that a series is going to reach.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Forecast {
    pub metric: String,
    pub labels: Labels,
    pub latest: f64,
    pub reaches: f64,
    /// Seconds from the end of the range.
    pub seconds: f64,
    /// The time with its uncertainty, in words.
    pub text: String,
}

/// A resource with a limit.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Capacity {
    pub resource: String,
    /// Usage at the start and at the end of the range, in percent.
    pub before: Option<f64>,
    pub now: f64,
    /// Growth over the whole range, in percent of the resource per week.
    pub per_week: Option<f64>,
    /// Days until it is full if it goes on like this; `None`: not within a year.
    pub days_left: Option<f64>,
}

/// A series over the range.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Series {
    pub title: String,
    pub metric: String,
    pub unit: Unit,
    /// Seconds between two values.
    pub step: f64,
    /// Evenly spaced values from the start of the range on; `None` is a gap.
    pub values: Vec<Option<f64>>,
}

impl Report {
    /// Length of the range in seconds.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        self.to.since(self.from).as_secs_f64()
    }
}

/// Formats a duration in at most two units.
#[must_use]
pub fn duration(seconds: f64) -> String {
    let (unit, whole) = match seconds {
        below if below < 60.0 => return format!("{:.0} s", seconds.max(0.0)),
        below if below < 3600.0 => return format!("{:.0} min", seconds / 60.0),
        below if below < 86_400.0 => (("h", 3600.0), ("min", 60.0)),
        _ => (("d", 86_400.0), ("h", 3600.0)),
    };
    let large = (seconds / unit.1).floor();
    let small = ((seconds - large * unit.1) / whole.1).floor();
    match small > 0.0 {
        true => format!("{large:.0} {} {small:.0} {}", unit.0, whole.0),
        false => format!("{large:.0} {}", unit.0),
    }
}

/// Formats a time in UTC.
#[must_use]
pub fn instant(at: UnixMillis) -> String {
    strftime(at, "%Y-%m-%d %H:%M")
}

fn strftime(at: UnixMillis, format: &str) -> String {
    let at = jiff::Timestamp::from_millisecond(at.0).unwrap_or_default();
    at.strftime(format).to_string()
}

/// Formats a name with its labels, without those that all series of an agent have.
#[must_use]
pub fn named(name: &str, labels: &Labels) -> String {
    let shown: Labels = labels
        .iter()
        .filter(|(label, _)| !is_common(label))
        .map(|(label, value)| (label.clone(), value.clone()))
        .collect();
    match shown.is_empty() {
        true => name.to_owned(),
        false => format!("{name}{}", bellwether_core::braced(&shown)),
    }
}

/// Returns whether a label distinguishes no two alerts or series of one agent.
fn is_common(label: &str) -> bool {
    matches!(
        label,
        "__name__" | "alertname" | "severity" | "instance" | "environment" | "job"
    )
}

fn rfc3339<S: Serializer>(at: &UnixMillis, serializer: S) -> Result<S::Ok, S::Error> {
    let at = jiff::Timestamp::from_millisecond(at.0).unwrap_or_default();
    serializer.serialize_str(&at.to_string())
}

fn rfc3339_if_any<S: Serializer>(
    at: &Option<UnixMillis>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match at {
        Some(at) => rfc3339(at, serializer),
        None => serializer.serialize_none(),
    }
}

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
