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
mod build;
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
mod reload;
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
use bellwether_collector::{HealthBoard, Memory};
use bellwether_collectors::application::{Listeners, Prepared};
use bellwether_config::{Plan, Source};
use bellwether_core::Now;
use bellwether_files::durable::StateDirectory;
use bellwether_logging::{self as logging, audit};
use bellwether_notify::Notifier;
use bellwether_runtime::Clock;
use bellwether_schema::HumanDuration;
use bellwether_server::{Actor, AuditEntry, LiveFeed};
use bellwether_tsdb::history::History;
use dashboards::LayoutFile;
use evaluator::Evaluator;
use generated_series::GeneratedSeries;
use history::HistoryHandle;
use launch::Launch;
pub use overrides::Overrides;
use parking_lot::Mutex;
use reload::Reloads;
use remote_write::RemoteWriteManager;
use reports::Reports;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};
use web::Web;

use crate::demo::Demo;
use crate::version;

/// Time for the channels to deliver queued notifications at shutdown.
const DRAIN: Duration = Duration::from_secs(5);

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
        let socket = Web::socket(&settings, &launch.source).await?;
        Listeners::probe(plan.statsd()).await?;
        remote_write::probe(&plan).await?;
        let app = Self::build(launch, plan).await?;
        let backend = Arc::new(AppBackend(app.clone()));
        let active = app.current.load_full();
        let statsd = active.plan.statsd();
        let listeners = app.listeners.prepare(statsd, &active.recorder).await?;
        app.web
            .open(&settings, &app.launch.source, backend, Some(socket))
            .await?;
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
        app.listeners.replace(Prepared::default());
        let active = app.current.load_full();
        active.stop().await;
        // Their sockets leave no files.
        for origin in active.origins() {
            app.memory.forget(origin);
        }
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
