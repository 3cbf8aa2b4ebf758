//! Quantiles of a histogram from the growth of its buckets.
//!
//! Owns the interpolation and the handling of resets. `MetricDef::width` has the layout of the
//! values.

use bellwether_core::MonoMillis;

/// Returns the growth of each bucket over a window, cumulative as the buckets are, then of the
/// count (the `+Inf` bucket), then of the sum; `None` with fewer than two samples.
///
/// A histogram is reset as a whole, so a falling count shows a reset.
pub fn growth<'a>(
    start: MonoMillis,
    samples: impl Iterator<Item = (MonoMillis, &'a [f64])>,
    width: usize,
) -> Option<Vec<f64>> {
    let mut grown = vec![0.0; width];
    let mut last: Option<(MonoMillis, &[f64])> = None;
    let mut steps = 0_u32;
    for (at, values) in samples.filter(|(_, values)| values.len() == width) {
        if let Some((_, before)) = last.filter(|_| at > start) {
            let count = width - 2;
            let reset = values[count] < before[count];
            for (index, grown) in grown.iter_mut().enumerate() {
                *grown += values[index] - if reset { 0.0 } else { before[index] };
            }
            steps += 1;
        }
        last = Some((at, values));
    }
    (steps > 0).then_some(grown)
}

/// Returns the `q`-quantile, 0 to 1, of observations counted into buckets: `counts` is cumulative
/// with the `+Inf` bucket last, `bounds` are the upper bounds without it.
///
/// As Prometheus's `histogram_quantile` documents: linear interpolation inside the bucket, the
/// lowest bucket begins at 0 if its bound is above 0, a quantile in the `+Inf` bucket is the
/// highest bound. NaN without observations or without bounds.
#[must_use]
pub fn quantile(q: f64, bounds: &[f64], counts: &[f64]) -> f64 {
    let total = counts.last().copied().unwrap_or(0.0);
    let (Some(highest), true) = (bounds.last(), total > 0.0) else {
        return f64::NAN;
    };
    let rank = q * total;
    let Some(bucket) = (0..bounds.len()).find(|index| counts[*index] >= rank) else {
        return *highest;
    };
    let end = bounds[bucket];
    if bucket == 0 {
        return if end <= 0.0 || counts[0] <= 0.0 {
            end.min(0.0)
        } else {
            end * rank / counts[0]
        };
    }
    let (start, below) = (bounds[bucket - 1], counts[bucket - 1]);
    start + (end - start) * (rank - below) / (counts[bucket] - below)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Histograms of Prometheus's own tests (`promqltest/testdata/histograms.test`).
    const POSITIVE: (&[f64], &[f64]) = (&[0.1, 0.2, 1.0], &[5.0, 7.0, 11.0, 12.0]);
    const NEGATIVE: (&[f64], &[f64]) = (&[-0.2, -0.1, 0.3], &[1.0, 2.0, 2.0, 3.0]);

    #[test]
    fn quantiles_are_those_of_prometheus() {
        for ((bounds, counts), q, expected) in [
            (POSITIVE, 0.0, 0.0),
            (POSITIVE, 0.2, 0.048),
            (POSITIVE, 0.5, 0.15),
            (POSITIVE, 0.8, 0.72),
            (POSITIVE, 1.0, 1.0),
            (NEGATIVE, 0.0, -0.2),
            (NEGATIVE, 0.2, -0.2),
            (NEGATIVE, 0.5, -0.15),
            (NEGATIVE, 0.8, 0.3),
            (NEGATIVE, 1.0, 0.3),
        ] {
            let found = quantile(q, bounds, counts);
            assert!(
                (found - expected).abs() < 1e-12,
                "{q} of {bounds:?}: {found}"
            );
        }
    }

    #[test]
    fn nothing_observed_is_no_number() {
        assert!(quantile(0.5, &[1.0], &[0.0, 0.0]).is_nan());
        assert!(quantile(0.5, &[], &[3.0]).is_nan());
        assert!(quantile(0.5, &[], &[]).is_nan());
    }

    #[test]
    fn empty_leading_buckets_are_no_trap() {
        assert_eq!(quantile(0.0, &[1.0, 2.0], &[0.0, 4.0, 4.0]), 0.0);
        assert_eq!(quantile(0.5, &[1.0, 2.0], &[0.0, 4.0, 4.0]), 1.5);
    }

    #[test]
    fn growth_spans_a_reset_and_needs_two_samples() {
        let grown = |start: u64, samples: &[(u64, [f64; 3])]| {
            growth(
                MonoMillis(start),
                samples.iter().map(|(at, n)| (MonoMillis(*at), &n[..])),
                3,
            )
        };
        assert_eq!(grown(0, &[(0, [1.0, 2.0, 9.0])]), None);
        assert_eq!(
            grown(
                10,
                &[
                    (5, [1.0, 1.0, 1.0]),
                    (10, [2.0, 3.0, 5.0]),
                    (20, [4.0, 6.0, 9.0])
                ]
            ),
            Some(vec![2.0, 3.0, 4.0])
        );
        assert_eq!(
            grown(
                0,
                &[
                    (0, [8.0, 9.0, 9.0]),
                    (5, [1.0, 2.0, 3.0]),
                    (9, [1.0, 3.0, 8.0])
                ]
            ),
            Some(vec![1.0, 3.0, 8.0])
        );
    }
}
