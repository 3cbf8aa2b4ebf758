//! A new configuration is swapped in whole or not at all, under load, and what was known stays.

use std::io::Write;
use std::net::{TcpStream, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tempfile::TempDir;

use crate::support::agent::Agent;
use crate::support::free_port;
use crate::{queue_rule, set_queue};

#[test]
fn counters_and_alerts_survive_reloads_under_load() {
    let folder = TempDir::new().unwrap();
    let yaml = queue_rule("{type: log}");
    let agent = Arc::new(Agent::start(folder.path(), &yaml));
    set_queue(&agent, "mail", 42.0);
    agent.wait_for_value("bellwether_alerts{state=\"firing\"", |firing| firing == 1.0);

    let (stop, accepted) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU64::new(0)),
    );
    let load = {
        let (agent, stop, accepted) = (agent.clone(), stop.clone(), accepted.clone());
        std::thread::spawn(move || {
            let body = r#"[{"metric":"jobs","labels":{"queue_name":"mail"},"inc":1}]"#;
            while !stop.load(Ordering::SeqCst) {
                assert_eq!(agent.post("/api/v1/record", body).0, 200);
                accepted.fetch_add(1, Ordering::SeqCst);
            }
        })
    };
    for round in 0..5 {
        // The threshold changes, a metric comes and goes; neither touches what stays.
        let changed = yaml
            .replace("threshold: 10", &format!("threshold: {}", 11 + round))
            .replace(
                "    - {name: jobs",
                &format!("    - {{name: extra_{round}, type: gauge}}\n    - {{name: jobs"),
            );
        agent.write_config(&changed);
        assert_eq!(agent.post("/-/reload", "").0, 200);
    }
    stop.store(true, Ordering::SeqCst);
    load.join().unwrap();
    assert!(accepted.load(Ordering::SeqCst) > 0);
    assert_eq!(
        agent.value("test_jobs{"),
        Some(accepted.load(Ordering::SeqCst) as f64)
    );
    assert_eq!(agent.value("bellwether_alerts{state=\"firing\""), Some(1.0));
    let fired = agent
        .log()
        .iter()
        .filter(|line| line.contains("=> firing"))
        .count();
    assert_eq!(fired, 1, "fired again after a reload");
    assert_eq!(
        agent.value("bellwether_reloads_total{result=\"success\""),
        Some(5.0)
    );
}

#[test]
fn a_broken_configuration_changes_nothing_and_says_why() {
    let folder = TempDir::new().unwrap();
    let yaml = queue_rule("{type: log}");
    let agent = Agent::start(folder.path(), &yaml);
    set_queue(&agent, "mail", 5.0);
    agent.write_config(&yaml.replace("threshold: 10", "treshold: 10"));
    let (status, body) = agent.post("/-/reload", "");
    assert_eq!(status, 500);
    assert!(
        body.contains("bellwether.yaml:14:") && body.contains("did you mean \"threshold\"?"),
        "{body}"
    );
    agent.signal("HUP");
    agent.wait_for_value("bellwether_reloads_total{result=\"failure\"", |failed| {
        failed == 2.0
    });
    assert_eq!(
        agent.value("bellwether_config_last_reload_successful"),
        Some(0.0)
    );
    assert_eq!(agent.value("test_queue_length{"), Some(5.0));
    agent.write_config(&yaml);
    agent.signal("HUP");
    agent.wait_for_value("bellwether_config_last_reload_successful", |good| {
        good == 1.0
    });
}

#[test]
fn a_reload_finds_new_and_removed_files() {
    let folder = TempDir::new().unwrap();
    let yaml = format!("include: ['conf.d/*.yaml']\n{}", queue_rule("{type: log}"));
    let agent = Agent::start(folder.path(), &yaml);
    let directory = folder.path().join("conf.d");
    std::fs::create_dir_all(&directory).unwrap();
    let added = directory.join("mail.yaml");
    let rule = "performance_monitor:\n  alerting:\n    rules:\n      \
                - {name: mails, metric: queue_length, condition: '>', threshold: 10, severity: info}\n";
    std::fs::write(&added, rule).unwrap();
    let (status, body) = agent.post("/-/reload", "");
    assert_eq!(status, 200, "{body}");
    assert!(
        body.contains("2 rules; new ") && body.contains("mail.yaml"),
        "{body}"
    );
    set_queue(&agent, "mail", 42.0);
    agent.wait_for_log(&["mails", "=> firing"]);

    // A broken one leaves everything as it was.
    let broken = directory.join("broken.yaml");
    std::fs::write(&broken, "performance_monitor: {intervl: 3}\n").unwrap();
    let (status, body) = agent.post("/-/reload", "");
    assert_eq!(status, 500);
    assert!(
        body.contains("conf.d/broken.yaml:1:23: performance_monitor.intervl"),
        "{body}"
    );
    std::fs::remove_file(&broken).unwrap();

    std::fs::remove_file(&added).unwrap();
    agent.signal("HUP");
    agent.wait_for_log(&["reloaded: ", "1 rule; removed ", "mail.yaml"]);
    agent.wait_for_log(&["mails", "firing => inactive"]);
}

#[test]
fn a_rule_that_is_taken_out_resolves_its_alerts() {
    let folder = TempDir::new().unwrap();
    let yaml = queue_rule("{type: log}");
    let agent = Agent::start(folder.path(), &yaml);
    set_queue(&agent, "mail", 42.0);
    agent.wait_for_log(&["=> firing"]);
    let (rules, _) = yaml.split_once("    rules:").unwrap();
    agent.write_config(rules);
    assert_eq!(agent.post("/-/reload", "").0, 200);
    agent.wait_for_log(&["firing => inactive", "backlog"]);
}

#[test]
fn another_port_is_taken_at_a_reload_and_a_port_in_use_is_rejected() {
    let folder = TempDir::new().unwrap();
    let (first, second) = (crate::support::free_port(), crate::support::free_port());
    let yaml = |port: u16| {
        queue_rule("{type: log}").replace(
            "metric_prefix: test",
            &format!("metric_prefix: test\n    host: 127.0.0.1\n    port: {port}"),
        )
    };
    std::fs::write(folder.path().join("bellwether.yaml"), yaml(first)).unwrap();
    let agent = Agent::start_with(folder.path(), &[]);
    let holder = std::net::TcpListener::bind(("127.0.0.1", second)).unwrap();
    agent.write_config(&yaml(second));
    let (status, body) = agent.post("/-/reload", "");
    assert_eq!(status, 500);
    assert!(body.contains("address already in use"), "{body}");
    drop(holder);
    assert_eq!(agent.post("/-/reload", "").0, 200);
    let moved = std::net::SocketAddr::from(([127, 0, 0, 1], second));
    crate::support::poll(
        "the new port answers",
        std::time::Duration::from_secs(10),
        || crate::support::agent::request(moved, "GET", "/-/healthy", &[], "").ok(),
    );
}

#[test]
fn statsd_loses_no_line_over_reloads_and_moves_as_declared() {
    let folder = TempDir::new().unwrap();
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let (first, second) = (free_port(), taken.local_addr().unwrap().port());
    let yaml = |statsd: &str| {
        let section = format!("  application: {{{statsd}}}\n  prometheus:");
        queue_rule("{type: log}").replacen("  prometheus:", &section, 1)
    };
    let listen = |port: u16| yaml(&format!("statsd: {{listen: \"127.0.0.1:{port}\"}}"));
    let agent = Agent::start(folder.path(), &listen(first));
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let send = |port: u16| {
        socket
            .send_to(b"jobs:1|c|#queue_name:mail", ("127.0.0.1", port))
            .unwrap();
    };
    for _ in 0..5 {
        (0..20).for_each(|_| send(first));
        assert_eq!(agent.post("/-/reload", "").0, 200);
    }
    agent.wait_for_value("test_jobs{", |count| count == 100.0);

    agent.write_config(&listen(second));
    let (status, body) = agent.post("/-/reload", "");
    assert_eq!(status, 500);
    assert!(
        body.contains(&format!("cannot listen for StatsD on 127.0.0.1:{second}")),
        "{body}"
    );
    send(first);
    agent.wait_for_value("test_jobs{", |count| count == 101.0);

    drop(taken);
    assert_eq!(agent.post("/-/reload", "").0, 200);
    send(second);
    agent.wait_for_value("test_jobs{", |count| count == 102.0);
    UdpSocket::bind(("127.0.0.1", first)).expect("the first port is free again");

    agent.write_config(&yaml(""));
    assert_eq!(agent.post("/-/reload", "").0, 200);
    UdpSocket::bind(("127.0.0.1", second)).expect("no port is held without a configuration");
}

#[test]
fn statsd_connections_survive_reloads_and_a_socket_leaves_no_file() {
    let folder = TempDir::new().unwrap();
    let (udp, tcp, path) = (free_port(), free_port(), folder.path().join("lines.sock"));
    let yaml = |more: &str| {
        let statsd =
            format!("{{listen: \"127.0.0.1:{udp}\", listen_tcp: \"127.0.0.1:{tcp}\"{more}}}");
        let section = format!("  application: {{statsd: {statsd}}}\n  prometheus:");
        queue_rule("{type: log}").replacen("  prometheus:", &section, 1)
    };
    let with_file = yaml(&format!(", listen_unix: {}", path.display()));
    let agent = Agent::start(folder.path(), &with_file);
    let mut stream = TcpStream::connect(("127.0.0.1", tcp)).unwrap();
    let datagrams = UnixDatagram::unbound().unwrap();
    for _ in 0..5 {
        stream.write_all(b"jobs:1|c|#queue_name:mail\n").unwrap();
        datagrams
            .send_to(b"jobs:1|c|#queue_name:mail", &path)
            .unwrap();
        assert_eq!(agent.post("/-/reload", "").0, 200);
    }
    agent.wait_for_value("test_jobs{", |count| count == 10.0);

    agent.write_config(&yaml(""));
    assert_eq!(agent.post("/-/reload", "").0, 200);
    assert!(!path.exists());
    agent.write_config(&yaml(", listen_unix: /proc/none"));
    let (status, body) = agent.post("/-/reload", "");
    assert_eq!(status, 500);
    assert!(
        body.contains("cannot listen for StatsD on /proc/none"),
        "{body}"
    );
    stream.write_all(b"jobs:1|c|#queue_name:mail\n").unwrap();
    agent.wait_for_value("test_jobs{", |count| count == 11.0);
}
