//! A real Prometheus scrapes /metrics in both formats, and promtool reads it.

use std::io::Write;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::support::agent::{Agent, request};
use crate::support::prometheus::Prometheus;
use crate::{queue_rule, set_queue};

const HOST: &str = r"
performance_monitor:
  collection_interval: 500ms
  enabled_collectors: [system, application]
  system_metrics:
    - {name: cpu_percent, type: gauge}
    - {name: memory_percent, type: gauge}
    - {name: disk_usage_percent, type: gauge}
    - {name: network_bytes_recv, type: counter}
  application_metrics:
    - {name: took, type: histogram, labels: [route], buckets: [0.1, 1]}
    - {name: jobs, type: counter, labels: [queue_name]}
  prometheus:
    metric_prefix: test
    default_labels: {environment: ci, instance: here}
";

#[test]
fn prometheus_scrapes_both_formats() {
    let folder = TempDir::new().unwrap();
    let agent = Agent::start(folder.path(), HOST);
    let records = r#"[{"metric":"took","labels":{"route":"/a \"b\"\\\n"},"observe":0.5},
                      {"metric":"jobs","labels":{"queue_name":"mail"},"inc":3}]"#;
    assert_eq!(agent.post("/api/v1/record", records).0, 200);
    let scrape = |name: &str, protocols: &str| {
        format!(
            "- job_name: {name}\n  honor_labels: true\n  scrape_interval: 1s\n  static_configs: \
             [{{targets: ['{}']}}]\n{protocols}",
            agent.address()
        )
    };
    // Prometheus 2.42 asks for OpenMetrics first.
    let prometheus = Prometheus::start(folder.path(), &scrape("bellwether", ""));
    let up = prometheus.wait_for("up{job=\"bellwether\"} == 1");
    assert_eq!(up.len(), 1);
    assert!(
        prometheus.failures().is_empty(),
        "{:?}",
        prometheus.failures()
    );
    let memory = prometheus.wait_for("test_memory_percent{environment=\"ci\",instance=\"here\"}");
    let value: f64 = memory[0]["value"][1].as_str().unwrap().parse().unwrap();
    assert!(value > 0.0 && value <= 100.0, "{value}");
    // OpenMetrics demands `_total`.
    let jobs = prometheus.wait_for("test_jobs_total{queue_name=\"mail\"}");
    assert_eq!(jobs[0]["value"][1], "3");
    let buckets = prometheus.wait_for("test_took_bucket{le=\"1.0\"}");
    assert_eq!(buckets[0]["metric"]["route"], "/a \"b\"\\\n");
    let metadata = prometheus.api("/api/v1/targets/metadata?metric=test_took");
    assert_eq!(metadata[0]["type"], "histogram");
}

#[test]
fn the_text_format_is_what_promtool_reads_and_the_self_metrics_lint_clean() {
    let folder = TempDir::new().unwrap();
    let agent = Agent::start(folder.path(), &queue_rule("{type: log}"));
    set_queue(&agent, "mail", 42.0);
    agent.wait_for_value("bellwether_alerts{state=\"firing\"", |firing| firing == 1.0);
    let (status, exposition) = agent.get("/metrics");
    assert_eq!(status, 200);
    let own: String = exposition
        .lines()
        .filter(|line| !line.contains("test_"))
        .map(|line| format!("{line}\n"))
        .collect();
    assert!(
        own.contains("bellwether_build_info{") && own.contains("process_resident_memory_bytes")
    );
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool is needed: apt-get install prometheus");
    promtool
        .stdin
        .take()
        .unwrap()
        .write_all(own.as_bytes())
        .unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{said}");
}

#[test]
fn openmetrics_is_served_when_asked_for() {
    let folder = TempDir::new().unwrap();
    let agent = Agent::start(folder.path(), &queue_rule("{type: log}"));
    let accept = [("accept", "application/openmetrics-text; version=1.0.0")];
    let (_, exposition) = request(agent.address(), "GET", "/metrics", &accept, "").unwrap();
    assert!(exposition.ends_with("# EOF\n"), "{exposition}");
    assert!(
        exposition.contains("# TYPE bellwether_reloads counter\n"),
        "{exposition}"
    );
    let (_, text) = agent.get("/metrics");
    assert!(text.contains("# TYPE bellwether_reloads_total counter\n") && !text.contains("# EOF"));
}

#[test]
fn a_recorded_value_is_in_the_exposition_at_once() {
    let folder = TempDir::new().unwrap();
    // One collection a minute: only a live /metrics can show the value.
    let yaml = queue_rule("{type: log}").replace("200ms", "60s");
    let agent = Agent::start(folder.path(), &yaml);
    set_queue(&agent, "mail", 7.0);
    assert_eq!(
        agent.value("test_queue_length{queue_name=\"mail\""),
        Some(7.0)
    );
}
