//! Numbers for people, as Prometheus's template functions of the same names print them.
//!
//! Pure. Source of the forms: Prometheus, "Template reference", and `template/template.go`.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Formats as `%.Ng` of C and Go: `digits` significant digits, no trailing zeros, an exponent only
/// below 1e-4 or from 10^digits on.
#[must_use]
pub fn general(value: f64, digits: usize) -> String {
    if value == 0.0 {
        return "0".into();
    }
    if !value.is_finite() {
        let sign = if value == f64::INFINITY { "+" } else { "" };
        return if value.is_nan() {
            "NaN".into()
        } else {
            format!("{sign}{value}").replace("inf", "Inf")
        };
    }
    let scientific = format!("{value:.*e}", digits.saturating_sub(1));
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if exponent < -4 || exponent >= digits as i32 {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{}e{sign}{:02}", without_zeros(mantissa), exponent.abs());
    }
    let decimals = (digits as i32 - 1 - exponent).max(0) as usize;
    without_zeros(&format!("{value:.decimals$}")).to_owned()
}

fn without_zeros(text: &str) -> &str {
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.')
    } else {
        text
    }
}

/// Formats with metric prefixes: `1.235M`, `12m`.
#[must_use]
pub fn humanize(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return general(value, 4);
    }
    if value.abs() >= 1.0 {
        scaled(value, 1000.0, &["k", "M", "G", "T", "P", "E", "Z", "Y"])
    } else {
        small(value)
    }
}

/// Formats with binary prefixes: `1.5Gi`.
#[must_use]
pub fn humanize1024(value: f64) -> String {
    if value.abs() <= 1.0 || !value.is_finite() {
        return general(value, 4);
    }
    scaled(
        value,
        1024.0,
        &["ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"],
    )
}

fn scaled(mut value: f64, base: f64, prefixes: &[&str]) -> String {
    let mut prefix = "";
    for next in prefixes {
        if value.abs() < base {
            break;
        }
        prefix = next;
        value /= base;
    }
    general(value, 4) + prefix
}

fn small(mut value: f64) -> String {
    let mut prefix = "";
    for next in ["m", "u", "n", "p", "f", "a", "z", "y"] {
        if value.abs() >= 1.0 {
            break;
        }
        prefix = next;
        value *= 1000.0;
    }
    general(value, 4) + prefix
}

/// Formats a ratio as percent: `12.5%`.
#[must_use]
pub fn percentage(ratio: f64) -> String {
    general(ratio * 100.0, 4) + "%"
}

/// Formats seconds as a duration: `1d 2h 3m 4s`, `1.5s`, `12ms`.
#[must_use]
pub fn duration(seconds: f64) -> String {
    if !seconds.is_finite() {
        return general(seconds, 4);
    }
    if seconds == 0.0 {
        return "0s".into();
    }
    if seconds.abs() < 1.0 {
        return small(seconds) + "s";
    }
    let sign = if seconds < 0.0 { "-" } else { "" };
    let seconds = seconds.abs();
    if seconds < 60.0 {
        return format!("{sign}{}s", general(seconds, 4));
    }
    let whole = seconds as u64;
    let (s, m, h, d) = (
        whole % 60,
        whole / 60 % 60,
        whole / 3600 % 24,
        whole / 86_400,
    );
    match (d, h) {
        (0, 0) => format!("{sign}{m}m {s}s"),
        (0, _) => format!("{sign}{h}h {m}m {s}s"),
        _ => format!("{sign}{d}d {h}h {m}m {s}s"),
    }
}

/// Formats seconds since the Unix epoch as date and time: `2015-11-21 04:30:00.5 +0000 UTC`.
#[must_use]
pub fn timestamp(seconds: f64) -> String {
    let moment = (seconds.is_finite() && seconds.abs() < 9e9)
        .then(|| Timestamp::from_millisecond((seconds * 1e9) as i64 / 1_000_000).ok())
        .flatten();
    match moment {
        Some(moment) => moment
            .to_zoned(TimeZone::UTC)
            .strftime("%Y-%m-%d %H:%M:%S%.f +0000 UTC")
            .to_string(),
        None => general(seconds, 4),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(form: fn(f64) -> String, expected: &[(f64, &str)]) {
        for (value, text) in expected {
            assert_eq!(form(*value), *text, "{value}");
        }
    }

    /// The cases of Prometheus's `template_test.go`.
    #[test]
    fn forms_are_those_of_prometheus() {
        check(
            humanize,
            &[
                (0.0, "0"),
                (1.0, "1"),
                (1_234_567.0, "1.235M"),
                (0.12, "120m"),
                (-1500.0, "-1.5k"),
                (f64::INFINITY, "+Inf"),
                (f64::NEG_INFINITY, "-Inf"),
                (f64::NAN, "NaN"),
                (1e30, "1e+06Y"),
            ],
        );
        check(
            humanize1024,
            &[
                (0.0, "0"),
                (1.0, "1"),
                (1_048_576.0, "1Mi"),
                (0.12, "0.12"),
                (1536.0, "1.5ki"),
                (-2048.0, "-2ki"),
            ],
        );
        check(
            percentage,
            &[
                (-0.22222, "-22.22%"),
                (0.1234567, "12.35%"),
                (0.0, "0%"),
                (1.0, "100%"),
            ],
        );
        check(
            duration,
            &[
                (0.0, "0s"),
                (1.0, "1s"),
                (60.0, "1m 0s"),
                (3600.0, "1h 0m 0s"),
                (86_400.0, "1d 0h 0m 0s"),
                (86_400.0 + 3600.0, "1d 1h 0m 0s"),
                (
                    -(86_400.0 * 2.0 + 3600.0 * 3.0 + 60.0 * 4.0 + 5.0),
                    "-2d 3h 4m 5s",
                ),
                (0.1, "100ms"),
                (0.0001, "100us"),
                (0.12345, "123.5ms"),
                (1.5, "1.5s"),
                (899.99, "14m 59s"),
            ],
        );
        check(
            timestamp,
            &[
                (1_435_065_584.128, "2015-06-23 13:19:44.128 +0000 UTC"),
                (0.0, "1970-01-01 00:00:00 +0000 UTC"),
                (f64::NAN, "NaN"),
            ],
        );
    }

    #[test]
    fn four_digits_and_no_more() {
        check(
            |value| general(value, 4),
            &[
                (12_345.0, "1.234e+04"),
                (9999.0, "9999"),
                (99_999.0, "1e+05"),
                (0.00001, "1e-05"),
                (0.0001, "0.0001"),
                (91.2, "91.2"),
                (-3.0, "-3"),
            ],
        );
    }
}
