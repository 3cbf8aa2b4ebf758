//! The series of one metric.

use std::cmp::Ordering;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::time::Duration;

use bellwether_core::{LabelValues, MetricDef, MonoMillis};
use bellwether_exposition::{Layout, SeriesNames};
use bellwether_promql::SampledSeries;
use hashbrown::{DefaultHashBuilder, HashTable};
use parking_lot::Mutex;

use super::recall::{Recalled, Wanted};
use super::trail::{Remembered, Trail};
use super::window::{Samples, Windows};
use crate::history::History;

/// Intervals after which a series that was not refreshed is dropped.
const STALE_INTERVALS: u32 = 3;

/// Ends each value in a packed label set.
const END: u8 = 0xFF;

/// Place of a series in its family. Stays the same while the series lives; after it went, another
/// one may get it, and then [`Family::generation`] has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(u32);

/// All series of one metric. Numbers lie flat, a row per slot, so a snapshot is one copy.
#[derive(Debug)]
pub struct Family {
    def: MetricDef,
    width: usize,
    /// Default labels as page text.
    constant: Arc<str>,
    entries: Vec<Entry>,
    numbers: Vec<f64>,
    windows: Option<Windows>,
    trail: Option<Trail>,
    by_labels: HashTable<u32>,
    hasher: DefaultHashBuilder,
    free: Vec<u32>,
    /// Where the next point is looked for first: collectors repeat their order, so the slot after
    /// the last hit is nearly always right and spares the hash.
    guess: usize,
    generation: u64,
    /// Page order and label text, with the generation it was made for.
    layout: Mutex<(u64, Arc<Layout>)>,
}

#[derive(Clone, Debug)]
struct Entry {
    /// None: the slot is free.
    labels: Option<LabelValues>,
    updated: MonoMillis,
}

impl Family {
    pub(super) fn new(def: MetricDef, constant: Arc<str>) -> Self {
        Self {
            width: def.width(),
            def,
            constant,
            entries: Vec::new(),
            numbers: Vec::new(),
            windows: None,
            trail: None,
            by_labels: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
            free: Vec::new(),
            guess: 0,
            generation: 0,
            layout: Mutex::default(),
        }
    }

    /// Keeps samples for `window`, and for one interval more, so that an increase over the whole
    /// window has a sample to start from.
    pub(super) fn keep_window(&mut self, window: Duration) {
        let keep = window.saturating_add(self.def.interval);
        self.windows.get_or_insert_default().keep(keep);
    }

    /// Knows from now on which series of a history its rows are.
    pub(super) fn keep_trail(&mut self, names: SeriesNames) {
        self.trail = Some(Trail::new(names));
    }

    /// What its windows are to be filled with, if it has some and knows its series.
    pub(super) fn looks_back(&self) -> Option<Wanted> {
        let keep = self.windows.as_ref()?.kept();
        let names = self.trail.as_ref()?.names().clone();
        Some(Wanted {
            def: self.def.clone(),
            names,
            keep,
        })
    }

    /// Puts recalled samples before those of the series that are there, and keeps the others for
    /// series that come.
    pub(super) fn recall(&mut self, recalled: Recalled, now: MonoMillis) {
        if let Some(windows) = &mut self.windows {
            let labels = self.entries.iter().map(|entry| entry.labels.as_ref());
            windows.recall(labels, recalled, self.width, now);
        }
    }

    /// The declaration.
    #[must_use]
    pub fn def(&self) -> &MetricDef {
        &self.def
    }

    /// Changes whenever a series comes or goes.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Number of series.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_labels.len()
    }

    /// Whether there is no series.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_labels.is_empty()
    }

    /// The slots in use, ascending.
    pub fn slots(&self) -> impl Iterator<Item = Slot> {
        self.series().map(|(slot, _)| slot)
    }

    /// The series with their slots, ascending.
    pub fn series(&self) -> impl Iterator<Item = (Slot, Series<'_>)> {
        (0..self.entries.len() as u32)
            .map(Slot)
            .filter_map(|slot| self.get(slot).map(|series| (slot, series)))
    }

    /// The series in `slot`, if it is in use.
    #[must_use]
    pub fn get(&self, slot: Slot) -> Option<Series<'_>> {
        let entry = self.entries.get(slot.0 as usize)?;
        let labels = entry.labels.as_ref()?;
        Some(Series {
            family: self,
            slot: slot.0 as usize,
            labels,
            updated: entry.updated,
        })
    }

    /// The slot of the series with these label values, packed as [`LabelValues::packed`].
    #[must_use]
    pub fn find(&self, packed: &[u8]) -> Option<Slot> {
        let hash = self.hasher.hash_one(packed);
        let same = |slot: &u32| self.entries[*slot as usize].holds(packed);
        self.by_labels.find(hash, same).map(|slot| Slot(*slot))
    }

    /// Sets a series' numbers, adding it if it is new, and tells its slot. `None`: the point does
    /// not fit.
    pub(super) fn set(
        &mut self,
        packed: &[u8],
        numbers: &[f64],
        now: MonoMillis,
        keep_sample: bool,
    ) -> Option<usize> {
        if numbers.len() != self.width {
            return None;
        }
        let slot = self.locate(packed).or_else(|| self.insert(packed))?;
        self.guess = slot + 1;
        self.numbers[slot * self.width..][..self.width].copy_from_slice(numbers);
        let entry = &mut self.entries[slot];
        entry.updated = entry.updated.max(now);
        let in_order = match &mut self.windows {
            Some(windows) if keep_sample => windows.push(slot, now, numbers),
            _ => true,
        };
        in_order.then_some(slot)
    }

    /// Adds the row in `slot` to what goes to `history`.
    pub(super) fn follow(&mut self, slot: usize, history: &History, out: &mut Remembered) {
        if let (Some(trail), Some(labels)) = (&mut self.trail, &self.entries[slot].labels) {
            let row = &self.numbers[slot * self.width..][..self.width];
            trail.follow(slot, labels, row, history, out);
        }
    }

    fn locate(&mut self, packed: &[u8]) -> Option<usize> {
        if self.guess >= self.entries.len() {
            self.guess = 0;
        }
        match self.entries.get(self.guess) {
            Some(entry) if entry.holds(packed) => Some(self.guess),
            _ => self.find(packed).map(|slot| slot.0 as usize),
        }
    }

    fn insert(&mut self, packed: &[u8]) -> Option<usize> {
        let values = packed.iter().filter(|byte| **byte == END).count();
        let ended = packed.last().is_none_or(|last| *last == END);
        let text = || {
            packed
                .split(|byte| *byte == END)
                .all(|value| str::from_utf8(value).is_ok())
        };
        if values != self.def.labels.len() || !ended || !text() {
            return None;
        }
        let slot = self.free.pop().unwrap_or_else(|| self.new_slot());
        if let Some(windows) = &mut self.windows {
            windows.begin(slot as usize, packed);
        }
        let entry = &mut self.entries[slot as usize];
        *entry = Entry {
            labels: Some(LabelValues::from_packed(packed)),
            updated: MonoMillis::default(),
        };
        let Self {
            entries,
            hasher,
            by_labels,
            ..
        } = self;
        let hash = hasher.hash_one(packed);
        let rehash = |slot: &u32| hasher.hash_one(entries[*slot as usize].packed());
        by_labels.insert_unique(hash, slot, rehash);
        self.generation += 1;
        Some(slot as usize)
    }

    fn new_slot(&mut self) -> u32 {
        self.entries.push(Entry {
            labels: None,
            updated: MonoMillis::default(),
        });
        self.numbers.resize(self.entries.len() * self.width, 0.0);
        if let Some(windows) = &mut self.windows {
            windows.resize(self.entries.len());
        }
        (self.entries.len() - 1) as u32
    }

    /// Drops series not refreshed for too long, and tells how many. `out` gets the end of each.
    pub(super) fn expire(&mut self, now: MonoMillis, out: &mut Remembered) -> usize {
        let limit = self.def.interval.saturating_mul(STALE_INTERVALS);
        let before = self.len();
        if let Some(windows) = &mut self.windows {
            windows.forget_recalled(now, limit);
        }
        for slot in 0..self.entries.len() {
            let entry = &self.entries[slot];
            if entry.labels.is_some() && now.since(entry.updated) > limit {
                self.remove(slot);
                let ended = self.trail.iter_mut().flat_map(|trail| trail.leave(slot));
                out.extend(ended.map(|series| (series, SampledSeries::stale())));
            }
        }
        before - self.len()
    }

    fn remove(&mut self, slot: usize) {
        let hash = self.hasher.hash_one(self.entries[slot].packed());
        if let Ok(found) = self
            .by_labels
            .find_entry(hash, |other| *other as usize == slot)
        {
            found.remove();
        }
        self.entries[slot].labels = None;
        if let Some(windows) = &mut self.windows {
            windows.end(slot);
        }
        self.free.push(slot as u32);
        self.generation += 1;
    }

    /// Whether series of `other` could live here.
    pub(super) fn same_shape(&self, other: &Family) -> bool {
        let (a, b) = (&self.def, &other.def);
        a.name == b.name
            && a.kind == b.kind
            && a.labels == b.labels
            && a.buckets == b.buckets
            && a.quantiles == b.quantiles
    }

    /// Copies the series of `old`, which has the same shape, and its samples if both keep some.
    pub(super) fn adopt(&mut self, old: &Family) {
        self.entries.clone_from(&old.entries);
        self.numbers.clone_from(&old.numbers);
        self.by_labels.clone_from(&old.by_labels);
        self.hasher.clone_from(&old.hasher);
        self.free.clone_from(&old.free);
        self.generation = old.generation;
        self.layout = Mutex::new(old.layout.lock().clone());
        if let Some(windows) = &mut self.windows {
            windows.adopt(old.windows.as_ref(), self.entries.len());
        }
    }

    /// Takes over which series of history the rows of `old` are, once those are adopted.
    pub(super) fn adopt_trail(&mut self, old: &Family) {
        if let (Some(trail), Some(old)) = (&mut self.trail, &old.trail) {
            trail.adopt(old);
        }
    }

    pub(super) fn constant(&self) -> &Arc<str> {
        &self.constant
    }

    pub(super) fn numbers(&self) -> &[f64] {
        &self.numbers
    }

    /// Page order and label text of the series, made anew only if series came or went.
    pub(super) fn layout(&self) -> Arc<Layout> {
        let mut cached = self.layout.lock();
        if cached.0 != self.generation {
            let order = self.page_order(&cached.1);
            let series = order.iter().filter_map(|slot| {
                let labels = self.entries[*slot as usize].labels.as_ref()?;
                Some((*slot, labels))
            });
            *cached = (
                self.generation,
                Arc::new(Layout::new(&self.def.labels, series)),
            );
        }
        Arc::clone(&cached.1)
    }

    /// Slots in use, sorted by label values. Starts from the order before, which the sort turns
    /// into one pass when few series came or went.
    fn page_order(&self, before: &Layout) -> Vec<u32> {
        let mut wanted: Vec<bool> = self
            .entries
            .iter()
            .map(|entry| entry.labels.is_some())
            .collect();
        let mut order = Vec::with_capacity(self.len());
        for slot in before.slots().chain(0..self.entries.len() as u32) {
            if std::mem::take(&mut wanted[slot as usize]) {
                order.push(slot);
            }
        }
        let text = |slot: &u32| self.entries[*slot as usize].packed();
        order.sort_by(|a, b| by_values(text(a), text(b)));
        order
    }
}

/// Compares packed label values one by one. Adding one turns the end mark into the smallest byte,
/// so that `a` comes before `ab`.
fn by_values(a: &[u8], b: &[u8]) -> Ordering {
    let key = |byte: &u8| byte.wrapping_add(1);
    a.iter().map(key).cmp(b.iter().map(key))
}

impl Entry {
    fn packed(&self) -> &[u8] {
        self.labels.as_ref().map_or(&[], LabelValues::packed)
    }

    fn holds(&self, packed: &[u8]) -> bool {
        self.labels
            .as_ref()
            .is_some_and(|labels| labels.packed() == packed)
    }
}

/// One series, as a reader sees it.
#[derive(Clone, Copy, Debug)]
pub struct Series<'a> {
    family: &'a Family,
    slot: usize,
    labels: &'a LabelValues,
    updated: MonoMillis,
}

impl<'a> Series<'a> {
    /// Its label values.
    #[must_use]
    pub fn labels(&self) -> &'a LabelValues {
        self.labels
    }

    /// Its current numbers, as [`MetricDef::width`] orders them.
    #[must_use]
    pub fn numbers(&self) -> &'a [f64] {
        let width = self.family.width;
        &self.family.numbers[self.slot * width..][..width]
    }

    /// When it was last refreshed.
    #[must_use]
    pub fn updated(&self) -> MonoMillis {
        self.updated
    }

    /// Its samples taken at `since` or later, oldest first; none if the metric keeps no window.
    #[must_use]
    pub fn window(&self, since: MonoMillis) -> Samples<'a> {
        match &self.family.windows {
            Some(windows) => windows.since(self.slot, since, self.family.width),
            None => Samples::default(),
        }
    }
}
