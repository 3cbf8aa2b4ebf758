//! Source of the alerts: the load of some jobs, as applications record it.

use std::collections::BTreeMap;

use fastrand::Rng;

use super::support::agent::Agent;

const JOBS: usize = 12;
/// Calm, busy, busy and late, very busy and late.
const LEVELS: [f64; 4] = [1.0, 20.0, 40.0, 80.0];

/// The label that distinguishes jobs.
pub const LABEL: &str = "job";

/// A configuration of the load, two rules on it, and their receivers.
pub fn configuration(channels: &str, routes: &str) -> String {
    format!(
        r#"
performance_monitor:
  collection_interval: 100ms
  enabled_collectors: [application]
  application_metrics:
    - {{name: load, type: gauge, labels: [job]}}
  alerting:
    notifications:
      channels: [{channels}]
    rules:
      - {{name: busy, metric: load, condition: ">", thresholds: {{warning: 10, critical: 50}}}}
      - {{name: late, metric: load, condition: ">", threshold: 30, duration: 300ms, severity: critical}}
{routes}
"#
    )
}

/// The load of each job.
#[derive(Clone, Debug)]
pub struct Load([f64; JOBS]);

impl Load {
    /// All are calm.
    pub fn calm() -> Self {
        Self([LEVELS[0]; JOBS])
    }

    /// All are as busy as can be.
    pub fn busiest() -> Self {
        Self([LEVELS[3]; JOBS])
    }

    /// That of some job changes.
    pub fn change(&mut self, random: &mut Rng) {
        self.0[random.usize(..JOBS)] = LEVELS[random.usize(..LEVELS.len())];
    }

    /// Applications record it. A process that just started knows nothing of what was recorded
    /// before.
    pub fn record(&self, agent: &Agent) {
        let each = self.0.iter().enumerate().map(|(job, load)| {
            format!(r#"{{"metric":"load","labels":{{"job":"{job}"}},"set":{load}}}"#)
        });
        let body = format!("[{}]", each.collect::<Vec<_>>().join(","));
        let (status, answer) = agent.post("/api/v1/record", &body);
        assert_eq!(status, 200, "{answer}");
    }

    /// The alerts that fire by it, and how bad.
    pub fn alerts(&self) -> BTreeMap<(String, String), String> {
        let mut alerts = BTreeMap::new();
        for (job, load) in self.0.iter().enumerate() {
            let mut fires = |rule: &str, severity: &str| {
                alerts.insert((rule.to_owned(), job.to_string()), severity.to_owned());
            };
            if *load > 10.0 {
                fires("busy", if *load > 50.0 { "critical" } else { "warning" });
            }
            if *load > 30.0 {
                fires("late", "critical");
            }
        }
        alerts
    }
}
