//! From transitions to channels: the dispatcher says who is told, the notifier sees to it.
//!
//! Owns the order: what is dispatched first is queued first, whoever asks.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use bellwether_core::{Alert, Fingerprint, MonoMillis, Transition};
use bellwether_files::durable::{Found, Saver};
use bellwether_notify::Notifier;
use bellwether_routing::{
    Command, CommandError, Dispatcher, Explanation, Feedback, Routing, Silence, StateFile,
    Suppression,
};
use bellwether_runtime::Clock;
use parking_lot::Mutex;
use tracing::{info, warn};

use super::account::Account;

/// Who is told, and the channels.
pub(super) struct Desk {
    dispatcher: Mutex<Dispatcher>,
    notifier: Arc<Notifier>,
    /// None: no history of alerts is kept.
    account: Option<Account>,
    /// What people said; `None`: it ends with the process.
    file: Option<Arc<Saver>>,
    clock: Clock,
    /// Held from what is dispatched until it is queued.
    order: tokio::sync::Mutex<()>,
    /// When rules were judged last, in milliseconds of the monotonic clock.
    judged: AtomicU64,
}

impl Desk {
    pub(super) fn new(
        routing: Arc<Routing>,
        notifier: Arc<Notifier>,
        account: Option<Account>,
        file: Option<Arc<Saver>>,
        clock: Clock,
    ) -> Self {
        let now = clock.now();
        Self {
            dispatcher: Mutex::new(Dispatcher::new(routing, now)),
            notifier,
            account,
            file,
            clock,
            order: tokio::sync::Mutex::default(),
            judged: AtomicU64::new(now.mono.0),
        }
    }

    /// Goes on from before the start: `standing` fired when the process before ended.
    pub(super) fn restore(&self, standing: Vec<Arc<Alert>>) {
        let told = self.notifier.told();
        self.dispatcher
            .lock()
            .restore(standing, told, self.clock.now());
    }

    /// Goes on with what people said before the start, and keeps what they say from now on; and with
    /// what still waits as it was inhibited.
    pub(super) async fn recall(&self) {
        let Some(file) = &self.file else { return };
        let reading = file.clone();
        let path = file.path().display();
        let load = move || reading.load(|| StateFile::new(reading.path()).load());
        match tokio::task::spawn_blocking(load).await {
            Ok(Ok(Found::State(state))) => {
                self.dispatcher.lock().recall(state, self.clock.now());
                self.warn_of_dangling();
            }
            Ok(Ok(Found::Nothing)) => {}
            Ok(Ok(Found::Corrupt { aside, reason })) => {
                let aside = aside.display();
                warn!(%path, reason, %aside, "silences and acknowledgements make no sense, and are lost");
            }
            Ok(Err(error)) => warn!(%path, %error, "cannot read silences and acknowledgements"),
            Err(error) => warn!(%path, %error, "cannot read silences and acknowledgements"),
        }
    }

    /// Carries out what somebody wants, and keeps it.
    pub(super) async fn order(&self, order: Command) -> Result<String, CommandError> {
        let _one = self.order.lock().await;
        let audit = order.to_string();
        let done = {
            let random = u128::from(fastrand::u64(..)) << 64 | u128::from(fastrand::u64(..));
            self.dispatcher
                .lock()
                .order(order, random, self.clock.now())
        };
        match &done {
            Ok(id) => info!(id, "{audit}"),
            Err(error) => warn!(%error, "refused: {audit}"),
        }
        let id = done?;
        self.save().await.map_err(|error| {
            CommandError::Invalid(format!("done, but not kept over a restart: {error}"))
        })?;
        Ok(id)
    }

    /// Writes down what people said. Acknowledgements of alerts that ended go with the next write.
    async fn save(&self) -> Result<(), String> {
        let Some(saver) = self.file.clone() else {
            return Ok(());
        };
        let state = self.dispatcher.lock().state();
        let saving = move || saver.save(|| StateFile::new(saver.path()).save(&state));
        match tokio::task::spawn_blocking(saving).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Saves what could not be saved before, or what somebody deleted: queues and silences.
    pub(super) async fn save_what_is_due(&self) {
        self.notifier.save_what_is_due().await;
        if self.file.as_ref().is_some_and(|file| file.is_due()) {
            let _one = self.order.lock().await;
            // Told by the saver.
            self.save().await.ok();
        }
    }

    /// Why queues and silences are not on disk.
    pub(super) fn problems(&self) -> Vec<String> {
        let mut problems = self.notifier.problems();
        problems.extend(self.file.as_ref().and_then(|file| file.problem()));
        problems
    }

    /// The silences.
    pub(super) fn silences(&self) -> Vec<Silence> {
        self.dispatcher.lock().silences().iter().cloned().collect()
    }

    /// The alerts that are silenced, inhibited or acknowledged now.
    pub(super) fn suppressions(&self) -> HashMap<Fingerprint, Suppression> {
        self.dispatcher.lock().suppressions(self.clock.now().wall)
    }

    /// What is known of an alert.
    pub(super) fn explain(&self, alert: Fingerprint) -> Option<Explanation> {
        self.dispatcher.lock().explain(alert, self.clock.now())
    }

    /// Routes otherwise from now on.
    pub(super) fn replace(&self, routing: Arc<Routing>) {
        let (now, told) = (self.clock.now(), self.notifier.told());
        let mut dispatcher = self.dispatcher.lock();
        let before = std::mem::replace(&mut *dispatcher, Dispatcher::new(routing, now));
        dispatcher.succeed(before, told, now);
        drop(dispatcher);
        self.warn_of_dangling();
    }

    fn warn_of_dangling(&self) {
        for (silence, interval) in self.dispatcher.lock().silences().dangling() {
            warn!(
                silence,
                interval, "a silence names a time interval that is not declared any more"
            );
        }
    }

    /// Notes alerts from before the start whose data were seen since.
    pub(super) fn confirm(&self, alerts: &[Fingerprint]) {
        if !alerts.is_empty() {
            self.dispatcher
                .lock()
                .confirm(alerts, self.clock.now().mono);
        }
    }

    /// Notes that rules were judged.
    pub(super) fn judged(&self) {
        self.judged.store(self.clock.now().mono.0, Relaxed);
    }

    /// Takes in what changed, and queues what is to be told now; on disk when it returns.
    pub(super) async fn tell(&self, transitions: &[Transition]) {
        let _order = self.order.lock().await;
        let feedback = self.feedback();
        if let Some(account) = &self.account {
            account.transitions(transitions);
        }
        let (advance, unsaved) = {
            let now = self.clock.now();
            let mut dispatcher = self.dispatcher.lock();
            dispatcher.take(transitions, now);
            let advance = dispatcher.advance(&feedback, &self.notifier.last_told(now.mono), now);
            (advance, dispatcher.take_unsaved())
        };
        if let Some(account) = &self.account {
            account.kept_back(&advance.gates, self.clock.now().wall);
        }
        self.notifier.offer(advance.dispatches).await;
        if unsaved {
            // Told by the saver.
            self.save().await.ok();
        }
    }

    /// Comes back when [`Desk::tell`] has something to do even if nothing changes.
    pub(super) async fn due(&self) {
        /// The state of the channels is looked at this often.
        const EVERY: Duration = Duration::from_secs(1);
        let next = self.dispatcher.lock().next();
        tokio::time::sleep(next.since(self.clock.now().mono).min(EVERY)).await;
    }

    /// Has the channels resolve what they told as firing and what is neither in `standing` nor
    /// about to be told.
    pub(super) async fn reconcile(&self, mut standing: HashSet<Fingerprint>) {
        let _order = self.order.lock().await;
        standing.extend(self.dispatcher.lock().known());
        self.notifier
            .reconcile(&standing, self.clock.now().wall)
            .await;
    }

    fn feedback(&self) -> Feedback {
        let now = self.clock.now().mono;
        let failing = self.notifier.failing().into_iter();
        Feedback {
            failing: failing
                .map(|(channel, since)| (channel, now.since(since)))
                .collect(),
            refused: self.notifier.take_refused(),
            judged: MonoMillis(self.judged.load(Relaxed)),
        }
    }
}
