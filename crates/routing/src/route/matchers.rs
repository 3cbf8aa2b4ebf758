//! Label matchers in the syntax of Alertmanager: `severity="critical", mount=~"/data.*"`.
//!
//! Syntax: <https://prometheus.io/docs/alerting/latest/configuration/#label-matchers>. A label that
//! is missing has the empty value; regular expressions match whole values.

mod decode;
mod reader;

use std::fmt;

use bellwether_matcher::ValueTest;
use bellwether_schema::SourceLocation;
pub use reader::MatchersError;
use reader::Reader;
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
    /// Returns an error if the syntax or a regular expression is invalid.
    pub fn parse(text: &str) -> Result<Self, MatchersError> {
        Reader::new(text)?.read().map(Self::from_tests)
    }

    fn from_tests(tests: Vec<(String, ValueTest)>) -> Self {
        Self { tests, at: None }
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

impl Serialize for Matchers {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(
            self.iter()
                .map(|(name, test)| TestDisplay(name, test).to_string()),
        )
    }
}

#[cfg(test)]
mod tests {
    use bellwether_core::Labels;
    use bellwether_schema::{Decode, DecodeContext, Diagnostics, parse};
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
            let error = Matchers::parse(text).unwrap_err().to_string();
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
