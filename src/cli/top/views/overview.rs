//! Alerts and bottlenecks of now, and the most important series.

use bellwether_report::units::Unit;
use ratatui::text::{Line, Span};

use super::{Context, Page, alerts, collectors};
use crate::cli::asking::{list, text};
use crate::cli::top::plot::Curve;
use crate::cli::top::theme::Tone;

/// Fewest and most alerts, and the lines of the terminal for each.
const ALERTS: (usize, usize) = (5, 20);
const LINES_PER_ALERT: usize = 5;
/// Lines of the frame, and of what follows the series.
const FRAME: usize = 4;
const FOOT: usize = 3;
/// Fewest and most lines of a series that has a chart: the chart, a line above it, and a blank one between two.
const TALL: (usize, usize) = (4, 7);
/// Width from which two series stand side by side.
const WIDE: usize = 110;
/// Columns of a series' title and of its value.
const TITLE: usize = 13;
const VALUE: usize = 11;

pub(super) fn page(context: &Context<'_>) -> Page {
    let mut page = Page::default();
    wrong(context, &mut page);
    bottlenecks(context, &mut page);
    let vitals: Vec<&Curve> = context.data.vitals().collect();
    let columns = if context.width >= WIDE { 2 } else { 1 };
    page.head(context, "Host and applications");
    let lines = lines(context, page.lines.len(), vitals.len().div_ceil(columns));
    let width = context.width / columns - (columns - 1);
    for (index, row) in vitals.chunks(columns).enumerate() {
        if index > 0 && lines > 1 {
            page.push(Line::default());
        }
        push_vitals(context, row, width, lines, &mut page);
    }
    if vitals.is_empty() {
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
    let most = context.state.height().map_or(ALERTS.1, |height| {
        (height / LINES_PER_ALERT).clamp(ALERTS.0, ALERTS.1)
    });
    for alert in all.iter().take(most) {
        page.push_row(alerts::row(context, alert));
    }
    if all.len() > most {
        let more = format!("  and {} more, in alerts", all.len() - most);
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

/// Lines of each of `rows` series behind `above` lines: one, or more where the terminal has room for charts.
fn lines(context: &Context<'_>, above: usize, rows: usize) -> usize {
    let height = context.state.height().unwrap_or_default();
    let room = height.saturating_sub(above + FRAME + FOOT);
    match room / rows.max(1) {
        lines if lines >= TALL.0 => lines.min(TALL.1),
        _ => 1,
    }
}

/// Adds series side by side, each in `lines` lines of `width` columns.
fn push_vitals(
    context: &Context<'_>,
    curves: &[&Curve],
    width: usize,
    lines: usize,
    page: &mut Page,
) {
    let heads = curves.iter().flat_map(|curve| {
        let mut spans = match lines {
            1 => vital(context, curve, width),
            _ => head(context, curve, width),
        };
        spans.push(Span::raw("  "));
        spans
    });
    page.push(Line::from_iter(heads));
    if lines == 1 {
        return;
    }
    let charts: Vec<Vec<String>> = curves
        .iter()
        .map(|curve| {
            let theme = context.theme;
            theme.chart(&curve.values, bounds(curve), width, lines - 2)
        })
        .collect();
    for line in 0..lines - 2 {
        let texts = charts.iter().filter_map(|chart| chart.get(line));
        let spans = texts.map(|text| context.span(format!("{text}  "), Tone::Info));
        page.push(Line::from_iter(spans));
    }
}

/// Formats the line above a chart: title, newest value, and a bar where there is a largest value.
fn head(context: &Context<'_>, curve: &Curve, width: usize) -> Vec<Span<'static>> {
    let last = curve.last();
    let tone = tone(curve, last);
    let share = last.map(|last| last / 100.0).filter(|_| is_share(curve));
    let room = width.saturating_sub(TITLE + VALUE + 1);
    vec![
        Span::raw(context.fit(&curve.name, TITLE)),
        context.span(format!("{:>VALUE$}", curve.unit.format(last)), tone),
        Span::raw(" "),
        context.span(context.theme.bar(share, room), tone),
    ]
}

fn is_share(curve: &Curve) -> bool {
    curve.unit == Unit::Percent
}

/// Range of the axis.
fn bounds(curve: &Curve) -> (f64, f64) {
    match is_share(curve) {
        true => (0.0, 100.0),
        false => (0.0, curve.max().unwrap_or(1.0)),
    }
}

/// Formats a series: its title, a bar where there is a largest value, the newest value, and its course.
fn vital(context: &Context<'_>, curve: &Curve, width: usize) -> Vec<Span<'static>> {
    let last = curve.last();
    let tone = tone(curve, last);
    let is_share = is_share(curve);
    let room = width.saturating_sub(TITLE + VALUE + 4);
    let bar = if is_share && room >= 16 { room / 2 } else { 0 };
    let course = room.saturating_sub(bar).min(60);
    let (low, high) = bounds(curve);
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
