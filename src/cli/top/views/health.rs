//! The health score with its parts, and the state of the agent itself.

use bellwether_report::units::{Unit, duration};
use ratatui::text::{Line, Span};

use super::{Context, Page};
use crate::cli::asking::{list, number, text, time};
use crate::cli::top::theme::Tone;

pub(super) fn page(context: &Context<'_>) -> Page {
    let mut page = Page::default();
    score(context, &mut page);
    agent(context, &mut page);
    page
}

fn score(context: &Context<'_>, page: &mut Page) {
    let score = &context.data.score;
    page.head(context, "Health of host and applications");
    let points = score["score"].as_f64();
    let tone = tone(points);
    let bar = context.theme.bar(
        points.map(|points| points / 100.0),
        (context.width / 3).min(40),
    );
    page.push(Line::from(vec![
        Span::raw("  "),
        context.span(bar, tone),
        Span::raw("  "),
        context.span(
            format!("{} of 100, {}", shown(points), text(&score["rating"])),
            tone,
        ),
    ]));
    for part in list(&score["parts"]) {
        let head = format!(
            "  -{:<3.0} {:<11}",
            part["points"].as_f64().unwrap_or_default(),
            text(&part["cause"])
        );
        let reason = format!("{}: {}", text(&part["name"]), text(&part["reason"]));
        let room = context.width.saturating_sub(head.len());
        page.push_row(Line::from(vec![
            context.span(head, Tone::Warning),
            Span::raw(context.cut(&reason, room)),
        ]));
    }
}

fn agent(context: &Context<'_>, page: &mut Page) {
    let summary = &context.data.summary;
    let health = &summary["health"];
    page.head(context, "Agent");
    let mut line = |key: &str, value: String| {
        let text = context.cut(&format!("  {key:<15} {value}"), context.width);
        page.push_row(Line::raw(text));
    };
    line("status", text(&summary["status"]));
    line("version", text(&summary["version"]));
    let up = summary["uptimeSeconds"].as_f64().unwrap_or_default();
    line("up for", duration(up.round()));
    line("configuration", text(&health["configuration"]["source"]));
    line("loaded", time(&health["configuration"]["loadedAt"]));
    if health["lastReload"]["error"].is_string() {
        line(
            "last reload",
            format!("FAILED {}", text(&health["lastReload"]["error"])),
        );
    }
    line("rules", number(&summary["rules"]));
    line("series", number(&summary["series"]));
    for (key, name) in [("history", "history"), ("alertHistory", "alert history")] {
        let part = &health[key];
        if part.is_null() {
            line(name, "disabled".to_owned());
            continue;
        }
        let bytes = Unit::Bytes.format(part["bytes"].as_f64());
        line(name, format!("{bytes} since {}", time(&part["oldest"])));
        if part["error"].is_string() {
            line("", format!("FAILED {}", text(&part["error"])));
        }
    }
    let state = &health["state"];
    line(
        "state",
        match state["error"].as_str() {
            Some(_) => format!("FAILED {}", text(&state["error"])),
            None => text(&state["directory"]),
        },
    );
}

fn shown(points: Option<f64>) -> String {
    points.map_or_else(|| "-".to_owned(), |points| format!("{points:.0}"))
}

/// Returns the meaning of a health score.
fn tone(points: Option<f64>) -> Tone {
    match points {
        Some(points) if points >= 90.0 => Tone::Good,
        Some(points) if points >= 60.0 => Tone::Warning,
        Some(_) => Tone::Bad,
        None => Tone::Faint,
    }
}
