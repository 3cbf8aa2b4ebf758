//! The product as its users meet it: the real binary, a real Prometheus, a real Kafka, a real HTTP
//! receiver. Neo4j has `tests/neo4j.rs` for the collector; here it is one of the sources.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../support/mod.rs"]
mod support;

mod alert_history;
mod alerts;
mod analysis;
mod anomalies;
mod backtest;
mod collectors;
mod commands;
mod configuration;
mod dead_letters;
mod demo;
mod deploy;
mod history;
mod host_collectors;
mod hostile;
mod hosts;
mod kafka;
mod live;
mod logs;
#[cfg(feature = "neo4j")]
mod neo4j;
mod promql_rules;
mod query;
mod recording;
mod reload;
mod reports;
mod resolve;
mod running_agent;
mod scrape;
mod self_metrics;
mod silences;
mod state;
mod top;

/// A configuration with one gauge of queues, one rule on it and the channels in `channels`.
fn queue_rule(channels: &str) -> String {
    format!(
        r#"
performance_monitor:
  collection_interval: 200ms
  enabled_collectors: [application]
  application_metrics:
    - {{name: queue_length, type: gauge, labels: [queue_name]}}
    - {{name: jobs, type: counter, labels: [queue_name]}}
  prometheus:
    metric_prefix: test
  alerting:
    notifications:
      channels: [{channels}]
    rules:
      - {{name: backlog, metric: queue_length, condition: ">", threshold: 10, duration: 1s,
         severity: critical, message: "{{{{ value }}}} wait in {{{{ labels.queue_name }}}}"}}
"#
    )
}

/// Sets the length of a queue through the API.
fn set_queue(agent: &support::agent::Agent, queue: &str, length: f64) {
    let body = format!(
        r#"[{{"metric":"queue_length","labels":{{"queue_name":"{queue}"}},"set":{length}}}]"#
    );
    let (status, answer) = agent.post("/api/v1/record", &body);
    assert_eq!(status, 200, "{answer}");
}
