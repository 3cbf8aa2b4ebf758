//! What history says of itself: where it is kept, how much of it there is, and what was lost.

use std::path::PathBuf;
use std::time::Duration;

use bellwether_core::UnixMillis;

/// Where history is kept, and how much of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The folder, made if it is missing. `None`: in memory only.
    pub folder: Option<PathBuf>,
    /// Age at which samples go.
    pub retention: Duration,
    /// Most bytes on disk, blocks and write-ahead log together.
    pub max_bytes: u64,
    /// Most series.
    pub max_series: usize,
    /// Most bytes of samples held in memory.
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

/// Samples that were not taken, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refused {
    /// The series has a sample of that time.
    pub duplicate: u64,
    /// New series beyond the ceiling.
    pub series_limit: u64,
    /// The series has left history since it was asked for.
    pub unknown: u64,
}

impl Refused {
    /// For whatever reason.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.duplicate + self.series_limit + self.unknown
    }
}

/// What was found damaged or missing and left out, so that the rest stays readable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    /// Bytes of an unfinished write at the end of the write-ahead log: cut off.
    pub torn_bytes: u64,
    /// Damaged places in the write-ahead log: skipped.
    pub wal_frames: u64,
    /// Segments of the write-ahead log that are gone, cut short or can't be read.
    pub wal_segments: u64,
    /// Damaged pieces of blocks: left out of answers.
    pub chunks: u64,
    /// Blocks that nothing could be read of: moved aside as `.damaged`.
    pub blocks: u64,
    /// Blocks that somebody else deleted.
    pub missing_blocks: u64,
}

impl Losses {
    /// Whether nothing was lost.
    #[must_use]
    pub fn none(&self) -> bool {
        *self == Self::default()
    }

    /// Pieces that are damaged or missing; an unfinished write is none.
    #[must_use]
    pub fn pieces(&self) -> u64 {
        self.wal_frames + self.wal_segments + self.chunks + self.blocks + self.missing_blocks
    }
}

/// What opening found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Samples read back from the write-ahead log.
    pub samples: u64,
    /// Series found.
    pub series: u64,
    /// Blocks found.
    pub blocks: u64,
    /// What was damaged.
    pub losses: Losses,
    /// Why history is in memory only, though a folder was asked for; with what to do.
    pub error: Option<String>,
}

/// What there is, and what went wrong since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Series in memory or in a block.
    pub series: u64,
    /// Samples that are not yet in a block.
    pub head_samples: u64,
    /// Bytes of memory that those take.
    pub head_bytes: u64,
    /// Blocks on disk.
    pub blocks: u64,
    /// Samples in blocks.
    pub block_samples: u64,
    /// Their bytes on disk.
    pub block_bytes: u64,
    /// Bytes of the write-ahead log.
    pub wal_bytes: u64,
    /// Samples taken since the start.
    pub appended: u64,
    /// Samples not taken.
    pub refused: Refused,
    /// Samples taken that never reached the write-ahead log: the disk was full or too slow.
    pub dropped: u64,
    /// Samples given up before their time, because memory was full and they could not be written.
    pub evicted: u64,
    /// What was damaged.
    pub losses: Losses,
    /// Failed attempts to make samples durable.
    pub fsync_failures: u64,
    /// Time of the oldest sample.
    pub oldest: Option<UnixMillis>,
    /// Time of the newest sample.
    pub newest: Option<UnixMillis>,
    /// Why the last write failed; `None` once one succeeds.
    pub last_error: Option<String>,
}
