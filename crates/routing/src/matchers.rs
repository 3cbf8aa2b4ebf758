//! Matchers of labels as Alertmanager writes them: `severity="critical", mount=~"/data.*"`.
//!
//! Syntax: <https://prometheus.io/docs/alerting/latest/configuration/#label-matchers>. A label that
//! is absent has the empty value; regular expressions match whole values.

use std::fmt;

use bellwether_matcher::ValueTest;
use bellwether_schema::{
    Decode, DecodeContext, Literal, MapReader, Matcher, Node, Shape, SourceLocation, Value,
};
use serde::{Serialize, Serializer};

use super::view::View;

/// Tests of labels; all must pass. None of them: everything passes.
#[derive(Clone, Debug, Default)]
pub struct Matchers {
    tests: Vec<(String, ValueTest)>,
    at: Option<SourceLocation>,
}

/// Where they stand in the file does not matter.
impl PartialEq for Matchers {
    fn eq(&self, other: &Self) -> bool {
        self.tests == other.tests
    }
}

impl Matchers {
    /// Reads `a="b", c=~"d|e"`, also in braces. Names and values may be quoted; values that are
    /// not end at a comma or a brace.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut reader = Reader(text.trim());
        if let Some(inner) = reader.0.strip_prefix('{') {
            let inner = inner
                .strip_suffix('}')
                .ok_or("the closing brace is missing")?;
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

    /// The matcher that accepts one value of one label.
    #[must_use]
    pub fn equal(name: &str, value: &str) -> Self {
        Self {
            tests: vec![(name.to_owned(), ValueTest::equal(value, false))],
            at: None,
        }
    }

    /// Whether everything passes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tests.is_empty()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tests.len()
    }

    /// Their place in the declaration.
    #[must_use]
    pub fn at(&self) -> Option<&SourceLocation> {
        self.at.as_ref()
    }

    /// Each label with its test.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &ValueTest)> {
        self.tests.iter().map(|(name, test)| (name.as_str(), test))
    }

    /// Whether all pass.
    #[must_use]
    pub fn matches(&self, alert: &View<'_>) -> bool {
        self.tests
            .iter()
            .all(|(name, test)| test.accepts(alert.label(name).unwrap_or("")))
    }

    /// Whether all would pass an alert without any labels.
    #[must_use]
    pub fn accept_nothing(&self) -> bool {
        self.tests.iter().all(|(_, test)| test.accepts(""))
    }

    /// Whether whatever passes these passes `other`, as far as can be said without comparing two
    /// regular expressions: each of its tests is one of these, accepts the one value that these
    /// leave, or accepts any.
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
                || value(name).is_some_and(|value| accepted.accepts(value))
        })
    }
}

impl fmt::Display for Matchers {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("{")?;
        for (number, (name, test)) in self.tests.iter().enumerate() {
            let comma = if number == 0 { "" } else { "," };
            write!(out, "{comma}{}", Written(name, test))?;
        }
        out.write_str("}")
    }
}

/// One of them, as it reads back.
struct Written<'a>(&'a str, &'a ValueTest);

impl fmt::Display for Written<'_> {
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

/// In quotes, with the escapes that are read, and no others: a tab stays one.
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

/// What is left to read.
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
        let found = operators
            .iter()
            .find(|(operator, ..)| self.0.starts_with(operator));
        let Some((operator, regex, negated)) = found else {
            return Err(format!("expected =, !=, =~ or !~ behind {name:?}"));
        };
        if name.is_empty() {
            return Err(format!("a label's name is missing before {operator}"));
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

    /// A quoted text, or what comes before an `end`.
    fn word(&mut self, end: impl Fn(char) -> bool) -> Result<String, String> {
        let Some(quoted) = self.0.strip_prefix('"') else {
            let length = self.0.find(end).unwrap_or(self.0.len());
            let (word, rest) = self.0.split_at(length);
            self.0 = rest;
            let word = word.trim_end();
            return match word.contains('"') {
                true => Err(format!(
                    "a quote within {word:?}: put it in quotes as a whole"
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
                    // As in Alertmanager: `\.` of a regular expression need not be doubled.
                    Some((_, other)) => word.extend(['\\', other]),
                    None => break,
                },
                c => word.push(c),
            }
        }
        Err(format!("the closing quote of \"{quoted} is missing"))
    }
}

impl Serialize for Matchers {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(
            self.iter()
                .map(|(name, test)| Written(name, test).to_string()),
        )
    }
}

/// A matcher as Alertmanager's API has it.
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

    fn matchers(self) -> Result<Matchers, String> {
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

/// A text with matchers, a list of them as Alertmanager has it (in its configuration or its API),
/// or a mapping of labels as channels have it.
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
        let mut whole = true;
        for text in texts {
            let one = match &text.value {
                Value::Map(_) => ApiMatcher::decode(text, cx).map(ApiMatcher::matchers),
                // Taken as written: a regular expression has `$` of its own.
                _ => Literal::decode(text, cx).map(|text| Self::parse(&text.0)),
            };
            match one {
                Some(Ok(one)) => tests.extend(one.tests),
                Some(Err(reason)) => {
                    cx.error(text.pos, reason)
                        .hint("severity=\"critical\", or mount=~\"/data.*\"");
                    whole = false;
                }
                None => whole = false,
            }
        }
        whole.then_some(Self { tests, at })
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
    use crate::samples::alert;

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
    fn what_cannot_be_read_says_why() {
        for (text, expected) in [
            ("a", "expected =, !=, =~ or !~ behind \"a\""),
            ("=b", "a label's name is missing before ="),
            ("a=b c=d=\"", "a quote within"),
            ("a=\"b", "the closing quote of \"b is missing"),
            ("a=\"b\" c=d", "expected a comma before"),
            ("{a=b", "the closing brace is missing"),
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
    fn they_print_as_they_read() {
        for text in ["{a=\"b\",c!~\"d|\\\"e\"}", "{}", "{\"a b\"=\"\\\\\"}"] {
            let read = Matchers::parse(text).unwrap();
            assert_eq!(read.to_string(), text);
            assert_eq!(Matchers::parse(&read.to_string()).unwrap(), read);
        }
    }

    proptest! {
        /// Whatever is in them, they are read back the same from what is printed and from a file.
        #[test]
        fn nothing_is_lost_in_print(
            pairs in prop::collection::vec((any::<char>(), any::<String>(), any::<String>()), 0..4),
        ) {
            let mut tests = Vec::new();
            for (first, rest, value) in pairs {
                // What a pattern of people may hold, too.
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
    fn each_form_of_the_declaration() {
        for text in [
            "['a=b', 'c=~\"d.*\"']",
            "'a=b, c=~\"d.*\"'",
            "{a: b, c: '=~d.*'}",
        ] {
            let mut problems = Diagnostics::default();
            let node = parse(text).unwrap();
            let read =
                Matchers::decode(&node, &mut DecodeContext::new(&mut problems, &|_| None)).unwrap();
            assert_eq!(read.to_string(), "{a=\"b\",c=~\"d.*\"}", "{text}");
        }
        let mut problems = Diagnostics::default();
        let node = parse("['a=b', 'c']").unwrap();
        assert!(
            Matchers::decode(&node, &mut DecodeContext::new(&mut problems, &|_| None)).is_none()
        );
        let problems = problems.into_sorted();
        assert!(
            problems[0].to_string().starts_with("1:9: expected ="),
            "{}",
            problems[0]
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
            "not looked into"
        );
    }
}
