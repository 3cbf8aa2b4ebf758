//! Label matchers and regular expressions of Prometheus, with bounded memory.
//!
//! [`LabelMatcher`] is one matcher of a selector: `job="api"`, `job=~"api|web"` or their negations.
//! [`Pattern`] is a regular expression in RE2 syntax that matches a text as a whole, as in
//! Prometheus. It runs on the automata of `regex-automata`; [`translate`] maps the syntax.
//! [`PatternError`] has the messages of Go's `regexp`. [`Replacement`] inserts capture groups into a
//! text.
//!
//! The size of a compiled expression is limited, and [`Pattern::bytes`] returns it, so that
//! expressions from untrusted queries can be charged against a budget. Compiled expressions are
//! cached for the whole process. No I/O.
//!
//! # Example
//!
//! ```
//! use bellwether_core::LabelSet;
//! use bellwether_matcher::{LabelMatcher, ValueTest};
//!
//! # fn main() -> Result<(), bellwether_matcher::PatternError> {
//! let matcher = LabelMatcher {
//!     name: "job".into(),
//!     test: ValueTest::regex("api|web.*", false)?,
//! };
//! assert!(matcher.matches(&LabelSet::new([("__name__", "up"), ("job", "web-1")])));
//! assert!(!matcher.matches(&LabelSet::new([("__name__", "up")])));
//! # Ok(())
//! # }
//! ```

#![warn(missing_docs)]

mod label_matcher;
mod pattern;

pub use label_matcher::{LabelMatcher, ValueTest};
pub use pattern::{Captures, Pattern, PatternError, Replacement, translate};
