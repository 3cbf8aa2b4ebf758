//! Matchers of label values in the configuration: `x`, `=x`, `!=x`, `=~regex`, `!~regex`.

use std::fmt;

use bellwether_matcher::{PatternError, ValueTest};
use serde::{Serialize, Serializer};

use super::decode::{Decode, DecodeContext};
use super::json_schema;
use super::reference::Shape;
use super::tree::Node;

/// A matcher of one label's value. An absent label has the empty value, and a regular expression
/// must match the whole value, both as in Prometheus.
#[derive(Clone, Debug)]
pub struct Matcher {
    text: String,
    test: ValueTest,
}

impl Matcher {
    /// Parses a matcher.
    ///
    /// # Errors
    /// The regular expression is invalid.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let test = match split(text) {
            ("=~", operand) => ValueTest::regex(operand, false)?,
            ("!~", operand) => ValueTest::regex(operand, true)?,
            (operator, operand) => ValueTest::equal(operand, operator == "!="),
        };
        Ok(Self {
            text: text.to_owned(),
            test,
        })
    }

    /// Returns whether `value` matches.
    #[must_use]
    pub fn matches(&self, value: &str) -> bool {
        self.test.matches(value)
    }

    /// Returns the only value that matches, if the matcher is an equality.
    #[must_use]
    pub fn exact(&self) -> Option<&str> {
        self.test.exact()
    }

    /// Returns the test of the value, to select series with.
    #[must_use]
    pub fn test(&self) -> &ValueTest {
        &self.test
    }
}

/// Splits a matcher into its operator, which may be absent, and its operand.
fn split(text: &str) -> (&str, &str) {
    let operator = ["=~", "!~", "!=", "="]
        .into_iter()
        .find(|operator| text.starts_with(operator))
        .unwrap_or_default();
    (operator, &text[operator.len()..])
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl fmt::Display for Matcher {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text)
    }
}

impl Serialize for Matcher {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl Decode for Matcher {
    fn decode(node: &Node, cx: &mut DecodeContext<'_>) -> Option<Self> {
        let raw = cx.raw(node, "a matcher such as x, !=x, =~regex or !~regex")?;
        // No expansion in a regular expression: its `$` are anchors.
        let text = if split(raw).0.ends_with('~') {
            raw.to_owned()
        } else {
            cx.text(node)?
        };
        match Matcher::parse(&text) {
            Ok(matcher) => Some(matcher),
            Err(reason) => {
                cx.error(
                    node.pos,
                    format!("invalid regular expression {text:?}: {reason}"),
                );
                None
            }
        }
    }
    fn shape() -> Shape {
        Shape::Word(
            "matcher: `x`, `!=x`, `=~regex` or `!~regex`",
            json_schema::text,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(matcher: &str, accepts: &[&str], rejects: &[&str]) {
        let parsed = Matcher::parse(matcher).unwrap();
        for value in accepts {
            assert!(parsed.matches(value), "{matcher} should accept {value:?}");
        }
        for value in rejects {
            assert!(!parsed.matches(value), "{matcher} should reject {value:?}");
        }
    }

    #[test]
    fn operators() {
        check("a", &["a"], &["", "b", "aa"]);
        check("=a", &["a"], &["=a", ""]);
        check("", &[""], &["a"]);
        check("!=a", &["", "b"], &["a"]);
        check("=~a|b.*", &["a", "b", "bc", "b\nc"], &["", "ab", "xa"]);
        check("!~a|b.*", &["", "ab"], &["a", "bc"]);
        check("=~", &[""], &["a"]);
    }

    #[test]
    fn only_plain_comparisons_are_exact() {
        for (text, exact) in [
            ("a", Some("a")),
            ("=a", Some("a")),
            ("", Some("")),
            ("!=a", None),
            ("=~a", None),
            ("!~a", None),
        ] {
            assert_eq!(Matcher::parse(text).unwrap().exact(), exact, "{text}");
        }
    }

    #[test]
    fn a_broken_expression_says_why() {
        assert_eq!(
            Matcher::parse("=~a(").unwrap_err(),
            PatternError::UnclosedGroup
        );
    }
}
