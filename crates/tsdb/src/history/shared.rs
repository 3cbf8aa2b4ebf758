//! What all that work on one history share, and what readers and the writer do with it.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use bellwether_core::{LabelSet, UnixMillis};
use bellwether_matcher::LabelMatcher;
use bellwether_promql::{Guard, SampledSeries, Stopped, StorageError};
use hashbrown::HashSet;
use parking_lot::{Mutex, RwLock};

use super::counts::Counts;
use super::head::{Head, Piece, Unpacker};
use super::merge::Merge;
use super::packer::Packer;
use super::postings::Index;
use super::stats::{Losses, Options, Stats};
use super::steady::Steady;
use super::{block, wal};

/// Sealed samples, in bytes, that may wait for the packer before whoever appends must help.
const WAITING: usize = 1 << 20;

#[derive(Debug, Default)]
pub(super) struct Shared {
    pub options: Options,
    pub index: RwLock<Index>,
    pub head: RwLock<Head>,
    pub packer: Packer,
    pub blocks: block::Shelf,
    pub wal: Arc<wal::Shelf>,
    pub counts: Counts,
    pub steady: Mutex<Steady>,
    /// Series without samples when it was last looked: those that still have none next time leave.
    idle: Mutex<HashSet<u32>>,
}

impl Shared {
    pub fn new(options: Options) -> Self {
        Self {
            options,
            ..Self::default()
        }
    }

    pub fn series_ref(&self, labels: &LabelSet) -> Option<u32> {
        if let Some(known) = self.index.read().get(labels) {
            return Some(known);
        }
        let mut index = self.index.write();
        if index.get(labels).is_none() && index.len() >= self.options.max_series {
            self.counts.series_limit.fetch_add(1, Relaxed);
            return None;
        }
        let new = index.intern(labels);
        self.head.write().admit(new);
        Some(new)
    }

    /// Numbers series that are on disk, which count but are never refused.
    pub fn intern<'a>(&self, series: impl IntoIterator<Item = &'a LabelSet>) -> Vec<u32> {
        let mut index = self.index.write();
        let numbers: Vec<u32> = series
            .into_iter()
            .map(|labels| index.intern(labels))
            .collect();
        let mut head = self.head.write();
        for number in &numbers {
            head.admit(*number);
        }
        numbers
    }

    /// Appends in memory. Returns what was taken.
    pub fn append(
        &self,
        at: i64,
        samples: impl ExactSizeIterator<Item = (u32, f64)>,
        log: bool,
    ) -> Vec<(u32, f64)> {
        let mut kept = Vec::with_capacity(if log { samples.len() } else { 0 });
        self.steady.lock().observe(at);
        let (appended, waiting) = {
            let mut head = self.head.write();
            let appended = head.append(at, samples, |number, value| {
                if log {
                    kept.push((number, value));
                }
            });
            (appended, head.sealed_bytes())
        };
        self.counts.appended.fetch_add(appended.taken, Relaxed);
        self.counts.duplicate.fetch_add(appended.duplicate, Relaxed);
        self.counts.unknown.fetch_add(appended.unknown, Relaxed);
        if waiting > WAITING {
            self.packer.run(&self.head);
        }
        kept
    }

    /// Looks for blocks that came or went.
    pub fn rescan(&self, folder: &Path, repair: bool) -> io::Result<Losses> {
        let losses = self.blocks.rescan(folder, repair, &mut |groups| {
            self.intern(groups.iter().flatten())
        })?;
        self.counts.lost(losses);
        Ok(losses)
    }

    /// Brings memory below `most` bytes by packing. Returns whether that was enough.
    pub fn squeeze(&self, most: u64) -> bool {
        let below = || self.head.read().bytes() as u64 <= most;
        if below() {
            return true;
        }
        self.packer.run(&self.head);
        if !below() {
            self.head.write().seal_all();
            self.packer.run(&self.head);
        }
        below()
    }

    /// Gives up the oldest samples in memory until it takes at most `most` bytes.
    pub fn evict(&self, most: u64) {
        let mut head = self.head.write();
        while head.bytes() as u64 > most
            && let Some(before) = head.oldest_part()
        {
            let evicted = head.evict(before);
            self.counts.evicted.fetch_add(evicted, Relaxed);
            if evicted == 0 {
                return;
            }
        }
    }

    /// Forgets series that have no sample left, neither in memory nor in a block.
    pub fn sweep(&self) {
        let mut used: HashSet<u32> = HashSet::new();
        for block in self.blocks.all().iter() {
            used.extend(block.series.iter());
        }
        let mut index = self.index.write();
        let mut head = self.head.write();
        used.extend(head.occupied());
        let idle: HashSet<u32> = index
            .all()
            .iter()
            .copied()
            .filter(|s| !used.contains(s))
            .collect();
        let mut before = self.idle.lock();
        let gone: HashSet<u32> = idle.intersection(&before).copied().collect();
        if !gone.is_empty() {
            index.remove(&gone);
            gone.iter().for_each(|series| head.forget(*series));
        }
        *before = idle;
    }

    pub fn select(
        &self,
        matchers: &[LabelMatcher],
        from: i64,
        to: i64,
        guard: &Guard,
    ) -> Result<Vec<SampledSeries>, StorageError> {
        guard.check()?;
        let (wanted, labels) = self.find(matchers, guard)?;
        // Memory first: what moves into a block meanwhile is then seen twice, and never not at all.
        let pieces: Vec<Piece> = {
            let head = self.head.read();
            wanted
                .iter()
                .map(|series| head.piece(*series, from, to))
                .collect()
        };
        let mut merged: Vec<Merge> = Vec::new();
        merged.resize_with(wanted.len(), Merge::default);
        let charge = |merge: &mut Merge, add: &mut dyn FnMut(&mut Merge)| {
            let before = merge.len();
            add(merge);
            guard
                .charge(merge.len() - before)
                .map_err(StorageError::from)
        };
        for block in self
            .blocks
            .all()
            .iter()
            .filter(|block| block.overlaps(from, to))
        {
            let chunks = block.read(&wanted, from, to, &mut |place, times, values| {
                charge(&mut merged[place], &mut |merge| {
                    merge.push(times, values, from, to)
                })
            })?;
            if chunks > 0 {
                tracing::warn!("{}: {chunks} damaged pieces left out", block.path.display());
                self.counts.lost(Losses {
                    chunks,
                    ..Losses::default()
                });
            }
        }
        let mut unpacker = Unpacker::default();
        let mut selected = Vec::new();
        for ((piece, mut merge), labels) in pieces.into_iter().zip(merged).zip(labels) {
            charge(&mut merge, &mut |merge| {
                for chunk in &piece.chunks {
                    unpacker.read(chunk, from, to, merge);
                }
                merge.push(&piece.times, &piece.values, from, to);
            })?;
            if merge.len() > 0 {
                let (times, values) = merge.finish();
                selected.push(SampledSeries {
                    labels,
                    times,
                    values,
                });
            }
        }
        Ok(selected)
    }

    fn find(
        &self,
        matchers: &[LabelMatcher],
        guard: &Guard,
    ) -> Result<(Vec<u32>, Vec<LabelSet>), Stopped> {
        let index = self.index.read();
        let found = index.find(matchers, guard)?;
        let labels = found
            .iter()
            .map(|series| index.labels(*series).cloned().unwrap_or_default());
        let labels = labels.collect();
        Ok((found, labels))
    }

    pub fn series(
        &self,
        matchers: &[LabelMatcher],
        from: i64,
        to: i64,
        guard: &Guard,
    ) -> Result<Vec<LabelSet>, Stopped> {
        let (found, labels) = self.find(matchers, guard)?;
        let mut there: Vec<bool> = {
            let head = self.head.read();
            found
                .iter()
                .map(|series| head.overlaps(*series, from, to))
                .collect()
        };
        for block in self
            .blocks
            .all()
            .iter()
            .filter(|block| block.overlaps(from, to))
        {
            for place in block
                .series
                .iter()
                .filter_map(|series| found.binary_search(series).ok())
            {
                there[place] = true;
            }
        }
        let series = labels.into_iter().zip(there);
        Ok(series
            .filter_map(|(labels, there)| there.then_some(labels))
            .collect())
    }

    pub fn stats(&self) -> Stats {
        let blocks = self.blocks.all();
        // Before the head: whoever needs both takes the index or the log first, or they wait for
        // each other as soon as a commit waits for the head.
        let series = self.index.read().len() as u64;
        let wal_bytes = self.wal.bytes();
        let head = self.head.read();
        let spans = blocks
            .iter()
            .map(|block| (block.start, block.end))
            .chain(head.span());
        let (starts, ends): (Vec<i64>, Vec<i64>) = spans.unzip();
        Stats {
            series,
            head_samples: head.samples(),
            head_bytes: head.bytes() as u64,
            blocks: blocks.len() as u64,
            block_samples: blocks.iter().map(|block| block.samples).sum(),
            block_bytes: blocks.iter().map(|block| block.bytes).sum(),
            wal_bytes,
            oldest: starts.into_iter().min().map(UnixMillis),
            newest: ends.into_iter().max().map(UnixMillis),
            ..self.counts.stats()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use super::*;

    /// The history's thread has the log and then asks for the head. Who waits for the log meanwhile
    /// must not have the head: with a commit that waits for it, all three would wait for good.
    #[test]
    fn who_waits_for_the_log_does_not_have_the_head() {
        let shared = Arc::new(Shared::default());
        shared.wal.note(1, 10, [0]);
        let looking = std::cell::Cell::new(None);
        shared.wal.bytes_in_head(|_| {
            let other = shared.clone();
            let thread = std::thread::spawn(move || other.stats().wal_bytes);
            let begun = Instant::now();
            while begun.elapsed() < Duration::from_millis(100) {
                assert!(shared.head.try_write().is_some());
                std::thread::yield_now();
            }
            looking.set(Some(thread));
            true
        });
        let stats = looking.take().unwrap();
        assert_eq!(stats.join().unwrap(), 10);
    }
}
