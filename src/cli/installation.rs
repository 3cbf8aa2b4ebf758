//! The installed service: its configuration, and the environment that systemd gives it.
//!
//! So a command in a shell reads the same configuration, variables and state directory as the
//! service.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use anyhow::Context;
use bellwether_config::{ReadError, Source, read, set_fallback_environment};

/// Configuration of the installed service.
pub(super) const CONFIGURATION: &str = "/etc/bellwether/bellwether.yaml";
/// `EnvironmentFile=` of the unit.
const ENVIRONMENT: &str = "/etc/bellwether/environment";
/// `StateDirectory=` of the unit.
pub(super) const STATE: &str = "/var/lib/bellwether";

/// Error of reading the environment file of the service.
static UNREADABLE: OnceLock<ReadError> = OnceLock::new();

/// Returns the configuration to use: that of `--config`, of `BELLWETHER_CONFIG`, of the installed
/// service, or the embedded one.
pub(super) fn source(flag: Option<&Path>) -> Source {
    let installed = Path::new(CONFIGURATION);
    let file = named(flag)
        // One that may not be looked at is not absent.
        .or_else(|| {
            installed
                .try_exists()
                .unwrap_or(true)
                .then(|| installed.to_owned())
        });
    file.map_or(Source::Embedded, Source::File)
}

/// Returns the configuration of `--config` or `BELLWETHER_CONFIG`, if either is given.
pub(super) fn named(flag: Option<&Path>) -> Option<PathBuf> {
    let variable = std::env::var_os("BELLWETHER_CONFIG").filter(|value| !value.is_empty());
    flag.map(Path::to_owned)
        .or_else(|| variable.map(PathBuf::from))
}

/// Adds the variables of the environment file as fallbacks for those of the process, and for the
/// installed configuration also the service's state directory.
///
/// # Errors
/// `file` cannot be read.
pub(super) fn read_environment(source: &Source, file: Option<&Path>) -> anyhow::Result<()> {
    let is_installed = *source == Source::File(CONFIGURATION.into());
    let mut variables = match file {
        Some(file) => {
            let text = read(file).with_context(|| format!("--env-file {}", file.display()))?;
            for (line, problem) in ignored(&text) {
                eprintln!("warning: {}:{line}: {problem}", file.display());
            }
            parse(&text)
        }
        None if is_installed && Path::new(ENVIRONMENT).try_exists().unwrap_or(true) => {
            match read(Path::new(ENVIRONMENT)) {
                Ok(text) => parse(&text),
                // Most users may not read it, and need it only where the configuration names a variable.
                Err(error) => {
                    UNREADABLE.set(error).ok();
                    BTreeMap::new()
                }
            }
        }
        None if is_installed => BTreeMap::new(),
        None => return Ok(()),
    };
    if is_installed && Path::new(STATE).is_dir() {
        variables
            .entry("STATE_DIRECTORY".to_owned())
            .or_insert_with(|| STATE.to_owned());
    }
    set_fallback_environment(variables);
    Ok(())
}

/// Returns a hint for an error with `message`, if it is of a variable that the environment file of the
/// service may have, and that file could not be read.
pub(super) fn variable_hint(message: &str) -> Option<String> {
    let error = UNREADABLE.get()?;
    let is_variable = message.contains("environment variable");
    is_variable.then(|| {
        format!(
            "the service has its variables from {ENVIRONMENT}, which this user may not use: {error}; hint: run \
             the command as root, or --env-file FILE"
        )
    })
}

/// Parses the assignments of an environment file, by the rules of `EnvironmentFile=` in
/// systemd.exec(5): lines that begin with `#` or `;` and lines without `=` are ignored, single and
/// double quotes group, and a backslash escapes.
fn parse(text: &str) -> BTreeMap<String, String> {
    let text = text.replace("\\\n", "");
    let lines = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.starts_with(['#', ';']));
    let pairs = lines.filter_map(|line| line.split_once('='));
    pairs
        .map(|(name, value)| (name.trim().to_owned(), unquoted(value.trim())))
        .collect()
}

/// Returns the lines of an environment file that are no assignment, with their number and the problem.
fn ignored(text: &str) -> Vec<(usize, &'static str)> {
    let mut ignored = Vec::new();
    let mut goes_on = false;
    for (line, number) in text.lines().zip(1..) {
        let begins = !std::mem::replace(&mut goes_on, line.ends_with('\\'));
        let line = line.trim();
        if !begins || line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        match line.split_once('=') {
            None => ignored.push((number, "ignored, for it has no `=`; hint: NAME=value")),
            Some((name, _)) if is_variable_name(name.trim()) => {}
            Some((name, _)) if name.starts_with("export ") => {
                ignored.push((number, "ignored; hint: remove `export`, as systemd asks"));
            }
            Some(_) => ignored.push((number, "ignored, for its name is no name of a variable")),
        }
    }
    ignored
}

/// Returns whether a text may name a variable (POSIX.1-2024, 8.1).
fn is_variable_name(name: &str) -> bool {
    let is_letter = |byte: u8| byte == b'_' || byte.is_ascii_alphabetic();
    let mut bytes = name.bytes();
    bytes.next().is_some_and(is_letter)
        && bytes.all(|byte| is_letter(byte) || byte.is_ascii_digit())
}

/// Returns a value without quotes and escapes.
fn unquoted(value: &str) -> String {
    let mut out = String::new();
    let mut quote = None;
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        match (c, quote) {
            ('\'' | '"', None) => quote = Some(c),
            (c, Some(open)) if c == open => quote = None,
            ('\\', quote) if quote != Some('\'') => match chars.next() {
                // Within double quotes a backslash escapes only what would end or expand there.
                Some(next) if quote.is_some() && !"\"\\`$".contains(next) => {
                    out.extend(['\\', next])
                }
                Some(next) => out.push(next),
                None => out.push('\\'),
            },
            (c, _) => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_without_an_assignment_are_reported() {
        let text = "# a\n\nA=1 \\\nno assignment\nB\nexport C=1\n2D=1\nE = 1\n";
        let lines: Vec<usize> = ignored(text).iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [5, 6, 7]);
        assert!(ignored(text)[1].1.contains("remove `export`"));
    }

    #[test]
    fn an_environment_file_is_read_as_systemd_reads_it() {
        let text = "# comment\n; comment\nno assignment\nA=1\n B = two words \nC='a \"b\" \\n'\nD=\"x\\\"y\\d\"\n\
                    E=a\\ b\nF=one \\\ntwo\nG=\nH=https://h/?a=b\n";
        let expected = [
            ("A", "1"),
            ("B", "two words"),
            ("C", "a \"b\" \\n"),
            ("D", "x\"y\\d"),
            ("E", "a b"),
            ("F", "one two"),
            ("G", ""),
            ("H", "https://h/?a=b"),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(parse(text), BTreeMap::from(expected));
    }
}
