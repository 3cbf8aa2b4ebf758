//! `bellwether export`: what was collected, as text.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use bellwether_core::{LabelSet, counted};
use bellwether_files as files;
use bellwether_runtime::Clock;
use bellwether_tsdb::history::History;
use bellwether_tsdb::transfer::{
    ExportError, ExportOptions, Exported, Families, OutputFormat, export, list,
};
use clap::{Args, ValueEnum};

use super::history_directory::{Folder, bar};
use super::range::Range;
use super::{Global, output, selector, similar_names};

#[derive(Args)]
pub(super) struct Options {
    #[command(flatten)]
    range: Range,
    /// Selector of series to export, such as 'up{job="x"}'; repeatable. Default: all.
    #[arg(long = "match", value_name = "SELECTOR")]
    selectors: Vec<String>,
    /// Output format.
    #[arg(
        short,
        long,
        alias = "format",
        default_value = "openmetrics",
        value_name = "FORMAT"
    )]
    output: Format,
    #[command(flatten)]
    folder: Folder,
    /// File to write. Default: standard output. A regular file is replaced once the new one is
    /// complete; a device or FIFO is written to.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// OpenMetrics for `promtool tsdb create-blocks-from openmetrics` and `bellwether import`, with
    /// the metric types of the configuration.
    Openmetrics,
    /// JSON lines for import into VictoriaMetrics.
    Json,
    /// One line per sample.
    Csv,
}

pub(super) fn run(global: &Global, options: &Options) -> anyhow::Result<()> {
    let mut selectors = selector::parse_all("--match", &options.selectors)?;
    if selectors.is_empty() {
        selectors.push(Vec::new());
    }
    let history = options.folder.open(global)?;
    let now = Clock::start().now().wall;
    let oldest = history.stats().oldest.unwrap_or(now);
    let (from, to) = options.range.times(now, |_| oldest)?;
    let series = list(&history, &selectors, from, to)?;
    if series.is_empty()
        && let Some(names) = similar_names::names(&history)
        && let Some(hint) = similar_names::hint(selectors.iter().map(Vec::as_slice), &names)
    {
        eprintln!("hint: {hint}");
    }
    // Without a configuration that is right no type is known, which is no reason to export nothing.
    let families = options
        .folder
        .global(global)
        .plan()
        .map(|plan| Families::new(&plan.metrics))
        .unwrap_or_default();
    let samples = ExportOptions {
        from,
        to,
        format: match options.output {
            Format::Openmetrics => OutputFormat::OpenMetrics,
            Format::Json => OutputFormat::Json,
            Format::Csv => OutputFormat::Csv,
        },
        families: &families,
    };
    let done = match &options.file {
        Some(path) => to_file(path, |out| write(&history, &series, &samples, out))?,
        None => output::stream(|out| write(&history, &series, &samples, out))?,
    };
    if options.file.is_some() || !output::is_terminal() {
        report(done);
    }
    Ok(())
}

/// Writes the samples of `series`, with a progress bar.
fn write(
    history: &History,
    series: &[LabelSet],
    samples: &ExportOptions<'_>,
    out: &mut dyn Write,
) -> Result<Exported, ExportError> {
    let bar = bar(
        series.len() as u64,
        "{bar:40} {pos}/{len} series  {eta} left",
    );
    let done = export(history, series, samples, out, &mut || bar.inc(1));
    bar.finish_and_clear();
    done
}

fn to_file(
    path: &Path,
    write: impl Fn(&mut dyn Write) -> Result<Exported, ExportError>,
) -> anyhow::Result<Exported> {
    write_file(path, write).with_context(|| format!("cannot write {}", path.display()))
}

fn write_file(
    path: &Path,
    write: impl Fn(&mut dyn Write) -> Result<Exported, ExportError>,
) -> anyhow::Result<Exported> {
    let mut out = files::Output::create(path)?;
    let done = write(&mut out)?;
    out.finish()?;
    Ok(done)
}

fn report(done: Exported) {
    eprintln!(
        "exported {} of {} series",
        counted(done.samples, "sample"),
        done.series
    );
    if done.left_out > 0 {
        eprintln!(
            "left out {}: only --output json can represent them",
            counted(done.left_out, "staleness marker")
        );
    }
}
