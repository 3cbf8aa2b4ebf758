//! A file, or the embedded configuration, to settings or to a report of all problems.

use std::collections::{BTreeMap, HashSet};
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, OnceLock};

use bellwether_compat::RuleFile;
use bellwether_routing::SilenceSpec;
use bellwether_schema::{
    Decode, DecodeContext, Diagnostic, Diagnostics, Environment, Node, Section, SourceLocation,
    YamlError, parse,
};

use super::files;
use super::include::{ConfigFile, Merged, read_included};
use super::sections::Root;

/// Configuration that runs if no file is named.
pub const EMBEDDED: &str = include_str!("../../../config/bellwether.yaml");

/// Configuration of the demo.
pub const DEMO: &str = include_str!("../../../config/demo.yaml");

/// Size limit of a configuration with all of its files; ten thousand rules are about 3 MB.
pub(super) const MAX_BYTES: u64 = 32 * 1024 * 1024;

/// Source of a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// [`EMBEDDED`].
    Embedded,
    /// [`DEMO`].
    Demo,
    /// A file.
    File(PathBuf),
}

impl Source {
    /// Path of the first file; empty for an embedded configuration.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::Embedded | Self::Demo => Path::new(""),
            Self::File(path) => path,
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embedded => out.write_str("the embedded configuration"),
            Self::Demo => out.write_str("the configuration of the demo"),
            Self::File(path) => write!(out, "{}", path.display()),
        }
    }
}

/// Problems of a configuration: one `file:line:column: path: message` each.
#[derive(Debug)]
pub struct Report {
    /// Source of the configuration.
    pub source: Source,
    /// Problems by location; never empty.
    pub problems: Vec<Diagnostic>,
}

impl Report {
    /// Creates a report with one problem that has no location.
    pub fn whole(source: &Source, message: impl Into<String>, hint: Option<&str>) -> Self {
        let problem = Diagnostic {
            location: SourceLocation::default(),
            message: message.into(),
            help: hint.map(str::to_owned),
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
            write!(out, "{newline}{}", problem.render(&self.source))?;
        }
        Ok(())
    }
}

impl std::error::Error for Report {}

/// Result of decoding: settings as far as they are valid, and problems.
#[derive(Debug)]
pub struct Loaded {
    /// Source of the configuration.
    pub source: Source,
    /// CRC-32 of the texts of all files.
    pub checksum: u32,
    /// Files of the configuration; the first includes the others.
    pub files: Vec<ConfigFile>,
    /// Merged tree of the files, in which each value has its location.
    pub tree: Option<Node>,
    /// Files of other formats that it names.
    pub named_files: Vec<PathBuf>,
    /// Settings; defaults replace invalid values.
    pub root: Option<Root>,
    /// Problems.
    pub problems: Diagnostics,
    /// Prometheus rule files that it names.
    pub rule_files: Vec<RuleFile>,
    /// Contents of the silence files that it names.
    pub silences: Vec<SilenceSpec>,
    /// Warnings.
    pub warnings: Vec<Diagnostic>,
    /// Host name.
    pub host: Option<String>,
}

impl Loaded {
    /// Removes the rule files with problems, and returns the problems.
    pub(super) fn leave_out(&mut self, problems: &[Diagnostic]) {
        let broken: HashSet<&str> = problems
            .iter()
            .filter_map(|problem| problem.location.file.as_deref())
            .collect();
        self.rule_files
            .retain(|file| !broken.contains(&*file.path.display().to_string()));
        self.problems.retain(|problem| {
            let file = problem.location.file.as_deref();
            !file.is_some_and(|file| broken.contains(file))
        });
    }
}

/// Reads a file of a configuration.
pub type ReadFile<'a> = &'a dyn Fn(&Path) -> Result<String, ReadError>;

/// Reads and decodes `source`. Blocks on the file system.
///
/// # Errors
/// The file cannot be read.
pub fn load(source: &Source, environment: Environment<'_>) -> Result<Loaded, Report> {
    load_with(source, environment, &|path| read_of(source, path))
}

/// Reads a file of the configuration of `source`.
///
/// # Errors
/// The file cannot be read.
pub fn read_of(source: &Source, path: &Path) -> Result<String, ReadError> {
    match source {
        Source::Embedded if path == Path::new("") => Ok(EMBEDDED.to_owned()),
        Source::Demo if path == Path::new("") => Ok(DEMO.to_owned()),
        Source::File(first) if first == path => read_argument(path),
        _ => read(path),
    }
}

/// Like [`load`], but all texts come from `read_file`, that of the embedded configuration by an empty
/// path.
///
/// # Errors
/// The first file cannot be read.
pub fn load_with(
    source: &Source,
    environment: Environment<'_>,
    read_file: ReadFile<'_>,
) -> Result<Loaded, Report> {
    let path = source.path();
    let text = read_file(path).map_err(|error| {
        let missing = "check --config or BELLWETHER_CONFIG; `bellwether init` writes a first one";
        let hint = error.hint.or((!path.exists()).then_some(missing));
        Report::whole(source, error.message, hint)
    })?;
    let mut loaded = decode_read(source, &text, environment, read_file);
    files::read_named_files(&mut loaded, read_file);
    Ok(loaded)
}

/// Decodes `text` as the configuration of `source`, with the files that it includes. Other files
/// that it names are not read. Blocks on the file system.
#[must_use]
pub fn decode_with_included(source: &Source, text: &str, environment: Environment<'_>) -> Loaded {
    decode_read(source, text, environment, &read)
}

/// Reads the files that `loaded` names; problems are added to it.
pub fn read_files(loaded: &mut Loaded) {
    files::read_named_files(loaded, &read);
}

fn decode_read(
    source: &Source,
    text: &str,
    environment: Environment<'_>,
    read_file: ReadFile<'_>,
) -> Loaded {
    let mut problems = Diagnostics::default();
    let merged = read_included(source, text, environment, read_file, &mut problems);
    decode_merged(source, merged, problems, environment)
}

/// Decodes `text` as the configuration of `source`, without reading the files that it names or
/// includes.
#[must_use]
pub fn decode(source: &Source, text: &str, environment: Environment<'_>) -> Loaded {
    let mut problems = Diagnostics::default();
    let tree = parse(text).map_err(|YamlError { at: pos, message }| {
        let at = SourceLocation {
            pos,
            ..SourceLocation::default()
        };
        problems.error(&at, message);
    });
    let checksum = crc32fast::hash(text.as_bytes());
    let path = source.path().to_owned();
    let merged = Merged {
        tree: tree.ok(),
        files: vec![ConfigFile { path, checksum }],
        names: Vec::new(),
        checksum,
    };
    decode_merged(source, merged, problems, environment)
}

/// Returns the paths of the sections that have `key`.
fn sections_with(key: &str) -> &'static [String] {
    static SECTIONS: LazyLock<BTreeMap<&str, Vec<String>>> =
        LazyLock::new(|| Root::doc().sections_by_key());
    SECTIONS.get(key).map(Vec::as_slice).unwrap_or_default()
}

fn decode_merged(
    source: &Source,
    merged: Merged,
    mut problems: Diagnostics,
    environment: Environment<'_>,
) -> Loaded {
    let Merged {
        tree,
        files,
        names,
        checksum,
    } = merged;
    let cx = DecodeContext::for_files(&mut problems, environment, &names);
    let mut cx = cx.with_places(sections_with);
    let root = tree.as_ref().and_then(|tree| Root::decode(tree, &mut cx));
    let source = source.clone();
    let (rule_files, silences) = Default::default();
    let host = environment("HOSTNAME").and_then(|host| host.into_string().ok());
    let host = host.filter(|host| !host.is_empty());
    Loaded {
        source,
        checksum,
        files,
        tree,
        named_files: Vec::new(),
        root,
        warnings: problems.take_warnings(),
        problems,
        rule_files,
        silences,
        host,
    }
}

/// Error of reading a file.
#[derive(Debug)]
pub struct ReadError {
    pub message: String,
    /// Hint for fixing it.
    pub hint: Option<&'static str>,
}

impl fmt::Display for ReadError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.message)
    }
}

impl std::error::Error for ReadError {}

impl From<io::Error> for ReadError {
    fn from(error: io::Error) -> Self {
        use io::ErrorKind::{FileTooLarge, InvalidData, PermissionDenied};
        let message = match error.kind() {
            FileTooLarge | InvalidData => error.to_string(),
            _ => format!("cannot read: {error}"),
        };
        let denied = error.kind() == PermissionDenied;
        Self {
            message,
            hint: denied.then_some("make it readable for this user"),
        }
    }
}

/// Reads a file within the size limit.
///
/// # Errors
/// The file cannot be read.
pub fn read(path: &Path) -> Result<String, ReadError> {
    Ok(bellwether_files::read_text(path, MAX_BYTES)?)
}

/// Reads a file of the command line, which a shell may also pass as `<(command)`.
///
/// # Errors
/// The file cannot be read.
pub fn read_argument(path: &Path) -> Result<String, ReadError> {
    Ok(bellwether_files::read_argument(path, MAX_BYTES)?)
}

/// Fallbacks for variables that the process's environment lacks.
static FALLBACK: OnceLock<BTreeMap<String, String>> = OnceLock::new();

/// Sets fallbacks for the process's environment; must be called at most once, before the first
/// load.
pub fn set_fallback_environment(variables: BTreeMap<String, String>) {
    FALLBACK.set(variables).ok();
}

/// Looks up a variable of the process's environment, then of the fallbacks; `HOSTNAME` falls back
/// to the kernel's host name, because services have no such variable.
#[must_use]
pub fn process_environment(name: &str) -> Option<OsString> {
    std::env::var_os(name)
        .or_else(|| FALLBACK.get()?.get(name).map(OsString::from))
        .or_else(|| {
            (name == "HOSTNAME").then(|| {
                rustix::system::uname()
                    .nodename()
                    .to_string_lossy()
                    .into_owned()
                    .into()
            })
        })
}
