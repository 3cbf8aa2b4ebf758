//! Formats results as tables and as CSV. Pure.

use std::fmt::Write;

use bellwether_core::UnixMillis;
use bellwether_promql::{SampledSeries, Value};
use jiff::Timestamp;

use crate::cli::asking::{aligned, printable};

/// Formats columns that are as wide as their widest cell; the first is text, the others are
/// numbers.
pub(super) fn table(value: &Value) -> String {
    let rows: Vec<Vec<String>> = match value {
        Value::Scalar { value, .. } => return format!("{value}\n"),
        Value::String { text, .. } => return format!("{}\n", printable(text)),
        Value::Vector(samples) => samples
            .iter()
            .map(|sample| {
                vec![
                    printable(&sample.labels.to_string()),
                    sample.value.to_string(),
                ]
            })
            .collect(),
        Value::Matrix(series) => {
            let heads = ["series", "values", "first", "last", "min", "mean", "max"];
            let head = heads.map(str::to_owned).to_vec();
            std::iter::once(head)
                .chain(series.iter().map(summary))
                .collect()
        }
    };
    if rows.is_empty() || (matches!(value, Value::Matrix(_)) && rows.len() == 1) {
        return "no series\n".to_owned();
    }
    aligned(&rows, |column, _| column > 0)
}

fn summary(series: &SampledSeries) -> Vec<String> {
    let values = &series.values;
    let ends = [values.first(), values.last()].map(|value| value.copied().unwrap_or(f64::NAN));
    let min = values.iter().copied().fold(f64::NAN, f64::min);
    let max = values.iter().copied().fold(f64::NAN, f64::max);
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let mut cells = vec![
        printable(&series.labels.to_string()),
        values.len().to_string(),
    ];
    cells.extend([ends[0], ends[1], min, mean, max].map(short));
    cells
}

/// Formats a number with six significant digits.
fn short(value: f64) -> String {
    if !value.is_finite() || value == 0.0 {
        return value.to_string();
    }
    let digits = 5 - value.abs().log10().floor() as i32;
    if !(0..=12).contains(&digits) {
        return value.to_string();
    }
    let text = format!("{value:.*}", digits as usize);
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

/// Formats one line per value: time, series, value; quoted by RFC 4180.
pub(super) fn csv(value: &Value) -> String {
    let mut out = "time,series,value\r\n".to_owned();
    match value {
        Value::Scalar {
            at: UnixMillis(at),
            value,
        } => csv_line(&mut out, *at, "", &number(*value)),
        Value::String {
            at: UnixMillis(at),
            text,
        } => csv_line(&mut out, *at, "", text),
        Value::Vector(samples) => {
            for sample in samples {
                csv_line(
                    &mut out,
                    sample.at.0,
                    &sample.labels.to_string(),
                    &number(sample.value),
                );
            }
        }
        Value::Matrix(all) => {
            for series in all {
                let name = series.labels.to_string();
                for (at, value) in series.times.iter().zip(&series.values) {
                    csv_line(&mut out, *at, &name, &number(*value));
                }
            }
        }
    }
    out
}

fn number(value: f64) -> String {
    match value {
        f64::INFINITY => "+Inf".to_owned(),
        f64::NEG_INFINITY => "-Inf".to_owned(),
        value => value.to_string(),
    }
}

/// Writes one line: time, series, value.
fn csv_line(out: &mut String, at: i64, series: &str, value: &str) {
    let at = Timestamp::from_millisecond(at)
        .map(|at| format!("{at:.3}"))
        .unwrap_or_default();
    write!(out, "{at},{},{}\r\n", quoted(series), quoted(value)).ok();
}

fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\r', '\n']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use bellwether_core::LabelSet;
    use bellwether_promql::Sample;

    use super::*;

    fn labels(host: &str) -> LabelSet {
        LabelSet::new([("__name__", "load"), ("host", host)])
    }

    fn sample(host: &str, value: f64) -> Sample {
        Sample {
            labels: labels(host),
            at: UnixMillis(0),
            value,
        }
    }

    #[test]
    fn tables_are_aligned() {
        assert_eq!(
            table(&Value::Vector(vec![sample("a", 1.5), sample("bcd", 100.0)])),
            "load{host=\"a\"}    1.5\nload{host=\"bcd\"}  100\n"
        );
        assert_eq!(table(&Value::Vector(Vec::new())), "no series\n");
        assert_eq!(table(&Value::Matrix(Vec::new())), "no series\n");
        assert_eq!(
            table(&Value::Scalar {
                at: UnixMillis(0),
                value: 2.0
            }),
            "2\n"
        );
        let series = SampledSeries {
            labels: labels("a"),
            times: vec![0, 1, 2],
            values: vec![1.0, 3.0, 1.0 / 3.0],
        };
        assert_eq!(
            table(&Value::Matrix(vec![series])),
            "series          values  first      last       min     mean  max\n\
             load{host=\"a\"}       3      1  0.333333  0.333333  1.44444    3\n"
        );
    }

    #[test]
    fn numbers_of_a_summary_are_short() {
        for (value, text) in [
            (123_456_789.0, "123456789"),
            (1234.5678, "1234.57"),
            (-0.000_123_456_78, "-0.000123457"),
            (100_000.0, "100000"),
            (0.0, "0"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(short(value), text);
        }
    }

    #[test]
    fn csv_is_quoted() {
        let sample = Sample {
            labels: labels("a,\"b\""),
            at: UnixMillis(1500),
            value: f64::NEG_INFINITY,
        };
        assert_eq!(
            csv(&Value::Vector(vec![sample])),
            "time,series,value\r\n\
             1970-01-01T00:00:01.500Z,\"load{host=\"\"a,\\\"\"b\\\"\"\"\"}\",-Inf\r\n"
        );
        assert_eq!(
            csv(&Value::String {
                at: UnixMillis(0),
                text: "x".into()
            }),
            "time,series,value\r\n1970-01-01T00:00:00.000Z,,x\r\n"
        );
    }
}
