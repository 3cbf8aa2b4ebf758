//! What a collector fills and the store takes.

use super::labels::pack;
use super::metric::MetricId;

/// Points of one collection. Label values and numbers lie in two shared buffers, so filling one
/// costs no allocation per point once the buffers have grown; `clear` keeps them.
#[derive(Debug, Default)]
pub struct Batch {
    points: Vec<Raw>,
    labels: Vec<u8>,
    numbers: Vec<f64>,
}

#[derive(Debug)]
struct Raw {
    metric: MetricId,
    labels: (u32, u32),
    numbers: (u32, u32),
}

/// One series and its numbers, as read back from a batch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point<'a> {
    /// Which metric.
    pub metric: MetricId,
    /// Packed label values, as [`super::LabelValues`] holds them.
    pub labels: &'a [u8],
    /// As many numbers as [`super::MetricDef::width`] says, in its order.
    pub numbers: &'a [f64],
}

impl Batch {
    /// Adds a counter's total or a gauge's value. `labels` in the order of the declaration.
    pub fn push(&mut self, metric: MetricId, labels: &[&str], value: f64) {
        self.push_numbers(metric, labels, &[value]);
    }

    /// Adds a series of any type; `numbers` as [`super::MetricDef::width`] orders them.
    pub fn push_numbers(&mut self, metric: MetricId, labels: &[&str], numbers: &[f64]) {
        let start = self.labels.len();
        pack(labels, &mut self.labels);
        self.finish(metric, start, numbers);
    }

    /// Adds a series whose label values are packed already.
    pub fn push_packed(&mut self, metric: MetricId, labels: &[u8], numbers: &[f64]) {
        let start = self.labels.len();
        self.labels.extend_from_slice(labels);
        self.finish(metric, start, numbers);
    }

    fn finish(&mut self, metric: MetricId, labels_start: usize, numbers: &[f64]) {
        let numbers_start = self.numbers.len();
        self.numbers.extend_from_slice(numbers);
        self.points.push(Raw {
            metric,
            labels: (labels_start as u32, self.labels.len() as u32),
            numbers: (numbers_start as u32, self.numbers.len() as u32),
        });
    }

    /// The points in the order they were added.
    pub fn iter(&self) -> impl Iterator<Item = Point<'_>> {
        self.points.iter().map(|raw| Point {
            metric: raw.metric,
            labels: &self.labels[raw.labels.0 as usize..raw.labels.1 as usize],
            numbers: &self.numbers[raw.numbers.0 as usize..raw.numbers.1 as usize],
        })
    }

    /// Number of points.
    #[must_use]
    pub fn len(&self) -> usize {
        self.points.len()
    }

    /// Whether there is no point.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.points.is_empty()
    }

    /// Forgets the points and keeps the buffers.
    pub fn clear(&mut self) {
        self.points.clear();
        self.labels.clear();
        self.numbers.clear();
    }
}

/// Why a collection did not succeed, or only in part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// One of a small fixed set of words, fit for a label: `timeout`, `panic`, `connect`, `auth`,
    /// `query`, `io`, `parse`.
    pub reason: &'static str,
    /// What happened, for the log and the API; never holds a secret.
    pub detail: String,
}

impl Failure {
    /// Makes a failure.
    pub fn new(reason: &'static str, detail: impl Into<String>) -> Self {
        Self {
            reason,
            detail: detail.into(),
        }
    }
}
