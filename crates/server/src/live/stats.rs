//! Counters of live updates, for the self-metrics.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::time::Duration;

use parking_lot::Mutex;

/// Types of messages. Each has a series from the start, so that its first increase is seen.
const TYPES: [&str; 8] = [
    "alert_resolved",
    "alert_triggered",
    "error",
    "initial_data",
    "metrics_update",
    "notification",
    "reload",
    "subscribed",
];

/// Counters of all servers since the start.
#[derive(Debug)]
pub(crate) struct LiveStats {
    clients: AtomicUsize,
    topics: AtomicUsize,
    /// Sent messages by type.
    messages: Mutex<BTreeMap<&'static str, u64>>,
    dropped: AtomicU64,
    last_round: Mutex<Duration>,
}

impl Default for LiveStats {
    fn default() -> Self {
        Self {
            clients: AtomicUsize::default(),
            topics: AtomicUsize::default(),
            messages: Mutex::new(TYPES.map(|kind| (kind, 0)).into()),
            dropped: AtomicU64::default(),
            last_round: Mutex::default(),
        }
    }
}

impl LiveStats {
    /// Connected clients.
    pub(crate) fn clients(&self) -> usize {
        self.clients.load(Relaxed)
    }

    /// Distinct subscriptions at the last collection.
    pub(crate) fn topics(&self) -> usize {
        self.topics.load(Relaxed)
    }

    /// Sent messages by type.
    pub(crate) fn messages(&self) -> BTreeMap<&'static str, u64> {
        self.messages.lock().clone()
    }

    /// Results that a client never got, because it took the one before so late that there was a newer
    /// one.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }

    /// Duration of the last evaluation of all subscriptions that a collection concerned.
    pub(crate) fn last_round(&self) -> Duration {
        *self.last_round.lock()
    }

    pub(super) fn connected(&self) {
        self.clients.fetch_add(1, Relaxed);
    }

    pub(super) fn disconnected(&self) {
        self.clients.fetch_sub(1, Relaxed);
    }

    pub(super) fn sent(&self, kind: &'static str) {
        *self.messages.lock().entry(kind).or_default() += 1;
    }

    pub(super) fn drop_results(&self, count: u64) {
        self.dropped.fetch_add(count, Relaxed);
    }

    pub(super) fn evaluated(&self, topics: usize, took: Duration) {
        self.topics.store(topics, Relaxed);
        *self.last_round.lock() = took;
    }
}
