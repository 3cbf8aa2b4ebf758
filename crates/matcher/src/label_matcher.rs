//! What selects series by their labels.

use std::sync::Arc;

use bellwether_core::LabelSet;

use super::pattern::Pattern;

/// A test of one value: equal to a text or matched whole by a regular expression, or neither.
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
    /// Accepts `value` only; `negated`: all but it.
    #[must_use]
    pub fn equal(value: &str, negated: bool) -> Self {
        Self {
            negated,
            kind: Kind::Equal(value.into()),
        }
    }

    /// Accepts values that `source` matches as a whole; `negated`: those it does not.
    ///
    /// # Errors
    /// Why `source` is no regular expression, in one line.
    pub fn regex(source: &str, negated: bool) -> Result<Self, String> {
        Ok(Self::matching(Pattern::new(source)?, negated))
    }

    /// Accepts values that `pattern` matches; `negated`: those it does not.
    #[must_use]
    pub fn matching(pattern: Pattern, negated: bool) -> Self {
        Self {
            negated,
            kind: Kind::Regex(pattern),
        }
    }

    /// Whether it accepts `value`.
    #[must_use]
    pub fn accepts(&self, value: &str) -> bool {
        let equal = match &self.kind {
            Kind::Equal(expected) => value == &**expected,
            Kind::Regex(pattern) => pattern.is_match(value),
        };
        equal != self.negated
    }

    /// The one value it accepts, if it is a plain comparison.
    #[must_use]
    pub fn exact(&self) -> Option<&str> {
        match &self.kind {
            Kind::Equal(value) if !self.negated => Some(value),
            _ => None,
        }
    }

    /// Bytes that it takes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match &self.kind {
            Kind::Equal(value) => value.len(),
            Kind::Regex(pattern) => pattern.bytes(),
        }
    }

    /// The operator as PromQL writes it: `=`, `!=`, `=~`, `!~`.
    #[must_use]
    pub fn operator(&self) -> &'static str {
        match (&self.kind, self.negated) {
            (Kind::Equal(_), false) => "=",
            (Kind::Equal(_), true) => "!=",
            (Kind::Regex(_), false) => "=~",
            (Kind::Regex(_), true) => "!~",
        }
    }

    /// What follows the operator.
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

/// A test of one label of a series. A label that is absent has the empty value.
#[derive(Clone, Debug, PartialEq)]
pub struct LabelMatcher {
    /// Which label; `__name__` for the series' name.
    pub name: Arc<str>,
    /// What its value must pass.
    pub test: ValueTest,
}

impl LabelMatcher {
    /// A matcher that accepts `value` only.
    #[must_use]
    pub fn equal(name: &str, value: &str) -> Self {
        Self {
            name: name.into(),
            test: ValueTest::equal(value, false),
        }
    }

    /// Whether it accepts a series.
    #[must_use]
    pub fn accepts(&self, labels: &LabelSet) -> bool {
        self.test.accepts(labels.get(&self.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absent_label_is_the_empty_value() {
        let up = LabelSet::new([("__name__", "up"), ("job", "x")]);
        let regex = |name: &str, source, negated| LabelMatcher {
            name: name.into(),
            test: ValueTest::regex(source, negated).unwrap(),
        };
        assert!(LabelMatcher::equal("__name__", "up").accepts(&up));
        assert!(LabelMatcher::equal("gone", "").accepts(&up));
        assert!(regex("job", "x|y", false).accepts(&up));
        assert!(!regex("job", "x|y", true).accepts(&up));
        assert!(regex("gone", "", false).accepts(&up));
        assert!(!regex("job", "", false).accepts(&up));
    }

    #[test]
    fn a_test_tells_what_it_was_made_of() {
        let regex = ValueTest::regex("a.*", true).unwrap();
        assert_eq!(
            (regex.operator(), regex.operand(), regex.exact()),
            ("!~", "a.*", None)
        );
        assert_eq!(ValueTest::equal("a", false).exact(), Some("a"));
        assert_eq!(ValueTest::regex("a(", false).unwrap_err(), "unclosed group");
    }
}
