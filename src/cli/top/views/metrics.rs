//! All series of configured metrics, with their course over the window.

use ratatui::text::{Line, Span};
use unicode_width::UnicodeWidthStr;

use super::{Context, Page};
use crate::cli::top::plot::Curve;
use crate::cli::top::theme::Tone;

/// Columns of a value.
const VALUE: usize = 12;
/// Lines of a series that is expanded.
const CHART: usize = 8;

pub(super) fn page(context: &Context<'_>) -> Page {
    let mut page = Page::default();
    let curves: Vec<&Curve> = context
        .data
        .series()
        .filter(|curve| context.state.passes(&curve.name))
        .collect();
    let name = name_width(context, &curves);
    for (index, curve) in curves.iter().enumerate() {
        page.push_row(row(context, curve, name));
        if context.is_expanded(index, curves.len()) {
            chart(context, curve, &mut page);
        }
    }
    if curves.is_empty() {
        let nothing = match (
            context.state.filter.is_empty(),
            context.data.series().next().is_none(),
        ) {
            (true, _) | (_, true) => "no samples yet",
            _ => "no series has the text of the filter; Esc clears it",
        };
        page.push(Line::styled(nothing, context.theme.style(Tone::Faint)));
    }
    page
}

/// Columns of the sparklines.
fn course(context: &Context<'_>) -> usize {
    (context.width / 3).min(60)
}

/// Columns of the names: those of the longest, as far as there is room.
fn name_width(context: &Context<'_>, curves: &[&Curve]) -> usize {
    let room = context.width.saturating_sub(course(context) + VALUE + 3);
    let names = curves.iter().map(|curve| curve.name.width());
    names.max().unwrap_or_default().min(room)
}

fn row(context: &Context<'_>, curve: &Curve, name: usize) -> Line<'static> {
    let course = course(context);
    let (low, high) = bounds(curve);
    Line::from(vec![
        Span::raw(context.fit(&curve.name, name)),
        context.span(
            format!("{:>VALUE$}", curve.unit.format(curve.last())),
            Tone::Heading,
        ),
        Span::raw("  "),
        context.span(
            context.theme.sparkline(&curve.values, low, high, course),
            Tone::Info,
        ),
    ])
}

/// Draws a series in several lines, from the top.
fn chart(context: &Context<'_>, curve: &Curve, page: &mut Page) {
    let (low, high) = bounds(curve);
    let width = context.width.saturating_sub(VALUE + 4).max(10);
    let lines = context
        .theme
        .chart(&curve.values, (low, high), width, CHART);
    for (line, text) in lines.into_iter().enumerate() {
        let label = match line {
            0 => curve.unit.format(high),
            line if line == CHART - 1 => curve.unit.format(low),
            _ => String::new(),
        };
        page.push(Line::from(vec![
            context.span(format!("{label:>VALUE$}  "), Tone::Faint),
            context.span(text, Tone::Info),
        ]));
    }
    let text = format!(
        "{:>VALUE$}  min {}  max {}  over {}",
        "",
        curve.unit.format(curve.min()),
        curve.unit.format(curve.max()),
        bellwether_schema::format_duration(context.state.window()),
    );
    page.push(Line::styled(text, context.theme.style(Tone::Faint)));
}

/// Range of the axis: from 0, unless the values are far from it.
fn bounds(curve: &Curve) -> (f64, f64) {
    let (low, high) = (curve.min().unwrap_or(0.0), curve.max().unwrap_or(1.0));
    let is_far = low > 0.0 && high - low < 0.2 * high && high > low;
    match is_far {
        true => (low, high),
        false => (low.min(0.0), high.max(low + f64::MIN_POSITIVE)),
    }
}
