//! Options, statistics and losses of a history.

use std::path::PathBuf;
use std::time::Duration;

use bellwether_core::UnixMillis;

/// Directory and limits of a history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Directory, which is created if it is missing; `None` for a history in memory.
    pub folder: Option<PathBuf>,
    /// Age at which samples are deleted.
    pub retention: Duration,
    /// Maximum number of bytes on disk, blocks and write-ahead log together.
    pub max_bytes: u64,
    /// Maximum number of series.
    pub max_series: usize,
    /// Maximum number of bytes of samples held in memory.
    pub max_memory: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            folder: None,
            retention: Duration::from_secs(15 * 24 * 3600),
            max_bytes: 1_000_000_000,
            max_series: 100_000,
            max_memory: 64_000_000,
        }
    }
}

/// Rejected samples, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rejected {
    /// The series already has a sample at that time.
    pub duplicate: u64,
    /// The sample came with a time of its own, and the series has a later one.
    pub out_of_order: u64,
    /// The series was new and the limit of series was reached.
    pub series_limit: u64,
    /// The series was removed since its id was requested.
    pub unknown: u64,
}

impl Rejected {
    /// Returns the number for all reasons.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.duplicate + self.out_of_order + self.series_limit + self.unknown
    }
}

/// Damaged and missing parts, which are left out so that the rest remains readable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    /// Bytes of an unfinished write that were cut off at the end of the write-ahead log.
    pub torn_bytes: u64,
    /// Damaged places in the write-ahead log that were skipped.
    pub wal_frames: u64,
    /// Segments of the write-ahead log that are missing, truncated or unreadable.
    pub wal_segments: u64,
    /// Damaged chunks of blocks, which queries leave out.
    pub chunks: u64,
    /// Unreadable blocks that were renamed to `.damaged`.
    pub blocks: u64,
    /// Blocks that were deleted by others.
    pub missing_blocks: u64,
}

impl Losses {
    /// Returns whether nothing was lost.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Returns the number of damaged and missing parts, without unfinished writes.
    #[must_use]
    pub fn pieces(&self) -> u64 {
        self.wal_frames + self.wal_segments + self.chunks + self.blocks + self.missing_blocks
    }
}

/// Result of opening a history.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Samples read back from the write-ahead log.
    pub samples: u64,
    /// Number of series.
    pub series: u64,
    /// Number of blocks.
    pub blocks: u64,
    /// Damaged and missing parts.
    pub losses: Losses,
    /// Reason why history is in memory although it has a directory, with a hint.
    pub error: Option<String>,
}

/// Statistics of a history since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Series in memory or in a block.
    pub series: u64,
    /// Samples that are not yet in a block.
    pub head_samples: u64,
    /// Bytes of memory of samples that are not yet in a block.
    pub head_bytes: u64,
    /// Blocks on disk.
    pub blocks: u64,
    /// Samples in blocks.
    pub block_samples: u64,
    /// Bytes of blocks on disk.
    pub block_bytes: u64,
    /// Bytes of the write-ahead log.
    pub wal_bytes: u64,
    /// Samples accepted since the start.
    pub appended: u64,
    /// Samples rejected since the start.
    pub rejected: Rejected,
    /// Accepted samples that never reached the write-ahead log, because the disk was full or too slow.
    pub dropped: u64,
    /// Samples dropped before the end of their retention, because memory was full and they could not be
    /// written.
    pub evicted: u64,
    /// Damaged and missing parts.
    pub losses: Losses,
    /// Failed attempts to make samples durable.
    pub fsync_failures: u64,
    /// Time of the oldest sample.
    pub oldest: Option<UnixMillis>,
    /// Time of the newest sample.
    pub newest: Option<UnixMillis>,
    /// Error of the last write; `None` if it succeeded.
    pub last_error: Option<String>,
}
