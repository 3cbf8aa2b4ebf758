//! Links from the rows of a family to their series in history.

use bellwether_core::{PackedLabels, reserve_tightly};
use bellwether_exposition::SeriesNames;

use crate::history::{History, SeriesId};

/// Series ids of each row. Requested from history at the first value of a row; if history is full, requested
/// again at the next value.
#[derive(Clone, Debug)]
pub(super) struct SeriesLinks {
    names: SeriesNames,
    /// One id per series of a row, row by row.
    series: Vec<Option<SeriesId>>,
}

/// Samples to be appended to history.
pub(super) type HistorySamples = Vec<(SeriesId, f64)>;

impl SeriesLinks {
    pub(super) fn new(names: SeriesNames) -> Self {
        Self {
            names,
            series: Vec::new(),
        }
    }

    /// Returns the names of the series.
    pub(super) fn names(&self) -> &SeriesNames {
        &self.names
    }

    /// Appends the row in `slot` to `samples`.
    pub(super) fn push_row(
        &mut self,
        slot: usize,
        labels: PackedLabels<'_>,
        row: &[f64],
        history: &History,
        samples: &mut HistorySamples,
    ) {
        let width = self.names.value_indices().len();
        let length = (slot + 1) * width;
        if self.series.len() < length {
            let missing = length - self.series.len();
            reserve_tightly(&mut self.series, missing);
            self.series.resize(length, None);
        }
        let series = &mut self.series[slot * width..][..width];
        for (index, (number, series)) in self.names.value_indices().zip(series).enumerate() {
            if series.is_none() {
                *series = history.series_id(&self.names.label_set(index, labels));
            }
            samples.extend(series.map(|series| (series, row[number])));
        }
    }

    /// Removes the links of `slot`, and returns them.
    pub(super) fn unlink(&mut self, slot: usize) -> impl Iterator<Item = SeriesId> {
        let width = self.names.value_indices().len();
        let end = self.series.len();
        let row = (slot * width).min(end)..((slot + 1) * width).min(end);
        self.series[row].iter_mut().filter_map(Option::take)
    }

    /// Copies the links of `old`, if the names are the same.
    pub(super) fn adopt(&mut self, old: &SeriesLinks) {
        if self.names == old.names {
            self.series.clone_from(&old.series);
        }
    }
}
