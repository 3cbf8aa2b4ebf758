//! Numbers, labels and times as JSON. Pure.

use std::sync::Arc;

use bellwether_core::{Labels, UnixMillis};
use jiff::Timestamp;
use serde_json::{Value, json};

/// Returns a number, or the text `NaN`, `+Inf` or `-Inf`, for which JSON has no number.
pub(crate) fn number(value: f64) -> Value {
    if value.is_finite() {
        json!(value)
    } else if value.is_nan() {
        json!("NaN")
    } else {
        json!(if value > 0.0 { "+Inf" } else { "-Inf" })
    }
}

/// Joins names and values of labels.
pub(crate) fn labels<'a>(names: &'a [Arc<str>], values: impl Iterator<Item = &'a str>) -> Labels {
    names
        .iter()
        .map(ToString::to_string)
        .zip(values.map(str::to_owned))
        .collect()
}

/// Formats an alert's value as Prometheus does: `9.1e+01`.
pub(crate) fn exponent(value: f64) -> String {
    if let Value::String(text) = number(value) {
        return text;
    }
    let text = format!("{value:e}");
    let (digits, power) = text.split_once('e').unwrap_or((&text, "0"));
    match power.strip_prefix('-') {
        Some(power) => format!("{digits}e-{power:0>2}"),
        None => format!("{digits}e+{power:0>2}"),
    }
}

/// First time that RFC 3339 can express, in Unix milliseconds.
const YEAR_ZERO: i64 = -62_167_219_200_000;

/// Formats a time as RFC 3339 in UTC; one that has no date as the first or the last that has one.
pub(crate) fn time(at: UnixMillis) -> String {
    let millis = at.0.clamp(YEAR_ZERO, Timestamp::MAX.as_millisecond());
    Timestamp::from_millisecond(millis)
        .unwrap_or(Timestamp::MAX)
        .to_string()
}

/// Formats a time to the second; null for one that has no date, such as the end of a silence
/// without end.
pub(crate) fn time_to_second(at: UnixMillis) -> Value {
    Timestamp::from_millisecond(at.0).map_or(Value::Null, |at| format!("{at:.0}").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_is_one_that_can_be_read() {
        for (millis, expected) in [
            (0, "1970-01-01T00:00:00Z"),
            (i64::MAX, "9999-12-30T22:00:00.999999999Z"),
            (i64::MIN, "0000-01-01T00:00:00Z"),
        ] {
            assert_eq!(time(UnixMillis(millis)), expected);
        }
    }

    #[test]
    fn values_are_written_as_go_does() {
        for (value, expected) in [
            (0.0, "0e+00"),
            (1.0, "1e+00"),
            (-0.00012, "-1.2e-04"),
            (1.5e300, "1.5e+300"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
        ] {
            assert_eq!(exponent(value), expected);
        }
    }
}
