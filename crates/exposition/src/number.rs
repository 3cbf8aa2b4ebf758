//! Formatting of sample values.

use bellwether_core::bound;

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
        out.extend_from_slice(bound(value, false).as_bytes());
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
}
