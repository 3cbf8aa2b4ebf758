//! Delivery loop of a channel: queueing, batches, retries and the rate limit.

mod refresh;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use bellwether_core::{DeadLetter, Fingerprint, MonoMillis, Notification, Status, UnixMillis};
use bellwether_http::next_delay;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::{error, info, warn};

use super::channel::{Batch, Channel, Clock, Digest, same_group};
use super::channel_state::{Changed, ChannelState, ChannelStats, REJECTED};
use super::error::DeliveryError;
use super::filter::Filter;
use super::next_batch::{Priority, next_batch};
use super::observe::{Event, Observer, Outcome};
use super::outbox::{DropReason, Outbox, Record};
use super::rate_limit::Limiter;
use super::settings::ChannelCommon;

/// State of the delivery loop.
#[derive(Default)]
struct Progress {
    /// Failures in a row.
    failures: u32,
    /// Number of notifications to be tried alone.
    alone: usize,
    /// Rejected notifications that are not logged yet.
    lost: u64,
    /// Time of the last log line about rejected notifications.
    lost_logged_at: Option<MonoMillis>,
    /// Time of the last search for expired notifications.
    expired: Option<MonoMillis>,
}

/// Next step of the delivery loop.
enum Next {
    /// Deliver this batch.
    Attempt(PickedBatch),
    /// Wait for the rate limit.
    Wait(Duration),
    /// The queue is empty.
    Nothing,
}

/// Batch of one attempt, with sequence numbers.
struct PickedBatch {
    notifications: Vec<(u64, Notification)>,
    batch: Batch,
}

/// Shortest interval between log lines about rejected notifications.
const LOG_INTERVAL: Duration = Duration::from_secs(60);
/// Interval of the search for expired notifications.
const EXPIRE_INTERVAL: Duration = Duration::from_secs(1);

/// A channel with its settings, filter and state.
pub(super) struct Delivery {
    pub(super) state: Arc<ChannelState>,
    pub(super) common: ChannelCommon,
    pub(super) filter: Filter,
    /// Rate limit, if one is set.
    pub(super) limiter: Option<Limiter>,
    pub(super) channel: Box<dyn Channel>,
    pub(super) clock: Clock,
    pub(super) random: fn() -> f64,
    pub(super) observer: Observer,
}

impl Delivery {
    /// Queues the notifications that this channel needs; on disk when it returns. Blocks.
    pub(super) fn accept<'a>(&self, notifications: impl Iterator<Item = &'a Notification>) {
        let capacity = self.common.queue.capacity;
        let reason = self.drop_reason("overflow", "the queue was full: see `queue.capacity`");
        let Changed { records, dropped } = self.state.change(|outbox| {
            let mut records: Vec<Record> = notifications
                .flat_map(|notification| outbox.accept(self.filter.decide(notification)))
                .collect();
            records.extend(outbox.trim(capacity, &reason));
            records
        });
        self.observe_queued(&records);
        let dropped = self.report_dropped("overflow", &dropped);
        if dropped > 0 {
            warn!(
                channel = self.name(),
                dropped, capacity, "the queue is full"
            );
        }
        self.state.wake.notify_one();
    }

    /// Queues a resolved notification for each notified alert that is not in `still_firing`.
    /// Blocks.
    pub(super) fn reconcile(&self, still_firing: &HashSet<Fingerprint>, now: UnixMillis) {
        let inactive = self
            .state
            .outbox
            .lock()
            .resolved_for_inactive(still_firing, now);
        if !inactive.is_empty() {
            self.accept(inactive.iter());
        }
    }

    /// Queues the dead letters `ids` again, unless the channel knows their content by now. Returns
    /// each with true if it was queued. Blocks.
    pub(super) fn resend(&self, ids: &HashSet<String>) -> Vec<(DeadLetter, bool)> {
        let (mut changed, now) = (Vec::new(), (self.clock)());
        let Changed { records, .. } = self.state.change(|outbox| {
            let mut all = Vec::new();
            for (seq, dead_letter) in self.dead_letters(outbox, ids) {
                let records =
                    outbox.resend(seq, now, |notification| self.filter.decide(notification));
                let is_queued = records
                    .iter()
                    .any(|record| matches!(record, Record::Push { .. }));
                changed.push((dead_letter, is_queued));
                all.extend(records);
            }
            all
        });
        self.observe_queued(&records);
        self.state.wake.notify_one();
        changed
    }

    /// Deletes the dead letters `ids`, and returns them. Blocks.
    pub(super) fn discard(&self, ids: &HashSet<String>) -> Vec<DeadLetter> {
        let mut changed = Vec::new();
        self.state.change(|outbox| {
            let mut all = Vec::new();
            for (seq, dead_letter) in self.dead_letters(outbox, ids) {
                all.extend(outbox.discard(seq));
                changed.push(dead_letter);
            }
            all
        });
        for dead_letter in &changed {
            self.observe(
                &dead_letter.notification,
                Outcome::Dropped {
                    reason: "discarded",
                },
            );
        }
        changed
    }

    /// Returns the dead letters that are among `ids`.
    fn dead_letters(&self, outbox: &Outbox, ids: &HashSet<String>) -> Vec<(u64, DeadLetter)> {
        outbox
            .dead_letters()
            .map(|stored| (stored.seq, self.state.dead_letter(stored)))
            .filter(|(_, dead_letter)| ids.contains(&dead_letter.id))
            .collect()
    }

    /// Creates the reason of a drop that happens now.
    fn drop_reason<'a>(&self, reason: &'static str, error: &'a str) -> DropReason<'a> {
        DropReason {
            reason,
            error,
            at: (self.clock)().wall,
            max_dead_letters: self.common.queue.dead_letters,
        }
    }

    fn name(&self) -> &str {
        self.state.name()
    }

    /// Delivers queued notifications, oldest first, until `stop`; after it, as long as no attempt
    /// fails. After `halt` it ends with the attempt under way.
    pub(super) async fn run(self: Arc<Self>, stop: CancellationToken, halt: CancellationToken) {
        let mut progress = Progress::default();
        while !halt.is_cancelled() {
            // Read before the queue: what was queued before the stop is delivered.
            let stopping = stop.is_cancelled();
            self.expire(&mut progress).await;
            let picked = match self.next(&mut progress).await {
                Next::Attempt(picked) => picked,
                Next::Nothing | Next::Wait(_) if stopping => return,
                next => {
                    let wait = async {
                        match next {
                            Next::Wait(delay) => sleep(delay).await,
                            _ => std::future::pending().await,
                        }
                    };
                    tokio::select! {
                        () = stop.cancelled() => {}
                        () = self.state.wake.notified() => {}
                        () = wait => {}
                    }
                    continue;
                }
            };
            let result = self.attempt(picked.batch).await;
            let Some(wait) = self
                .settle(&picked.notifications, result, &mut progress)
                .await
            else {
                continue;
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = sleep(wait) => {}
            }
        }
    }

    /// Makes one attempt. A panic of the channel fails only this attempt.
    async fn attempt(self: &Arc<Self>, batch: Batch) -> Result<(), DeliveryError> {
        let delivery = self.clone();
        let attempt = tokio::spawn(async move { delivery.channel.deliver(&batch).await });
        match AbortOnDropHandle::new(attempt).await {
            Ok(result) => result,
            Err(error) => Err(DeliveryError::transient(format!(
                "the attempt was aborted: {error}"
            ))),
        }
    }

    /// Acquires one message of the rate limit, or returns the delay until it is available.
    pub(super) fn try_acquire(&self, urgent: bool) -> Result<(), Duration> {
        let limiter = self.limiter.as_ref();
        limiter.map_or(Ok(()), |limiter| limiter.try_acquire(urgent))
    }

    /// Returns the next step within the rate limit.
    async fn next(self: &Arc<Self>, progress: &mut Progress) -> Next {
        if self.limiter.is_none() {
            return self.claim(Priority::Oldest, None, progress);
        }
        if self.state.queued() == 0 {
            return Next::Nothing;
        }
        let wait = match self.try_acquire(false) {
            Ok(()) => {
                let delayed_since = self.state.counts.lock().held_since.take();
                let Some(since) = delayed_since.filter(|_| self.channel.allows_digest()) else {
                    return self.claim(Priority::Oldest, None, progress);
                };
                let ended = self.drop_ended().await;
                return self.claim(Priority::Any, Some(Digest { since, ended }), progress);
            }
            Err(wait) => wait,
        };
        let urgent = next_batch(
            &self.state.outbox.lock(),
            &*self.channel,
            Priority::Urgent,
            1,
        );
        if !urgent.is_empty() && self.try_acquire(true).is_ok() {
            return self.claim(Priority::Urgent, None, progress);
        }
        let since = (self.clock)().wall;
        self.state.counts.lock().held_since.get_or_insert(since);
        Next::Wait(wait)
    }

    /// Claims the next batch of the queue; it stays there until it is settled.
    fn claim(&self, priority: Priority, digest: Option<Digest>, progress: &mut Progress) -> Next {
        let limit = if progress.alone > 0 {
            1
        } else {
            self.channel.max_batch()
        };
        progress.alone = progress.alone.saturating_sub(1);
        let mut outbox = self.state.outbox.lock();
        let picked = next_batch(&outbox, &*self.channel, priority, limit);
        outbox.claim(picked.iter().map(|(seq, _)| *seq));
        let notifications: Vec<Notification> = picked
            .iter()
            .map(|(_, notification)| notification.clone())
            .collect();
        let Some(first) = notifications.first() else {
            return Next::Nothing;
        };
        let mixed = notifications.iter().any(|other| !same_group(first, other));
        let digest = digest.filter(|digest| digest.ended > 0 || mixed);
        let still_firing = match digest {
            Some(_) => Vec::new(),
            None => outbox.still_firing(&first.group, &notifications),
        };
        Next::Attempt(PickedBatch {
            notifications: picked,
            batch: Batch {
                notifications,
                still_firing,
                digest,
            },
        })
    }

    /// Drops the alerts that fired and resolved while the rate limit delayed them. Returns their
    /// number.
    async fn drop_ended(self: &Arc<Self>) -> usize {
        let now = (self.clock)().wall;
        let ended = self
            .state
            .outbox
            .lock()
            .ended_undelivered(Duration::ZERO, now);
        if ended.is_empty() {
            return 0;
        }
        // One message has their number, which is all that is sent about them.
        let reason = DropReason {
            max_dead_letters: 0,
            ..self.drop_reason("rate_limited", "")
        };
        let dropped = self.drop_entries(ended, reason).await;
        self.report_dropped("rate_limited", &dropped);
        dropped
            .iter()
            .filter(|notification| notification.status == Status::Resolved)
            .count()
    }

    /// Drops the notifications `seqs` and those that depend on them.
    async fn drop_entries(
        self: &Arc<Self>,
        seqs: Vec<u64>,
        reason: DropReason<'static>,
    ) -> Vec<Notification> {
        self.blocking(move |delivery| {
            delivery
                .state
                .change(move |outbox: &mut Outbox| -> Vec<Record> {
                    seqs.iter()
                        .flat_map(|seq| outbox.drop_entry(*seq, &reason))
                        .collect()
                })
        })
        .await
        .dropped
    }

    /// Drops alerts that resolved unsent too long ago.
    async fn expire(self: &Arc<Self>, progress: &mut Progress) {
        let now = (self.clock)();
        if progress
            .expired
            .is_some_and(|last| now.mono.since(last) < EXPIRE_INTERVAL)
        {
            return;
        }
        progress.expired = Some(now.mono);
        let expired = self
            .state
            .outbox
            .lock()
            .ended_undelivered(self.common.retry.max_elapsed_time.0, now.wall);
        if expired.is_empty() {
            return;
        }
        let reason = self.drop_reason(
            "expired",
            "it resolved unsent too long ago: see `retry.max_elapsed_time`",
        );
        let dropped = self.drop_entries(expired, reason).await;
        let dropped = self.report_dropped("expired", &dropped);
        warn!(
            channel = self.name(),
            dropped, "dropped resolved alerts that could not be sent in time"
        );
    }

    /// Records the result of an attempt. Returns the delay before the next one, after a failure.
    async fn settle(
        self: &Arc<Self>,
        batch: &[(u64, Notification)],
        result: Result<(), DeliveryError>,
        progress: &mut Progress,
    ) -> Option<Duration> {
        let failure = result.err();
        let (delivered, undelivered) = by_result(batch, failure.as_ref());
        let is_rejected = failure.as_ref().is_some_and(|error| !error.retryable);
        if is_rejected && undelivered.len() > 1 {
            // Perhaps only one of them is rejected: each is tried alone.
            progress.alone = undelivered.len();
        }
        let rejected = if is_rejected && undelivered.len() == 1 {
            undelivered
        } else {
            Vec::new()
        };
        self.state.counts.lock().sent += delivered.len() as u64;
        let lost = self.record(delivered, rejected, failure.as_ref()).await;
        let attempt = progress.failures + 1;
        let Some(error) = failure else {
            self.observe_attempt(batch, attempt, None, Duration::ZERO);
            self.note_success(progress);
            return None;
        };
        let dropped = self.state.count_dropped(REJECTED, &lost);
        self.log_failure(&error, dropped, progress);
        if is_rejected {
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

    /// Records the result of an attempt in the outbox. Returns the notifications that were dropped.
    async fn record(
        self: &Arc<Self>,
        delivered: Vec<u64>,
        rejected: Vec<u64>,
        failure: Option<&DeliveryError>,
    ) -> Vec<Notification> {
        if delivered.is_empty() && rejected.is_empty() {
            return Vec::new();
        }
        let error = failure.map_or_else(String::new, |error| error.message.clone());
        let changed = self.blocking(move |delivery| {
            let reason = delivery.drop_reason(REJECTED, &error);
            let now = (delivery.clock)();
            delivery.state.change(|outbox| {
                outbox.claim([]);
                let mut records = Vec::new();
                for seq in delivered {
                    records.extend(outbox.mark_delivered(seq, now));
                }
                for seq in rejected {
                    records.extend(outbox.drop_entry(seq, &reason));
                }
                records
            })
        });
        changed.await.dropped
    }

    fn note_success(&self, progress: &mut Progress) {
        if progress.failures > 0 {
            let failures = progress.failures;
            info!(
                channel = self.name(),
                failures, "the channel delivers again"
            );
        }
        progress.failures = 0;
        let mut counts = self.state.counts.lock();
        (counts.last_error, counts.failing_since) = (None, None);
    }

    fn observe(&self, notification: &Notification, outcome: Outcome<'_>) {
        let (channel, at) = (self.name(), (self.clock)().wall);
        (self.observer)(&Event {
            channel,
            notification,
            outcome,
            at,
        });
    }

    fn observe_queued(&self, records: &[Record]) {
        for record in records {
            if let Record::Push { notification, .. } = record {
                self.observe(notification, Outcome::Queued);
            }
        }
    }

    /// Reports the outcome of an attempt for each notification of its batch.
    fn observe_attempt(
        &self,
        batch: &[(u64, Notification)],
        attempt: u32,
        failure: Option<&DeliveryError>,
        retry_in: Duration,
    ) {
        for (index, (_, notification)) in batch.iter().enumerate() {
            let outcome = match failure.filter(|error| !error.delivered.contains(&index)) {
                None => Outcome::Delivered { attempt },
                // Of several rejected ones each is tried alone.
                Some(error) if !error.retryable && batch.len() == error.delivered.len() + 1 => {
                    Outcome::Rejected {
                        error: &error.message,
                    }
                }
                Some(error) => Outcome::Retried {
                    attempt,
                    error: &error.message,
                    retry_in,
                },
            };
            self.observe(notification, outcome);
        }
    }

    /// Reports the notifications that were dropped along with a rejected one of `batch`.
    fn observe_followers(&self, batch: &[(u64, Notification)], dropped: &[Notification]) {
        let tried = |notification: &Notification| {
            batch.iter().any(|(_, tried)| tried.id == notification.id)
        };
        for follower in dropped.iter().filter(|notification| !tried(notification)) {
            self.observe(follower, Outcome::Dropped { reason: "rejected" });
        }
    }

    /// Counts and reports the notifications that were dropped for `reason`.
    fn report_dropped(&self, reason: &'static str, dropped: &[Notification]) -> u64 {
        for notification in dropped {
            self.observe(notification, Outcome::Dropped { reason });
        }
        self.state.count_dropped(reason, dropped)
    }

    /// Logs the first failure in a row, and rejected notifications at most once a minute.
    fn log_failure(&self, failure: &DeliveryError, lost: u64, progress: &mut Progress) {
        let (channel, message) = (&self.name(), &failure.message);
        progress.lost += lost;
        let now = (self.clock)();
        let is_throttled = progress
            .lost_logged_at
            .is_some_and(|last| now.mono.since(last) < LOG_INTERVAL);
        if progress.lost > 0 && !is_throttled {
            let notifications = std::mem::take(&mut progress.lost);
            progress.lost_logged_at = Some(now.mono);
            error!(
                channel,
                notifications,
                error = message,
                "notifications rejected by the service and dropped"
            );
        } else if failure.retryable && progress.failures == 0 {
            warn!(channel, error = message, "cannot deliver; retrying");
        }
        let mut counts = self.state.counts.lock();
        counts.failed += 1;
        counts.failing_since.get_or_insert(now);
        counts.last_error = Some(message.clone());
    }

    /// Runs `work` on a blocking thread.
    pub(super) async fn blocking<T: Send + Default + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> T {
        let delivery = self.clone();
        match tokio::task::spawn_blocking(move || work(&delivery)).await {
            Ok(value) => value,
            Err(error) => {
                error!(channel = self.name(), %error, "cannot write the queue");
                T::default()
            }
        }
    }

    pub(super) fn stats(&self) -> ChannelStats {
        self.state.stats(self.common.r#type.as_str())
    }
}

/// Splits the sequence numbers of a batch into those that were delivered and the others.
fn by_result(
    batch: &[(u64, Notification)],
    failure: Option<&DeliveryError>,
) -> (Vec<u64>, Vec<u64>) {
    let (mut delivered, mut undelivered) = (Vec::new(), Vec::new());
    for (index, (seq, _)) in batch.iter().enumerate() {
        match failure {
            Some(error) if !error.delivered.contains(&index) => undelivered.push(*seq),
            _ => delivered.push(*seq),
        }
    }
    (delivered, undelivered)
}

#[cfg(test)]
mod tests;
