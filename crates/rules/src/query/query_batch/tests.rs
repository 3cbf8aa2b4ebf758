use bellwether_core::Origin;
use bellwether_promql::{Guard, Queryable};
use bellwether_tsdb::history::History;

use super::*;
use crate::query::query_batch::testing::Bench;
use crate::state::saved::roundtrip;
use crate::testing::{at, both, remember};
use crate::{Engine, SampleStorage, Tick};

const NOTHING: [&str; 0] = [];

#[test]
fn each_series_of_an_answer_is_an_alert() {
    let mut bench = Bench::rule(
        "promql: 'up == 0', duration: 30, severity: critical, add_labels: {team: db},
         message: '{{ labels.job }}{{ labels.other }} is {{ value }} ({{ labels.team }})'",
    );
    assert_eq!(
        bench.next(&[("up{job=\"a\"}", 0.0), ("up{job=\"b\"}", 1.0)]),
        ["a,db inactive > pending critical: `up == 0`: 0 is true"]
    );
    let changes = bench.next(&[("up{job=\"a\"}", 0.0), ("up{job=\"b\"}", 0.0)]);
    assert_eq!(changes.len(), 2);
    assert_eq!(
        changes[0],
        "a,db pending > firing critical: `up == 0`: 0 is true for 30s"
    );
    let alerts = bench.engine.alerts();
    assert_eq!(
        alerts[0].message, "a is 0 (db)",
        "a label it lacks is empty"
    );
    assert_ne!(alerts[0].fingerprint, alerts[1].fingerprint);
    // What leaves the answer is clear.
    assert_eq!(
        bench.next(&[("up{job=\"a\"}", 1.0), ("up{job=\"b\"}", 0.0)])[0],
        "b,db pending > firing critical: `up == 0`: 0 is true for 30s"
    );
    assert_eq!(bench.engine.alerts().len(), 1);
    assert_eq!(
        bench.next(&[("up{job=\"b\"}", 1.0)]),
        [
            "b,db firing > inactive critical: `up == 0` has no such series any more; fired for 30s at 0, peak 0"
        ]
    );
    assert!(bench.engine.alerts().is_empty());
}

#[test]
fn an_answer_without_labels_is_a_series_like_any_other() {
    let mut bench = Bench::rule("promql: 'sum(load) > 3'");
    assert_eq!(bench.next(&[("load", 4.0)]).len(), 1);
    assert_eq!(
        bench.next(&[("load", 3.0)]),
        [
            " firing > inactive warning: `sum(load) > 3` has no such series any more; fired for 30s at 4, peak 4"
        ]
    );
}

#[test]
fn an_answer_can_be_compared_by_the_rule() {
    let mut bench = Bench::rule(
        "promql: 'sum by (job) (load)', condition: '>', resolve_threshold: 5,
         thresholds: {warning: 8, critical: 20}, on_no_data: ok",
    );
    let load = |a: f64, b: f64| {
        [
            ("load{job=\"x\",n=\"1\"}", a),
            ("load{job=\"x\",n=\"2\"}", b),
        ]
    };
    assert_eq!(bench.next(&load(4.0, 3.0)), NOTHING);
    assert_eq!(
        bench.next(&load(5.0, 4.0)),
        ["x inactive > firing warning: `sum by (job) (load)`: 9 > 8"]
    );
    assert_eq!(
        bench.next(&load(20.0, 4.0)),
        ["x firing > firing critical: `sum by (job) (load)`: 24 > 20, warning becomes critical"]
    );
    let changes = bench.next(&load(f64::NAN, 4.0));
    assert_eq!(
        changes.len(),
        1,
        "NaN is not known, and what is not known is ok here: {changes:?}"
    );
    assert_eq!(
        bench.engine.rules().next().unwrap().last.unwrap().unknown,
        1
    );
    bench.next(&load(20.0, 4.0));
    assert_eq!(
        bench.next(&load(3.0, 3.0)).len(),
        1,
        "in the band it is a warning again"
    );
    assert_eq!(
        bench.next(&load(3.0, 2.0)),
        [
            "x firing > inactive warning: `sum by (job) (load)`: 5 is not > 5 (resolve_threshold); fired for 1m at 24, peak 24"
        ]
    );
    bench.next(&load(5.0, 4.0));
    // Five minutes without a sample, and there is no data, which is ok here.
    let last = (0..12).flat_map(|_| bench.next(&[])).collect::<Vec<_>>();
    assert_eq!(
        last,
        [
            "x firing > inactive warning: no data for `sum by (job) (load)`, treated as ok; fired for 5m at 9, peak 9"
        ]
    );
}

#[test]
fn an_error_goes_by_on_error_and_is_counted() {
    let mut bench = Bench::rule("promql: 'a * on () b', on_error: alert, duration: 30");
    let double = [("a", 1.0), ("b{n=\"1\"}", 1.0), ("b{n=\"2\"}", 1.0)];
    let mut all = Vec::new();
    for _ in 0..5 {
        all.extend(bench.next(&double));
    }
    assert_eq!(bench.engine.counts().failures, 5);
    assert!(all[0].starts_with(" inactive > pending warning: `a * on () b`: evaluation failed"));
    let error = bench
        .engine
        .rules()
        .next()
        .unwrap()
        .last
        .unwrap()
        .error
        .clone()
        .unwrap();
    assert!(
        error.contains("many-to-many") || error.contains("multiple matches"),
        "{error}"
    );
    // Series that are one without their names.
    let mut bench = Bench::rule("promql: '{__name__=~\"a|b\"}'");
    bench.next(&[("a{n=\"1\"}", 1.0), ("b{n=\"1\"}", 1.0)]);
    let error = bench
        .engine
        .rules()
        .next()
        .unwrap()
        .last
        .unwrap()
        .error
        .clone()
        .unwrap();
    assert_eq!(
        error,
        "two series of the result have the same labels: {n=\"1\"}"
    );
}

#[test]
fn a_hostile_query_ends_by_its_limits_and_the_others_are_evaluated() {
    struct Strict;
    impl QueryLimiter for Strict {
        fn begin(&self) -> Arc<Guard> {
            Arc::new(Guard::new(20))
        }
        fn end(&self) -> Duration {
            Duration::from_secs(7)
        }
    }
    let mut bench = Bench::new(
        "rules: [{name: greedy, promql: 'count_over_time({n!=\"\"}[1d]) > 0'},
         {name: modest, promql: 'up > 0'}]",
    );
    for _ in 0..4 {
        bench.now += 30;
        let many: Vec<String> = (1..9).map(|n| format!("x{{n=\"{n}\"}}")).collect();
        let many: Vec<(&str, f64)> = many.iter().map(|series| (series.as_str(), 1.0)).collect();
        remember(&bench.history, at(bench.now), &many);
        remember(&bench.history, at(bench.now), &[("up", 1.0)]);
    }
    let batch = bench
        .engine
        .query_batch(at(bench.now), Some(&[Origin::new("system")]));
    let tick = bench.engine.apply(batch.run(Some(&bench.history), &Strict));
    assert_eq!(
        (tick.evaluated, tick.failed, tick.transitions.len()),
        (2, 1, 1)
    );
    let greedy = bench.engine.rules().next().unwrap().last.unwrap().clone();
    assert!(greedy.error.unwrap().contains("too many samples"));
    assert_eq!(greedy.took, Duration::from_secs(7));
    // Answers to the rules before a reload are no answers to those after it.
    let batch = bench.engine.query_batch(at(bench.now + 30), None);
    let mut other = Engine::new(
        both("rules: [{name: modest, promql: 'up > 0'}]").unwrap(),
        at(0),
    );
    assert_eq!(
        other.apply(batch.run(Some(&bench.history), &Strict)),
        Tick::default()
    );
}

#[test]
fn a_restart_carries_alerts_of_any_labels_on() {
    let yaml = "promql: 'up == 0', duration: 30";
    let mut bench = Bench::rule(yaml);
    let down = [("up{job=\"a\",zone=\"é\"}", 0.0)];
    bench.next(&down);
    assert_eq!(bench.next(&down).len(), 1);
    let alerts = bench.engine.alerts();
    let saved = roundtrip(bench.engine.snapshot(), at(0)).unwrap();
    let mut next = Bench::rule(yaml);
    next.now = bench.now;
    assert_eq!(next.engine.restore(saved.clone(), at(bench.now)), []);
    assert_eq!(next.engine.alerts(), alerts);
    assert_eq!(next.next(&down), NOTHING, "changes before");
    assert_eq!(
        next.next(&[("up{job=\"a\",zone=\"é\"}", 1.0)]),
        [
            "a,é firing > inactive warning: `up == 0` has no such series any more; fired for 1m at 0, peak 0"
        ],
        "its data were seen since"
    );
    let mut next = Bench::rule(yaml);
    next.now = bench.now;
    assert_eq!(next.engine.restore(saved.clone(), at(bench.now)), []);
    let ended: Vec<usize> = (0..4).map(|_| next.next(&[]).len()).collect();
    assert_eq!(
        ended,
        [0, 0, 1, 0],
        "it may still come, until the grace is over"
    );
    // Another query is another rule.
    let mut other = Engine::new(both("rules: [{name: r, promql: 'up < 1'}]").unwrap(), at(0));
    let transitions = other.restore(saved.clone(), at(bench.now));
    assert_eq!(transitions[0].reason, "rule changed");
}

#[test]
fn recording_rules_come_first_and_in_order() {
    let mut bench = Bench::new(
        "recording_rules:
- {record: 'job:load:sum', promql: 'sum by (job) (load)', labels: {kind: total}}
- {record: 'load:most', promql: 'max(job:load:sum)'}
- {record: 'never', promql: 'load', enabled: false}
rules: [{name: r, promql: 'load:most > 10'}]",
    );
    let samples = [
        ("load{job=\"x\",n=\"1\"}", 7.0),
        ("load{job=\"x\",n=\"2\"}", 5.0),
        ("load{job=\"y\"}", 1.0),
    ];
    assert_eq!(
        bench.next(&samples),
        [" inactive > firing warning: `load:most > 10`: 12 is true"]
    );
    assert_eq!(
        bench.latest("job:load:sum"),
        [
            "job:load:sum{job=\"x\", kind=\"total\"}=12",
            "job:load:sum{job=\"y\", kind=\"total\"}=1",
        ]
    );
    assert_eq!(bench.latest("never"), NOTHING);
    let status: Vec<_> = bench
        .engine
        .recordings()
        .map(|r| r.last.map(|last| last.holds))
        .collect();
    assert_eq!(status, [Some(2), Some(1), None]);
    assert_eq!(bench.engine.counts().evaluations, 3);
    // A series that leaves the answer ends at once, not when the lookback is over.
    bench.now += 300;
    bench.next(&[("load{job=\"y\"}", 2.0)]);
    assert_eq!(
        bench.latest("job:load:sum"),
        [
            "job:load:sum{job=\"x\", kind=\"total\"}=NaN",
            "job:load:sum{job=\"y\", kind=\"total\"}=2",
        ]
    );
    assert_eq!(bench.latest("load:most"), ["load:most=2"]);
}

#[test]
fn series_of_a_recording_rule_end_when_a_reload_takes_it_away() {
    let yaml = |names: &[&str]| {
        let list: Vec<String> = names
            .iter()
            .map(|name| format!("{{record: {name}, promql: load}}"))
            .collect();
        format!("recording_rules: [{}]", list.join(", "))
    };
    let mut bench = Bench::new(&yaml(&["one", "two"]));
    bench.next(&[("load", 1.0)]);
    let mut engine = Engine::new(both(&yaml(&["two"])).unwrap(), at(bench.now));
    std::mem::swap(&mut engine, &mut bench.engine);
    assert_eq!(bench.engine.adopt(engine, at(bench.now)), []);
    bench.next(&[("load", 2.0)]);
    assert_eq!(bench.latest("one"), ["one=NaN"]);
    assert_eq!(bench.latest("two"), ["two=2"]);
    bench.now += 300;
    bench.next(&[]);
    assert_eq!(
        bench.latest("two"),
        ["two=NaN"],
        "the new engine knows what the old one recorded"
    );
}

#[test]
fn a_recording_that_does_not_fit_is_an_error_and_so_is_no_history() {
    let mut bench = Bench::new("recording_rules: [{record: copy, promql: load}]");
    bench.history = History::in_memory(1);
    bench.next(&[("load", 1.0)]);
    let error = bench
        .engine
        .recordings()
        .next()
        .unwrap()
        .last
        .unwrap()
        .error
        .clone();
    assert_eq!(
        error.unwrap(),
        "no room in history for 1 series; see max_series"
    );
    let mut bench = Bench::rule("promql: 'up > 0'");
    let tick = bench.engine.tick(&bench.store, None, at(30), None);
    assert_eq!((tick.evaluated, tick.failed), (1, 1));
}

#[test]
fn a_rule_is_asked_after_the_collections_that_concern_it_and_at_its_own_pace() {
    let mut bench = Bench::new(
        "recording_rules: [{record: 'cpu:max', promql: 'max(cpu_percent)'}]
rules:
- {name: system, promql: 'cpu_percent > 1'}
- {name: recorded, promql: 'cpu:max > 1'}
- {name: histogram, promql: 'rate(api_duration_bucket[5m]) > 1'}
- {name: unknown, promql: 'elsewhere > 1'}
- {name: slow, promql: 'cpu_percent > 1', interval: 2m}",
    );
    let mut evaluated = |seconds: u64, origin| {
        let tick = bench.engine.tick(
            &bench.store,
            Some(&bench.history),
            at(seconds),
            Some(origin),
        );
        (tick.evaluated, tick.failed)
    };
    assert_eq!(evaluated(30, Origin::new("system")), (5, 0));
    assert_eq!(evaluated(31, Origin::APPLICATION), (1, 0), "the histogram");
    assert_eq!(evaluated(32, Origin::SELF_METRICS), (0, 0));
    assert_eq!(
        evaluated(60, Origin::new("system")),
        (4, 0),
        "not the slow one"
    );
    assert_eq!(
        evaluated(90, Origin::new("system")),
        (5, 0),
        "the histogram waits too long"
    );
    assert_eq!(evaluated(120, Origin::new("system")), (4, 0));
    assert_eq!(
        evaluated(148, Origin::new("system")),
        (6, 0),
        "a little early is not too early"
    );
}

#[test]
fn what_is_recorded_over_other_samples_stays_beside_them() {
    let (source, labels) = (History::in_memory(9), LabelSet::new([("__name__", "x")]));
    remember(&source, at(0), &[("up", 1.0)]);
    let overlay = crate::RecordingOverlay::new(&source);
    assert_eq!(overlay.record(at(1).wall, &[(labels.clone(), 2.0)]), 0);
    let all = [bellwether_matcher::LabelMatcher {
        name: "__name__".into(),
        test: bellwether_matcher::ValueTest::regex(".+", false).unwrap(),
    }];
    let (from, to, guard) = (at(0).wall, at(9).wall, Guard::default());
    assert_eq!(overlay.select(&all, from, to, &guard).unwrap().len(), 2);
    assert_eq!(overlay.series(&all, from, to, &guard).unwrap()[1], labels);
    assert_eq!(source.select(&all, from, to, &guard).unwrap().len(), 1);
}
