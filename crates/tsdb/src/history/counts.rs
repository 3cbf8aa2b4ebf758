//! What is counted while history runs, and the last thing that went wrong.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use bellwether_files::durable::WriteWatch;
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
    /// Of what is written.
    pub watch: WriteWatch,
}

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
            last_error: self
                .watch
                .hangs()
                .or_else(|| self.last_error.lock().clone()),
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
        counts.watch.during(|| {
            assert_eq!(counts.stats().last_error, None);
            counts.watch.overdue();
            let told = counts.stats().last_error;
            assert!(told.is_some_and(|told| told.contains("does not answer")));
        });
        assert_eq!(counts.stats().last_error, None);
    }
}
