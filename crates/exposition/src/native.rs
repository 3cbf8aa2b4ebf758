//! Classic buckets of native and exponential histograms, whose buckets grow by a factor.

use prost::Message;

/// Largest number of buckets of a native histogram that is read; clients have 160.
const MOST_BUCKETS: usize = 10_000;

/// Resolutions that clients have: those of OpenTelemetry, which include those of Prometheus.
const LOWEST_SCHEMA: i32 = -11;
const HIGHEST_SCHEMA: i32 = 20;

/// Finest resolution of classic buckets: two a doubling. So the bounds are the same whatever resolution a client
/// changes to, and a query over time sees each bucket grow.
const FINEST_SCHEMA: i32 = 1;

/// Largest number of classic buckets on one side of zero. With more, the resolution is lower.
const MOST_CLASSIC: u64 = 160;

/// Buckets of a native histogram. A bucket with the index `i` has the upper bound `2^(i * 2^-schema)`, and that of the
/// bucket before as the lower one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NativeBuckets {
    /// Resolution.
    pub schema: i32,
    /// Largest magnitude of what counts as zero.
    pub zero_threshold: f64,
    /// Observations of zero.
    pub zero_count: f64,
    /// Index of the magnitude and count of each bucket below zero, ascending.
    pub negative: Vec<(i64, f64)>,
    /// Index and count of each bucket above zero, ascending.
    pub positive: Vec<(i64, f64)>,
}

impl NativeBuckets {
    /// Returns upper bounds and cumulative counts of classic buckets, ascending, without that of infinity. Between the
    /// lowest and the highest one none is left out.
    #[must_use]
    pub fn classic(&self) -> Vec<(f64, f64)> {
        let own = self.schema.clamp(LOWEST_SCHEMA, HIGHEST_SCHEMA);
        let schema = self.classic_schema(own);
        let bound = |index: i64| (index as f64 * f64::from(-schema).exp2()).exp2();
        let negative = merged(&self.negative, own, schema);
        let positive = merged(&self.positive, own, schema);
        // The upper bound of a negative bucket is the lower one of its mirror image.
        let below = negative
            .iter()
            .rev()
            .map(|(index, count)| (-bound(index - 1), *count));
        let above = positive
            .iter()
            .map(|(index, count)| (bound(*index), *count));
        let mut sum = 0.0;
        let all = below
            .chain([(self.zero_threshold, self.zero_count)])
            .chain(above);
        all.map(|(bound, count)| {
            sum += count;
            (bound, sum)
        })
        .filter(|(bound, _)| bound.is_finite())
        .collect()
    }

    /// Returns the finest resolution whose buckets are few enough, if `own` is that of these.
    fn classic_schema(&self, own: i32) -> i32 {
        let ends = |buckets: &[(i64, f64)]| {
            let indices = buckets.iter().map(|(index, _)| *index);
            indices.clone().min().zip(indices.max())
        };
        let both = [ends(&self.negative), ends(&self.positive)];
        let is_wide = |schema| {
            both.iter().flatten().any(|(first, last)| {
                coarser(*last, own, schema).abs_diff(coarser(*first, own, schema)) >= MOST_CLASSIC
            })
        };
        let mut schema = own.min(FINEST_SCHEMA);
        while is_wide(schema) {
            schema -= 1;
        }
        schema
    }
}

/// Returns the index at the resolution `to` of the bucket that has the bucket `index` of the finer resolution `from`.
fn coarser(index: i64, from: i32, to: i32) -> i64 {
    let shift = (from - to).clamp(0, 63);
    (index.saturating_sub(1) >> shift) + 1
}

/// Merges buckets into those of a coarser resolution, empty ones in between included.
fn merged(buckets: &[(i64, f64)], from: i32, to: i32) -> Vec<(i64, f64)> {
    let mut merged: Vec<(i64, f64)> = Vec::new();
    for (index, count) in buckets {
        let index = coarser(*index, from, to);
        if let Some((last, _)) = merged.last() {
            merged.extend((last + 1..=index).map(|empty| (empty, 0.0)));
        } else {
            merged.push((index, 0.0));
        }
        if let Some((_, sum)) = merged.last_mut() {
            *sum += count;
        }
    }
    merged
}

/// Consecutive buckets of a native histogram.
#[derive(Clone, Copy, PartialEq, Message)]
pub struct BucketSpan {
    /// Distance to the end of the span before, for the first one to zero.
    #[prost(sint32, tag = "1")]
    pub offset: i32,
    /// Number of buckets.
    #[prost(uint32, tag = "2")]
    pub length: u32,
}

/// Returns index and count of each bucket. Counts are differences to the bucket before, or, in a histogram of
/// floats, `floats`.
pub(crate) fn counts(spans: &[BucketSpan], deltas: &[i64], floats: &[f64]) -> Vec<(i64, f64)> {
    let mut buckets = Vec::new();
    let (mut index, mut count) = (0_i64, 0_i64);
    for span in spans {
        index += i64::from(span.offset);
        for _ in 0..span.length {
            let at = buckets.len();
            let value = match (deltas.get(at), floats.get(at)) {
                (Some(delta), _) => {
                    count = count.saturating_add(*delta);
                    count as f64
                }
                (None, Some(float)) => *float,
                (None, None) => return buckets,
            };
            if buckets.len() == MOST_BUCKETS {
                return buckets;
            }
            buckets.push((index, value));
            index += 1;
        }
    }
    buckets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_resolution_has_the_same_bounds() {
        // Buckets of the resolution 3 have bounds 2^(i/8): 9 to 16 are those of (2, 4].
        let fine = NativeBuckets {
            schema: 3,
            positive: (9..=16).map(|index| (index, 1.0)).collect(),
            ..NativeBuckets::default()
        };
        let root = 8_f64.sqrt();
        assert_eq!(fine.classic(), [(0.0, 0.0), (root, 4.0), (4.0, 8.0)]);
        let coarse = NativeBuckets {
            schema: 1,
            positive: vec![(3, 4.0), (4, 4.0)],
            ..NativeBuckets::default()
        };
        assert_eq!(fine.classic(), coarse.classic());
    }

    #[test]
    fn a_hostile_range_has_few_buckets() {
        for schema in [i32::MIN, -4, 0, 8, i32::MAX] {
            let wide = NativeBuckets {
                schema,
                negative: vec![(i64::MIN, 1.0), (i64::MAX, 1.0)],
                positive: vec![(0, 1.0), (i64::MAX, 1.0), (i64::MIN, 1.0), (1, 1.0)],
                ..NativeBuckets::default()
            };
            assert!(wide.classic().len() as u64 <= 2 * MOST_CLASSIC + 1);
        }
    }
}
