//! `bellwether backtest` over a folder and over a real Prometheus that hold the same samples.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bellwether_core::{LabelSet, UnixMillis};
use bellwether_tsdb::history::{History, Options};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::agent::Agent;
use crate::support::prometheus::Prometheus;

const STEP: i64 = 15;
const STEPS: i64 = 4 * 3600 / STEP;

/// Seconds since the epoch, a while ago and at a whole step.
fn start() -> i64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs() as i64;
    (now - 6 * 3600) / 600 * 600
}

/// Up over 90 from 01:00 to 01:20 and for one minute at 03:00.
fn disk(step: i64) -> f64 {
    match step * STEP {
        3600..4800 | 10_800..10_860 => 95.0,
        _ => 40.0,
    }
}

fn samples(start: i64) -> impl Iterator<Item = (i64, &'static str, f64)> {
    (0..STEPS).flat_map(move |step| {
        let at = start + step * STEP;
        [(at, "/", disk(step)), (at, "/var", 10.0)]
    })
}

fn configuration(folder: &Path, name: &str, duration: &str) -> PathBuf {
    let file = folder.join(name);
    let text = format!(
        "performance_monitor:
  collection_interval: 15
  enabled_collectors: [system]
  system_metrics: [{{name: disk_usage_percent, type: gauge}}]
  prometheus: {{metric_prefix: x}}
  alerting:
    notifications: {{channels: [{{type: log, name: everybody}}, {{type: log, name: pager, min_severity: critical}}]}}
    rules:
      - {{name: disk_full, metric: disk_usage_percent, condition: '>', threshold: 90, duration: {duration}}}
      - {{name: quiet, metric: disk_usage_percent, condition: '>', threshold: 99, severity: critical}}
      - {{name: as_promql, promql: 'max by (mount_point) (x_disk_usage_percent) > 90', duration: {duration}, severity: critical}}
"
    );
    std::fs::write(&file, text).unwrap();
    file
}

fn backtest(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_bellwether"))
        .arg("backtest")
        .args(arguments)
        .output();
    let output = output.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    String::from_utf8(output.stdout).unwrap()
}

/// The samples in a Prometheus.
fn prometheus(folder: &Path, start: i64) -> Prometheus {
    let page = folder.join("page.txt");
    let mut text = String::from("# TYPE x_disk_usage_percent gauge\n");
    let mut all: Vec<_> = samples(start).collect();
    all.sort_by_key(|(_, mount, _)| *mount);
    for (at, mount, value) in all {
        writeln!(
            text,
            "x_disk_usage_percent{{mount_point=\"{mount}\"}} {value} {at}"
        )
        .unwrap();
    }
    std::fs::write(&page, text + "# EOF\n").unwrap();
    let made = Command::new("promtool")
        .args(["tsdb", "create-blocks-from", "openmetrics"])
        .args([&page, &folder.join("prometheus")])
        .output()
        .unwrap();
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    Prometheus::start(folder, "")
}

fn history(folder: &Path, start: i64) -> PathBuf {
    let folder = folder.join("state/history");
    std::fs::create_dir_all(&folder).unwrap();
    let options = Options {
        folder: Some(folder.clone()),
        ..Options::default()
    };
    let (history, recovery) = History::open(options, UnixMillis(start * 1000));
    assert_eq!(recovery.error, None);
    for (at, mount, value) in samples(start) {
        let labels = [("__name__", "x_disk_usage_percent"), ("mount_point", mount)];
        let series = history.series_id(&LabelSet::new(labels)).unwrap();
        history.append(UnixMillis(at * 1000), &[(series, value)]);
    }
    history.close();
    folder
}

#[test]
fn a_folder_and_a_prometheus_with_the_same_samples_report_the_same() {
    let folder = TempDir::new().unwrap();
    let start = start();
    let server = prometheus(folder.path(), start);
    let recorded = history(folder.path(), start);
    let rules = configuration(folder.path(), "rules.yaml", "5m");
    let range = [start.to_string(), (start + STEPS * STEP).to_string()];
    let common = [
        "--rules",
        rules.to_str().unwrap(),
        "--from",
        &range[0],
        "--to",
        &range[1],
        "--json",
    ];
    let of_folder = backtest(&[&common[..], &["--history", recorded.to_str().unwrap()]].concat());
    let of_server = backtest(&[&common[..], &["--url", &server.url()]].concat());
    assert_eq!(of_folder, of_server);

    let report: Value = serde_json::from_str(&of_folder).unwrap();
    assert_eq!(report["series"], 2);
    assert_eq!(report["warnings"], serde_json::json!([]));
    for rule in [&report["rules"][0], &report["rules"][2]] {
        assert_eq!(
            (&rule["fired"], &rule["averted"]),
            (&1.into(), &1.into()),
            "{rule}"
        );
        assert_eq!(rule["perWeek"], 42.0);
        let episode = &rule["episodes"][0];
        assert_eq!(episode["labels"]["mount_point"], "/");
        let time = |at: i64| jiff_text(start + at);
        assert_eq!(episode["activeAt"], time(3600));
        assert_eq!(episode["firedAt"], time(3900));
        assert_eq!(episode["resolvedAt"], time(4800));
    }
    let channels = |rule: usize| report["rules"][rule]["notifications"].clone();
    assert_eq!(channels(0), serde_json::json!({"everybody": 2}));
    assert_eq!(channels(1), serde_json::json!({}));
    assert_eq!(channels(2), serde_json::json!({"everybody": 2, "pager": 2}));
}

/// RFC 3339 of seconds since the epoch.
fn jiff_text(seconds: i64) -> String {
    let at = UNIX_EPOCH + Duration::from_secs(seconds as u64);
    jiff::Timestamp::try_from(at).unwrap().to_string()
}

/// A configuration that collects more often than was recorded, with one rule.
fn impatient(folder: &Path, name: &str, rule: &str) -> PathBuf {
    let file = folder.join(name);
    let text = format!(
        "performance_monitor:
  collection_interval: 1
  enabled_collectors: [system]
  system_metrics: [{{name: disk_usage_percent, type: gauge}}]
  prometheus: {{metric_prefix: x}}
  alerting:
    notifications: {{channels: [{{type: log, name: everybody}}]}}
    rules: [{rule}]
"
    );
    std::fs::write(&file, text).unwrap();
    file
}

#[test]
fn the_api_and_the_command_report_the_same() {
    let folder = TempDir::new().unwrap();
    let start = start();
    let recorded = history(folder.path(), start);
    let rule = |duration: &str| {
        let condition = "metric: disk_usage_percent, condition: '>', threshold: 90";
        format!("{{name: disk_full, {condition}, duration: {duration}}}")
    };
    let (from, to) = (jiff_text(start), jiff_text(start + STEPS * STEP));
    let of_command = |name: &str, duration: &str| {
        let rules = impatient(folder.path(), name, &rule(duration));
        let [rules, recorded] = [&rules, &recorded].map(|path| path.to_str().unwrap());
        let range = ["--from", &from, "--to", &to];
        let source = ["--json", "--rules", rules, "--history", recorded];
        let mut report: Value =
            serde_json::from_str(&backtest(&[&source[..], &range].concat())).unwrap();
        report.as_object_mut().unwrap().remove("configuration");
        report
    };
    let [calm, strict] = ["5m", "0s"].map(|duration| of_command("other.yaml", duration));
    let fired = |report: &Value| report["rules"][0]["fired"].clone();
    assert_eq!((fired(&calm), fired(&strict)), (1.into(), 2.into()));
    let warning = "recorded every 15s, configured every 1s: the recorded interval is used";
    assert_eq!(calm["warnings"], serde_json::json!([warning]));

    impatient(folder.path(), "bellwether.yaml", &rule("5m"));
    let agent = Agent::start_with(folder.path(), &["--web.listen-address", "127.0.0.1:0"]);
    let request = serde_json::json!({"rule": rule("0s"), "from": from, "to": to});
    let (status, answer) = agent.post("/api/v1/backtest", &request.to_string());
    assert_eq!(status, 200, "{answer}");
    let mut answer: Value = serde_json::from_str(&answer).unwrap();
    for (run, expected) in [("before", calm), ("after", strict)] {
        let report = &mut answer["data"][run];
        report.as_object_mut().unwrap().remove("configuration");
        assert_eq!(*report, expected, "{run}");
    }
}

#[test]
fn another_configuration_is_compared_and_a_missing_history_is_named() {
    let folder = TempDir::new().unwrap();
    let start = start();
    let recorded = history(folder.path(), start);
    let strict = configuration(folder.path(), "strict.yaml", "0s");
    let calm = configuration(folder.path(), "calm.yaml", "5m");
    let range = [start.to_string(), (start + STEPS * STEP).to_string()];
    let said = backtest(&[
        "--rules",
        strict.to_str().unwrap(),
        "--against",
        calm.to_str().unwrap(),
        "--from",
        &range[0],
        "--to",
        &range[1],
        "--history",
        recorded.to_str().unwrap(),
    ]);
    assert!(
        said.contains("fired 4 => 2, notifications 12 => 6"),
        "{said}"
    );
    let lines: Vec<&str> = said.lines().filter(|line| line.starts_with("  ")).collect();
    let kinds: Vec<&str> = lines.iter().map(|line| &line[2..3]).collect();
    assert_eq!(kinds, ["-", "+", "-", "-", "+", "-"], "{said}");

    let output = Command::new(env!("CARGO_BIN_EXE_bellwether"))
        .args([
            "backtest",
            "--history",
            folder.path().join("none").to_str().unwrap(),
        ])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("cannot read the history in") && said.contains("hint: "),
        "{said}"
    );
}
