//! One tick of ten thousand rules, and what an expression costs.
//!
//! Each rule names one of ten thousand series by its label; none fires, as on a healthy host. What
//! the rules take in memory is measured in a process of its own, with all of them firing.

#![allow(clippy::print_stdout)]

mod resident;

use std::hint::black_box;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bellwether_core::{Batch, Kind, LabelSet, MetricDef, MetricId, Now, Origin};
use bellwether_rules::{CompileInput, Engine, RuleSet, RuleSettings, compile};
use bellwether_schema::{Decode, DecodeContext, Diagnostics, parse};
use bellwether_tsdb::history::{History, SeriesId};
use bellwether_tsdb::store::{Options, Store};
use criterion::{Criterion, criterion_group};
use resident::resident;

const SERIES: usize = 10_000;
/// Set in the process that measures memory.
const CHILD: &str = "BELLWETHER_BENCH_RULES";
const INTERVAL: Duration = Duration::from_secs(15);

fn metrics() -> Arc<[MetricDef]> {
    let metric = |name: &str, kind, labels: &[&str]| MetricDef {
        name: name.into(),
        exported: name.into(),
        help: "".into(),
        kind,
        labels: labels.iter().map(|label| (*label).into()).collect(),
        buckets: [].into(),
        quantiles: [].into(),
        origin: Origin::new("system"),
        interval: INTERVAL,
    };
    [
        metric("usage", Kind::Gauge, &["host", "disk"]),
        metric("misses", Kind::Counter, &["host"]),
        metric("hits", Kind::Counter, &["host"]),
    ]
    .into()
}

/// Rules from one line of YAML each; `{n}` is the number.
fn rules(line: &str, count: usize) -> RuleSet {
    let yaml: String = (0..count)
        .map(|n| format!("- {}\n", line.replace("{n}", &n.to_string())))
        .collect();
    let mut problems = Diagnostics::default();
    let settings = parse(&yaml).ok().and_then(|node| {
        Vec::<RuleSettings>::decode(&node, &mut DecodeContext::new(&mut problems, &|_| None))
    });
    let (settings, metrics) = (settings.unwrap_or_default(), metrics());
    let set = compile(&CompileInput::new(&settings, &metrics), &mut problems);
    assert!(problems.is_empty(), "{:?}", problems.into_sorted().first());
    set
}

/// A store filled for five minutes, and an engine that has evaluated it once.
fn filled(set: RuleSet) -> (Store, Engine, Now) {
    let options = Options {
        windows: set.windows(),
        ..Options::default()
    };
    let store = Store::new(metrics(), options);
    let mut now = Now::default().after(Duration::from_secs(3_600));
    let mut engine = Engine::new(set, now);
    let mut batch = Batch::default();
    for round in 0..21_u32 {
        now = now.after(INTERVAL);
        batch.clear();
        for n in 0..SERIES {
            let host = format!("h{n}");
            let value = f64::from(round) + (n % 50) as f64;
            batch.push(MetricId(0), &[&host, "sda"], value);
            batch.push(MetricId(1), &[&host], value);
            batch.push(MetricId(2), &[&host], value * 3.0);
        }
        store.commit(&batch, now);
    }
    engine.tick(&store, None, now, None);
    (store, engine, now)
}

fn tick(criterion: &mut Criterion, name: &str, line: &str, count: usize) {
    let (store, mut engine, now) = filled(rules(line, count));
    criterion.bench_function(name, |bencher| {
        bencher.iter(|| black_box(engine.tick(&store, None, now, Some(Origin::new("system")))));
    });
}

fn ticks(criterion: &mut Criterion) {
    let base = "name: r{n}, metric: usage, labels: {host: h{n}}, condition: '>'";
    tick(
        criterion,
        "threshold_10k_rules",
        &format!("{{{base}, threshold: 95}}"),
        SERIES,
    );
    tick(
        criterion,
        "mean_5m_10k_rules",
        &format!("{{{base}, threshold: 95, aggregation: mean, window: 5m, duration: 5m}}"),
        SERIES,
    );
    tick(
        criterion,
        "firing_10k_rules",
        &format!("{{{base}, threshold: -1}}"),
        SERIES,
    );
    tick(
        criterion,
        "expr_10k_rows",
        "{name: r, expr: 'misses / (hits + misses) > 0.5'}",
        1,
    );
    tick(
        criterion,
        "rate_5m_10k_rules",
        "{name: r{n}, metric: misses, aggregation: rate_5m, labels: {host: h{n}}, condition: '>', threshold: 95}",
        SERIES,
    );
}

/// A series comes: all selections are made anew.
fn churn(criterion: &mut Criterion) {
    let line = "{name: r{n}, metric: usage, labels: {host: h{n}}, condition: '>', threshold: 95}";
    let (store, mut engine, now) = filled(rules(line, SERIES));
    let mut batch = Batch::default();
    let mut n = 0_u64;
    criterion.bench_function("threshold_10k_rules_new_series", |bencher| {
        bencher.iter(|| {
            batch.clear();
            batch.push(MetricId(0), &[&format!("new{n}"), "sda"], 1.0);
            n += 1;
            store.commit(&batch, now);
            black_box(engine.tick(&store, None, now, Some(Origin::new("system"))))
        });
    });
}

/// The same expression in evalexpr's own evaluator, for comparison.
fn evalexpr_itself(criterion: &mut Criterion) {
    use evalexpr::{ContextWithMutableVariables, HashMapContext, Value, build_operator_tree};
    let Ok(tree) = build_operator_tree("misses / (hits + misses) > 0.5") else {
        return;
    };
    let mut context = HashMapContext::new();
    criterion.bench_function("expr_10k_rows_in_evalexpr", |bencher| {
        bencher.iter(|| {
            let mut holds = 0;
            for n in 0..SERIES {
                context
                    .set_value("misses".into(), Value::Float(n as f64))
                    .ok();
                context
                    .set_value("hits".into(), Value::Float(n as f64 * 3.0))
                    .ok();
                holds += u32::from(tree.eval_boolean_with_context(&context).unwrap_or(false));
            }
            black_box(holds)
        });
    });
}

/// A thousand threshold rules in PromQL, each for the ten disks of one host, over ten million
/// samples: ten thousand series, a thousand samples each.
fn promql_rules(criterion: &mut Criterion) {
    let set = rules("{name: r{n}, promql: 'usage{host=\"h{n}\"} > 95'}", 1_000);
    let store = Store::new(metrics(), Options::default());
    let mut now = Now::default().after(Duration::from_secs(3_600));
    let mut engine = Engine::new(set, now);
    let history = History::in_memory(SERIES);
    let series: Vec<SeriesId> = (0..SERIES)
        .filter_map(|n| {
            let (host, disk) = (format!("h{}", n / 10), format!("sd{}", n % 10));
            let labels = [("__name__", "usage"), ("host", &host), ("disk", &disk)];
            history.series_id(&LabelSet::new(labels))
        })
        .collect();
    for round in 0..1_000_u32 {
        now = now.after(INTERVAL);
        let value = |n: usize| f64::from(round % 50) + (n % 40) as f64;
        let samples: Vec<_> = series
            .iter()
            .enumerate()
            .map(|(n, s)| (*s, value(n)))
            .collect();
        history.append(now.wall, &samples);
    }
    criterion.bench_function("promql_1k_rules_10m_samples", |bencher| {
        bencher.iter(|| {
            let tick = engine.tick(&store, Some(&history), now, None);
            assert_eq!((tick.evaluated, tick.failed), (1_000, 0));
            black_box(tick)
        });
    });
}

/// In a process of its own: what ten thousand rules take, and then their alerts.
fn memory_child() {
    let line = "{name: r{n}, metric: usage, labels: {host: h{n}}, condition: '>', threshold: -1, \
                message: 'usage of {{ labels.disk }} is {{ value | round(1) }}', \
                annotations: {runbook: 'https://example.org/r{n}'}}";
    let before = resident();
    let set = rules(line, SERIES);
    let compiled = resident();
    let (store, mut engine, now) = filled(set);
    let fired = resident();
    let began = Instant::now();
    black_box(engine.tick(&store, None, now.after(INTERVAL), None));
    let took = began.elapsed();
    let mb = |from: u64, to: u64| to.saturating_sub(from) as f64 / 1e6;
    println!(
        "10k rules: {:.1} MB; their series and {} firing alerts: {:.1} MB; a tick in {took:?}",
        mb(before, compiled),
        engine.alerts().len(),
        mb(compiled, fired),
    );
}

fn memory(_: &mut Criterion) {
    let Ok(this) = std::env::current_exe() else {
        return;
    };
    if let Ok(output) = Command::new(this).env(CHILD, "1").output() {
        print!("{}", String::from_utf8_lossy(&output.stdout));
    }
}

criterion_group!(benches, memory, ticks, churn, evalexpr_itself, promql_rules);

fn main() {
    if std::env::var_os(CHILD).is_some() {
        memory_child();
        return;
    }
    benches();
    Criterion::default().configure_from_args().final_summary();
}
