//! Scalar types of settings: durations, sizes, secrets, literal text.

use std::fmt;
use std::hint::black_box;
use std::ops::Deref;
use std::time::Duration;

use serde::{Serialize, Serializer};

use super::diagnostics::SourceLocation;

/// A duration as people write it: `30` (seconds), `1.5`, `500ms`, `30s`, `5m`, `1h30m`, `7d`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct HumanDuration(pub Duration);

impl HumanDuration {
    /// Creates a duration of `seconds`.
    #[must_use]
    pub const fn secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// Creates a duration of `minutes`.
    #[must_use]
    pub const fn minutes(minutes: u64) -> Self {
        Self(Duration::from_secs(minutes * 60))
    }

    /// Creates a duration of `milliseconds`.
    #[must_use]
    pub const fn millis(milliseconds: u64) -> Self {
        Self(Duration::from_millis(milliseconds))
    }
}

impl Deref for HumanDuration {
    type Target = Duration;
    fn deref(&self) -> &Duration {
        &self.0
    }
}

impl fmt::Display for HumanDuration {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&format_duration(self.0))
    }
}

impl Serialize for HumanDuration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Units of durations in milliseconds, the longest first.
pub(super) const DURATION_UNITS: [(&str, u64); 7] = [
    ("y", 365 * 86_400_000),
    ("w", 604_800_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// Longest duration: 100 years.
const LONGEST_MS: u64 = 100 * 365 * 86_400_000;
pub(super) const LONGEST_SECONDS: f64 = (LONGEST_MS / 1000) as f64;

/// Parses a duration in the form of [`HumanDuration`]; `None` if it is invalid, negative or longer
/// than 100 years.
#[must_use]
pub fn parse_duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<f64>() {
        let fits = (0.0..=LONGEST_SECONDS).contains(&seconds);
        return fits.then(|| Duration::from_secs_f64(seconds));
    }
    let (mut total, mut rest, mut last_unit) = (0_u64, text, u64::MAX);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let unit_end = rest
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(rest.len());
        let (_, millis) = DURATION_UNITS
            .iter()
            .find(|(unit, _)| *unit == &rest[..unit_end])?;
        if *millis >= last_unit {
            return None;
        }
        last_unit = *millis;
        total = total.checked_add(number.checked_mul(*millis)?)?;
        rest = &rest[unit_end..];
    }
    (last_unit != u64::MAX && total <= LONGEST_MS).then(|| Duration::from_millis(total))
}

/// Formats a duration in the shortest form that [`parse_duration`] reads: `1h30m`. Fractions of a
/// millisecond are dropped.
#[must_use]
pub fn format_duration(duration: Duration) -> String {
    let mut left = duration.as_millis() as u64;
    if left == 0 {
        return "0s".into();
    }
    let mut out = String::new();
    for (unit, millis) in &DURATION_UNITS[2..] {
        if left >= *millis {
            out += &format!("{}{unit}", left / millis);
            left %= millis;
        }
    }
    out
}

/// A number of bytes: `1048576`, `500MB`, `1.5GB`, `2GiB`. Units as SI and IEC have them: MB is
/// 1000 times 1000 bytes, MiB is 1024 times 1024.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

const SIZES: [(&str, u64); 9] = [
    ("tib", 1 << 40),
    ("tb", 1_000_000_000_000),
    ("gib", 1 << 30),
    ("gb", 1_000_000_000),
    ("mib", 1 << 20),
    ("mb", 1_000_000),
    ("kib", 1 << 10),
    ("kb", 1_000),
    ("b", 1),
];

/// Largest size in bytes.
pub(super) const LARGEST_SIZE: f64 = 1e15;

impl Size {
    /// Parses a size, ignoring case; `None` if it is invalid or larger than 1000 TB.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim().to_ascii_lowercase();
        let unit = SIZES
            .iter()
            .find_map(|(unit, bytes)| Some((text.strip_suffix(unit)?, *bytes)));
        let (number, bytes) = unit.unwrap_or((&text, 1));
        let number = number.trim_end();
        if !number.starts_with(|first: char| first.is_ascii_digit()) {
            return None;
        }
        let bytes = (number.parse::<f64>().ok()? * bytes as f64).round();
        (bytes <= LARGEST_SIZE).then_some(Self(bytes as u64))
    }
}

/// Formats the size in the largest unit without a fraction: `1GB`, `64MiB`.
impl fmt::Display for Size {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NAMES: [&str; 9] = ["TiB", "TB", "GiB", "GB", "MiB", "MB", "KiB", "KB", "B"];
        match NAMES
            .into_iter()
            .zip(&SIZES)
            .find(|(_, (_, bytes))| self.0.is_multiple_of(*bytes))
        {
            Some((name, (_, bytes))) if self.0 > 0 => write!(out, "{}{name}", self.0 / bytes),
            _ => out.write_str("0B"),
        }
    }
}

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Text as written, without expansion of `${...}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Literal(pub String);

impl Deref for Literal {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

/// Text that is never shown: `Debug`, `Display` and `Serialize` yield `<secret>`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Returns the secret itself, for the place that must send it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Returns whether both are equal, in a time that depends only on their lengths.
    #[must_use]
    pub fn matches(&self, sent: &str) -> bool {
        let pairs = self.0.bytes().zip(sent.bytes());
        let differing = pairs.fold(0, |all, (a, b)| black_box(all | (a ^ b)));
        self.0.len() == sent.len() && differing == 0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("<secret>")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("<secret>")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("<secret>")
    }
}

/// A value with its location, for checks after decoding.
#[derive(Clone, Debug, Default)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Location of the value.
    pub at: SourceLocation,
}

impl<T> Spanned<T> {
    /// Wraps a value that is not from a file.
    pub fn nowhere(value: T) -> Self {
        Self {
            value,
            at: SourceLocation::default(),
        }
    }
}

impl<T: PartialEq> PartialEq for Spanned<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl<T> Deref for Spanned<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> From<T> for Spanned<T> {
    fn from(value: T) -> Self {
        Self::nowhere(value)
    }
}

impl<T: Serialize> Serialize for Spanned<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_matches_itself_alone() {
        for (secret, sent, expected) in [
            ("", "", true),
            ("abc", "abc", true),
            ("abc", "abd", false),
            ("abc", "ab", false),
            ("ab", "abc", false),
            ("", "a", false),
        ] {
            assert_eq!(
                Secret::new(secret).matches(sent),
                expected,
                "{secret} {sent}"
            );
        }
    }

    #[test]
    fn durations() {
        for (text, seconds) in [
            ("30", 30.0),
            ("0", 0.0),
            ("1.5", 1.5),
            ("30s", 30.0),
            ("5m", 300.0),
            ("1h30m", 5400.0),
            ("7d", 604_800.0),
            ("500ms", 0.5),
            ("1w2d", 777_600.0),
            ("1y", 31_536_000.0),
        ] {
            assert_eq!(
                parse_duration(text),
                Some(Duration::from_secs_f64(seconds)),
                "{text}"
            );
        }
        for text in [
            "",
            "s",
            "5 m",
            "-5",
            "-5s",
            "5m5m",
            "5s1h",
            "1e400",
            "nan",
            "inf",
            "5x",
            "5mm",
            "99999999999999999999s",
            "4000000000000",
            "５s",
        ] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }

    #[test]
    fn durations_print_as_they_are_read() {
        for text in ["30s", "5m", "1h30m", "7d", "1d2h3m4s5ms", "0s"] {
            assert_eq!(format_duration(parse_duration(text).unwrap()), text);
        }
    }

    #[test]
    fn sizes() {
        for (text, bytes, shown) in [
            ("1048576", 1 << 20, "1MiB"),
            ("500MB", 500_000_000, "500MB"),
            ("1.5 gb", 1_500_000_000, "1500MB"),
            ("2GiB", 2 << 30, "2GiB"),
            ("1000b", 1000, "1KB"),
            ("7", 7, "7B"),
            ("0", 0, "0B"),
        ] {
            let size = Size::parse(text).unwrap();
            assert_eq!(
                (size.0, size.to_string().as_str()),
                (bytes, shown),
                "{text}"
            );
            assert_eq!(Size::parse(shown), Some(size));
        }
        for text in [
            "", "MB", "-1MB", "1XB", "1 000MB", "inf", "nan", "1e300", "2000TB", "5 M",
        ] {
            assert_eq!(Size::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_secret_is_never_shown() {
        let secret = Secret::new("hunter2");
        let shown = format!(
            "{secret} {secret:?} {}",
            serde_json::to_string(&secret).unwrap()
        );
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
