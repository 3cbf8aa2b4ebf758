//! Counters of live updates, for the self-metrics.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::time::Duration;

use parking_lot::Mutex;

use super::message_type::MessageType;

/// Counters of all servers since the start.
#[derive(Debug, Default)]
pub(crate) struct LiveStats {
    clients: AtomicUsize,
    topics: AtomicUsize,
    /// Sent messages by type, in the order of [`MessageType::ALL`].
    messages: [AtomicU64; MessageType::ALL.len()],
    dropped: AtomicU64,
    last_round: Mutex<Duration>,
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

    /// Sent messages by type. All types are there from the start, so that the first increase is seen.
    pub(crate) fn messages(&self) -> impl Iterator<Item = (MessageType, u64)> {
        let counts = self.messages.iter().map(|count| count.load(Relaxed));
        MessageType::ALL.into_iter().zip(counts)
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

    pub(super) fn sent(&self, kind: MessageType) {
        self.messages[kind as usize].fetch_add(1, Relaxed);
    }

    pub(super) fn drop_results(&self, count: u64) {
        self.dropped.fetch_add(count, Relaxed);
    }

    pub(super) fn evaluated(&self, topics: usize, took: Duration) {
        self.topics.store(topics, Relaxed);
        *self.last_round.lock() = took;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_type_of_message_has_its_own_count() {
        for kind in MessageType::ALL {
            let stats = LiveStats::default();
            stats.sent(kind);
            for (other, count) in stats.messages() {
                assert_eq!(count, u64::from(other == kind), "{kind:?} {other:?}");
            }
        }
    }
}
