//! Line protocol of InfluxDB: `measurement,tag=value field=value timestamp`
//! (<https://docs.influxdata.com/influxdb/v2/reference/syntax/line-protocol/>). Pure.

use std::borrow::Cow;

use memchr::{memchr, memchr2, memchr3};

/// A point.
#[derive(Debug, PartialEq)]
pub(super) struct Point<'a> {
    pub(super) measurement: Cow<'a, str>,
    pub(super) tags: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    pub(super) fields: Vec<(Cow<'a, str>, Field)>,
}

/// Value of a field.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Field {
    Number(f64),
    Text,
}

/// Iterates over the lines with their numbers, from 1. A text may have line breaks in it; comments and empty lines are
/// left out.
pub(super) fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let (mut rest, mut next) = (text, 1);
    let all = std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = end_of_line(rest);
        let (line, number) = (&rest[..end], next);
        rest = rest.get(end + 1..).unwrap_or_default();
        next += 1 + line.matches('\n').count();
        Some((number, line.trim()))
    });
    all.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
}

fn end_of_line(text: &str) -> usize {
    // An apostrophe in a comment is none.
    if text.trim_start_matches([' ', '\t']).starts_with('#') {
        return text.find('\n').unwrap_or(text.len());
    }
    let end = memchr(b'\n', text.as_bytes()).unwrap_or(text.len());
    if memchr2(b'"', b'\\', &text.as_bytes()[..end]).is_none() {
        return end;
    }
    let mut scan = Scan::default();
    let end = text.bytes().position(|byte| {
        let is_plain = scan.is_plain(byte);
        scan.has_fields |= is_plain && byte == b' ';
        is_plain && byte == b'\n'
    });
    end.unwrap_or(text.len())
}

/// State of reading byte by byte.
#[derive(Default)]
struct Scan {
    is_escaped: bool,
    is_quoted: bool,
    /// Only there are texts in quotes.
    has_fields: bool,
}

impl Scan {
    /// Returns whether a byte may separate parts: it is neither escaped nor in quotes.
    fn is_plain(&mut self, byte: u8) -> bool {
        let was_escaped = std::mem::take(&mut self.is_escaped);
        match byte {
            // A line break cannot be escaped.
            b'\n' => !self.is_quoted,
            _ if was_escaped => false,
            b'\\' => {
                self.is_escaped = true;
                false
            }
            b'"' if self.has_fields => {
                self.is_quoted = !self.is_quoted;
                false
            }
            _ => !self.is_quoted,
        }
    }
}

/// Returns the timestamp at the end of a line, if there is one.
pub(super) fn timestamp(line: &str) -> Option<i64> {
    line.rsplit_once(' ')?.1.parse().ok()
}

impl<'a> Point<'a> {
    /// Parses a line.
    ///
    /// # Errors
    /// Returns what is wrong.
    pub(super) fn parse(line: &'a str) -> Result<Self, String> {
        let (key, rest) = split(line, b' ', false).ok_or("missing fields")?;
        let rest = rest.trim_start_matches(' ');
        let (fields, timestamp) = split(rest, b' ', true).unwrap_or((rest, ""));
        let mut parts = pieces(key, b',', false);
        let measurement = parts.next().filter(|name| !name.is_empty());
        let measurement = unescaped(measurement.ok_or("missing measurement")?);
        let tags = parts.map(|tag| match split(tag, b'=', false) {
            Some((name, value)) if !name.is_empty() && !value.is_empty() => {
                Ok((unescaped(name), unescaped(value)))
            }
            _ => Err(format!("invalid tag: {tag:?}")),
        });
        let tags = tags.collect::<Result<_, _>>()?;
        let fields = pieces(fields, b',', true).map(|field| match split(field, b'=', true) {
            Some((name, value)) if !name.is_empty() => Ok((unescaped(name), Field::parse(value)?)),
            _ => Err(format!("invalid field: {field:?}")),
        });
        let fields = fields.collect::<Result<_, String>>()?;
        let timestamp = timestamp.trim();
        if !timestamp.is_empty() && timestamp.parse::<i64>().is_err() {
            return Err(format!("invalid timestamp: {timestamp:?}"));
        }
        Ok(Self {
            measurement,
            tags,
            fields,
        })
    }
}

impl Field {
    fn parse(text: &str) -> Result<Self, String> {
        if text.len() >= 2 && text.starts_with('"') && text.ends_with('"') {
            return Ok(Self::Text);
        }
        let number = match text {
            "t" | "T" | "true" | "True" | "TRUE" => Some(1.0),
            "f" | "F" | "false" | "False" | "FALSE" => Some(0.0),
            _ => match text.as_bytes().last() {
                Some(b'i') => text[..text.len() - 1].parse::<i64>().ok().map(|n| n as f64),
                Some(b'u') => text[..text.len() - 1].parse::<u64>().ok().map(|n| n as f64),
                _ => text.parse().ok().filter(|number: &f64| number.is_finite()),
            },
        };
        number
            .map(Self::Number)
            .ok_or_else(|| format!("invalid value: {text:?}"))
    }
}

/// Splits at the first `separator` that is neither escaped nor, among fields, in quotes.
fn split(text: &str, separator: u8, has_fields: bool) -> Option<(&str, &str)> {
    let first = memchr3(separator, b'"', b'\\', text.as_bytes())?;
    if text.as_bytes()[first] == separator {
        return Some((&text[..first], &text[first + 1..]));
    }
    let mut scan = Scan {
        has_fields,
        ..Scan::default()
    };
    let at = text
        .bytes()
        .position(|byte| scan.is_plain(byte) && byte == separator)?;
    Some((&text[..at], &text[at + 1..]))
}

/// Iterates over the parts between `separator`s.
fn pieces(text: &str, separator: u8, has_fields: bool) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let (piece, after) = match split(text, separator, has_fields) {
            Some((piece, after)) => (piece, Some(after)),
            None => (text, None),
        };
        rest = after;
        Some(piece)
    })
}

/// Removes the backslash before a comma, an equals sign or a blank; any other stays.
fn unescaped(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') {
        return text.into();
    }
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(next) = chars.next() {
        let escapes = next == '\\' && chars.peek().is_some_and(|c| matches!(c, ',' | '=' | ' '));
        if !escapes {
            out.push(next);
        }
    }
    out.into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(line: &str) -> String {
        match Point::parse(line) {
            Ok(point) => format!(
                "{} {:?} {:?} {:?}",
                point.measurement,
                point.tags,
                point.fields,
                timestamp(line.trim())
            ),
            Err(error) => error,
        }
    }

    #[test]
    fn points_have_tags_fields_and_a_timestamp() {
        for (line, expected) in [
            (
                "cpu,host=a,core=0 user=1.5,busy=t,n=3i,u=4u 12",
                r#"cpu [("host", "a"), ("core", "0")] [("user", Number(1.5)), ("busy", Number(1.0)), ("n", Number(3.0)), ("u", Number(4.0))] Some(12)"#,
            ),
            (
                r#"my\ disk,pa\,th=C:\dir\ x text="a, b=\"c\" d",free=-1e3"#,
                r#"my disk [("pa,th", "C:\\dir x")] [("text", Text), ("free", Number(-1000.0))] None"#,
            ),
            ("m f=F   7 ", r#"m [] [("f", Number(0.0))] Some(7)"#),
        ] {
            assert_eq!(parsed(line), expected, "{line}");
        }
    }

    #[test]
    fn wrong_lines_are_errors() {
        for (line, expected) in [
            ("cpu", "missing fields"),
            (",a=b v=1", "missing measurement"),
            ("cpu,a v=1", "invalid tag: \"a\""),
            ("cpu,a= v=1", "invalid tag: \"a=\""),
            ("cpu v", "invalid field: \"v\""),
            ("cpu =1", "invalid field: \"=1\""),
            ("cpu v=x", "invalid value: \"x\""),
            ("cpu v=nan", "invalid value: \"nan\""),
            ("cpu v=1.5i", "invalid value: \"1.5i\""),
            ("cpu v=\"", "invalid value: \"\\\"\""),
            ("cpu v=1 now", "invalid timestamp: \"now\""),
            ("cpu v=1 1 2", "invalid timestamp: \"1 2\""),
        ] {
            assert_eq!(parsed(line), expected, "{line}");
        }
    }

    #[test]
    fn a_text_may_have_line_breaks() {
        let text = "# don't \"\na v=1\r\n\nb,t=\"x v=\"one\ntwo\" 5\nc v=2";
        let expected = [(2, "a v=1"), (4, "b,t=\"x v=\"one\ntwo\" 5"), (6, "c v=2")];
        assert_eq!(lines(text).collect::<Vec<_>>(), expected);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[a-b=, \\\\\"\n#1.ié]{0,60}") {
            for (_, line) in lines(&text) {
                let _ = Point::parse(line);
            }
        }
    }
}
