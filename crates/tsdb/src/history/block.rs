//! Blocks: immutable files of samples.

mod group;
pub(super) mod inventory;
mod name;
mod read;
mod shelf;
mod write;

pub(super) use read::Block;
pub(super) use shelf::{Shelf, sweep};
pub use write::BlockWriter;
