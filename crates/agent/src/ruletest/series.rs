//! The name and labels of a series as promtool writes them: `up{job="x"}`, `{}`.

use bellwether_core::{LabelSet, METRIC_NAME, is_label_name};

use super::series_notation::NotationError;

const FORM: &str = "a series is written up{job=\"x\"}";

/// Parses name and labels; an empty text is a series without labels.
///
/// # Errors
/// The text is not a series.
pub fn parse(text: &str) -> Result<LabelSet, NotationError> {
    let mut reader = Reader {
        text,
        at: text.len() - text.trim_start().len(),
    };
    let mut pairs: Vec<(String, String)> = Vec::new();
    let name = reader.word(|c| c.is_ascii_alphanumeric() || "_:".contains(c));
    if name.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(reader.error_at(0, format!("no name of a series: {name:?}")));
    }
    if !name.is_empty() {
        pairs.push((METRIC_NAME.to_owned(), name.to_owned()));
    }
    if reader.consume('{') {
        reader.labels(&mut pairs)?;
    }
    match reader.rest() {
        "" => Ok(LabelSet::new(pairs)),
        rest => Err(reader.error(format!("unexpected {rest:?}"))),
    }
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Reader<'t> {
    fn error(&self, message: String) -> NotationError {
        self.error_at(self.at, message)
    }

    fn error_at(&self, at: usize, message: String) -> NotationError {
        NotationError {
            at,
            message,
            hint: FORM,
        }
    }

    /// Returns the rest without leading blanks.
    fn rest(&mut self) -> &'t str {
        let rest = &self.text[self.at..];
        let trimmed = rest.trim_start();
        self.at += rest.len() - trimmed.len();
        trimmed
    }

    fn consume(&mut self, wanted: char) -> bool {
        let found = self.rest().starts_with(wanted);
        self.at += if found { wanted.len_utf8() } else { 0 };
        found
    }

    fn word(&mut self, belongs: impl Fn(char) -> bool) -> &'t str {
        let rest = self.rest();
        let end = rest.find(|c| !belongs(c)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    /// Parses labels after `{`, including the `}`.
    fn labels(&mut self, pairs: &mut Vec<(String, String)>) -> Result<(), NotationError> {
        loop {
            if self.consume('}') {
                return Ok(());
            }
            let start = self.at;
            let (name, quoted) = match self.rest().starts_with(['"', '\'', '`']) {
                true => (self.quoted()?, true),
                false => {
                    let word = self.word(|c| c.is_ascii_alphanumeric() || c == '_');
                    (word.to_owned(), false)
                }
            };
            let (name, value) = match self.consume('=') {
                true if quoted || is_label_name(&name) || name == METRIC_NAME => {
                    (name, self.quoted()?)
                }
                true => return Err(self.error_at(start, format!("no label name: {name:?}"))),
                // A quoted name of the series.
                false if quoted => (METRIC_NAME.to_owned(), name),
                false => return Err(self.error("expected `=` and a value in quotes".into())),
            };
            if pairs.iter().any(|(known, _)| *known == name) {
                return Err(self.error_at(start, format!("the label {name:?} is given twice")));
            }
            pairs.push((name, value));
            if !self.consume(',') && !self.rest().starts_with('}') {
                return Err(self.error("expected `,` or `}`".into()));
            }
        }
    }

    /// Parses a quoted string, with Go's escapes unless the quotes are backticks.
    fn quoted(&mut self) -> Result<String, NotationError> {
        let rest = self.rest();
        let start = self.at;
        let Some(quote) = rest.chars().next().filter(|c| "\"'`".contains(*c)) else {
            return Err(self.error("expected a value in quotes".into()));
        };
        let mut value = String::new();
        let mut chars = rest.char_indices().skip(1);
        while let Some((at, c)) = chars.next() {
            if c == quote {
                self.at = start + at + 1;
                return Ok(value);
            }
            if c != '\\' || quote == '`' {
                value.push(c);
                continue;
            }
            let escaped = match chars.next().map(|(_, c)| c) {
                Some('n') => Some('\n'),
                Some('t') => Some('\t'),
                Some('r') => Some('\r'),
                Some(c @ ('\\' | '"' | '\'')) => Some(c),
                Some(kind @ ('x' | 'u' | 'U')) => {
                    let length = if kind == 'x' {
                        2
                    } else if kind == 'u' {
                        4
                    } else {
                        8
                    };
                    let digits: String = chars.by_ref().take(length).map(|(_, c)| c).collect();
                    u32::from_str_radix(&digits, 16)
                        .ok()
                        .and_then(char::from_u32)
                }
                _ => None,
            };
            let Some(escaped) = escaped else {
                return Err(self.error_at(start + at, "no escape that is known".into()));
            };
            value.push(escaped);
        }
        Err(self.error_at(start, "a quote without an end".into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_read() {
        for (text, expected) in [
            ("up", "up"),
            (" up {} ", "up"),
            ("{}", "{}"),
            ("", "{}"),
            ("up{job=\"x\"}", "up{job=\"x\"}"),
            ("a:b{ job = 'x' , b=`\\n`, }", "a:b{b=\"\\\\n\", job=\"x\"}"),
            ("{__name__=\"up\",a=\"\"}", "up"),
            (
                "{\"http.requests\", \"a.b\"=\"c\"}",
                "{\"http.requests\", \"a.b\"=\"c\"}",
            ),
            ("x{a=\"\\\"\\x41\\u00e9\\\\}\"}", "x{a=\"\\\"Aé\\\\}\"}"),
        ] {
            let read = parse(text).unwrap_or_else(|error| panic!("{text}: {error:?}"));
            assert_eq!(read.to_string(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_none_is_named_with_its_place() {
        for (text, at) in [
            ("9up", 0),
            ("up{", 3),
            ("up{job}", 6),
            ("up{job=x}", 7),
            ("up{job=\"x}", 7),
            ("up{job=\"x\" b=\"y\"}", 11),
            ("up{a=\"1\",a=\"2\"}", 9),
            ("up{a=\"\\q\"}", 6),
            ("up{a=\"\\ud800\"}", 6),
            ("up 1", 3),
            ("up{9=\"x\"}", 3),
            ("up{é=\"x\"}", 3),
        ] {
            assert_eq!(parse(text).map_err(|error| error.at), Err(at), "{text}");
        }
    }
}
