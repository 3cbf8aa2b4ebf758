//! Quantiles and fractions of classic histograms, as Prometheus calculates them
//! (promql/quantile.go).

/// Buckets whose counts differ by less than this part of their sum count as equal: floats that
/// were added up in another order.
const TOLERANCE: f64 = 1e-12;

/// One bucket: its upper bound and how many observations are at or below it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Bucket {
    pub(super) bound: f64,
    pub(super) count: f64,
}

/// Sorts buckets and adds up those with one bound. `None`: there is no `+Inf` bucket.
fn prepared(mut buckets: Vec<Bucket>) -> Option<Vec<Bucket>> {
    buckets.sort_by(|a, b| a.bound.total_cmp(&b.bound));
    if buckets.last()?.bound != f64::INFINITY {
        return None;
    }
    buckets.dedup_by(|next, kept| {
        let same = next.bound == kept.bound;
        if same {
            kept.count += next.count;
        }
        same
    });
    Some(buckets)
}

/// Buckets whose counts had to be lifted, so that they ascend.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Lifted {
    /// The bound of the first.
    pub(super) first: f64,
    /// The bound of the last.
    pub(super) last: f64,
    /// By how much one was lifted at the most.
    pub(super) most: f64,
}

impl Lifted {
    /// Both together.
    pub(super) fn with(self, other: Self) -> Self {
        Self {
            first: self.first.min(other.first),
            last: self.last.max(other.last),
            most: self.most.max(other.most),
        }
    }
}

/// Makes the counts ascend; which ones had to be lifted.
fn ascending(buckets: &mut [Bucket]) -> Option<Lifted> {
    let (mut lifted, mut before) = (None::<Lifted>, buckets[0].count);
    for bucket in &mut buckets[1..] {
        if bucket.count == before {
            continue;
        }
        let near = (bucket.count - before).abs() / (bucket.count.abs() + before.abs()) < TOLERANCE;
        if near || bucket.count < before {
            let (first, last, most) = (bucket.bound, bucket.bound, before - bucket.count);
            let one = Lifted { first, last, most };
            if !near {
                lifted = Some(lifted.map_or(one, |before| before.with(one)));
            }
            bucket.count = before;
        } else {
            before = bucket.count;
        }
    }
    lifted
}

/// The `q`-quantile, and which buckets had to be lifted for it.
pub(super) fn quantile(q: f64, buckets: Vec<Bucket>) -> (f64, Option<Lifted>) {
    if q.is_nan() {
        return (f64::NAN, None);
    }
    if q < 0.0 {
        return (f64::NEG_INFINITY, None);
    }
    if q > 1.0 {
        return (f64::INFINITY, None);
    }
    let Some(mut buckets) = prepared(buckets) else {
        return (f64::NAN, None);
    };
    let lifted = ascending(&mut buckets);
    (ranked(q, &buckets), lifted)
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

/// Which part of the observations is between `lower` and `upper`.
pub(super) fn fraction(lower: f64, upper: f64, buckets: Vec<Bucket>) -> f64 {
    let Some(buckets) = prepared(buckets) else {
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

/// How many observations are below `value`, interpolated within its bucket.
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
        let lifted = Lifted {
            first: 2.0,
            last: 4.0,
            most: 3.0,
        };
        assert_eq!(quantile(0.5, buckets(&falling)), (0.5, Some(lifted)));
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
