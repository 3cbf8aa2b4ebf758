//! What one channel still has to be told, and what it was told: pure.
//!
//! An episode is one alert from its first firing to its end on this channel. The rules:
//! - a resolved is queued only for an open episode, and always for one;
//! - a firing of an open episode at the severity that was told last is not queued again, unless it
//!   is meant to be told again ([`Cause::Repeat`] and the like) and none of it waits;
//! - where no firing of an episode got through, its resolved is not told either.
//!
//! What is given up is kept as a letter ([`letters`]), to be looked at and sent again.
//!
//! Every change is a [`Record`]; applying the records of a journal to an empty outbox gives the
//! outbox back.

mod letters;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bellwether_core::{
    Alert, AlertState, Cause, Fingerprint, Group, MonoMillis, Notification, NotifiedState, Now,
    Severity, Status, UnixMillis,
};
pub(super) use letters::{GivenUp, Letter};

/// When firings of an alert got through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Told {
    /// The first.
    pub(super) first: Now,
    /// The last.
    pub(super) last: Now,
}

impl Told {
    /// Both from the first to the last of either.
    fn with(self, other: Self) -> Self {
        Self {
            first: self.first.min(other.first),
            last: self.last.max(other.last),
        }
    }
}

/// One change.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Record {
    /// An episode as it stands; how a compacted journal begins.
    Episode {
        /// Its number.
        id: u64,
        /// When firings of it got through, if any did.
        told: Option<Told>,
        /// Whether its end is still to come.
        open: bool,
        /// The alert as it was told last.
        alert: Arc<Alert>,
        /// What it was told with.
        group: Arc<Group>,
    },
    /// A notification was queued.
    Push {
        /// Its number; ascending.
        seq: u64,
        /// Its episode.
        episode: u64,
        /// What it says.
        notification: Notification,
    },
    /// The receiver took it.
    Done {
        /// Its number.
        seq: u64,
        /// When.
        at: Now,
    },
    /// It was given up.
    Drop(u64),
    /// An episode ended of whose end the channel is not told.
    Close(u64),
    /// What was given up is kept, or its alert ended since.
    Letter(Box<Letter>),
    /// A letter was sent again or discarded, or had to make room.
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
    told: Option<Told>,
    open: bool,
    /// Whether it ended and the channel is not told of that.
    silent: bool,
    /// Firings of it that are queued.
    waiting: usize,
    alert: Arc<Alert>,
    group: Arc<Group>,
}

impl Episode {
    fn new(alert: Arc<Alert>, group: Arc<Group>) -> Self {
        Self {
            told: None,
            open: false,
            silent: false,
            waiting: 0,
            alert,
            group,
        }
    }

    /// Whether the receiver knows of it.
    fn sent(&self) -> bool {
        self.told.is_some()
    }
}

/// The outbox of one channel.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Outbox {
    queue: VecDeque<Entry>,
    episodes: BTreeMap<u64, Episode>,
    open: HashMap<Fingerprint, u64>,
    /// Open episodes by the key of a group that is told whole.
    groups: HashMap<String, BTreeSet<u64>>,
    next: u64,
    /// Being handed over right now: the receiver may have them already, so they are not given up.
    in_flight: HashSet<u64>,
    /// Given up since somebody asked last.
    given_up: Vec<Notification>,
    /// What was given up and the channel does not know, by number.
    letters: BTreeMap<u64, Letter>,
}

impl Outbox {
    /// Number of queued notifications.
    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    /// The queued notifications, oldest first.
    pub(super) fn queue(&self) -> impl Iterator<Item = &Entry> {
        self.queue.iter()
    }

    /// Alerts told or about to be told as firing, whose end is still to come.
    pub(super) fn open(&self) -> impl Iterator<Item = (&Arc<Alert>, &Arc<Group>)> {
        let open = self.open.values().filter_map(|id| self.episodes.get(id));
        open.map(|episode| (&episode.alert, &episode.group))
    }

    /// The ends of what was told or is about to be, or was given up, and is not in `standing`.
    pub(super) fn gone(
        &self,
        standing: &HashSet<Fingerprint>,
        now: UnixMillis,
    ) -> Vec<Notification> {
        let given_up = self
            .unended()
            .filter(|(alert, _)| !self.open.contains_key(&alert.fingerprint));
        let known = self.open().chain(given_up);
        let gone = known.filter(|(alert, _)| !standing.contains(&alert.fingerprint));
        let reason = "it does not fire any more after a restart or reload";
        gone.map(|(alert, group)| end_of(alert, group, reason, now))
            .collect()
    }

    /// What was given up since this was asked last.
    pub(super) fn take_given_up(&mut self) -> Vec<Notification> {
        std::mem::take(&mut self.given_up)
    }

    /// When the channel was told last that `alert` fires; `now` where it is about to be.
    pub(super) fn last_told(&self, alert: Fingerprint, now: MonoMillis) -> Option<MonoMillis> {
        let episode = self.episodes.get(self.open.get(&alert)?)?;
        if episode.waiting > 0 {
            Some(now)
        } else {
            episode.told.map(|told| told.last.mono)
        }
    }

    /// Adds what the channel was told of alerts whose end is still to come.
    pub(super) fn note_told(&self, all: &mut hashbrown::HashMap<Fingerprint, NotifiedState>) {
        let open = self.open.values().filter_map(|id| self.episodes.get(id));
        for (alert, told) in open.filter_map(|episode| Some((&episode.alert, episode.told?))) {
            let (first, last) = (told.first.mono, told.last.mono);
            let new = NotifiedState {
                first,
                last,
                severity: alert.severity,
            };
            let known = all.entry(alert.fingerprint).or_insert(new);
            known.first = known.first.min(first);
            known.last = known.last.max(last);
            known.severity = known.severity.max(alert.severity);
        }
    }

    /// Alerts of `group`, other than `news`, that the receiver knows as firing, by start.
    pub(super) fn standing(&self, group: &Group, news: &[Notification]) -> Vec<Arc<Alert>> {
        let Some(ids) = self.groups.get(&group.key).filter(|_| group.whole) else {
            return Vec::new();
        };
        let known: HashSet<Fingerprint> = news.iter().map(|new| new.alert.fingerprint).collect();
        let episodes = ids.iter().filter_map(|id| self.episodes.get(id));
        let mut alerts: Vec<Arc<Alert>> = episodes
            .filter(|episode| episode.sent() && !known.contains(&episode.alert.fingerprint))
            .map(|episode| episode.alert.clone())
            .collect();
        alerts.sort_by_key(|alert| (alert.fired_at, alert.fingerprint));
        alerts
    }

    /// Notes which notifications are being handed over from now on.
    pub(super) fn claim(&mut self, seqs: impl IntoIterator<Item = u64>) {
        self.in_flight = seqs.into_iter().collect();
    }

    /// Queues `notification` if this channel must hear it; what happened, as records.
    pub(super) fn offer(&mut self, mut notification: Notification) -> Vec<Record> {
        if !self.must_hear(&notification) {
            return self.note_end(&notification);
        }
        let open = self.open.get(&notification.alert.fingerprint).copied();
        let told = open.and_then(|id| self.episodes.get(&id));
        if let (Status::Resolved, Some(told)) = (notification.status, told) {
            notification.alert = ended(&notification, told.alert.severity);
            // Wherever the alert is by now: what began in a group ends in it.
            notification.group = told.group.clone();
        }
        let episode = open.unwrap_or_else(|| self.number());
        let seq = self.number();
        self.apply_one(Record::Push {
            seq,
            episode,
            notification,
        })
    }

    /// Whether a notification says anything new to who heard all before it.
    fn must_hear(&self, notification: &Notification) -> bool {
        let alert = &notification.alert;
        let open = self
            .open
            .get(&alert.fingerprint)
            .and_then(|id| self.episodes.get(id));
        match notification.status {
            Status::Resolved => open.is_some(),
            Status::Firing => open.is_none_or(|open| {
                open.alert.severity != alert.severity || tells_again(notification.cause, open)
            }),
        }
    }

    /// Ends the episode of an alert, which is over, without telling of it.
    pub(super) fn close_untold(&mut self, over: &Notification) -> Vec<Record> {
        match self.open.get(&over.alert.fingerprint).copied() {
            Some(episode) => self.apply_one(Record::Close(episode)),
            None => self.note_end(&Notification {
                status: Status::Resolved,
                ..over.clone()
            }),
        }
    }

    /// Gives up what is beyond `capacity`. The end of an alert that was told stays, and so does
    /// what is being handed over; of both there is at most one per alert.
    pub(super) fn trim(&mut self, capacity: usize, why: &GivenUp<'_>) -> Vec<Record> {
        let mut records = Vec::new();
        if self.queue.len() > capacity {
            for seq in self.dispensable() {
                if self.queue.len() <= capacity {
                    break;
                }
                // One that went along with another is not there any more.
                records.extend(self.give_up(seq, why));
            }
        }
        records
    }

    /// Firings that may be given up, the least missed first: of alerts that began and ended
    /// untold, then outdated severities, then the oldest. Each takes along what makes no sense
    /// without it.
    fn dispensable(&self) -> Vec<u64> {
        let busy = |entry: &&Entry| self.in_flight.contains(&entry.seq);
        let busy: HashSet<u64> = self
            .queue
            .iter()
            .filter(busy)
            .map(|entry| entry.episode)
            .collect();
        let (mut over, mut outdated, mut rest) = (Vec::new(), Vec::new(), Vec::new());
        let mut newer = HashSet::new();
        // From the newest, so that a firing knows whether a newer one of its episode waits.
        for entry in self.queue.iter().rev() {
            let firing = entry.notification.status == Status::Firing;
            let Some(episode) = self.episodes.get(&entry.episode).filter(|_| firing) else {
                continue;
            };
            let newest = newer.insert(entry.episode);
            let known = episode.sent() || busy.contains(&entry.episode);
            let kind = match (episode.open, known) {
                _ if self.in_flight.contains(&entry.seq) => continue,
                (false, false) => &mut over,
                (_, true) if entry.notification.cause == Cause::Repeat => &mut outdated,
                (false, true) => &mut outdated,
                (true, _) if newest => &mut rest,
                (true, _) => &mut outdated,
            };
            kind.push(entry.seq);
        }
        [over, outdated, rest]
            .into_iter()
            .flat_map(|kind| kind.into_iter().rev())
            .collect()
    }

    fn index(&self, seq: u64) -> Option<usize> {
        self.queue
            .binary_search_by_key(&seq, |entry| entry.seq)
            .ok()
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// The receiver took the notification `seq` at `at`.
    pub(super) fn done(&mut self, seq: u64, at: Now) -> Vec<Record> {
        self.apply_one(Record::Done { seq, at })
    }

    fn apply_one(&mut self, record: Record) -> Vec<Record> {
        let mut records = vec![record.clone()];
        if let Some(orphan) = self.apply(record) {
            records.extend(self.apply_one(Record::Drop(orphan)));
        }
        records
    }

    /// Applies one record. Dropping the only firing of an episode leaves its queued resolved an
    /// orphan: its number is returned, and it must be dropped too.
    pub(super) fn apply(&mut self, record: Record) -> Option<u64> {
        match record {
            Record::Episode {
                id,
                told,
                open,
                alert,
                group,
            } => {
                self.next = self.next.max(id);
                self.episodes.insert(
                    id,
                    Episode {
                        told,
                        ..Episode::new(alert, group)
                    },
                );
                if open {
                    self.begin(id);
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
            Record::Done { seq, at } => {
                let entry = self.take(seq)?;
                if let Some(episode) = self.episodes.get_mut(&entry.episode)
                    && entry.notification.status == Status::Firing
                {
                    let now = Told {
                        first: at,
                        last: at,
                    };
                    episode.told = Some(episode.told.map_or(now, |told| told.with(now)));
                }
                self.close(&entry);
                self.heard(&entry);
                None
            }
            Record::Drop(seq) => {
                let entry = self.take(seq)?;
                self.close(&entry);
                let orphan = self.abandon(&entry);
                self.given_up.push(entry.notification);
                orphan
            }
            Record::Close(id) => {
                self.end(id);
                if let Some(episode) = self.episodes.get_mut(&id) {
                    episode.silent = true;
                    let alert = episode.alert.fingerprint;
                    self.forget_unended(alert);
                }
                self.forget_silent(id);
                None
            }
            Record::Letter(letter) => {
                self.hold(*letter);
                None
            }
            Record::Forget(seq) => {
                self.letters.remove(&seq);
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
            self.end(id); // it may move to another group
            let fresh = || Episode::new(alert.clone(), group.clone());
            let episode = self.episodes.entry(id).or_insert_with(fresh);
            (episode.alert, episode.group) = (alert, group);
            episode.waiting += 1;
            self.begin(id);
        } else {
            self.end(id);
            self.forget_unended(alert.fingerprint);
            let fresh = || Episode::new(alert.clone(), group);
            self.episodes.entry(id).or_insert_with(fresh).alert = alert.clone();
        }
        self.queue.push_back(Entry {
            seq,
            episode: id,
            notification,
        });
    }

    /// Opens the episode `id`.
    fn begin(&mut self, id: u64) {
        let Some(episode) = self.episodes.get_mut(&id) else {
            return;
        };
        episode.open = true;
        self.open.insert(episode.alert.fingerprint, id);
        if episode.group.whole {
            self.groups
                .entry(episode.group.key.clone())
                .or_default()
                .insert(id);
        }
    }

    /// Ends the episode `id`; what of it is queued stays.
    fn end(&mut self, id: u64) {
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

    fn take(&mut self, seq: u64) -> Option<Entry> {
        let entry = self.queue.remove(self.index(seq)?)?;
        if entry.notification.status == Status::Firing
            && let Some(episode) = self.episodes.get_mut(&entry.episode)
        {
            episode.waiting = episode.waiting.saturating_sub(1);
        }
        Some(entry)
    }

    /// Forgets the episode whose last notification left the queue.
    fn close(&mut self, entry: &Entry) {
        match entry.notification.status {
            Status::Resolved => drop(self.episodes.remove(&entry.episode)),
            Status::Firing => self.forget_silent(entry.episode),
        }
    }

    /// Forgets an episode of which nothing was told and nothing will be.
    fn abandon(&mut self, entry: &Entry) -> Option<u64> {
        let episode = self.episodes.get(&entry.episode)?;
        if episode.sent() || episode.waiting > 0 {
            return None;
        }
        if episode.open {
            // Its end is not queued: there is nothing to look for, in a queue that may be long.
            self.end(entry.episode);
            self.episodes.remove(&entry.episode);
            return None;
        }
        let same = |other: &&Entry| other.episode == entry.episode;
        self.queue.iter().find(same).map(|orphan| orphan.seq)
    }

    /// Numbers of firings that nobody was told and whose alert ended longer than `limit` ago. What
    /// somebody wants sent again is never too old.
    pub(super) fn stale(&self, limit: Duration, now: UnixMillis) -> Vec<u64> {
        let ended: HashSet<u64> = self
            .queue
            .iter()
            .filter(|entry| entry.notification.status == Status::Resolved)
            .filter(|entry| now.since(entry.notification.at) >= limit)
            .map(|entry| entry.episode)
            .collect();
        let unsent = |id: &u64| self.episodes.get(id).is_some_and(|episode| !episode.sent());
        self.queue
            .iter()
            .filter(|entry| ended.contains(&entry.episode) && unsent(&entry.episode))
            .filter(|entry| entry.notification.status == Status::Firing)
            .filter(|entry| entry.notification.cause != Cause::Resend)
            .map(|entry| entry.seq)
            .collect()
    }

    /// Puts right what a journal with missing lines can leave behind: a resolved of an episode of
    /// which no firing got through or waits.
    pub(super) fn drop_orphans(&mut self) {
        let told = |entry: &Entry| {
            self.episodes
                .get(&entry.episode)
                .is_some_and(|e| e.sent() || e.waiting > 0)
        };
        let resolved = |entry: &&Entry| entry.notification.status == Status::Resolved;
        let orphans: Vec<u64> = self
            .queue
            .iter()
            .filter(resolved)
            .filter(|entry| !told(entry))
            .map(|entry| entry.seq)
            .collect();
        for orphan in orphans {
            self.apply(Record::Drop(orphan));
        }
    }

    /// Records that give this outbox again: what a compacted journal holds.
    pub(super) fn records(&self) -> Vec<Record> {
        let episodes = self.episodes.iter().map(|(id, episode)| Record::Episode {
            id: *id,
            told: episode.told,
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
        // Last, since what comes before makes letters of its alert needless.
        let letters = self
            .letters
            .values()
            .map(|one| Record::Letter(Box::new(one.clone())));
        episodes
            .chain(pushes)
            .chain(closes)
            .chain(letters)
            .collect()
    }
}

/// Whether a firing with this cause is told although the receiver knows that it fires.
fn tells_again(cause: Cause, open: &Episode) -> bool {
    match cause {
        Cause::Change | Cause::Escalation | Cause::Fallback | Cause::Test => false,
        Cause::Repeat | Cause::Heartbeat => open.waiting == 0,
        Cause::Flapping | Cause::Resend => true,
    }
}

/// What tells of the end of an alert that nobody saw end, `at` now.
fn end_of(alert: &Arc<Alert>, group: &Arc<Group>, reason: &str, at: UnixMillis) -> Notification {
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

/// The alert of a resolved notification: over, at the severity that was told last, so that the
/// receiver knows which one it is.
fn ended(notification: &Notification, severity: Severity) -> Arc<Alert> {
    let mut over = Alert::clone(&notification.alert);
    over.severity = severity;
    over.state = AlertState::Inactive;
    over.resolved_at.get_or_insert(notification.at);
    Arc::new(over)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::samples::notification;
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

    /// A refusal of which at most two letters are kept.
    const REFUSED: GivenUp<'_> = GivenUp {
        reason: "refused",
        error: "no",
        at: UnixMillis(9),
        keep: 2,
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
            "told twice"
        );
        let mut worse = notification("a", "/", Status::Firing);
        worse.alert = Arc::new(Alert {
            severity: Severity::Critical,
            ..(*worse.alert).clone()
        });
        assert!(
            !outbox.offer(worse).is_empty(),
            "a change of severity is told"
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
            outbox.give_up(first, &GivenUp { keep: 0, ..REFUSED }).len(),
            2
        );
        assert_eq!(outbox.take_given_up().len(), 2);
        assert_eq!(
            outbox,
            Outbox {
                next: outbox.next,
                ..Outbox::default()
            }
        );

        offer(&mut outbox, "b", Status::Firing);
        let first = outbox.queue().next().unwrap().seq;
        outbox.done(first, Now::default());
        assert_eq!(outbox.open().count(), 1);
        offer(&mut outbox, "b", Status::Resolved);
        assert_eq!(statuses(&outbox), [(Status::Resolved, "b".into())]);
    }

    #[test]
    fn who_is_about_to_be_told_counts_as_told_now() {
        let mut outbox = Outbox::default();
        let alert = notification("a", "/", Status::Firing).alert.fingerprint;
        let at = |second: u64| Now::default().after(Duration::from_secs(second));
        let last = |outbox: &Outbox| outbox.last_told(alert, at(9).mono);
        assert_eq!(last(&outbox), None);
        offer(&mut outbox, "a", Status::Firing);
        assert_eq!(last(&outbox), Some(at(9).mono));
        let seq = outbox.queue().next().unwrap().seq;
        outbox.done(seq, at(2));
        assert_eq!(last(&outbox), Some(at(2).mono));
        offer(&mut outbox, "a", Status::Resolved);
        assert_eq!(last(&outbox), None);
    }

    #[test]
    fn a_full_queue_gives_up_the_oldest_alert_with_its_end_and_no_end_of_a_told_one() {
        let mut outbox = Outbox::default();
        offer(&mut outbox, "told", Status::Firing);
        let seq = outbox.queue().next().unwrap().seq;
        outbox.done(seq, Now::default());
        offer(&mut outbox, "told", Status::Resolved);
        offer(&mut outbox, "old", Status::Firing);
        offer(&mut outbox, "new", Status::Firing);
        outbox.trim(2, &REFUSED);
        assert_eq!(
            statuses(&outbox),
            [
                (Status::Resolved, "told".into()),
                (Status::Firing, "new".into())
            ]
        );
        offer(&mut outbox, "old", Status::Resolved);
        assert_eq!(outbox.len(), 2, "nobody was told that it fired");
    }

    #[test]
    fn a_full_queue_gives_up_what_is_missed_least() {
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
        outbox.trim(4, &REFUSED);
        assert_eq!(
            rules(&outbox),
            ["oldest", "rising", "rising"],
            "an alert goes whole"
        );
        outbox.trim(2, &REFUSED);
        assert_eq!(rules(&outbox), ["oldest", "rising"]);
        assert_eq!(
            outbox.queue().nth(1).unwrap().notification.alert.severity,
            Severity::Critical
        );
        outbox.trim(1, &REFUSED);
        assert_eq!(rules(&outbox), ["rising"]);
    }

    #[test]
    fn what_is_being_handed_over_is_not_given_up() {
        let mut outbox = Outbox::default();
        offer(&mut outbox, "a", Status::Firing);
        let seq = outbox.queue().next().unwrap().seq;
        outbox.claim([seq]);
        offer(&mut outbox, "a", Status::Resolved);
        offer(&mut outbox, "b", Status::Firing);
        outbox.trim(1, &REFUSED);
        outbox.done(seq, Now::default());
        assert_eq!(statuses(&outbox), [(Status::Resolved, "a".into())]);
    }

    #[test]
    fn a_resolved_carries_the_severity_that_was_told() {
        let mut outbox = Outbox::default();
        offer(&mut outbox, "a", Status::Firing);
        let mut lower = notification("a", "/", Status::Firing);
        lower.status = Status::Resolved;
        lower.alert = Arc::new(Alert {
            severity: Severity::Info,
            ..(*lower.alert).clone()
        });
        outbox.offer(lower.clone());
        let told = outbox.queue().nth(1).unwrap().notification.alert.clone();
        assert_eq!(
            (told.severity, told.state),
            (Severity::Warning, AlertState::Inactive)
        );
        assert_eq!(told.resolved_at, Some(lower.at));
    }

    #[test]
    fn what_began_and_ended_unsent_goes_stale() {
        let mut outbox = Outbox::default();
        offer(&mut outbox, "a", Status::Firing);
        let day = Duration::from_secs(86_400);
        let later = UnixMillis(notification("a", "/", Status::Resolved).at.0 + 86_400_000);
        assert!(outbox.stale(day, later).is_empty(), "it still fires");
        offer(&mut outbox, "a", Status::Resolved);
        assert_eq!(outbox.stale(day, UnixMillis(later.0 - 1)).len(), 0);
        assert_eq!(outbox.stale(day, later).len(), 1);
    }

    /// What a receiver must have seen of one alert at any time: never a resolved without a firing.
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
            // Alerts of which an end was not told or refused: the last word may be firing.
            let mut silent = HashSet::new();
            for (step, which) in steps {
                let rule = ["a", "b", "c"][which];
                match step {
                    0 => journal.extend(offer(&mut outbox, rule, Status::Firing)),
                    1 => journal.extend(offer(&mut outbox, rule, Status::Resolved)),
                    2 => journal.extend(outbox.trim(4, &REFUSED)),
                    3 => { let head = outbox.queue().next().map(|entry| entry.seq); outbox.claim(head); },
                    6 => {
                        let over = notification(rule, "/", Status::Resolved);
                        journal.extend(outbox.close_untold(&over));
                        silent.insert(rule.to_owned());
                    }
                    7 => {
                        let again = notification(rule, "/", Status::Firing);
                        journal.extend(outbox.offer(Notification { cause: Cause::Repeat, ..again }));
                    }
                    8 => {
                        let Some(seq) = outbox.letters().nth(which).map(|one| one.seq) else {
                            continue;
                        };
                        journal.extend(outbox.resend(seq, Now::default(), |outbox, one| outbox.offer(one.clone())));
                    }
                    _ => {
                        let Some(entry) = outbox.queue().next().cloned() else { continue };
                        outbox.claim([]);
                        if step == 4 {
                            let told = &entry.notification;
                            delivered.push((told.status, told.alert.rule.to_string()));
                            journal.extend(outbox.done(entry.seq, Now::default()));
                        } else {
                            if entry.notification.status == Status::Resolved {
                                silent.insert(entry.notification.alert.rule.to_string());
                            }
                            journal.extend(outbox.give_up(entry.seq, &REFUSED));
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
                    replayed.given_up.clone_from(&outbox.given_up);
                    prop_assert_eq!(&replayed, &outbox);
                }
            }
            prop_assert!(outbox.letters().count() <= REFUSED.keep);
            // Deliver what is left: every alert that was told and ended was told so.
            let left: Vec<Entry> = outbox.queue().cloned().collect();
            for entry in left {
                let told = &entry.notification;
                delivered.push((told.status, told.alert.rule.to_string()));
                outbox.done(entry.seq, Now::default());
            }
            prop_assert!(in_order(&delivered));
            for alert in ["a", "b", "c"] {
                let last = delivered.iter().rev().find(|(_, rule)| rule == alert);
                let fires = outbox.open().any(|(open, _)| &*open.rule == alert);
                let told = last.is_some_and(|(status, _)| *status == Status::Firing);
                prop_assert!(told == fires || told && silent.contains(alert));
            }
        }
    }
}
