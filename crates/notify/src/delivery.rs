//! One channel at work: the task that hands over what waits.

mod refresh;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use bellwether_core::{DeadLetter, Fingerprint, MonoMillis, Notification, Status, UnixMillis};
use bellwether_http::next_delay;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::{error, info, warn};

use super::channels::{Batch, Channel, Clock, DeliveryError, Digest, same_group};
use super::filter::Filter;
use super::limit::{Bucket, RateLimit};
use super::mailbox::{Changed, ChannelStats, Mailbox, REFUSED};
use super::observe::{Event, Observer, Outcome};
use super::outbox::{GivenUp, Letter, Outbox, Record};
use super::pick::{Which, pick};
use super::settings::ChannelCommon;

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
    told_lost: Option<MonoMillis>,
    /// When the queue was last looked through for what is long over.
    expired: Option<MonoMillis>,
    /// Of the rate limit, where there is one.
    bucket: Option<Bucket>,
}

/// What is to be done.
enum Next {
    /// This is handed over.
    Attempt(Picked),
    /// The rate limit lets nothing through for so long.
    Wait(Duration),
    /// Nothing waits.
    Nothing,
}

/// What one attempt hands over, by number.
struct Picked {
    news: Vec<(u64, Notification)>,
    batch: Batch,
}

/// The log is told of refusals this often at most.
const QUIET: Duration = Duration::from_secs(60);
/// How often the queue is looked through for what is long over.
const EXPIRE: Duration = Duration::from_secs(1);

/// One channel with its settings.
pub(super) struct Delivery {
    pub(super) mailbox: Arc<Mailbox>,
    pub(super) common: ChannelCommon,
    pub(super) filter: Filter,
    pub(super) channel: Box<dyn Channel>,
    pub(super) clock: Clock,
    pub(super) random: fn() -> f64,
    pub(super) observer: Observer,
}

impl Delivery {
    /// Queues what this channel must hear of `notifications`, on disk when it returns. Blocks.
    pub(super) fn accept<'a>(&self, notifications: impl Iterator<Item = &'a Notification>) {
        let capacity = self.common.queue.capacity;
        let why = self.because("overflow", "the queue was full: see `queue.capacity`");
        let Changed { records, given_up } = self.mailbox.change(|outbox| {
            let mut records: Vec<Record> = notifications
                .flat_map(|one| self.filter.take(outbox, one))
                .collect();
            records.extend(outbox.trim(capacity, &why));
            records
        });
        self.observe_queued(&records);
        let dropped = self.dropped("overflow", &given_up);
        if dropped > 0 {
            warn!(
                channel = self.name(),
                dropped, capacity, "the queue is full"
            );
        }
        self.mailbox.wake.notify_one();
    }

    /// Resolves what was told as firing and what is not in `standing`. Blocks.
    pub(super) fn reconcile(&self, standing: &HashSet<Fingerprint>, now: UnixMillis) {
        let gone = self.mailbox.outbox.lock().gone(standing, now);
        if !gone.is_empty() {
            self.accept(gone.iter());
        }
    }

    /// Queues what the dead letters `ids` say, as far as the channel does not know it by now;
    /// which were queued. Blocks.
    pub(super) fn resend(&self, ids: &HashSet<String>) -> Vec<(DeadLetter, bool)> {
        let (mut settled, now) = (Vec::new(), (self.clock)());
        let Changed { records, .. } = self.mailbox.change(|outbox| {
            let mut all = Vec::new();
            for (seq, letter) in self.dead_letters(outbox, ids) {
                let take = |outbox: &mut Outbox, one: &Notification| self.filter.take(outbox, one);
                let records = outbox.resend(seq, now, take);
                let is_push = |record: &Record| matches!(record, Record::Push { .. });
                settled.push((letter, records.iter().any(is_push)));
                all.extend(records);
            }
            all
        });
        self.observe_queued(&records);
        self.mailbox.wake.notify_one();
        settled
    }

    /// Forgets the dead letters `ids`; which there were. Blocks.
    pub(super) fn discard(&self, ids: &HashSet<String>) -> Vec<DeadLetter> {
        let mut settled = Vec::new();
        self.mailbox.change(|outbox| {
            let mut all = Vec::new();
            for (seq, letter) in self.dead_letters(outbox, ids) {
                all.extend(outbox.discard(seq));
                settled.push(letter);
            }
            all
        });
        for letter in &settled {
            self.observe(
                &letter.notification,
                Outcome::Dropped {
                    reason: "discarded",
                },
            );
        }
        settled
    }

    /// Those of the dead letters that are among `ids`.
    fn dead_letters(&self, outbox: &Outbox, ids: &HashSet<String>) -> Vec<(u64, DeadLetter)> {
        let all = outbox
            .letters()
            .map(|one: &Letter| (one.seq, self.mailbox.dead_letter(one)));
        all.filter(|(_, letter)| ids.contains(&letter.id)).collect()
    }

    /// What is given up now, and why.
    fn because<'a>(&self, reason: &'static str, error: &'a str) -> GivenUp<'a> {
        GivenUp {
            reason,
            error,
            at: (self.clock)().wall,
            keep: self.common.queue.dead_letters,
        }
    }

    fn name(&self) -> &str {
        self.mailbox.name()
    }

    /// Hands over what waits, oldest first, until `stop`; then as long as nothing fails. After
    /// `halt` it ends with the attempt under way.
    pub(super) async fn run(self: Arc<Self>, stop: CancellationToken, halt: CancellationToken) {
        let bucket = self.common.rate_limit.as_ref().map(Bucket::new);
        let mut progress = Progress {
            bucket,
            ..Progress::default()
        };
        let start = Instant::now();
        while !halt.is_cancelled() {
            // Looked at before the queue: what was queued before the stop is handed over.
            let stopping = stop.is_cancelled();
            self.expire(&mut progress).await;
            let picked = match self.next(&mut progress, start.elapsed()).await {
                Next::Attempt(picked) => picked,
                Next::Nothing | Next::Wait(_) if stopping => return,
                next => {
                    let room = async {
                        match next {
                            Next::Wait(room) => sleep(room).await,
                            _ => std::future::pending().await,
                        }
                    };
                    tokio::select! {
                        () = stop.cancelled() => {}
                        () = self.mailbox.wake.notified() => {}
                        () = room => {}
                    }
                    continue;
                }
            };
            let result = self.attempt(picked.batch).await;
            let Some(wait) = self.settle(&picked.news, result, &mut progress).await else {
                continue;
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = sleep(wait) => {}
            }
        }
    }

    /// One attempt. A channel that panics costs this attempt and no more.
    async fn attempt(self: &Arc<Self>, batch: Batch) -> Result<(), DeliveryError> {
        let delivery = self.clone();
        let attempt = tokio::spawn(async move { delivery.channel.deliver(&batch).await });
        match AbortOnDropHandle::new(attempt).await {
            Ok(result) => result,
            Err(error) => Err(DeliveryError::transient(format!(
                "the attempt broke off: {error}"
            ))),
        }
    }

    /// What is handed over next, within the rate limit; `now` counts from the task's start.
    async fn next(self: &Arc<Self>, progress: &mut Progress, now: Duration) -> Next {
        let Some(limit) = &self.common.rate_limit else {
            return self.claim(Which::Oldest, None, progress);
        };
        if self.mailbox.queued() == 0 {
            return Next::Nothing;
        }
        let wait = match progress.room(limit, false, now) {
            Ok(()) => {
                let held = self.mailbox.counts.lock().held_since.take();
                let Some(since) = held.filter(|_| self.channel.digests()) else {
                    return self.claim(Which::Oldest, None, progress);
                };
                let over = self.give_up_unheard().await;
                return self.claim(Which::Any, Some(Digest { since, over }), progress);
            }
            Err(wait) => wait,
        };
        let urgent = pick(
            &self.mailbox.outbox.lock(),
            &*self.channel,
            Which::Urgent,
            1,
        );
        if !urgent.is_empty() && progress.room(limit, true, now).is_ok() {
            return self.claim(Which::Urgent, None, progress);
        }
        let since = (self.clock)().wall;
        self.mailbox.counts.lock().held_since.get_or_insert(since);
        Next::Wait(wait)
    }

    /// Takes what goes next from the queue; it stays there until it is settled.
    fn claim(&self, which: Which, digest: Option<Digest>, progress: &mut Progress) -> Next {
        let most = if progress.alone > 0 {
            1
        } else {
            self.channel.max_batch()
        };
        progress.alone = progress.alone.saturating_sub(1);
        let mut outbox = self.mailbox.outbox.lock();
        let picked = pick(&outbox, &*self.channel, which, most);
        outbox.claim(picked.iter().map(|(seq, _)| *seq));
        let news: Vec<Notification> = picked.iter().map(|(_, one)| one.clone()).collect();
        let Some(first) = news.first() else {
            return Next::Nothing;
        };
        let mixed = news.iter().any(|other| !same_group(first, other));
        let digest = digest.filter(|digest| digest.over > 0 || mixed);
        let standing = match digest {
            Some(_) => Vec::new(),
            None => outbox.standing(&first.group, &news),
        };
        Next::Attempt(Picked {
            news: picked,
            batch: Batch {
                news,
                standing,
                digest,
            },
        })
    }

    /// Gives up what began and ended while the rate limit held it back; how many alerts that were.
    async fn give_up_unheard(self: &Arc<Self>) -> usize {
        let now = (self.clock)().wall;
        let over = self.mailbox.outbox.lock().stale(Duration::ZERO, now);
        if over.is_empty() {
            return 0;
        }
        // One message counts them, which is all that is to be told of them.
        let why = GivenUp {
            keep: 0,
            ..self.because("held_back", "")
        };
        let given_up = self.give_up(over, why).await;
        self.dropped("held_back", &given_up);
        given_up
            .iter()
            .filter(|one| one.status == Status::Resolved)
            .count()
    }

    /// Gives up the notifications `seqs`, and what makes no sense without them.
    async fn give_up(self: &Arc<Self>, seqs: Vec<u64>, why: GivenUp<'static>) -> Vec<Notification> {
        let drop_all = move |outbox: &mut Outbox| -> Vec<Record> {
            seqs.iter()
                .flat_map(|seq| outbox.give_up(*seq, &why))
                .collect()
        };
        self.blocking(move |delivery| delivery.mailbox.change(drop_all))
            .await
            .given_up
    }

    /// Gives up what began and ended unsent too long ago.
    async fn expire(self: &Arc<Self>, progress: &mut Progress) {
        let now = (self.clock)();
        if progress
            .expired
            .is_some_and(|last| now.mono.since(last) < EXPIRE)
        {
            return;
        }
        progress.expired = Some(now.mono);
        let stale = self
            .mailbox
            .outbox
            .lock()
            .stale(self.common.retry.give_up_after.0, now.wall);
        if stale.is_empty() {
            return;
        }
        let why = self.because(
            "expired",
            "it ended unsent too long ago: see `retry.give_up_after`",
        );
        let given_up = self.give_up(stale, why).await;
        let dropped = self.dropped("expired", &given_up);
        warn!(
            channel = self.name(),
            dropped, "gave up alerts that are long over"
        );
    }

    /// Writes down what an attempt did; how long to wait before the next one.
    async fn settle(
        self: &Arc<Self>,
        batch: &[(u64, Notification)],
        result: Result<(), DeliveryError>,
        progress: &mut Progress,
    ) -> Option<Duration> {
        let failed = result.err();
        let through = |index: &usize| {
            failed
                .as_ref()
                .is_none_or(|error| error.delivered.contains(index))
        };
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
            let error = failed
                .as_ref()
                .map(|error| error.message.clone())
                .unwrap_or_default();
            let Changed { given_up, .. } = self
                .blocking(move |delivery| {
                    let why = delivery.because(REFUSED, &error);
                    let now = (delivery.clock)();
                    delivery.mailbox.change(|outbox| {
                        outbox.claim([]);
                        let done: Vec<Record> =
                            done.iter().flat_map(|seq| outbox.done(*seq, now)).collect();
                        let dropped = given_up.iter().flat_map(|seq| outbox.give_up(*seq, &why));
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
                info!(channel = self.name(), failures, "the channel works again");
            }
            progress.failures = 0;
            let mut counts = self.mailbox.counts.lock();
            (counts.last_error, counts.failing_since) = (None, None);
            return None;
        };
        let dropped = self.mailbox.count_dropped(REFUSED, &lost);
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
                    Outcome::Refused {
                        error: &error.message,
                    }
                }
                Some(error) => Outcome::Failed {
                    attempt,
                    error: &error.message,
                    retry_in,
                },
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
        let (channel, message) = (&self.name(), &failure.message);
        progress.lost += lost;
        let now = (self.clock)();
        let quiet = progress
            .told_lost
            .is_some_and(|last| now.mono.since(last) < QUIET);
        if progress.lost > 0 && !quiet {
            let notifications = std::mem::take(&mut progress.lost);
            progress.told_lost = Some(now.mono);
            error!(
                channel,
                notifications,
                error = message,
                "refused by the receiver and given up"
            );
        } else if failure.retryable && progress.failures == 0 {
            warn!(
                channel,
                error = message,
                "cannot deliver; trying again until it works"
            );
        }
        let mut counts = self.mailbox.counts.lock();
        counts.failed += 1;
        counts.failing_since.get_or_insert(now);
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
                error!(channel = self.name(), %error, "writing the queue ended badly");
                T::default()
            }
        }
    }

    /// What it did so far.
    pub(super) fn stats(&self) -> ChannelStats {
        self.mailbox.stats(self.common.r#type.as_str())
    }
}

impl Progress {
    /// Takes the room for one message, or says how long to wait for it.
    fn room(&mut self, limit: &RateLimit, urgent: bool, now: Duration) -> Result<(), Duration> {
        self.bucket
            .as_mut()
            .map_or(Ok(()), |bucket| bucket.take(limit, urgent, now))
    }
}

#[cfg(test)]
mod tests;
