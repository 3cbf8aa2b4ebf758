use bellwether_core::{MetricId, Origin};
use bellwether_tsdb::store::Store;

use super::*;
use crate::Engine;
use crate::state::saved::roundtrip;
use crate::testing::{CPU, DISK, at, commit, rules, store};

const CPU_RULE: &str = "metric: cpu_percent, condition: '>', threshold: 85";
const DISK_RULE: &str = "metric: disk_usage_percent, condition: '>', threshold: 90";

/// An engine for these rules with a store, begun at `now`.
fn engine(list: &[&str], now: u64) -> (Engine, Store) {
    let yaml: Vec<String> = list.iter().map(|rule| format!("{{{rule}}}")).collect();
    let set = rules(&format!("[{}]", yaml.join(", "))).unwrap();
    let store = store(&set);
    (Engine::new(set, at(now)), store)
}

type Point<'a> = (MetricId, &'a [&'a str], &'a [f64]);

fn evaluate(engine: &mut Engine, store: &Store, now: u64, points: &[Point<'_>]) -> Vec<String> {
    commit(store, at(now), points);
    store.expire(at(now));
    reasons(&engine.tick(store, None, at(now), None).transitions)
}

fn reasons(transitions: &[Transition]) -> Vec<String> {
    transitions
        .iter()
        .map(|t| {
            format!(
                "{} > {}: {}",
                t.from.as_str(),
                t.alert.state.as_str(),
                t.reason
            )
        })
        .collect()
}

/// Returns the engine of a new process that loads the state file of `engine`.
fn restart(engine: &Engine, list: &[&str], now: u64) -> (Engine, Store, Vec<String>) {
    let saved = roundtrip(engine.snapshot(), at(0)).unwrap();
    let (mut next, store) = self::engine(list, now);
    let transitions = next.restore(saved, at(now));
    (next, store, reasons(&transitions))
}

const NOTHING: [&str; 0] = [];

#[test]
fn a_reload_keeps_state_over_new_thresholds_and_resolves_what_is_gone() {
    let list = [
        "name: cpu, metric: cpu_percent, condition: '>', threshold: 85, duration: 60",
        "name: disk, metric: disk_usage_percent, condition: '>', threshold: 90",
        "name: off, metric: cpu_percent, condition: '>', threshold: 80",
        "name: other, metric: cpu_percent, condition: '>', threshold: 80",
    ];
    let (mut old, before) = engine(&list, 0);
    let points: [Point<'_>; 2] = [(CPU, &[], &[88.0]), (DISK, &["/"], &[99.0])];
    evaluate(&mut old, &before, 30, &points);
    evaluate(&mut old, &before, 60, &points);
    let counts = old.counts();

    let (mut new, store) = engine(
        &[
            "name: cpu, metric: cpu_percent, condition: '>', threshold: 87, duration: 45",
            "name: off, metric: cpu_percent, condition: '>', threshold: 80, enabled: false",
            "name: other, metric: disk_usage_percent, condition: '>', threshold: 200",
        ],
        70,
    );
    store.adopt(&before);
    let transitions = new.adopt(old, at(70));
    let changes: Vec<(&str, &str)> = transitions
        .iter()
        .map(|t| (&*t.alert.rule, t.reason.as_str()))
        .collect();
    assert_eq!(
        changes,
        [
            ("disk", "rule removed"),
            ("off", "rule disabled"),
            ("other", "rule changed")
        ]
    );
    assert!(
        transitions
            .iter()
            .all(|t| t.alert.resolved_at == Some(at(70).wall))
    );
    assert_eq!(new.counts().resolved, counts.resolved + 3);
    assert!(
        new.rules()
            .next()
            .is_some_and(|status| status.last.is_some())
    );
    assert_eq!(
        evaluate(&mut new, &store, 90, &[(CPU, &[], &[88.0])]),
        ["pending > firing: cpu_percent 88 > 87 for 1m"],
        "the time before the reload counts"
    );
}

#[test]
fn a_new_severity_of_a_firing_alert_is_reported() {
    let (mut old, before) = engine(&[&format!("name: cpu, {CPU_RULE}")], 0);
    evaluate(&mut old, &before, 30, &[(CPU, &[], &[90.0])]);
    let (mut new, store) = engine(&[&format!("name: cpu, {CPU_RULE}, severity: critical")], 40);
    assert_eq!(reasons(&new.adopt(old, at(40))), NOTHING);
    assert_eq!(
        evaluate(&mut new, &store, 60, &[(CPU, &[], &[90.0])]),
        ["firing > firing: cpu_percent 90 > 85 for 30s"]
    );
}

#[test]
fn a_restart_stays_quiet_while_it_still_holds_and_resolves_when_not() {
    let list = [
        format!("name: cpu, {CPU_RULE}"),
        format!("name: disk, {DISK_RULE}"),
    ];
    let list: Vec<&str> = list.iter().map(String::as_str).collect();
    let (mut old, before) = engine(&list, 0);
    evaluate(
        &mut old,
        &before,
        30,
        &[(CPU, &[], &[90.0]), (DISK, &["/"], &[99.0])],
    );
    let alerts = old.alerts();

    let (mut new, store, changes) = restart(&old, &list, 5_000);
    assert_eq!(changes, NOTHING);
    assert_eq!(new.alerts(), alerts, "as before, times and texts included");
    assert_eq!(
        evaluate(
            &mut new,
            &store,
            5_000,
            &[(CPU, &[], &[91.0]), (DISK, &["/"], &[10.0])]
        ),
        ["firing > inactive: disk_usage_percent 10 is not > 90; fired for 1h22m50s at 99, peak 99"]
    );
}

#[test]
fn a_state_from_the_future_goes_on_and_no_time_is_negative() {
    let waits = format!("name: waits, {CPU_RULE}, duration: 60");
    let list = [&*format!("name: fires, {CPU_RULE}"), &*waits];
    let (mut old, before) = engine(&list, 900_000);
    for second in [900_030, 900_060] {
        evaluate(&mut old, &before, second, &[(CPU, &[], &[90.0])]);
    }
    // The clock was wrong and was set back by ten days meanwhile.
    let (mut new, store, changes) = restart(&old, &list, 50);
    assert_eq!((changes, new.alerts()), (Vec::new(), old.alerts()));
    assert_eq!(
        evaluate(&mut new, &store, 50, &[(CPU, &[], &[90.0])]),
        NOTHING
    );
    let fired = "pending > firing: cpu_percent 90 > 85 for 1m";
    assert_eq!(
        evaluate(&mut new, &store, 80, &[(CPU, &[], &[90.0])]),
        [fired]
    );
    assert_eq!(
        evaluate(&mut new, &store, 110, &[(CPU, &[], &[9.0])]),
        [
            "firing > inactive: cpu_percent 9 is not > 85; fired at 90, peak 90",
            "firing > inactive: cpu_percent 9 is not > 85; fired for 30s at 90, peak 90",
        ]
    );
}

#[test]
fn downtime_adds_nothing_to_a_timer() {
    let list = ["name: cpu, metric: cpu_percent, condition: '>', threshold: 85, duration: 60"];
    let (mut old, before) = engine(&list, 0);
    evaluate(&mut old, &before, 30, &[(CPU, &[], &[90.0])]);
    evaluate(&mut old, &before, 60, &[(CPU, &[], &[90.0])]);
    let (mut new, store, _) = restart(&old, &list, 61);
    assert_eq!(
        evaluate(&mut new, &store, 61, &[(CPU, &[], &[90.0])]),
        NOTHING
    );
    assert_eq!(
        evaluate(&mut new, &store, 91, &[(CPU, &[], &[90.0])]),
        ["pending > firing: cpu_percent 90 > 85 for 1m"]
    );
}

#[test]
fn after_a_restart_a_series_may_take_its_time() {
    let list = [format!("name: disk, {DISK_RULE}")];
    let (mut old, before) = engine(&[&list[0]], 0);
    evaluate(
        &mut old,
        &before,
        30,
        &[(DISK, &["/"], &[99.0]), (DISK, &["/data"], &[99.0])],
    );
    let (mut new, store, _) = restart(&old, &[&list[0]], 1_000);
    let others: [Point<'_>; 1] = [(DISK, &["/"], &[99.0])];
    for seconds in (1_000..4_000).step_by(30) {
        assert_eq!(
            evaluate(&mut new, &store, seconds, &others),
            NOTHING,
            "it is kept"
        );
    }
    // Where no data is ok, it ends once the grace is over, whether there are others or not.
    let list = [format!("name: disk, {DISK_RULE}, on_no_data: ok")];
    for others in [&others[..], &[]] {
        let (mut new, store, _) = restart(&old, &[&list[0]], 1_000);
        let end = |changes: &Vec<String>| changes.iter().any(|line| line.contains("treated as ok"));
        let ends = (1_000..1_300)
            .step_by(30)
            .find(|seconds| end(&evaluate(&mut new, &store, *seconds, others)));
        assert_eq!(ends, Some(1_090), "three intervals after the start");
    }
}

#[test]
fn an_alert_from_before_a_restart_is_confirmed_by_its_data() {
    let list = [format!("name: disk, {DISK_RULE}")];
    let (mut old, before) = engine(&[&list[0]], 0);
    evaluate(
        &mut old,
        &before,
        30,
        &[(DISK, &["/"], &[99.0]), (DISK, &["/data"], &[99.0])],
    );
    let (mut new, store, _) = restart(&old, &[&list[0]], 1_000);
    let data = old
        .alerts()
        .iter()
        .find(|one| one.labels["mount_point"] == "/data")
        .unwrap()
        .fingerprint;
    let mut confirmed = Vec::new();
    for (now, mount) in [(1_000, "/"), (1_010, "/data"), (1_020, "/data")] {
        commit(&store, at(now), &[(DISK, &[mount], &[99.0])]);
        confirmed.push(new.tick(&store, None, at(now), None).confirmed);
    }
    assert_eq!(
        (confirmed[0].len(), &confirmed[1], confirmed[2].len()),
        (1, &vec![data], 0)
    );
}

#[test]
fn a_series_that_is_known_is_missed_after_a_restart_too() {
    let list = [format!("name: disk, {DISK_RULE}, on_no_data: alert")];
    let (mut old, before) = engine(&[&list[0]], 0);
    evaluate(
        &mut old,
        &before,
        30,
        &[(DISK, &["/"], &[1.0]), (DISK, &["/data"], &[1.0])],
    );
    let (mut new, store, _) = restart(&old, &[&list[0]], 1_000);
    let others: [Point<'_>; 1] = [(DISK, &["/"], &[1.0])];
    let changes: Vec<String> = (1_000..1_300)
        .step_by(30)
        .flat_map(|seconds| evaluate(&mut new, &store, seconds, &others))
        .collect();
    assert_eq!(
        changes,
        ["inactive > firing: no data for disk_usage_percent"]
    );
    assert_eq!(new.alerts()[0].labels["mount_point"], "/data");
}

#[test]
fn what_fired_for_a_rule_that_is_gone_resolves_at_the_start() {
    let (mut old, before) = engine(&[&format!("name: cpu, {CPU_RULE}, message: hot")], 0);
    evaluate(&mut old, &before, 30, &[(CPU, &[], &[90.0])]);
    let (new, _, changes) = restart(&old, &[], 100);
    assert_eq!(changes, ["firing > inactive: rule removed"]);
    assert_eq!(new.counts().resolved, 1);
}

#[test]
fn every_kind_of_state_survives_the_file() {
    let list = [
        "name: counting, metric: cpu_percent, condition: '>', threshold: 1, consecutive: 9",
        "name: pending, metric: disk_usage_percent, condition: '>', threshold: 1, duration: 1h",
        "name: levels, metric: cpu_percent, condition: '>', duration: 10,
         thresholds: {warning: 1, emergency: 2}, add_labels: {team: a}, annotations: {x: '{{ value }}'}",
        "name: quiet, metric: cpu_percent, condition: '<', threshold: 50, keep_firing_for: 1h",
        "name: blind, metric: cache_hits, condition: '>', threshold: 1, on_no_data: alert",
    ];
    let (mut old, store) = engine(&list, 0);
    for (seconds, cpu) in [(30, 10.0), (60, 10.0), (90, 99.5)] {
        evaluate(
            &mut old,
            &store,
            seconds,
            &[(CPU, &[], &[cpu]), (DISK, &["/\u{0}é"], &[7.0])],
        );
    }
    let carried = old.snapshot();
    assert_eq!(
        carried.iter().map(|rule| rule.alerts.len()).sum::<usize>(),
        5
    );
    let mut read = roundtrip(carried.clone(), at(0)).unwrap();
    for (retained, read) in carried.iter().zip(&mut read) {
        for ((_, retained), (_, read)) in retained.alerts.iter().zip(&mut read.alerts) {
            assert!(
                read.state
                    .held
                    .iter()
                    .flatten()
                    .all(|held| held.last_seen.is_none())
            );
            read.last_tick = retained.last_tick;
            read.state.counted = retained.state.counted;
            for (retained, read) in retained.state.held.iter().zip(&mut read.state.held) {
                let (seen, step) = retained.map_or((None, Duration::ZERO), |timer| {
                    (timer.last_seen, timer.step)
                });
                read.iter_mut()
                    .for_each(|read| (read.last_seen, read.step) = (seen, step));
            }
            read.state
                .quiet
                .iter_mut()
                .for_each(|q| q.last_seen = retained.state.quiet.and_then(|k| k.last_seen));
        }
    }
    assert_eq!(read, carried);
}

#[test]
fn a_disabled_rule_is_never_evaluated() {
    let (mut engine, store) = engine(&[&format!("name: cpu, {CPU_RULE}, enabled: false")], 0);
    commit(&store, at(30), &[(CPU, &[], &[90.0])]);
    let tick = engine.tick(&store, None, at(30), Some(Origin::new("system")));
    assert_eq!((tick.evaluated, tick.transitions.len()), (0, 0));
    assert!(
        engine
            .rules()
            .next()
            .is_some_and(|status| status.last.is_none())
    );
}

#[test]
fn a_reload_does_not_start_the_wait_for_missing_data_again() {
    let rule = "name: cpu, metric: cpu_percent, condition: '>', threshold: 85, on_no_data: alert";
    let changed = format!("{rule}, aggregation: mean");
    for (next, fires) in [(rule, 1), (changed.as_str(), 0)] {
        let (old, _) = engine(&[rule], 0);
        let (mut new, store) = engine(&[next], 80);
        assert_eq!(reasons(&new.adopt(old, at(80))), NOTHING);
        assert_eq!(evaluate(&mut new, &store, 90, &[]).len(), fires, "{next}");
    }
}

#[test]
fn an_alert_that_was_resolved_by_hand_stays_so_over_a_reload_and_a_restart() {
    let rule = format!("name: cpu, {CPU_RULE}");
    let list = [rule.as_str()];
    let (mut first, store) = engine(&list, 0);
    assert_eq!(
        evaluate(&mut first, &store, 30, &[(CPU, &[], &[90.0])]).len(),
        1
    );
    let alert = first.alerts()[0].fingerprint;
    let resolved = first.resolve(alert, "resolved by \"ada\"", at(40)).unwrap();
    assert_eq!(
        reasons(&[resolved]),
        ["firing > inactive: resolved by \"ada\""]
    );
    let (mut reloaded, store) = engine(&list, 50);
    assert_eq!(reasons(&reloaded.adopt(first, at(50))), NOTHING);
    assert_eq!(
        evaluate(&mut reloaded, &store, 60, &[(CPU, &[], &[91.0])]),
        NOTHING
    );
    let (mut restarted, store, transitions) = restart(&reloaded, &list, 70);
    assert_eq!(transitions, NOTHING);
    assert_eq!(
        evaluate(&mut restarted, &store, 90, &[(CPU, &[], &[92.0])]),
        NOTHING
    );
    assert_eq!(
        evaluate(&mut restarted, &store, 120, &[(CPU, &[], &[80.0])]),
        NOTHING
    );
    assert_eq!(
        evaluate(&mut restarted, &store, 150, &[(CPU, &[], &[93.0])]),
        ["inactive > firing: cpu_percent 93 > 85"]
    );
}
