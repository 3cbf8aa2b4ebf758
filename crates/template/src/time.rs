//! Times in templates: parsed, moved between time zones, formatted by Go's layouts.

use std::fmt;
use std::sync::Arc;

use jiff::fmt::strtime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, Zoned};
use minijinja::value::{Object, ObjectRepr};
use minijinja::{Error, Value};

use super::functions::invalid;

/// A time in a time zone.
#[derive(Clone, Debug)]
pub(super) struct Time(Zoned);

impl Time {
    /// Converts a time, an RFC 3339 text, or seconds since the epoch.
    pub(super) fn of(value: &Value) -> Result<Self, Error> {
        if let Some(time) = value.downcast_object_ref::<Self>() {
            return Ok(time.clone());
        }
        let seconds = f64::try_from(value.clone()).ok();
        let at = match (seconds, value.as_str()) {
            (Some(seconds), _) if seconds.abs() < 1e11 => {
                Timestamp::from_microsecond((seconds * 1e6).round() as i64).ok()
            }
            (None, Some(text)) => text.trim().parse().ok(),
            _ => None,
        };
        at.map(|at| Self(at.to_zoned(TimeZone::UTC)))
            .ok_or_else(|| invalid(format!("not a time: {value}")))
    }

    /// Returns seconds since the epoch.
    pub(super) fn seconds(&self) -> f64 {
        self.0.timestamp().as_microsecond() as f64 / 1e6
    }

    /// Converts to another time zone.
    pub(super) fn in_zone(&self, zone: &str) -> Result<Self, Error> {
        self.0
            .in_tz(zone)
            .map(Self)
            .map_err(|_| invalid(format!("unknown time zone: {zone}")))
    }

    /// Formats by a layout of Go, which shows January 2, 2006, or of strftime.
    pub(super) fn format(&self, layout: &str) -> Result<String, Error> {
        let utc = self.0.offset().is_zero();
        let layout = if layout.contains('%') {
            layout.to_owned()
        } else {
            of_go(layout, utc)
        };
        strtime::format(&layout, &self.0).map_err(|error| invalid(error.to_string()))
    }
}

impl Object for Time {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    /// Formats as Go prints a time.
    fn render(self: &Arc<Self>, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(
            &self
                .format("%Y-%m-%d %H:%M:%S%.f %z %Z")
                .map_err(|_| fmt::Error)?,
        )
    }
}

/// A duration in seconds, printed as in Go: `1h2m3.5s`.
#[derive(Clone, Copy, Debug)]
pub(super) struct GoDuration(pub(super) f64);

impl Object for GoDuration {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn render(self: &Arc<Self>, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.abs();
        if !seconds.is_finite() || seconds > 9e9 {
            return write!(out, "{}s", self.0);
        }
        if self.0 < 0.0 {
            out.write_str("-")?;
        }
        match seconds {
            0.0 => out.write_str("0s"),
            _ if seconds < 1e-6 => write!(out, "{}ns", (seconds * 1e9).round()),
            _ if seconds < 1e-3 => write!(out, "{}µs", rounded(seconds * 1e6)),
            _ if seconds < 1.0 => write!(out, "{}ms", rounded(seconds * 1e3)),
            _ => {
                let whole = seconds as u64;
                let (hours, minutes) = (whole / 3600, whole / 60 % 60);
                if hours > 0 {
                    write!(out, "{hours}h")?;
                }
                if whole >= 60 {
                    write!(out, "{minutes}m")?;
                }
                write!(out, "{}s", rounded(seconds - (whole / 60 * 60) as f64))
            }
        }
    }
}

/// Rounds off floating-point errors.
fn rounded(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}

/// Parts of a layout of Go with those of strftime; the first match applies.
const PARTS: [(&str, &str); 36] = [
    ("January", "%B"),
    ("Jan", "%b"),
    ("Monday", "%A"),
    ("Mon", "%a"),
    ("MST", "%Z"),
    ("2006", "%Y"),
    ("-07:00:00", "%::z"),
    ("-07:00", "%:z"),
    ("-0700", "%z"),
    ("-07", "%:::z"),
    (".000000000", "%.9f"),
    (".000000", "%.6f"),
    (".000", "%.3f"),
    (",000", ",%3f"),
    (".999999999", "%.f"),
    (".999999", "%.f"),
    (".999", "%.f"),
    ("002", "%j"),
    ("01", "%m"),
    ("02", "%d"),
    ("03", "%I"),
    ("04", "%M"),
    ("05", "%S"),
    ("06", "%y"),
    ("15", "%H"),
    ("PM", "%p"),
    ("pm", "%P"),
    ("_2006", "_%Y"),
    ("_2", "%e"),
    ("1", "%-m"),
    ("2", "%-d"),
    ("3", "%-I"),
    ("4", "%-M"),
    ("5", "%-S"),
    ("Z07:00", "%:z"),
    ("Z0700", "%z"),
];

fn of_go(layout: &str, utc: bool) -> String {
    let mut out = String::with_capacity(layout.len() * 2);
    let mut rest = layout;
    while let Some(c) = rest.chars().next() {
        match PARTS.iter().find(|(part, _)| rest.starts_with(part)) {
            Some((part, _)) if utc && part.starts_with('Z') => {
                out.push('Z');
                rest = &rest[part.len()..];
            }
            Some((part, form)) => {
                out.push_str(form);
                rest = &rest[part.len()..];
            }
            None => {
                out.push(c);
                rest = &rest[c.len_utf8()..];
            }
        }
    }
    out
}

/// Parses a duration of Prometheus or Go to seconds: `1h30m`, `1.5s`, `1d`.
pub(super) fn seconds(text: &str) -> Result<f64, Error> {
    let unknown = || invalid(format!("not a duration: {text}"));
    let (mut total, mut rest) = (0.0, text.trim());
    if rest.is_empty() {
        return Err(unknown());
    }
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .ok_or_else(unknown)?;
        let (count, unit) = rest.split_at(digits);
        let end = unit
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(unit.len());
        let each = match &unit[..end] {
            "ms" => SignedDuration::from_millis(1),
            "s" => SignedDuration::from_secs(1),
            "m" => SignedDuration::from_mins(1),
            "h" => SignedDuration::from_hours(1),
            "d" => SignedDuration::from_hours(24),
            "w" => SignedDuration::from_hours(24 * 7),
            "y" => SignedDuration::from_hours(24 * 365),
            _ => return Err(unknown()),
        };
        total += count.parse::<f64>().map_err(|_| unknown())? * each.as_secs_f64();
        rest = &unit[end..];
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layouts_of_go() {
        let time = Time::of(&Value::from("2026-11-21T04:05:09.25Z")).unwrap();
        let paris = time.in_zone("Europe/Paris").unwrap();
        for (layout, utc, there) in [
            (
                "2006-01-02T15:04:05Z07:00",
                "2026-11-21T04:05:09Z",
                "2026-11-21T05:05:09+01:00",
            ),
            ("Jan _2 3:04PM", "Nov 21 4:05AM", "Nov 21 5:05AM"),
            (
                "Monday, January 2, 06",
                "Saturday, November 21, 26",
                "Saturday, November 21, 26",
            ),
            (
                "15:04:05.000 -0700 MST",
                "04:05:09.250 +0000 UTC",
                "05:05:09.250 +0100 CET",
            ),
            ("%H:%M", "04:05", "05:05"),
        ] {
            assert_eq!(time.format(layout).unwrap(), utc, "{layout}");
            assert_eq!(paris.format(layout).unwrap(), there, "{layout}");
        }
        let shown = Value::from_object(paris).to_string();
        assert_eq!(shown, "2026-11-21 05:05:09.25 +0100 CET");
    }

    #[test]
    fn durations() {
        for (text, expected) in [("1h30m", 5400.0), ("1.5s", 1.5), ("1d2w", 1_296_000.0)] {
            assert_eq!(seconds(text).unwrap(), expected, "{text}");
        }
        for text in ["", "5", "x", "5x"] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }
}
