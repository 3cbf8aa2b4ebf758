//! What is counted while history runs, and the last thing that went wrong.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tracing::{error, info};

use super::stats::{Losses, Refused, Stats};

#[derive(Debug, Default)]
pub(super) struct Counts {
    pub appended: AtomicU64,
    pub duplicate: AtomicU64,
    pub series_limit: AtomicU64,
    pub unknown: AtomicU64,
    pub dropped: AtomicU64,
    pub evicted: AtomicU64,
    pub fsync_failures: AtomicU64,
    losses: Mutex<Losses>,
    last_error: Mutex<Option<String>>,
    /// Since when a write is under way.
    writing: Mutex<Option<Instant>>,
}

/// A write that takes longer than this is told.
const SLOW: Duration = Duration::from_secs(30);

impl Counts {
    /// Adds to what was lost.
    pub fn lost(&self, more: Losses) {
        let mut losses = self.losses.lock();
        losses.torn_bytes += more.torn_bytes;
        losses.wal_frames += more.wal_frames;
        losses.wal_segments += more.wal_segments;
        losses.chunks += more.chunks;
        losses.blocks += more.blocks;
        losses.missing_blocks += more.missing_blocks;
    }

    /// Notes that a write begins.
    pub fn begins(&self) {
        *self.writing.lock() = Some(Instant::now());
    }

    /// Notes that it ended.
    pub fn ends(&self) {
        *self.writing.lock() = None;
    }

    /// What is wrong with a write that does not end.
    fn hangs(&self, now: Instant) -> Option<String> {
        let took = now.saturating_duration_since((*self.writing.lock())?);
        (took >= SLOW).then(|| {
            let took = took.as_secs();
            format!("a write is under way for {took} s: the disk does not answer")
        })
    }

    /// Notes that something could not be written, and logs it unless it is known.
    pub fn failed(&self, what: String) {
        let mut last = self.last_error.lock();
        if last.as_ref() != Some(&what) {
            error!("history: {what}; it goes on in memory, and is tried again");
            *last = Some(what);
        }
    }

    /// Notes that writing works.
    pub fn worked(&self) {
        if self.last_error.lock().take().is_some() {
            info!("history: written again");
        }
    }

    /// The part of the statistics that is counted here.
    pub fn stats(&self) -> Stats {
        let read = |count: &AtomicU64| count.load(Relaxed);
        Stats {
            appended: read(&self.appended),
            refused: Refused {
                duplicate: read(&self.duplicate),
                series_limit: read(&self.series_limit),
                unknown: read(&self.unknown),
            },
            dropped: read(&self.dropped),
            evicted: read(&self.evicted),
            fsync_failures: read(&self.fsync_failures),
            losses: *self.losses.lock(),
            last_error: self.hangs(Instant::now()).or_else(|| self.last_error.lock().clone()),
            ..Stats::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_that_does_not_end_is_told() {
        let counts = Counts::default();
        let later = Instant::now() + 2 * SLOW;
        assert_eq!(counts.hangs(later), None);
        counts.begins();
        assert!(counts.hangs(later).is_some_and(|told| told.contains("does not answer")));
        assert_eq!(counts.hangs(Instant::now()), None);
        counts.ends();
        assert_eq!(counts.hangs(later), None);
    }
}
