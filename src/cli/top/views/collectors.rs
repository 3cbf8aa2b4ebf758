//! Collectors, channels, and bottlenecks with advice.

use bellwether_report::units::duration;
use ratatui::text::{Line, Span};
use serde_json::Value;

use super::{Context, Page};
use crate::cli::asking::{list, number, printable, text};
use crate::cli::top::theme::Tone;

pub(super) fn page(context: &Context<'_>) -> Page {
    let mut page = Page::default();
    let health = &context.data.summary["health"];
    page.head(context, "Collectors");
    for (name, collector) in collectors(health).filter(|(name, _)| context.state.passes(name)) {
        let line = collector_line(context, name, collector);
        page.push_row(line);
        failure(context, collector["error"].as_str(), &mut page);
        for note in list(&collector["notes"]) {
            failure(context, note.as_str(), &mut page);
        }
    }
    page.head(context, "Channels");
    let channels = list(&health["channels"]).iter();
    for channel in channels.filter(|channel| context.state.passes(&text(&channel["name"]))) {
        page.push_row(channel_line(context, channel));
        failure(context, channel["lastError"].as_str(), &mut page);
    }
    page.head(context, "Bottlenecks");
    let bottlenecks = list(&context.data.bottlenecks["bottlenecks"]);
    for bottleneck in bottlenecks {
        bottleneck_lines(context, bottleneck, &mut page);
    }
    if bottlenecks.is_empty() {
        page.push(Line::styled("  none", context.theme.style(Tone::Good)));
    }
    page
}

/// Formats all collectors and channels in one line: a mark and the name each.
pub(super) fn strip(context: &Context<'_>) -> Line<'static> {
    let health = &context.data.summary["health"];
    let mut parts: Vec<(String, Tone)> = collectors(health)
        .map(|(name, collector)| (printable(name), collector_tone(collector)))
        .collect();
    let channels = list(&health["channels"]).iter();
    parts.extend(channels.map(|channel| (text(&channel["name"]), channel_tone(channel))));
    // What fails comes first, because the end may be cut.
    parts.sort_by_key(|(_, tone)| !matches!(tone, Tone::Bad | Tone::Warning));
    let spans = parts.into_iter().flat_map(|(name, tone)| {
        [
            context.span(context.theme.mark(tone), tone),
            Span::raw(format!("{name}  ")),
        ]
    });
    Line::from_iter(spans)
}

fn collectors(health: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let collectors = health["collectors"].as_object();
    collectors
        .into_iter()
        .flatten()
        .map(|(name, collector)| (name.as_str(), collector))
}

fn collector_tone(collector: &Value) -> Tone {
    match collector["success"].as_bool() {
        Some(true) => Tone::Good,
        Some(false) => Tone::Bad,
        None => Tone::Faint,
    }
}

fn collector_line(context: &Context<'_>, name: &str, collector: &Value) -> Line<'static> {
    let tone = collector_tone(collector);
    let state = match tone {
        Tone::Good => "ok".to_owned(),
        Tone::Bad => format!("FAILED {}", text(&collector["reason"])),
        _ => "not seen yet".to_owned(),
    };
    let took = collector["lastDurationSeconds"]
        .as_f64()
        .unwrap_or_default()
        * 1000.0;
    let age = collector["ageSeconds"].as_f64();
    let age = age.map_or_else(
        || "-".to_owned(),
        |age| format!("{} ago", duration(age.round())),
    );
    Line::from(vec![
        context.span(context.theme.mark(tone), tone),
        Span::raw(context.fit(&printable(name), 14)),
        Span::raw(format!("{took:>9.1} ms  {age:>8}  ")),
        context.span(state, tone),
    ])
}

fn channel_tone(channel: &Value) -> Tone {
    match (
        channel["lastError"].is_string(),
        channel["deadLetters"].as_u64(),
    ) {
        (true, _) => Tone::Bad,
        (false, Some(letters)) if letters > 0 => Tone::Warning,
        _ => Tone::Good,
    }
}

fn channel_line(context: &Context<'_>, channel: &Value) -> Line<'static> {
    let tone = channel_tone(channel);
    let number = |key: &str| channel[key].as_u64().unwrap_or_default();
    let mut counts = format!("{} sent, {} queued", number("sent"), number("queued"));
    for (key, word) in [("rejected", "rejected"), ("deadLetters", "dead letters")] {
        if number(key) > 0 {
            counts += &format!(", {} {word}", number(key));
        }
    }
    Line::from(vec![
        context.span(context.theme.mark(tone), tone),
        Span::raw(context.fit(&text(&channel["name"]), 14)),
        Span::raw(context.fit(&text(&channel["type"]), 11)),
        context.span(
            counts,
            if tone == Tone::Good {
                Tone::Plain
            } else {
                tone
            },
        ),
    ])
}

/// Adds the text of a failure below its line.
fn failure(context: &Context<'_>, error: Option<&str>, page: &mut Page) {
    for line in error
        .map(|error| context.wrap(&printable(error), 6))
        .unwrap_or_default()
    {
        page.push(Line::styled(line, context.theme.style(Tone::Faint)));
    }
}

fn bottleneck_lines(context: &Context<'_>, bottleneck: &Value, page: &mut Page) {
    let impact = bottleneck["impact"].as_f64().unwrap_or_default();
    let tone = if impact >= 66.0 {
        Tone::Bad
    } else {
        Tone::Warning
    };
    let head = format!(
        "{impact:>4.0}  {} ({}, {}): {} {}",
        text(&bottleneck["name"]),
        text(&bottleneck["resource"]),
        text(&bottleneck["component"]),
        number(&bottleneck["value"]),
        text(&bottleneck["unit"]),
    );
    page.push_row(Line::styled(
        context.cut(&head, context.width),
        context.theme.style(tone),
    ));
    failure(context, bottleneck["advice"].as_str(), page);
}
