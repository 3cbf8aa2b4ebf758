//! Self-metrics of the collectors.

use bellwether_core::{Now, SelfMetrics, SelfMetricsBatch, self_metrics};

use super::{Health, HealthBoard};

self_metrics! {
    SUCCESS = "bellwether_collector_success" Gauge ["collector"]
        "Whether the collector's last run succeeded.";
    DURATION = "bellwether_collector_duration_seconds" Gauge ["collector"]
        "Time the collector's last run took.";
    AGE = "bellwether_collector_age_seconds" Gauge ["collector"]
        "Time since the collector last succeeded.";
    RUNS = "bellwether_collector_runs_total" Counter ["collector"]
        "Runs of the collector, whatever their result.";
    FAILURES = "bellwether_collector_failures_total" Counter ["collector", "reason"]
        "Failed runs of the collector.";
}

impl SelfMetrics for HealthBoard {
    fn add_self_metrics(&self, batch: &mut SelfMetricsBatch<'_>, now: Now) {
        for (origin, health) in self.0.lock().iter() {
            add_collector(origin.as_str(), health, batch, now);
        }
    }
}

fn add_collector(name: &str, health: &Health, batch: &mut SelfMetricsBatch<'_>, now: Now) {
    batch.push(&RUNS, &[name], health.runs as f64);
    for (reason, count) in &health.failures {
        batch.push(&FAILURES, &[name, reason], *count as f64);
    }
    if let Some(success) = health.success {
        batch.push(&SUCCESS, &[name], f64::from(success));
        batch.push(&DURATION, &[name], health.duration.as_secs_f64());
    }
    if let Some(last) = health.last_success {
        let age = now.mono.since(last.mono);
        batch.push(&AGE, &[name], age.as_secs_f64());
    }
}
