//! Outcomes of a replay as JSON.

use std::collections::BTreeMap;
use std::time::Duration;

use bellwether_core::UnixMillis;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Change, Episode, Outcome, RuleOutcome, compare};

/// Start and end of a replay.
pub type Range = (UnixMillis, UnixMillis);

/// Returns the differences between two sets of rules over the same time, by rule.
#[must_use]
pub fn changes(before: &Outcome, after: &Outcome, range: Range) -> Value {
    let changes = compare(before, after, range.1).into_iter();
    let changes: BTreeMap<&str, Vec<Value>> = changes
        .map(|(rule, changes)| (rule, changes.iter().map(change).collect()))
        .collect();
    json!(changes)
}

fn change(change: &Change<'_>) -> Value {
    match change {
        Change::Added(after) => json!({ "after": episode(after) }),
        Change::Removed(before) => json!({ "before": episode(before) }),
        Change::Moved(before, after) => {
            json!({ "before": episode(before), "after": episode(after) })
        }
    }
}

/// Returns an outcome, with the name of the configuration.
#[must_use]
pub fn outcome(name: &str, outcome: &Outcome, (from, to): Range) -> Value {
    let rules: Vec<Value> = outcome
        .rules
        .iter()
        .map(|outcome| rule(outcome, to.since(from)))
        .collect();
    json!({
        "configuration": name,
        "from": time(from),
        "to": time(to),
        "series": outcome.series,
        "samples": outcome.samples,
        "evaluations": outcome.ticks,
        "warnings": outcome.warnings,
        "rules": rules,
    })
}

fn rule(rule: &RuleOutcome, span: Duration) -> Value {
    json!({
        "name": &*rule.name,
        "condition": rule.condition,
        "fired": rule.episodes.len(),
        "perWeek": rule.per_week(span),
        "averted": rule.averted,
        "notifications": notifications(&rule.episodes),
        "error": rule.error,
        "episodes": rule.episodes.iter().map(episode).collect::<Vec<_>>(),
    })
}

fn episode(episode: &Episode) -> Value {
    let notifications = episode.notifications.iter().map(|notification| {
        json!({ "channel": notification.channel, "status": notification.status.as_str(), "at": time(notification.at) })
    });
    json!({
        "labels": episode.labels,
        "severity": episode.severity.as_str(),
        "activeAt": time(episode.active_at),
        "firedAt": time(episode.fired_at),
        "resolvedAt": episode.resolved_at.map(time),
        "value": episode.value,
        "reason": episode.reason,
        "notifications": notifications.collect::<Vec<_>>(),
    })
}

/// Counts the notifications of episodes by channel.
#[must_use]
pub fn notifications(episodes: &[Episode]) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    for notification in episodes.iter().flat_map(|episode| &episode.notifications) {
        *counts.entry(notification.channel.as_str()).or_default() += 1;
    }
    counts
}

/// Formats a time as RFC 3339 in UTC, in whole seconds.
#[must_use]
pub fn time(at: UnixMillis) -> String {
    let seconds = Timestamp::from_second(at.0.div_euclid(1000));
    seconds.map(|at| at.to_string()).unwrap_or_default()
}
