//! Label matchers in the syntax of Alertmanager: `severity="critical", mount=~"/data.*"`.
//!
//! Syntax: <https://prometheus.io/docs/alerting/latest/configuration/#label-matchers>. A label that
//! is missing has the empty value; regular expressions match whole values.

use std::fmt;

use bellwether_matcher::ValueTest;
use bellwether_schema::{
    Decode, DecodeContext, Literal, MapReader, Matcher, Node, Shape, SourceLocation, Value,
};
use serde::{Serialize, Serializer};

use super::view::View;

/// Label matchers, of which all must match. Without any, everything matches.
#[derive(Clone, Debug, Default)]
pub struct Matchers {
    tests: Vec<(String, ValueTest)>,
    at: Option<SourceLocation>,
}

/// Compares the tests and not their location.
impl PartialEq for Matchers {
    fn eq(&self, other: &Self) -> bool {
        self.tests == other.tests
    }
}

impl Matchers {
    /// Parses `a="b", c=~"d|e"`, also in braces. Names and values may be quoted; unquoted values end
    /// at a comma or a brace.
    ///
    /// # Errors
    /// Invalid syntax or regular expression, as a sentence.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut reader = Reader(text.trim());
        if let Some(inner) = reader.0.strip_prefix('{') {
            let inner = inner.strip_suffix('}').ok_or("missing closing brace")?;
            reader.0 = inner.trim();
        }
        let mut tests = Vec::new();
        while !reader.0.is_empty() {
            tests.push(reader.test()?);
            reader.0 = reader.0.trim_start();
            match reader.0.strip_prefix(',') {
                Some(rest) => reader.0 = rest.trim_start(),
                None if reader.0.is_empty() => {}
                None => return Err(format!("expected a comma before {:?}", reader.0)),
            }
        }
        Ok(Self { tests, at: None })
    }

    /// Returns a matcher of one value of one label.
    #[must_use]
    pub fn equal(name: &str, value: &str) -> Self {
        Self {
            tests: vec![(name.to_owned(), ValueTest::equal(value, false))],
            at: None,
        }
    }

    /// Returns whether there are no matchers.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tests.is_empty()
    }

    /// Returns the number of matchers.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tests.len()
    }

    /// Returns their location in the configuration.
    #[must_use]
    pub fn at(&self) -> Option<&SourceLocation> {
        self.at.as_ref()
    }

    /// Returns each label with its test.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &ValueTest)> {
        self.tests.iter().map(|(name, test)| (name.as_str(), test))
    }

    /// Returns whether all match the labels of an alert.
    #[must_use]
    pub fn matches(&self, alert: &View<'_>) -> bool {
        self.tests
            .iter()
            .all(|(name, test)| test.matches(alert.label(name).unwrap_or("")))
    }

    /// Returns whether all match an alert without labels.
    #[must_use]
    pub fn match_empty(&self) -> bool {
        self.tests.iter().all(|(_, test)| test.matches(""))
    }

    /// Returns whether all alerts that match these match `other`, as far as can be decided without
    /// comparing two regular expressions: each test of `other` is one of these, accepts the only
    /// value that these allow, or accepts any value.
    #[must_use]
    pub fn implies(&self, other: &Self) -> bool {
        let value = |label: &String| {
            let own = self.tests.iter().filter(|(name, _)| name == label);
            own.filter_map(|(_, test)| test.exact()).next()
        };
        other.tests.iter().all(|test| {
            let (name, accepted) = test;
            let any = accepted.operator() == "=~" && accepted.operand() == ".*";
            any || self.tests.contains(test)
                || value(name).is_some_and(|value| accepted.matches(value))
        })
    }
}

impl fmt::Display for Matchers {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("{")?;
        for (number, (name, test)) in self.tests.iter().enumerate() {
            let comma = if number == 0 { "" } else { "," };
            write!(out, "{comma}{}", TestDisplay(name, test))?;
        }
        out.write_str("}")
    }
}

/// Formats one test so that it parses back.
struct TestDisplay<'a>(&'a str, &'a ValueTest);

impl fmt::Display for TestDisplay<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(name, test) = self;
        match name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':')
        {
            true => out.write_str(name)?,
            false => quote(name, out)?,
        }
        out.write_str(test.operator())?;
        quote(test.operand(), out)
    }
}

/// Writes `text` in quotes, with the escapes that the parser reads and no others: a tab stays a tab.
fn quote(text: &str, out: &mut fmt::Formatter<'_>) -> fmt::Result {
    use fmt::Write;
    out.write_char('"')?;
    for c in text.chars() {
        match c {
            '\n' => out.write_str("\\n")?,
            '"' | '\\' => write!(out, "\\{c}")?,
            c => out.write_char(c)?,
        }
    }
    out.write_char('"')
}

/// Parser of matchers; holds the rest of the text.
struct Reader<'a>(&'a str);

impl Reader<'_> {
    fn test(&mut self) -> Result<(String, ValueTest), String> {
        let name = self.word(|c| matches!(c, '=' | '!' | ',' | '}'))?;
        self.0 = self.0.trim_start();
        let operators = [
            ("=~", true, false),
            ("!~", true, true),
            ("!=", false, true),
            ("=", false, false),
        ];
        let Some((operator, regex, negated)) = operators
            .iter()
            .find(|(operator, ..)| self.0.starts_with(operator))
        else {
            return Err(format!("expected =, !=, =~ or !~ after {name:?}"));
        };
        if name.is_empty() {
            return Err(format!("missing label name before {operator}"));
        }
        self.0 = self.0[operator.len()..].trim_start();
        let value = self.word(|c| matches!(c, ',' | '}'))?;
        let test = if *regex {
            ValueTest::regex(&value, *negated)
                .map_err(|reason| format!("invalid regular expression {value:?}: {reason}"))?
        } else {
            ValueTest::equal(&value, *negated)
        };
        Ok((name, test))
    }

    /// Reads a quoted text, or the text before an `end`.
    fn word(&mut self, end: impl Fn(char) -> bool) -> Result<String, String> {
        let Some(quoted) = self.0.strip_prefix('"') else {
            let length = self.0.find(end).unwrap_or(self.0.len());
            let (word, rest) = self.0.split_at(length);
            self.0 = rest;
            let word = word.trim_end();
            return match word.contains('"') {
                true => Err(format!(
                    "quote inside of {word:?}: put the whole value in quotes"
                )),
                false => Ok(word.to_owned()),
            };
        };
        let mut word = String::new();
        let mut chars = quoted.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.0 = &quoted[at + 1..];
                    return Ok(word);
                }
                '\\' => match chars.next() {
                    Some((_, 'n')) => word.push('\n'),
                    Some((_, c @ ('"' | '\\'))) => word.push(c),
                    // As in Alertmanager: `\.` of a regular expression needs no second backslash.
                    Some((_, other)) => word.extend(['\\', other]),
                    None => break,
                },
                c => word.push(c),
            }
        }
        Err(format!("missing closing quote of \"{quoted}"))
    }
}

impl Serialize for Matchers {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(
            self.iter()
                .map(|(name, test)| TestDisplay(name, test).to_string()),
        )
    }
}

/// A matcher of Alertmanager's API.
struct ApiMatcher {
    name: Literal,
    value: Literal,
    regex: bool,
    equal: bool,
}

impl ApiMatcher {
    fn decode(node: &Node, cx: &mut DecodeContext<'_>) -> Option<Self> {
        let mut map = MapReader::open(node, cx)?;
        let (name, value) = (map.field("name", None), map.field("value", None));
        let (regex, equal) = (
            map.field("isRegex", Some(false)),
            map.field("isEqual", Some(true)),
        );
        map.finish();
        Some(Self {
            name: name?,
            value: value?,
            regex: regex?,
            equal: equal?,
        })
    }

    fn into_matchers(self) -> Result<Matchers, String> {
        let Self {
            name: Literal(name),
            value: Literal(value),
            regex,
            equal,
        } = self;
        let test = match regex {
            true => ValueTest::regex(&value, !equal)
                .map_err(|reason| format!("invalid regular expression {value:?}: {reason}"))?,
            false => ValueTest::equal(&value, !equal),
        };
        Ok(Matchers {
            tests: vec![(name, test)],
            at: None,
        })
    }
}

/// Decodes a text with matchers, a list of them as in Alertmanager's configuration or API, or a
/// mapping of labels as in the filters of channels.
impl Decode for Matchers {
    fn decode(node: &Node, cx: &mut DecodeContext<'_>) -> Option<Self> {
        let at = Some(cx.at(node.pos));
        let texts = match &node.value {
            Value::Map(_) => {
                let labels = std::collections::BTreeMap::<String, Matcher>::decode(node, cx)?;
                let tests = labels
                    .into_iter()
                    .map(|(name, matcher)| (name, matcher.test().clone()));
                return Some(Self {
                    tests: tests.collect(),
                    at,
                });
            }
            Value::List(texts) => texts.iter().collect(),
            _ => vec![node],
        };
        let mut tests = Vec::new();
        let mut is_valid = true;
        for text in texts {
            let parsed = match &text.value {
                Value::Map(_) => ApiMatcher::decode(text, cx).map(ApiMatcher::into_matchers),
                // Taken as written: a regular expression has `$` of its own.
                _ => Literal::decode(text, cx).map(|text| Self::parse(&text.0)),
            };
            match parsed {
                Some(Ok(matchers)) => tests.extend(matchers.tests),
                Some(Err(reason)) => {
                    cx.error(text.pos, reason)
                        .hint("such as severity=\"critical\" or mount=~\"/data.*\"");
                    is_valid = false;
                }
                None => is_valid = false,
            }
        }
        is_valid.then_some(Self { tests, at })
    }

    fn shape() -> Shape {
        Shape::Word(
            "matchers, taken as written: `a=\"b\"`, `a!=\"b\"`, `a=~\"regex\"`, `a!~\"regex\"`, or a list of them",
        )
    }

    fn absent() -> Option<Self> {
        Some(Self::default())
    }
}

#[cfg(test)]
mod tests {
    use bellwether_core::Labels;
    use bellwether_schema::{Diagnostics, parse};
    use proptest::prelude::*;

    use super::*;
    use crate::testing::alert;

    fn matches(matchers: &str, labels: &[(&str, &str)]) -> bool {
        let matchers = Matchers::parse(matchers).unwrap();
        matchers.matches(&View {
            alert: &alert("disk", labels),
            sender: &Labels::new(),
        })
    }

    #[test]
    fn operators_and_absent_labels() {
        for (matchers, labels, expected) in [
            ("a=b", &[("a", "b")][..], true),
            ("a=\"b\"", &[("a", "b")], true),
            ("{ a = \"b\" , c != d }", &[("a", "b")], true),
            ("a=b,c=d", &[("a", "b")], false),
            ("a=~\"b|c.*\"", &[("a", "cd")], true),
            ("a=~b", &[("a", "xb")], false),
            ("a!~b.*", &[("a", "bc")], false),
            ("a=\"\"", &[], true),
            ("a!=\"\"", &[], false),
            ("alertname=disk, severity=warning", &[], true),
            ("severity=critical", &[], false),
            ("\"a b\"=\"c, \\\"d\\\"\"", &[("a b", "c, \"d\"")], true),
            ("a=~\"\\d+\\.\"", &[("a", "12.")], true),
            ("", &[], true),
        ] {
            assert_eq!(
                matches(matchers, labels),
                expected,
                "{matchers} on {labels:?}"
            );
        }
    }

    #[test]
    fn parse_errors_say_why() {
        for (text, expected) in [
            ("a", "expected =, !=, =~ or !~ after \"a\""),
            ("=b", "missing label name before ="),
            ("a=b c=d=\"", "quote inside of"),
            ("a=\"b", "missing closing quote of \"b"),
            ("a=\"b\" c=d", "expected a comma before"),
            ("{a=b", "missing closing brace"),
            (
                "a=~\"(\"",
                "invalid regular expression \"(\": unclosed group",
            ),
        ] {
            let error = Matchers::parse(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn they_format_as_they_parse() {
        for text in ["{a=\"b\",c!~\"d|\\\"e\"}", "{}", "{\"a b\"=\"\\\\\"}"] {
            let read = Matchers::parse(text).unwrap();
            assert_eq!(read.to_string(), text);
            assert_eq!(Matchers::parse(&read.to_string()).unwrap(), read);
        }
    }

    proptest! {
        /// All matchers parse back from their text and from a file.
        #[test]
        fn matchers_parse_back(
            pairs in prop::collection::vec((any::<char>(), any::<String>(), any::<String>()), 0..4),
        ) {
            let mut tests = Vec::new();
            for (first, rest, value) in pairs {
                // A pattern with characters that need escapes.
                let pattern = format!("{}\\d+\\.\"\t", regex::escape(&value));
                tests.push((format!("{first}{rest}"), ValueTest::equal(&value, false)));
                tests.push((rest.clone() + "_", ValueTest::regex(&pattern, true).unwrap()));
            }
            let matchers = Matchers { tests, at: None };
            prop_assert_eq!(&Matchers::parse(&matchers.to_string()).unwrap(), &matchers);
            let saved = serde_json::to_string(&matchers).unwrap();
            let lines: Vec<String> = serde_json::from_str(&saved).unwrap();
            let read = lines.iter().flat_map(|line| Matchers::parse(line).unwrap().tests);
            prop_assert_eq!(read.collect::<Vec<_>>(), matchers.tests);
        }
    }

    #[test]
    fn each_form_of_the_setting_decodes() {
        for text in [
            "['a=b', 'c=~\"d.*\"']",
            "'a=b, c=~\"d.*\"'",
            "{a: b, c: '=~d.*'}",
        ] {
            let mut diagnostics = Diagnostics::default();
            let node = parse(text).unwrap();
            let read =
                Matchers::decode(&node, &mut DecodeContext::new(&mut diagnostics, &|_| None))
                    .unwrap();
            assert_eq!(read.to_string(), "{a=\"b\",c=~\"d.*\"}", "{text}");
        }
        let mut diagnostics = Diagnostics::default();
        let node = parse("['a=b', 'c']").unwrap();
        assert!(
            Matchers::decode(&node, &mut DecodeContext::new(&mut diagnostics, &|_| None)).is_none()
        );
        let diagnostics = diagnostics.into_sorted();
        assert!(
            diagnostics[0].to_string().starts_with("1:9: expected ="),
            "{}",
            diagnostics[0]
        );
    }

    #[test]
    fn more_tests_imply_fewer() {
        let read = |text| Matchers::parse(text).unwrap();
        assert!(read("a=b,c=d").implies(&read("a=b")));
        assert!(read("a=b").implies(&read("")));
        assert!(!read("a=b").implies(&read("a=b,c=d")));
        assert!(read("a=b,c=d").implies(&read("a=~\"b|x\",c!=x")));
        assert!(!read("a=b").implies(&read("a=~\"x|y\"")));
        assert!(read("a=b").implies(&read("c=~\".*\"")));
        assert!(
            !read("a=~\"b|x\"").implies(&read("a=~\"b|x|y\"")),
            "regular expressions are not compared"
        );
    }
}
