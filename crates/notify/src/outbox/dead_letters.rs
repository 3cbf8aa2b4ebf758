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

use super::{Decision, Entry, Notified, Outbox, Record, resolved_notification};

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
        let newer = |other: &Entry| {
            other.seq > seq && other.notification.alert.fingerprint == alert.fingerprint
        };
        let firing = notification.status == Status::Firing;
        // An episode that is forgotten was the last, of which nothing waits.
        let is_live = follower.is_none() && self.episodes.contains_key(&episode);
        let superseded = firing && is_live && self.queue.iter().any(newer);
        // A heartbeat that comes late is useless.
        if superseded || notification.cause == Cause::Heartbeat || reason.max_dead_letters == 0 {
            return records;
        }
        let resolved =
            || resolved_notification(alert, &notification.group, "it resolved unsent", reason.at);
        let dead_letter = StoredDeadLetter {
            seq,
            at: reason.at,
            reason: reason.reason.to_owned(),
            error: reason.error.to_owned(),
            end: follower.or_else(|| silent.then(resolved)),
            notification,
        };
        records.extend(self.apply_recorded(Record::DeadLetter(Box::new(dead_letter))));
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
            let about = |entry: &Entry| entry.notification.alert.fingerprint == dead_letter.alert();
            if self.queue.iter().any(about) {
                // Another episode waits whole, and one end is enough for both.
                return records;
            }
            // The firing was delivered, so its episode is open until this is.
            let alert = dead_letter.notification.alert.clone();
            let notified = Notified {
                first: now.at(alert.starts()),
                last: now.at(dead_letter.at),
            };
            let (id, group) = (self.next_number(), dead_letter.notification.group.clone());
            records.extend(self.apply_recorded(Record::Episode {
                id,
                notified: Some(notified),
                open: true,
                alert,
                group,
            }));
        }
        for notification in dead_letter.notifications_to_resend() {
            records.extend(self.accept(decide(&notification)));
        }
        records
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
mod tests {
    use std::collections::HashSet;
    use std::time::Duration;

    use bellwether_core::Severity;

    use super::super::super::testing::{FIRED, level, notification, notification_of};
    use super::*;

    const REJECTED: DropReason<'_> = DropReason {
        reason: "rejected",
        error: "no",
        at: UnixMillis(9),
        max_dead_letters: 10,
    };

    use Status::{Firing, Resolved};

    fn offer(outbox: &mut Outbox, status: Status) {
        outbox.offer(notification("a", "/", status));
    }

    /// The same, as its journal gives it.
    fn copy(outbox: &Outbox) -> Outbox {
        let mut copy = Outbox::default();
        for record in outbox.records() {
            copy.apply(record);
        }
        copy
    }

    /// Delivers or rejects the oldest.
    fn next(outbox: &mut Outbox, takes: bool) {
        let seq = outbox.queue().next().unwrap().seq;
        if takes {
            outbox.mark_delivered(seq, Now::default())
        } else {
            outbox.drop_entry(seq, &REJECTED)
        };
    }

    /// Resends the oldest dead letter. Returns the queue.
    fn resend(outbox: &mut Outbox) -> Vec<(Status, Cause)> {
        let seq = outbox.dead_letters().next().unwrap().seq;
        outbox.resend(seq, Now::default(), |notification| {
            Decision::Offer(notification.clone())
        });
        outbox
            .queue()
            .map(|notification| {
                (
                    notification.notification.status,
                    notification.notification.cause,
                )
            })
            .collect()
    }

    #[test]
    fn a_rejected_firing_is_resent_and_its_resolved_follows() {
        let mut outbox = Outbox::default();
        offer(&mut outbox, Firing);
        next(&mut outbox, false);
        assert_eq!(resend(&mut outbox), [(Firing, Cause::Resend)]);
        next(&mut outbox, true);
        offer(&mut outbox, Resolved);
        assert_eq!((outbox.len(), outbox.dead_letters().count()), (1, 0));
    }

    #[test]
    fn a_firing_whose_alert_ended_goes_with_its_end_behind_it() {
        // It resolved before the firing was rejected, or after.
        for order in [[true, false], [false, true]] {
            let mut outbox = Outbox::default();
            offer(&mut outbox, Firing);
            for reject in order {
                if reject {
                    next(&mut outbox, false)
                } else {
                    offer(&mut outbox, Resolved)
                }
            }
            assert_eq!((outbox.len(), outbox.dead_letters().count()), (0, 1));
            assert_eq!(
                resend(&mut outbox),
                [(Firing, Cause::Resend), (Resolved, Cause::Resend)]
            );
            let later = UnixMillis(FIRED.0 + 86_400_000);
            assert!(
                outbox.ended_undelivered(Duration::ZERO, later).is_empty(),
                "as old as it is"
            );
        }
    }

    #[test]
    fn a_rejected_resolved_is_resent_unless_the_alert_fires_again() {
        let mut rejected = Outbox::default();
        offer(&mut rejected, Firing);
        next(&mut rejected, true);
        offer(&mut rejected, Resolved);
        next(&mut rejected, false);
        let mut notifications_to_resend = copy(&rejected);
        assert_eq!(
            resend(&mut notifications_to_resend),
            [(Resolved, Cause::Resend)]
        );
        // A restart does not drop it as unmatched.
        notifications_to_resend = copy(&notifications_to_resend);
        notifications_to_resend.drop_unmatched_resolved();
        assert_eq!(notifications_to_resend.len(), 1);

        let mut anew = copy(&rejected);
        offer(&mut anew, Firing);
        assert_eq!(
            resend(&mut anew),
            [(Firing, Cause::Change)],
            "it would end what fires"
        );

        let mut whole = copy(&rejected);
        offer(&mut whole, Firing);
        offer(&mut whole, Resolved);
        let waits = [(Firing, Cause::Change), (Resolved, Cause::Change)];
        assert_eq!(resend(&mut whole), waits, "no end without a firing");

        let mut notified = copy(&rejected);
        offer(&mut notified, Firing);
        next(&mut notified, true);
        assert_eq!(
            notified.dead_letters().count(),
            0,
            "one end is enough for both"
        );
    }

    #[test]
    fn a_newer_delivery_deletes_the_dead_letter() {
        let mut outbox = Outbox::default();
        offer(&mut outbox, Firing);
        next(&mut outbox, false);
        let notifications_to_resend = Notification {
            cause: Cause::Repeat,
            ..notification("a", "/", Firing)
        };
        outbox.offer(notifications_to_resend.clone());
        assert_eq!(
            resend(&mut copy(&outbox)),
            [(Firing, Cause::Repeat)],
            "it is on its way"
        );
        next(&mut outbox, true);
        assert_eq!(outbox.dead_letters().count(), 0);

        // A rejected severity is unknown to the channel, until the alert resolves.
        outbox.offer(notification_of(&level("a", "/", Severity::Critical, 1)));
        next(&mut outbox, false);
        assert_eq!(resend(&mut copy(&outbox)), [(Firing, Cause::Resend)]);
        offer(&mut outbox, Resolved);
        assert_eq!(outbox.dead_letters().count(), 0);
    }

    #[test]
    fn a_dropped_episode_stays_while_the_alert_fires_again() {
        let mut outbox = Outbox::default();
        offer(&mut outbox, Firing);
        next(&mut outbox, false);
        offer(&mut outbox, Resolved);
        offer(&mut outbox, Firing);
        next(&mut outbox, true);
        assert_eq!(outbox.dead_letters().count(), 1);
        assert!(
            resend(&mut copy(&outbox)).is_empty(),
            "its end would end the new one"
        );
        offer(&mut outbox, Resolved);
        next(&mut outbox, true);
        assert_eq!(resend(&mut outbox).len(), 2);
    }

    #[test]
    fn repeated_rejections_are_one_dead_letter_and_the_oldest_are_evicted() {
        let mut outbox = Outbox::default();
        for _ in 0..3 {
            let notifications_to_resend = Notification {
                cause: Cause::Repeat,
                ..notification("a", "/", Firing)
            };
            outbox.offer(notifications_to_resend);
            next(&mut outbox, false);
        }
        assert_eq!(outbox.dead_letters().count(), 1);
        for mount in ["/1", "/2", "/3"] {
            outbox.offer(notification("a", mount, Firing));
            let seq = outbox.queue().next().unwrap().seq;
            outbox.drop_entry(
                seq,
                &DropReason {
                    max_dead_letters: 2,
                    ..REJECTED
                },
            );
        }
        let mounts: Vec<&str> = outbox
            .dead_letters()
            .map(|notification| notification.notification.alert.label("mount"))
            .collect();
        assert_eq!(mounts, ["/2", "/3"]);
    }

    #[test]
    fn an_unobserved_end_ends_dead_letters_too_and_a_heartbeat_is_none() {
        let mut outbox = Outbox::default();
        offer(&mut outbox, Firing);
        next(&mut outbox, false);
        let inactive = outbox.resolved_for_inactive(&HashSet::new(), FIRED);
        inactive.into_iter().for_each(|end| drop(outbox.offer(end)));
        assert!(
            outbox
                .dead_letters()
                .all(|dead_letter| dead_letter.end.is_some())
        );
        assert!(
            outbox
                .resolved_for_inactive(&HashSet::new(), FIRED)
                .is_empty()
        );

        let beat = notification("beat", "/", Firing);
        outbox.offer(Notification {
            cause: Cause::Heartbeat,
            ..beat
        });
        next(&mut outbox, false);
        assert_eq!(outbox.dead_letters().count(), 1);
    }

    #[test]
    fn a_channel_without_resolved_keeps_the_end_in_the_dead_letter() {
        for ends_first in [true, false] {
            let mut outbox = Outbox::default();
            offer(&mut outbox, Firing);
            let resolved = notification("a", "/", Resolved);
            if ends_first {
                outbox.close_silently(&resolved);
            }
            next(&mut outbox, false);
            outbox.close_silently(&resolved);
            assert!(
                outbox
                    .dead_letters()
                    .all(|dead_letter| dead_letter.end.is_some()),
                "{ends_first}"
            );
            let seq = outbox.dead_letters().next().unwrap().seq;
            outbox.resend(seq, Now::default(), |notification| {
                match notification.status {
                    Firing => Decision::Offer(notification.clone()),
                    Resolved => Decision::CloseSilently(notification.clone()),
                }
            });
            next(&mut outbox, true);
            assert_eq!(outbox.records(), []);
        }
    }
}
