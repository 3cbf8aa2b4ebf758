//! Application metrics from the outside: declared in YAML, recorded in all three ways.

mod record;
mod recorder;
mod statsd;

use std::collections::BTreeMap;
use std::time::Duration;

use bellwether_collector::MetricDefaults;
use bellwether_collectors::application::{ApplicationMetric, resolve};
use bellwether_core::{Batch, LabelValues, MonoMillis, Now, Origin};
use bellwether_recorder::Recorder;
use bellwether_schema::{Decode, DecodeContext, Diagnostics};

/// Metrics of each type; those of the core document with the names its helpers use.
const METRICS: &str = "
- {name: agent_execution_time, type: histogram, labels: [agent_name, status], buckets: [0.1, 1, 5]}
- {name: agent_execution_count, type: counter, labels: [agent_name, status]}
- {name: agent_error_count, type: counter, labels: [agent_name, error_type]}
- {name: api_request_duration, type: histogram, labels: [endpoint, method, status], buckets: [1]}
- {name: api_request_count, type: counter, labels: [endpoint, method, status]}
- {name: api_error_count, type: counter, labels: [endpoint, method, error_type]}
- {name: queue_length, type: gauge, labels: [queue_name]}
- {name: queue_items_processed, type: counter, labels: [queue_name]}
- {name: queue_processing_time, type: histogram, labels: [queue_name], buckets: [1]}
- {name: entities_processed_total, type: counter, labels: [entity_type, operation]}
- {name: entities_processing_time, type: histogram, labels: [entity_type, operation], buckets: [1]}
- {name: cache_hits, type: counter, labels: [cache_name]}
- {name: cache_misses, type: counter, labels: [cache_name]}
- {name: cache_size, type: gauge, labels: [cache_name]}
- {name: latency, type: summary, labels: [op], quantiles: [0.5, 1], max_age: 50s}
- {name: few, type: counter, labels: [who], max_series: 2}
- {name: fleeting, type: gauge, labels: [who], expire_after: 1m}
- {name: events, type: counter}
";

fn recorder() -> Recorder {
    recorder_of(METRICS)
}

fn recorder_of(yaml: &str) -> Recorder {
    let mut problems = Diagnostics::default();
    let node = bellwether_schema::parse(yaml).unwrap();
    let metrics: Vec<ApplicationMetric> =
        Vec::decode(&node, &mut DecodeContext::new(&mut problems, &|_| None)).unwrap();
    let defaults = MetricDefaults {
        origin: Origin::APPLICATION,
        prefix: "app",
        interval: Duration::from_secs(30),
    };
    let declared = resolve(&metrics, defaults, &mut problems);
    assert!(problems.is_empty(), "{:?}", problems.into_sorted());
    Recorder::new(
        declared
            .into_iter()
            .enumerate()
            .map(|(id, metric)| (id_of(id), metric)),
    )
}

fn id_of(index: usize) -> bellwether_core::MetricId {
    bellwether_core::MetricId(u32::try_from(index).unwrap())
}

/// All series as `name{values}` by the order of `METRICS`, with their values.
fn series(recorder: &Recorder) -> BTreeMap<String, Vec<f64>> {
    let names: Vec<_> = recorder
        .series_counts()
        .into_iter()
        .map(|count| count.metric)
        .collect();
    let mut batch = Batch::default();
    recorder.fill(&mut batch);
    let row = |sample: bellwether_core::Sample<'_>| {
        let values: Vec<String> = LabelValues::from_packed(sample.labels)
            .iter()
            .map(str::to_owned)
            .collect();
        let name = &names[sample.metric.0 as usize];
        (
            format!("{name}{{{}}}", values.join(",")),
            sample.values.to_vec(),
        )
    };
    batch.iter().map(row).collect()
}

/// The values of one series.
fn values(recorder: &Recorder, series_name: &str) -> Vec<f64> {
    series(recorder).remove(series_name).unwrap_or_default()
}

/// The reasons that were counted, with how often.
fn rejected(recorder: &Recorder) -> BTreeMap<&'static str, u64> {
    let counted = recorder
        .rejected()
        .into_iter()
        .filter(|(_, total)| *total > 0);
    counted
        .map(|(reason, total)| (reason.as_str(), total))
        .collect()
}

fn at(seconds: u64) -> Now {
    Now {
        mono: MonoMillis(seconds * 1000),
        ..Now::default()
    }
}
