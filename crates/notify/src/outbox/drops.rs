//! Notifications that may be dropped, or must be.

use std::collections::HashSet;
use std::time::Duration;

use bellwether_core::{Cause, Status, UnixMillis};

use super::Outbox;
use super::dead_letters::DropReason;
use super::record::Record;

impl Outbox {
    /// Drops notifications beyond `capacity`. The resolved of a notified alert stays, and so do
    /// notifications of the attempt under way; of both there is at most one per alert.
    pub(in super::super) fn trim(
        &mut self,
        capacity: usize,
        reason: &DropReason<'_>,
    ) -> Vec<Record> {
        let mut records = Vec::new();
        if self.queue.len() > capacity {
            for seq in self.droppable() {
                if self.queue.len() <= capacity {
                    break;
                }
                // One that was dropped along with another is ignored.
                records.extend(self.drop_entry(seq, reason));
            }
        }
        records
    }

    /// Returns the firings that may be dropped, the least important first: of alerts that fired and
    /// resolved unsent, then superseded severities, then the oldest. The notifications that depend
    /// on one are dropped with it.
    fn droppable(&self) -> Vec<u64> {
        let in_flight_episodes: HashSet<u64> = self
            .queue
            .iter()
            .filter(|entry| self.in_flight.contains(&entry.seq))
            .map(|entry| entry.episode)
            .collect();
        let (mut ended, mut superseded, mut rest) = (Vec::new(), Vec::new(), Vec::new());
        let mut newer = HashSet::new();
        // From the newest, so that a firing knows whether a newer one of its episode is queued.
        for entry in self.queue.iter().rev() {
            let firing = entry.notification.status == Status::Firing;
            let Some(episode) = self.episodes.get(&entry.episode).filter(|_| firing) else {
                continue;
            };
            let newest = newer.insert(entry.episode);
            let is_known = episode.is_delivered() || in_flight_episodes.contains(&entry.episode);
            let class = match (episode.open, is_known) {
                _ if self.in_flight.contains(&entry.seq) => continue,
                (false, false) => &mut ended,
                (_, true) if entry.notification.cause == Cause::Repeat => &mut superseded,
                (false, true) => &mut superseded,
                (true, _) if newest => &mut rest,
                (true, _) => &mut superseded,
            };
            class.push(entry.seq);
        }
        [ended, superseded, rest]
            .into_iter()
            .flat_map(|class| class.into_iter().rev())
            .collect()
    }

    /// Returns the undelivered firings whose alert resolved longer than `limit` ago. A resent
    /// notification never expires.
    pub(in super::super) fn ended_undelivered(&self, limit: Duration, now: UnixMillis) -> Vec<u64> {
        let ended: HashSet<u64> = self
            .queue
            .iter()
            .filter(|entry| entry.notification.status == Status::Resolved)
            .filter(|entry| now.since(entry.notification.at) >= limit)
            .map(|entry| entry.episode)
            .collect();
        self.queue
            .iter()
            .filter(|entry| ended.contains(&entry.episode))
            .filter(|entry| {
                let episode = self.episodes.get(&entry.episode);
                episode.is_some_and(|episode| !episode.is_delivered())
            })
            .filter(|entry| entry.notification.status == Status::Firing)
            .filter(|entry| entry.notification.cause != Cause::Resend)
            .map(|entry| entry.seq)
            .collect()
    }

    /// Drops each resolved of an episode without a delivered or queued firing, which a journal with
    /// missing lines can leave.
    pub(in super::super) fn drop_unmatched_resolved(&mut self) {
        let unmatched: Vec<u64> = self
            .queue
            .iter()
            .filter(|entry| entry.notification.status == Status::Resolved)
            .filter(|entry| {
                self.episodes
                    .get(&entry.episode)
                    .is_none_or(|episode| !episode.is_delivered() && episode.waiting == 0)
            })
            .map(|entry| entry.seq)
            .collect();
        for seq in unmatched {
            self.apply(Record::Drop(seq));
        }
    }
}
