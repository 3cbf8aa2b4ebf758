//! Files that a declaration names.

use std::fs;
use std::path::Path;

use bellwether::config::{self, Plan, Source};
use tempfile::TempDir;

/// A folder with these files; the declaration is `bellwether.yaml`.
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

const DECLARATION: &str = "\
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
fn the_rules_of_all_files_are_judged_beside_those_declared() {
    let folder = folder(&[
        ("bellwether.yaml", DECLARATION),
        ("rules/a.yml", RULES),
        ("rules/b.yml", "groups: []"),
        ("one.yml", "groups: [{name: one, rules: [{alert: Gone, expr: absent(nobody_has_it)}]}]"),
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
    let warnings: Vec<String> =
        plan.warnings.iter().map(|warning| warning.told(&"x").replace(&shown, "")).collect();
    assert_eq!(
        warnings,
        [
            "/rules/a.yml:4:12: groups[0].limit: `limit` is not kept for what is recorded\n  hint: it \
             counts for the alerts of the group; max_series limits all of history",
            "/one.yml:1:50: groups[0].rules[0].expr: nobody here makes series named \"nobody_has_it\"",
        ]
    );
}

#[test]
fn what_is_wrong_is_told_with_its_file() {
    let folder = folder(&[
        ("bellwether.yaml", &DECLARATION.replace("threshold: 5", "treshold: 5")),
        ("rules/a.yml", "groups:\n  - name: a\n    rules:\n      - {alert: A, expr: 'up =='}\n"),
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
    let folder = folder(&[("bellwether.yaml", DECLARATION), ("one.yml", "groups: []")]);
    let warnings = plan(folder.path()).unwrap().warnings;
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert_eq!(warnings[0].message, "no file fits rules/*.yml");
}
