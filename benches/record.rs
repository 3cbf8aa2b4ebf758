//! Cost for an application of recording a value: by handle, by name and as JSON, beside the
//! `prometheus` crate; alone and with a second thread on the same series.
//!
//! `cargo bench --bench record`. Times are CPU time of a recording thread, so that other work on
//! the machine does not count. One element is one record of that thread, so `Melem/s` are million
//! records a CPU second.

// The macros of criterion make undocumented functions, and a bench may end with a message.
#![allow(missing_docs, clippy::expect_used)]

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use bellwether_collector::MetricDefaults;
use bellwether_collectors::application::{ApplicationMetric, record_json, resolve};
use bellwether_core::{Batch, MetricId, Origin};
use bellwether_recorder::Recorder;
use bellwether_schema::{Decode, DecodeContext, Diagnostics};
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use rustix::time::{ClockId, clock_gettime};

const METRICS: &str = "
- {name: api_request_duration, type: histogram, labels: [endpoint, method, status]}
- {name: api_request_summary, type: summary, labels: [endpoint, method, status]}
- {name: api_request_count, type: counter, labels: [endpoint, method, status]}
- {name: queue_length, type: gauge, labels: [queue_name]}
";
const LABELS: [(&str, &str); 3] = [
    ("endpoint", "/api/users"),
    ("method", "GET"),
    ("status", "200"),
];
const REVERSED: [(&str, &str); 3] = [
    ("status", "200"),
    ("method", "GET"),
    ("endpoint", "/api/users"),
];

fn recorder() -> Recorder {
    let mut problems = Diagnostics::default();
    let node = bellwether_schema::parse(METRICS).expect("good YAML");
    let metrics: Vec<ApplicationMetric> =
        Vec::decode(&node, &mut DecodeContext::new(&mut problems, &|_| None))
            .expect("good metrics");
    let defaults = MetricDefaults {
        origin: Origin::APPLICATION,
        prefix: "app",
        interval: Duration::from_secs(30),
    };
    let declared = resolve(&metrics, defaults, &mut problems);
    let recorder = Recorder::new((0..).map(MetricId).zip(declared));
    // As in life, the series at hand is one of many.
    for user in 0..1000 {
        let endpoint = format!("/api/users/{user}");
        let labels = [
            ("endpoint", endpoint.as_str()),
            ("method", "GET"),
            ("status", "200"),
        ];
        recorder
            .inc("api_request_count", &labels, 1.0)
            .expect("a good record");
        recorder
            .observe("api_request_duration", &labels, 1.0)
            .expect("a good record");
    }
    recorder
}

/// Latencies that fall into different buckets.
fn latency(index: u64) -> f64 {
    0.001 * (1 + index % 64) as f64
}

/// CPU time of this thread so far.
fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Runs `record` on `threads` threads, each as often as criterion asks; the time is that of the
/// thread which took most.
fn on_threads(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    threads: u64,
    record: impl Fn(u64) + Sync,
) {
    group.throughput(Throughput::Elements(1));
    group.bench_function(name, |bencher| {
        bencher.iter_custom(|rounds| {
            let start = Barrier::new(threads as usize);
            let timed = || {
                start.wait();
                let started = cpu();
                (0..rounds).for_each(&record);
                cpu() - started
            };
            thread::scope(|scope| {
                let running: Vec<_> = (0..threads).map(|_| scope.spawn(timed)).collect();
                let ended = running
                    .into_iter()
                    .map(|thread| thread.join().expect("no panic"));
                ended.max().unwrap_or_default()
            })
        });
    });
}

fn handles(criterion: &mut Criterion) {
    let recorder = recorder();
    let counter = recorder
        .counter("api_request_count", &LABELS)
        .expect("declared");
    let histogram = recorder
        .observer("api_request_duration", &LABELS)
        .expect("declared");
    let summary = recorder
        .observer("api_request_summary", &LABELS)
        .expect("declared");
    let gauge = recorder
        .gauge("queue_length", &[("queue_name", "q")])
        .expect("declared");
    let mut group = criterion.benchmark_group("handle");
    for threads in [1, 2] {
        let name = |what: &str| format!("{what}, {threads} thread(s)");
        on_threads(&mut group, &name("counter"), threads, |_| {
            drop(black_box(counter.inc(1.0)))
        });
        on_threads(&mut group, &name("gauge"), threads, |n| {
            drop(black_box(gauge.set(n as f64)))
        });
        on_threads(&mut group, &name("histogram"), threads, |n| {
            drop(black_box(histogram.observe(latency(n))));
        });
        on_threads(&mut group, &name("summary"), threads, |n| {
            drop(black_box(summary.observe(latency(n))));
        });
    }
    group.finish();
}

fn names(criterion: &mut Criterion) {
    let recorder = recorder();
    let mut group = criterion.benchmark_group("name");
    for threads in [1, 2] {
        let name = |what: &str| format!("{what}, {threads} thread(s)");
        on_threads(&mut group, &name("counter"), threads, |_| {
            drop(black_box(recorder.inc(
                black_box("api_request_count"),
                black_box(&LABELS),
                1.0,
            )));
        });
        on_threads(&mut group, &name("histogram"), threads, |n| {
            let labels = black_box(&LABELS);
            drop(black_box(recorder.observe(
                "api_request_duration",
                labels,
                latency(n),
            )));
        });
    }
    on_threads(&mut group, "counter, labels in another order", 1, |_| {
        drop(black_box(recorder.inc(
            "api_request_count",
            black_box(&REVERSED),
            1.0,
        )));
    });
    on_threads(&mut group, "helper: a duration and a count", 1, |n| {
        let took = Duration::from_millis(1 + n % 64);
        drop(black_box(recorder.api_request(
            black_box("/api/users"),
            "GET",
            took,
            200,
        )));
    });
    group.finish();
}

/// The `prometheus` crate, which the seed's language has as `prometheus_client`.
fn peer(criterion: &mut Criterion) {
    use prometheus::{CounterVec, HistogramOpts, HistogramVec, Opts};
    let names = LABELS.map(|(name, _)| name);
    let values = LABELS.map(|(_, value)| value);
    let counters = CounterVec::new(Opts::new("c", "c"), &names).expect("good names");
    let histograms = HistogramVec::new(HistogramOpts::new("h", "h"), &names).expect("good names");
    for user in 0..1000 {
        let endpoint = format!("/api/users/{user}");
        counters
            .with_label_values(&[endpoint.as_str(), "GET", "200"])
            .inc();
        histograms
            .with_label_values(&[endpoint.as_str(), "GET", "200"])
            .observe(1.0);
    }
    let (counter, histogram) = (
        counters.with_label_values(&values),
        histograms.with_label_values(&values),
    );
    let map = HashMap::from(LABELS);
    let mut group = criterion.benchmark_group("prometheus crate");
    for threads in [1, 2] {
        let name = |what: &str| format!("{what}, {threads} thread(s)");
        on_threads(&mut group, &name("counter handle"), threads, |_| {
            counter.inc()
        });
        on_threads(&mut group, &name("histogram handle"), threads, |n| {
            histogram.observe(latency(n));
        });
        on_threads(&mut group, &name("counter by values"), threads, |_| {
            counters.with_label_values(black_box(&values)).inc();
        });
        on_threads(&mut group, &name("histogram by values"), threads, |n| {
            histograms
                .with_label_values(black_box(&values))
                .observe(latency(n));
        });
        // The like of recording by name: labels are given with their names, in any order.
        on_threads(
            &mut group,
            &name("counter by names and values"),
            threads,
            |_| {
                counters.with(black_box(&map)).inc();
            },
        );
    }
    group.finish();
}

fn bodies(criterion: &mut Criterion) {
    let recorder = recorder();
    let record = r#"{"metric":"api_request_duration","labels":{"endpoint":"/api/users","method":"GET","status":200},"observe":0.25}"#;
    let body = format!("[{}]", vec![record; 1000].join(","));
    let mut group = criterion.benchmark_group("json");
    group.throughput(Throughput::Elements(1000));
    group.bench_function("1,000 records", |bencher| {
        bencher.iter(|| record_json(&recorder, black_box(body.as_bytes())));
    });
    group.finish();
}

fn reading(criterion: &mut Criterion) {
    let (recorder, mut batch) = (recorder(), Batch::default());
    criterion.bench_function("fill 2,000 series, half of them histograms", |bencher| {
        bencher.iter(|| {
            batch.clear();
            recorder.fill(&mut batch);
            black_box(batch.len())
        });
    });
}

criterion_group!(benches, handles, names, peer, bodies, reading);
criterion_main!(benches);
