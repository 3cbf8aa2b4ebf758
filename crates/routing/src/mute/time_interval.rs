//! Time intervals as in Alertmanager: times of day, days of the week and of the month, months and
//! years, in the time zone of a location.
//!
//! Semantics: <https://prometheus.io/docs/alerting/latest/configuration/#time_interval>. The end of
//! a range of times is not part of it; all other ends are. Days that a month does not have are cut
//! to those it has.

mod range;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use bellwether_calendar::Location;
use bellwether_core::UnixMillis;
use bellwether_schema::{Diagnostics, Override, Spanned, section};
use jiff::civil::{DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, Zoned};
pub use range::{Month, MonthDay, Range, TimeOfDay, Weekday, Year};

section! {
    /// A range of times of day. A range over midnight is written as two.
    pub struct TimeRangeSettings {
        /// First minute.
        pub start_time: TimeOfDay,
        /// Minute after the last; `24:00` is the end of the day.
        pub end_time: Spanned<TimeOfDay>,
    }
}

section! {
    /// A recurring time. It matches if each list that is not empty has an item that matches.
    pub struct RecurringSettings {
        /// Times of day.
        pub times: Vec<TimeRangeSettings> = Vec::new(),
        /// Days of the week.
        pub weekdays: Vec<Range<Weekday>> = Vec::new(),
        /// Days of the month; negative ones count from its end.
        pub days_of_month: Vec<Range<MonthDay>> = Vec::new(),
        /// Months, by name or number.
        pub months: Vec<Range<Month>> = Vec::new(),
        /// Years.
        pub years: Vec<Range<Year>> = Vec::new(),
        /// Time zone: a name of the time zone database such as `Europe/Berlin`, `Local` for the
        /// host's, or `UTC`, which is the default.
        pub location: Option<Location>,
    }
}

section! {
    /// Recurring times with a name.
    pub struct TimeIntervalSettings {
        /// Name by which routes and maintenance refer to it.
        pub name: Spanned<String>,
        /// If true, this entry replaces the one of its name of an earlier file, as `include` describes.
        pub r#override: Override,
        /// The times, of which one must match.
        pub time_intervals: Spanned<Vec<RecurringSettings>>,
    }
}

/// One recurring time, compiled.
#[derive(Clone, Debug)]
pub struct TimeInterval {
    settings: RecurringSettings,
    zone: TimeZone,
}

impl TimeInterval {
    /// Compiles a recurring time; `location` is the default time zone.
    pub fn compile(
        settings: &RecurringSettings,
        location: &Location,
        diagnostics: &mut Diagnostics,
    ) -> Self {
        for range in &settings.times {
            if range.start_time >= range.end_time.value {
                diagnostics
                    .error(&range.end_time.at, "must be later than `start_time`")
                    .hint("over midnight write two: 22:00 to 24:00 and 00:00 to 06:00");
            }
        }
        let zone = settings
            .location
            .as_ref()
            .unwrap_or(location)
            .zone()
            .clone();
        Self {
            settings: settings.clone(),
            zone,
        }
    }

    /// Returns whether `at` is within it.
    #[must_use]
    pub fn contains(&self, at: UnixMillis) -> bool {
        let Some(local) = self.local(at).map(|at| at.datetime()) else {
            return false;
        };
        let RecurringSettings {
            times,
            weekdays,
            days_of_month,
            months,
            years,
            ..
        } = &self.settings;
        matches_any(times, |range| {
            (range.start_time.0..range.end_time.0).contains(&minute(local))
        }) && matches_any(days_of_month, |days| matches_day(*days, local))
            && matches_any(months, |months| months.contains(local.month().into()))
            && matches_any(weekdays, |days| {
                days.contains(local.weekday().to_sunday_zero_offset().into())
            })
            && matches_any(years, |years| years.contains(local.year()))
    }

    /// Returns the next time after `at` at which it may begin or end: one of its times of day,
    /// midnight, or a change of the zone's offset.
    #[must_use]
    pub fn next_edge(&self, at: UnixMillis) -> Option<UnixMillis> {
        let local = self.local(at)?;
        let midnight = local.tomorrow().and_then(|next| next.start_of_day()).ok()?;
        let edges = self
            .settings
            .times
            .iter()
            .flat_map(|range| [range.start_time, *range.end_time]);
        // A time of day comes twice where clocks are set back.
        let today = edges.flat_map(|TimeOfDay(minutes)| {
            let time = local.date().to_datetime(Time::midnight());
            let time = time
                .checked_add(SignedDuration::from_mins(minutes.into()))
                .ok();
            let both = time.map(|time| self.zone.to_ambiguous_timestamp(time));
            let both = both.map(|both| [both.earlier(), both.later()]);
            both.into_iter().flatten().filter_map(Result::ok)
        });
        let moments = today.chain([midnight.timestamp()]);
        let clocks = self
            .zone
            .following(local.timestamp())
            .next()
            .map(|next| next.timestamp());
        let moments = moments
            .chain(clocks)
            .map(|moment| UnixMillis(moment.as_millisecond()));
        moments.filter(|moment| *moment > at).min()
    }

    fn local(&self, at: UnixMillis) -> Option<Zoned> {
        Some(
            Timestamp::from_millisecond(at.0)
                .ok()?
                .to_zoned(self.zone.clone()),
        )
    }
}

/// Returns whether a range matches; an empty list always does.
fn matches_any<T>(ranges: &[T], matches: impl Fn(&T) -> bool) -> bool {
    ranges.is_empty() || ranges.iter().any(matches)
}

fn minute(local: DateTime) -> i16 {
    i16::from(local.hour()) * 60 + i16::from(local.minute())
}

/// Returns whether the day of `local` is in `days`; negative days count from the end of its month.
fn matches_day(days: Range<MonthDay>, local: DateTime) -> bool {
    let length = i16::from(local.date().days_in_month());
    let day = |day: i16| if day < 0 { length + day + 1 } else { day };
    (day(days.begin)..=day(days.end)).contains(&i16::from(local.day()))
}

/// The time intervals of the configuration by name.
#[derive(Clone, Debug, Default)]
pub struct TimeIntervals(BTreeMap<String, Vec<TimeInterval>>);

impl TimeIntervals {
    /// Compiles the settings; errors go to `diagnostics`.
    #[must_use]
    pub fn compile(settings: &[TimeIntervalSettings], diagnostics: &mut Diagnostics) -> Self {
        let mut all = BTreeMap::new();
        for interval in settings {
            if interval.name.is_empty() {
                diagnostics.error(&interval.name.at, "the name must not be empty");
            }
            if interval.time_intervals.is_empty() {
                diagnostics
                    .error(&interval.time_intervals.at, "no time intervals")
                    .hint("{weekdays: [\"monday:friday\"], times: [{start_time: 09:00, end_time: 17:00}]}");
            }
            let times = interval
                .time_intervals
                .iter()
                .map(|time| TimeInterval::compile(time, &Location::default(), diagnostics))
                .collect();
            if all.insert(interval.name.value.clone(), times).is_some() {
                let message = format!("duplicate time interval {:?}", interval.name.value);
                diagnostics.error(&interval.name.at, message);
            }
        }
        Self(all)
    }

    /// Returns whether there is an interval with this name.
    #[must_use]
    pub fn contains_name(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Returns all names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Returns whether `at` is within the interval with this name.
    #[must_use]
    pub fn contains(&self, name: &str, at: UnixMillis) -> bool {
        self.get(name).iter().any(|time| time.contains(at))
    }

    /// Returns the times of the interval with this name; empty if there is none.
    pub(crate) fn get(&self, name: &str) -> &[TimeInterval] {
        self.0.get(name).map_or(&[], Vec::as_slice)
    }
}
