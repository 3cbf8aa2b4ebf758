//! Head: samples in memory that are not yet in a block.
//!
//! A new sample is appended to the tail of its series. A full tail is sealed into a chunk, and sealed
//! chunks are packed later ([`super::packer`]). A chunk never spans two blocks. Readers clone the `Arc`s
//! of chunks, copy the tail, and decode without the lock.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::SeriesId;
use super::chunk::{unpack_times, unpack_values};
use super::merge::Merge;

/// Length of a block in milliseconds.
const BLOCK: i64 = 2 * 3600 * 1000;

/// Samples of a tail. Twice as many would pack a sixth better and double the memory of tails; blocks are
/// packed again anyway.
const TAIL: usize = 240;

/// Bytes of a chunk without its samples.
const CHUNK_OVERHEAD: usize = 96;

/// Bytes of an unpacked sample.
const SAMPLE: usize = 16;

/// Returns the start of the block of `at`.
pub(super) fn window(at: i64) -> i64 {
    at.div_euclid(BLOCK).saturating_mul(BLOCK)
}

/// Returns the end of the block that starts at `window`.
pub(super) fn window_end(window: i64) -> i64 {
    window.saturating_add(BLOCK)
}

/// Immutable samples of one series, ascending.
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

    /// Returns the bytes of memory, without shared times, which are few.
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

/// Decodes chunks one after the other, and shared times only once.
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
                let unpacked = self
                    .shared
                    .take()
                    .filter(|(shared, _)| Arc::ptr_eq(shared, times))
                    .map_or_else(|| unpack_times(times), |(_, unpacked)| Some(unpacked));
                if let (Some(unpacked), Some(values)) = (unpacked, unpack_values(values)) {
                    merge.push(&unpacked, &values, from, to);
                    self.shared = Some((Arc::clone(times), unpacked));
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
    /// Seals the tail. Returns whether there was one.
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

/// Numbers of accepted and rejected samples of one collection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Appended {
    pub accepted: u64,
    pub duplicate: u64,
    pub unknown: u64,
}

/// Samples of one series in memory, as a reader gets them.
#[derive(Debug, Default)]
pub(super) struct HeadSeries {
    pub chunks: Vec<Arc<Chunk>>,
    pub times: Vec<i64>,
    pub values: Vec<f64>,
}

#[derive(Debug, Default)]
pub(super) struct Head {
    /// By series id; `None` for a series that was removed.
    series: Vec<Option<Series>>,
    /// Number of samples by window.
    windows: BTreeMap<i64, u64>,
    bytes: usize,
    /// Series with sealed chunks that wait to be packed, and the bytes of those.
    sealed: Vec<SeriesId>,
    sealed_bytes: usize,
}

impl Head {
    /// Adds a series.
    pub fn admit(&mut self, series: SeriesId) {
        let slot = series.index();
        if self.series.len() <= slot {
            self.series.resize_with(slot + 1, || None);
        }
        self.series[slot].get_or_insert_default();
    }

    /// Removes a series that has no samples here.
    pub fn forget(&mut self, series: SeriesId) {
        if let Some(slot) = self.series.get_mut(series.index()) {
            *slot = None;
        }
    }

    /// Appends the samples of a collection at `at`; calls `accepted` for each accepted sample.
    pub fn append(
        &mut self,
        at: i64,
        samples: impl Iterator<Item = (SeriesId, f64)>,
        mut accepted: impl FnMut(SeriesId, f64),
    ) -> Appended {
        let mut appended = Appended::default();
        for (id, value) in samples {
            let Some(Some(series)) = self.series.get_mut(id.index()) else {
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
                self.sealed.push(id);
                let chunk = series.chunks.last().map_or(0, |chunk| chunk.bytes());
                self.sealed_bytes += chunk;
                self.bytes += CHUNK_OVERHEAD;
            }
            series.times.push(at);
            series.values.push(value);
            series.last = Some(at);
            appended.accepted += 1;
            accepted(id, value);
        }
        if appended.accepted > 0 {
            *self.windows.entry(window(at)).or_default() += appended.accepted;
            self.bytes += appended.accepted as usize * SAMPLE;
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

    /// Returns the starts of the blocks that have samples in the head, ascending.
    pub fn windows(&self) -> impl Iterator<Item = i64> {
        self.windows.keys().copied()
    }

    pub fn has_window(&self, window: i64) -> bool {
        self.windows.contains_key(&window)
    }

    /// Returns the first and the last time.
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

    /// Returns the samples of `series` in `from..=to`.
    pub fn read(&self, series: SeriesId, from: i64, to: i64) -> HeadSeries {
        let Some(Some(series)) = self.series.get(series.index()) else {
            return HeadSeries::default();
        };
        let chunks = series
            .chunks
            .iter()
            .filter(|chunk| chunk.overlaps(from, to));
        let start = series.times.partition_point(|time| *time < from);
        let end = series.times.partition_point(|time| *time <= to).max(start);
        HeadSeries {
            chunks: chunks.cloned().collect(),
            times: series.times[start..end].to_vec(),
            values: series.values[start..end].to_vec(),
        }
    }

    /// Returns whether `series` may have samples in `from..=to`.
    pub fn overlaps(&self, series: SeriesId, from: i64, to: i64) -> bool {
        let Some(Some(series)) = self.series.get(series.index()) else {
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

    /// Returns the series that have samples here.
    pub fn occupied(&self) -> impl Iterator<Item = SeriesId> {
        (0..)
            .map(SeriesId)
            .zip(&self.series)
            .filter_map(|(id, series)| {
                let series = series.as_ref()?;
                (!series.chunks.is_empty() || !series.times.is_empty()).then_some(id)
            })
    }

    /// Seals all tails: packed chunks need a tenth of the memory.
    pub fn seal_all(&mut self) {
        for (id, series) in (0..).map(SeriesId).zip(&mut self.series) {
            if series.as_mut().is_some_and(Series::seal) {
                self.sealed.push(id);
                self.bytes += CHUNK_OVERHEAD;
            }
        }
    }

    /// Returns the time before which samples are dropped to free memory: the end of the oldest window, or
    /// the middle of the only one.
    pub fn oldest_part(&self) -> Option<i64> {
        let mut windows = self.windows();
        match (windows.next(), windows.next()) {
            (Some(first), Some(_)) => Some(window_end(first)),
            _ => self
                .span()
                .map(|(start, end)| start + (end - start) / 2 + 1),
        }
    }

    /// Seals all tails that began in `window`, and returns all of its chunks by series.
    pub fn close_window(&mut self, closing: i64) -> Vec<(SeriesId, Vec<Arc<Chunk>>)> {
        let mut closed = Vec::new();
        for (id, series) in (0..).map(SeriesId).zip(&mut self.series) {
            let Some(series) = series else { continue };
            if series
                .times
                .first()
                .is_some_and(|first| window(*first) == closing)
                && series.seal()
            {
                self.sealed.push(id);
                self.bytes += CHUNK_OVERHEAD;
            }
            let chunks = series
                .chunks
                .iter()
                .filter(|chunk| window(chunk.start) == closing);
            let chunks: Vec<_> = chunks.cloned().collect();
            if !chunks.is_empty() {
                closed.push((id, chunks));
            }
        }
        closed
    }

    /// Drops the chunks that [`Head::close_window`] returned: the first chunks of the window, by series.
    pub fn drop_window(&mut self, dropped: i64, closed: &[(SeriesId, Vec<Arc<Chunk>>)]) {
        let mut samples = 0;
        for (id, chunks) in closed {
            let Some(Some(series)) = self.series.get_mut(id.index()) else {
                continue;
            };
            let mut left = chunks.len();
            samples += discard(series, &mut self.bytes, |chunk| {
                let goes = left > 0 && window(chunk.start) == dropped;
                left -= usize::from(goes);
                goes
            });
        }
        self.subtract_from_window(dropped, samples);
    }

    /// Drops all chunks that end before `before`, and tails only as a whole. Returns the id of samples.
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
            self.subtract_from_window(window, samples);
        }
        evicted
    }

    fn subtract_from_window(&mut self, window: i64, samples: u64) {
        if let Some(left) = self.windows.get_mut(&window) {
            *left = left.saturating_sub(samples);
            if *left == 0 {
                self.windows.remove(&window);
            }
        }
    }

    /// Takes the sealed chunks of at most `max_series` series to be packed; `None` if none waits.
    pub fn take_sealed(&mut self, max_series: usize) -> Option<Vec<(SeriesId, Arc<Chunk>)>> {
        if self.sealed.is_empty() {
            return None;
        }
        let start = self.sealed.len().saturating_sub(max_series);
        let mut ids = self.sealed.split_off(start);
        ids.sort_unstable();
        ids.dedup();
        let mut open = Vec::new();
        for id in ids {
            let Some(Some(series)) = self.series.get(id.index()) else {
                continue;
            };
            let waiting = series
                .chunks
                .iter()
                .filter(|chunk| matches!(chunk.body, Body::Open { .. }));
            open.extend(waiting.map(|chunk| (id, Arc::clone(chunk))));
        }
        if self.sealed.is_empty() {
            self.sealed_bytes = 0;
        } else {
            let taken: usize = open.iter().map(|(_, chunk)| chunk.bytes()).sum();
            self.sealed_bytes = self.sealed_bytes.saturating_sub(taken);
        }
        Some(open)
    }

    /// Replaces `open` by `packed`, if it still exists.
    pub fn replace(&mut self, id: SeriesId, open: &Arc<Chunk>, packed: Arc<Chunk>) {
        let Some(Some(series)) = self.series.get_mut(id.index()) else {
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

/// Drops the chunks for which `drops` is true. Returns the id of their samples.
fn discard(series: &mut Series, bytes: &mut usize, mut drops: impl FnMut(&Chunk) -> bool) -> u64 {
    let mut samples = 0;
    series.chunks.retain(|chunk| {
        let dropped = drops(chunk);
        if dropped {
            samples += chunk.count() as u64;
            *bytes = bytes.saturating_sub(chunk.bytes());
        }
        !dropped
    });
    series.chunks.shrink_to_fit();
    samples
}
