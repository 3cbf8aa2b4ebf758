//! Recurring times, as Alertmanager has them: times of day, days of the week and of the month,
//! months and years, on the clocks of a location.
//!
//! Semantics: <https://prometheus.io/docs/alerting/latest/configuration/#time_interval>. The end of
//! a range of times is not part of it; all other ends are. Days that a month does not have are cut
//! to those it has.

mod part;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use bellwether_core::UnixMillis;
use bellwether_schema::{Diagnostics, Spanned, section};
use jiff::civil::{DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, Zoned};
pub use part::{Location, Month, MonthDay, Range, TimeOfDay, Weekday, Year};

section! {
    /// A range of times of day. One over midnight is written as two.
    pub struct TimeRangeSettings {
        /// The first minute.
        pub start_time: TimeOfDay,
        /// The minute after the last; `24:00` is the end of the day.
        pub end_time: Spanned<TimeOfDay>,
    }
}

section! {
    /// A time that comes again. What is given must hold all together; of each list one item must.
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
        /// Whose clocks count: a name of the time zone database such as `Europe/Berlin`, `Local`
        /// for the host's, or `UTC`, which is the default.
        pub location: Option<Location>,
    }
}

section! {
    /// Recurring times under one name.
    pub struct TimeIntervalSettings {
        /// By which routes and maintenance refer to it.
        pub name: Spanned<String>,
        /// The times; one of them must hold.
        pub time_intervals: Spanned<Vec<RecurringSettings>>,
    }
}

/// One recurring time.
#[derive(Clone, Debug)]
pub struct TimeInterval {
    declared: RecurringSettings,
    zone: TimeZone,
}

impl TimeInterval {
    /// Compiles it; `location` is that of times which name none.
    pub fn compile(
        settings: &RecurringSettings,
        location: &Location,
        problems: &mut Diagnostics,
    ) -> Self {
        for range in &settings.times {
            if range.start_time >= range.end_time.value {
                problems
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
            declared: settings.clone(),
            zone,
        }
    }

    /// Whether it holds at `at`.
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
        } = &self.declared;
        any(times, |range| {
            (range.start_time.0..range.end_time.0).contains(&minute(local))
        }) && any(days_of_month, |days| holds_day(*days, local))
            && any(months, |months| months.contains(local.month().into()))
            && any(weekdays, |days| {
                days.contains(local.weekday().to_sunday_zero_offset().into())
            })
            && any(years, |years| years.contains(local.year()))
    }

    /// The next moment after `at` at which it may begin or end: a time of day that it names,
    /// midnight, or a change of the location's clocks.
    #[must_use]
    pub fn next_edge(&self, at: UnixMillis) -> Option<UnixMillis> {
        let local = self.local(at)?;
        let midnight = local.tomorrow().and_then(|next| next.start_of_day()).ok()?;
        let edges = self
            .declared
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

/// Whether one holds; what is not restricted always does.
fn any<T>(ranges: &[T], holds: impl Fn(&T) -> bool) -> bool {
    ranges.is_empty() || ranges.iter().any(holds)
}

fn minute(local: DateTime) -> i16 {
    i16::from(local.hour()) * 60 + i16::from(local.minute())
}

/// Whether the day of `local` is one of `days`, counted in its month.
fn holds_day(days: Range<MonthDay>, local: DateTime) -> bool {
    let length = i16::from(local.date().days_in_month());
    let day = |day: i16| if day < 0 { length + day + 1 } else { day };
    (day(days.begin)..=day(days.end)).contains(&i16::from(local.day()))
}

/// The recurring times of the declaration by name.
#[derive(Clone, Debug, Default)]
pub struct TimeIntervals(BTreeMap<String, Vec<TimeInterval>>);

impl TimeIntervals {
    /// Compiles what is declared; what is wrong goes to `problems`.
    #[must_use]
    pub fn compile(settings: &[TimeIntervalSettings], problems: &mut Diagnostics) -> Self {
        let mut all = BTreeMap::new();
        for interval in settings {
            if interval.name.is_empty() {
                problems.error(&interval.name.at, "the name must not be empty");
            }
            if interval.time_intervals.is_empty() {
                problems
                    .error(&interval.time_intervals.at, "without any time it never holds")
                    .hint("{weekdays: [\"monday:friday\"], times: [{start_time: 09:00, end_time: 17:00}]}");
            }
            let times = interval.time_intervals.iter();
            let times = times.map(|one| TimeInterval::compile(one, &Location::default(), problems));
            if all
                .insert(interval.name.value.clone(), times.collect())
                .is_some()
            {
                let message = format!("time interval {:?} is declared twice", interval.name.value);
                problems.error(&interval.name.at, message);
            }
        }
        Self(all)
    }

    /// Whether there is one of this name.
    #[must_use]
    pub fn contains_name(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// All names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Whether the one of this name holds at `at`.
    #[must_use]
    pub fn contains(&self, name: &str, at: UnixMillis) -> bool {
        self.get(name).iter().any(|time| time.contains(at))
    }

    /// The times under this name.
    pub(super) fn get(&self, name: &str) -> &[TimeInterval] {
        self.0.get(name).map_or(&[], Vec::as_slice)
    }
}
