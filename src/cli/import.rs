//! `bellwether import`: samples of others, or of an export, into history.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use bellwether_core::{UnixMillis, counted};
use bellwether_runtime::Clock;
use bellwether_tsdb::history::History;
use bellwether_tsdb::transfer::{
    BadLine, CEILING, INPUT_FORMATS, Import, ImportError, Imported, InputFormat,
};
use clap::{Args, ValueEnum};

use super::Global;
use super::history_directory::{AsOwner, Folder, bar};

const DAY: Duration = Duration::from_secs(86_400);

#[derive(Args)]
pub(super) struct Options {
    /// File to read, or - for standard input.
    #[arg(value_name = "FILE")]
    input: PathBuf,
    /// Input format. Default: detected from the first line.
    #[arg(long)]
    format: Option<Format>,
    #[command(flatten)]
    folder: Folder,
    /// Skip and count invalid lines. Default: the import fails and imports nothing.
    #[arg(long)]
    skip_bad: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// OpenMetrics with a timestamp on every line, or output of `promtool tsdb dump`.
    Openmetrics,
    /// JSON lines as VictoriaMetrics exports them.
    Json,
}

pub(super) fn run(global: &Global, options: &Options) -> anyhow::Result<()> {
    let folder = options.folder.path(global)?;
    let format = options.format.map(|format| match format {
        Format::Openmetrics => InputFormat::OpenMetrics,
        Format::Json => InputFormat::Json,
    });
    let import = Import::new(format, options.skip_bad, CEILING);
    let done = into(&folder, &options.input, import)?;
    let name = options.input.display().to_string();
    report(&name, &folder, &done);
    if done.samples == 0 {
        // An invalid line has its hint already.
        match done.first_bad {
            Some(_) => bail!("no samples to import: {name}"),
            None => bail!("no samples to import: {name}; hint: {INPUT_FORMATS}"),
        }
    }
    let now = Clock::start().now().wall;
    let retention = options
        .folder
        .global(global)
        .settings()
        .ok()
        .filter(|_| options.folder.is_default())
        .map(|root| DAY * root.trend_analysis.storage.retention_days.value);
    warnings(&done, now, retention)
        .iter()
        .for_each(|warning| eprintln!("warning: {warning}"));
    Ok(())
}

/// Warns of samples that will not be visible: those older than `retention`, and those that a
/// running Bellwether has in memory itself.
fn warnings(done: &Imported, now: UnixMillis, retention: Option<Duration>) -> Vec<String> {
    let Some((from, to)) = done.span else {
        return Vec::new();
    };
    let mut warnings = Vec::new();
    if let Some(retention) = retention.filter(|retention| from < now.before(*retention)) {
        let (some, days) = (
            if to < now.before(retention) {
                "all"
            } else {
                "some"
            },
            retention.as_secs() / DAY.as_secs(),
        );
        warnings.push(format!(
            "{some} samples are older than the retention of {days} days and will be deleted; hint: \
             raise trend_analysis.storage.retention_days, restart, and import again"
        ));
    }
    // A block is written five minutes after its end.
    let in_memory = History::block_range(now.before(Duration::from_secs(300))).start;
    if to >= in_memory {
        warnings.push(format!(
            "samples from {} on may be in the memory of a running Bellwether: of samples with the same time, \
             its own are kept",
            time(in_memory)
        ));
    }
    warnings
}

fn time(at: UnixMillis) -> String {
    jiff::Timestamp::from_millisecond(at.0)
        .unwrap_or_default()
        .to_string()
}

/// Imports a file, or standard input, into the history in `folder`.
pub(super) fn into(folder: &Path, input: &Path, mut import: Import) -> anyhow::Result<Imported> {
    let (name, size, mut input) = open(input)?;
    let bar = bar(size, "{bar:40} {bytes}/{total_bytes} read  {eta} left");
    let read = import.read(&mut *input, &mut |bytes| bar.inc(bytes));
    bar.finish_and_clear();
    match read {
        Err(ImportError::Line(bad)) => {
            let BadLine {
                line,
                message,
                hint,
            } = bad;
            bail!("{name}:{line}: {message}; nothing was imported; hint: {hint}");
        }
        read => read?,
    }
    write(import, folder).with_context(|| format!("history in {}", folder.display()))
}

/// Input with its name, and its size if known.
fn open(input: &Path) -> anyhow::Result<(String, u64, Box<dyn BufRead>)> {
    if input.as_os_str() == "-" {
        return Ok((
            "standard input".into(),
            0,
            Box::new(BufReader::new(io::stdin())),
        ));
    }
    let name = input.display().to_string();
    let file = File::open(input).with_context(|| format!("cannot read {name}"))?;
    let size = file.metadata().map_or(0, |metadata| metadata.len());
    Ok((
        name,
        size,
        Box::new(BufReader::with_capacity(1 << 16, file)),
    ))
}

fn write(import: Import, folder: &Path) -> anyhow::Result<Imported> {
    let writing = AsOwner::begin(folder).map_err(|error| match error.kind() {
        io::ErrorKind::PermissionDenied => {
            anyhow!("{error}; hint: run the command as root, or as the user of the agent")
        }
        _ => error.into(),
    })?;
    let done = import.write(folder)?;
    writing.finish()?;
    Ok(done)
}

fn place(name: &str, bad: &BadLine) -> String {
    format!("{name}:{}: {bad}", bad.line)
}

fn report(name: &str, folder: &Path, done: &Imported) {
    let span = done.span.map_or_else(String::new, |(from, to)| {
        format!(", {} to {}", time(from), time(to))
    });
    println!(
        "imported {} of {} series into {} in {}{span}",
        counted(done.samples, "sample"),
        done.series,
        counted(done.blocks, "block"),
        folder.display()
    );
    if done.replaced > 0 {
        println!(
            "{}; the last of each counts",
            counted(done.replaced, "duplicate sample")
        );
    }
    if let Some(bad) = &done.first_bad {
        println!(
            "skipped {}; the first: {}",
            counted(done.skipped, "invalid line"),
            place(name, bad)
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_will_not_be_seen_is_said() {
        let now = UnixMillis(1_795_435_200_000);
        let of = |from: Duration, to: Duration| {
            let span = Some((now.before(from), now.before(to)));
            warnings(
                &Imported {
                    span,
                    ..Imported::default()
                },
                now,
                Some(DAY * 15),
            )
            .join("\n")
        };
        assert_eq!(of(DAY * 10, DAY), "");
        assert!(
            of(DAY * 16, DAY).starts_with("some samples are older than the retention of 15 days")
        );
        assert!(of(DAY * 20, DAY * 16).starts_with("all samples"));
        assert!(of(DAY, Duration::ZERO).contains("its own are kept"));
        assert!(warnings(&Imported::default(), now, Some(DAY)).is_empty());
    }
}
