//! The series of one metric: a map from label values to cells, read by many threads at once.
//!
//! Owns the limit of series and their expiry; does not know the names of metrics and labels.

use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use bellwether_core::{LabelTable, MonoMillis, PackedLabels, pack};
use hashbrown::{DefaultHashBuilder, HashTable};
use parking_lot::{MappedRwLockReadGuard, RwLock, RwLockReadGuard};

use super::cell::{Cell, CellHandle, Chunk, Shape};
use super::error::{MAX_VALUE_LEN, Reason, RecordError};

/// Enough that threads which record different series seldom meet at one lock.
const SHARDS: usize = 16;

/// Cells of the smallest and of the largest chunks.
const SMALLEST: usize = 4;
const LARGEST: usize = 64;

/// Chunks before the first of the largest ones: of 4, 4, 8, 16 and 32 cells.
const SMALL_CHUNKS: usize = 5;

/// Series by their label values. Lookups lock one shard for reading and allocate nothing.
#[derive(Debug, Default)]
pub(super) struct Table {
    shards: [Shard; SHARDS],
    hasher: DefaultHashBuilder,
    series: AtomicUsize,
    over_limit: AtomicU64,
}

/// The part of the series that one lock guards; `None` while there is none.
#[derive(Debug, Default)]
pub(super) struct Shard(RwLock<Option<Box<Series>>>);

/// Series of a shard. Each has a slot for its labels and its cell, which another series gets after it.
#[derive(Debug, Default)]
pub(super) struct Series {
    by_labels: HashTable<u32>,
    labels: LabelTable,
    /// Cells by slot; see [`place`].
    chunks: Vec<Arc<Chunk>>,
    free: Vec<u32>,
    /// Time of the last expiry run that found the cell touched, by slot; shorter before the first run.
    last_touched: Vec<MonoMillis>,
    /// Number that no other series of a shard have, now or earlier.
    version: u64,
}

/// Label values in the order of the metric's definition.
pub(super) trait Values<'a>: Iterator<Item = &'a str> + Clone {}
impl<'a, I: Iterator<Item = &'a str> + Clone> Values<'a> for I {}

impl Table {
    /// Runs `record` on the cell of the series. A new series is created, in a chunk of `new_chunk`,
    /// only if `record` accepts the value and fewer than `max` series exist.
    pub(super) fn record<'a>(
        &self,
        values: impl Values<'a>,
        max: usize,
        new_chunk: impl FnOnce(usize) -> Chunk,
        record: impl FnOnce(Cell<'_>) -> Result<(), Reason>,
    ) -> Result<(), RecordError> {
        let hash = hash(&self.hasher, values.clone());
        if let Some(series) = &*self.shard(hash).read()
            && let Some(slot) = series.find(hash, values.clone())
        {
            return record(series.cell(slot)).map_err(RecordError::from);
        }
        self.insert(hash, values, max, new_chunk, record).map(drop)
    }

    /// Returns the cell of the series, which is created if fewer than `max` series exist.
    pub(super) fn cell<'a>(
        &self,
        values: impl Values<'a>,
        max: usize,
        new_chunk: impl FnOnce(usize) -> Chunk,
    ) -> Result<CellHandle, RecordError> {
        let hash = hash(&self.hasher, values.clone());
        self.insert(hash, values, max, new_chunk, |_| Ok(()))
    }

    fn insert<'a>(
        &self,
        hash: u64,
        values: impl Values<'a>,
        max: usize,
        new_chunk: impl FnOnce(usize) -> Chunk,
        record: impl FnOnce(Cell<'_>) -> Result<(), Reason>,
    ) -> Result<CellHandle, RecordError> {
        let mut shard = self.shard(hash).write();
        let series = shard.get_or_insert_default();
        if let Some(slot) = series.find(hash, values.clone()) {
            record(series.cell(slot))?;
            return Ok(series.handle(slot));
        }
        if let Some(long) = values.clone().find(|value| value.len() > MAX_VALUE_LEN) {
            return Err(RecordError::new(Reason::LabelTooLong, head(long)));
        }
        let slot = series.vacant_slot(new_chunk);
        let cell = series.cell(slot);
        cell.reset();
        record(cell)?;
        self.reserve_series(max)?;
        let mut packed = Vec::new();
        pack(&values.collect::<Vec<_>>(), &mut packed);
        if !series.occupy(slot, PackedLabels::new(&packed), &self.hasher) {
            self.series.fetch_sub(1, Ordering::Relaxed);
            return Err(Reason::TooManySeries.into());
        }
        Ok(series.handle(slot))
    }

    fn reserve_series(&self, max: usize) -> Result<(), Reason> {
        self.series
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| {
                (n < max).then_some(n + 1)
            })
            .map(drop)
            .map_err(|_| {
                self.over_limit.fetch_add(1, Ordering::Relaxed);
                Reason::TooManySeries
            })
    }

    /// Returns the shards, each of which is locked on its own.
    pub(super) fn shards(&self) -> &[Shard] {
        &self.shards
    }

    /// Deletes series without a record for `age` and without a handle. The lock keeps others from
    /// getting a cell meanwhile, so the count of its handles is exact.
    pub(super) fn expire(&self, age: Duration, now: MonoMillis) {
        for shard in &self.shards {
            if let Some(series) = &mut *shard.0.write() {
                let expired = series.expire(age, now, &self.hasher);
                self.series.fetch_sub(expired, Ordering::Relaxed);
            }
        }
    }

    /// Number of series.
    pub(super) fn len(&self) -> usize {
        self.series.load(Ordering::Relaxed)
    }

    /// Records rejected because of the limit of series.
    pub(super) fn over_limit(&self) -> u64 {
        self.over_limit.load(Ordering::Relaxed)
    }

    /// Chooses by middle bits, since the table inside a shard uses the lowest and the highest ones.
    fn shard(&self, hash: u64) -> &RwLock<Option<Box<Series>>> {
        &self.shards[(hash >> 40) as usize % SHARDS].0
    }
}

impl Shard {
    /// Locks the series for reading; `None` if there is none.
    pub(super) fn read(&self) -> Option<MappedRwLockReadGuard<'_, Series>> {
        RwLockReadGuard::try_map(self.0.read(), |series| series.as_deref()).ok()
    }
}

impl Series {
    /// Returns a number that changes whenever a series is added or deleted.
    pub(super) fn version(&self) -> u64 {
        self.version
    }

    /// Calls `visit` with each series' labels and cell, in an order that is the same until the version
    /// changes.
    #[inline]
    pub(super) fn for_each(&self, mut visit: impl FnMut(PackedLabels<'_>, Cell<'_>)) {
        for slot in 0..self.labels.slots() {
            if let Some(labels) = self.labels.get(slot) {
                visit(labels, self.cell(slot));
            }
        }
    }

    /// Appends the values of all series, in the order of [`Series::for_each`].
    pub(super) fn read(&self, shape: Shape<'_>, values: &mut Vec<f64>) {
        let mut scratch = Vec::new();
        if !self.free.is_empty() {
            self.for_each(|_, cell| cell.read(shape, &mut scratch, values));
            return;
        }
        let mut left = self.labels.slots();
        for chunk in &self.chunks {
            let count = chunk.len().min(left);
            chunk.read(count, shape, &mut scratch, values);
            left -= count;
        }
    }

    fn change_version(&mut self) {
        static LAST: AtomicU64 = AtomicU64::new(0);
        self.version = LAST.fetch_add(1, Ordering::Relaxed) + 1;
    }

    fn find<'a>(&self, hash: u64, values: impl Values<'a>) -> Option<usize> {
        let slot = self.by_labels.find(hash, |slot| {
            self.labels
                .get(*slot as usize)
                .is_some_and(|labels| matches(labels, values.clone()))
        });
        slot.map(|slot| *slot as usize)
    }

    fn cell(&self, slot: usize) -> Cell<'_> {
        let (chunk, index) = place(slot);
        self.chunks[chunk].cell(index)
    }

    fn handle(&self, slot: usize) -> CellHandle {
        let (chunk, index) = place(slot);
        CellHandle::new(&self.chunks[chunk], index)
    }

    /// Returns a slot that has a cell and no series. It stays vacant until [`Series::occupy`].
    fn vacant_slot(&mut self, new_chunk: impl FnOnce(usize) -> Chunk) -> usize {
        if let Some(slot) = self.free.last() {
            return *slot as usize;
        }
        let slot = self.labels.slots();
        if place(slot).0 == self.chunks.len() {
            let chunk = Arc::new(new_chunk(chunk_length(self.chunks.len())));
            self.chunks.push(chunk);
        }
        slot
    }

    /// Gives the vacant `slot` to a series. Returns false if there is no room for its labels.
    fn occupy(&mut self, slot: usize, labels: PackedLabels<'_>, hasher: &impl BuildHasher) -> bool {
        if !self.labels.set(slot, labels) {
            return false;
        }
        self.free.pop_if(|free| *free as usize == slot);
        let Self {
            by_labels, labels, ..
        } = self;
        let hash_of = |slot: &u32| {
            let labels = labels.get(*slot as usize);
            hash(hasher, labels.into_iter().flat_map(PackedLabels::iter))
        };
        let slot = slot as u32;
        by_labels.insert_unique(hash_of(&slot), slot, hash_of);
        self.change_version();
        true
    }

    /// Deletes expired series, and returns their number.
    fn expire(&mut self, age: Duration, now: MonoMillis, hasher: &impl BuildHasher) -> usize {
        self.last_touched
            .resize(self.labels.slots(), MonoMillis::default());
        let mut expired = 0;
        for slot in 0..self.labels.slots() {
            let Some(labels) = self.labels.get(slot) else {
                continue;
            };
            let cell = self.cell(slot);
            if cell.take_touched() || cell.has_handle() {
                self.last_touched[slot] = now;
            }
            if now.since(self.last_touched[slot]) >= age {
                let hash = hash(hasher, labels.iter());
                self.remove(slot, hash);
                expired += 1;
            }
        }
        expired
    }

    fn remove(&mut self, slot: usize, hash: u64) {
        let is_slot = |other: &u32| *other as usize == slot;
        if let Ok(entry) = self.by_labels.find_entry(hash, is_slot) {
            entry.remove();
        }
        self.labels.remove(slot);
        self.free.push(slot as u32);
        self.change_version();
    }
}

/// Returns the chunk and the index in it of the cell in `slot`.
fn place(slot: usize) -> (usize, usize) {
    if slot >= LARGEST {
        return (SMALL_CHUNKS - 1 + slot / LARGEST, slot % LARGEST);
    }
    match (slot / SMALLEST).checked_ilog2() {
        Some(log) => (log as usize + 1, slot - (SMALLEST << log)),
        None => (0, slot),
    }
}

/// Returns the number of cells of the chunk at `index`.
fn chunk_length(index: usize) -> usize {
    match index.checked_sub(1) {
        Some(doublings) => LARGEST.min(SMALLEST << doublings.min(SMALL_CHUNKS)),
        None => SMALLEST,
    }
}

fn hash<'a>(hasher: &impl BuildHasher, values: impl Iterator<Item = &'a str>) -> u64 {
    let mut hasher = hasher.build_hasher();
    for value in values {
        hasher.write(value.as_bytes());
        hasher.write_u8(0xFF);
    }
    hasher.finish()
}

/// Compares with the packed form without packing: each value's bytes, then one byte that ends it.
fn matches<'a>(labels: PackedLabels<'_>, values: impl Values<'a>) -> bool {
    let mut rest = labels.packed();
    values.clone().all(|value| {
        let Some((head, tail)) = rest.split_at_checked(value.len()) else {
            return false;
        };
        rest = tail.get(1..).unwrap_or_default();
        head == value.as_bytes() && tail.first() == Some(&0xFF)
    }) && rest.is_empty()
}

/// Returns the first characters of a text that is too long to repeat.
fn head(text: &str) -> String {
    text.chars().take(40).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use bellwether_core::Kind;

    use super::*;

    fn counter(length: usize) -> Chunk {
        Chunk::new(Kind::Counter, 0, length)
    }

    fn inc(table: &Table, labels: &[&str], by: f64, max: usize) -> Result<(), RecordError> {
        table.record(labels.iter().copied(), max, counter, |cell| cell.inc(by))
    }

    #[test]
    fn different_splits_of_the_same_text_are_different_series() {
        let table = Table::default();
        for labels in [["ab", "c"], ["a", "bc"], ["", "abc"], ["abc", ""]] {
            inc(&table, &labels, 1.0, 10).unwrap();
            inc(&table, &labels, 1.0, 10).unwrap();
        }
        assert_eq!(table.len(), 4);
    }

    #[test]
    fn the_limit_rejects_new_series_and_keeps_the_old_ones() {
        let table = Table::default();
        inc(&table, &["a"], 1.0, 2).unwrap();
        inc(&table, &["b"], 1.0, 2).unwrap();
        assert_eq!(
            inc(&table, &["c"], 1.0, 2).unwrap_err().reason,
            Reason::TooManySeries
        );
        inc(&table, &["a"], 1.0, 2).unwrap();
        assert_eq!((table.len(), table.over_limit()), (2, 1));
    }

    #[test]
    fn a_rejected_value_creates_no_series() {
        let table = Table::default();
        assert!(inc(&table, &["a"], -1.0, 2).is_err());
        assert!(inc(&table, &["x".repeat(MAX_VALUE_LEN + 1).as_str()], 1.0, 2).is_err());
        assert_eq!(table.len(), 0);
        inc(&table, &["x".repeat(MAX_VALUE_LEN).as_str()], 1.0, 2).unwrap();
    }

    #[test]
    fn idle_series_expire_unless_there_is_a_handle() {
        let table = Table::default();
        let age = Duration::from_secs(60);
        inc(&table, &["idle"], 1.0, 9).unwrap();
        inc(&table, &["busy"], 1.0, 9).unwrap();
        let held = table.cell(["held"].into_iter(), 9, counter).unwrap();
        for second in [0, 30, 59] {
            inc(&table, &["busy"], 1.0, 9).unwrap();
            table.expire(age, MonoMillis(second * 1000));
            assert_eq!(table.len(), 3, "at {second} s");
        }
        table.expire(age, MonoMillis(60_000));
        assert_eq!(table.len(), 2);
        drop(held);
        table.expire(age, MonoMillis(119_000));
        assert_eq!(table.len(), 1, "only the held one was seen at 60 s");
        table.expire(age, MonoMillis(120_000));
        assert_eq!(table.len(), 0);
    }

    #[test]
    fn a_new_series_gets_the_cell_of_an_expired_one_empty() {
        let table = Table::default();
        let age = Duration::from_secs(60);
        let names: Vec<String> = (0..1000).map(|number| number.to_string()).collect();
        for name in &names {
            inc(&table, &[name], 1.5, 1000).unwrap();
        }
        table.expire(age, MonoMillis(0));
        inc(&table, &["7"], 1.0, 1000).unwrap();
        table.expire(age, MonoMillis(60_000));
        assert_eq!(table.len(), 1);
        for name in &names {
            inc(&table, &[name], 1.0, 1000).unwrap();
        }
        let mut totals = Vec::new();
        let shape = Shape {
            buckets: &[],
            quantiles: &[],
            slot: 0,
        };
        for shard in table.shards() {
            let series = shard.read().unwrap();
            series.for_each(|labels, cell| {
                let mut values = Vec::new();
                cell.read(shape, &mut Vec::new(), &mut values);
                totals.push((labels.get(0).unwrap().to_owned(), values[0]));
            });
            let slots = series.labels.slots();
            assert!(slots < 130, "slots are used again: {slots}");
        }
        totals.sort_by(|a, b| a.0.cmp(&b.0));
        let mut expected: Vec<_> = names.iter().map(|name| (name.clone(), 1.0)).collect();
        expected[7].1 = 3.5;
        expected.sort_by(|a, b| a.0.cmp(&b.0));
        assert_eq!(totals, expected);
    }

    #[test]
    fn values_at_once_are_those_of_the_series_one_by_one() {
        let shape = Shape {
            buckets: &[1.0],
            quantiles: &[0.5],
            slot: 0,
        };
        let kinds = [Kind::Counter, Kind::Gauge, Kind::Histogram, Kind::Summary];
        for kind in kinds {
            let table = Table::default();
            let names: Vec<String> = (0..300).map(|number| number.to_string()).collect();
            let record = |name: &str, number: usize| {
                let values = [name].into_iter();
                let chunk = |length| Chunk::new(kind, 1, length);
                table.record(values, 300, chunk, |cell| match kind {
                    Kind::Counter => cell.inc(number as f64),
                    Kind::Gauge => cell.set(number as f64),
                    Kind::Histogram | Kind::Summary => cell.observe(shape, number as f64, 1.0),
                })
            };
            let expect_same = |count: usize| {
                let (mut series, mut expected, mut at_once) = (0, Vec::new(), Vec::new());
                for shard in table.shards().iter().filter_map(Shard::read) {
                    shard.for_each(|_, cell| {
                        series += 1;
                        cell.read(shape, &mut Vec::new(), &mut expected);
                    });
                    shard.read(shape, &mut at_once);
                }
                assert_eq!((series, &at_once), (count, &expected), "{kind:?}");
            };
            for (number, name) in names.iter().enumerate() {
                record(name, number).unwrap();
            }
            expect_same(300);
            let age = Duration::from_secs(60);
            table.expire(age, MonoMillis(0));
            for (number, name) in names.iter().enumerate().step_by(3) {
                record(name, number).unwrap();
            }
            table.expire(age, MonoMillis(60_000));
            expect_same(100);
        }
    }

    #[test]
    fn each_slot_has_a_place_of_its_own_in_its_chunk() {
        let mut expected = (0, 0);
        for slot in 0..1000 {
            assert_eq!(place(slot), expected, "{slot}");
            expected.1 += 1;
            if expected.1 == chunk_length(expected.0) {
                expected = (expected.0 + 1, 0);
            }
        }
        assert_eq!(place(64), (SMALL_CHUNKS, 0));
    }
}
