//! Collectors of the list `collectors`, in the agent: series, history, rules, reload, and the command that tries them.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::support::agent::Agent;
use crate::support::poll;

const SOON: Duration = Duration::from_secs(60);

fn configuration(directory: &Path, collectors: &str) -> String {
    format!(
        "performance_monitor:\n  collection_interval: 200ms\n  enabled_collectors: [application]\n  \
         application_metrics:\n    - {{name: jobs_total, type: counter}}\n  \
         prometheus: {{default_labels: {{host: here}}}}\n  collectors:\n    {}\n  alerting:\n    rules:\n      \
         - {{name: backup_missing, promql: 'backup_size_bytes < 1', severity: warning}}\n",
        collectors.replace("DIRECTORY", &directory.display().to_string())
    )
}

const BACKUPS: &str = "- {name: backups, type: textfile, directories: [DIRECTORY], interval: 150ms, \
                       labels: {team: storage}, limits: {series: 5}}";

fn query(agent: &Agent, promql: &str) -> String {
    let encoded: String = form_urlencoded::byte_serialize(promql.as_bytes()).collect();
    agent.get(&format!("/api/v1/query?query={encoded}")).1
}

fn wait_for(agent: &Agent, promql: &str, text: &str) {
    poll(&format!("{text} in {promql}"), SOON, || {
        query(agent, promql).contains(text).then_some(())
    });
}

#[test]
fn series_of_text_files_are_served_kept_and_evaluated_until_they_are_gone() {
    let folder = tempfile::tempdir().unwrap();
    let files = folder.path().join("files");
    fs::create_dir(&files).unwrap();
    let path = files.join("backup.prom");
    let good = "# HELP backup_size_bytes Size.\n# TYPE backup_size_bytes gauge\nbackup_size_bytes{volume=\"data\"} 0\n\
                # TYPE jobs_total gauge\njobs_total 7\n";
    fs::write(&path, good).unwrap();
    let agent = Agent::start(folder.path(), &configuration(&files, BACKUPS));

    let series = "backup_size_bytes{team=\"storage\",volume=\"data\",host=\"here\"}";
    let exposed = poll("the series in the exposition", SOON, || {
        let (_, text) = agent.get("/metrics");
        text.contains(series).then_some(text)
    });
    assert!(exposed.contains("# HELP backup_size_bytes Size.\n# TYPE backup_size_bytes gauge\n"));
    wait_for(&agent, "backup_size_bytes", "\"team\":\"storage\"");
    wait_for(&agent, "up{collector=\"backups\"}", ",\"1\"]");
    poll("the alert", SOON, || {
        agent
            .get("/api/v1/alerts")
            .1
            .contains("backup_missing")
            .then_some(())
    });
    let (_, metadata) = agent.get("/api/v1/metadata?metric=backup_size_bytes");
    assert!(metadata.contains("\"help\":\"Size.\""), "{metadata}");

    // A configured metric of another type keeps its name, and the status says so.
    let rejected = "bellwether_collector_samples_rejected_total{collector=\"backups\",reason=\"name_in_use\",host=\"here\"}";
    agent.wait_for_value(rejected, |count| count > 0.0);
    assert!(
        agent.get("/api/v1/health").1.contains("jobs_total"),
        "names the series"
    );

    // An invalid file ends its series; the error names file and line.
    fs::write(&path, "backup_size_bytes{volume=\"data\" 0\n").unwrap();
    wait_for(&agent, "up{collector=\"backups\"}", ",\"0\"]");
    wait_for(&agent, "backup_size_bytes", "\"result\":[]");
    let (_, health) = agent.get("/api/v1/health");
    assert!(
        health.contains("backup.prom: line 1: labels without a closing brace"),
        "{health}"
    );

    // Good again, then left out by a reload.
    fs::write(&path, good).unwrap();
    wait_for(&agent, "backup_size_bytes", "\"team\":\"storage\"");
    agent.write_config(&configuration(&files, "[]"));
    agent.signal("HUP");
    wait_for(&agent, "backup_size_bytes", "\"result\":[]");
    // A reload ends series in history before it swaps in the configuration that /metrics has.
    poll("the series is not on /metrics", SOON, || {
        let (_, text) = agent.get("/metrics");
        (!text.contains("backup_size_bytes")).then_some(())
    });
    assert!(agent.stop().success());
}

#[test]
fn a_text_file_is_seen_long_before_the_interval_is_over() {
    let folder = tempfile::tempdir().unwrap();
    let files = folder.path().join("files");
    fs::create_dir(&files).unwrap();
    let yaml = configuration(&files, &BACKUPS.replace("150ms", "10h"));
    let agent = Agent::start(folder.path(), &yaml);
    agent.wait_for_value("node_textfile_scrape_error", |error| error == 0.0);
    let (temporary, path) = (files.join("backup.new"), files.join("backup.prom"));
    for size in [5.0, 7.0] {
        fs::write(&temporary, format!("backup_size_bytes {size}\n")).unwrap();
        fs::rename(&temporary, &path).unwrap();
        agent.wait_for_value("backup_size_bytes", |value| value == size);
    }
    fs::remove_file(&path).unwrap();
    poll("the series ends with its file", SOON, || {
        agent.value("backup_size_bytes").is_none().then_some(())
    });
}

#[test]
fn a_flood_of_series_is_limited() {
    let folder = tempfile::tempdir().unwrap();
    let files = folder.path().join("files");
    fs::create_dir(&files).unwrap();
    let flood: String = (0..2000)
        .map(|series| format!("flood{{i=\"{series}\"}} 1\n"))
        .collect();
    fs::write(files.join("flood.prom"), flood).unwrap();
    let agent = Agent::start(folder.path(), &configuration(&files, BACKUPS));
    let rejected = "bellwether_collector_samples_rejected_total{collector=\"backups\",reason=\"limit\",host=\"here\"}";
    agent.wait_for_value(rejected, |count| count > 0.0);
    let series = "bellwether_collector_series{collector=\"backups\",host=\"here\"}";
    assert_eq!(agent.value(series), Some(5.0));
    assert_eq!(agent.get("/metrics").1.matches("flood{").count(), 5);
    assert!(agent.stop().success());
}

fn test_collector(folder: &Path, arguments: &[&str]) -> (bool, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_bellwether"))
        .arg("test-collector")
        .args(arguments)
        .arg("--config")
        .arg(folder.join("bellwether.yaml"))
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.success(),
        text(output.stdout),
        text(output.stderr),
    )
}

#[test]
fn a_collector_is_tried_without_an_agent() {
    let folder = tempfile::tempdir().unwrap();
    let files = folder.path().join("files");
    fs::create_dir(&files).unwrap();
    fs::write(files.join("a.prom"), "a 1\n").unwrap();
    let configuration = configuration(&files, BACKUPS);
    fs::write(folder.path().join("bellwether.yaml"), configuration).unwrap();
    let (good, series, summary) = test_collector(folder.path(), &["backups"]);
    assert!(
        good && series.contains("a{team=\"storage\",host=\"here\"} 1\n"),
        "{series}{summary}"
    );
    assert!(summary.starts_with("backups: 3 series in "), "{summary}");

    fs::write(files.join("b.prom"), "b\n").unwrap();
    let (good, series, summary) = test_collector(folder.path(), &["--quiet"]);
    assert!(!good && series.is_empty(), "{series}");
    assert!(summary.contains("b.prom: line 1: no value"), "{summary}");
    let (good, _, summary) = test_collector(folder.path(), &["backup"]);
    assert!(
        !good && summary.contains("there is no enabled collector \"backup\"; did you mean"),
        "{summary}"
    );
}

#[test]
fn a_source_that_was_never_there_is_no_failure_of_a_try() {
    let folder = tempfile::tempdir().unwrap();
    let configuration = "performance_monitor:\n  enabled_collectors: [neo4j]\n  neo4j_metrics:\n    uri: bolt://127.0.0.1:1\n";
    fs::write(folder.path().join("bellwether.yaml"), configuration).unwrap();
    let (good, _, summary) = test_collector(folder.path(), &["neo4j"]);
    let unseen = "neo4j: source was never seen; not counted as a failure: bolt://127.0.0.1:1: ";
    assert!(good && summary.contains(unseen), "{summary}");
}

const PUSHGATEWAY: &str =
    "- {name: batch, type: pushgateway, interval: 150ms, limits: {series: 100}}";

/// Answers a request with a text as its body: status and text.
fn send(agent: &Agent, method: &str, path: &str, body: &str) -> (u16, String) {
    let url = format!("http://{}{path}", agent.address());
    let output = Command::new("curl")
        .args([
            "-s",
            "-X",
            method,
            "-w",
            "\n%{http_code}",
            "--data-binary",
            "@-",
            &url,
        ])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .and_then(|mut curl| {
            use std::io::Write;
            if let Some(mut input) = curl.stdin.take() {
                input.write_all(body.as_bytes())?;
            }
            curl.wait_with_output()
        })
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let (text, status) = text.rsplit_once('\n').unwrap();
    (status.parse().unwrap(), text.to_owned())
}

#[test]
fn pushed_metrics_are_kept_over_a_kill_until_they_are_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let configuration = configuration(folder.path(), PUSHGATEWAY);
    let agent = Agent::start(folder.path(), &configuration);
    let text = "# TYPE rows_total counter\nrows_total{table=\"orders\"} 5\n";
    let pushed = send(&agent, "PUT", "/metrics/job/import/instance/db1", text);
    assert_eq!(pushed, (200, String::new()));
    wait_for(
        &agent,
        "rows_total{job=\"import\", instance=\"db1\", table=\"orders\"}",
        ",\"5\"]",
    );
    wait_for(&agent, "push_time_seconds{job=\"import\"}", "db1");

    let (status, error) = send(
        &agent,
        "POST",
        "/metrics/job/import/instance/db1",
        "rows_total 1\nbad\n",
    );
    assert!(
        status == 400 && error.contains("line 2: no value"),
        "{status} {error}"
    );
    wait_for(
        &agent,
        "push_failure_time_seconds{job=\"import\"} > 0",
        "db1",
    );

    agent.kill();
    let agent = Agent::start(folder.path(), &configuration);
    let series = "rows_total{instance=\"db1\",job=\"import\",table=\"orders\",host=\"here\"}";
    agent.wait_for_value(series, |value| value == 5.0);
    let deleted = send(&agent, "DELETE", "/metrics/job/import/instance/db1", "");
    assert_eq!(deleted, (202, String::new()));
    wait_for(&agent, "rows_total", "\"result\":[]");
    assert!(agent.stop().success());
}

#[test]
fn a_push_that_nothing_receives_is_an_error_with_a_hint() {
    let folder = tempfile::tempdir().unwrap();
    let agent = Agent::start(folder.path(), &configuration(folder.path(), "[]"));
    let (status, error) = send(&agent, "PUT", "/metrics/job/import", "rows_total 5\n");
    assert!(
        status == 400 && error.contains("type: pushgateway"),
        "{status} {error}"
    );
    assert!(agent.stop().success());
}

#[test]
fn a_check_warns_of_a_collector_that_is_slow_for_its_interval() {
    let folder = tempfile::tempdir().unwrap();
    let configuration = |interval: &str| {
        let slow = format!(
            "- {{name: slow, type: exec, command: [/bin/sleep, '0.3'], interval: {interval}}}"
        );
        let yaml = configuration(folder.path(), &slow);
        yaml.replace("  alerting:", "  alerting:\n    allow_exec: true")
    };
    let agent = Agent::start(folder.path(), &configuration("500ms"));
    agent.wait_for_value(
        "bellwether_collector_duration_seconds{collector=\"slow\",host=\"here\"}",
        |seconds| seconds > 0.25,
    );
    let check = || {
        let output = Command::new(env!("CARGO_BIN_EXE_bellwether"))
            .args(["check", "bellwether.yaml"])
            .current_dir(folder.path())
            .env("STATE_DIRECTORY", folder.path().join("state"))
            .output()
            .unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    };
    let warned = check();
    assert!(
        warned.contains(".collectors[0].name: the last collection of \"slow\" took 0.3 s, more than half of its interval of 500ms"),
        "{warned}"
    );
    // The interval that counts is that of the file, which a reload would take.
    agent.write_config(&configuration("5s"));
    let fine = check();
    assert!(!fine.contains("slow"), "{fine}");
    assert!(agent.stop().success());
}
