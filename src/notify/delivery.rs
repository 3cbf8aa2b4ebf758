//! One channel at work: its outbox, its journal, and the task that hands over what waits.

mod refresh;

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::{error, info, warn};

use super::channels::{Batch, Channel, DeliveryError, WallClock};
use super::filter::Filter;
use super::journal::Journal;
use super::observe::{Event, Observer, Outcome};
use super::outbox::{Outbox, Record};
use super::settings::ChannelCommon;
use crate::model::{
    Alert, AlertState, Cause, Fingerprint, Group, Labels, Notification, Status, Transition, Wall,
};
use crate::outbound::next_delay;

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
    /// Notifications given up, by reason: `refused`, `overflow`, `expired`.
    pub dropped: Vec<(&'static str, u64)>,
    /// Notifications waiting.
    pub queued: usize,
    /// Why the last attempt failed; none after a success.
    pub last_error: Option<String>,
}

#[derive(Debug, Default)]
struct Counts {
    sent: u64,
    failed: u64,
    dropped: BTreeMap<&'static str, u64>,
    last_error: Option<String>,
    /// Whether the journal could not be written the last time.
    unwritten: bool,
}

/// What stays of a channel over a reload: its queue and its counts.
pub(super) struct Mailbox {
    name: String,
    outbox: Mutex<Outbox>,
    journal: Mutex<Option<Journal>>,
    counts: Mutex<Counts>,
    wake: Notify,
}

impl Mailbox {
    /// Opens the queue of the channel `name` in `folder`, or one in memory. Blocks.
    pub(super) fn open(name: &str, folder: Option<PathBuf>) -> Self {
        let mut outbox = Outbox::default();
        let journal = folder.and_then(|folder| {
            let path = folder.join(format!("{name}.jsonl"));
            match Journal::open(&path) {
                Ok((journal, found, broken)) => {
                    if broken > 0 {
                        warn!(channel = name, lines = broken, "damaged lines in the queue's file");
                    }
                    outbox = found;
                    outbox.take_given_up(); // long ago
                    Some(journal)
                }
                Err(error) => {
                    let path = path.display();
                    warn!(channel = name, %path, %error, "the queue is in memory only");
                    None
                }
            }
        });
        Self {
            name: name.to_owned(),
            outbox: Mutex::new(outbox),
            journal: Mutex::new(journal),
            counts: Mutex::default(),
            wake: Notify::new(),
        }
    }

    /// Its channel's name.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Notifications waiting.
    pub(super) fn queued(&self) -> usize {
        self.outbox.lock().len()
    }

    fn append(&self, journal: &mut Option<Journal>, records: &[Record]) {
        let Some(open) = journal.as_mut() else { return };
        let result = open.append(records, || self.outbox.lock().records());
        let mut counts = self.counts.lock();
        let failed = result.is_err();
        if let Err(error) = result
            && !counts.unwritten
        {
            warn!(channel = self.name, %error, "cannot write the queue; it is in memory for now");
        }
        counts.unwritten = failed;
    }

    /// Changes the outbox and writes the change down. Blocks.
    fn change(&self, change: impl FnOnce(&mut Outbox) -> Vec<Record>) -> Changed {
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

    fn count_dropped(&self, reason: &'static str, given_up: &[Notification]) -> u64 {
        let dropped = given_up.len() as u64;
        if dropped > 0 {
            *self.counts.lock().dropped.entry(reason).or_default() += dropped;
        }
        dropped
    }
}

/// What a change of the outbox did.
#[derive(Default)]
struct Changed {
    records: Vec<Record>,
    given_up: Vec<Notification>,
}

/// Where the task of a channel stands.
#[derive(Default)]
struct Progress {
    /// Failures in a row.
    failures: u32,
    /// This many notifications are yet to be tried alone.
    alone: usize,
    /// Refused notifications the log does not know of yet.
    lost: u64,
    /// When the log was last told of refused ones.
    told_lost: Option<Wall>,
}

/// The log is told of refusals this often at most.
const QUIET: Duration = Duration::from_secs(60);

/// One channel with its settings.
pub(super) struct Delivery {
    pub(super) mailbox: Arc<Mailbox>,
    pub(super) common: ChannelCommon,
    pub(super) filter: Filter,
    pub(super) channel: Box<dyn Channel>,
    pub(super) clock: WallClock,
    pub(super) random: fn() -> f64,
    pub(super) observer: Observer,
}

/// What a transition means to a channel with this filter. An alert that fires but is not admitted
/// (any more) is over as far as the channel goes; the outbox knows whether it was told.
pub(super) fn told(filter: &Filter, transition: &Transition) -> Option<Notification> {
    let alert = &transition.alert;
    let status = match (transition.from, alert.state) {
        (_, AlertState::Firing) if filter.admits(alert) => Status::Firing,
        (AlertState::Firing, _) => Status::Resolved,
        _ => return None,
    };
    Some(Notification {
        id: id(transition),
        status,
        cause: Cause::Change,
        group: flat(&alert.rule),
        alert: alert.clone(),
        reason: transition.reason.clone(),
        at: transition.at,
    })
}

/// The group of an alert where there are no routes: its rule's.
pub(super) fn flat(rule: &str) -> Arc<Group> {
    Arc::new(Group {
        key: format!("{{}}:{{alertname={rule:?}}}"),
        labels: Labels::from([("alertname".to_owned(), rule.to_owned())]),
        ..Group::default()
    })
}

impl Delivery {
    /// Queues what this channel must hear of `transitions`, on disk when it returns. Blocks.
    pub(super) fn accept(&self, transitions: &[Transition]) {
        let capacity = self.common.queue.capacity;
        let Changed { records, given_up } = self.mailbox.change(|outbox| {
            let told = transitions.iter().filter_map(|transition| told(&self.filter, transition));
            let mut records: Vec<Record> =
                told.flat_map(|notification| outbox.offer(notification)).collect();
            records.extend(outbox.trim(capacity));
            records
        });
        for record in &records {
            if let Record::Push { notification, .. } = record {
                self.observe(notification, Outcome::Queued);
            }
        }
        let dropped = self.dropped("overflow", &given_up);
        if dropped > 0 {
            warn!(channel = self.mailbox.name, dropped, capacity, "the queue is full");
        }
        self.mailbox.wake.notify_one();
    }

    /// Resolves what was told as firing and what is not in `standing`. Blocks.
    pub(super) fn reconcile(&self, standing: &HashSet<Fingerprint>, now: Wall) {
        let ended = |alert: &Arc<Alert>| Transition {
            alert: Arc::new(Alert { state: AlertState::Inactive, ..Alert::clone(alert) }),
            from: AlertState::Firing,
            reason: "it does not fire any more after a restart or reload".into(),
            at: now,
        };
        let gone: Vec<Transition> = {
            let outbox = self.mailbox.outbox.lock();
            let gone = outbox.open().filter(|alert| !standing.contains(&alert.fingerprint));
            gone.map(ended).collect()
        };
        if !gone.is_empty() {
            self.accept(&gone);
        }
    }

    /// Hands over what waits, oldest first, until `stop`; then as long as nothing fails. After
    /// `halt` it ends with the attempt under way.
    pub(super) async fn run(self: Arc<Self>, stop: CancellationToken, halt: CancellationToken) {
        let mut progress = Progress::default();
        while !halt.is_cancelled() {
            // Looked at before the queue: what was queued before the stop is handed over.
            let stopping = stop.is_cancelled();
            let batch = self.next_batch(&mut progress).await;
            if batch.is_empty() {
                if stopping {
                    return;
                }
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = self.mailbox.wake.notified() => {}
                }
                continue;
            }
            let result = self.attempt(&batch).await;
            let Some(wait) = self.settle(&batch, result, &mut progress).await else { continue };
            tokio::select! {
                () = stop.cancelled() => return,
                () = sleep(wait) => {}
            }
        }
    }

    /// One attempt. A channel that panics costs this attempt and no more.
    async fn attempt(self: &Arc<Self>, batch: &[(u64, Notification)]) -> Result<(), DeliveryError> {
        let delivery = self.clone();
        let news = batch.iter().map(|(_, notification)| notification.clone()).collect();
        let batch = Batch { news, standing: Vec::new(), digest: None };
        let attempt = tokio::spawn(async move { delivery.channel.deliver(&batch).await });
        match AbortOnDropHandle::new(attempt).await {
            Ok(result) => result,
            Err(error) => Err(DeliveryError::transient(format!("the attempt broke off: {error}"))),
        }
    }

    /// The oldest notifications that go together, each alert once.
    async fn next_batch(self: &Arc<Self>, progress: &mut Progress) -> Vec<(u64, Notification)> {
        self.expire().await;
        let most = if progress.alone > 0 { 1 } else { self.channel.max_batch() };
        progress.alone = progress.alone.saturating_sub(1);
        let mut outbox = self.mailbox.outbox.lock();
        let mut batch: Vec<(u64, Notification)> = Vec::new();
        for entry in outbox.queue().take(most) {
            let next = &entry.notification;
            let same = |(_, other): &(u64, Notification)| {
                other.alert.fingerprint == next.alert.fingerprint
            };
            let joins = batch.first().is_none_or(|(_, first)| self.channel.joins(first, next));
            if !joins || batch.iter().any(same) {
                break;
            }
            batch.push((entry.seq, next.clone()));
        }
        outbox.claim(batch.iter().map(|(seq, _)| *seq));
        batch
    }

    /// Gives up what began and ended unsent too long ago.
    async fn expire(self: &Arc<Self>) {
        let limit = self.common.retry.give_up_after.0;
        let stale = self.mailbox.outbox.lock().stale(limit, (self.clock)());
        if stale.is_empty() {
            return;
        }
        let Changed { given_up, .. } = self
            .blocking(move |delivery| {
                delivery
                    .mailbox
                    .change(|outbox| stale.iter().flat_map(|seq| outbox.drop_entry(*seq)).collect())
            })
            .await;
        let dropped = self.dropped("expired", &given_up);
        warn!(channel = self.mailbox.name, dropped, "gave up alerts that are long over");
    }

    /// Writes down what an attempt did; how long to wait before the next one.
    async fn settle(
        self: &Arc<Self>,
        batch: &[(u64, Notification)],
        result: Result<(), DeliveryError>,
        progress: &mut Progress,
    ) -> Option<Duration> {
        let failed = result.err();
        let through =
            |index: &usize| failed.as_ref().is_none_or(|error| error.delivered.contains(index));
        let (done, left): (Vec<usize>, Vec<usize>) = (0..batch.len()).partition(through);
        let refused = failed.as_ref().is_some_and(|error| !error.retryable);
        if refused && left.len() > 1 {
            // Perhaps only one of them is at fault: each is tried alone.
            progress.alone = left.len();
        }
        let done: Vec<u64> = done.iter().map(|index| batch[*index].0).collect();
        let given_up: Vec<u64> = left
            .iter()
            .filter(|_| refused && left.len() == 1)
            .map(|index| batch[*index].0)
            .collect();
        self.mailbox.counts.lock().sent += done.len() as u64;
        let mut lost = Vec::new();
        if !done.is_empty() || !given_up.is_empty() {
            let Changed { given_up, .. } = self
                .blocking(move |delivery| {
                    delivery.mailbox.change(|outbox| {
                        outbox.claim([]);
                        let done: Vec<Record> =
                            done.iter().flat_map(|seq| outbox.done(*seq)).collect();
                        let dropped = given_up.iter().flat_map(|seq| outbox.drop_entry(*seq));
                        done.into_iter().chain(dropped).collect()
                    })
                })
                .await;
            lost = given_up;
        }
        let attempt = progress.failures + 1;
        let Some(error) = failed else {
            self.observe_attempt(batch, attempt, None, Duration::ZERO);
            if progress.failures > 0 {
                let failures = progress.failures;
                info!(channel = self.mailbox.name, failures, "the channel works again");
            }
            progress.failures = 0;
            self.mailbox.counts.lock().last_error = None;
            return None;
        };
        let dropped = self.mailbox.count_dropped("refused", &lost);
        self.tell_failure(&error, dropped, progress);
        if refused {
            self.observe_attempt(batch, attempt, Some(&error), Duration::ZERO);
            self.observe_followers(batch, &lost);
            return None;
        }
        progress.failures += 1;
        let retry = &self.common.retry;
        let random = (self.random)();
        let (initial, max) = (retry.initial.0, retry.max.0);
        let wait = next_delay(initial, max, progress.failures, error.retry_after, random);
        self.observe_attempt(batch, attempt, Some(&error), wait);
        Some(wait)
    }

    fn observe(&self, notification: &Notification, outcome: Outcome<'_>) {
        let (channel, at) = (&*self.mailbox.name, (self.clock)());
        (self.observer)(&Event { channel, notification, outcome, at });
    }

    /// Tells what an attempt meant to each of its batch.
    fn observe_attempt(
        &self,
        batch: &[(u64, Notification)],
        attempt: u32,
        failed: Option<&DeliveryError>,
        retry_in: Duration,
    ) {
        for (index, (_, notification)) in batch.iter().enumerate() {
            let failed = failed.filter(|error| !error.delivered.contains(&index));
            let outcome = match failed {
                None => Outcome::Delivered { attempt },
                // Of several refused ones each is tried alone.
                Some(error) if !error.retryable && batch.len() == error.delivered.len() + 1 => {
                    Outcome::Refused { error: &error.message }
                }
                Some(error) => Outcome::Failed { attempt, error: &error.message, retry_in },
            };
            self.observe(notification, outcome);
        }
    }

    /// Tells of what went along with a refused one of `batch`.
    fn observe_followers(&self, batch: &[(u64, Notification)], given_up: &[Notification]) {
        let tried = |one: &Notification| batch.iter().any(|(_, tried)| tried.id == one.id);
        for follower in given_up.iter().filter(|one| !tried(one)) {
            self.observe(follower, Outcome::Dropped { reason: "refused" });
        }
    }

    /// Counts and tells what was given up for `reason`.
    fn dropped(&self, reason: &'static str, given_up: &[Notification]) -> u64 {
        for notification in given_up {
            self.observe(notification, Outcome::Dropped { reason });
        }
        self.mailbox.count_dropped(reason, given_up)
    }

    /// Logs the first failure of a row, and what is lost, at most once a minute.
    fn tell_failure(&self, failure: &DeliveryError, lost: u64, progress: &mut Progress) {
        let (channel, message) = (&self.mailbox.name, &failure.message);
        progress.lost += lost;
        let now = (self.clock)();
        let quiet = progress.told_lost.is_some_and(|last| now.since(last) < QUIET);
        if progress.lost > 0 && !quiet {
            let notifications = std::mem::take(&mut progress.lost);
            progress.told_lost = Some(now);
            error!(channel, notifications, error = message, "refused by the receiver and given up");
        } else if failure.retryable && progress.failures == 0 {
            warn!(channel, error = message, "cannot deliver; trying again until it works");
        }
        let mut counts = self.mailbox.counts.lock();
        counts.failed += 1;
        counts.last_error = Some(message.clone());
    }

    /// Runs `work` on a blocking thread.
    async fn blocking<T: Send + Default + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> T {
        let delivery = self.clone();
        match tokio::task::spawn_blocking(move || work(&delivery)).await {
            Ok(value) => value,
            Err(error) => {
                error!(channel = self.mailbox.name, %error, "writing the queue ended badly");
                T::default()
            }
        }
    }

    /// What it did so far.
    pub(super) fn stats(&self) -> ChannelStats {
        let queued = self.mailbox.outbox.lock().len();
        let counts = self.mailbox.counts.lock();
        ChannelStats {
            name: self.mailbox.name.clone(),
            kind: self.common.r#type.as_str(),
            sent: counts.sent,
            failed: counts.failed,
            dropped: counts.dropped.iter().map(|(reason, count)| (*reason, *count)).collect(),
            queued,
            last_error: counts.last_error.clone(),
        }
    }
}

/// The same for the same change however often it is told: identity, start, moment of the change.
fn id(transition: &Transition) -> String {
    let alert = &transition.alert;
    let start = alert.fired_at.unwrap_or(alert.active_at).0;
    format!("{}-{start}-{}", alert.fingerprint, transition.at.0)
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use tokio::time::Instant;

    use super::super::channels::Attempt;
    use super::super::samples::{firing, level, resolved};
    use super::*;
    use crate::declare::{self, Cx, Decode, Problems};
    use crate::model::Severity;
    use crate::notify::ChannelSettings;

    /// What the channel does with one attempt.
    enum Act {
        Take,
        Refuse,
        Fail(Option<Duration>),
        Panic,
    }

    #[derive(Default)]
    struct Heard {
        acts: VecDeque<Act>,
        /// When each attempt was made, and what it held.
        attempts: Vec<(Duration, Vec<String>)>,
        /// What the observer was told.
        events: Vec<String>,
    }

    struct Scripted {
        start: Instant,
        heard: Arc<Mutex<Heard>>,
    }

    impl Channel for Scripted {
        fn deliver<'a>(&'a self, batch: &'a Batch) -> Attempt<'a> {
            Box::pin(async move {
                let texts = batch.news.iter().map(|one| {
                    let severity = one.alert.severity.as_str();
                    format!("{} {} {severity}", one.status.as_str(), one.alert.rule)
                });
                let act = {
                    let mut heard = self.heard.lock();
                    heard.attempts.push((self.start.elapsed(), texts.collect()));
                    heard.acts.pop_front()
                };
                match act {
                    None | Some(Act::Take) => Ok(()),
                    Some(Act::Refuse) => Err(DeliveryError::permanent("no")),
                    Some(Act::Fail(retry_after)) => {
                        Err(DeliveryError { retry_after, ..DeliveryError::transient("not now") })
                    }
                    Some(Act::Panic) => panic!("a channel at its end"),
                }
            })
        }

        fn max_batch(&self) -> usize {
            10
        }
    }

    /// A channel in memory, with further keys as YAML.
    fn delivery(more: &str, acts: impl Into<VecDeque<Act>>) -> (Arc<Delivery>, Arc<Mutex<Heard>>) {
        let mut problems = Problems::default();
        let node = declare::parse(&format!("{{type: log, {more}}}")).unwrap();
        let settings =
            ChannelSettings::decode(&node, &mut Cx::new(&mut problems, &|_| None)).unwrap();
        let heard = Arc::new(Mutex::new(Heard { acts: acts.into(), ..Heard::default() }));
        let delivery = Delivery {
            mailbox: Arc::new(Mailbox::open("test", None)),
            filter: Filter::new(&settings.common),
            common: settings.common,
            channel: Box::new(Scripted { start: Instant::now(), heard: heard.clone() }),
            clock: Arc::new(Wall::default),
            random: || 1.0,
            observer: Arc::new({
                let heard = heard.clone();
                move |event| {
                    let told = event.notification;
                    let (status, rule) = (told.status.as_str(), &told.alert.rule);
                    heard.lock().events.push(format!("{status} {rule} {:?}", event.outcome));
                }
            }),
        };
        (Arc::new(delivery), heard)
    }

    /// Runs it until its queue is empty.
    async fn drained(delivery: &Arc<Delivery>) {
        let stop = CancellationToken::new();
        let task = tokio::spawn(delivery.clone().run(stop.clone(), CancellationToken::new()));
        while delivery.mailbox.queued() > 0 {
            sleep(Duration::from_millis(1)).await;
        }
        stop.cancel();
        task.await.unwrap();
    }

    fn texts(heard: &Mutex<Heard>) -> Vec<String> {
        heard.lock().attempts.iter().map(|(_, texts)| texts.join(", ")).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn waits_double_and_what_the_receiver_asks_for_is_kept_to() {
        let ask = Some(Duration::from_secs(60));
        let acts = [Act::Fail(None), Act::Fail(None), Act::Fail(None), Act::Fail(ask)];
        let (delivery, heard) = delivery("retry: {initial: 1s, max: 3s}", acts);
        delivery.accept(&[firing("a", "/")]);
        drained(&delivery).await;
        let seconds: Vec<u64> = heard.lock().attempts.iter().map(|(at, _)| at.as_secs()).collect();
        assert_eq!(seconds, [0, 1, 3, 6, 66]);
        let failed = |attempt: u32, wait: u64| {
            format!(
                "firing a Failed {{ attempt: {attempt}, error: \"not now\", retry_in: {wait}s }}"
            )
        };
        assert_eq!(
            heard.lock().events,
            [
                "firing a Queued",
                &failed(1, 1),
                &failed(2, 2),
                &failed(3, 3),
                &failed(4, 60),
                "firing a Delivered { attempt: 5 }",
            ]
        );
        let stats = delivery.stats();
        assert_eq!((stats.sent, stats.failed, stats.last_error), (1, 4, None));
    }

    #[tokio::test(start_paused = true)]
    async fn a_panic_costs_one_attempt() {
        let (delivery, heard) = delivery("name: a", [Act::Panic, Act::Take]);
        delivery.accept(&[firing("a", "/")]);
        drained(&delivery).await;
        assert_eq!(texts(&heard), ["firing a warning", "firing a warning"]);
        assert_eq!(delivery.stats().failed, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_batch_holds_an_alert_once_and_a_refused_one_is_tried_piece_by_piece() {
        let acts = [Act::Refuse, Act::Take, Act::Refuse, Act::Take];
        let (delivery, heard) = delivery("name: a", acts);
        delivery.accept(&[firing("a", "/"), firing("b", "/"), resolved("a", "/")]);
        drained(&delivery).await;
        assert_eq!(
            texts(&heard),
            [
                "firing a warning, firing b warning",
                "firing a warning",
                "firing b warning",
                "resolved a warning",
            ]
        );
        assert_eq!(delivery.stats().dropped, [("refused", 1)]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_observer_hears_what_becomes_of_each() {
        let acts = [Act::Refuse, Act::Refuse, Act::Take, Act::Refuse];
        let (delivery, heard) = delivery("queue: {capacity: 2}", acts);
        delivery.accept(&[
            firing("a", "/"),
            resolved("a", "/"),
            firing("b", "/"),
            firing("c", "/"),
        ]);
        drained(&delivery).await;
        delivery.accept(&[firing("d", "/"), resolved("d", "/")]);
        drained(&delivery).await;
        assert_eq!(
            heard.lock().events,
            [
                "firing a Queued",
                "resolved a Queued",
                "firing b Queued",
                "firing c Queued",
                "firing a Dropped { reason: \"overflow\" }",
                "resolved a Dropped { reason: \"overflow\" }",
                "firing b Failed { attempt: 1, error: \"no\", retry_in: 0ns }",
                "firing c Failed { attempt: 1, error: \"no\", retry_in: 0ns }",
                "firing b Refused { error: \"no\" }",
                "firing c Delivered { attempt: 1 }",
                "firing d Queued",
                "resolved d Queued",
                "firing d Refused { error: \"no\" }",
                "resolved d Dropped { reason: \"refused\" }",
            ]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn an_alert_that_falls_below_the_least_severity_is_over_for_the_channel() {
        let (delivery, heard) = delivery("min_severity: critical", []);
        for transition in [
            firing("a", "/"),
            level("a", "/", Severity::Critical, 1),
            level("a", "/", Severity::Emergency, 2),
            level("a", "/", Severity::Warning, 3),
            level("a", "/", Severity::Critical, 4),
            resolved("a", "/"),
        ] {
            delivery.accept(&[transition]);
            drained(&delivery).await;
        }
        assert_eq!(
            texts(&heard),
            [
                "firing a critical",
                "firing a emergency",
                "resolved a emergency",
                "firing a critical",
                "resolved a critical",
            ]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn what_ended_unwatched_is_resolved_once() {
        let (delivery, heard) = delivery("rules: [a, b]", []);
        delivery.accept(&[firing("a", "/"), firing("b", "/"), firing("c", "/")]);
        let standing = HashSet::from([firing("b", "/").alert.fingerprint]);
        delivery.reconcile(&standing, Wall(1));
        delivery.reconcile(&standing, Wall(2));
        drained(&delivery).await;
        assert_eq!(
            texts(&heard).join(", "),
            "firing a warning, firing b warning, resolved a warning"
        );
    }
}
