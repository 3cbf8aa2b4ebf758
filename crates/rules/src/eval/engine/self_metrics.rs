//! Self-metrics of rules and their alerts.

use bellwether_core::{Now, SelfMetrics, SelfMetricsBatch, self_metrics};

use super::Engine;

self_metrics! {
    EVALUATIONS = "bellwether_rule_evaluations_total" Counter []
        "Evaluations of a rule over all its series.";
    FAILURES = "bellwether_rule_evaluation_failures_total" Counter []
        "Failed evaluations of a rule.";
    ALERTS = "bellwether_alerts" Gauge ["state"]
        "Alerts by state.";
    OVER_LIMIT = "bellwether_alerts_over_limit" Gauge []
        "Alerts over the limit of their rule at the last evaluation, which do not fire.";
    FIRING = "bellwether_rule_alerts_firing" Gauge ["rule"]
        "Firing alerts of the rule.";
}

impl SelfMetrics for Engine {
    fn add_self_metrics(&self, batch: &mut SelfMetricsBatch<'_>, _: Now) {
        batch.push(&EVALUATIONS, &[], self.counts.evaluations as f64);
        batch.push(&FAILURES, &[], self.counts.failures as f64);
        let (mut pending, mut firing, mut over_limit) = (0, 0, 0);
        for status in self.rules() {
            pending += status.pending;
            firing += status.firing;
            over_limit += status.last.map_or(0, |last| u64::from(last.over_limit));
            if status.rule.enabled {
                batch.push(&FIRING, &[&status.rule.name], status.firing as f64);
            }
        }
        batch.push(&ALERTS, &["pending"], pending as f64);
        batch.push(&ALERTS, &["firing"], firing as f64);
        batch.push(&OVER_LIMIT, &[], over_limit as f64);
    }
}
