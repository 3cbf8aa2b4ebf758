//! The alert pipeline: transitions in, notifications out. The dispatcher decides, the notifier
//! sends.
//!
//! Owns the order: notifications are queued in the order in which they are dispatched.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use bellwether_core::{Alert, Fingerprint, MonoMillis, Transition};
use bellwether_files::durable::{JsonFile, LoadedState, Saver};
use bellwether_notify::Notifier;
use bellwether_routing::{
    Command, CommandError, Dispatcher, Explanation, Feedback, Routing, Silence, State, Suppression,
};
use bellwether_runtime::Clock;
use parking_lot::Mutex;
use tracing::warn;

use super::alert_log::AlertLog;

/// Dispatcher, notifier and alert log.
pub(super) struct AlertPipeline {
    dispatcher: Mutex<Dispatcher>,
    notifier: Arc<Notifier>,
    /// `None`: the alert history is disabled.
    alert_log: Option<AlertLog>,
    /// State file of silences and acknowledgements; `None`: they end with the process.
    file: Option<Arc<Saver>>,
    clock: Clock,
    /// Held from dispatching until notifications are queued.
    order: tokio::sync::Mutex<()>,
    /// Time of the last evaluation, in milliseconds of the monotonic clock.
    last_evaluation: AtomicU64,
}

impl AlertPipeline {
    pub(super) fn new(
        dispatcher: Dispatcher,
        notifier: Arc<Notifier>,
        alert_log: Option<AlertLog>,
        file: Option<Arc<Saver>>,
        clock: Clock,
    ) -> Self {
        let now = clock.now();
        Self {
            dispatcher: Mutex::new(dispatcher),
            notifier,
            alert_log,
            file,
            clock,
            order: tokio::sync::Mutex::default(),
            last_evaluation: AtomicU64::new(now.mono.0),
        }
    }

    /// Restores the state before a restart; `firing` are the alerts that fired when the last
    /// process ended.
    pub(super) fn restore(&self, firing: Vec<Arc<Alert>>) {
        let notified = self.notifier.notified();
        self.dispatcher
            .lock()
            .restore(firing, notified, self.clock.now());
    }

    /// Loads silences, acknowledgements and inhibited alerts from the state file, and saves changes
    /// to it from now on.
    pub(super) async fn recall(&self) {
        let Some(file) = &self.file else { return };
        let reading = file.clone();
        let path = file.path().display();
        let load = move || reading.load(|| JsonFile::<State>::new(reading.path()).load());
        match tokio::task::spawn_blocking(load).await {
            Ok(Ok(LoadedState::Loaded(state))) => {
                self.dispatcher
                    .lock()
                    .restore_state(state, self.clock.now());
                self.warn_of_dangling();
            }
            Ok(Ok(LoadedState::Absent)) => {}
            Ok(Ok(LoadedState::Corrupt { aside, reason })) => {
                let aside = aside.display();
                warn!(%path, %reason, %aside, "the saved silences and acknowledgements are corrupt and lost");
            }
            Ok(Err(error)) => warn!(%path, %error, "cannot read silences and acknowledgements"),
            Err(error) => warn!(%path, %error, "cannot read silences and acknowledgements"),
        }
    }

    /// Executes a command and saves the result.
    pub(super) async fn order(&self, order: Command) -> Result<String, CommandError> {
        let _guard = self.order.lock().await;
        let id = {
            let random = u128::from(fastrand::u64(..)) << 64 | u128::from(fastrand::u64(..));
            self.dispatcher
                .lock()
                .execute(order, random, self.clock.now())
        }?;
        self.save().await.map_err(|error| {
            CommandError::Invalid(format!("done, but not saved for a restart: {error}"))
        })?;
        Ok(id)
    }

    /// Saves silences and acknowledgements. Acknowledgements of resolved alerts are removed at the
    /// next save.
    async fn save(&self) -> anyhow::Result<()> {
        let Some(saver) = self.file.clone() else {
            return Ok(());
        };
        let state = self.dispatcher.lock().state();
        let saving = tokio::task::spawn_blocking(move || {
            saver.save(|| JsonFile::new(saver.path()).save(&state))
        });
        Ok(saving.await??)
    }

    /// Saves queues and silences that could not be saved before or whose files were deleted.
    pub(super) async fn save_what_is_due(&self) {
        self.notifier.save_pending().await;
        if self.file.as_ref().is_some_and(|file| file.is_due()) {
            let _guard = self.order.lock().await;
            // The saver logs a failure.
            self.save().await.ok();
        }
    }

    /// Returns why queues and silences are not on disk.
    pub(super) fn problems(&self) -> Vec<String> {
        let mut problems = self.notifier.storage_errors();
        problems.extend(self.file.as_ref().and_then(|file| file.problem()));
        problems
    }

    /// Returns all silences.
    pub(super) fn silences(&self) -> Vec<Silence> {
        self.dispatcher.lock().silences().iter().cloned().collect()
    }

    /// Returns the alerts that are silenced, inhibited or acknowledged now.
    pub(super) fn suppressions(&self) -> HashMap<Fingerprint, Suppression> {
        self.dispatcher.lock().suppressions(self.clock.now().wall)
    }

    /// Explains the groups and notifications of an alert.
    pub(super) fn explain(&self, alert: Fingerprint) -> Option<Explanation> {
        self.dispatcher.lock().explain(alert, self.clock.now())
    }

    /// Replaces the routing.
    pub(super) fn replace(&self, routing: Arc<Routing>) {
        let (now, notified) = (self.clock.now(), self.notifier.notified());
        let mut dispatcher = self.dispatcher.lock();
        let before = std::mem::replace(&mut *dispatcher, Dispatcher::new(routing, now));
        dispatcher.continue_from(before, notified, now);
        drop(dispatcher);
        self.warn_of_dangling();
    }

    fn warn_of_dangling(&self) {
        for (silence, interval) in self.dispatcher.lock().silences().dangling() {
            warn!(
                silence,
                interval, "a silence names a time interval that no longer exists"
            );
        }
    }

    /// Confirms restored alerts whose series have samples again.
    pub(super) fn confirm(&self, alerts: &[Fingerprint]) {
        if !alerts.is_empty() {
            self.dispatcher
                .lock()
                .confirm(alerts, self.clock.now().mono);
        }
    }

    /// Records the time of an evaluation.
    pub(super) fn mark_evaluated(&self) {
        self.last_evaluation.store(self.clock.now().mono.0, Relaxed);
    }

    /// Processes transitions and queues due notifications; they are on disk when it returns.
    pub(super) async fn process(&self, transitions: &[Transition]) {
        let _guard = self.order.lock().await;
        let feedback = self.feedback();
        if let Some(alert_log) = &self.alert_log {
            alert_log.transitions(transitions);
        }
        let (advance, unsaved) = {
            let now = self.clock.now();
            let mut dispatcher = self.dispatcher.lock();
            dispatcher.apply(transitions, now);
            let advance =
                dispatcher.advance(&feedback, &self.notifier.last_notified(now.mono), now);
            (advance, dispatcher.take_unsaved())
        };
        if let Some(alert_log) = &self.alert_log {
            alert_log.muted(&advance.mute_changes, self.clock.now().wall);
        }
        self.notifier.offer(advance.dispatches).await;
        if unsaved {
            // The saver logs a failure.
            self.save().await.ok();
        }
    }

    /// Waits until [`AlertPipeline::process`] has work even without transitions; forever while no
    /// alert is routed.
    pub(super) async fn due(&self) {
        /// Interval at which the state of the channels is checked.
        const EVERY: Duration = Duration::from_secs(1);
        let next = self.dispatcher.lock().next();
        if next == MonoMillis::NEVER {
            // No alert is routed, so no channel's state matters before the next transition.
            return std::future::pending().await;
        }
        tokio::time::sleep(next.since(self.clock.now().mono).min(EVERY)).await;
    }

    /// Sends resolved notifications for alerts that channels were notified of and that neither fire
    /// nor are known to the dispatcher.
    pub(super) async fn reconcile(&self, mut firing: HashSet<Fingerprint>) {
        let _guard = self.order.lock().await;
        firing.extend(self.dispatcher.lock().tracked_alerts());
        self.notifier
            .reconcile(&firing, self.clock.now().wall)
            .await;
    }

    fn feedback(&self) -> Feedback {
        let now = self.clock.now().mono;
        let failing = self.notifier.failing().into_iter();
        Feedback {
            failing: failing
                .map(|(channel, since)| (channel, now.since(since)))
                .collect(),
            rejected: self.notifier.take_rejected(),
            last_evaluation: MonoMillis(self.last_evaluation.load(Relaxed)),
        }
    }
}
