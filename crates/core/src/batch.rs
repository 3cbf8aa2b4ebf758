//! Batches: the samples of one collection, and the error of a collection that failed.

use super::label_table::reserve_tightly;
use super::labels::pack;
use super::metric::MetricId;
use super::series_batch::SeriesBatch;

/// Samples of one collection, by series of the configured metrics. Label values and samples are in two shared buffers, so
/// once these have grown, filling a batch allocates nothing; `clear` keeps them.
#[derive(Debug, Default)]
pub struct Batch {
    entries: Vec<Entry>,
    labels: Vec<u8>,
    values: Vec<f64>,
    /// Samples whose names and labels come with them, from a collector in the list `collectors`.
    pub series: SeriesBatch,
}

#[derive(Debug)]
struct Entry {
    metric: MetricId,
    /// Ends in the buffers; the start is the end of the entry before.
    labels_end: u32,
    values_end: u32,
}

/// Sample of a batch: the values of one series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample<'a> {
    /// Metric of the series.
    pub metric: MetricId,
    /// Packed label values; [`LabelValues::from_packed`](super::LabelValues::from_packed) reads them.
    pub labels: &'a [u8],
    /// Values in the order of [`MetricDef::width`](super::MetricDef::width).
    pub values: &'a [f64],
}

impl Batch {
    /// Adds a counter's total or a gauge's value. `labels` are in the order of the metric's definition.
    pub fn push(&mut self, metric: MetricId, labels: &[&str], value: f64) {
        self.push_values(metric, labels, &[value]);
    }

    /// Adds a series of any type. `values` are in the order of
    /// [`MetricDef::width`](super::MetricDef::width).
    pub fn push_values(&mut self, metric: MetricId, labels: &[&str], values: &[f64]) {
        pack(labels, &mut self.labels);
        self.push_entry(metric, values);
    }

    /// Adds a series whose label values are packed already, see [`pack`].
    pub fn push_packed(&mut self, metric: MetricId, labels: &[u8], values: &[f64]) {
        reserve_tightly(&mut self.labels, labels.len());
        self.labels.extend_from_slice(labels);
        self.push_entry(metric, values);
    }

    fn push_entry(&mut self, metric: MetricId, values: &[f64]) {
        reserve_tightly(&mut self.values, values.len());
        self.values.extend_from_slice(values);
        reserve_tightly(&mut self.entries, 1);
        self.entries.push(Entry {
            metric,
            labels_end: self.labels.len() as u32,
            values_end: self.values.len() as u32,
        });
    }

    /// Iterates over the series in the order in which they were added.
    pub fn iter(&self) -> impl Iterator<Item = Sample<'_>> {
        let (mut labels_start, mut values_start) = (0, 0);
        self.entries.iter().map(move |entry| {
            let labels_end = entry.labels_end as usize;
            let values_end = entry.values_end as usize;
            let labels = std::mem::replace(&mut labels_start, labels_end)..labels_end;
            let values = std::mem::replace(&mut values_start, values_end)..values_end;
            Sample {
                metric: entry.metric,
                labels: &self.labels[labels],
                values: &self.values[values],
            }
        })
    }

    /// Returns the number of series.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns whether the batch has no series.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Removes all series and keeps the buffers.
    pub fn clear(&mut self) {
        self.entries.clear();
        self.labels.clear();
        self.values.clear();
        self.series.clear();
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
