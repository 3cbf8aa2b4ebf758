//! Gathers what the rooms count into what the self-metrics tell.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Weak};

use bellwether_analysis::lookout::{Lookout, Watched};
use bellwether_collectors::own::{
    AnomalyFigures, ChannelFigures, Figures, Gather, HttpFigures, Process, QueryFigures,
    RuleFigures,
};
use bellwether_core::Now;

use super::App;
use super::account::Account;
use super::past::Past;

impl App {
    /// Gathers at each call; empty once the app is gone.
    pub(super) fn gatherer(self: &Arc<Self>) -> Gather {
        let app = Arc::downgrade(self);
        Arc::new(move || {
            Weak::upgrade(&app)
                .map(|app| app.figures())
                .unwrap_or_default()
        })
    }

    fn figures(&self) -> Figures {
        let running = self.current.load();
        let reloads = self.reloads.lock().clone();
        Figures {
            collectors: self.board.all(),
            series: running.store.series(),
            series_dropped: running.store.dropped(),
            points_refused: running.store.refused(),
            history: self.past.as_ref().map(Past::figures),
            alert_history: self.account.as_ref().map(Account::figures),
            queries: self.query_figures(),
            rules: self.rule_figures(),
            channels: self.channel_figures(),
            remote: self.outward.figures(),
            anomalies: anomalies(&running.lookout, self.clock.now()),
            reloads: (reloads.good, reloads.bad),
            rule_files_left_out: running
                .plan
                .left_out
                .iter()
                .map(|problem| &problem.at.file)
                .collect::<BTreeSet<_>>()
                .len() as f64,
            last_reload_good: reloads.last.is_none_or(|(_, result)| result.is_ok()),
            loaded_at: reloads.loaded_at.0 as f64 / 1000.0,
            config_checksum: running.plan.checksum,
            refused: running
                .recorder
                .refused()
                .into_iter()
                .map(|(reason, count)| (reason.as_str(), count))
                .collect(),
            overflows: running
                .recorder
                .ceilings()
                .into_iter()
                .map(|(metric, _, overflows)| (metric, overflows))
                .collect(),
            statsd: self.statsd.received(),
            skipped: running.skipped.counts().collect(),
            skipped_rows: running.skipped_rows.counts().collect(),
            requests: self
                .web
                .stats()
                .requests()
                .into_iter()
                .map(|((handler, code), requests)| (handler, code, requests.count))
                .collect(),
            http: HttpFigures {
                connections: self.web.stats().connections(),
                closed: self.web.stats().closed(),
                refusals: self.web.stats().refusals().into_iter().collect(),
            },
            process: Process::read(),
        }
    }

    fn query_figures(&self) -> QueryFigures {
        let queries = self.web.stats().queries();
        let ended = queries.ended().into_iter();
        QueryFigures {
            ended: ended
                .map(|(result, (count, took))| (result, count, took))
                .collect(),
            running: queries.running(),
            waiting: queries.waiting(),
        }
    }

    fn rule_figures(&self) -> RuleFigures {
        let judged = self.judge.judged();
        let counts = judged.engine.counts();
        let alerts = judged
            .engine
            .rules()
            .fold((0, 0), |(pending, firing), rule| {
                (pending + rule.pending, firing + rule.firing)
            });
        let last = judged.engine.rules().filter_map(|status| status.last);
        RuleFigures {
            evaluations: counts.evaluations,
            failures: counts.failures,
            last_tick: judged.last_tick,
            missed_ticks: self.judge.missed(),
            alerts,
            left_out: last.map(|last| u64::from(last.left_out)).sum(),
            firing: judged
                .engine
                .rules()
                .filter(|status| status.rule.enabled)
                .map(|status| (status.rule.name.clone(), status.firing))
                .collect(),
            save_failures: self.judge.save_failures(),
            state_on_disk: self.state.is_some() && self.state_problem().is_none(),
        }
    }

    fn channel_figures(&self) -> BTreeMap<String, ChannelFigures> {
        let channels = self.notifier.stats().into_iter();
        channels
            .map(|channel| {
                let figures = ChannelFigures {
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

fn anomalies(lookout: &Lookout, now: Now) -> Vec<AnomalyFigures> {
    let judged = lookout
        .all(now)
        .into_iter()
        .filter(|watched| !watched.observation.warming);
    let figures = |Watched {
                       metric,
                       series,
                       observation,
                   }: Watched| AnomalyFigures {
        metric,
        series,
        score: observation.score,
        anomalous: observation.anomalous,
        expected: observation.expected,
    };
    judged.map(figures).collect()
}
