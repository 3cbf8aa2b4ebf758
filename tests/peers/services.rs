//! Collectors of services beside the exporters of their peers: nginx, Apache, memcached and Redis.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;

use crate::support::agent::{Agent, request};
use crate::support::certificates::Certificates;
use crate::support::presets::has_dashboard;
use crate::support::process::Process;
use crate::support::{free_port, poll};

const PATIENCE: Duration = Duration::from_secs(20);

/// Starts an agent with one collector `x`.
fn agent(folder: &Path, settings: &str) -> Agent {
    let yaml = format!(
        "performance_monitor:\n  enabled_collectors: []\n  collectors:\n\
         \x20   - {{name: x, interval: 300ms, {settings}}}\n"
    );
    Agent::start(folder, &yaml)
}

/// Waits for the exposition of an exporter, once it has the series `up`.
fn exposition(port: u16, up: &str) -> String {
    poll(&format!("an exporter has {up}"), PATIENCE, || {
        let answer = request(([127, 0, 0, 1], port).into(), "GET", "/metrics", &[], "");
        let (_, body) = answer.ok()?;
        body.lines().any(|line| line == up).then_some(body)
    })
}

/// Types and series, sorted labels, of the metrics whose names begin with `prefix`.
fn series(exposition: &str, prefix: &str) -> BTreeSet<String> {
    let lines = exposition.lines().filter_map(|line| {
        if let Some(family) = line.strip_prefix("# TYPE ") {
            return family.starts_with(prefix).then(|| family.to_owned());
        }
        let series = line.rsplit_once(' ')?.0;
        line.starts_with(prefix).then(|| sorted(series))
    });
    lines.collect()
}

fn sorted(series: &str) -> String {
    let (name, labels) = series.split_once('{').unwrap_or((series, ""));
    let mut labels: Vec<&str> = labels.trim_end_matches('}').split("\",").collect();
    labels.sort_unstable();
    let labels: Vec<&str> = labels
        .iter()
        .map(|label| label.trim_end_matches('"'))
        .collect();
    format!("{name} {}", labels.join(","))
}

/// Kills the server: the collector says so, and its series end. Starts it again: they are back.
fn survives(agent: &Agent, up: &str, other: &str, server: Process, restart: impl Fn() -> Process) {
    drop(server);
    agent.wait_for_value(up, |value| value == 0.0);
    let (_, text) = agent.get("/metrics");
    assert!(!text.contains(other), "{text}");
    assert!(
        text.contains("bellwether_collector_success{collector=\"x\"} 0"),
        "{text}"
    );
    let _server = restart();
    agent.wait_for_value(up, |value| value == 1.0);
    assert!(agent.get("/metrics").1.contains(other));
}

fn nginx(folder: &Path, port: u16) -> Process {
    let place = folder.display();
    let config = format!(
        "daemon off; master_process off; pid {place}/pid; error_log {place}/error.log; events {{}}\n\
         http {{ access_log off; client_body_temp_path {place}/a; proxy_temp_path {place}/b; fastcgi_temp_path {place}/c;\n\
         uwsgi_temp_path {place}/d; scgi_temp_path {place}/e;\n\
         server {{ listen 127.0.0.1:{port}; location /stub_status {{ stub_status; }} }} }}\n"
    );
    let file = folder.join("nginx.conf");
    fs::write(&file, config).unwrap();
    let file = file.display().to_string();
    Process::start("nginx", &["-e", "stderr", "-c", &file])
}

#[test]
fn nginx_has_the_series_of_its_exporter() {
    let folder = TempDir::new().unwrap();
    let (port, exporter) = (free_port(), free_port());
    let server = nginx(folder.path(), port);
    let url = format!("http://127.0.0.1:{port}/stub_status");
    let address = format!("127.0.0.1:{exporter}");
    let arguments = [
        "-nginx.scrape-uri",
        &url,
        "-nginx.retries",
        "20",
        "-web.listen-address",
        &address,
    ];
    let _peer = Process::start("prometheus-nginx-exporter", &arguments);
    let agent = agent(folder.path(), &format!("type: nginx, url: '{url}'"));
    agent.wait_for_value("nginx_up", |value| value == 1.0);
    let theirs = series(&exposition(exporter, "nginx_up 1"), "nginx_");
    assert_eq!(series(&agent.get("/metrics").1, "nginx_"), theirs);
    agent.wait_for_value("nginx_http_requests_total", |requests| requests > 3.0);
    has_dashboard(&agent, "nginx", "nginx_");
    let restart = || nginx(folder.path(), port);
    survives(
        &agent,
        "nginx_up",
        "nginx_connections_active",
        server,
        restart,
    );
}

fn apache(folder: &Path, port: u16) -> Process {
    let place = folder.display();
    let config = format!(
        "ServerRoot /usr/lib/apache2\nServerName localhost\nListen 127.0.0.1:{port}\nUser nobody\nGroup nogroup\n\
         PidFile {place}/apache.pid\nDefaultRuntimeDir {place}\nErrorLog {place}/apache.log\n\
         LoadModule mpm_event_module modules/mod_mpm_event.so\n\
         LoadModule authz_core_module modules/mod_authz_core.so\n\
         LoadModule status_module modules/mod_status.so\n\
         ExtendedStatus On\n<Location \"/server-status\">\nSetHandler server-status\n</Location>\n"
    );
    let file = folder.join("apache.conf");
    fs::write(&file, config).unwrap();
    // One process, so that none is left behind.
    Process::start("apache2", &["-X", "-f", &file.display().to_string()])
}

#[test]
fn apache_has_the_series_of_its_exporter() {
    let folder = TempDir::new().unwrap();
    let (port, exporter) = (free_port(), free_port());
    let server = apache(folder.path(), port);
    let url = format!("http://127.0.0.1:{port}/server-status?auto");
    let arguments = [
        format!("--scrape_uri={url}"),
        format!("--telemetry.address=127.0.0.1:{exporter}"),
    ];
    let arguments = arguments.each_ref().map(String::as_str);
    let _peer = Process::start("prometheus-apache-exporter", &arguments);
    let agent = agent(folder.path(), &format!("type: apache, url: '{url}'"));
    agent.wait_for_value("apache_up", |value| value == 1.0);
    // CPULoad is on the page from the first CPU time on, and their series is there before.
    let known = |exposition: &str| {
        let mut series = series(exposition, "apache_");
        series.retain(|line| {
            !line.starts_with("apache_exporter")
                && !line.starts_with("apache_cpuload")
                && !line.starts_with("apache_version")
        });
        series
    };
    let theirs = known(&exposition(exporter, "apache_up 1"));
    assert_eq!(known(&agent.get("/metrics").1), theirs);
    agent.wait_for_value("apache_accesses_total", |requests| requests > 3.0);
    has_dashboard(&agent, "apache", "apache_");
    let restart = || apache(folder.path(), port);
    survives(&agent, "apache_up", "apache_workers", server, restart);
}

#[test]
fn memcached_has_what_it_counts() {
    let folder = TempDir::new().unwrap();
    let port = free_port();
    let start = || {
        let port = port.to_string();
        Process::start(
            "memcached",
            &["-u", "nobody", "-l", "127.0.0.1", "-p", &port],
        )
    };
    let server = start();
    let agent = agent(
        folder.path(),
        &format!("type: memcached, address: '127.0.0.1:{port}'"),
    );
    agent.wait_for_value("memcached_up", |value| value == 1.0);
    let mut client = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let commands = b"set a 0 0 1 noreply\r\nx\r\nget a\r\nget a\r\nget b\r\n";
    client.write_all(commands).unwrap();
    for (series, expected) in [
        (
            "memcached_commands_total{command=\"get\",status=\"hit\"}",
            2.0,
        ),
        (
            "memcached_commands_total{command=\"get\",status=\"miss\"}",
            1.0,
        ),
        (
            "memcached_commands_total{command=\"set\",status=\"hit\"}",
            1.0,
        ),
        ("memcached_current_items", 1.0),
        ("memcached_max_connections", 1024.0),
    ] {
        agent.wait_for_value(series, |value| value == expected);
    }
    has_dashboard(&agent, "memcached", "memcached_");
    survives(&agent, "memcached_up", "memcached_version", server, start);
}

fn redis(folder: &Path, arguments: &[&str]) -> Process {
    let place = folder.display().to_string();
    let own = ["--save", "", "--dir", &place, "--bind", "127.0.0.1"];
    Process::start("redis-server", &[&own, arguments].concat())
}

fn send_to_redis(port: u16, commands: &str) {
    let mut client = poll("redis listens", PATIENCE, || {
        TcpStream::connect(("127.0.0.1", port)).ok()
    });
    client.write_all(commands.as_bytes()).unwrap();
}

#[test]
fn redis_has_the_series_of_its_exporter() {
    let folder = TempDir::new().unwrap();
    let (port, exporter) = (free_port(), free_port());
    let start = || redis(folder.path(), &["--port", &port.to_string()]);
    let server = start();
    send_to_redis(port, "SET a x EX 1000\r\nGET a\r\nGET b\r\nBAD\r\nQUIT\r\n");
    let arguments = [
        "-redis.addr".to_owned(),
        format!("redis://127.0.0.1:{port}"),
        "-web.listen-address".to_owned(),
        format!("127.0.0.1:{exporter}"),
    ];
    let arguments = arguments.each_ref().map(String::as_str);
    let _peer = Process::start("prometheus-redis-exporter", &arguments);
    let agent = agent(
        folder.path(),
        &format!("type: redis, url: 'redis://127.0.0.1:{port}'"),
    );
    agent.wait_for_value("redis_up", |value| value == 1.0);
    let theirs = series(&exposition(exporter, "redis_up 1"), "redis_");
    agent.wait_for_value("redis_commands_total{cmd=\"get\"}", |calls| calls == 2.0);
    agent.wait_for_value("redis_db_keys{db=\"db0\"}", |keys| keys == 1.0);
    let ours = series(&agent.get("/metrics").1, "redis_");
    // About the exporter itself; and quantiles that are percentages, which OpenMetrics does not allow.
    let left_out = [
        "redis_exporter_",
        "redis_last_key_groups_scrape_duration",
        "redis_target_scrape_request_errors",
        "redis_latency_percentiles_usec",
        // Its own commands.
        "redis_commands_",
    ];
    let missing: Vec<&String> = theirs
        .difference(&ours)
        .filter(|line| !left_out.iter().any(|prefix| line.starts_with(prefix)))
        .collect();
    assert!(missing.is_empty(), "{missing:#?}");
    has_dashboard(&agent, "redis", "redis_");
    survives(&agent, "redis_up", "redis_instance_info", server, start);
}

#[test]
fn redis_with_tls_and_a_password_is_reached_and_the_password_is_never_shown() {
    let folder = TempDir::new().unwrap();
    let port = free_port();
    let files = Certificates::write(folder.path(), "redis");
    let tls_port = port.to_string();
    let _server = redis(
        folder.path(),
        &[
            "--port",
            "0",
            "--tls-port",
            &tls_port,
            "--tls-auth-clients",
            "no",
            "--tls-cert-file",
            &files.certificate,
            "--tls-key-file",
            &files.key,
            "--tls-ca-cert-file",
            &files.authority,
            "--requirepass",
            "sesame-123",
        ],
    );
    let secret = folder.path().join("password");
    fs::write(&secret, "wr0ng-secret\n").unwrap();
    let settings = format!(
        "type: redis, url: 'rediss://127.0.0.1:{port}', ca_file: {}, password_file: {}",
        files.authority,
        secret.display()
    );
    let agent = agent(folder.path(), &settings);
    let health = poll("the password is wrong", PATIENCE, || {
        let (_, health) = agent.get("/api/v1/health");
        health
            .to_ascii_lowercase()
            .contains("password")
            .then_some(health)
    });
    assert!(!health.contains("wr0ng-secret"), "{health}");
    assert_eq!(agent.value("redis_up"), Some(0.0));
    fs::write(&secret, "sesame-123\n").unwrap();
    agent.wait_for_value("redis_up", |value| value == 1.0);
    let (_, text) = agent.get("/metrics");
    assert!(
        text.contains("redis_instance_info{") && !text.contains("sesame"),
        "{text}"
    );
}
