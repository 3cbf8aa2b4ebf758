use std::time::Duration;

use bellwether_core::{MetricId, Severity};

use super::*;
use crate::testing::{
    CPU, DISK, DURATIONS, ERRORS, HITS, LATENCY, MISSES, at, commit, rules, store,
};

/// A store and an engine on virtual time.
struct Bench {
    store: Store,
    engine: Engine,
    now: u64,
}

type Point<'a> = (MetricId, &'a [&'a str], &'a [f64]);

impl Bench {
    /// One rule.
    fn rule(yaml: &str) -> Self {
        let set = rules(&format!("[{{name: r, {yaml}}}]")).unwrap();
        Self {
            store: store(&set),
            engine: Engine::new(set, at(0)),
            now: 0,
        }
    }

    /// Advances by 30 s, commits and evaluates.
    fn next(&mut self, points: &[Point<'_>]) -> Vec<String> {
        self.now += 30;
        let now = at(self.now);
        commit(&self.store, now, points);
        self.store.expire(now);
        changes(&self.engine.tick(&self.store, None, now, None).transitions)
    }

    fn cpu(&mut self, value: f64) -> Vec<String> {
        self.next(&[(CPU, &[], &[value])])
    }
}

/// `inactive > firing warning: reason`, with the labels where there are some.
fn changes(transitions: &[Transition]) -> Vec<String> {
    transitions
        .iter()
        .map(|t| {
            let labels: Vec<&str> = t.alert.labels.values().map(String::as_str).collect();
            format!(
                "{}{}{} > {} {}: {}",
                labels.join(","),
                if labels.is_empty() { "" } else { " " },
                t.from.as_str(),
                t.alert.state.as_str(),
                t.alert.severity.as_str(),
                t.reason
            )
        })
        .collect()
}

const NOTHING: [&str; 0] = [];

#[test]
fn pending_firing_resolved() {
    let mut bench = Bench::rule(
        "metric: cpu_percent, condition: '>', threshold: 85, duration: 60, severity: critical,
         message: 'CPU {{ value }} ({{ state }})', annotations: {runbook: '{{ rule }}'}",
    );
    assert_eq!(bench.cpu(85.0), NOTHING);
    assert_eq!(
        bench.cpu(91.25),
        ["inactive > pending critical: cpu_percent 91.25 > 85"]
    );
    assert_eq!(bench.engine.alerts()[0].message, "CPU 91.25 (pending)");
    assert_eq!(bench.cpu(90.0), NOTHING);
    assert_eq!(
        bench.cpu(92.0),
        ["pending > firing critical: cpu_percent 92 > 85 for 1m"]
    );
    assert_eq!(bench.cpu(93.0), NOTHING);
    let alert = bench.engine.alerts().remove(0);
    assert_eq!(
        (alert.message.as_str(), alert.value),
        ("CPU 93 (firing)", Some(93.0))
    );
    assert_eq!(alert.annotations["runbook"], "r");
    assert_eq!(
        (alert.active_at, alert.fired_at),
        (at(60).wall, Some(at(120).wall))
    );

    bench.now += 30;
    commit(&bench.store, at(bench.now), &[(CPU, &[], &[62.0])]);
    let tick = bench.engine.tick(&bench.store, None, at(bench.now), None);
    assert_eq!(
        changes(&tick.transitions),
        ["firing > inactive critical: cpu_percent 62 is not > 85; fired for 1m at 92, peak 93"]
    );
    let resolved = &tick.transitions[0].alert;
    assert_eq!(resolved.message, "CPU 92 (firing)", "as it was notified");
    assert_eq!(
        (resolved.value, resolved.resolved_at),
        (Some(62.0), Some(at(180).wall))
    );
    assert_eq!(
        (resolved.fired_value, resolved.peak),
        (Some(92.0), Some(93.0))
    );
    assert_eq!(
        resolved.fired_for(at(900).wall),
        Some(Duration::from_secs(60))
    );
    assert_eq!(resolved.fired_at, Some(at(120).wall));
    assert!(bench.engine.alerts().is_empty());
    let counts = bench.engine.counts();
    assert_eq!(
        (counts.evaluations, counts.fired, counts.resolved),
        (6, 1, 1)
    );
}

#[test]
fn a_pending_alert_that_clears_is_reported_too() {
    let mut bench = Bench::rule("metric: cpu_percent, condition: '>', threshold: 85, duration: 60");
    bench.cpu(90.0);
    assert_eq!(
        bench.cpu(1.0),
        ["pending > inactive warning: cpu_percent 1 is not > 85"]
    );
}

#[test]
fn each_label_set_on_its_own_and_only_those_selected() {
    let mut bench = Bench::rule(
        "metric: disk_usage_percent, condition: '>=', threshold: 90, add_labels: {team: db},
         labels: {mount_point: ['/', /data]}, message: '{{ labels.mount_point }}'",
    );
    let full = |mount: &'static str| format!("{mount},db inactive > firing warning");
    let changes = bench.next(&[
        (DISK, &["/"], &[91.0]),
        (DISK, &["/boot"], &[99.0]),
        (DISK, &["/data"], &[90.0]),
    ]);
    assert_eq!(changes.len(), 2, "{changes:?}");
    assert!(
        changes[0].starts_with(&full("/")) && changes[1].starts_with(&full("/data")),
        "{changes:?}"
    );
    let alerts = bench.engine.alerts();
    assert_eq!([&alerts[0].message, &alerts[1].message], ["/", "/data"]);
    assert_ne!(alerts[0].fingerprint, alerts[1].fingerprint);
    assert_eq!(
        bench.next(&[(DISK, &["/"], &[91.0]), (DISK, &["/data"], &[10.0])]),
        [
            "/data,db firing > inactive warning: disk_usage_percent 10 is not >= 90; fired for 30s at 90, peak 90"
        ]
    );
}

/// Returns the changes of `/data`, alone or beside a healthy `/`, when and in short: firing, then missing
/// for `missing` intervals, then firing again and over.
fn goes_missing(rule: &str, beside: bool, missing: usize) -> Vec<(u64, String)> {
    let mut bench = Bench::rule(&format!(
        "metric: disk_usage_percent, condition: '>', threshold: 90, {rule}"
    ));
    let values = [Some(1.0); 2].into_iter().chain([Some(99.0); 10]);
    let values = values
        .chain(vec![None; missing])
        .chain([Some(99.0); 20])
        .chain([Some(1.0); 2]);
    let mut changes = Vec::new();
    for value in values {
        let other: Point<'_> = (DISK, &["/"], &[1.0]);
        let value = value.as_ref().map(std::slice::from_ref);
        let own = value.map(|value| (DISK, &["/data"][..], value));
        let points: Vec<Point<'_>> = own.into_iter().chain(beside.then_some(other)).collect();
        let lines = bench.next(&points);
        changes.extend(lines.into_iter().map(|line| (bench.now, line)));
    }
    changes
}

#[test]
fn a_missing_series_is_the_same_alone_and_beside_others() {
    let fires = (
        90,
        "/data inactive > firing warning: disk_usage_percent 99 > 90".to_owned(),
    );
    let over = |at, changes: &str| {
        (
            at,
            format!("/data firing > inactive warning: disk_usage_percent 1 is not > 90; {changes}"),
        )
    };
    let gone = |at, changes: &str| {
        (
            at,
            format!("/data firing > inactive warning: series disappeared: no data{changes}"),
        )
    };
    let again = |at| (at, fires.1.clone());
    for (rule, missing, expected) in [
        (
            "on_no_data: keep",
            20,
            vec![fires.clone(), over(1590, "fired for 25m at 99, peak 99")],
        ),
        // From the first evaluation without it on, three intervals after its last value.
        (
            "resolve_missing_after: 5m",
            20,
            vec![
                fires.clone(),
                gone(780, " for 5m; fired for 11m30s at 99, peak 99"),
                again(990),
                over(1590, "fired for 10m at 99, peak 99"),
            ],
        ),
        (
            "resolve_missing_after: 0",
            300,
            vec![fires.clone(), over(9990, "fired for 2h45m at 99, peak 99")],
        ),
        (
            "on_no_data: keep",
            300,
            vec![
                fires.clone(),
                gone(4080, " for 1h; fired for 1h6m30s at 99, peak 99"),
                again(9390),
                over(9990, "fired for 10m at 99, peak 99"),
            ],
        ),
        (
            "on_no_data: alert",
            20,
            vec![fires.clone(), over(1590, "fired for 25m at 99, peak 99")],
        ),
    ] {
        for beside in [false, true] {
            assert_eq!(
                goes_missing(rule, beside, missing),
                expected,
                "{rule}, beside: {beside}"
            );
        }
    }
    let ok = goes_missing("on_no_data: ok", true, 20);
    assert_eq!(ok, goes_missing("on_no_data: ok", false, 20));
    let (at, changes) = &ok[1];
    assert!(
        *at < 500 && changes.contains("no data for disk_usage_percent, treated as ok"),
        "{ok:?}"
    );
}

#[test]
fn a_series_that_goes_missing_makes_one_alert_of_its_own() {
    let rule = "metric: disk_usage_percent, condition: '>', threshold: 90, on_no_data: alert";
    for beside in [false, true] {
        let mut bench = Bench::rule(&format!("{rule}, message: '{{{{ labels.mount_point }}}}'"));
        let other: Point<'_> = (DISK, &["/"], &[1.0]);
        let others = || beside.then_some(other).into_iter().collect::<Vec<_>>();
        let data: Point<'_> = (DISK, &["/data"], &[1.0]);
        let all = || [vec![data], others()].concat();
        for _ in 0..3 {
            bench.next(&all());
        }
        assert!(
            bench.engine.alerts().is_empty(),
            "a series that is known is no alert"
        );
        let changes: Vec<String> = (0..10).flat_map(|_| bench.next(&others())).collect();
        assert_eq!(
            changes,
            ["/data inactive > firing warning: no data for disk_usage_percent"]
        );
        let [alert] = &bench.engine.alerts()[..] else {
            panic!("one alert")
        };
        assert_eq!(alert.message, "no data: disk_usage_percent");
        let missing = bench.engine.missing();
        assert_eq!(missing.keys().collect::<Vec<_>>(), [&alert.fingerprint]);
        let back = bench.next(&all());
        assert_eq!(back.len(), 1, "{back:?}");
        assert!(back[0].starts_with("/data firing > inactive"), "{back:?}");
    }
}

#[test]
fn series_that_are_known_take_no_room_of_the_limit() {
    let rule = "metric: disk_usage_percent, condition: '>', threshold: 90, on_no_data: alert";
    let mut bench = Bench::rule(&format!("{rule}, limit: 2"));
    let all: [Point<'_>; 4] = ["/a", "/b", "/c", "/d"].map(|name| {
        let labels: &'static [&'static str] = Box::leak(Box::new([name]));
        (DISK, labels, &[1.0][..])
    });
    (0..3).for_each(|_| assert_eq!(bench.next(&all), NOTHING));
    let changes: Vec<String> = (0..6).flat_map(|_| bench.next(&[])).collect();
    let firing = bench.engine.alerts();
    let values: Vec<&str> = firing
        .iter()
        .flat_map(|alert| alert.labels.values().map(String::as_str))
        .collect();
    assert_eq!(values, ["/a", "/b", "true"], "{changes:?}");
    bench.next(&all);
    assert!(bench.engine.alerts().is_empty());
}

/// Counts the evaluations to fire, and then to resolve, over so many episodes, where each
/// evaluation is up to 40 ms late.
fn waits(interval: u64, intervals: u64, episodes: usize) -> Vec<u64> {
    let mut metrics = crate::testing::metrics().to_vec();
    metrics[0].interval = Duration::from_secs(interval);
    let seconds = interval * intervals;
    let yaml = format!(
        "[{{name: r, metric: cpu_percent, condition: '>', threshold: 85, duration: {seconds}s,
           keep_firing_for: {seconds}s}}]"
    );
    let set = crate::testing::rules_over(&metrics, &yaml).unwrap();
    let store = Store::new(metrics.into(), bellwether_tsdb::store::Options::default());
    let mut engine = Engine::new(set, at(0));
    let (mut waits, mut first, mut tick, mut drawn) = (Vec::new(), 0, 0, 0x2545_f491_u64);
    let mut hot = true;
    while waits.len() < 2 * episodes {
        tick += 1;
        drawn ^= drawn << 13;
        drawn ^= drawn >> 7;
        drawn ^= drawn << 17;
        let now = at(tick * interval).after(Duration::from_millis(drawn % 41));
        commit(&store, now, &[(CPU, &[], &[if hot { 99.0 } else { 1.0 }])]);
        for change in engine
            .evaluate(&store, now, Some(&[Origin::new("system")]))
            .transitions
        {
            if change.alert.state == AlertState::Pending {
                first = tick;
                continue;
            }
            waits.push(tick - first);
            // The next value is the first of the other kind.
            (hot, first) = (!hot, tick + 1);
        }
    }
    waits
}

#[test]
fn a_duration_of_whole_intervals_is_over_on_the_interval() {
    for interval in [1, 30] {
        for intervals in [1, 5, 10] {
            let waits = waits(interval, intervals, 1_000);
            let late = waits.iter().filter(|wait| **wait != intervals).count();
            assert_eq!(late, 0, "{intervals} intervals of {interval} s: {waits:?}");
        }
    }
}

#[test]
fn a_resolved_says_why_where_the_text_is_ours() {
    let mut bench = Bench::rule("metric: cpu_percent, condition: '>', threshold: 85");
    bench.cpu(90.0);
    bench.now += 30;
    commit(&bench.store, at(bench.now), &[(CPU, &[], &[62.0])]);
    let tick = bench.engine.tick(&bench.store, None, at(bench.now), None);
    assert_eq!(
        tick.transitions[0].alert.message,
        "cpu_percent 62 is not > 85"
    );
}

#[test]
fn no_data_keeps_what_was() {
    let mut bench = Bench::rule("metric: cpu_percent, condition: '!=', threshold: 1");
    assert_eq!(bench.next(&[]), NOTHING);
    assert_eq!(bench.cpu(f64::NAN), NOTHING, "NaN is not unequal");
    assert_eq!(bench.cpu(2.0).len(), 1);
    for _ in 0..6 {
        assert_eq!(bench.next(&[]), NOTHING);
    }
    assert_eq!(bench.engine.alerts().len(), 1);
    let last = bench.engine.rules().next().unwrap().last.unwrap().clone();
    assert_eq!((last.unknown, last.holds, last.clear), (1, 0, 0));
    assert_eq!(bench.cpu(1.0).len(), 1);
}

#[test]
fn no_data_can_be_ok() {
    let mut bench =
        Bench::rule("metric: cpu_percent, condition: '>', threshold: 85, on_no_data: ok");
    bench.cpu(90.0);
    assert_eq!(bench.next(&[]), NOTHING, "its value is one interval old");
    assert_eq!(
        bench.next(&[]),
        [
            "firing > inactive warning: no data for cpu_percent, treated as ok; fired for 1m at 90, peak 90"
        ]
    );
}

#[test]
fn no_data_can_be_an_alert_once_the_process_is_warm() {
    let mut bench = Bench::rule(
        "metric: disk_usage_percent, condition: '>', threshold: 90, on_no_data: alert,
         add_labels: {team: db}, message: '{{ labels.mount_point }} full',
         annotations: {where: '{{ labels.mount_point }}'}",
    );
    assert_eq!(bench.next(&[]), NOTHING);
    assert_eq!(bench.next(&[]), NOTHING);
    assert_eq!(
        bench.next(&[]),
        ["db inactive > firing warning: no data for disk_usage_percent"],
        "three intervals after the start"
    );
    let alert = bench.engine.alerts().remove(0);
    assert_eq!(alert.message, "no data: disk_usage_percent");
    assert!(alert.annotations.is_empty() && alert.value.is_none());
    assert_eq!(
        bench.next(&[(DISK, &["/"], &[1.0])]),
        ["db firing > inactive warning: data for disk_usage_percent again; fired for 30s"]
    );
}

#[test]
fn the_one_series_of_a_metric_without_labels_has_one_alert() {
    let mut bench =
        Bench::rule("metric: cpu_percent, condition: '>', threshold: 85, on_no_data: alert");
    (0..3).for_each(|_| drop(bench.next(&[])));
    let blind = bench.engine.alerts().remove(0);
    assert_eq!(
        bench.cpu(90.0),
        NOTHING,
        "it goes on firing, now for its value"
    );
    let seeing = bench.engine.alerts().remove(0);
    assert_eq!(blind.fingerprint, seeing.fingerprint);
    assert_eq!((blind.threshold, seeing.threshold), (None, Some(85.0)));
    assert_eq!(
        bench.cpu(1.0),
        ["firing > inactive warning: cpu_percent 1 is not > 85; fired for 1m, peak 90"],
        "it did not fire by a value"
    );
}

#[test]
fn three_levels() {
    let mut bench = Bench::rule(
        "metric: cpu_percent, condition: '>', duration: 30,
         thresholds: {warning: 80, critical: 90, emergency: 95}",
    );
    assert_eq!(
        bench.cpu(96.0),
        ["inactive > pending warning: cpu_percent 96 > 80"]
    );
    assert_eq!(
        bench.cpu(96.0),
        ["pending > firing emergency: cpu_percent 96 > 95 for 30s"]
    );
    let first = bench.engine.alerts().remove(0).fingerprint;
    assert_eq!(
        bench.cpu(85.0),
        ["firing > firing warning: cpu_percent 85 > 80 for 1m, emergency becomes warning"]
    );
    assert_eq!(bench.cpu(92.0), NOTHING);
    assert_eq!(
        bench.cpu(92.0),
        ["firing > firing critical: cpu_percent 92 > 90 for 30s, warning becomes critical"]
    );
    assert_eq!(bench.engine.alerts()[0].fingerprint, first);
    assert_eq!(
        bench.cpu(10.0),
        ["firing > inactive critical: cpu_percent 10 is not > 80; fired for 2m at 96, peak 96"]
    );
}

#[test]
fn the_peak_is_the_furthest_from_good_by_the_condition() {
    for (condition, values, peak) in [
        ("'>', threshold: 5", [7.0, 9.0, 8.0, 5.0], 9.0),
        (
            "'<', threshold: 5, keep_firing_for: 30",
            [4.0, 2.0, 3.0, 9.0],
            2.0,
        ),
        ("'!=', threshold: 5", [4.0, 7.0, 1.0, 5.0], 1.0),
        (
            "'==', threshold: 5, keep_firing_for: 30",
            [5.0, 5.0, 99.0, 5.0],
            5.0,
        ),
    ] {
        let mut bench = Bench::rule(&format!("metric: cpu_percent, condition: {condition}"));
        for value in &values[..3] {
            bench.cpu(*value);
        }
        let alert = bench.engine.alerts().remove(0);
        assert_eq!(
            (alert.fired_value, alert.peak),
            (Some(values[0]), Some(peak)),
            "{condition}"
        );
        bench.cpu(values[3]);
        let alert = bench.engine.alerts().pop().and_then(|alert| alert.peak);
        assert!(alert.is_none_or(|after| after == peak), "{condition}");
    }
    let mut bench = Bench::rule("expr: 'cpu_percent > 1 || cpu_percent < 0'");
    for value in [2.0, -7.0, 3.0] {
        bench.cpu(value);
    }
    assert_eq!(
        bench.engine.alerts()[0].peak,
        Some(-7.0),
        "the greatest magnitude"
    );
}

#[test]
fn hysteresis_and_keep_firing() {
    let mut bench = Bench::rule(
        "metric: cpu_percent, condition: '>', threshold: 85, resolve_threshold: 75,
         keep_firing_for: 60",
    );
    assert_eq!(bench.cpu(80.0), NOTHING);
    assert_eq!(bench.cpu(86.0).len(), 1);
    for value in [80.0, 74.0, 74.0, 80.0, 70.0, 70.0] {
        assert_eq!(bench.cpu(value), NOTHING);
    }
    assert_eq!(
        bench.cpu(70.0),
        [
            "firing > inactive warning: cpu_percent 70 is not > 75 (resolve_threshold) for 1m; fired for 3m30s at 86, peak 86"
        ]
    );
}

#[test]
fn consecutive_samples() {
    let mut bench =
        Bench::rule("metric: cpu_percent, condition: '>', threshold: 85, consecutive: 3");
    for value in [90.0, 90.0, 10.0, 90.0, 90.0] {
        assert_eq!(bench.cpu(value), NOTHING);
    }
    assert!(bench.engine.alerts().is_empty());
    let now = at(bench.now + 1);
    let again = bench.engine.tick(&bench.store, None, now, None);
    assert_eq!(
        again.transitions,
        [],
        "the same sample evaluated twice is one"
    );
    assert_eq!(bench.cpu(90.0).len(), 1);
}

#[test]
fn expressions_join_on_shared_labels() {
    let mut bench =
        Bench::rule("expr: 'cache_misses / (cache_hits + cache_misses) > 0.5', duration: 0");
    let changes = bench.next(&[
        (MISSES, &["a"], &[7.0]),
        (HITS, &["a"], &[3.0]),
        (MISSES, &["b"], &[1.0]),
        (HITS, &["b"], &[9.0]),
        (MISSES, &["alone"], &[9.0]),
        (MISSES, &["idle"], &[0.0]),
        (HITS, &["idle"], &[0.0]),
    ]);
    assert_eq!(
        changes,
        ["a inactive > firing warning: \
          `cache_misses / (cache_hits + cache_misses) > 0.5`: 0.7 > 0.5"]
    );
    let last = bench.engine.rules().next().unwrap().last.unwrap().clone();
    assert_eq!(
        (last.holds, last.clear, last.unknown, last.error),
        (1, 1, 1, None)
    );
}

#[test]
fn expressions_broadcast_group_and_look_back() {
    let mut bench = Bench::rule(
        "expr: 'sum_by(increase(api_errors, \"1m\"), \"endpoint\") > cpu_percent && \
         max(cpu_percent, \"1m\") < 50'",
    );
    let errors = |a: f64, b: f64, c: f64| {
        [
            (ERRORS, &["/x", "timeout"][..], vec![a]),
            (ERRORS, &["/x", "refused"][..], vec![b]),
            (ERRORS, &["/y", "refused"][..], vec![c]),
        ]
    };
    let mut next = |cpu: f64, (a, b, c): (f64, f64, f64)| {
        let mut points: Vec<Point<'_>> = vec![(CPU, &[], std::slice::from_ref(&cpu))];
        let rows = errors(a, b, c);
        points.extend(
            rows.iter()
                .map(|(metric, labels, value)| (*metric, *labels, &value[..])),
        );
        bench.next(&points)
    };
    assert_eq!(
        next(4.0, (0.0, 0.0, 0.0)),
        NOTHING,
        "one sample is no increase"
    );
    assert_eq!(next(4.0, (2.0, 2.0, 4.0)), NOTHING);
    let changes = next(4.0, (3.0, 3.0, 4.0));
    assert_eq!(changes.len(), 1, "{changes:?}");
    assert!(changes[0].starts_with("/x inactive > firing") && changes[0].ends_with(": 6 is true"));
    let changes = next(60.0, (30.0, 30.0, 4.0));
    let end = ": 56 is not true; fired for 30s at 6, peak 6";
    assert!(changes[0].ends_with(end), "{changes:?}");
}

#[test]
fn a_join_without_end_is_an_error_and_goes_by_on_error() {
    let mut bench = Bench::rule(
        "expr: 'disk_usage_percent + cache_hits > 1', on_error: alert, add_labels: {team: db}",
    );
    let names: Vec<String> = (0..101).map(|n| n.to_string()).collect();
    let labels: Vec<[&str; 1]> = names.iter().map(|name| [name.as_str()]).collect();
    let points: Vec<Point<'_>> = labels
        .iter()
        .flat_map(|label| {
            [
                (DISK, &label[..], &[1.0][..]),
                (HITS, &label[..], &[1.0][..]),
            ]
        })
        .collect();
    (0..2).for_each(|_| assert_eq!(bench.next(&points), NOTHING));
    assert_eq!(
        bench.next(&points),
        [
            "db inactive > firing warning: `disk_usage_percent + cache_hits > 1`: \
          evaluation failed: the metrics join to more than 10000 rows"
        ]
    );
    assert_eq!(bench.engine.counts().failures, 3);
}

#[test]
fn series_that_come_later_are_selected_too() {
    for labels in ["[/data, /data, '=/data']", "'=~/d.*'"] {
        let mut bench = Bench::rule(&format!(
            "metric: disk_usage_percent, condition: '>', threshold: 90,
             labels: {{mount_point: {labels}}}"
        ));
        assert_eq!(bench.next(&[(DISK, &["/"], &[99.0])]), NOTHING, "{labels}");
        let changes = bench.next(&[(DISK, &["/"], &[99.0]), (DISK, &["/data"], &[99.0])]);
        assert_eq!(changes.len(), 1, "{labels}: {changes:?}");
        let last = bench.engine.rules().next().unwrap().last.unwrap().clone();
        assert_eq!((last.holds, last.clear), (1, 0), "{labels}");
    }
}

#[test]
fn a_group_goes_by_the_values_it_has() {
    for (reduce, expected) in [
        ("sum_by", 6.0),
        ("avg_by", 3.0),
        ("min_by", 2.0),
        ("max_by", 4.0),
        ("count_by", 2.0),
    ] {
        let mut bench = Bench::rule(&format!(
            "expr: '{reduce}(increase(api_errors, \"1m\"), \"endpoint\") >= 0'"
        ));
        bench.next(&[
            (ERRORS, &["/x", "a"], &[1.0]),
            (ERRORS, &["/x", "b"], &[1.0]),
        ]);
        // The third series has but one sample, which is no increase.
        bench.next(&[
            (ERRORS, &["/x", "a"], &[3.0]),
            (ERRORS, &["/x", "b"], &[5.0]),
            (ERRORS, &["/x", "c"], &[9.0]),
        ]);
        let alerts = bench.engine.alerts();
        assert_eq!(
            (alerts.len(), alerts[0].value),
            (1, Some(expected)),
            "{reduce}"
        );
    }
}

#[test]
fn windows_of_every_type() {
    let latency = |fast: f64, slow: f64| vec![fast, fast + slow, fast + slow, fast + slow * 0.55];
    for (yaml, expected) in [
        ("metric: api_duration, aggregation: p50, window: 1m", 0.55),
        ("metric: api_duration, aggregation: mean, window: 1m", 0.55),
        ("metric: api_duration, aggregation: count, window: 1m", 20.0),
        (
            "metric: api_duration, aggregation: rate, window: 1m",
            20.0 / 60.0,
        ),
        ("metric: api_duration, aggregation: sum, window: 1m", 11.0),
        ("metric: query_duration, aggregation: p95", 7.0),
        ("metric: query_duration, aggregation: mean, window: 1m", 3.0),
        ("metric: cpu_percent, aggregation: mean, window: 1m", 25.0),
        ("metric: cpu_percent, aggregation: delta, window: 1m", 20.0),
        ("metric: cache_hits, aggregation: rate_1m", 0.5),
        (
            "metric: cache_hits, aggregation: increase, window: 1m",
            30.0,
        ),
        ("metric: cache_hits, aggregation: count, window: 1m", 2.0),
    ] {
        let mut bench = Bench::rule(&format!("{yaml}, condition: '!=', threshold: -1"));
        for tick in 0..4 {
            let n = f64::from(tick);
            bench.next(&[
                (LATENCY, &["/x"], &latency(5.0, 10.0 * n)),
                (DURATIONS, &[], &[1.0, 7.0, n * 2.0, n * 6.0]),
                (CPU, &[], &[10.0 * n]),
                (HITS, &["c"], &[15.0 * n]),
            ]);
        }
        let value = bench.engine.alerts()[0].value.unwrap();
        assert!((value - expected).abs() < 1e-9, "{yaml}: {value}");
    }
}

#[test]
fn an_old_value_says_nothing_about_now() {
    let mut bench = Bench::rule("metric: cpu_percent, condition: '>', threshold: 85, duration: 90");
    bench.cpu(90.0);
    bench.cpu(90.0);
    for late in [60, 90, 120, 600] {
        let tick = bench
            .engine
            .tick(&bench.store, None, at(bench.now + late), None);
        assert_eq!((tick.transitions.len(), tick.unknown), (0, 1), "{late}");
    }
}

#[test]
fn a_wall_clock_that_jumps_changes_nothing() {
    let mut bench = Bench::rule("metric: cpu_percent, condition: '>', threshold: 85, duration: 60");
    bench.cpu(90.0);
    for jump in [-86_400_000, 86_400_000] {
        let mut now = at(bench.now + 1);
        now.wall.0 += jump;
        commit(&bench.store, now, &[(CPU, &[], &[90.0])]);
        assert_eq!(
            bench.engine.tick(&bench.store, None, now, None).transitions,
            []
        );
    }
}

#[test]
fn a_trigger_evaluates_what_it_filled_and_what_waits_too_long() {
    let set = rules(
        "- {name: system, metric: cpu_percent, condition: '>', threshold: 1}
- {name: application, metric: cache_hits, condition: '>', threshold: 1}
- {name: both, expr: 'cpu_percent + cache_hits > 1'}
- {name: off, metric: cpu_percent, condition: '>', threshold: 1, enabled: false}",
    )
    .unwrap();
    let store = store(&set);
    let mut engine = Engine::new(set, at(0));
    let mut evaluated =
        |seconds, trigger| engine.tick(&store, None, at(seconds), trigger).evaluated;
    assert_eq!(evaluated(1, Some(Origin::new("system"))), 2);
    assert_eq!(evaluated(2, Some(Origin::APPLICATION)), 2);
    assert_eq!(evaluated(3, Some(Origin::new("neo4j"))), 0);
    assert_eq!(
        evaluated(50, Some(Origin::new("neo4j"))),
        3,
        "not evaluated for one and a half intervals"
    );
    assert_eq!(evaluated(51, None), 3);
}

#[test]
fn fingerprints_are_stable() {
    let mut bench = Bench::rule("metric: disk_usage_percent, condition: '>', threshold: 1");
    bench.next(&[(DISK, &["/data"], &[50.0])]);
    assert_eq!(
        bench.engine.alerts()[0].fingerprint.to_string(),
        "80568fb77dda1ab1"
    );
}

#[test]
fn the_steady_state_of_a_rule() {
    let mut bench = Bench::rule("metric: cpu_percent, condition: '>', threshold: 85, duration: 30");
    let changed = |bench: &mut Bench, value: f64| {
        bench.now += 30;
        commit(&bench.store, at(bench.now), &[(CPU, &[], &[value])]);
        bench
            .engine
            .tick(&bench.store, None, at(bench.now), None)
            .changed
    };
    let found = [1.0, 90.0, 90.0, 90.0, 1.0, 1.0].map(|value| changed(&mut bench, value));
    assert_eq!(found, [false, true, true, false, true, false]);
    let status = bench.engine.rules().next().unwrap();
    assert_eq!(
        (status.state, status.pending, status.firing),
        (AlertState::Inactive, 0, 0)
    );
    assert_eq!(status.rule.severity(0), Severity::Warning);
    assert!(status.last.is_some_and(|last| last.clear == 1));
    assert_eq!(status.rule.policy.duration, Duration::from_secs(30));
}

#[test]
fn an_alert_that_was_resolved_by_hand_fires_anew_once_its_condition_did_not_hold() {
    let mut bench = Bench::rule(
        "metric: cpu_percent, condition: '>', threshold: 85, resolve_threshold: 80, message: hot",
    );
    assert_eq!(bench.cpu(90.0).len(), 1);
    let alert = bench.engine.alerts()[0].fingerprint;
    let resolve = |bench: &mut Bench| {
        let now = at(bench.now);
        bench.engine.resolve(alert, "resolved by \"ada\"", now)
    };
    let resolved = resolve(&mut bench).unwrap();
    assert_eq!(
        changes(std::slice::from_ref(&resolved)),
        ["firing > inactive warning: resolved by \"ada\""]
    );
    assert_eq!(resolved.alert.resolved_at, Some(at(bench.now).wall));
    assert_eq!(bench.engine.counts().resolved, 1);
    assert!(resolve(&mut bench).is_none(), "it no longer fires");
    assert!(bench.engine.alerts().is_empty());
    assert_eq!(bench.cpu(95.0), NOTHING);
    assert_eq!(bench.next(&[]), NOTHING, "no data says nothing");
    assert_eq!(bench.cpu(95.0), NOTHING);
    assert_eq!(bench.cpu(84.0), NOTHING, "now it does not hold");
    assert_eq!(bench.cpu(96.0).len(), 1);
    assert!(
        bench
            .engine
            .resolve(Fingerprint(1), "", at(bench.now))
            .is_none()
    );
}
