//! Notifications: channels with filters and durable queues, and their delivery.
//!
//! A dispatch goes through each channel's filter into its outbox, which is on disk before
//! [`Notifier::offer`] returns. A task per channel delivers the queue in order, and retries until
//! the service has confirmed. Messages that are no alerts ([`Bulletin`]) have a queue of their own.
//! Knows nothing of rules.

mod bulletin;
mod channel;
mod channel_state;
mod channels;
mod delivery;
mod direct;
mod error;
mod filter;
mod journal;
mod next_batch;
mod observe;
mod outbox;
mod preview;
mod rate_limit;
mod self_metrics;
mod settings;
#[cfg(test)]
mod testing;
mod wire;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use bellwether_core::{
    DeadLetter, Dispatch, Fingerprint, MonoMillis, NotifiedState, Now, UnixMillis,
};
use bellwether_files::durable::StateDirectory;
pub use bellwether_program::AccountError;
pub use bulletin::{Bulletin, BulletinStats, Document};
use channel::Channel;
pub use channel::{Batch, Clock, Context, Digest, Sender, WallClock};
use channel_state::ChannelState;
pub use channel_state::ChannelStats;
pub use channels::email::owned_header;
pub use channels::{AddressError, ChannelType, KindSettings, TemplateError};
use delivery::Delivery;
pub use direct::{DirectResult, send_bulletin, test_send};
pub use error::{BuildError, DeliveryError, MissingClient, SettingsError};
use filter::Filter;
use hashbrown::HashMap;
pub use observe::{Event, Observer, Outcome};
use parking_lot::Mutex;
pub use preview::Preview;
use rate_limit::Limiter;
pub use rate_limit::RateLimit;
pub use self_metrics::SELF_METRICS;
pub use settings::{ChannelCommon, ChannelSettings, Queue, Retry, check, named};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::warn;

/// Parameters of a notifier besides its channels.
#[derive(Clone)]
pub struct Setup {
    /// Folder of all state, where the queues are in `outbox`; without one they are in memory only.
    pub state: Option<Arc<StateDirectory>>,
    /// Both clocks.
    pub clock: Clock,
    /// Random number, uniform from 0 to 1, for the jitter of retries.
    pub random: fn() -> f64,
    /// Receiver of the events of each notification.
    pub observer: Observer,
}

/// Builds a channel and drops it, to check its settings and files. A Kafka client would begin to
/// connect, so only the settings of that type are checked.
///
/// # Errors
/// The channel cannot be built.
pub fn try_build(name: &str, channel: &ChannelSettings, sender: &Sender) -> Result<(), BuildError> {
    if channel.common.r#type == ChannelType::Kafka {
        return Ok(());
    }
    let context = Context {
        name: name.to_owned(),
        sender: sender.clone(),
        clock: Arc::new(UnixMillis::default),
    };
    channel.kind.build(context).map(drop)
}

/// Returns the document that a webhook channel sends for `batch`.
#[must_use]
pub fn webhook_document(batch: &Batch, channel: &str, sender: &Sender) -> serde_json::Value {
    let document = wire::Webhook::new(batch, channel, sender, usize::MAX);
    serde_json::to_value(document).unwrap_or_default()
}

/// The active channels.
pub struct Notifier {
    setup: Setup,
    active: Mutex<Vec<ActiveChannel>>,
}

/// Channels that are built and not active yet.
pub struct Prepared(Vec<(String, ChannelCommon, Box<dyn Channel>)>);

struct ActiveChannel {
    delivery: Arc<Delivery>,
    /// Delivers the queue, then ends.
    stop: CancellationToken,
    /// Ends with the attempt under way.
    halt: CancellationToken,
    /// Aborted when it is dropped. `None` once it is being stopped.
    task: Option<AbortOnDropHandle<()>>,
}

/// Time that a reload waits for an attempt under way; one that is cut off is repeated.
const GRACE: Duration = Duration::from_secs(2);

impl ActiveChannel {
    fn start(delivery: Arc<Delivery>) -> Self {
        let (stop, halt) = (CancellationToken::new(), CancellationToken::new());
        let run = delivery.clone().run(stop.clone(), halt.clone());
        let publish = delivery.clone().publish(stop.clone(), halt.clone());
        let refresh = delivery.clone().refresh();
        let task = tokio::spawn(async move {
            tokio::select! {
                _ = async { tokio::join!(run, publish) } => {}
                () = refresh => {}
            }
        });
        Self {
            delivery,
            stop,
            halt,
            task: Some(AbortOnDropHandle::new(task)),
        }
    }

    fn drain(&mut self) -> Option<AbortOnDropHandle<()>> {
        self.stop.cancel();
        self.task.take()
    }

    fn halt(&mut self) -> Option<AbortOnDropHandle<()>> {
        self.halt.cancel();
        self.drain()
    }
}

impl Notifier {
    /// Creates a notifier without channels; [`Notifier::replace`] sets them.
    #[must_use]
    pub fn new(setup: Setup) -> Self {
        Self {
            setup,
            active: Mutex::default(),
        }
    }

    /// Builds the enabled ones of `channels`, without using them yet.
    ///
    /// # Errors
    /// The first channel that cannot be built.
    pub async fn prepare(
        &self,
        channels: &[ChannelSettings],
        sender: Sender,
    ) -> Result<Prepared, BuildError> {
        Self::prepare_with(self.setup.clock.clone(), channels, sender).await
    }

    /// Builds the enabled ones of `channels` for a notifier that does not exist yet.
    ///
    /// # Errors
    /// The first channel that cannot be built.
    pub async fn prepare_with(
        clock: Clock,
        channels: &[ChannelSettings],
        sender: Sender,
    ) -> Result<Prepared, BuildError> {
        let channels = channels.to_vec();
        let clock: WallClock = Arc::new(move || clock().wall);
        tokio::task::spawn_blocking(move || {
            let mut prepared = Vec::new();
            for (name, settings) in settings::named(&channels) {
                if !settings.common.enabled {
                    continue;
                }
                let context = Context {
                    name: name.clone(),
                    sender: sender.clone(),
                    clock: clock.clone(),
                };
                let channel = settings.kind.build(context)?;
                prepared.push((name, settings.common.clone(), channel));
            }
            Ok(Prepared(prepared))
        })
        .await
        .map_err(|error| BuildError {
            channel: "all".to_owned(),
            error: error.into(),
        })?
    }

    /// Uses `prepared` from now on. A channel of the same name keeps its queue; the queue of a
    /// removed channel stays on disk.
    pub async fn replace(&self, prepared: Prepared) {
        // The old channels stay active until the new ones are: nothing queued meanwhile is lost.
        let (tasks, states): (Vec<_>, Vec<_>) = self
            .active
            .lock()
            .iter_mut()
            .map(|channel| (channel.halt(), channel.delivery.state.clone()))
            .unzip();
        timeout(GRACE, join(tasks)).await.ok();
        let (folder, now) = (self.setup.state.clone(), (self.setup.clock)());
        let with_states = tokio::task::spawn_blocking(move || {
            assign_states(prepared, states, folder.as_ref(), now)
        });
        let Ok(channels) = with_states.await else {
            return;
        };
        let active = channels.into_iter().map(|(state, common, channel)| {
            ActiveChannel::start(Arc::new(Delivery {
                state,
                filter: Filter::new(&common),
                limiter: common.rate_limit.as_ref().map(Limiter::new),
                common,
                channel,
                clock: self.setup.clock.clone(),
                random: self.setup.random,
                observer: self.setup.observer.clone(),
            }))
        });
        *self.active.lock() = active.collect();
    }

    /// Continues the queues of `preview` on the channels of the same names, which must be in memory.
    pub fn adopt(&self, preview: Preview) {
        let active = self.active.lock();
        for (name, outbox) in preview.into_outboxes() {
            let channel = active
                .iter()
                .find(|channel| **channel.delivery.state.name() == *name);
            if let Some(channel) = channel {
                *channel.delivery.state.outbox.lock() = outbox;
                channel.delivery.state.wake.notify_one();
            }
        }
    }

    /// Queues the notifications of `dispatches` that the channels need, in their order; on disk
    /// when it returns.
    pub async fn offer(&self, dispatches: Vec<Dispatch>) {
        if dispatches.is_empty() {
            return;
        }
        let dispatches: Arc<[Dispatch]> = dispatches.into();
        self.for_each_channel(move |delivery| {
            let name = delivery.state.name();
            let mut notifications = dispatches
                .iter()
                .filter(|dispatch| dispatch.to.as_deref().is_none_or(|to| to.contains(name)))
                .flat_map(|dispatch| &dispatch.notifications)
                .peekable();
            if notifications.peek().is_some() {
                delivery.accept(notifications);
            }
        })
        .await;
    }

    /// Queues `bulletin` on the channels `to`; on disk when it returns. Returns those that are not active.
    pub async fn publish(&self, bulletin: Bulletin, to: &[String]) -> Vec<String> {
        let names: Arc<HashSet<String>> = Arc::new(to.iter().cloned().collect());
        let queued = self.for_each_channel(move |delivery| {
            let name = delivery.state.name().to_string();
            names.contains(&name).then(|| {
                delivery.queue_bulletin(bulletin.clone());
                name
            })
        });
        let queued: Vec<String> = queued.await.into_iter().flatten().collect();
        let is_missing = |name: &&String| !queued.contains(name);
        to.iter().filter(is_missing).cloned().collect()
    }

    /// Returns the statistics of the bulletins of each channel and topic.
    #[must_use]
    pub fn bulletin_stats(&self) -> Vec<BulletinStats> {
        let active = self.active.lock();
        let channels = active.iter();
        channels
            .flat_map(|channel| channel.delivery.state.bulletins.stats())
            .collect()
    }

    /// Queues a resolved notification on each channel for each notified alert that is not in
    /// `still_firing`: alerts that resolved while this process did not run.
    pub async fn reconcile(&self, still_firing: &HashSet<Fingerprint>, now: UnixMillis) {
        let still_firing = Arc::new(still_firing.clone());
        self.for_each_channel(move |delivery| delivery.reconcile(&still_firing, now))
            .await;
    }

    /// Rewrites the queues after failed writes, or if their files were deleted.
    pub async fn save_pending(&self) {
        self.for_each_channel(|delivery| delivery.state.save_if_due())
            .await;
    }

    /// Returns the errors that keep queues from the disk.
    #[must_use]
    pub fn storage_errors(&self) -> Vec<String> {
        self.active
            .lock()
            .iter()
            .filter_map(|channel| channel.delivery.state.problem())
            .collect()
    }

    /// Returns the firing alerts that any channel was notified of.
    #[must_use]
    pub fn notified(&self) -> HashMap<Fingerprint, NotifiedState> {
        let mut all = HashMap::new();
        for channel in self.active.lock().iter() {
            channel.delivery.state.outbox.lock().add_notified(&mut all);
        }
        all
    }

    /// Returns a function of channel and alert: the time of the last firing notification; `now`
    /// where one is queued.
    pub fn last_notified(
        &self,
        now: MonoMillis,
    ) -> impl Fn(&str, Fingerprint) -> Option<MonoMillis> + use<> {
        let states: Vec<_> = self
            .active
            .lock()
            .iter()
            .map(|channel| channel.delivery.state.clone())
            .collect();
        move |channel, alert| {
            let state = states.iter().find(|state| **state.name() == *channel)?;
            state.outbox.lock().last_notified(alert, now)
        }
    }

    /// Returns the failing channels, each with the time of its first failure in a row.
    #[must_use]
    pub fn failing(&self) -> Vec<(Arc<str>, MonoMillis)> {
        self.active
            .lock()
            .iter()
            .filter_map(|channel| {
                let state = &channel.delivery.state;
                let failing_since = state.counts.lock().failing_since?;
                Some((state.name().clone(), failing_since.mono))
            })
            .collect()
    }

    /// Returns the alerts of rejected notifications since the last call, each with its channel.
    #[must_use]
    pub fn take_rejected(&self) -> Vec<(Arc<str>, Fingerprint)> {
        let mut rejected = Vec::new();
        for channel in self.active.lock().iter() {
            let state = &channel.delivery.state;
            for alert in state.take_rejected() {
                rejected.push((state.name().clone(), alert));
            }
        }
        rejected
    }

    /// Returns the dead letters of all channels, the oldest of each first.
    #[must_use]
    pub fn dead_letters(&self) -> Vec<DeadLetter> {
        let mut dead_letters = Vec::new();
        for channel in self.active.lock().iter() {
            let state = &channel.delivery.state;
            let outbox = state.outbox.lock();
            dead_letters.extend(
                outbox
                    .dead_letters()
                    .map(|stored| state.dead_letter(stored)),
            );
        }
        dead_letters
    }

    /// Queues the dead letters `ids` again; on disk when it returns. Returns each with true if it
    /// was queued: content that its channel knows by now is not sent.
    pub async fn resend(&self, ids: HashSet<String>) -> Vec<(DeadLetter, bool)> {
        let ids = Arc::new(ids);
        self.for_each_channel(move |delivery| delivery.resend(&ids))
            .await
            .into_iter()
            .flatten()
            .collect()
    }

    /// Deletes the dead letters `ids`, and returns them.
    pub async fn discard(&self, ids: HashSet<String>) -> Vec<DeadLetter> {
        let ids = Arc::new(ids);
        self.for_each_channel(move |delivery| delivery.discard(&ids))
            .await
            .into_iter()
            .flatten()
            .collect()
    }

    /// Calls `work` for every channel at once, on blocking threads. Returns the results.
    async fn for_each_channel<T: Send + 'static>(
        &self,
        work: impl Fn(&Delivery) -> T + Clone + Send + 'static,
    ) -> Vec<T> {
        let tasks: Vec<_> = self
            .active
            .lock()
            .iter()
            .map(|channel| {
                let (delivery, work) = (channel.delivery.clone(), work.clone());
                tokio::task::spawn_blocking(move || work(&delivery))
            })
            .collect();
        let mut results = Vec::new();
        for task in tasks {
            match task.await {
                Ok(result) => results.push(result),
                Err(error) => warn!(%error, "cannot queue a notification"),
            }
        }
        results
    }

    /// Delivers the queues for at most `limit`; the rest stays on disk.
    pub async fn stop(&self, limit: Duration) {
        let tasks: Vec<_> = self
            .active
            .lock()
            .iter_mut()
            .map(ActiveChannel::drain)
            .collect();
        if timeout(limit, join(tasks)).await.is_err() {
            for stats in self.stats() {
                let (channel, queued, bulletins) = (&stats.name, stats.queued, stats.bulletins);
                if queued + bulletins > 0 {
                    warn!(
                        channel,
                        queued, bulletins, "stopped before everything was delivered"
                    );
                }
            }
        }
    }

    /// Returns the statistics of each channel.
    #[must_use]
    pub fn stats(&self) -> Vec<ChannelStats> {
        self.active
            .lock()
            .iter()
            .map(|channel| channel.delivery.stats())
            .collect()
    }
}

async fn join(tasks: Vec<Option<AbortOnDropHandle<()>>>) {
    for task in tasks.into_iter().flatten() {
        task.await.ok();
    }
}

/// Gives each channel the state of the old channel of its name, or else opens one. Blocks.
fn assign_states(
    prepared: Prepared,
    mut states: Vec<Arc<ChannelState>>,
    folder: Option<&Arc<StateDirectory>>,
    now: Now,
) -> Vec<(Arc<ChannelState>, ChannelCommon, Box<dyn Channel>)> {
    let mut channels = Vec::new();
    for (name, common, channel) in prepared.0 {
        let state = match states.iter().position(|state| **state.name() == *name) {
            Some(index) => states.swap_remove(index),
            None => Arc::new(ChannelState::open(&name, folder.cloned(), now)),
        };
        channels.push((state, common, channel));
    }
    for removed in &states {
        let (channel, queued) = (&**removed.name(), removed.queued());
        if queued > 0 {
            warn!(
                channel,
                queued, "the channel was removed; its queue stays on disk"
            );
        }
    }
    channels
}
