//! Delivery of the bulletins of a channel: attempts, retries and the rate limit.

use std::sync::Arc;
use std::time::Duration;

use bellwether_http::next_delay;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::{error, info, warn};

use super::Bulletin;
use super::queue::BulletinQueue;
use crate::delivery::Delivery;
use crate::error::DeliveryError;

impl Delivery {
    /// Queues `bulletin`; on disk when it returns. Blocks.
    pub(crate) fn queue_bulletin(&self, bulletin: Bulletin) {
        let now = (self.clock)().wall;
        let bulletins = &self.state.bulletins;
        let dropped = bulletins.change(|queue| queue.offer(bulletin, now));
        self.log_dropped(&dropped, "the queue of bulletins is full");
        bulletins.wake.notify_one();
    }

    /// Delivers queued bulletins until `stop`; after it, as long as no attempt fails. After `halt` it ends with the
    /// attempt under way.
    pub(crate) async fn publish(self: Arc<Self>, stop: CancellationToken, halt: CancellationToken) {
        let mut failures = 0;
        while !halt.is_cancelled() {
            let stopping = stop.is_cancelled();
            self.expire_bulletins().await;
            let bulletins = &self.state.bulletins;
            let wait = match bulletins.read(BulletinQueue::next) {
                None if stopping => return,
                None => Duration::MAX,
                Some(bulletin) => match self.acquire_for_bulletin() {
                    Ok(()) => self.publish_one(bulletin, &mut failures).await,
                    Err(wait) => wait,
                },
            };
            if stopping && !wait.is_zero() {
                return;
            }
            tokio::select! {
                () = stop.cancelled(), if !stopping => {}
                () = bulletins.wake.notified(), if wait == Duration::MAX => {}
                () = sleep(wait.min(LONGEST_SLEEP)) => {}
            }
        }
    }

    /// Acquires one message of the rate limit, or returns a delay. Notifications that wait go first.
    pub(crate) fn acquire_for_bulletin(&self) -> Result<(), Duration> {
        match self.limiter.is_some() && self.state.queued() > 0 {
            true => Err(ALERTS_FIRST),
            false => self.try_acquire(false),
        }
    }

    /// Makes one attempt. Returns the delay before the next one.
    async fn publish_one(self: &Arc<Self>, bulletin: Bulletin, failures: &mut u32) -> Duration {
        let Err(failure) = self.attempt_bulletin(bulletin.clone()).await else {
            let (channel, topic, title) = (&**self.state.name(), &bulletin.topic, &bulletin.title);
            info!(channel, bulletin = topic, title, "bulletin delivered");
            *failures = 0;
            self.change_bulletins(move |queue, now| queue.mark_delivered(&bulletin.id, now))
                .await;
            return Duration::ZERO;
        };
        self.log_failure_of(&bulletin, &failure, *failures);
        let (error, retryable) = (failure.message, failure.retryable);
        self.change_bulletins(move |queue, _| match retryable {
            true => queue.mark_failed(&bulletin, &error),
            false => queue.reject(&bulletin, &error),
        })
        .await;
        if !retryable {
            return Duration::ZERO;
        }
        *failures += 1;
        let (initial, max) = (self.common.retry.initial.0, self.common.retry.max.0);
        let random = (self.random)();
        next_delay(initial, max, *failures, failure.retry_after, random)
    }

    /// Logs a rejection, and the first failure in a row.
    fn log_failure_of(&self, bulletin: &Bulletin, failure: &DeliveryError, failures: u32) {
        let (channel, topic) = (&**self.state.name(), &bulletin.topic);
        let error = &failure.message;
        if !failure.retryable {
            error!(
                channel,
                bulletin = topic,
                error,
                "bulletin rejected by the service and dropped"
            );
        } else if failures == 0 {
            warn!(
                channel,
                bulletin = topic,
                error,
                "cannot deliver a bulletin; retrying"
            );
        }
    }

    /// Makes one attempt. A panic of the channel fails only this attempt.
    async fn attempt_bulletin(self: &Arc<Self>, bulletin: Bulletin) -> Result<(), DeliveryError> {
        let delivery = self.clone();
        let attempt = tokio::spawn(async move { delivery.channel.publish(&bulletin).await });
        match AbortOnDropHandle::new(attempt).await {
            Ok(result) => result,
            Err(error) => Err(DeliveryError::transient(format!(
                "the attempt was aborted: {error}"
            ))),
        }
    }

    async fn expire_bulletins(self: &Arc<Self>) {
        let longest = self.common.retry.max_elapsed_time.0;
        let now = (self.clock)().wall;
        if self
            .state
            .bulletins
            .read(|queue| queue.has_older(longest, now))
        {
            let expired = self
                .change_bulletins(move |queue, now| queue.expire(longest, now))
                .await;
            self.log_dropped(
                &expired,
                "it was not delivered in time: see `retry.max_elapsed_time`",
            );
        }
    }

    fn log_dropped(&self, dropped: &[Bulletin], reason: &str) {
        for bulletin in dropped {
            let (channel, title) = (&**self.state.name(), &bulletin.title);
            error!(
                channel,
                bulletin = bulletin.topic,
                title,
                reason,
                "bulletin dropped"
            );
        }
    }

    /// Changes the queue on a blocking thread.
    async fn change_bulletins<T: Send + Default + 'static>(
        self: &Arc<Self>,
        change: impl FnOnce(&mut BulletinQueue, bellwether_core::UnixMillis) -> T + Send + 'static,
    ) -> T {
        self.blocking(move |delivery| {
            let now = (delivery.clock)().wall;
            delivery.state.bulletins.change(|queue| change(queue, now))
        })
        .await
    }
}

/// Delay of a bulletin while the rate limit keeps notifications waiting.
const ALERTS_FIRST: Duration = Duration::from_secs(1);
/// Longest sleep while nothing is queued; tokio's timers end after years.
const LONGEST_SLEEP: Duration = Duration::from_secs(86_400);
