//! Evaluates rules after every collection, and sends and saves the results.
//!
//! One task owns the order: evaluate, hand transitions to the channels (which write them down
//! first), save the state. A crash between the two repeats a notification and never loses one.
//! History queries of rules run on a blocking thread, one batch at a time, while other rules
//! continue.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Duration;

use bellwether_analysis::monitor::AnomalyMonitor;
use bellwether_collector::{HealthBoard, Sink};
use bellwether_config::self_metrics::{RULE_TICK_DURATION, RULE_TICKS_MISSED, STATE_SAVE_FAILURES};
use bellwether_core::{
    Batch, Fingerprint, Now, Origin, SelfMetrics, SelfMetricsBatch, SeriesLimits, Transition,
    UnixMillis,
};
use bellwether_files::durable::{JsonFile, Saver};
use bellwether_rules::{Engine, QueryResults, RuleSet, SampleStorage, SavedAlerts, Tick};
use bellwether_runtime::Clock;
use bellwether_server::LiveFeed;
use bellwether_tsdb::history::History;
use bellwether_tsdb::store::Store;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;
use tokio::task::{JoinError, JoinHandle};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use super::alert_pipeline::AlertPipeline;
use super::generated_series::GeneratedSeries;
use super::query_timeout::QueryTimeout;

/// Maximum age of pending and firing durations in the state file.
const SAVE_EVERY: Duration = Duration::from_secs(30);

/// Interval of attempts to save what could not be saved.
const RETRY_EVERY: Duration = Duration::from_secs(5);

/// Time after a start during which alerts known to channels may be unknown to the rules: their
/// samples may be missing yet.
const GRACE: Duration = Duration::from_secs(60);

/// Rule engine and the collections that wait for evaluation.
pub(super) struct Evaluator {
    loaded: Mutex<LoadedRules>,
    /// Origins collected since the last evaluation.
    due: Mutex<BTreeSet<Origin>>,
    wake: Notify,
    clock: Clock,
    pipeline: Arc<AlertPipeline>,
    /// `None`: alerts end with the process.
    file: Option<Arc<Saver>>,
    history: Option<Arc<History>>,
    query_timeout: Arc<QueryTimeout>,
    generated: Arc<GeneratedSeries>,
    live: Arc<LiveFeed>,
    missed: AtomicU64,
    /// True unless the state file is known to have no alerts.
    may_have_saved_alerts: AtomicBool,
}

/// Engine and store, swapped together at a reload.
pub(super) struct LoadedRules {
    pub(super) engine: Engine,
    pub(super) store: Arc<Store>,
    /// Duration of the last tick that evaluated rules.
    pub(super) last_tick: Duration,
}

impl LoadedRules {
    pub(super) fn new(engine: Engine, store: Arc<Store>) -> Self {
        Self {
            engine,
            store,
            last_tick: Duration::ZERO,
        }
    }
}

impl Evaluator {
    pub(super) fn new(
        loaded: LoadedRules,
        clock: Clock,
        pipeline: Arc<AlertPipeline>,
        file: Option<Arc<Saver>>,
        history: Option<Arc<History>>,
        generated: Arc<GeneratedSeries>,
        live: Arc<LiveFeed>,
    ) -> Self {
        Self {
            generated,
            live,
            loaded: Mutex::new(loaded),
            due: Mutex::default(),
            wake: Notify::new(),
            clock,
            pipeline,
            file,
            history,
            query_timeout: Arc::default(),
            missed: AtomicU64::new(0),
            may_have_saved_alerts: AtomicBool::new(true),
        }
    }

    /// Locks the rules. Hold it briefly: evaluation waits for it.
    pub(super) fn loaded(&self) -> MutexGuard<'_, LoadedRules> {
        self.loaded.lock()
    }

    /// Returns why the state is not on disk.
    pub(super) fn problem(&self) -> Option<String> {
        self.file.as_ref()?.problem()
    }

    /// Replaces rules and store. Returns the transitions of alerts whose rules are gone.
    pub(super) fn replace(&self, rules: RuleSet, store: Arc<Store>) -> Vec<Transition> {
        let now = self.clock.now();
        let mut loaded = self.loaded.lock();
        let old = std::mem::replace(
            &mut *loaded,
            LoadedRules::new(Engine::new(rules, now), store),
        );
        loaded.last_tick = old.last_tick;
        loaded.engine.adopt(old.engine, now)
    }

    /// Returns whether evaluation makes progress.
    pub(super) fn responds(&self) -> bool {
        self.loaded.try_lock_for(Duration::from_secs(1)).is_some()
    }

    /// Records that `origin` was collected at `at`.
    fn collected(&self, origin: Origin, at: UnixMillis) {
        self.live.collected(origin, at);
        if !self.due.lock().insert(origin) {
            self.missed.fetch_add(1, Relaxed);
        }
        self.wake.notify_one();
    }

    /// Evaluates rules until `stop`, then saves the state a last time.
    pub(super) async fn run(self: Arc<Self>, stop: CancellationToken) {
        let started = self.clock.now();
        let mut last_save = started;
        let mut last_retry = started;
        // The running history queries, and the origins collected since they started.
        let mut queries: Option<JoinHandle<QueryResults>> = None;
        let mut waiting = BTreeSet::new();
        loop {
            let mut changed = false;
            tokio::select! {
                () = stop.cancelled() => break,
                () = self.wake.notified() => {}
                results = finished(&mut queries) => {
                    queries = None;
                    changed |= self.evaluate_results(results).await;
                }
                () = tokio::time::sleep(QueryTimeout::EVERY), if queries.is_some() => self.query_timeout.enforce(),
                () = self.pipeline.due() => self.pipeline.process(&[]).await,
            }
            let due = std::mem::take(&mut *self.due.lock());
            for origin in due {
                changed |= self.tick(origin).await;
                let missed = !waiting.insert(origin);
                self.missed.fetch_add(u64::from(missed), Relaxed);
            }
            if queries.is_none() && !waiting.is_empty() {
                let origins: Vec<Origin> = std::mem::take(&mut waiting).into_iter().collect();
                queries = self.start_queries(&origins);
            }
            let now = self.clock.now();
            let late = now.mono.since(last_save.mono) >= SAVE_EVERY;
            if changed || (late && self.has_aged()) {
                self.save().await;
            }
            if changed || late {
                last_save = now;
            }
            if now.mono.since(last_retry.mono) >= RETRY_EVERY {
                self.save_what_is_due().await;
                last_retry = now;
            }
            if late && now.mono.since(started.mono) >= GRACE {
                self.reconcile().await;
            }
        }
        self.query_timeout.cancel();
        self.save().await;
    }

    /// Returns whether the state file has durations that are older now, or alerts that are gone.
    fn has_aged(&self) -> bool {
        self.may_have_saved_alerts.load(Relaxed) || !self.loaded.lock().engine.snapshot().is_empty()
    }

    /// Resolves alerts that channels were notified of and that no longer fire: what a crash between
    /// notifying and saving leaves behind.
    async fn reconcile(&self) {
        let alerts = self.loaded.lock().engine.alerts();
        let firing: HashSet<Fingerprint> = alerts.iter().map(|alert| alert.fingerprint).collect();
        self.pipeline.reconcile(firing).await;
    }

    /// Evaluates the rules over `origin`. Returns whether the state must be saved.
    async fn tick(&self, origin: Origin) -> bool {
        let tick = {
            let mut loaded = self.loaded.lock();
            let store = loaded.store.clone();
            let started = Instant::now();
            let tick = loaded
                .engine
                .evaluate(&store, self.clock.now(), Some(&[origin]));
            // A collection without rules says nothing about the cost of evaluation.
            if tick.evaluated > 0 {
                loaded.last_tick = started.elapsed();
            }
            tick
        };
        // Once an interval, and at once where anything has changed.
        if origin == Origin::SELF_METRICS || !tick.transitions.is_empty() {
            self.record_alerts();
        }
        self.follow(tick).await
    }

    /// Resolves a firing alert by hand, and saves that. Returns whether it fired.
    pub(super) async fn resolve(&self, alert: Fingerprint, reason: &str) -> bool {
        let now = self.clock.now();
        let resolved = self.loaded.lock().engine.resolve(alert, reason, now);
        let Some(transition) = resolved else {
            return false;
        };
        self.record_alerts();
        self.process(&[transition]).await;
        self.save().await;
        true
    }

    /// Appends the state of all alerts to history.
    fn record_alerts(&self) {
        let alerts = self.loaded.lock().engine.alerts();
        self.generated.evaluated(&alerts, self.clock.now().wall);
    }

    /// Starts the history queries of rules over the collected origins.
    fn start_queries(&self, origins: &[Origin]) -> Option<JoinHandle<QueryResults>> {
        let batch = self
            .loaded
            .lock()
            .engine
            .query_batch(self.clock.now(), Some(origins));
        if batch.is_empty() {
            return None;
        }
        let (history, query_timeout) = (self.history.clone(), self.query_timeout.clone());
        Some(tokio::task::spawn_blocking(move || {
            batch.run(
                history
                    .as_deref()
                    .map(|history| history as &dyn SampleStorage),
                &*query_timeout,
            )
        }))
    }

    /// Evaluates the results of history queries. Returns whether the state must be saved.
    async fn evaluate_results(&self, results: Result<QueryResults, JoinError>) -> bool {
        let results = match results {
            Ok(results) => results,
            Err(error) => {
                error!(%error, "history queries of rules ended unexpectedly");
                return false;
            }
        };
        let tick = self.loaded.lock().engine.apply(results);
        if !tick.transitions.is_empty() {
            self.record_alerts();
        }
        self.follow(tick).await
    }

    async fn follow(&self, tick: Tick) -> bool {
        self.pipeline.mark_evaluated();
        self.pipeline.confirm(&tick.confirmed);
        self.process(&tick.transitions).await;
        tick.changed
    }

    /// Logs transitions, and passes them to the alert pipeline and then to live updates.
    pub(super) async fn process(&self, transitions: &[Transition]) {
        for transition in transitions {
            let alert = &transition.alert;
            info!(
                rule = &*alert.rule,
                labels = ?alert.labels,
                reason = transition.reason,
                "alert {} => {}",
                transition.from.as_str(),
                alert.state.as_str(),
            );
        }
        self.pipeline.process(transitions).await;
        self.live
            .transitions(transitions, || self.pipeline.suppressions());
    }

    /// Saves the state file on a blocking thread.
    pub(super) async fn save(&self) {
        let Some(saver) = self.file.clone() else {
            return;
        };
        let alerts = SavedAlerts {
            saved_at: self.clock.now().wall,
            rules: self.loaded.lock().engine.snapshot(),
        };
        self.may_have_saved_alerts
            .store(!alerts.rules.is_empty(), Relaxed);
        let saving = move || {
            saver
                .save(|| JsonFile::new(saver.path()).save(&alerts))
                .ok()
        };
        if let Err(error) = tokio::task::spawn_blocking(saving).await {
            error!(%error, "saving the state of the alerts ended unexpectedly");
        }
    }

    /// Saves queues, silences and alerts that could not be saved before or whose files were
    /// deleted.
    async fn save_what_is_due(&self) {
        self.pipeline.save_what_is_due().await;
        if self.file.as_ref().is_some_and(|file| file.is_due()) {
            self.save().await;
        }
    }
}

impl SelfMetrics for Evaluator {
    fn add_self_metrics(&self, batch: &mut SelfMetricsBatch<'_>, now: Now) {
        let failures = self.file.as_ref().map_or(0, |file| file.failures());
        batch.push(&STATE_SAVE_FAILURES, &[], failures as f64);
        let missed = self.missed.load(Relaxed);
        batch.push(&RULE_TICKS_MISSED, &[], missed as f64);
        let loaded = self.loaded.lock();
        let last_tick = loaded.last_tick.as_secs_f64();
        batch.push(&RULE_TICK_DURATION, &[], last_tick);
        loaded.engine.add_self_metrics(batch, now);
    }
}

/// Awaits the running history queries; pending for ever if there are none.
async fn finished(
    queries: &mut Option<JoinHandle<QueryResults>>,
) -> Result<QueryResults, JoinError> {
    match queries {
        Some(queries) => queries.await,
        None => std::future::pending().await,
    }
}

/// Commits batches to one store and wakes the evaluator. A reload creates a new one with the new
/// store.
pub(super) struct Committer {
    pub(super) store: Arc<Store>,
    pub(super) anomaly_monitor: Arc<AnomalyMonitor>,
    pub(super) evaluator: Arc<Evaluator>,
    pub(super) generated: Arc<GeneratedSeries>,
    pub(super) board: HealthBoard,
    /// Limits of the series of a collector in the list; `None` for a built-in one.
    pub(super) series_limits: Option<SeriesLimits>,
}

impl Sink for Committer {
    fn collected(&self, origin: Origin, batch: &Batch, now: Now) {
        self.store.commit(batch, now);
        if let Some(limits) = self.series_limits {
            let ingestion = self.store.ingest(origin, &batch.series, limits, now);
            self.board.add_notes(origin, ingestion.notes());
        }
        let up = self.board.is_up(origin).unwrap_or_default();
        self.generated.collected(origin, up, now.wall);
        self.store.expire(now);
        self.anomaly_monitor.observe(batch, now);
        self.evaluator.collected(origin, now.wall);
    }
}
