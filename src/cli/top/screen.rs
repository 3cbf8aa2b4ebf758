//! The screen around a view: status, tabs, the last line, help and prompts.

use std::time::Duration;

use bellwether_core::UnixMillis;
use bellwether_report::units::duration;
use bellwether_schema::format_duration;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Modifier;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Clear, Widget};

use super::data::{Data, Link};
use super::prompt::{Action, Prompt};
use super::state::{Mode, State};
use super::theme::{Theme, Tone};
use super::views::{Context, Page, VIEWS};
use crate::cli::asking::{printable, text};

/// Size below which only the most important lines are shown.
const SMALLEST: (u16, u16) = (40, 8);
/// Age of data from which they are called stale, in intervals, and the least of it where they are live.
const STALE_INTERVALS: u32 = 5;
const STALE: Duration = Duration::from_secs(30);

const HELP: &[(&str, &str)] = &[
    ("1 to 5, Tab, h l", "choose a view"),
    ("j k, arrows, g G", "move"),
    ("Enter, Esc", "details, and back"),
    ("/", "filter by text"),
    ("a", "acknowledge, or undo"),
    ("s", "silence the alert"),
    ("[ ]", "window of the curves"),
    ("+ -", "interval"),
    ("f, Space", "freeze"),
    ("r", "ask or connect now"),
    ("q, Ctrl-C", "quit"),
];

/// Everything that is drawn, and its place.
pub(super) struct Screen<'a> {
    pub(super) data: &'a Data,
    pub(super) state: &'a State,
    pub(super) theme: Theme,
    pub(super) now: UnixMillis,
    pub(super) area: Rect,
}

impl Screen<'_> {
    /// Draws the status and the whole view, for a page without an end.
    pub(super) fn draw_page(&self, buffer: &mut Buffer) {
        put(buffer, self.area, 0, &self.status());
        let page = self.page();
        for (row, line) in (2..self.area.height).zip(&page.lines) {
            put(buffer, self.area, row, line);
        }
    }

    /// Draws everything.
    pub(super) fn draw(&self, buffer: &mut Buffer) {
        let (width, height) = (self.area.width, self.area.height);
        if width == 0 || height == 0 {
            return;
        }
        put(buffer, self.area, 0, &self.status());
        if width < SMALLEST.0 || height < SMALLEST.1 {
            return self.draw_least(buffer);
        }
        put(buffer, self.area, 1, &self.tabs());
        self.draw_view(buffer, 2, height.saturating_sub(4));
        let rule = self.theme.rule().repeat(usize::from(width));
        put(buffer, self.area, height - 2, &self.line(rule, Tone::Faint));
        put(buffer, self.area, height - 1, &self.last());
        match &self.state.mode {
            Mode::Help => self.draw_box(buffer, "keys", &self.help()),
            Mode::Prompt(prompt) => self.draw_box(buffer, title(prompt), &self.prompt(prompt)),
            Mode::Browse | Mode::Filter => {}
        }
    }

    /// Draws as many alerts as there is room for.
    fn draw_least(&self, buffer: &mut Buffer) {
        let lines = self.page().lines;
        for (row, line) in (1..self.area.height).zip(&lines) {
            put(buffer, self.area, row, line);
        }
    }

    /// Draws the lines of the view around the selected one.
    fn draw_view(&self, buffer: &mut Buffer, top: u16, height: u16) {
        let page = self.page();
        let selected = page.rows.get(self.state.selected(page.rows.len())).copied();
        let height = usize::from(height);
        // A third of the screen stays below the selected line, for its details.
        let shown = selected.unwrap_or_default() + height / 3;
        let first = (shown + 1)
            .saturating_sub(height)
            .min(page.lines.len().saturating_sub(height));
        for (row, (index, line)) in
            (top..).zip(page.lines.iter().enumerate().skip(first).take(height))
        {
            put(buffer, self.area, row, line);
            if selected == Some(index) {
                let line = Rect::new(self.area.x, self.area.y + row, self.area.width, 1);
                buffer.set_style(line, Modifier::REVERSED);
            }
        }
    }

    /// Returns the view; before the first answer it is empty, or says why there is none.
    fn page(&self) -> Page {
        let context = self.context();
        if self.data.at != UnixMillis(0) {
            return VIEWS[self.state.view()].page(&context);
        }
        let mut page = Page::default();
        let error = self
            .data
            .failing
            .iter()
            .flat_map(|(_, error)| error.lines());
        for line in error.flat_map(|line| context.wrap(&printable(line.trim_start()), 2)) {
            page.push(self.line(line, Tone::Plain));
        }
        page
    }

    fn context(&self) -> Context<'_> {
        Context {
            data: self.data,
            state: self.state,
            theme: self.theme,
            now: self.now,
            width: usize::from(self.area.width),
        }
    }

    fn line(&self, text: impl Into<String>, tone: Tone) -> Line<'static> {
        Line::styled(text.into(), self.theme.style(tone))
    }

    /// Status of the agent, alerts, and how old all of it is.
    fn status(&self) -> Line<'static> {
        let (data, theme) = (self.data, self.theme);
        if let Some((since, error)) = &data.failing {
            let context = self.context();
            let text = self.failure(*since, error);
            return self.line(context.cut(&text, context.width), Tone::Bad);
        }
        if data.at == UnixMillis(0) {
            return self.line("connecting to the agent ...", Tone::Faint);
        }
        let summary = &data.summary;
        let status = text(&summary["status"]);
        let tone = if status == "healthy" {
            Tone::Good
        } else {
            Tone::Warning
        };
        let alerts = &summary["alerts"];
        let firing = alerts["firing"].as_u64().unwrap_or_default();
        let score = data.score["score"].as_f64();
        let separator = theme.separator(self.is_narrow());
        let style = |tone| theme.style(tone);
        Line::from(vec![
            Span::styled(theme.mark(tone), style(tone)),
            Span::styled(status, style(tone)),
            Span::raw(separator),
            Span::styled(
                format!("{firing} firing"),
                style(if firing > 0 { Tone::Bad } else { Tone::Plain }),
            ),
            Span::raw(match self.is_narrow() {
                true => String::new(),
                false => format!(", {} pending", text(&alerts["pending"])),
            }),
            Span::raw(separator),
            self.freshness(),
            Span::raw(
                score.map_or_else(String::new, |score| format!("{separator}score {score:.0}")),
            ),
            Span::styled(self.not_live(separator), style(Tone::Warning)),
        ])
    }

    /// Formats since when the agent does not answer, and why.
    fn failure(&self, since: UnixMillis, error: &str) -> String {
        let span = duration(self.now.since(since).as_secs_f64().round());
        let error = printable(error.lines().next().unwrap_or_default());
        format!("since {} ({span}): {error}", clock(since))
    }

    fn is_narrow(&self) -> bool {
        self.area.width < 70
    }

    fn freshness(&self) -> Span<'static> {
        let (age, interval) = (self.now.since(self.data.at), self.state.interval());
        let shown = format_duration(Duration::from_secs(age.as_secs()));
        let stale = match self.data.link {
            Link::Live => STALE.max(interval * STALE_INTERVALS),
            Link::Polled(_) => interval * STALE_INTERVALS,
        };
        let (text, tone) = match &self.data.link {
            _ if self.state.is_frozen() => (format!("frozen, {shown} old"), Tone::Info),
            _ if age > stale => (format!("stale, {shown} old"), Tone::Warning),
            Link::Live => ("live".to_owned(), Tone::Good),
            Link::Polled(Some(_)) => (
                format!("polled every {}", format_duration(interval)),
                Tone::Warning,
            ),
            Link::Polled(None) => (format!("at {} UTC", clock(self.data.at)), Tone::Faint),
        };
        Span::styled(text, self.theme.style(tone))
    }

    /// Reason why the data are not live, if that was tried; it may be cut at the end of the line.
    fn not_live(&self, separator: &str) -> String {
        match &self.data.link {
            Link::Polled(Some(reason)) => format!("{separator}not live: {}", printable(reason)),
            Link::Polled(None) | Link::Live => String::new(),
        }
    }

    fn tabs(&self) -> Line<'static> {
        let spans = VIEWS.iter().enumerate().map(|(index, view)| {
            let is_named = index == self.state.view() || !self.is_narrow();
            let title = if is_named { view.title } else { "" };
            let style = match index == self.state.view() {
                true => self
                    .theme
                    .style(Tone::Heading)
                    .add_modifier(Modifier::REVERSED),
                false => self.theme.style(Tone::Plain),
            };
            Span::styled(format!(" {} {title} ", index + 1), style)
        });
        let mut spans: Vec<Span<'static>> = spans.collect();
        if !self.state.filter.is_empty() {
            spans.push(Span::styled(
                format!("  /{}", self.state.filter),
                self.theme.style(Tone::Info),
            ));
        }
        Line::from(spans)
    }

    /// Result of the last order, the filter that is typed, or the keys.
    fn last(&self) -> Line<'static> {
        let context = self.context();
        if let Some(note) = self.state.noted(self.now) {
            let (Ok(text) | Err(text)) = note;
            let tone = if note.is_err() { Tone::Bad } else { Tone::Good };
            return self.line(context.cut(&printable(text), context.width), tone);
        }
        if self.state.mode == Mode::Filter {
            return self.line(format!("filter: {}_", self.state.filter), Tone::Info);
        }
        let window = format_duration(self.state.window());
        let own = VIEWS[self.state.view()].keys;
        let keys = ["? keys  q quit  / filter  f freeze", own];
        let keys = keys.into_iter().filter(|keys| !keys.is_empty());
        let keys = format!("{}  window {window}", keys.collect::<Vec<_>>().join("  "));
        self.line(context.cut(&keys, context.width), Tone::Faint)
    }

    fn help(&self) -> Vec<Line<'static>> {
        let keys = HELP
            .iter()
            .map(|(keys, text)| Line::raw(format!("{keys:<16} {text}")));
        keys.collect()
    }

    fn prompt(&self, prompt: &Prompt) -> Vec<Line<'static>> {
        let width = usize::from(self.area.width).saturating_sub(6).max(10);
        let context = self.context();
        let field = |name: &str, value: &str, is_active: bool| {
            let cursor = if is_active { "_" } else { "" };
            // The end of a long text is what is being typed.
            let room = width.saturating_sub(name.len() + 3);
            let skipped = value.chars().count().saturating_sub(room);
            let value: String = value.chars().skip(skipped).collect();
            let tone = if is_active {
                Tone::Heading
            } else {
                Tone::Plain
            };
            self.line(format!("{name}: {value}{cursor}"), tone)
        };
        let mut lines: Vec<Line<'static>> =
            vec![self.line(context.cut(&prompt.about, width), Tone::Heading)];
        let covers = format!("covers {}", prompt.covers());
        lines.push(self.line(context.cut(&covers, width), Tone::Faint));
        lines.push(field("comment ", &prompt.comment, prompt.in_comment));
        lines.push(field("duration", &prompt.duration, !prompt.in_comment));
        if let Some(error) = &prompt.error {
            lines.push(self.line(context.cut(error, width), Tone::Bad));
        }
        let keys = "Enter do it  Tab next  Esc cancel";
        lines.push(self.line(context.cut(keys, width), Tone::Faint));
        lines
    }

    /// Draws lines in a box over the middle of the screen.
    fn draw_box(&self, buffer: &mut Buffer, title: &str, lines: &[Line<'static>]) {
        let longest = lines
            .iter()
            .map(Line::width)
            .max()
            .unwrap_or(0)
            .max(title.len() + 2);
        let width = u16::try_from(longest + 4)
            .unwrap_or(u16::MAX)
            .min(self.area.width);
        let height = u16::try_from(lines.len() + 2)
            .unwrap_or(u16::MAX)
            .min(self.area.height);
        let area = Rect::new(
            self.area.x + (self.area.width - width) / 2,
            self.area.y + (self.area.height - height) / 2,
            width,
            height,
        );
        Clear.render(area, buffer);
        let rule = self.theme.rule();
        let rest = usize::from(width).saturating_sub(title.len() + 4);
        put(
            buffer,
            area,
            0,
            &self.line(
                format!("{rule} {title} {}", rule.repeat(rest + 1)),
                Tone::Heading,
            ),
        );
        for (row, line) in (1..height.saturating_sub(1)).zip(lines) {
            let inner = Rect::new(area.x + 2, area.y, width.saturating_sub(3), height);
            put(buffer, inner, row, line);
        }
        put(
            buffer,
            area,
            height - 1,
            &self.line(rule.repeat(usize::from(width)), Tone::Heading),
        );
    }
}

/// Formats the time of the day, in UTC.
fn clock(at: UnixMillis) -> String {
    let at = jiff::Timestamp::from_millisecond(at.0).unwrap_or_default();
    at.strftime("%H:%M:%S").to_string()
}

fn title(prompt: &Prompt) -> &'static str {
    match prompt.action {
        Action::Acknowledge => "acknowledge",
        Action::Silence => "silence",
    }
}

/// Writes a line into a row of `area`, cut at its end.
fn put(buffer: &mut Buffer, area: Rect, row: u16, line: &Line<'_>) {
    if row < area.height {
        buffer.set_line(area.x, area.y + row, line, area.width);
    }
}

#[cfg(test)]
mod tests;
