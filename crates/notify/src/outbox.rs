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

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bellwether_core::{
    Alert, AlertState, Cause, Fingerprint, Group, MonoMillis, Notification, NotifiedState, Now,
    Severity, Status, UnixMillis,
};
pub(super) use dead_letters::{DropReason, StoredDeadLetter};

/// Times at which firing notifications of an alert were delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Notified {
    /// Time of the first.
    pub(super) first: Now,
    /// Time of the last.
    pub(super) last: Now,
}

impl Notified {
    /// Returns the range of both.
    fn with(self, other: Self) -> Self {
        Self {
            first: self.first.min(other.first),
            last: self.last.max(other.last),
        }
    }
}

/// Decision of a channel's filter on a notification.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Decision {
    /// The channel is notified, if it does not know already.
    Offer(Notification),
    /// The alert has ended for this channel, which is not notified of that.
    CloseSilently(Notification),
}

/// One change of an outbox.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Record {
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

/// A queued notification.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    pub(super) seq: u64,
    episode: u64,
    pub(super) notification: Notification,
}

#[derive(Clone, Debug, PartialEq)]
struct Episode {
    notified: Option<Notified>,
    open: bool,
    /// True if it ended and the channel is not notified of it.
    silent: bool,
    /// Firings of it that are queued.
    waiting: usize,
    alert: Arc<Alert>,
    group: Arc<Group>,
}

impl Episode {
    fn new(alert: Arc<Alert>, group: Arc<Group>) -> Self {
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
    fn is_delivered(&self) -> bool {
        self.notified.is_some()
    }
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
                open.alert.severity != alert.severity || is_sent_again(notification.cause, open)
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

    /// Drops notifications beyond `capacity`. The resolved of a notified alert stays, and so do
    /// notifications of the attempt under way; of both there is at most one per alert.
    pub(super) fn trim(&mut self, capacity: usize, reason: &DropReason<'_>) -> Vec<Record> {
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

    /// Applies one record. If the only firing of an episode is dropped, the sequence number of its
    /// queued resolved is returned, which must be dropped too.
    pub(super) fn apply(&mut self, record: Record) -> Option<u64> {
        match record {
            Record::Episode {
                id,
                notified,
                open,
                alert,
                group,
            } => {
                self.next = self.next.max(id);
                self.episodes.insert(
                    id,
                    Episode {
                        notified,
                        ..Episode::new(alert, group)
                    },
                );
                if open {
                    self.open_episode(id);
                }
                None
            }
            Record::Push {
                seq,
                episode,
                notification,
            } => {
                self.push(seq, episode, notification);
                None
            }
            Record::Delivered { seq, at } => {
                let entry = self.remove(seq)?;
                if let Some(episode) = self.episodes.get_mut(&entry.episode)
                    && entry.notification.status == Status::Firing
                {
                    let now = Notified {
                        first: at,
                        last: at,
                    };
                    episode.notified =
                        Some(episode.notified.map_or(now, |notified| notified.with(now)));
                }
                self.forget_ended(&entry);
                self.forget_delivered(&entry);
                None
            }
            Record::Drop(seq) => {
                let entry = self.remove(seq)?;
                self.forget_ended(&entry);
                let unmatched = self.forget_undelivered(&entry);
                self.dropped.push(entry.notification);
                unmatched
            }
            Record::Close(id) => {
                self.end_episode(id);
                if let Some(episode) = self.episodes.get_mut(&id) {
                    episode.silent = true;
                    let alert = episode.alert.fingerprint;
                    self.forget_firing(alert);
                }
                self.forget_silent(id);
                None
            }
            Record::DeadLetter(dead_letter) => {
                self.store_dead_letter(*dead_letter);
                None
            }
            Record::Forget(seq) => {
                self.dead_letters.remove(&seq);
                None
            }
        }
    }

    fn push(&mut self, seq: u64, id: u64, notification: Notification) {
        if self.queue.back().is_some_and(|last| last.seq >= seq) {
            return; // no journal that was written whole holds one twice
        }
        self.next = self.next.max(seq).max(id);
        let (alert, group) = (notification.alert.clone(), notification.group.clone());
        if notification.status == Status::Firing {
            self.end_episode(id); // it may move to another group
            let new_episode = || Episode::new(alert.clone(), group.clone());
            let episode = self.episodes.entry(id).or_insert_with(new_episode);
            (episode.alert, episode.group) = (alert, group);
            episode.waiting += 1;
            self.open_episode(id);
        } else {
            self.end_episode(id);
            self.forget_firing(alert.fingerprint);
            let new_episode = || Episode::new(alert.clone(), group);
            self.episodes.entry(id).or_insert_with(new_episode).alert = alert.clone();
        }
        self.queue.push_back(Entry {
            seq,
            episode: id,
            notification,
        });
    }

    /// Opens the episode `id`.
    fn open_episode(&mut self, id: u64) {
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
    fn end_episode(&mut self, id: u64) {
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

    fn remove(&mut self, seq: u64) -> Option<Entry> {
        let entry = self.queue.remove(self.index(seq)?)?;
        if entry.notification.status == Status::Firing
            && let Some(episode) = self.episodes.get_mut(&entry.episode)
        {
            episode.waiting = episode.waiting.saturating_sub(1);
        }
        Some(entry)
    }

    /// Forgets the episode whose last notification left the queue.
    fn forget_ended(&mut self, entry: &Entry) {
        match entry.notification.status {
            Status::Resolved => drop(self.episodes.remove(&entry.episode)),
            Status::Firing => self.forget_silent(entry.episode),
        }
    }

    /// Forgets an episode without a delivered or queued firing. Returns its queued resolved, which
    /// must be dropped too.
    fn forget_undelivered(&mut self, entry: &Entry) -> Option<u64> {
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

    /// Returns the undelivered firings whose alert resolved longer than `limit` ago. A resent
    /// notification never expires.
    pub(super) fn ended_undelivered(&self, limit: Duration, now: UnixMillis) -> Vec<u64> {
        let ended: HashSet<u64> = self
            .queue
            .iter()
            .filter(|entry| entry.notification.status == Status::Resolved)
            .filter(|entry| now.since(entry.notification.at) >= limit)
            .map(|entry| entry.episode)
            .collect();
        let unsent = |id: &u64| {
            self.episodes
                .get(id)
                .is_some_and(|episode| !episode.is_delivered())
        };
        self.queue
            .iter()
            .filter(|entry| ended.contains(&entry.episode) && unsent(&entry.episode))
            .filter(|entry| entry.notification.status == Status::Firing)
            .filter(|entry| entry.notification.cause != Cause::Resend)
            .map(|entry| entry.seq)
            .collect()
    }

    /// Drops each resolved of an episode without a delivered or queued firing, which a journal with
    /// missing lines can leave.
    pub(super) fn drop_unmatched_resolved(&mut self) {
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

    /// Returns the records that restore this outbox: those of a compacted journal.
    pub(super) fn records(&self) -> Vec<Record> {
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

/// Returns true if a firing with this cause is sent although the channel knows that the alert
/// fires.
fn is_sent_again(cause: Cause, open: &Episode) -> bool {
    match cause {
        Cause::Change | Cause::Escalation | Cause::Fallback | Cause::Test => false,
        Cause::Repeat | Cause::Heartbeat => open.waiting == 0,
        Cause::Flapping | Cause::Resend => true,
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
mod tests {
    use proptest::prelude::*;

    use super::super::testing::notification;
    use super::*;

    fn statuses(outbox: &Outbox) -> Vec<(Status, String)> {
        outbox
            .queue()
            .map(|entry| {
                (
                    entry.notification.status,
                    entry.notification.alert.rule.to_string(),
                )
            })
            .collect()
    }

    /// A rejection, with at most two dead letters.
    const REJECTED: DropReason<'_> = DropReason {
        reason: "rejected",
        error: "no",
        at: UnixMillis(9),
        max_dead_letters: 2,
    };

    fn offer(outbox: &mut Outbox, rule: &str, status: Status) -> Vec<Record> {
        outbox.offer(notification(rule, "/", status))
    }

    #[test]
    fn a_resolved_needs_a_firing_and_a_repeat_is_not_queued() {
        let mut outbox = Outbox::default();
        assert!(offer(&mut outbox, "a", Status::Resolved).is_empty());
        offer(&mut outbox, "a", Status::Firing);
        assert!(
            offer(&mut outbox, "a", Status::Firing).is_empty(),
            "sent twice"
        );
        let mut worse = notification("a", "/", Status::Firing);
        worse.alert = Arc::new(Alert {
            severity: Severity::Critical,
            ..(*worse.alert).clone()
        });
        assert!(
            !outbox.offer(worse).is_empty(),
            "a change of severity is sent"
        );
        offer(&mut outbox, "a", Status::Resolved);
        assert!(offer(&mut outbox, "a", Status::Resolved).is_empty());
        assert_eq!(outbox.len(), 3);
    }

    #[test]
    fn a_dropped_firing_takes_its_resolved_along_unless_one_got_through() {
        let mut outbox = Outbox::default();
        offer(&mut outbox, "a", Status::Firing);
        offer(&mut outbox, "a", Status::Resolved);
        let first = outbox.queue().next().unwrap().seq;
        assert_eq!(
            outbox
                .drop_entry(
                    first,
                    &DropReason {
                        max_dead_letters: 0,
                        ..REJECTED
                    }
                )
                .len(),
            2
        );
        assert_eq!(outbox.take_dropped().len(), 2);
        assert_eq!(
            outbox,
            Outbox {
                next: outbox.next,
                ..Outbox::default()
            }
        );

        offer(&mut outbox, "b", Status::Firing);
        let first = outbox.queue().next().unwrap().seq;
        outbox.mark_delivered(first, Now::default());
        assert_eq!(outbox.open().count(), 1);
        offer(&mut outbox, "b", Status::Resolved);
        assert_eq!(statuses(&outbox), [(Status::Resolved, "b".into())]);
    }

    #[test]
    fn a_queued_notification_counts_as_sent_now() {
        let mut outbox = Outbox::default();
        let alert = notification("a", "/", Status::Firing).alert.fingerprint;
        let at = |second: u64| Now::default().after(Duration::from_secs(second));
        let last = |outbox: &Outbox| outbox.last_notified(alert, at(9).mono);
        assert_eq!(last(&outbox), None);
        offer(&mut outbox, "a", Status::Firing);
        assert_eq!(last(&outbox), Some(at(9).mono));
        let seq = outbox.queue().next().unwrap().seq;
        outbox.mark_delivered(seq, at(2));
        assert_eq!(last(&outbox), Some(at(2).mono));
        offer(&mut outbox, "a", Status::Resolved);
        assert_eq!(last(&outbox), None);
    }

    #[test]
    fn a_full_queue_drops_the_oldest_alert_with_its_resolved_and_no_resolved_of_a_notified_one() {
        let mut outbox = Outbox::default();
        offer(&mut outbox, "notified", Status::Firing);
        let seq = outbox.queue().next().unwrap().seq;
        outbox.mark_delivered(seq, Now::default());
        offer(&mut outbox, "notified", Status::Resolved);
        offer(&mut outbox, "old", Status::Firing);
        offer(&mut outbox, "new", Status::Firing);
        outbox.trim(2, &REJECTED);
        assert_eq!(
            statuses(&outbox),
            [
                (Status::Resolved, "notified".into()),
                (Status::Firing, "new".into())
            ]
        );
        offer(&mut outbox, "old", Status::Resolved);
        assert_eq!(outbox.len(), 2, "its firing was not sent");
    }

    #[test]
    fn a_full_queue_drops_the_least_important() {
        let level = |rule: &str, severity| {
            let mut notification = notification(rule, "/", Status::Firing);
            let alert = Alert {
                severity,
                ..(*notification.alert).clone()
            };
            notification.alert = Arc::new(alert);
            notification
        };
        let mut outbox = Outbox::default();
        offer(&mut outbox, "oldest", Status::Firing);
        offer(&mut outbox, "rising", Status::Firing);
        outbox.offer(level("rising", Severity::Critical));
        offer(&mut outbox, "over", Status::Firing);
        offer(&mut outbox, "over", Status::Resolved);
        let rules = |outbox: &Outbox| {
            statuses(outbox)
                .into_iter()
                .map(|(_, rule)| rule)
                .collect::<Vec<_>>()
        };
        outbox.trim(4, &REJECTED);
        assert_eq!(
            rules(&outbox),
            ["oldest", "rising", "rising"],
            "an alert goes whole"
        );
        outbox.trim(2, &REJECTED);
        assert_eq!(rules(&outbox), ["oldest", "rising"]);
        assert_eq!(
            outbox.queue().nth(1).unwrap().notification.alert.severity,
            Severity::Critical
        );
        outbox.trim(1, &REJECTED);
        assert_eq!(rules(&outbox), ["rising"]);
    }

    #[test]
    fn an_attempt_under_way_is_not_dropped() {
        let mut outbox = Outbox::default();
        offer(&mut outbox, "a", Status::Firing);
        let seq = outbox.queue().next().unwrap().seq;
        outbox.claim([seq]);
        offer(&mut outbox, "a", Status::Resolved);
        offer(&mut outbox, "b", Status::Firing);
        outbox.trim(1, &REJECTED);
        outbox.mark_delivered(seq, Now::default());
        assert_eq!(statuses(&outbox), [(Status::Resolved, "a".into())]);
    }

    #[test]
    fn a_resolved_has_the_severity_that_was_notified() {
        let mut outbox = Outbox::default();
        offer(&mut outbox, "a", Status::Firing);
        let mut lower = notification("a", "/", Status::Firing);
        lower.status = Status::Resolved;
        lower.alert = Arc::new(Alert {
            severity: Severity::Info,
            ..(*lower.alert).clone()
        });
        outbox.offer(lower.clone());
        let notified = outbox.queue().nth(1).unwrap().notification.alert.clone();
        assert_eq!(
            (notified.severity, notified.state),
            (Severity::Warning, AlertState::Inactive)
        );
        assert_eq!(notified.resolved_at, Some(lower.at));
    }

    #[test]
    fn what_began_and_ended_unsent_goes_stale() {
        let mut outbox = Outbox::default();
        offer(&mut outbox, "a", Status::Firing);
        let day = Duration::from_secs(86_400);
        let later = UnixMillis(notification("a", "/", Status::Resolved).at.0 + 86_400_000);
        assert!(
            outbox.ended_undelivered(day, later).is_empty(),
            "it still fires"
        );
        offer(&mut outbox, "a", Status::Resolved);
        assert_eq!(
            outbox.ended_undelivered(day, UnixMillis(later.0 - 1)).len(),
            0
        );
        assert_eq!(outbox.ended_undelivered(day, later).len(), 1);
    }

    /// Checks the order of one alert's deliveries: never a resolved without a firing.
    fn in_order(delivered: &[(Status, String)]) -> bool {
        let mut open = HashSet::new();
        delivered.iter().all(|(status, rule)| match status {
            Status::Firing => {
                open.insert(rule.clone());
                true
            }
            Status::Resolved => open.remove(rule),
        })
    }

    proptest! {
        /// Offers, deliveries and drops in any order, and a replay of the records after each.
        #[test]
        fn the_contract_holds_and_the_records_replay(
            steps in prop::collection::vec((0..10_u8, 0..3_usize), 1..80),
        ) {
            let (mut outbox, mut journal, mut delivered) = (Outbox::default(), Vec::new(), Vec::new());
            // Alerts whose resolved was not sent or was rejected: the last one may be firing.
            let mut silent = HashSet::new();
            for (step, which) in steps {
                let rule = ["a", "b", "c"][which];
                match step {
                    0 => journal.extend(offer(&mut outbox, rule, Status::Firing)),
                    1 => journal.extend(offer(&mut outbox, rule, Status::Resolved)),
                    2 => journal.extend(outbox.trim(4, &REJECTED)),
                    3 => { let head = outbox.queue().next().map(|entry| entry.seq); outbox.claim(head); },
                    6 => {
                        let ended = notification(rule, "/", Status::Resolved);
                        journal.extend(outbox.close_silently(&ended));
                        silent.insert(rule.to_owned());
                    }
                    7 => {
                        let again = notification(rule, "/", Status::Firing);
                        journal.extend(outbox.offer(Notification { cause: Cause::Repeat, ..again }));
                    }
                    8 => {
                        let Some(seq) = outbox.dead_letters().nth(which).map(|notification| notification.seq) else {
                            continue;
                        };
                        journal.extend(outbox.resend(seq, Now::default(), |notification| Decision::Offer(notification.clone())));
                    }
                    _ => {
                        let Some(entry) = outbox.queue().next().cloned() else { continue };
                        outbox.claim([]);
                        if step == 4 {
                            let notified = &entry.notification;
                            delivered.push((notified.status, notified.alert.rule.to_string()));
                            journal.extend(outbox.mark_delivered(entry.seq, Now::default()));
                        } else {
                            if entry.notification.status == Status::Resolved {
                                silent.insert(entry.notification.alert.rule.to_string());
                            }
                            journal.extend(outbox.drop_entry(entry.seq, &REJECTED));
                        }
                    }
                }
                prop_assert!(in_order(&delivered), "{delivered:?}");
                for records in [journal.clone(), outbox.records()] {
                    let mut replayed = Outbox::default();
                    for record in records {
                        replayed.apply(record);
                    }
                    replayed.next = outbox.next;
                    replayed.in_flight.clone_from(&outbox.in_flight);
                    replayed.dropped.clone_from(&outbox.dropped);
                    prop_assert_eq!(&replayed, &outbox);
                }
            }
            prop_assert!(outbox.dead_letters().count() <= REJECTED.max_dead_letters);
            // Deliver the rest: every notified alert that ended is notified as resolved.
            let left: Vec<Entry> = outbox.queue().cloned().collect();
            for entry in left {
                let notified = &entry.notification;
                delivered.push((notified.status, notified.alert.rule.to_string()));
                outbox.mark_delivered(entry.seq, Now::default());
            }
            prop_assert!(in_order(&delivered));
            for alert in ["a", "b", "c"] {
                let last = delivered.iter().rev().find(|(_, rule)| rule == alert);
                let fires = outbox.open().any(|(open, _)| &*open.rule == alert);
                let notified = last.is_some_and(|(status, _)| *status == Status::Firing);
                prop_assert!(notified == fires || notified && silent.contains(alert));
            }
        }
    }
}
