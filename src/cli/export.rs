//! `bellwether export`: what was collected, as text; with `--all` together with what was found in it.

mod all;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use bellwether_core::{LabelSet, UnixMillis, counted};
use bellwether_files as files;
use bellwether_matcher::LabelMatcher;
use bellwether_runtime::Clock;
use bellwether_tsdb::history::History;
use bellwether_tsdb::transfer::{
    ExportError, ExportOptions, Exported, Families, OutputFormat, export, list,
};
use clap::{Args, ValueEnum};

use super::client::Target;
use super::history_directory::{self, Folder, bar};
use super::range::Range;
use super::{Global, output, selector, similar_names};

#[derive(Args)]
pub(super) struct Options {
    #[command(flatten)]
    range: Range,
    /// Selector of series to export, such as 'up{job="x"}'; repeatable. Default: all.
    #[arg(long = "match", value_name = "SELECTOR")]
    selectors: Vec<String>,
    /// Output format. With --all several, separated by commas. Default: openmetrics, and with --all
    /// json, csv and html.
    #[arg(
        short,
        long,
        alias = "format",
        value_delimiter = ',',
        value_name = "FORMAT"
    )]
    output: Vec<Format>,
    /// Write everything into the directory DIR: the samples of all metrics, and alerts, bottlenecks,
    /// trends and the rest of `bellwether report`, for which the agent is asked. Default time range:
    /// the last seven days.
    #[arg(long, value_name = "DIR", conflicts_with = "file")]
    all: Option<PathBuf>,
    #[command(flatten)]
    folder: Folder,
    /// File to write. Default: standard output. A regular file is replaced once the new one is
    /// complete; a device or FIFO is written to.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    #[command(flatten)]
    target: Target,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// OpenMetrics for `promtool tsdb create-blocks-from openmetrics` and `bellwether import`, with
    /// the metric types of the configuration.
    #[value(alias = "prometheus")]
    Openmetrics,
    /// JSON lines for import into VictoriaMetrics.
    Json,
    /// One line per sample.
    Csv,
    /// One page with charts; only with --all.
    Html,
    /// Tables; only with --all.
    Markdown,
}

impl Format {
    /// Returns the format of samples, and the name of their file with --all; none if it has none of its own.
    fn of_samples(self) -> Option<(OutputFormat, &'static str)> {
        match self {
            Self::Openmetrics => Some((OutputFormat::OpenMetrics, "metrics.om")),
            Self::Json => Some((OutputFormat::Json, "metrics.json")),
            Self::Csv => Some((OutputFormat::Csv, "metrics.csv")),
            Self::Html | Self::Markdown => None,
        }
    }
}

/// Time range with --all.
const WEEK: Duration = Duration::from_secs(7 * 86_400);

pub(super) fn run(global: &Global, options: &Options) -> anyhow::Result<()> {
    let format = match (&options.all, &options.output[..]) {
        (Some(directory), formats) => return all::run(global, options, directory, formats),
        (None, []) => OutputFormat::OpenMetrics,
        (None, [format]) => match format.of_samples() {
            Some((format, _)) => format,
            None => bail!("a format of reports alone; hint: --all DIR, or bellwether report"),
        },
        (None, _) => bail!("several formats need files; hint: --all DIR"),
    };
    let now = Clock::start().now().wall;
    let samples = Samples::open(global, options)?;
    let oldest = samples.history.stats().oldest.unwrap_or(now);
    let (from, to) = options.range.times(now, |_| oldest)?;
    let series = samples.series(from, to)?;
    let done = samples.export(&series, (from, to), format, options.file.as_deref())?;
    if options.file.is_some() || !output::is_terminal() {
        samples.report(done, options.file.as_deref());
    }
    Ok(())
}

/// Samples to export.
struct Samples {
    /// Directory of the history.
    directory: PathBuf,
    history: History,
    selectors: Vec<Vec<LabelMatcher>>,
    families: Families,
}

impl Samples {
    fn open(global: &Global, options: &Options) -> anyhow::Result<Self> {
        let mut selectors = selector::parse_all("--match", &options.selectors)?;
        if selectors.is_empty() {
            selectors.push(Vec::new());
        }
        let directory = options.folder.path(global)?;
        let history = history_directory::open(&directory)?;
        // Without a configuration that is right no type is known, which is no reason to export nothing.
        let plan = options.folder.global(global).plan();
        let families = plan.map(|plan| Families::new(&plan.metrics));
        Ok(Self {
            directory,
            history,
            selectors,
            families: families.unwrap_or_default(),
        })
    }

    /// Returns the series with samples in the range.
    fn series(&self, from: UnixMillis, to: UnixMillis) -> anyhow::Result<Vec<LabelSet>> {
        let series = list(&self.history, &self.selectors, from, to)?;
        if series.is_empty() {
            let selectors = self.selectors.iter().map(Vec::as_slice);
            let hint = similar_names::names(&self.history)
                .and_then(|names| similar_names::hint(selectors, &names))
                .map_or_else(String::new, |hint| format!("; hint: {hint}"));
            let directory = self.directory.display();
            eprintln!("no samples in this time range in {directory}{hint}");
        }
        Ok(series)
    }

    /// Says how much of which history was exported, and to which file.
    fn report(&self, done: Exported, file: Option<&Path>) {
        let file = file.map_or_else(String::new, |file| format!(" to {}", file.display()));
        eprintln!(
            "exported {} of {} series from {}{file}",
            counted(done.samples, "sample"),
            done.series,
            self.directory.display()
        );
        if done.left_out > 0 {
            eprintln!(
                "left out {}: only --output json can represent them",
                counted(done.left_out, "staleness marker")
            );
        }
    }

    /// Writes the samples of `series` to `path`, else to standard output.
    fn export(
        &self,
        series: &[LabelSet],
        (from, to): (UnixMillis, UnixMillis),
        format: OutputFormat,
        path: Option<&Path>,
    ) -> anyhow::Result<Exported> {
        let samples = ExportOptions {
            from,
            to,
            format,
            families: &self.families,
        };
        let write = |out: &mut dyn Write| write(&self.history, series, &samples, out);
        match path {
            Some(path) => to_file(path, write),
            None => Ok(output::stream(write)?),
        }
    }
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
