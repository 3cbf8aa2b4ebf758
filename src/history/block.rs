//! Blocks: immutable files of samples.

mod write;

pub use write::BlockWriter;
