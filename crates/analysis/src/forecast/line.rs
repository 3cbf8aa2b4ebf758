//! A line through points that a few of them cannot turn.

/// Makes the median of sizes a standard deviation where they are of normal values.
const NORMAL: f64 = 1.4826;
/// Parts of the points whose paces are compared.
const QUARTERS: usize = 4;

/// A line, and how sure it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Line {
    /// Rise per unit of x.
    pub(crate) slope: f64,
    /// Mean of the points' x; the line is the surest there.
    pub(super) centre: f64,
    /// Its value at the centre.
    pub(super) level: f64,
    /// Standard error of the slope, points that follow one another counted as related.
    pub(crate) slope_error: f64,
    /// Standard error of the level.
    pub(super) level_error: f64,
    /// Standard deviation of the points around the line.
    pub(super) spread: f64,
    /// As many independent points as these are worth, less the two that a line takes.
    pub(super) freedom: f64,
}

impl Line {
    /// Theil-Sen: the median of the slopes between all pairs. Needs three points and ascending x.
    pub(crate) fn through(x: &[f64], y: &[f64]) -> Self {
        let slope = median_slope(x, y);
        let count = x.len() as f64;
        let centre = x.iter().sum::<f64>() / count;
        let mut offsets: Vec<f64> = rests(x, y, slope, centre, 0.0);
        let level = median(&mut offsets);
        let mut rests = rests(x, y, slope, centre, level);
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

    /// The same with the errors of a pace that changes as it did from quarter to quarter of the
    /// points, foreseen until `x` is `until`.
    pub(super) fn at_its_paces(self, x: &[f64], y: &[f64], until: f64) -> Self {
        let quarter = x.len() / QUARTERS;
        let (Some(first), Some(last), true) = (x.first(), x.last(), quarter >= 3) else {
            return self;
        };
        let pace = |number: usize| {
            let end = if number + 1 == QUARTERS {
                x.len()
            } else {
                (number + 1) * quarter
            };
            let range = number * quarter..end;
            median_slope(&x[range.clone()], &y[range])
        };
        let paces: [f64; QUARTERS] = std::array::from_fn(pace);
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

    /// Whether the `last` value is off the line by far more than others were, on the side away from
    /// where `sign` points: what rose has fallen.
    pub(super) fn left_by(&self, x: &[f64], y: &[f64], last: f64, sign: f64) -> bool {
        let mut sizes = rests(x, y, self.slope, self.centre, self.level);
        sizes.iter_mut().for_each(|rest| *rest = rest.abs());
        let usual = NORMAL * median(&mut sizes);
        let (Some(first), Some(end)) = (x.first(), x.last()) else {
            return false;
        };
        let rise = (self.slope * (end - first)).abs();
        sign * (self.at(*end) - last) > (10.0 * usual).max(0.3 * rise)
    }

    /// Its value at `x`.
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

fn rests(x: &[f64], y: &[f64], slope: f64, centre: f64, level: f64) -> Vec<f64> {
    x.iter()
        .zip(y)
        .map(|(x, y)| y - level - slope * (x - centre))
        .collect()
}

/// Cuts off what lies far outside, so that it neither widens the band nor hides how the rest hangs
/// together.
fn tame(rests: &mut [f64]) {
    let mut sizes: Vec<f64> = rests.iter().map(|rest| rest.abs()).collect();
    let limit = 4.0 * NORMAL * median(&mut sizes);
    for rest in rests {
        *rest = rest.clamp(-limit, limit);
    }
}

/// Correlation of each rest with the next, 0 to 0.99.
fn relation(rests: &[f64]) -> f64 {
    let power: f64 = rests.iter().map(|rest| rest * rest).sum();
    let along: f64 = rests.windows(2).map(|two| two[0] * two[1]).sum();
    if power > 0.0 {
        (along / power).clamp(0.0, 0.99)
    } else {
        0.0
    }
}

/// The middle one; of an even number the mean of the two. NaN of none. Reorders.
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

/// Where one change explains nearly all that a single line does not: the index of the first point
/// after it. A shift of level, or a new pace; what came before then says nothing about what comes.
pub(super) fn change(x: &[f64], y: &[f64], shortest: usize) -> Option<usize> {
    /// Share of the squared rests of one line that two may leave. A random walk seldom gets there,
    /// and neither does a saw of three or more teeth.
    const LEFT: f64 = 0.2;
    let sums = Sums::new(x, y);
    let whole = sums.rest(0, x.len());
    let last = x.len().checked_sub(shortest)?;
    let (rest, at) = (shortest..=last)
        .map(|at| (sums.rest(0, at) + sums.rest(at, x.len()), at))
        .min_by(|a, b| a.0.total_cmp(&b.0))?;
    (rest < LEFT * whole && whole > 1e-12).then_some(at)
}

/// Running sums, from which the rest of a least-squares line over any range follows at once.
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

    /// Sum of squared distances from the least-squares line through the points `from..to`.
    fn rest(&self, from: usize, to: usize) -> f64 {
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
