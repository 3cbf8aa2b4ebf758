//! Resamples series to a common grid of times.

use std::time::Duration;

use bellwether_core::UnixMillis;
use bellwether_promql::SampledSeries;

/// Equal cells of a window of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid {
    /// Start of the first cell.
    pub from: UnixMillis,
    /// Length of a cell in milliseconds.
    pub step: i64,
    /// Number of cells.
    pub cells: usize,
}

impl Grid {
    /// Maximum number of cells: a day in cells of two minutes.
    const MOST: i64 = 720;

    /// Divides the window `from..to` into cells of at least `finest`, within the maximum number.
    #[must_use]
    pub fn over(from: UnixMillis, to: UnixMillis, finest: Duration) -> Self {
        let width = to.0.saturating_sub(from.0).max(0);
        let finest = u64::try_from(finest.as_millis()).unwrap_or(u64::MAX).max(1);
        let pieces = (width / Self::MOST).max(1).unsigned_abs().div_ceil(finest);
        let step = i64::try_from(pieces.saturating_mul(finest)).unwrap_or(i64::MAX);
        let cells = usize::try_from(width / step).unwrap_or(0);
        Self { from, step, cells }
    }

    /// Returns the mean of each cell; one without samples has that of the cell before. A counter is
    /// converted to its increase. `None` if less than half of the cells have samples.
    pub(super) fn fill(&self, series: &SampledSeries) -> Option<Vec<f64>> {
        let mut sums = vec![(0.0, 0_u32); self.cells];
        for (time, value) in series.times.iter().zip(&series.values) {
            let index = time.saturating_sub(self.from.0).div_euclid(self.step);
            let cell = usize::try_from(index)
                .ok()
                .and_then(|index| sums.get_mut(index));
            if let (Some(cell), true) = (cell, value.is_finite()) {
                cell.0 += value;
                cell.1 += 1;
            }
        }
        let with_samples = sums.iter().filter(|(_, count)| *count > 0).count();
        let first = sums.iter().find(|(_, count)| *count > 0)?;
        if with_samples * 2 < self.cells {
            return None;
        }
        let mut last = first.0 / f64::from(first.1);
        let filled = sums.iter().map(|(sum, count)| {
            if *count > 0 {
                last = sum / f64::from(*count);
            }
            last
        });
        Some(increases(filled.collect()))
    }
}

/// Converts values that never decrease to their differences; returns others unchanged.
fn increases(cells: Vec<f64>) -> Vec<f64> {
    if cells.windows(2).any(|two| two[1] < two[0]) {
        return cells;
    }
    let steps = cells.windows(2).map(|two| two[1] - two[0]);
    steps.clone().next().into_iter().chain(steps).collect()
}
