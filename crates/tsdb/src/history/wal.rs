//! The write-ahead log: what was appended, on disk before it is in a block.
//!
//! Segments of frames, each segment for samples of one block and self-contained: it names each
//! series before its first samples, and once more behind them.

mod inventory;
mod log;
mod record;
mod segment;
mod tail;

pub(super) use inventory::{Listed, read as read_inventory};
pub(super) use log::{Entry, Log, Shelf, sync_folder};
pub(super) use record::Record;
pub(super) use segment::{Segment, list, path, truncate};
pub use tail::{Cursor, Tail, TailBatch};
