//! Robust linear regression.

/// Factor from a median absolute deviation to a standard deviation, for normal values.
const NORMAL: f64 = 1.4826;
/// Number of parts of the points whose slopes are compared.
const QUARTERS: usize = 4;

/// A line with its errors.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Line {
    /// Slope per unit of x.
    pub(crate) slope: f64,
    /// Mean of the points' x, where the error is the smallest.
    pub(super) centre: f64,
    /// Value at the center.
    pub(super) level: f64,
    /// Standard error of the slope, with autocorrelated points.
    pub(crate) slope_error: f64,
    /// Standard error of the level.
    pub(super) level_error: f64,
    /// Standard deviation of the points around the line.
    pub(super) spread: f64,
    /// Effective number of independent points, less two.
    pub(super) freedom: f64,
}

impl Line {
    /// Fits by Theil-Sen: the median of the slopes between all pairs. Needs three points in
    /// ascending order of x.
    pub(crate) fn through(x: &[f64], y: &[f64]) -> Self {
        let slope = median_slope(x, y);
        let count = x.len() as f64;
        let centre = x.iter().sum::<f64>() / count;
        let mut offsets: Vec<f64> = residuals(x, y, slope, centre, 0.0);
        let level = median(&mut offsets);
        let mut rests = residuals(x, y, slope, centre, level);
        tame(&mut rests);
        let spread = (rests.iter().map(|rest| rest * rest).sum::<f64>() / (count - 2.0)).sqrt();
        let relation = relation(&rests);
        let worth = (count * (1.0 - relation) / (1.0 + relation)).max(3.0);
        let width = x.iter().map(|x| (x - centre).powi(2)).sum::<f64>() / count;
        Self {
            slope,
            centre,
            level,
            slope_error: spread / (worth * width).sqrt(),
            level_error: spread / worth.sqrt(),
            spread,
            freedom: worth - 2.0,
        }
    }

    /// Returns the line with the errors of a slope that changes as it did between the quarters of
    /// the points, until x is `until`.
    pub(super) fn at_its_paces(self, x: &[f64], y: &[f64], until: f64) -> Self {
        let quarter = x.len() / QUARTERS;
        let (Some(first), Some(last), true) = (x.first(), x.last(), quarter >= 3) else {
            return self;
        };
        let paces: [f64; QUARTERS] = std::array::from_fn(|number| {
            let end = if number + 1 == QUARTERS {
                x.len()
            } else {
                (number + 1) * quarter
            };
            let range = number * quarter..end;
            median_slope(&x[range.clone()], &y[range])
        });
        let (count, length) = (QUARTERS as f64, (last - first) / QUARTERS as f64);
        let mean = paces.iter().sum::<f64>() / count;
        let variance = paces.iter().map(|pace| (pace - mean).powi(2)).sum::<f64>() / (count - 1.0);
        // That of the mean so far, and of the mean of as many quarters as are ahead.
        let ahead = (until - last).max(length) / length;
        let changes = (variance * (1.0 / count + 1.0 / ahead)).sqrt();
        let freedom = if changes > self.slope_error {
            self.freedom.min(count - 1.0)
        } else {
            self.freedom
        };
        Self {
            slope_error: self.slope_error.hypot(changes),
            freedom,
            ..self
        }
    }

    /// Returns whether the `last` value is off the line by far more than others were, against the
    /// direction of `sign`: a rise that has ended.
    pub(super) fn left_by(&self, x: &[f64], y: &[f64], last: f64, sign: f64) -> bool {
        let mut sizes = residuals(x, y, self.slope, self.centre, self.level);
        sizes.iter_mut().for_each(|rest| *rest = rest.abs());
        let usual = NORMAL * median(&mut sizes);
        let (Some(first), Some(end)) = (x.first(), x.last()) else {
            return false;
        };
        let rise = (self.slope * (end - first)).abs();
        sign * (self.at(*end) - last) > (10.0 * usual).max(0.3 * rise)
    }

    /// Returns whether a point is as near to the line as most are.
    pub(super) fn holds(&self, x: f64, y: f64) -> bool {
        (y - self.at(x)).abs() <= 2.0 * self.spread
    }

    /// Returns the value at `x`.
    pub(super) fn at(&self, x: f64) -> f64 {
        self.level + self.slope * (x - self.centre)
    }
}

fn median_slope(x: &[f64], y: &[f64]) -> f64 {
    let mut slopes = Vec::with_capacity(x.len() * (x.len() - 1) / 2);
    for (later, (x_later, y_later)) in x.iter().zip(y).enumerate() {
        let earlier = x[..later].iter().zip(&y[..later]);
        slopes.extend(earlier.map(|(x, y)| (y_later - y) / (x_later - x)));
    }
    median(&mut slopes)
}

fn residuals(x: &[f64], y: &[f64], slope: f64, centre: f64, level: f64) -> Vec<f64> {
    x.iter()
        .zip(y)
        .map(|(x, y)| y - level - slope * (x - centre))
        .collect()
}

/// Clips outliers, so that they neither widen the interval nor hide the autocorrelation.
fn tame(rests: &mut [f64]) {
    let mut sizes: Vec<f64> = rests.iter().map(|rest| rest.abs()).collect();
    let limit = 4.0 * NORMAL * median(&mut sizes);
    for rest in rests {
        *rest = rest.clamp(-limit, limit);
    }
}

/// Returns the autocorrelation of residuals at lag 1, 0 to 0.99.
fn relation(rests: &[f64]) -> f64 {
    let power: f64 = rests.iter().map(|rest| rest * rest).sum();
    let along: f64 = rests.windows(2).map(|two| two[0] * two[1]).sum();
    if power > 0.0 {
        (along / power).clamp(0.0, 0.99)
    } else {
        0.0
    }
}

/// Returns the median; NaN if empty. Reorders the values.
pub(crate) fn median(values: &mut [f64]) -> f64 {
    let middle = values.len() / 2;
    if values.is_empty() {
        return f64::NAN;
    }
    let odd = values.len() % 2 == 1;
    let (below, upper, _) = values.select_nth_unstable_by(middle, f64::total_cmp);
    if odd {
        return *upper;
    }
    let lower = below.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    lower / 2.0 + *upper / 2.0
}

/// Returns the index of the first point after a change of level or slope that explains nearly all
/// of the residuals of a single line. Points before it do not help a forecast.
pub(super) fn change(x: &[f64], y: &[f64], shortest: usize) -> Option<usize> {
    /// Share of the squared residuals of one line that two lines may leave. A random walk rarely
    /// gets there, and neither does a sawtooth with three or more teeth.
    const MAX_REMAINING: f64 = 0.2;
    let sums = Sums::new(x, y);
    let whole = sums.residual(0, x.len());
    let last = x.len().checked_sub(shortest)?;
    let (rest, at) = (shortest..=last)
        .map(|at| (sums.residual(0, at) + sums.residual(at, x.len()), at))
        .min_by(|a, b| a.0.total_cmp(&b.0))?;
    (rest < MAX_REMAINING * whole && whole > 1e-12).then_some(at)
}

/// Running sums, for the residuals of a least-squares line over any range.
struct Sums(Vec<[f64; 6]>);

impl Sums {
    fn new(x: &[f64], y: &[f64]) -> Self {
        let mut sums = vec![[0.0; 6]];
        let mut sum = [0.0; 6];
        for (x, y) in x.iter().zip(y) {
            for (sum, term) in sum.iter_mut().zip([1.0, *x, *y, x * x, x * y, y * y]) {
                *sum += term;
            }
            sums.push(sum);
        }
        Self(sums)
    }

    /// Returns the sum of squared residuals of the least-squares line through the points
    /// `from..to`.
    fn residual(&self, from: usize, to: usize) -> f64 {
        let (below, above) = (&self.0[from], &self.0[to]);
        let [n, x, y, xx, xy, yy] = std::array::from_fn(|term| above[term] - below[term]);
        let (xx, xy, yy) = (xx - x * x / n, xy - x * y / n, yy - y * y / n);
        if xx > 0.0 {
            (yy - xy * xy / xx).max(0.0)
        } else {
            yy.max(0.0)
        }
    }
}
