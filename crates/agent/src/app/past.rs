//! Plays the past of a demo through the parts of an agent, on virtual time.
//!
//! Samples go to the store, rules are evaluated, alerts are dispatched and delivered as they are live. The
//! virtual clock ends where the clock of the process begins, so that everything goes on without a restart.

use std::collections::HashMap;
use std::time::Duration;

use bellwether_alert_history::{Record, Step};
use bellwether_core::{
    Alert, AlertState, Batch, Notification, Now, SelfMetricIds, SelfMetrics, SelfMetricsBatch,
    UnixMillis,
};
use bellwether_notify::Preview;
use bellwether_routing::{Dispatcher, Feedback};
use bellwether_rules::{Engine, SampleStorage, Tick};
use bellwether_tsdb::history::History;
use bellwether_tsdb::store::Store;

use super::alert_log::AlertLog;
use super::generated_series::GeneratedSeries;
use crate::demo::{Delivered, Demo};

/// Age up to which rules that query history are evaluated: they take most of the time of a start.
const QUERIED: Duration = Duration::from_secs(36 * 3600);

/// First and longest wait of a channel after a failure, as of `retry`.
const RETRY: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(300));

/// Parts of an agent that has not started.
pub(super) struct Past<'a> {
    pub(super) store: &'a Store,
    pub(super) self_metrics: SelfMetricIds,
    pub(super) history: Option<&'a History>,
    pub(super) engine: &'a mut Engine,
    pub(super) dispatcher: &'a mut Dispatcher,
    pub(super) alert_log: Option<&'a AlertLog>,
    pub(super) generated: &'a GeneratedSeries,
    /// Queues of the channels.
    pub(super) outboxes: &'a mut Preview,
}

/// Failures of a channel in a row.
#[derive(Default)]
struct Failures {
    count: u32,
    retry_at: UnixMillis,
}

impl Past<'_> {
    /// Plays the past of `demo` up to `present`.
    pub(super) fn play(mut self, demo: &Demo, present: Now) {
        let mut batch = Batch::default();
        let mut commands = demo.commands();
        let mut failures = HashMap::new();
        for at in demo.times() {
            let now = present.at(at);
            self.collect(demo, &mut batch, now);
            let tick = self.evaluate(now, present.wall.since(at) <= QUERIED);
            let alerts = self.engine.alerts();
            self.generated.evaluated(&alerts, at);
            self.dispatch(&tick, now);
            self.deliver(demo, &mut failures, now);
            let firing: Vec<Alert> = alerts
                .into_iter()
                .filter(|alert| alert.state == AlertState::Firing)
                .collect();
            for command in commands(&firing, at) {
                // One that is not valid is found by the tests.
                self.dispatcher.execute(command, random(at), now).ok();
            }
        }
        if let Some(alert_log) = self.alert_log {
            alert_log.history.sync();
        }
    }

    fn collect(&mut self, demo: &Demo, batch: &mut Batch, now: Now) {
        demo.collect(now.wall, batch, |origin, batch, result| {
            self.store.commit(batch, now);
            self.generated.collected(origin, result.is_ok(), now.wall);
        });
        self.collect_self_metrics(batch, now);
        self.store.expire(now);
    }

    /// Collects the self-metrics of the parts that the past has.
    fn collect_self_metrics(&self, batch: &mut Batch, now: Now) {
        batch.clear();
        let sources: [&dyn SelfMetrics; 2] = [self.store, &*self.engine];
        let mut own = SelfMetricsBatch::new(&self.self_metrics, batch);
        for source in sources {
            source.add_self_metrics(&mut own, now);
        }
        self.store.commit(batch, now);
    }

    fn evaluate(&mut self, now: Now, with_queries: bool) -> Tick {
        let storage = self.history.map(|history| history as &dyn SampleStorage);
        match with_queries {
            true => self.engine.tick(self.store, storage, now, None),
            false => self.engine.evaluate(self.store, now, None),
        }
    }

    fn dispatch(&mut self, tick: &Tick, now: Now) {
        if tick.transitions.is_empty() && self.dispatcher.next() > now.mono {
            return;
        }
        let feedback = Feedback {
            last_evaluation: now.mono,
            ..Feedback::default()
        };
        let outboxes = &*self.outboxes;
        self.dispatcher.apply(&tick.transitions, now);
        let advance = self.dispatcher.advance(
            &feedback,
            &|channel, alert| outboxes.last_notified(channel, alert, now.mono),
            now,
        );
        if let Some(alert_log) = self.alert_log {
            alert_log.transitions(&tick.transitions);
            alert_log.muted(&advance.mute_changes, now.wall);
        }
        let queued = self.outboxes.offer(&advance.dispatches).into_iter();
        let queued: Vec<(String, Notification)> = queued
            .map(|(channel, notification)| (channel.to_owned(), notification))
            .collect();
        for (channel, notification) in queued {
            self.record(&channel, &notification, Step::Queued, now.wall);
        }
    }

    /// Delivers what is queued, channel by channel, until one fails.
    fn deliver(&mut self, demo: &Demo, failures: &mut HashMap<String, Failures>, now: Now) {
        let channels: Vec<String> = self.outboxes.names().map(str::to_owned).collect();
        for channel in channels {
            let failures = failures.entry(channel.clone()).or_default();
            while let Some(oldest) = self.outboxes.oldest(&channel)
                && failures.retry_at <= now.wall
            {
                let step = self.attempt(demo, &channel, &oldest, failures, now);
                self.record(&channel, &oldest, step, now.wall);
            }
        }
    }

    fn attempt(
        &mut self,
        demo: &Demo,
        channel: &str,
        oldest: &Notification,
        failures: &mut Failures,
        now: Now,
    ) -> Step {
        let attempt = failures.count + 1;
        match demo.delivery(channel, oldest, now.wall) {
            Delivered::Yes => {
                *failures = Failures::default();
                self.outboxes.deliver_oldest(channel, now);
                Step::Delivered { attempt }
            }
            Delivered::Never(error) => {
                self.outboxes.reject_oldest_for(channel, error, now.wall);
                Step::Rejected {
                    error: error.to_owned(),
                }
            }
            Delivered::Later(error) => {
                let (first, longest) = RETRY;
                let retry_in = (first * 2_u32.saturating_pow(failures.count)).min(longest);
                *failures = Failures {
                    count: attempt,
                    retry_at: now.wall.after(retry_in),
                };
                Step::Failed {
                    attempt,
                    error: error.to_owned(),
                    retry_in,
                }
            }
        }
    }

    fn record(&self, channel: &str, notification: &Notification, step: Step, at: UnixMillis) {
        if let Some(alert_log) = self.alert_log {
            let record = Record::notification(notification, channel, step, at);
            alert_log.history.record(record);
        }
    }
}

/// Returns the random part of the id of a silence, which is the same in every demo that starts at one time.
fn random(at: UnixMillis) -> u128 {
    let time = u128::from(at.0.unsigned_abs());
    time.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)
}
