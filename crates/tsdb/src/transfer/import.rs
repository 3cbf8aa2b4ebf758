//! Import of text into blocks. Everything is read and sorted before the first block is written, so that an
//! invalid line leaves nothing behind.

use std::collections::HashMap;
use std::io::{self, BufRead, Read};
use std::path::Path;

use bellwether_core::{LabelSet, UnixMillis};
use bellwether_exposition::{TimeUnit, quoted_end, read_sample, read_series};
use bellwether_promql::SampledSeries;

use super::json;
use super::sort::{Record, Sorted, Sorter};
use crate::history::{BlockWriter, History};

/// Formats of an import.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputFormat {
    /// OpenMetrics with a timestamp on every line, or the output of `promtool tsdb dump`.
    OpenMetrics,
    /// JSON lines in the format of VictoriaMetrics.
    Json,
}

/// An invalid line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}; hint: {hint}")]
pub struct BadLine {
    /// Line number, from 1.
    pub line: u64,
    /// Reason.
    pub message: String,
    /// Hint for fixing it.
    pub hint: &'static str,
}

/// Error of an import.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// A line is invalid.
    #[error("line {line}: {0}", line = .0.line)]
    Line(BadLine),
    /// The input cannot be read.
    #[error("cannot read the input: {0}")]
    Read(io::Error),
    /// Samples cannot be written to a temporary file for sorting.
    #[error("cannot sort in {folder}: {0}", folder = std::env::temp_dir().display())]
    Spill(io::Error),
    /// A block cannot be written; earlier ones are in place.
    #[error("cannot write a block: {0}")]
    Write(io::Error),
}

/// Result of an import.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Samples imported.
    pub samples: u64,
    /// Samples that a later line replaced.
    pub replaced: u64,
    /// Number of series.
    pub series: usize,
    /// Blocks written.
    pub blocks: u64,
    /// Times of the first and the last sample.
    pub span: Option<(UnixMillis, UnixMillis)>,
    /// Invalid lines that were skipped.
    pub skipped: u64,
    /// First skipped line.
    pub first_bad: Option<BadLine>,
}

/// Maximum number of samples held in memory, 40 bytes each.
pub const CEILING: usize = 1_000_000;
/// Longest line in bytes, more than VictoriaMetrics writes for a series.
const MAX_LINE: u64 = 256 << 20;
/// End of the year 9999 in milliseconds.
const MAX_TIME: i64 = 253_402_300_799_999;

/// Series at the beginning of a line.
struct LastSeries {
    text: String,
    /// Index of the series.
    series: u32,
    unit: TimeUnit,
}

/// Reason why a line is invalid.
struct Fault {
    message: String,
    /// Hint for fixing it; none if the line is not in the format of the input.
    hint: Option<&'static str>,
}

impl Fault {
    fn new(message: impl ToString, hint: &'static str) -> Self {
        Self {
            message: message.to_string(),
            hint: Some(hint),
        }
    }

    fn of_format(message: impl ToString) -> Self {
        Self {
            message: message.to_string(),
            hint: None,
        }
    }
}

/// Formats of an import, for the hint about input that is in none of them.
pub const INPUT_FORMATS: &str = "the formats are OpenMetrics with times (name{label=\"value\"} VALUE SECONDS), the \
     output of promtool tsdb dump, and JSON lines as VictoriaMetrics exports them";
const OPEN_METRICS: &str = "name{label=\"value\"} VALUE SECONDS, or a line of promtool tsdb dump";
const JSON: &str =
    "{\"metric\":{\"__name__\":\"up\"},\"values\":[1],\"timestamps\":[1700000000000]}";

/// A sample of the series with an index.
struct SeriesSample {
    series: u32,
    at: UnixMillis,
    value: f64,
}

/// An import.
pub struct Import {
    format: Option<InputFormat>,
    /// The format was not detected.
    is_given: bool,
    skip_bad: bool,
    sorter: Sorter,
    series: Vec<LabelSet>,
    numbers: HashMap<LabelSet, u32>,
    /// Series of the last line, as most lines have the same series.
    last: Option<LastSeries>,
    /// Lines of OpenMetrics were read, which end with `# EOF`.
    expects_eof: bool,
    /// `# EOF` was read.
    ended: bool,
    read: u64,
    done: Imported,
}

impl Import {
    /// Creates an import of `format`; `None` detects it from the first line. With `skip_bad`, invalid lines are
    /// counted and skipped. At most `ceiling` samples are in memory.
    #[must_use]
    pub fn new(format: Option<InputFormat>, skip_bad: bool, ceiling: usize) -> Self {
        Self {
            format,
            is_given: format.is_some(),
            skip_bad,
            sorter: Sorter::new(ceiling),
            series: Vec::new(),
            numbers: HashMap::new(),
            last: None,
            expects_eof: false,
            ended: false,
            read: 0,
            done: Imported::default(),
        }
    }

    /// Reads all of `input`. Calls `progress` with the bytes of each line.
    ///
    /// # Errors
    /// The first invalid line, unless those are skipped; or the input cannot be read or sorted.
    pub fn read(
        &mut self,
        input: &mut dyn BufRead,
        progress: &mut dyn FnMut(u64),
    ) -> Result<(), ImportError> {
        let (mut bytes, mut number) = (Vec::new(), 0);
        loop {
            bytes.clear();
            let taken = input
                .take(MAX_LINE)
                .read_until(b'\n', &mut bytes)
                .map_err(ImportError::Read)? as u64;
            if taken == 0 {
                break;
            }
            progress(taken);
            number += 1;
            let result = match line_of(&bytes) {
                Ok(line) => self.line(line)?,
                Err(fault) => Err(fault),
            };
            self.record_result(number, result)?;
        }
        if self.expects_eof && !self.ended {
            let hint = "the file is truncated; --skip-bad imports the samples before its end";
            let fault = Fault::new("no # EOF at the end", hint);
            self.record_result(number + 1, Err(fault))?;
        }
        Ok(())
    }

    fn record_result(&mut self, line: u64, result: Result<(), Fault>) -> Result<(), ImportError> {
        let Err(Fault { message, hint }) = result else {
            return Ok(());
        };
        let bad = BadLine {
            line,
            message,
            hint: hint.unwrap_or_else(|| self.line_hint()),
        };
        if !self.skip_bad {
            return Err(ImportError::Line(bad));
        }
        self.done.skipped += 1;
        self.done.first_bad.get_or_insert(bad);
        Ok(())
    }

    /// Returns the hint for a line that is not in the format of the input.
    fn line_hint(&self) -> &'static str {
        match self.format {
            // The first line is in no format at all.
            _ if self.read == 0 && !self.is_given => INPUT_FORMATS,
            Some(InputFormat::Json) => JSON,
            Some(InputFormat::OpenMetrics) | None => OPEN_METRICS,
        }
    }

    fn line(&mut self, line: &str) -> Result<Result<(), Fault>, ImportError> {
        if line.is_empty() {
            return Ok(Ok(()));
        }
        let format = *self.format.get_or_insert_with(|| match is_json(line) {
            true => InputFormat::Json,
            false => InputFormat::OpenMetrics,
        });
        let read = match format {
            InputFormat::Json => self.json(line),
            InputFormat::OpenMetrics => self.open_metrics(line),
        };
        match read {
            Ok(samples) => {
                for sample in samples {
                    let record = Record::new(sample.series, sample.at, sample.value, self.read);
                    self.read += 1;
                    self.sorter.push(record).map_err(ImportError::Spill)?;
                }
                Ok(Ok(()))
            }
            Err(fault) => Ok(Err(fault)),
        }
    }

    fn json(&mut self, line: &str) -> Result<Vec<SeriesSample>, Fault> {
        let read = json::read(line).map_err(Fault::of_format)?;
        let series = self.number(&read.labels);
        let samples = read.times.into_iter().map(UnixMillis).zip(read.values);
        samples
            .map(|(at, value)| match within(at) {
                true => Ok(SeriesSample { series, at, value }),
                false => {
                    let message = format!("no such time: {}", at.0);
                    Err(Fault::new(message, "milliseconds since 1970"))
                }
            })
            .collect()
    }

    fn open_metrics(&mut self, line: &str) -> Result<Vec<SeriesSample>, Fault> {
        const AFTER: &str = "an OpenMetrics file ends there; import a second one by itself";
        if line.starts_with('#') {
            self.ended |= line == "# EOF";
            return Ok(Vec::new());
        }
        if self.ended {
            return Err(Fault::new("text after # EOF", AFTER));
        }
        let cached = self.last.as_ref().and_then(|last| {
            let rest = line.strip_prefix(last.text.as_str())?;
            rest.starts_with(' ')
                .then_some((last.series, last.unit, rest))
        });
        let (series, unit, rest) = match cached {
            Some(cached) => cached,
            None => {
                let read = read_series(line).map_err(Fault::of_format)?;
                let series = self.number(&read.labels);
                self.last = Some(LastSeries {
                    text: line[..line.len() - read.rest.len()].to_owned(),
                    series,
                    unit: read.unit,
                });
                (series, read.unit, read.rest)
            }
        };
        self.expects_eof |= unit == TimeUnit::Seconds;
        let (at, mut value) = read_sample(rest, unit).map_err(Fault::of_format)?;
        if unit == TimeUnit::Millis && value.is_nan() {
            value = f64::from_bits(DUMPED_NAN);
        }
        if !within(at) {
            let message = "its time is not in the years 1 to 9999";
            return Err(Fault::new(message, "times are seconds"));
        }
        Ok(vec![SeriesSample { series, at, value }])
    }

    fn number(&mut self, labels: &LabelSet) -> u32 {
        if let Some(number) = self.numbers.get(labels) {
            return *number;
        }
        let number = self.series.len() as u32;
        self.series.push(labels.clone());
        self.numbers.insert(labels.clone(), number);
        number
    }

    /// Writes the samples to the history in `folder`, block by block, each atomically. Importing the same input again
    /// changes nothing.
    ///
    /// # Errors
    /// A block cannot be written, or a temporary file cannot be read.
    pub fn write(self, folder: &Path) -> Result<Imported, ImportError> {
        let mut done = self.done;
        let mut sorted = self.sorter.into_sorted().map_err(ImportError::Spill)?;
        let mut seen = vec![false; self.series.len()];
        let mut next = sorted.next().map_err(ImportError::Spill)?;
        while let Some(first) = next {
            let range = History::block_range(first.at);
            let mut block = BlockWriter::create(folder, range).map_err(ImportError::Write)?;
            while let Some(begin) = next.filter(|record| record.block == first.block) {
                let column = Column::read(begin, &mut sorted).map_err(ImportError::Spill)?;
                seen[begin.series as usize] = true;
                let labels = &self.series[begin.series as usize];
                block
                    .add(labels, &column.times, &column.values)
                    .map_err(ImportError::Write)?;
                done.note(&column);
                next = column.next;
            }
            block.finish().map_err(ImportError::Write)?;
            done.blocks += 1;
        }
        done.series = seen.into_iter().filter(|seen| *seen).count();
        Ok(done)
    }
}

/// Returns whether a line is a JSON object, and not a series with a quoted name.
fn is_json(line: &str) -> bool {
    let key = line
        .strip_prefix('{')
        .map(str::trim_start)
        .and_then(|rest| rest.strip_prefix('"'));
    let behind = key.and_then(|key| Some(&key[quoted_end(key)? + 1..]));
    behind.is_some_and(|rest| rest.trim_start().starts_with(':'))
}

/// Returns whether a time is in the years 1 to 9999, about.
fn within(at: UnixMillis) -> bool {
    (-MAX_TIME..=MAX_TIME).contains(&at.0)
}

/// Returns the text of a line without its end.
fn line_of(bytes: &[u8]) -> Result<&str, Fault> {
    if bytes.len() as u64 >= MAX_LINE {
        let message = format!("longer than {} MiB", MAX_LINE >> 20);
        return Err(Fault::new(message, "a line ends with a line feed"));
    }
    let line = str::from_utf8(bytes).map_err(|_| Fault::of_format("not UTF-8"))?;
    Ok(line.trim_end_matches(['\r', '\n']))
}

/// A NaN of a dump, which prints the marker of a series that ended as any other NaN.
const DUMPED_NAN: u64 = 0x7ff8_0000_0000_0d09;

/// Tells staleness markers of a dump from other NaNs: no marker follows another, so a single NaN is taken for one.
fn settle_nans(values: &mut [f64]) {
    let dumped: Vec<bool> = values
        .iter()
        .map(|value| value.to_bits() == DUMPED_NAN)
        .collect();
    for (index, value) in values
        .iter_mut()
        .enumerate()
        .filter(|(index, _)| dumped[*index])
    {
        let before = index.checked_sub(1).is_some_and(|before| dumped[before]);
        let in_a_row = before || dumped.get(index + 1) == Some(&true);
        *value = if in_a_row {
            f64::NAN
        } else {
            SampledSeries::stale()
        };
    }
}

/// Samples of one series in one block.
struct Column {
    times: Vec<i64>,
    values: Vec<f64>,
    replaced: u64,
    /// First sample behind them.
    next: Option<Record>,
}

impl Column {
    fn read(first: Record, sorted: &mut Sorted) -> io::Result<Self> {
        let mut column = Self {
            times: Vec::new(),
            values: Vec::new(),
            replaced: 0,
            next: None,
        };
        let mut next = Some(first);
        while let Some(record) = next {
            if (record.block, record.series) != (first.block, first.series) {
                column.next = next;
                break;
            }
            let value = f64::from_bits(record.bits);
            match column.times.last() {
                Some(at) if *at == record.at.0 => {
                    column.replaced += 1;
                    column.values.pop();
                }
                _ => column.times.push(record.at.0),
            }
            column.values.push(value);
            next = sorted.next()?;
        }
        settle_nans(&mut column.values);
        Ok(column)
    }
}

impl Imported {
    fn note(&mut self, column: &Column) {
        self.samples += column.times.len() as u64;
        self.replaced += column.replaced;
        if let (Some(first), Some(last)) = (column.times.first(), column.times.last()) {
            let (from, to) = self.span.unwrap_or((UnixMillis(*first), UnixMillis(*last)));
            self.span = Some((from.min(UnixMillis(*first)), to.max(UnixMillis(*last))));
        }
    }
}

#[cfg(test)]
mod tests;
