//! Values of the labels `le` and `quantile`.

/// Formats a bound (`le`, `quantile`) as Go's `%g` does, which other client libraries send: `0.1`,
/// `10`, `1e+06`. The canonical form of OpenMetrics has a `fraction`: `10.0`.
#[must_use]
pub fn bound(value: f64, fraction: bool) -> String {
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

fn not_finite(value: f64) -> &'static str {
    if value.is_nan() {
        "NaN"
    } else if value > 0.0 {
        "+Inf"
    } else {
        "-Inf"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
