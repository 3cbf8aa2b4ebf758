//! The terminal: raw mode and the alternate screen, which are left in any case.

use std::io::{self, Stdout, Write};
use std::sync::Once;

use anyhow::Context;
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::buffer::Buffer;
use ratatui::crossterm::event::{self, Event};
use ratatui::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use ratatui::crossterm::{cursor, execute};
use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::cli::output;

/// The terminal while it is ours; dropped, it is as before.
pub(super) struct Guard(Terminal<CrosstermBackend<Stdout>>);

impl Guard {
    /// Takes the terminal. A panic gives it back first, so that its message can be read.
    ///
    /// # Errors
    /// Standard input is no terminal.
    pub(super) fn enter() -> anyhow::Result<Self> {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let before = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                leave();
                before(panic);
            }));
        });
        let hint = "cannot use the terminal; hint: --once prints one screen";
        enable_raw_mode().context(hint)?;
        let mut out = output::terminal();
        // From here on a drop leaves it again.
        let entered = execute!(out, EnterAlternateScreen, cursor::Hide);
        let terminal = Terminal::new(CrosstermBackend::new(out)).map(Self);
        if entered.is_err() || terminal.is_err() {
            leave();
        }
        entered.context(hint)?;
        terminal.context(hint)
    }

    /// Returns the lines of the terminal.
    ///
    /// # Errors
    /// The terminal is gone.
    pub(super) fn height(&self) -> io::Result<u16> {
        Ok(self.0.size()?.height)
    }

    /// Draws a frame; only what changed is written.
    ///
    /// # Errors
    /// The terminal is gone.
    pub(super) fn draw(&mut self, render: impl FnOnce(Rect, &mut Buffer)) -> io::Result<()> {
        self.0
            .draw(|frame| render(frame.area(), frame.buffer_mut()))?;
        Ok(())
    }
}

/// Calls `send` with each event of the terminal, on a thread of its own, until it returns false or the terminal is
/// gone.
///
/// # Errors
/// There is no thread.
pub(super) fn listen(send: impl Fn(io::Result<Event>) -> bool + Send + 'static) -> io::Result<()> {
    let listening = move || {
        loop {
            let event = event::read();
            let is_gone = event.is_err();
            if !send(event) || is_gone {
                return;
            }
        }
    };
    // It is not waited for: it ends with the process.
    std::thread::Builder::new()
        .name("keys".into())
        .spawn(listening)
        .map(drop)
}

impl Drop for Guard {
    fn drop(&mut self) {
        leave();
    }
}

fn leave() {
    disable_raw_mode().ok();
    let mut out = output::terminal();
    execute!(out, cursor::Show, LeaveAlternateScreen).ok();
    out.flush().ok();
}

/// Formats a buffer as lines of text, without the blank ones at the end.
pub(super) fn text(buffer: &Buffer, colours: bool) -> String {
    let area = buffer.area;
    let mut lines: Vec<String> = (0..area.height)
        .map(|row| line(buffer, row, colours))
        .collect();
    let end = lines
        .iter()
        .rposition(|line| !line.is_empty())
        .map_or(0, |last| last + 1);
    lines.truncate(end);
    lines.iter().map(|line| format!("{line}\n")).collect()
}

fn line(buffer: &Buffer, row: u16, colours: bool) -> String {
    let cells: Vec<_> = (0..buffer.area.width)
        .map(|column| &buffer[(column, row)])
        .collect();
    let end = cells
        .iter()
        .rposition(|cell| cell.symbol() != " ")
        .map_or(0, |last| last + 1);
    let mut text = String::new();
    let mut style = Style::reset();
    for cell in &cells[..end] {
        if colours && cell.style() != style {
            style = cell.style();
            text += &escape(style);
        }
        text += cell.symbol();
    }
    if colours && style != Style::reset() {
        text += "\u{1b}[0m";
    }
    text
}

/// Returns the escape sequence "select graphic rendition" of a style (ECMA-48, 8.3.117).
fn escape(style: Style) -> String {
    use ratatui::style::{Color, Modifier};
    let mut codes = vec!["0"];
    let modifiers = [
        (Modifier::BOLD, "1"),
        (Modifier::DIM, "2"),
        (Modifier::REVERSED, "7"),
    ];
    codes.extend(
        modifiers
            .iter()
            .filter(|(modifier, _)| style.add_modifier.contains(*modifier))
            .map(|(_, code)| *code),
    );
    codes.extend(match style.fg {
        Some(Color::Red) => Some("31"),
        Some(Color::Green) => Some("32"),
        Some(Color::Yellow) => Some("33"),
        Some(Color::Cyan) => Some("36"),
        _ => None,
    });
    format!("\u{1b}[{}m", codes.join(";"))
}
