//! Unit tests of rules: series in, alerts and answers of queries out, on virtual time.
//!
//! Owns the format of test files (promtool's, and what goes beyond it), the world that a test runs
//! in, and the comparison. Everything that judges is what runs live. Reads no file and prints
//! nothing.

mod beyond;
mod case;
mod diff;
mod message;
mod notation;
mod series;
mod settings;
mod stage;
mod subject;

use bellwether_schema::{Decode, DecodeContext, Diagnostic, Diagnostics, SourceLocation, parse};
pub use case::{Verdict, name, run};
pub use diff::{Failure, Line};
pub use settings::{Case, Suite};
pub use subject::Subject;

/// Reads a file of tests.
///
/// # Errors
/// All that is wrong with it.
pub fn read(text: &str) -> Result<Suite, Vec<Diagnostic>> {
    let mut problems = Diagnostics::default();
    let suite = match parse(text) {
        Ok(node) => Suite::decode(&node, &mut DecodeContext::new(&mut problems, &|_| None)),
        Err((pos, message)) => {
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
