//! `bellwether export --all DIR`: samples, and what a report has of the same time, in several formats in one run.

use std::fs;
use std::path::Path;

use anyhow::Context;
use bellwether_report::{self as reports, Report};
use bellwether_runtime::Clock;

use super::{Format, Options, Samples, WEEK};
use crate::cli::Global;
use crate::cli::report::{inquire, write};

/// Formats without a flag.
const DEFAULT: &[Format] = &[Format::Json, Format::Csv, Format::Html];

pub(super) fn run(
    global: &Global,
    options: &Options,
    directory: &Path,
    formats: &[Format],
) -> anyhow::Result<()> {
    let formats = if formats.is_empty() { DEFAULT } else { formats };
    let now = Clock::start().now().wall;
    let range = options.range.times(now, |end| end.before(WEEK))?;
    // What can fail comes before anything is written.
    let samples = Samples::open(global, options)?;
    let series = samples.series(range.0, range.1)?;
    let report = inquire(global, &options.target, range, now)?;
    let shown = directory.display();
    fs::create_dir_all(directory).with_context(|| format!("cannot create {shown}"))?;
    for format in formats {
        if let Some((format, name)) = format.of_samples() {
            let path = directory.join(name);
            let done = samples.export(&series, range, format, Some(&path))?;
            samples.report(done, Some(&path));
        }
        write_report(*format, &report, directory)?;
    }
    Ok(())
}

/// Writes the files of the report in a format; CSV has one for each section.
fn write_report(format: Format, report: &Report, directory: &Path) -> anyhow::Result<()> {
    let format = match format {
        Format::Openmetrics => return Ok(()),
        Format::Csv => {
            for table in reports::tables(report)? {
                write(&directory.join(format!("{}.csv", table.name)), &table.text)?;
            }
            return Ok(());
        }
        Format::Json => reports::Format::Json,
        Format::Html => reports::Format::Html,
        Format::Markdown => reports::Format::Markdown,
    };
    let path = directory.join(format!("report.{}", format.ending()));
    write(&path, &format.format(report)?)
}
