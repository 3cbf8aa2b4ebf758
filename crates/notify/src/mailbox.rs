//! What stays of a channel over a reload: its outbox on disk, and what is counted.

use std::collections::BTreeMap;
use std::sync::Arc;

use bellwether_core::{DeadLetter, Fingerprint, Notification, Now, UnixMillis};
use bellwether_files::durable::{Saver, StateFolder};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tracing::warn;

use super::journal::Journal;
use super::outbox::{Letter, Outbox, Record};

/// What one channel did so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChannelStats {
    /// Its name.
    pub name: String,
    /// Its type.
    pub kind: &'static str,
    /// Notifications delivered.
    pub sent: u64,
    /// Attempts that failed.
    pub failed: u64,
    /// Notifications given up, by reason: `refused`, `overflow`, `expired`, `held_back`.
    pub dropped: Vec<(&'static str, u64)>,
    /// Notifications waiting.
    pub queued: usize,
    /// Notifications given up that can be sent again.
    pub dead_letters: usize,
    /// Why the last attempt failed; none after a success.
    pub last_error: Option<String>,
    /// Since when attempts fail; none after a success.
    pub failing_since: Option<UnixMillis>,
    /// Since when the rate limit holds something back; none while it does not.
    pub held_since: Option<UnixMillis>,
}

#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) sent: u64,
    pub(super) failed: u64,
    dropped: BTreeMap<&'static str, u64>,
    pub(super) last_error: Option<String>,
    pub(super) failing_since: Option<Now>,
    pub(super) held_since: Option<UnixMillis>,
    /// Alerts of which a notification was refused, since somebody asked.
    refused: Vec<Fingerprint>,
}

/// What stays of a channel over a reload: its queue and its counts.
pub(super) struct Mailbox {
    name: Arc<str>,
    pub(super) outbox: Mutex<Outbox>,
    journal: Mutex<Option<Journal>>,
    /// How writing the journal goes.
    saver: Option<Saver>,
    pub(super) counts: Mutex<Counts>,
    pub(super) wake: Notify,
}

impl Mailbox {
    /// Opens the queue of the channel `name` in the `outbox` of `state`, or one in memory, `now`.
    /// While it cannot be read or written it is in memory too, and tried again. Blocks.
    pub(super) fn open(name: &str, state: Option<Arc<StateFolder>>, now: Now) -> Self {
        let mut outbox = Outbox::default();
        let saver = state.map(|state| {
            let what = format!("the queue of channel {name}");
            Saver::new(state, format!("outbox/{name}.jsonl"), what)
        });
        let journal = saver.as_ref().map(|saver| {
            match saver.load(|| Journal::open(saver.path(), now)) {
                Ok((journal, found, broken)) => {
                    if broken > 0 {
                        let path = saver.path().display();
                        warn!(
                            channel = name,
                            lines = broken,
                            %path,
                            "the queue's file is damaged: what those lines held is not sent, and \
                             ends of what they told may be missing"
                        );
                    }
                    outbox = found;
                    outbox.take_given_up(); // long ago
                    journal
                }
                Err(_) => Journal::at(saver.path()),
            }
        });
        let mailbox = Self {
            name: name.into(),
            outbox: Mutex::new(outbox),
            journal: Mutex::new(journal),
            saver,
            counts: Mutex::default(),
            wake: Notify::new(),
        };
        mailbox.save_if_due();
        mailbox
    }

    /// Writes the journal anew where that failed before, or where somebody deleted it. Blocks.
    pub(super) fn save_if_due(&self) {
        if self.saver.as_ref().is_some_and(Saver::is_due) {
            self.append(&mut self.journal.lock(), &[]);
        }
    }

    /// Why the queue is not on disk, if so.
    pub(super) fn problem(&self) -> Option<String> {
        self.saver.as_ref()?.problem()
    }

    /// Its channel's name.
    pub(super) fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Notifications waiting.
    pub(super) fn queued(&self) -> usize {
        self.outbox.lock().len()
    }

    /// A letter of its outbox, for everybody.
    pub(super) fn dead_letter(&self, letter: &Letter) -> DeadLetter {
        let Letter {
            at,
            reason,
            error,
            notification,
            end,
            ..
        } = letter.clone();
        // Refused once more it is the same letter.
        let id = Fingerprint::of_parts([&*self.name, &notification.id]).to_string();
        DeadLetter {
            id,
            channel: self.name.clone(),
            at,
            reason,
            error,
            notification,
            end,
        }
    }

    fn append(&self, journal: &mut Option<Journal>, records: &[Record]) {
        let (Some(open), Some(saver)) = (journal.as_mut(), &self.saver) else {
            return;
        };
        // Told by the saver; what is not on disk is kept in memory and written with the next.
        saver
            .save(|| open.append(records, || self.outbox.lock().records()))
            .ok();
    }

    /// Changes the outbox and writes the change down. Blocks.
    pub(super) fn change(&self, change: impl FnOnce(&mut Outbox) -> Vec<Record>) -> Changed {
        // Held over both, so that the lines come in the order of the changes.
        let mut journal = self.journal.lock();
        let (records, given_up) = {
            let mut outbox = self.outbox.lock();
            (change(&mut outbox), outbox.take_given_up())
        };
        if !records.is_empty() {
            self.append(&mut journal, &records);
        }
        Changed { records, given_up }
    }

    /// Counts what was given up for `reason`.
    pub(super) fn count_dropped(&self, reason: &'static str, given_up: &[Notification]) -> u64 {
        let dropped = given_up.len() as u64;
        if dropped > 0 {
            let mut counts = self.counts.lock();
            *counts.dropped.entry(reason).or_default() += dropped;
            if reason == REFUSED {
                counts
                    .refused
                    .extend(given_up.iter().map(|one| one.alert.fingerprint));
            }
        }
        dropped
    }

    /// Alerts of which a notification was refused since this was asked last.
    pub(super) fn take_refused(&self) -> Vec<Fingerprint> {
        std::mem::take(&mut self.counts.lock().refused)
    }

    /// What its channel, of type `kind`, did so far.
    pub(super) fn stats(&self, kind: &'static str) -> ChannelStats {
        let (queued, dead_letters) = {
            let outbox = self.outbox.lock();
            (outbox.len(), outbox.letters().count())
        };
        let counts = self.counts.lock();
        ChannelStats {
            name: self.name.to_string(),
            kind,
            sent: counts.sent,
            failed: counts.failed,
            dropped: counts
                .dropped
                .iter()
                .map(|(reason, count)| (*reason, *count))
                .collect(),
            queued,
            dead_letters,
            last_error: counts.last_error.clone(),
            failing_since: counts.failing_since.map(|since| since.wall),
            held_since: counts.held_since,
        }
    }
}

/// The receiver said that it will never take it.
pub(super) const REFUSED: &str = "refused";

/// What a change of the outbox did.
#[derive(Default)]
pub(super) struct Changed {
    pub(super) records: Vec<Record>,
    pub(super) given_up: Vec<Notification>,
}
