//! Numbers and times as Prometheus's API writes them (util/jsonutil/marshal.go).

/// Integers up to here are exact in a double and need no search for the shortest text.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Appends a sample's value: plain, and with an exponent where it is very small or large.
pub(crate) fn push_value(out: &mut Vec<u8>, value: f64) {
    let size = value.abs();
    if size != 0.0 && size.is_finite() && !(1e-6..1e21).contains(&size) {
        let text = format!("{value:e}");
        let (digits, power) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, power) = power
            .strip_prefix('-')
            .map_or(('+', power), |power| ('-', power));
        out.extend_from_slice(format!("{digits}e{sign}{power:0>2}").as_bytes());
    } else {
        push_plain(out, value);
    }
}

/// Appends a scalar's value, which never has an exponent.
pub(super) fn push_plain(out: &mut Vec<u8>, value: f64) {
    let integer = value as i64;
    if integer as f64 == value && value.abs() < EXACT && (integer != 0 || value.is_sign_positive())
    {
        out.extend_from_slice(itoa::Buffer::new().format(integer).as_bytes());
    } else if value.is_finite() {
        let mut buffer = zmij::Buffer::new();
        let short = buffer.format_finite(value);
        if short.contains('e') || short.ends_with(".0") {
            out.extend_from_slice(value.to_string().as_bytes());
        } else {
            out.extend_from_slice(short.as_bytes());
        }
    } else if value.is_nan() {
        out.extend_from_slice(b"NaN");
    } else {
        out.extend_from_slice(if value > 0.0 { b"+Inf" } else { b"-Inf" });
    }
}

/// Appends milliseconds as seconds, with a fraction only where there is one.
pub(crate) fn push_time(out: &mut Vec<u8>, millis: i64) {
    if millis < 0 {
        out.push(b'-');
    }
    let millis = millis.unsigned_abs();
    out.extend_from_slice(itoa::Buffer::new().format(millis / 1000).as_bytes());
    let rest = millis % 1000;
    if rest > 0 {
        out.extend_from_slice(format!(".{rest:03}").as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(push: impl Fn(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        push(&mut out);
        String::from_utf8(out).unwrap()
    }

    /// Expected texts are those of Go's `strconv.AppendFloat` with the format Prometheus chooses.
    #[test]
    fn values() {
        for (value, short, plain) in [
            (0.0, "0", "0"),
            (-0.0, "-0", "-0"),
            (1.0, "1", "1"),
            (-17.25, "-17.25", "-17.25"),
            (0.1, "0.1", "0.1"),
            (1e-6, "0.000001", "0.000001"),
            (9.9e-7, "9.9e-07", "0.00000099"),
            (1e20, "100000000000000000000", "100000000000000000000"),
            (1e21, "1e+21", "1000000000000000000000"),
            (-1.5e300, "-1.5e+300", &format!("-15{}", "0".repeat(299))),
            (
                123_456_789.123_456_79,
                "123456789.12345679",
                "123456789.12345679",
            ),
            (f64::NAN, "NaN", "NaN"),
            (f64::INFINITY, "+Inf", "+Inf"),
            (f64::NEG_INFINITY, "-Inf", "-Inf"),
        ] {
            assert_eq!(text(|out| push_value(out, value)), short);
            assert_eq!(text(|out| push_plain(out, value)), plain);
        }
    }

    #[test]
    fn every_value_reads_back() {
        let mut bits = 0x1234_5678_9abc_def0_u64;
        for _ in 0..20_000 {
            bits = bits.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let value = f64::from_bits(bits);
            for push in [push_value, push_plain] {
                let text = text(|out| push(out, value));
                let read: f64 = text.parse().unwrap();
                assert!(read == value || (read.is_nan() && value.is_nan()), "{text}");
            }
        }
    }

    #[test]
    fn times() {
        for (millis, expected) in [
            (0, "0"),
            (1_435_781_430_781, "1435781430.781"),
            (1_435_781_430_080, "1435781430.080"),
            (1_435_781_430_000, "1435781430"),
            (-1, "-0.001"),
            (-1500, "-1.500"),
        ] {
            assert_eq!(text(|out| push_time(out, millis)), expected);
        }
    }
}
