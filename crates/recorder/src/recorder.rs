//! The recorder: the metrics by name, and the number of rejected records.
//!
//! A record never defines a metric or a label: an unknown one is rejected and counted.

use std::sync::{Arc, Weak};

use arc_swap::ArcSwap;
use bellwether_core::{Batch, Kind, MetricId, Now, Sample};
use hashbrown::HashMap;
use parking_lot::{MappedRwLockReadGuard, Mutex};

use super::cell::CellHandle;
use super::error::{Reason, RecordError, RejectedCounts};
use super::handle::{Counter, Gauge, Observer};
use super::metric::{Metric, RecordedMetric};
use super::table::{Series, Shard};

/// Records values of metrics that were defined up front. Cheap to clone; clones record to the same
/// series, also after a reload.
///
/// Labels may come in any order; the order of the definition costs least. For a series that is
/// recorded often, a handle ([`Recorder::counter`], [`Recorder::gauge`], [`Recorder::observer`])
/// saves the lookup.
#[derive(Clone, Debug)]
pub struct Recorder {
    registry: Arc<ArcSwap<Registry>>,
    /// Registries of recorders from before a reload, which are replaced together with this one.
    followers: Arc<Mutex<Vec<Weak<ArcSwap<Registry>>>>>,
}

/// Some of the series of one metric; see [`Recorder::for_each_part`].
#[derive(Debug)]
pub struct Part<'a> {
    metric: &'a Metric,
    index: usize,
    shard: &'a Shard,
}

/// A [`Part`], locked for reading.
#[derive(Debug)]
pub struct PartReader<'a> {
    metric: &'a Metric,
    series: MappedRwLockReadGuard<'a, Series>,
}

impl Part<'_> {
    /// Returns the metric of the series.
    #[must_use]
    pub fn metric(&self) -> MetricId {
        self.metric.id
    }

    /// Returns the number of the part among those of its metric, which are few.
    #[must_use]
    pub fn index(&self) -> usize {
        self.index
    }

    /// Locks the part; `None` if it has lost its series. Hold it briefly: new series wait.
    #[must_use]
    pub fn read(&self) -> Option<PartReader<'_>> {
        Some(PartReader {
            metric: self.metric,
            series: self.shard.read()?,
        })
    }
}

impl PartReader<'_> {
    /// Returns a number that changes whenever a series is added or deleted. Parts never have the same one.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.series.version()
    }

    /// Appends the values of all series, in the order of [`PartReader::for_each`] and without a look at their
    /// labels.
    pub fn read_values(&self, values: &mut Vec<f64>) {
        self.series.read(self.metric.shape(), values);
    }

    /// Calls `visit` with the values of each series, which are from one moment. The order of the series is the
    /// same as long as the version is.
    #[inline]
    pub fn for_each(&self, mut visit: impl FnMut(Sample<'_>)) {
        let (mut scratch, mut values) = (Vec::new(), Vec::new());
        let (metric, shape) = (self.metric.id, self.metric.shape());
        self.series.for_each(|labels, cell| {
            values.clear();
            cell.read(shape, &mut scratch, &mut values);
            visit(Sample {
                metric,
                labels: labels.packed(),
                values: &values,
            });
        });
    }
}

/// Number of series of a metric.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeriesCount {
    /// Name of the metric.
    pub metric: Arc<str>,
    /// Series that it has.
    pub series: usize,
    /// Records rejected because the metric had its most series.
    pub over_limit: u64,
}

#[derive(Debug)]
struct Registry {
    metrics: Vec<Arc<Metric>>,
    names: HashMap<Arc<str>, usize>,
    rejected: Arc<RejectedCounts>,
}

impl Recorder {
    /// Creates a recorder of these metrics. The id goes into the [`Batch`] with each sample. Of several
    /// metrics with one name the last one wins.
    #[must_use]
    pub fn new(metrics: impl IntoIterator<Item = (MetricId, RecordedMetric)>) -> Self {
        let metrics = metrics
            .into_iter()
            .map(|(id, recorded)| Arc::new(Metric::new(id, recorded)));
        let registry = Registry::new(metrics.collect(), Arc::default());
        Self {
            registry: Arc::new(ArcSwap::from_pointee(registry)),
            followers: Arc::default(),
        }
    }

    /// Adds an observation to a histogram or a summary.
    ///
    /// # Errors
    /// Returns an error, and counts it, if the metric or a label is unknown, a label is missing, the
    /// metric has another type, the value is not finite, or the metric has reached its limit of
    /// series.
    pub fn observe(
        &self,
        name: &str,
        labels: &[(&str, &str)],
        value: f64,
    ) -> Result<(), RecordError> {
        self.observe_weighted(name, labels, value, 1.0)
    }

    /// Adds `weight` observations of `value`; at least 1, as for a sampled event. Fractions are carried
    /// over to the next observation.
    ///
    /// # Errors
    /// As [`Recorder::observe`].
    pub fn observe_weighted(
        &self,
        name: &str,
        labels: &[(&str, &str)],
        value: f64,
        weight: f64,
    ) -> Result<(), RecordError> {
        self.with(name, |metric| {
            metric.record(labels, |cell, shape| cell.observe(shape, value, weight))
        })
    }

    /// Adds `by` to a counter.
    ///
    /// # Errors
    /// As [`Recorder::observe`]; `by` must be finite and not negative.
    pub fn inc(&self, name: &str, labels: &[(&str, &str)], by: f64) -> Result<(), RecordError> {
        self.with(name, |metric| metric.record(labels, |cell, _| cell.inc(by)))
    }

    /// Sets a gauge.
    ///
    /// # Errors
    /// As [`Recorder::observe`], but an infinite value is accepted.
    pub fn set(&self, name: &str, labels: &[(&str, &str)], value: f64) -> Result<(), RecordError> {
        self.with(name, |metric| {
            metric.record(labels, |cell, _| cell.set(value))
        })
    }

    /// Adds `by`, which may be negative, to a gauge.
    ///
    /// # Errors
    /// As [`Recorder::observe`]; `by` must be finite.
    pub fn add(&self, name: &str, labels: &[(&str, &str)], by: f64) -> Result<(), RecordError> {
        self.with(name, |metric| metric.record(labels, |cell, _| cell.add(by)))
    }

    /// Returns a handle of one series of a histogram or a summary, for code that observes often.
    ///
    /// # Errors
    /// As [`Recorder::observe`].
    pub fn observer(&self, name: &str, labels: &[(&str, &str)]) -> Result<Observer, RecordError> {
        let kinds = [Kind::Histogram, Kind::Summary];
        let (cell, metric, rejected) = self.resolve(name, labels, &kinds)?;
        Ok(Observer {
            cell,
            metric,
            rejected,
        })
    }

    /// Returns a handle of one series of a counter.
    ///
    /// # Errors
    /// As [`Recorder::observe`].
    pub fn counter(&self, name: &str, labels: &[(&str, &str)]) -> Result<Counter, RecordError> {
        let (cell, _, rejected) = self.resolve(name, labels, &[Kind::Counter])?;
        Ok(Counter { cell, rejected })
    }

    /// Returns a handle of one series of a gauge.
    ///
    /// # Errors
    /// As [`Recorder::observe`].
    pub fn gauge(&self, name: &str, labels: &[(&str, &str)]) -> Result<Gauge, RecordError> {
        let (cell, _, rejected) = self.resolve(name, labels, &[Kind::Gauge])?;
        Ok(Gauge { cell, rejected })
    }

    /// Returns whether there is a metric `name` with this label.
    #[must_use]
    pub fn has_label(&self, name: &str, label: &str) -> bool {
        let registry = self.registry.load();
        let labels = registry
            .find(name)
            .map(|metric| &metric.recorded.def.labels);
        labels.is_ok_and(|labels| labels.iter().any(|name| **name == *label))
    }

    /// Counts a record that was rejected before it reached the recorder.
    pub fn count_rejected(&self, reason: Reason) {
        self.registry.load().rejected.count(reason);
    }

    /// Adds the values of all series to `batch`. The values of one series are from one moment.
    pub fn fill(&self, batch: &mut Batch) {
        self.for_each_part(|part| {
            if let Some(part) = part.read() {
                part.for_each(|sample| {
                    batch.push_packed(sample.metric, sample.labels, sample.values);
                });
            }
        });
    }

    /// Calls `visit` with all series, in parts of one metric each. Unlike [`Recorder::fill`] copies nothing.
    pub fn for_each_part(&self, mut visit: impl FnMut(Part<'_>)) {
        for metric in &self.registry.load().metrics {
            let shards = metric.table().shards().iter().enumerate();
            for (index, shard) in shards.filter(|(_, shard)| shard.read().is_some()) {
                visit(Part {
                    metric,
                    index,
                    shard,
                });
            }
        }
    }

    /// Moves the window of summaries to `now` and deletes series older than their metric's
    /// [`expire_after`](RecordedMetric::expire_after). Call it once per collection, before
    /// [`Recorder::fill`].
    pub fn advance(&self, now: Now) {
        self.registry
            .load()
            .metrics
            .iter()
            .for_each(|metric| metric.advance(now));
    }

    /// Continues `old` after a reload: adopts the series of each metric whose type, labels, buckets,
    /// quantiles and window did not change, and the counts of rejected records. From then on `old`
    /// and its clones record to this recorder, and so do handles of unchanged metrics.
    pub fn adopt(&self, old: &Recorder) {
        let (new, was) = (self.registry.load_full(), old.registry.load_full());
        let metrics = new
            .metrics
            .iter()
            .map(|metric| match was.find(&metric.recorded.def.name) {
                Ok(old) => Arc::new(metric.adopting(old)),
                Err(_) => metric.clone(),
            });
        let merged = Arc::new(Registry::new(metrics.collect(), was.rejected.clone()));
        self.registry.store(merged.clone());
        old.registry.store(merged.clone());
        let mut followers = std::mem::take(&mut *old.followers.lock());
        followers.retain(|follower| match follower.upgrade() {
            Some(registry) => {
                registry.store(merged.clone());
                true
            }
            None => false,
        });
        followers.push(Arc::downgrade(&old.registry));
        self.followers.lock().append(&mut followers);
    }

    /// Returns the number of rejected records since the start by reason; zeros are included.
    #[must_use]
    pub fn rejected(&self) -> Vec<(Reason, u64)> {
        self.registry.load().rejected.totals().collect()
    }

    /// Returns the number of series of each metric, in the order of their definition.
    #[must_use]
    pub fn series_counts(&self) -> Vec<SeriesCount> {
        let registry = self.registry.load();
        let metrics = registry.metrics.iter();
        metrics
            .map(|metric| SeriesCount {
                metric: metric.recorded.def.name.clone(),
                series: metric.table().len(),
                over_limit: metric.table().over_limit(),
            })
            .collect()
    }

    #[inline]
    fn with(
        &self,
        name: &str,
        record: impl FnOnce(&Metric) -> Result<(), RecordError>,
    ) -> Result<(), RecordError> {
        let registry = self.registry.load();
        let result = registry.find(name).and_then(|metric| record(metric));
        if let Err(error) = &result {
            registry.rejected.count(error.reason);
        }
        result
    }

    fn resolve(
        &self,
        name: &str,
        labels: &[(&str, &str)],
        kinds: &[Kind],
    ) -> Result<Resolved, RecordError> {
        let registry = self.registry.load();
        let result = registry.find(name).and_then(|metric| {
            if kinds.contains(&metric.recorded.def.kind) {
                Ok((
                    metric.cell(labels)?,
                    metric.clone(),
                    registry.rejected.clone(),
                ))
            } else {
                Err(metric.wrong_kind())
            }
        });
        result.inspect_err(|error| registry.rejected.count(error.reason))
    }
}

/// Parts of a handle.
type Resolved = (CellHandle, Arc<Metric>, Arc<RejectedCounts>);

impl Registry {
    fn new(metrics: Vec<Arc<Metric>>, rejected: Arc<RejectedCounts>) -> Self {
        let names = metrics
            .iter()
            .enumerate()
            .map(|(index, metric)| (metric.recorded.def.name.clone(), index))
            .collect();
        Self {
            metrics,
            names,
            rejected,
        }
    }

    #[inline]
    fn find(&self, name: &str) -> Result<&Arc<Metric>, RecordError> {
        self.names
            .get(name)
            .map(|index| &self.metrics[*index])
            .ok_or_else(|| {
                RecordError::new(
                    Reason::UnknownMetric,
                    name.chars().take(200).collect::<String>(),
                )
            })
    }
}
