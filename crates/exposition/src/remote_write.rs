//! Messages of remote write, by the schemas `prometheus.WriteRequest` (`prompb/remote.proto`,
//! `prompb/types.proto`) and `io.prometheus.write.v2.Request` (`prompb/io/prometheus/write/v2/types.proto`).
//! Exemplars are left out.

use bellwether_core::Kind;
use prost::Message;

pub use super::native::BucketSpan;
use super::native::{NativeBuckets, counts};

/// Remote write 1.0: `prometheus.WriteRequest`.
#[derive(Clone, PartialEq, Message)]
pub struct WriteRequest {
    /// Series.
    #[prost(message, repeated, tag = "1")]
    pub timeseries: Vec<TimeSeries>,
    /// Metadata of metrics, which comes in requests of its own.
    #[prost(message, repeated, tag = "3")]
    pub metadata: Vec<MetricMetadata>,
}

/// Samples of a series in 1.0.
#[derive(Clone, PartialEq, Message)]
pub struct TimeSeries {
    /// Labels, the name of the metric included.
    #[prost(message, repeated, tag = "1")]
    pub labels: Vec<Label>,
    /// Samples, ascending.
    #[prost(message, repeated, tag = "2")]
    pub samples: Vec<Sample>,
    /// Native histograms, ascending: messages [`Histogram`], which in memory take hundreds of bytes, on the wire perhaps two.
    #[prost(bytes = "vec", repeated, tag = "4")]
    pub histograms: Vec<Vec<u8>>,
}

/// Label of a series in 1.0.
#[derive(Clone, PartialEq, Message)]
pub struct Label {
    /// Name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Value.
    #[prost(string, tag = "2")]
    pub value: String,
}

/// Equal in both versions, except that 1.0 has no start. Times are in milliseconds since the epoch.
#[derive(Clone, Copy, PartialEq, Message)]
pub struct Sample {
    /// Value.
    #[prost(double, tag = "1")]
    pub value: f64,
    /// Time.
    #[prost(int64, tag = "2")]
    pub timestamp: i64,
    /// Start of the counter; 0 where it is unknown.
    #[prost(int64, tag = "3")]
    pub start_timestamp: i64,
}

/// Metadata of a metric in 1.0.
#[derive(Clone, PartialEq, Message)]
pub struct MetricMetadata {
    /// Type, see [`kind_of_number`]; the numbers of 2.0 are the same.
    #[prost(int32, tag = "1")]
    pub r#type: i32,
    /// Name of the metric.
    #[prost(string, tag = "2")]
    pub metric_family_name: String,
    /// Help text.
    #[prost(string, tag = "4")]
    pub help: String,
}

/// Remote write 2.0: `io.prometheus.write.v2.Request`.
#[derive(Clone, PartialEq, Message)]
pub struct Request {
    /// Each text of the request once, the empty one first.
    #[prost(string, repeated, tag = "4")]
    pub symbols: Vec<String>,
    /// Series.
    #[prost(message, repeated, tag = "5")]
    pub timeseries: Vec<TimeSeriesV2>,
}

/// Samples of a series in 2.0.
#[derive(Clone, PartialEq, Message)]
pub struct TimeSeriesV2 {
    /// Names and values alternating, as indices of `symbols`.
    #[prost(uint32, repeated, tag = "1")]
    pub labels_refs: Vec<u32>,
    /// Samples, ascending.
    #[prost(message, repeated, tag = "2")]
    pub samples: Vec<Sample>,
    /// Native histograms, ascending: messages [`Histogram`].
    #[prost(bytes = "vec", repeated, tag = "3")]
    pub histograms: Vec<Vec<u8>>,
    /// Metadata of its metric.
    #[prost(message, optional, tag = "5")]
    pub metadata: Option<Metadata>,
}

/// Metadata of a metric in 2.0.
#[derive(Clone, Copy, PartialEq, Message)]
pub struct Metadata {
    /// Type, see [`kind_of_number`].
    #[prost(int32, tag = "1")]
    pub r#type: i32,
    /// Index of the help text.
    #[prost(uint32, tag = "3")]
    pub help_ref: u32,
    /// Index of the unit.
    #[prost(uint32, tag = "4")]
    pub unit_ref: u32,
}

/// Returns the number of a type in both versions.
#[must_use]
pub fn number_of_kind(kind: Kind) -> i32 {
    match kind {
        Kind::Counter => 1,
        Kind::Gauge => 2,
        Kind::Histogram => 3,
        Kind::Summary => 5,
    }
}

/// Returns the type of a number, if there is one: an info and a state set are gauges in Prometheus's text format.
#[must_use]
pub fn kind_of_number(number: i32) -> Option<Kind> {
    match number {
        1 => Some(Kind::Counter),
        2 | 6 | 7 => Some(Kind::Gauge),
        3 => Some(Kind::Histogram),
        5 => Some(Kind::Summary),
        _ => None,
    }
}

/// Resolution of a native histogram whose bounds are `custom_values`.
const CUSTOM_BUCKETS: i32 = -53;

/// Native histogram; equal in both versions. Counts are whole numbers or, in a histogram of floats, floats.
#[derive(Clone, PartialEq, Message)]
pub struct Histogram {
    /// Observations.
    #[prost(uint64, tag = "1")]
    pub count_int: u64,
    /// Observations, of floats.
    #[prost(double, tag = "2")]
    pub count_float: f64,
    /// Sum of the observations.
    #[prost(double, tag = "3")]
    pub sum: f64,
    /// Resolution.
    #[prost(sint32, tag = "4")]
    pub schema: i32,
    /// Largest magnitude of what counts as zero.
    #[prost(double, tag = "5")]
    pub zero_threshold: f64,
    /// Observations of zero.
    #[prost(uint64, tag = "6")]
    pub zero_count_int: u64,
    /// Observations of zero, of floats.
    #[prost(double, tag = "7")]
    pub zero_count_float: f64,
    /// Places of the buckets below zero.
    #[prost(message, repeated, tag = "8")]
    pub negative_spans: Vec<BucketSpan>,
    /// Count of each, as the difference to the one before.
    #[prost(sint64, repeated, tag = "9")]
    pub negative_deltas: Vec<i64>,
    /// Count of each, of floats.
    #[prost(double, repeated, tag = "10")]
    pub negative_counts: Vec<f64>,
    /// Places of the buckets above zero.
    #[prost(message, repeated, tag = "11")]
    pub positive_spans: Vec<BucketSpan>,
    /// Count of each, as the difference to the one before.
    #[prost(sint64, repeated, tag = "12")]
    pub positive_deltas: Vec<i64>,
    /// Count of each, of floats.
    #[prost(double, repeated, tag = "13")]
    pub positive_counts: Vec<f64>,
    /// Time in milliseconds since the epoch.
    #[prost(int64, tag = "15")]
    pub timestamp: i64,
    /// Upper bounds of a histogram with bounds of its own.
    #[prost(double, repeated, tag = "16")]
    pub custom_values: Vec<f64>,
}

impl Histogram {
    /// Returns the number of observations.
    #[must_use]
    pub fn count(&self) -> f64 {
        self.count_int as f64 + self.count_float
    }

    /// Returns upper bounds and cumulative counts of classic buckets, without that of infinity.
    #[must_use]
    pub fn classic(&self) -> Vec<(f64, f64)> {
        let positive = counts(
            &self.positive_spans,
            &self.positive_deltas,
            &self.positive_counts,
        );
        if self.schema == CUSTOM_BUCKETS {
            return self.custom(&positive);
        }
        let buckets = NativeBuckets {
            schema: self.schema,
            zero_threshold: self.zero_threshold,
            zero_count: self.zero_count_int as f64 + self.zero_count_float,
            negative: counts(
                &self.negative_spans,
                &self.negative_deltas,
                &self.negative_counts,
            ),
            positive,
        };
        buckets.classic()
    }

    fn custom(&self, buckets: &[(i64, f64)]) -> Vec<(f64, f64)> {
        let mut buckets = buckets.iter().peekable();
        let mut sum = 0.0;
        let bounds = self.custom_values.iter().enumerate();
        bounds
            .map(|(index, bound)| {
                while let Some((_, count)) = buckets.next_if(|(at, _)| *at <= index as i64) {
                    sum += count;
                }
                (*bound, sum)
            })
            .filter(|(bound, _)| bound.is_finite())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_with_bounds_of_its_own_keeps_them() {
        let histogram = Histogram {
            schema: CUSTOM_BUCKETS,
            custom_values: vec![0.1, 0.5, 1.0],
            positive_spans: vec![
                BucketSpan {
                    offset: 0,
                    length: 1,
                },
                BucketSpan {
                    offset: 1,
                    length: 2,
                },
            ],
            positive_deltas: vec![2, 1, -2],
            count_int: 6,
            ..Histogram::default()
        };
        let classic = histogram.classic();
        assert_eq!(classic, [(0.1, 2.0), (0.5, 2.0), (1.0, 5.0)]);
        assert_eq!(histogram.count(), 6.0);
    }
}
