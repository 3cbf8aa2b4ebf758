//! Family: all series of one metric.

use std::cmp::Ordering;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::time::Duration;

use bellwether_core::{LabelTable, MetricDef, MonoMillis, PackedLabels, reserve_tightly};
use bellwether_exposition::{Layout, SeriesNames};
use bellwether_promql::SampledSeries;
use hashbrown::{DefaultHashBuilder, HashTable};
use parking_lot::Mutex;

use super::part_refresh::PartSlots;
use super::series_links::{HistorySamples, SeriesLinks};
use super::warm_up::{Backfill, BackfillQuery};
use super::window::{Samples, Windows};
use crate::history::History;

/// Intervals after which a series that was not refreshed is dropped.
const STALE_INTERVALS: u32 = 3;

/// Ends each value in a packed label set.
const END: u8 = 0xFF;

/// Index of a series in its family. It is stable while the series exists. Later another series may get it,
/// and then [`Family::generation`] has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(u32);

/// All series of one metric. Numbers are in one vector with a row per slot, so that a snapshot is one copy.
#[derive(Debug)]
pub struct Family {
    def: MetricDef,
    width: usize,
    /// Default labels as text of the exposition.
    constant: Arc<str>,
    labels: LabelTable,
    /// Time of the last refresh, by slot.
    updated: Vec<MonoMillis>,
    values: Vec<f64>,
    windows: Option<Windows>,
    links: Option<SeriesLinks>,
    /// Slots of the parts of sources that are refreshed part by part.
    parts: Vec<PartSlots>,
    by_labels: HashTable<u32>,
    hasher: DefaultHashBuilder,
    free: Vec<u32>,
    /// Slot to try first for the next sample. Collectors repeat their order, so that the slot behind the last hit
    /// is nearly always right and saves the hash.
    guess: usize,
    generation: u64,
    /// Layout with the generation that it was built for.
    layout: Mutex<(u64, Arc<Layout>)>,
}

impl Family {
    pub(super) fn new(def: MetricDef, constant: Arc<str>) -> Self {
        Self {
            width: def.width(),
            def,
            constant,
            labels: LabelTable::default(),
            updated: Vec::new(),
            values: Vec::new(),
            windows: None,
            links: None,
            parts: Vec::new(),
            by_labels: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
            free: Vec::new(),
            guess: 0,
            generation: 0,
            layout: Mutex::default(),
        }
    }

    /// Keeps samples for `window` plus one interval, so that an increase over the whole window has a first
    /// sample.
    pub(super) fn keep_window(&mut self, window: Duration) {
        let keep = window.saturating_add(self.def.interval);
        self.windows.get_or_insert_default().extend_to(keep);
    }

    /// Links the rows to series of a history.
    pub(super) fn link_history(&mut self, names: SeriesNames) {
        self.links = Some(SeriesLinks::new(names));
    }

    /// Returns the query for a backfill, if the family has windows and is linked to history.
    pub(super) fn backfill_query(&self) -> Option<BackfillQuery> {
        let keep = self.windows.as_ref()?.length();
        let names = self.links.as_ref()?.names().clone();
        Some(BackfillQuery {
            def: self.def.clone(),
            names,
            keep,
        })
    }

    /// Prepends the backfill to the windows of existing series, and retains the rest for series that appear
    /// later.
    pub(super) fn warm_up(&mut self, backfill: Backfill, now: MonoMillis) {
        if let Some(windows) = &mut self.windows {
            let labels = (0..self.labels.slots()).map(|slot| self.labels.get(slot));
            windows.warm_up(labels, backfill, self.width, now);
        }
    }

    /// Returns the metric definition.
    #[must_use]
    pub fn def(&self) -> &MetricDef {
        &self.def
    }

    /// Returns a number that changes whenever a series is added or removed.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Returns the number of series.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_labels.len()
    }

    /// Returns whether there is no series.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_labels.is_empty()
    }

    /// Returns the slots in use, ascending.
    pub fn slots(&self) -> impl Iterator<Item = Slot> {
        self.series().map(|(slot, _)| slot)
    }

    /// Returns the series with their slots, ascending.
    pub fn series(&self) -> impl Iterator<Item = (Slot, Series<'_>)> {
        (0..self.labels.slots() as u32)
            .map(Slot)
            .filter_map(|slot| self.get(slot).map(|series| (slot, series)))
    }

    /// Returns the series in `slot`, if it is in use.
    #[must_use]
    pub fn get(&self, slot: Slot) -> Option<Series<'_>> {
        let slot = slot.0 as usize;
        Some(Series {
            family: self,
            slot,
            labels: self.labels.get(slot)?,
        })
    }

    /// Returns the slot of the series with these label values, packed as [`PackedLabels::packed`].
    #[must_use]
    pub fn find(&self, packed: &[u8]) -> Option<Slot> {
        let hash = self.hasher.hash_one(packed);
        self.by_labels
            .find(hash, |slot| self.holds(*slot as usize, packed))
            .map(|slot| Slot(*slot))
    }

    /// Sets the values of a series, which is added if it is new, and returns its slot; `None` if the sample does
    /// not fit.
    pub(super) fn set(
        &mut self,
        packed: &[u8],
        values: &[f64],
        now: MonoMillis,
        keep_sample: bool,
    ) -> Option<usize> {
        if values.len() != self.width {
            return None;
        }
        let slot = self.locate(packed).or_else(|| self.insert(packed))?;
        self.guess = slot + 1;
        self.values[slot * self.width..][..self.width].copy_from_slice(values);
        self.updated[slot] = self.updated[slot].max(now);
        let in_order = match &mut self.windows {
            Some(windows) if keep_sample => windows.push(slot, now, values),
            _ => true,
        };
        in_order.then_some(slot)
    }

    /// Sets the values of the series in `slot`.
    fn overwrite(&mut self, slot: u32, values: &[f64], now: MonoMillis) {
        let slot = slot as usize;
        self.values[slot * self.width..][..self.width].copy_from_slice(values);
        self.updated[slot] = self.updated[slot].max(now);
    }

    /// Sets the values of the series in `slots`, whose rows are one behind the other in `values`.
    pub(super) fn overwrite_all(&mut self, slots: &[u32], values: &[f64], now: MonoMillis) {
        // A row of one value is most series, and is stored without a call.
        if self.width == 1 {
            for (slot, value) in slots.iter().zip(values) {
                let slot = *slot as usize;
                self.values[slot] = *value;
                self.updated[slot] = self.updated[slot].max(now);
            }
            return;
        }
        for (slot, row) in slots.iter().zip(values.chunks_exact(self.width)) {
            self.overwrite(*slot, row, now);
        }
    }

    pub(super) fn take_part(&mut self, part: usize) -> PartSlots {
        self.parts
            .get_mut(part)
            .map(std::mem::take)
            .unwrap_or_default()
    }

    pub(super) fn put_part(&mut self, part: usize, slots: PartSlots) {
        if self.parts.len() <= part {
            self.parts.resize_with(part + 1, PartSlots::default);
        }
        self.parts[part] = slots;
    }

    /// Appends the row in `slot` to the samples for `history`.
    pub(super) fn push_row(&mut self, slot: usize, history: &History, out: &mut HistorySamples) {
        if let (Some(links), Some(labels)) = (&mut self.links, self.labels.get(slot)) {
            let row = &self.values[slot * self.width..][..self.width];
            links.push_row(slot, labels, row, history, out);
        }
    }

    fn locate(&mut self, packed: &[u8]) -> Option<usize> {
        if self.guess >= self.labels.slots() {
            self.guess = 0;
        }
        if self.holds(self.guess, packed) {
            return Some(self.guess);
        }
        self.find(packed).map(|slot| slot.0 as usize)
    }

    fn holds(&self, slot: usize, packed: &[u8]) -> bool {
        self.labels
            .get(slot)
            .is_some_and(|labels| labels.packed() == packed)
    }

    /// Returns the label values in `slot`; none if it is free.
    fn packed(&self, slot: u32) -> &[u8] {
        self.labels
            .get(slot as usize)
            .map_or(&[], PackedLabels::packed)
    }

    fn insert(&mut self, packed: &[u8]) -> Option<usize> {
        let values = packed.iter().filter(|byte| **byte == END).count();
        let ended = packed.last().is_none_or(|last| *last == END);
        let is_text = packed
            .split(|byte| *byte == END)
            .all(|value| str::from_utf8(value).is_ok());
        if values != self.def.labels.len() || !ended || !is_text {
            return None;
        }
        let slot = self.free.last().copied();
        let slot = slot.unwrap_or(self.labels.slots() as u32);
        if !self.labels.set(slot as usize, PackedLabels::new(packed)) {
            return None;
        }
        if self.free.pop().is_none() {
            self.add_slot();
        }
        self.updated[slot as usize] = MonoMillis::default();
        if let Some(windows) = &mut self.windows {
            windows.begin(slot as usize, packed);
        }
        let Self {
            labels,
            hasher,
            by_labels,
            ..
        } = self;
        let hash = hasher.hash_one(packed);
        by_labels.insert_unique(hash, slot, |slot| {
            let labels = labels.get(*slot as usize);
            hasher.hash_one(labels.map_or(&[][..], PackedLabels::packed))
        });
        self.generation += 1;
        Some(slot as usize)
    }

    fn add_slot(&mut self) {
        reserve_tightly(&mut self.updated, 1);
        self.updated.push(MonoMillis::default());
        reserve_tightly(&mut self.values, self.width);
        self.values.resize(self.values.len() + self.width, 0.0);
        if let Some(windows) = &mut self.windows {
            windows.resize(self.updated.len());
        }
    }

    /// Drops series that were not refreshed for too long, and returns their number. Appends their staleness
    /// markers to `out`.
    pub(super) fn expire(&mut self, now: MonoMillis, out: &mut HistorySamples) -> usize {
        let limit = self.def.interval.saturating_mul(STALE_INTERVALS);
        let before = self.len();
        if let Some(windows) = &mut self.windows {
            windows.expire_backfill(now, limit);
        }
        for slot in 0..self.labels.slots() {
            let in_use = self.labels.get(slot).is_some();
            if in_use && now.since(self.updated[slot]) > limit {
                self.remove(slot);
                let ended = self.links.iter_mut().flat_map(|links| links.unlink(slot));
                out.extend(ended.map(|series| (series, SampledSeries::stale())));
            }
        }
        before - self.len()
    }

    fn remove(&mut self, slot: usize) {
        let hash = self.hasher.hash_one(self.packed(slot as u32));
        if let Ok(entry) = self
            .by_labels
            .find_entry(hash, |other| *other as usize == slot)
        {
            entry.remove();
        }
        self.labels.remove(slot);
        if let Some(windows) = &mut self.windows {
            windows.end(slot);
        }
        self.free.push(slot as u32);
        self.generation += 1;
    }

    /// Returns whether series of `other` fit into this family.
    pub(super) fn same_shape(&self, other: &Family) -> bool {
        let (a, b) = (&self.def, &other.def);
        a.name == b.name
            && a.kind == b.kind
            && a.labels == b.labels
            && a.buckets == b.buckets
            && a.quantiles == b.quantiles
    }

    /// Copies the series of `old`, which has the same shape, and its samples if both have windows.
    pub(super) fn adopt(&mut self, old: &Family) {
        self.labels.clone_from(&old.labels);
        self.updated.clone_from(&old.updated);
        self.values.clone_from(&old.values);
        self.by_labels.clone_from(&old.by_labels);
        self.hasher.clone_from(&old.hasher);
        self.free.clone_from(&old.free);
        self.generation = old.generation;
        self.layout = Mutex::new(old.layout.lock().clone());
        if let Some(windows) = &mut self.windows {
            windows.adopt(old.windows.as_ref(), self.labels.slots());
        }
    }

    /// Copies the links of the rows of `old` to history, after those were adopted.
    pub(super) fn adopt_links(&mut self, old: &Family) {
        if let (Some(links), Some(old)) = (&mut self.links, &old.links) {
            links.adopt(old);
        }
    }

    pub(super) fn constant(&self) -> &Arc<str> {
        &self.constant
    }

    pub(super) fn values(&self) -> &[f64] {
        &self.values
    }

    /// Returns order and label text of the series, which are built again only if series changed.
    pub(super) fn layout(&self) -> Arc<Layout> {
        let mut cached = self.layout.lock();
        if cached.0 != self.generation {
            let order = self.exposition_order(&cached.1);
            let series = order
                .iter()
                .filter_map(|slot| Some((*slot, self.labels.get(*slot as usize)?)));
            *cached = (
                self.generation,
                Arc::new(Layout::new(&self.def.labels, series)),
            );
        }
        Arc::clone(&cached.1)
    }

    /// Returns the slots in use, sorted by label values. Starts from the previous order, with which the sort is
    /// one pass if only few series changed.
    fn exposition_order(&self, before: &Layout) -> Vec<u32> {
        let slots = 0..self.labels.slots();
        let mut wanted: Vec<bool> = slots.map(|slot| self.labels.get(slot).is_some()).collect();
        let mut order = Vec::with_capacity(self.len());
        for slot in before.slots().chain(0..self.labels.slots() as u32) {
            if std::mem::take(&mut wanted[slot as usize]) {
                order.push(slot);
            }
        }
        order.sort_by(|a, b| by_values(self.packed(*a), self.packed(*b)));
        order
    }
}

/// Compares packed label values one by one. Adding one turns the end mark into the smallest byte, so that `a`
/// precedes `ab`.
fn by_values(a: &[u8], b: &[u8]) -> Ordering {
    let [a, b] = [a, b].map(|bytes| bytes.iter().map(|byte| byte.wrapping_add(1)));
    a.cmp(b)
}

/// One series, borrowed from the store.
#[derive(Clone, Copy, Debug)]
pub struct Series<'a> {
    family: &'a Family,
    slot: usize,
    labels: PackedLabels<'a>,
}

impl<'a> Series<'a> {
    /// Returns the label values.
    #[must_use]
    pub fn labels(&self) -> PackedLabels<'a> {
        self.labels
    }

    /// Returns the current values, in the order of [`MetricDef::width`].
    #[must_use]
    pub fn values(&self) -> &'a [f64] {
        let width = self.family.width;
        &self.family.values[self.slot * width..][..width]
    }

    /// Returns the time of the last refresh.
    #[must_use]
    pub fn updated(&self) -> MonoMillis {
        self.family.updated[self.slot]
    }

    /// Returns the samples at `since` or later, oldest first; none if the metric has no window.
    #[must_use]
    pub fn window(&self, since: MonoMillis) -> Samples<'a> {
        match &self.family.windows {
            Some(windows) => windows.since(self.slot, since, self.family.width),
            None => Samples::default(),
        }
    }
}
