//! `bellwether alerts --watch`: the active alerts, drawn again and again.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use anyhow::Context;
use bellwether_core::UnixMillis;
use bellwether_report::units::duration;
use bellwether_runtime::Clock;
use bellwether_schema::format_duration;
use parking_lot::Mutex;
use rustix::process::{Signal, getpid, kill_process};
use rustix::termios::{LocalModes, OptionalActions, QueueSelector, Termios};
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::output::{self, Screen, Style};
use crate::cli::table::wrapped;

/// Enters the alternate screen, hides the cursor and lets long lines end at the edge (xterm's
/// control sequences).
const ENTER: &str = "\u{1b}[?1049h\u{1b}[?25l\u{1b}[?7l";
/// Reverts [`ENTER`].
const LEAVE: &str = "\u{1b}[?7h\u{1b}[?25h\u{1b}[?1049l";
/// Begins an update that the terminal shows at once, at the top left.
const BEGIN: &str = "\u{1b}[?2026h\u{1b}[H";
/// Clears what is below, and ends an update.
const END: &str = "\r\n\u{1b}[J\u{1b}[?2026l";

/// Formats alerts for the terminal as it is now.
type Text<'a> = Box<dyn Fn() -> String + 'a>;

/// Result of one look at the alerts.
pub(super) struct Look<'a> {
    /// Alerts, as far as there are answers.
    pub(super) text: Option<Text<'a>>,
    /// Error, or the summary of hosts.
    pub(super) note: Option<String>,
    pub(super) has_failed: bool,
}

/// Alerts as they were at the last answer, and since when there is none.
#[derive(Default)]
struct Watched<'a> {
    text: Option<(Text<'a>, UnixMillis)>,
    /// True if the alerts are of the last look.
    is_current: bool,
    note: Option<String>,
    failing_since: Option<UnixMillis>,
}

impl<'a> Watched<'a> {
    fn update(&mut self, look: Look<'a>, now: UnixMillis) {
        self.is_current = look.text.is_some();
        if let Some(text) = look.text {
            self.text = Some((text, now));
        }
        self.note = look.note;
        self.failing_since = match look.has_failed {
            true => self.failing_since.or(Some(now)),
            false => None,
        };
    }

    /// Formats the screen: a line with the time, one about a failure, and the alerts.
    fn frame(&self, interval: Duration, now: UnixMillis, screen: Screen) -> Vec<String> {
        let line = |style: Style, text: &str| {
            let text = wrapped(text, screen.width, 2);
            let lines = text.lines().map(|line| screen.paint(style, line));
            lines.collect::<Vec<_>>()
        };
        let head = format!("alerts  {}  every {}", time(now), format_duration(interval));
        let mut lines = line(Style::Heading, &head);
        let note = self.note.as_deref().unwrap_or_default();
        match self.failing_since {
            Some(since) => {
                let span = duration(now.since(since).as_secs_f64().round());
                let text = format!("since {} ({span}): {note}", clock(since));
                lines.extend(line(Style::Bad, &text));
            }
            None => lines.extend(line(Style::Faint, note)),
        }
        let Some((text, at)) = &self.text else {
            return lines;
        };
        if !self.is_current {
            let text = format!("the last answer, of {}:", clock(*at));
            lines.extend(line(Style::Faint, &text));
        }
        lines.push(String::new());
        lines.extend(text().lines().map(str::to_owned));
        lines
    }
}

fn time(at: UnixMillis) -> String {
    formatted(at, "%Y-%m-%d %H:%M:%S UTC")
}

fn clock(at: UnixMillis) -> String {
    formatted(at, "%H:%M:%S")
}

fn formatted(at: UnixMillis, format: &str) -> String {
    let at = jiff::Timestamp::from_second(at.0.div_euclid(1000)).unwrap_or_default();
    at.strftime(format).to_string()
}

/// Cuts the lines to the height of the terminal, and says how many are missing.
fn fitting(mut lines: Vec<String>, height: usize) -> Vec<String> {
    if lines.len() > height {
        let missing = lines.len() - height.saturating_sub(1);
        lines.truncate(height.saturating_sub(1));
        lines.push(format!("… and {missing} more lines"));
    }
    lines
}

/// Calls `look` at each interval and draws its result until a signal ends the process.
///
/// # Errors
/// Signals cannot be received.
pub(super) fn run<'a>(
    interval: Duration,
    clock: &Clock,
    mut look: impl FnMut() -> Look<'a>,
) -> anyhow::Result<()> {
    let is_terminal = output::is_terminal();
    let events = listen(is_terminal).context("cannot receive signals")?;
    let terminal = is_terminal.then(Terminal::enter);
    let mut watched = Watched::default();
    loop {
        watched.update(look(), clock.now().wall);
        let frame = || watched.frame(interval, clock.now().wall, output::screen());
        match &terminal {
            Some(terminal) => {
                terminal.draw(frame());
                wait(&events, interval, || terminal.draw(frame()));
            }
            None => {
                output::print(format_args!("{}\n\n", frame().join("\n")));
                output::flush();
                wait(&events, interval, || {});
            }
        }
    }
}

/// Waits for the next interval; calls `redraw` when the size of the terminal changes.
fn wait(events: &Receiver<()>, interval: Duration, mut redraw: impl FnMut()) {
    let clock = Clock::start();
    let start = clock.now().mono;
    loop {
        let left = interval.saturating_sub(clock.now().mono.since(start));
        match events.recv_timeout(left) {
            Ok(()) => redraw(),
            Err(RecvTimeoutError::Timeout) => return,
            Err(RecvTimeoutError::Disconnected) => return std::thread::sleep(left),
        }
    }
}

/// Terminal modes as they were before, while the alternate screen is shown.
static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);

/// The alternate screen.
struct Terminal;

impl Terminal {
    fn enter() -> Self {
        let mut before = BEFORE.lock();
        Self::show(&mut before);
        Self
    }

    fn show(before: &mut Option<Termios>) {
        let stdin = std::io::stdin();
        if let Ok(modes) = rustix::termios::tcgetattr(&stdin) {
            let mut silent = modes.clone();
            // What is typed would be drawn over the alerts.
            silent.local_modes.remove(LocalModes::ECHO);
            rustix::termios::tcsetattr(&stdin, OptionalActions::Now, &silent).ok();
            *before = Some(modes);
        }
        output::print(format_args!("{ENTER}"));
        output::flush();
    }

    fn hide(before: &mut Option<Termios>) {
        let stdin = std::io::stdin();
        if let Some(modes) = before.take() {
            rustix::termios::tcflush(&stdin, QueueSelector::IFlush).ok();
            rustix::termios::tcsetattr(&stdin, OptionalActions::Now, &modes).ok();
        }
        output::print(format_args!("{LEAVE}"));
        output::flush();
    }

    fn draw(&self, lines: Vec<String>) {
        // Nothing is drawn once the screen is left.
        let _before = BEFORE.lock();
        // The cursor stays on a line of its own.
        let height = output::lines().unwrap_or(usize::MAX);
        let lines = fitting(lines, height.saturating_sub(1));
        // Each line is erased before it is written: after a full line its last character would go.
        let lines = lines.into_iter().map(|line| format!("\u{1b}[2K{line}"));
        let text = lines.collect::<Vec<_>>().join("\r\n");
        output::print(format_args!("{BEGIN}{text}{END}"));
        output::flush();
    }
}

/// Handles signals on a thread of its own: ends the process at SIGINT, SIGTERM and SIGHUP, also
/// while a request waits, and sends an event when the terminal is to be drawn again.
fn listen(on_terminal: bool) -> std::io::Result<Receiver<()>> {
    let (sender, events) = channel();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let handlers = {
        let _guard = runtime.enter();
        Handlers {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
            resize: signal(SignalKind::window_change())?,
            stop: signal(SignalKind::from_raw(Signal::TSTP.as_raw()))?,
        }
    };
    std::thread::spawn(move || runtime.block_on(handlers.handle(&sender, on_terminal)));
    Ok(events)
}

struct Handlers {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    hangup: tokio::signal::unix::Signal,
    resize: tokio::signal::unix::Signal,
    stop: tokio::signal::unix::Signal,
}

impl Handlers {
    async fn handle(mut self, events: &Sender<()>, on_terminal: bool) {
        loop {
            tokio::select! {
                _ = self.interrupt.recv() => end(on_terminal),
                _ = self.terminate.recv() => end(on_terminal),
                _ = self.hangup.recv() => end(on_terminal),
                _ = self.stop.recv() => pause(on_terminal),
                _ = self.resize.recv() => {}
            }
            events.send(()).ok();
        }
    }
}

/// Leaves the screen and ends the process.
fn end(on_terminal: bool) -> ! {
    let mut before = BEFORE.lock();
    if on_terminal {
        Terminal::hide(&mut before);
    }
    std::process::exit(0)
}

/// Leaves the screen, stops the process as Ctrl-Z asks, and shows the screen again when it goes on.
fn pause(on_terminal: bool) {
    let mut before = BEFORE.lock();
    if on_terminal {
        Terminal::hide(&mut before);
    }
    kill_process(getpid(), Signal::STOP).ok();
    if on_terminal {
        Terminal::show(&mut before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCREEN: Screen = Screen {
        width: Some(60),
        colours: false,
    };
    const NOW: UnixMillis = UnixMillis(1_700_000_000_000);
    const INTERVAL: Duration = Duration::from_secs(2);

    fn later(seconds: u64) -> UnixMillis {
        UnixMillis(NOW.0 + (seconds * 1000) as i64)
    }

    fn answer(text: &str) -> Look<'_> {
        Look {
            text: Some(Box::new(|| text.to_owned())),
            note: None,
            has_failed: false,
        }
    }

    fn failure() -> Look<'static> {
        Look {
            text: None,
            note: Some("no answer from http://db1:9091: connection refused".into()),
            has_failed: true,
        }
    }

    #[test]
    fn an_agent_that_does_not_answer_is_named_with_the_time_since() {
        let mut watched = Watched::default();
        watched.update(failure(), NOW);
        assert_eq!(
            watched.frame(INTERVAL, NOW, SCREEN),
            [
                "alerts  2023-11-14 22:13:20 UTC  every 2s",
                "since 22:13:20 (0s): no answer from http://db1:9091:",
                "  connection refused",
            ]
        );
        watched.update(answer("a\nb\n"), later(2));
        let head = "alerts  2023-11-14 22:13:22 UTC  every 2s";
        assert_eq!(
            watched.frame(INTERVAL, later(2), SCREEN),
            [head, "", "a", "b"]
        );
        watched.update(failure(), later(4));
        watched.update(failure(), later(70));
        let frame = watched.frame(INTERVAL, later(70), Screen::default());
        assert_eq!(
            frame[1..],
            [
                "since 22:13:24 (1m6s): no answer from http://db1:9091: connection refused",
                "the last answer, of 22:13:22:",
                "",
                "a",
                "b",
            ]
        );
        watched.update(answer("c"), later(72));
        assert_eq!(watched.frame(INTERVAL, later(72), SCREEN)[1..], ["", "c"]);
    }

    #[test]
    fn a_frame_is_no_higher_than_the_terminal() {
        let lines: Vec<String> = (0..9).map(|line| line.to_string()).collect();
        assert_eq!(fitting(lines.clone(), 9), lines);
        assert_eq!(fitting(lines.clone(), 3), ["0", "1", "… and 7 more lines"]);
        assert_eq!(fitting(lines, 1), ["… and 9 more lines"]);
    }
}
