//! Configurations of other programs as ours: one file per format, and one row in [`FORMATS`].
//!
//! A format takes the keys of its files one by one and adds entries to a draft. What it does not take has no
//! counterpart, and becomes a note beside the entry, so nothing is lost in silence. Pure.

mod blackbox_exporter;
mod draft;
mod durations;
mod fields;
mod http_client;
mod json_exporter;
mod labels;
mod mtail;
mod process_exporter;
mod script_exporter;
mod secrets;
mod source;
mod sql_exporter;
mod statsd_exporter;
mod telegraf;
mod toml;
mod write;
mod yaml;

use std::ffi::OsString;
use std::sync::Arc;

use bellwether_config as config;
use bellwether_core::counted;
use bellwether_schema::{Diagnostic, SourceLocation, YamlError};

use self::draft::Draft;
use self::source::Source;
pub use self::source::SourceFile;
use self::yaml::NoteKind;

/// A format of another program.
pub struct Format {
    /// Name, as in `--from`.
    pub name: &'static str,
    /// Returns whether a file has the format.
    is: fn(&Source<'_>) -> bool,
    /// Adds the entries of files of the format.
    convert: fn(&[Source<'_>], &mut Draft) -> Result<(), YamlError>,
}

/// All formats. The first one that a file has is taken.
pub const FORMATS: [Format; 8] = [
    Format {
        name: "telegraf",
        is: telegraf::is,
        convert: telegraf::convert,
    },
    Format {
        name: "mtail",
        is: mtail::is,
        convert: mtail::convert,
    },
    Format {
        name: "process_exporter",
        is: process_exporter::is,
        convert: process_exporter::convert,
    },
    Format {
        name: "blackbox_exporter",
        is: blackbox_exporter::is,
        convert: blackbox_exporter::convert,
    },
    Format {
        name: "json_exporter",
        is: json_exporter::is,
        convert: json_exporter::convert,
    },
    Format {
        name: "script_exporter",
        is: script_exporter::is,
        convert: script_exporter::convert,
    },
    Format {
        name: "statsd_exporter",
        is: statsd_exporter::is,
        convert: statsd_exporter::convert,
    },
    Format {
        name: "sql_exporter",
        is: sql_exporter::is,
        convert: sql_exporter::convert,
    },
];

/// Returns the format called `name`.
#[must_use]
pub fn format(name: &str) -> Option<&'static Format> {
    FORMATS.iter().find(|format| format.name == name)
}

/// Result of a conversion.
#[derive(Debug)]
pub struct Converted {
    /// The configuration.
    pub text: String,
    /// Number of entries of the sources that are in it.
    pub converted: usize,
    /// Parts of the sources without a counterpart, with file and line.
    pub lost: Vec<String>,
    /// Settings that people have to add.
    pub to_complete: Vec<String>,
    /// Errors of our own reader, which should not be: the conversion has a bug then.
    pub invalid: Vec<Diagnostic>,
}

impl Converted {
    /// Returns how much was converted: `12 converted, 2 without a counterpart`.
    #[must_use]
    pub fn summary(&self) -> String {
        let lost = format!(
            "{} converted, {} without a counterpart",
            self.converted,
            self.lost.len()
        );
        match self.to_complete.len() {
            0 => lost,
            count => format!("{lost}, {count} to complete"),
        }
    }
}

/// Converts files into one configuration. Without `from`, the content of each says its format.
///
/// # Errors
/// A file is of no known format, or cannot be parsed.
pub fn convert(files: &[SourceFile], from: Option<&Format>) -> Result<Converted, Diagnostic> {
    let names: Vec<Arc<str>> = files.iter().map(|file| file.name.clone()).collect();
    let mut groups: Vec<Vec<Source<'_>>> = FORMATS.iter().map(|_| Vec::new()).collect();
    for (number, file) in (1..=u16::MAX).zip(files) {
        let source = Source::new(file, number);
        let index = FORMATS.iter().position(|format| match from {
            Some(from) => from.name == format.name,
            None => (format.is)(&source),
        });
        let Some(index) = index else {
            return Err(match &source.yaml {
                Err(error) => Diagnostic {
                    help: Some(hint()),
                    ..diagnostic(error, std::slice::from_ref(&source.file.name))
                },
                Ok(_) => unknown(&source, "not a known format"),
            });
        };
        groups[index].push(source);
    }
    let mut draft = Draft::default();
    for (format, sources) in FORMATS.iter().zip(&groups) {
        if !sources.is_empty() {
            (format.convert)(sources, &mut draft).map_err(|error| diagnostic(&error, &names))?;
            let is_any = |source: &Source<'_>| (format.is)(source);
            if draft.converted == 0 && from.is_some() && !sources.iter().any(is_any) {
                let message = format!("not a configuration of {}", format.name);
                return Err(unknown(&sources[0], &message));
            }
        }
    }
    Ok(finish(draft, &names))
}

/// Returns the error of a file that is of no format, or not of that which is named.
fn unknown(source: &Source<'_>, message: &str) -> Diagnostic {
    Diagnostic {
        location: SourceLocation {
            file: Some(source.file.name.clone()),
            ..SourceLocation::default()
        },
        message: message.to_owned(),
        help: Some(hint()),
    }
}

fn hint() -> String {
    let formats = FORMATS.map(|format| format.name).join(", ");
    format!("name its format with --from: {formats}")
}

fn diagnostic(error: &YamlError, names: &[Arc<str>]) -> Diagnostic {
    let number = usize::from(error.at.file).saturating_sub(1);
    Diagnostic {
        location: SourceLocation {
            pos: error.at,
            file: names.get(number).or(names.first()).cloned(),
            ..SourceLocation::default()
        },
        message: error.message.clone(),
        help: None,
    }
}

fn finish(draft: Draft, names: &[Arc<str>]) -> Converted {
    let converted = draft.converted;
    let document = draft.finish();
    let (mut lost, mut to_complete) = (Vec::new(), Vec::new());
    document.each_note(&mut |note| match note.kind {
        NoteKind::Lost => lost.push(write::shown(note, names)),
        NoteKind::ToComplete => to_complete.push(write::shown(note, names)),
        NoteKind::Remark => {}
    });
    let mut converted = Converted {
        text: String::new(),
        converted,
        lost,
        to_complete,
        invalid: Vec::new(),
    };
    // Comments have the names of files without their directories.
    let short: Vec<Arc<str>> = names.iter().map(|name| file_name(name).into()).collect();
    converted.text = format!(
        "{}{}",
        head(&converted, &short),
        write::write(&document, &short)
    );
    converted.invalid = check(&converted.text);
    converted
}

/// Returns the part of a path behind its directories.
fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Returns the comment at the beginning.
fn head(converted: &Converted, names: &[Arc<str>]) -> String {
    let files = match names {
        [name] => name.to_string(),
        names => counted(names.len(), "file"),
    };
    let files = files.replace(char::is_control, "?");
    format!(
        "# Configuration of Bellwether, written by `bellwether convert` from {files}: {}.\n\
         # `bellwether check` reports every error in it, `bellwether test-collector` tries its collectors.\n",
        converted.summary()
    )
}

/// Returns the errors of our own reader. Files that are included are not read, and values with variables are not known.
fn check(text: &str) -> Vec<Diagnostic> {
    let environment = |_: &str| Some(OsString::from("value"));
    let loaded = config::decode(&config::Source::Embedded, text, &environment);
    let problems = match config::plan(loaded) {
        Ok(_) => return Vec::new(),
        Err(report) => report.problems,
    };
    let lines: Vec<&str> = text.lines().collect();
    let is_known = |problem: &Diagnostic| {
        let index = (problem.location.pos.line as usize).checked_sub(1);
        let line = index.and_then(|index| lines.get(index));
        line.is_none_or(|line| !line.contains("${"))
    };
    problems.into_iter().filter(is_known).collect()
}
