//! Remote write from a real Prometheus, and from another Bellwether, into a collector of type `remote_write`.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::support::agent::{Agent, request};
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

/// Returns the samples of a series, times in milliseconds and values, that the API at `address` has.
fn samples(address: SocketAddr, series: &str) -> Vec<(i64, String)> {
    let query: String =
        form_urlencoded::byte_serialize(format!("{series}[10m]").as_bytes()).collect();
    let path = format!("/api/v1/query?query={query}");
    let (_, body) = request(address, "GET", &path, &[], "").unwrap_or_default();
    let answer: Value = serde_json::from_str(&body).unwrap_or_default();
    let values = answer["data"]["result"][0]["values"].as_array();
    let samples = values.into_iter().flatten().map(|sample| {
        let at = (sample[0].as_f64().unwrap() * 1000.0).round();
        (at as i64, sample[1].as_str().unwrap().to_owned())
    });
    samples.collect()
}

#[test]
fn history_has_every_sample_of_prometheus_after_an_outage_of_the_agent() {
    let folder = tempfile::tempdir().unwrap();
    let (port, target_port) = (free_port(), free_port());
    let agent = receiver(folder.path(), port, "up, scrape_duration_seconds");
    let _target = target(&folder.path().join("target"), target_port);
    let prometheus = Prometheus::start(
        folder.path(),
        &format!(
            "  - {{job_name: agent, scrape_interval: 1s, static_configs: [{{targets: ['127.0.0.1:{target_port}']}}]}}\n\
             remote_write:\n  - url: http://127.0.0.1:{port}/api/v1/write\n    \
             queue_config: {{batch_send_deadline: 500ms, min_backoff: 50ms, max_backoff: 500ms}}\n"
        ),
    );
    let series = "scrape_duration_seconds{job=\"agent\"}";
    let address: SocketAddr = ([127, 0, 0, 1], port).into();
    let theirs = || samples(prometheus.address(), series);
    poll("the agent has samples", WAIT, || {
        (samples(address, series).len() > 3).then_some(())
    });

    agent.kill();
    let before = theirs().len();
    poll("Prometheus has more", WAIT, || {
        (theirs().len() > before + 15).then_some(())
    });
    let agent = receiver(folder.path(), port, "up, scrape_duration_seconds");
    let end = theirs().last().unwrap().0;
    let ours = poll("the agent has caught up", WAIT, || {
        let ours = samples(address, series);
        ours.last().is_some_and(|(at, _)| *at > end).then_some(ours)
    });
    let (first, last) = (ours[0].0, ours[ours.len() - 1].0);
    let mut theirs = theirs();
    theirs.retain(|(at, _)| (first..=last).contains(at));
    assert_eq!(ours, theirs);
    assert!(ours.len() > 18, "{ours:?}");
    assert!(agent.stop().success());
}
