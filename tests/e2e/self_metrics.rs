//! Self-metrics: each crate declares and writes its own, and all of them arrive.

use std::fs;
use std::net::{TcpStream, UdpSocket};
use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;

use crate::support::agent::{Agent, request};
use crate::support::receiver::{Mood, Receiver};
use crate::support::{free_port, poll};

/// A configuration with every source of self-metrics.
fn everything(folder: &Path, statsd: u16, pager: &Receiver, auditor: &Receiver) -> String {
    format!(
        r#"
performance_monitor:
  collection_interval: 100ms
  system: {{procfs: {folder}/empty}}
  system_metrics: [{{name: memory_percent, type: gauge}}]
  application_metrics:
    - {{name: queue_length, type: gauge, labels: [queue_name], max_series: 1}}
  application: {{statsd: {{listen: "127.0.0.1:{statsd}"}}}}
  collectors: [{{name: batch, type: pushgateway}}]
  prometheus: {{limits: {{header_timeout: 1s}}}}
  alerting:
    notifications:
      channels:
        - {{type: log, name: log}}
        - {{type: webhook, name: pager, url: "http://{pager}/"}}
        - {{type: webhook, name: auditor, url: "http://{auditor}/", alerts: false}}
    rules:
      - {{name: backlog, metric: queue_length, condition: ">", threshold: 10, severity: critical}}
trend_analysis:
  anomaly_detection: {{metrics: [queue_length], min_samples: 10}}
remote_write: [{{name: far, url: "http://{pager}/write"}}]
reports: [{{name: weekly, schedule: "0 7 * * mon", channels: [auditor]}}]
logging: {{audit: {{channel: auditor}}}}
"#,
        folder = folder.display(),
        pager = pager.address(),
        auditor = auditor.address(),
    )
}

/// Makes every counter move that does not move by itself. Returns a connection to keep.
fn provoke(agent: &Agent, statsd: u16) -> TcpStream {
    let silent_client = TcpStream::connect(agent.address()).unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let packet = b"queue_length:42|g|#queue_name:mail\nqueue_length:1|g|#queue_name:other";
    socket.send_to(packet, ("127.0.0.1", statsd)).unwrap();
    let cross_site = [("origin", "https://evil.example")];
    let rejected = request(agent.address(), "POST", "/-/reload", &cross_site, "");
    assert_eq!(rejected.unwrap().0, 403);
    assert_eq!(agent.get("/api/v1/query?query=up").0, 200);
    assert_eq!(agent.get("/api/v1/query?query=up(").0, 400);
    silent_client
}

fn wait_for_line(agent: &Agent, line: &str) {
    poll(line, Duration::from_secs(60), || {
        agent.get("/metrics").1.contains(line).then_some(())
    });
}

#[test]
fn every_declared_self_metric_is_exposed_with_its_value() {
    let (folder, pager, statsd) = (TempDir::new().unwrap(), Receiver::start(0), free_port());
    fs::create_dir(folder.path().join("empty")).unwrap();
    let auditor = Receiver::start(0);
    pager.mood(Mood::Status(400));
    let yaml = everything(folder.path(), statsd, &pager, &auditor);
    let agent = Agent::start(folder.path(), &yaml);
    let _client = provoke(&agent, statsd);

    // Those of queries need a Neo4j, and are tested with one: tests/peers/neo4j.
    let declared = bellwether_config::self_metrics::definitions(Duration::ZERO)
        .filter(|def| !def.name.starts_with("bellwether_neo4j_query_"))
        .map(|def| format!("# TYPE {} {}\n", def.name, def.kind.as_str()));
    declared.for_each(|line| wait_for_line(&agent, &line));
    for series in [
        "bellwether_samples_rejected_total 0",
        "bellwether_application_series_overflow_total{metric=\"queue_length\"} 1",
        "bellwether_application_records_rejected_total{reason=\"too_many_series\"} 1",
        "bellwether_collector_series{collector=\"batch\"} 0",
        "bellwether_collector_samples_rejected_total{collector=\"batch\",reason=\"limit\"} 0",
        "bellwether_statsd_packets_total 1",
        "bellwether_statsd_lines_total 2",
        "bellwether_alerts{state=\"firing\"} 1",
        "bellwether_alerts{state=\"pending\"} 0",
        "bellwether_rule_alerts_firing{rule=\"backlog\"} 1",
        "bellwether_notifications_total{channel=\"log\",result=\"sent\"} 1",
        "bellwether_notifications_total{channel=\"pager\",result=\"dropped\"} 1",
        "bellwether_notifications_dropped_total{channel=\"pager\",reason=\"rejected\"} 1",
        "bellwether_notification_queue_length{channel=\"pager\"} 0",
        "bellwether_notification_dead_letters{channel=\"pager\"} 1",
        "bellwether_bulletins_total{channel=\"auditor\",bulletin=\"audit\",result=\"sent\"} 1",
        "bellwether_bulletin_queue_length{channel=\"auditor\"} 0",
        "bellwether_notifications_total{channel=\"auditor\",result=\"sent\"} 0",
        "bellwether_report_failures_total{report=\"weekly\"} 0",
        "bellwether_audit_lines_lost_total 0",
        "bellwether_alert_history_records_total{kind=\"transition\"} 1",
        "bellwether_queries_total{result=\"bad_data\"} 1",
        "bellwether_queries_total{result=\"success\"} 1",
        "bellwether_http_requests_rejected_total{reason=\"cross_site\"} 1",
        "bellwether_http_connections_closed_total{reason=\"header_timeout\"} 1",
        "bellwether_reloads_total{result=\"success\"} 0",
        "bellwether_state_on_disk 1",
    ] {
        wait_for_line(&agent, &format!("{series}\n"));
    }
}
