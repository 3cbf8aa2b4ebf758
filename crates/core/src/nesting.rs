//! How deep things may be nested.

/// Deepest nesting that any parser takes: brackets, blocks, signs before a value, operators in a
/// row. Parsers, evaluators and destructors recurse over what they read, on worker threads with
/// small stacks, so one number holds for all of them, in `check` as in `run`.
pub const MAX_NESTING: usize = 100;
