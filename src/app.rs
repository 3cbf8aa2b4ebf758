//! The only wiring: builds the rooms from a plan, starts them, reloads them, stops them in order.
//!
//! Holds no logic of any room. A declaration in effect is one [`Running`]; a reload makes the next
//! one, lets it adopt what the last one knew, and swaps it in whole or not at all.

mod account;
mod backend;
mod desk;
mod figures;
mod flags;
mod groups;
mod judge;
mod made;
mod outward;
mod overrides;
mod past;
mod running;
mod statsd;
mod systemd;
mod watch;
mod web;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use account::Account;
use anyhow::Context;
use arc_swap::ArcSwap;
use backend::View;
use bellwether_collectors::HealthBoard;
use bellwether_collectors::neo4j::Seen;
use bellwether_core::{AlertState, Now, UnixMillis};
use bellwether_files::durable::{Found, Saver, StateFolder};
use bellwether_notify::Notifier;
use bellwether_rules::{Engine, RestoredRule, StateFile};
use bellwether_runtime::Clock;
use bellwether_tsdb::history::History;
use desk::Desk;
use judge::{Judge, Judged};
use made::Made;
use outward::Outward;
pub use overrides::Overrides;
use parking_lot::Mutex;
use past::Past;
use running::Running;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};
use web::Web;

use crate::config::{self, Plan, Source, process_environment};
use crate::logging;

/// How long the channels may take to hand over what waits, on the way out.
const DRAIN: Duration = Duration::from_secs(5);

/// What became of the reloads so far.
#[derive(Clone, Debug, Default)]
struct Reloads {
    good: u64,
    bad: u64,
    /// The last one: when, and why it failed if it did.
    last: Option<(UnixMillis, Result<(), String>)>,
    /// When the configuration in effect was loaded.
    loaded_at: UnixMillis,
}

/// Everything that outlives a reload.
struct App {
    source: Source,
    overrides: Overrides,
    clock: Clock,
    started: Now,
    /// The folder of what survives a restart; none: all of it ends with the process.
    state: Option<Arc<StateFolder>>,
    board: HealthBoard,
    current: ArcSwap<Running>,
    judge: Arc<Judge>,
    made: Arc<Made>,
    notifier: Arc<Notifier>,
    desk: Arc<Desk>,
    /// None: the declaration in effect at the start keeps none.
    past: Option<Past>,
    /// None: the declaration in effect at the start keeps none.
    account: Option<Account>,
    outward: Outward,
    neo4j_seen: Seen,
    web: Web,
    statsd: statsd::Intake,
    reloads: Mutex<Reloads>,
    /// One reload at a time.
    reloading: tokio::sync::Mutex<()>,
}

/// Runs the declaration of `source` until SIGTERM or SIGINT.
///
/// # Errors
/// The declaration is wrong, the log file or the port cannot be opened. What fails later is told
/// in the log and in metrics, and does not end the process.
pub fn run(source: Source, overrides: Overrides) -> anyhow::Result<()> {
    let plan = plan_at_start(&source, &overrides)?;
    let log = logging::start(&plan.root.logging)?;
    raise_descriptors();
    // The runtime has two threads: the work is small, and each thread costs memory.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("bellwether")
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let result = runtime.block_on(App::main(source, overrides, plan));
    // A probe that hangs in the kernel must not keep the process from ending.
    runtime.shutdown_timeout(Duration::from_millis(500));
    drop(log);
    result
}

/// Descriptors that are enough for the connections that wait for a place beside those that have one.
const DESCRIPTORS: u64 = 65_536;

/// Lets the process open as many files and sockets as it may, as programs in Go do: the usual
/// limit of 1,024 is for those that use `select`.
fn raise_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    let most = limit
        .maximum
        .map_or(DESCRIPTORS, |maximum| maximum.min(DESCRIPTORS));
    if limit.current.is_some_and(|current| current < most) {
        // Where it is not allowed, connections are refused earlier; nothing else is lost.
        setrlimit(
            Resource::Nofile,
            Rlimit {
                current: Some(most),
                ..limit
            },
        )
        .ok();
    }
}

/// The declaration as it is on disk now, with what the command line says over it. Blocks.
fn plan(source: &Source, overrides: &Overrides) -> anyhow::Result<Plan> {
    let mut loaded = config::load(source, &process_environment)?;
    overrides.apply(&mut loaded)?;
    Ok(config::plan(loaded)?)
}

/// The same at a start, when nothing else would run: without rule files that are wrong. Blocks.
fn plan_at_start(source: &Source, overrides: &Overrides) -> anyhow::Result<Plan> {
    config::plan_at_start(|| {
        let mut loaded = config::load(source, &process_environment)?;
        overrides.apply(&mut loaded)?;
        Ok(loaded)
    })
}

impl App {
    async fn main(source: Source, overrides: Overrides, plan: Plan) -> anyhow::Result<()> {
        let mut hangup = signal(SignalKind::hangup()).context("cannot watch SIGHUP")?;
        // What can fail comes before anything is written.
        let settings = plan.root.performance_monitor.prometheus.clone();
        let socket = Web::socket(&settings).await.map_err(anyhow::Error::msg)?;
        statsd::probe(&plan).await.map_err(anyhow::Error::msg)?;
        outward::probe(&plan).await.map_err(anyhow::Error::msg)?;
        let app = Self::build(source, overrides, plan).await?;
        let backend = Arc::new(View(app.clone()));
        let running = app.current.load_full();
        let statsd = app.statsd.prepare(&running.plan, &running.recorder).await;
        let statsd = statsd.map_err(anyhow::Error::msg)?;
        app.web
            .open(&settings, backend, Some(socket))
            .await
            .map_err(anyhow::Error::msg)?;
        app.statsd.replace(statsd);
        let remote = app
            .outward
            .prepare(&running.plan)
            .await
            .map_err(anyhow::Error::msg)?;
        app.outward
            .replace(remote, app.past.as_ref(), &running.plan)
            .await;
        let stop = CancellationToken::new();
        let judging = tokio::spawn(app.judge.clone().run(stop.clone()));
        app.current.load().start(&app);
        let watchdog = tokio::spawn(app.clone().watchdog());
        systemd::ready();
        app.until_stopped(&mut hangup).await?;

        info!("stopping");
        systemd::stopping();
        app.statsd.replace(statsd::Prepared::None);
        app.current.load().stop().await;
        stop.cancel();
        if let Err(error) = judging.await {
            error!(%error, "judging ended badly");
        }
        // Nothing comes any more, and the rest may take its time.
        if let Some(past) = &app.past {
            past.close().await;
        }
        app.notifier.stop(DRAIN).await;
        if let Some(account) = &app.account {
            account.close().await;
        }
        app.web.close().await;
        app.outward.stop().await;
        watchdog.abort();
        info!("stopped");
        Ok(())
    }

    /// Everything but the collectors and the page, ready to start.
    async fn build(source: Source, overrides: Overrides, plan: Plan) -> anyhow::Result<Arc<Self>> {
        let clock = Clock::start();
        let now = clock.now();
        warn_of(&source, &plan);
        let channels = &plan
            .root
            .performance_monitor
            .alerting
            .notifications
            .channels;
        let channels =
            Notifier::prepare_with(Arc::new(move || clock.now()), channels, plan.sender.clone());
        let channels = channels.await?;
        let state = state_directory(&plan).await;
        let kept = KeptIn::of(state.as_deref());
        let account = Account::open(&plan, &kept, clock).await;
        let setup = bellwether_notify::Setup {
            state: state.clone(),
            clock: Arc::new(move || clock.now()),
            random: fastrand::f64,
            observer: account
                .as_ref()
                .map_or_else(account::nobody, Account::observer),
        };
        let notifier = Arc::new(Notifier::new(setup));
        let neo4j_seen = seen(kept.folder.as_ref().map(|folder| folder.join("neo4j.json"))).await;
        notifier.replace(channels).await;
        let past = Past::open(&plan, &kept, clock).await;
        let outward = Outward::new(kept.folder.clone(), clock);
        let saver = |name: &str, what: &str| {
            let folder = state.clone()?;
            Some(Arc::new(Saver::new(folder, name, what)))
        };
        let said = saver("desk.json", "silences and acknowledgements");
        let file = saver("alerts.json", "the state of the alerts");
        let (running, rules) = Running::new(
            plan,
            past.as_ref().map(|past| past.history.clone()),
            &source,
        );
        past::recall(running.store.clone(), clock.now()).await;
        let mut engine = Engine::new(rules, now);
        let ended = match &file {
            Some(file) => engine.restore(saved(file.clone()).await, now),
            None => Vec::new(),
        };
        let firing = engine
            .alerts()
            .into_iter()
            .filter(|one| one.state == AlertState::Firing);
        let standing = firing.map(Arc::new).collect();
        let judged = Judged::new(engine, running.store.clone());
        let history = past.as_ref().map(|past| past.history.clone());
        let (notifying, routed) = (notifier.clone(), running.plan.routing.clone());
        let desk = Arc::new(Desk::new(routed, notifying, account.clone(), said, clock));
        desk.restore(standing);
        desk.recall().await;
        let made = Arc::new(Made::new(
            history.clone(),
            running.plan.default_labels.clone(),
        ));
        let judge = Arc::new(Judge::new(
            judged,
            clock,
            desk.clone(),
            file,
            history,
            made.clone(),
        ));
        judge.tell(&ended).await;
        Ok(Arc::new(Self {
            source,
            overrides,
            clock,
            started: now,
            state,
            board: HealthBoard::default(),
            current: ArcSwap::from_pointee(running),
            judge,
            made,
            notifier,
            desk,
            past,
            account,
            outward,
            neo4j_seen,
            web: Web::default(),
            statsd: statsd::Intake::default(),
            reloads: Mutex::new(Reloads {
                loaded_at: now.wall,
                ..Reloads::default()
            }),
            reloading: tokio::sync::Mutex::default(),
        }))
    }

    /// What was collected so far, if it is kept. The same one over all reloads.
    fn history(&self) -> Option<Arc<History>> {
        self.past.as_ref().map(|past| past.history.clone())
    }

    /// Why not all that must survive a restart is on disk, if so.
    fn state_problem(&self) -> Option<String> {
        let folder = self.state.as_ref()?.problem();
        let mut problems: Vec<String> = match folder {
            Some(problem) => vec![problem],
            None => self
                .desk
                .problems()
                .into_iter()
                .chain(self.judge.problem())
                .collect(),
        };
        // What ails all of them is told once.
        problems.dedup();
        (!problems.is_empty()).then(|| problems.join("; "))
    }

    async fn until_stopped(self: &Arc<Self>, hangup: &mut Signal) -> anyhow::Result<()> {
        let mut terminate = signal(SignalKind::terminate()).context("cannot watch SIGTERM")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("cannot watch SIGINT")?;
        loop {
            tokio::select! {
                _ = terminate.recv() => return Ok(()),
                _ = interrupt.recv() => return Ok(()),
                _ = hangup.recv() => {
                    // Told in the log and in metrics; the old declaration stays in effect.
                    self.reload().await.ok();
                }
            }
        }
    }

    /// Swaps in the declaration as it is on disk now, whole or not at all.
    async fn reload(self: &Arc<Self>) -> Result<String, String> {
        let _one = self.reloading.lock().await;
        systemd::reloading();
        let result = self.try_reload().await;
        systemd::ready();
        let now = self.clock.now().wall;
        let mut reloads = self.reloads.lock();
        reloads.last = Some((now, result.as_ref().map(|_| ()).map_err(Clone::clone)));
        match &result {
            Ok(told) => {
                reloads.good += 1;
                reloads.loaded_at = now;
                info!("reloaded: {told}");
            }
            Err(problems) => {
                reloads.bad += 1;
                error!("reload failed, the declaration in effect stays: {problems}");
            }
        }
        result
    }

    async fn try_reload(self: &Arc<Self>) -> Result<String, String> {
        let (source, overrides) = (self.source.clone(), self.overrides.clone());
        let plan = tokio::task::spawn_blocking(move || plan(&source, &overrides)).await;
        let plan = plan.map_err(|error| error.to_string())?;
        let plan = plan.map_err(|error| format!("{error:#}"))?;

        // What can fail comes first, and leaves everything as it is when it does.
        let monitor = &plan.root.performance_monitor;
        let channels = &monitor.alerting.notifications.channels;
        let channels = self.notifier.prepare(channels, plan.sender.clone()).await;
        let channels = channels.map_err(|error| error.to_string())?;
        let remote = self.outward.prepare(&plan).await?;
        let old = self.current.load_full();
        let statsd = self.statsd.prepare(&plan, &old.recorder).await?;
        self.web
            .open(&monitor.prometheus, Arc::new(View(self.clone())), None)
            .await?;

        warn_of(&self.source, &plan);
        if plan.root.logging != old.plan.root.logging {
            warn!("a change of `logging` takes effect at the next start");
        }
        past::warn_of_change(&old.plan, &plan);
        account::warn_of_change(&old.plan, &plan);
        let told = format!(
            "{} metrics, {} rules",
            plan.metrics.len(),
            plan.rules.rules.len()
        );
        let (next, rules) = Running::new(plan, self.history(), &self.source);
        let next = Arc::new(next);
        old.stop().await;
        next.adopt(&old);
        past::recall(next.store.clone(), self.clock.now()).await;
        self.statsd.replace(statsd);
        self.notifier.replace(channels).await;
        let ended = self.judge.replace(rules, next.store.clone());
        self.desk.replace(next.plan.routing.clone());
        self.made
            .relabel(&next.plan.default_labels, self.clock.now().wall);
        self.judge.tell(&ended).await;
        self.judge.save().await;
        for origin in old
            .origins()
            .filter(|origin| !next.origins().any(|new| new == *origin))
        {
            self.board.forget(origin);
            self.made.forget(origin, self.clock.now().wall);
        }
        self.current.store(next.clone());
        self.outward
            .replace(remote, self.past.as_ref(), &next.plan)
            .await;
        next.start(self);
        Ok(told)
    }

    /// Tells systemd that the rules are still judged, as long as they are.
    async fn watchdog(self: Arc<Self>) {
        let Some(every) = systemd::watchdog() else {
            return;
        };
        let mut ticks = tokio::time::interval(every);
        loop {
            ticks.tick().await;
            if self.judge.responds() {
                systemd::alive();
            }
        }
    }
}

/// Logs what is odd about a plan.
fn warn_of(source: &Source, plan: &Plan) {
    for warning in &plan.warnings {
        warn!("{}", warning.told(source));
    }
    for problem in &plan.left_out {
        error!("a rule file is left out: {}", problem.told(source));
    }
}

/// The folder for what survives a restart, claimed; without one all is in memory.
async fn state_directory(plan: &Plan) -> Option<Arc<StateFolder>> {
    let path = config::state_directory(&plan.root, &process_environment)?;
    let opening = tokio::task::spawn_blocking(move || StateFolder::open(path));
    let folder = Arc::new(opening.await.ok()?);
    if let Some(problem) = folder.problem() {
        warn!("alerts, silences and queues are in memory for now: {problem}");
    }
    Some(folder)
}

/// Where what is kept over time lies unless it is declared, and why there is no such place.
struct KeptIn {
    folder: Option<PathBuf>,
    /// Why there is none.
    missing: String,
}

impl KeptIn {
    fn of(state: Option<&StateFolder>) -> Self {
        match state {
            None => Self {
                folder: None,
                missing: "there is no state directory".into(),
            },
            Some(state) if state.is_anothers() => Self {
                folder: None,
                missing: format!(
                    "another Bellwether has the state directory {}",
                    state.path().display()
                ),
            },
            Some(state) => Self {
                folder: Some(state.path().to_owned()),
                missing: String::new(),
            },
        }
    }

    fn path(&self) -> Option<&Path> {
        self.folder.as_deref()
    }
}

/// The servers that answered some time since installation.
async fn seen(file: Option<PathBuf>) -> Seen {
    tokio::task::spawn_blocking(move || Seen::load(file))
        .await
        .unwrap_or_default()
}

/// The alerts that the process before left behind.
async fn saved(saver: Arc<Saver>) -> Vec<RestoredRule> {
    let path = saver.path().display().to_string();
    let load = move || saver.load(|| StateFile::new(saver.path()).load());
    match tokio::task::spawn_blocking(load).await {
        Ok(Ok(Found::State(carried))) => return carried,
        Ok(Ok(Found::Nothing)) => {}
        Ok(Ok(Found::Corrupt { aside, reason })) => {
            let aside = aside.display();
            warn!(path, reason, %aside, "the saved state of the alerts makes no sense; they begin anew");
        }
        Ok(Err(error)) => warn!(path, %error, "cannot read the saved state; alerts begin anew"),
        Err(error) => warn!(path, %error, "cannot read the saved state; alerts begin anew"),
    }
    Vec::new()
}
