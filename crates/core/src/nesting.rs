//! The limit of nesting for all parsers.

/// Deepest nesting that a parser accepts: brackets, blocks, signs before a value, operators in a
/// row. Parsers, evaluators and destructors recurse over the parsed tree on worker threads with
/// small stacks, so one limit holds for all of them, in `check` as in `run`.
pub const MAX_NESTING: usize = 100;
