//! What is in memory: of each series the samples that are not yet in a block.
//!
//! New samples go to the tail of their series as they are; a full tail is sealed into a chunk, and
//! sealed chunks are packed later, by whoever has time ([`super::packer`]). A chunk never reaches
//! over the border of a block. Readers take clones of the chunks, which cost nothing, and a copy of
//! the tail, and decode without the lock.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::chunk::{unpack_times, unpack_values};
use super::merge::Merge;

/// Milliseconds of a block.
const BLOCK: i64 = 2 * 3600 * 1000;

/// Samples of a tail. Twice as many pack a sixth better and take twice the memory for tails; blocks
/// are packed anew.
const TAIL: usize = 240;

/// Bytes that a chunk takes beside its samples.
const CHUNK_OVERHEAD: usize = 96;

/// Bytes of one sample that is not packed.
const SAMPLE: usize = 16;

/// Where the block of `at` begins.
pub(super) fn window(at: i64) -> i64 {
    at.div_euclid(BLOCK).saturating_mul(BLOCK)
}

/// Where the block that begins at `window` ends.
pub(super) fn window_end(window: i64) -> i64 {
    window.saturating_add(BLOCK)
}

/// Samples of one series that no longer change, ascending.
#[derive(Debug)]
pub(super) struct Chunk {
    pub start: i64,
    pub end: i64,
    pub body: Body,
}

#[derive(Debug)]
pub(super) enum Body {
    Open {
        times: Vec<i64>,
        values: Vec<f64>,
    },
    /// Series that are collected together share their times.
    Packed {
        count: usize,
        times: Arc<[u8]>,
        values: Box<[u8]>,
    },
}

impl Chunk {
    pub fn count(&self) -> usize {
        match &self.body {
            Body::Open { times, .. } => times.len(),
            Body::Packed { count, .. } => *count,
        }
    }

    /// Bytes of memory. Shared times count for nobody: they are few.
    pub fn bytes(&self) -> usize {
        CHUNK_OVERHEAD
            + match &self.body {
                Body::Open { times, .. } => times.len() * SAMPLE,
                Body::Packed { values, .. } => values.len(),
            }
    }

    pub fn overlaps(&self, from: i64, to: i64) -> bool {
        self.start <= to && self.end >= from
    }
}

/// Decodes chunks one after another, times that are shared once.
#[derive(Debug, Default)]
pub(super) struct Unpacker {
    shared: Option<(Arc<[u8]>, Vec<i64>)>,
}

impl Unpacker {
    /// Adds the samples of `chunk` in `from..=to` to `merge`.
    pub fn read(&mut self, chunk: &Chunk, from: i64, to: i64, merge: &mut Merge) {
        match &chunk.body {
            Body::Open { times, values } => merge.push(times, values, from, to),
            Body::Packed { times, values, .. } => {
                let known = self
                    .shared
                    .take()
                    .filter(|(shared, _)| Arc::ptr_eq(shared, times));
                let known = known.map_or_else(|| unpack_times(times), |(_, known)| Some(known));
                if let (Some(known), Some(values)) = (known, unpack_values(values)) {
                    merge.push(&known, &values, from, to);
                    self.shared = Some((Arc::clone(times), known));
                }
            }
        }
    }
}

#[derive(Debug, Default)]
struct Series {
    chunks: Vec<Arc<Chunk>>,
    times: Vec<i64>,
    values: Vec<f64>,
    last: Option<i64>,
}

impl Series {
    /// Closes the tail. Returns whether there was one.
    fn seal(&mut self) -> bool {
        let (Some(&start), Some(&end)) = (self.times.first(), self.times.last()) else {
            return false;
        };
        let mut times = std::mem::take(&mut self.times);
        let mut values = std::mem::take(&mut self.values);
        times.shrink_to_fit();
        values.shrink_to_fit();
        self.chunks.push(Arc::new(Chunk {
            start,
            end,
            body: Body::Open { times, values },
        }));
        true
    }
}

/// What became of the samples of one collection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Appended {
    pub taken: u64,
    pub duplicate: u64,
    pub unknown: u64,
}

/// A series in memory as a reader takes it along.
#[derive(Debug, Default)]
pub(super) struct Piece {
    pub chunks: Vec<Arc<Chunk>>,
    pub times: Vec<i64>,
    pub values: Vec<f64>,
}

#[derive(Debug, Default)]
pub(super) struct Head {
    /// By number of the series; `None` for one that was never made, or that left.
    series: Vec<Option<Series>>,
    /// Samples by window, for those windows that have some.
    windows: BTreeMap<i64, u64>,
    bytes: usize,
    /// Sealed chunks that wait to be packed: their series, and how many bytes they are.
    sealed: Vec<u32>,
    sealed_bytes: usize,
}

impl Head {
    /// Makes room for the series with this number.
    pub fn admit(&mut self, series: u32) {
        let slot = series as usize;
        if self.series.len() <= slot {
            self.series.resize_with(slot + 1, || None);
        }
        self.series[slot].get_or_insert_default();
    }

    /// Forgets a series that has no samples here.
    pub fn forget(&mut self, series: u32) {
        if let Some(slot) = self.series.get_mut(series as usize) {
            *slot = None;
        }
    }

    /// Appends what was collected at `at`; calls `taken` with what is kept.
    pub fn append(
        &mut self,
        at: i64,
        samples: impl Iterator<Item = (u32, f64)>,
        mut taken: impl FnMut(u32, f64),
    ) -> Appended {
        let mut appended = Appended::default();
        for (number, value) in samples {
            let Some(Some(series)) = self.series.get_mut(number as usize) else {
                appended.unknown += 1;
                continue;
            };
            if series.last == Some(at) {
                appended.duplicate += 1;
                continue;
            }
            let follows = series
                .times
                .first()
                .is_none_or(|first| window(*first) == window(at))
                && series.times.last().is_none_or(|last| *last < at);
            if (!follows || series.times.len() >= TAIL) && series.seal() {
                self.sealed.push(number);
                let chunk = series.chunks.last().map_or(0, |chunk| chunk.bytes());
                self.sealed_bytes += chunk;
                self.bytes += CHUNK_OVERHEAD;
            }
            series.times.push(at);
            series.values.push(value);
            series.last = Some(at);
            appended.taken += 1;
            taken(number, value);
        }
        if appended.taken > 0 {
            *self.windows.entry(window(at)).or_default() += appended.taken;
            self.bytes += appended.taken as usize * SAMPLE;
        }
        appended
    }

    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn sealed_bytes(&self) -> usize {
        self.sealed_bytes
    }

    pub fn samples(&self) -> u64 {
        self.windows.values().sum()
    }

    /// Where the blocks begin that samples are waiting for, ascending.
    pub fn windows(&self) -> impl Iterator<Item = i64> {
        self.windows.keys().copied()
    }

    pub fn has_window(&self, window: i64) -> bool {
        self.windows.contains_key(&window)
    }

    /// The first and last time there is.
    pub fn span(&self) -> Option<(i64, i64)> {
        let mut span: Option<(i64, i64)> = None;
        for series in self.series.iter().flatten() {
            let chunks = series.chunks.iter().map(|chunk| (chunk.start, chunk.end));
            let tail = series
                .times
                .first()
                .copied()
                .zip(series.times.last().copied());
            for (start, end) in chunks.chain(tail) {
                let (first, last) = span.unwrap_or((start, end));
                span = Some((first.min(start), last.max(end)));
            }
        }
        span
    }

    /// What `series` has in `from..=to`.
    pub fn piece(&self, series: u32, from: i64, to: i64) -> Piece {
        let Some(Some(series)) = self.series.get(series as usize) else {
            return Piece::default();
        };
        let chunks = series
            .chunks
            .iter()
            .filter(|chunk| chunk.overlaps(from, to));
        let start = series.times.partition_point(|time| *time < from);
        let end = series.times.partition_point(|time| *time <= to).max(start);
        Piece {
            chunks: chunks.cloned().collect(),
            times: series.times[start..end].to_vec(),
            values: series.values[start..end].to_vec(),
        }
    }

    /// Whether `series` may have samples in `from..=to`.
    pub fn overlaps(&self, series: u32, from: i64, to: i64) -> bool {
        let Some(Some(series)) = self.series.get(series as usize) else {
            return false;
        };
        let tail = series
            .times
            .first()
            .copied()
            .zip(series.times.last().copied());
        tail.is_some_and(|(start, end)| start <= to && end >= from)
            || series.chunks.iter().any(|chunk| chunk.overlaps(from, to))
    }

    /// Series that have samples here.
    pub fn occupied(&self) -> impl Iterator<Item = u32> {
        (0..).zip(&self.series).filter_map(|(number, series)| {
            let series = series.as_ref()?;
            (!series.chunks.is_empty() || !series.times.is_empty()).then_some(number)
        })
    }

    /// Closes all tails: packed they take a tenth of the memory.
    pub fn seal_all(&mut self) {
        for (number, series) in (0..).zip(&mut self.series) {
            if series.as_mut().is_some_and(Series::seal) {
                self.sealed.push(number);
                self.bytes += CHUNK_OVERHEAD;
            }
        }
    }

    /// Before when samples go if some must: the end of the oldest block to be, or the middle of the
    /// only one.
    pub fn oldest_part(&self) -> Option<i64> {
        let mut windows = self.windows();
        match (windows.next(), windows.next()) {
            (Some(first), Some(_)) => Some(window_end(first)),
            _ => self
                .span()
                .map(|(start, end)| start + (end - start) / 2 + 1),
        }
    }

    /// Closes all tails that began in `window`, and hands out all chunks of it by series.
    pub fn close_window(&mut self, closing: i64) -> Vec<(u32, Vec<Arc<Chunk>>)> {
        let mut closed = Vec::new();
        for (number, series) in (0..).zip(&mut self.series) {
            let Some(series) = series else { continue };
            if series
                .times
                .first()
                .is_some_and(|first| window(*first) == closing)
                && series.seal()
            {
                self.sealed.push(number);
                self.bytes += CHUNK_OVERHEAD;
            }
            let chunks = series
                .chunks
                .iter()
                .filter(|chunk| window(chunk.start) == closing);
            let chunks: Vec<_> = chunks.cloned().collect();
            if !chunks.is_empty() {
                closed.push((number, chunks));
            }
        }
        closed
    }

    /// Drops what [`Head::close_window`] handed out: of each series the first chunks of the window.
    pub fn drop_window(&mut self, dropped: i64, closed: &[(u32, Vec<Arc<Chunk>>)]) {
        let mut samples = 0;
        for (number, chunks) in closed {
            let Some(Some(series)) = self.series.get_mut(*number as usize) else {
                continue;
            };
            let mut left = chunks.len();
            samples += discard(series, &mut self.bytes, |chunk| {
                let goes = left > 0 && window(chunk.start) == dropped;
                left -= usize::from(goes);
                goes
            });
        }
        self.take_from_window(dropped, samples);
    }

    /// Drops all chunks that end before `before`; tails only as a whole. Returns how many samples.
    pub fn evict(&mut self, before: i64) -> u64 {
        let mut evicted = 0;
        let mut by_window: BTreeMap<i64, u64> = BTreeMap::new();
        for series in self.series.iter_mut().flatten() {
            if series.times.last().is_some_and(|last| *last < before) && series.seal() {
                self.bytes += CHUNK_OVERHEAD;
            }
            let samples = discard(series, &mut self.bytes, |chunk| {
                let goes = chunk.end < before;
                if goes {
                    *by_window.entry(window(chunk.start)).or_default() += chunk.count() as u64;
                }
                goes
            });
            evicted += samples;
        }
        for (window, samples) in by_window {
            self.take_from_window(window, samples);
        }
        evicted
    }

    fn take_from_window(&mut self, window: i64, samples: u64) {
        if let Some(left) = self.windows.get_mut(&window) {
            *left = left.saturating_sub(samples);
            if *left == 0 {
                self.windows.remove(&window);
            }
        }
    }

    /// Sealed chunks that wait to be packed, those of at most `most` series; `None`: none waits.
    pub fn take_sealed(&mut self, most: usize) -> Option<Vec<(u32, Arc<Chunk>)>> {
        if self.sealed.is_empty() {
            return None;
        }
        let start = self.sealed.len().saturating_sub(most);
        let mut numbers = self.sealed.split_off(start);
        numbers.sort_unstable();
        numbers.dedup();
        let mut open = Vec::new();
        for number in numbers {
            let Some(Some(series)) = self.series.get(number as usize) else {
                continue;
            };
            let waiting = series
                .chunks
                .iter()
                .filter(|chunk| matches!(chunk.body, Body::Open { .. }));
            open.extend(waiting.map(|chunk| (number, Arc::clone(chunk))));
        }
        if self.sealed.is_empty() {
            self.sealed_bytes = 0;
        } else {
            let taken: usize = open.iter().map(|(_, chunk)| chunk.bytes()).sum();
            self.sealed_bytes = self.sealed_bytes.saturating_sub(taken);
        }
        Some(open)
    }

    /// Puts `packed` in the place of `open`, if that is still there.
    pub fn replace(&mut self, number: u32, open: &Arc<Chunk>, packed: Arc<Chunk>) {
        let Some(Some(series)) = self.series.get_mut(number as usize) else {
            return;
        };
        if let Some(place) = series
            .chunks
            .iter_mut()
            .find(|chunk| Arc::ptr_eq(chunk, open))
        {
            self.bytes = (self.bytes + packed.bytes()).saturating_sub(open.bytes());
            *place = packed;
        }
    }
}

/// Drops the chunks that `goes` says. Returns how many samples they have.
fn discard(series: &mut Series, bytes: &mut usize, mut goes: impl FnMut(&Chunk) -> bool) -> u64 {
    let mut samples = 0;
    series.chunks.retain(|chunk| {
        let goes = goes(chunk);
        if goes {
            samples += chunk.count() as u64;
            *bytes = bytes.saturating_sub(chunk.bytes());
        }
        !goes
    });
    series.chunks.shrink_to_fit();
    samples
}
