//! Formats results as tables and as CSV. Pure.

use bellwether_promql::{SampledSeries, Value};
use jiff::Timestamp;

use crate::cli::asking::printable;
use crate::cli::form::{Layout, format_table};
use crate::cli::output::Screen;
use crate::cli::table::{Cell, Table, csv_line};

/// Text of a result without series.
pub(super) const NONE: &str = "no series";

/// Formats a result for people.
pub(super) fn text(value: &Value, screen: Screen) -> String {
    match value {
        Value::Scalar { value, .. } => format!("{value}\n"),
        Value::String { text, .. } => format!("{}\n", printable(text)),
        _ => format_table(Layout::Text(screen), &table(value), NONE),
    }
}

/// Returns a table with a row for each series.
pub(super) fn table(value: &Value) -> Table {
    let numbers = ["VALUE", "VALUES", "FIRST", "LAST", "MIN", "MEAN", "MAX"];
    let table = match value {
        Value::Matrix(_) => Table::new(["SERIES", "VALUES", "FIRST", "LAST", "MIN", "MEAN", "MAX"]),
        _ => Table::new(["SERIES", "VALUE"]),
    };
    let mut table = table.elastic(&["SERIES"]).right(&numbers);
    match value {
        Value::Scalar { value, .. } => table.push(["".into(), value.to_string().into()]),
        Value::String { text, .. } => table.push(["".into(), printable(text).into()]),
        Value::Vector(samples) => {
            for sample in samples {
                let series = printable(&sample.labels.to_string());
                table.push([series.into(), sample.value.to_string().into()]);
            }
        }
        Value::Matrix(series) => series.iter().for_each(|series| table.push(summary(series))),
    }
    table
}

fn summary(series: &SampledSeries) -> [Cell; 7] {
    let values = &series.values;
    let [first, last] =
        [values.first(), values.last()].map(|value| value.copied().unwrap_or(f64::NAN));
    let min = values.iter().copied().fold(f64::NAN, f64::min);
    let max = values.iter().copied().fold(f64::NAN, f64::max);
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let [first, last, min, mean, max] =
        [first, last, min, mean, max].map(|value| Cell::from(short(value)));
    let labels = printable(&series.labels.to_string()).into();
    [
        labels,
        values.len().to_string().into(),
        first,
        last,
        min,
        mean,
        max,
    ]
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

/// Formats one line per value: host if there are several, time, series, value.
pub(super) fn csv(value: &Value, host: Option<&str>) -> String {
    let line = |at: i64, series: String, value: String| {
        let at = Timestamp::from_millisecond(at).map(|at| format!("{at:.3}"));
        let host = host.map(str::to_owned);
        csv_line(
            host.into_iter()
                .chain([at.unwrap_or_default(), series, value]),
        )
    };
    let heads = ["time", "series", "value"].map(str::to_owned);
    let mut out = csv_line(host.map(|_| "host".to_owned()).into_iter().chain(heads));
    match value {
        Value::Scalar { at, value } => out += &line(at.0, String::new(), number(*value)),
        Value::String { at, text } => out += &line(at.0, String::new(), text.clone()),
        Value::Vector(samples) => {
            for sample in samples {
                out += &line(sample.at.0, sample.labels.to_string(), number(sample.value));
            }
        }
        Value::Matrix(all) => {
            for series in all {
                let name = series.labels.to_string();
                for (at, value) in series.times.iter().zip(&series.values) {
                    out += &line(*at, name.clone(), number(*value));
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

#[cfg(test)]
mod tests {
    use bellwether_core::{LabelSet, UnixMillis};
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

    fn shown(value: &Value) -> String {
        text(value, Screen::default())
    }

    #[test]
    fn tables_are_aligned() {
        assert_eq!(
            shown(&Value::Vector(vec![sample("a", 1.5), sample("bcd", 100.0)])),
            "SERIES            VALUE\nload{host=\"a\"}      1.5\nload{host=\"bcd\"}    100\n"
        );
        assert_eq!(shown(&Value::Vector(Vec::new())), "no series\n");
        assert_eq!(shown(&Value::Matrix(Vec::new())), "no series\n");
        assert_eq!(
            shown(&Value::Scalar {
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
            shown(&Value::Matrix(vec![series])),
            "SERIES          VALUES  FIRST      LAST       MIN     MEAN  MAX\n\
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
            csv(&Value::Vector(vec![sample]), None),
            "time,series,value\r\n\
             1970-01-01T00:00:01.500Z,\"load{host=\"\"a,\\\"\"b\\\"\"\"\"}\",-Inf\r\n"
        );
        assert_eq!(
            csv(
                &Value::String {
                    at: UnixMillis(0),
                    text: "x".into()
                },
                Some("db1")
            ),
            "host,time,series,value\r\ndb1,1970-01-01T00:00:00.000Z,,x\r\n"
        );
    }
}
