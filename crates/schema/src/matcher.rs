//! Matchers of label values in the configuration: `x`, `=x`, `!=x`, `=~regex`, `!~regex`.

use std::fmt;

use bellwether_matcher::ValueTest;
use serde::{Serialize, Serializer};

use super::decode::{Decode, DecodeContext};
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
    /// The reason, if the regular expression is invalid.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (negated, is_regex, operand) = split(text);
        let test = if is_regex {
            ValueTest::regex(operand, negated)?
        } else {
            ValueTest::equal(operand, negated)
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

    /// Splits the matcher: whether it is negated, whether it is a regular expression, and its
    /// operand.
    #[must_use]
    pub fn parts(&self) -> (bool, bool, &str) {
        split(&self.text)
    }

    /// Returns the test of the value, to select series with.
    #[must_use]
    pub fn test(&self) -> &ValueTest {
        &self.test
    }
}

/// Splits a matcher: whether it is negated, whether it is a regular expression, and its operand.
fn split(text: &str) -> (bool, bool, &str) {
    for (operator, negated, is_regex) in [
        ("=~", false, true),
        ("!~", true, true),
        ("!=", true, false),
        ("=", false, false),
    ] {
        if let Some(operand) = text.strip_prefix(operator) {
            return (negated, is_regex, operand);
        }
    }
    (false, false, text)
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
        let text = if split(raw).1 {
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
        Shape::Word("matcher: `x`, `!=x`, `=~regex` or `!~regex`")
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
        let exact = |text| Matcher::parse(text).unwrap().exact().map(str::to_owned);
        assert_eq!(
            ["a", "=a", ""].map(exact),
            [Some("a".into()), Some("a".into()), Some("".into())]
        );
        assert_eq!(["!=a", "=~a", "!~a"].map(exact), [None, None, None]);
    }

    #[test]
    fn a_broken_expression_says_why() {
        assert_eq!(Matcher::parse("=~a(").unwrap_err(), "unclosed group");
    }
}
