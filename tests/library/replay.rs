//! Replays against the live way: the same rules over the same samples do the same at the same time.

use std::sync::Arc;
use std::time::Duration;

use bellwether_agent::replay::{self, Change, Outcome, Setup};
use bellwether_config::{self as config, Plan, Source};
use bellwether_core::{Batch, LabelSet, MetricId, MonoMillis, Now, UnixMillis};
use bellwether_matcher::LabelMatcher;
use bellwether_promql::{Guard, SampledSeries};
use bellwether_rules::Engine;
use bellwether_tsdb::history::History;
use bellwether_tsdb::store::{Options, Store};

const START: UnixMillis = UnixMillis(1_700_000_000_000);
const INTERVAL: u64 = 15;

const METRICS: &str = "performance_monitor:
  collection_interval: 15
  enabled_collectors: [system, application]
  system_metrics: [{name: cpu_percent, type: gauge}, {name: disk_usage_percent, type: gauge}]
  application_metrics:
    - {name: requests, type: counter, labels: [path]}
    - {name: latency, type: histogram, labels: [path], buckets: [0.1, 1]}
  prometheus: {metric_prefix: x, default_labels: {host: a}}
  alerting:
    notifications: {channels: [{type: log}, {type: log, name: pager, min_severity: critical}]}
    rules:
";

fn plan(rules: &str) -> Plan {
    let rules: String = rules
        .lines()
        .map(|rule| format!("      - {rule}\n"))
        .collect();
    let loaded = config::decode(&Source::Embedded, &format!("{METRICS}{rules}"), &|_| None);
    config::plan(loaded).unwrap_or_else(|report| panic!("{report}"))
}

fn id(plan: &Plan, name: &str) -> MetricId {
    let index = plan.metrics.iter().position(|def| &*def.name == name);
    MetricId(index.expect("a declared metric") as u32)
}

fn wall(second: u64) -> UnixMillis {
    UnixMillis(START.0 + second as i64 * 1000)
}

fn now(second: u64) -> Now {
    Now {
        mono: MonoMillis(3_600_000),
        wall: START,
    }
    .after(Duration::from_secs(second))
}

/// Appends one value to a series.
fn record(history: &History, second: u64, labels: &[(&str, &str)], value: f64) {
    let series = history
        .series_id(&LabelSet::new(labels.iter().copied()))
        .expect("room");
    history.append(wall(second), &[(series, value)]);
}

/// A value that wanders up and down through all thresholds.
fn wave(second: u64, phase: f64) -> f64 {
    50.0 + 50.0 * (second as f64 / 300.0 + phase).sin()
}

fn replayed(plan: Plan, history: &History, from: u64, to: u64) -> Outcome {
    let setup = Setup {
        metrics: plan.metrics,
        rules: plan.rules,
        routing: plan.routing,
        channels: &plan
            .root
            .performance_monitor
            .value
            .alerting
            .notifications
            .channels,
        matchers: &[],
    };
    replay::run(
        history,
        setup,
        wall(from),
        wall(to),
        &Guard::default(),
        &mut |_| {},
    )
    .expect("history reads")
}

/// Fired and resolved times of each rule's episodes, in seconds since the start.
fn spans(outcome: &Outcome) -> Vec<(&str, i64, Option<i64>)> {
    let second = |at: UnixMillis| (at.0 - START.0) / 1000;
    let rules = outcome.rules.iter();
    rules
        .flat_map(|rule| rule.episodes.iter().map(move |one| (&*rule.name, one)))
        .map(|(name, one)| (name, second(one.fired_at), one.resolved_at.map(second)))
        .collect()
}

const RULES: &str = "{name: cpu, metric: cpu_percent, condition: '>', threshold: 80, duration: 1m}
{name: mean, metric: cpu_percent, aggregation: mean, window: 5m, condition: '>', threshold: 60}
{name: levels, metric: cpu_percent, condition: '>', thresholds: {warning: 70, critical: 95}}
{name: rate, metric: requests, aggregation: rate, window: 2m, condition: '>', threshold: 3}
{name: slow, metric: latency, aggregation: p95, window: 2m, condition: '>', threshold: 0.5, duration: 30}
{name: ratio, expr: 'cpu_percent / 2 > 45', keep_firing_for: 1m}";

#[test]
fn a_replay_does_what_happened_live() {
    let live = plan(RULES);
    let history = History::in_memory(100);
    let options = Options {
        windows: live.rules.windows(),
        ..Options::default()
    };
    let store = Store::new(Arc::clone(&live.metrics), options);
    let (cpu, requests, latency) = (
        id(&live, "cpu_percent"),
        id(&live, "requests"),
        id(&live, "latency"),
    );
    let mut engine = Engine::new(live.rules, now(0));
    let (mut fired, mut counted, mut slow) = (Vec::new(), [0.0; 2], [[0.0; 4]; 2]);
    for second in (INTERVAL..=6 * 3600).step_by(INTERVAL as usize) {
        let mut batch = Batch::default();
        batch.push(cpu, &[], wave(second, 0.0));
        record(
            &history,
            second,
            &[("__name__", "x_cpu_percent"), ("host", "a")],
            wave(second, 0.0),
        );
        for (index, path) in ["/", "/slow"].iter().enumerate() {
            counted[index] += wave(second, index as f64);
            batch.push(requests, &[path], counted[index]);
            let labels = [("__name__", "x_requests"), ("host", "a"), ("path", *path)];
            record(&history, second, &labels, counted[index]);
            let number = wave(second, index as f64 * 2.0).round();
            slow[index][usize::from(number < 50.0)] += number;
            let [fast, mid, ..] = slow[index];
            let values = [fast, fast + mid, fast + mid, mid];
            batch.push_values(latency, &[path], &values);
            for (suffix, le, number) in [
                ("bucket", "0.1", values[0]),
                ("bucket", "1.0", values[1]),
                ("bucket", "+Inf", values[2]),
                ("count", "", values[2]),
                ("sum", "", values[3]),
            ] {
                let name = format!("x_latency_{suffix}");
                let labels = [("__name__", name.as_str()), ("path", *path), ("le", le)];
                record(&history, second, &labels, number);
            }
        }
        store.commit(&batch, now(second));
        store.expire(now(second));
        for transition in engine.tick(&store, None, now(second), None).transitions {
            fired.push((
                transition.alert.rule.to_string(),
                transition.from,
                transition.at,
            ));
        }
    }
    let outcome = replayed(plan(RULES), &history, 0, 6 * 3600);
    assert_eq!(outcome.warnings, [""; 0]);
    assert_eq!(
        (outcome.series, outcome.ticks),
        (11, 2 * 6 * 3600 / INTERVAL)
    );
    for rule in &outcome.rules {
        let live: Vec<_> = fired
            .iter()
            .filter(|(name, ..)| *name == *rule.name)
            .collect();
        let mut replayed: Vec<UnixMillis> = rule
            .episodes
            .iter()
            .flat_map(|one| [Some(one.fired_at), one.resolved_at])
            .flatten()
            .collect();
        let mut lived: Vec<UnixMillis> = live
            .iter()
            .filter(|(name, from, at)| {
                let pending = rule
                    .episodes
                    .iter()
                    .any(|one| one.active_at == *at && one.fired_at != *at);
                let level = name == "levels"
                    && *from == bellwether_core::AlertState::Firing
                    && !rule.episodes.iter().any(|one| one.resolved_at == Some(*at));
                !pending && !level
            })
            .map(|(_, _, at)| *at)
            .collect();
        replayed.sort_unstable();
        lived.sort_unstable();
        assert!(!replayed.is_empty(), "{} never fired", rule.name);
        assert_eq!(replayed, lived, "{}", rule.name);
    }
}

#[test]
fn what_was_known_before_the_start_counts_but_does_not_fire() {
    let rule = "{name: mean, metric: cpu_percent, aggregation: mean, window: 5m, condition: '>', threshold: 50}";
    let history = History::in_memory(10);
    for second in (0..=1200).step_by(15) {
        let value = if second < 600 { 100.0 } else { 0.0 };
        record(&history, second, &[("__name__", "x_cpu_percent")], value);
    }
    let outcome = replayed(plan(rule), &history, 615, 1200);
    assert_eq!(spans(&outcome), [("mean", 615, Some(735))]);
    let replayed = &outcome.rules[0].episodes[0].notifications;
    assert_eq!(
        replayed
            .iter()
            .map(|one| one.channel.as_str())
            .collect::<Vec<_>>(),
        ["log", "log"]
    );
    assert_eq!(
        outcome.rules[0].per_week(Duration::from_secs(7 * 86_400)),
        1.0
    );
}

#[test]
fn a_series_that_ends_resolves_as_it_did_live() {
    let rule = "name: disk, metric: disk_usage_percent, condition: '>', threshold: 80";
    let history = History::in_memory(10);
    let mount = |mount| [("__name__", "x_disk_usage_percent"), ("mount_point", mount)];
    for second in (0..=600).step_by(15) {
        record(&history, second, &mount("/"), 1.0);
        if second <= 300 {
            record(&history, second, &mount("/usb"), 90.0);
        }
    }
    record(&history, 360, &mount("/usb"), SampledSeries::stale());
    let ends = |more: &str| {
        let outcome = replayed(plan(&format!("{{{rule}{more}}}")), &history, 0, 600);
        spans(&outcome)[0].2
    };
    assert_eq!(
        [ends(""), ends(", resolve_missing_after: 1m")],
        [None, Some(420)]
    );
}

#[test]
fn what_cannot_be_distinguished_or_is_missing_is_named() {
    let rules = "{name: cpu, metric: cpu_percent, condition: '>', threshold: 80}
{name: requests, metric: requests, condition: '>', threshold: 80}";
    let history = History::in_memory(10);
    for host in ["a", "b"] {
        for second in (0..=300).step_by(15) {
            let value = if host == "b" { 90.0 } else { 1.0 };
            record(
                &history,
                second,
                &[("__name__", "x_cpu_percent"), ("host", host)],
                value,
            );
        }
    }
    let outcome = replayed(plan(rules), &history, 0, 300);
    assert_eq!(
        outcome.warnings,
        [
            "no samples of requests, recorded as x_requests",
            "several recorded series are one of cpu_percent, only the first counts: x_cpu_percent{host=\"a\"} and x_cpu_percent{host=\"b\"}; choose with --match",
        ]
    );
    let Plan { metrics, rules, .. } = plan(rules);
    let matchers = [LabelMatcher::equal("host", "b")];
    let setup = Setup {
        metrics,
        rules,
        routing: Arc::default(),
        channels: &[],
        matchers: &matchers,
    };
    let outcome = replay::run(
        &history,
        setup,
        wall(0),
        wall(300),
        &Guard::default(),
        &mut |_| {},
    )
    .unwrap();
    assert_eq!(spans(&outcome), [("cpu", 0, None)]);
    assert_eq!(outcome.warnings.len(), 1);
}

#[test]
fn rules_that_only_ask_history_are_evaluated_too() {
    let rules = "{name: unfed, promql: 'x_cpu_percent > 80', duration: 1m}
{name: foreign, promql: 'elsewhere > 80'}";
    let history = History::in_memory(10);
    for second in (0..=1200).step_by(15) {
        let value = if (300..600).contains(&second) {
            90.0
        } else {
            10.0
        };
        record(&history, second, &[("__name__", "x_cpu_percent")], value);
        record(
            &history,
            second,
            &[("__name__", "elsewhere"), ("job", "a")],
            value,
        );
    }
    let outcome = replayed(plan(rules), &history, 0, 1200);
    assert_eq!(
        spans(&outcome),
        [("unfed", 360, Some(600)), ("foreign", 300, Some(600))]
    );
}

#[test]
fn another_threshold_moves_adds_and_removes() {
    let rule = |threshold: u32| {
        format!("{{name: cpu, metric: cpu_percent, condition: '>', threshold: {threshold}}}")
    };
    let history = History::in_memory(10);
    for second in (0..=3000).step_by(15) {
        let value = match second {
            300..600 => 70.0,
            900..1200 => 95.0,
            1500..1800 => 75.0 + (second - 1500) as f64 / 15.0,
            _ => 10.0,
        };
        record(&history, second, &[("__name__", "x_cpu_percent")], value);
    }
    let (low, high) = (
        replayed(plan(&rule(65)), &history, 0, 3000),
        replayed(plan(&rule(85)), &history, 0, 3000),
    );
    let kinds = |before, after| -> Vec<&'static str> {
        let changes = replay::compare(before, after, wall(3000));
        let list = changes.get("cpu").map(Vec::as_slice).unwrap_or_default();
        let kind = |change: &Change<'_>| match change {
            Change::Added(_) => "added",
            Change::Removed(_) => "removed",
            Change::Moved(..) => "moved",
        };
        list.iter().map(kind).collect()
    };
    assert_eq!(kinds(&low, &high), ["removed", "moved"]);
    assert_eq!(kinds(&high, &low), ["added", "moved"]);
    assert_eq!(kinds(&low, &low), [""; 0]);
}

#[test]
fn the_interval_of_a_recording_is_seen() {
    let history = History::in_memory(10);
    for minute in 0..100 {
        record(&history, minute * 60, &[("__name__", "x_cpu_percent")], 1.0);
    }
    let metrics = plan("{name: cpu, metric: cpu_percent, condition: '>', threshold: 80}").metrics;
    let seen =
        replay::observed_interval(&history, &metrics, &[], wall(6000), &Guard::default()).unwrap();
    assert_eq!(seen, Some(Duration::from_secs(60)));
    let empty = replay::observed_interval(
        &History::in_memory(1),
        &metrics,
        &[],
        wall(0),
        &Guard::default(),
    );
    assert_eq!(empty, Ok(None));
}
