//! The collector `probe` beside a real blackbox_exporter that probes the same services.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::support::agent::{Agent, request};
use crate::support::process::Process;
use crate::support::prometheus::Prometheus;
use crate::support::{free_port, poll};

/// A real blackbox_exporter.
struct Blackbox {
    _process: Process,
    port: u16,
}

impl Blackbox {
    fn start(folder: &std::path::Path) -> Self {
        let config = folder.join("blackbox.yml");
        let modules = "modules:\n  http: {prober: http}\n  tcp: {prober: tcp}\n";
        std::fs::write(&config, modules).unwrap();
        let port = free_port();
        let arguments = [
            format!("--config.file={}", config.display()),
            format!("--web.listen-address=127.0.0.1:{port}"),
        ];
        let arguments = arguments.each_ref().map(String::as_str);
        let process = Process::start("prometheus-blackbox-exporter", &arguments);
        Self {
            _process: process,
            port,
        }
    }

    /// Series that it exposes about a target.
    fn probe(&self, module: &str, target: &str) -> String {
        let path = format!("/probe?module={module}&target={target}");
        poll("blackbox_exporter answers", Duration::from_secs(20), || {
            let answer = request(([127, 0, 0, 1], self.port).into(), "GET", &path, &[], "");
            answer.ok().map(|(_, body)| body)
        })
    }
}

/// The series of an exposition, without `instance` and `job`.
fn series(exposition: &str) -> BTreeSet<String> {
    let lines = exposition.lines().filter(|line| line.starts_with("probe_"));
    lines
        .map(|line| {
            let series = line.rsplit_once(' ').unwrap().0;
            let (name, labels) = series.split_once('{').unwrap_or((series, ""));
            let phase = labels
                .trim_end_matches('}')
                .split(',')
                .find(|label| label.starts_with("phase="));
            format!("{name} {}", phase.unwrap_or_default())
        })
        .collect()
}

#[test]
fn a_probe_has_the_series_that_blackbox_exporter_has() {
    let folder = tempfile::tempdir().unwrap();
    let blackbox = Blackbox::start(folder.path());
    let web = Prometheus::start(folder.path(), "  []\n");
    let place = web.address().to_string();
    for (prober, target) in [("http", format!("http://{place}/")), ("tcp", place.clone())] {
        let own = tempfile::tempdir().unwrap();
        let agent = Agent::start(
            own.path(),
            &format!(
                "performance_monitor:\n  enabled_collectors: []\n  collectors:\n\
                 \x20   - {{name: x, type: probe, interval: 500ms, prober: {prober}, targets: ['{target}']}}\n"
            ),
        );
        let up = format!("probe_success{{instance=\"{target}\",job=\"x\"}}");
        agent.wait_for_value(&up, |value| value == 1.0);
        let mut theirs = series(&blackbox.probe(prober, &target));
        // A hash that tells a change of the address.
        theirs.remove("probe_ip_addr_hash ");
        assert_eq!(series(&agent.get("/metrics").1), theirs, "{prober}");
        if prober == "http" {
            let redirects = format!("probe_http_redirects{{instance=\"{target}\",job=\"x\"}}");
            assert_eq!(agent.value(&redirects), Some(1.0));
        }
    }
}

#[test]
fn a_service_that_ends_is_down_and_its_collector_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let web = Prometheus::start(folder.path(), "  []\n");
    let target = format!("http://{}/-/ready", web.address());
    let own = tempfile::tempdir().unwrap();
    let agent = Agent::start(
        own.path(),
        &format!(
            "performance_monitor:\n  enabled_collectors: []\n  collectors:\n\
             \x20   - {{name: x, type: probe, interval: 500ms, prober: http, targets: ['{target}']}}\n"
        ),
    );
    let success = format!("probe_success{{instance=\"{target}\",job=\"x\"}}");
    agent.wait_for_value(&success, |value| value == 1.0);
    drop(web);
    agent.wait_for_value(&success, |value| value == 0.0);
    let (_, exposition) = agent.get("/metrics");
    assert!(
        exposition.contains("bellwether_collector_success{collector=\"x\"} 1"),
        "{exposition}"
    );
}
