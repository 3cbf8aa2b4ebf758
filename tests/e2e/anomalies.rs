//! Watched metrics under a real process.

use tempfile::TempDir;

use crate::support::agent::Agent;
use crate::{queue_rule, set_queue};

const SERIES: &str = "{metric=\"queue_length\",series=\"queue_name=mail\"";

fn watching(min_samples: u32) -> String {
    let section = format!(
        "trend_analysis:\n  anomaly_detection: {{metrics: [queue_length], min_samples: {min_samples}}}\n"
    );
    queue_rule("{type: log}") + &section
}

#[test]
fn a_watched_metric_reports_whether_it_is_anomalous_and_knows_its_past_after_a_restart() {
    let state = TempDir::new().unwrap();
    let agent = Agent::start(state.path(), &watching(10));
    set_queue(&agent, "mail", 5.0);
    let score = format!("bellwether_anomaly_score{SERIES}");
    let anomaly = format!("bellwether_anomaly{SERIES}");
    agent.wait_for_value(&score, |score| score == 0.0);
    assert_eq!(agent.value(&anomaly), Some(0.0));
    let runs = "bellwether_collector_runs_total{collector=\"application\"";
    agent.wait_for_value(runs, |runs| runs >= 30.0);
    set_queue(&agent, "mail", 500.0);
    agent.wait_for_value(&anomaly, |anomaly| anomaly == 1.0);
    agent.wait_for_value(&score, |score| score > 12.0);
    assert!(agent.stop().success());

    // It needs 25 samples, and history has them.
    let agent = Agent::start(state.path(), &watching(25));
    set_queue(&agent, "mail", 5.0);
    agent.wait_for_value(&score, |score| score >= 0.0);
    let runs = agent.value(runs).unwrap();
    assert!(runs < 25.0, "evaluated only after {runs} collections");
}
