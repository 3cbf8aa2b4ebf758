//! Our rules as a rule file of Prometheus, which promtool must accept and evaluate as we do.

use std::fs;

use bellwether_compat::{Exported, RuleFile};
use bellwether_config::{self as config, Plan, Source};
use bellwether_rules::{CompileInput, compile};
use bellwether_schema::Diagnostics;

use super::promtool;

const CONFIGURATION: &str = r#"
performance_monitor:
  prometheus: {metric_prefix: app, default_labels: {environment: test}}
  application_metrics:
    - {name: queue_length, type: gauge, labels: [queue]}
    - {name: queue_limit, type: gauge}
    - {name: requests, type: counter, labels: [method, code]}
    - {name: failed_requests_total, type: counter, labels: [method]}
    - {name: latency, type: histogram, labels: [method], buckets: [0.1, 1]}
  alerting:
    recording_rules:
      - {record: "queue:all", promql: "sum(app_queue_length)", labels: {team: infra}}
    rules:
      - name: long_queue
        metric: queue_length
        condition: ">"
        thresholds: {warning: 10, critical: 20}
        duration: 2m
        keep_firing_for: 3m
        labels: {queue: ["a", "=~b.*"]}
        message: "{{ labels.queue }} has {{ value | round }} of {{ threshold }}"
        annotations: {runbook: "https://example.org/{{ labels.queue }}"}
      - {name: mean_queue, metric: queue_length, aggregation: avg_5m, condition: ">=", threshold: 3, severity: info}
      - {name: error_rate, metric: requests, aggregation: rate, window: 5m, condition: ">", threshold: 0.5, labels: {code: "!=200"}}
      - {name: slow, metric: latency, aggregation: p95, window: 5m, condition: ">", threshold: 0.5}
      - {name: slow_mean, metric: latency, aggregation: mean, window: 5m, condition: ">", threshold: 0.5}
      - {name: filled, expr: "queue_length / queue_limit > 0.8", severity: emergency}
      - {name: failing, expr: "failed_requests_total / sum_by(requests, \"method\") > 0.1"}
      - {name: either, expr: "queue_length > 50 || not (queue_length >= 1)"}
      - {name: bounded, expr: "min(queue_length, 100) + max(queue_length, 5) > 60"}
      - {name: asked, promql: "sum by (queue) (app_queue_length)", condition: "<", threshold: 1, interval: 30s}
      - {name: present, promql: "absent(app_queue_length)", add_labels: {team: infra}}
      # What cannot be said.
      - {name: odd, metric: queue_length, anomaly: true}
      - {name: held, metric: queue_length, condition: ">", threshold: 5, resolve_threshold: 3, consecutive: 3, on_no_data: alert, limit: 9, message: "{% if value > 1 %}x{% endif %}"}
      - {name: chosen, expr: "if(queue_length > 5, 1, 2) > 1"}
      - {name: off, metric: queue_length, condition: ">", threshold: 5, enabled: false}
"#;

fn plan(text: &str) -> Plan {
    let source = Source::File("bellwether.yaml".into());
    config::plan(config::decode(&source, text, &|_| None))
        .map_err(|report| report.to_string())
        .unwrap()
}

fn exported(text: &str) -> Exported {
    let plan = plan(text);
    bellwether_compat::export(&plan.rules, &plan.metrics, "bellwether.yaml")
}

#[test]
fn promtool_takes_the_rules_of_the_shipped_configuration_and_of_every_kind() {
    for text in [CONFIGURATION, config::EMBEDDED] {
        let folder = tempfile::tempdir().unwrap();
        let exported = exported(text);
        fs::write(folder.path().join("rules.yml"), &exported.text).unwrap();
        if let Err(said) = promtool(folder.path(), &["check", "rules", "rules.yml"]) {
            panic!("{said}\n{}", exported.text);
        }
    }
}

#[test]
fn what_cannot_be_said_is_listed_with_its_place_and_stands_in_the_file() {
    let Exported { text, unsupported } = exported(CONFIGURATION);
    let reasons: Vec<String> = unsupported
        .iter()
        .map(|problem| {
            problem
                .render(&"bellwether.yaml")
                .lines()
                .next()
                .unwrap()
                .to_owned()
        })
        .collect();
    let rule = |line: u32, column: u32, index: usize, message: &str| {
        let path = "performance_monitor.alerting.rules";
        format!("bellwether.yaml:{line}:{column}: {path}[{index}]{message}")
    };
    assert_eq!(
        reasons,
        [
            rule(
                14,
                15,
                0,
                ": its levels are alerts of their own, which fire side by side"
            ),
            rule(
                34,
                16,
                11,
                ": left out of the file: PromQL cannot express an anomaly rule"
            ),
            rule(
                35,
                16,
                12,
                ": its text \"summary\" cannot be translated and stays as it is"
            ),
            rule(
                35,
                93,
                12,
                ".resolve_threshold: `resolve_threshold` is ignored: it resolves below its threshold"
            ),
            rule(35, 109, 12, ".consecutive: `consecutive` is ignored"),
            rule(
                35,
                16,
                12,
                ": `limit` is ignored: there a group beyond it has no alert at all"
            ),
            rule(35, 16, 12, ": `on_no_data: alert` is ignored"),
            rule(
                36,
                16,
                13,
                ": left out of the file: `if` chooses between numbers"
            ),
            rule(37, 16, 14, ": it is switched off"),
        ],
        "{reasons:#?}"
    );
    for line in &reasons {
        assert!(text.contains(&format!("# {line}\n")), "{line}\n{text}");
    }
}

/// Each alert as it must be at 10 minutes, and one that must not be.
const TEST: &str = r#"
rule_files: [rules.yml]
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series:
      - {series: 'app_queue_length{queue="a",environment="test",instance="i",job="j"}', values: '60x20'}
      - {series: 'app_queue_length{queue="bc",environment="test",instance="i",job="j"}', values: '12x20'}
      - {series: 'app_queue_length{queue="c",environment="test",instance="i",job="j"}', values: '0x20'}
      - {series: 'app_queue_limit{environment="test",instance="i",job="j"}', values: '70x20'}
      - {series: 'app_requests_total{method="GET",code="500",environment="test",instance="i",job="j"}', values: '0+60x20'}
      - {series: 'app_requests_total{method="GET",code="200",environment="test",instance="i",job="j"}', values: '0+60x20'}
      - {series: 'app_failed_requests_total{method="GET",environment="test",instance="i",job="j"}', values: '0+60x20'}
      - {series: 'app_latency_bucket{method="GET",le="0.1",environment="test",instance="i",job="j"}', values: '0x20'}
      - {series: 'app_latency_bucket{method="GET",le="1",environment="test",instance="i",job="j"}', values: '0+60x20'}
      - {series: 'app_latency_bucket{method="GET",le="+Inf",environment="test",instance="i",job="j"}', values: '0+60x20'}
      - {series: 'app_latency_sum{method="GET",environment="test",instance="i",job="j"}', values: '0+36x20'}
      - {series: 'app_latency_count{method="GET",environment="test",instance="i",job="j"}', values: '0+60x20'}
    promql_expr_test:
      - {expr: 'queue:all', eval_time: 10m, exp_samples: [{labels: 'queue:all{team="infra"}', value: 72}]}
    alert_rule_test:
      - alertname: long_queue
        eval_time: 10m
        exp_alerts:
          - exp_labels: {severity: warning, queue: a, environment: test, instance: i, job: j}
            exp_annotations: {summary: "a has 60 of 10", runbook: "https://example.org/a"}
          - exp_labels: {severity: critical, queue: a, environment: test, instance: i, job: j}
            exp_annotations: {summary: "a has 60 of 20", runbook: "https://example.org/a"}
          - exp_labels: {severity: warning, queue: bc, environment: test, instance: i, job: j}
            exp_annotations: {summary: "bc has 12 of 10", runbook: "https://example.org/bc"}
      - {alertname: long_queue, eval_time: 1m, exp_alerts: []}
      - alertname: mean_queue
        eval_time: 10m
        exp_alerts:
          - exp_labels: {severity: info, queue: a, environment: test, instance: i, job: j}
          - exp_labels: {severity: info, queue: bc, environment: test, instance: i, job: j}
      - alertname: error_rate
        eval_time: 10m
        exp_alerts: [{exp_labels: {severity: warning, method: GET, code: 500, environment: test, instance: i, job: j}}]
      - alertname: slow
        eval_time: 10m
        exp_alerts: [{exp_labels: {severity: warning, method: GET, environment: test, instance: i, job: j}}]
      - alertname: slow_mean
        eval_time: 10m
        exp_alerts: [{exp_labels: {severity: warning, method: GET, environment: test, instance: i, job: j}}]
      - alertname: filled
        eval_time: 10m
        exp_alerts: [{exp_labels: {severity: emergency, queue: a, environment: test, instance: i, job: j}}]
      - alertname: failing
        eval_time: 10m
        exp_alerts: [{exp_labels: {severity: warning, method: GET, environment: test, instance: i, job: j}}]
      - alertname: either
        eval_time: 10m
        exp_alerts:
          - exp_labels: {severity: warning, queue: a, environment: test, instance: i, job: j}
          - exp_labels: {severity: warning, queue: c, environment: test, instance: i, job: j}
      - alertname: bounded
        eval_time: 10m
        exp_alerts: [{exp_labels: {severity: warning, queue: a, environment: test, instance: i, job: j}}]
      - alertname: asked
        eval_time: 10m
        exp_alerts: [{exp_labels: {severity: warning, queue: c}}]
      - {alertname: present, eval_time: 10m, exp_alerts: []}
"#;

#[test]
fn promtool_evaluates_them_as_they_are_meant() {
    let folder = tempfile::tempdir().unwrap();
    let exported = exported(CONFIGURATION);
    fs::write(folder.path().join("rules.yml"), &exported.text).unwrap();
    fs::write(folder.path().join("test.yml"), TEST).unwrap();
    if let Err(said) = promtool(folder.path(), &["test", "rules", "test.yml"]) {
        panic!("{said}\n{}", exported.text);
    }
}

/// Rules of Prometheus, printed as ours, and read again.
#[test]
fn rule_files_become_a_configuration_that_says_the_same() {
    let text = r#"
groups:
  - name: queues
    interval: 30s
    rules:
      - {record: "queue:all", expr: sum(app_queue_length), labels: {price: "${10}"}}
      - alert: Backlog
        expr: app_queue_length > 10
        for: 5m
        labels: {severity: critical, team: infra}
        annotations: {summary: '{{ $labels.queue }}: {{ $value | humanize }} of ${TOTAL}'}
"#;
    let file = RuleFile {
        path: "rules.yml".into(),
        text: text.into(),
    };
    let mut problems = Diagnostics::default();
    let imported = bellwether_compat::import(&[file], std::iter::empty(), &mut problems);
    let printed = config::print_rules(&imported.rules, &imported.recordings).unwrap();
    assert_eq!(
        printed,
        r#"performance_monitor:
  alerting:
    rules:
    - name: Backlog
      promql: app_queue_length > 10
      interval: 30s
      duration: 5m
      severity: critical
      add_labels:
        team: infra
      message: '{{ series_labels.queue }}: {{ value | humanize }} of ${TOTAL}'
      annotations:
        summary: '{{ series_labels.queue }}: {{ value | humanize }} of ${TOTAL}'
    recording_rules:
    - record: queue:all
      promql: sum(app_queue_length)
      labels:
        price: $${10}
      interval: 30s
"#
    );
    let again = plan(&printed);
    assert_eq!(again.rules.rules.len(), 1);
    assert_eq!(again.rules.recordings[0].labels["price"], "${10}");
}

#[test]
fn what_was_read_from_a_rule_file_goes_out_as_it_was() {
    let rules = r#"groups:
  - name: g
    rules:
      - alert: A
        expr: up == 0
        labels: {team: "{{ $labels.team }}"}
        annotations:
          summary: "{{ $labels }}{{ if eq $labels.a \"b\" }} {{ $value | humanize }}{{ end }}\n"
          description: "{{ with query \"up\" }}{{ . | first | value }}{{ end }} of {{ $externalLabels.x }}"
      - {alert: B, expr: up > 1, labels: {severity: page}}
      - {record: one, expr: 1}
"#;
    let mut problems = Diagnostics::default();
    let file = RuleFile {
        path: "rules.yml".into(),
        text: rules.into(),
    };
    let imported = bellwether_compat::import(&[file], std::iter::empty(), &mut problems);
    let declared = CompileInput {
        recordings: &imported.recordings,
        ..CompileInput::new(&imported.rules, &[])
    };
    let set = compile(&declared, &mut problems);
    assert!(problems.is_empty(), "{:?}", problems.into_sorted());
    let written = bellwether_compat::export(&set, &[], "x");
    let read = |text: &str| -> Vec<serde_json::Value> {
        let file: serde_json::Value = serde_yaml::from_str(text).unwrap();
        file["groups"][0]["rules"].as_array().unwrap().clone()
    };
    let (mut before, mut after) = (read(rules), read(&written.text));
    for rule in before.iter_mut().chain(&mut after) {
        rule["expr"] = rule["expr"].to_string().replace('"', "").into();
    }
    for rule in before {
        assert!(after.contains(&rule), "{rule:#}\n{}", written.text);
    }
    assert_eq!(after.len(), 3);

    let ours = config::print_rules(&set.settings, &imported.recordings).unwrap();
    assert!(ours.contains("promql: '1'"), "{ours}");
}
