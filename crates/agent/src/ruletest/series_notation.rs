//! The values of a series as promtool writes them: `1 2 3`, `0+5x10`, `7x3`, `_`, `_x3`, `stale`.
//!
//! Kept in compact form and expanded one value at a time, so that `0x1000000000` costs only the
//! values that are read.

/// Value of a series at one step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Point {
    /// No sample.
    Missing,
    /// Staleness marker.
    Stale,
    /// A sample.
    Float(f64),
}

/// Syntax error with its position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotationError {
    /// Byte offset of the error.
    pub at: usize,
    /// Error message.
    pub message: String,
    /// Help on how to fix it.
    pub hint: &'static str,
}

/// Values of one series.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Values(Vec<Run>);

/// Run of values: the first, and the difference between two.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Run {
    first: Point,
    step: f64,
    count: u64,
}

/// Iterates over [`Values`].
#[derive(Clone, Debug)]
pub struct Cursor<'a> {
    left: std::slice::Iter<'a, Run>,
    current: Option<Run>,
}

const FORMS: &str = "values are numbers, 1+2x5 (1 3 5 7 9 11), 7x2 (7 7 7), _, _x3 and stale";

impl Values {
    /// Parses a list of values.
    ///
    /// # Errors
    /// The first invalid item.
    pub fn parse(text: &str) -> Result<Self, NotationError> {
        let mut runs = Vec::new();
        let mut rest = text;
        loop {
            rest = rest.trim_start();
            if rest.is_empty() {
                return Ok(Self(runs));
            }
            let at = text.len() - rest.len();
            let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
            runs.push(item(&rest[..end], at)?);
            rest = &rest[end..];
        }
    }

    /// Returns an iterator from the first value on.
    #[must_use]
    pub fn points(&self) -> Cursor<'_> {
        Cursor {
            left: self.0.iter(),
            current: None,
        }
    }

    /// Returns the number of values.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.0
            .iter()
            .fold(0, |sum, run| sum.saturating_add(run.count))
    }

    /// Returns whether there are no values.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Iterator for Cursor<'_> {
    type Item = Point;

    fn next(&mut self) -> Option<Point> {
        loop {
            if let Some(run) = self.current.as_mut().filter(|run| run.count > 0) {
                run.count -= 1;
                let point = run.first;
                // Added up step by step, as promtool does: the last digits are the same.
                if let Point::Float(value) = &mut run.first {
                    *value += run.step;
                }
                return Some(point);
            }
            self.current = Some(*self.left.next()?);
        }
    }
}

/// Parses an item that begins at the byte `at`.
fn item(word: &str, at: usize) -> Result<Run, NotationError> {
    let unknown = || NotationError {
        at,
        message: format!("no value of a series: {word:?}"),
        hint: FORMS,
    };
    if word.contains("{{") {
        return Err(NotationError {
            at,
            message: "native histograms cannot be tested".into(),
            hint: "classic ones can: a series for each bucket, with its `le`",
        });
    }
    if let Some(rest) = word.strip_prefix('_') {
        let count = match rest.strip_prefix('x') {
            Some(digits) => digits.parse::<u64>().map_err(|_| unknown())?,
            None if rest.is_empty() => 1,
            None => return Err(unknown()),
        };
        return Ok(Run {
            first: Point::Missing,
            step: 0.0,
            count,
        });
    }
    if word == "stale" {
        return Ok(Run {
            first: Point::Stale,
            step: 0.0,
            count: 1,
        });
    }
    let (first, rest) = number(word).ok_or_else(unknown)?;
    let stepped = rest.starts_with(['+', '-']);
    let (step, rest) = if stepped {
        number(rest).ok_or_else(unknown)?
    } else {
        (0.0, rest)
    };
    let count = match rest.strip_prefix('x') {
        // The first value and as many steps.
        Some(digits) => digits
            .parse::<u64>()
            .map_err(|_| unknown())?
            .saturating_add(1),
        None if rest.is_empty() && !stepped => 1,
        None => return Err(unknown()),
    };
    Ok(Run {
        first: Point::Float(first),
        step,
        count,
    })
}

/// Parses a leading number as Go does, without hexadecimal ones, and returns the rest.
fn number(text: &str) -> Option<(f64, &str)> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let sign = if text.starts_with('-') { -1.0 } else { 1.0 };
    for (word, value) in [("inf", f64::INFINITY), ("nan", f64::NAN)] {
        if unsigned
            .get(..3)
            .is_some_and(|start| start.eq_ignore_ascii_case(word))
        {
            return Some((sign * value, &unsigned[3..]));
        }
    }
    let mut end = digits(unsigned);
    if unsigned[end..].starts_with('.') {
        end += 1;
        end += digits(&unsigned[end..]);
    }
    if let Some(rest) = unsigned[end..].strip_prefix(['e', 'E']) {
        let signed = usize::from(rest.starts_with(['+', '-']));
        let length = digits(&rest[signed..]);
        end += if length > 0 { 1 + signed + length } else { 0 };
    }
    let value: f64 = unsigned[..end].parse().ok()?;
    Some((sign * value, &unsigned[end..]))
}

/// Returns the number of digits at the beginning of `text`.
fn digits(text: &str) -> usize {
    text.find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn floats(text: &str) -> Vec<f64> {
        let values = Values::parse(text).unwrap_or_else(|error| panic!("{text}: {error:?}"));
        values
            .points()
            .map(|point| match point {
                Point::Float(value) => value,
                Point::Missing => -1000.0,
                Point::Stale => -2000.0,
            })
            .collect()
    }

    #[test]
    fn all_forms() {
        for (text, expected) in [
            ("", &[][..]),
            ("1 2  -3\t4.5 +6", &[1.0, 2.0, -3.0, 4.5, 6.0]),
            ("0x3", &[0.0; 4]),
            ("0x10", &[0.0; 11]),
            ("1+2x3", &[1.0, 3.0, 5.0, 7.0]),
            ("1-2x2 9", &[1.0, -1.0, -3.0, 9.0]),
            ("-2+4x1", &[-2.0, 2.0]),
            ("1e1-1e-1x1", &[10.0, 9.9]),
            ("1+0x2", &[1.0, 1.0, 1.0]),
            (".5 5.", &[0.5, 5.0]),
            ("_ _x2 1", &[-1000.0, -1000.0, -1000.0, 1.0]),
            ("1 _x0 stale 2", &[1.0, -2000.0, 2.0]),
            ("Inf -inf", &[f64::INFINITY, f64::NEG_INFINITY]),
        ] {
            assert_eq!(floats(text), expected, "{text}");
        }
        assert!(floats("NaN")[0].is_nan());
        assert_eq!(floats("0+0.1x3")[3], 0.1 + 0.1 + 0.1);
    }

    #[test]
    fn what_is_none_is_named_with_its_place() {
        for (text, at) in [
            ("1 two", 2),
            ("1+1", 0),
            ("1+0", 0),
            ("1-0", 0),
            ("1x", 0),
            ("1x-1", 0),
            ("0x1x1", 0),
            ("1 1+x5", 2),
            ("stalex3", 0),
            ("_3", 0),
            ("1,2", 0),
            ("1x99999999999999999999", 0),
            ("-", 0),
            ("1 é", 2),
        ] {
            assert_eq!(
                Values::parse(text).map_err(|error| error.at),
                Err(at),
                "{text}"
            );
        }
        let error = Values::parse("1 {{schema:1}}x3").unwrap_err();
        assert!(error.message.contains("native histograms"), "{error:?}");
    }

    #[test]
    fn a_long_series_is_only_counted_off() {
        let values = Values::parse("1+1x18446744073709551615 5x18446744073709551615").unwrap();
        assert_eq!(values.len(), u64::MAX);
        assert_eq!(values.points().nth(9), Some(Point::Float(10.0)));
    }
}
