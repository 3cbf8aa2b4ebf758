//! Changes of an outbox as records, and their application.

use std::sync::Arc;

use bellwether_core::{Alert, Group, Notification, Now, Status};

use super::dead_letters::StoredDeadLetter;
use super::episode::{Episode, Notified};
use super::{Entry, Outbox};

/// One change of an outbox.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Record {
    /// State of an episode; the first records of a compacted journal.
    Episode {
        /// Number of the episode.
        id: u64,
        /// Delivery times of its firing notifications, if any.
        notified: Option<Notified>,
        /// True until its resolved is queued.
        open: bool,
        /// Alert of the last notification.
        alert: Arc<Alert>,
        /// Group of the last notification.
        group: Arc<Group>,
    },
    /// A notification was queued.
    Push {
        /// Sequence number, ascending.
        seq: u64,
        episode: u64,
        notification: Notification,
    },
    /// A notification was delivered.
    Delivered { seq: u64, at: Now },
    /// A notification was dropped.
    Drop(u64),
    /// An episode ended, and the channel is not notified of it.
    Close(u64),
    /// A dead letter was added, or its alert resolved since.
    DeadLetter(Box<StoredDeadLetter>),
    /// A dead letter was resent, discarded or evicted.
    Forget(u64),
}

impl Outbox {
    /// Applies one record. If the only firing of an episode is dropped, the sequence number of its
    /// queued resolved is returned, which must be dropped too.
    pub(in super::super) fn apply(&mut self, record: Record) -> Option<u64> {
        match record {
            Record::Episode {
                id,
                notified,
                open,
                alert,
                group,
            } => {
                let episode = Episode {
                    notified,
                    ..Episode::new(alert, group)
                };
                self.restore_episode(id, episode, open);
            }
            Record::Push {
                seq,
                episode,
                notification,
            } => self.push(seq, episode, notification),
            Record::Delivered { seq, at } => self.remove_delivered(seq, at),
            Record::Drop(seq) => return self.remove_dropped(seq),
            Record::Close(id) => self.close_episode(id),
            Record::DeadLetter(dead_letter) => self.store_dead_letter(*dead_letter),
            Record::Forget(seq) => drop(self.dead_letters.remove(&seq)),
        }
        None
    }

    fn remove_delivered(&mut self, seq: u64, at: Now) {
        let Some(entry) = self.remove(seq) else {
            return;
        };
        if let Some(episode) = self.episodes.get_mut(&entry.episode)
            && entry.notification.status == Status::Firing
        {
            let now = Notified {
                first: at,
                last: at,
            };
            episode.notified = Some(episode.notified.map_or(now, |notified| notified.with(now)));
        }
        self.forget_ended(&entry);
        self.forget_delivered(&entry);
    }

    /// Returns the sequence number of the queued resolved that must be dropped too, if there is one.
    fn remove_dropped(&mut self, seq: u64) -> Option<u64> {
        let entry = self.remove(seq)?;
        self.forget_ended(&entry);
        let unmatched = self.forget_undelivered(&entry);
        self.dropped.push(entry.notification);
        unmatched
    }

    fn push(&mut self, seq: u64, id: u64, notification: Notification) {
        if self.queue.back().is_some_and(|last| last.seq >= seq) {
            return; // no journal that was written whole holds one twice
        }
        self.next = self.next.max(seq).max(id);
        let (alert, group) = (notification.alert.clone(), notification.group.clone());
        self.end_episode(id); // a firing may move to another group
        let firing = notification.status == Status::Firing;
        if !firing {
            self.forget_firing(alert.fingerprint);
        }
        let episode = self
            .episodes
            .entry(id)
            .or_insert_with(|| Episode::new(alert.clone(), group.clone()));
        episode.alert = alert;
        if firing {
            episode.group = group;
            episode.waiting += 1;
            self.open_episode(id);
        }
        self.queue.push_back(Entry {
            seq,
            episode: id,
            notification,
        });
    }

    fn remove(&mut self, seq: u64) -> Option<Entry> {
        let entry = self.queue.remove(self.index(seq)?)?;
        if entry.notification.status == Status::Firing
            && let Some(episode) = self.episodes.get_mut(&entry.episode)
        {
            episode.waiting = episode.waiting.saturating_sub(1);
        }
        Some(entry)
    }

    /// Returns the records that restore this outbox: those of a compacted journal.
    pub(in super::super) fn records(&self) -> Vec<Record> {
        let episodes = self.episodes.iter().map(|(id, episode)| Record::Episode {
            id: *id,
            notified: episode.notified,
            open: episode.open,
            alert: episode.alert.clone(),
            group: episode.group.clone(),
        });
        let pushes = self.queue.iter().map(|entry| Record::Push {
            seq: entry.seq,
            episode: entry.episode,
            notification: entry.notification.clone(),
        });
        let silent = self.episodes.iter().filter(|(_, episode)| episode.silent);
        let closes = silent.map(|(id, _)| Record::Close(*id));
        // Last, as the records before may supersede a dead letter of the same alert.
        let dead_letters = self
            .dead_letters
            .values()
            .map(|dead_letter| Record::DeadLetter(Box::new(dead_letter.clone())));
        episodes
            .chain(pushes)
            .chain(closes)
            .chain(dead_letters)
            .collect()
    }
}
