//! Alerts and bottlenecks of now, and the most important series.

use ratatui::text::{Line, Span};

use super::{Context, Page, alerts, collectors};
use crate::cli::asking::{list, text};
use crate::cli::top::data::{Curve, Unit};
use crate::cli::top::theme::Tone;

/// Most alerts and bottlenecks.
const MOST: usize = 5;
/// Width from which two series stand side by side.
const WIDE: usize = 110;
/// Columns of a series' title and of its value.
const TITLE: usize = 13;
const VALUE: usize = 11;

pub(super) fn page(context: &Context<'_>) -> Page {
    let mut page = Page::default();
    wrong(context, &mut page);
    bottlenecks(context, &mut page);
    let columns = if context.width >= WIDE { 2 } else { 1 };
    page.head(context, "Host and applications");
    for pair in context.data.vitals.chunks(columns) {
        let width = context.width / columns - (columns - 1);
        let spans = pair.iter().flat_map(|curve| {
            let mut spans = vital(context, curve, width);
            spans.push(Span::raw("  "));
            spans
        });
        page.push(Line::from_iter(spans));
    }
    if context.data.vitals.is_empty() {
        let text = "  no known metric is configured; the view of metrics has all";
        page.push(Line::styled(text, context.theme.style(Tone::Faint)));
    }
    page.head(context, "Collectors and channels");
    page.push(collectors::strip(context));
    page
}

fn wrong(context: &Context<'_>, page: &mut Page) {
    let all = alerts::shown(context.data, context.state);
    if all.is_empty() {
        let rules = &context.data.summary["rules"];
        let text = format!(
            "{} evaluated, nothing is firing",
            crate::cli::asking::count(rules, "rule")
        );
        page.push(Line::styled(text, context.theme.style(Tone::Good)));
        return;
    }
    page.head(context, "Wrong now");
    for alert in all.iter().take(MOST) {
        page.push_row(alerts::row(context, alert));
    }
    if all.len() > MOST {
        let more = format!("  and {} more, in alerts", all.len() - MOST);
        page.push(Line::styled(more, context.theme.style(Tone::Faint)));
    }
}

fn bottlenecks(context: &Context<'_>, page: &mut Page) {
    let all = list(&context.data.bottlenecks["bottlenecks"]);
    if all.is_empty() {
        return;
    }
    page.head(context, "Bottlenecks");
    for bottleneck in all.iter().take(3) {
        let impact = bottleneck["impact"].as_f64().unwrap_or_default();
        let tone = if impact >= 66.0 {
            Tone::Bad
        } else {
            Tone::Warning
        };
        let head = format!("{impact:>4.0}  {:<16}", text(&bottleneck["name"]));
        let room = context.width.saturating_sub(head.len() + 1);
        let advice = context.cut(&text(&bottleneck["advice"]), room);
        page.push(Line::from(vec![
            context.span(head, tone),
            Span::raw(" "),
            context.span(advice, Tone::Faint),
        ]));
    }
}

/// Formats a series: its title, a bar where there is a largest value, the newest value, and its course.
fn vital(context: &Context<'_>, curve: &Curve, width: usize) -> Vec<Span<'static>> {
    let last = curve.last();
    let tone = tone(curve, last);
    let is_share = curve.unit == Unit::Percent;
    let room = width.saturating_sub(TITLE + VALUE + 4);
    let bar = if is_share && room >= 16 { room / 2 } else { 0 };
    let course = room.saturating_sub(bar).min(60);
    let (low, high) = match is_share {
        true => (0.0, 100.0),
        false => (0.0, curve.max().unwrap_or(1.0)),
    };
    let line = context.theme.sparkline(&curve.values, low, high, course);
    vec![
        Span::raw(context.fit(&curve.name, TITLE)),
        context.span(format!("{:>VALUE$}", curve.unit.format(last)), tone),
        Span::raw(" "),
        context.span(
            context
                .theme
                .bar(last.map(|last| last / 100.0).filter(|_| is_share), bar),
            tone,
        ),
        Span::raw(if bar > 0 { " " } else { "" }),
        context.span(line, Tone::Info),
    ]
}

fn tone(curve: &Curve, last: Option<f64>) -> Tone {
    match last {
        Some(last) if curve.unit == Unit::Percent && last >= 95.0 => Tone::Bad,
        Some(last) if curve.unit == Unit::Percent && last >= 85.0 => Tone::Warning,
        Some(_) => Tone::Plain,
        None => Tone::Faint,
    }
}
