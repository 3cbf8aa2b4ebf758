//! Durations of other programs.

use std::time::Duration;

use bellwether_schema::{Pos, parse_duration};

use super::fields::Fields;

/// Units of Go in seconds.
const UNITS: [(&str, f64); 8] = [
    ("ns", 1e-9),
    ("us", 1e-6),
    ("µs", 1e-6),
    ("μs", 1e-6),
    ("ms", 1e-3),
    ("s", 1.0),
    ("m", 60.0),
    ("h", 3600.0),
];
/// Longest duration in seconds.
const LONGEST: f64 = 10.0 * 365.0 * 86_400.0;

/// Parses a duration of Go (`1.5s`, `1h0m30s`), of Prometheus (`1d`), or a number of seconds.
pub(super) fn parse(text: &str) -> Option<Duration> {
    parse_duration(text).or_else(|| go(text.trim()))
}

/// Takes the duration `key`, with its position.
pub(super) fn take(fields: &mut Fields<'_>, key: &str) -> Option<(Duration, Pos)> {
    let at = fields.pos(key)?;
    Some((fields.parsed(key, parse)?, at))
}

fn go(text: &str) -> Option<Duration> {
    let (mut rest, mut seconds) = (text, 0.0);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let end = rest.find(|c: char| c.is_ascii_digit() || c == '.');
        let (unit, behind) = rest.split_at(end.unwrap_or(rest.len()));
        let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit)?;
        seconds += number * factor;
        rest = behind;
    }
    (!text.is_empty() && seconds <= LONGEST).then(|| Duration::from_secs_f64(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_of_other_programs() {
        for (text, millis) in [
            ("1.5s", 1_500),
            ("1h0m30s", 3_630_000),
            ("1d", 86_400_000),
            ("10", 10_000),
            ("250ms", 250),
            ("0s", 0),
        ] {
            assert_eq!(parse(text), Some(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "s", "1", "-1s", "1x", "1e9h", "99999999h", "1..2s"] {
            assert_eq!(go(text), None, "{text}");
        }
    }
}
