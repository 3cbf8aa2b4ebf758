//! Standard output and standard error of all commands, and the only place that opens them.
//!
//! The macros of this file replace those of the standard library, which panic if a write fails: a
//! command that cannot write ends with one line and exit status 1.

#![allow(clippy::disallowed_methods, reason = "this is the one place that may")]

use std::fmt::Arguments;
use std::io::{self, IsTerminal, Write};
use std::sync::OnceLock;

use clap::ValueEnum;

/// Prints to standard output.
macro_rules! print {
    ($($text:tt)*) => { $crate::cli::output::print(format_args!($($text)*)) };
}

/// Prints to standard output, with a newline.
macro_rules! println {
    () => { $crate::cli::output::print(format_args!("\n")) };
    ($($text:tt)*) => {
        $crate::cli::output::print(format_args!("{}\n", format_args!($($text)*)))
    };
}

/// Prints to standard error, with a newline.
macro_rules! eprintln {
    ($($text:tt)*) => {
        $crate::cli::output::print_error(format_args!("{}\n", format_args!($($text)*)))
    };
}

/// Prints `text`, or ends the process.
pub(super) fn print(text: Arguments<'_>) {
    if let Err(error) = io::stdout().lock().write_fmt(text) {
        fail(&error);
    }
}

/// Flushes standard output, or ends the process.
pub(super) fn flush() {
    if let Err(error) = io::stdout().lock().flush() {
        fail(&error);
    }
}

/// Prints `text` to standard error; a failure to write is ignored.
pub(super) fn print_error(text: Arguments<'_>) {
    io::stderr().lock().write_fmt(text).ok();
}

fn fail(error: &io::Error) -> ! {
    if error.kind() != io::ErrorKind::BrokenPipe {
        print_error(format_args!(
            "bellwether: cannot write to standard output: {error}\n"
        ));
    }
    std::process::exit(1)
}

/// Use of colours, as `--color` says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum ColorChoice {
    /// On a terminal, unless `NO_COLOR` is set; elsewhere if `CLICOLOR_FORCE` is set.
    #[default]
    Auto,
    Always,
    Never,
}

impl ColorChoice {
    /// Returns whether to write colours, by <https://no-color.org> and <https://bixense.com/clicolors>.
    fn allows(self, is_terminal: bool, environment: impl Fn(&str) -> Option<String>) -> bool {
        let is_set = |name: &str| environment(name).is_some_and(|value| !value.is_empty());
        let is_one =
            |name: &str| environment(name).is_some_and(|value| value != "0" && !value.is_empty());
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto if is_set("NO_COLOR") => false,
            Self::Auto if is_one("CLICOLOR_FORCE") => true,
            Self::Auto => {
                let refuses = environment("CLICOLOR").as_deref() == Some("0");
                let is_dumb = environment("TERM").as_deref() == Some("dumb");
                is_terminal && !refuses && !is_dumb
            }
        }
    }
}

/// Meaning of a text that has a colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    Heading,
    Emergency,
    Bad,
    Warning,
    Good,
    Info,
    Faint,
}

impl Style {
    /// Returns the parameters of the escape sequence "select graphic rendition" (ECMA-48, 8.3.117).
    fn code(self) -> &'static str {
        match self {
            Self::Heading => "1",
            Self::Emergency => "1;97;41",
            Self::Bad => "31",
            Self::Warning => "33",
            Self::Good => "32",
            Self::Info => "36",
            Self::Faint => "2",
        }
    }
}

/// Width of the output, and whether it has colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Screen {
    /// Width in columns; `None`: lines have any length.
    pub(super) width: Option<usize>,
    pub(super) colours: bool,
}

impl Screen {
    /// Returns the text in a colour, if the screen has any.
    pub(super) fn paint(self, style: Style, text: &str) -> String {
        if self.colours {
            format!("\u{1b}[{}m{text}\u{1b}[0m", style.code())
        } else {
            text.to_owned()
        }
    }
}

static COLOUR: OnceLock<ColorChoice> = OnceLock::new();

/// Sets the use of colours; must be called at most once, before the first output.
pub(super) fn set_colour(choice: ColorChoice) {
    COLOUR.set(choice).ok();
}

/// Returns the screen that standard output goes to, as it is now.
pub(super) fn screen() -> Screen {
    let choice = COLOUR.get().copied().unwrap_or_default();
    Screen {
        width: columns().map(usize::from).filter(|width| *width > 0),
        colours: choice.allows(is_terminal(), |name| std::env::var(name).ok()),
    }
}

/// Returns whether standard error has colours.
pub(super) fn error_colours() -> bool {
    let choice = COLOUR.get().copied().unwrap_or_default();
    choice.allows(io::stderr().is_terminal(), |name| std::env::var(name).ok())
}

/// Returns whether standard output is a terminal.
pub(super) fn is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Returns standard output for a program that draws on the whole terminal.
pub(super) fn terminal() -> io::Stdout {
    io::stdout()
}

/// Returns the width of the terminal in columns, if standard output is one.
fn columns() -> Option<u16> {
    rustix::termios::tcgetwinsize(io::stdout())
        .ok()
        .map(|size| size.ws_col)
}

/// Returns the height of the terminal in lines, if standard output is one.
pub(super) fn lines() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
    Some(usize::from(size.ws_row)).filter(|lines| *lines > 0)
}

/// Passes buffered standard output to `write`.
pub(super) fn stream<T, E: From<io::Error>>(
    write: impl FnOnce(&mut dyn Write) -> Result<T, E>,
) -> Result<T, E> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    let done = write(&mut out)?;
    out.flush()?;
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Choice, whether the output is a terminal, variables, and whether there are colours.
    type Case<'a> = (ColorChoice, bool, &'a [(&'a str, &'a str)], bool);

    #[test]
    fn colours_are_for_terminals_and_for_whoever_asks() {
        let cases: [Case<'_>; 11] = [
            (ColorChoice::Auto, true, &[], true),
            (ColorChoice::Auto, false, &[], false),
            (ColorChoice::Auto, true, &[("NO_COLOR", "1")], false),
            (ColorChoice::Auto, true, &[("NO_COLOR", "")], true),
            (ColorChoice::Auto, true, &[("TERM", "dumb")], false),
            (ColorChoice::Auto, true, &[("CLICOLOR", "0")], false),
            (ColorChoice::Auto, false, &[("CLICOLOR_FORCE", "1")], true),
            (ColorChoice::Auto, false, &[("CLICOLOR_FORCE", "0")], false),
            (
                ColorChoice::Auto,
                true,
                &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")],
                false,
            ),
            (ColorChoice::Always, false, &[("NO_COLOR", "1")], true),
            (ColorChoice::Never, true, &[("CLICOLOR_FORCE", "1")], false),
        ];
        for (choice, is_terminal, variables, expected) in cases {
            let environment = |name: &str| {
                let variable = variables.iter().find(|(variable, _)| *variable == name);
                variable.map(|(_, value)| (*value).to_owned())
            };
            assert_eq!(
                choice.allows(is_terminal, environment),
                expected,
                "{choice:?} {is_terminal} {variables:?}"
            );
        }
    }
}
