//! Unit tests of rules on virtual time: series in, alerts and query results out.
//!
//! Owns the format of test files (promtool's with extensions), the world that a test runs in, and
//! the comparison. Evaluation is the live code. Reads no file and prints nothing.

mod case;
mod diff;
mod extensions;
mod message;
mod rules_under_test;
mod series;
mod series_notation;
mod settings;
mod test_world;

use bellwether_schema::{
    Decode, DecodeContext, Diagnostic, Diagnostics, SourceLocation, YamlError, parse,
};
pub use case::{TestResult, name, run};
pub use diff::{Failure, Line};
pub use rules_under_test::RulesUnderTest;
pub use settings::{Case, Suite};

/// Parses a test file.
///
/// # Errors
/// Every problem of the file.
pub fn read(text: &str) -> Result<Suite, Vec<Diagnostic>> {
    let mut problems = Diagnostics::default();
    let suite = match parse(text) {
        Ok(node) => Suite::decode(&node, &mut DecodeContext::new(&mut problems, &|_| None)),
        Err(YamlError { at: pos, message }) => {
            problems.error(
                &SourceLocation {
                    pos,
                    ..SourceLocation::default()
                },
                message,
            );
            None
        }
    };
    if let Some(suite) = &suite {
        settings::check(suite, &mut problems);
    }
    match suite {
        Some(suite) if problems.is_empty() => Ok(suite),
        _ => Err(problems.into_sorted()),
    }
}
