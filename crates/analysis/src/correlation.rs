//! Correlation of one series with others over a window, with lag.
//!
//! Each pair is compared in two ways. As levels: rank correlation of the residuals of a straight
//! line, so that two trends alone are no relation and outliers do not make one; it counts as many
//! independent cells as the persistence of the two series leaves (Bartlett 1946). And as changes:
//! correlation of the steps between cells, which finds a jump that two series share; a few jumps
//! are worth no more than the probability of their coincidence. The p-values of all pairs are
//! corrected for their number (Benjamini and Hochberg 1995).

mod grid;
mod pair;
#[cfg(test)]
mod tests;

use bellwether_core::LabelSet;
use bellwether_promql::SampledSeries;
pub use grid::Grid;
use pair::{Correlation, Prepared};

/// Minimum number of cells.
const FEWEST: usize = 20;
/// False discovery rate of significant results.
const WRONG: f64 = 0.05;

/// Kind of a correlation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// High and low at the same time.
    Levels,
    /// Changes at the same time.
    Changes,
}

impl Kind {
    /// Returns the name for the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Levels => "levels",
            Self::Changes => "changes",
        }
    }
}

/// A correlated series.
#[derive(Clone, Debug, PartialEq)]
pub struct Related {
    /// Labels of the series.
    pub labels: LabelSet,
    /// Coefficient, -1 to 1.
    pub coefficient: f64,
    /// Cells by which it follows the target; negative if it precedes it.
    pub lag: i64,
    /// Kind of the correlation.
    pub kind: Kind,
    /// Corrected p-value.
    pub p_value: f64,
    /// True if significant: 1 in 20 of the significant ones is not related.
    pub significant: bool,
}

/// Result of a comparison.
#[derive(Clone, Debug, PartialEq)]
pub struct Correlations {
    /// Correlated series, lowest p-value first.
    pub related: Vec<Related>,
    /// Number of series compared.
    pub compared: usize,
    /// Number of series skipped: constant, or without samples in half of the cells.
    pub left_out: usize,
}

/// Error of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoCorrelation {
    /// The target has no samples in half of the cells.
    #[error("too few samples: at least half of the window has none")]
    TooFewSamples,
    /// The target is constant, or a straight line.
    #[error("the series is constant or a straight line, so nothing can correlate with it")]
    Constant,
    /// The window is too short.
    #[error("the window is too short: {have} steps; {FEWEST} are needed")]
    TooShort {
        /// Number of cells.
        have: usize,
    },
}

/// Returns the `top` of `others` with the lowest p-values of a correlation with `target` on `grid`,
/// with a lag of up to `max_lag` cells. Skips `target` among `others`.
///
/// # Errors
/// `target` cannot be compared.
pub fn correlate(
    target: &SampledSeries,
    others: &[SampledSeries],
    grid: Grid,
    max_lag: usize,
    top: usize,
) -> Result<Correlations, NoCorrelation> {
    let max_lag = max_lag.min(grid.cells / 4);
    if grid.cells < FEWEST {
        return Err(NoCorrelation::TooShort { have: grid.cells });
    }
    let cells = grid.fill(target).ok_or(NoCorrelation::TooFewSamples)?;
    let target_cells = Prepared::new(&cells).ok_or(NoCorrelation::Constant)?;
    let (mut found, mut left_out) = (Vec::new(), 0);
    for other in others.iter().filter(|other| other.labels != target.labels) {
        match grid.fill(other).and_then(|cells| Prepared::new(&cells)) {
            Some(prepared) => {
                found.push((
                    other,
                    Correlation::between(&target_cells, &prepared, max_lag),
                ));
            }
            None => left_out += 1,
        }
    }
    found.sort_by(|a, b| by_p_value(&a.1, &b.1).then_with(|| a.0.labels.cmp(&b.0.labels)));
    let compared = found.len();
    let p_values = corrected(found.iter().map(|(_, found)| found.p_value));
    let related = found
        .iter()
        .zip(p_values)
        .take(top)
        .map(|((other, found), p_value)| Related {
            labels: other.labels.clone(),
            coefficient: found.coefficient,
            lag: found.lag,
            kind: found.kind,
            p_value,
            significant: p_value <= WRONG,
        });
    Ok(Correlations {
        related: related.collect(),
        compared,
        left_out,
    })
}

/// Compares by p-value, then by strength.
fn by_p_value(a: &Correlation, b: &Correlation) -> std::cmp::Ordering {
    a.p_value
        .total_cmp(&b.p_value)
        .then(b.coefficient.abs().total_cmp(&a.coefficient.abs()))
}

/// Benjamini and Hochberg: converts ascending p-values to the false discovery rates at which each
/// would be significant.
fn corrected(p_values: impl ExactSizeIterator<Item = f64>) -> Vec<f64> {
    let count = p_values.len() as f64;
    let mut corrected: Vec<f64> = p_values
        .enumerate()
        .map(|(index, p_value)| p_value * count / (index + 1) as f64)
        .collect();
    let mut least = 1.0_f64;
    for p_value in corrected.iter_mut().rev() {
        least = least.min(*p_value);
        *p_value = least;
    }
    corrected
}
