//! Times on the command line.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use bellwether_core::UnixMillis;
use bellwether_schema::parse_duration;
use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

/// Time as it was written: `now`, `-1h` (before now), Unix seconds, RFC 3339, or a date with or
/// without a time, in UTC.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum When {
    /// Duration before now.
    Ago(Duration),
    /// Absolute time.
    At(UnixMillis),
}

impl When {
    /// Returns the absolute time, given the current time.
    pub(super) fn at(self, now: UnixMillis) -> UnixMillis {
        match self {
            Self::Ago(span) => now.before(span),
            Self::At(wall) => wall,
        }
    }
}

impl FromStr for When {
    type Err = InvalidTime;

    fn from_str(text: &str) -> Result<Self, InvalidTime> {
        if text == "now" {
            return Ok(Self::Ago(Duration::ZERO));
        }
        if let Some(span) = text.strip_prefix('-').and_then(parse_duration) {
            return Ok(Self::Ago(span));
        }
        if let Ok(seconds) = text.parse::<f64>()
            && seconds.is_finite()
        {
            return Ok(Self::At(UnixMillis((seconds * 1000.0).round() as i64)));
        }
        text.parse::<Timestamp>()
            .ok()
            .or_else(|| utc(text.parse().ok()?))
            .or_else(|| utc(text.parse::<Date>().ok()?.at(0, 0, 0, 0)))
            .map(|at| Self::At(UnixMillis(at.as_millisecond())))
            .ok_or(InvalidTime)
    }
}

fn utc(time: DateTime) -> Option<Timestamp> {
    Some(time.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

/// Error of a text that is not a time.
#[derive(Debug)]
pub(super) struct InvalidTime;

impl fmt::Display for InvalidTime {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(
            "not a valid time; hint: now, -1h, 2026-11-21, 2026-11-21T10:00:00Z or Unix seconds",
        )
    }
}

impl std::error::Error for InvalidTime {}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis(1_700_000_000_000);

    fn at(text: &str) -> i64 {
        text.parse::<When>().unwrap().at(NOW).0
    }

    #[test]
    fn every_form_of_a_time() {
        assert_eq!(at("now"), NOW.0);
        assert_eq!(at("-1h30m"), NOW.0 - 5_400_000);
        assert_eq!(at("1700000000.5"), 1_700_000_000_500);
        assert_eq!(at("2023-11-14"), 1_699_920_000_000);
        assert_eq!(at("2023-11-14T22:13:20"), NOW.0);
        assert_eq!(at("2023-11-14 22:13:20"), NOW.0);
        assert_eq!(at("2023-11-14T23:13:20+01:00"), NOW.0);
        for bad in ["", "yesterday", "1h", "-", "inf", "2023-13-01"] {
            assert!(bad.parse::<When>().is_err(), "{bad}");
        }
    }
}
