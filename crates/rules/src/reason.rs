//! Why something changed, in one sentence.

use std::time::Duration;

use bellwether_core::{AlertState, UnixMillis};
use bellwether_schema::format_duration;
use bellwether_template::general;

use super::detail::Detail;
use super::instance::Instance;
use super::question::Look;
use super::rule::Rule;
use super::step::State;

/// What an evaluation went by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Ground<'a> {
    /// A value.
    Value,
    /// There was none.
    NoData,
    /// The evaluation failed.
    Error(&'a str),
    /// The series is gone: it is not in the answer of a query that is the condition itself, or it
    /// has been missing for long enough.
    Vanished,
    /// There are series again.
    Returned,
    /// The rule has more alerts than this.
    Limit(usize),
}

/// The sentence for a change of `rule`'s alert to what `now` is; `before` is the state it left.
#[must_use]
pub fn sentence(rule: &Rule, ground: Ground<'_>, before: &State, now: &Instance) -> String {
    let (state, value) = (&now.state, now.value);
    let held = match state.phase {
        AlertState::Firing => lasting(state.held_for()),
        _ => String::new(),
    };
    match ground {
        Ground::NoData if state.phase == AlertState::Inactive => {
            format!("no data for {}, taken as ok", rule.subject)
        }
        Ground::NoData => format!("no data for {}{held}", rule.subject),
        Ground::Error(error) => format!("{}: evaluation failed{held}: {error}", rule.subject),
        Ground::Vanished if rule.ends_by_absence() => {
            format!("{} has no such series any more", rule.subject)
        }
        Ground::Vanished => {
            let missing = now
                .missing
                .map(|missing| missing.length)
                .unwrap_or_default();
            format!("series disappeared: no data{}", lasting(missing))
        }
        Ground::Returned => format!("data for {} again", rule.subject),
        Ground::Limit(limit) if state.phase == AlertState::Inactive => {
            format!("no alert is left out by the limit {limit} any more")
        }
        Ground::Limit(limit) => format!("{}{held}", beyond(value, Some(limit as f64))),
        Ground::Value if state.phase == AlertState::Inactive => cleared(rule, before, value),
        Ground::Value => {
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
                compared(rule, state.level, value, detail)
            )
        }
    }
}

/// `cpu_percent 91.2 > 85`, `cpu_percent 91.2 is anomalous, expected 20 to 45`,
/// `disk_usage_percent reaches 95 in 3 h 10 min, 2 h 40 min to 4 h 5 min`.
#[must_use]
pub fn compared(rule: &Rule, level: usize, value: Option<f64>, detail: Option<&Detail>) -> String {
    let subject = subject(rule, value);
    match (look(rule), rule.threshold(level)) {
        (Some(Look::Anomaly(_)), _) => match detail.and_then(Detail::expected) {
            Some(expected) => format!("{subject} is anomalous, expected {expected}"),
            None => format!("{subject} is anomalous"),
        },
        (Some(Look::Forecast(foreseen)), _) => {
            let when = match detail {
                Some(Detail::Forecast(when)) => format!(" {when}"),
                _ => String::new(),
            };
            format!(
                "{} reaches {}{when}",
                rule.subject,
                short(foreseen.horizon.target.value)
            )
        }
        (_, Some(threshold)) => {
            format!(
                "{subject} {} {}",
                rule.judge.condition.as_str(),
                short(threshold)
            )
        }
        (_, None) => format!("{subject} is true"),
    }
}

/// `25 alerts, the limit is 20: 5 left out`.
#[must_use]
pub fn beyond(alerts: Option<f64>, limit: Option<f64>) -> String {
    let (alerts, limit) = (alerts.unwrap_or_default(), limit.unwrap_or_default());
    format!(
        "{alerts} alerts, the limit is {limit}: {} left out",
        alerts - limit
    )
}

/// What became of an alert while it fired, to follow the sentence for its end at `end`:
/// `; fired for 42m at 91.2, peak 97`.
#[must_use]
pub fn course(rule: &Rule, alert: &Instance, end: UnixMillis) -> String {
    let span = alert
        .fired_at
        .map(|at| lasting(end.since(at)))
        .unwrap_or_default();
    // Of a forecast they are times, which the annotations tell.
    let foreseen = matches!(look(rule), Some(Look::Forecast(_)));
    let told = |before: &str, value: Option<f64>| match value.filter(|_| !foreseen) {
        Some(value) => format!("{before} {}", short(value)),
        None => String::new(),
    };
    let (at, peak) = (told(" at", alert.fired_value), told(", peak", alert.peak));
    match format!("{span}{at}{peak}").as_str() {
        "" => String::new(),
        course => format!("; fired{course}"),
    }
}

fn look(rule: &Rule) -> Option<&Look> {
    rule.question().map(|question| &question.look)
}

fn cleared(rule: &Rule, before: &State, value: Option<f64>) -> String {
    let subject = subject(rule, value);
    let condition = rule.judge.condition.as_str();
    let resolve = rule
        .judge
        .resolve
        .filter(|_| before.phase == AlertState::Firing);
    let quiet = match before.phase {
        AlertState::Firing => lasting(rule.policy.keep_firing_for),
        _ => String::new(),
    };
    match look(rule) {
        Some(Look::Anomaly(_)) => return format!("{subject} is as expected{quiet}"),
        Some(Look::Forecast(foreseen)) => {
            let (within, value) = (
                format_duration(foreseen.horizon.within),
                short(foreseen.horizon.target.value),
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
    // An expression's text and a number side by side would read as one.
    let colon = if rule.subject.ends_with('`') { ":" } else { "" };
    match value.is_empty() {
        true => rule.subject.clone(),
        false => format!("{}{colon} {value}", rule.subject),
    }
}

/// ` for 5m`, to the nearest second; nothing where that is none.
fn lasting(span: Duration) -> String {
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
