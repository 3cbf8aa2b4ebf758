use std::time::Duration;

use bellwether_core::{Kind, MetricDef, Origin};

use super::{Formula, Outcome, compile};
use crate::eval::condition::Condition;

fn metric(name: &str, kind: Kind, labels: &[&str]) -> MetricDef {
    MetricDef {
        name: name.into(),
        exported: name.into(),
        help: "".into(),
        kind,
        labels: labels.iter().map(|label| (*label).into()).collect(),
        buckets: if kind == Kind::Histogram {
            [0.1, 1.0].into()
        } else {
            [].into()
        },
        quantiles: [].into(),
        origin: Origin::new("system"),
        interval: Duration::from_secs(30),
    }
}

fn metrics() -> Vec<MetricDef> {
    vec![
        metric("a", Kind::Gauge, &[]),
        metric("b", Kind::Gauge, &[]),
        metric("errors", Kind::Counter, &["endpoint", "kind"]),
        metric("requests", Kind::Counter, &["endpoint", "method"]),
        metric("latency", Kind::Histogram, &["endpoint"]),
    ]
}

fn formula(text: &str) -> Formula {
    compile(text, &metrics()).unwrap_or_else(|fault| panic!("{text}: {fault:?}"))
}

/// The number an expression gives for a and b.
fn number(text: &str, a: f64, b: f64) -> f64 {
    let formula = formula(text);
    let inputs: Vec<f64> = formula
        .inputs
        .iter()
        .map(|input| if input.metric.0 == 0 { a } else { b })
        .collect();
    match formula.outcome {
        Outcome::Number(number) => number.value(&inputs),
        other => panic!("{text} is no number: {other:?}"),
    }
}

/// The truth of an expression for a and b.
fn truth(text: &str, a: f64, b: f64) -> Option<bool> {
    let formula = formula(text);
    let inputs: Vec<f64> = formula
        .inputs
        .iter()
        .map(|input| if input.metric.0 == 0 { a } else { b })
        .collect();
    match formula.outcome {
        Outcome::Test(test) => test.holds(&inputs),
        Outcome::Compared(number, condition, threshold) => {
            let value = number.value(&inputs);
            (!value.is_nan()).then(|| condition.holds(value, threshold))
        }
        Outcome::Number(_) => panic!("{text} is a number"),
    }
}

#[test]
fn integers_are_no_trap() {
    assert_eq!(number("a * 0 + 7/2", 0.0, 0.0), 3.5);
    assert_eq!(truth("a == 4", 4.0, 0.0), Some(true));
    assert_eq!(truth("a != 4", 4.0, 0.0), Some(false));
    assert_eq!(number("a + 99999999999999999999", 0.0, 0.0), 1e20);
    assert_eq!(number("a + 1.5e-3 + 2E+2", 0.0, 0.0), 200.0015);
}

#[test]
fn precedence_and_functions() {
    for (text, expected) in [
        ("a + b * 2", 14.0),
        ("(a + b) * 2", 18.0),
        ("a - b - 1", -2.0),
        ("-a + b", 1.0),
        ("a - -b", 9.0),
        ("2 ^ a", 16.0),
        ("b % a", 1.0),
        ("min(a, b, 1)", 1.0),
        ("max(a, b)", 5.0),
        ("math::abs(a - b)", 1.0),
        ("abs (a - b)", 1.0),
        ("clamp(a * 10, 0, b)", 5.0),
        ("round(b / a * 10)", 13.0),
        ("if(a > b, 1, 2) + a * 0", 2.0),
        ("sqrt(a) + pow(b, 2) + log10(100)", 29.0),
    ] {
        assert_eq!(number(text, 4.0, 5.0), expected, "{text}");
    }
}

#[test]
fn what_is_unknown_stays_unknown() {
    let nan = f64::NAN;
    for (text, a, expected) in [
        ("a / b > 1", 1.0, None),
        ("a % b > 1", 1.0, None),
        ("a != b", nan, None),
        ("!(a > 1)", nan, None),
        ("a > 1 || true", nan, Some(true)),
        ("a > 1 && b > 1", nan, Some(false)),
        ("a > 1 or b == 0", nan, Some(true)),
        ("a > 1 and b == 0", nan, None),
        ("not (a > 1) and b == 0", 0.0, Some(true)),
        ("(a > 1) == (b > 1)", nan, None),
        ("max(a, b) >= 0", nan, None),
        ("if(a > 1, 1, 2) > 0", nan, None),
    ] {
        assert_eq!(truth(text, a, 0.0), expected, "{text} for {a}");
    }
}

#[test]
fn a_comparison_with_a_constant_becomes_the_rules_own() {
    for text in ["a / b > 0.5", "0.5 < a / b", "a / b > 1 / 2"] {
        let Outcome::Compared(_, condition, threshold) = formula(text).outcome else {
            panic!("{text}")
        };
        assert_eq!((condition, threshold), (Condition::Greater, 0.5), "{text}");
    }
    assert!(matches!(formula("a > b").outcome, Outcome::Test(_)));
}

#[test]
fn aggregations_become_inputs() {
    let inputs = |text| {
        let inputs = formula(text).inputs;
        inputs
            .iter()
            .map(|input| {
                let window = input.reading.window().map_or(0, |window| window.as_secs());
                format!("{}/{window}/{}", input.metric.0, input.labels.join("+"))
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(inputs("a + a > b"), ["0/0/", "1/0/"]);
    for text in [
        "rate(errors, \"10m\")",
        "rate(errors[10m])",
        "rate_10m(errors)",
    ] {
        assert_eq!(inputs(text), ["2/600/endpoint+kind"], "{text}");
    }
    assert_eq!(
        inputs("rate(errors) / rate(requests)"),
        ["2/300/endpoint+kind", "3/300/endpoint+method"]
    );
    assert_eq!(inputs("max(a, \"1m\") + max_2m(a)"), ["0/60/", "0/120/"]);
    assert_eq!(inputs("p95(latency, '5m')"), ["4/300/endpoint"]);
    assert_eq!(
        inputs("sum_by(rate(errors[5m]), \"endpoint\") / sum_by(requests)"),
        ["2/300/endpoint", "3/0/"]
    );
}

#[test]
fn faults_have_a_place_and_a_hint() {
    for (text, column, message, hint) in [
        ("", 0, "empty", ""),
        ("1 > 2", 0, "the expression has no metric", ""),
        ("a = 4", 3, "'=' is not a comparison", "=="),
        ("a += 4", 3, "assignment", ""),
        ("a > ", 5, "ends where a value is expected", ""),
        ("> a", 1, "expected a value before '>'", ""),
        ("a b", 3, "expected an operator", ""),
        ("a (b)", 1, "unknown function \"a\"", ""),
        ("(a > 1", 1, "never closed", ""),
        ("a > 1)", 6, "')' without '('", ""),
        ("a > 1; b", 6, "unexpected ';'", ""),
        (
            "reqests > 1",
            1,
            "unknown metric \"reqests\"",
            "did you mean \"requests\"?",
        ),
        ("errors{kind=\"x\"} > 1", 7, "unexpected '{'", "labels"),
        ("latency > 1", 1, "needs an aggregation", "p95(latency"),
        (
            "rat(errors)",
            1,
            "unknown function \"rat\"",
            "did you mean \"rate\"?",
        ),
        ("rate(a)", 6, "rate is for counters", "delta"),
        ("sum(a) > 1", 1, "sum is ambiguous", "sum_by"),
        ("rate(errors + requests) > 1", 6, "expected a metric", ""),
        ("rate(errors, \"soon\") > 1", 14, "expected a window", ""),
        (
            "rate(errors, \"1s\") > 1",
            6,
            "shorter than the interval",
            "1m",
        ),
        (
            "sum_by(errors, \"endpont\")",
            16,
            "has no label \"endpont\"",
            "\"endpoint\"",
        ),
        ("sum_by(errors, kind)", 16, "expected a label", "quoted"),
        ("a + true", 5, "expected a number, found true or false", ""),
        ("a && b", 1, "expected a comparison, found a number", ""),
        (
            "a > 1 > 0",
            1,
            "cannot compare true or false with a number",
            "",
        ),
        ("a + 1 / 0", 9, "the result is not a number", ""),
        ("nan > a", 1, "unknown metric \"nan\"", ""),
        ("a + 0x10", 5, "not a number: 0x10", ""),
        ("a + 5m", 5, "not a number: 5m", ""),
        ("1e999 < a", 1, "not a number", ""),
        ("\"x\" == a", 1, "text outside", ""),
        (
            "str::substring(\"é\", 1)",
            1,
            "unknown function \"substring\"",
            "",
        ),
        ("é > 1", 1, "unexpected 'é'", ""),
        ("a > 1 // b", 7, "comments", ""),
        ("abs(a, b)", 1, "abs takes 1 numbers, found 2", ""),
        ("abs()", 5, "expected a value before ')'", ""),
    ] {
        let fault = compile(text, &metrics()).expect_err(text);
        let found = (
            fault.column.unwrap_or(0),
            fault.message,
            fault.hint.unwrap_or_default(),
        );
        assert!(
            found.0 == column && found.1.contains(message) && found.2.contains(hint),
            "{text}: {found:?}"
        );
    }
}

#[test]
fn hostile_expressions_end_in_an_error() {
    for text in [
        "(".repeat(100_000) + "a" + &")".repeat(100_000),
        "(".repeat(1_900) + "a" + &")".repeat(1_900),
        "-".repeat(3_999) + "a",
        "!".repeat(3_999) + "a",
        "a^".repeat(1_500) + "a",
        "a+".repeat(1_500) + "a",
        "abs(".repeat(900) + "a" + &")".repeat(900),
        "\u{feff}a > 1".into(),
        "a > \u{661}".into(),
        "a > 1\0".into(),
    ] {
        assert!(
            compile(&text, &metrics()).is_err(),
            "{}",
            &text[..20.min(text.len())]
        );
    }
}

#[test]
fn the_longest_expressions_taken_are_evaluated() {
    assert_eq!(number(&("-".repeat(199) + "a"), 1.0, 0.0), -1.0);
    assert_eq!(number(&("a+".repeat(99) + "a"), 1.0, 0.0), 100.0);
    assert_eq!(number(&("a^".repeat(99) + "a"), 1.0, 0.0), 1.0);
    assert_eq!(
        number(&("(".repeat(40) + "a" + &")".repeat(40)), 1.0, 0.0),
        1.0
    );
}

proptest::proptest! {
    /// Whatever the text, compiling ends without a panic.
    #[test]
    fn any_text_ends(text in "[ab0-9().,<>=!&|+*/%^\"\\[\\] é_-]{0,60}") {
        let _ = compile(&text, &metrics()).is_ok();
    }
}
