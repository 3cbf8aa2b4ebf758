//! Baselines by hour of the day and day of the week.

use bellwether_core::UnixMillis;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::forecast::median;

/// Offsets of all time zones in use are multiples of a quarter of an hour, and so are their
/// changes: samples of one such piece are of one local hour.
const PIECE_MS: i64 = 15 * 60_000;

/// Baseline of one slot of time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Slot {
    /// Number of samples.
    pub count: usize,
    /// Median of the samples.
    pub median: f64,
    /// Median absolute deviation times 1.4826, which is the standard deviation of normal values.
    pub spread: f64,
}

/// Departure of a value from a baseline.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Departure {
    /// Baseline.
    pub usual: Slot,
    /// Difference of the value and the median.
    pub difference: f64,
    /// Difference in percent of the median; `None` if that is 0.
    pub percent: Option<f64>,
    /// Difference in units of the spread; `None` if that is 0.
    pub score: Option<f64>,
}

/// Baselines of each hour of the day and each day of the week, in a time zone.
#[derive(Clone, Debug, PartialEq)]
pub struct Baselines {
    zone: TimeZone,
    /// By hour from midnight on; `None` for an hour without samples.
    pub hours: [Option<Slot>; 24],
    /// By weekday from Monday on; `None` for a day without samples.
    pub weekdays: [Option<Slot>; 7],
}

impl Baselines {
    /// Computes the baselines of samples at `times_ms`, ascending, in the time zone `zone`; values
    /// that are not finite are ignored.
    #[must_use]
    pub fn of(times_ms: &[i64], values: &[f64], zone: TimeZone) -> Self {
        let mut hours: [Vec<f64>; 24] = Default::default();
        let mut weekdays: [Vec<f64>; 7] = Default::default();
        let mut from = 0;
        let times_ms = &times_ms[..times_ms.len().min(values.len())];
        while from < times_ms.len() {
            let piece = times_ms[from].div_euclid(PIECE_MS);
            let rest = &times_ms[from..];
            let to = from
                + rest
                    .iter()
                    .take_while(|t| t.div_euclid(PIECE_MS) == piece)
                    .count();
            if let Some((hour, weekday)) = place(UnixMillis(times_ms[from]), &zone) {
                let here = values[from..to]
                    .iter()
                    .copied()
                    .filter(|value| value.is_finite());
                hours[hour].extend(here.clone());
                weekdays[weekday].extend(here);
            }
            from = to;
        }
        Self {
            zone,
            hours: hours.map(slot),
            weekdays: weekdays.map(slot),
        }
    }

    /// Returns the departure of `value` from the baseline of the hour of `at`.
    #[must_use]
    pub fn from_hour(&self, at: UnixMillis, value: f64) -> Option<Departure> {
        let (hour, _) = place(at, &self.zone)?;
        self.hours[hour].map(|usual| Departure::new(usual, value))
    }

    /// Returns the departure of `value` from the baseline of the weekday of `at`.
    #[must_use]
    pub fn from_weekday(&self, at: UnixMillis, value: f64) -> Option<Departure> {
        let (_, weekday) = place(at, &self.zone)?;
        self.weekdays[weekday].map(|usual| Departure::new(usual, value))
    }
}

impl Departure {
    fn new(usual: Slot, value: f64) -> Self {
        let difference = value - usual.median;
        let part = |of: f64| (of != 0.0).then_some(difference / of);
        Self {
            usual,
            difference,
            percent: part(usual.median.abs()).map(|part| part * 100.0),
            score: part(usual.spread),
        }
    }
}

fn slot(mut values: Vec<f64>) -> Option<Slot> {
    if values.is_empty() {
        return None;
    }
    let middle = median(&mut values);
    let count = values.len();
    for value in &mut values {
        *value = (*value - middle).abs();
    }
    Some(Slot {
        count,
        median: middle,
        spread: 1.4826 * median(&mut values),
    })
}

/// Returns hour and weekday of `at`; `None` outside of the calendar.
fn place(at: UnixMillis, zone: &TimeZone) -> Option<(usize, usize)> {
    let local = zone.to_datetime(Timestamp::from_millisecond(at.0).ok()?);
    let weekday = local.weekday().to_monday_zero_offset();
    Some((
        usize::try_from(local.hour()).ok()?,
        usize::try_from(weekday).ok()?,
    ))
}
