//! Parts of a recurring time as they are configured: ranges of days, months and years, and times of day.

use std::fmt;
use std::marker::PhantomData;

use bellwether_schema::json_schema::{self, Json};
use bellwether_schema::{Decode, DecodeContext, Node, Shape, Value, did_you_mean};
use serde::{Serialize, Serializer};

/// Unit of a range.
pub trait Unit {
    /// Expected value, for the reference and for diagnostics.
    const EXPECTED: &'static str;
    /// Names of the values, if they have any, and the number of the first name.
    const NAMES: (&'static [&'static str], i16);
    /// Smallest and largest number, if values may be numbers; 0 is never allowed.
    const NUMBERS: Option<(i16, i16)>;

    /// Validates a range.
    ///
    /// # Errors
    /// A message and a hint.
    fn check(begin: i16, end: i16) -> Result<(), (&'static str, &'static str)>;
}

/// Days of the week; Sunday is 0 and the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weekday;

impl Unit for Weekday {
    const EXPECTED: &'static str = "a weekday such as monday, or a range such as monday:friday";
    const NAMES: (&'static [&'static str], i16) = (
        &[
            "sunday",
            "monday",
            "tuesday",
            "wednesday",
            "thursday",
            "friday",
            "saturday",
        ],
        0,
    );
    const NUMBERS: Option<(i16, i16)> = None;

    fn check(begin: i16, end: i16) -> Result<(), (&'static str, &'static str)> {
        let hint = "the week begins on sunday; name the days one by one: [saturday, sunday]";
        if begin > end {
            Err(("ends before it begins", hint))
        } else {
            Ok(())
        }
    }
}

/// Days of the month from its start (1 to 31) or from its end (-1 to -31).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MonthDay;

impl Unit for MonthDay {
    const EXPECTED: &'static str = "a day of the month from 1 to 31 or from -1 (the last) to -31, \
                                    or a range such as 1:5 or -3:-1";
    const NAMES: (&'static [&'static str], i16) = (&[], 0);
    const NUMBERS: Option<(i16, i16)> = Some((-31, 31));

    fn check(begin: i16, end: i16) -> Result<(), (&'static str, &'static str)> {
        if begin < 0 && end > 0 {
            let hint = "write two ranges: the end of the month, -3:-1, and its start, 1:5";
            return Err(("begins at the end of the month and ends at its start", hint));
        }
        // The shortest month decides: a range that is empty in every month is a mistake.
        let day = |day: i16| if day < 0 { 28 + day } else { day };
        if day(begin) > day(end) {
            return Err((
                "ends before it begins",
                "the earlier day comes first: 1:5, -3:-1",
            ));
        }
        Ok(())
    }
}

/// Months; January is 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Month;

impl Unit for Month {
    const EXPECTED: &'static str = "a month such as may or 5, or a range such as may:august or 5:8";
    const NAMES: (&'static [&'static str], i16) = (
        &[
            "january",
            "february",
            "march",
            "april",
            "may",
            "june",
            "july",
            "august",
            "september",
            "october",
            "november",
            "december",
        ],
        1,
    );
    const NUMBERS: Option<(i16, i16)> = Some((1, 12));

    fn check(begin: i16, end: i16) -> Result<(), (&'static str, &'static str)> {
        let hint = "write two ranges: [november:december, january:february]";
        if begin > end {
            Err(("ends before it begins", hint))
        } else {
            Ok(())
        }
    }
}

/// Years.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Year;

impl Unit for Year {
    const EXPECTED: &'static str = "a year such as 2026, or a range such as 2026:2030";
    const NAMES: (&'static [&'static str], i16) = (&[], 0);
    const NUMBERS: Option<(i16, i16)> = Some((1, 9999));

    fn check(begin: i16, end: i16) -> Result<(), (&'static str, &'static str)> {
        let hint = "the earlier year comes first";
        if begin > end {
            Err(("ends before it begins", hint))
        } else {
            Ok(())
        }
    }
}

/// One value or several consecutive ones, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range<U> {
    pub(crate) begin: i16,
    pub(crate) end: i16,
    unit: PhantomData<U>,
}

impl<U> Range<U> {
    /// Returns whether `value` is in the range.
    pub(crate) fn contains(self, value: i16) -> bool {
        (self.begin..=self.end).contains(&value)
    }
}

fn parse_value<U: Unit>(text: &str) -> Option<i16> {
    let text = text.trim();
    let (names, first) = U::NAMES;
    if let Some(index) = names.iter().position(|name| *name == text) {
        return Some(first + index as i16);
    }
    let (min, max) = U::NUMBERS?;
    text.parse()
        .ok()
        .filter(|number| *number != 0 && (min..=max).contains(number))
}

impl<U: Unit> Decode for Range<U> {
    fn decode(node: &Node, cx: &mut DecodeContext<'_>) -> Option<Self> {
        if !matches!(node.value, Value::Scalar(_)) {
            cx.error(node.pos, format!("expected {}", U::EXPECTED));
            return None;
        }
        let text = cx.text(node)?.to_lowercase();
        let (begin, end) = text.split_once(':').unwrap_or((&text, &text));
        for part in [begin, end] {
            if parse_value::<U>(part).is_none() {
                let hint = did_you_mean(part.trim(), U::NAMES.0.iter().copied());
                cx.error(
                    node.pos,
                    format!("expected {}, found {part:?}", U::EXPECTED),
                )
                .hint_if(hint);
                return None;
            }
        }
        let (begin, end) = (parse_value::<U>(begin)?, parse_value::<U>(end)?);
        if let Err((message, hint)) = U::check(begin, end) {
            cx.error(node.pos, format!("{text:?} {message}")).hint(hint);
            return None;
        }
        Some(Self {
            begin,
            end,
            unit: PhantomData,
        })
    }

    fn shape() -> Shape {
        Shape::Word(U::EXPECTED, schema::<U>)
    }
}

/// Returns the JSON Schema of a value or a range: names in any case, and numbers.
fn schema<U: Unit>() -> Json {
    let mut values: Vec<String> = U::NAMES
        .0
        .iter()
        .map(|name| json_schema::in_any_case(name))
        .collect();
    values.extend(U::NUMBERS.map(|_| "-?[0-9]+".to_owned()));
    let value = values.join("|");
    let pattern = format!(r"(?:{value})(?:\s*:\s*(?:{value}))?");
    match U::NUMBERS {
        Some((least, most)) => json_schema::pattern_or_integer(&pattern, least.into(), most.into()),
        None => json_schema::pattern(&pattern),
    }
}

impl<U: Unit> fmt::Display for Range<U> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (names, first) = U::NAMES;
        let write = |out: &mut fmt::Formatter<'_>, value: i16| {
            let index = usize::try_from(value - first).ok();
            match index.and_then(|index| names.get(index)) {
                Some(name) => out.write_str(name),
                None => write!(out, "{value}"),
            }
        };
        write(out, self.begin)?;
        if self.end != self.begin {
            out.write_str(":")?;
            write(out, self.end)?;
        }
        Ok(())
    }
}

impl<U: Unit> Serialize for Range<U> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A time of day in minutes, from 00:00 to 24:00.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimeOfDay(pub(crate) i16);

impl TimeOfDay {
    fn parse(text: &str) -> Option<Self> {
        let Some((hour, minute)) = text.split_once(':') else {
            // YAML 1.1 reads 17:00 without quotes as a number in base 60.
            let digits = text.bytes().all(|byte| byte.is_ascii_digit());
            let minutes = digits.then(|| text.parse::<i16>().ok()).flatten()?;
            return (minutes <= 24 * 60).then_some(Self(minutes));
        };
        let (hour, minute) = (two_digits(hour)?, two_digits(minute)?);
        let minutes = hour * 60 + minute;
        (minute < 60 && minutes <= 24 * 60).then_some(Self(minutes))
    }
}

impl Decode for TimeOfDay {
    fn decode(node: &Node, cx: &mut DecodeContext<'_>) -> Option<Self> {
        cx.parsed(
            node,
            "a time of day from \"00:00\" to \"24:00\", in quotes, or minutes since midnight",
            Self::parse,
        )
    }

    fn shape() -> Shape {
        Shape::Word(
            "time of day from \"00:00\" to \"24:00\", or minutes since midnight",
            || json_schema::number_or(1440.0, "(?:[01][0-9]|2[0-3]):[0-5][0-9]|24:00"),
        )
    }
}

impl Serialize for TimeOfDay {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:02}:{:02}", self.0 / 60, self.0 % 60))
    }
}

fn two_digits(text: &str) -> Option<i16> {
    let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}
