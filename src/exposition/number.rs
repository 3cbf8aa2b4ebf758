//! Numbers as both formats, Go's `ParseFloat` and people read them.

/// Integers up to here are exact in a double and are written without a fraction.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Appends a sample's value: integers plain, else the shortest text that reads back the same.
#[inline]
pub(super) fn push_value(out: &mut Vec<u8>, value: f64) {
    let integer = value as i64;
    if integer as f64 == value && value.abs() < EXACT {
        out.extend_from_slice(itoa::Buffer::new().format(integer).as_bytes());
    } else if value.is_finite() {
        out.extend_from_slice(ryu::Buffer::new().format_finite(value).as_bytes());
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

/// A bound (`le`, `quantile`) as Go's `%g` writes it, which is what other clients send: `0.1`,
/// `10`, `1e+06`. OpenMetrics calls the same with a fraction canonical: `10.0`.
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
    if whole { format!("{value}.0") } else { value.to_string() }
}
