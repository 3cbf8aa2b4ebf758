//! Windows: recent samples of a series, oldest first, in contiguous memory.

use std::time::Duration;

use bellwether_core::{MonoMillis, PackedLabels};

use super::warm_up::Backfill;

/// Windows of the series of a family, by slot.
#[derive(Clone, Debug, Default)]
pub(super) struct Windows {
    /// Length of the windows.
    keep: Duration,
    windows: Vec<Window>,
    /// Windows from history, for series that do not exist yet.
    backfill: Backfill,
    backfilled_at: MonoMillis,
}

impl Windows {
    /// Extends the windows to at least this length.
    pub(super) fn extend_to(&mut self, keep: Duration) {
        self.keep = self.keep.max(keep);
    }

    /// Returns the length of the windows.
    pub(super) fn length(&self) -> Duration {
        self.keep
    }

    /// Resizes to this number of slots.
    pub(super) fn resize(&mut self, slots: usize) {
        self.windows.resize_with(slots, Window::default);
    }

    /// Begins a series in `slot`, with its backfill.
    pub(super) fn begin(&mut self, slot: usize, packed: &[u8]) {
        self.windows[slot] = self.backfill.remove(packed).unwrap_or_default();
    }

    /// Ends the series in `slot`.
    pub(super) fn end(&mut self, slot: usize) {
        self.windows[slot] = Window::default();
    }

    /// As [`Window::push`].
    pub(super) fn push(&mut self, slot: usize, at: MonoMillis, values: &[f64]) -> bool {
        self.windows[slot].push(at, values, at.before(self.keep))
    }

    /// As [`Window::since`].
    pub(super) fn since(&self, slot: usize, since: MonoMillis, width: usize) -> Samples<'_> {
        self.windows[slot].since(since, width)
    }

    /// Copies the samples of `old`, if it has some.
    pub(super) fn adopt(&mut self, old: Option<&Windows>, slots: usize) {
        self.windows = old.map(|old| old.windows.clone()).unwrap_or_default();
        self.resize(slots);
    }

    /// Prepends the backfill to the windows of existing series, whose labels are given by slot, and retains
    /// the rest for series that appear later.
    pub(super) fn warm_up<'a>(
        &mut self,
        labels: impl Iterator<Item = Option<PackedLabels<'a>>>,
        mut backfill: Backfill,
        width: usize,
        now: MonoMillis,
    ) {
        for (labels, window) in labels.zip(&mut self.windows) {
            if let Some(older) = labels.and_then(|labels| backfill.remove(labels.packed())) {
                window.precede(older, width);
            }
        }
        (self.backfill, self.backfilled_at) = (backfill, now);
    }

    /// Drops the backfill of series that did not appear within `limit`.
    pub(super) fn expire_backfill(&mut self, now: MonoMillis, limit: Duration) {
        if now.since(self.backfilled_at) > limit {
            self.backfill = Backfill::new();
        }
    }
}

/// Recent samples of one series. Both vectors are consumed from the front by moving `start`, and compacted
/// when their capacity is used up, so that a push is O(1) on average and readers get plain slices.
#[derive(Clone, Debug, Default)]
pub(super) struct Window {
    times: Vec<MonoMillis>,
    values: Vec<f64>,
    start: usize,
}

impl Window {
    /// Appends a sample and drops those older than `oldest`. A sample at the time of the last one replaces it;
    /// an older one is rejected, and the result is `false`.
    pub(super) fn push(&mut self, at: MonoMillis, values: &[f64], oldest: MonoMillis) -> bool {
        match self.times.last() {
            Some(last) if at < *last => return false,
            Some(last) if at == *last => {
                let row = self.values.len() - values.len();
                self.values[row..].copy_from_slice(values);
                return true;
            }
            _ => {}
        }
        self.start += self.times[self.start..].partition_point(|time| *time < oldest);
        if self.times.len() == self.times.capacity() {
            self.make_room(values.len());
        }
        self.times.push(at);
        self.values.extend_from_slice(values);
        true
    }

    /// Prepends the samples of `older` that are before the first own sample.
    pub(super) fn precede(&mut self, mut older: Window, width: usize) {
        if let Some(first) = self.times.get(self.start) {
            let end = older.times.partition_point(|time| time < first);
            older.times.truncate(end);
            older.values.truncate(end * width);
        }
        older.times.extend_from_slice(&self.times[self.start..]);
        older
            .values
            .extend_from_slice(&self.values[self.start * width..]);
        *self = older;
    }

    fn make_room(&mut self, width: usize) {
        self.times.drain(..self.start);
        self.values.drain(..self.start * width);
        self.start = 0;
        let spare = self.times.capacity() - self.times.len();
        let wanted = (self.times.len() / 4).max(4);
        if spare < wanted {
            self.times.reserve_exact(wanted);
            self.values.reserve_exact(wanted * width);
        }
    }

    /// Returns the samples at `since` or later.
    pub(super) fn since(&self, since: MonoMillis, width: usize) -> Samples<'_> {
        let start = self.start + self.times[self.start..].partition_point(|time| *time < since);
        Samples {
            times: &self.times[start..],
            values: &self.values[start * width..],
            width,
        }
    }
}

/// Samples of one series, oldest first: an iterator, with access to the slices behind it.
#[derive(Clone, Debug, Default)]
pub struct Samples<'a> {
    times: &'a [MonoMillis],
    values: &'a [f64],
    width: usize,
}

impl<'a> Samples<'a> {
    /// Returns the times of the remaining samples.
    #[must_use]
    pub fn times(&self) -> &'a [MonoMillis] {
        self.times
    }

    /// Returns the values of the remaining samples, in rows of the metric's width; for a counter or a gauge,
    /// the values.
    #[must_use]
    pub fn values(&self) -> &'a [f64] {
        self.values
    }
}

impl<'a> Iterator for Samples<'a> {
    type Item = (MonoMillis, &'a [f64]);

    fn next(&mut self) -> Option<Self::Item> {
        let (time, times) = self.times.split_first()?;
        let (row, values) = self.values.split_at(self.width);
        (self.times, self.values) = (times, values);
        Some((*time, row))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.times.len(), Some(self.times.len()))
    }
}

impl DoubleEndedIterator for Samples<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        let (time, times) = self.times.split_last()?;
        let (values, row) = self.values.split_at(self.values.len() - self.width);
        (self.times, self.values) = (times, values);
        Some((*time, row))
    }
}

impl ExactSizeIterator for Samples<'_> {}
