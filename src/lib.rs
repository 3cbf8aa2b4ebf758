//! Bellwether: one binary and one YAML file, from collection to notification.
//!
//! # Map
//! Lower rooms never import higher ones; `tests/layers.rs` holds the tree to it.
//! - [`model`]: the words all rooms share. Plain data.
//! - [`declare`]: how a room declares its part of the YAML file.

pub mod declare;
pub mod model;
