//! One channel at work: its outbox, its journal, and the task that hands over what waits.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::channels::{Channel, DeliveryError, WallClock};
use super::filter::Filter;
use super::journal::Journal;
use super::outbox::{Outbox, Record};
use super::retry::next_delay;
use super::settings::ChannelCommon;
use crate::model::{Alert, AlertState, Notification, Status, Transition, Wall};

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
    fn change(&self, change: impl FnOnce(&mut Outbox) -> Vec<Record>) -> Vec<Record> {
        // Held over both, so that the lines come in the order of the changes.
        let mut journal = self.journal.lock();
        let records = change(&mut self.outbox.lock());
        if !records.is_empty() {
            self.append(&mut journal, &records);
        }
        records
    }

    fn count_dropped(&self, reason: &'static str, records: &[Record]) -> u64 {
        let dropped = records.iter().filter(|record| matches!(record, Record::Drop(_))).count();
        if dropped > 0 {
            *self.counts.lock().dropped.entry(reason).or_default() += dropped as u64;
        }
        dropped as u64
    }
}

/// One channel with its settings.
pub(super) struct Delivery {
    pub(super) mailbox: Arc<Mailbox>,
    pub(super) common: ChannelCommon,
    pub(super) filter: Filter,
    pub(super) channel: Box<dyn Channel>,
    pub(super) clock: WallClock,
    pub(super) random: fn() -> f64,
}

impl Delivery {
    /// Queues what this channel must hear of `transitions`, on disk when it returns. Blocks.
    pub(super) fn accept(&self, transitions: &[Transition]) {
        let capacity = self.common.queue.capacity;
        let records = self.mailbox.change(|outbox| {
            let told = transitions.iter().filter_map(|transition| self.told(transition));
            told.flat_map(|notification| outbox.offer(notification, capacity)).collect()
        });
        let dropped = self.mailbox.count_dropped("overflow", &records);
        if dropped > 0 {
            warn!(channel = self.mailbox.name, dropped, capacity, "the queue is full");
        }
        self.mailbox.wake.notify_one();
    }

    /// What a transition means to this channel. An alert that fires but is not admitted (any more)
    /// is over as far as this channel goes; the outbox knows whether it was told.
    fn told(&self, transition: &Transition) -> Option<Notification> {
        let alert = &transition.alert;
        let status = match (transition.from, alert.state) {
            (_, AlertState::Firing) if self.filter.admits(alert) => Status::Firing,
            (AlertState::Firing, _) => Status::Resolved,
            _ => return None,
        };
        Some(Notification {
            id: id(transition),
            status,
            alert: alert.clone(),
            reason: transition.reason.clone(),
            at: transition.at,
        })
    }

    /// Resolves what was told as firing and for which `fires` does not hold. Blocks.
    pub(super) fn reconcile(&self, fires: impl Fn(&Alert) -> bool, now: Wall) {
        let ended = |alert: &Arc<Alert>| {
            let mut over = Alert::clone(alert);
            over.state = AlertState::Inactive;
            over.resolved_at = Some(now);
            Transition {
                alert: Arc::new(over),
                from: AlertState::Firing,
                reason: "it does not fire any more after a restart".into(),
                at: now,
            }
        };
        let gone: Vec<Transition> = {
            let outbox = self.mailbox.outbox.lock();
            outbox.open().filter(|alert| !fires(alert)).map(ended).collect()
        };
        if !gone.is_empty() {
            self.accept(&gone);
        }
    }

    /// Hands over what waits, oldest first, until `stop`; then as long as nothing fails.
    pub(super) async fn run(self: Arc<Self>, stop: CancellationToken) {
        let mut failures = 0;
        loop {
            let batch = self.next_batch().await;
            if batch.is_empty() {
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = self.mailbox.wake.notified() => continue,
                }
            }
            let notifications: Vec<Notification> =
                batch.iter().map(|(_, notification)| notification.clone()).collect();
            let result = self.channel.deliver(&notifications).await;
            let Some(wait) = self.settle(&batch, result, &mut failures).await else { continue };
            tokio::select! {
                () = stop.cancelled() => return,
                () = sleep(wait) => {}
            }
        }
    }

    /// The oldest notifications that go together, each alert once.
    async fn next_batch(self: &Arc<Self>) -> Vec<(u64, Notification)> {
        self.expire().await;
        let outbox = self.mailbox.outbox.lock();
        let mut batch: Vec<(u64, Notification)> = Vec::new();
        for entry in outbox.queue().take(self.channel.max_batch()) {
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
        batch
    }

    /// Gives up what began and ended unsent too long ago.
    async fn expire(self: &Arc<Self>) {
        let limit = self.common.retry.give_up_after.0;
        let stale = self.mailbox.outbox.lock().stale(limit, (self.clock)());
        if stale.is_empty() {
            return;
        }
        let records = self
            .blocking(move |delivery| {
                delivery
                    .mailbox
                    .change(|outbox| stale.iter().flat_map(|seq| outbox.drop_entry(*seq)).collect())
            })
            .await;
        let dropped = self.mailbox.count_dropped("expired", &records);
        warn!(channel = self.mailbox.name, dropped, "gave up alerts that are long over");
    }

    /// Writes down what an attempt did; how long to wait before the next one.
    async fn settle(
        self: &Arc<Self>,
        batch: &[(u64, Notification)],
        result: Result<(), DeliveryError>,
        failures: &mut u32,
    ) -> Option<Duration> {
        let failed = result.err();
        let through =
            |index: &usize| failed.as_ref().is_none_or(|error| error.delivered.contains(index));
        let (done, left): (Vec<usize>, Vec<usize>) = (0..batch.len()).partition(through);
        let refused = failed.as_ref().is_some_and(|error| !error.retryable);
        let done: Vec<u64> = done.iter().map(|index| batch[*index].0).collect();
        let given_up: Vec<u64> =
            left.iter().filter(|_| refused).map(|index| batch[*index].0).collect();
        self.mailbox.counts.lock().sent += done.len() as u64;
        if !done.is_empty() || !given_up.is_empty() {
            let records = self
                .blocking(move |delivery| {
                    delivery.mailbox.change(|outbox| {
                        let done: Vec<Record> =
                            done.iter().flat_map(|seq| outbox.done(*seq)).collect();
                        let dropped = given_up.iter().flat_map(|seq| outbox.drop_entry(*seq));
                        done.into_iter().chain(dropped).collect()
                    })
                })
                .await;
            self.mailbox.count_dropped("refused", &records);
        }
        let Some(error) = failed else {
            if *failures > 0 {
                info!(channel = self.mailbox.name, failures, "the channel works again");
            }
            *failures = 0;
            self.mailbox.counts.lock().last_error = None;
            return None;
        };
        self.tell_failure(&error, *failures);
        if refused {
            return None;
        }
        *failures += 1;
        let retry = &self.common.retry;
        let random = (self.random)();
        Some(next_delay(retry.initial.0, retry.max.0, *failures, error.retry_after, random))
    }

    /// Logs the first failure of a row; every refusal, because it loses something.
    fn tell_failure(&self, failure: &DeliveryError, failures: u32) {
        let (channel, message) = (&self.mailbox.name, &failure.message);
        if !failure.retryable {
            error!(channel, error = message, "the receiver refused a notification; it is given up");
        } else if failures == 0 {
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
