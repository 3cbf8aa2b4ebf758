//! Formatting of sample values and bounds.

/// Integers below this are exact in an `f64` and are written without a fraction.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Appends a sample value: integers without a fraction, others as the shortest text that parses to
/// the same `f64`.
#[inline]
pub(super) fn push_value(out: &mut Vec<u8>, value: f64) {
    let integer = value as i64;
    if integer as f64 == value && value.abs() < EXACT {
        out.extend_from_slice(itoa::Buffer::new().format(integer).as_bytes());
    } else if value.is_finite() {
        out.extend_from_slice(zmij::Buffer::new().format_finite(value).as_bytes());
    } else {
        out.extend_from_slice(not_finite(value).as_bytes());
    }
}

fn not_finite(value: f64) -> &'static str {
    if value.is_nan() {
        "NaN"
    } else if value > 0.0 {
        "+Inf"
    } else {
        "-Inf"
    }
}

/// Formats a bound (`le`, `quantile`) as Go's `%g` does, which other client libraries send: `0.1`,
/// `10`, `1e+06`. The canonical form of OpenMetrics has a `fraction`: `10.0`.
pub(super) fn bound(value: f64, fraction: bool) -> String {
    if !value.is_finite() {
        return not_finite(value).to_owned();
    }
    let scientific = format!("{value:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    // Go's strconv switches to the exponent form at these two.
    if !(-4..6).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{digits}e{sign}{:02}", exponent.abs());
    }
    let whole = fraction && value == value.trunc();
    if whole {
        format!("{value}.0")
    } else {
        value.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values() {
        for (value, text) in [
            (0.0, "0"),
            (-17.0, "-17"),
            (9_007_199_254_740_991.0, "9007199254740991"),
            (1e16, "1e+16"),
            (-1e300, "-1e+300"),
            (0.1, "0.1"),
            (1.5e-9, "1.5e-9"),
            (f64::MIN_POSITIVE, "2.2250738585072014e-308"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
        ] {
            let mut out = Vec::new();
            push_value(&mut out, value);
            assert_eq!(String::from_utf8(out).unwrap(), text);
        }
    }

    /// Expected texts are those of Go's `strconv.FormatFloat(x, 'g', -1, 64)`, and the examples
    /// of the OpenMetrics specification, section "Canonical numbers".
    #[test]
    fn bounds() {
        for (value, text, open) in [
            (0.0, "0", "0.0"),
            (10.0, "10", "10.0"),
            (0.025, "0.025", "0.025"),
            (0.0001, "0.0001", "0.0001"),
            (0.00001, "1e-05", "1e-05"),
            (-2.5e-7, "-2.5e-07", "-2.5e-07"),
            (100_000.0, "100000", "100000.0"),
            (1e6, "1e+06", "1e+06"),
            (1_234_567.5, "1.2345675e+06", "1.2345675e+06"),
            (1e100, "1e+100", "1e+100"),
            (f64::INFINITY, "+Inf", "+Inf"),
        ] {
            assert_eq!(
                (bound(value, false).as_str(), bound(value, true).as_str()),
                (text, open)
            );
        }
    }
}
