//! Standard output and standard error of all commands, and the only place that opens them.
//!
//! The macros of this file replace those of the standard library, which panic if a write fails: a
//! command that cannot write ends with one line and exit status 1.

#![allow(clippy::disallowed_methods, reason = "this is the one place that may")]

use std::fmt::Arguments;
use std::io::{self, IsTerminal, Write};

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

/// Returns whether standard output is a terminal.
pub(super) fn is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Returns the width of the terminal in columns, if standard output is one.
pub(super) fn columns() -> Option<u16> {
    rustix::termios::tcgetwinsize(io::stdout())
        .ok()
        .map(|size| size.ws_col)
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
