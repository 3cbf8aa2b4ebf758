//! Typed sections of a YAML configuration, each declared once.
//!
//! [`section!`] and [`string_enum!`] turn one declaration into a struct or enum, its decoding with
//! defaults, and its part of the configuration reference and of the JSON Schema. A declaration is beside the code that
//! it configures; this crate knows no single section.
//!
//! - [`parse`] reads YAML into a tree of [`Node`]s, each with its line and column.
//! - [`Decode`] turns a node into a value. `${NAME}`, `${NAME:-default}` and `${NAME:?message}` are
//!   expanded from the environment.
//! - [`Diagnostics`] collects every finding of a file, so that all of them are reported at once.
//! - [`merge`] makes one tree of the files of a configuration.
//! - [`SectionDoc`] describes a section for the reference, and [`json_schema`] for editors.
//!
//! # Example
//!
//! ```
//! use bellwether_schema::{Decode, DecodeContext, Diagnostics, HumanDuration, parse, section};
//!
//! section! {
//!     /// A pool of connections.
//!     pub struct Pool {
//!         /// Maximum number of connections.
//!         pub size: u32 = 10,
//!         /// Longest wait for a connection.
//!         pub timeout: HumanDuration = HumanDuration::secs(5),
//!     }
//! }
//!
//! let no_environment = |_: &str| None;
//! let mut diagnostics = Diagnostics::default();
//!
//! let node = parse("size: 20").unwrap();
//! let pool = Pool::decode(&node, &mut DecodeContext::new(&mut diagnostics, &no_environment));
//! assert_eq!(pool.unwrap().size, 20);
//! assert!(diagnostics.is_empty());
//!
//! let node = parse("sise: 20").unwrap();
//! Pool::decode(&node, &mut DecodeContext::new(&mut diagnostics, &no_environment));
//! assert_eq!(
//!     diagnostics.into_sorted()[0].to_string(),
//!     "1:1: sise: unknown key \"sise\"\n  hint: did you mean \"size\"?",
//! );
//! ```

#![warn(missing_docs)]

mod choice;
mod decode;
mod diagnostics;
mod expand;
mod json_body;
pub mod json_schema;
mod matcher;
mod merge;
mod names;
mod quotes;
mod reference;
mod scalars;
mod section;
mod spans;
mod tree;

pub use choice::decode_choice;
pub use decode::{Decode, DecodeContext, Environment, MapReader, Places, blank};
pub use diagnostics::{Diagnostic, Diagnostics, SourceLocation, did_you_mean, similar_names};
pub use expand::is_reference;
pub use json_body::{from_json, ok_unless};
pub use matcher::Matcher;
pub use merge::{Override, merge};
pub use names::{
    check_label_name, check_label_names, check_metric_name, is_file_name, is_host_name,
};
pub use reference::{
    Choice, Constraint, FieldDoc, SectionDoc, Shape, Variant, flattened, join_constraints,
    join_doc, join_fields, sections_below,
};
pub use scalars::{HumanDuration, Literal, Secret, Size, Spanned, format_duration, parse_duration};
pub use section::{Section, key};
#[doc(hidden)]
pub use serde;
pub use spans::{Form, SpannedKey, SpannedNode, parse_spans};
pub use tree::{Key, Node, Pos, Value, YamlError, parse, parse_first, parse_numbered};

/// Returns a default value as JSON, for the reference.
#[doc(hidden)]
pub fn json(value: &impl serde::Serialize) -> Option<String> {
    serde_json::to_string(value).ok()
}
