//! Recorder for the macros of the crate [`metrics`]: what a program counts with them goes to a
//! [`Recorder`] of Bellwether.
//!
//! Metrics are defined up front, as always in that recorder. A macro that names another metric, or another label,
//! records nothing: [`Recorder::rejected`] counts it. Descriptions and units of the macros are ignored.
//!
//! # Example
//!
//! ```
//! use bellwether_metrics_facade::Facade;
//! use bellwether_recorder::{Batch, Kind, MetricDef, MetricId, RecordedMetric, Recorder};
//!
//! let requests = MetricDef::new("requests_total", Kind::Counter).with_labels(["code"]);
//! let recorder = Recorder::new([(MetricId(0), RecordedMetric::new(requests))]);
//! metrics::set_global_recorder(Facade::new(recorder.clone()))?;
//!
//! metrics::counter!("requests_total", "code" => "200").increment(2);
//!
//! let mut batch = Batch::default();
//! recorder.fill(&mut batch);
//! assert_eq!(batch.iter().next().map(|sample| sample.values), Some(&[2.0][..]));
//! # Ok::<(), metrics::SetRecorderError<Facade>>(())
//! ```

#![warn(missing_docs)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bellwether_recorder::{Counter, Gauge, Observer, RecordError, Recorder};
use metrics::{CounterFn, GaugeFn, HistogramFn, Key, KeyName, Metadata, SharedString, Unit};

/// Recorder of the crate [`metrics`] that passes everything on.
#[derive(Clone, Debug)]
pub struct Facade {
    recorder: Recorder,
}

impl Facade {
    /// Creates a facade before `recorder`, whose clones share its values.
    #[must_use]
    pub fn new(recorder: Recorder) -> Self {
        Self { recorder }
    }

    /// Looks a series up by `find`. `None` if the metric is not defined so; the recorder has counted it.
    fn series<T>(
        &self,
        key: &Key,
        find: impl FnOnce(&Recorder, &str, &[(&str, &str)]) -> Result<T, RecordError>,
    ) -> Option<T> {
        let labels: Vec<(&str, &str)> = key
            .labels()
            .map(|label| (label.key(), label.value()))
            .collect();
        find(&self.recorder, key.name(), &labels).ok()
    }
}

impl metrics::Recorder for Facade {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> metrics::Counter {
        match self.series(key, Recorder::counter) {
            Some(counter) => metrics::Counter::from_arc(Arc::new(Total {
                counter,
                absolute: AtomicU64::new(0),
            })),
            None => metrics::Counter::noop(),
        }
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> metrics::Gauge {
        match self.series(key, Recorder::gauge) {
            Some(gauge) => metrics::Gauge::from_arc(Arc::new(Level(gauge))),
            None => metrics::Gauge::noop(),
        }
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> metrics::Histogram {
        match self.series(key, Recorder::observer) {
            Some(observer) => metrics::Histogram::from_arc(Arc::new(Observations(observer))),
            None => metrics::Histogram::noop(),
        }
    }
}

// A record that fails, as that of a NaN, is counted by the recorder; the macros have no way to report it.

struct Total {
    counter: Counter,
    /// Largest total that was set by `absolute` of this handle.
    absolute: AtomicU64,
}

impl CounterFn for Total {
    fn increment(&self, value: u64) {
        self.counter.inc(value as f64).ok();
    }

    fn absolute(&self, value: u64) {
        let before = self.absolute.fetch_max(value, Ordering::Relaxed);
        self.counter.inc(value.saturating_sub(before) as f64).ok();
    }
}

struct Level(Gauge);

impl GaugeFn for Level {
    fn increment(&self, value: f64) {
        self.0.add(value).ok();
    }

    fn decrement(&self, value: f64) {
        self.0.add(-value).ok();
    }

    fn set(&self, value: f64) {
        self.0.set(value).ok();
    }
}

struct Observations(Observer);

impl HistogramFn for Observations {
    fn record(&self, value: f64) {
        self.0.observe(value).ok();
    }
}

#[cfg(test)]
mod tests {
    use bellwether_recorder::{Batch, Kind, MetricDef, MetricId, RecordedMetric};

    use super::*;

    fn recorder() -> Recorder {
        let metrics = [
            MetricDef::new("requests_total", Kind::Counter).with_labels(["code"]),
            MetricDef::new("queue_length", Kind::Gauge),
            MetricDef::new("duration_seconds", Kind::Histogram).with_buckets([1.0]),
        ];
        let metrics = metrics.into_iter().enumerate();
        Recorder::new(
            metrics.map(|(index, def)| (MetricId(index as u32), RecordedMetric::new(def))),
        )
    }

    fn values(recorder: &Recorder) -> Vec<Vec<f64>> {
        let mut batch = Batch::default();
        recorder.fill(&mut batch);
        batch.iter().map(|sample| sample.values.to_vec()).collect()
    }

    #[test]
    fn macros_record_what_is_defined_and_the_rest_is_counted() {
        let recorder = recorder();
        let rejected = |recorder: &Recorder| -> u64 {
            recorder.rejected().iter().map(|(_, count)| count).sum()
        };
        metrics::with_local_recorder(&Facade::new(recorder.clone()), || {
            metrics::counter!("requests_total", "code" => "200").increment(2);
            let total = metrics::counter!("requests_total", "code" => "500");
            total.absolute(5);
            total.absolute(7);
            total.absolute(6);
            let queue = metrics::gauge!("queue_length");
            queue.set(10.0);
            queue.increment(3.0);
            queue.decrement(1.0);
            metrics::histogram!("duration_seconds").record(0.5);
            metrics::histogram!("duration_seconds").record(2.0);
            assert_eq!(rejected(&recorder), 0);
            metrics::counter!("unknown_total").increment(1);
            metrics::counter!("requests_total", "user" => "7").increment(1);
            metrics::gauge!("queue_length").set(f64::NAN);
        });
        let mut found = values(&recorder);
        found.sort_by(|a, b| a.len().cmp(&b.len()).then(a[0].total_cmp(&b[0])));
        assert_eq!(
            found,
            [vec![2.0], vec![7.0], vec![12.0], vec![1.0, 2.0, 2.5]]
        );
        assert!(rejected(&recorder) >= 2, "{:?}", recorder.rejected());
    }
}
