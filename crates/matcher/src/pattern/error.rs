//! Reasons why a text is not a regular expression.

/// Error of an expression. The messages are those of Go's `regexp`, which Prometheus shows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// A `)` without `(`.
    #[error("unexpected )")]
    UnexpectedParenthesis,
    /// A `(` without `)`.
    // Shorter than Go's, as `regex-syntax` has it.
    #[error("unclosed group")]
    UnclosedGroup,
    /// A backslash at the end.
    #[error("trailing backslash at end of expression")]
    TrailingBackslash,
    /// A repetition operator that follows nothing.
    #[error("missing argument to repetition operator: `{0}`")]
    MissingRepeatArgument(String),
    /// Repetition operators one after the other.
    #[error("invalid nested repetition operator: `{0}`")]
    NestedRepetition(String),
    /// A repeat count that is too high, or a minimum above the maximum.
    #[error("invalid repeat count: `{0}`")]
    InvalidRepeatCount(String),
    /// A backslash before a character that it does not escape.
    #[error("invalid escape sequence: `{0}`")]
    InvalidEscape(String),
    /// A range that is upside down, or a class that does not exist.
    #[error("invalid character class range: `{0}`")]
    InvalidClassRange(String),
    /// A `[` without `]`; the text begins at the `[`.
    #[error("missing closing ]: `{0}`")]
    UnclosedClass(String),
    /// A character class that ends where a character is expected.
    #[error("missing closing ]")]
    UnfinishedClass,
    /// Syntax of Perl that RE2 does not have.
    #[error("invalid or unsupported Perl syntax: `{0}`")]
    UnsupportedSyntax(String),
    /// The automaton exceeds its limit of memory.
    #[error("regular expression is too large")]
    TooLarge,
    /// Rejected by `regex-automata`, with its reason.
    #[error("{0}")]
    Rejected(String),
}
