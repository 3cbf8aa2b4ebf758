//! Monitors configured metrics for anomalies as they are collected: one detector per series.

mod self_metrics;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use bellwether_core::{
    Batch, Kind, LabelSet, LabelValues, Labels, METRIC_NAME, MetricDef, MetricId, Now, Sample,
    UnixMillis,
};
use bellwether_matcher::{LabelMatcher, ValueTest};
use bellwether_promql::{Guard, Queryable, SampledSeries, StorageError};
use parking_lot::Mutex;
pub use self_metrics::SELF_METRICS;
use tracing::warn;

use super::anomaly::{Detector, Observation, Settings};

/// Number of intervals without a sample after which a series is not reported.
const STALE_INTERVALS: u32 = 3;
/// Time without a sample after which a series is removed.
const FORGET_AFTER: Duration = Duration::from_secs(3600);
/// Maximum number of series; a detector takes up to 40 KiB.
const MAX_SERIES: usize = 1000;

/// Detectors of the monitored metrics.
#[derive(Debug)]
pub struct AnomalyMonitor {
    settings: Settings,
    metrics: HashMap<MetricId, Metric>,
    series: Mutex<HashMap<(MetricId, LabelValues), Series>>,
    /// True once the warning about the maximum was logged.
    full: AtomicBool,
}

#[derive(Debug)]
struct Metric {
    def: MetricDef,
    constant: Labels,
}

#[derive(Debug)]
struct Series {
    detector: Detector,
    /// Time of the last sample, or of training.
    seen: Now,
    last: Option<Observation>,
}

/// Latest observation of a monitored series.
#[derive(Clone, Debug, PartialEq)]
pub struct MonitoredSeries {
    /// Configured name of the metric.
    pub metric: String,
    /// Labels as `name=value,...`, or empty.
    pub series: String,
    /// Observation of the latest value.
    pub observation: Observation,
}

impl AnomalyMonitor {
    /// Monitors the gauges among `metrics` that `names` names; `constant` are the labels of every
    /// series in a store.
    #[must_use]
    pub fn new<'n>(
        metrics: &[MetricDef],
        names: impl IntoIterator<Item = &'n str>,
        constant: &Labels,
        settings: Settings,
    ) -> Self {
        Self {
            settings,
            metrics: names
                .into_iter()
                .filter_map(|name| {
                    metrics
                        .iter()
                        .position(|def| &*def.name == name && def.kind == Kind::Gauge)
                })
                .map(|place| {
                    let def = metrics[place].clone();
                    (
                        MetricId(place as u32),
                        Metric {
                            def,
                            constant: constant.clone(),
                        },
                    )
                })
                .collect(),
            series: Mutex::default(),
            full: AtomicBool::new(false),
        }
    }

    /// Evaluates the samples of a collection, and removes series without samples.
    pub fn observe(&self, batch: &Batch, now: Now) {
        if self.metrics.is_empty() {
            return;
        }
        let mut all = self.series.lock();
        for Sample {
            metric: id,
            labels,
            values,
        } in batch.iter()
        {
            let (Some(metric), [value]) = (self.metrics.get(&id), values) else {
                continue;
            };
            let room = all.len() < MAX_SERIES;
            let series = match all.entry((id, LabelValues::from_packed(labels))) {
                Entry::Occupied(entry) => entry.into_mut(),
                Entry::Vacant(new) if room => {
                    let detector = Detector::new(&self.settings, metric.def.interval);
                    new.insert(Series {
                        detector,
                        seen: now,
                        last: None,
                    })
                }
                Entry::Vacant(_) => {
                    self.warn_full(&metric.def.name);
                    continue;
                }
            };
            series.seen = now;
            series.last = Some(series.detector.observe(now.wall, *value));
        }
        all.retain(|_, series| now.mono.since(series.seen.mono) <= FORGET_AFTER);
    }

    /// Trains the detectors with the samples of `source` before `now`. Reads one series at a time
    /// without blocking [`AnomalyMonitor::observe`]; a detector misses the samples that arrive
    /// meanwhile.
    ///
    /// # Errors
    /// The samples could not be read.
    pub fn warm_up(&self, source: &dyn Queryable, now: Now) -> Result<(), StorageError> {
        let guard = Guard::default();
        let from = now.wall.before(self.settings.window);
        for (id, metric) in &self.metrics {
            let named = [matcher(METRIC_NAME, &metric.def.exported)];
            let all = source.series(&named, from, now.wall, &guard)?;
            for (labels, values) in all.iter().filter_map(|l| Some((l, metric.values(l)?))) {
                let matchers: Vec<LabelMatcher> = labels
                    .iter()
                    .map(|(name, value)| matcher(name, value))
                    .collect();
                // Other series may have these labels, and more.
                let candidates = source.select(&matchers, from, now.wall, &guard)?;
                let Some(past) = candidates.iter().find(|past| past.labels == *labels) else {
                    continue;
                };
                let detector = self.trained(past, metric.def.interval);
                let mut series = self.series.lock();
                let last = series
                    .get(&(*id, values.clone()))
                    .and_then(|series| series.last);
                if series.len() < MAX_SERIES {
                    series.insert(
                        (*id, values),
                        Series {
                            detector,
                            seen: now,
                            last,
                        },
                    );
                }
            }
        }
        Ok(())
    }

    /// Logs a warning once: it would recur every interval.
    fn warn_full(&self, metric: &str) {
        if !self.full.swap(true, Relaxed) {
            warn!(
                metric,
                limit = MAX_SERIES,
                "too many series to look for anomalies in all"
            );
        }
    }

    fn trained(&self, series: &SampledSeries, interval: Duration) -> Detector {
        let mut detector = Detector::new(&self.settings, interval);
        for (time, value) in series.times.iter().zip(&series.values) {
            detector.observe(UnixMillis(*time), *value);
        }
        detector
    }

    /// Returns the latest observations of all series that are still collected, unordered.
    #[must_use]
    pub fn all(&self, now: Now) -> Vec<MonitoredSeries> {
        let all = self.series.lock();
        let fresh_series = all.iter().filter_map(|((id, values), series)| {
            let metric = self.metrics.get(id)?;
            let fresh = now.mono.since(series.seen.mono) <= metric.def.interval * STALE_INTERVALS;
            let observation = series.last.filter(|_| fresh)?;
            let labels: Vec<String> = metric
                .def
                .labels
                .iter()
                .zip(values.iter())
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            Some(MonitoredSeries {
                metric: metric.def.name.to_string(),
                series: labels.join(","),
                observation,
            })
        });
        fresh_series.collect()
    }
}

fn matcher(name: &str, value: &str) -> LabelMatcher {
    LabelMatcher {
        name: name.into(),
        test: ValueTest::equal(value, false),
    }
}

impl Metric {
    /// Returns the values of the configured labels in `labels`; `None` for a series of another
    /// configuration.
    fn values(&self, labels: &LabelSet) -> Option<LabelValues> {
        let values: Vec<&str> = self
            .def
            .labels
            .iter()
            .map(|name| labels.get(name))
            .collect();
        let own: Vec<&str> = self.def.labels.iter().map(|label| &**label).collect();
        let expected = self
            .constant
            .iter()
            .filter(|(name, _)| !own.contains(&name.as_str()));
        let same = expected
            .clone()
            .all(|(name, value)| labels.get(name) == value);
        (same
            && labels.iter().all(|(name, _)| {
                name == METRIC_NAME
                    || own.contains(&name)
                    || expected.clone().any(|(other, _)| other == name)
            }))
        .then(|| LabelValues::new(&values))
    }
}
