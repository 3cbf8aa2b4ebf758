//! Recent samples of one series, oldest first, in contiguous memory.

use std::time::Duration;

use bellwether_core::{LabelValues, MonoMillis};

use super::recall::Recalled;

/// The windows of a family's series, by slot.
#[derive(Clone, Debug, Default)]
pub(super) struct Windows {
    /// How far back samples are kept.
    keep: Duration,
    of: Vec<Window>,
    /// From history, for series that are not there yet.
    recalled: Recalled,
    recalled_at: MonoMillis,
}

impl Windows {
    /// Keeps samples for at least so long.
    pub(super) fn keep(&mut self, keep: Duration) {
        self.keep = self.keep.max(keep);
    }

    /// How far back samples are kept.
    pub(super) fn kept(&self) -> Duration {
        self.keep
    }

    /// Has a window for each of so many slots.
    pub(super) fn resize(&mut self, slots: usize) {
        self.of.resize_with(slots, Window::default);
    }

    /// A series comes into `slot`; with what was recalled for it.
    pub(super) fn begin(&mut self, slot: usize, packed: &[u8]) {
        self.of[slot] = self.recalled.remove(packed).unwrap_or_default();
    }

    /// The series in `slot` goes.
    pub(super) fn end(&mut self, slot: usize) {
        self.of[slot] = Window::default();
    }

    /// As [`Window::push`].
    pub(super) fn push(&mut self, slot: usize, at: MonoMillis, numbers: &[f64]) -> bool {
        self.of[slot].push(at, numbers, at.before(self.keep))
    }

    /// As [`Window::since`].
    pub(super) fn since(&self, slot: usize, since: MonoMillis, width: usize) -> Samples<'_> {
        self.of[slot].since(since, width)
    }

    /// Takes over the samples of `old`, if it kept some.
    pub(super) fn adopt(&mut self, old: Option<&Windows>, slots: usize) {
        self.of = old.map(|old| old.of.clone()).unwrap_or_default();
        self.resize(slots);
    }

    /// Puts recalled samples before those of the series that are there, whose labels come by slot,
    /// and keeps the others for series that come.
    pub(super) fn recall<'a>(
        &mut self,
        labels: impl Iterator<Item = Option<&'a LabelValues>>,
        mut recalled: Recalled,
        width: usize,
        now: MonoMillis,
    ) {
        for (labels, window) in labels.zip(&mut self.of) {
            if let Some(older) = labels.and_then(|labels| recalled.remove(labels)) {
                window.precede(older, width);
            }
        }
        (self.recalled, self.recalled_at) = (recalled, now);
    }

    /// Gives up waiting for series that did not come within `limit`.
    pub(super) fn forget_recalled(&mut self, now: MonoMillis, limit: Duration) {
        if now.since(self.recalled_at) > limit {
            self.recalled = Recalled::new();
        }
    }
}

/// Samples that rules look back on. Both vectors are consumed from the front by moving `start`;
/// what lies before it is given back when room runs out, so a push is O(1) on average and a
/// reader gets plain slices.
#[derive(Clone, Debug, Default)]
pub(super) struct Window {
    times: Vec<MonoMillis>,
    numbers: Vec<f64>,
    start: usize,
}

impl Window {
    /// Appends a sample and forgets those older than `oldest`. A sample of the same moment as the
    /// last replaces it; an older one is refused: `false`.
    pub(super) fn push(&mut self, at: MonoMillis, numbers: &[f64], oldest: MonoMillis) -> bool {
        match self.times.last() {
            Some(last) if at < *last => return false,
            Some(last) if at == *last => {
                let row = self.numbers.len() - numbers.len();
                self.numbers[row..].copy_from_slice(numbers);
                return true;
            }
            _ => {}
        }
        self.start += self.times[self.start..].partition_point(|time| *time < oldest);
        if self.times.len() == self.times.capacity() {
            self.make_room(numbers.len());
        }
        self.times.push(at);
        self.numbers.extend_from_slice(numbers);
        true
    }

    /// Puts what `older` has from before its own first sample in front.
    pub(super) fn precede(&mut self, mut older: Window, width: usize) {
        if let Some(first) = self.times.get(self.start) {
            let end = older.times.partition_point(|time| time < first);
            older.times.truncate(end);
            older.numbers.truncate(end * width);
        }
        older.times.extend_from_slice(&self.times[self.start..]);
        older
            .numbers
            .extend_from_slice(&self.numbers[self.start * width..]);
        *self = older;
    }

    fn make_room(&mut self, width: usize) {
        self.times.drain(..self.start);
        self.numbers.drain(..self.start * width);
        self.start = 0;
        let spare = self.times.capacity() - self.times.len();
        let wanted = (self.times.len() / 4).max(4);
        if spare < wanted {
            self.times.reserve_exact(wanted);
            self.numbers.reserve_exact(wanted * width);
        }
    }

    /// The samples taken at `since` or later.
    pub(super) fn since(&self, since: MonoMillis, width: usize) -> Samples<'_> {
        let start = self.start + self.times[self.start..].partition_point(|time| *time < since);
        Samples {
            times: &self.times[start..],
            numbers: &self.numbers[start * width..],
            width,
        }
    }
}

/// Samples of one series, oldest first. An iterator; the slices behind it can be read as well.
#[derive(Clone, Debug, Default)]
pub struct Samples<'a> {
    times: &'a [MonoMillis],
    numbers: &'a [f64],
    width: usize,
}

impl<'a> Samples<'a> {
    /// When the samples not yet iterated over were taken.
    #[must_use]
    pub fn times(&self) -> &'a [MonoMillis] {
        self.times
    }

    /// Their numbers, row after row of the metric's width; of a counter or a gauge: the values.
    #[must_use]
    pub fn numbers(&self) -> &'a [f64] {
        self.numbers
    }
}

impl<'a> Iterator for Samples<'a> {
    type Item = (MonoMillis, &'a [f64]);

    fn next(&mut self) -> Option<Self::Item> {
        let (time, times) = self.times.split_first()?;
        let (row, numbers) = self.numbers.split_at(self.width);
        (self.times, self.numbers) = (times, numbers);
        Some((*time, row))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.times.len(), Some(self.times.len()))
    }
}

impl DoubleEndedIterator for Samples<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        let (time, times) = self.times.split_last()?;
        let (numbers, row) = self.numbers.split_at(self.numbers.len() - self.width);
        (self.times, self.numbers) = (times, numbers);
        Some((*time, row))
    }
}

impl ExactSizeIterator for Samples<'_> {}
