use bellwether_core::{Now, Transition};
use bellwether_tsdb::store::Store;

use crate::Engine;
use crate::query::query_batch::testing;
use crate::state::saved::roundtrip;
use crate::testing::{DISK, at, commit, rules, store};

const RULE: &str = "metric: disk_usage_percent, condition: '>', add_labels: {team: db}, \
                    annotations: {where: '{{ labels.mount_point }}'}, \
                    thresholds: {warning: 90, critical: 95}";

fn engine(rule: &str, now: u64) -> (Engine, Store) {
    let set = rules(&format!("[{{name: r, {rule}}}]")).unwrap();
    let store = store(&set);
    (Engine::new(set, at(now)), store)
}

/// Evaluates disks, each with its value; returns the changes.
fn evaluate(engine: &mut Engine, store: &Store, now: u64, disks: &[(&str, f64)]) -> Vec<String> {
    for (disk, value) in disks {
        commit(store, at(now), &[(DISK, &[disk], &[*value])]);
    }
    changes(&engine.tick(store, None, at(now), None).transitions)
}

fn changes(transitions: &[Transition]) -> Vec<String> {
    transitions
        .iter()
        .map(|t| {
            let label = |name: &str| t.alert.labels.get(name).cloned().unwrap_or_default();
            let who = format!("{}{}", label("mount_point"), label("overflow"));
            format!(
                "{who} > {} {}: {}",
                t.alert.state.as_str(),
                t.alert.severity.as_str(),
                t.reason
            )
        })
        .collect()
}

fn left_out(engine: &Engine) -> u32 {
    engine
        .rules()
        .next()
        .and_then(|status| status.last)
        .map_or(0, |last| last.over_limit)
}

const NOTHING: [&str; 0] = [];

#[test]
fn over_the_limit_those_stay_that_were_there_and_one_alert_stands_for_the_rest() {
    let (mut engine, store) = engine(&format!("{RULE}, limit: 2"), 0);
    assert_eq!(
        evaluate(&mut engine, &store, 30, &[("/m", 91.0)]),
        ["/m > firing warning: disk_usage_percent 91 > 90"]
    );
    // In the order of the store /z comes first, by labels /a.
    let many = [
        ("/z", 92.0),
        ("/b", 96.0),
        ("/a", 92.0),
        ("/m", 91.0),
        ("/low", 1.0),
    ];
    assert_eq!(
        evaluate(&mut engine, &store, 60, &many),
        [
            "/a > firing warning: disk_usage_percent 92 > 90",
            "true > firing critical: 4 alerts, the limit is 2: 2 left out",
        ],
        "the overflow is as bad as the worst that it represents"
    );
    let overflow = engine
        .alerts()
        .into_iter()
        .find(|a| a.labels.contains_key("overflow"))
        .unwrap();
    let labels: Vec<_> = overflow
        .labels
        .iter()
        .map(|(k, v)| format!("{k}={v}"))
        .collect();
    assert_eq!(labels, ["overflow=true", "team=db"]);
    assert_eq!(overflow.annotations["left_out"], "2");
    assert_eq!((overflow.value, overflow.threshold), (Some(4.0), Some(2.0)));
    assert_eq!((left_out(&engine), engine.alerts().len()), (2, 3));

    assert_eq!(
        evaluate(&mut engine, &store, 90, &[("/c", 99.0)]),
        NOTHING,
        "stable"
    );
    let fewer = [
        ("/m", 1.0),
        ("/z", 1.0),
        ("/c", 99.0),
        ("/a", 92.0),
        ("/b", 96.0),
    ];
    assert_eq!(
        evaluate(&mut engine, &store, 120, &fewer),
        [
            "/m > inactive warning: disk_usage_percent 1 is not > 90; fired for 1m30s at 91, peak 91",
            "/b > firing critical: disk_usage_percent 96 > 95",
        ],
        "there is room for the next by labels; /c is still left out"
    );
    assert_eq!(
        evaluate(
            &mut engine,
            &store,
            150,
            &[("/c", 1.0), ("/a", 92.0), ("/b", 96.0)]
        ),
        [
            "true > inactive critical: no alert is left out by the limit 2 any more; \
          fired for 1m30s at 4, peak 5"
        ]
    );
    assert_eq!((left_out(&engine), engine.alerts().len()), (0, 2));
}

#[test]
fn the_overflow_waits_for_the_duration_and_keeps_firing_like_the_rule() {
    let rule = "metric: disk_usage_percent, condition: '>', threshold: 90, limit: 1, duration: 60, \
                keep_firing_for: 60";
    let (mut engine, store) = engine(rule, 0);
    let both = [("/a", 91.0), ("/b", 91.0)];
    let one = [("/a", 91.0), ("/b", 1.0)];
    let changes: Vec<usize> = [both, both, both, one, one, one]
        .iter()
        .zip(1..)
        .map(|(disks, n)| evaluate(&mut engine, &store, n * 30, disks).len())
        .collect();
    assert_eq!(changes, [2, 0, 2, 0, 0, 1]);
}

#[test]
fn a_restart_and_a_reload_go_on_and_a_lower_limit_ends_what_is_too_much() {
    let (mut old, store) = engine(&format!("{RULE}, limit: 3"), 0);
    evaluate(&mut old, &store, 30, &[("/d", 91.0)]);
    evaluate(
        &mut old,
        &store,
        60,
        &[("/a", 91.0), ("/b", 91.0), ("/c", 91.0), ("/d", 91.0)],
    );
    let restart = |old: &Engine, rule: &str, now: Now| {
        let saved = roundtrip(old.snapshot(), now).unwrap();
        let mut new = engine(rule, 60).0;
        let transitions = new.restore(saved, now);
        (new, changes(&transitions))
    };
    let (mut same, transitions) = restart(&old, &format!("{RULE}, limit: 3"), at(60));
    assert_eq!((transitions, same.alerts()), (vec![], old.alerts()));
    assert_eq!(evaluate(&mut same, &store, 75, &[]), NOTHING);

    let (mut less, transitions) = restart(&same, &format!("{RULE}, limit: 1"), at(75));
    assert_eq!(
        transitions,
        [
            "/b > inactive warning: left out by the new limit of the rule",
            "/d > inactive warning: left out by the new limit of the rule",
        ]
    );
    assert_eq!(evaluate(&mut less, &store, 90, &[]), NOTHING);
    assert_eq!(left_out(&less), 3);

    let (mut none, _) = engine(RULE, 90);
    assert_eq!(
        changes(&none.adopt(less, at(90))),
        ["true > inactive warning: rule changed"],
        "without a limit nothing is left out"
    );
    assert_eq!(evaluate(&mut none, &store, 105, &[]).len(), 3);
}

#[test]
fn answers_of_history_are_limited_alike() {
    let mut bench = testing::Bench::rule("promql: 'load > 1', limit: 1");
    let changes = bench.next(&[("load{job=\"b\"}", 5.0), ("load{job=\"a\"}", 5.0)]);
    assert_eq!(
        changes,
        [
            "a inactive > firing warning: `load > 1`: 5 is true",
            "true inactive > firing warning: 2 alerts, the limit is 1: 1 left out",
        ]
    );
    assert_eq!(
        bench
            .next(&[("load{job=\"b\"}", 0.0), ("load{job=\"a\"}", 5.0)])
            .len(),
        1
    );
}

#[test]
fn a_series_with_the_label_of_the_overflow_is_one_like_any_other() {
    let mut bench = testing::Bench::rule("promql: 'load > 1', limit: 2");
    bench.next(&[("load{overflow=\"true\"}", 5.0)]);
    let changes = bench.next(&[("load{overflow=\"true\"}", 0.0)]);
    assert!(
        changes[0].starts_with("true firing > inactive"),
        "{changes:?}"
    );
}
