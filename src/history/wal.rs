//! The write-ahead log: what was appended, on disk before it is in a block.

mod tail;

pub use tail::{Cursor, Tail, TailBatch};
