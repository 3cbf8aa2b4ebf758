//! A file, or the embedded declaration, to settings or to a report of all that is wrong.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use bellwether_compat::RuleFile;
use bellwether_routing::SilenceSpec;
use bellwether_schema::{
    Decode, DecodeContext, Diagnostic, Diagnostics, Environment, SourceLocation, parse,
};

use super::files;
use super::sections::Root;

/// The declaration that runs where no file is named.
pub const EMBEDDED: &str = include_str!("../../config/bellwether.yaml");

/// Largest file that is read; ten thousand rules are about 3 MB.
const MAX_BYTES: u64 = 32 * 1024 * 1024;

/// Where a declaration comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// [`EMBEDDED`].
    Embedded,
    /// A file.
    File(PathBuf),
}

impl fmt::Display for Source {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embedded => out.write_str("the embedded declaration"),
            Self::File(path) => write!(out, "{}", path.display()),
        }
    }
}

/// All that is wrong with a declaration: one `file:line:column: path: message` each.
#[derive(Debug)]
pub struct Report {
    /// Whose problems these are.
    pub source: Source,
    /// By their place in the file; never empty.
    pub problems: Vec<Diagnostic>,
}

impl Report {
    /// One problem that has no place in the file.
    pub fn whole(source: &Source, message: impl Into<String>, hint: Option<&str>) -> Self {
        let problem = Diagnostic {
            at: SourceLocation::default(),
            message: message.into(),
            hint: hint.map(str::to_owned),
        };
        Self {
            source: source.clone(),
            problems: vec![problem],
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            let newline = if index > 0 { "\n" } else { "" };
            write!(out, "{newline}{}", problem.told(&self.source))?;
        }
        Ok(())
    }
}

impl std::error::Error for Report {}

/// What decoding found: settings as far as they could be read, and what is wrong with them.
#[derive(Debug)]
pub struct Loaded {
    /// Where it came from.
    pub source: Source,
    /// CRC-32 of its text.
    pub checksum: u32,
    /// The settings; defaults stand in for what is wrong.
    pub root: Option<Root>,
    /// What is wrong.
    pub problems: Diagnostics,
    /// The rule files of Prometheus that it names.
    pub rule_files: Vec<RuleFile>,
    /// What the files of silences hold that it names.
    pub silences: Vec<SilenceSpec>,
    /// What is odd but no error.
    pub warnings: Vec<Diagnostic>,
    /// The name of this host.
    pub host: Option<String>,
}

impl Loaded {
    /// Takes the rule files out that `problems` are about, and what is wrong with them.
    pub(super) fn leave_out(&mut self, problems: &[Diagnostic]) {
        let of = |file: &str| {
            problems
                .iter()
                .any(|one| one.at.file.as_deref() == Some(file))
        };
        self.rule_files
            .retain(|file| !of(&file.path.display().to_string()));
        self.problems
            .retain(|one| !one.at.file.as_deref().is_some_and(of));
    }
}

/// Reads and decodes `source`. Blocks on the file system.
///
/// # Errors
/// The file cannot be read.
pub fn load(source: &Source, environment: Environment<'_>) -> Result<Loaded, Report> {
    let text = match source {
        Source::Embedded => EMBEDDED.to_owned(),
        Source::File(path) => {
            let missing = "without --config the embedded declaration runs";
            read_declaration(path).map_err(|(message, hint)| {
                Report::whole(
                    source,
                    message,
                    hint.or((!path.exists()).then_some(missing)),
                )
            })?
        }
    };
    let mut loaded = decode(source, &text, environment);
    files::read_files(&mut loaded);
    Ok(loaded)
}

/// Decodes `text` as the declaration of `source`. Files that it names are not read.
#[must_use]
pub fn decode(source: &Source, text: &str, environment: Environment<'_>) -> Loaded {
    let mut problems = Diagnostics::default();
    let root = match parse(text) {
        Ok(node) => Root::decode(&node, &mut DecodeContext::new(&mut problems, environment)),
        Err((pos, message)) => {
            problems.error(
                &SourceLocation {
                    pos,
                    ..SourceLocation::default()
                },
                message,
            );
            None
        }
    };
    let (source, checksum) = (source.clone(), crc32fast::hash(text.as_bytes()));
    let (rule_files, silences, warnings) = Default::default();
    let host = environment("HOSTNAME").and_then(|host| host.into_string().ok());
    let host = host.filter(|host| !host.is_empty());
    Loaded {
        source,
        checksum,
        root,
        problems,
        rule_files,
        silences,
        warnings,
        host,
    }
}

/// The text of a file that is not too large.
///
/// # Errors
/// Why it cannot be read, and how to mend that.
pub fn read(path: &Path) -> Result<String, (String, Option<&'static str>)> {
    bellwether_files::read_text(path, MAX_BYTES).map_err(|error| unreadable(&error))
}

/// The text of the declaration itself, which a shell may also hand over as `<(command)`.
fn read_declaration(path: &Path) -> Result<String, (String, Option<&'static str>)> {
    bellwether_files::read_argument(path, MAX_BYTES).map_err(|error| unreadable(&error))
}

fn unreadable(error: &std::io::Error) -> (String, Option<&'static str>) {
    use std::io::ErrorKind::{FileTooLarge, InvalidData, PermissionDenied};
    match error.kind() {
        FileTooLarge | InvalidData => (error.to_string(), None),
        PermissionDenied => (
            format!("cannot read: {error}"),
            Some("make it readable for this user"),
        ),
        _ => (format!("cannot read: {error}"), None),
    }
}

/// Variables that stand in where the process's environment lacks them.
static FALLBACK: OnceLock<BTreeMap<String, String>> = OnceLock::new();

/// Puts `variables` behind the process's environment, as those of an environment file; once, before the first load.
pub fn set_fallback_environment(variables: BTreeMap<String, String>) {
    FALLBACK.set(variables).ok();
}

/// The process's environment, with the fallback variables behind it; `HOSTNAME` falls back to the kernel's host
/// name, because services have no such variable.
#[must_use]
pub fn process_environment(name: &str) -> Option<OsString> {
    let fallback = || FALLBACK.get()?.get(name).map(OsString::from);
    std::env::var_os(name).or_else(fallback).or_else(|| {
        (name == "HOSTNAME").then(|| {
            rustix::system::uname()
                .nodename()
                .to_string_lossy()
                .into_owned()
                .into()
        })
    })
}
