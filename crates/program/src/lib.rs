//! Runs programs: those of the configuration, of channels and collectors of type `exec`, and those that collectors read.
//!
//! There is no shell: program and arguments are passed as they are configured. At the timeout all processes that a
//! program started are killed: its process group, its descendants, and processes that left both but still have the
//! environment they were given.

#![warn(missing_docs)]

mod account;
mod descendants;
mod invocation;

use std::collections::BTreeMap;
use std::path::Path;

pub use account::{Account, AccountError};
use bellwether_schema::{Diagnostics, Secret, SourceLocation, Spanned};
pub use invocation::{Invocation, Run, Running, Termination};

/// `PATH` of the environment of programs.
pub const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Reports errors of the settings of a program. `at` is the location of the section.
pub fn check(
    command: &[Spanned<String>],
    environment: &BTreeMap<String, Spanned<Secret>>,
    user: Option<&Spanned<String>>,
    at: &SourceLocation,
    problems: &mut Diagnostics,
) {
    check_command(command, at, problems);
    check_environment(environment, problems);
    if let Some(user) = user
        && let Err(error) = Account::parse(user)
    {
        problems
            .error(&user.at, error.to_string())
            .hint("a user's name, or UID:GID");
    }
}

fn check_command(command: &[Spanned<String>], at: &SourceLocation, problems: &mut Diagnostics) {
    match command.first() {
        None => {
            problems
                .error(&at.key("command"), "no program")
                .hint("command: [/usr/local/bin/page, --team, storage]");
        }
        Some(program) if !Path::new(&program.value).is_absolute() => {
            problems
                .error(
                    &program.at,
                    format!("not an absolute path: {:?}", program.value),
                )
                .hint("the program is started without a shell and without a search in PATH");
        }
        Some(_) => {}
    }
    for part in command.iter().filter(|part| part.contains('\0')) {
        problems.error(&part.at, "holds a NUL, which no argument can");
    }
}

fn check_environment(environment: &BTreeMap<String, Spanned<Secret>>, problems: &mut Diagnostics) {
    for (name, value) in environment {
        if name.is_empty() || name.contains(['=', '\0']) {
            problems.error(&value.at, format!("not a variable's name: {name:?}"));
        } else if value.expose().contains('\0') {
            problems.error(&value.at, format!("holds a NUL: the value of {name:?}"));
        }
    }
}

/// Returns user and group to run as, where they are others than ours. Reads a file.
///
/// # Errors
/// There is no such user, or this process may not switch to it.
pub fn ids(user: Option<&Spanned<String>>) -> Result<Option<(u32, u32)>, AccountError> {
    match user {
        Some(user) => Account::parse(user)?.ids(Path::new("/etc/passwd")),
        None => Ok(None),
    }
}
