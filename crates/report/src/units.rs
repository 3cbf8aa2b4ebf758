//! Units of values, and values as people read them.

use std::time::Duration;

use bellwether_schema::format_duration;
use bellwether_template::humanize;
use serde::Serialize;

/// Unit of a series, by which its values are formatted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    #[default]
    Number,
    Percent,
    Bytes,
    BytesPerSecond,
    PerSecond,
    Seconds,
    Milliseconds,
    /// Seconds since 1970.
    Time,
}

impl Unit {
    /// Guesses the unit from the name of a metric, by the conventions of Prometheus.
    pub fn of(name: &str, is_rate: bool) -> Self {
        let ends = |suffixes: &[&str]| suffixes.iter().any(|suffix| name.ends_with(suffix));
        match is_rate {
            true if name.contains("_bytes") => Self::BytesPerSecond,
            true => Self::PerSecond,
            false if ends(&["_percent"]) => Self::Percent,
            false if ends(&["_timestamp_seconds"]) => Self::Time,
            false if name.contains("_bytes") => Self::Bytes,
            false if name.starts_with("neo4j") && name.contains("_duration") => Self::Milliseconds,
            false if ends(&["_seconds", "_duration", "_time"]) => Self::Seconds,
            false => Self::Number,
        }
    }

    /// Formats a value with its unit; a dash if it is missing.
    #[must_use]
    pub fn format(self, value: impl Into<Option<f64>>) -> String {
        let Some(value) = value.into() else {
            return "-".to_owned();
        };
        match self {
            Self::Number => number(value),
            Self::Percent => format!("{} %", number(value)),
            Self::Bytes => bytes(value),
            Self::BytesPerSecond => format!("{}/s", bytes(value)),
            Self::PerSecond => format!("{}/s", number(value)),
            Self::Seconds => time(value),
            Self::Milliseconds => time(value / 1000.0),
            Self::Time => date(value),
        }
    }

    /// Returns the factor of the prefix of `value` if it is not a power of ten: 1024 for 20 KiB.
    pub fn prefix(self, value: f64) -> f64 {
        match self {
            Self::Bytes | Self::BytesPerSecond if value != 0.0 => value / binary(value).0,
            _ => 1.0,
        }
    }
}

/// Formats a number with three digits, and with metric prefixes from a thousand on: `0.25`, `97.3`, `1.25k`.
#[must_use]
pub fn number(value: f64) -> String {
    match value.abs() >= 1000.0 {
        true => humanize(value),
        false => three_digits(value),
    }
}

/// Formats a duration in at most two units: `9.5s`, `2m30s`, `3h5m`.
pub fn duration(seconds: f64) -> String {
    let whole = match seconds {
        seconds if seconds < 10.0 => return format!("{}s", (seconds * 10.0).round() / 10.0),
        seconds if seconds < 3600.0 => seconds.round(),
        seconds if seconds < 86_400.0 => (seconds / 60.0).round() * 60.0,
        seconds => (seconds / 3600.0).round() * 3600.0,
    };
    format_duration(Duration::try_from_secs_f64(whole).unwrap_or(Duration::MAX))
}

fn three_digits(value: f64) -> String {
    /// Most decimals: smaller values are zero.
    const MOST: f64 = 6.0;
    let magnitude = value.abs().log10().floor();
    let decimals = (2.0 - magnitude).clamp(0.0, MOST) as usize;
    let text = format!("{value:.decimals$}");
    let text = match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.'),
        false => &text,
    };
    let text = if text == "-0" { "0" } else { text };
    text.to_owned()
}

fn bytes(value: f64) -> String {
    let (scaled, unit) = binary(value);
    format!("{} {unit}", three_digits(scaled))
}

/// Returns a number of bytes as a number of the largest unit that is not above it (IEC 80000-13).
fn binary(bytes: f64) -> (f64, &'static str) {
    let mut scaled = (bytes, "B");
    for unit in ["KiB", "MiB", "GiB", "TiB", "PiB"] {
        if scaled.0.abs() < 1024.0 {
            break;
        }
        scaled = (scaled.0 / 1024.0, unit);
    }
    scaled
}

fn time(seconds: f64) -> String {
    match seconds.abs() {
        0.0 => "0 s".to_owned(),
        below if below < 0.001 => format!("{} us", three_digits(seconds * 1e6)),
        below if below < 1.0 => format!("{} ms", three_digits(seconds * 1e3)),
        below if below < 120.0 => format!("{} s", three_digits(seconds)),
        _ => duration(seconds),
    }
}

/// Formats a time in UTC, without its year.
fn date(seconds: f64) -> String {
    let at = jiff::Timestamp::from_second(seconds as i64).unwrap_or_default();
    at.strftime("%m-%d %H:%M").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_units() {
        for (name, is_rate, value, expected) in [
            ("cpu_percent", false, 42.04, "42 %"),
            ("cpu_percent", false, 97.26, "97.3 %"),
            ("memory_used_bytes", false, 1_610_612_736.0, "1.5 GiB"),
            ("memory_used_bytes", false, 1023.0, "1023 B"),
            ("network_bytes_sent", true, 2048.0, "2 KiB/s"),
            ("api_request_count", true, 12.5, "12.5/s"),
            ("api_request_count", true, 0.004_21, "0.00421/s"),
            ("api_request_duration", false, 0.0421, "42.1 ms"),
            ("api_request_duration", false, 0.0, "0 s"),
            ("queue_time", false, 119.0, "119 s"),
            ("queue_time", false, 150.0, "2m30s"),
            ("neo4j_query_duration_p95", false, 62.0, "62 ms"),
            ("queue_length", false, 1234.0, "1.234k"),
            (
                "last_reload_timestamp_seconds",
                false,
                1_767_268_800.0,
                "01-01 12:00",
            ),
        ] {
            assert_eq!(Unit::of(name, is_rate).format(value), expected, "{name}");
        }
        assert_eq!(Unit::Percent.format(None::<f64>), "-");
    }

    #[test]
    fn numbers_have_three_digits() {
        for (value, expected) in [
            (0.0, "0"),
            (-0.5, "-0.5"),
            (-1e-9, "0"),
            (9.996, "10"),
            (99.96, "100"),
            (123.4, "123"),
            (1e-9, "0"),
            (12_345.0, "12.35k"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
        ] {
            assert_eq!(number(value), expected);
        }
    }

    #[test]
    fn the_prefix_of_bytes_is_a_power_of_1024() {
        assert_eq!(Unit::Bytes.prefix(900.0), 1.0);
        assert_eq!(
            Unit::BytesPerSecond.prefix(3.0 * 1024.0 * 1024.0),
            1024.0 * 1024.0
        );
        assert_eq!(Unit::Bytes.prefix(0.0), 1.0);
        assert_eq!(Unit::Number.prefix(5000.0), 1.0);
    }

    #[test]
    fn durations_have_two_units() {
        assert_eq!(duration(0.0), "0s");
        assert_eq!(duration(9.46), "9.5s");
        assert_eq!(duration(11_130.0), "3h6m");
        assert!(!duration(f64::MAX).is_empty());
    }
}
