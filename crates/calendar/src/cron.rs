//! Schedules as in crontab: `0 7 * * mon`.
//!
//! Semantics: crontab(5) of Debian's cron, with names in lists and ranges too. Where both days are restricted, either
//! is enough. A time that clocks skip comes as much later. One that comes twice counts twice where the minute or the hour
//! begins with `*`, so that `*/5 * * * *` goes on while clocks are set back; else it is the first one only.

use std::fmt;

use bellwether_core::UnixMillis;
use bellwether_schema::json_schema;
use bellwether_schema::{Decode, DecodeContext, Node, Shape};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Serialize, Serializer};

/// Days until every schedule comes again that ever does: from a leap day to the one after 2100.
const LONGEST: usize = 8 * 366;

/// A schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cron {
    text: String,
    /// Sets of numbers, a bit for each.
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// True if a day must match `days` and `weekdays`, of which one has all.
    both_days: bool,
    /// True if a time counts twice where clocks are set back.
    is_repeated: bool,
}

/// One of the five fields.
struct Field {
    name: &'static str,
    least: u32,
    most: u32,
    /// Names of the numbers from `least` on.
    names: &'static [&'static str],
}

const MINUTE: Field = field("minute", 0, 59, &[]);
const HOUR: Field = field("hour", 0, 23, &[]);
const DAY: Field = field("day of the month", 1, 31, &[]);
const MONTH: Field = field(
    "month",
    1,
    12,
    &[
        "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
    ],
);
/// Sunday is 0 and 7.
const WEEKDAY: Field = field(
    "day of the week",
    0,
    7,
    &["sun", "mon", "tue", "wed", "thu", "fri", "sat", "sun"],
);

const MACROS: [(&str, &str); 5] = [
    ("@hourly", "0 * * * *"),
    ("@daily", "0 0 * * *"),
    ("@weekly", "0 0 * * 0"),
    ("@monthly", "0 0 1 * *"),
    ("@yearly", "0 0 1 1 *"),
];

const fn field(name: &'static str, least: u32, most: u32, names: &'static [&'static str]) -> Field {
    Field {
        name,
        least,
        most,
        names,
    }
}

impl Cron {
    /// Parses a schedule.
    ///
    /// # Errors
    /// The text is no schedule; the error names the field.
    pub fn parse(text: &str) -> Result<Self, String> {
        let found = MACROS.iter().find(|(name, _)| *name == text);
        let fields: Vec<&str> = found
            .map_or(text, |(_, fields)| fields)
            .split_whitespace()
            .collect();
        let [minute, hour, day, month, weekday] = fields[..] else {
            return Err(format!("{} fields where five are expected", fields.len()));
        };
        let weekdays = WEEKDAY.parse(weekday)?;
        let cron = Self {
            text: text.to_owned(),
            minutes: MINUTE.parse(minute)?,
            hours: HOUR.parse(hour)?,
            days: DAY.parse(day)?,
            months: MONTH.parse(month)?,
            weekdays: weekdays | (weekdays >> 7 & 1),
            both_days: day.starts_with('*') || weekday.starts_with('*'),
            is_repeated: minute.starts_with('*') || hour.starts_with('*'),
        };
        match cron.next(UnixMillis(0), &TimeZone::UTC) {
            Some(_) => Ok(cron),
            None => Err("no month has such a day".to_owned()),
        }
    }

    /// Returns the first time after `at`.
    #[must_use]
    pub fn next(&self, at: UnixMillis, zone: &TimeZone) -> Option<UnixMillis> {
        let days = local_date(at, zone)?.series(jiff::Span::new().days(1));
        days.take(LONGEST)
            .find_map(|day| self.times(day, zone).filter(|time| *time > at).min())
    }

    /// Returns the last time up to `at` that is after `since`.
    #[must_use]
    pub fn last(&self, since: UnixMillis, at: UnixMillis, zone: &TimeZone) -> Option<UnixMillis> {
        let days = local_date(at, zone)?.series(jiff::Span::new().days(-1));
        let first = local_date(since, zone)?;
        days.take_while(|day| *day >= first).find_map(|day| {
            let times = self.times(day, zone);
            times.filter(|time| *time <= at && *time > since).max()
        })
    }

    /// Returns the times of a day.
    fn times<'a>(&'a self, day: Date, zone: &'a TimeZone) -> impl Iterator<Item = UnixMillis> + 'a {
        let hours = (0..24).filter(move |hour| self.matches(day) && has(self.hours, *hour));
        let minutes = move |hour| {
            let minutes = (0..60).filter(move |minute| has(self.minutes, *minute));
            minutes.map(move |minute| (hour, minute))
        };
        let times = hours.flat_map(minutes).flat_map(move |(hour, minute)| {
            let at = zone.to_ambiguous_timestamp(day.at(hour, minute, 0, 0));
            let again = self.is_repeated.then(|| at.later().ok());
            [at.compatible().ok(), again.flatten()]
        });
        times.flatten().map(|at| UnixMillis(at.as_millisecond()))
    }

    fn matches(&self, day: Date) -> bool {
        let (in_month, in_week) = (
            has(self.days, day.day()),
            has(self.weekdays, day.weekday().to_sunday_zero_offset()),
        );
        let is_day = match self.both_days {
            true => in_month && in_week,
            false => in_month || in_week,
        };
        has(self.months, day.month()) && is_day
    }
}

impl Field {
    /// Parses a list of ranges with steps to a set of numbers.
    fn parse(&self, text: &str) -> Result<u64, String> {
        text.split(',')
            .try_fold(0, |set, item| Ok(set | self.parse_item(item)?))
    }

    fn parse_item(&self, text: &str) -> Result<u64, String> {
        let invalid = || format!("{text:?} is no {}", self.name);
        let (range, step) = match text.split_once('/') {
            Some((range, step)) => (range, Some(step.parse::<usize>().map_err(|_| invalid())?)),
            None => (text, None),
        };
        let (first, last) = match range.split_once('-') {
            _ if range == "*" => (self.least, self.most),
            Some((first, last)) => {
                let first = self.number(first);
                first.zip(self.number(last)).ok_or_else(invalid)?
            }
            // As in cron, `5/10` is from 5 on.
            None => {
                let first = self.number(range).ok_or_else(invalid)?;
                (first, step.map_or(first, |_| self.most))
            }
        };
        if first > last || step == Some(0) {
            return Err(invalid());
        }
        let numbers = (first..=last).step_by(step.unwrap_or(1));
        Ok(numbers.fold(0, |set, number| set | 1 << number))
    }

    /// Parses a number or a name.
    fn number(&self, text: &str) -> Option<u32> {
        let name = text.to_ascii_lowercase();
        if let Some(index) = self.names.iter().position(|other| *other == name) {
            return u32::try_from(index).ok().map(|index| index + self.least);
        }
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = is_number.then(|| text.parse().ok()).flatten();
        number.filter(|number| (self.least..=self.most).contains(number))
    }
}

fn has(set: u64, number: i8) -> bool {
    set >> number & 1 == 1
}

fn local_date(at: UnixMillis, zone: &TimeZone) -> Option<Date> {
    let at = Timestamp::from_millisecond(at.0).ok()?;
    Some(at.to_zoned(zone.clone()).date())
}

impl Decode for Cron {
    fn decode(node: &Node, cx: &mut DecodeContext<'_>) -> Option<Self> {
        let text = cx.text(node)?;
        match Self::parse(text.trim()) {
            Ok(cron) => Some(cron),
            Err(error) => {
                cx.error(node.pos, format!("not a schedule: {text:?}: {error}"))
                    .hint(
                        "minute, hour, day of the month, month, day of the week: \"0 7 * * mon\" is mondays at 7:00",
                    );
                None
            }
        }
    }

    fn shape() -> Shape {
        Shape::Word("schedule of crontab", || {
            let words: Vec<&str> = MACROS.iter().map(|(name, _)| *name).collect();
            json_schema::pattern_with_words(&words, r"\S+(?:\s+\S+){4}")
        })
    }
}

impl fmt::Display for Cron {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text)
    }
}

impl Serialize for Cron {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> UnixMillis {
        UnixMillis(text.parse::<Timestamp>().unwrap().as_millisecond())
    }

    fn text(at: UnixMillis) -> String {
        Timestamp::from_millisecond(at.0).unwrap().to_string()
    }

    /// The next times after `from`.
    fn times(schedule: &str, zone: &str, from: &str, count: usize) -> Vec<String> {
        let (cron, zone) = (Cron::parse(schedule).unwrap(), TimeZone::get(zone).unwrap());
        let mut now = at(from);
        let mut next = || {
            now = cron.next(now, &zone)?;
            Some(text(now))
        };
        (0..count).filter_map(|_| next()).collect()
    }

    #[test]
    fn mondays_at_seven_follow_the_clocks_of_the_zone() {
        assert_eq!(
            times("0 7 * * mon", "Europe/Berlin", "2026-10-18T00:00:00Z", 3),
            [
                "2026-10-19T05:00:00Z",
                "2026-10-26T06:00:00Z",
                "2026-11-02T06:00:00Z"
            ]
        );
    }

    #[test]
    fn a_time_that_clocks_skip_comes_later_and_one_that_comes_twice_comes_once() {
        assert_eq!(
            times("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", 2),
            ["2026-03-29T01:30:00Z", "2026-03-30T00:30:00Z"]
        );
        assert_eq!(
            times("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", 2),
            ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]
        );
    }

    #[test]
    fn an_interval_goes_on_while_clocks_are_set_back() {
        let expected = [
            "2026-10-25T00:30:00Z", // 2:30
            "2026-10-25T01:00:00Z", // 2:00 again
            "2026-10-25T01:30:00Z",
            "2026-10-25T02:00:00Z",
        ];
        let from = "2026-10-25T00:00:00Z";
        assert_eq!(times("*/30 * * * *", "Europe/Berlin", from, 4), expected);
        let (cron, zone) = ("0 * * * *", TimeZone::get("Europe/Berlin").unwrap());
        let last = Cron::parse(cron)
            .unwrap()
            .last(at(from), at("2026-10-25T01:10:00Z"), &zone);
        assert_eq!(last.map(text).as_deref(), Some("2026-10-25T01:00:00Z"));
    }

    #[test]
    fn lists_ranges_steps_and_names() {
        let from = "2026-11-29T00:00:00Z"; // a Sunday
        assert_eq!(
            times("*/20 8-9 * * *", "UTC", from, 4),
            [
                "2026-11-29T08:00:00Z",
                "2026-11-29T08:20:00Z",
                "2026-11-29T08:40:00Z",
                "2026-11-29T09:00:00Z"
            ]
        );
        assert_eq!(
            times("0 0 * * Mon-Tue,7", "UTC", from, 3),
            [
                "2026-11-30T00:00:00Z",
                "2026-12-01T00:00:00Z",
                "2026-12-06T00:00:00Z"
            ]
        );
        assert_eq!(times("@monthly", "UTC", from, 1), ["2026-12-01T00:00:00Z"]);
        // Either day is enough where both are restricted.
        assert_eq!(
            times("0 0 1 * wed", "UTC", from, 2),
            ["2026-12-01T00:00:00Z", "2026-12-02T00:00:00Z"]
        );
        assert_eq!(
            times("0 0 29 2 *", "UTC", from, 2),
            ["2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z"]
        );
    }

    #[test]
    fn of_all_times_in_a_range_the_last_one_counts() {
        let last = |schedule: &str, since: &str, now: &str| {
            let cron = Cron::parse(schedule).unwrap();
            cron.last(at(since), at(now), &TimeZone::UTC).map(text)
        };
        let day = ["2026-11-28T07:00:00Z", "2026-11-29T06:59:59Z"];
        assert_eq!(last("0 7 * * *", day[0], day[1]), None);
        assert_eq!(
            last("0 7 * * *", day[0], "2026-11-29T07:00:00Z").as_deref(),
            Some("2026-11-29T07:00:00Z")
        );
        assert_eq!(
            last("0 7 * * *", "2020-01-01T00:00:00Z", day[1]).as_deref(),
            Some("2026-11-28T07:00:00Z")
        );
        assert_eq!(last("0 0 29 2 *", "2024-03-01T00:00:00Z", day[1]), None);
    }

    #[test]
    fn an_error_names_the_field() {
        for (text, expected) in [
            ("0 7 * *", "4 fields where five are expected"),
            ("60 7 * * *", "\"60\" is no minute"),
            ("0 7 * * funday", "\"funday\" is no day of the week"),
            ("0 7-5 * * *", "\"7-5\" is no hour"),
            ("*/0 * * * *", "\"*/0\" is no minute"),
            ("0 0 30 2 *", "no month has such a day"),
        ] {
            assert_eq!(Cron::parse(text).unwrap_err(), expected, "{text}");
        }
    }
}
