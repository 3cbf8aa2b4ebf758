//! Expressions over metrics: text to a typed program, and its evaluation.
//!
//! evalexpr parses (operators and their precedence); its evaluator stays out, for `7/2` is 3
//! there, `f == 4` is false for 4.0, `&&` does not short-circuit and its string functions can
//! panic. Here every number is a float, types are checked at load, and what is not known stays
//! unknown: NaN compares to nothing, `true || unknown` is true.

mod call;
mod lower;
mod program;
mod scan;

pub use lower::{Formula, Outcome, compile};
pub use program::{Function, Number, Operator, Test};

/// What is wrong with an expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where: the character, from 1.
    pub column: Option<usize>,
    /// What.
    pub message: String,
    /// How to mend it.
    pub hint: Option<String>,
}

impl Fault {
    fn new(column: impl Into<Option<usize>>, message: impl Into<String>) -> Self {
        Self {
            column: column.into(),
            message: message.into(),
            hint: None,
        }
    }

    fn hint(self, hint: impl Into<String>) -> Self {
        Self {
            hint: Some(hint.into()),
            ..self
        }
    }
}

#[cfg(test)]
mod tests;
