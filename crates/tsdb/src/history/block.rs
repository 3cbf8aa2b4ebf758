//! Blocks: immutable files of samples.

mod group;
pub(super) mod inventory;
mod name;
mod read;
mod set;
mod write;

pub(super) use read::Block;
pub(super) use set::{BlockSet, sweep};
pub use write::BlockWriter;
