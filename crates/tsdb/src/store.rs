//! Store: current values of all series, and windows of recent samples for rules.
//!
//! Written through [`Store::commit`] and [`Store::refresh`]; a reader sees all of a batch or nothing. No
//! clock, no I/O, no rules.

mod family;
mod ingested;
mod part_refresh;
mod self_metrics;
mod series_links;
#[cfg(test)]
mod tests;
mod warm_up;
mod window;

use std::sync::Arc;
use std::time::Duration;

use bellwether_core::{
    Batch, Kind, Labels, MetricDef, MetricId, Now, Origin, Rejected, Rejection, Sample,
    SeriesBatch, SeriesLimits,
};
use bellwether_exposition::{IngestedFamilies, SeriesNames, Snapshot, constant_labels};
pub use family::{Family, Series, Slot};
pub use ingested::{GeneratedName, Ingestion};
use ingested::{Ingested, Shared, Taken, taken_names};
use parking_lot::{Mutex, RwLock, RwLockReadGuard};
pub use part_refresh::PartRefresh;
pub use self_metrics::SELF_METRICS;
use series_links::HistorySamples;
pub use window::Samples;

use crate::history::{History, SeriesId};

/// Options of a store.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Labels of every series in the exposition.
    pub default_labels: Labels,
    /// Metrics with a window of recent samples, and its length. Of several entries for a metric the longest
    /// counts. Other metrics have only current values.
    pub windows: Vec<(MetricId, Duration)>,
    /// History that every commit is appended to.
    pub history: Option<Arc<History>>,
    /// Names of series that something else appends to history.
    pub generated: Vec<GeneratedName>,
}

/// Time after which the values of a source are appended to history once more.
const REPEAT_AFTER: Duration = Duration::from_secs(60);

/// Current values of all series.
#[derive(Debug)]
pub struct Store {
    metrics: Arc<[MetricDef]>,
    /// Metrics in the order of the exposition, which is by exported name.
    exposition_order: Vec<MetricId>,
    default_labels: Labels,
    history: Option<Arc<History>>,
    /// Names of the series of the metrics, which ingested series may not have, or only with other labels.
    taken: Taken,
    /// Ingested families of the last snapshot.
    ingested_families: Mutex<Arc<IngestedFamilies>>,
    inner: RwLock<Inner>,
}

#[derive(Debug)]
struct Inner {
    families: Vec<Family>,
    ingested: Ingested,
    dropped: u64,
    rejected: u64,
}

impl Store {
    /// Creates an empty store. A [`MetricId`] is an index into `metrics`.
    #[must_use]
    pub fn new(metrics: Arc<[MetricDef]>, options: Options) -> Self {
        let mut families: Vec<Family> = metrics
            .iter()
            .map(|def| Family::new(def.clone(), constant_labels(&options.default_labels, def)))
            .collect();
        for (metric, window) in options.windows {
            if let Some(family) = families.get_mut(metric.0 as usize) {
                family.keep_window(window);
            }
        }
        if options.history.is_some() {
            for family in &mut families {
                let names = SeriesNames::new(&options.default_labels, family.def());
                family.link_history(names);
            }
        }
        let mut exposition_order: Vec<MetricId> = (0..metrics.len() as u32).map(MetricId).collect();
        exposition_order.sort_by_key(|id| &metrics[id.0 as usize].exported);
        let inner = RwLock::new(Inner {
            families,
            ingested: Ingested::default(),
            dropped: 0,
            rejected: 0,
        });
        Self {
            taken: taken_names(&metrics, &options.generated, &options.default_labels),
            metrics,
            exposition_order,
            default_labels: options.default_labels,
            history: options.history,
            ingested_families: Mutex::default(),
            inner,
        }
    }

    /// Returns the metrics of the store.
    #[must_use]
    pub fn metrics(&self) -> &Arc<[MetricDef]> {
        &self.metrics
    }

    /// Returns the labels of every series in the exposition.
    #[must_use]
    pub fn default_labels(&self) -> &Labels {
        &self.default_labels
    }

    /// Commits a scheduled collection: sets current values, and appends samples to windows and history. Of two
    /// samples for a series the last one counts. A sample that does not fit its metric is rejected and counted.
    pub fn commit(&self, batch: &Batch, now: Now) {
        let room = if self.history.is_some() {
            batch.len()
        } else {
            0
        };
        let mut samples = HistorySamples::with_capacity(room);
        self.write(|families| {
            let mut rejected = 0;
            for sample in batch.iter() {
                let slot = families
                    .get_mut(sample.metric.0 as usize)
                    .and_then(|family| {
                        let slot = family.set(sample.labels, sample.values, now.mono, true)?;
                        if let Some(history) = &self.history {
                            family.push_row(slot, history, &mut samples);
                        }
                        Some(slot)
                    });
                rejected += u64::from(slot.is_none());
            }
            rejected
        });
        self.append_history(&samples, now);
    }

    /// Replaces the series that `source` ingested by those of `batch`, within `limits`; a series that is not among
    /// them has ended. Appends samples to history, unless they have times of their own: history has them already, by
    /// [`Store::append_timed`].
    pub fn ingest(
        &self,
        source: Origin,
        batch: &SeriesBatch,
        limits: SeriesLimits,
        now: Now,
    ) -> Ingestion {
        let mut samples = HistorySamples::new();
        let history = self.history.as_deref().filter(|_| !batch.is_timed());
        if history.is_some() {
            samples.reserve_exact(batch.len());
        }
        let shared = self.shared(history);
        let result = self.inner.write().ingested.ingest(
            source,
            batch,
            limits,
            &shared,
            now.mono,
            &mut samples,
        );
        if history.is_some() {
            self.append_history(&samples, now);
        }
        result
    }

    /// Appends the samples of `batch`, which have times of their own, to history. Series that `source` has not ingested are
    /// admitted within `limits`, and have no current value. Returns the samples that are rejected.
    pub fn append_timed(
        &self,
        source: Origin,
        batch: &SeriesBatch,
        limits: SeriesLimits,
        now: Now,
    ) -> Rejected {
        let Some(history) = &self.history else {
            return Rejected::default();
        };
        let mut samples = Vec::with_capacity(batch.len());
        let shared = self.shared(Some(history));
        let mut inner = self.inner.write();
        let ingested = &mut inner.ingested;
        let mut rejected = ingested.find_past(source, batch, limits, &shared, &mut samples);
        drop(inner);
        let out_of_order = history.append_late(now.wall, &mut samples);
        if out_of_order > 0 {
            let first = || "a sample before a later one of its series".into();
            rejected.add(Rejection::TooOld, out_of_order, first);
        }
        rejected
    }

    fn shared<'a>(&'a self, history: Option<&'a History>) -> Shared<'a> {
        Shared {
            taken: &self.taken,
            default_labels: &self.default_labels,
            history,
        }
    }

    /// Calls `each` with name, type and help of every ingested family.
    pub fn ingested_families(&self, mut each: impl FnMut(&str, Option<Kind>, &str)) {
        for (name, kind, help) in self.inner.read().ingested.families() {
            each(name, kind, help);
        }
    }

    /// Sets current values between collections, for a scrape. Unlike [`Store::commit`] appends no samples,
    /// neither to windows nor to history.
    pub fn refresh(&self, batch: &Batch, now: Now) {
        self.refresh_each(now, |refresh| {
            batch.iter().for_each(|sample| refresh.set(sample))
        });
    }

    /// As [`Store::refresh`], with samples that `source` has without a batch. The store is locked while
    /// `source` runs.
    pub fn refresh_each(&self, now: Now, source: impl FnOnce(&mut Refresh<'_>)) {
        self.write(|families| {
            let mut refresh = Refresh {
                families,
                now,
                rejected: 0,
            };
            source(&mut refresh);
            refresh.rejected
        });
    }

    /// Appends samples to history; the store is not locked.
    fn append_history(&self, samples: &[(SeriesId, f64)], now: Now) {
        if let Some(history) = &self.history
            && !samples.is_empty()
        {
            history.append(now.wall, samples);
        }
    }

    /// Runs `set`, which returns the number of samples that it rejected, on the families.
    fn write(&self, set: impl FnOnce(&mut [Family]) -> u64) {
        let mut inner = self.inner.write();
        let rejected = set(&mut inner.families);
        inner.rejected += rejected;
        drop(inner);
        if rejected > 0 {
            tracing::debug!(
                samples = rejected,
                "rejected samples that do not fit their metric"
            );
        }
    }

    /// Drops series that were not refreshed for three intervals of their metric, and appends staleness markers
    /// to history. Appends ingested values once more where the last were appended a minute ago or earlier, as a
    /// scrape of them would: a query sees a sample for five minutes, and collectors may run once a day. Returns the
    /// number of dropped series.
    pub fn expire(&self, now: Now) -> usize {
        let mut samples = HistorySamples::new();
        let mut inner = self.inner.write();
        let dropped = inner
            .families
            .iter_mut()
            .map(|family| family.expire(now.mono, &mut samples))
            .sum();
        inner.dropped += dropped as u64;
        inner.ingested.repeat(REPEAT_AFTER, now.mono, &mut samples);
        drop(inner);
        self.append_history(&samples, now);
        dropped
    }

    /// Returns the number of series that [`Store::expire`] dropped since the start, adopted stores included.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.inner.read().dropped
    }

    /// Returns the number of samples rejected since the start, adopted stores included: unknown metric, wrong
    /// number of labels or values, text that is not UTF-8, or a sample older than the last one.
    #[must_use]
    pub fn rejected(&self) -> u64 {
        self.inner.read().rejected
    }

    /// Returns the number of series.
    #[must_use]
    pub fn series(&self) -> usize {
        self.inner.read().series()
    }

    /// Returns a snapshot of all current values, to be rendered. Copies only values: label text is shared, and
    /// laid out again only for families whose series changed.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let inner = self.inner.read();
        let room = inner
            .families
            .iter()
            .map(|family| family.values().len())
            .sum();
        let mut snapshot = Snapshot::new(Arc::clone(&self.metrics), room);
        for id in &self.exposition_order {
            let family = &inner.families[id.0 as usize];
            if !family.is_empty() {
                snapshot.push(*id, family.constant(), family.layout(), family.values());
            }
        }
        let ingested = &inner.ingested;
        if ingested.len() > 0 {
            let layouts = ingested.layouts(&self.default_labels);
            let mut families = self.ingested_families.lock();
            snapshot.set_ingested(&mut families, layouts, ingested.values());
        }
        snapshot
    }

    /// Locks the store for reading. Hold it briefly, never across an await, and do not call other
    /// methods of the store meanwhile: a waiting writer would make that a deadlock.
    #[must_use]
    pub fn read(&self) -> Reader<'_> {
        Reader(self.inner.read())
    }

    /// Copies series, windows and counters of `old` for metrics with the same name, type, labels, buckets and
    /// quantiles, and ingested series if default labels and metrics are the same. Slots and generations stay the
    /// same.
    pub fn adopt(&self, old: &Store) {
        if std::ptr::eq(self, old) {
            return;
        }
        let same_history = match (&self.history, &old.history) {
            (Some(own), Some(other)) => Arc::ptr_eq(own, other),
            (None, None) => true,
            _ => false,
        };
        let same_names = self.default_labels == old.default_labels && self.taken == old.taken;
        let old = old.inner.read();
        let mut inner = self.inner.write();
        if same_names && same_history {
            inner.ingested.clone_from(&old.ingested);
        }
        inner.dropped += old.dropped;
        inner.rejected += old.rejected;
        for family in &mut inner.families {
            if let Some(before) = old.families.iter().find(|before| family.same_shape(before)) {
                family.adopt(before);
                if same_history {
                    family.adopt_links(before);
                }
            }
        }
    }

    /// Ends the ingested series of other sources than `sources`, such as collectors that are no longer configured.
    pub fn retain_sources(&self, sources: &[Origin], now: Now) {
        let mut ended = HistorySamples::new();
        self.inner.write().ingested.retain(sources, &mut ended);
        self.append_history(&ended, now);
    }
}

impl Inner {
    fn series(&self) -> usize {
        let configured: usize = self.families.iter().map(Family::len).sum();
        configured + self.ingested.len()
    }
}

/// The store, locked for a refresh; see [`Store::refresh_each`].
#[derive(Debug)]
pub struct Refresh<'a> {
    families: &'a mut [Family],
    now: Now,
    rejected: u64,
}

impl Refresh<'_> {
    /// Sets the current values of a series.
    #[inline]
    pub fn set(&mut self, sample: Sample<'_>) {
        let family = self.families.get_mut(sample.metric.0 as usize);
        let slot = family
            .and_then(|family| family.set(sample.labels, sample.values, self.now.mono, false));
        self.rejected += u64::from(slot.is_none());
    }

    /// Sets the current values of the series of `metric` that `source` has; it has several parts. Their labels
    /// are not looked at if the part has the same `version` as at the last refresh: the same series in the
    /// same order, whose values may be [set at once](PartRefresh::set_all).
    pub fn set_part(
        &mut self,
        metric: MetricId,
        part: usize,
        version: u64,
        source: impl FnOnce(&mut PartRefresh<'_>),
    ) {
        if let Some(family) = self.families.get_mut(metric.0 as usize) {
            let mut refresh = PartRefresh::new(family, part, version, self.now.mono);
            source(&mut refresh);
            self.rejected += refresh.finish();
        }
    }
}

/// The store, locked for reading.
#[derive(Debug)]
pub struct Reader<'a>(RwLockReadGuard<'a, Inner>);

impl Reader<'_> {
    /// Returns the family of a metric.
    ///
    /// # Panics
    /// If `metric` is not one of the metrics of the store.
    #[must_use]
    pub fn family(&self, metric: MetricId) -> &Family {
        &self.0.families[metric.0 as usize]
    }

    /// Returns all families, in the order of the metrics.
    pub fn families(&self) -> impl Iterator<Item = &Family> {
        self.0.families.iter()
    }
}
