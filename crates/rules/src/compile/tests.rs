use std::time::Duration;

use bellwether_core::{Origin, Severity};

use crate::testing::{CPU, LATENCY, metrics, rules, rules_over};

/// Rules that load, each with its subject.
#[test]
fn good_rules() {
    for (yaml, subject) in [
        (
            "{metric: cpu_percent, condition: '>', threshold: 85, duration: 300}",
            "cpu_percent",
        ),
        (
            "{metric: cpu_percent, condition: greater_than, threshold: 85}",
            "cpu_percent",
        ),
        (
            "{metric: cpu_percent, aggregation: avg, condition: '<', threshold: 1}",
            "mean of cpu_percent over 5m",
        ),
        (
            "{metric: cpu_percent, aggregation: max, window: 10m, condition: '<', threshold: 1}",
            "max of cpu_percent over 10m",
        ),
        (
            "{metric: cpu_percent, aggregation: last, condition: '<', threshold: 1}",
            "cpu_percent",
        ),
        (
            "{metric: api_errors, aggregation: rate_10m, condition: '>', threshold: 1}",
            "rate of api_errors over 10m",
        ),
        (
            "{metric: api_duration, aggregation: p99.9, condition: '>', threshold: 1}",
            "p99.9 of api_duration over 5m",
        ),
        (
            "{metric: api_duration, aggregation: mean, condition: '>', threshold: 1}",
            "mean of api_duration over 5m",
        ),
        (
            "{metric: query_duration, aggregation: p95, condition: '>', threshold: 1}",
            "p95 of query_duration",
        ),
        (
            "{expr: 'cache_misses / (cache_hits + cache_misses) > 0.5'}",
            "`cache_misses / (cache_hits + cache_misses) > 0.5`",
        ),
        (
            "{expr: 'cache_misses + 0', condition: '>=', threshold: 3}",
            "`cache_misses + 0`",
        ),
        (
            "{expr: 'cpu_percent > 5 && cache_hits > 3', labels: {cache: '=~a.*'}}",
            "`cpu_percent > 5 && cache_hits > 3`",
        ),
        (
            "{metric: cpu_percent, condition: '<', threshold: 10, resolve_threshold: 12}",
            "cpu_percent",
        ),
        (
            "{metric: cpu_percent, condition: '>', resolve_threshold: 70, \
          thresholds: {warning: 80, emergency: 99}}",
            "cpu_percent",
        ),
        (
            "{metric: disk_usage_percent, condition: '>', threshold: 90, \
          labels: {mount_point: [/, /data]}, add_labels: {team: db}, component: storage, \
          message: '{{ labels.mount_point }} of {{ labels.team }}: {{ value }}', \
          annotations: {runbook: 'https://example.org/{{ rule }}'}}",
            "disk_usage_percent",
        ),
    ] {
        let set = rules(&format!("[{}]", yaml.replacen('{', "{name: r, ", 1)))
            .unwrap_or_else(|problems| panic!("{yaml}: {problems:?}"));
        assert_eq!(set.rules[0].subject, subject);
        let component = set.rules[0]
            .identity
            .add_labels
            .get("component")
            .map(String::as_str);
        assert_eq!(
            component,
            yaml.contains("component").then_some("storage"),
            "{yaml}"
        );
    }
}

#[test]
fn what_a_rule_knows() {
    let set = rules(
        "- {name: a, metric: api_duration, aggregation: p95, condition: '>',
            thresholds: {critical: 2, warning: 1}, duration: 1m, consecutive: 2}
- {name: b, expr: 'cpu_percent + max_10m(cpu_percent) > cache_hits', enabled: false}
- {name: c, expr: 'mean(cpu_percent, \"10m\") > 1 && rate(cache_hits) > 1'}",
    )
    .unwrap();
    let [a, b, c] = set.rules.as_slice() else {
        panic!("three rules")
    };
    assert_eq!(
        [a.severity(0), a.severity(1)],
        [Severity::Warning, Severity::Critical]
    );
    assert_eq!(
        (a.threshold(1), a.policy.duration),
        (Some(2.0), Duration::from_secs(60))
    );
    assert_eq!(a.policy.tolerance, Duration::from_secs(90));
    assert!(!b.enabled);
    assert_eq!(
        c.schedule.origins,
        [Origin::APPLICATION, Origin::new("system")]
    );
    assert_eq!(
        c.labels
            .fixed()
            .iter()
            .map(|label| &**label)
            .collect::<Vec<_>>(),
        ["cache"]
    );
    let minutes = |n: u64| Duration::from_secs(60 * n);
    assert_eq!(
        set.windows()[..2],
        [(LATENCY, minutes(5)), (CPU, minutes(10))],
        "a disabled rule needs none"
    );
}

/// Rules that do not load, each with what is changes.
#[test]
fn bad_rules() {
    for (yaml, message, hint) in [
        (
            "{threshold: 1, condition: '>'}",
            "neither `metric` nor `expr`",
            "cpu_percent",
        ),
        (
            "{metric: cpu_percent, expr: 'cpu_percent > 1'}",
            "expr: both `metric` and `expr`",
            "",
        ),
        (
            "{metric: cpu_percnt, condition: '>', threshold: 1}",
            "metric: unknown metric \"cpu_percnt\"",
            "did you mean \"cpu_percent\"?",
        ),
        (
            "{metric: cpu_percent, threshold: 1}",
            "missing key \"condition\"",
            "one of",
        ),
        (
            "{metric: cpu_percent, condition: '>'}",
            "missing key \"threshold\"",
            "thresholds",
        ),
        (
            "{metric: cpu_percent, condition: '=>', threshold: 1}",
            "condition: unknown value \"=>\"",
            "",
        ),
        (
            "{metric: cpu_percent, condition: '>', threshold: 1, thresholds: {warning: 2}}",
            "both `threshold` and `thresholds`",
            "",
        ),
        (
            "{metric: cpu_percent, condition: '>', thresholds: {}}",
            "no threshold",
            "warning",
        ),
        (
            "{metric: cpu_percent, condition: '>', thresholds: {warning: 9, critical: 8}}",
            "critical 8 is not beyond warning 9",
            "must rise",
        ),
        (
            "{metric: cpu_percent, condition: '<', thresholds: {warning: 8, emergency: 9}}",
            "emergency 9 is not beyond warning 8",
            "must fall",
        ),
        (
            "{metric: cpu_percent, condition: '==', thresholds: {warning: 8, emergency: 9}}",
            "several thresholds for `==`",
            ">",
        ),
        (
            "{metric: cpu_percent, condition: '>', thresholds: {warning: 8}, severity: info}",
            "severity: `severity` beside `thresholds`",
            "",
        ),
        (
            "{metric: cpu_percent, condition: '>', threshold: 80, resolve_threshold: 81}",
            "could never resolve at 81",
            "at most 80",
        ),
        (
            "{metric: cpu_percent, condition: '<=', threshold: 80, resolve_threshold: 79}",
            "could never resolve at 79",
            "at least 80",
        ),
        (
            "{metric: cpu_percent, condition: '!=', threshold: 80, resolve_threshold: 79}",
            "`resolve_threshold` has no effect with `!=`",
            "",
        ),
        (
            "{metric: cpu_percent, condition: '>', threshold: 1, aggregation: p101}",
            "aggregation: unknown aggregation \"p101\"",
            "p99.9",
        ),
        (
            "{metric: cpu_percent, condition: '>', threshold: 1, aggregation: meen}",
            "unknown aggregation \"meen\"",
            "did you mean \"mean\"?",
        ),
        (
            "{metric: cpu_percent, condition: '>', threshold: 1, aggregation: rate}",
            "gauge \"cpu_percent\": rate is for counters",
            "delta",
        ),
        (
            "{metric: api_errors, condition: '>', threshold: 1, aggregation: p95}",
            "counter \"api_errors\": p95 is meaningless for a counter",
            "rate",
        ),
        (
            "{metric: api_duration, condition: '>', threshold: 1}",
            "histogram \"api_duration\": needs an aggregation",
            "p95",
        ),
        (
            "{metric: api_duration, condition: '>', threshold: 1, aggregation: max}",
            "max cannot be computed from buckets",
            "p95",
        ),
        (
            "{metric: query_duration, condition: '>', threshold: 1, aggregation: p99}",
            "does not keep p99",
            "p95",
        ),
        (
            "{metric: cpu_percent, condition: '>', threshold: 1, window: 5m}",
            "a window without an aggregation",
            "",
        ),
        (
            "{metric: cpu_percent, condition: '>', threshold: 1, aggregation: mean_5m, window: 6m}",
            "the aggregation's name has another window",
            "",
        ),
        (
            "{metric: cpu_percent, condition: '>', threshold: 1, aggregation: mean, window: 10s}",
            "the window 10s is shorter than the interval 30s",
            "at least 1m",
        ),
        (
            "{metric: cpu_percent, condition: '>', threshold: 1, aggregation: mean, window: 0}",
            "the window must not be 0",
            "",
        ),
        (
            "{metric: cpu_percent, condition: '>', threshold: 1, aggregation: mean, window: 2d}",
            "the window 2d is too long",
            "1d",
        ),
        (
            "{metric: disk_usage_percent, condition: '>', threshold: 1, labels: {mount: /}}",
            "labels.mount: metric \"disk_usage_percent\" has no label \"mount\"",
            "mount_point",
        ),
        (
            "{metric: cpu_percent, condition: '>', threshold: 1, labels: {mount: /}}",
            "has no label \"mount\"",
            "it has no labels",
        ),
        (
            "{metric: disk_usage_percent, condition: '>', threshold: 1, labels: {mount_point: '=~('}}",
            "invalid regular expression",
            "",
        ),
        (
            "{expr: 'cpu_percent > 1', labels: {mount_point: /}}",
            "no metric of the expression has the label",
            "",
        ),
        (
            "{expr: 'cpu_percent > 1', threshold: 3}",
            "threshold: the expression compares already",
            "leave out `threshold`",
        ),
        (
            "{expr: 'cpu_percent > 1 && true', resolve_threshold: 3}",
            "has no threshold",
            "",
        ),
        (
            "{expr: 'cpu_percent + 1', threshold: 1}",
            "missing key \"condition\"",
            "",
        ),
        (
            "{expr: 'cpu_percent > 1', aggregation: mean}",
            "aggregation: `aggregation` beside `expr`",
            "rate(x",
        ),
        (
            "{expr: 'cpu_percent = 1'}",
            "expr: character 13: '=' is not a comparison",
            "==",
        ),
        (
            "{expr: 'cpu_percnt > 1'}",
            "expr: character 1: unknown metric",
            "did you mean \"cpu_percent\"?",
        ),
        (
            "{metric: cpu_percent, condition: '>', threshold: 1, consecutive: 0}",
            "consecutive must be at least 1",
            "",
        ),
        (
            "{metric: cpu_percent, condition: '>', threshold: 1, duration: -5}",
            "duration: expected a duration",
            "",
        ),
        (
            "{metric: cpu_percent, condition: '>', threshold: .nan}",
            "expected a number",
            "",
        ),
        (
            "{metric: cpu_percent, condition: '>', threshold: 1, severity: fatal}",
            "severity: unknown value \"fatal\"",
            "emergency",
        ),
        (
            "{metric: cpu_percent, condition: '>', threshold: 1, on_no_data: fire}",
            "on_no_data: unknown value",
            "alert",
        ),
        (
            "{metric: cpu_percent, condition: '>', threshold: 1, add_labels: {severity: x}}",
            "\"severity\" is set by Bellwether",
            "",
        ),
        (
            "{metric: cpu_percent, condition: '>', threshold: 1, add_labels: {__name__: x}}",
            "not a label name",
            "",
        ),
        (
            "{metric: cpu_percent, condition: '>', threshold: 1, component: a, add_labels: {component: b}}",
            "add_labels.component: the rule has a key `component` too",
            "keep one",
        ),
        (
            "{metric: disk_usage_percent, condition: '>', threshold: 1, add_labels: {mount_point: x}}",
            "the series have the label",
            "",
        ),
        (
            "{metric: cpu_percent, condition: '>', threshold: 1, message: '{{ labels.x }}'}",
            "message: template: no label \"x\"",
            "no labels",
        ),
        (
            "{metric: cpu_percent, condition: '>', threshold: 1, annotations: {a: '{{ valu }}'}}",
            "annotations.a: template: unknown variable",
            "value",
        ),
        (
            "{metric: cpu_percent, condition: '>', threshold: 1, annotations: {'': x}}",
            "not an annotation name",
            "",
        ),
        (
            "{metric: cpu_percent, condition: '>', threshold: 1, treshold: 2}",
            "unknown key \"treshold\"",
            "threshold",
        ),
    ] {
        let yaml = format!("[{}]", yaml.replacen('{', "{name: r, ", 1));
        let problems = rules(&yaml).expect_err(&yaml);
        assert_eq!(problems.len(), 1, "{yaml}: {problems:?}");
        let (changes, hinted) = problems[0]
            .split_once("\n  hint: ")
            .unwrap_or((&problems[0], ""));
        assert!(
            changes.contains(message) && hinted.contains(hint),
            "{yaml}: {problems:?}"
        );
    }
}

#[test]
fn names_are_there_and_unique_and_all_problems_are_reported() {
    let problems = rules(
        "- {name: a, metric: x, condition: '>', threshold: 1}
- {name: a, expr: 'y > 1', threshold: 1}
- {name: '', metric: cpu_percent, consecutive: 0}",
    )
    .unwrap_err();
    let changes: Vec<&str> = problems.iter().map(|p| p.lines().next().unwrap()).collect();
    assert_eq!(
        changes,
        [
            "1:21: [0].metric: unknown metric \"x\"",
            "2:10: [1].name: duplicate rule \"a\"",
            "2:19: [1].expr: character 1: unknown metric \"y\"",
            "3:10: [2].name: a rule needs a name",
            "3:10: [2]: missing key \"condition\"",
            "3:10: [2]: missing key \"threshold\"",
            "3:48: [2].consecutive: consecutive must be at least 1",
        ]
    );
}

#[test]
fn gaps_of_a_minute_are_bridged_however_short_the_interval() {
    let rule = "[{name: a, metric: cpu_percent, condition: '>', threshold: 1}]";
    for (interval, tolerance) in [(1, 60), (20, 60), (60, 180)] {
        let mut metrics = metrics().to_vec();
        metrics[0].interval = Duration::from_secs(interval);
        let set = rules_over(&metrics, rule).unwrap();
        assert_eq!(
            set.rules[0].policy.tolerance,
            Duration::from_secs(tolerance),
            "{interval}"
        );
    }
}
