//! Rules over series of the store: thresholds, aggregations, percentiles and expressions, several
//! series each, with gaps.
//!
//! In a gap Prometheus evaluates the last value for five minutes on, Bellwether for half an interval
//! more than one; then it knows nothing, keeps the alert as it is and lets no timer run, until the
//! series counts as gone. So gaps are of one minute, which both bridge, and of two where nothing
//! could change within them: the last value, without durations. Series that are gone for longer
//! are compared over history, which has them as Prometheus has.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use bellwether_core::{AlertState, Batch, Kind, MetricDef, MetricId, Now, Origin};
use bellwether_rules::{CompileInput, Engine, RuleSet, RuleSettings, compile};
use bellwether_schema::{Decode, DecodeContext, Diagnostics, parse};
use bellwether_tsdb::store::{Options, Store};
use proptest::prelude::*;

use super::Files;

const MINUTE: Duration = Duration::from_secs(60);
const BOUNDS: [f64; 3] = [0.1, 0.5, 2.0];

const MINUTES: usize = 40;
const HOSTS: [&str; 3] = ["a", "b", "c"];

/// One value a minute; `None`: no sample.
type Values = Vec<Option<u8>>;

/// One rule and its series.
#[derive(Clone, Debug)]
pub struct Case {
    condition: &'static str,
    threshold: f64,
    duration: u32,
    keep_firing_for: u32,
    operand: Operand,
}

#[derive(Clone, Debug)]
enum Operand {
    /// Functions that both evaluate, over the values of some hosts.
    Gauge(&'static str, &'static str, Vec<Values>),
    /// The 95th percentile of a histogram; what is observed in each minute, by bucket.
    Histogram(Vec<[u8; 4]>),
}

const LAST: &str = "metric: usage";
/// 270 s, so that no sample lies on the edge: whether that one belongs to the window has changed
/// between versions of Prometheus.
const READINGS: [(&str, &str); 10] = [
    (LAST, "usage{CASE}"),
    (LAST, "usage{CASE}"),
    (
        "metric: usage, aggregation: mean, window: 270s",
        "avg_over_time(usage{CASE}[270s])",
    ),
    (
        "metric: usage, aggregation: max, window: 270s",
        "max_over_time(usage{CASE}[270s])",
    ),
    (
        "metric: usage, aggregation: min, window: 270s",
        "min_over_time(usage{CASE}[270s])",
    ),
    (
        "metric: usage, aggregation: sum, window: 270s",
        "sum_over_time(usage{CASE}[270s])",
    ),
    (
        "metric: usage, aggregation: count, window: 270s",
        "count_over_time(usage{CASE}[270s])",
    ),
    (
        "metric: usage, aggregation: p90, window: 270s",
        "quantile_over_time(0.9, usage{CASE}[270s])",
    ),
    (
        "metric: usage, aggregation: stddev, window: 270s",
        "stddev_over_time(usage{CASE}[270s])",
    ),
    (
        "expr: 'usage * 2 - max(usage, \"270s\")'",
        "usage{CASE} * 2 - max_over_time(usage{CASE}[270s])",
    ),
];
const QUANTILE: &str = "histogram_quantile(0.95, increase(latency_bucket{CASE}[5m]))";

/// A rule with its operand.
pub fn case() -> impl Strategy<Value = Case> {
    let conditions = prop::sample::select(vec![">", "<", ">=", "<=", "==", "!="]);
    (conditions, 0_u32..10, 0_u32..5, 0_u32..4).prop_flat_map(
        |(condition, threshold, duration, keep_firing_for)| {
            let timed = duration > 0 || keep_firing_for > 0;
            operand(timed).prop_map(move |operand| {
                let threshold = f64::from(threshold) * scale(&operand);
                Case {
                    condition,
                    threshold,
                    duration,
                    keep_firing_for,
                    operand,
                }
            })
        },
    )
}

/// If the last digits of a value may differ, no value is equal to a threshold.
fn scale(operand: &Operand) -> f64 {
    match operand {
        Operand::Histogram(_) => 0.21,
        Operand::Gauge(reading, ..)
            if ["mean", "p90", "stddev"]
                .iter()
                .any(|a| reading.contains(a)) =>
        {
            0.997
        }
        Operand::Gauge(..) => 1.0,
    }
}

fn operand(timed: bool) -> impl Strategy<Value = Operand> {
    let gauge = prop::sample::select(READINGS.to_vec()).prop_flat_map(move |(ours, theirs)| {
        let longest = if ours == LAST && !timed { 2 } else { 1 };
        prop::collection::vec(values(longest), 1..=HOSTS.len())
            .prop_map(move |hosts| Operand::Gauge(ours, theirs, hosts))
    });
    let observed = prop::collection::vec([1_u8..4, 0..4, 0..4, 0..2], MINUTES);
    prop_oneof![4 => gauge, 1 => observed.prop_map(Operand::Histogram)]
}

/// Values with gaps of `longest` minutes at the most.
fn values(longest: usize) -> impl Strategy<Value = Values> {
    let value = prop_oneof![5 => (0_u8..10).prop_map(Some), 1 => Just(None)];
    prop::collection::vec(value, MINUTES).prop_map(move |mut values| {
        for at in longest..MINUTES {
            if values[at - longest..=at].iter().all(Option::is_none) {
                values[at] = Some(at as u8 % 10);
            }
        }
        values
    })
}

fn metrics() -> Arc<[MetricDef]> {
    let metric = |name: &str, kind, labels: &[&str], buckets: &[f64]| MetricDef {
        name: name.into(),
        exported: name.into(),
        help: "".into(),
        kind,
        labels: labels.iter().map(|label| (*label).into()).collect(),
        buckets: buckets.into(),
        quantiles: [].into(),
        origin: Origin::new("system"),
        interval: MINUTE,
    };
    [
        metric("usage", Kind::Gauge, &["case", "host"], &[]),
        metric("latency", Kind::Histogram, &["case"], &BOUNDS),
    ]
    .into()
}

/// Cumulative counts of a histogram after each minute, the `+Inf` bucket last.
fn cumulative(observed: &[[u8; 4]]) -> Vec<[f64; 4]> {
    // Prometheus extrapolates a young counter no further than to zero, each bucket for itself; far
    // from zero all buckets grow alike.
    let mut totals = [1_000.0; 4];
    let mut after = |new: &[u8; 4]| {
        let mut below = 0.0;
        for (total, new) in totals.iter_mut().zip(new) {
            below += f64::from(*new);
            *total += below;
        }
        totals
    };
    observed.iter().map(&mut after).collect()
}

/// The labels of what fires, by minute and case.
type Firing = Vec<Vec<Vec<String>>>;

fn rules(cases: &[Case]) -> RuleSet {
    let mut yaml = String::new();
    for (n, case) in cases.iter().enumerate() {
        let what = match &case.operand {
            Operand::Gauge(ours, ..) => ours,
            Operand::Histogram(_) => "metric: latency, aggregation: p95, window: 5m",
        };
        let Case {
            condition,
            threshold,
            duration,
            keep_firing_for,
            ..
        } = case;
        writeln!(
            yaml,
            "- {{name: c{n}, {what}, labels: {{case: \"{n}\"}}, condition: \"{condition}\", \
             threshold: {threshold}, duration: {duration}m, keep_firing_for: {keep_firing_for}m}}"
        )
        .expect("text");
    }
    let mut problems = Diagnostics::default();
    let node = parse(&yaml).expect("YAML");
    let settings =
        Vec::<RuleSettings>::decode(&node, &mut DecodeContext::new(&mut problems, &|_| None));
    let set = compile(
        &CompileInput::new(&settings.unwrap_or_default(), &metrics()),
        &mut problems,
    );
    assert!(problems.is_empty(), "{:?}", problems.into_sorted());
    set
}

/// Returns Bellwether's result of each minute.
fn firing(cases: &[Case]) -> Firing {
    let set = rules(cases);
    let options = Options {
        windows: set.windows(),
        ..Options::default()
    };
    let store = Store::new(metrics(), options);
    let mut now = Now::default().after(Duration::from_secs(3_600));
    let mut engine = Engine::new(set, now);
    let mut minutes = Vec::new();
    for minute in 0..MINUTES {
        store.commit(&collected(cases, minute), now);
        store.expire(now);
        engine.tick(&store, None, now, None);
        let mut firing = vec![Vec::new(); cases.len()];
        for alert in engine
            .alerts()
            .iter()
            .filter(|alert| alert.state == AlertState::Firing)
        {
            let n: usize = alert.rule[1..].parse().expect("a number");
            let labels: Vec<String> = alert
                .labels
                .iter()
                .map(|(name, value)| format!("{name}: \"{value}\""))
                .collect();
            firing[n].push(format!("{{exp_labels: {{{}}}}}", labels.join(", ")));
        }
        minutes.push(firing);
        now = now.after(MINUTE);
    }
    minutes
}

fn collected(cases: &[Case], minute: usize) -> Batch {
    let mut batch = Batch::default();
    for (n, case) in cases.iter().enumerate() {
        let label = n.to_string();
        match &case.operand {
            Operand::Gauge(_, _, hosts) => {
                for (host, values) in HOSTS.iter().zip(hosts) {
                    if let Some(value) = values[minute] {
                        batch.push(MetricId(0), &[&label, host], f64::from(value));
                    }
                }
            }
            Operand::Histogram(observed) => {
                let [a, b, c, count] = cumulative(observed)[minute];
                batch.push_values(MetricId(1), &[&label], &[a, b, c, count, 0.0]);
            }
        }
    }
    batch
}

/// Writes Bellwether's results of `cases` as expectations of promtool, for each minute.
pub fn run(cases: &[Case]) -> Files {
    let firing = firing(cases);
    let mut rules = "groups:\n- name: g\n  interval: 1m\n  rules:\n".to_owned();
    let mut test = "rule_files: [rules.yaml]\nevaluation_interval: 1m\ntests:\n\
                    - interval: 1m\n  input_series:\n"
        .to_owned();
    for (n, case) in cases.iter().enumerate() {
        let expr = match &case.operand {
            Operand::Gauge(_, expr, _) => *expr,
            Operand::Histogram(_) => QUANTILE,
        };
        let expr = expr.replace("CASE", &format!("case=\"{n}\""));
        let Case {
            condition,
            threshold,
            duration,
            keep_firing_for,
            ..
        } = case;
        writeln!(
            rules,
            "  - alert: c{n}\n    expr: '{expr} {condition} {threshold}'\n    for: {duration}m\n    \
             keep_firing_for: {keep_firing_for}m"
        )
        .expect("text");
        let mut series = |name: &str, values: Vec<String>| {
            let values = values.join(" ");
            writeln!(test, "  - {{series: '{name}', values: '{values}'}}").expect("text");
        };
        match &case.operand {
            Operand::Gauge(_, _, hosts) => {
                for (host, values) in HOSTS.iter().zip(hosts) {
                    let text = |value: &Option<u8>| value.map_or("_".into(), |v| v.to_string());
                    series(
                        &format!("usage{{case=\"{n}\",host=\"{host}\"}}"),
                        values.iter().map(text).collect(),
                    );
                }
            }
            Operand::Histogram(observed) => {
                for (bucket, le) in ["0.1", "0.5", "2", "+Inf"].iter().enumerate() {
                    let counts = cumulative(observed)
                        .iter()
                        .map(|c| c[bucket].to_string())
                        .collect();
                    series(
                        &format!("latency_bucket{{case=\"{n}\",le=\"{le}\"}}"),
                        counts,
                    );
                }
            }
        }
    }
    test.push_str("  alert_rule_test:\n");
    for (minute, seen) in firing.iter().enumerate() {
        for (n, alerts) in seen.iter().enumerate() {
            let alerts = alerts.join(", ");
            writeln!(
                test,
                "  - {{eval_time: {minute}m, alertname: c{n}, exp_alerts: [{alerts}]}}"
            )
            .expect("text");
        }
    }
    let firing = firing
        .iter()
        .flatten()
        .filter(|alerts| !alerts.is_empty())
        .count();
    Files {
        rules,
        test,
        firing,
    }
}
