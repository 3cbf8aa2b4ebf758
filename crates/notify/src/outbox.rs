//! Durable queue of one channel and its notified alerts. Pure.
//!
//! An episode is one alert on this channel from its first firing notification to its resolved one.
//! The rules:
//! - a resolved is queued only for an open episode, and always for one;
//! - a firing of an open episode at the severity that was notified last is not queued again, unless
//!   its cause asks for it ([`Cause::Repeat`] and the like) and none of the episode is queued;
//! - if no firing of an episode was delivered, its resolved is not sent either.
//!
//! A dropped notification becomes a dead letter ([`dead_letters`]), to be inspected and resent.
//!
//! Every change is a [`Record`]; applying the records of a journal to an empty outbox restores the
//! outbox.

mod dead_letters;
mod drops;
mod episode;
mod record;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use bellwether_core::{
    Alert, AlertState, Cause, Fingerprint, Group, MonoMillis, Notification, NotifiedState, Now,
    Severity, Status, UnixMillis,
};
pub(super) use dead_letters::{DropReason, StoredDeadLetter};
use episode::Episode;
pub(super) use episode::Notified;
pub(super) use record::Record;

/// Decision of a channel's filter on a notification.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Decision {
    /// The channel is notified, if it does not know already.
    Offer(Notification),
    /// The alert has ended for this channel, which is not notified of that.
    CloseSilently(Notification),
}

/// A queued notification.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    pub(super) seq: u64,
    episode: u64,
    pub(super) notification: Notification,
}

/// The outbox of one channel.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Outbox {
    queue: VecDeque<Entry>,
    episodes: BTreeMap<u64, Episode>,
    open: HashMap<Fingerprint, u64>,
    /// Open episodes by group key, for groups that include their firing alerts.
    groups: HashMap<String, BTreeSet<u64>>,
    next: u64,
    /// Sequence numbers of the attempt under way. The service may have these already, so they are
    /// not dropped.
    in_flight: HashSet<u64>,
    /// Notifications dropped since the last [`Outbox::take_dropped`].
    dropped: Vec<Notification>,
    /// Dead letters by sequence number.
    dead_letters: BTreeMap<u64, StoredDeadLetter>,
}

impl Outbox {
    /// Number of queued notifications.
    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    /// Queued notifications, oldest first.
    pub(super) fn queue(&self) -> impl Iterator<Item = &Entry> {
        self.queue.iter()
    }

    /// Firing alerts that the channel was or will be notified of.
    pub(super) fn open(&self) -> impl Iterator<Item = (&Arc<Alert>, &Arc<Group>)> {
        let open = self.open.values().filter_map(|id| self.episodes.get(id));
        open.map(|episode| (&episode.alert, &episode.group))
    }

    /// Returns resolved notifications for the firing alerts of this outbox, including those of dead
    /// letters, that are not in `still_firing`.
    pub(super) fn resolved_for_inactive(
        &self,
        still_firing: &HashSet<Fingerprint>,
        now: UnixMillis,
    ) -> Vec<Notification> {
        let dropped = self
            .firing_dead_letters()
            .filter(|(alert, _)| !self.open.contains_key(&alert.fingerprint));
        let reason = "it no longer fires after a restart or reload";
        self.open()
            .chain(dropped)
            .filter(|(alert, _)| !still_firing.contains(&alert.fingerprint))
            .map(|(alert, group)| resolved_notification(alert, group, reason, now))
            .collect()
    }

    /// Returns the notifications dropped since the last call.
    pub(super) fn take_dropped(&mut self) -> Vec<Notification> {
        std::mem::take(&mut self.dropped)
    }

    /// Returns the time of the last firing notification of `alert`; `now` if one is queued.
    pub(super) fn last_notified(&self, alert: Fingerprint, now: MonoMillis) -> Option<MonoMillis> {
        let episode = self.episodes.get(self.open.get(&alert)?)?;
        if episode.waiting > 0 {
            Some(now)
        } else {
            episode.notified.map(|notified| notified.last.mono)
        }
    }

    /// Adds the firing alerts that the channel was notified of.
    pub(super) fn add_notified(&self, all: &mut hashbrown::HashMap<Fingerprint, NotifiedState>) {
        let open = self.open.values().filter_map(|id| self.episodes.get(id));
        for (alert, notified) in
            open.filter_map(|episode| Some((&episode.alert, episode.notified?)))
        {
            let (first, last) = (notified.first.mono, notified.last.mono);
            let new = NotifiedState {
                first,
                last,
                severity: alert.severity,
            };
            let state = all.entry(alert.fingerprint).or_insert(new);
            state.first = state.first.min(first);
            state.last = state.last.max(last);
            state.severity = state.severity.max(alert.severity);
        }
    }

    /// Returns the alerts of `group` that the channel was notified of and that are not among
    /// `notifications`, by start.
    pub(super) fn still_firing(
        &self,
        group: &Group,
        notifications: &[Notification],
    ) -> Vec<Arc<Alert>> {
        let Some(ids) = self.groups.get(&group.key).filter(|_| group.include_firing) else {
            return Vec::new();
        };
        let notified: HashSet<Fingerprint> = notifications
            .iter()
            .map(|notification| notification.alert.fingerprint)
            .collect();
        let episodes = ids.iter().filter_map(|id| self.episodes.get(id));
        let mut alerts: Vec<Arc<Alert>> = episodes
            .filter(|episode| {
                episode.is_delivered() && !notified.contains(&episode.alert.fingerprint)
            })
            .map(|episode| episode.alert.clone())
            .collect();
        alerts.sort_by_key(|alert| (alert.fired_at, alert.fingerprint));
        alerts
    }

    /// Sets the notifications of the attempt under way.
    pub(super) fn claim(&mut self, seqs: impl IntoIterator<Item = u64>) {
        self.in_flight = seqs.into_iter().collect();
    }

    /// Applies the decision of the channel's filter. Returns the changes.
    pub(super) fn accept(&mut self, decision: Decision) -> Vec<Record> {
        match decision {
            Decision::Offer(notification) => self.offer(notification),
            Decision::CloseSilently(notification) => self.close_silently(&notification),
        }
    }

    /// Queues `notification` if the channel needs it. Returns the changes.
    pub(super) fn offer(&mut self, mut notification: Notification) -> Vec<Record> {
        if !self.needs_notification(&notification) {
            return self.attach_end(&notification);
        }
        let open = self.open.get(&notification.alert.fingerprint).copied();
        let episode = open.and_then(|id| self.episodes.get(&id));
        if let (Status::Resolved, Some(episode)) = (notification.status, episode) {
            notification.alert = ended(&notification, episode.alert.severity);
            // The alert may be in another group by now; its resolved goes to the group of its firing.
            notification.group = episode.group.clone();
        }
        let episode = open.unwrap_or_else(|| self.next_number());
        let seq = self.next_number();
        self.apply_recorded(Record::Push {
            seq,
            episode,
            notification,
        })
    }

    /// Returns true if the notification has something new for the channel.
    fn needs_notification(&self, notification: &Notification) -> bool {
        let alert = &notification.alert;
        let open = self
            .open
            .get(&alert.fingerprint)
            .and_then(|id| self.episodes.get(id));
        match notification.status {
            Status::Resolved => open.is_some(),
            Status::Firing => open.is_none_or(|open| {
                open.alert.severity != alert.severity || open.accepts_again(notification.cause)
            }),
        }
    }

    /// Ends the episode of an alert without a notification.
    pub(super) fn close_silently(&mut self, ended: &Notification) -> Vec<Record> {
        match self.open.get(&ended.alert.fingerprint).copied() {
            Some(episode) => self.apply_recorded(Record::Close(episode)),
            None => self.attach_end(&Notification {
                status: Status::Resolved,
                ..ended.clone()
            }),
        }
    }

    fn index(&self, seq: u64) -> Option<usize> {
        self.queue
            .binary_search_by_key(&seq, |entry| entry.seq)
            .ok()
    }

    fn next_number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// Records that the notification `seq` was delivered at `at`.
    pub(super) fn mark_delivered(&mut self, seq: u64, at: Now) -> Vec<Record> {
        self.apply_recorded(Record::Delivered { seq, at })
    }

    fn apply_recorded(&mut self, record: Record) -> Vec<Record> {
        let mut records = vec![record.clone()];
        if let Some(unmatched) = self.apply(record) {
            records.extend(self.apply_recorded(Record::Drop(unmatched)));
        }
        records
    }
}

/// Creates the resolved notification of an alert whose end was not observed.
fn resolved_notification(
    alert: &Arc<Alert>,
    group: &Arc<Group>,
    reason: &str,
    at: UnixMillis,
) -> Notification {
    Notification {
        id: alert.change_id(at),
        status: Status::Resolved,
        cause: Cause::Change,
        group: group.clone(),
        alert: alert.clone(),
        reason: reason.to_owned(),
        at,
    }
}

/// Returns the alert of a resolved notification, at the severity that was notified last, so that
/// the service can match it.
fn ended(notification: &Notification, severity: Severity) -> Arc<Alert> {
    let mut ended = Alert::clone(&notification.alert);
    ended.severity = severity;
    ended.state = AlertState::Inactive;
    ended.resolved_at.get_or_insert(notification.at);
    Arc::new(ended)
}

#[cfg(test)]
mod tests;
