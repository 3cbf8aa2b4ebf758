//! Rules beside Prometheus: the same rules over the same series, and promtool says whether the
//! same alerts fire at the same moments.

#![allow(clippy::expect_used)] // clippy sees tests only inside of test functions

use std::fmt::Write;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use bellwether::declare::{Cx, Decode, Problems, parse};
use bellwether::model::{AlertState, Batch, Kind, MetricDef, MetricId, Now, Origin};
use bellwether::rules::{Declared, Engine, RuleSettings, compile};
use bellwether::store::{Options, Store};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

const MINUTE: Duration = Duration::from_secs(60);
const BOUNDS: [f64; 3] = [0.1, 0.5, 2.0];

/// One rule and the series it judges.
#[derive(Clone, Debug)]
struct Case {
    condition: &'static str,
    threshold: f64,
    duration: u32,
    keep_firing_for: u32,
    judged: Judged,
}

#[derive(Clone, Debug)]
enum Judged {
    /// An aggregation by both names, over these values, one a minute.
    Gauge(&'static str, &'static str, Vec<u8>),
    /// The 95th percentile of a histogram; what is observed in each minute, by bucket.
    Histogram(Vec<[u8; 4]>),
}

/// 270 s, so that no sample lies on the edge: whether that one belongs to the window has changed
/// between versions of Prometheus.
const AGGREGATIONS: [(&str, &str); 8] = [
    ("last", "usage{CASE}"),
    ("mean", "avg_over_time(usage{CASE}[270s])"),
    ("max", "max_over_time(usage{CASE}[270s])"),
    ("min", "min_over_time(usage{CASE}[270s])"),
    ("sum", "sum_over_time(usage{CASE}[270s])"),
    ("count", "count_over_time(usage{CASE}[270s])"),
    ("p90", "quantile_over_time(0.9, usage{CASE}[270s])"),
    ("stddev", "stddev_over_time(usage{CASE}[270s])"),
];
const QUANTILE: &str = "histogram_quantile(0.95, increase(latency_bucket{CASE}[5m]))";

fn case() -> impl Strategy<Value = Case> {
    let gauge = (0..AGGREGATIONS.len(), prop::collection::vec(0_u8..10, 40))
        .prop_map(|(n, values)| Judged::Gauge(AGGREGATIONS[n].0, AGGREGATIONS[n].1, values));
    let observed = prop::collection::vec([1_u8..4, 0..4, 0..4, 0..2], 40);
    let judged = prop_oneof![4 => gauge, 1 => observed.prop_map(Judged::Histogram)];
    let conditions = prop::sample::select(vec![">", "<", ">=", "<=", "==", "!="]);
    (conditions, 0_u32..10, 0_u32..5, 0_u32..4, judged).prop_map(
        |(condition, threshold, duration, keep_firing_for, judged)| {
            let scale = if matches!(judged, Judged::Histogram(_)) { 0.21 } else { 0.997 };
            let exact = matches!(judged, Judged::Gauge("last" | "max" | "min" | "count", ..));
            let scale = if exact { 1.0 } else { scale };
            let threshold = f64::from(threshold) * scale;
            Case { condition, threshold, duration, keep_firing_for, judged }
        },
    )
}

fn metrics() -> Arc<[MetricDef]> {
    let metric = |name: &str, kind, buckets: &[f64]| MetricDef {
        name: name.into(),
        exported: name.into(),
        help: "".into(),
        kind,
        labels: ["case".into()].into(),
        buckets: buckets.into(),
        quantiles: [].into(),
        origin: Origin::System,
        interval: MINUTE,
    };
    [metric("usage", Kind::Gauge, &[]), metric("latency", Kind::Histogram, &BOUNDS)].into()
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

/// The names of the alerts that fire in each minute, as Bellwether sees it.
fn firing(cases: &[Case]) -> Vec<Vec<String>> {
    let mut yaml = String::new();
    for (n, case) in cases.iter().enumerate() {
        let what = match &case.judged {
            Judged::Gauge("last", ..) => "metric: usage".to_owned(),
            Judged::Gauge(name, ..) => {
                format!("metric: usage, aggregation: {name}, window: 270s")
            }
            Judged::Histogram(_) => "metric: latency, aggregation: p95, window: 5m".to_owned(),
        };
        let Case { condition, threshold, duration, keep_firing_for, .. } = case;
        writeln!(
            yaml,
            "- {{name: c{n}, {what}, labels: {{case: \"{n}\"}}, condition: \"{condition}\", \
             threshold: {threshold}, duration: {duration}m, keep_firing_for: {keep_firing_for}m}}"
        )
        .expect("text");
    }
    let mut problems = Problems::default();
    let node = parse(&yaml).expect("YAML");
    let settings = Vec::<RuleSettings>::decode(&node, &mut Cx::new(&mut problems, &|_| None));
    let (settings, metrics) = (settings.unwrap_or_default(), metrics());
    let set = compile(&Declared::new(&settings, &metrics), &mut problems);
    assert!(problems.is_empty(), "{:?}", problems.into_sorted());

    let options = Options { windows: set.windows(), ..Options::default() };
    let store = Store::new(metrics, options);
    let mut now = Now::default().after(Duration::from_secs(3_600));
    let mut engine = Engine::new(set, now);
    let mut batch = Batch::default();
    let mut minutes = Vec::new();
    for minute in 0..40 {
        batch.clear();
        for (n, case) in cases.iter().enumerate() {
            let label = n.to_string();
            match &case.judged {
                Judged::Gauge(_, _, values) => {
                    batch.push(MetricId(0), &[&label], f64::from(values[minute]));
                }
                Judged::Histogram(observed) => {
                    let [a, b, c, count] = cumulative(observed)[minute];
                    batch.push_numbers(MetricId(1), &[&label], &[a, b, c, count, 0.0]);
                }
            }
        }
        store.commit(&batch, now);
        engine.tick(&store, None, now, None);
        let firing = engine.alerts().into_iter().filter(|a| a.state == AlertState::Firing);
        minutes.push(firing.map(|alert| alert.rule.to_string()).collect());
        now = now.after(MINUTE);
    }
    minutes
}

/// The rules and the test that promtool runs: in each minute exactly `firing`.
fn for_promtool(cases: &[Case], firing: &[Vec<String>]) -> (String, String) {
    let mut rules = "groups:\n- name: g\n  interval: 1m\n  rules:\n".to_owned();
    let mut test = "rule_files: [rules.yaml]\nevaluation_interval: 1m\ntests:\n\
                    - interval: 1m\n  input_series:\n"
        .to_owned();
    for (n, case) in cases.iter().enumerate() {
        let expr = match &case.judged {
            Judged::Gauge(_, expr, _) => *expr,
            Judged::Histogram(_) => QUANTILE,
        };
        let expr = expr.replace("CASE", &format!("case=\"{n}\""));
        let Case { condition, threshold, duration, keep_firing_for, .. } = case;
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
        match &case.judged {
            Judged::Gauge(_, _, values) => series(
                &format!("usage{{case=\"{n}\"}}"),
                values.iter().map(ToString::to_string).collect(),
            ),
            Judged::Histogram(observed) => {
                for (bucket, le) in ["0.1", "0.5", "2", "+Inf"].iter().enumerate() {
                    let counts =
                        cumulative(observed).iter().map(|c| c[bucket].to_string()).collect();
                    series(&format!("latency_bucket{{case=\"{n}\",le=\"{le}\"}}"), counts);
                }
            }
        }
    }
    test.push_str("  alert_rule_test:\n");
    for (minute, names) in firing.iter().enumerate() {
        for n in 0..cases.len() {
            let fires = names.contains(&format!("c{n}"));
            let alerts =
                if fires { format!("{{exp_labels: {{case: \"{n}\"}}}}") } else { String::new() };
            writeln!(test, "  - {{eval_time: {minute}m, alertname: c{n}, exp_alerts: [{alerts}]}}")
                .expect("text");
        }
    }
    (rules, test)
}

#[test]
fn the_same_alerts_fire_as_in_prometheus() {
    let mut runner = TestRunner::new(Config {
        cases: 4,
        max_shrink_iters: 0,
        failure_persistence: None,
        ..Config::default()
    });
    runner
        .run(&prop::collection::vec(case(), 40), |cases| {
            let firing = firing(&cases);
            let some = firing.iter().any(|names| !names.is_empty());
            prop_assert!(some && firing.iter().any(|names| names.len() < cases.len()));
            let (rules, test) = for_promtool(&cases, &firing);
            let directory = tempfile::tempdir().expect("a directory");
            std::fs::write(directory.path().join("rules.yaml"), rules).expect("written");
            std::fs::write(directory.path().join("test.yaml"), test).expect("written");
            let output = Command::new("promtool")
                .args(["test", "rules", "test.yaml"])
                .current_dir(directory.path())
                .output()
                .expect("promtool is installed");
            let told = String::from_utf8_lossy(&output.stderr);
            let alert = told.split("alertname: c").nth(1).and_then(|rest| rest.split(',').next());
            let case = alert.and_then(|n| cases.get(n.parse::<usize>().ok()?));
            prop_assert!(output.status.success(), "{case:?}\n{}", &told[..told.len().min(1_000)]);
            Ok(())
        })
        .unwrap_or_else(|error| panic!("promtool disagrees: {error}"));
}
