use std::sync::Arc;
use std::time::Duration;

use bellwether_core::Origin;
use bellwether_promql::Guard;

use crate::query::query_batch::testing::Bench;
use crate::state::saved::roundtrip;
use crate::testing::{at, both, remember, rules};
use crate::{Engine, QueryLimiter};

/// A rule over `up`, whose message asks for something else.
fn rule(message: &str) -> String {
    let message = message.replace('\'', "''");
    format!("promql: 'up == 0', message: '{message}'")
}

/// Returns the message of the only alert, once `load` is on `a` and `b`.
fn message(template: &str) -> String {
    let mut bench = Bench::rule(&rule(template));
    bench.next(&[
        ("load{job=\"b\"}", 2.0),
        ("load{job=\"a\"}", 1234.5),
        ("up{job=\"a\"}", 0.0),
    ]);
    let alerts = bench.engine.alerts();
    assert_eq!(alerts.len(), 1);
    alerts[0].message.clone()
}

#[test]
fn a_text_asks_history_as_of_its_evaluation() {
    for (template, expected) in [
        (
            "{{ query(\"load{job='a'}\") | first | value | humanize }}",
            "1.234k",
        ),
        (
            "{{ query(\"load{job='\" ~ labels.job ~ \"'}\") | first | label('job') }}",
            "a",
        ),
        (
            "{% for s in query('load') | sortByLabel('job') %}{{ s.labels.job }}={{ s.value }} {% endfor %}",
            "a=1234.5 b=2 ",
        ),
        (
            "{{ query('1 + 1') | first | value }}{{ query('load') | first | label('x') }}",
            "2",
        ),
        (
            "{% if query('load > 9e9') %}x{% else %}none{% endif %}",
            "none",
        ),
        ("{{ query('time() - ' ~ now) | first | value }}", "0"),
        (
            "{{ query('load{') }}",
            "<error expanding template: error calling query: 1:6: parse error: unexpected end of input",
        ),
        (
            "{{ query('load > 9e9') | first | value }} of",
            "<error expanding template: error calling first: first() called on vector with no elements>",
        ),
        (
            "{{ query('load[5m]') }}",
            "<error expanding template: error calling query: ",
        ),
    ] {
        let found = message(template);
        assert!(
            found.starts_with(expected) && (expected.starts_with('<') || found == expected),
            "{template}: {found}"
        );
    }
}

#[test]
fn a_text_is_written_anew_at_each_evaluation_and_stays_with_the_end() {
    let mut bench = Bench::rule(&rule(
        "{{ query('load') | first | value }} {{ labels.job }}",
    ));
    let changes = |bench: &mut Bench, load: f64, up: f64| {
        let tick = bench.tick(&[("load", load), ("up{job=\"a\"}", up)]);
        tick.transitions
            .iter()
            .map(|t| t.alert.message.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(changes(&mut bench, 1.0, 0.0), ["1 a"]);
    assert_eq!(changes(&mut bench, 2.0, 0.0), [""; 0]);
    assert_eq!(bench.engine.alerts()[0].message, "2 a");
    // A restart asks nothing: what was changes holds until the next evaluation.
    let saved = roundtrip(bench.engine.snapshot(), at(bench.now)).unwrap();
    let yaml = rule("{{ query('load') | first | value }} {{ labels.job }}");
    let set = both(&format!("rules: [{{name: r, {yaml}}}]")).unwrap();
    bench.engine = Engine::new(set, at(bench.now));
    assert_eq!(bench.engine.restore(saved, at(bench.now)), []);
    assert_eq!(bench.engine.alerts()[0].message, "1 a");
    assert_eq!(changes(&mut bench, 3.0, 0.0), [""; 0]);
    assert_eq!(bench.engine.alerts()[0].message, "3 a");
    assert_eq!(changes(&mut bench, 4.0, 1.0), ["1 a"], "as it was changes");
}

#[test]
fn what_a_text_asks_is_charged_to_its_rule_and_the_alert_is_reported_all_the_same() {
    struct Strict;
    impl QueryLimiter for Strict {
        fn begin(&self) -> Arc<Guard> {
            Arc::new(Guard::new(20))
        }
        fn end(&self) -> Duration {
            Duration::ZERO
        }
    }
    let mut bench = Bench::rule(&rule(
        "{{ query('count_over_time(load[1h])') | first | value }}",
    ));
    for _ in 0..30 {
        bench.now += 30;
        remember(&bench.history, at(bench.now), &[("load", 1.0), ("up", 0.0)]);
    }
    let batch = bench
        .engine
        .query_batch(at(bench.now), Some(&[Origin::new("system")]));
    let tick = bench.engine.apply(batch.run(Some(&bench.history), &Strict));
    assert_eq!((tick.failed, tick.transitions.len()), (0, 1));
    let message = &tick.transitions[0].alert.message;
    assert!(
        message.starts_with("<error expanding template: error calling query: "),
        "{message}"
    );
    assert!(message.contains("too many samples"), "{message}");
}

#[test]
fn only_what_is_known_at_the_evaluation_stands_beside_a_query() {
    let changes = |yaml: &str| {
        both(&format!("rules: [{{name: r, {yaml}}}]"))
            .unwrap_err()
            .join("\n")
    };
    let found = changes(&rule("{{ query('up') | len }} {{ peak }}"));
    assert!(found.contains("`peak` beside `query` or `now`"), "{found}");
    let found = changes(&rule("{{ query('up') | len }} {{ valeu }}"));
    assert!(found.contains("unknown variable \"valeu\""), "{found}");
    let stored = "[{name: r, metric: cpu_percent, condition: '>', threshold: 1, message: \"{{ query('up') | len }}\"}]";
    let found = rules(stored).unwrap_err().join("\n");
    assert!(
        found.contains("a rule that does not query history"),
        "{found}"
    );
}
