//! Files that a configuration names.

use std::fs;
use std::path::Path;

use bellwether_config::{self as config, Plan, Source};
use tempfile::TempDir;

/// A folder with these files; the configuration is `bellwether.yaml`.
fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

fn plan(folder: &Path) -> Result<Plan, String> {
    let source = Source::File(folder.join("bellwether.yaml"));
    let loaded = config::load(&source, &|_| None).and_then(config::plan);
    let shown = folder.display().to_string();
    loaded.map_err(|report| report.to_string().replace(&shown, ""))
}

const CONFIGURATION: &str = "\
performance_monitor:
  application_metrics:
    - {name: queue_length, type: gauge, labels: [queue]}
  alerting:
    rule_files: [rules/*.yml, one.yml]
    rules:
      - {name: Backlog, metric: queue_length, condition: \">\", threshold: 5}
";

const RULES: &str = r#"
groups:
  - name: queues
    limit: 3
    rules:
      - record: queue:all
        expr: sum(queue_length)
      - alert: Backlog
        expr: queue_length > 10
        for: 5m
        labels: {severity: page, team: infra}
        annotations:
          summary: "{{ $labels.queue }}: {{ $value }}"
"#;

#[test]
fn the_rules_of_all_files_are_evaluated_beside_those_declared() {
    let folder = folder(&[
        ("bellwether.yaml", CONFIGURATION),
        ("rules/a.yml", RULES),
        ("rules/b.yml", "groups: []"),
        (
            "one.yml",
            "groups: [{name: one, rules: [{alert: Gone, expr: absent(nobody_has_it)}]}]",
        ),
    ]);
    let plan = plan(folder.path()).unwrap();
    let names: Vec<&str> = plan.rules.rules.iter().map(|rule| &*rule.name).collect();
    assert_eq!(names, ["Backlog", "queues/Backlog", "Gone"]);
    let backlog = &plan.rules.rules[1];
    assert_eq!(backlog.identity.add_labels["alertname"], "Backlog");
    assert_eq!(backlog.identity.add_labels["severity"], "page");
    assert_eq!(backlog.severity(0).as_str(), "critical");
    assert_eq!(backlog.limit, Some(3));
    assert_eq!(plan.rules.recordings.len(), 1);
    let shown = folder.path().display().to_string();
    let warnings: Vec<String> = plan
        .warnings
        .iter()
        .map(|warning| warning.render(&"x").replace(&shown, ""))
        .collect();
    assert_eq!(
        warnings,
        [
            "/rules/a.yml:4:12: groups[0].limit: `limit` is ignored for recording rules\n  hint: it \
             counts for the alerts of the group; max_series limits all of history",
            "/one.yml:1:50: groups[0].rules[0].expr: no collector or recording rule makes series named \"nobody_has_it\"",
        ]
    );
}

/// Prometheus 3 takes any UTF-8; `model/rulefmt` there says what it does not take.
#[test]
fn names_are_any_utf_8() {
    let rules = r#"
groups:
  - name: a
    labels: {"data centre": north}
    rules:
      - record: http.requests:süm
        expr: sum by ("host-name") ({"http.requests"})
        labels: {"host-name": x, __own: y}
      - alert: Slow requests
        expr: '{"http.requests:süm", "host-name"="x"} > 1'
        labels: {"team.name": infra}
        annotations:
          run-book: "{{ index $labels \"host-name\" }} of {{ index $labels \"team.name\" }}"
"#;
    let configuration = CONFIGURATION.replace("rules/*.yml, one.yml", "rules/*.yml");
    let folder = folder(&[("bellwether.yaml", &configuration), ("rules/a.yml", rules)]);
    let plan = plan(folder.path()).unwrap();
    let warnings: Vec<&str> = plan
        .warnings
        .iter()
        .map(|one| one.message.as_str())
        .collect();
    assert_eq!(
        warnings,
        ["no collector or recording rule makes series named \"http.requests\""]
    );
    let recording = &plan.rules.recordings[0];
    assert_eq!(&*recording.record, "http.requests:süm");
    assert_eq!(recording.labels["host-name"], "x");
    assert_eq!(recording.labels["data centre"], "north");
    let rule = &plan.rules.rules[1];
    assert_eq!(rule.identity.add_labels["team.name"], "infra");
    assert_eq!(rule.annotations[0].0, "run-book");

    let exported = bellwether_compat::export(&plan.rules, &plan.metrics, "x");
    for kept in [
        "http.requests:süm",
        "host-name",
        "team.name: infra",
        "run-book: ",
    ] {
        assert!(exported.text.contains(kept), "{kept}: {}", exported.text);
    }

    for (from, to, expected) in [
        (
            "http.requests:süm\n",
            "sum(up{a=\"b\"})\n",
            "not a metric name: \"sum(up{a=\\\"b\\\"})\"",
        ),
        ("http.requests:süm\n", "''\n", "not a metric name: \"\""),
        (
            "\"team.name\"",
            "__name__",
            "not a label name: \"__name__\"",
        ),
        (
            "\"data centre\"",
            "__name__",
            "not a label name: \"__name__\"",
        ),
        ("\"team.name\"", "''", "not a label name: \"\""),
        ("run-book", "''", "not an annotation name: \"\""),
    ] {
        std::fs::write(
            folder.path().join("rules/a.yml"),
            rules.replacen(from, to, 1),
        )
        .unwrap();
        let report = self::plan(folder.path()).err().unwrap();
        assert!(report.contains(expected), "{to}: {report}");
    }
}

#[test]
fn what_is_wrong_is_reported_with_its_file() {
    let folder = folder(&[
        (
            "bellwether.yaml",
            &CONFIGURATION.replace("threshold: 5", "treshold: 5"),
        ),
        (
            "rules/a.yml",
            "groups:\n  - name: a\n    rules:\n      - {alert: A, expr: 'up =='}\n",
        ),
    ]);
    let report = plan(folder.path()).err().unwrap();
    for expected in [
        "/one.yml: cannot read: No such file or directory (os error 2), named on line 5",
        "/bellwether.yaml:7:63: performance_monitor.alerting.rules[0].treshold: unknown key",
        "/rules/a.yml:4:26: groups[0].rules[0].expr: ",
    ] {
        assert!(report.contains(expected), "{report}");
    }
}

#[test]
fn a_pattern_that_fits_nothing_is_a_warning() {
    let folder = folder(&[
        ("bellwether.yaml", CONFIGURATION),
        ("one.yml", "groups: []"),
    ]);
    let warnings = plan(folder.path()).unwrap().warnings;
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert_eq!(warnings[0].message, "no file matches rules/*.yml");
}
