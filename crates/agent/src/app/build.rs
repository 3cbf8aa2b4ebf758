//! Builds the parts of the process at its start.

use std::sync::Arc;

use arc_swap::ArcSwap;
use bellwether_collector::{HealthBoard, Memory};
use bellwether_config::Plan;
use bellwether_core::{AlertState, SelfMetricIds};
use bellwether_files::durable::{JsonFile, LoadedState, Saver};
use bellwether_notify::{Notifier, Preview};
use bellwether_routing::Dispatcher;
use bellwether_rules::{Engine, RestoredRule, SavedAlerts};
use bellwether_runtime::Clock;
use bellwether_server::LiveFeed;
use parking_lot::Mutex;
use tracing::warn;

use super::active_config::ActiveConfig;
use super::alert_log::AlertLog;
use super::alert_pipeline::AlertPipeline;
use super::announcer::Announcer;
use super::audit_channel::AuditChannel;
use super::dashboards::LayoutFile;
use super::evaluator::{Evaluator, LoadedRules};
use super::generated_series::GeneratedSeries;
use super::history::HistoryHandle;
use super::launch::Launch;
use super::past::Past;
use super::reload::{Reloads, warn_of};
use super::remote_write::RemoteWriteManager;
use super::reports::Reports;
use super::state_directory::DefaultFolder;
use super::web::Web;
use super::{App, alert_log, history, live, state_directory};
use crate::demo;

impl App {
    /// Builds everything but the collectors and the HTTP server.
    pub(super) async fn build(launch: Launch, plan: Plan) -> anyhow::Result<Arc<Self>> {
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
