//! Analysis of eight imported days by the real process: each endpoint, each command.

use std::fmt::Write;
use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::agent::Agent;

const YAML: &str = r#"
performance_monitor:
  collection_interval: 1
  enabled_collectors: [application]
  application_metrics:
    - {name: cpu, type: gauge}
    - {name: load, type: gauge}
    - {name: disk, type: gauge, labels: [mount]}
  prometheus: {metric_prefix: test}
  alerting:
    rules:
      - {name: full, promql: "test_disk > 90", severity: critical}
trend_analysis:
  bottlenecks:
    - {name: disk_filling, resource: io, promql: test_disk, warning: 60, critical: 80, advice: delete old files}
"#;

const MINUTES: u64 = 8 * 1440;

fn bellwether(arguments: &[&str]) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_bellwether"))
        .args(arguments)
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&text).into_owned(),
    )
}

/// Eight days, a sample each two minutes, up to now: office hours with one unusual half hour, a load that
/// follows by four minutes, and a disk that fills in the last twelve hours.
fn import(folder: &Path) {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
        / 120
        * 120;
    let noise = |minute: u64| (minute * 7919 % 1009) as f64 / 1009.0;
    let cpu = |minute: u64| {
        let busy = (480..1080).contains(&(minute % 1440));
        let usual = 10.0 + noise(minute) * 5.0 + if busy { 40.0 } else { 0.0 };
        if (11_000..11_030).contains(&minute) {
            97.0
        } else {
            usual
        }
    };
    let load = |minute: u64| cpu(minute.saturating_sub(4)) / 10.0 + noise(minute * 3) / 10.0;
    let disk =
        |minute: u64| 50.0 + minute.saturating_sub(MINUTES - 720) as f64 * 0.03 + noise(minute);
    let mut text = String::new();
    let series: [(&str, &dyn Fn(u64) -> f64); 3] = [
        ("test_cpu", &cpu),
        ("test_load", &load),
        ("test_disk{mount=\"/\"}", &disk),
    ];
    for (name, value) in series {
        let family = name.split('{').next().unwrap();
        writeln!(text, "# TYPE {family} gauge").unwrap();
        for minute in (0..=MINUTES).step_by(2) {
            let at = now - (MINUTES - minute) * 60;
            writeln!(text, "{name} {} {at}", value(minute)).unwrap();
        }
    }
    text += "# EOF\n";
    let file = folder.join("samples.om");
    std::fs::write(&file, text).unwrap();
    let history = folder.join("state/history");
    std::fs::create_dir_all(&history).unwrap();
    let (good, said) = bellwether(&[
        "import",
        file.to_str().unwrap(),
        "--history",
        history.to_str().unwrap(),
    ]);
    assert!(good, "{said}");
}

fn data(agent: &Agent, path: &str) -> Value {
    let (status, body) = agent.get(path);
    assert_eq!(status, 200, "{path}: {body}");
    serde_json::from_str::<Value>(&body).unwrap()["data"].take()
}

#[test]
fn every_endpoint_and_command_evaluates_what_was_recorded() {
    let folder = TempDir::new().unwrap();
    import(folder.path());
    let agent = Agent::start(folder.path(), YAML);

    let trends = data(&agent, "/api/v1/trends?metric=disk&window=12h");
    assert_eq!(
        trends["windows"][0]["series"][0]["movement"], "increasing",
        "{trends}"
    );
    let baseline = data(&agent, "/api/v1/baseline?metric=cpu&window=8d");
    assert_eq!(
        baseline["series"][0]["hours"].as_array().unwrap().len(),
        24,
        "{baseline}"
    );
    let odd = data(
        &agent,
        "/api/v1/anomalies?metric=cpu&window=24h&direction=above",
    );
    let found = odd["series"][0]["anomalies"].as_array().unwrap();
    assert!(found.iter().any(|one| one["value"] == 97.0), "{odd}");
    let ahead = data(
        &agent,
        "/api/v1/forecast?metric=disk&reaches=90&within=24h&window=12h",
    );
    let linear = &ahead["series"][0]["linear"];
    // 72 now, 0.03 a minute: ten hours.
    let hours = linear["seconds"].as_f64().unwrap() / 3600.0;
    assert!(
        (8.0..12.0).contains(&hours) && linear["within"] == true,
        "{ahead}"
    );
    let day = data(&agent, "/api/v1/forecast?metric=cpu&hours=24");
    assert_eq!(
        day["series"][0]["seasonal"]["hours"]
            .as_array()
            .unwrap()
            .len(),
        24,
        "{day}"
    );
    let with = data(
        &agent,
        "/api/v1/correlations?metric=cpu&window=24h&match=test_load",
    );
    let first = &with["related"][0];
    assert!(
        first["significant"] == true && first["lagSeconds"] == 240.0,
        "{with}"
    );
    let held = data(&agent, "/api/v1/bottlenecks");
    let filling = &held["bottlenecks"][0];
    assert_eq!(
        (&filling["name"], &filling["advice"]),
        (&"disk_filling".into(), &"delete old files".into())
    );
    let impact = filling["impact"].as_f64().unwrap();
    assert!((50.0..60.0).contains(&impact), "{held}");
    let score = data(&agent, "/api/v1/score");
    assert_eq!(
        score["score"].as_f64().unwrap(),
        100.0 - impact / 4.0,
        "{score}"
    );
    let advice = data(&agent, "/api/v1/advise?metric=cpu&per_week=2");
    assert!(advice["alertsPerWeek"].as_f64().unwrap() <= 2.0, "{advice}");

    // The form is that of the other endpoints, and errors say how to fix them.
    let (status, body) = agent.get("/api/v1/trends?metric=dsk");
    assert!(
        status == 422 && body.contains("no such metric"),
        "{status} {body}"
    );
    let (status, body) = agent.get("/api/v1/forecast?metric=disk&reaches=full");
    assert!(
        status == 400 && body.contains("must be a number"),
        "{status} {body}"
    );
    commands(&format!("http://{}", agent.address()), folder.path());
}

fn commands(url: &str, folder: &Path) {
    for (command, expected) in [
        (vec!["trends", "disk", "--window", "12h"], "increasing"),
        (
            vec!["anomalies", "cpu", "--direction", "above"],
            "97 at the worst",
        ),
        (
            vec![
                "forecast",
                "disk",
                "--reaches",
                "90",
                "--within",
                "24h",
                "--window",
                "12h",
            ],
            "this is within 24h",
        ),
        (vec!["forecast", "cpu", "--hours", "3"], "hour from (UTC)"),
        (vec!["correlate", "cpu", "--window", "24h"], "4 min after"),
        (vec!["bottlenecks"], "delete old files"),
        (
            vec!["advise", "cpu"],
            "- name: high_cpu\n  metric: cpu\n  condition: \">\"",
        ),
    ] {
        let (good, said) = bellwether(&[&command[..], &["--url", url]].concat());
        assert!(good && said.contains(expected), "{command:?}: {said}");
        let (good, said) = bellwether(&[&command[..], &["--url", url, "--json"]].concat());
        assert!(
            good && serde_json::from_str::<Value>(&said).is_ok(),
            "{command:?}: {said}"
        );
    }
    let (good, said) = bellwether(&["trends", "dsk", "--url", url]);
    assert!(
        !good && said.contains("hint: no such metric; names near it: disk"),
        "{said}"
    );

    // The advised rule is a rule.
    let (_, said) = bellwether(&["advise", "cpu", "--url", url]);
    let rule = said.split("rule for alerting.rules\n").nth(1).unwrap();
    let rule: String = rule.lines().map(|line| format!("      {line}\n")).collect();
    let file = folder.join("advised.yaml");
    let yaml = YAML.replace("    rules:\n", &format!("    rules:\n{rule}"));
    std::fs::write(&file, yaml).unwrap();
    let (good, said) = bellwether(&["check", file.to_str().unwrap()]);
    assert!(good, "{said}");
}
