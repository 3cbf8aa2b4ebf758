//! Implements the server's back end.

use std::collections::{self, BTreeMap, HashSet};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bellwether_alert_history::AlertHistory;
use bellwether_collector::TimedHistory;
use bellwether_collectors::application::record_json;
use bellwether_collectors::{CollectorType, Groups, PushError, push_receiver, receiver};
use bellwether_config::{self as config, Source};
use bellwether_core::{
    Alert, AlertState, DeadLetter, Fingerprint, Labels, Now, Origin, Recorded, Rejected,
    SeriesBatch, Severity, UnixMillis,
};
use bellwether_dashboards::{Dashboard, SavedLayout};
use bellwether_notify::{ChannelStats, WallClock, test_send};
use bellwether_promql::{Guard, Queryable};
use bellwether_routing::{Command, CommandError, Explanation, RouteMatch, Silence, Suppression};
use bellwether_rules::{RecordingStatus, RuleStatus};
use bellwether_server::{
    AlertBackend, AnalysisSettings, AuditBackend, AuditEntry, BackendError, Backtest,
    ChannelBackend, ChannelHealth, CollectorHealth, ConfigApplied, ConfigDraft, ConfigError,
    ConfigFiles, ConfigReport, ConfigurationBackend, ConfigurationHealth, DashboardBackend,
    DashboardFormat, DeadLetterBackend, Health, LifecycleBackend, LiveBackend, LiveFeed,
    MetricsBackend, PushChange, PushProtocol, ReloadHealth, Resent, RuleBackend, RuleGroup,
    RuleTests, RuleView, StateHealth, StatusBackend, TestResult,
};
use bellwether_tsdb::history::History;
use bellwether_tsdb::store::Store;
use hashbrown::HashMap;
use hyper::body::Bytes;
use hyper::{Request, Response};
use serde_json::Value;

use super::active_config::ActiveConfig;
use super::alert_log::AlertLog;
use super::history::HistoryHandle;
use super::{App, announcer, backtest, config_editor, flags, rule_tests};

/// Adapter from the app to the server.
pub(super) struct AppBackend(pub(super) Arc<App>);

impl MetricsBackend for AppBackend {
    fn now(&self) -> Now {
        self.0.clock.now()
    }

    fn store(&self) -> Arc<Store> {
        self.0.current.load().store.clone()
    }

    fn history(&self) -> Option<Arc<dyn Queryable>> {
        self.0
            .history()
            .map(|history| history as Arc<dyn Queryable>)
    }

    fn refresh(&self) {
        self.0.current.load().refresh(self.0.clock.now());
    }

    fn record(&self, body: &[u8]) -> Result<Recorded, BackendError> {
        let recorder = self.0.current.load().recorder.clone();
        record_json(&recorder, body).map_err(|error| BackendError::Invalid(error.to_string()))
    }

    fn push(&self, group: Labels, change: PushChange) -> Result<(), BackendError> {
        let active = self.0.current.load();
        let collectors = &active.plan.root.performance_monitor.collectors;
        let Some((origin, limit)) = push_receiver(collectors) else {
            let message = "nothing receives pushed metrics; hint: add {name: batch, type: pushgateway} to collectors";
            return Err(BackendError::Invalid(message.into()));
        };
        let groups = Groups::of(&self.0.memory, origin);
        let now = self.0.clock.now().wall;
        let changed = match change {
            PushChange::Replace(batch) => groups.push(group, &batch, false, limit, now),
            PushChange::Update(batch) => groups.push(group, &batch, true, limit, now),
            PushChange::Delete => groups.delete(&group),
            PushChange::Fail => {
                groups.fail(group, limit, now);
                Ok(())
            }
        };
        changed.map_err(|error| match error {
            PushError::Rejected(_) => BackendError::Invalid(error.to_string()),
            PushError::NotSaved(_) => BackendError::Failed(error.to_string()),
        })
    }

    fn receive(
        &self,
        protocol: PushProtocol,
        request: &Request<Bytes>,
    ) -> Result<Response<Vec<u8>>, BackendError> {
        let kind = match protocol {
            PushProtocol::Otlp => CollectorType::Otlp,
            PushProtocol::RemoteWrite => CollectorType::RemoteWrite,
            PushProtocol::Influx => CollectorType::Influx,
        };
        let active = self.0.current.load();
        let Some(receiver) = receiver(&active.plan.collectors, kind) else {
            let kind = kind.as_str();
            return Err(BackendError::Invalid(format!(
                "nothing receives {kind}; hint: add {{name: {kind}, type: {kind}, accept: [\".*\"]}} to collectors"
            )));
        };
        let history = self.0.history();
        let history = history.map(|history| ActiveHistory {
            history,
            active: &active,
        });
        let history = history.as_ref().map(|history| history as &dyn TimedHistory);
        Ok(receiver.receive(&self.0.memory, history, request, self.0.clock.now()))
    }
}

/// History, with the store of the active config.
struct ActiveHistory<'a> {
    history: Arc<History>,
    active: &'a ActiveConfig,
}

impl TimedHistory for ActiveHistory<'_> {
    fn append(&self, source: Origin, batch: &SeriesBatch, now: Now) -> Rejected {
        let mut plans = self.active.plan.collectors.iter();
        let plan = plans.find(|plan| plan.origin == source);
        let Some(limits) = plan.and_then(|plan| plan.series_limits) else {
            return Rejected::default();
        };
        self.active.store.append_timed(source, batch, limits, now)
    }

    fn sync(&self) {
        self.history.sync();
    }
}

impl LifecycleBackend for AppBackend {
    fn is_ready(&self) -> bool {
        let board = self.0.board.all();
        let active = self.0.current.load();
        active
            .origins()
            .all(|origin| board.get(&origin).is_some_and(|health| health.runs > 0))
    }

    fn reload(&self) -> Pin<Box<dyn Future<Output = Result<String, BackendError>> + Send + '_>> {
        Box::pin(async {
            let reloaded = self.0.reload().await;
            reloaded.map_err(|error| BackendError::Failed(error.to_string()))
        })
    }
}

impl AuditBackend for AppBackend {
    fn audit(&self, entry: AuditEntry) {
        self.0.audit(&entry);
    }
}

impl LiveBackend for AppBackend {
    fn live(&self) -> &LiveFeed {
        &self.0.live
    }
}

impl AlertBackend for AppBackend {
    fn alerts(&self) -> Vec<Arc<Alert>> {
        self.0
            .evaluator
            .loaded()
            .engine
            .alerts()
            .into_iter()
            .map(Arc::new)
            .collect()
    }

    fn suppressions(&self) -> collections::HashMap<Fingerprint, Suppression> {
        self.0.pipeline.suppressions()
    }

    fn alert_history(&self) -> Option<AlertHistory> {
        self.0
            .alert_log
            .as_ref()
            .map(|alert_log| alert_log.history.clone())
    }

    fn silences(&self) -> Vec<Silence> {
        self.0.pipeline.silences()
    }

    fn execute(
        &self,
        command: Command,
    ) -> Pin<Box<dyn Future<Output = Result<String, CommandError>> + Send + '_>> {
        Box::pin(async move {
            let resolve = match &command {
                Command::Resolve { alert, by, comment } => Some((*alert, by_hand(by, comment))),
                _ => None,
            };
            let id = self.0.pipeline.order(command).await?;
            if let Some((alert, reason)) = resolve
                && !self.0.evaluator.resolve(alert, &reason).await
            {
                return Err(CommandError::Unknown(format!("no firing alert {alert}")));
            }
            Ok(id)
        })
    }
}

/// Returns the reason of an alert that was resolved by hand. Quoted, as texts of clients are.
fn by_hand(by: &str, comment: &str) -> String {
    match comment {
        "" => format!("resolved by {by:?}"),
        comment => format!("resolved by {by:?}: {comment:?}"),
    }
}

impl DeadLetterBackend for AppBackend {
    fn dead_letters(&self) -> Vec<DeadLetter> {
        self.0.notifier.dead_letters()
    }

    fn resend(&self, ids: HashSet<String>) -> Pin<Box<dyn Future<Output = Resent> + Send + '_>> {
        Box::pin(self.0.notifier.resend(ids))
    }

    fn discard(
        &self,
        ids: HashSet<String>,
    ) -> Pin<Box<dyn Future<Output = Vec<DeadLetter>> + Send + '_>> {
        Box::pin(self.0.notifier.discard(ids))
    }
}

impl RuleBackend for AppBackend {
    fn explain(&self, alert: Fingerprint) -> Option<Explanation> {
        self.0.pipeline.explain(alert)
    }

    fn matching_routes(&self, labels: Labels, at: UnixMillis) -> Vec<RouteMatch> {
        let routing = self.0.current.load().plan.routing.clone();
        routing.matching_routes(&bellwether_compat::firing_alert(labels), at)
    }

    fn backtest(&self, request: &Backtest, guard: &Guard) -> Result<Value, BackendError> {
        backtest::run(&self.0, request, guard)
    }

    fn test_rules(&self, request: &RuleTests, guard: &Guard) -> Result<Value, BackendError> {
        rule_tests::run(&self.0, request, guard)
    }

    fn rules(&self) -> Vec<RuleView> {
        let loaded = self.0.evaluator.loaded();
        let mut alerts = self.alerts_by_rule(loaded.engine.alerts());
        let missing = loaded.engine.missing();
        let active = self.0.current.load();
        let groups = &active.groups;
        let recordings = loaded.engine.recordings().map(|status| {
            let group = groups.of_recording(&status.rule.settings);
            recording_view(&status, group)
        });
        let metrics = &active.plan.metrics;
        let rules = loaded.engine.rules().map(|status| {
            let alerts = alerts.remove(&status.rule.name).unwrap_or_default();
            let view = rule_view(&status, alerts, &missing, loaded.last_tick);
            // A rule that queries history is written in PromQL already.
            let native = status.rule.history_query().is_none();
            let promql = if native {
                status.rule.promql(0, metrics).ok()
            } else {
                None
            };
            RuleView {
                group: groups.of_rule(&status.rule.name),
                promql,
                ..view
            }
        });
        recordings.chain(rules).collect()
    }
}

impl ChannelBackend for AppBackend {
    fn test_channel(
        &self,
        name: String,
        severity: Severity,
        resolve: bool,
    ) -> Pin<Box<dyn Future<Output = Result<Vec<TestResult>, BackendError>> + Send + '_>> {
        Box::pin(async move {
            let active = self.0.current.load_full();
            let alerting = &active.plan.root.performance_monitor.alerting;
            let channels = bellwether_notify::named(&alerting.notifications.channels);
            let channel = channels.iter().find(|(channel, _)| *channel == name);
            let Some((_, channel)) = channel else {
                let message = format!("there is no channel {name:?}");
                return Err(BackendError::Invalid(message));
            };
            let clock = self.0.clock;
            let clock: WallClock = Arc::new(move || clock.now().wall);
            let context = (active.plan.sender.clone(), clock);
            let tested = test_send(&name, channel, context, severity, resolve).await;
            let results = tested.map_err(|error| BackendError::Failed(error.to_string()))?;
            Ok(results.into_iter().map(test_result).collect())
        })
    }
}

impl DashboardBackend for AppBackend {
    fn dashboards(&self) -> Vec<(String, String)> {
        let active = self.0.current.load();
        let all = active.dashboards.all().iter();
        all.map(|dashboard| (dashboard.name.clone(), dashboard.title.clone()))
            .collect()
    }

    fn dashboard(&self, name: &str) -> Option<Dashboard> {
        let layout = self.0.layouts.layouts.current(name);
        let active = self.0.current.load();
        active.dashboards.get(name, layout.as_ref())
    }

    fn layouts(&self, name: &str) -> Vec<SavedLayout> {
        self.0.layouts.layouts.history(name)
    }

    fn export_dashboard(
        &self,
        name: &str,
        format: DashboardFormat,
    ) -> Option<Result<String, BackendError>> {
        let layout = self.0.layouts.layouts.current(name);
        let active = self.0.current.load();
        let dashboards = &active.dashboards;
        Some(match format {
            DashboardFormat::Grafana => {
                Ok(format!("{:#}", dashboards.grafana(name, layout.as_ref())?))
            }
            DashboardFormat::Yaml => {
                let settings = dashboards.settings(name, layout.as_ref())?;
                config::print_dashboard(&settings)
                    .map_err(|error| BackendError::Failed(error.to_string()))
            }
        })
    }

    fn save_layout(
        &self,
        name: String,
        version: SavedLayout,
    ) -> Pin<Box<dyn Future<Output = Result<(), BackendError>> + Send + '_>> {
        Box::pin(async move {
            let added = self.0.layouts.add(&name, version).await;
            added.map_err(|error| {
                BackendError::Failed(format!("done, but not saved for a restart: {error}"))
            })
        })
    }
}

fn test_result(result: bellwether_notify::DirectResult) -> TestResult {
    let error = result.error;
    TestResult {
        sample: result.sample,
        error: error.map(|error| (error.to_string(), error.retryable)),
        took: result.took,
    }
}

impl ConfigurationBackend for AppBackend {
    fn config_files(&self) -> Result<ConfigFiles, BackendError> {
        let files = config_editor::show(&self.0);
        files.map_err(|error| BackendError::Failed(error.to_string()))
    }

    fn check_config(&self, drafts: Vec<ConfigDraft>) -> Result<ConfigReport, ConfigError> {
        config_editor::check(&self.0, &drafts)
    }

    fn apply_config(
        &self,
        drafts: Vec<ConfigDraft>,
    ) -> Pin<Box<dyn Future<Output = Result<ConfigApplied, ConfigError>> + Send + '_>> {
        Box::pin(config_editor::apply(&self.0, drafts))
    }
}

impl StatusBackend for AppBackend {
    fn configuration(&self) -> Result<String, BackendError> {
        let printed = self.0.current.load().configuration();
        printed.map_err(|error| BackendError::Failed(error.to_string()))
    }

    fn configuration_schema(&self) -> serde_json::Value {
        config::json_schema_value()
    }

    fn flags(&self) -> BTreeMap<&'static str, String> {
        flags::flags(
            &self.0.launch.source,
            &self.0.current.load().plan,
            self.0.history_handle.as_ref(),
        )
    }

    fn alertmanagers(&self) -> Vec<String> {
        flags::alertmanagers(&self.0.current.load().plan)
    }

    fn analysis_settings(&self) -> Arc<AnalysisSettings> {
        self.0.current.load().analysis_settings.clone()
    }

    fn health(&self) -> Health {
        let active = self.0.current.load();
        let collectors = self.0.board.all().into_iter().map(|(origin, health)| {
            let schedule = active.schedule(origin);
            let health = CollectorHealth {
                last_run: health.last_run,
                interval: schedule.interval,
                deadline: schedule.deadline,
                success: health.success,
                duration: health.duration,
                last_success: health.last_success,
                failure: health.failure,
                notes: health.notes,
            };
            (origin, health)
        });
        let channels = self.0.notifier.stats().into_iter().map(channel_health);
        let reloads = self.0.reloads.lock().clone();
        Health {
            started: self.0.started,
            collectors: collectors.collect(),
            channels: channels.collect(),
            reports: self.0.report_health(),
            remote: self.0.remote_write.health(),
            history: self.0.history_handle.as_ref().map(HistoryHandle::health),
            alert_history: self.0.alert_log.as_ref().map(AlertLog::health),
            state: StateHealth {
                directory: self.0.state.as_ref().map(|state| state.path().to_owned()),
                error: self.0.state_problem(),
            },
            reload: reloads.last.map(|(at, error)| ReloadHealth { at, error }),
            configuration: ConfigurationHealth {
                source: match &self.0.launch.source {
                    Source::File(path) => announcer::absolute(path).display().to_string(),
                    Source::Embedded | Source::Demo => self.0.launch.source.to_string(),
                },
                included_files: active.plan.files.len().saturating_sub(1),
                checksum: active.plan.checksum,
                loaded_at: reloads.loaded_at,
            },
        }
    }
}

fn channel_health(channel: ChannelStats) -> ChannelHealth {
    ChannelHealth {
        rejected: channel.rejected(),
        name: channel.name,
        kind: channel.kind,
        queued: channel.queued,
        dead_letters: channel.dead_letters,
        sent: channel.sent,
        failed: channel.failed,
        dropped: channel.dropped.iter().map(|(_, count)| count).sum(),
        last_error: channel.last_error,
    }
}

impl AppBackend {
    fn alerts_by_rule(
        &self,
        alerts: Vec<Alert>,
    ) -> std::collections::BTreeMap<Arc<str>, Vec<Arc<Alert>>> {
        let mut by_rule = std::collections::BTreeMap::<_, Vec<_>>::new();
        for alert in alerts {
            by_rule
                .entry(alert.rule.clone())
                .or_default()
                .push(Arc::new(alert));
        }
        by_rule
    }
}

/// Converts the status of an alerting rule. `tick` is the evaluation time of rules without a
/// history query.
fn rule_view(
    status: &RuleStatus<'_>,
    alerts: Vec<Arc<Alert>>,
    missing: &HashMap<Fingerprint, Duration>,
    tick: Duration,
) -> RuleView {
    let rule = status.rule;
    let texts = rule.annotations.iter();
    RuleView {
        group: Arc::default(),
        promql: None,
        records: false,
        name: rule.name.to_string(),
        query: rule.condition(),
        metric: rule.metric.as_deref().map(str::to_owned),
        state: status.state,
        duration: rule.policy.duration,
        keep_firing_for: rule.policy.keep_firing_for,
        severity: rule.severity(0),
        labels: rule.identity.add_labels.clone(),
        annotations: texts
            .map(|(name, text)| (name.clone(), text.source().to_owned()))
            .collect(),
        on_no_data: rule.no_data_behavior(),
        missing: alerts
            .iter()
            .filter_map(|alert| Some((alert.fingerprint, *missing.get(&alert.fingerprint)?)))
            .collect(),
        alerts,
        last_evaluation: status.last.map(|last| last.at),
        evaluation_time: match (rule.history_query(), status.last) {
            (Some(_), last) => last.map(|last| last.took).unwrap_or_default(),
            (None, _) => tick,
        },
        last_error: status.last.and_then(|last| last.error.clone()),
        note: status.last.and_then(|last| last.note.clone()),
    }
}

fn recording_view(status: &RecordingStatus<'_>, group: Arc<RuleGroup>) -> RuleView {
    let rule = status.rule;
    RuleView {
        group,
        promql: None,
        records: true,
        name: rule.record.to_string(),
        query: rule.settings.promql.value.0.clone(),
        metric: None,
        state: AlertState::Inactive,
        duration: Duration::ZERO,
        keep_firing_for: Duration::ZERO,
        severity: Severity::Info,
        labels: rule.labels.clone(),
        annotations: Labels::new(),
        on_no_data: String::new(),
        missing: Default::default(),
        alerts: Vec::new(),
        last_evaluation: status.last.map(|last| last.at),
        evaluation_time: status.last.map(|last| last.took).unwrap_or_default(),
        last_error: status.last.and_then(|last| last.error.clone()),
        note: None,
    }
}
