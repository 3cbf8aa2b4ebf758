//! Notifications: who is told, and that it arrives.
//!
//! What is dispatched goes through each channel's filter into its outbox, which is on disk before
//! [`Notifier::offer`] returns; a task per channel hands over what waits, in order, and tries
//! again until the receiver has said that it took it. Knows nothing of rules.

mod channels;
mod delivery;
mod filter;
mod journal;
mod limit;
mod mailbox;
mod observe;
mod outbox;
mod pick;
mod preview;
#[cfg(test)]
mod samples;
mod settings;
mod trial;
mod wire;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use bellwether_core::{DeadLetter, Dispatch, Fingerprint, MonoMillis, NotifiedState, UnixMillis};
use bellwether_files::durable::StateFolder;
use channels::Channel;
pub use channels::email::owned_header;
pub use channels::{
    Batch, BuildError, ChannelType, Clock, Context, Digest, KindSettings, Sender, WallClock,
};
use delivery::Delivery;
use filter::Filter;
use hashbrown::HashMap;
pub use limit::RateLimit;
pub use mailbox::ChannelStats;
use mailbox::Mailbox;
pub use observe::{Event, Observer, Outcome};
use parking_lot::Mutex;
pub use preview::Preview;
pub use settings::{ChannelCommon, ChannelSettings, Queue, Retry, check, named};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::warn;
pub use trial::{TestResult, test_send};

/// What the notifier is built with beside the channels.
#[derive(Clone)]
pub struct Setup {
    /// Folder of all state, where the queues are in `outbox`; without one they are in memory only.
    pub state: Option<Arc<StateFolder>>,
    /// Reads the clocks.
    pub clock: Clock,
    /// Uniform from 0 to 1; the jitter of retries.
    pub random: fn() -> f64,
    /// Told what becomes of each notification.
    pub observer: Observer,
}

/// Builds a channel and drops it, to find what keeps it from being built. A client of Kafka would
/// begin to connect, so of that one only the settings are looked at.
///
/// # Errors
/// What keeps it from being built.
pub fn try_build(name: &str, channel: &ChannelSettings, sender: &Sender) -> Result<(), BuildError> {
    if channel.common.r#type == ChannelType::Kafka {
        return Ok(());
    }
    let clock: WallClock = Arc::new(UnixMillis::default);
    let context = Context {
        name: name.to_owned(),
        sender: sender.clone(),
        clock,
    };
    match channel.kind.build(context) {
        Ok(_) => Ok(()),
        Err(message) => Err(BuildError {
            channel: name.to_owned(),
            message,
        }),
    }
}

/// The document that a webhook channel sends for `batch`.
#[must_use]
pub fn webhook_document(batch: &Batch, channel: &str, sender: &Sender) -> serde_json::Value {
    let document = wire::Webhook::new(batch, channel, sender, usize::MAX);
    serde_json::to_value(document).unwrap_or_default()
}

/// The channels in use.
pub struct Notifier {
    setup: Setup,
    running: Mutex<Vec<Running>>,
}

/// Channels that are built and not yet in use.
pub struct Prepared(Vec<(String, ChannelCommon, Box<dyn Channel>)>);

struct Running {
    delivery: Arc<Delivery>,
    /// Hands over what waits, then ends.
    stop: CancellationToken,
    /// Ends with the attempt under way.
    halt: CancellationToken,
    /// Ends when it is dropped. `None` once it is being stopped.
    task: Option<AbortOnDropHandle<()>>,
}

/// How long a reload waits for an attempt under way; one that is cut off is made again.
const GRACE: Duration = Duration::from_secs(2);

impl Running {
    fn start(delivery: Arc<Delivery>) -> Self {
        let (stop, halt) = (CancellationToken::new(), CancellationToken::new());
        let run = delivery.clone().run(stop.clone(), halt.clone());
        let refresh = delivery.clone().refresh();
        let task = tokio::spawn(async move {
            tokio::select! {
                () = run => {}
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
    /// A notifier without channels; [`Notifier::replace`] gives it some.
    #[must_use]
    pub fn new(setup: Setup) -> Self {
        Self {
            setup,
            running: Mutex::default(),
        }
    }

    /// Builds the enabled ones of `channels`; nothing is in use yet.
    ///
    /// # Errors
    /// The first that cannot be built.
    pub async fn prepare(
        &self,
        channels: &[ChannelSettings],
        sender: Sender,
    ) -> Result<Prepared, BuildError> {
        Self::prepare_with(self.setup.clock.clone(), channels, sender).await
    }

    /// Builds the enabled ones of `channels` for a notifier that is not there yet.
    ///
    /// # Errors
    /// The first that cannot be built.
    pub async fn prepare_with(
        clock: Clock,
        channels: &[ChannelSettings],
        sender: Sender,
    ) -> Result<Prepared, BuildError> {
        let channels = channels.to_vec();
        let clock: WallClock = Arc::new(move || clock().wall);
        let build = move || {
            let enabled = settings::named(&channels);
            let enabled = enabled
                .into_iter()
                .filter(|(_, channel)| channel.common.enabled);
            enabled
                .map(|(name, settings)| {
                    let context = Context {
                        name: name.clone(),
                        sender: sender.clone(),
                        clock: clock.clone(),
                    };
                    match settings.kind.build(context) {
                        Ok(channel) => Ok((name, settings.common.clone(), channel)),
                        Err(message) => Err(BuildError {
                            channel: name,
                            message,
                        }),
                    }
                })
                .collect::<Result<Vec<_>, _>>()
        };
        let failed = |error: tokio::task::JoinError| BuildError {
            channel: "all".to_owned(),
            message: error.to_string(),
        };
        tokio::task::spawn_blocking(build)
            .await
            .map_err(failed)?
            .map(Prepared)
    }

    /// Uses `prepared` from now on. A channel that was there under the same name goes on with its
    /// queue; what a channel that is gone had waiting stays on disk.
    pub async fn replace(&self, prepared: Prepared) {
        // They stay in the list until others take over: what is queued meanwhile is not lost.
        let (tasks, mut mailboxes): (Vec<_>, Vec<_>) = {
            let mut running = self.running.lock();
            running
                .iter_mut()
                .map(|one| (one.halt(), one.delivery.mailbox.clone()))
                .unzip()
        };
        let halted = async {
            for task in tasks.into_iter().flatten() {
                task.await.ok();
            }
        };
        timeout(GRACE, halted).await.ok();
        let (state, now) = (self.setup.state.clone(), (self.setup.clock)());
        let opened = tokio::task::spawn_blocking(move || {
            let Prepared(channels) = prepared;
            let opened = channels.into_iter().map(|(name, common, channel)| {
                let known = mailboxes
                    .iter()
                    .position(|mailbox| **mailbox.name() == *name);
                let mailbox = match known {
                    Some(index) => mailboxes.swap_remove(index),
                    None => Arc::new(Mailbox::open(&name, state.clone(), now)),
                };
                (mailbox, common, channel)
            });
            let opened: Vec<_> = opened.collect();
            for left in &mailboxes {
                if left.queued() > 0 {
                    let (channel, queued) = (&**left.name(), left.queued());
                    warn!(
                        channel,
                        queued, "the channel is gone; what waited for it stays on disk"
                    );
                }
            }
            opened
        });
        let Ok(opened) = opened.await else { return };
        let running = opened.into_iter().map(|(mailbox, common, channel)| {
            let delivery = Arc::new(Delivery {
                mailbox,
                filter: Filter::new(&common),
                common,
                channel,
                clock: self.setup.clock.clone(),
                random: self.setup.random,
                observer: self.setup.observer.clone(),
            });
            Running::start(delivery)
        });
        *self.running.lock() = running.collect();
    }

    /// Queues what the channels must hear of `dispatches`, in their order; on disk when it returns.
    pub async fn offer(&self, dispatches: Vec<Dispatch>) {
        if dispatches.is_empty() {
            return;
        }
        let dispatches: Arc<[Dispatch]> = dispatches.into();
        self.each(move |delivery| {
            let name = delivery.mailbox.name();
            let meant = |to: &[Arc<str>]| to.contains(name);
            let mine = dispatches
                .iter()
                .filter(|one| one.to.as_deref().is_none_or(meant));
            let mut mine = mine.flat_map(|dispatch| &dispatch.notifications).peekable();
            if mine.peek().is_some() {
                delivery.accept(mine);
            }
        })
        .await;
    }

    /// Resolves on each channel what it was told as firing and what is not in `standing`: alerts
    /// that ended while nobody watched.
    pub async fn reconcile(&self, standing: &HashSet<Fingerprint>, now: UnixMillis) {
        let standing = Arc::new(standing.clone());
        self.each(move |delivery| delivery.reconcile(&standing, now))
            .await;
    }

    /// Writes the queues anew that could not be written before, or that somebody deleted.
    pub async fn save_what_is_due(&self) {
        self.each(|delivery| delivery.mailbox.save_if_due()).await;
    }

    /// Why queues are not on disk.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let running = self.running.lock();
        running
            .iter()
            .filter_map(|running| running.delivery.mailbox.problem())
            .collect()
    }

    /// What any channel was told of alerts whose end is still to come.
    #[must_use]
    pub fn told(&self) -> HashMap<Fingerprint, NotifiedState> {
        let mut all = HashMap::new();
        for running in self.running.lock().iter() {
            running.delivery.mailbox.outbox.lock().note_told(&mut all);
        }
        all
    }

    /// When a channel was told last that an alert fires; `now` where it is about to be.
    pub fn last_told(
        &self,
        now: MonoMillis,
    ) -> impl Fn(&str, Fingerprint) -> Option<MonoMillis> + use<> {
        let running = self.running.lock();
        let mailboxes: Vec<_> = running
            .iter()
            .map(|one| one.delivery.mailbox.clone())
            .collect();
        move |channel, alert| {
            let mailbox = mailboxes
                .iter()
                .find(|mailbox| **mailbox.name() == *channel)?;
            mailbox.outbox.lock().last_told(alert, now)
        }
    }

    /// Since when channels fail that do.
    #[must_use]
    pub fn failing(&self) -> Vec<(Arc<str>, MonoMillis)> {
        let running = self.running.lock();
        let failing = running.iter().filter_map(|running| {
            let mailbox = &running.delivery.mailbox;
            Some((
                mailbox.name().clone(),
                mailbox.counts.lock().failing_since?.mono,
            ))
        });
        failing.collect()
    }

    /// What channels refused for good since this was asked last.
    #[must_use]
    pub fn take_refused(&self) -> Vec<(Arc<str>, Fingerprint)> {
        let running = self.running.lock();
        let refused = running.iter().flat_map(|running| {
            let mailbox = &running.delivery.mailbox;
            let refused = mailbox.take_refused();
            refused
                .into_iter()
                .map(|alert| (mailbox.name().clone(), alert))
                .collect::<Vec<_>>()
        });
        refused.collect()
    }

    /// What the channels gave up and do not know, the oldest of each first.
    #[must_use]
    pub fn dead_letters(&self) -> Vec<DeadLetter> {
        let running = self.running.lock();
        let letters = running.iter().flat_map(|running| {
            let mailbox = &running.delivery.mailbox;
            let outbox = mailbox.outbox.lock();
            outbox
                .letters()
                .map(|letter| mailbox.dead_letter(letter))
                .collect::<Vec<_>>()
        });
        letters.collect()
    }

    /// Queues the dead letters `ids` again, on disk when it returns. Each is told of with whether
    /// it was: what its channel knows by now is not sent.
    pub async fn resend(&self, ids: HashSet<String>) -> Vec<(DeadLetter, bool)> {
        let ids = Arc::new(ids);
        self.each(move |delivery| delivery.resend(&ids))
            .await
            .into_iter()
            .flatten()
            .collect()
    }

    /// Forgets the dead letters `ids`; which there were.
    pub async fn discard(&self, ids: HashSet<String>) -> Vec<DeadLetter> {
        let ids = Arc::new(ids);
        self.each(move |delivery| delivery.discard(&ids))
            .await
            .into_iter()
            .flatten()
            .collect()
    }

    /// Does `work` for every channel at once, on blocking threads; what came of it.
    async fn each<T: Send + 'static>(
        &self,
        work: impl Fn(&Delivery) -> T + Clone + Send + 'static,
    ) -> Vec<T> {
        let deliveries: Vec<Arc<Delivery>> = self
            .running
            .lock()
            .iter()
            .map(|running| running.delivery.clone())
            .collect();
        let tasks: Vec<_> = deliveries
            .into_iter()
            .map(|delivery| {
                let work = work.clone();
                tokio::task::spawn_blocking(move || work(&delivery))
            })
            .collect();
        let mut done = Vec::new();
        for task in tasks {
            match task.await {
                Ok(one) => done.push(one),
                Err(error) => warn!(%error, "queueing a notification ended badly"),
            }
        }
        done
    }

    /// Hands over what waits for at most `limit`; the rest stays on disk.
    pub async fn stop(&self, limit: Duration) {
        let tasks: Vec<_> = self.running.lock().iter_mut().map(Running::drain).collect();
        let drained = async {
            for task in tasks.into_iter().flatten() {
                task.await.ok();
            }
        };
        if timeout(limit, drained).await.is_err() {
            for stats in self.stats().iter().filter(|stats| stats.queued > 0) {
                let (channel, queued) = (&stats.name, stats.queued);
                warn!(channel, queued, "stopped before everything was delivered");
            }
        }
    }

    /// What each channel did.
    #[must_use]
    pub fn stats(&self) -> Vec<ChannelStats> {
        self.running
            .lock()
            .iter()
            .map(|running| running.delivery.stats())
            .collect()
    }
}
