//! Output, files and exit status of the command.

use std::fs;

use super::bellwether;

const FILE: &str = "rule_files: [rules.yaml]
tests:
  - name: fires
    input_series: [{series: 'queue_length{queue_name=\"mail\"}', values: '1 20'}]
    alert_rule_test:
      - {eval_time: 1m, alertname: backlog, exp_alerts: [{exp_labels: {queue_name: mail}}]}
  - name: <does & not>
    input_series: [{series: 'queue_length{queue_name=\"mail\"}', values: '1 20'}]
    alert_rule_test:
      - {eval_time: 1m, alertname: backlog, exp_alerts: [{exp_labels: {queue_name: post}, exp_message: full}]}
      - {eval_time: 2m, alertname: blacklog}
    promql_expr_test:
      - expr: multi_agent_system_queue_length
        eval_time: 1m
        exp_samples: [{labels: 'multi_agent_system_queue_length{queue_name=\"mail\"}', value: 21}]
";

const RULES: &str = "[{name: backlog, metric: queue_length, condition: '>', threshold: 10, message: 'at {{ value }}'}]";

#[test]
fn differences_are_reported_with_their_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    fs::write(path.join("x.yaml"), FILE).unwrap();
    fs::write(path.join("rules.yaml"), RULES).unwrap();
    let (status, text) = bellwether(&["x.yaml", "--junit", "out.xml"], path);
    assert_eq!(status, 1, "{text}");
    let expected = "\
ok   x.yaml: fires
FAIL x.yaml: <does & not>
  warning: x.yaml:11:36: alertname
        no rule under test is called \"blacklog\"
  x.yaml:10:9: alert backlog at 1m
    - expected {alertname=\"backlog\", queue_name=\"post\"}
    + got      {alertname=\"backlog\", queue_name=\"mail\"}
        label queue_name: expected \"post\", got \"mail\"
        message: expected \"full\", got \"at 20\"
  x.yaml:13:15: query multi_agent_system_queue_length at 1m
    - expected multi_agent_system_queue_length{queue_name=\"mail\"} 21
    + got      multi_agent_system_queue_length{environment=\"development\", instance=\"localhost\", queue_name=\"mail\"} 20
        label environment: expected nothing, got \"development\"
        label instance: expected nothing, got \"localhost\"
        the value: expected 21, got 20
1 passed, 1 failed
";
    assert_eq!(text, expected);
    let xml = fs::read_to_string(path.join("out.xml")).unwrap();
    for expected in [
        "<testsuites name=\"bellwether test\" tests=\"2\" failures=\"1\" errors=\"0\">",
        "<testcase classname=\"x.yaml\" name=\"fires\" file=\"x.yaml\" line=\"3\"",
        "name=\"&lt;does &amp; not&gt;\"",
        "<failure message=\"alert backlog at 1m\">",
    ] {
        assert!(xml.contains(expected), "{expected} is not in {xml}");
    }
}

#[test]
fn some_tests_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    fs::write(path.join("x.yaml"), FILE).unwrap();
    fs::write(path.join("rules.yaml"), RULES).unwrap();
    let (status, text) = bellwether(&["x.yaml", "--run", "^fires$"], path);
    assert_eq!(
        (status, text.lines().last()),
        (0, Some("1 passed, 0 failed")),
        "{text}"
    );
    let (status, text) = bellwether(&["x.yaml", "--run", "nothing"], path);
    assert_eq!(status, 2, "{text}");
    assert!(text.contains("no test matches --run nothing"), "{text}");
    assert_eq!(bellwether(&["x.yaml", "--run", "("], path).0, 2);
}

#[test]
fn what_cannot_be_run_is_worse_than_a_failure() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    fs::write(path.join("x.yaml"), FILE).unwrap();
    fs::write(path.join("rules.yaml"), RULES).unwrap();
    let (status, text) = bellwether(&["x.yaml", "none.yaml", "--junit", "out.xml"], path);
    assert_eq!(status, 2, "{text}");
    assert!(
        text.contains("1 passed, 1 failed, 1 file could not be run"),
        "{text}"
    );
    assert!(
        text.contains("none.yaml: cannot read: No such file"),
        "{text}"
    );
    let xml = fs::read_to_string(path.join("out.xml")).unwrap();
    assert!(
        xml.contains("<error message=\"none.yaml: cannot read"),
        "{xml}"
    );
    assert_eq!(bellwether(&[], path).0, 2);
    assert_eq!(
        bellwether(&["x.yaml", "--junit", "no/such/out.xml"], path).0,
        2
    );
}

#[test]
fn rules_that_are_wrong_are_reported_with_their_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    fs::write(
        path.join("x.yaml"),
        "rule_files: [a.yaml, b.yaml]\ntests: [{}]",
    )
    .unwrap();
    fs::write(
        path.join("a.yaml"),
        "[{name: a, metric: cpu_percnt, condition: '>', threshold: 1}]",
    )
    .unwrap();
    fs::write(
        path.join("b.yaml"),
        "rules: [{name: b, promql: 'a b'}]\nrulez: 1",
    )
    .unwrap();
    let (status, text) = bellwether(&["x.yaml"], path);
    assert_eq!(status, 2, "{text}");
    for expected in [
        "a.yaml:1:20: [0].metric: unknown metric \"cpu_percnt\"",
        "b.yaml:2:1: rulez: unknown key",
    ] {
        assert!(text.contains(expected), "{expected} is not in {text}");
    }
}
