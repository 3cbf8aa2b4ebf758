//! Counters of queries, for the self-metrics.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use parking_lot::Mutex;

/// Counters of all queries of one server.
#[derive(Debug, Default)]
pub struct QueryStats {
    ended: Mutex<BTreeMap<&'static str, (u64, Duration)>>,
    running: AtomicU64,
    waiting: AtomicU64,
}

impl QueryStats {
    /// Ended queries and their total time, including the wait, by result: `success`, one of
    /// Prometheus's error types, or `unavailable` if the queue was full.
    #[must_use]
    pub fn ended(&self) -> BTreeMap<&'static str, (u64, Duration)> {
        self.ended.lock().clone()
    }

    /// Running queries.
    #[must_use]
    pub fn running(&self) -> u64 {
        self.running.load(Relaxed)
    }

    /// Waiting queries.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        self.waiting.load(Relaxed)
    }

    pub(super) fn end(&self, result: &'static str, took: Duration) {
        let mut ended = self.ended.lock();
        let (count, total) = ended.entry(result).or_default();
        *count += 1;
        *total += took;
    }

    /// Counts a running query until the guard is dropped.
    pub(super) fn runs(self: &std::sync::Arc<Self>) -> Counted {
        Counted::new(std::sync::Arc::clone(self), |stats| &stats.running)
    }

    /// Counts a waiting query until the guard is dropped.
    pub(super) fn waits(self: &std::sync::Arc<Self>) -> Counted {
        Counted::new(std::sync::Arc::clone(self), |stats| &stats.waiting)
    }
}

/// Guard of a counted query.
pub(super) struct Counted {
    stats: std::sync::Arc<QueryStats>,
    of: fn(&QueryStats) -> &AtomicU64,
}

impl Counted {
    fn new(stats: std::sync::Arc<QueryStats>, of: fn(&QueryStats) -> &AtomicU64) -> Self {
        of(&stats).fetch_add(1, Relaxed);
        Self { stats, of }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        (self.of)(&self.stats).fetch_sub(1, Relaxed);
    }
}
