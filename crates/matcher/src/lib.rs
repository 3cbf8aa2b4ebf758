//! Label matchers and the regular expressions of Prometheus (RE2), on bounded automata.
//!
//! Owns the translation of RE2 syntax and the cache of compiled expressions. No I/O.

#![warn(missing_docs)]

mod label_matcher;
mod pattern;

pub use label_matcher::{LabelMatcher, ValueTest};
pub use pattern::{Found, Pattern, Replacement, translate};
