//! Sums of deltas: what a client says since its last point, added up since the first.

use std::collections::HashMap;
use std::time::Duration;

use bellwether_collector::CollectorLimits;
use bellwether_core::{LabelSet, MonoMillis, Rejection};

/// Largest number of bounds of a point, and of a sum; a sum that would have more starts anew.
const MOST_BOUNDS: usize = 1000;

/// Size of a bucket.
const BUCKET: usize = size_of::<(f64, f64)>();

/// Sums by the labels of their points. A sum without a point for the time to live ends with its series.
#[derive(Debug, Default)]
pub(super) struct Totals {
    sums: HashMap<LabelSet, Sum>,
    /// Size of labels and buckets.
    bytes: usize,
    swept: MonoMillis,
}

#[derive(Debug)]
struct Sum {
    value: Value,
    /// Time of the last point, in nanoseconds since the epoch.
    last: u64,
    at: MonoMillis,
}

/// Value of a point, or of a sum.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Number(f64),
    Distribution(Distribution),
}

/// Histogram with classic buckets.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Distribution {
    /// Upper bounds, ascending, and cumulative counts.
    pub(super) buckets: Vec<(f64, f64)>,
    pub(super) count: f64,
    /// NaN if the client has none.
    pub(super) sum: f64,
}

impl Totals {
    /// Ends sums whose last point is longer ago than `ttl`. Most calls do nothing.
    pub(super) fn sweep(&mut self, ttl: Duration, now: MonoMillis) {
        if now.since(self.swept) < ttl {
            return;
        }
        self.swept = now;
        self.sums.retain(|labels, sum| {
            let kept = now.since(sum.at) <= ttl;
            if !kept {
                self.bytes -= labels.packed().len() + sum.value.size();
            }
            kept
        });
    }

    /// Adds a delta to the sum of its labels, and returns the sum. A client that had no answer sends a point again, so
    /// one that is no newer than the last is rejected.
    pub(super) fn add(
        &mut self,
        labels: LabelSet,
        delta: Value,
        time: u64,
        now: MonoMillis,
        limits: &CollectorLimits,
    ) -> Result<Value, Rejection> {
        if delta.size() > MOST_BOUNDS * BUCKET {
            return Err(Rejection::Limit);
        }
        if let Some(sum) = self.sums.get_mut(&labels) {
            if time != 0 && time <= sum.last {
                return Err(Rejection::TooOld);
            }
            self.bytes -= sum.value.size();
            sum.value.add(delta);
            self.bytes += sum.value.size();
            sum.last = time;
            sum.at = now;
            return Ok(sum.value.clone());
        }
        let bytes = self.bytes + labels.packed().len() + delta.size();
        if self.sums.len() >= limits.series || bytes as u64 > limits.bytes.0 {
            return Err(Rejection::Limit);
        }
        self.bytes = bytes;
        let sum = Sum {
            value: delta.clone(),
            last: time,
            at: now,
        };
        self.sums.insert(labels, sum);
        Ok(delta)
    }
}

impl Value {
    /// Returns the size of its buckets.
    fn size(&self) -> usize {
        match self {
            Self::Number(_) => 0,
            Self::Distribution(all) => all.buckets.len() * BUCKET,
        }
    }

    fn add(&mut self, delta: Self) {
        match (self, delta) {
            (Self::Number(sum), Self::Number(delta)) => *sum += delta,
            (Self::Distribution(sum), Self::Distribution(delta)) => sum.add(&delta),
            // The metric has another type now.
            (sum, delta) => *sum = delta,
        }
    }
}

impl Distribution {
    fn add(&mut self, delta: &Self) {
        let mut bounds: Vec<f64> = [&*self, delta]
            .into_iter()
            .flat_map(|side| side.buckets.iter().map(|(bound, _)| *bound))
            .collect();
        bounds.sort_by(f64::total_cmp);
        bounds.dedup();
        if bounds.len() > MOST_BOUNDS {
            self.clone_from(delta);
            return;
        }
        let count = |bound: f64| self.up_to(bound) + delta.up_to(bound);
        self.buckets = bounds
            .into_iter()
            .map(|bound| (bound, count(bound)))
            .collect();
        self.count += delta.count;
        self.sum += delta.sum;
    }

    /// Returns the observations that are known to be at or below a bound.
    fn up_to(&self, bound: f64) -> f64 {
        let below = self.buckets.partition_point(|(other, _)| *other <= bound);
        let last = below.checked_sub(1).map(|index| self.buckets[index].1);
        last.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use bellwether_schema::Size;

    use super::*;

    const LIMITS: CollectorLimits = CollectorLimits {
        series: 2,
        metric_series: None,
        label_values: None,
        bytes: Size(1000),
    };

    fn add(totals: &mut Totals, name: &str, delta: f64, time: u64) -> Result<Value, Rejection> {
        let labels = LabelSet::new([("a", name)]);
        let now = MonoMillis(time);
        totals.add(labels, Value::Number(delta), time, now, &LIMITS)
    }

    #[test]
    fn deltas_add_up_and_repeats_do_not_count() {
        let mut totals = Totals::default();
        assert_eq!(add(&mut totals, "x", 2.0, 1), Ok(Value::Number(2.0)));
        assert_eq!(add(&mut totals, "x", 3.0, 2), Ok(Value::Number(5.0)));
        assert_eq!(add(&mut totals, "x", 3.0, 2), Err(Rejection::TooOld));
        assert_eq!(add(&mut totals, "y", 1.0, 2), Ok(Value::Number(1.0)));
        assert_eq!(add(&mut totals, "z", 1.0, 2), Err(Rejection::Limit));
        totals.sweep(Duration::from_millis(10), MonoMillis(13));
        assert_eq!(add(&mut totals, "z", 1.0, 14), Ok(Value::Number(1.0)));
    }

    #[test]
    fn bounds_of_both_histograms_have_the_observations_of_both() {
        let of = |buckets: &[(f64, f64)], count| Distribution {
            buckets: buckets.to_vec(),
            count,
            sum: 1.0,
        };
        let mut sum = of(&[(1.0, 1.0), (2.0, 3.0)], 3.0);
        sum.add(&of(&[(2.0, 1.0), (4.0, 2.0)], 2.0));
        let buckets = [(1.0, 1.0), (2.0, 4.0), (4.0, 5.0)];
        assert_eq!(
            (sum.buckets, sum.count, sum.sum),
            (buckets.to_vec(), 5.0, 2.0)
        );
    }
}
