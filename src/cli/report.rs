//! `bellwether report`: what was wrong over a time range, what gets better or worse, what will be full.

mod answers;
mod ask;
mod charts;
mod episodes;

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use ask::Inquiry;
use bellwether_files as files;
use bellwether_runtime::Clock;
use clap::{Args, ValueEnum};

use super::client::Target;
use super::range::Range;
use super::{Global, output};
use crate::report::{self, Report};

/// Time range without flags.
const WEEK: std::time::Duration = std::time::Duration::from_secs(7 * 86_400);

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
    format: Vec<Format>,
    /// File to write. Several formats get the endings .html, .json, .csv and .md. Default: standard
    /// output. A regular file is replaced once the new one is complete.
    #[arg(short, long, alias = "file", value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    target: Target,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// One page with charts, which prints well; it loads nothing and has no script.
    Html,
    /// Everything, with the values of the charts.
    Json,
    /// One line for each number or text.
    Csv,
    /// Tables, for a ticket or a chat.
    Markdown,
}

impl Format {
    fn ending(self) -> &'static str {
        match self {
            Self::Html => "html",
            Self::Json => "json",
            Self::Csv => "csv",
            Self::Markdown => "md",
        }
    }

    fn text(self, report: &Report) -> anyhow::Result<String> {
        Ok(match self {
            Self::Html => report::html(report),
            Self::Json => serde_json::to_string_pretty(report)? + "\n",
            Self::Csv => report::csv(report)?,
            Self::Markdown => report::markdown(report),
        })
    }
}

pub(super) fn run(global: &Global, options: &Options) -> anyhow::Result<()> {
    let mut formats = options.format.clone();
    formats.dedup();
    if formats.len() > 1 && options.output.is_none() {
        bail!("several formats need files; hint: --output report writes report.html and so on");
    }
    let now = Clock::start().now().wall;
    let (from, to) = options.range.times(now, |end| end.before(WEEK))?;
    let inquiry = Inquiry {
        global,
        target: &options.target,
        from,
        to,
        now,
    };
    let report = inquiry.report()?;
    for format in &formats {
        let text = format.text(&report)?;
        match &options.output {
            None => output::print(format_args!("{text}")),
            Some(path) if formats.len() == 1 => write(path, &text)?,
            Some(path) => write(&path.with_extension(format.ending()), &text)?,
        }
    }
    Ok(())
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
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
