//! JSON lines in the format of VictoriaMetrics: one series and its samples per line.

use std::collections::BTreeMap;
use std::io::{self, Write};

use bellwether_core::LabelSet;
use bellwether_exposition::write_value;
use bellwether_promql::SampledSeries;
use serde::Deserialize;

/// A parsed line.
#[derive(Deserialize)]
struct Line {
    metric: BTreeMap<String, String>,
    values: Vec<Number>,
    timestamps: Vec<i64>,
}

/// A value. JSON has neither infinities nor NaN.
#[derive(Deserialize)]
#[serde(untagged)]
enum Number {
    Finite(f64),
    Word(String),
    Null,
}

/// Writes a line with the finite samples, and one with the others, because old receivers reject a whole line
/// with such values. A staleness marker is `null`.
pub(super) fn write(out: &mut dyn Write, series: &SampledSeries) -> io::Result<()> {
    let metric: BTreeMap<&str, &str> = series.labels.iter().collect();
    let metric = serde_json::to_string(&metric)?;
    for finite in [true, false] {
        let samples = series
            .times
            .iter()
            .zip(&series.values)
            .filter(|(_, value)| value.is_finite() == finite);
        let (mut values, mut times) = (Vec::new(), Vec::new());
        for (at, value) in samples {
            for list in [&mut values, &mut times] {
                if !list.is_empty() {
                    list.push(b',');
                }
            }
            push(&mut values, *value);
            times.extend_from_slice(itoa::Buffer::new().format(*at).as_bytes());
        }
        if times.is_empty() {
            continue;
        }
        write!(out, "{{\"metric\":{metric},\"values\":[")?;
        out.write_all(&values)?;
        out.write_all(b"],\"timestamps\":[")?;
        out.write_all(&times)?;
        out.write_all(b"]}\n")?;
    }
    Ok(())
}

fn push(out: &mut Vec<u8>, value: f64) {
    if SampledSeries::is_stale(value) {
        out.extend_from_slice(b"null");
    } else if value.is_nan() {
        out.extend_from_slice(b"\"NaN\"");
    } else if value.is_infinite() {
        let word: &[u8] = if value > 0.0 {
            b"\"Infinity\""
        } else {
            b"\"-Infinity\""
        };
        out.extend_from_slice(word);
    } else {
        write_value(out, value);
    }
}

/// Error of a line.
#[derive(Debug, thiserror::Error)]
pub(super) enum JsonError {
    #[error(transparent)]
    Syntax(#[from] serde_json::Error),
    #[error("no __name__ in metric")]
    NoName,
    #[error("{values} values and {times} timestamps")]
    Lengths { values: usize, times: usize },
    #[error("bad number: {0:?}")]
    Number(String),
}

/// Parses a line.
///
/// # Errors
/// The line is invalid.
pub(super) fn read(line: &str) -> Result<SampledSeries, JsonError> {
    let line: Line = serde_json::from_str(line)?;
    if line
        .metric
        .get(bellwether_core::METRIC_NAME)
        .is_none_or(String::is_empty)
    {
        return Err(JsonError::NoName);
    }
    let (values, times) = (line.values.len(), line.timestamps.len());
    if values != times {
        return Err(JsonError::Lengths { values, times });
    }
    let values = line.values.into_iter().map(|value| match value {
        Number::Finite(value) => Ok(value),
        Number::Null => Ok(SampledSeries::stale()),
        Number::Word(word) => word.parse().map_err(|_| JsonError::Number(word)),
    });
    Ok(SampledSeries {
        values: values.collect::<Result<_, _>>()?,
        labels: LabelSet::new(line.metric),
        times: line.timestamps,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_read_back() {
        let series = SampledSeries {
            labels: LabelSet::new([("__name__", "up"), ("job", "a\"b")]),
            times: vec![1, 2, 3, 4, 5],
            values: vec![1.0, SampledSeries::stale(), 0.1, f64::INFINITY, f64::NAN],
        };
        let mut text = Vec::new();
        write(&mut text, &series).unwrap();
        let text = String::from_utf8(text).unwrap();
        let metric = "{\"metric\":{\"__name__\":\"up\",\"job\":\"a\\\"b\"}";
        assert_eq!(
            text,
            format!(
                "{metric},\"values\":[1,0.1],\"timestamps\":[1,3]}}\n\
                 {metric},\"values\":[null,\"Infinity\",\"NaN\"],\"timestamps\":[2,4,5]}}\n"
            )
        );
        let read: Vec<SampledSeries> = text.lines().map(|line| read(line).unwrap()).collect();
        assert_eq!(
            (&read[0].labels, &read[0].times[..]),
            (&series.labels, &[1, 3][..])
        );
        assert_eq!(read[0].values, [1.0, 0.1]);
        assert!(
            SampledSeries::is_stale(read[1].values[0])
                && !SampledSeries::is_stale(read[1].values[2])
        );
        assert_eq!(read[1].values[1], f64::INFINITY);
        assert!(read[1].values[2].is_nan());
    }

    #[test]
    fn invalid_lines_are_errors() {
        for (line, expected) in [
            ("{", "EOF while parsing"),
            (
                "{\"metric\":{\"a\":\"b\"},\"values\":[],\"timestamps\":[]}",
                "no __name__ in metric",
            ),
            (
                "{\"metric\":{\"__name__\":\"b\"},\"values\":[1],\"timestamps\":[]}",
                "1 values and 0 timestamps",
            ),
            (
                "{\"metric\":{\"__name__\":\"b\"},\"values\":[\"x\"],\"timestamps\":[1]}",
                "bad number: \"x\"",
            ),
            ("{\"values\":[]}", "missing field `metric`"),
        ] {
            let error = read(line).unwrap_err().to_string();
            assert!(error.contains(expected), "{line}: {error}");
        }
    }
}
