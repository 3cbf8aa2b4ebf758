//! Reloads of the configuration.

use std::sync::Arc;

use bellwether_config::{self as config, Plan, Source};
use bellwether_core::{UnixMillis, counted};
use tracing::{error, info, warn};

use super::active_config::ActiveConfig;
use super::backend::AppBackend;
use super::{App, alert_log, history, systemd};

/// Results of the reloads so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Reloads {
    pub(super) good: u64,
    pub(super) bad: u64,
    /// Time of the last reload, and its error if it failed.
    pub(super) last: Option<(UnixMillis, Option<String>)>,
    /// Time at which the active configuration was loaded.
    pub(super) loaded_at: UnixMillis,
}

impl App {
    /// Swaps in the configuration that is on disk now, completely or not at all.
    pub(super) async fn reload(self: &Arc<Self>) -> anyhow::Result<String> {
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
        let statsd = plan.statsd();
        let listeners = self.listeners.prepare(statsd, &old.recorder).await?;
        self.web
            .open(
                &monitor.prometheus,
                &self.launch.source,
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
            plan.collected(),
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
            self.memory.forget(origin);
            self.generated.forget(origin, self.clock.now().wall);
        }
        for origin in next.retyped(&old) {
            self.memory.forget(origin);
        }
        self.current.store(next.clone());
        self.remote_write
            .replace(remote, self.history_handle.as_ref(), &next.plan)
            .await;
        next.start(self);
        self.reports.changed.notify_one();
        Ok(summary)
    }
}

/// Logs the warnings of a plan.
pub(super) fn warn_of(source: &Source, plan: &Plan) {
    for warning in &plan.warnings {
        warn!("{}", warning.render(source));
    }
    for problem in &plan.left_out {
        error!("a rule file is skipped: {}", problem.render(source));
    }
}
