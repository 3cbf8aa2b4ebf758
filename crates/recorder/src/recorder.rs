//! Where applications record, from any thread.
//!
//! Owns the declared metrics by name and the counts of what was refused. Nothing recorded ever
//! declares a metric or a label: what is not declared is refused and counted.

use std::sync::{Arc, Weak};

use arc_swap::ArcSwap;
use bellwether_core::{Batch, Kind, MetricId, Now};
use hashbrown::HashMap;
use parking_lot::Mutex;

use super::cell::Cell;
use super::handle::{Counter, Gauge, Observer};
use super::metric::{Declared, Metric};
use super::refused::{Reason, Refusals, Refused};

/// Records values of declared application metrics. Cheap to clone; clones record to the same
/// series, also after a reload.
///
/// Labels may come in any order; in the order of the declaration they cost least. For a series
/// recorded often, a handle ([`Recorder::observer`] and its like) saves the look-up.
#[derive(Clone, Debug)]
pub struct Recorder {
    registry: Arc<ArcSwap<Registry>>,
    /// Recorders from before a reload that follow this one.
    followers: Arc<Mutex<Vec<Weak<ArcSwap<Registry>>>>>,
}

#[derive(Debug)]
struct Registry {
    metrics: Vec<Arc<Metric>>,
    names: HashMap<Arc<str>, usize>,
    refusals: Arc<Refusals>,
}

impl Recorder {
    /// A recorder of these metrics; of several with one name the last wins.
    #[must_use]
    pub fn new(metrics: impl IntoIterator<Item = (MetricId, Declared)>) -> Self {
        let metrics = metrics
            .into_iter()
            .map(|(id, declared)| Arc::new(Metric::new(id, declared)));
        let registry = Registry::new(metrics.collect(), Arc::default());
        Self {
            registry: Arc::new(ArcSwap::from_pointee(registry)),
            followers: Arc::default(),
        }
    }

    /// Adds an observation to a histogram or a summary.
    ///
    /// # Errors
    /// When the metric or a label is not declared, or the value does not fit; it is counted too.
    pub fn observe(&self, name: &str, labels: &[(&str, &str)], value: f64) -> Result<(), Refused> {
        self.observe_weighted(name, labels, value, 1.0)
    }

    /// Adds an observation that stands for `weight` ones, at least 1.
    pub fn observe_weighted(
        &self,
        name: &str,
        labels: &[(&str, &str)],
        value: f64,
        weight: f64,
    ) -> Result<(), Refused> {
        self.with(name, |metric| {
            metric.record(labels, |cell, shape| cell.observe(shape, value, weight))
        })
    }

    /// Raises a counter.
    ///
    /// # Errors
    /// As [`Recorder::observe`]; `by` must be finite and not negative.
    pub fn inc(&self, name: &str, labels: &[(&str, &str)], by: f64) -> Result<(), Refused> {
        self.with(name, |metric| metric.record(labels, |cell, _| cell.inc(by)))
    }

    /// Sets a gauge.
    ///
    /// # Errors
    /// As [`Recorder::observe`]; NaN is refused.
    pub fn set(&self, name: &str, labels: &[(&str, &str)], value: f64) -> Result<(), Refused> {
        self.with(name, |metric| {
            metric.record(labels, |cell, _| cell.set(value))
        })
    }

    /// Moves a gauge up, or down if `by` is negative.
    ///
    /// # Errors
    /// As [`Recorder::observe`]; `by` must be finite.
    pub fn add(&self, name: &str, labels: &[(&str, &str)], by: f64) -> Result<(), Refused> {
        self.with(name, |metric| metric.record(labels, |cell, _| cell.add(by)))
    }

    /// A handle of one series of a histogram or a summary, for code that observes often.
    ///
    /// # Errors
    /// As [`Recorder::observe`].
    pub fn observer(&self, name: &str, labels: &[(&str, &str)]) -> Result<Observer, Refused> {
        let kinds = [Kind::Histogram, Kind::Summary];
        let (cell, metric, refusals) = self.resolve(name, labels, &kinds)?;
        Ok(Observer {
            cell,
            metric,
            refusals,
        })
    }

    /// A handle of one series of a counter.
    ///
    /// # Errors
    /// As [`Recorder::observe`].
    pub fn counter(&self, name: &str, labels: &[(&str, &str)]) -> Result<Counter, Refused> {
        let (cell, _, refusals) = self.resolve(name, labels, &[Kind::Counter])?;
        Ok(Counter { cell, refusals })
    }

    /// A handle of one series of a gauge.
    ///
    /// # Errors
    /// As [`Recorder::observe`].
    pub fn gauge(&self, name: &str, labels: &[(&str, &str)]) -> Result<Gauge, Refused> {
        let (cell, _, refusals) = self.resolve(name, labels, &[Kind::Gauge])?;
        Ok(Gauge { cell, refusals })
    }

    /// Tells whether the metric `name` is declared with this label.
    pub fn declares(&self, name: &str, label: &str) -> bool {
        let registry = self.registry.load();
        let labels = registry
            .find(name)
            .map(|metric| &metric.declared.def.labels);
        labels.is_ok_and(|labels| labels.iter().any(|declared| **declared == *label))
    }

    /// Counts a record that was refused before it came here.
    pub fn count_refused(&self, reason: Reason) {
        self.registry.load().refusals.count(reason);
    }

    /// Adds every series to `batch`, each as of one moment.
    pub fn fill(&self, batch: &mut Batch) {
        self.fill_in_pieces(batch, usize::MAX, |_| ());
    }

    /// Like [`Recorder::fill`], but hands the batch to `take` and empties it each time it has
    /// grown to `enough` points, so that many series need little room. The rest stays in `batch`.
    /// No lock is held while `take` runs.
    pub fn fill_in_pieces(&self, batch: &mut Batch, enough: usize, take: impl Fn(&Batch)) {
        let (mut scratch, mut numbers) = (Vec::new(), Vec::new());
        for metric in &self.registry.load().metrics {
            let shape = metric.shape();
            for shard in metric.table().shards() {
                shard.for_each(|labels, cell| {
                    numbers.clear();
                    cell.read(shape, &mut scratch, &mut numbers);
                    batch.push_packed(metric.id, labels, &numbers);
                });
                if batch.len() >= enough {
                    take(batch);
                    batch.clear();
                }
            }
        }
    }

    /// Moves the window of summaries on and forgets series as `expire_after` says. Called once
    /// per collection.
    pub fn tick(&self, now: Now) {
        self.registry
            .load()
            .metrics
            .iter()
            .for_each(|metric| metric.tick(now));
    }

    /// Takes over from `old` after a reload: the series of metrics whose type, labels, buckets
    /// and quantiles did not change, and the counts of refusals. From then on `old`, its clones
    /// and their handles record here.
    pub fn adopt(&self, old: &Recorder) {
        let (new, was) = (self.registry.load_full(), old.registry.load_full());
        let metrics = new
            .metrics
            .iter()
            .map(|metric| match was.find(&metric.declared.def.name) {
                Ok(old) => Arc::new(metric.adopting(old)),
                Err(_) => metric.clone(),
            });
        let merged = Arc::new(Registry::new(metrics.collect(), was.refusals.clone()));
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

    /// Records refused since the start, by reason: every reason, zero included.
    #[must_use]
    pub fn refused(&self) -> Vec<(Reason, u64)> {
        self.registry.load().refusals.totals().collect()
    }

    /// For each metric its name, its number of series and the records refused because it may
    /// not have more.
    #[must_use]
    pub fn ceilings(&self) -> Vec<(Arc<str>, usize, u64)> {
        let row = |metric: &Arc<Metric>| {
            let table = metric.table();
            (
                metric.declared.def.name.clone(),
                table.len(),
                table.overflow(),
            )
        };
        self.registry.load().metrics.iter().map(row).collect()
    }

    #[inline]
    fn with(
        &self,
        name: &str,
        record: impl FnOnce(&Metric) -> Result<(), Refused>,
    ) -> Result<(), Refused> {
        let registry = self.registry.load();
        let result = registry.find(name).and_then(|metric| record(metric));
        if let Err(refused) = &result {
            registry.refusals.count(refused.reason);
        }
        result
    }

    fn resolve(
        &self,
        name: &str,
        labels: &[(&str, &str)],
        kinds: &[Kind],
    ) -> Result<Resolved, Refused> {
        let registry = self.registry.load();
        let found = registry.find(name).and_then(|metric| {
            if kinds.contains(&metric.declared.def.kind) {
                Ok((
                    metric.cell(labels)?,
                    metric.clone(),
                    registry.refusals.clone(),
                ))
            } else {
                Err(metric.wrong_kind())
            }
        });
        found.inspect_err(|refused| registry.refusals.count(refused.reason))
    }
}

/// What a handle is made of.
type Resolved = (Arc<Cell>, Arc<Metric>, Arc<Refusals>);

impl Registry {
    fn new(metrics: Vec<Arc<Metric>>, refusals: Arc<Refusals>) -> Self {
        let name = |(at, metric): (usize, &Arc<Metric>)| (metric.declared.def.name.clone(), at);
        let names = metrics.iter().enumerate().map(name).collect();
        Self {
            metrics,
            names,
            refusals,
        }
    }

    #[inline]
    fn find(&self, name: &str) -> Result<&Arc<Metric>, Refused> {
        self.names
            .get(name)
            .map(|index| &self.metrics[*index])
            .ok_or_else(|| {
                Refused::new(
                    Reason::UnknownMetric,
                    name.chars().take(200).collect::<String>(),
                )
            })
    }
}
