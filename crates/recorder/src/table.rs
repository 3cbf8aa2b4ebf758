//! The series of one metric: a map from label values to cells, read by many threads at once.
//!
//! Owns the limit of series and their expiry; does not know the names of metrics and labels.

use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use bellwether_core::{LabelValues, MonoMillis};
use hashbrown::{DefaultHashBuilder, HashTable};
use parking_lot::RwLock;

use super::cell::Cell;
use super::error::{MAX_VALUE_LEN, Reason, RecordError};

/// Enough that threads which record different series seldom meet at one lock.
const SHARDS: usize = 16;

/// Series by their label values. Lookups lock one shard for reading and allocate nothing.
#[derive(Debug, Default)]
pub(super) struct Table {
    shards: [Shard; SHARDS],
    hasher: DefaultHashBuilder,
    series: AtomicUsize,
    over_limit: AtomicU64,
}

/// The part of the series that one lock guards.
#[derive(Debug, Default)]
pub(super) struct Shard(RwLock<HashTable<Entry>>);

#[derive(Debug)]
struct Entry {
    hash: u64,
    labels: LabelValues,
    cell: Arc<Cell>,
    /// Time of the last expiry run that found the cell touched.
    last_touched: MonoMillis,
}

/// Label values in the order of the metric's definition.
pub(super) trait Values<'a>: Iterator<Item = &'a str> + Clone {}
impl<'a, I: Iterator<Item = &'a str> + Clone> Values<'a> for I {}

impl Table {
    /// Runs `record` on the cell of the series. A new series is created, with a cell of `new_cell`,
    /// only if `record` accepts the value and fewer than `max` series exist.
    pub(super) fn record<'a>(
        &self,
        values: impl Values<'a>,
        max: usize,
        new_cell: impl FnOnce() -> Cell,
        record: impl FnOnce(&Cell) -> Result<(), Reason>,
    ) -> Result<(), RecordError> {
        let hash = self.hash(values.clone());
        if let Some(entry) = self
            .shard(hash)
            .read()
            .find(hash, matches(hash, values.clone()))
        {
            return record(&entry.cell).map_err(RecordError::from);
        }
        self.insert(hash, values, max, new_cell, record).map(drop)
    }

    /// Returns the cell of the series, which is created if fewer than `max` series exist.
    pub(super) fn cell<'a>(
        &self,
        values: impl Values<'a>,
        max: usize,
        new_cell: impl FnOnce() -> Cell,
    ) -> Result<Arc<Cell>, RecordError> {
        self.insert(self.hash(values.clone()), values, max, new_cell, |_| Ok(()))
    }

    fn insert<'a>(
        &self,
        hash: u64,
        values: impl Values<'a>,
        max: usize,
        new_cell: impl FnOnce() -> Cell,
        record: impl FnOnce(&Cell) -> Result<(), Reason>,
    ) -> Result<Arc<Cell>, RecordError> {
        let mut shard = self.shard(hash).write();
        if let Some(entry) = shard.find(hash, matches(hash, values.clone())) {
            record(&entry.cell)?;
            return Ok(entry.cell.clone());
        }
        if let Some(long) = values.clone().find(|value| value.len() > MAX_VALUE_LEN) {
            return Err(RecordError::new(Reason::LabelTooLong, head(long)));
        }
        let cell = Arc::new(new_cell());
        record(&cell)?;
        self.reserve_series(max)?;
        let values: Vec<&str> = values.collect();
        let labels = LabelValues::new(&values);
        let entry = Entry {
            hash,
            labels,
            cell: cell.clone(),
            last_touched: MonoMillis::default(),
        };
        shard.insert_unique(hash, entry, |entry| entry.hash);
        Ok(cell)
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
    /// getting a cell meanwhile, so the count of its owners is exact.
    pub(super) fn expire(&self, age: Duration, now: MonoMillis) {
        for shard in &self.shards {
            shard.0.write().retain(|entry| {
                if entry.cell.take_touched() || Arc::strong_count(&entry.cell) > 1 {
                    entry.last_touched = now;
                }
                let keep = now.since(entry.last_touched) < age;
                self.series.fetch_sub(usize::from(!keep), Ordering::Relaxed);
                keep
            });
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

    fn hash<'a>(&self, values: impl Iterator<Item = &'a str>) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        for value in values {
            hasher.write(value.as_bytes());
            hasher.write_u8(0xFF);
        }
        hasher.finish()
    }

    /// Chooses by middle bits, since the table inside a shard uses the lowest and the highest ones.
    fn shard(&self, hash: u64) -> &RwLock<HashTable<Entry>> {
        &self.shards[(hash >> 40) as usize % SHARDS].0
    }
}

impl Shard {
    /// Calls `visit` with each series' packed labels and cell.
    pub(super) fn for_each(&self, mut visit: impl FnMut(&[u8], &Cell)) {
        self.0
            .read()
            .iter()
            .for_each(|entry| visit(entry.labels.packed(), &entry.cell));
    }
}

/// Compares with the packed form without packing: each value's bytes, then one byte that ends it.
fn matches<'a>(hash: u64, values: impl Values<'a>) -> impl Fn(&Entry) -> bool {
    move |entry| {
        let mut rest = entry.labels.packed();
        entry.hash == hash
            && values.clone().all(|value| {
                let Some((head, tail)) = rest.split_at_checked(value.len()) else {
                    return false;
                };
                rest = tail.get(1..).unwrap_or_default();
                head == value.as_bytes() && tail.first() == Some(&0xFF)
            })
            && rest.is_empty()
    }
}

/// Returns the first characters of a text that is too long to repeat.
fn head(text: &str) -> String {
    text.chars().take(40).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use bellwether_core::Kind;

    use super::*;

    fn counter() -> Cell {
        Cell::new(Kind::Counter, 0)
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
}
