//! Write-ahead log: samples on disk before they are in a block.
//!
//! The log consists of segments of frames. A segment has samples of one block and is self-contained: it
//! defines each series before its first samples, and once more behind them.

mod inventory;
mod log;
mod record;
mod segment;
mod tail;

pub(super) use inventory::{Listed, read as read_inventory};
pub(super) use log::{Entry, HeldSegment, Log, SegmentSet, sync_folder};
pub(super) use record::Record;
pub(super) use segment::{Segment, list, path, truncate};
pub use tail::{Cursor, Tail, TailBatch};
