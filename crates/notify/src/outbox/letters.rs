//! What a channel gave up: kept until somebody has it sent again or discards it, or the channel
//! hears of the alert otherwise.
//!
//! A letter is what the channel does not know. One about a firing has the end of the alert with it,
//! where that came since and the channel knows nothing of the episode. So a letter goes
//! - with a newer firing that got through, unless it tells of an earlier episode whole;
//! - with the end of an alert that the channel knows otherwise;
//! - with a newer letter of its kind about the same alert.

use std::sync::Arc;

use bellwether_core::{Alert, Cause, Fingerprint, Group, Notification, Now, Status, UnixMillis};

use super::{Entry, Outbox, Record, Told, end_of};

/// One notification that was given up.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Letter {
    /// Its number in the queue.
    pub seq: u64,
    /// When it was given up.
    pub at: UnixMillis,
    /// Why, in one word.
    pub reason: String,
    /// Why, in one sentence.
    pub error: String,
    /// What the channel was not told.
    pub notification: Notification,
    /// The end of the alert, of which the channel was not told either.
    pub end: Option<Notification>,
}

/// Why something is given up.
pub(crate) struct GivenUp<'a> {
    /// In one word.
    pub reason: &'static str,
    /// In one sentence.
    pub error: &'a str,
    /// When.
    pub at: UnixMillis,
    /// Most letters of the channel; the oldest make room.
    pub keep: usize,
}

impl Letter {
    fn alert(&self) -> Fingerprint {
        self.notification.alert.fingerprint
    }

    /// Whether it is a firing whose alert fires still, as far as is known here.
    fn is_unended(&self) -> bool {
        self.end.is_none() && self.notification.status == Status::Firing
    }

    /// What is told when it is sent again.
    fn again(&self) -> impl Iterator<Item = Notification> {
        let both = [Some(&self.notification), self.end.as_ref()];
        both.into_iter().flatten().map(|one| Notification {
            cause: Cause::Resend,
            ..one.clone()
        })
    }
}

impl Outbox {
    /// The letters, the oldest first.
    pub(crate) fn letters(&self) -> impl Iterator<Item = &Letter> {
        self.letters.values()
    }

    /// The notification `seq` is given up; what makes no sense without it is too. It is kept as a
    /// letter, unless the queue holds a newer word about its alert.
    pub(crate) fn give_up(&mut self, seq: u64, why: &GivenUp<'_>) -> Vec<Record> {
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
        let before = self.given_up.len();
        let mut records = self.apply_one(Record::Drop(seq));
        let follower = self.given_up.get(before + 1).cloned();
        let alert = &notification.alert;
        let newer = |other: &Entry| {
            other.seq > seq && other.notification.alert.fingerprint == alert.fingerprint
        };
        let firing = notification.status == Status::Firing;
        // An episode that is forgotten was the last, of which nothing waits.
        let lives = follower.is_none() && self.episodes.contains_key(&episode);
        let outdated = firing && lives && self.queue.iter().any(newer);
        // A sign of life that comes late is none.
        if outdated || notification.cause == Cause::Heartbeat || why.keep == 0 {
            return records;
        }
        let over = || end_of(alert, &notification.group, "it ended untold", why.at);
        let letter = Letter {
            seq,
            at: why.at,
            reason: why.reason.to_owned(),
            error: why.error.to_owned(),
            end: follower.or_else(|| silent.then(over)),
            notification,
        };
        records.extend(self.apply_one(Record::Letter(Box::new(letter))));
        while self.letters.len() > why.keep
            && let Some(oldest) = self.letters.keys().next().copied()
        {
            records.extend(self.apply_one(Record::Forget(oldest)));
        }
        records
    }

    /// Queues what the letter `seq` says, by `offer` and `now`, unless the channel knows it or is about to:
    /// nothing is pushed then. The letter is gone.
    pub(crate) fn resend(
        &mut self,
        seq: u64,
        now: Now,
        offer: impl Fn(&mut Self, &Notification) -> Vec<Record>,
    ) -> Vec<Record> {
        let Some(letter) = self.letters.get(&seq).cloned() else {
            return Vec::new();
        };
        let mut records = self.apply_one(Record::Forget(seq));
        let open = self
            .open
            .get(&letter.alert())
            .and_then(|id| self.episodes.get(id));
        if let Some(open) = open
            && (open.waiting > 0 || !letter.is_unended())
        {
            // A newer firing is on its way, or an end would end what fires anew.
            return records;
        }
        if letter.notification.status == Status::Resolved {
            let about = |entry: &Entry| entry.notification.alert.fingerprint == letter.alert();
            if self.queue.iter().any(about) {
                // Another episode waits whole, and one end is enough for both.
                return records;
            }
            // The firing was told, so its episode is open until this is.
            let alert = letter.notification.alert.clone();
            let told = Told {
                first: now.at(alert.starts()),
                last: now.at(letter.at),
            };
            let (id, group) = (self.number(), letter.notification.group.clone());
            records.extend(self.apply_one(Record::Episode {
                id,
                told: Some(told),
                open: true,
                alert,
                group,
            }));
        }
        for notification in letter.again() {
            records.extend(offer(self, &notification));
        }
        records
    }

    /// The letter `seq` is not wanted any more.
    pub(crate) fn discard(&mut self, seq: u64) -> Vec<Record> {
        self.apply_one(Record::Forget(seq))
    }

    /// Alerts of letters that fire still, as far as is known here.
    pub(super) fn unended(&self) -> impl Iterator<Item = (&Arc<Alert>, &Arc<Group>)> {
        let unended = self.letters.values().filter(|letter| letter.is_unended());
        unended.map(|Letter { notification, .. }| (&notification.alert, &notification.group))
    }

    /// Keeps an end of which the channel is not told with the letter about its firing.
    pub(super) fn note_end(&mut self, end: &Notification) -> Vec<Record> {
        let alert = end.alert.fingerprint;
        let mut unended = self.letters.values().filter(|letter| letter.is_unended());
        match unended.find(|letter| letter.alert() == alert && end.status == Status::Resolved) {
            Some(letter) => {
                let letter = Letter {
                    end: Some(end.clone()),
                    ..letter.clone()
                };
                self.apply_one(Record::Letter(Box::new(letter)))
            }
            None => Vec::new(),
        }
    }

    /// Keeps a letter in place of what says less.
    pub(super) fn hold(&mut self, letter: Letter) {
        self.next = self.next.max(letter.seq);
        let (alert, status) = (letter.alert(), letter.notification.status);
        self.letters.retain(|_, other| {
            other.alert() != alert || other.end.is_some() || other.notification.status != status
        });
        self.letters.insert(letter.seq, letter);
    }

    /// The receiver took `entry`: it needs no older word about a firing, and a newer end will do
    /// for an older one.
    pub(super) fn heard(&mut self, entry: &Entry) {
        let alert = entry.notification.alert.fingerprint;
        if entry.notification.status == Status::Firing {
            self.letters.retain(|seq, letter| {
                *seq > entry.seq || letter.alert() != alert || letter.end.is_some()
            });
        }
    }

    /// An alert that the channel knows ended.
    pub(super) fn forget_unended(&mut self, alert: Fingerprint) {
        self.letters
            .retain(|_, letter| letter.alert() != alert || !letter.is_unended());
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::time::Duration;

    use bellwether_core::Severity;

    use super::super::super::samples::{FIRED, level, notification, told};
    use super::*;

    const REFUSED: GivenUp<'_> = GivenUp {
        reason: "refused",
        error: "no",
        at: UnixMillis(9),
        keep: 10,
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

    /// What the receiver does with the oldest.
    fn next(outbox: &mut Outbox, takes: bool) {
        let seq = outbox.queue().next().unwrap().seq;
        if takes {
            outbox.done(seq, Now::default())
        } else {
            outbox.give_up(seq, &REFUSED)
        };
    }

    /// Sends the oldest letter again; what is queued then.
    fn resend(outbox: &mut Outbox) -> Vec<(Status, Cause)> {
        let seq = outbox.letters().next().unwrap().seq;
        outbox.resend(seq, Now::default(), |outbox, one| outbox.offer(one.clone()));
        outbox
            .queue()
            .map(|one| (one.notification.status, one.notification.cause))
            .collect()
    }

    #[test]
    fn a_firing_that_was_refused_goes_again_and_its_end_follows_when_it_comes() {
        let mut outbox = Outbox::default();
        offer(&mut outbox, Firing);
        next(&mut outbox, false);
        assert_eq!(resend(&mut outbox), [(Firing, Cause::Resend)]);
        next(&mut outbox, true);
        offer(&mut outbox, Resolved);
        assert_eq!((outbox.len(), outbox.letters().count()), (1, 0));
    }

    #[test]
    fn a_firing_whose_alert_ended_goes_with_its_end_behind_it() {
        // It ended before the firing was refused, or after.
        for order in [[true, false], [false, true]] {
            let mut outbox = Outbox::default();
            offer(&mut outbox, Firing);
            for refuse in order {
                if refuse {
                    next(&mut outbox, false)
                } else {
                    offer(&mut outbox, Resolved)
                }
            }
            assert_eq!((outbox.len(), outbox.letters().count()), (0, 1));
            assert_eq!(
                resend(&mut outbox),
                [(Firing, Cause::Resend), (Resolved, Cause::Resend)]
            );
            let later = UnixMillis(FIRED.0 + 86_400_000);
            assert!(
                outbox.stale(Duration::ZERO, later).is_empty(),
                "as old as it is"
            );
        }
    }

    #[test]
    fn an_end_that_was_refused_goes_again_unless_the_alert_fires_anew() {
        let mut refused = Outbox::default();
        offer(&mut refused, Firing);
        next(&mut refused, true);
        offer(&mut refused, Resolved);
        next(&mut refused, false);
        let mut again = copy(&refused);
        assert_eq!(resend(&mut again), [(Resolved, Cause::Resend)]);
        // After a restart it is not taken for an orphan.
        again = copy(&again);
        again.drop_orphans();
        assert_eq!(again.len(), 1);

        let mut anew = copy(&refused);
        offer(&mut anew, Firing);
        assert_eq!(
            resend(&mut anew),
            [(Firing, Cause::Change)],
            "it would end what fires"
        );

        let mut whole = copy(&refused);
        offer(&mut whole, Firing);
        offer(&mut whole, Resolved);
        let waits = [(Firing, Cause::Change), (Resolved, Cause::Change)];
        assert_eq!(resend(&mut whole), waits, "no end without a firing");

        let mut told = copy(&refused);
        offer(&mut told, Firing);
        next(&mut told, true);
        assert_eq!(told.letters().count(), 0, "one end is enough for both");
    }

    #[test]
    fn what_the_channel_was_told_since_is_no_letter_any_more() {
        let mut outbox = Outbox::default();
        offer(&mut outbox, Firing);
        next(&mut outbox, false);
        let again = Notification {
            cause: Cause::Repeat,
            ..notification("a", "/", Firing)
        };
        outbox.offer(again.clone());
        assert_eq!(
            resend(&mut copy(&outbox)),
            [(Firing, Cause::Repeat)],
            "it is on its way"
        );
        next(&mut outbox, true);
        assert_eq!(outbox.letters().count(), 0);

        // A level that was refused is news to the channel, until the alert ends.
        outbox.offer(self::told(&level("a", "/", Severity::Critical, 1)));
        next(&mut outbox, false);
        assert_eq!(resend(&mut copy(&outbox)), [(Firing, Cause::Resend)]);
        offer(&mut outbox, Resolved);
        assert_eq!(outbox.letters().count(), 0);
    }

    #[test]
    fn an_episode_that_went_untold_is_kept_while_the_alert_fires_anew() {
        let mut outbox = Outbox::default();
        offer(&mut outbox, Firing);
        next(&mut outbox, false);
        offer(&mut outbox, Resolved);
        offer(&mut outbox, Firing);
        next(&mut outbox, true);
        assert_eq!(outbox.letters().count(), 1);
        assert!(
            resend(&mut copy(&outbox)).is_empty(),
            "its end would end the new one"
        );
        offer(&mut outbox, Resolved);
        next(&mut outbox, true);
        assert_eq!(resend(&mut outbox).len(), 2);
    }

    #[test]
    fn an_alert_refused_again_and_again_is_one_letter_and_the_oldest_make_room() {
        let mut outbox = Outbox::default();
        for _ in 0..3 {
            let again = Notification {
                cause: Cause::Repeat,
                ..notification("a", "/", Firing)
            };
            outbox.offer(again);
            next(&mut outbox, false);
        }
        assert_eq!(outbox.letters().count(), 1);
        for mount in ["/1", "/2", "/3"] {
            outbox.offer(notification("a", mount, Firing));
            let seq = outbox.queue().next().unwrap().seq;
            outbox.give_up(seq, &GivenUp { keep: 2, ..REFUSED });
        }
        let mounts: Vec<&str> = outbox
            .letters()
            .map(|one| one.notification.alert.label("mount"))
            .collect();
        assert_eq!(mounts, ["/2", "/3"]);
    }

    #[test]
    fn what_ended_unwatched_ended_for_letters_too_and_a_sign_of_life_is_none() {
        let mut outbox = Outbox::default();
        offer(&mut outbox, Firing);
        next(&mut outbox, false);
        let gone = outbox.gone(&HashSet::new(), FIRED);
        gone.into_iter().for_each(|end| drop(outbox.offer(end)));
        assert!(outbox.letters().all(|letter| letter.end.is_some()));
        assert!(outbox.gone(&HashSet::new(), FIRED).is_empty());

        let beat = notification("beat", "/", Firing);
        outbox.offer(Notification {
            cause: Cause::Heartbeat,
            ..beat
        });
        next(&mut outbox, false);
        assert_eq!(outbox.letters().count(), 1);
    }

    #[test]
    fn a_channel_that_is_not_told_of_ends_knows_by_the_letter_that_it_is_over() {
        for ends_first in [true, false] {
            let mut outbox = Outbox::default();
            offer(&mut outbox, Firing);
            let over = notification("a", "/", Resolved);
            if ends_first {
                outbox.close_untold(&over);
            }
            next(&mut outbox, false);
            outbox.close_untold(&over);
            assert!(
                outbox.letters().all(|letter| letter.end.is_some()),
                "{ends_first}"
            );
            let seq = outbox.letters().next().unwrap().seq;
            outbox.resend(seq, Now::default(), |outbox, one| match one.status {
                Firing => outbox.offer(one.clone()),
                Resolved => outbox.close_untold(one),
            });
            next(&mut outbox, true);
            assert_eq!(outbox.records(), []);
        }
    }
}
