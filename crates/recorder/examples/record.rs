//! Records requests from several threads and prints the series.
//!
//! `cargo run -p bellwether-recorder --example record`

#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "an example prints"
)]

use std::thread;
use std::time::Duration;

use bellwether_recorder::{
    Batch, Kind, LabelValues, MetricDef, MetricId, MonoMillis, Now, RecordError, RecordedMetric,
    Recorder,
};

fn main() -> Result<(), RecordError> {
    let definitions = [
        MetricDef::new("http_requests_total", Kind::Counter).with_labels(["method", "code"]),
        MetricDef::new("http_requests_in_flight", Kind::Gauge),
        MetricDef::new("http_request_duration_seconds", Kind::Histogram)
            .with_labels(["method"])
            .with_buckets([0.005, 0.05, 0.5]),
        MetricDef::new("http_response_size_bytes", Kind::Summary).with_quantiles([0.5, 0.99]),
    ];
    let recorder =
        Recorder::new(
            (0..)
                .map(MetricId)
                .zip(definitions.clone().map(|def| RecordedMetric {
                    max_series: 1_000,
                    expire_after: Some(Duration::from_secs(3_600)),
                    ..RecordedMetric::new(def)
                })),
        );

    let workers: Vec<_> = (0..4)
        .map(|worker| {
            let recorder = recorder.clone();
            thread::spawn(move || serve(&recorder, worker))
        })
        .collect();
    for worker in workers {
        if let Ok(result) = worker.join() {
            result?;
        }
    }

    // An exporter does this once per collection, with the time of its clock.
    let now = Now {
        mono: MonoMillis(60_000),
        ..Now::default()
    };
    recorder.advance(now);
    let mut batch = Batch::default();
    recorder.fill(&mut batch);
    for sample in batch.iter() {
        let name = &definitions[sample.metric.0 as usize].name;
        let labels = LabelValues::from_packed(sample.labels);
        let labels: Vec<&str> = labels.iter().collect();
        println!("{name} {labels:?} {:?}", sample.values);
    }
    for (reason, count) in recorder.rejected() {
        if count > 0 {
            println!("rejected: {} {count}", reason.as_str());
        }
    }
    Ok(())
}

/// Serves a thousand requests. Handles are looked up once, outside of the loop.
fn serve(recorder: &Recorder, worker: u32) -> Result<(), RecordError> {
    let served = recorder.counter("http_requests_total", &[("method", "GET"), ("code", "200")])?;
    let in_flight = recorder.gauge("http_requests_in_flight", &[])?;
    let duration = recorder.observer("http_request_duration_seconds", &[("method", "GET")])?;
    let size = recorder.observer("http_response_size_bytes", &[])?;
    for request in 0..1_000 {
        in_flight.add(1.0)?;
        duration.observe(f64::from(request % 100) / 1_000.0)?;
        size.observe(f64::from(400 + request * (worker + 1)))?;
        served.inc(1.0)?;
        in_flight.add(-1.0)?;
    }
    // A series that is recorded seldom needs no handle. An unknown label is rejected and counted.
    recorder.inc(
        "http_requests_total",
        &[("method", "GET"), ("code", "404")],
        1.0,
    )?;
    recorder
        .inc("http_requests_total", &[("user", "7")], 1.0)
        .ok();
    Ok(())
}
