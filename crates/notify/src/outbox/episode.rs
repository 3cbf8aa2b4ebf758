//! Episodes: an alert on one channel from its first firing notification to its resolved one.

use std::sync::Arc;

use bellwether_core::{Alert, Cause, Group, Now, Status};

use super::{Entry, Outbox};

/// Times at which firing notifications of an alert were delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Notified {
    /// Time of the first.
    pub(crate) first: Now,
    /// Time of the last.
    pub(crate) last: Now,
}

impl Notified {
    /// Returns the range of both.
    pub(super) fn with(self, other: Self) -> Self {
        Self {
            first: self.first.min(other.first),
            last: self.last.max(other.last),
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Episode {
    pub(super) notified: Option<Notified>,
    pub(super) open: bool,
    /// True if it ended and the channel is not notified of it.
    pub(super) silent: bool,
    /// Firings of it that are queued.
    pub(super) waiting: usize,
    pub(super) alert: Arc<Alert>,
    pub(super) group: Arc<Group>,
}

impl Episode {
    pub(super) fn new(alert: Arc<Alert>, group: Arc<Group>) -> Self {
        Self {
            notified: None,
            open: false,
            silent: false,
            waiting: 0,
            alert,
            group,
        }
    }

    /// Returns true if a firing of it was delivered.
    pub(super) fn is_delivered(&self) -> bool {
        self.notified.is_some()
    }

    /// Returns true if a firing with this cause is sent although the channel knows that the alert
    /// fires.
    pub(super) fn accepts_again(&self, cause: Cause) -> bool {
        match cause {
            Cause::Change | Cause::Escalation | Cause::Fallback | Cause::Test => false,
            Cause::Repeat | Cause::Heartbeat => self.waiting == 0,
            Cause::Flapping | Cause::Resend => true,
        }
    }
}

impl Outbox {
    /// Adds an episode of a journal.
    pub(super) fn restore_episode(&mut self, id: u64, episode: Episode, open: bool) {
        self.next = self.next.max(id);
        self.episodes.insert(id, episode);
        if open {
            self.open_episode(id);
        }
    }

    /// Ends the episode `id`, of which the channel is not notified.
    pub(super) fn close_episode(&mut self, id: u64) {
        self.end_episode(id);
        if let Some(episode) = self.episodes.get_mut(&id) {
            episode.silent = true;
            let alert = episode.alert.fingerprint;
            self.forget_firing(alert);
        }
        self.forget_silent(id);
    }

    /// Opens the episode `id`.
    pub(super) fn open_episode(&mut self, id: u64) {
        let Some(episode) = self.episodes.get_mut(&id) else {
            return;
        };
        episode.open = true;
        self.open.insert(episode.alert.fingerprint, id);
        if episode.group.include_firing {
            self.groups
                .entry(episode.group.key.clone())
                .or_default()
                .insert(id);
        }
    }

    /// Ends the episode `id`; its queued notifications stay.
    pub(super) fn end_episode(&mut self, id: u64) {
        let Some(episode) = self.episodes.get_mut(&id).filter(|episode| episode.open) else {
            return;
        };
        episode.open = false;
        let alert = episode.alert.fingerprint;
        if self.open.get(&alert) == Some(&id) {
            self.open.remove(&alert);
        }
        if let Some(ids) = self.groups.get_mut(&episode.group.key) {
            ids.remove(&id);
            if ids.is_empty() {
                self.groups.remove(&episode.group.key);
            }
        }
    }

    /// Forgets the episode `id` if it ended silently and nothing of it waits.
    fn forget_silent(&mut self, id: u64) {
        if self
            .episodes
            .get(&id)
            .is_some_and(|episode| episode.silent && episode.waiting == 0)
        {
            self.episodes.remove(&id);
        }
    }

    /// Forgets the episode whose last notification left the queue.
    pub(super) fn forget_ended(&mut self, entry: &Entry) {
        match entry.notification.status {
            Status::Resolved => drop(self.episodes.remove(&entry.episode)),
            Status::Firing => self.forget_silent(entry.episode),
        }
    }

    /// Forgets an episode without a delivered or queued firing. Returns its queued resolved, which
    /// must be dropped too.
    pub(super) fn forget_undelivered(&mut self, entry: &Entry) -> Option<u64> {
        let episode = self.episodes.get(&entry.episode)?;
        if episode.is_delivered() || episode.waiting > 0 {
            return None;
        }
        if episode.open {
            // Its resolved is not queued, so the queue, which may be long, is not searched.
            self.end_episode(entry.episode);
            self.episodes.remove(&entry.episode);
            return None;
        }
        self.queue
            .iter()
            .find(|other| other.episode == entry.episode)
            .map(|resolved| resolved.seq)
    }
}
