//! The wiring of the process: builds all parts from a plan, starts, reloads and stops them in
//! order.
//!
//! Contains no logic of any crate. A configuration in effect is one `ActiveConfig`; a reload
//! builds the next one, hands it the state of the last one, and swaps it in completely or not at
//! all.

mod active_config;
mod alert_log;
mod alert_pipeline;
mod announcer;
mod audit_channel;
mod backend;
mod backtest;
mod config_changes;
mod config_editor;
mod config_writer;
mod dashboards;
mod descriptors;
mod evaluator;
mod flags;
mod generated_series;
mod groups;
mod history;
mod launch;
mod live;
mod overrides;
mod past;
mod query_timeout;
mod remote_write;
mod reports;
mod rule_tests;
mod self_metrics;
mod state_directory;
mod systemd;
mod web;

use std::sync::Arc;
use std::time::Duration;

use active_config::ActiveConfig;
use alert_log::AlertLog;
use alert_pipeline::AlertPipeline;
use announcer::Announcer;
use anyhow::Context;
use arc_swap::ArcSwap;
use audit_channel::AuditChannel;
use backend::AppBackend;
use bellwether_collectors::application::{Listeners, Prepared};
use bellwether_collectors::{HealthBoard, Memory};
use bellwether_core::{AlertState, Now, SelfMetricIds, UnixMillis, counted};
use bellwether_files::durable::{JsonFile, LoadedState, Saver, StateDirectory};
use bellwether_notify::{Notifier, Preview};
use bellwether_routing::Dispatcher;
use bellwether_rules::{Engine, RestoredRule, SavedAlerts};
use bellwether_runtime::Clock;
use bellwether_schema::HumanDuration;
use bellwether_server::{Actor, AuditEntry, LiveFeed};
use bellwether_tsdb::history::History;
use dashboards::LayoutFile;
use evaluator::{Evaluator, LoadedRules};
use generated_series::GeneratedSeries;
use history::HistoryHandle;
use launch::Launch;
pub use overrides::Overrides;
use parking_lot::Mutex;
use past::Past;
use remote_write::RemoteWriteManager;
use reports::Reports;
pub use reports::SELF_METRICS;
use state_directory::DefaultFolder;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};
use web::Web;

use crate::config::{self, Plan, Source};
use crate::demo::Demo;
use crate::{audit, demo, logging, version};

/// Time for the channels to deliver queued notifications at shutdown.
const DRAIN: Duration = Duration::from_secs(5);

/// Results of the reloads so far.
#[derive(Clone, Debug, Default)]
struct Reloads {
    good: u64,
    bad: u64,
    /// Time of the last reload, and its error if it failed.
    last: Option<(UnixMillis, Option<String>)>,
    /// Time at which the active configuration was loaded.
    loaded_at: UnixMillis,
}

/// Everything that outlives a reload.
struct App {
    launch: Arc<Launch>,
    clock: Clock,
    started: Now,
    announcer: Arc<Announcer>,
    /// State directory; `None`: all state ends with the process.
    state: Option<Arc<StateDirectory>>,
    board: HealthBoard,
    memory: Memory,
    current: ArcSwap<ActiveConfig>,
    evaluator: Arc<Evaluator>,
    generated: Arc<GeneratedSeries>,
    notifier: Arc<Notifier>,
    pipeline: Arc<AlertPipeline>,
    layouts: LayoutFile,
    reports: Reports,
    audit_channel: AuditChannel,
    /// `None`: the configuration at the start disables history.
    history_handle: Option<HistoryHandle>,
    /// `None`: the configuration at the start disables the alert history.
    alert_log: Option<AlertLog>,
    remote_write: RemoteWriteManager,
    web: Web,
    /// Way of collections and events to the clients of live updates.
    live: Arc<LiveFeed>,
    listeners: Arc<Listeners>,
    reloads: Mutex<Reloads>,
    /// One reload at a time.
    reloading: tokio::sync::Mutex<()>,
    /// One change of the configuration's files at a time.
    editing: tokio::sync::Mutex<()>,
}

/// Runs the configuration of `source` until SIGTERM or SIGINT.
///
/// # Errors
/// The configuration is invalid, or the log file or the port cannot be opened. Later errors are in
/// the log and in metrics, and do not end the process.
pub fn run(source: Source, overrides: Overrides) -> anyhow::Result<()> {
    let launch = Launch {
        source,
        overrides,
        demo: None,
    };
    start(launch, |_| {})
}

/// Runs the demo of `seed` until SIGTERM or SIGINT, and calls `ready` with its URL once it serves. All of it is
/// in memory.
///
/// # Errors
/// A port cannot be opened.
pub fn run_demo(seed: u64, overrides: Overrides, ready: impl FnOnce(&str)) -> anyhow::Result<()> {
    let demo =
        Demo::new(seed, Clock::start().now().wall).context("cannot open a port for the demo")?;
    let launch = Launch {
        source: Source::Demo,
        overrides,
        demo: Some(demo),
    };
    start(launch, ready)
}

fn start(launch: Launch, ready: impl FnOnce(&str)) -> anyhow::Result<()> {
    let plan = launch.plan_at_start()?;
    let log = logging::start(&plan.root.logging)?;
    descriptors::raise();
    // The runtime has two threads: the work is small, and each thread costs memory.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("bellwether")
        // Longer than usual intervals: a thread for files need not be made anew at each collection.
        .thread_keep_alive(Duration::from_secs(90))
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let result = runtime.block_on(App::main(launch, plan, ready));
    // A probe that hangs in the kernel must not keep the process from ending.
    runtime.shutdown_timeout(Duration::from_millis(500));
    drop(log);
    result
}

/// Signals that reload and stop the agent.
struct Signals {
    hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Replaces what the signals do by default, which is to end the process.
    fn watched() -> anyhow::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup()).context("cannot watch SIGHUP")?,
            terminate: signal(SignalKind::terminate()).context("cannot watch SIGTERM")?,
            interrupt: signal(SignalKind::interrupt()).context("cannot watch SIGINT")?,
        })
    }
}

impl App {
    async fn main(launch: Launch, plan: Plan, ready: impl FnOnce(&str)) -> anyhow::Result<()> {
        // First of all: a signal during the start is handled once it is over.
        let mut signals = Signals::watched()?;
        let clock = Clock::start();
        let began = clock.now();
        announce(&launch, &plan);
        if let Some(demo) = &launch.demo {
            demo.serve_receivers()?;
        }
        // What can fail comes before anything is written.
        let settings = plan.root.performance_monitor.prometheus.clone();
        let socket = Web::socket(&settings).await?;
        Listeners::probe(plan.recorded()).await?;
        remote_write::probe(&plan).await?;
        let app = Self::build(launch, plan).await?;
        let backend = Arc::new(AppBackend(app.clone()));
        let active = app.current.load_full();
        let recorded = active.plan.recorded();
        let listeners = app.listeners.prepare(recorded, &active.recorder).await?;
        app.web.open(&settings, backend, Some(socket)).await?;
        app.listeners.replace(listeners);
        let remote = app.remote_write.prepare(&active.plan).await?;
        app.remote_write
            .replace(remote, app.history_handle.as_ref(), &active.plan)
            .await;
        let stop = CancellationToken::new();
        let evaluating = tokio::spawn(app.evaluator.clone().run(stop.clone()));
        app.current.load().start(&app);
        let watchdog = tokio::spawn(app.clone().watchdog());
        app.announce().await;
        let announcing = tokio::spawn(app.clone().keep_announced());
        let saving = tokio::spawn(app.clone().keep_layouts());
        let reporting = tokio::spawn(app.clone().keep_reports());
        let auditing = tokio::spawn(app.clone().keep_audit_channel(stop.clone()));
        systemd::ready();
        let took = clock.now().mono.since(began.mono);
        info!(
            url = app.web.url(),
            version = version::SHORT,
            configuration = %app.launch.source,
            state_directory = %app.launch.state_text(&active.plan),
            took = %HumanDuration(took),
            "started"
        );
        ready(&app.web.url());
        app.until_stopped(&mut signals).await;

        info!("stopping");
        systemd::stopping();
        announcing.abort();
        saving.abort();
        reporting.abort();
        app.withdraw().await;
        app.listeners.replace(Prepared::None);
        app.current.load().stop().await;
        stop.cancel();
        if let Err(error) = evaluating.await {
            error!(%error, "rule evaluation ended unexpectedly");
        }
        // Nothing comes any more, and the rest may take its time.
        if let Some(history) = &app.history_handle {
            history.close().await;
        }
        auditing.await.ok();
        app.notifier.stop(DRAIN).await;
        if let Some(alert_log) = &app.alert_log {
            alert_log.close().await;
        }
        app.web.close().await;
        app.remote_write.stop().await;
        watchdog.abort();
        info!("stopped");
        Ok(())
    }

    /// Builds everything but the collectors and the HTTP server.
    async fn build(launch: Launch, plan: Plan) -> anyhow::Result<Arc<Self>> {
        let clock = Clock::start();
        let now = clock.now();
        warn_of(&launch.source, &plan);
        let channels = &plan
            .root
            .performance_monitor
            .alerting
            .notifications
            .channels;
        let channels =
            Notifier::prepare_with(Arc::new(move || clock.now()), channels, plan.sender.clone());
        let channels = channels.await?;
        let state = state_directory::open(&launch, &plan).await;
        let default_folder = match &launch.demo {
            Some(_) => DefaultFolder::in_memory(),
            None => DefaultFolder::from_state(state.as_deref()),
        };
        let alert_log = AlertLog::open(&plan, &default_folder, clock).await;
        let live = Arc::new(LiveFeed::default());
        let setup = bellwether_notify::Setup {
            state: state.clone(),
            clock: Arc::new(move || clock.now()),
            random: fastrand::f64,
            observer: live::observer(
                live.clone(),
                alert_log
                    .as_ref()
                    .map_or_else(alert_log::noop, AlertLog::observer),
            ),
        };
        let notifier = Arc::new(Notifier::new(setup));
        notifier.replace(channels).await;
        let history_handle = HistoryHandle::open(&plan, &default_folder, clock).await;
        let remote_write = RemoteWriteManager::new(default_folder.folder.clone(), clock);
        let saver = |name: &str, what: &str| {
            let folder = state.clone()?;
            Some(Arc::new(Saver::new(folder, name, what)))
        };
        let silences = saver("silences.json", "silences and acknowledgements");
        let file = saver("alerts.json", "the state of the alerts");
        let layouts = saver("dashboards.json", "the layouts of dashboards");
        let layouts = LayoutFile::open(layouts).await;
        let reports = Reports::open(saver("reports.json", "the schedule of reports")).await;
        let audit_channel = AuditChannel::new(plan.root.logging.audit.channel.is_some());
        let (active, rules) = ActiveConfig::new(
            plan,
            history_handle
                .as_ref()
                .map(|history_handle| history_handle.history.clone()),
            &launch.source,
        );
        history::backfill(active.store.clone(), clock.now()).await;
        let began = match &launch.demo {
            Some(_) => now.at(now.wall.before(demo::PAST)),
            None => now,
        };
        let mut engine = Engine::new(rules, began);
        let ended = match &file {
            Some(file) => engine.restore(saved(file.clone()).await, now),
            None => Vec::new(),
        };
        let firing = engine
            .alerts()
            .into_iter()
            .filter(|alert| alert.state == AlertState::Firing)
            .map(Arc::new)
            .collect();
        let history = history_handle
            .as_ref()
            .map(|history_handle| history_handle.history.clone());
        let generated = Arc::new(GeneratedSeries::new(
            history.clone(),
            active.plan.default_labels.clone(),
        ));
        let mut dispatcher = Dispatcher::new(active.plan.routing.clone(), began);
        if let Some(demo) = &launch.demo {
            let monitor = &active.plan.root.performance_monitor;
            let mut outboxes = Preview::new(&monitor.alerting.notifications.channels);
            let past = Past {
                store: &active.store,
                self_metrics: SelfMetricIds::new(&active.plan.metrics),
                history: history.as_deref(),
                engine: &mut engine,
                dispatcher: &mut dispatcher,
                alert_log: alert_log.as_ref(),
                generated: &generated,
                outboxes: &mut outboxes,
            };
            past.play(demo, now);
            notifier.adopt(outboxes);
        }
        let loaded = LoadedRules::new(engine, active.store.clone());
        let pipeline = Arc::new(AlertPipeline::new(
            dispatcher,
            notifier.clone(),
            alert_log.clone(),
            silences,
            clock,
        ));
        pipeline.restore(firing);
        pipeline.recall().await;
        let evaluator = Arc::new(Evaluator::new(
            loaded,
            clock,
            pipeline.clone(),
            file,
            history,
            generated.clone(),
            live.clone(),
        ));
        evaluator.process(&ended).await;
        let announcer = Arc::new(Announcer::new(state.as_deref(), &launch));
        Ok(Arc::new(Self {
            announcer,
            launch: Arc::new(launch),
            clock,
            started: now,
            state,
            board: HealthBoard::default(),
            memory: Memory::new(default_folder.folder),
            current: ArcSwap::from_pointee(active),
            evaluator,
            generated,
            notifier,
            pipeline,
            layouts,
            reports,
            audit_channel,
            history_handle,
            alert_log,
            remote_write,
            web: Web::default(),
            live,
            listeners: Arc::default(),
            reloads: Mutex::new(Reloads {
                loaded_at: now.wall,
                ..Reloads::default()
            }),
            reloading: tokio::sync::Mutex::default(),
            editing: tokio::sync::Mutex::default(),
        }))
    }

    /// Returns the history, which is the same over all reloads.
    fn history(&self) -> Option<Arc<History>> {
        self.history_handle
            .as_ref()
            .map(|history_handle| history_handle.history.clone())
    }

    /// Returns why some state is not on disk.
    fn state_problem(&self) -> Option<String> {
        let folder = self.state.as_ref()?.problem();
        let mut problems: Vec<String> = match folder {
            Some(problem) => vec![problem],
            None => self
                .pipeline
                .problems()
                .into_iter()
                .chain(self.evaluator.problem())
                .chain(self.layouts.problem())
                .chain(self.reports.problem())
                .collect(),
        };
        // One cause may affect all of them; it is reported once.
        problems.dedup();
        (!problems.is_empty()).then(|| problems.join("; "))
    }

    async fn until_stopped(self: &Arc<Self>, signals: &mut Signals) {
        loop {
            tokio::select! {
                _ = signals.terminate.recv() => return,
                _ = signals.interrupt.recv() => return,
                _ = signals.hangup.recv() => {
                    // A failure is in the log and in metrics; the active config is unchanged.
                    let result = self.reload().await;
                    let actor = Actor {
                        auth: Some("signal"),
                        from: "SIGHUP".into(),
                        ..Actor::default()
                    };
                    self.audit(&AuditEntry::of("reload", "reload", actor, &result));
                }
            }
        }
    }

    /// Writes the line about a change.
    fn audit(&self, entry: &AuditEntry) {
        audit::record(entry);
        self.audit_channel.add(entry, self.clock.now().wall);
    }

    /// Sends audit lines to their channel, until `stop`. That of the start: as all of `logging`.
    async fn keep_audit_channel(self: Arc<Self>, stop: CancellationToken) {
        let active = self.current.load_full();
        let plan = &active.plan;
        let Some(channel) = &plan.root.logging.audit.channel else {
            return;
        };
        let instance = plan.sender.labels.get("instance");
        let sender = instance.map_or("this host", String::as_str);
        let (channel, sender) = (channel.value.clone(), sender.to_owned());
        drop(active);
        let notifier = self.notifier.clone();
        self.audit_channel
            .run(channel, sender, notifier, stop)
            .await;
    }

    /// Swaps in the configuration that is on disk now, completely or not at all.
    async fn reload(self: &Arc<Self>) -> anyhow::Result<String> {
        let _guard = self.reloading.lock().await;
        systemd::reloading();
        let result = self.try_reload().await;
        systemd::ready();
        self.announcer.changed.notify_one();
        let error = result.as_ref().err().map(ToString::to_string);
        self.live.reloaded(error.as_deref());
        let now = self.clock.now().wall;
        let mut reloads = self.reloads.lock();
        reloads.last = Some((now, error));
        match &result {
            Ok(summary) => {
                reloads.good += 1;
                reloads.loaded_at = now;
                info!("reloaded: {summary}");
            }
            Err(problems) => {
                reloads.bad += 1;
                error!("reload failed, the active config is unchanged: {problems}");
            }
        }
        result
    }

    async fn try_reload(self: &Arc<Self>) -> anyhow::Result<String> {
        let launch = self.launch.clone();
        let plan = tokio::task::spawn_blocking(move || launch.plan()).await?;
        // The error has all problems, and what they are about.
        let plan = plan.map_err(|error| anyhow::anyhow!("{error:#}"))?;

        // What can fail comes first, and leaves everything as it is when it does.
        let monitor = &plan.root.performance_monitor;
        let channels = &monitor.alerting.notifications.channels;
        let channels = self.notifier.prepare(channels, plan.sender.clone());
        let channels = channels.await?;
        let remote = self.remote_write.prepare(&plan).await?;
        let old = self.current.load_full();
        let recorded = plan.recorded();
        let listeners = self.listeners.prepare(recorded, &old.recorder).await?;
        self.web
            .open(
                &monitor.prometheus,
                Arc::new(AppBackend(self.clone())),
                None,
            )
            .await?;

        warn_of(&self.launch.source, &plan);
        if plan.root.logging != old.plan.root.logging {
            warn!("a change of `logging` takes effect at the next start");
        }
        history::warn_of_change(&old.plan, &plan);
        alert_log::warn_of_change(&old.plan, &plan);
        let changes = config::changed_files(&old.plan.files, &plan.files);
        let changes = (!changes.is_empty()).then(|| format!("; {changes}"));
        let summary = format!(
            "{}, {}{}",
            counted(plan.configured_metrics(), "metric"),
            counted(plan.rules.rules.len(), "rule"),
            changes.unwrap_or_default()
        );
        let (next, rules) = ActiveConfig::new(plan, self.history(), &self.launch.source);
        let next = Arc::new(next);
        old.stop().await;
        next.adopt(&old);
        next.retain_sources(self.clock.now());
        history::backfill(next.store.clone(), self.clock.now()).await;
        self.listeners.replace(listeners);
        self.notifier.replace(channels).await;
        let ended = self.evaluator.replace(rules, next.store.clone());
        self.pipeline.replace(next.plan.routing.clone());
        self.generated
            .relabel(&next.plan.default_labels, self.clock.now().wall);
        self.evaluator.process(&ended).await;
        self.evaluator.save().await;
        for origin in old
            .origins()
            .filter(|origin| !next.origins().any(|new| new == *origin))
        {
            self.board.forget(origin);
            self.generated.forget(origin, self.clock.now().wall);
        }
        self.current.store(next.clone());
        self.remote_write
            .replace(remote, self.history_handle.as_ref(), &next.plan)
            .await;
        next.start(self);
        self.reports.changed.notify_one();
        Ok(summary)
    }

    /// Notifies systemd's watchdog as long as rules are evaluated.
    async fn watchdog(self: Arc<Self>) {
        let Some(every) = systemd::watchdog() else {
            return;
        };
        let mut ticks = tokio::time::interval(every);
        loop {
            ticks.tick().await;
            if self.evaluator.responds() {
                systemd::alive();
            }
        }
    }
}

/// Logs the version, and the files that the process is going to use.
fn announce(launch: &Launch, plan: &Plan) {
    let (state, version) = (launch.state_text(plan), version::SHORT);
    info!(configuration = %launch.source, state_directory = %state, "bellwether {version} starts");
}

/// Logs the warnings of a plan.
fn warn_of(source: &Source, plan: &Plan) {
    for warning in &plan.warnings {
        warn!("{}", warning.render(source));
    }
    for problem in &plan.left_out {
        error!("a rule file is skipped: {}", problem.render(source));
    }
}

/// Loads the alerts that the last process saved.
async fn saved(saver: Arc<Saver>) -> Vec<RestoredRule> {
    let path = saver.path().display().to_string();
    let load = move || saver.load(|| JsonFile::<SavedAlerts>::new(saver.path()).load());
    match tokio::task::spawn_blocking(load).await {
        Ok(Ok(LoadedState::Loaded(saved))) => return saved.rules,
        Ok(Ok(LoadedState::Absent)) => {}
        Ok(Ok(LoadedState::Corrupt { aside, reason })) => {
            let aside = aside.display();
            warn!(path, %reason, %aside, "the saved state of the alerts is corrupt; alerts start without state");
        }
        Ok(Err(error)) => {
            warn!(path, %error, "cannot read the saved state; alerts start without state")
        }
        Err(error) => {
            warn!(path, %error, "cannot read the saved state; alerts start without state")
        }
    }
    Vec::new()
}
