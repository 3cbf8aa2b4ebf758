//! Expressions over metrics: parsing to a typed program, and its evaluation.
//!
//! evalexpr parses operators and their precedence. Its evaluator is not used: there `7/2` is 3, `f
//! == 4` is false for 4.0, `&&` does not short-circuit and string functions can panic. Here every
//! number is a float, types are checked at load, and unknown stays unknown: NaN compares to
//! nothing, `true || unknown` is true.

mod call;
mod lower;
mod program;
mod scan;

use bellwether_core::MetricDef;
use bellwether_schema::did_you_mean;

pub use lower::{Formula, Outcome, compile};
pub use program::{Function, Number, Operator, Test};

/// Error in an expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExprError {
    /// Column, from 1.
    pub column: Option<usize>,
    pub message: String,
    pub hint: Option<String>,
}

impl ExprError {
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

/// Returns the hint for the name of a metric that is not configured.
pub(crate) fn unknown_metric_hint(name: &str, metrics: &[MetricDef]) -> String {
    did_you_mean(name, metrics.iter().map(|def| &*def.name)).unwrap_or_else(|| {
        "a series that one of `collectors` brings is used with `promql`".to_owned()
    })
}

#[cfg(test)]
mod tests;
