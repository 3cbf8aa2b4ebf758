//! Durations in the form of Prometheus: `1h30m`, `5m`, `500ms`.

/// Milliseconds of each unit, from the longest on.
const UNITS: [(&str, i64); 7] = [
    ("y", 365 * 86_400_000),
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// Parses a duration to milliseconds; `None` if it is invalid. Saturates at the largest `i64`.
pub(super) fn parse(text: &str) -> Option<i64> {
    let (mut total, mut rest, mut units) = (0_i64, text, &UNITS[..]);
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit())
            .filter(|digits| *digits > 0)?;
        let (number, behind) = rest.split_at(digits);
        let end = behind
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(behind.len());
        let (unit, after) = behind.split_at(end);
        // Each unit at most once, the longest first.
        let place = units.iter().position(|(name, _)| *name == unit)?;
        let number = number.parse::<i64>().unwrap_or(i64::MAX);
        total = total.saturating_add(number.saturating_mul(units[place].1));
        (units, rest) = (&units[place + 1..], after);
    }
    Some(total)
}

/// Formats a duration as Prometheus does.
pub(crate) fn format(millis: i64) -> String {
    if millis == 0 {
        return "0s".into();
    }
    let mut left = millis.unsigned_abs();
    let mut out = String::from(if millis < 0 { "-" } else { "" });
    for (unit, length) in UNITS {
        let length = length.unsigned_abs();
        // Years and weeks only without a remainder.
        let whole = !matches!(unit, "y" | "w") || left.is_multiple_of(length);
        if left >= length && whole {
            out += &format!("{}{unit}", left / length);
            left %= length;
        }
    }
    out
}
