//! Scanner of one line: names, label sets, numbers. Strict; never panics.

use std::collections::btree_map::Entry;

use bellwether_core::{Labels, METRIC_NAME, UnixMillis, is_label_name, is_metric_name};

use super::error::LineError;
use super::format::Format;
use super::go_quote::unquote;

/// The rest of a line.
#[derive(Clone, Copy)]
pub(super) struct Scanner<'a> {
    rest: &'a str,
    format: Format,
    /// Unescapes a label value.
    unescape: fn(&str) -> Result<String, LineError>,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(line: &'a str, format: Format) -> Self {
        let rest = if format == Format::Text {
            line.trim_start_matches(BLANK)
        } else {
            line
        };
        let unescape: fn(&str) -> _ = match format {
            Format::Text => |text| unescape(text, true),
            Format::OpenMetrics => |text| Ok(unescape_leniently(text)),
        };
        Self {
            rest,
            format,
            unescape,
        }
    }

    /// Creates a scanner for a line of `promtool tsdb dump`: text format, with label values in Go's
    /// quotes.
    pub(super) fn for_dump(line: &'a str) -> Self {
        Self {
            unescape: unquote,
            ..Self::new(line, Format::Text)
        }
    }

    /// Creates a scanner for the series of a scrape, as tolerant as Prometheus.
    pub(super) fn for_ingestion(series: &'a str) -> Self {
        Self {
            unescape: |text| Ok(unescape_leniently(text)),
            ..Self::new(series, Format::Text)
        }
    }

    pub(super) fn rest(&self) -> &'a str {
        self.rest
    }

    /// Returns whether the line ends here; in text, trailing blanks are ignored.
    pub(super) fn at_end(&self) -> bool {
        match self.format {
            Format::Text => self.rest.trim_start_matches(BLANK).is_empty(),
            Format::OpenMetrics => self.rest.is_empty(),
        }
    }

    /// Skips the separator: one space in OpenMetrics, one or more blanks in text.
    pub(super) fn gap(&mut self) -> Result<(), LineError> {
        let rest = match self.format {
            Format::Text => self.rest.trim_start_matches(BLANK),
            Format::OpenMetrics => self.rest.strip_prefix(' ').unwrap_or(self.rest),
        };
        if rest.len() == self.rest.len() {
            return Err(LineError::new(format!(
                "expected a space before: {:?}",
                self.rest
            )));
        }
        self.rest = rest;
        Ok(())
    }

    /// Skips `prefix` if it comes next, and returns whether it did.
    pub(super) fn eat(&mut self, prefix: &str) -> bool {
        match self.rest.strip_prefix(prefix) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// Reads the text up to the next blank.
    pub(super) fn word(&mut self) -> &'a str {
        self.take_until(|c| BLANK.contains(&c))
    }

    pub(super) fn metric_name(&mut self) -> Result<&'a str, LineError> {
        let name = self.take_until(|c| c == '{' || BLANK.contains(&c));
        if is_metric_name(name) {
            Ok(name)
        } else {
            Err(LineError::new(format!("bad metric name: {name:?}")))
        }
    }

    pub(super) fn value(&mut self) -> Result<f64, LineError> {
        let word = self.word();
        number(word).ok_or_else(|| LineError::new(format!("bad number: {word:?}")))
    }

    /// Reads a timestamp, which is milliseconds in text and seconds in OpenMetrics.
    pub(super) fn timestamp(&mut self) -> Result<UnixMillis, LineError> {
        let word = self.word();
        let millis = match self.format {
            Format::Text => word.parse().ok(),
            Format::OpenMetrics => number(word)
                .map(|seconds| (seconds * 1000.0).round())
                .filter(|millis| millis.is_finite())
                .map(|millis| millis as i64),
        };
        millis
            .map(UnixMillis)
            .ok_or_else(|| LineError::new(format!("bad timestamp: {word:?}")))
    }

    /// Reads a label set in braces; without braces it is empty.
    pub(super) fn labels(&mut self) -> Result<Labels, LineError> {
        let mut labels = Labels::new();
        self.braces(|line| {
            let name = line.bare_name(is_label_name)?.to_owned();
            let value = line.label_value(&name)?;
            insert(&mut labels, name, value)
        })?;
        Ok(labels)
    }

    /// Reads a label set whose names are any UTF-8, in quotes where Prometheus requires them. A quoted
    /// name without a value is the name of the metric and becomes the label `__name__`.
    pub(super) fn utf8_labels(&mut self) -> Result<Labels, LineError> {
        let mut labels = Labels::new();
        self.braces(|line| {
            let name = match line.eat("\"") {
                true => line.quoted()?,
                false => {
                    let name = line
                        .bare_name(|name| name == METRIC_NAME || is_label_name(name))?
                        .to_owned();
                    let value = line.label_value(&name)?;
                    return insert(&mut labels, name, value);
                }
            };
            line.skip_blanks();
            if line.rest.starts_with([',', '}']) {
                return insert(&mut labels, METRIC_NAME.to_owned(), name);
            }
            let value = line.label_value(&name)?;
            insert(&mut labels, name, value)
        })?;
        Ok(labels)
    }

    /// Calls `each` for every item in braces; reads nothing if there are no braces.
    fn braces(
        &mut self,
        mut each: impl FnMut(&mut Self) -> Result<(), LineError>,
    ) -> Result<(), LineError> {
        let before = *self;
        self.skip_blanks();
        if !self.eat("{") {
            *self = before;
            return Ok(());
        }
        self.skip_blanks();
        let mut first = true;
        while !self.eat("}") {
            if !std::mem::take(&mut first) {
                self.comma()?;
                if self.format == Format::Text && self.eat("}") {
                    break;
                }
            }
            each(self)?;
            self.skip_blanks();
        }
        Ok(())
    }

    fn comma(&mut self) -> Result<(), LineError> {
        if !self.eat(",") {
            return Err(LineError::new(format!(
                "expected ',' or '}}' before: {:?}",
                self.rest
            )));
        }
        self.skip_blanks();
        Ok(())
    }

    fn bare_name(&mut self, is_valid: impl Fn(&str) -> bool) -> Result<&'a str, LineError> {
        let name = self.take_until(|c| c == '=' || c == '}' || BLANK.contains(&c));
        if is_valid(name) {
            Ok(name)
        } else {
            Err(LineError::new(format!("bad label name: {name:?}")))
        }
    }

    /// Reads the value behind the label name `name`.
    fn label_value(&mut self, name: &str) -> Result<String, LineError> {
        self.skip_blanks();
        let equals = self.eat("=");
        self.skip_blanks();
        if !equals || !self.eat("\"") {
            return Err(LineError::new(format!(
                "expected =\"value\" after the label name: {name}"
            )));
        }
        self.quoted()
    }

    fn quoted(&mut self) -> Result<String, LineError> {
        let end =
            quoted_end(self.rest).ok_or_else(|| LineError::new("label value without an end"))?;
        let value = (self.unescape)(&self.rest[..end])?;
        self.rest = &self.rest[end + 1..];
        Ok(value)
    }

    fn skip_blanks(&mut self) {
        if self.format == Format::Text {
            self.rest = self.rest.trim_start_matches(BLANK);
        }
    }

    fn take_until(&mut self, stop: impl Fn(char) -> bool) -> &'a str {
        let (text, rest) = self
            .rest
            .split_at(self.rest.find(stop).unwrap_or(self.rest.len()));
        self.rest = rest;
        text
    }
}

const BLANK: [char; 2] = [' ', '\t'];

fn insert(labels: &mut Labels, name: String, value: String) -> Result<(), LineError> {
    match labels.entry(name) {
        Entry::Vacant(entry) => {
            entry.insert(value);
            Ok(())
        }
        Entry::Occupied(entry) => Err(LineError::new(format!(
            "label given twice: {}",
            entry.key()
        ))),
    }
}

/// Returns the index of the closing quote of a string, where `text` begins behind the opening quote.
/// A backslash escapes the next character.
#[must_use]
pub fn quoted_end(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.find(|c| {
        let ends = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    })
}

/// Unescapes a label value of OpenMetrics, in which a backslash before any other character is
/// literal.
pub(super) fn unescape_leniently(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, chars.as_str().chars().next()) {
            ('\\', Some(next @ ('\\' | 'n' | '"'))) => {
                chars.next();
                out.push(if next == 'n' { '\n' } else { next });
            }
            _ => out.push(c),
        }
    }
    out
}

/// Unescapes a label value or a help text; with `quotes`, `\"` is an escape, too.
pub(super) fn unescape(text: &str, quotes: bool) -> Result<String, LineError> {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('\\') => out.push('\\'),
            Some('n') => out.push('\n'),
            Some('"') if quotes => out.push('"'),
            Some(other) => return Err(LineError::new(format!("bad escape: \\{other}"))),
            None => return Err(LineError::new("lone backslash at the end")),
        }
    }
    Ok(out)
}

/// Parses a number of both formats: decimal, or infinity and NaN in any case.
pub(super) fn number(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let word = ["inf", "infinity", "nan"]
        .iter()
        .any(|word| unsigned.eq_ignore_ascii_case(word));
    let digits = unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    if word || digits {
        text.parse().ok()
    } else {
        None
    }
}
