//! Formats the outcome of a backtest as text.

use std::fmt::Write as _;
use std::time::Duration;

use bellwether_core::{LabelSet, Labels, Status, UnixMillis, counted};
use bellwether_schema::format_duration;

use super::BacktestRun;
use crate::cli::asking::printable;
use bellwether_agent::replay::view::{Range, notifications, time};
use bellwether_agent::replay::{Change, Episode, Outcome, compare};

/// Maximum number of episodes listed per rule; the rest is counted.
const LISTED: usize = 20;

/// Formats the outcome for people.
pub(super) fn text(run: &BacktestRun, range: Range) -> String {
    let mut out = head(run, range);
    let outcome = &run.outcome;
    table(&mut out, outcome, range);
    for rule in outcome
        .rules
        .iter()
        .filter(|rule| !rule.episodes.is_empty())
    {
        let _ = write!(out, "\n{}: {}\n", rule.name, rule.condition);
        for episode in rule.episodes.iter().take(LISTED) {
            let _ = writeln!(out, "  {}", line(episode, range.1));
        }
        if let Some(more) = rule
            .episodes
            .len()
            .checked_sub(LISTED)
            .filter(|more| *more > 0)
        {
            let _ = writeln!(out, "  and {more} more; --output json lists all");
        }
    }
    out
}

fn head(run: &BacktestRun, (from, to): Range) -> String {
    let outcome = &run.outcome;
    let mut out = format!(
        "{}: {} to {} ({}), {} series, {}, {}\n",
        run.name,
        time(from),
        time(to),
        span(to.since(from)),
        outcome.series,
        counted(outcome.samples, "sample"),
        counted(outcome.ticks, "evaluation"),
    );
    for warning in &outcome.warnings {
        let _ = writeln!(out, "warning: {warning}");
    }
    out
}

fn table(out: &mut String, outcome: &Outcome, (from, to): Range) {
    let width = outcome
        .rules
        .iter()
        .map(|rule| rule.name.len())
        .max()
        .unwrap_or(0)
        .max(4);
    let _ = writeln!(
        out,
        "\n{:<width$} {:>6} {:>8} {:>10} {:>10} {:>8}  notifications",
        "rule", "fired", "a week", "longest", "in all", "averted"
    );
    for rule in &outcome.rules {
        let lasted: Vec<Duration> = rule
            .episodes
            .iter()
            .map(|episode| episode.lasted(to))
            .collect();
        let longest = lasted.iter().max().copied();
        let channels: Vec<String> = notifications(&rule.episodes)
            .into_iter()
            .map(|(channel, count)| format!("{channel} {count}"))
            .collect();
        let _ = writeln!(
            out,
            "{:<width$} {:>6} {:>8.1} {:>10} {:>10} {:>8}  {}",
            rule.name,
            rule.episodes.len(),
            rule.per_week(to.since(from)),
            longest.map_or_else(|| "-".to_owned(), span),
            span(lasted.iter().sum()),
            rule.averted,
            if channels.is_empty() {
                "-".to_owned()
            } else {
                channels.join(", ")
            },
        );
        if let Some(error) = &rule.error {
            let _ = writeln!(out, "  its last evaluation failed: {error}");
        }
    }
}

fn line(episode: &Episode, end: UnixMillis) -> String {
    let lasted = span(episode.lasted(end));
    let ended = match episode.resolved_at {
        Some(at) => format!("to {} ({lasted})", time(at)),
        None => format!("still firing after {lasted}"),
    };
    let firing = episode
        .notifications
        .iter()
        .filter(|notification| notification.status == Status::Firing);
    let mut channels: Vec<&str> = firing
        .map(|notification| notification.channel.as_str())
        .collect();
    channels.dedup();
    let channels = if channels.is_empty() {
        "none".to_owned()
    } else {
        channels.join(", ")
    };
    format!(
        "{} {ended}  {} {} {}  notified: {channels}",
        time(episode.fired_at),
        episode.severity.as_str(),
        labels(&episode.labels),
        episode.reason,
    )
}

/// Formats the differences to the second configuration for people.
pub(super) fn difference(before: &BacktestRun, after: &BacktestRun, range: Range) -> String {
    let mut out = format!("- {}+ {}", head(before, range), head(after, range));
    let ((fired, notified), (fired_after, notified_after)) =
        (count(&before.outcome), count(&after.outcome));
    let _ = writeln!(
        out,
        "\nfired {fired} => {fired_after}, notifications {notified} => {notified_after}"
    );
    let changes = compare(&before.outcome, &after.outcome, range.1);
    if changes.is_empty() {
        out.push_str("no alert differs\n");
    }
    for (rule, changes) in changes {
        let _ = writeln!(out, "\n{rule}");
        for change in changes {
            let _ = match change {
                Change::Added(episode) => writeln!(out, "  + {}", line(episode, range.1)),
                Change::Removed(episode) => writeln!(out, "  - {}", line(episode, range.1)),
                Change::Moved(before, after) => {
                    writeln!(
                        out,
                        "  - {}\n  + {}",
                        line(before, range.1),
                        line(after, range.1)
                    )
                }
            };
        }
    }
    out
}

/// Counts the episodes of an outcome, and the notifications of them.
fn count(outcome: &Outcome) -> (usize, usize) {
    let episodes = outcome.rules.iter().flat_map(|rule| &rule.episodes);
    episodes.fold((0, 0), |(fired, notified), episode| {
        (fired + 1, notified + episode.notifications.len())
    })
}

fn labels(labels: &Labels) -> String {
    printable(&LabelSet::new(labels).to_string())
}

/// Formats a duration in whole seconds.
fn span(span: Duration) -> String {
    format_duration(Duration::from_secs(span.as_secs()))
}
