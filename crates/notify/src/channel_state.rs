//! State of a channel that outlives a reload: its outbox and bulletins on disk and its counters.

use std::collections::BTreeMap;
use std::sync::Arc;

use bellwether_core::{DeadLetter, Fingerprint, Notification, Now, UnixMillis};
use bellwether_files::durable::{Saver, StateDirectory};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tracing::warn;

use super::bulletin::BulletinStore;
use super::journal::Journal;
use super::outbox::{Outbox, Record, StoredDeadLetter};

/// Statistics of a channel.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChannelStats {
    pub name: String,
    pub kind: &'static str,
    /// Notifications delivered.
    pub sent: u64,
    /// Attempts that failed.
    pub failed: u64,
    /// Notifications dropped, by reason: `rejected`, `overflow`, `expired`, `rate_limited`.
    pub dropped: Vec<(&'static str, u64)>,
    /// Notifications queued.
    pub queued: usize,
    /// Dead letters that can be resent.
    pub dead_letters: usize,
    /// Bulletins queued.
    pub bulletins: usize,
    /// Error of the last attempt; `None` after a success.
    pub last_error: Option<String>,
    /// Time of the first failed attempt in a row; `None` after a success.
    pub failing_since: Option<UnixMillis>,
    /// Time from which the rate limit delays notifications; `None` while it does not.
    pub held_since: Option<UnixMillis>,
}

impl ChannelStats {
    /// Returns the number of notifications that the service rejected for good.
    #[must_use]
    pub fn rejected(&self) -> u64 {
        let rejected = self
            .dropped
            .iter()
            .filter(|(reason, _)| *reason == REJECTED);
        rejected.map(|(_, count)| count).sum()
    }
}

#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) sent: u64,
    pub(super) failed: u64,
    pub(super) dropped: BTreeMap<&'static str, u64>,
    pub(super) last_error: Option<String>,
    pub(super) failing_since: Option<Now>,
    pub(super) held_since: Option<UnixMillis>,
    /// Alerts of rejected notifications since the last [`ChannelState::take_rejected`].
    rejected: Vec<Fingerprint>,
}

/// State of a channel that outlives a reload: its queue and its counters.
pub(super) struct ChannelState {
    name: Arc<str>,
    pub(super) outbox: Mutex<Outbox>,
    journal: Mutex<Option<Journal>>,
    /// Writer of the journal, which tracks its errors.
    saver: Option<Saver>,
    pub(super) counts: Mutex<Counts>,
    pub(super) wake: Notify,
    pub(super) bulletins: BulletinStore,
}

impl ChannelState {
    /// Opens the queue of the channel `name` in the `outbox` of `state`, or one in memory, `now`.
    /// While it cannot be read or written it is in memory too, and tried again. Blocks.
    pub(super) fn open(name: &str, state: Option<Arc<StateDirectory>>, now: Now) -> Self {
        let mut outbox = Outbox::default();
        let bulletins = BulletinStore::open(name, state.clone());
        let saver = state.map(|state| {
            let what = format!("the queue of channel {name}");
            Saver::new(state, format!("outbox/{name}.jsonl"), what)
        });
        let journal = saver.as_ref().map(|saver| {
            match saver.load(|| Journal::open(saver.path(), now)) {
                Ok((journal, outbox_read, damaged)) => {
                    if damaged > 0 {
                        let path = saver.path().display();
                        warn!(
                            channel = name,
                            lines = damaged,
                            %path,
                            "the queue's file is damaged: the notifications of these lines are not sent, \
                             and some alerts may not be resolved"
                        );
                    }
                    outbox = outbox_read;
                    outbox.take_dropped(); // long ago
                    journal
                }
                Err(_) => Journal::at(saver.path()),
            }
        });
        let state = Self {
            name: name.into(),
            outbox: Mutex::new(outbox),
            journal: Mutex::new(journal),
            saver,
            counts: Mutex::default(),
            wake: Notify::new(),
            bulletins,
        };
        state.save_if_due();
        state
    }

    /// Rewrites the journal after a failed write, or if its file was deleted. Blocks.
    pub(super) fn save_if_due(&self) {
        if self.saver.as_ref().is_some_and(Saver::is_due) {
            self.append(&mut self.journal.lock(), &[]);
        }
        self.bulletins.save_if_due();
    }

    /// Returns the error that keeps the queue from the disk, if any.
    pub(super) fn problem(&self) -> Option<String> {
        let outbox = self.saver.as_ref()?.problem();
        outbox.or_else(|| self.bulletins.problem())
    }

    pub(super) fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Notifications queued.
    pub(super) fn queued(&self) -> usize {
        self.outbox.lock().len()
    }

    /// Converts a dead letter of the outbox to its public form.
    pub(super) fn dead_letter(&self, dead_letter: &StoredDeadLetter) -> DeadLetter {
        let StoredDeadLetter {
            at,
            reason,
            error,
            notification,
            end,
            ..
        } = dead_letter.clone();
        // Rejected once more, it has the same id.
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

    /// Changes the outbox and appends the changes to the journal. Blocks.
    pub(super) fn change(&self, change: impl FnOnce(&mut Outbox) -> Vec<Record>) -> Changed {
        // Held over both, so that the lines come in the order of the changes.
        let mut journal = self.journal.lock();
        let (records, dropped) = {
            let mut outbox = self.outbox.lock();
            (change(&mut outbox), outbox.take_dropped())
        };
        if !records.is_empty() {
            self.append(&mut journal, &records);
        }
        Changed { records, dropped }
    }

    /// Counts the notifications that were dropped for `reason`.
    pub(super) fn count_dropped(&self, reason: &'static str, dropped: &[Notification]) -> u64 {
        let count = dropped.len() as u64;
        if count > 0 {
            let mut counts = self.counts.lock();
            *counts.dropped.entry(reason).or_default() += count;
            if reason == REJECTED {
                counts.rejected.extend(
                    dropped
                        .iter()
                        .map(|notification| notification.alert.fingerprint),
                );
            }
        }
        count
    }

    /// Returns the alerts of rejected notifications since the last call.
    pub(super) fn take_rejected(&self) -> Vec<Fingerprint> {
        std::mem::take(&mut self.counts.lock().rejected)
    }

    /// Returns the statistics of the channel, which is of type `kind`.
    pub(super) fn stats(&self, kind: &'static str) -> ChannelStats {
        let (queued, dead_letters) = {
            let outbox = self.outbox.lock();
            (outbox.len(), outbox.dead_letters().count())
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
            bulletins: self.bulletins.queued(),
            last_error: counts.last_error.clone(),
            failing_since: counts.failing_since.map(|since| since.wall),
            held_since: counts.held_since,
        }
    }
}

/// Reason of a notification that its service rejected for good.
pub(super) const REJECTED: &str = "rejected";

/// Result of a change of the outbox.
#[derive(Default)]
pub(super) struct Changed {
    pub(super) records: Vec<Record>,
    pub(super) dropped: Vec<Notification>,
}
