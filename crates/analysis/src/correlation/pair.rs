//! Correlation of two series on one grid.

use super::super::statistics::p_value_of_correlation;
use super::Kind;

/// A series prepared for comparisons.
pub(super) struct Prepared {
    levels: Scaled,
    changes: Scaled,
}

/// Values with mean 0 and norm 1.
struct Scaled {
    values: Vec<f64>,
    /// Autocorrelation at lags of 1, 2, ... cells.
    persistence: Vec<f64>,
    /// Effective number of values that make up nearly all of the movement: 1 for a single jump.
    moves: f64,
}

/// Strongest correlation of two series over all lags.
pub(super) struct Correlation {
    pub(super) coefficient: f64,
    pub(super) lag: i64,
    pub(super) kind: Kind,
    /// p-value over all lags.
    pub(super) p_value: f64,
}

impl Prepared {
    /// Prepares a series; `None` if it is constant or a straight line.
    pub(super) fn new(cells: &[f64]) -> Option<Self> {
        // The largest becomes 1, so that no square leaves the range of floats.
        let largest = cells
            .iter()
            .fold(0.0_f64, |largest, cell| largest.max(cell.abs()));
        let cells: Vec<f64> = cells
            .iter()
            .map(|cell| cell / largest.max(f64::MIN_POSITIVE))
            .collect();
        let changes = cells.windows(2).map(|two| two[1] - two[0]).collect();
        Some(Self {
            levels: Scaled::new(ranks(&without_line(&cells)))?,
            changes: Scaled::new(changes)?,
        })
    }
}

impl Scaled {
    fn new(mut values: Vec<f64>) -> Option<Self> {
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        values.iter_mut().for_each(|value| *value -= mean);
        let length = values.iter().map(|value| value * value).sum::<f64>().sqrt();
        // What rounding leaves of a constant is no movement.
        if length < 1e-9 * count.sqrt() {
            return None;
        }
        values.iter_mut().for_each(|value| *value /= length);
        let persistence = (1..=values.len() / 4)
            .map(|lag| product(&values[lag..], &values))
            .collect();
        let moves = 1.0 / values.iter().map(|value| value.powi(4)).sum::<f64>();
        Some(Self {
            values,
            persistence,
            moves,
        })
    }

    /// Returns the effective number of independent values of a comparison.
    fn worth(&self, other: &Self) -> f64 {
        let count = self.values.len() as f64;
        let both = self.persistence.iter().zip(&other.persistence).enumerate();
        let shared: f64 = both
            .map(|(lag, (a, b))| (1.0 - (lag + 1) as f64 / count) * a * b)
            .sum();
        (count / (1.0 + 2.0 * shared).max(1.0)).max(3.0)
    }
}

impl Correlation {
    pub(super) fn between(target: &Prepared, other: &Prepared, max_lag: usize) -> Self {
        let levels = Self::of(Kind::Levels, &target.levels, &other.levels, max_lag);
        let changes = Self::of(Kind::Changes, &target.changes, &other.changes, max_lag);
        let best = if changes.p_value <= levels.p_value {
            changes
        } else {
            levels
        };
        // Two looks have twice the chance to see what is not there. And where a few jumps make up
        // the whole movement, they may have fallen together by chance.
        let nearness = (2 * best.lag.unsigned_abs() + 1) as f64 / target.levels.values.len() as f64;
        let by_place = nearness
            .min(1.0)
            .powf(target.changes.moves.min(other.changes.moves));
        Self {
            p_value: (2.0 * best.p_value).min(1.0).max(by_place),
            ..best
        }
    }

    fn of(kind: Kind, target: &Scaled, other: &Scaled, max_lag: usize) -> Self {
        let (mut coefficient, mut at) = (0.0_f64, 0);
        let most = max_lag as i64;
        // From no lag outwards, so that of equal ones the nearest counts.
        for lag in (0..=most).flat_map(|lag| [lag, -lag]) {
            let shift = lag.unsigned_abs() as usize;
            let candidate = if lag < 0 {
                product(&target.values[shift..], &other.values)
            } else {
                product(&other.values[shift..], &target.values)
            };
            if candidate.abs() > coefficient.abs() + 1e-12 {
                (coefficient, at) = (candidate, lag);
            }
        }
        let worth = target.worth(other);
        let coefficient = coefficient.clamp(-1.0, 1.0);
        // Any of the lags may have made it by chance.
        let lags = (2 * max_lag + 1) as f64;
        let p_value = -(lags * (-p_value_of_correlation(coefficient, worth)).ln_1p()).exp_m1();
        Self {
            coefficient,
            lag: at,
            kind,
            p_value,
        }
    }
}

fn product(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Returns the residuals of a least-squares line.
fn without_line(cells: &[f64]) -> Vec<f64> {
    let count = cells.len() as f64;
    let centre = (count - 1.0) / 2.0;
    let mean = cells.iter().sum::<f64>() / count;
    let along: f64 = cells
        .iter()
        .enumerate()
        .map(|(x, y)| (x as f64 - centre) * y)
        .sum();
    let width = count * (count * count - 1.0) / 12.0;
    let slope = along / width;
    cells
        .iter()
        .enumerate()
        .map(|(x, y)| {
            let rest = y - mean - slope * (x as f64 - centre);
            // What rounding leaves of a straight line is no movement.
            if rest.abs() < 1e-12 { 0.0 } else { rest }
        })
        .collect()
}

/// Returns the rank of each value, 0 to 1; equal values share the mean of their ranks.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut ranks = vec![0.0; values.len()];
    let mut from = 0;
    while from < order.len() {
        let value = values[order[from]];
        let equal = order[from..]
            .iter()
            .take_while(|index| values[**index] == value)
            .count()
            .max(1);
        let shared = (from + (equal - 1) / 2) as f64 / values.len() as f64;
        order[from..from + equal]
            .iter()
            .for_each(|index| ranks[*index] = shared);
        from += equal;
    }
    ranks
}
