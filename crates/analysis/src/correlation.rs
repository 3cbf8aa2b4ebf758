//! What moved together: one series against the others over a window, with lag.
//!
//! Each pair is looked at in two ways. As levels: rank correlation of what a straight line leaves,
//! so that two trends alone are no relation and outliers do not make one; it counts as many
//! independent cells as the two series' own persistence leaves (Bartlett 1946). And as changes:
//! correlation of the steps from cell to cell, which sees a jump that two series share; a few
//! jumps are worth no more than the chance of their falling together. The chances of all pairs
//! are corrected for their number (Benjamini and Hochberg 1995).

mod grid;
mod pair;
#[cfg(test)]
mod tests;

use bellwether_core::LabelSet;
use bellwether_promql::SampledSeries;
pub use grid::Grid;
use pair::{Found, Prepared};

/// Cells there must be at the least.
const FEWEST: usize = 20;
/// Share of wrong ones among those called significant.
const WRONG: f64 = 0.05;

/// What two series share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// They are high and low at the same time.
    Levels,
    /// They change at the same time.
    Changes,
}

impl Kind {
    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Levels => "levels",
            Self::Changes => "changes",
        }
    }
}

/// One series that moved with the one asked about.
#[derive(Clone, Debug, PartialEq)]
pub struct Related {
    /// Which.
    pub labels: LabelSet,
    /// -1 to 1; negative: one goes up when the other goes down.
    pub coefficient: f64,
    /// Cells by which it follows the one asked about; negative: it moves before.
    pub lag: i64,
    /// What they share.
    pub kind: Kind,
    /// Chance of such a relation among unrelated series, corrected for how many were compared.
    pub chance: f64,
    /// Whether that is small enough: of those called significant 1 in 20 is not related.
    pub significant: bool,
}

/// The answer, and what it cost.
#[derive(Clone, Debug, PartialEq)]
pub struct Correlations {
    /// The strongest, those that chance makes the least first.
    pub related: Vec<Related>,
    /// Series compared.
    pub compared: usize,
    /// Series left out: constant, or without samples in half of the cells.
    pub left_out: usize,
}

/// Why nothing can be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoCorrelation {
    /// The series asked about has no samples in half of the cells.
    #[error("too few samples: the series has none in half of the window or more")]
    TooFewSamples,
    /// It is constant, or a mere straight line.
    #[error("the series does not move: there is nothing that others could share")]
    Constant,
    /// The window is too short.
    #[error("the window is too short: {have} steps; {FEWEST} are needed")]
    TooShort {
        /// Cells there are.
        have: usize,
    },
}

/// The `top` of `others` that moved most surely with `target` on `grid`, up to `max_lag` cells
/// before or after it. `target` itself among `others` is passed over.
///
/// # Errors
/// Nothing can be compared with `target`.
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
                found.push((other, Found::between(&target_cells, &prepared, max_lag)));
            }
            None => left_out += 1,
        }
    }
    found.sort_by(|a, b| by_chance(&a.1, &b.1).then_with(|| a.0.labels.cmp(&b.0.labels)));
    let compared = found.len();
    let chances = corrected(found.iter().map(|(_, found)| found.chance));
    let related = found
        .iter()
        .zip(chances)
        .take(top)
        .map(|((other, found), chance)| Related {
            labels: other.labels.clone(),
            coefficient: found.coefficient,
            lag: found.lag,
            kind: found.kind,
            chance,
            significant: chance <= WRONG,
        });
    Ok(Correlations {
        related: related.collect(),
        compared,
        left_out,
    })
}

/// The least chance first; where it is too small to tell, the strongest.
fn by_chance(a: &Found, b: &Found) -> std::cmp::Ordering {
    a.chance
        .total_cmp(&b.chance)
        .then(b.coefficient.abs().total_cmp(&a.coefficient.abs()))
}

/// Benjamini and Hochberg: each of the ascending `chances` as the share of wrong ones there would
/// be if it were the last that counts.
fn corrected(chances: impl ExactSizeIterator<Item = f64>) -> Vec<f64> {
    let count = chances.len() as f64;
    let mut corrected: Vec<f64> = chances
        .enumerate()
        .map(|(index, chance)| chance * count / (index + 1) as f64)
        .collect();
    let mut least = 1.0_f64;
    for chance in corrected.iter_mut().rev() {
        least = least.min(*chance);
        *chance = least;
    }
    corrected
}
