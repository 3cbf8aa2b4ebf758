//! Quantiles and fractions of classic histograms, computed as in Prometheus (promql/quantile.go).

/// Relative difference below which the counts of two buckets are equal: floats may have been added in
/// another order.
const TOLERANCE: f64 = 1e-12;

/// One bucket: its upper bound, and the number of observations at or below it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Bucket {
    pub(super) bound: f64,
    pub(super) count: f64,
}

/// Sorts buckets and merges those with the same bound; `None` if there is no `+Inf` bucket.
fn normalize(mut buckets: Vec<Bucket>) -> Option<Vec<Bucket>> {
    buckets.sort_by(|a, b| a.bound.total_cmp(&b.bound));
    if buckets.last()?.bound != f64::INFINITY {
        return None;
    }
    buckets.dedup_by(|next, bucket| {
        let same = next.bound == bucket.bound;
        if same {
            bucket.count += next.count;
        }
        same
    });
    Some(buckets)
}

/// Buckets whose counts were raised, so that they are monotonic.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct MonotonicityFix {
    /// Bound of the first of them.
    pub(super) first: f64,
    /// Bound of the last of them.
    pub(super) last: f64,
    /// Largest increase of a count.
    pub(super) largest: f64,
}

impl MonotonicityFix {
    /// Merges both fixes.
    pub(super) fn merge(self, other: Self) -> Self {
        Self {
            first: self.first.min(other.first),
            last: self.last.max(other.last),
            largest: self.largest.max(other.largest),
        }
    }
}

/// Raises counts so that they are monotonic; returns the buckets that were changed.
fn fix_monotonicity(buckets: &mut [Bucket]) -> Option<MonotonicityFix> {
    let (mut fix, mut before) = (None::<MonotonicityFix>, buckets[0].count);
    for bucket in &mut buckets[1..] {
        if bucket.count == before {
            continue;
        }
        let near = (bucket.count - before).abs() / (bucket.count.abs() + before.abs()) < TOLERANCE;
        if near || bucket.count < before {
            let (first, last, largest) = (bucket.bound, bucket.bound, before - bucket.count);
            let one = MonotonicityFix {
                first,
                last,
                largest,
            };
            if !near {
                fix = Some(fix.map_or(one, |earlier| earlier.merge(one)));
            }
            bucket.count = before;
        } else {
            before = bucket.count;
        }
    }
    fix
}

/// Returns the `q`-quantile, and the buckets that were fixed for it.
pub(super) fn quantile(q: f64, buckets: Vec<Bucket>) -> (f64, Option<MonotonicityFix>) {
    if q.is_nan() {
        return (f64::NAN, None);
    }
    if q < 0.0 {
        return (f64::NEG_INFINITY, None);
    }
    if q > 1.0 {
        return (f64::INFINITY, None);
    }
    let Some(mut buckets) = normalize(buckets) else {
        return (f64::NAN, None);
    };
    let fix = fix_monotonicity(&mut buckets);
    (ranked(q, &buckets), fix)
}

fn ranked(q: f64, buckets: &[Bucket]) -> f64 {
    let last = buckets.len() - 1;
    let observations = buckets[last].count;
    if last == 0 || observations == 0.0 || observations.is_nan() {
        return f64::NAN;
    }
    let mut rank = q * observations;
    let at = buckets[..last].partition_point(|bucket| bucket.count < rank);
    if at == last {
        return buckets[last - 1].bound;
    }
    let Bucket {
        bound: end,
        mut count,
    } = buckets[at];
    if at == 0 && end <= 0.0 {
        return end;
    }
    let mut start = 0.0;
    if let Some(below) = at.checked_sub(1).map(|below| buckets[below]) {
        start = below.bound;
        count -= below.count;
        rank -= below.count;
    }
    start + (end - start) * (rank / count)
}

/// Returns the fraction of observations between `lower` and `upper`.
pub(super) fn fraction(lower: f64, upper: f64, buckets: Vec<Bucket>) -> f64 {
    let Some(buckets) = normalize(buckets) else {
        return f64::NAN;
    };
    let count = buckets[buckets.len() - 1].count;
    if count == 0.0 || lower.is_nan() || upper.is_nan() || count.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    (below(upper, &buckets, count) - below(lower, &buckets, count)) / count
}

/// Returns the number of observations below `value`, interpolated within its bucket.
fn below(value: f64, buckets: &[Bucket], count: f64) -> f64 {
    let mut rank = 0.0;
    let mut start = if buckets[0].bound > 0.0 {
        0.0
    } else {
        f64::NEG_INFINITY
    };
    for bucket in buckets {
        if start >= value {
            return rank;
        }
        if bucket.bound > value {
            let part = (value - start) / (bucket.bound - start);
            let within = if part.is_finite() { part } else { 1.0 };
            return (rank + (bucket.count - rank) * within).min(count);
        }
        rank = bucket.count;
        start = bucket.bound;
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buckets(pairs: &[(f64, f64)]) -> Vec<Bucket> {
        pairs
            .iter()
            .map(|(bound, count)| Bucket {
                bound: *bound,
                count: *count,
            })
            .collect()
    }

    #[test]
    fn quantiles_are_interpolated() {
        let inf = f64::INFINITY;
        let all = buckets(&[(1.0, 10.0), (inf, 40.0), (2.0, 30.0)]);
        assert_eq!(quantile(0.5, all.clone()), (1.5, None));
        assert_eq!(quantile(0.9, all.clone()), (2.0, None));
        assert_eq!(quantile(0.125, all), (0.5, None));
        let falling = [(1.0, 10.0), (2.0, 9.0), (4.0, 7.0), (inf, 10.0)];
        let fix = MonotonicityFix {
            first: 2.0,
            last: 4.0,
            largest: 3.0,
        };
        assert_eq!(quantile(0.5, buckets(&falling)), (0.5, Some(fix)));
        assert!(quantile(0.5, buckets(&[(1.0, 10.0)])).0.is_nan());
        assert!(quantile(0.5, Vec::new()).0.is_nan());
    }

    #[test]
    fn fractions_are_interpolated() {
        let all = buckets(&[(1.0, 10.0), (2.0, 30.0), (f64::INFINITY, 40.0)]);
        assert_eq!(fraction(0.0, 1.0, all.clone()), 0.25);
        assert_eq!(fraction(1.5, 2.0, all.clone()), 0.25);
        assert_eq!(fraction(f64::NEG_INFINITY, f64::INFINITY, all), 1.0);
    }
}
