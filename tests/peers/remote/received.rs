//! Remote write from a real Prometheus, and from another Bellwether, into a collector of type `remote_write`.

use std::path::Path;
use std::time::Duration;

use crate::support::agent::Agent;
use crate::support::prometheus::Prometheus;
use crate::support::{free_port, poll};

const WAIT: Duration = Duration::from_secs(60);

fn receiver(folder: &Path, port: u16, accept: &str) -> Agent {
    let yaml = format!(
        "performance_monitor:\n  enabled_collectors: []\n  collectors:\n\
         \x20   - {{name: received, type: remote_write, interval: 1s, ttl: 10s, accept: [{accept}]}}\n"
    );
    std::fs::write(folder.join("bellwether.yaml"), yaml).unwrap();
    let address = format!("127.0.0.1:{port}");
    Agent::start_with(folder, &["--web.listen-address", &address])
}

/// Waits until `/metrics` has a line that begins with `start`.
fn wait_for_line(agent: &Agent, start: &str) -> String {
    poll(start, WAIT, || {
        let (_, exposition) = agent.get("/metrics");
        let mut lines = exposition.lines();
        let found = lines.find(|line| line.starts_with(start));
        found.map(str::to_owned)
    })
}

/// A target that real Prometheus scrapes: an agent without collectors.
fn target(folder: &Path, port: u16) -> Agent {
    std::fs::create_dir(folder).unwrap();
    let yaml = "performance_monitor: {enabled_collectors: []}\n";
    std::fs::write(folder.join("bellwether.yaml"), yaml).unwrap();
    let address = format!("127.0.0.1:{port}");
    Agent::start_with(folder, &["--web.listen-address", &address])
}

#[test]
fn prometheus_writes_on_after_the_agent_was_killed_and_series_end_with_their_target() {
    let folder = tempfile::tempdir().unwrap();
    let (port, target_port) = (free_port(), free_port());
    let accept = "up, bellwether_build_info, 'bellwether_http_request_duration_seconds'";
    let agent = receiver(folder.path(), port, accept);
    let target = target(&folder.path().join("target"), target_port);
    let _prometheus = Prometheus::start(
        folder.path(),
        &format!(
            "  - {{job_name: agent, scrape_interval: 1s, static_configs: [{{targets: ['127.0.0.1:{target_port}']}}]}}\n\
             remote_write:\n  - url: http://127.0.0.1:{port}/api/v1/write\n    metadata_config: {{send_interval: 1s}}\n    \
             queue_config: {{batch_send_deadline: 500ms, min_backoff: 50ms, max_backoff: 500ms}}\n"
        ),
    );
    let scraped = format!("instance=\"127.0.0.1:{target_port}\",job=\"agent\"");
    let up = format!("up{{{scraped}}}");
    wait_for_line(&agent, &format!("{up} 1"));

    agent.kill();
    let agent = receiver(folder.path(), port, accept);
    wait_for_line(&agent, &format!("{up} 1"));
    // What is not accepted is no error of Prometheus, which would log it.
    agent.wait_for_value(
        "bellwether_collector_samples_rejected_total{collector=\"received\",reason=\"not_accepted\"}",
        |count| count > 0.0,
    );
    drop(target);
    wait_for_line(&agent, &format!("{up} 0"));
    let log = std::fs::read_to_string(folder.path().join("prometheus.log")).unwrap();
    assert!(!log.contains("non-recoverable"), "{log}");
    assert!(agent.stop().success());
}

#[test]
fn another_bellwether_writes_in_both_versions_with_types() {
    for protocol in ["1.0", "2.0"] {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let agent = receiver(folder.path(), port, "load_average_1m");
        let sends = folder.path().join("sends");
        std::fs::create_dir(&sends).unwrap();
        let sender = Agent::start(
            &sends,
            &format!(
                "performance_monitor:\n  collection_interval: 1s\n  enabled_collectors: [system]\n  prometheus: {{metric_prefix: ''}}\n  \
                 system_metrics:\n    - {{name: load_average_1m, type: gauge}}\n\
                 remote_write:\n  - {{url: 'http://127.0.0.1:{port}/api/v1/write', protocol: '{protocol}', queue: {{batch_send_deadline: 100ms}},\n     \
                 write_relabel_configs: [{{source_labels: [__name__], regex: load_average_1m, action: keep}}]}}\n"
            ),
        );
        let theirs = wait_for_line(&sender, "load_average_1m");
        let series = theirs.split(' ').next().unwrap();
        wait_for_line(&agent, series);
        wait_for_line(&agent, "# TYPE load_average_1m gauge");
        assert_eq!(
            sender.value("bellwether_remote_write_samples_failed_total"),
            Some(0.0),
            "{protocol}"
        );
        // The series ends with its sender.
        assert!(sender.stop().success());
        poll("the series ends", WAIT, || {
            agent.value("load_average_1m").is_none().then_some(())
        });
        assert!(agent.stop().success());
    }
}
