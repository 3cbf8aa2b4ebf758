//! The collector `probe` beside a real blackbox_exporter that probes the same services.

use std::collections::BTreeMap;
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use crate::support::agent::{Agent, request};
use crate::support::certificates::Certificates;
use crate::support::databases::{DatabaseServer, Product};
use crate::support::process::Process;
use crate::support::prometheus::Prometheus;
use crate::support::smtp::Smtp;
use crate::support::{free_port, poll};

/// A real blackbox_exporter.
struct Blackbox {
    _process: Process,
    port: u16,
}

impl Blackbox {
    /// Starts with these modules.
    fn start(folder: &Path, modules: &str) -> Self {
        let config = folder.join("blackbox.yml");
        std::fs::write(&config, format!("modules:\n{modules}")).unwrap();
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

/// The series of an exposition, without `instance` and `job`. Totals are Bellwether's own, and hashes of addresses and
/// texts of certificates are not there.
fn series(exposition: &str) -> BTreeMap<String, f64> {
    const OTHERS: [&str; 4] = [
        "probe_all_",
        "probe_ip_addr_hash",
        "probe_ssl_last_chain_info",
        "probe_ssl_last_chain_expiry",
    ];
    let lines = exposition.lines().filter(|line| {
        let is_other = OTHERS.iter().any(|other| line.starts_with(other));
        line.starts_with("probe_") && !is_other
    });
    lines
        .map(|line| {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let (name, labels) = series.split_once('{').unwrap_or((series, ""));
            let labels = labels.trim_end_matches('}').split(',').filter(|label| {
                let (name, _) = label.split_once('=').unwrap_or_default();
                !matches!(name, "instance" | "job" | "")
            });
            let labels: Vec<&str> = labels.collect();
            (
                format!("{name} {}", labels.join(",")),
                value.parse().unwrap(),
            )
        })
        .collect()
}

/// The names of series.
fn names(series: &BTreeMap<String, f64>) -> Vec<&str> {
    series.keys().map(String::as_str).collect()
}

/// An agent with one probe in the flow style of YAML, once it has a result for `target`.
fn probing(folder: &Path, probe: &str, target: &str, success: f64) -> Agent {
    let agent = Agent::start(
        folder,
        &format!(
            "performance_monitor:\n  enabled_collectors: []\n  collectors:\n\
             \x20   - {{name: x, type: probe, interval: 500ms, targets: ['{target}'], {probe}}}\n"
        ),
    );
    let series = format!("probe_success{{instance=\"{target}\",job=\"x\"}}");
    agent.wait_for_value(&series, |value| value == success);
    agent
}

#[test]
fn a_probe_has_the_series_that_blackbox_exporter_has() {
    let folder = tempfile::tempdir().unwrap();
    let blackbox = Blackbox::start(
        folder.path(),
        "  http: {prober: http}\n  tcp: {prober: tcp}\n",
    );
    let web = Prometheus::start(folder.path(), "  []\n");
    let place = web.address().to_string();
    for (prober, target) in [("http", format!("http://{place}/")), ("tcp", place.clone())] {
        let own = tempfile::tempdir().unwrap();
        let agent = probing(own.path(), &format!("prober: {prober}"), &target, 1.0);
        let ours = series(&agent.get("/metrics").1);
        let theirs = series(&blackbox.probe(prober, &target));
        assert_eq!(names(&ours), names(&theirs), "{prober}");
        if prober == "http" {
            let redirects = format!("probe_http_redirects{{instance=\"{target}\",job=\"x\"}}");
            assert_eq!(agent.value(&redirects), Some(1.0));
        }
    }
}

/// Compares what both say about a target: the same series, and the same value in those of `equal`.
fn compare(agent: &Agent, blackbox: &Blackbox, module: &str, target: &str, equal: &[&str]) {
    let ours = series(&agent.get("/metrics").1);
    let mut theirs = series(&blackbox.probe(module, target));
    // Without TLS it is the beginning of 1970, an alert in most rules.
    theirs.retain(|name, value| name != "probe_ssl_earliest_cert_expiry " || *value > 0.0);
    assert_eq!(names(&ours), names(&theirs), "{module} {target}");
    for (name, value) in &ours {
        if equal.iter().any(|start| name.starts_with(start)) {
            assert_eq!(value, &theirs[name], "{module} {target}: {name}");
        }
    }
}

/// A real gRPC server with health checks, of `tests/servers/grpc_server.py`.
fn grpc_server(options: &[&str]) -> (Process, u16) {
    let target = Path::new(env!("CARGO_BIN_EXE_bellwether"))
        .ancestors()
        .nth(2);
    let python = target.unwrap().join("python/bin/python");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/servers/grpc_server.py");
    let port = free_port();
    let port_text = port.to_string();
    let own = [script.to_str().unwrap(), "--port", &port_text];
    assert!(python.exists(), "scripts/need --install grpc-health");
    let process = Process::start(python.to_str().unwrap(), &[&own[..], options].concat());
    poll("the gRPC server listens", Duration::from_secs(60), || {
        TcpStream::connect(("127.0.0.1", port)).ok()
    });
    (process, port)
}

#[test]
fn a_grpc_server_is_as_healthy_as_for_blackbox_exporter() {
    let folder = tempfile::tempdir().unwrap();
    let certificates = Certificates::write(folder.path(), "grpc");
    let ca = &certificates.authority;
    let (_plain, plain) = grpc_server(&[]);
    let options = [
        "--cert",
        &certificates.certificate,
        "--key",
        &certificates.key,
    ];
    let (_secure, secure) = grpc_server(&options);
    // Its default is IPv6 alone.
    let ip = "preferred_ip_protocol: ip4";
    let tls = format!("tls: true, tls_config: {{ca_file: '{ca}'}}");
    let blackbox = Blackbox::start(
        folder.path(),
        &format!(
            "  server: {{prober: grpc, grpc: {{{ip}}}}}\n  up: {{prober: grpc, grpc: {{service: up, {ip}, {tls}}}}}\n\
             \x20 down: {{prober: grpc, grpc: {{service: down, {ip}}}}}\n\
             \x20 none: {{prober: grpc, grpc: {{service: none, {ip}}}}}\n"
        ),
    );
    for (module, port, grpc, success) in [
        ("server", plain, "", 1.0),
        ("up", secure, "service: up, tls: true", 1.0),
        ("down", plain, "service: down", 0.0),
        ("none", plain, "service: none", 0.0),
    ] {
        let (own, target) = (tempfile::tempdir().unwrap(), format!("127.0.0.1:{port}"));
        let probe = format!("prober: grpc, ca_file: '{ca}', grpc: {{{grpc}}}");
        let agent = probing(own.path(), &probe, &target, success);
        let equal = [
            "probe_success",
            "probe_grpc_status_code",
            "probe_grpc_ssl",
            "probe_grpc_healthcheck_response",
            "probe_ssl_earliest_cert_expiry",
            "probe_tls_version_info",
        ];
        compare(&agent, &blackbox, module, &target, &equal);
    }
}

#[test]
fn a_health_check_has_its_token_in_the_metadata() {
    let (_server, port) = grpc_server(&["--token", "t0ken"]);
    let target = format!("127.0.0.1:{port}");
    for (grpc, success, code) in [("bearer_token: t0ken", 1.0, 0.0), ("", 0.0, 16.0)] {
        let own = tempfile::tempdir().unwrap();
        let probe = format!("prober: grpc, grpc: {{{grpc}}}");
        let agent = probing(own.path(), &probe, &target, success);
        let status = format!("probe_grpc_status_code{{instance=\"{target}\",job=\"x\"}}");
        assert_eq!(agent.value(&status), Some(code));
    }
}

#[test]
fn the_certificate_of_a_postgresql_is_seen_behind_its_request_for_tls() {
    let folder = tempfile::tempdir().unwrap();
    let certificates = Certificates::write(folder.path(), "postgres");
    let read = |path: &str| std::fs::read_to_string(path).unwrap();
    let ca = &certificates.authority;
    let dialogue =
        "tcp: {query_response: [{send_bytes: AAAACATSFi8=}, {expect_bytes: S, starttls: true}]}";
    let probe = format!("prober: tcp, ca_file: '{ca}', {dialogue}");
    let encrypted = DatabaseServer::start_with_tls(
        Product::Postgres,
        &read(&certificates.certificate),
        &read(&certificates.key),
    );
    let own = tempfile::tempdir().unwrap();
    let target = encrypted.address();
    let agent = probing(own.path(), &probe, &target, 1.0);
    let labels = format!("instance=\"{target}\",job=\"x\"");
    let expiry = agent.value(&format!("probe_ssl_earliest_cert_expiry{{{labels}}}"));
    assert!(
        expiry.is_some_and(|expiry| expiry > 1_700_000_000.0),
        "{expiry:?}"
    );
    let plain = DatabaseServer::start(Product::Postgres);
    let own = tempfile::tempdir().unwrap();
    let target = plain.address();
    let agent = probing(own.path(), &probe, &target, 0.0);
    let bytes = format!("probe_failed_due_to_bytes{{instance=\"{target}\",job=\"x\"}}");
    assert_eq!(agent.value(&bytes), Some(1.0));
}

/// A dialogue with a mail server, in the words of both.
const STARTTLS: &str = "query_response: [{expect: '^220 '}, {send: \"EHLO prober\\r\"}, {expect: '^250-STARTTLS'}, \
    {send: \"STARTTLS\\r\"}, {expect: '^220'}, {starttls: true}, {send: \"EHLO prober\\r\"}, {expect: '^250[ -]'}, \
    {send: \"QUIT\\r\"}]";

#[test]
fn the_certificate_of_a_mail_server_is_seen_behind_starttls() {
    let folder = tempfile::tempdir().unwrap();
    let certificates = Certificates::write(folder.path(), "mail");
    let ca = &certificates.authority;
    let mail = Smtp::start(
        folder.path(),
        &[
            "--tls",
            "starttls",
            "--cert",
            &certificates.certificate,
            "--key",
            &certificates.key,
        ],
    );
    let blackbox = Blackbox::start(
        folder.path(),
        &format!("  mail: {{prober: tcp, tcp: {{tls_config: {{ca_file: '{ca}'}}, {STARTTLS}}}}}\n"),
    );
    let (own, target) = (
        tempfile::tempdir().unwrap(),
        format!("127.0.0.1:{}", mail.port()),
    );
    let probe = format!("prober: tcp, ca_file: '{ca}', tcp: {{{STARTTLS}}}");
    let agent = probing(own.path(), &probe, &target, 1.0);
    let equal = [
        "probe_success",
        "probe_failed",
        "probe_ssl_earliest_cert_expiry",
    ];
    compare(&agent, &blackbox, "mail", &target, &equal);
}

#[test]
fn a_service_that_ends_is_down_and_its_collector_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let web = Prometheus::start(folder.path(), "  []\n");
    let target = format!("http://{}/-/ready", web.address());
    let own = tempfile::tempdir().unwrap();
    let agent = probing(own.path(), "prober: http", &target, 1.0);
    let success = format!("probe_success{{instance=\"{target}\",job=\"x\"}}");
    drop(web);
    agent.wait_for_value(&success, |value| value == 0.0);
    let (_, exposition) = agent.get("/metrics");
    assert!(
        exposition.contains("bellwether_collector_success{collector=\"x\"} 1"),
        "{exposition}"
    );
}
