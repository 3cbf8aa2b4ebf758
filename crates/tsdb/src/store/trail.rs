//! What ties the rows of a family to their series in history.

use bellwether_core::LabelValues;
use bellwether_exposition::SeriesNames;

use crate::history::{History, SeriesRef};

/// The series of each row. Asked of history when a row first has a value; where history has no room
/// for one, which it counts, at the next value again.
#[derive(Clone, Debug)]
pub(super) struct Trail {
    names: SeriesNames,
    /// Flat, as many per slot as a row has series.
    series: Vec<Option<SeriesRef>>,
}

/// Samples on their way to history.
pub(super) type Remembered = Vec<(SeriesRef, f64)>;

impl Trail {
    pub(super) fn new(names: SeriesNames) -> Self {
        Self {
            names,
            series: Vec::new(),
        }
    }

    /// What the series are called.
    pub(super) fn names(&self) -> &SeriesNames {
        &self.names
    }

    /// Adds the row in `slot` to `samples`.
    pub(super) fn follow(
        &mut self,
        slot: usize,
        labels: &LabelValues,
        row: &[f64],
        history: &History,
        samples: &mut Remembered,
    ) {
        let width = self.names.numbers().len();
        if self.series.len() < (slot + 1) * width {
            self.series.resize((slot + 1) * width, None);
        }
        let series = &mut self.series[slot * width..][..width];
        for (index, (number, series)) in self.names.numbers().zip(series).enumerate() {
            if series.is_none() {
                *series = history.series_ref(&self.names.label_set(index, labels));
            }
            samples.extend(series.map(|series| (series, row[number])));
        }
    }

    /// Forgets the series of `slot`, and hands them out.
    pub(super) fn leave(&mut self, slot: usize) -> impl Iterator<Item = SeriesRef> {
        let width = self.names.numbers().len();
        let end = self.series.len();
        let row = (slot * width).min(end)..((slot + 1) * width).min(end);
        self.series[row].iter_mut().filter_map(Option::take)
    }

    /// Takes over the series of `old`, if they are called the same.
    pub(super) fn adopt(&mut self, old: &Trail) {
        if self.names == old.names {
            self.series.clone_from(&old.series);
        }
    }
}
