//! Settings as JSON: bodies of requests, which have the keys of the configuration.

use super::decode::{Decode, DecodeContext};
use super::diagnostics::Diagnostics;
use super::tree::parse;

/// Decodes settings from JSON.
///
/// # Errors
/// Invalid JSON or settings, as a sentence.
pub fn from_json<T: Decode>(json: &[u8]) -> Result<T, String> {
    let value: serde_json::Value =
        serde_json::from_slice(json).map_err(|error| error.to_string())?;
    // Formatted anew, since YAML does not have every escape of JSON.
    let node = parse(&value.to_string()).map_err(|error| error.message)?;
    let mut diagnostics = Diagnostics::default();
    match T::decode(&node, &mut DecodeContext::new(&mut diagnostics, &|_| None)) {
        Some(settings) => ok_unless(settings, diagnostics),
        None => Err(format_problems(diagnostics)),
    }
}

/// Returns `value` unless there are `diagnostics`.
///
/// # Errors
/// The diagnostics, as a sentence.
pub fn ok_unless<T>(value: T, diagnostics: Diagnostics) -> Result<T, String> {
    if diagnostics.is_empty() {
        Ok(value)
    } else {
        Err(format_problems(diagnostics))
    }
}

/// Formats diagnostics without positions, which a request does not show.
fn format_problems(diagnostics: Diagnostics) -> String {
    diagnostics
        .into_sorted()
        .iter()
        .map(|problem| {
            let path = if problem.location.path.is_empty() {
                ""
            } else {
                ": "
            };
            let hint = problem
                .help
                .as_ref()
                .map(|hint| format!(" ({hint})"))
                .unwrap_or_default();
            format!("{}{path}{}{hint}", problem.location.path, problem.message)
        })
        .collect::<Vec<_>>()
        .join("; ")
}
