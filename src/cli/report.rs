//! `bellwether report`: what was wrong over a time range, what gets better or worse, what will be full.

mod send;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use bellwether_core::UnixMillis;
use bellwether_files as files;
use bellwether_report::{Agent, Format, Inquiry, Report};
use bellwether_runtime::Clock;
use clap::builder::PossibleValue;
use clap::{Args, ValueEnum};
use serde_json::Value;

use super::client::Target;
use super::range::Range;
use super::{Global, asking, output};

/// Time range without flags.
const WEEK: Duration = Duration::from_secs(7 * 86_400);
/// Longest time of one question: some read weeks of samples.
const TIMEOUT: Duration = Duration::from_secs(60);

#[derive(Args)]
pub(super) struct Options {
    #[command(flatten)]
    range: Range,
    /// Formats, separated by commas.
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        default_value = "html",
        value_name = "FORMAT"
    )]
    format: Vec<FormatWord>,
    /// File to write. Several formats get the endings .html, .json, .csv and .md. Default: standard
    /// output. A regular file is replaced once the new one is complete.
    #[arg(short, long, alias = "file", value_name = "FILE")]
    output: Option<PathBuf>,
    /// Send the report NAME of the configuration to its channels now, once and without a queue. Its
    /// schedule is not affected.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["format", "output"])]
    send: Option<String>,
    #[command(flatten)]
    target: Target,
}

/// Format of a report, as a flag has it.
#[derive(Clone, Copy, PartialEq)]
struct FormatWord(Format);

impl ValueEnum for FormatWord {
    fn value_variants<'a>() -> &'a [Self] {
        &[
            Self(Format::Html),
            Self(Format::Json),
            Self(Format::Csv),
            Self(Format::Markdown),
        ]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let help = match self.0 {
            Format::Html => {
                "One page with charts, which prints well; it loads nothing and has no script"
            }
            Format::Json => "Everything, with the values of the charts",
            Format::Csv => "One line for each number or text",
            Format::Markdown => "Tables, for a ticket or a chat",
        };
        Some(PossibleValue::new(self.0.as_str()).help(help))
    }
}

/// The agent that the flags of a command lead to.
struct RemoteAgent<'a> {
    global: &'a Global,
    target: &'a Target,
}

impl Agent for RemoteAgent<'_> {
    fn get(&self, path: &str, parameters: &[(&str, String)]) -> anyhow::Result<Value> {
        let mut query = form_urlencoded::Serializer::new(String::new());
        let query = query.extend_pairs(parameters).finish();
        let path = format!("{path}?{query}");
        let answer = self.target.get_within(self.global, &path, TIMEOUT)?;
        asking::data(&path, &answer)
    }
}

pub(super) fn run(global: &Global, options: &Options) -> anyhow::Result<()> {
    if let Some(name) = &options.send {
        return send::run(global, options, name);
    }
    let mut formats = options.format.clone();
    formats.dedup();
    if formats.len() > 1 && options.output.is_none() {
        bail!("several formats need files; hint: --output report writes report.html and so on");
    }
    let now = Clock::start().now().wall;
    let (from, to) = options.range.times(now, |end| end.before(WEEK))?;
    let report = inquire(global, &options.target, (from, to), now)?;
    for FormatWord(format) in &formats {
        let text = format.format(&report)?;
        match &options.output {
            None => output::print(format_args!("{text}")),
            Some(path) if formats.len() == 1 => write(path, &text)?,
            Some(path) => write(&path.with_extension(format.ending()), &text)?,
        }
    }
    Ok(())
}

/// Asks the agent at `target` for what a report of the range `from` to `to` has.
pub(super) fn inquire(
    global: &Global,
    target: &Target,
    (from, to): (UnixMillis, UnixMillis),
    now: UnixMillis,
) -> anyhow::Result<Report> {
    let inquiry = Inquiry {
        agent: &RemoteAgent { global, target },
        from,
        to,
        now,
    };
    inquiry.report()
}

/// Writes a file, and says so.
pub(super) fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    let shown = path.display();
    let written = || -> std::io::Result<()> {
        let mut out = files::Output::create(path)?;
        out.write_all(text.as_bytes())?;
        out.finish()
    };
    written().with_context(|| format!("cannot write {shown}"))?;
    eprintln!("wrote {shown}");
    Ok(())
}
