//! Cost of a scrape before HTTP: taking a snapshot of the store and rendering it, beside the
//! gather and encode of the crates `prometheus` and `prometheus-client` of the same series. Also the cost of a commit.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use bellwether_core::{Batch, Kind, Labels, MetricDef, MetricId, Now, Origin};
use bellwether_exposition::{Format, Renderer};
use bellwether_tsdb::history::History;
use bellwether_tsdb::store::{Options, Store};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use prometheus::{Encoder, GaugeVec, Opts, Registry, TextEncoder};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

const METRICS: usize = 10;
const LABELS: [&str; 3] = ["endpoint", "method", "status"];

/// Gauge of `prometheus-client` with its label names and values.
type OfficialFamily = Family<Vec<(String, String)>, Gauge<f64, AtomicU64>>;

fn label_values(index: usize) -> [String; 3] {
    [
        format!("/api/v1/item/{index}"),
        ["GET", "POST"][index % 2].into(),
        "200".into(),
    ]
}

/// Half integers, half fractions: counts and durations.
fn value(index: usize) -> f64 {
    if index.is_multiple_of(2) {
        (index * 37) as f64
    } else {
        index as f64 * 0.123_456_7
    }
}

fn name(metric: usize) -> String {
    format!("multi_agent_system_api_request_figure_{metric}")
}

fn ours(series: usize, history: Option<Arc<History>>) -> (Store, Batch) {
    let metrics: Vec<MetricDef> = (0..METRICS)
        .map(|metric| MetricDef {
            name: name(metric).into(),
            exported: name(metric).into(),
            help: "A figure.".into(),
            kind: Kind::Gauge,
            labels: LABELS.iter().map(|label| Arc::from(*label)).collect(),
            buckets: [].into(),
            quantiles: [].into(),
            origin: Origin::APPLICATION,
            interval: Duration::from_secs(30),
        })
        .collect();
    let options = Options {
        default_labels: Labels::new(),
        history,
        ..Options::default()
    };
    let store = Store::new(metrics.into(), options);
    let mut batch = Batch::default();
    for index in 0..series {
        let values = label_values(index / METRICS);
        let values = values.each_ref().map(String::as_str);
        batch.push(MetricId((index % METRICS) as u32), &values, value(index));
    }
    store.commit(&batch, Now::default());
    (store, batch)
}

fn theirs(series: usize) -> Registry {
    let registry = Registry::new();
    let vectors: Vec<GaugeVec> = (0..METRICS)
        .filter_map(|metric| GaugeVec::new(Opts::new(name(metric), "A figure."), &LABELS).ok())
        .collect();
    for vector in &vectors {
        registry
            .register(Box::new(vector.clone()))
            .unwrap_or_default();
    }
    for index in 0..series {
        let values = label_values(index / METRICS);
        let values = values.each_ref().map(String::as_str);
        vectors[index % METRICS]
            .with_label_values(&values)
            .set(value(index));
    }
    registry
}

fn official(series: usize) -> prometheus_client::registry::Registry {
    let mut registry = prometheus_client::registry::Registry::default();
    let families: Vec<OfficialFamily> = (0..METRICS).map(|_| OfficialFamily::default()).collect();
    for (metric, family) in families.iter().enumerate() {
        registry.register(name(metric), "A figure", family.clone());
    }
    for index in 0..series {
        let values = label_values(index / METRICS);
        let labels = LABELS.iter().map(|name| (*name).to_owned()).zip(values);
        families[index % METRICS]
            .get_or_create(&labels.collect())
            .set(value(index));
    }
    registry
}

/// Renders as the server does: chunk by chunk, nothing kept.
fn render(store: &Store, format: Format, chunk: &mut Vec<u8>) -> usize {
    let mut page = Renderer::new(store.snapshot(), format);
    let mut bytes = 0;
    while page.next_chunk(chunk) {
        bytes += chunk.len();
        chunk.clear();
    }
    bytes
}

fn pages(criterion: &mut Criterion) {
    for series in [1_000, 10_000, 100_000] {
        let mut group = criterion.benchmark_group(format!("page/{series}"));
        group.throughput(Throughput::Elements(series as u64));
        group.sample_size(if series > 10_000 { 20 } else { 100 });
        let (store, batch) = ours(series, None);
        let mut chunk = Vec::with_capacity(80 * 1024);
        for (id, format) in [("text", Format::Text), ("openmetrics", Format::OpenMetrics)] {
            group.bench_function(format!("bellwether/{id}"), |bencher| {
                bencher.iter(|| render(&store, format, &mut chunk));
            });
        }
        let registry = theirs(series);
        let mut buffer = Vec::new();
        group.bench_function("prometheus crate/text", |bencher| {
            bencher.iter(|| {
                buffer.clear();
                TextEncoder::new()
                    .encode(&registry.gather(), &mut buffer)
                    .map(|()| buffer.len())
            });
        });
        let registry = official(series);
        let mut buffer = String::new();
        group.bench_function("prometheus-client crate/openmetrics", |bencher| {
            bencher.iter(|| {
                buffer.clear();
                prometheus_client::encoding::text::encode(&mut buffer, &registry)
                    .map(|()| buffer.len())
            });
        });
        group.bench_function("bellwether/commit", |bencher| {
            bencher.iter(|| store.commit(&batch, Now::default()));
        });
        let (remembering, batch) = ours(series, Some(Arc::new(History::in_memory(series))));
        let mut now = Now::default();
        group.bench_function("bellwether/commit, remembered in history", |bencher| {
            bencher.iter(|| {
                now = now.after(Duration::from_secs(30));
                remembering.commit(&batch, now);
            });
        });
        group.bench_function("bellwether/commit into an empty store", |bencher| {
            let empty = || Store::new(Arc::clone(store.metrics()), Options::default());
            bencher.iter_batched(
                empty,
                |store| {
                    store.commit(&batch, Now::default());
                    drop(store.snapshot());
                    store
                },
                BatchSize::PerIteration,
            );
        });
        group.finish();
    }
}

criterion_group!(benches, pages);
criterion_main!(benches);
