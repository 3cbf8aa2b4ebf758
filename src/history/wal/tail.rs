//! Reading the write-ahead log from where a reader stopped: how samples leave for elsewhere.

use serde::{Deserialize, Serialize};

use crate::promql::SampledSeries;

/// A place in the write-ahead log. The default is the oldest there is.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Cursor {
    /// Number of the segment.
    pub segment: u64,
    /// Bytes into it.
    pub offset: u64,
}

/// Samples in the order in which they were taken.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TailBatch {
    /// Each series once, with its samples.
    pub series: Vec<SampledSeries>,
    /// Where to go on once these have been dealt with.
    pub after: Cursor,
    /// Samples that were deleted or damaged before they could be read, since the last batch.
    pub lost: u64,
}

/// A reader of the write-ahead log.
#[derive(Debug, Default)]
pub struct Tail {
    at: Cursor,
}

impl Tail {
    /// The next samples, about `max_samples`, at least one collection. `None`: there are no more
    /// for now. Reads files: not on an async thread.
    pub fn next(&mut self, _max_samples: usize) -> Option<TailBatch> {
        None
    }

    /// Where it stands.
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        self.at
    }
}
