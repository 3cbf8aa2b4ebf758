//! Queue of the bulletins of one channel. Pure.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bellwether_core::UnixMillis;
use bellwether_files::durable::JsonState;
use serde::{Deserialize, Serialize};

use super::{Bulletin, BulletinStats};

/// Most bulletins of a queue.
const MAX_BULLETINS: usize = 100;
/// Most bytes of a queue; one bulletin may be larger.
const MAX_BYTES: usize = 16 << 20;

/// Queue and what the channel delivered of each topic.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct BulletinQueue {
    waiting: VecDeque<Waiting>,
    /// Last delivery of each topic.
    delivered: BTreeMap<String, Delivered>,
    #[serde(skip)]
    counts: BTreeMap<String, Counts>,
    /// Topic of the last attempt, if it failed.
    #[serde(skip)]
    failing: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Waiting {
    queued_at: UnixMillis,
    #[serde(flatten)]
    bulletin: Bulletin,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Delivered {
    id: String,
    at: UnixMillis,
}

#[derive(Clone, Debug, Default)]
struct Counts {
    sent: u64,
    failed: u64,
    dropped: u64,
    last_error: Option<String>,
}

impl JsonState for BulletinQueue {
    const VERSION: u32 = 1;
}

impl BulletinQueue {
    /// Queues `bulletin`, unless it is queued or was the last one delivered of its topic. Returns the bulletins that
    /// are dropped for it, the oldest first.
    pub(super) fn offer(&mut self, bulletin: Bulletin, now: UnixMillis) -> Vec<Bulletin> {
        let last = self.delivered.get(&bulletin.topic);
        let is_delivered = last.is_some_and(|last| last.id == bulletin.id);
        if is_delivered || self.position(&bulletin.id).is_some() {
            return Vec::new();
        }
        self.waiting.push_back(Waiting {
            queued_at: now,
            bulletin,
        });
        let mut dropped = Vec::new();
        while self.waiting.len() > MAX_BULLETINS
            || (self.waiting.len() > 1 && self.bytes() > MAX_BYTES)
        {
            dropped.extend(self.waiting.pop_front().map(|oldest| oldest.bulletin));
        }
        self.count_dropped(&dropped);
        dropped
    }

    /// Returns the bulletin of the next attempt: the oldest one, but after a failure the oldest of another topic, so
    /// that a report which its service cannot take keeps nothing else waiting.
    pub(super) fn next(&self) -> Option<Bulletin> {
        let other = self
            .waiting
            .iter()
            .find(|waiting| Some(&waiting.bulletin.topic) != self.failing.as_ref());
        other
            .or(self.waiting.front())
            .map(|waiting| waiting.bulletin.clone())
    }

    /// Removes the bulletin `id`, which was delivered.
    pub(super) fn mark_delivered(&mut self, id: &str, now: UnixMillis) {
        let Some(bulletin) = self.remove(id) else {
            return;
        };
        let counts = self.counts.entry(bulletin.topic.clone()).or_default();
        counts.sent += 1;
        counts.last_error = None;
        self.failing = None;
        let delivered = Delivered {
            id: bulletin.id,
            at: now,
        };
        self.delivered.insert(bulletin.topic, delivered);
    }

    /// Counts a failed attempt for `bulletin`, which stays.
    pub(super) fn mark_failed(&mut self, bulletin: &Bulletin, error: &str) {
        let counts = self.counts.entry(bulletin.topic.clone()).or_default();
        counts.failed += 1;
        counts.last_error = Some(error.to_owned());
        self.failing = Some(bulletin.topic.clone());
    }

    /// Removes `bulletin`, which its service rejected for good.
    pub(super) fn reject(&mut self, bulletin: &Bulletin, error: &str) {
        self.mark_failed(bulletin, error);
        let rejected = self.remove(&bulletin.id);
        self.count_dropped(rejected.as_slice());
    }

    /// Removes the bulletins that wait for longer than `longest`, and returns them.
    pub(super) fn expire(&mut self, longest: Duration, now: UnixMillis) -> Vec<Bulletin> {
        let all = std::mem::take(&mut self.waiting).into_iter();
        let (expired, waiting): (VecDeque<_>, VecDeque<_>) =
            all.partition(|waiting| now.since(waiting.queued_at) > longest);
        self.waiting = waiting;
        let expired: Vec<Bulletin> = expired.into_iter().map(|one| one.bulletin).collect();
        self.count_dropped(&expired);
        expired
    }

    /// Returns whether a bulletin waits for longer than `longest`.
    pub(super) fn has_older(&self, longest: Duration, now: UnixMillis) -> bool {
        let oldest = self.waiting.front();
        oldest.is_some_and(|oldest| now.since(oldest.queued_at) > longest)
    }

    /// Returns the number of queued bulletins.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Returns the statistics of each topic.
    pub(super) fn stats(&self, channel: &str) -> Vec<BulletinStats> {
        let mut topics = BTreeMap::<&str, BulletinStats>::new();
        let names = self.waiting.iter().map(|one| &one.bulletin.topic);
        for topic in names.chain(self.delivered.keys()).chain(self.counts.keys()) {
            topics.entry(topic).or_insert_with(|| BulletinStats {
                channel: channel.to_owned(),
                topic: topic.clone(),
                ..self.of_topic(topic)
            });
        }
        topics.into_values().collect()
    }

    fn of_topic(&self, topic: &str) -> BulletinStats {
        let counts = self.counts.get(topic).cloned().unwrap_or_default();
        let of_topic = |waiting: &&Waiting| waiting.bulletin.topic == topic;
        BulletinStats {
            sent: counts.sent,
            failed: counts.failed,
            dropped: counts.dropped,
            queued: self.waiting.iter().filter(of_topic).count(),
            last_success: self.delivered.get(topic).map(|last| last.at),
            last_error: counts.last_error,
            ..BulletinStats::default()
        }
    }

    fn bytes(&self) -> usize {
        self.waiting.iter().map(|one| one.bulletin.size()).sum()
    }

    fn position(&self, id: &str) -> Option<usize> {
        self.waiting
            .iter()
            .position(|waiting| waiting.bulletin.id == id)
    }

    fn remove(&mut self, id: &str) -> Option<Bulletin> {
        let removed = self.waiting.remove(self.position(id)?)?;
        Some(removed.bulletin)
    }

    fn count_dropped(&mut self, dropped: &[Bulletin]) {
        for bulletin in dropped {
            let counts = self.counts.entry(bulletin.topic.clone()).or_default();
            counts.dropped += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use bellwether_files::durable::JsonFile;

    use super::*;

    const NOW: UnixMillis = UnixMillis(1_000_000);

    fn bulletin(topic: &str, id: &str) -> Bulletin {
        Bulletin {
            id: id.into(),
            topic: topic.into(),
            ..Bulletin::default()
        }
    }

    fn next(queue: &BulletinQueue) -> Option<String> {
        queue.next().map(|bulletin| bulletin.id)
    }

    /// The queue as a process that was killed here reads it.
    fn restarted(queue: &BulletinQueue) -> BulletinQueue {
        JsonFile::parse(&JsonFile::render(queue).unwrap()).unwrap()
    }

    #[test]
    fn a_bulletin_is_queued_once_until_it_is_delivered_and_not_again_after_it() {
        let mut queue = BulletinQueue::default();
        for _ in 0..2 {
            queue.offer(bulletin("report/weekly", "a"), NOW);
            queue = restarted(&queue);
        }
        assert_eq!((queue.len(), next(&queue).as_deref()), (1, Some("a")));
        queue.mark_delivered("a", NOW);
        queue = restarted(&queue);
        queue.offer(bulletin("report/weekly", "a"), NOW);
        assert_eq!(queue.len(), 0);
        assert_eq!(queue.stats("mail")[0].last_success, Some(NOW));
        queue.offer(bulletin("report/weekly", "b"), NOW);
        assert_eq!(next(&queue).as_deref(), Some("b"));
    }

    #[test]
    fn a_topic_that_fails_keeps_no_other_waiting() {
        let mut queue = BulletinQueue::default();
        queue.offer(bulletin("report/large", "a"), NOW);
        queue.offer(bulletin("audit", "b"), NOW);
        queue.offer(bulletin("audit", "c"), NOW);
        queue.mark_failed(&bulletin("report/large", "a"), "500");
        assert_eq!(next(&queue).as_deref(), Some("b"));
        queue.mark_failed(&bulletin("audit", "b"), "500");
        assert_eq!(next(&queue).as_deref(), Some("a"));
        queue.reject(&bulletin("report/large", "a"), "413");
        assert_eq!(
            next(&queue).as_deref(),
            Some("b"),
            "audit lines keep their order"
        );
        let stats = queue.stats("mail");
        let large = stats.iter().find(|one| one.topic == "report/large");
        let large = large.unwrap();
        assert_eq!((large.failed, large.dropped, large.queued), (2, 1, 0));
        assert_eq!(large.last_error.as_deref(), Some("413"));
    }

    #[test]
    fn a_full_queue_drops_the_oldest_and_counts_them() {
        let mut queue = BulletinQueue::default();
        for number in 0..MAX_BULLETINS + 2 {
            queue.offer(bulletin("audit", &number.to_string()), NOW);
        }
        assert_eq!(next(&queue).as_deref(), Some("2"));
        let large = Bulletin {
            text: "x".repeat(MAX_BYTES + 1),
            ..bulletin("report/large", "large")
        };
        let dropped = queue.offer(large, NOW);
        assert_eq!(dropped.len(), MAX_BULLETINS);
        assert_eq!(next(&queue).as_deref(), Some("large"));
        assert_eq!(queue.stats("mail")[0].dropped, MAX_BULLETINS as u64 + 2);
    }

    #[test]
    fn a_bulletin_expires() {
        let mut queue = BulletinQueue::default();
        let day = Duration::from_secs(86_400);
        queue.offer(bulletin("audit", "a"), NOW);
        queue.offer(bulletin("audit", "b"), NOW.after(day));
        let expired = queue.expire(day, NOW.after(day).after(Duration::from_secs(1)));
        assert_eq!(expired.len(), 1);
        assert_eq!(next(&queue).as_deref(), Some("b"));
    }
}
