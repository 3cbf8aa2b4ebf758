//! Sources of the self-metrics, and the app as one of them.

use std::collections::BTreeSet;
use std::sync::{Arc, Weak};

use bellwether_collectors::self_process::ProcessMetrics;
use bellwether_config::self_metrics::{
    AUDIT_LINES_LOST, BUILD_INFO, CONFIG_HASH, LAST_RELOAD_SUCCESSFUL, LOADED_AT, RELOADS,
    RULE_FILES_LEFT_OUT, STATE_ON_DISK,
};
use bellwether_core::{Now, SelfMetrics, SelfMetricsBatch};
use bellwether_logging::lost_audit_lines;

use super::App;
use super::active_config::ActiveConfig;
use crate::version;

/// Returns the sources of the self-metrics while `active` is in effect.
pub(super) fn sources(app: &Arc<App>, active: &ActiveConfig) -> Vec<Arc<dyn SelfMetrics>> {
    let mut sources: Vec<Arc<dyn SelfMetrics>> = vec![
        Arc::new(AppMetrics(Arc::downgrade(app))),
        Arc::new(app.board.clone()),
        Arc::new(active.recorder.clone()),
        app.listeners.clone(),
        active.store.clone(),
        app.evaluator.clone(),
        active.anomaly_monitor.clone(),
        app.notifier.clone(),
        app.remote_write.writers.clone(),
        app.web.stats.clone(),
        Arc::new(ProcessMetrics),
    ];
    sources.extend(bellwether_collectors::self_metrics_sources(&app.memory));
    if let Some(history) = app.history() {
        sources.push(history);
    }
    if let Some(alert_log) = &app.alert_log {
        sources.push(Arc::new(alert_log.history.clone()));
    }
    sources
}

/// Self-metrics of the app; none once it is gone.
struct AppMetrics(Weak<App>);

impl SelfMetrics for AppMetrics {
    fn add_self_metrics(&self, batch: &mut SelfMetricsBatch<'_>, _: Now) {
        if let Some(app) = self.0.upgrade() {
            app.add_reloads(batch);
            app.add_configuration(batch);
            app.add_report_failures(batch);
            let on_disk = app.state.is_some() && app.state_problem().is_none();
            batch.push(
                &AUDIT_LINES_LOST,
                &[],
                (lost_audit_lines() + app.audit_channel.lost()) as f64,
            );
            batch.push(&STATE_ON_DISK, &[], f64::from(on_disk));
        }
    }
}

impl App {
    fn add_reloads(&self, batch: &mut SelfMetricsBatch<'_>) {
        let reloads = self.reloads.lock();
        batch.push(&RELOADS, &["success"], reloads.good as f64);
        batch.push(&RELOADS, &["failure"], reloads.bad as f64);
        let last_succeeded = reloads
            .last
            .as_ref()
            .is_none_or(|(_, error)| error.is_none());
        batch.push(&LAST_RELOAD_SUCCESSFUL, &[], f64::from(last_succeeded));
        let loaded_at = reloads.loaded_at.0 as f64 / 1000.0;
        batch.push(&LOADED_AT, &[], loaded_at);
    }

    fn add_configuration(&self, batch: &mut SelfMetricsBatch<'_>) {
        let build = [
            version::VERSION,
            version::REVISION,
            version::DATE,
            version::RUST_VERSION,
            version::FEATURES,
        ];
        batch.push(&BUILD_INFO, &build, 1.0);
        let plan = &self.current.load().plan;
        let left_out = plan.left_out.iter().map(|problem| &problem.location.file);
        let left_out: BTreeSet<_> = left_out.collect();
        batch.push(&RULE_FILES_LEFT_OUT, &[], left_out.len() as f64);
        batch.push(&CONFIG_HASH, &[], f64::from(plan.checksum));
    }
}
