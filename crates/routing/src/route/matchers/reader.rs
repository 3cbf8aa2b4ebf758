//! Parser of the text of matchers.

use bellwether_matcher::ValueTest;

/// Error of parsing matchers.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MatchersError {
    /// A brace is not closed.
    #[error("missing closing brace")]
    MissingBrace,
    /// Two matchers are not separated; has the text after the first.
    #[error("expected a comma before {0:?}")]
    MissingComma(String),
    /// A label name is not followed by an operator.
    #[error("expected =, !=, =~ or !~ after {0:?}")]
    MissingOperator(String),
    /// An operator has no label name before it.
    #[error("missing label name before {0}")]
    MissingName(&'static str),
    /// A quote begins within a text.
    #[error("quote inside of {0:?}: put the whole value in quotes")]
    QuoteInside(String),
    /// A quote is not closed; has the text after it.
    #[error("missing closing quote of \"{0}")]
    MissingQuote(String),
    /// The regular expression is invalid.
    #[error("invalid regular expression {value:?}: {reason}")]
    InvalidRegex {
        /// The regular expression.
        value: String,
        /// Its error.
        reason: String,
    },
}

/// Returns the test of a label's value by the regular expression `value`.
pub(super) fn regex(value: &str, negated: bool) -> Result<ValueTest, MatchersError> {
    ValueTest::regex(value, negated).map_err(|reason| MatchersError::InvalidRegex {
        value: value.to_owned(),
        reason: reason.to_string(),
    })
}

/// Operator of a matcher.
struct Operator {
    text: &'static str,
    is_regex: bool,
    negated: bool,
}

/// All operators; one comes before those that begin it.
const OPERATORS: [Operator; 4] = [
    operator("=~", true, false),
    operator("!~", true, true),
    operator("!=", false, true),
    operator("=", false, false),
];

const fn operator(text: &'static str, is_regex: bool, negated: bool) -> Operator {
    Operator {
        text,
        is_regex,
        negated,
    }
}

/// Parser of matchers; holds the rest of the text.
pub(super) struct Reader<'a>(&'a str);

impl<'a> Reader<'a> {
    /// Begins to read `text`, which may be in braces.
    pub(super) fn new(text: &'a str) -> Result<Self, MatchersError> {
        let text = text.trim();
        let Some(inner) = text.strip_prefix('{') else {
            return Ok(Self(text));
        };
        let inner = inner.strip_suffix('}');
        Ok(Self(inner.ok_or(MatchersError::MissingBrace)?.trim()))
    }

    /// Reads labels with their tests to the end.
    pub(super) fn read(mut self) -> Result<Vec<(String, ValueTest)>, MatchersError> {
        let mut tests = Vec::new();
        while !self.0.is_empty() {
            tests.push(self.test()?);
            self.0 = self.0.trim_start();
            match self.0.strip_prefix(',') {
                Some(rest) => self.0 = rest.trim_start(),
                None if self.0.is_empty() => {}
                None => return Err(MatchersError::MissingComma(self.0.to_owned())),
            }
        }
        Ok(tests)
    }

    fn test(&mut self) -> Result<(String, ValueTest), MatchersError> {
        let name = self.word(|c| matches!(c, '=' | '!' | ',' | '}'))?;
        let operator = self.operator(&name)?;
        let value = self.word(|c| matches!(c, ',' | '}'))?;
        let test = match operator.is_regex {
            true => regex(&value, operator.negated)?,
            false => ValueTest::equal(&value, operator.negated),
        };
        Ok((name, test))
    }

    /// Reads the operator after the label `name`, with the white space around it.
    fn operator(&mut self, name: &str) -> Result<&'static Operator, MatchersError> {
        self.0 = self.0.trim_start();
        let operator = OPERATORS
            .iter()
            .find(|operator| self.0.starts_with(operator.text))
            .ok_or_else(|| MatchersError::MissingOperator(name.to_owned()))?;
        if name.is_empty() {
            return Err(MatchersError::MissingName(operator.text));
        }
        self.0 = self.0[operator.text.len()..].trim_start();
        Ok(operator)
    }

    /// Reads a quoted text, or the text before an `end`.
    fn word(&mut self, end: impl Fn(char) -> bool) -> Result<String, MatchersError> {
        if let Some(quoted) = self.0.strip_prefix('"') {
            return self.quoted(quoted);
        }
        let (word, rest) = self.0.split_at(self.0.find(end).unwrap_or(self.0.len()));
        self.0 = rest;
        let word = word.trim_end().to_owned();
        match word.contains('"') {
            true => Err(MatchersError::QuoteInside(word)),
            false => Ok(word),
        }
    }

    /// Reads the text that is `quoted`, which begins after its first quote.
    fn quoted(&mut self, quoted: &'a str) -> Result<String, MatchersError> {
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
        Err(MatchersError::MissingQuote(quoted.to_owned()))
    }
}
