//! Sums, means, variances and quantiles of floats, without the loss of small numbers beside large ones.

/// Kahan summation in the variant of Neumaier, as in Prometheus (util/kahansum).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sum {
    sum: f64,
    lost: f64,
}

impl Sum {
    pub(super) fn of(sum: f64, lost: f64) -> Self {
        Self { sum, lost }
    }

    pub(super) fn add(&mut self, value: f64) {
        let total = self.sum + value;
        if total.is_infinite() {
            self.lost = 0.0;
        } else if self.sum.abs() >= value.abs() {
            self.lost += (self.sum - total) + value;
        } else {
            self.lost += (value - total) + self.sum;
        }
        self.sum = total;
    }

    pub(super) fn total(self) -> f64 {
        if self.sum.is_infinite() {
            self.sum
        } else {
            self.sum + self.lost
        }
    }
}

/// Mean, which is computed incrementally once the sum would overflow.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Mean {
    /// The sum, or the mean once incremental.
    sum: Sum,
    count: f64,
    incremental: bool,
}

impl Mean {
    pub(super) fn add(&mut self, value: f64) {
        self.count += 1.0;
        if !self.incremental {
            let mut next = self.sum;
            next.add(value);
            if self.count == 1.0 || !next.sum.is_infinite() {
                self.sum = next;
                return;
            }
            self.incremental = true;
            let before = self.count - 1.0;
            self.sum = Sum::of(self.sum.sum / before, self.sum.lost / before);
        }
        let kept = (self.count - 1.0) / self.count;
        self.sum = Sum::of(kept * self.sum.sum, kept * self.sum.lost);
        self.sum.add(value / self.count);
    }

    pub(super) fn mean(self) -> f64 {
        if self.incremental {
            return self.sum.total();
        }
        match self.sum.sum.is_infinite() {
            true => self.sum.sum / self.count,
            false => self.sum.sum / self.count + self.sum.lost / self.count,
        }
    }
}

/// Variance in one pass, by Welford's algorithm.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Spread {
    mean: Sum,
    squares: Sum,
    count: f64,
}

impl Spread {
    pub(super) fn add(&mut self, value: f64) {
        self.count += 1.0;
        let delta = value - self.mean.total();
        self.mean.add(delta / self.count);
        self.squares.add(delta * (value - self.mean.total()));
    }

    /// Returns the population variance.
    pub(super) fn variance(self) -> f64 {
        self.squares.total() / self.count
    }
}

/// Returns the `q`-quantile of `values`, interpolated between neighbours; NaN is the least. Sorts
/// `values`.
pub(super) fn quantile(q: f64, values: &mut [f64]) -> f64 {
    if values.is_empty() || q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    values.sort_unstable_by(|a, b| order(*a, *b));
    let rank = q * (values.len() - 1) as f64;
    let lower = rank.floor() as usize;
    let upper = (lower + 1).min(values.len() - 1);
    let weight = rank - rank.floor();
    // No multiplication by zero: a neighbour may be infinite.
    if weight == 0.0 {
        return values[lower];
    }
    values[lower] * (1.0 - weight) + values[upper] * weight
}

/// Orders ascending, NaN first.
pub(super) fn order(a: f64, b: f64) -> std::cmp::Ordering {
    a.partial_cmp(&b)
        .unwrap_or_else(|| b.is_nan().cmp(&a.is_nan()))
}
