//! The report as Markdown with tables, for tickets, chats and wikis.

use std::fmt::Write;

use super::digest::{by_rule, digest};
use super::{Report, duration, instant, named};
use crate::units::number;

/// Formats the report as Markdown (GitHub Flavored Markdown for tables).
#[must_use]
pub fn markdown(report: &Report) -> String {
    let mut out = format!(
        "# {}: {} to {} UTC\n\n",
        escaped(&report.host),
        instant(report.from),
        instant(report.to)
    );
    for verdict in digest(report) {
        writeln!(out, "- {}", escaped(&verdict.text)).ok();
    }
    let health = report.health.iter().flat_map(|health| &health.parts);
    out += &table(
        "Health at the end",
        &["Points", "Cause", "Reason"],
        health.map(|part| {
            vec![
                format!("-{}", number(part.points)),
                part.name.clone(),
                part.reason.clone(),
            ]
        }),
    );
    out += &table(
        "Alerts by rule",
        &["Rule", "Severity", "Fired", "In all", "Longest"],
        by_rule(report).into_iter().map(|rule| {
            vec![
                rule.name.to_owned(),
                rule.severity.to_owned(),
                rule.count.to_string(),
                duration(rule.seconds),
                duration(rule.longest),
            ]
        }),
    );
    out += &table(
        "Alerts",
        &["Fired (UTC)", "Severity", "Alert", "For", "Message"],
        report.alerts.iter().map(|alert| {
            let state = if alert.resolved_at.is_none() {
                ", firing"
            } else {
                ""
            };
            vec![
                instant(alert.fired_at),
                alert.severity.clone(),
                named(&alert.alertname, &alert.labels),
                format!("{}{state}", duration(alert.seconds)),
                alert.message.clone(),
            ]
        }),
    );
    out += &table(
        "Capacity",
        &["Resource", "At the end", "Per week", "Full in"],
        report.capacity.iter().map(|capacity| {
            let left = capacity.days_left.map(|days| duration(days * 86_400.0));
            vec![
                capacity.resource.clone(),
                format!("{:.1} %", capacity.now),
                capacity
                    .per_week
                    .map_or_else(|| "-".to_owned(), |growth| format!("{growth:+.1} %")),
                left.unwrap_or_else(|| "over a year".to_owned()),
            ]
        }),
    );
    out += &table(
        "Forecasts",
        &["Series", "Now", "Reaches", "When"],
        report.forecasts.iter().map(|forecast| {
            vec![
                named(&forecast.metric, &forecast.labels),
                number(forecast.latest),
                number(forecast.reaches),
                forecast.text.clone(),
            ]
        }),
    );
    out += &table(
        "Bottlenecks at the end",
        &["Impact", "Bottleneck", "Value", "Advice"],
        report.bottlenecks.iter().map(|bottleneck| {
            vec![
                format!("{:.0}", bottleneck.impact),
                named(&bottleneck.name, &bottleneck.labels),
                format!("{} {}", number(bottleneck.value), bottleneck.unit),
                bottleneck.advice.clone(),
            ]
        }),
    );
    let known = report
        .trends
        .iter()
        .filter_map(|trend| Some((trend, trend.verdict.clone()?)));
    out += &table(
        "Trends",
        &["Verdict", "Series", "Movement", "Mean", "Change"],
        known.map(|(trend, verdict)| {
            vec![
                verdict,
                named(&trend.metric, &trend.labels),
                trend.movement.clone(),
                number(trend.mean),
                number(trend.change),
            ]
        }),
    );
    out += &table(
        "Anomalies",
        &["From (UTC)", "Series", "Value", "For"],
        report.anomalies.iter().map(|anomaly| {
            vec![
                instant(anomaly.from),
                named(&anomaly.metric, &anomaly.labels),
                number(anomaly.value),
                duration(anomaly.seconds),
            ]
        }),
    );
    out += &table(
        "Not in this report",
        &["Reason"],
        report.missing.iter().map(|line| vec![line.clone()]),
    );
    out
}

/// Formats a table with its heading; empty without rows.
fn table(title: &str, heads: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let rows: String = rows
        .map(|row| {
            let cells: Vec<String> = row.iter().map(|cell| escaped(cell)).collect();
            format!("| {} |\n", cells.join(" | "))
        })
        .collect();
    match rows.is_empty() {
        true => String::new(),
        false => format!(
            "\n## {title}\n\n| {} |\n|{}\n{rows}",
            heads.join(" | "),
            "---|".repeat(heads.len())
        ),
    }
}

/// Escapes a text, so that it neither ends a cell nor becomes a link, markup or an element of HTML.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '|' | '#' | '~' | '!' | '&' => {
                out.push('\\');
                out.push(letter);
            }
            control if control.is_control() => out.push(' '),
            other => out.push(other),
        }
    }
    out
}
