//! The series of one metric: label values to cells, found by many threads at once.
//!
//! Owns the ceiling of series and their expiry; knows nothing of names and declarations.

use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use bellwether_core::{LabelValues, MonoMillis};
use hashbrown::{DefaultHashBuilder, HashTable};
use parking_lot::RwLock;

use super::cell::Cell;
use super::refused::{MAX_VALUE_LEN, Reason, Refused};

/// Enough that threads which record different series seldom meet at one lock.
const SHARDS: usize = 16;

/// Series by their label values. Lookups lock one shard for reading and allocate nothing.
#[derive(Debug, Default)]
pub(super) struct Table {
    shards: [Shard; SHARDS],
    hasher: DefaultHashBuilder,
    series: AtomicUsize,
    overflow: AtomicU64,
}

/// The part of the series that one lock guards.
#[derive(Debug, Default)]
pub(super) struct Shard(RwLock<HashTable<Entry>>);

#[derive(Debug)]
struct Entry {
    hash: u64,
    labels: LabelValues,
    cell: Arc<Cell>,
    /// When the cell was last seen to be touched.
    alive: MonoMillis,
}

/// Values of the labels, in the order of the declaration.
pub(super) trait Values<'a>: Iterator<Item = &'a str> + Clone {}
impl<'a, I: Iterator<Item = &'a str> + Clone> Values<'a> for I {}

impl Table {
    /// Runs `record` on the series' cell. A new series comes into being only if `record` takes
    /// the value and fewer than `max` exist; `make` makes its cell.
    pub(super) fn record<'a>(
        &self,
        values: impl Values<'a>,
        max: usize,
        make: impl FnOnce() -> Cell,
        record: impl FnOnce(&Cell) -> Result<(), Reason>,
    ) -> Result<(), Refused> {
        let hash = self.hash(values.clone());
        if let Some(entry) = self
            .shard(hash)
            .read()
            .find(hash, matches(hash, values.clone()))
        {
            return record(&entry.cell).map_err(Refused::from);
        }
        self.insert(hash, values, max, make, record).map(drop)
    }

    /// The series' cell itself; it comes into being if fewer than `max` exist.
    pub(super) fn cell<'a>(
        &self,
        values: impl Values<'a>,
        max: usize,
        make: impl FnOnce() -> Cell,
    ) -> Result<Arc<Cell>, Refused> {
        self.insert(self.hash(values.clone()), values, max, make, |_| Ok(()))
    }

    fn insert<'a>(
        &self,
        hash: u64,
        values: impl Values<'a>,
        max: usize,
        make: impl FnOnce() -> Cell,
        record: impl FnOnce(&Cell) -> Result<(), Reason>,
    ) -> Result<Arc<Cell>, Refused> {
        let mut shard = self.shard(hash).write();
        if let Some(entry) = shard.find(hash, matches(hash, values.clone())) {
            record(&entry.cell)?;
            return Ok(entry.cell.clone());
        }
        if let Some(long) = values.clone().find(|value| value.len() > MAX_VALUE_LEN) {
            return Err(Refused::new(Reason::LabelTooLong, head(long)));
        }
        let cell = Arc::new(make());
        record(&cell)?;
        self.count_one_more(max)?;
        let values: Vec<&str> = values.collect();
        let labels = LabelValues::new(&values);
        let entry = Entry {
            hash,
            labels,
            cell: cell.clone(),
            alive: MonoMillis::default(),
        };
        shard.insert_unique(hash, entry, |entry| entry.hash);
        Ok(cell)
    }

    fn count_one_more(&self, max: usize) -> Result<(), Reason> {
        self.series
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| {
                (n < max).then_some(n + 1)
            })
            .map(drop)
            .map_err(|_| {
                self.overflow.fetch_add(1, Ordering::Relaxed);
                Reason::TooManySeries
            })
    }

    /// The series, in parts.
    pub(super) fn shards(&self) -> &[Shard] {
        &self.shards
    }

    /// Drops series that nobody recorded to for `age` and nobody holds a handle of. The lock
    /// keeps others from getting hold of a cell meanwhile, so the count of holders is exact.
    pub(super) fn expire(&self, age: Duration, now: MonoMillis) {
        for shard in &self.shards {
            shard.0.write().retain(|entry| {
                if entry.cell.take_touched() || Arc::strong_count(&entry.cell) > 1 {
                    entry.alive = now;
                }
                let keep = now.since(entry.alive) < age;
                self.series.fetch_sub(usize::from(!keep), Ordering::Relaxed);
                keep
            });
        }
    }

    /// Number of series.
    pub(super) fn len(&self) -> usize {
        self.series.load(Ordering::Relaxed)
    }

    /// Records refused because of the ceiling.
    pub(super) fn overflow(&self) -> u64 {
        self.overflow.load(Ordering::Relaxed)
    }

    fn hash<'a>(&self, values: impl Iterator<Item = &'a str>) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        for value in values {
            hasher.write(value.as_bytes());
            hasher.write_u8(0xFF);
        }
        hasher.finish()
    }

    /// The table inside a shard uses the lowest and the highest bits.
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

/// The first characters of a text too long to repeat.
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

    fn inc(table: &Table, labels: &[&str], by: f64, max: usize) -> Result<(), Refused> {
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
    fn the_ceiling_refuses_new_series_and_keeps_the_old_ones() {
        let table = Table::default();
        inc(&table, &["a"], 1.0, 2).unwrap();
        inc(&table, &["b"], 1.0, 2).unwrap();
        assert_eq!(
            inc(&table, &["c"], 1.0, 2).unwrap_err().reason,
            Reason::TooManySeries
        );
        inc(&table, &["a"], 1.0, 2).unwrap();
        assert_eq!((table.len(), table.overflow()), (2, 1));
    }

    #[test]
    fn a_refused_value_makes_no_series() {
        let table = Table::default();
        assert!(inc(&table, &["a"], -1.0, 2).is_err());
        assert!(inc(&table, &["x".repeat(MAX_VALUE_LEN + 1).as_str()], 1.0, 2).is_err());
        assert_eq!(table.len(), 0);
        inc(&table, &["x".repeat(MAX_VALUE_LEN).as_str()], 1.0, 2).unwrap();
    }

    #[test]
    fn silent_series_expire_unless_somebody_holds_them() {
        let table = Table::default();
        let age = Duration::from_secs(60);
        inc(&table, &["silent"], 1.0, 9).unwrap();
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
