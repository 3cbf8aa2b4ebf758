//! Reasons of transitions, one sentence each.

use std::time::Duration;

use bellwether_core::{AlertState, UnixMillis};
use bellwether_schema::format_duration;
use bellwether_template::general;

use crate::alert::active_alert::ActiveAlert;
use crate::alert::detail::Detail;
use crate::alert::state_machine::State;
use crate::query::history_query::QueryKind;
use crate::rule::Rule;

/// Cause of an observation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cause<'a> {
    /// A value.
    Value,
    /// No data.
    NoData,
    /// The evaluation failed.
    Error(&'a str),
    /// The series is gone: it left the result of a query that is the condition itself, or it has
    /// been missing for `resolve_missing_after`.
    Vanished,
    /// There are series again.
    Returned,
    /// The rule has more alerts than this.
    Limit(usize),
}

/// Returns the reason of the transition of `rule`'s alert from `before` to `now`.
#[must_use]
pub fn transition_reason(
    rule: &Rule,
    cause: Cause<'_>,
    before: &State,
    now: &ActiveAlert,
) -> String {
    let (state, value) = (&now.state, now.value);
    let held = match state.phase {
        AlertState::Firing => for_duration(state.condition_duration()),
        _ => String::new(),
    };
    match cause {
        Cause::NoData if state.phase == AlertState::Inactive => {
            format!("no data for {}, treated as ok", rule.subject)
        }
        Cause::NoData => format!("no data for {}{held}", rule.subject),
        Cause::Error(error) => format!("{}: evaluation failed{held}: {error}", rule.subject),
        Cause::Vanished if rule.resolves_when_absent() => {
            format!("{} has no such series any more", rule.subject)
        }
        Cause::Vanished => {
            let missing = now
                .missing
                .map(|missing| missing.length)
                .unwrap_or_default();
            format!("series disappeared: no data{}", for_duration(missing))
        }
        Cause::Returned => format!("data for {} again", rule.subject),
        Cause::Limit(limit) if state.phase == AlertState::Inactive => {
            format!("no alert is left out by the limit {limit} any more")
        }
        Cause::Limit(limit) => format!("{}{held}", describe_over_limit(value, Some(limit as f64))),
        Cause::Value if state.phase == AlertState::Inactive => cleared(rule, before, value),
        Cause::Value => {
            let (old, new) = (rule.severity(before.level), rule.severity(state.level));
            let change = match before.phase {
                AlertState::Firing if old != new => {
                    format!(", {} becomes {}", old.as_str(), new.as_str())
                }
                _ => String::new(),
            };
            let detail = now.detail.as_ref();
            format!(
                "{}{held}{change}",
                describe_value(rule, state.level, value, detail)
            )
        }
    }
}

/// Describes a value: `cpu_percent 91.2 > 85`, `cpu_percent 91.2 is anomalous, expected 20 to 45`,
/// `disk_usage_percent reaches 95 in 3 h 10 min, 2 h 40 min to 4 h 5 min`.
#[must_use]
pub fn describe_value(
    rule: &Rule,
    level: usize,
    value: Option<f64>,
    detail: Option<&Detail>,
) -> String {
    let subject = subject(rule, value);
    match (kind(rule), rule.threshold(level)) {
        (Some(QueryKind::Anomaly(_)), _) => match detail.and_then(Detail::expected) {
            Some(expected) => format!("{subject} is anomalous, expected {expected}"),
            None => format!("{subject} is anomalous"),
        },
        (Some(QueryKind::Forecast(forecasting)), _) => {
            let when = match detail {
                Some(Detail::Forecast(when)) => format!(" {when}"),
                _ => String::new(),
            };
            format!(
                "{} reaches {}{when}",
                rule.subject,
                short(forecasting.horizon.target.value)
            )
        }
        (_, Some(threshold)) => {
            format!(
                "{subject} {} {}",
                rule.comparison.condition.as_str(),
                short(threshold)
            )
        }
        (_, None) => format!("{subject} is true"),
    }
}

/// Describes the alerts over the limit: `25 alerts, the limit is 20: 5 left out`.
#[must_use]
pub fn describe_over_limit(alerts: Option<f64>, limit: Option<f64>) -> String {
    let (alerts, limit) = (alerts.unwrap_or_default(), limit.unwrap_or_default());
    format!(
        "{alerts} alerts, the limit is {limit}: {} left out",
        alerts - limit
    )
}

/// Summarizes the firing time of an alert that resolves at `end`, to follow its reason: `; fired
/// for 42m at 91.2, peak 97`.
#[must_use]
pub fn firing_summary(rule: &Rule, alert: &ActiveAlert, end: UnixMillis) -> String {
    let span = alert
        .fired_at
        .map(|at| for_duration(end.since(at)))
        .unwrap_or_default();
    // Values of a forecast are times; they are in the annotations.
    let forecasting = matches!(kind(rule), Some(QueryKind::Forecast(_)));
    let notified = |before: &str, value: Option<f64>| match value.filter(|_| !forecasting) {
        Some(value) => format!("{before} {}", short(value)),
        None => String::new(),
    };
    let (at, peak) = (
        notified(" at", alert.fired_value),
        notified(", peak", alert.peak),
    );
    match format!("{span}{at}{peak}").as_str() {
        "" => String::new(),
        course => format!("; fired{course}"),
    }
}

fn kind(rule: &Rule) -> Option<&QueryKind> {
    rule.history_query()
        .map(|history_query| &history_query.kind)
}

fn cleared(rule: &Rule, before: &State, value: Option<f64>) -> String {
    let subject = subject(rule, value);
    let condition = rule.comparison.condition.as_str();
    let resolve = rule
        .comparison
        .resolve
        .filter(|_| before.phase == AlertState::Firing);
    let quiet = match before.phase {
        AlertState::Firing => for_duration(rule.policy.keep_firing_for),
        _ => String::new(),
    };
    match kind(rule) {
        Some(QueryKind::Anomaly(_)) => return format!("{subject} is as expected{quiet}"),
        Some(QueryKind::Forecast(forecasting)) => {
            let (within, value) = (
                format_duration(forecasting.horizon.within),
                short(forecasting.horizon.target.value),
            );
            return format!(
                "{} no longer reaches {value} within {within}{quiet}",
                rule.subject
            );
        }
        _ => {}
    }
    match (resolve, rule.threshold(0)) {
        (Some(resolve), _) => {
            format!(
                "{subject} is not {condition} {} (resolve_threshold){quiet}",
                short(resolve)
            )
        }
        (None, Some(threshold)) => {
            format!("{subject} is not {condition} {}{quiet}", short(threshold))
        }
        (None, None) => format!("{subject} is not true{quiet}"),
    }
}

fn subject(rule: &Rule, value: Option<f64>) -> String {
    let value = value.map(short).unwrap_or_default();
    // An expression and a number side by side would read as one.
    let colon = if rule.subject.ends_with('`') { ":" } else { "" };
    match value.is_empty() {
        true => rule.subject.clone(),
        false => format!("{}{colon} {value}", rule.subject),
    }
}

/// Formats ` for 5m`, to the nearest second; empty for less than half a second.
fn for_duration(span: Duration) -> String {
    match Duration::from_secs((span + Duration::from_millis(500)).as_secs()) {
        Duration::ZERO => String::new(),
        whole => format!(" for {}", format_duration(whole)),
    }
}

fn short(value: f64) -> String {
    if value.fract() == 0.0 && value.abs() < 1e15 {
        format!("{value}")
    } else {
        general(value, 6)
    }
}
