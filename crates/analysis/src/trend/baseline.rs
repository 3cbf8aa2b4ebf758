//! What is usual at an hour of the day and on a day of the week.

use bellwether_core::UnixMillis;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::forecast::median;

/// Offsets of all time zones in use are multiples of a quarter of an hour, and so are their
/// changes: samples of one such piece are of one local hour.
const PIECE_MS: i64 = 15 * 60_000;

/// What is usual in one slot of time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Slot {
    /// Samples it is known from.
    pub count: usize,
    /// Their median.
    pub median: f64,
    /// Their spread: the median distance from the median, times 1.4826, which is the standard
    /// deviation where they are normal.
    pub spread: f64,
}

/// How far a value is from what is usual.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Departure {
    /// What is usual.
    pub usual: Slot,
    /// Value less the median.
    pub difference: f64,
    /// The difference in percent of the median; `None` where that is 0.
    pub percent: Option<f64>,
    /// The difference in spreads; `None` where there is no spread.
    pub score: Option<f64>,
}

/// What is usual at each hour of the day and on each day of the week, in a time zone.
#[derive(Clone, Debug, PartialEq)]
pub struct Baselines {
    zone: TimeZone,
    /// From midnight on; `None` for an hour without samples.
    pub hours: [Option<Slot>; 24],
    /// From Monday on; `None` for a day without samples.
    pub weekdays: [Option<Slot>; 7],
}

impl Baselines {
    /// Of samples at `times_ms`, ascending, in the time zone `zone`; values that are no finite
    /// numbers are left out.
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

    /// How far `value` is from what is usual at the hour of the day of `at`.
    #[must_use]
    pub fn from_hour(&self, at: UnixMillis, value: f64) -> Option<Departure> {
        let (hour, _) = place(at, &self.zone)?;
        self.hours[hour].map(|usual| Departure::new(usual, value))
    }

    /// How far `value` is from what is usual on the day of the week of `at`.
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

/// Hour of the day and day of the week of `at`; `None` outside of the calendar.
fn place(at: UnixMillis, zone: &TimeZone) -> Option<(usize, usize)> {
    let local = zone.to_datetime(Timestamp::from_millisecond(at.0).ok()?);
    let weekday = local.weekday().to_monday_zero_offset();
    Some((
        usize::try_from(local.hour()).ok()?,
        usize::try_from(weekday).ok()?,
    ))
}
