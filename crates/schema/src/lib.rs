//! How a room declares its part of the YAML file: sections as data, each beside the code it sets up.
//!
//! Owns the spanned YAML tree, the expansion of `${...}`, decoding with all problems of a file
//! collected, and the description that the configuration reference is generated from. Knows
//! nothing of any single section.

#![warn(missing_docs)]

mod choice;
mod decode;
mod expand;
mod matcher;
mod names;
mod problems;
mod quotes;
mod reference;
mod scalars;
mod section;
mod tree;

pub use choice::decode_choice;
pub use decode::{Decode, DecodeContext, Environment, MapReader, blank};
pub use matcher::Matcher;
pub use names::{check_label_names, check_metric_name, is_file_name, is_host_name};
pub use problems::{Diagnostic, Diagnostics, SourceLocation, did_you_mean};
pub use reference::{FieldDoc, SectionDoc, Shape, join_doc, sections_below};
pub use scalars::{HumanDuration, Literal, Secret, Size, Spanned, format_duration, parse_duration};
pub use section::{Section, key};
#[doc(hidden)]
pub use serde;
pub use tree::{Key, Node, Pos, Value, parse, parse_first};

/// JSON of a default value, for the reference.
#[doc(hidden)]
pub fn json(value: &impl serde::Serialize) -> Option<String> {
    serde_json::to_string(value).ok()
}
