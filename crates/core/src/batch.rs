//! Batches: the samples of one collection, and the error of a collection that failed.

use super::labels::pack;
use super::metric::MetricId;

/// Samples of one collection, by series. Label values and numbers are in two shared buffers, so
/// once these have grown, filling a batch allocates nothing; `clear` keeps them.
#[derive(Debug, Default)]
pub struct Batch {
    points: Vec<Entry>,
    labels: Vec<u8>,
    numbers: Vec<f64>,
}

#[derive(Debug)]
struct Entry {
    metric: MetricId,
    labels: (u32, u32),
    numbers: (u32, u32),
}

/// One series of a batch, and its values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point<'a> {
    /// Metric of the series.
    pub metric: MetricId,
    /// Packed label values; [`LabelValues::from_packed`](super::LabelValues::from_packed) reads them.
    pub labels: &'a [u8],
    /// Values in the order of [`MetricDef::width`](super::MetricDef::width).
    pub numbers: &'a [f64],
}

impl Batch {
    /// Adds a counter's total or a gauge's value. `labels` are in the order of the metric's definition.
    pub fn push(&mut self, metric: MetricId, labels: &[&str], value: f64) {
        self.push_numbers(metric, labels, &[value]);
    }

    /// Adds a series of any type. `numbers` are in the order of
    /// [`MetricDef::width`](super::MetricDef::width).
    pub fn push_numbers(&mut self, metric: MetricId, labels: &[&str], numbers: &[f64]) {
        let start = self.labels.len();
        pack(labels, &mut self.labels);
        self.push_entry(metric, start, numbers);
    }

    /// Adds a series whose label values are packed already, see [`pack`].
    pub fn push_packed(&mut self, metric: MetricId, labels: &[u8], numbers: &[f64]) {
        let start = self.labels.len();
        self.labels.extend_from_slice(labels);
        self.push_entry(metric, start, numbers);
    }

    fn push_entry(&mut self, metric: MetricId, labels_start: usize, numbers: &[f64]) {
        let numbers_start = self.numbers.len();
        self.numbers.extend_from_slice(numbers);
        self.points.push(Entry {
            metric,
            labels: (labels_start as u32, self.labels.len() as u32),
            numbers: (numbers_start as u32, self.numbers.len() as u32),
        });
    }

    /// Iterates over the series in the order in which they were added.
    pub fn iter(&self) -> impl Iterator<Item = Point<'_>> {
        self.points.iter().map(|entry| Point {
            metric: entry.metric,
            labels: &self.labels[entry.labels.0 as usize..entry.labels.1 as usize],
            numbers: &self.numbers[entry.numbers.0 as usize..entry.numbers.1 as usize],
        })
    }

    /// Returns the number of series.
    #[must_use]
    pub fn len(&self) -> usize {
        self.points.len()
    }

    /// Returns whether the batch has no series.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.points.is_empty()
    }

    /// Removes all series and keeps the buffers.
    pub fn clear(&mut self) {
        self.points.clear();
        self.labels.clear();
        self.numbers.clear();
    }
}

/// Error of a collection that failed, or failed in part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Reason, fit for a label: `timeout`, `panic`, `connect`, `auth`, `query`, `io` or `parse`.
    pub reason: &'static str,
    /// Message for the log and the API. It never has a secret.
    pub detail: String,
}

impl Failure {
    /// Creates a failure.
    pub fn new(reason: &'static str, detail: impl Into<String>) -> Self {
        Self {
            reason,
            detail: detail.into(),
        }
    }
}
