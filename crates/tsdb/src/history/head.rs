//! Head: samples in memory that are not yet in a block.
//!
//! A new sample is appended to the tail of its series. A full tail is sealed into a chunk, and sealed
//! chunks are packed later ([`super::packer`]). A chunk never spans two blocks. Readers clone the `Arc`s
//! of chunks, copy the tail, and decode without the lock.

use std::collections::BTreeMap;
use std::sync::Arc;

use bellwether_core::{UnixMillis, reserve_tightly};

use super::SeriesId;
use super::chunk::{unpack_times, unpack_values};
use super::merge::Merge;
use super::time_span::{TimeSpan, block_end, block_start};

/// Samples of a tail. Twice as many would pack a sixth better and double the memory of tails; blocks are
/// packed again anyway.
const TAIL: usize = 240;

/// Bytes of a chunk without its samples.
const CHUNK_OVERHEAD: usize = 96;

/// Bytes of an unpacked sample.
const SAMPLE: usize = 16;

/// Immutable samples of one series, ascending.
#[derive(Debug)]
pub(super) struct Chunk {
    pub span: TimeSpan,
    pub body: Body,
}

/// Columns of samples. Their times are plain milliseconds, as in [`SampledSeries`], because they are
/// packed, searched and copied as slices of integers.
///
/// [`SampledSeries`]: bellwether_promql::SampledSeries
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
}

/// Decodes chunks one after the other, and shared times only once.
#[derive(Debug, Default)]
pub(super) struct Unpacker {
    shared: Option<(Arc<[u8]>, Vec<i64>)>,
}

impl Unpacker {
    /// Adds the samples of `chunk` in `span` to `merge`.
    pub fn read(&mut self, chunk: &Chunk, span: TimeSpan, merge: &mut Merge) {
        match &chunk.body {
            Body::Open { times, values } => merge.push(times, values, span),
            Body::Packed { times, values, .. } => {
                let unpacked = self
                    .shared
                    .take()
                    .filter(|(shared, _)| Arc::ptr_eq(shared, times))
                    .map_or_else(|| unpack_times(times), |(_, unpacked)| Some(unpacked));
                if let (Some(unpacked), Some(values)) = (unpacked, unpack_values(values)) {
                    merge.push(&unpacked, &values, span);
                    self.shared = Some((Arc::clone(times), unpacked));
                }
            }
        }
    }
}

#[derive(Debug)]
struct Series {
    chunks: Box<[Arc<Chunk>]>,
    tail: Tail,
    /// Time of the last sample, also if it is sealed; [`UnixMillis::MIN`] if there was none.
    last: UnixMillis,
}

impl Default for Series {
    fn default() -> Self {
        Self {
            chunks: Box::default(),
            tail: Tail::default(),
            last: UnixMillis::MIN,
        }
    }
}

impl Series {
    /// Seals the tail. Returns whether there was one.
    fn seal(&mut self) -> bool {
        let Some(span) = self.tail.span() else {
            return false;
        };
        let tail = std::mem::take(&mut self.tail);
        let (times, values) = tail.samples_in(span);
        let mut chunks = std::mem::take(&mut self.chunks).into_vec();
        chunks.reserve_exact(1);
        chunks.push(Arc::new(Chunk {
            span,
            body: Body::Open { times, values },
        }));
        self.chunks = chunks.into_boxed_slice();
        true
    }

    /// Returns whether the tail began in the block that starts at `window`.
    fn tail_is_in(&self, window: UnixMillis) -> bool {
        self.tail
            .span()
            .is_some_and(|tail| block_start(tail.first) == window)
    }
}

/// Newest samples of a series, ascending, all in one block, and therefore within 2^32 ms.
#[derive(Debug, Default)]
struct Tail {
    /// Time of the first sample.
    first: UnixMillis,
    samples: Vec<TailSample>,
}

/// Sample without padding: 12 bytes rather than 16.
#[derive(Clone, Copy, Debug)]
struct TailSample {
    /// Milliseconds since the first sample.
    offset: u32,
    /// Bytes of the value.
    value: [u8; 8],
}

impl Tail {
    fn len(&self) -> usize {
        self.samples.len()
    }

    fn span(&self) -> Option<TimeSpan> {
        Some(TimeSpan {
            first: self.first,
            last: self.time(self.samples.last()?),
        })
    }

    fn time(&self, sample: &TailSample) -> UnixMillis {
        UnixMillis(self.first.0 + i64::from(sample.offset))
    }

    /// Appends a sample, if it is later than the last one and in the same block.
    fn push(&mut self, at: UnixMillis, value: f64) -> bool {
        let Some(span) = self.span() else {
            self.first = at;
            self.samples = Vec::with_capacity(1);
            self.samples.push(TailSample::new(0, value));
            return true;
        };
        if span.last >= at || block_start(span.first) != block_start(at) {
            return false;
        }
        let Ok(offset) = u32::try_from(at.0 - span.first.0) else {
            return false;
        };
        if self.samples.len() == self.samples.capacity() {
            let more = (self.samples.len() / 4).max(4);
            self.samples.reserve_exact(more);
        }
        self.samples.push(TailSample::new(offset, value));
        true
    }

    /// Returns times and values of the samples in `span`.
    fn samples_in(&self, span: TimeSpan) -> (Vec<i64>, Vec<f64>) {
        let samples = &self.samples;
        let start = samples.partition_point(|sample| self.time(sample) < span.first);
        let end = samples.partition_point(|sample| self.time(sample) <= span.last);
        let samples = &samples[start..end.max(start)];
        (
            samples.iter().map(|sample| self.time(sample).0).collect(),
            samples.iter().map(TailSample::value).collect(),
        )
    }
}

impl TailSample {
    fn new(offset: u32, value: f64) -> Self {
        Self {
            offset,
            value: value.to_bits().to_ne_bytes(),
        }
    }

    fn value(&self) -> f64 {
        f64::from_bits(u64::from_ne_bytes(self.value))
    }
}

/// Numbers of accepted and rejected samples of one collection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Appended {
    pub accepted: u64,
    pub duplicate: u64,
    pub out_of_order: u64,
    pub unknown: u64,
}

/// Samples of one series in memory, as a reader gets them.
#[derive(Debug, Default)]
pub(super) struct HeadSeries {
    pub chunks: Vec<Arc<Chunk>>,
    pub times: Vec<i64>,
    pub values: Vec<f64>,
}

/// The samples of one block.
#[derive(Debug)]
struct Window {
    samples: u64,
    span: TimeSpan,
    /// Time at which samples with times of their own came last.
    late: Option<UnixMillis>,
}

impl Default for Window {
    fn default() -> Self {
        Self {
            samples: 0,
            span: TimeSpan::NONE,
            late: None,
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Head {
    /// By series id; `None` for a series that was removed.
    series: Vec<Option<Series>>,
    /// By start of their block.
    windows: BTreeMap<UnixMillis, Window>,
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
            let missing = slot + 1 - self.series.len();
            reserve_tightly(&mut self.series, missing);
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

    /// Appends the samples of a collection at `at`, or those that came `late` and have this time; calls `accepted` for each
    /// accepted sample. Late ones are not accepted before the last sample of their series.
    pub fn append(
        &mut self,
        at: UnixMillis,
        late: Option<UnixMillis>,
        samples: impl Iterator<Item = (SeriesId, f64)>,
        mut accepted: impl FnMut(SeriesId, f64),
    ) -> Appended {
        let mut appended = Appended::default();
        for (id, value) in samples {
            let Some(Some(series)) = self.series.get_mut(id.index()) else {
                appended.unknown += 1;
                continue;
            };
            if series.last == at {
                appended.duplicate += 1;
                continue;
            }
            if late.is_some() && series.last > at {
                appended.out_of_order += 1;
                continue;
            }
            let is_full = series.tail.len() >= TAIL;
            if is_full || !series.tail.push(at, value) {
                series.seal();
                self.sealed.push(id);
                let chunk = series.chunks.last().map_or(0, |chunk| chunk.bytes());
                self.sealed_bytes += chunk;
                self.bytes += CHUNK_OVERHEAD;
                series.tail.push(at, value);
            }
            series.last = at;
            appended.accepted += 1;
            accepted(id, value);
        }
        if appended.accepted > 0 {
            let window = self.windows.entry(block_start(at)).or_default();
            window.samples += appended.accepted;
            window.span = window.span.join(at.into());
            window.late = late.or(window.late);
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
        self.windows.values().map(|window| window.samples).sum()
    }

    /// Returns the starts of the blocks that have samples in the head, ascending.
    pub fn windows(&self) -> impl Iterator<Item = UnixMillis> {
        self.windows.keys().copied()
    }

    /// Returns the time at which samples with times of their own came last for the block that starts at `window`.
    pub fn came_last(&self, window: UnixMillis) -> Option<UnixMillis> {
        self.windows.get(&window)?.late
    }

    pub fn has_window(&self, window: UnixMillis) -> bool {
        self.windows.contains_key(&window)
    }

    /// Returns the first and the last time.
    pub fn span(&self) -> Option<TimeSpan> {
        let spans = self.windows.values().map(|window| window.span);
        spans.reduce(TimeSpan::join)
    }

    /// Returns the first and the last time of the block that starts at `window`, by its samples.
    fn span_in(&self, window: UnixMillis) -> TimeSpan {
        self.series
            .iter()
            .flatten()
            .flat_map(|series| {
                let chunks = series.chunks.iter().map(|chunk| chunk.span);
                chunks.chain(series.tail.span())
            })
            .filter(|span| block_start(span.first) == window)
            .fold(TimeSpan::NONE, TimeSpan::join)
    }

    /// Returns the samples of `series` in `span`.
    pub fn read(&self, series: SeriesId, span: TimeSpan) -> HeadSeries {
        let Some(Some(series)) = self.series.get(series.index()) else {
            return HeadSeries::default();
        };
        let chunks = series
            .chunks
            .iter()
            .filter(|chunk| chunk.span.overlaps(span));
        let (times, values) = series.tail.samples_in(span);
        HeadSeries {
            chunks: chunks.cloned().collect(),
            times,
            values,
        }
    }

    /// Returns whether `series` may have samples in `span`.
    pub fn overlaps(&self, series: SeriesId, span: TimeSpan) -> bool {
        let Some(Some(series)) = self.series.get(series.index()) else {
            return false;
        };
        let mut spans = series
            .chunks
            .iter()
            .map(|chunk| chunk.span)
            .chain(series.tail.span());
        spans.any(|own| own.overlaps(span))
    }

    /// Returns the series that have samples here.
    pub fn occupied(&self) -> impl Iterator<Item = SeriesId> {
        (0..)
            .map(SeriesId)
            .zip(&self.series)
            .filter_map(|(id, series)| {
                let series = series.as_ref()?;
                (!series.chunks.is_empty() || series.tail.len() > 0).then_some(id)
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
    pub fn oldest_part(&self) -> Option<UnixMillis> {
        let mut windows = self.windows();
        match (windows.next(), windows.next()) {
            (Some(first), Some(_)) => Some(block_end(first)),
            _ => self
                .span()
                .map(|TimeSpan { first, last }| UnixMillis(first.0 + (last.0 - first.0) / 2 + 1)),
        }
    }

    /// Seals all tails that began in `window`, and returns all of its chunks by series.
    pub fn close_window(&mut self, closing: UnixMillis) -> Vec<(SeriesId, Vec<Arc<Chunk>>)> {
        let mut closed = Vec::new();
        for (id, series) in (0..).map(SeriesId).zip(&mut self.series) {
            let Some(series) = series else { continue };
            if series.tail_is_in(closing) && series.seal() {
                self.sealed.push(id);
                self.bytes += CHUNK_OVERHEAD;
            }
            let chunks: Vec<_> = series
                .chunks
                .iter()
                .filter(|chunk| block_start(chunk.span.first) == closing)
                .cloned()
                .collect();
            if !chunks.is_empty() {
                closed.push((id, chunks));
            }
        }
        closed
    }

    /// Drops the chunks that [`Head::close_window`] returned: the first chunks of the window, by series.
    pub fn drop_window(&mut self, dropped: UnixMillis, closed: &[(SeriesId, Vec<Arc<Chunk>>)]) {
        let mut samples = 0;
        for (id, chunks) in closed {
            let Some(Some(series)) = self.series.get_mut(id.index()) else {
                continue;
            };
            let mut left = chunks.len();
            samples += discard(series, &mut self.bytes, |chunk| {
                let goes = left > 0 && block_start(chunk.span.first) == dropped;
                left -= usize::from(goes);
                goes
            });
        }
        self.subtract_from_window(dropped, samples);
    }

    /// Drops all chunks that end before `before`, and tails only as a whole. Returns the number of samples.
    pub fn evict(&mut self, before: UnixMillis) -> u64 {
        let mut evicted = 0;
        let mut by_window: BTreeMap<UnixMillis, u64> = BTreeMap::new();
        for series in self.series.iter_mut().flatten() {
            let tail = series.tail.span();
            let ended = tail.is_some_and(|tail| tail.last < before);
            if ended && series.seal() {
                self.bytes += CHUNK_OVERHEAD;
            }
            let samples = discard(series, &mut self.bytes, |chunk| {
                let goes = chunk.span.last < before;
                if goes {
                    *by_window.entry(block_start(chunk.span.first)).or_default() +=
                        chunk.count() as u64;
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

    fn subtract_from_window(&mut self, start: UnixMillis, samples: u64) {
        let Some(&Window {
            samples: before,
            late,
            ..
        }) = self.windows.get(&start)
        else {
            return;
        };
        let samples = before.saturating_sub(samples);
        if samples == 0 {
            self.windows.remove(&start);
            return;
        }
        let span = self.span_in(start);
        self.windows.insert(
            start,
            Window {
                samples,
                span,
                late,
            },
        );
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

/// Drops the chunks for which `drops` is true. Returns the number of their samples.
fn discard(series: &mut Series, bytes: &mut usize, mut drops: impl FnMut(&Chunk) -> bool) -> u64 {
    let mut samples = 0;
    let mut chunks = std::mem::take(&mut series.chunks).into_vec();
    chunks.retain(|chunk| {
        let dropped = drops(chunk);
        if dropped {
            samples += chunk.count() as u64;
            *bytes = bytes.saturating_sub(chunk.bytes());
        }
        !dropped
    });
    series.chunks = chunks.into_boxed_slice();
    samples
}
