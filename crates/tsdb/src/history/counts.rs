//! Counters of a running history, and its last error.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use bellwether_files::durable::WriteWatch;
use parking_lot::Mutex;
use tracing::{error, info};

use super::stats::{Losses, Rejected, Stats};

#[derive(Debug, Default)]
pub(super) struct Counts {
    pub appended: AtomicU64,
    pub duplicate: AtomicU64,
    pub out_of_order: AtomicU64,
    pub series_limit: AtomicU64,
    pub unknown: AtomicU64,
    pub dropped: AtomicU64,
    pub evicted: AtomicU64,
    pub fsync_failures: AtomicU64,
    losses: Mutex<Losses>,
    last_error: Mutex<Option<String>>,
    /// Watches for writes that hang.
    pub watch: WriteWatch,
}

impl Counts {
    /// Adds losses.
    pub fn lost(&self, more: Losses) {
        let mut losses = self.losses.lock();
        losses.torn_bytes += more.torn_bytes;
        losses.wal_frames += more.wal_frames;
        losses.wal_segments += more.wal_segments;
        losses.chunks += more.chunks;
        losses.blocks += more.blocks;
        losses.missing_blocks += more.missing_blocks;
    }

    /// Records an error of writing, and logs it unless it was the last one already.
    pub fn failed(&self, what: String) {
        let mut last = self.last_error.lock();
        if last.as_ref() != Some(&what) {
            error!("history: {what}; history continues in memory, and the write is retried");
            *last = Some(what);
        }
    }

    /// Records a successful write.
    pub fn worked(&self) {
        if self.last_error.lock().take().is_some() {
            info!("history: writes succeed again");
        }
    }

    /// Returns the part of the statistics that is counted here.
    pub fn stats(&self) -> Stats {
        Stats {
            appended: self.appended.load(Relaxed),
            rejected: Rejected {
                duplicate: self.duplicate.load(Relaxed),
                out_of_order: self.out_of_order.load(Relaxed),
                series_limit: self.series_limit.load(Relaxed),
                unknown: self.unknown.load(Relaxed),
            },
            dropped: self.dropped.load(Relaxed),
            evicted: self.evicted.load(Relaxed),
            fsync_failures: self.fsync_failures.load(Relaxed),
            losses: *self.losses.lock(),
            last_error: self
                .watch
                .stall_message()
                .or_else(|| self.last_error.lock().clone()),
            ..Stats::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_that_hangs_is_reported() {
        let counts = Counts::default();
        counts.watch.during(|| {
            assert_eq!(counts.stats().last_error, None);
            counts.watch.overdue();
            let error = counts.stats().last_error;
            assert!(error.is_some_and(|error| error.contains("does not answer")));
        });
        assert_eq!(counts.stats().last_error, None);
    }
}
