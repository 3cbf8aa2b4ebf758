//! State of a history that readers and the writer share.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use bellwether_core::{LabelSet, UnixMillis};
use bellwether_matcher::LabelMatcher;
use bellwether_promql::{Guard, SampledSeries, Stopped, StorageError};
use hashbrown::HashSet;
use parking_lot::{Mutex, RwLock};

use super::SeriesId;
use super::clock_guard::ClockGuard;
use super::counts::Counts;
use super::head::{Head, HeadSeries, Unpacker};
use super::merge::Merge;
use super::packer::Packer;
use super::postings::Index;
use super::stats::{Losses, Options, Stats};
use super::time_span::TimeSpan;
use super::{block, wal};

/// Bytes of sealed samples that may wait for the packer before the appending thread packs them.
const WAITING: usize = 1 << 20;

#[derive(Debug, Default)]
pub(super) struct Shared {
    pub options: Options,
    pub index: RwLock<Index>,
    pub head: RwLock<Head>,
    pub packer: Packer,
    pub blocks: block::BlockSet,
    pub wal: Arc<wal::SegmentSet>,
    pub counts: Counts,
    pub clock: Mutex<ClockGuard>,
    /// Series without samples at the last sweep. They are removed if they have none at the next one.
    idle: Mutex<HashSet<SeriesId>>,
}

impl Shared {
    pub fn new(options: Options) -> Self {
        Self {
            options,
            ..Self::default()
        }
    }

    pub fn series_id(&self, labels: &LabelSet) -> Option<SeriesId> {
        if let Some(series) = self.index.read().get(labels) {
            return Some(series);
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

    /// Returns ids for series on disk. They count towards the limit but are never rejected.
    pub fn intern<'a>(&self, series: impl IntoIterator<Item = &'a LabelSet>) -> Vec<SeriesId> {
        let mut index = self.index.write();
        let ids: Vec<SeriesId> = series
            .into_iter()
            .map(|labels| index.intern(labels))
            .collect();
        let mut head = self.head.write();
        for id in &ids {
            head.admit(*id);
        }
        ids
    }

    /// Appends to the head. Returns the accepted samples if `log`, and the number of those out of order.
    pub fn append(
        &self,
        at: UnixMillis,
        late: Option<UnixMillis>,
        samples: impl ExactSizeIterator<Item = (SeriesId, f64)>,
        log: bool,
    ) -> (Vec<(SeriesId, f64)>, u64) {
        let mut accepted = Vec::with_capacity(if log { samples.len() } else { 0 });
        if late.is_none() {
            self.clock.lock().observe(at);
        }
        let (appended, waiting) = {
            let mut head = self.head.write();
            let appended = head.append(at, late, samples, |id, value| {
                if log {
                    accepted.push((id, value));
                }
            });
            (appended, head.sealed_bytes())
        };
        self.counts.appended.fetch_add(appended.accepted, Relaxed);
        self.counts.duplicate.fetch_add(appended.duplicate, Relaxed);
        self.counts
            .out_of_order
            .fetch_add(appended.out_of_order, Relaxed);
        self.counts.unknown.fetch_add(appended.unknown, Relaxed);
        if waiting > WAITING {
            self.packer.run(&self.head);
        }
        (accepted, appended.out_of_order)
    }

    /// Rescans the directory for blocks that appeared or vanished.
    pub fn rescan(&self, folder: &Path, repair: bool) -> io::Result<Losses> {
        let losses = self.blocks.rescan(folder, repair, &mut |groups| {
            self.intern(groups.iter().flatten())
        })?;
        self.counts.lost(losses);
        Ok(losses)
    }

    /// Packs chunks until memory is at most `limit_bytes`. Returns whether that was enough.
    pub fn squeeze(&self, limit_bytes: u64) -> bool {
        if self.fits(limit_bytes) {
            return true;
        }
        self.packer.run(&self.head);
        if !self.fits(limit_bytes) {
            self.head.write().seal_all();
            self.packer.run(&self.head);
        }
        self.fits(limit_bytes)
    }

    fn fits(&self, limit_bytes: u64) -> bool {
        self.head.read().bytes() as u64 <= limit_bytes
    }

    /// Drops the oldest samples in memory until it is at most `limit_bytes`.
    pub fn evict(&self, limit_bytes: u64) {
        let mut head = self.head.write();
        while head.bytes() as u64 > limit_bytes
            && let Some(before) = head.oldest_part()
        {
            let evicted = head.evict(before);
            self.counts.evicted.fetch_add(evicted, Relaxed);
            if evicted == 0 {
                return;
            }
        }
    }

    /// Removes series that have no samples, neither in memory nor in a block.
    pub fn sweep(&self) {
        let mut used: HashSet<SeriesId> = HashSet::new();
        for block in self.blocks.all().iter() {
            used.extend(block.series.iter());
        }
        let mut index = self.index.write();
        let mut head = self.head.write();
        used.extend(head.occupied());
        let idle: HashSet<SeriesId> = index
            .all()
            .iter()
            .copied()
            .filter(|s| !used.contains(s))
            .collect();
        let mut before = self.idle.lock();
        let gone: HashSet<SeriesId> = idle.intersection(&before).copied().collect();
        if !gone.is_empty() {
            index.remove(&gone);
            gone.iter().for_each(|series| head.forget(*series));
        }
        *before = idle;
    }

    pub fn select(
        &self,
        matchers: &[LabelMatcher],
        span: TimeSpan,
        guard: &Guard,
    ) -> Result<Vec<SampledSeries>, StorageError> {
        guard.check()?;
        let (wanted, labels) = self.find(matchers, guard)?;
        // Memory first: samples that move into a block meanwhile are read twice, never missed.
        let pieces: Vec<HeadSeries> = {
            let head = self.head.read();
            wanted
                .iter()
                .map(|series| head.read(*series, span))
                .collect()
        };
        let mut merged: Vec<Merge> = Vec::new();
        merged.resize_with(wanted.len(), Merge::default);
        for block in self
            .blocks
            .all()
            .iter()
            .filter(|block| block.span.overlaps(span))
        {
            let chunks = block.read(&wanted, span, &mut |place, times, values| {
                let merge = &mut merged[place];
                let before = merge.len();
                merge.push(times, values, span);
                Ok(guard.charge(merge.len() - before)?)
            })?;
            if chunks > 0 {
                tracing::warn!("{}: {chunks} damaged chunks left out", block.path.display());
                self.counts.lost(Losses {
                    chunks,
                    ..Losses::default()
                });
            }
        }
        let mut unpacker = Unpacker::default();
        let mut selected = Vec::new();
        for ((piece, mut merge), labels) in pieces.into_iter().zip(merged).zip(labels) {
            let before = merge.len();
            for chunk in &piece.chunks {
                unpacker.read(chunk, span, &mut merge);
            }
            merge.push(&piece.times, &piece.values, span);
            guard.charge(merge.len() - before)?;
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
    ) -> Result<(Vec<SeriesId>, Vec<LabelSet>), Stopped> {
        let index = self.index.read();
        let ids = index.find(matchers, guard)?;
        let labels = ids
            .iter()
            .map(|series| index.labels(*series).cloned().unwrap_or_default())
            .collect();
        Ok((ids, labels))
    }

    pub fn series(
        &self,
        matchers: &[LabelMatcher],
        span: TimeSpan,
        guard: &Guard,
    ) -> Result<Vec<LabelSet>, Stopped> {
        let (ids, labels) = self.find(matchers, guard)?;
        let mut present: Vec<bool> = {
            let head = self.head.read();
            ids.iter()
                .map(|series| head.overlaps(*series, span))
                .collect()
        };
        for block in self
            .blocks
            .all()
            .iter()
            .filter(|block| block.span.overlaps(span))
        {
            for place in block
                .series
                .iter()
                .filter_map(|series| ids.binary_search(series).ok())
            {
                present[place] = true;
            }
        }
        let series = labels.into_iter().zip(present);
        Ok(series
            .filter_map(|(labels, present)| present.then_some(labels))
            .collect())
    }

    pub fn stats(&self) -> Stats {
        let blocks = self.blocks.all();
        // Before the head: lock the index or the log first, or there is a deadlock as soon as a commit
        // waits for the head.
        let series = self.index.read().len() as u64;
        let wal_bytes = self.wal.bytes();
        let head = self.head.read();
        let span = blocks
            .iter()
            .map(|block| block.span)
            .chain(head.span())
            .reduce(TimeSpan::join);
        Stats {
            series,
            head_samples: head.samples(),
            head_bytes: head.bytes() as u64,
            blocks: blocks.len() as u64,
            block_samples: blocks.iter().map(|block| block.samples).sum(),
            block_bytes: blocks.iter().map(|block| block.bytes).sum(),
            wal_bytes,
            oldest: span.map(|span| span.first),
            newest: span.map(|span| span.last),
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
    fn a_thread_that_waits_for_the_log_does_not_hold_the_head() {
        let shared = Arc::new(Shared::default());
        shared.wal.note(1, 10, [UnixMillis(0)]);
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
