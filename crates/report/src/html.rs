//! One self-contained page: inline style and SVG, no script, nothing is loaded. It prints on A4.

use std::fmt::Write;

use super::chart::svg;
use super::digest::{Tone, by_rule, digest};
use super::{Report, duration, instant, named};
use crate::units::number;

const STYLE: &str = include_str!("report.css");
/// Most rows of a table; JSON has all.
const MAX_ROWS: usize = 60;

/// Formats the report as a page.
#[must_use]
pub fn html(report: &Report) -> String {
    let title = format!(
        "{}, {} to {}",
        report.host,
        instant(report.from),
        instant(report.to)
    );
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>Report: {0}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<header>\n<h1>{1}</h1>\n\
         <p>{2} to {3} UTC, {4}</p>\n</header>\n<main>\n",
        escaped(&title),
        escaped(&report.host),
        instant(report.from),
        instant(report.to),
        duration(report.seconds()),
    );
    for section in [
        summary(report),
        health(report),
        alerts(report),
        capacity(report),
        forecasts(report),
        bottlenecks(report),
        trends(report),
        anomalies(report),
        charts(report),
        missing(report),
    ] {
        page += &section;
    }
    let version = escaped(&report.version);
    writeln!(
        page,
        "</main>\n<footer>Bellwether {version}</footer>\n</body>\n</html>"
    )
    .ok();
    page
}

/// Escapes a text for elements and attributes.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            control if control.is_control() && !control.is_whitespace() => out.push('\u{fffd}'),
            other => out.push(other),
        }
    }
    out
}

/// Returns the class of a severity; one that is not known has none of its own.
pub(super) fn class(severity: &str) -> &'static str {
    match severity {
        "emergency" | "critical" => "bad",
        "warning" => "warning",
        _ => "neutral",
    }
}

fn section(title: &str, content: &str) -> String {
    match content.is_empty() {
        true => String::new(),
        false => format!("<section>\n<h2>{title}</h2>\n{content}</section>\n"),
    }
}

/// A cell of a table.
enum Cell {
    Text(String),
    /// A text that is not wrapped.
    Short(String),
    Number(String),
    Mark(&'static str, String),
}

fn text(text: impl Into<String>) -> Cell {
    Cell::Text(text.into())
}

fn short(text: impl Into<String>) -> Cell {
    Cell::Short(text.into())
}

fn right(text: impl Into<String>) -> Cell {
    Cell::Number(text.into())
}

/// Formats a table; empty without rows.
fn table(heads: &[&str], rows: Vec<Vec<Cell>>) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let left_out = rows.len().saturating_sub(MAX_ROWS);
    let is_number = |column: usize| matches!(rows[0].get(column), Some(Cell::Number(_)));
    let mut out = "<table>\n<thead><tr>".to_owned();
    for (column, head) in heads.iter().enumerate() {
        let class = if is_number(column) {
            " class=\"number\""
        } else {
            ""
        };
        write!(out, "<th{class}>{head}</th>").ok();
    }
    out += "</tr></thead>\n<tbody>\n";
    for row in rows.iter().take(MAX_ROWS) {
        out += "<tr>";
        for cell in row {
            match cell {
                Cell::Text(text) => write!(out, "<td>{}</td>", escaped(text)),
                Cell::Short(text) => write!(out, "<td class=\"short\">{}</td>", escaped(text)),
                Cell::Number(text) => write!(out, "<td class=\"number\">{}</td>", escaped(text)),
                Cell::Mark(class, text) => {
                    write!(
                        out,
                        "<td><span class=\"mark {class}\">{}</span></td>",
                        escaped(text)
                    )
                }
            }
            .ok();
        }
        out += "</tr>\n";
    }
    out += "</tbody>\n</table>\n";
    if left_out > 0 {
        writeln!(
            out,
            "<p class=\"note\">and {left_out} more, in the report as JSON</p>"
        )
        .ok();
    }
    out
}

fn summary(report: &Report) -> String {
    let sentences = digest(report).into_iter().map(|verdict| {
        let class = match verdict.tone {
            Tone::Good => "good",
            Tone::Neutral => "neutral",
            Tone::Warning => "warning",
            Tone::Bad => "bad",
        };
        format!("<li class=\"{class}\">{}</li>\n", escaped(&verdict.text))
    });
    let sentences: String = sentences.collect();
    section(
        "Summary",
        &format!("<ul class=\"digest\">\n{sentences}</ul>\n"),
    )
}

fn health(report: &Report) -> String {
    let Some(health) = &report.health else {
        return String::new();
    };
    let parts = health.parts.iter().map(|part| {
        let points = format!("-{}", number(part.points));
        vec![right(points), text(&part.name), text(&part.reason)]
    });
    let class = match health.score {
        score if score >= 90.0 => "good",
        score if score >= 60.0 => "warning",
        _ => "bad",
    };
    let score = health.score.clamp(0.0, 100.0);
    let bar = format!(
        "<p class=\"score\"><strong class=\"{class}\">{score:.0}</strong> of 100, {}</p>\n\
         <div class=\"bar\"><div class=\"{class}\" style=\"width:{score:.0}%\"></div></div>\n",
        escaped(&health.rating)
    );
    let table = table(&["Points", "Cause", "Reason"], parts.collect());
    section("Health at the end", &(bar + &table))
}

fn alerts(report: &Report) -> String {
    let rules = by_rule(report).into_iter().map(|rule| {
        let state = if rule.is_firing { "firing" } else { "resolved" };
        vec![
            text(rule.name),
            Cell::Mark(class(rule.severity), rule.severity.to_owned()),
            right(rule.count.to_string()),
            right(duration(rule.seconds)),
            right(duration(rule.longest)),
            short(state),
        ]
    });
    let rules = table(
        &[
            "Rule",
            "Severity",
            "Fired",
            "In all",
            "Longest",
            "At the end",
        ],
        rules.collect(),
    );
    let episodes = report.alerts.iter().map(|alert| {
        vec![
            short(instant(alert.fired_at)),
            Cell::Mark(class(&alert.severity), alert.severity.clone()),
            text(named(&alert.alertname, &alert.labels)),
            right(duration(alert.seconds)),
            short(if alert.resolved_at.is_some() {
                "resolved"
            } else {
                "firing"
            }),
            text(&alert.message),
        ]
    });
    let episodes = table(
        &["Fired (UTC)", "Severity", "Alert", "For", "", "Message"],
        episodes.collect(),
    );
    if rules.is_empty() {
        return section("Alerts", "<p>No alert fired.</p>\n");
    }
    section("Alerts", &format!("{rules}<h3>One by one</h3>\n{episodes}"))
}

fn capacity(report: &Report) -> String {
    let rows = report.capacity.iter().map(|capacity| {
        let left = match capacity.days_left {
            Some(days) => duration(days * 86_400.0),
            None => "over a year".to_owned(),
        };
        let per_week = capacity
            .per_week
            .map_or_else(|| "-".to_owned(), |growth| format!("{growth:+.1} %"));
        let before = capacity
            .before
            .map_or_else(|| "-".to_owned(), |before| format!("{before:.1} %"));
        vec![
            text(&capacity.resource),
            right(before),
            right(format!("{:.1} %", capacity.now)),
            right(per_week),
            right(left),
        ]
    });
    let heads = [
        "Resource",
        "At the start",
        "At the end",
        "Per week",
        "Full in",
    ];
    section("Capacity", &table(&heads, rows.collect()))
}

fn forecasts(report: &Report) -> String {
    let rows = report.forecasts.iter().map(|forecast| {
        vec![
            text(named(&forecast.metric, &forecast.labels)),
            right(number(forecast.latest)),
            right(number(forecast.reaches)),
            text(&forecast.text),
        ]
    });
    let heads = ["Series", "Now", "Reaches", "When"];
    section("Forecasts", &table(&heads, rows.collect()))
}

fn bottlenecks(report: &Report) -> String {
    let rows = report.bottlenecks.iter().map(|bottleneck| {
        vec![
            right(format!("{:.0}", bottleneck.impact)),
            text(named(&bottleneck.name, &bottleneck.labels)),
            text(format!("{} {}", number(bottleneck.value), bottleneck.unit)),
            text(&bottleneck.advice),
        ]
    });
    let heads = ["Impact", "Bottleneck", "Value", "Advice"];
    section("Bottlenecks at the end", &table(&heads, rows.collect()))
}

fn trends(report: &Report) -> String {
    let known = report.trends.iter().filter(|trend| trend.verdict.is_some());
    let rows = known.map(|trend| {
        let verdict = trend.verdict.as_deref().unwrap_or_default();
        let class = if verdict == "degrading" {
            "bad"
        } else {
            "good"
        };
        vec![
            Cell::Mark(class, verdict.to_owned()),
            text(named(&trend.metric, &trend.labels)),
            text(&trend.movement),
            right(number(trend.mean)),
            right(trend.p95.map_or_else(|| "-".to_owned(), number)),
            right(format!(
                "{}{}",
                if trend.change >= 0.0 { "+" } else { "" },
                number(trend.change)
            )),
        ]
    });
    let heads = [
        "",
        "Series",
        "Movement",
        "Mean",
        "95th percentile",
        "Change",
    ];
    let content = table(&heads, rows.collect());
    let others = report
        .trends
        .iter()
        .filter(|trend| trend.verdict.is_none())
        .count();
    let note = match (content.is_empty(), others) {
        (_, 0) => String::new(),
        (true, _) => format!("<p>All {others} series are as good as before.</p>\n"),
        (false, _) => {
            format!("<p class=\"note\">{others} other series are neither better nor worse.</p>\n")
        }
    };
    section("Trends", &(content + &note))
}

fn anomalies(report: &Report) -> String {
    let rows = report.anomalies.iter().map(|anomaly| {
        let expected = anomaly.expected.map_or_else(
            || "-".to_owned(),
            |(low, high)| format!("{} to {}", number(low), number(high)),
        );
        vec![
            short(instant(anomaly.from)),
            text(named(&anomaly.metric, &anomaly.labels)),
            right(number(anomaly.value)),
            right(expected),
            right(duration(anomaly.seconds)),
        ]
    });
    let heads = ["From (UTC)", "Series", "Value", "Expected", "For"];
    section("Anomalies", &table(&heads, rows.collect()))
}

fn charts(report: &Report) -> String {
    let figures = report.metrics.iter().map(|series| {
        let last = series.values.iter().rev().flatten().next();
        let last = last.map_or_else(|| "-".to_owned(), |last| series.unit.format(*last));
        format!(
            "<figure>\n<figcaption><strong>{}</strong> {}</figcaption>\n{}\n</figure>\n",
            escaped(&series.title),
            escaped(&last),
            svg(series, report)
        )
    });
    let figures: String = figures.collect();
    let note =
        "<p class=\"note\">The bars below a chart are the times in which alerts fired.</p>\n";
    match figures.is_empty() {
        true => String::new(),
        false => section(
            "Metrics",
            &format!("<div class=\"figures\">\n{figures}</div>\n{note}"),
        ),
    }
}

fn missing(report: &Report) -> String {
    let lines = report
        .missing
        .iter()
        .map(|line| format!("<li>{}</li>\n", escaped(line)));
    let lines: String = lines.collect();
    match lines.is_empty() {
        true => String::new(),
        false => section("Not in this report", &format!("<ul>\n{lines}</ul>\n")),
    }
}
