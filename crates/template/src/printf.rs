//! Go's `printf` and `print`, for the values that templates have.
//!
//! Source: the package documentation of Go's `fmt`.

use std::fmt::Write;

use bellwether_core::MAX_NESTING;
use minijinja::value::ValueKind;
use minijinja::{Error, Value};

use super::functions::{invalid, number, text};
use super::humanize::general;

/// Widest field and longest fraction: a format must not fill the memory.
const MAX_WIDTH: usize = 1_000;

/// One `%` of a format.
#[derive(Debug, Default)]
struct Verb {
    plus: bool,
    minus: bool,
    space: bool,
    zero: bool,
    sharp: bool,
    width: usize,
    precision: Option<usize>,
    verb: char,
}

/// Formats values in a row, with a space between two that are not texts.
pub(super) fn print(values: &[Value]) -> String {
    let mut out = String::new();
    let mut spaced = false;
    for value in values {
        let number = value.kind() == ValueKind::Number;
        if spaced && number {
            out.push(' ');
        }
        out.push_str(&plain(value));
        spaced = number;
    }
    out
}

/// `format` with its verbs filled in.
pub(super) fn printf(format: &str, values: &[Value]) -> Result<String, Error> {
    let mut out = String::with_capacity(format.len());
    let mut values = values.iter();
    let mut rest = format;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        let (verb, after) = verb(&rest[at + 1..])?;
        rest = after;
        match verb.verb {
            '%' => out.push('%'),
            _ => match values.next() {
                Some(value) => out.push_str(&verb.filled(value)),
                None => write!(out, "%!{}(MISSING)", verb.verb).unwrap_or_default(),
            },
        }
    }
    out.push_str(rest);
    let extra: Vec<String> = values.map(go_debug).collect();
    if !extra.is_empty() {
        write!(out, "%!(EXTRA {})", extra.join(", ")).unwrap_or_default();
    }
    Ok(out)
}

/// Reads what follows a `%`.
fn verb(text: &str) -> Result<(Verb, &str), Error> {
    let mut parsed = Verb::default();
    let end = text.find(|c| !"+- 0#".contains(c)).unwrap_or(text.len());
    let (flags, mut rest) = text.split_at(end);
    for flag in flags.chars() {
        match flag {
            '+' => parsed.plus = true,
            '-' => parsed.minus = true,
            ' ' => parsed.space = true,
            '0' => parsed.zero = true,
            _ => parsed.sharp = true,
        }
    }
    (parsed.width, rest) = digits(rest)?;
    if let Some(after) = rest.strip_prefix('.') {
        let (precision, after) = digits(after)?;
        (parsed.precision, rest) = (Some(precision), after);
    }
    let verb = rest
        .chars()
        .next()
        .ok_or_else(|| invalid("printf: a % at the end".into()))?;
    parsed.verb = verb;
    Ok((parsed, &rest[verb.len_utf8()..]))
}

fn digits(text: &str) -> Result<(usize, &str), Error> {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    if end == 0 {
        return Ok((0, text));
    }
    let count = text[..end]
        .parse()
        .ok()
        .filter(|count| *count <= MAX_WIDTH)
        .ok_or_else(|| invalid(format!("printf: at most {MAX_WIDTH} wide")))?;
    Ok((count, &text[end..]))
}

impl Verb {
    fn filled(&self, value: &Value) -> String {
        let body = match self.verb {
            's' | 'v' => self.cut(plain(value)),
            'q' => format!("{:?}", self.cut(text(value))),
            't' => text(value),
            'x' | 'X' if value.kind() == ValueKind::String => text(value)
                .bytes()
                .fold(String::new(), |hex, byte| hex + &format!("{byte:02x}")),
            verb => match number(value) {
                Ok(number) => match self.number(number) {
                    Some(body) => body,
                    None => return format!("%!{verb}({})", go_debug(value)),
                },
                Err(_) => return format!("%!{verb}({})", go_debug(value)),
            },
        };
        let body = if matches!(self.verb, 'X' | 'G') {
            body.to_uppercase()
        } else {
            body
        };
        self.padded(body)
    }

    fn cut(&self, text: String) -> String {
        match self.precision {
            Some(most) if self.verb != 'v' => text.chars().take(most).collect(),
            _ => text,
        }
    }

    fn number(&self, value: f64) -> Option<String> {
        let magnitude = value.abs();
        let body = match self.verb {
            _ if !value.is_finite() => plain(&Value::from(magnitude)),
            'f' | 'F' => format!("{magnitude:.*}", self.precision.unwrap_or(6)),
            'e' | 'E' => exponent(magnitude, self.precision.unwrap_or(6), self.verb),
            'g' | 'G' => match self.precision {
                Some(precision) => general(magnitude, precision.max(1)),
                None => shortest(magnitude),
            },
            'd' | 'x' | 'X' | 'o' | 'b' | 'c' if value.fract() == 0.0 && magnitude < 1e18 => {
                let whole = magnitude as u64;
                match self.verb {
                    'd' => whole.to_string(),
                    'o' => format!("{whole:o}"),
                    'b' => format!("{whole:b}"),
                    'c' => char::from_u32(whole as u32)?.to_string(),
                    _ if self.sharp => format!("0x{whole:x}"),
                    _ => format!("{whole:x}"),
                }
            }
            _ => return None,
        };
        let sign = match value {
            _ if value.is_sign_negative() && !value.is_nan() => "-",
            _ if self.plus || value == f64::INFINITY => "+",
            _ if self.space => " ",
            _ => "",
        };
        Some(format!("{sign}{}", body.trim_start_matches('+')))
    }

    fn padded(&self, body: String) -> String {
        let missing = self.width.saturating_sub(body.chars().count());
        match (
            self.minus,
            self.zero && !matches!(self.verb, 's' | 'v' | 'q' | 't'),
        ) {
            _ if missing == 0 => body,
            (true, _) => body + &" ".repeat(missing),
            (false, true) => {
                let signed = usize::from(body.starts_with(['+', '-', ' ']));
                format!(
                    "{}{}{}",
                    &body[..signed],
                    "0".repeat(missing),
                    &body[signed..]
                )
            }
            (false, false) => " ".repeat(missing) + &body,
        }
    }
}

/// Formats as `%v`.
fn plain(value: &Value) -> String {
    printed(value, 0)
}

fn printed(value: &Value, depth: usize) -> String {
    match value.kind() {
        _ if depth > MAX_NESTING => "...".into(),
        ValueKind::Number => match f64::try_from(value.clone()) {
            Ok(number) => shortest(number),
            Err(_) => text(value),
        },
        ValueKind::Seq | ValueKind::Iterable => {
            let items = value.try_iter().into_iter().flatten();
            format!(
                "[{}]",
                items
                    .map(|item| inside(&item, depth))
                    .collect::<Vec<_>>()
                    .join(" ")
            )
        }
        ValueKind::Map => {
            let mut pairs: Vec<(String, String)> = value
                .try_iter()
                .into_iter()
                .flatten()
                .filter_map(|key| Some((text(&key), inside(&value.get_item(&key).ok()?, depth))))
                .collect();
            pairs.sort();
            let pairs: Vec<String> = pairs.iter().map(|(k, v)| format!("{k}:{v}")).collect();
            format!("map[{}]", pairs.join(" "))
        }
        _ => text(value),
    }
}

/// Formats with the fewest digits that identify the number, with an exponent from a million on.
fn shortest(value: f64) -> String {
    if !value.is_finite() {
        return general(value, 6);
    }
    let magnitude = value.abs();
    match magnitude {
        0.0 => "0".into(),
        _ if (1e-4..1e6).contains(&magnitude) => format!("{value}"),
        _ => {
            let shown = format!("{value:e}");
            let (mantissa, exponent) = shown.split_once('e').unwrap_or((&shown, "0"));
            let exponent: i32 = exponent.parse().unwrap_or_default();
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{mantissa}e{sign}{:02}", exponent.abs())
        }
    }
}

/// Prints a value inside of a list or a map.
fn inside(value: &Value, depth: usize) -> String {
    match value.kind() {
        ValueKind::Undefined | ValueKind::None => "<nil>".to_owned(),
        _ => printed(value, depth + 1),
    }
}

fn exponent(value: f64, precision: usize, verb: char) -> String {
    let shown = format!("{value:.precision$e}");
    let (mantissa, exponent) = shown.split_once('e').unwrap_or((&shown, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}{verb}{sign}{:02}", exponent.abs())
}

/// Formats a value that does not fit its verb, as Go does.
fn go_debug(value: &Value) -> String {
    match value.kind() {
        ValueKind::Number => format!("float64={}", plain(value)),
        ValueKind::Undefined | ValueKind::None => "<nil>".into(),
        _ => format!("string={}", text(value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expected texts are the output of Go 1.24.
    #[test]
    fn numbers_and_texts_are_those_of_go() {
        let cases: &[(&str, &[Value], &str)] = &[
            (
                "%v %v %v",
                &[100_000.into(), 1_000_000.into(), 0.1.into()],
                "100000 1e+06 0.1",
            ),
            (
                "%g %.3g",
                &[1_234_567.into(), 91.27.into()],
                "1.234567e+06 91.3",
            ),
            (
                "%8.2f|%-8.1f|%08.2f|%+.1e",
                &[(-2.5).into(), (-2.5).into(), (-2.5).into(), (-2.5).into()],
                "   -2.50|-2.5    |-0002.50|-2.5e+00",
            ),
            (
                "%5s|%-5s|%q",
                &["x".into(), "x".into(), "a\"b".into()],
                "    x|x    |\"a\\\"b\"",
            ),
            (
                "%.2s %5.1f%% %6d|%-6d|%06d",
                &["abc".into(), 12.345.into(), 42.into(), 42.into(), 42.into()],
                "ab  12.3%     42|42    |000042",
            ),
            (
                "%x %X %#x %o %b %c %x",
                &[
                    255.into(),
                    255.into(),
                    255.into(),
                    8.into(),
                    5.into(),
                    65.into(),
                    "hi".into(),
                ],
                "ff FF 0xff 10 101 A 6869",
            ),
            (
                "%f %e %G %+d % d %t",
                &[
                    1.into(),
                    1.into(),
                    1e-10.into(),
                    5.into(),
                    5.into(),
                    true.into(),
                ],
                "1.000000 1.000000e+00 1E-10 +5  5 true",
            ),
            (
                "%d %.1f %f",
                &[1.5.into(), "x".into(), f64::INFINITY.into()],
                "%!d(float64=1.5) %!f(string=x) +Inf",
            ),
            ("%s %d", &["a".into()], "a %!d(MISSING)"),
            ("%s", &["a".into(), "b".into()], "a%!(EXTRA string=b)"),
        ];
        for (format, values, expected) in cases {
            assert_eq!(printf(format, values).unwrap(), *expected, "{format}");
        }
        assert_eq!(
            print(&["a".into(), 1.into(), 2.into(), "b".into(), 3.5.into()]),
            "a1 2b3.5"
        );
        assert!(printf("%999999d", &[1.into()]).is_err());
        assert!(printf("5%", &[]).is_err());
    }
}
