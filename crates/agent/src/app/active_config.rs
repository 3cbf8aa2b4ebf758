//! The active configuration: its store, its recorder and its collectors.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bellwether_analysis::monitor::AnomalyMonitor;
use bellwether_collector::{Build, Input, Runner, Schedule, SelfMetricsCollector};
use bellwether_collectors::CollectorType;
use bellwether_config::{self as config, Plan, Root, Source};
use bellwether_core::{Batch, Now, Origin};
use bellwether_recorder::Recorder;
use bellwether_rules::RuleSet;
use bellwether_server::AnalysisSettings;
use bellwether_tsdb::history::History;
use bellwether_tsdb::store::{Options, Store};
use parking_lot::Mutex;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::evaluator::Committer;
use super::generated_series::generated_names;
use super::groups::Groups;
use super::{App, history, self_metrics};
use crate::dashboard::Dashboards;

/// Time to wait for running collectors at a stop.
const LAST_RUNS: Duration = Duration::from_secs(1);

/// Everything that a reload replaces.
pub(super) struct ActiveConfig {
    pub(super) plan: Plan,
    pub(super) store: Arc<Store>,
    pub(super) anomaly_monitor: Arc<AnomalyMonitor>,
    pub(super) analysis_settings: Arc<AnalysisSettings>,
    pub(super) recorder: Recorder,
    pub(super) groups: Groups,
    pub(super) dashboards: Dashboards,
    /// The configuration as YAML without its secrets, compressed.
    printed: anyhow::Result<Vec<u8>>,
    own: Mutex<Option<SelfMetricsCollector>>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
    stop: CancellationToken,
    /// Kept between two scrapes for its buffers.
    scratch: Mutex<Batch>,
}

impl ActiveConfig {
    /// Builds the parts of `plan` without starting them, and returns the rules to evaluate. Samples
    /// are also appended to `history`.
    pub(super) fn new(
        mut plan: Plan,
        history: Option<Arc<History>>,
        source: &Source,
    ) -> (Self, RuleSet) {
        let dashboards = Dashboards::new(&plan);
        let rules = std::mem::take(&mut plan.rules);
        let printed = packed(&plan.root);
        plan.root.dashboards = Vec::new();
        let groups = Groups::new(&plan, source.to_string());
        // Each rule has its settings; ten thousand of them need not be in memory twice.
        plan.root.performance_monitor.value.alerting.rules = Vec::new();
        let options = Options {
            default_labels: plan.default_labels.clone(),
            windows: rules.windows(),
            history,
            generated: generated_names(&rules),
        };
        let store = Arc::new(Store::new(plan.metrics.clone(), options));
        let anomaly_monitor = Arc::new(anomaly_monitor(&plan));
        let recorder = Recorder::new(plan.recorded().iter().cloned());
        let trends = &plan.root.trend_analysis;
        let analysis_settings = Arc::new(AnalysisSettings {
            bottlenecks: std::mem::take(&mut plan.bottlenecks).into(),
            health: trends.health.clone(),
            anomalies: trends.anomaly_detection.detector(),
        });
        let active = Self {
            plan,
            store,
            anomaly_monitor,
            analysis_settings,
            recorder,
            groups,
            dashboards,
            printed,
            own: Mutex::default(),
            tasks: Mutex::default(),
            stop: CancellationToken::new(),
            scratch: Mutex::default(),
        };
        (active, rules)
    }

    /// Returns the configuration as YAML without its secrets.
    ///
    /// # Errors
    /// The configuration could not be printed.
    pub(super) fn configuration(&self) -> anyhow::Result<String> {
        let packed = self.printed.as_ref();
        let packed = packed.map_err(|error| anyhow::anyhow!("{error}"))?;
        Ok(String::from_utf8(zstd::decode_all(&packed[..])?)?)
    }

    /// Returns the schedule of the collector of `origin`. What this process has in memory is collected at the
    /// times of the host's metrics, so that one wake-up and one write to history serve both.
    pub(super) fn schedule(&self, origin: Origin) -> Schedule {
        let collector = self.plan.collector(origin);
        let mut schedule = collector.map_or(self.plan.schedule, |collector| collector.schedule);
        if collector.is_none_or(|collector| matches!(collector.input, Input::Record(_))) {
            let all = self.plan.collectors.iter().map(|other| other.schedule);
            let same = all.filter(|other| other.interval == schedule.interval);
            schedule.settle = same.filter_map(|other| other.settle).max();
        }
        schedule
    }

    /// Takes over state from the previous configuration.
    pub(super) fn adopt(&self, old: &ActiveConfig) {
        self.recorder.adopt(&old.recorder);
        self.store.adopt(&old.store);
    }

    /// Ends the series of collectors in the list that are no longer configured.
    pub(super) fn retain_sources(&self, now: Now) {
        let listed = self.plan.collectors.iter();
        let listed = listed.filter(|collector| collector.series_limits.is_some());
        let sources: Vec<Origin> = listed.map(|collector| collector.origin).collect();
        self.store.retain_sources(&sources, now);
    }

    /// Returns the enabled collectors.
    pub(super) fn origins(&self) -> impl Iterator<Item = Origin> {
        let enabled = self.plan.collectors.iter();
        enabled
            .map(|collector| collector.origin)
            .chain([Origin::SELF_METRICS])
    }

    /// Returns the collectors in the list that have another type than in `old`: they begin anew.
    pub(super) fn retyped(&self, old: &ActiveConfig) -> Vec<Origin> {
        let types = |active: &ActiveConfig| -> BTreeMap<String, CollectorType> {
            let entries = active.plan.root.performance_monitor.collectors.iter();
            let types = entries.map(|entry| (entry.common.name.value.clone(), entry.common.r#type));
            types.collect()
        };
        let now = types(self);
        let before = types(old).into_iter();
        let changed = before.filter(|(name, kind)| now.get(name).is_some_and(|new| new != kind));
        changed.map(|(name, _)| Origin::new(&name)).collect()
    }

    /// Starts the collectors.
    pub(super) fn start(&self, app: &Arc<App>) {
        if let Some(history) = &app.history_handle {
            history::warm_up(
                self.anomaly_monitor.clone(),
                history.history.clone(),
                app.clock.now(),
            );
        }
        let own = SelfMetricsCollector::new(&self.plan.metrics, self_metrics::sources(app, self));
        *self.own.lock() = Some(own.clone());
        self.spawn(
            app,
            Origin::SELF_METRICS,
            Arc::new(move |_| Box::new(own.clone())),
        );
        for collector in &self.plan.collectors {
            self.spawn(app, collector.origin, self.build(&collector.input));
        }
    }

    fn build(&self, input: &Input) -> Build {
        match input {
            Input::Pull(build) => build.clone(),
            Input::Record(_) => {
                let recorder = self.recorder.clone();
                Arc::new(move |_| Box::new(recorder.clone()))
            }
        }
    }

    fn spawn(&self, app: &Arc<App>, origin: Origin, build: Build) {
        let (store, anomaly_monitor) = (self.store.clone(), self.anomaly_monitor.clone());
        let (evaluator, generated) = (app.evaluator.clone(), app.generated.clone());
        let collector = self.plan.collector(origin);
        let sink = Committer {
            store,
            anomaly_monitor,
            evaluator,
            generated,
            board: app.board.clone(),
            series_limits: collector.and_then(|collector| collector.series_limits),
        };
        let runner = Runner {
            origin,
            schedule: self.schedule(origin),
            times: collector.and_then(|collector| collector.times.clone()),
            build,
            memory: app.memory.clone(),
            board: app.board.clone(),
            sink: Arc::new(sink),
            clock: app.clock,
        };
        let task = tokio::spawn(runner.run(self.stop.clone()));
        self.tasks.lock().push(task);
    }

    /// Stops the collectors, without waiting for those that hang.
    pub(super) async fn stop(&self) {
        self.stop.cancel();
        let tasks = std::mem::take(&mut *self.tasks.lock());
        let ended = async {
            for task in tasks {
                task.await.ok();
            }
        };
        timeout(LAST_RUNS, ended).await.ok();
    }

    /// Updates the metrics that change between collections, before a scrape.
    pub(super) fn refresh(&self, now: Now) {
        // Part by part, so that readers of the store wait for few series. The part is locked last, because
        // applications that record new series wait for it.
        let mut values = Vec::new();
        self.recorder.for_each_part(|part| {
            self.store.refresh_each(now, |refresh| {
                if let Some(series) = part.read() {
                    let (metric, version) = (part.metric(), series.version());
                    refresh.set_part(metric, part.index(), version, |refresh| {
                        if refresh.is_same() {
                            values.clear();
                            series.read_values(&mut values);
                            refresh.set_all(&values);
                        } else {
                            series.for_each(|sample| refresh.set(sample));
                        }
                    });
                }
            });
        });
        let mut batch = self.scratch.lock();
        batch.clear();
        if let Some(own) = self.own.lock().as_ref() {
            own.fill(&mut batch, now);
        }
        self.store.refresh(&batch, now);
    }
}

/// Builds the anomaly monitor; it monitors nothing if trend analysis is disabled.
fn anomaly_monitor(plan: &Plan) -> AnomalyMonitor {
    let trends = &plan.root.trend_analysis;
    let detection = &trends.anomaly_detection;
    let names = detection
        .watched()
        .take(if trends.enabled { usize::MAX } else { 0 });
    AnomalyMonitor::new(
        &plan.metrics,
        names,
        &plan.default_labels,
        detection.detector(),
    )
}

/// Prints the settings without secrets, and compresses the text.
fn packed(root: &Root) -> anyhow::Result<Vec<u8>> {
    let text = config::print(root)?;
    Ok(zstd::encode_all(text.as_bytes(), 0)?)
}
