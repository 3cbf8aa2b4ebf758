//! Formatting of samples in each format.

use std::io::{self, Write};

use bellwether_core::{LabelSet, METRIC_NAME, UnixMillis, is_label_name, is_metric_name};
use bellwether_exposition::write_value;
use bellwether_promql::SampledSeries;

use super::families::Families;
use super::json;

/// Formats of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputFormat {
    /// OpenMetrics 1.0, as `promtool tsdb create-blocks-from openmetrics` reads it. A family whose type is not known
    /// has the type `unknown` and the name of its samples.
    OpenMetrics,
    /// JSON lines in the format of VictoriaMetrics.
    Json,
    /// CSV: a header, then a line per sample.
    Csv,
}

/// Writes series one after the other.
pub(super) struct Writer<'a> {
    format: OutputFormat,
    families: &'a Families,
    out: &'a mut dyn Write,
    /// Current family.
    family: String,
    /// Staleness markers left out, because the format cannot represent them.
    pub(super) left_out: u64,
    /// Samples written.
    pub(super) samples: u64,
}

impl<'a> Writer<'a> {
    pub(super) fn new(
        format: OutputFormat,
        families: &'a Families,
        out: &'a mut dyn Write,
    ) -> io::Result<Self> {
        if format == OutputFormat::Csv {
            out.write_all(b"time,series,value\r\n")?;
        }
        Ok(Self {
            format,
            families,
            out,
            family: String::new(),
            left_out: 0,
            samples: 0,
        })
    }

    /// Writes the samples of one series; more of the same series may follow.
    pub(super) fn series(&mut self, series: &SampledSeries) -> io::Result<()> {
        match self.format {
            OutputFormat::Json => {
                self.samples += series.times.len() as u64;
                json::write(self.out, series)
            }
            OutputFormat::OpenMetrics => self.open_metrics(series),
            OutputFormat::Csv => self.csv(series),
        }
    }

    /// Writes the end of the file.
    pub(super) fn finish(self) -> io::Result<()> {
        if self.format == OutputFormat::OpenMetrics {
            self.out.write_all(b"# EOF\n")?;
        }
        self.out.flush()
    }

    fn open_metrics(&mut self, series: &SampledSeries) -> io::Result<()> {
        let (family, kind) = self.families.of(series.labels.name());
        if family != self.family {
            match is_metric_name(family) {
                true => writeln!(self.out, "# TYPE {family} {kind}")?,
                false => writeln!(self.out, "# TYPE \"{}\" {kind}", escaped(family))?,
            }
            family.clone_into(&mut self.family);
        }
        let head = open_metrics_series(&series.labels);
        self.lines(series, |line, at, value| {
            line.extend_from_slice(head.as_bytes());
            line.push(b' ');
            write_value(line, value);
            line.push(b' ');
            push_seconds(line, at);
            line.push(b'\n');
        })
    }

    fn csv(&mut self, series: &SampledSeries) -> io::Result<()> {
        let name = series.labels.to_string().replace('"', "\"\"");
        self.lines(series, |line, at, value| {
            let time = jiff::Timestamp::from_millisecond(at.0).unwrap_or_default();
            line.extend_from_slice(format!("{time:.3},\"{name}\",").as_bytes());
            write_value(line, value);
            line.extend_from_slice(b"\r\n");
        })
    }

    /// Writes one line per sample, without staleness markers.
    fn lines(
        &mut self,
        series: &SampledSeries,
        write: impl Fn(&mut Vec<u8>, UnixMillis, f64),
    ) -> io::Result<()> {
        let mut line = Vec::new();
        for (at, value) in series.times.iter().zip(&series.values) {
            if SampledSeries::is_stale(*value) {
                self.left_out += 1;
                continue;
            }
            line.clear();
            write(&mut line, UnixMillis(*at), *value);
            self.out.write_all(&line)?;
            self.samples += 1;
        }
        Ok(())
    }
}

/// Formats a series as `name{label="value"}`, or `{"name","label"="value"}` if a name needs quotes.
fn open_metrics_series(labels: &LabelSet) -> String {
    let (mut text, mut separator) = (String::new(), '{');
    let metric = labels.name();
    if is_metric_name(metric) {
        text += metric;
    } else {
        text += &format!("{{\"{}\"", escaped(metric));
        separator = ',';
    }
    for (name, value) in labels.iter().filter(|(name, _)| *name != METRIC_NAME) {
        text.push(separator);
        separator = ',';
        match is_label_name(name) {
            true => text += name,
            false => text += &format!("\"{}\"", escaped(name)),
        }
        text += &format!("=\"{}\"", escaped(value));
    }
    if separator == ',' {
        text.push('}');
    }
    text
}

/// Escapes a name or value for quotes.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

/// Appends a time as seconds with three decimals.
fn push_seconds(out: &mut Vec<u8>, at: UnixMillis) {
    if at.0 < 0 {
        out.push(b'-');
    }
    let millis = at.0.unsigned_abs();
    out.extend_from_slice(itoa::Buffer::new().format(millis / 1000).as_bytes());
    out.extend_from_slice(format!(".{:03}", millis % 1000).as_bytes());
}
