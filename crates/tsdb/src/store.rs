//! Current values of all series, and the recent samples that rules look back on.
//!
//! One writer API ([`Store::commit`], [`Store::refresh`]), readers that see either all of a batch
//! or nothing of it. Reads no clock, does no I/O, judges nothing.

mod family;
mod recall;
#[cfg(test)]
mod tests;
mod trail;
mod window;

use std::sync::Arc;
use std::time::Duration;

use bellwether_core::{Batch, Labels, MetricDef, MetricId, Now, Point};
use bellwether_exposition::{SeriesNames, Snapshot, constant_labels};
pub use family::{Family, Series, Slot};
use parking_lot::{RwLock, RwLockReadGuard};
use trail::Remembered;
pub use window::Samples;

use crate::history::{History, SeriesRef};

/// What a store is built with beside the metrics.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Labels that every series on the page carries.
    pub default_labels: Labels,
    /// Metrics whose samples are kept, and for how long; of several entries for one metric the
    /// longest counts. All other metrics keep only their current value.
    pub windows: Vec<(MetricId, Duration)>,
    /// Where every commit is remembered too.
    pub history: Option<Arc<History>>,
}

/// The series of one plan.
#[derive(Debug)]
pub struct Store {
    metrics: Arc<[MetricDef]>,
    /// Metrics in the order of the page: by exported name.
    page_order: Vec<MetricId>,
    history: Option<Arc<History>>,
    inner: RwLock<Inner>,
}

#[derive(Debug)]
struct Inner {
    families: Vec<Family>,
    dropped: u64,
    refused: u64,
}

impl Store {
    /// An empty store; a [`MetricId`] is an index into `metrics`.
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
                family.keep_trail(names);
            }
        }
        let mut page_order: Vec<MetricId> = (0..metrics.len() as u32).map(MetricId).collect();
        page_order.sort_by_key(|id| &metrics[id.0 as usize].exported);
        let inner = RwLock::new(Inner {
            families,
            dropped: 0,
            refused: 0,
        });
        Self {
            metrics,
            page_order,
            history: options.history,
            inner,
        }
    }

    /// The metrics it was built with.
    #[must_use]
    pub fn metrics(&self) -> &Arc<[MetricDef]> {
        &self.metrics
    }

    /// Takes over a scheduled collection: sets values, marks the series refreshed, appends window
    /// samples and adds to history. Of two points for one series the last wins. A point that does
    /// not fit its metric's declaration is left out and counted.
    pub fn commit(&self, batch: &Batch, now: Now) {
        let room = if self.history.is_some() {
            batch.len()
        } else {
            0
        };
        let mut samples = Remembered::with_capacity(room);
        self.write(batch, |family, point| {
            let slot = family.set(point.labels, point.numbers, now.mono, true);
            if let (Some(slot), Some(history)) = (slot, &self.history) {
                family.follow(slot, history, &mut samples);
            }
            slot.is_some()
        });
        self.remember(&samples, now);
    }

    /// Like [`Store::commit`], for values taken between collections because somebody looks: they
    /// become no samples, neither of a window nor of history.
    pub fn refresh(&self, batch: &Batch, now: Now) {
        self.write(batch, |family, point| {
            family
                .set(point.labels, point.numbers, now.mono, false)
                .is_some()
        });
    }

    /// Hands samples to history, the store unlocked.
    fn remember(&self, samples: &[(SeriesRef, f64)], now: Now) {
        if let Some(history) = &self.history
            && !samples.is_empty()
        {
            history.append(now.wall, samples);
        }
    }

    fn write(&self, batch: &Batch, mut set: impl FnMut(&mut Family, Point<'_>) -> bool) {
        let mut refused = 0;
        let mut inner = self.inner.write();
        for point in batch.iter() {
            let family = inner.families.get_mut(point.metric.0 as usize);
            if !family.is_some_and(|family| set(family, point)) {
                refused += 1;
            }
        }
        inner.refused += refused;
        drop(inner);
        if refused > 0 {
            tracing::debug!(
                points = refused,
                "refused points that do not fit their metric"
            );
        }
    }

    /// Drops series that were not refreshed for three intervals of their metric, tells how many,
    /// and notes in history that they ended.
    pub fn expire(&self, now: Now) -> usize {
        let mut ended = Remembered::new();
        let mut inner = self.inner.write();
        let families = inner.families.iter_mut();
        let dropped = families
            .map(|family| family.expire(now.mono, &mut ended))
            .sum();
        inner.dropped += dropped as u64;
        drop(inner);
        self.remember(&ended, now);
        dropped
    }

    /// Series that [`Store::expire`] dropped since the start, those of adopted stores included.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.inner.read().dropped
    }

    /// Points refused since the start, those of adopted stores included: unknown metric, wrong
    /// number of labels or of values, text that is not UTF-8, a sample older than the last.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.inner.read().refused
    }

    /// Number of series.
    #[must_use]
    pub fn series(&self) -> usize {
        self.inner.read().families.iter().map(Family::len).sum()
    }

    /// All values of this moment, ready to render. Copies numbers; label text is shared and only
    /// laid out anew for families whose series came or went.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let inner = self.inner.read();
        let room = inner
            .families
            .iter()
            .map(|family| family.numbers().len())
            .sum();
        let mut snapshot = Snapshot::new(Arc::clone(&self.metrics), room);
        for id in &self.page_order {
            let family = &inner.families[id.0 as usize];
            if !family.is_empty() {
                snapshot.push(*id, family.constant(), family.layout(), family.numbers());
            }
        }
        snapshot
    }

    /// Locks the store for reading. Hold it briefly, never across an await, and do not call other
    /// methods of the store meanwhile: a waiting writer would make that a deadlock.
    #[must_use]
    pub fn read(&self) -> Reader<'_> {
        Reader(self.inner.read())
    }

    /// Takes over the series, windows and counts of `old` for metrics whose name, type, labels,
    /// buckets and quantiles are the same. `old` keeps its own; slots and generations carry over.
    pub fn adopt(&self, old: &Store) {
        if std::ptr::eq(self, old) {
            return;
        }
        let same_history = match (&self.history, &old.history) {
            (Some(own), Some(other)) => Arc::ptr_eq(own, other),
            _ => false,
        };
        let old = old.inner.read();
        let mut inner = self.inner.write();
        inner.dropped += old.dropped;
        inner.refused += old.refused;
        for family in &mut inner.families {
            if let Some(before) = old.families.iter().find(|before| family.same_shape(before)) {
                family.adopt(before);
                if same_history {
                    family.adopt_trail(before);
                }
            }
        }
    }
}

/// The store, locked for reading.
#[derive(Debug)]
pub struct Reader<'a>(RwLockReadGuard<'a, Inner>);

impl Reader<'_> {
    /// The series of one metric.
    ///
    /// # Panics
    /// If `metric` does not come from the plan that the store was built with.
    #[must_use]
    pub fn family(&self, metric: MetricId) -> &Family {
        &self.0.families[metric.0 as usize]
    }

    /// All families, in the order of the plan.
    pub fn families(&self) -> impl Iterator<Item = &Family> {
        self.0.families.iter()
    }
}
