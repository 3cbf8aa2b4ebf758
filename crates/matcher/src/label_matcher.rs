//! Matchers that select series by their labels.

use std::sync::Arc;

use bellwether_core::LabelSet;

use super::pattern::{Pattern, PatternError};

/// The comparison of a matcher: a value equals a text, or matches a regular expression as a whole,
/// or the negation of either.
#[derive(Clone, Debug)]
pub struct ValueTest {
    negated: bool,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    Equal(Arc<str>),
    Regex(Pattern),
}

impl ValueTest {
    /// Matches only `value`; if `negated`, every other value.
    #[must_use]
    pub fn equal(value: &str, negated: bool) -> Self {
        Self {
            negated,
            kind: Kind::Equal(value.into()),
        }
    }

    /// Matches the values that the regular expression `source` matches as a whole; if `negated`, the
    /// others.
    ///
    /// # Errors
    /// `source` is not a valid regular expression, or too large.
    pub fn regex(source: &str, negated: bool) -> Result<Self, PatternError> {
        Ok(Self::from_pattern(Pattern::new(source)?, negated))
    }

    /// Matches the values that `pattern` matches; if `negated`, the others.
    #[must_use]
    pub fn from_pattern(pattern: Pattern, negated: bool) -> Self {
        Self {
            negated,
            kind: Kind::Regex(pattern),
        }
    }

    /// Returns whether `value` matches.
    #[must_use]
    pub fn matches(&self, value: &str) -> bool {
        let matches = match &self.kind {
            Kind::Equal(expected) => value == &**expected,
            Kind::Regex(pattern) => pattern.is_match(value),
        };
        matches != self.negated
    }

    /// Returns the only value that matches, if the test is an equality.
    #[must_use]
    pub fn exact(&self) -> Option<&str> {
        match &self.kind {
            Kind::Equal(value) if !self.negated => Some(value),
            _ => None,
        }
    }

    /// Estimates the memory of the test, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match &self.kind {
            Kind::Equal(value) => value.len(),
            Kind::Regex(pattern) => pattern.bytes(),
        }
    }

    /// Returns the operator in PromQL: `=`, `!=`, `=~` or `!~`.
    #[must_use]
    pub fn operator(&self) -> &'static str {
        match (&self.kind, self.negated) {
            (Kind::Equal(_), false) => "=",
            (Kind::Equal(_), true) => "!=",
            (Kind::Regex(_), false) => "=~",
            (Kind::Regex(_), true) => "!~",
        }
    }

    /// Returns the text behind the operator: the value or the regular expression.
    #[must_use]
    pub fn operand(&self) -> &str {
        match &self.kind {
            Kind::Equal(value) => value,
            Kind::Regex(pattern) => pattern.source(),
        }
    }
}

impl PartialEq for ValueTest {
    fn eq(&self, other: &Self) -> bool {
        (self.operator(), self.operand()) == (other.operator(), other.operand())
    }
}

/// A matcher of one label of a series. An absent label has the empty value.
#[derive(Clone, Debug, PartialEq)]
pub struct LabelMatcher {
    /// Name of the label; `__name__` for the name of the series.
    pub name: Arc<str>,
    /// Test of the value of the label.
    pub test: ValueTest,
}

impl LabelMatcher {
    /// Matches only series whose label `name` is `value`.
    #[must_use]
    pub fn equal(name: &str, value: &str) -> Self {
        Self {
            name: name.into(),
            test: ValueTest::equal(value, false),
        }
    }

    /// Returns whether a series with these labels matches.
    #[must_use]
    pub fn matches(&self, labels: &LabelSet) -> bool {
        self.test.matches(labels.get(&self.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn regex(name: &str, source: &str, negated: bool) -> LabelMatcher {
        LabelMatcher {
            name: name.into(),
            test: ValueTest::regex(source, negated).unwrap(),
        }
    }

    #[test]
    fn an_absent_label_is_the_empty_value() {
        let up = LabelSet::new([("__name__", "up"), ("job", "x")]);
        assert!(LabelMatcher::equal("__name__", "up").matches(&up));
        assert!(LabelMatcher::equal("gone", "").matches(&up));
        assert!(regex("job", "x|y", false).matches(&up));
        assert!(!regex("job", "x|y", true).matches(&up));
        assert!(regex("gone", "", false).matches(&up));
        assert!(!regex("job", "", false).matches(&up));
    }

    #[test]
    fn a_test_has_its_operator_and_operand() {
        let regex = ValueTest::regex("a.*", true).unwrap();
        assert_eq!(
            (regex.operator(), regex.operand(), regex.exact()),
            ("!~", "a.*", None)
        );
        assert_eq!(ValueTest::equal("a", false).exact(), Some("a"));
        assert_eq!(
            ValueTest::regex("a(", false).unwrap_err(),
            PatternError::UnclosedGroup
        );
    }
}
