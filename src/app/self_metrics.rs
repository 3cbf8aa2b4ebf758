//! Collects the counters of all parts for the self-metrics.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Weak};

use bellwether_analysis::monitor::{AnomalyMonitor, MonitoredSeries};
use bellwether_collectors::self_metrics::{
    AnomalyStats, ChannelStats, Gather, HttpStats, Process, QueryStats, RuleStats, Snapshot,
};
use bellwether_collectors::{neo4j, system};
use bellwether_core::Now;

use super::App;
use super::alert_log::AlertLog;
use super::history::HistoryHandle;

impl App {
    /// Returns a function that collects the counters; they are empty once the app is gone.
    pub(super) fn gatherer(self: &Arc<Self>) -> Gather {
        let app = Arc::downgrade(self);
        Arc::new(move || {
            Weak::upgrade(&app)
                .map(|app| app.figures())
                .unwrap_or_default()
        })
    }

    fn figures(&self) -> Snapshot {
        let active = self.current.load();
        let reloads = self.reloads.lock().clone();
        Snapshot {
            collectors: self.board.all(),
            series: active.store.series(),
            series_dropped: active.store.dropped(),
            points_refused: active.store.refused(),
            history: self.history_handle.as_ref().map(HistoryHandle::figures),
            alert_history: self.alert_log.as_ref().map(AlertLog::figures),
            queries: self.query_figures(),
            rules: self.rule_figures(),
            channels: self.channel_figures(),
            remote: self.remote_write.figures(),
            anomalies: anomalies(&active.anomaly_monitor, self.clock.now()),
            reloads: (reloads.good, reloads.bad),
            rule_files_left_out: active
                .plan
                .left_out
                .iter()
                .map(|problem| &problem.location.file)
                .collect::<BTreeSet<_>>()
                .len() as f64,
            last_reload_good: reloads.last.is_none_or(|(_, result)| result.is_ok()),
            loaded_at: reloads.loaded_at.0 as f64 / 1000.0,
            config_checksum: active.plan.checksum,
            rejected_records: active
                .recorder
                .rejected()
                .into_iter()
                .map(|(reason, count)| (reason.as_str(), count))
                .collect(),
            over_limit_records: active
                .recorder
                .series_counts()
                .into_iter()
                .map(|count| (count.metric, count.over_limit))
                .collect(),
            statsd: self.listeners.received(),
            skipped: system::skipped(&self.memory).counts().collect(),
            skipped_rows: neo4j::skipped_rows(&self.memory).counts().collect(),
            requests: self
                .web
                .stats()
                .requests()
                .into_iter()
                .map(|((handler, code), requests)| (handler, code, requests.count))
                .collect(),
            http: HttpStats {
                connections: self.web.stats().connections(),
                closed: self.web.stats().closed(),
                refusals: self.web.stats().refusals().into_iter().collect(),
            },
            process: Process::read(),
        }
    }

    fn query_figures(&self) -> QueryStats {
        let queries = self.web.stats().queries();
        let ended = queries.ended().into_iter();
        QueryStats {
            ended: ended
                .map(|(result, (count, took))| (result, count, took))
                .collect(),
            running: queries.running(),
            waiting: queries.waiting(),
        }
    }

    fn rule_figures(&self) -> RuleStats {
        let loaded = self.evaluator.loaded();
        let counts = loaded.engine.counts();
        let alerts = loaded
            .engine
            .rules()
            .fold((0, 0), |(pending, firing), rule| {
                (pending + rule.pending, firing + rule.firing)
            });
        let last = loaded.engine.rules().filter_map(|status| status.last);
        RuleStats {
            evaluations: counts.evaluations,
            failures: counts.failures,
            last_evaluation: loaded.last_tick,
            missed_evaluations: self.evaluator.missed(),
            alerts,
            over_limit: last.map(|last| u64::from(last.over_limit)).sum(),
            firing: loaded
                .engine
                .rules()
                .filter(|status| status.rule.enabled)
                .map(|status| (status.rule.name.clone(), status.firing))
                .collect(),
            save_failures: self.evaluator.save_failures(),
            state_on_disk: self.state.is_some() && self.state_problem().is_none(),
        }
    }

    fn channel_figures(&self) -> BTreeMap<String, ChannelStats> {
        let channels = self.notifier.stats().into_iter();
        channels
            .map(|channel| {
                let figures = ChannelStats {
                    sent: channel.sent,
                    failed: channel.failed,
                    dropped: channel.dropped,
                    queued: channel.queued,
                    dead_letters: channel.dead_letters,
                };
                (channel.name, figures)
            })
            .collect()
    }
}

fn anomalies(anomaly_monitor: &AnomalyMonitor, now: Now) -> Vec<AnomalyStats> {
    let evaluated = anomaly_monitor
        .all(now)
        .into_iter()
        .filter(|watched| !watched.observation.warming);
    let figures = |MonitoredSeries {
                       metric,
                       series,
                       observation,
                   }: MonitoredSeries| AnomalyStats {
        metric,
        series,
        score: observation.score,
        anomalous: observation.anomalous,
        expected: observation.expected,
    };
    evaluated.map(figures).collect()
}
