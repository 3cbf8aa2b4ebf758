//! Dead letters of a channel: kept until somebody resends or discards them, or the channel is
//! notified of the alert otherwise.
//!
//! A dead letter has content that the channel does not know. A dead letter about a firing includes
//! the alert's resolved, if that came since and the channel knows nothing of the episode. So a dead
//! letter is deleted
//! - by a newer firing that was delivered, unless it has an earlier episode with its end;
//! - by the resolved of an alert that the channel knows otherwise;
//! - by a newer dead letter of its kind about the same alert.

use std::sync::Arc;

use bellwether_core::{Alert, Cause, Fingerprint, Group, Notification, Now, Status, UnixMillis};
use serde::{Deserialize, Serialize};

use super::episode::Notified;
use super::record::Record;
use super::{Decision, Entry, Outbox, resolved_notification};

/// One dropped notification.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct StoredDeadLetter {
    /// Its sequence number in the queue.
    pub seq: u64,
    /// Time of the drop.
    pub at: UnixMillis,
    /// Reason, as one word.
    pub reason: String,
    /// Error of the last attempt, or an explanation.
    pub error: String,
    /// The dropped notification.
    pub notification: Notification,
    /// The alert's resolved notification, if it was not sent either.
    pub end: Option<Notification>,
}

/// Reason of a drop.
pub(crate) struct DropReason<'a> {
    /// Reason, as one word.
    pub reason: &'static str,
    /// Error of the last attempt, or an explanation.
    pub error: &'a str,
    /// Time of the drop.
    pub at: UnixMillis,
    /// Maximum number of dead letters of the channel; the oldest are evicted.
    pub max_dead_letters: usize,
}

impl StoredDeadLetter {
    fn alert(&self) -> Fingerprint {
        self.notification.alert.fingerprint
    }

    /// Returns true if it is a firing whose alert has not resolved, as far as this outbox knows.
    fn is_firing(&self) -> bool {
        self.end.is_none() && self.notification.status == Status::Firing
    }

    /// Returns the notifications for a resend.
    fn notifications_to_resend(&self) -> impl Iterator<Item = Notification> {
        let both = [Some(&self.notification), self.end.as_ref()];
        both.into_iter().flatten().map(|notification| Notification {
            cause: Cause::Resend,
            ..notification.clone()
        })
    }
}

impl Outbox {
    /// Dead letters, the oldest first.
    pub(crate) fn dead_letters(&self) -> impl Iterator<Item = &StoredDeadLetter> {
        self.dead_letters.values()
    }

    /// Drops the notification `seq` and those that depend on it. It becomes a dead letter, unless
    /// the queue has a newer notification about its alert.
    pub(crate) fn drop_entry(&mut self, seq: u64, reason: &DropReason<'_>) -> Vec<Record> {
        let Some(index) = self.index(seq) else {
            return Vec::new();
        };
        let Entry {
            episode,
            notification,
            ..
        } = self.queue[index].clone();
        let silent = self
            .episodes
            .get(&episode)
            .is_some_and(|episode| episode.silent);
        let before = self.dropped.len();
        let mut records = self.apply_recorded(Record::Drop(seq));
        let follower = self.dropped.get(before + 1).cloned();
        let alert = &notification.alert;
        // An episode that is forgotten was the last, of which nothing waits.
        let is_live = follower.is_none() && self.episodes.contains_key(&episode);
        let superseded = notification.status == Status::Firing
            && is_live
            && self.has_newer(seq, alert.fingerprint);
        // A heartbeat that comes late is useless.
        if superseded || notification.cause == Cause::Heartbeat || reason.max_dead_letters == 0 {
            return records;
        }
        let end = follower.or_else(|| {
            let why = "it resolved unsent";
            silent.then(|| resolved_notification(alert, &notification.group, why, reason.at))
        });
        records.extend(self.add_dead_letter(seq, notification, end, reason));
        records
    }

    /// Returns true if a notification about `alert` is queued behind `seq`.
    fn has_newer(&self, seq: u64, alert: Fingerprint) -> bool {
        let mut queue = self.queue.iter();
        queue.any(|other| other.seq > seq && other.notification.alert.fingerprint == alert)
    }

    /// Adds a dead letter, and evicts the oldest beyond the maximum.
    fn add_dead_letter(
        &mut self,
        seq: u64,
        notification: Notification,
        end: Option<Notification>,
        reason: &DropReason<'_>,
    ) -> Vec<Record> {
        let dead_letter = StoredDeadLetter {
            seq,
            at: reason.at,
            reason: reason.reason.to_owned(),
            error: reason.error.to_owned(),
            notification,
            end,
        };
        let mut records = self.apply_recorded(Record::DeadLetter(Box::new(dead_letter)));
        while self.dead_letters.len() > reason.max_dead_letters
            && let Some(oldest) = self.dead_letters.keys().next().copied()
        {
            records.extend(self.apply_recorded(Record::Forget(oldest)));
        }
        records
    }

    /// Queues the content of the dead letter `seq` as `decide` has it, unless the channel knows it
    /// or will; nothing is queued then. The dead letter is deleted in both cases.
    pub(crate) fn resend(
        &mut self,
        seq: u64,
        now: Now,
        decide: impl Fn(&Notification) -> Decision,
    ) -> Vec<Record> {
        let Some(dead_letter) = self.dead_letters.get(&seq).cloned() else {
            return Vec::new();
        };
        let mut records = self.apply_recorded(Record::Forget(seq));
        let open = self
            .open
            .get(&dead_letter.alert())
            .and_then(|id| self.episodes.get(id));
        if let Some(open) = open
            && (open.waiting > 0 || !dead_letter.is_firing())
        {
            // A newer firing is on its way, or an end would end what fires anew.
            return records;
        }
        if dead_letter.notification.status == Status::Resolved {
            if self.has_newer(0, dead_letter.alert()) {
                // Another episode waits whole, and one end is enough for both.
                return records;
            }
            records.extend(self.reopen(&dead_letter, now));
        }
        for notification in dead_letter.notifications_to_resend() {
            records.extend(self.accept(decide(&notification)));
        }
        records
    }

    /// Opens an episode for the resolved in `dead_letter`, whose firing was delivered.
    fn reopen(&mut self, dead_letter: &StoredDeadLetter, now: Now) -> Vec<Record> {
        let Notification { alert, group, .. } = &dead_letter.notification;
        let notified = Notified {
            first: now.at(alert.starts()),
            last: now.at(dead_letter.at),
        };
        let id = self.next_number();
        self.apply_recorded(Record::Episode {
            id,
            notified: Some(notified),
            open: true,
            alert: alert.clone(),
            group: group.clone(),
        })
    }

    /// Deletes the dead letter `seq`.
    pub(crate) fn discard(&mut self, seq: u64) -> Vec<Record> {
        self.apply_recorded(Record::Forget(seq))
    }

    /// Alerts of dead letters that have not resolved, as far as this outbox knows.
    pub(super) fn firing_dead_letters(&self) -> impl Iterator<Item = (&Arc<Alert>, &Arc<Group>)> {
        let firing_dead_letters = self
            .dead_letters
            .values()
            .filter(|dead_letter| dead_letter.is_firing());
        firing_dead_letters
            .map(|StoredDeadLetter { notification, .. }| (&notification.alert, &notification.group))
    }

    /// Adds an alert's resolved, of which the channel is not notified, to the dead letter about its
    /// firing.
    pub(super) fn attach_end(&mut self, end: &Notification) -> Vec<Record> {
        let alert = end.alert.fingerprint;
        let mut firing_dead_letters = self
            .dead_letters
            .values()
            .filter(|dead_letter| dead_letter.is_firing());
        match firing_dead_letters
            .find(|dead_letter| dead_letter.alert() == alert && end.status == Status::Resolved)
        {
            Some(dead_letter) => {
                let dead_letter = StoredDeadLetter {
                    end: Some(end.clone()),
                    ..dead_letter.clone()
                };
                self.apply_recorded(Record::DeadLetter(Box::new(dead_letter)))
            }
            None => Vec::new(),
        }
    }

    /// Adds a dead letter in place of those that it supersedes.
    pub(super) fn store_dead_letter(&mut self, dead_letter: StoredDeadLetter) {
        self.next = self.next.max(dead_letter.seq);
        let (alert, status) = (dead_letter.alert(), dead_letter.notification.status);
        self.dead_letters.retain(|_, other| {
            other.alert() != alert || other.end.is_some() || other.notification.status != status
        });
        self.dead_letters.insert(dead_letter.seq, dead_letter);
    }

    /// Deletes dead letters that the delivered `entry` supersedes: older firings of the same alert.
    pub(super) fn forget_delivered(&mut self, entry: &Entry) {
        let alert = entry.notification.alert.fingerprint;
        if entry.notification.status == Status::Firing {
            self.dead_letters.retain(|seq, dead_letter| {
                *seq > entry.seq || dead_letter.alert() != alert || dead_letter.end.is_some()
            });
        }
    }

    /// Deletes the firing dead letters of an alert that ended.
    pub(super) fn forget_firing(&mut self, alert: Fingerprint) {
        self.dead_letters
            .retain(|_, dead_letter| dead_letter.alert() != alert || !dead_letter.is_firing());
    }
}

#[cfg(test)]
mod tests;
