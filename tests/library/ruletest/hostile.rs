//! Files that are no tests, or too much of one: a clear error, or bounded work.

use std::time::{Duration, Instant};

use super::tested;

/// The status of a file, and whether it says this.
fn check(text: &str, status: i32, expected: &str) {
    let (code, shown) = tested(text);
    assert_eq!(code, status, "{text:.200}: {shown}");
    assert!(
        shown.contains(expected),
        "{text:.200}: {expected:?} is not in: {shown}"
    );
}

#[test]
fn what_is_no_test_is_rejected_with_its_place() {
    for (text, expected) in [
        ("", "x.test.yaml: no tests"),
        ("\u{0}\u{1}", "x.test.yaml:"),
        ("[]", "x.test.yaml:1:1: expected a mapping, found a list"),
        (
            "just text",
            "x.test.yaml:1:1: expected a mapping, found a single value",
        ),
        ("tests: 5", "x.test.yaml:1:8: tests: expected a list"),
        (
            "tests: [5]",
            "x.test.yaml:1:9: tests[0]: expected a mapping",
        ),
        ("tests: [{}]\n---\ntests: []", "a second YAML document"),
        (
            "tests: &a [*a]",
            "x.test.yaml:1:12: an alias inside its own anchor",
        ),
        (
            "test: [{}]",
            "unknown key \"test\"\n  hint: did you mean \"tests\"?",
        ),
        ("tests: [{intervall: 1m}]", "did you mean \"interval\"?"),
        (
            "tests: [{interval: 0}]",
            "1:20: tests[0].interval: an interval of no length",
        ),
        ("tests: [{interval: 0.0001}]", "an interval of no length"),
        (
            "tests: [{interval: -1m}]",
            "tests[0].interval: expected a time",
        ),
        (
            "evaluation_interval: 0s\ntests: [{}]",
            "1:22: evaluation_interval: an interval of no",
        ),
        (
            "tests: [{alert_rule_test: [{eval_time: -5m, alertname: a}]}]",
            "not negative",
        ),
        (
            "tests: [{alert_rule_test: [{eval_time: 1m}]}]",
            "missing key \"alertname\"",
        ),
        (
            "tests: [{input_series: [{series: 'a{', values: 1}]}]",
            "character 3: ",
        ),
        (
            "tests: [{input_series: [{series: a, values: '1 1 x'}]}]",
            "character 5: no value",
        ),
        (
            "tests: [{input_series: [{series: a, values: '{{count:1}}'}]}]",
            "native histograms",
        ),
        (
            "tests: [{input_series: [{series: 'a{b=\"c\"}', values: 1}, {series: 'a{b=\"c\", }', values: 1}]}]",
            "the series a{b=\"c\"} is given twice\n  hint: the first is on line 1",
        ),
        (
            "group_eval_order: [a, a]\ntests: [{}]",
            "the group a is given twice",
        ),
        (
            "rule_files: [no/such.yml]\ntests: [{}]",
            "1:14: rule_files[0]: no/such.yml: cannot read",
        ),
        (
            "rule_files: ['no/*.yml']\ntests: [{}]",
            "no file matches \"no/*.yml\"",
        ),
        (
            "tests: [{start_timestamp: tomorrow}]",
            "expected a time such as",
        ),
        (
            "tests: [{promql_expr_test: [{expr: a, eval_time: 1m, exp_samples: [{histogram: '{{}}'}]}]}]",
            "native histograms",
        ),
    ] {
        check(text, 2, expected);
    }
}

#[test]
fn all_problems_of_a_file_are_reported_at_once() {
    let (_, shown) =
        tested("tests:\n- interval: x\n  input_series: [{series: 9, values: z}]\n  foo: 1\n");
    for expected in [
        "2:13: tests[0].interval",
        "3:27: ",
        "3:38: ",
        "4:3: tests[0].foo: unknown key",
    ] {
        assert!(shown.contains(expected), "{expected} is not in: {shown}");
    }
}

#[test]
fn work_is_bounded() {
    let start = Instant::now();
    // More values than memory could hold: only those are made that are looked at.
    check(
        "tests: [{interval: 1s, input_series: [{series: a, values: '0x1000000'}, {series: b, values: '1+1x18446744073709551614'}],
          promql_expr_test: [{expr: 'sum(a) + sum(b)', eval_time: 1m, exp_samples: [{labels: '{}', value: 61}]}]}]",
        0,
        "1 passed",
    );
    check(
        "evaluation_interval: 1ms\ntests: [{promql_expr_test: [{expr: a, eval_time: 100d}]}]",
        2,
        "8640000000 evaluations until then, 1000000 at most",
    );
    let series: String = (0..1000)
        .map(|n| format!("{{series: 'a{{n=\"{n}\"}}', values: '0x1000000'}},"))
        .collect();
    check(
        &format!(
            "tests: [{{interval: 1s, input_series: [{series}], alert_rule_test: [{{eval_time: 1d, alertname: a}}]}}]"
        ),
        2,
        "86400000 values until then, 50000000 at most",
    );
    // Aliases that double themselves, and a deep one.
    let mut laughs = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..9 {
        let below = vec![format!("*a{}", level - 1); 10].join(", ");
        laughs += &format!("a{level}: &a{level} [{below}]\n");
    }
    check(&laughs, 2, "aliases add more than");
    check(&"[".repeat(100_000), 2, "recursion limit");
    check(
        &format!("tests: [{{name: '{}'}}]", "x".repeat(1 << 20)),
        0,
        "1 passed",
    );
    check(&"#\n".repeat(17 << 20), 2, "larger than 32 MiB");
    assert!(
        start.elapsed() < Duration::from_secs(60),
        "{:?}",
        start.elapsed()
    );
}

#[test]
fn a_million_samples_are_no_hardship() {
    let start = Instant::now();
    check(
        "evaluation_interval: 1h\ntests: [{interval: 1s, input_series: [{series: a, values: '0x1000000'}],
          promql_expr_test: [{expr: 'count_over_time(a[1h])', eval_time: 11d, exp_samples: [{labels: '{}', value: 3600}]}]}]",
        0,
        "1 passed",
    );
    assert!(
        start.elapsed() < Duration::from_secs(30),
        "{:?}",
        start.elapsed()
    );
}
