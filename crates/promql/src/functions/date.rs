//! Functions that return a part of a date in UTC, from a time in seconds since the Unix epoch.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// Returns a part of a date; NaN if `seconds` is not a valid time.
fn part(seconds: f64, part: impl Fn(DateTime) -> i64) -> f64 {
    if !seconds.is_finite() {
        return f64::NAN;
    }
    match Timestamp::from_second(seconds as i64) {
        Ok(at) => part(at.to_zoned(TimeZone::UTC).datetime()) as f64,
        Err(_) => f64::NAN,
    }
}

pub(super) fn day_of_month(seconds: f64) -> f64 {
    part(seconds, |at| at.day().into())
}

pub(super) fn day_of_week(seconds: f64) -> f64 {
    part(seconds, |at| at.weekday().to_sunday_zero_offset().into())
}

pub(super) fn day_of_year(seconds: f64) -> f64 {
    part(seconds, |at| at.day_of_year().into())
}

pub(super) fn days_in_month(seconds: f64) -> f64 {
    part(seconds, |at| at.days_in_month().into())
}

pub(super) fn hour(seconds: f64) -> f64 {
    part(seconds, |at| at.hour().into())
}

pub(super) fn minute(seconds: f64) -> f64 {
    part(seconds, |at| at.minute().into())
}

pub(super) fn month(seconds: f64) -> f64 {
    part(seconds, |at| at.month().into())
}

pub(super) fn year(seconds: f64) -> f64 {
    part(seconds, |at| at.year().into())
}
