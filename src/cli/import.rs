//! `bellwether import`: samples of others, or of an export, into history.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};

use super::Global;
use super::recorded::{Folder, bar};
use crate::model::Wall;
use crate::transfer::{BadLine, CEILING, Import, ImportError, Imported, InputFormat};

#[derive(Args)]
pub(super) struct Options {
    /// File to read; - for standard input.
    #[arg(value_name = "FILE")]
    input: PathBuf,
    /// Format; without it the first line tells.
    #[arg(long)]
    format: Option<Format>,
    #[command(flatten)]
    folder: Folder,
    /// Count bad lines and leave them out, instead of importing nothing.
    #[arg(long)]
    skip_bad: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// OpenMetrics with a time on every line, or what `promtool tsdb dump` prints.
    Openmetrics,
    /// Lines as VictoriaMetrics exports them.
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
    tell(&options.input.display().to_string(), &done);
    Ok(())
}

/// Imports a file, or standard input, into the history in `folder`.
pub(super) fn into(folder: &Path, input: &Path, mut import: Import) -> anyhow::Result<Imported> {
    let (name, size, mut input) = open(input)?;
    let bar = bar(size, "{bar:40} {bytes}/{total_bytes} read  {eta} left");
    let read = import.read(&mut *input, &mut |bytes| bar.inc(bytes));
    bar.finish_and_clear();
    match read {
        Err(ImportError::Line(bad)) => bail!("{}; nothing was imported", place(&name, &bad)),
        read => read?,
    }
    import.write(folder).with_context(|| format!("history in {}", folder.display()))
}

/// The input, its name and its size, as far as that is known.
fn open(input: &Path) -> anyhow::Result<(String, u64, Box<dyn BufRead>)> {
    if input.as_os_str() == "-" {
        return Ok(("standard input".into(), 0, Box::new(BufReader::new(io::stdin()))));
    }
    let name = input.display().to_string();
    let file = File::open(input).with_context(|| format!("cannot read {name}"))?;
    let size = file.metadata().map_or(0, |metadata| metadata.len());
    Ok((name, size, Box::new(BufReader::with_capacity(1 << 16, file))))
}

fn place(name: &str, bad: &BadLine) -> String {
    format!("{name}:{}: {bad}", bad.line)
}

fn tell(name: &str, done: &Imported) {
    let time = |at: Wall| jiff::Timestamp::from_millisecond(at.0).unwrap_or_default().to_string();
    let span = done
        .span
        .map_or_else(String::new, |(from, to)| format!(", {} to {}", time(from), time(to)));
    println!(
        "imported {} samples of {} series into {} blocks{span}",
        done.samples, done.series, done.blocks
    );
    if done.replaced > 0 {
        println!("{} samples were given twice; the last of each counts", done.replaced);
    }
    if let Some(bad) = &done.first_bad {
        println!("left out {} bad lines; the first: {}", done.skipped, place(name, bad));
    }
}
