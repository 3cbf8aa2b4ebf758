//! Blocks: immutable files of samples.

mod group;
mod name;
mod read;
mod shelf;
mod write;

pub(super) use shelf::{Shelf, sweep};
pub use write::BlockWriter;
