//! Single lines with a series, a value and a timestamp, for files that are larger than memory.

use bellwether_core::{LabelSet, METRIC_NAME, UnixMillis};

use super::error::LineError;
use super::format::Format;
use super::number::push_value;
use super::parse::exemplar;
use super::scanner::{Scanner, quoted_end};

/// Unit of the timestamps of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeUnit {
    /// Seconds with a fraction, as in OpenMetrics.
    Seconds,
    /// Whole milliseconds, as in `promtool tsdb dump`.
    Millis,
}

/// Beginning of a line.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesPrefix<'l> {
    /// Labels of the series, `__name__` included.
    pub labels: LabelSet,
    /// Unit of the timestamp behind it.
    pub unit: TimeUnit,
    /// Rest of the line.
    pub rest: &'l str,
}

/// Reads the series at the beginning of `line`.
///
/// The series is `name{label="value"}` or `{"name",label="value"}` of OpenMetrics, or
/// `{__name__="name"}` of `promtool tsdb dump`, whose timestamps are milliseconds. Names are any
/// UTF-8, in quotes if they need them.
///
/// # Errors
/// The series is invalid or has no name.
pub fn read_series(line: &str) -> Result<SeriesPrefix<'_>, LineError> {
    if line.starts_with('{') {
        let (mut scanner, unit) = match begins_with_name(line) {
            true => (Scanner::new(line, Format::OpenMetrics), TimeUnit::Seconds),
            false => (Scanner::for_dump(line), TimeUnit::Millis),
        };
        let labels = scanner.utf8_labels()?;
        if labels.get(METRIC_NAME).is_none_or(String::is_empty) {
            return Err(LineError::new(
                "no metric name: neither before the braces nor as __name__",
            ));
        }
        return Ok(SeriesPrefix {
            labels: LabelSet::new(labels),
            unit,
            rest: scanner.rest(),
        });
    }
    let mut scanner = Scanner::new(line, Format::OpenMetrics);
    let name = scanner.metric_name()?.to_owned();
    let mut labels = scanner.utf8_labels()?;
    if labels.insert(METRIC_NAME.to_owned(), name).is_some() {
        return Err(LineError::new("the metric is named twice"));
    }
    Ok(SeriesPrefix {
        labels: LabelSet::new(labels),
        unit: TimeUnit::Seconds,
        rest: scanner.rest(),
    })
}

/// Returns whether the first item in braces is a quoted name without a value.
fn begins_with_name(line: &str) -> bool {
    let Some(quoted) = line.strip_prefix("{\"") else {
        return false;
    };
    quoted_end(quoted).is_some_and(|end| quoted[end + 1..].starts_with([',', '}']))
}

/// Reads the value and the timestamp behind a series. An exemplar is ignored.
///
/// # Errors
/// The text is invalid or has no timestamp.
pub fn read_sample(rest: &str, unit: TimeUnit) -> Result<(UnixMillis, f64), LineError> {
    let format = if unit == TimeUnit::Seconds {
        Format::OpenMetrics
    } else {
        Format::Text
    };
    let mut scanner = Scanner::new(rest, format);
    if format == Format::Text && rest == scanner.rest() {
        return Err(LineError::new(format!("expected a space before: {rest:?}")));
    }
    if format == Format::OpenMetrics {
        scanner.gap()?;
    }
    let value = scanner.value()?;
    if scanner.at_end() || scanner.rest().starts_with(" # ") {
        return Err(LineError::new("no time behind the value"));
    }
    scanner.gap()?;
    let at = scanner.timestamp()?;
    if format == Format::OpenMetrics && scanner.eat(" # ") {
        exemplar(&mut scanner)?;
    }
    if !scanner.at_end() {
        return Err(LineError::new(format!(
            "text after the time: {:?}",
            scanner.rest()
        )));
    }
    Ok((at, value))
}

/// Appends `value` in the form of both formats, from which the same bits are read, except those of a
/// NaN.
pub fn write_value(out: &mut Vec<u8>, value: f64) {
    if value == 0.0 && value.is_sign_negative() {
        out.push(b'-');
    }
    push_value(out, value);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<(String, f64, i64), LineError> {
        let series = read_series(line)?;
        let (at, value) = read_sample(series.rest, series.unit)?;
        Ok((series.labels.to_string(), value, at.0))
    }

    #[test]
    fn both_forms_are_read() {
        for (line, labels, value, at) in [
            ("up 1 1.5", "up", 1.0, 1500),
            (
                "up{job=\"x y\",a=\"\\\"\"} -2.5e3 1700000000.001",
                "up{a=\"\\\"\", job=\"x y\"}",
                -2500.0,
                1_700_000_000_001,
            ),
            ("up{} 1 -1", "up", 1.0, -1000),
            ("x_total 1 1 # {id=\"a\"} 2 3", "x_total", 1.0, 1000),
            (
                "{__name__=\"up\", job=\"x\"} 1 1700000000000",
                "up{job=\"x\"}",
                1.0,
                1_700_000_000_000,
            ),
            ("{__name__=\"up\"} +Inf 7", "up", f64::INFINITY, 7),
            (
                r#"{"A.b"="\x01\u00a0\t", __name__="http.requests"} 1 7"#,
                r#"{"http.requests", "A.b"="\x01\u00a0\t"}"#,
                1.0,
                7,
            ),
            (
                r#"{"http.requests","host-name"="a"} 1 7"#,
                r#"{"http.requests", "host-name"="a"}"#,
                1.0,
                7000,
            ),
            (r#"foo{a="\foo"} 1 7"#, r#"foo{a="\\foo"}"#, 1.0, 7000),
        ] {
            assert_eq!(read(line), Ok((labels.to_owned(), value, at)), "{line}");
        }
    }

    #[test]
    fn invalid_lines_are_errors() {
        for (line, expected) in [
            ("up 1", "no time behind the value"),
            ("up x 1", "bad number: \"x\""),
            ("up 1 yesterday", "bad timestamp: \"yesterday\""),
            ("up 1 2 3", "text after the time: \" 3\""),
            ("9up 1 2", "bad metric name: \"9up\""),
            ("up{a=1} 1 2", "expected =\"value\" after the label name: a"),
            ("up{__name__=\"a\"} 1 2", "the metric is named twice"),
            (r#"{__name__="a",b="\q"} 1 2"#, "bad escape: \\q"),
            (
                "{job=\"x\"} 1 2",
                "no metric name: neither before the braces nor as __name__",
            ),
            ("{__name__=\"up\"} 1 1.5", "bad timestamp: \"1.5\""),
            ("{__name__=\"up\"}1 1", "expected a space before: \"1 1\""),
        ] {
            assert_eq!(read(line).unwrap_err().to_string(), expected, "{line}");
        }
    }

    #[test]
    fn values_read_back() {
        for value in [
            0.0,
            -0.0,
            1.0,
            0.1,
            1e300,
            -1.5e-9,
            f64::INFINITY,
            f64::NEG_INFINITY,
            f64::MIN_POSITIVE,
        ] {
            let mut out = Vec::new();
            write_value(&mut out, value);
            let text = String::from_utf8(out).unwrap();
            assert_eq!(
                super::super::scanner::number(&text).unwrap().to_bits(),
                value.to_bits(),
                "{text}"
            );
        }
    }
}
