use super::*;

fn import_text(text: &str) -> (Imported, Vec<String>) {
    let mut problems = Diagnostics::default();
    let file = RuleFile {
        path: "rules.yml".into(),
        text: text.into(),
    };
    let imported = import(&[file], ["Declared"].into_iter(), &mut problems);
    let problems = problems.into_sorted();
    (
        imported,
        problems
            .iter()
            .map(|problem| problem.render(&"bellwether.yaml"))
            .collect(),
    )
}

const GROUP: &str = r#"
groups:
  - name: node
    interval: 30s
    labels: {team: infra, tier: "1"}
    rules:
      - record: instance:load
        expr: node_load1 / 2
        labels: {tier: "2"}
      - alert: HighLoad
        expr: instance:load > 2
        for: 5m
        keep_firing_for: 10m
        labels: {severity: page}
        annotations:
          summary: "{{ $labels.instance }} at {{ $value | humanize }}"
          runbook: https://example.org/load
      - alert: HighLoad
        expr: instance:load > 1
        labels: {severity: warning}
      - alert: HighLoad
        expr: instance:load > 0
        labels: {severity: whatever}
"#;

#[test]
fn groups_and_rules() {
    let (imported, problems) = import_text(GROUP);
    assert_eq!(problems, Vec::<String>::new());
    let names: Vec<&str> = imported
        .rules
        .iter()
        .map(|rule| rule.name.value.as_str())
        .collect();
    assert_eq!(names, ["HighLoad", "node/HighLoad", "node/HighLoad#2"]);
    let first = &imported.rules[0];
    assert_eq!(&*first.promql.as_ref().unwrap().value, "instance:load > 2");
    assert_eq!(
        (
            first.duration.value.to_string(),
            first.keep_firing_for.value.to_string()
        ),
        ("5m".into(), "10m".into())
    );
    assert_eq!(first.interval.as_ref().unwrap().value.to_string(), "30s");
    assert_eq!(first.severity.as_ref().unwrap().value, Severity::Critical);
    let labels = |rule: &RuleSettings| {
        rule.add_labels
            .iter()
            .map(|(name, value)| format!("{name}={}", value.value))
            .collect::<Vec<_>>()
    };
    assert_eq!(labels(first), ["severity=page", "team=infra", "tier=1"]);
    assert_eq!(
        labels(&imported.rules[1]),
        ["alertname=HighLoad", "team=infra", "tier=1"]
    );
    assert_eq!(
        &*first.message.as_ref().unwrap().value,
        "{{ series_labels.instance }} at {{ value | humanize }}"
    );
    assert_eq!(
        imported.rules[2].severity.as_ref().unwrap().value,
        Severity::Warning
    );
    let recording = &imported.recordings[0];
    assert_eq!(recording.record.value, "instance:load");
    assert_eq!(recording.labels["tier"].value, "2");
    assert_eq!(imported.warnings.len(), 1, "{:?}", imported.warnings);
    assert_eq!(
        imported.warnings[0].render(&"x").lines().next().unwrap(),
        "rules.yml:23:28: groups[0].rules[3].labels.severity: unknown severity \"whatever\" counts as warning"
    );
}

#[test]
fn what_cannot_be_taken_is_reported_with_its_place() {
    let (imported, problems) = import_text(
        r#"groups:
  - name: a
    limit: 5
    query_offset: 1m
    rules:
      - {record: b, expr: up}
      - alert: A
        expr: up == 0
        labels: {x: "{{ $labels.y }}"}
        annotations:
          summary: "{{ with call \"up\" }}x{{ end }} of {{ $labels.job }}"
"#,
    );
    assert_eq!(problems, Vec::<String>::new());
    let warnings: Vec<String> = imported.warnings.iter().map(|w| w.render(&"x")).collect();
    for (warning, expected) in warnings.iter().zip([
        "rules.yml:3:12: groups[0].limit: `limit` is ignored for recording rules",
        "rules.yml:4:19: groups[0].query_offset: `query_offset` is ignored",
        "rules.yml:9:21: groups[0].rules[1].labels.x: the label \"x\" is not a template",
        "rules.yml:11:20: groups[0].rules[1].annotations.summary: cannot be translated: the function `call`",
    ]) {
        assert!(warning.starts_with(expected), "{warning}");
    }
    assert_eq!(warnings.len(), 4);
    let retained = &imported.rules[0].annotations["summary"].value;
    assert_eq!(
        &**retained,
        r#"{{ "{{ with call \"up\" }}x{{ end }}" }} of {{ series_labels.job }}"#
    );
    let written = "{{ with call \"up\" }}x{{ end }} of {{ $labels.job }}";
    assert_eq!(retained.written.as_deref(), Some(written));
}

#[test]
fn mistakes_are_errors_of_the_file() {
    for (text, expected) in [
        (
            "groups: [{name: a, rules: [{alert: A}]}]",
            "rules.yml:1:28: groups[0].rules[0]: missing key \"expr\"",
        ),
        (
            "groups: [{name: a, rules: [{expr: up}]}]",
            "neither `alert` nor `record`",
        ),
        (
            "groups: [{name: a, rules: [{alert: A, record: b, expr: up}]}]",
            "both `alert` and `record`",
        ),
        (
            "groups: [{name: a, rules: [{record: b, expr: up, for: 5m}]}]",
            "`for` beside `record`",
        ),
        ("groups: [{nam: a}]", "unknown key \"nam\""),
        ("groups: [{name: ''}]", "a group needs a name"),
        (
            "groups: [{name: a}, {name: a}]",
            "the group \"a\" is there twice",
        ),
        (
            "groups: [{name: a, rules: [{alert: A, expr: up, for: 5}]}]",
            "a duration of Prometheus",
        ),
        (
            "groups: [{name: a, rules: [{alert: A, expr: up, for: 1.5h}]}]",
            "a duration of Prometheus",
        ),
        (
            "groups: [{name: a, rules: [{record: b, expr: up, annotations: {c: d}}]}]",
            "`annotations` beside `record`",
        ),
        ("groups: [", "rules.yml:2:1: not valid YAML"),
    ] {
        let (_, problems) = import_text(text);
        assert!(
            problems.iter().any(|problem| problem.contains(expected)),
            "{text}: {problems:?}"
        );
    }
}

#[test]
fn a_name_of_the_configuration_stays_its_own() {
    let (imported, _) = import_text("groups: [{name: g, rules: [{alert: Declared, expr: up}]}]");
    assert_eq!(imported.rules[0].name.value, "g/Declared");
    assert_eq!(imported.rules[0].add_labels["alertname"].value, "Declared");
}

#[test]
fn what_prometheus_takes_is_taken() {
    let (imported, problems) = import_text(
        "groups:
- name: z
  interval: 0s
  limit: -1
  labels:
  rules:
  - alert: A
    expr: 'up{job=\"a\"
    } == 0'
    for: 1y
    keep_firing_for: 0
    labels:
    annotations: {x: , y: ~}
  - alert: B
    expr: 1
    for:
    labels: {a: , b: 5, severity: }
  - {record: c, expr: up, for: 0s}
- name: h
  rules:
  limit:
---
what: {follows",
    );
    assert_eq!(problems, Vec::<String>::new());
    let [a, b] = imported.rules.as_slice() else {
        panic!("{:?}", imported.rules)
    };
    assert_eq!(a.promql.as_ref().unwrap().value.0, "up{job=\"a\" } == 0");
    assert_eq!(a.duration.value.to_string(), "365d");
    assert_eq!((&a.interval, a.limit), (&None, None));
    assert_eq!(&*a.annotations["x"].value, "");
    // An alert without severity is routed as one without, and is a warning to channels.
    assert_eq!(b.add_labels["severity"].value, "");
    assert_eq!(
        (&b.severity, b.add_labels["b"].value.as_str()),
        (&None, "5")
    );
    let warnings: Vec<String> = imported.warnings.iter().map(|w| w.render(&"x")).collect();
    assert!(
        warnings[0].starts_with("rules.yml:22:1: a second YAML document"),
        "{warnings:?}"
    );
    for nothing in ["", "groups:", "groups: []", "---\n\n---\ngroups: x"] {
        assert_eq!(import_text(nothing).1, Vec::<String>::new(), "{nothing}");
    }
}
