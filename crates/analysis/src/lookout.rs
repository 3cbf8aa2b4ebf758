//! Watches declared metrics as they are collected: one detector per series.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use bellwether_core::{
    Batch, Kind, LabelSet, LabelValues, Labels, METRIC_NAME, MetricDef, MetricId, Now, Point,
    UnixMillis,
};
use bellwether_matcher::{LabelMatcher, ValueTest};
use bellwether_promql::{Guard, Queryable, SampledSeries, StorageError};
use parking_lot::Mutex;
use tracing::warn;

use super::anomaly::{Detector, Observation, Settings};

/// A series that was not collected for so many of its intervals is not told of.
const ABSENT: u32 = 3;
/// And one that was not for so long is forgotten.
const KEPT: Duration = Duration::from_secs(3600);
/// Most series watched; a detector takes about 15 KiB.
const MOST_SERIES: usize = 1000;

/// The detectors of the metrics that are watched.
#[derive(Debug)]
pub struct Lookout {
    settings: Settings,
    metrics: HashMap<MetricId, Metric>,
    series: Mutex<HashMap<(MetricId, LabelValues), Series>>,
    /// Whether it was told that there is no room for more.
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
    /// When it was collected last, or learnt of from the past.
    seen: Now,
    last: Option<Observation>,
}

/// The latest of one series that is watched.
#[derive(Clone, Debug, PartialEq)]
pub struct Watched {
    /// Name of the metric as declared.
    pub metric: String,
    /// Its labels as `name=value,...`, empty if it has none.
    pub series: String,
    /// What its latest value was.
    pub observation: Observation,
}

impl Lookout {
    /// Watches those of `metrics` that are gauges named in `names`; `constant` are labels that
    /// every series has in a store.
    #[must_use]
    pub fn new<'n>(
        metrics: &[MetricDef],
        names: impl IntoIterator<Item = &'n str>,
        constant: &Labels,
        settings: Settings,
    ) -> Self {
        let gauge = |name: &str| {
            metrics
                .iter()
                .position(|def| &*def.name == name && def.kind == Kind::Gauge)
        };
        let metric = |place: usize| {
            let def = metrics[place].clone();
            (
                MetricId(place as u32),
                Metric {
                    def,
                    constant: constant.clone(),
                },
            )
        };
        Self {
            settings,
            metrics: names.into_iter().filter_map(gauge).map(metric).collect(),
            series: Mutex::default(),
            full: AtomicBool::new(false),
        }
    }

    /// Judges what was collected, and forgets series that are no longer.
    pub fn observe(&self, batch: &Batch, now: Now) {
        if self.metrics.is_empty() {
            return;
        }
        let mut all = self.series.lock();
        for Point {
            metric: id,
            labels,
            numbers,
        } in batch.iter()
        {
            let (Some(metric), [value]) = (self.metrics.get(&id), numbers) else {
                continue;
            };
            let room = all.len() < MOST_SERIES;
            let series = match all.entry((id, LabelValues::from_packed(labels))) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) if room => {
                    let detector = Detector::new(&self.settings, metric.def.interval);
                    new.insert(Series {
                        detector,
                        seen: now,
                        last: None,
                    })
                }
                Entry::Vacant(_) => {
                    self.tell_full(&metric.def.name);
                    continue;
                }
            };
            series.seen = now;
            series.last = Some(series.detector.observe(now.wall, *value));
        }
        all.retain(|_, series| now.mono.since(series.seen.mono) <= KEPT);
    }

    /// Lets the detectors see what `source` has of the time before `now`. Reads one series at a
    /// time and without holding up [`Lookout::observe`]; a detector does without what comes while
    /// its past is read.
    ///
    /// # Errors
    /// The samples could not be had.
    pub fn recall(&self, source: &dyn Queryable, now: Now) -> Result<(), StorageError> {
        let guard = Guard::default();
        let from = now.wall.before(self.settings.window);
        for (id, metric) in &self.metrics {
            let named = [matcher(METRIC_NAME, &metric.def.exported)];
            let all = source.series(&named, from, now.wall, &guard)?;
            for (labels, values) in all.iter().filter_map(|l| Some((l, metric.values(l)?))) {
                let one: Vec<LabelMatcher> = labels
                    .iter()
                    .map(|(name, value)| matcher(name, value))
                    .collect();
                // Other series may have these labels, and more.
                let found = source.select(&one, from, now.wall, &guard)?;
                let Some(past) = found.iter().find(|past| past.labels == *labels) else {
                    continue;
                };
                let detector = self.taught(past, metric.def.interval);
                let mut series = self.series.lock();
                let last = series
                    .get(&(*id, values.clone()))
                    .and_then(|series| series.last);
                if series.len() < MOST_SERIES {
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

    /// Once: a metric with so many series has as many more every interval.
    fn tell_full(&self, metric: &str) {
        if !self.full.swap(true, Relaxed) {
            warn!(
                metric,
                limit = MOST_SERIES,
                "too many series to look for anomalies in all"
            );
        }
    }

    fn taught(&self, series: &SampledSeries, interval: Duration) -> Detector {
        let mut detector = Detector::new(&self.settings, interval);
        for (time, value) in series.times.iter().zip(&series.values) {
            detector.observe(UnixMillis(*time), *value);
        }
        detector
    }

    /// The latest of each series that is still collected, in no particular order.
    #[must_use]
    pub fn all(&self, now: Now) -> Vec<Watched> {
        let all = self.series.lock();
        let told = all.iter().filter_map(|((id, values), series)| {
            let metric = self.metrics.get(id)?;
            let fresh = now.mono.since(series.seen.mono) <= metric.def.interval * ABSENT;
            let observation = series.last.filter(|_| fresh)?;
            let labels = metric.def.labels.iter().zip(values.iter());
            let labels: Vec<String> = labels
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            Some(Watched {
                metric: metric.def.name.to_string(),
                series: labels.join(","),
                observation,
            })
        });
        told.collect()
    }
}

fn matcher(name: &str, value: &str) -> LabelMatcher {
    LabelMatcher {
        name: name.into(),
        test: ValueTest::equal(value, false),
    }
}

impl Metric {
    /// The values of its declared labels in `labels`; `None` if that is no series of this
    /// declaration, but of one before.
    fn values(&self, labels: &LabelSet) -> Option<LabelValues> {
        let declared: Vec<&str> = self
            .def
            .labels
            .iter()
            .map(|name| labels.get(name))
            .collect();
        let own = |name: &str| self.def.labels.iter().any(|label| &**label == name);
        let expected = self.constant.iter().filter(|(name, _)| !own(name));
        let same = expected
            .clone()
            .all(|(name, value)| labels.get(name) == value);
        let known = |name: &str| {
            name == METRIC_NAME || own(name) || expected.clone().any(|(other, _)| other == name)
        };
        (same && labels.iter().all(|(name, _)| known(name))).then(|| LabelValues::new(&declared))
    }
}
