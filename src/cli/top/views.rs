//! The views: one file and one row each.

mod alerts;
mod collectors;
mod health;
mod metrics;
mod overview;

use ratatui::text::{Line, Span};
use serde_json::Value;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::data::Data;
use super::state::State;
use super::theme::{Theme, Tone};
use bellwether_core::UnixMillis;

/// A view.
pub(super) struct View {
    /// Its name, on the tabs and for `--view`.
    pub(super) title: &'static str,
    /// Keys that do something here only, for the last line.
    pub(super) keys: &'static str,
    page: fn(&Context<'_>) -> Page,
}

/// Number of views.
pub(super) const COUNT: usize = 5;

pub(super) static VIEWS: [View; COUNT] = [
    View {
        title: "overview",
        keys: "a ack  s silence",
        page: overview::page,
    },
    View {
        title: "metrics",
        keys: "[ ] window  Enter details",
        page: metrics::page,
    },
    View {
        title: "alerts",
        keys: "a ack  s silence  Enter details",
        page: alerts::page,
    },
    View {
        title: "collectors",
        keys: "Enter details",
        page: collectors::page,
    },
    View {
        title: "health",
        keys: "",
        page: health::page,
    },
];

/// Place of the overview.
pub(super) const OVERVIEW: usize = 0;
/// Place of the view of all metrics.
pub(super) const METRICS: usize = 1;
/// Place of the view of alerts.
pub(super) const ALERTS: usize = 2;

/// Everything that a view draws from.
pub(super) struct Context<'a> {
    pub(super) data: &'a Data,
    pub(super) state: &'a State,
    pub(super) theme: Theme,
    pub(super) now: UnixMillis,
    pub(super) width: usize,
}

/// Lines of a view, of which some can be selected.
#[derive(Default)]
pub(super) struct Page {
    pub(super) lines: Vec<Line<'static>>,
    /// Lines of the rows that can be selected, in their order.
    pub(super) rows: Vec<usize>,
}

impl View {
    /// Returns the lines of the view.
    pub(super) fn page(&self, context: &Context<'_>) -> Page {
        (self.page)(context)
    }

    /// Returns the number of rows that can be selected.
    pub(super) fn rows(&self, data: &Data, state: &State) -> usize {
        let context = Context {
            data,
            state,
            theme: Theme::new(true, false),
            now: data.at,
            width: 80,
        };
        self.page(&context).rows.len()
    }
}

impl Page {
    pub(super) fn push(&mut self, line: Line<'static>) {
        self.lines.push(line);
    }

    /// Adds a line that can be selected.
    pub(super) fn push_row(&mut self, line: Line<'static>) {
        self.rows.push(self.lines.len());
        self.lines.push(line);
    }

    /// Adds a heading, with a blank line before it unless it is the first.
    pub(super) fn head(&mut self, context: &Context<'_>, text: &str) {
        if !self.lines.is_empty() {
            self.push(Line::default());
        }
        self.push(Line::styled(
            text.to_owned(),
            context.theme.style(Tone::Heading),
        ));
    }
}

impl Context<'_> {
    pub(super) fn span(&self, text: impl Into<String>, tone: Tone) -> Span<'static> {
        Span::styled(text.into(), self.theme.style(tone))
    }

    /// Returns whether a row is the selected and expanded one.
    pub(super) fn is_expanded(&self, row: usize, rows: usize) -> bool {
        self.state.is_expanded && self.state.selected(rows) == row
    }

    /// Cuts a text to `width` columns, or fills it with blanks.
    pub(super) fn fit(&self, text: &str, width: usize) -> String {
        let cut = self.cut(text, width);
        let blanks = width.saturating_sub(cut.width());
        format!("{cut}{}", " ".repeat(blanks))
    }

    /// Cuts a text to `width` columns.
    pub(super) fn cut(&self, text: &str, width: usize) -> String {
        if text.width() <= width {
            return text.to_owned();
        }
        let mut left = width.saturating_sub(1);
        let mut cut: String = text
            .chars()
            .take_while(|letter| {
                let wide = letter.width().unwrap_or(0);
                let fits = wide <= left;
                left = left.saturating_sub(wide);
                fits
            })
            .collect();
        if width > 0 {
            cut.push_str(self.theme.ellipsis());
        }
        cut
    }

    /// Wraps a text into lines behind `indent` blanks.
    pub(super) fn wrap(&self, text: &str, indent: usize) -> Vec<String> {
        let width = Some(self.width.saturating_sub(indent).max(10));
        let text = crate::cli::table::wrapped(text, width, 2);
        let blanks = " ".repeat(indent);
        text.lines().map(|line| format!("{blanks}{line}")).collect()
    }
}

/// Parses the name of a view, or its beginning.
pub(super) fn parse(text: &str) -> Result<usize, String> {
    let found = VIEWS
        .iter()
        .position(|view| !text.is_empty() && view.title.starts_with(text));
    found.ok_or_else(|| {
        let names: Vec<&str> = VIEWS.iter().map(|view| view.title).collect();
        format!("no such view; hint: {}", names.join(", "))
    })
}

/// Returns the alerts that pass the filter, in the order of the rows.
pub(super) fn shown_alerts<'a>(data: &'a Data, state: &State) -> Vec<&'a Value> {
    alerts::shown(data, state)
}

/// Returns the meaning of a severity.
pub(super) fn tone(severity: &Value) -> Tone {
    match severity.as_str() {
        Some("emergency") => Tone::Emergency,
        Some("critical") => Tone::Bad,
        Some("warning") => Tone::Warning,
        _ => Tone::Info,
    }
}
