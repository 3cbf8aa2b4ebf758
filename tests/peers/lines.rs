//! The collector of type `statsd` beside statsd_exporter, with one mapping file and the same lines.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::net::{TcpStream, UdpSocket};
use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;

use crate::support::agent::{Agent, request};
use crate::support::process::Process;
use crate::support::{free_port, poll};

const PATIENCE: Duration = Duration::from_secs(20);

/// Programs in Go that `scripts/need` installs.
const GO_TOOLS: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/../go/bin");

const MAPPING: &str = include_str!("lines/mapping.yml");
const LINES: &str = include_str!("lines/lines.txt");

/// Values by series, sorted labels, of the metrics that lines make.
fn series(exposition: &str) -> BTreeMap<String, String> {
    let own = [
        "go_",
        "process_",
        "promhttp_",
        "statsd_",
        "bellwether_",
        "up{",
    ];
    let lines = exposition.lines().filter(|line| !line.starts_with('#'));
    let lines = lines.filter(|line| !own.iter().any(|prefix| line.starts_with(prefix)));
    lines
        .filter_map(|line| line.rsplit_once(' '))
        .map(|(series, value)| (series.to_owned(), value.to_owned()))
        .collect()
}

/// Types of the metrics of these series.
fn types(exposition: &str, series: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let types = exposition
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "));
    types
        .filter_map(|family| family.split_once(' '))
        .filter(|(name, _)| series.keys().any(|key| key.starts_with(name)))
        .map(|(name, kind)| (name.to_owned(), kind.to_owned()))
        .collect()
}

/// Sends each line over UDP, and all of them over TCP.
fn send(port: u16) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut stream = poll("it listens", PATIENCE, || {
        TcpStream::connect(("127.0.0.1", port)).ok()
    });
    for line in LINES.lines() {
        socket
            .send_to(line.as_bytes(), ("127.0.0.1", port))
            .unwrap();
    }
    stream.write_all(LINES.as_bytes()).unwrap();
}

fn peer(folder: &Path, lines: u16, http: u16) -> Process {
    let mapping = folder.join("statsd_mapping.yml");
    fs::write(&mapping, MAPPING).unwrap();
    let arguments = [
        format!("--statsd.mapping-config={}", mapping.display()),
        format!("--statsd.listen-udp=127.0.0.1:{lines}"),
        format!("--statsd.listen-tcp=127.0.0.1:{lines}"),
        format!("--web.listen-address=127.0.0.1:{http}"),
    ];
    let program = format!("{GO_TOOLS}/statsd_exporter");
    Process::start(&program, &arguments.each_ref().map(String::as_str))
}

#[test]
fn a_mapping_file_makes_the_series_of_statsd_exporter() {
    let folder = TempDir::new().unwrap();
    let (theirs, http, ours) = (free_port(), free_port(), free_port());
    let _peer = peer(folder.path(), theirs, http);
    let yaml = format!(
        "performance_monitor:\n  enabled_collectors: []\n  collectors:\n\
         \x20   - {{name: x, type: statsd, interval: 300ms, listen: '127.0.0.1:{ours}', listen_tcp: '127.0.0.1:{ours}',\n\
         \x20      dialect: statsd, mapping_file: statsd_mapping.yml, accept: ['.*']}}\n"
    );
    let agent = Agent::start(folder.path(), &yaml);
    send(theirs);
    send(ours);
    // The last line of each way.
    let wanted = |exposition: &str| exposition.lines().any(|line| line == "last_total 2");
    let expected = poll("statsd_exporter has all", PATIENCE, || {
        let answer = request(([127, 0, 0, 1], http).into(), "GET", "/metrics", &[], "");
        answer
            .ok()
            .map(|(_, body)| body)
            .filter(|body| wanted(body))
    });
    let found = poll("the agent has all", PATIENCE, || {
        Some(agent.get("/metrics").1).filter(|body| wanted(body))
    });
    let (expected_series, mut found_series) = (series(&expected), series(&found));
    assert!(expected_series.len() > 25, "{expected}");
    // Quantiles are within 1.6 %.
    for (name, value) in &mut found_series {
        let peer: f64 = expected_series.get(name).unwrap_or(value).parse().unwrap();
        let own: f64 = value.parse().unwrap();
        if name.contains("quantile=") && (own - peer).abs() <= 0.016 * peer {
            value.clone_from(&expected_series[name]);
        }
    }
    assert_eq!(found_series, expected_series);
    assert_eq!(
        types(&found, &found_series),
        types(&expected, &expected_series)
    );
    // What it makes of the same number of lines.
    let count = |exposition: &str, name: &str| {
        let line = exposition.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok())
    };
    for name in [
        "statsd_exporter_events_total{collector=\"x\",type=\"gauge\"}",
        "statsd_exporter_events_actions_total{action=\"drop\"",
        "statsd_exporter_events_unmapped_total",
    ] {
        let theirs = name.replace("collector=\"x\",", "");
        assert_eq!(count(&found, name), count(&expected, &theirs), "{name}");
    }
}

#[test]
fn a_reload_reads_the_mapping_file_again_and_keeps_connections_and_values() {
    let folder = TempDir::new().unwrap();
    let port = free_port();
    let mapping = folder.path().join("statsd_mapping.yml");
    fs::write(
        &mapping,
        "mappings: [{match: 'a.*', name: a_total, labels: {x: $1}}]",
    )
    .unwrap();
    let socket = folder.path().join("lines.sock");
    let yaml = format!(
        "performance_monitor:\n  enabled_collectors: []\n  collectors:\n\
         \x20   - {{name: x, type: statsd, interval: 300ms, listen: '127.0.0.1:{port}', listen_tcp: '127.0.0.1:{port}',\n\
         \x20      listen_unix: '{}', mapping_file: statsd_mapping.yml}}\n",
        socket.display()
    );
    let agent = Agent::start(folder.path(), &yaml);
    let mut stream = poll("it listens", PATIENCE, || {
        TcpStream::connect(("127.0.0.1", port)).ok()
    });
    let one = "a_total{x=\"1\"}";
    stream.write_all(b"a.1:1|c\nb.1:1|c\n").unwrap();
    agent.wait_for_value(one, |value| value == 1.0);
    let rejected =
        "bellwether_collector_samples_rejected_total{collector=\"x\",reason=\"not_accepted\"}";
    agent.wait_for_value(rejected, |value| value == 1.0);

    fs::write(&mapping, "mappings: [{match: 'a.*.', name: a_total}]").unwrap();
    let (status, body) = agent.post("/-/reload", "");
    assert_eq!(status, 500);
    assert!(body.contains("statsd_mapping.yml:1:"), "{body}");
    fs::write(
        &mapping,
        "mappings: [{match: '*.*', name: '${1}_total', labels: {x: $2}}]",
    )
    .unwrap();
    assert_eq!(agent.post("/-/reload", "").0, 200);
    poll("the new mappings apply", PATIENCE, || {
        stream.write_all(b"b.1:1|c\n").unwrap();
        agent.value("b_total{x=\"1\"}")
    });
    stream.write_all(b"a.1:1|c\n").unwrap();
    agent.wait_for_value(one, |value| value == 2.0);

    assert!(socket.exists());
    agent.stop();
    assert!(!socket.exists());
}
