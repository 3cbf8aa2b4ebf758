//! Reads the protocol-buffer format of Prometheus into a batch of series: messages `MetricFamily`, each behind its
//! length (`io/prometheus/client/metrics.proto` in <https://github.com/prometheus/client_model>).

use bellwether_core::{Kind, SeriesBatch, bound};
use prost::{DecodeError, Message};

use super::native::{BucketSpan, NativeBuckets, counts};

/// Content type of the format, without its parameters.
pub(super) const PROTOBUF: &str = "application/vnd.google.protobuf";

/// Appends the samples of `body` to `batch`, and returns their number. A native histogram without classic buckets
/// gets classic ones, see [`NativeBuckets`]. Timestamps and exemplars are ignored.
///
/// # Errors
/// A message is invalid or cut. Samples of the messages before are in the batch.
pub fn parse_protobuf(body: &[u8], batch: &mut SeriesBatch) -> Result<usize, ProtobufError> {
    let before = batch.len();
    for (index, family) in families(body).enumerate() {
        family?.read(index + 1, |_| true, batch)?;
    }
    Ok(batch.len() - before)
}

/// Iterates over the messages, up to the first one that is invalid or cut.
pub(super) fn families(
    mut body: &[u8],
) -> impl Iterator<Item = Result<MetricFamily, ProtobufError>> {
    let mut message = 0;
    std::iter::from_fn(move || {
        if body.is_empty() {
            return None;
        }
        message += 1;
        let family = MetricFamily::decode_length_delimited(&mut body);
        Some(family.map_err(|error| {
            body = &[];
            ProtobufError::new(message, &error)
        }))
    })
}

/// Error of reading messages.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("message {message}: {reason}")]
pub struct ProtobufError {
    /// Number of the message, from 1.
    pub message: usize,
    /// Reason.
    pub reason: String,
}

impl ProtobufError {
    fn new(message: usize, error: &DecodeError) -> Self {
        let reason = error.to_string();
        Self { message, reason }
    }
}

#[derive(Clone, PartialEq, Message)]
struct LabelPair {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

/// `Gauge`, `Counter` and `Untyped`, whose other fields are not read.
#[derive(Clone, PartialEq, Message)]
struct Number {
    #[prost(double, tag = "1")]
    value: f64,
}

#[derive(Clone, PartialEq, Message)]
struct Quantile {
    #[prost(double, tag = "1")]
    quantile: f64,
    #[prost(double, tag = "2")]
    value: f64,
}

#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(uint64, tag = "1")]
    sample_count: u64,
    #[prost(double, tag = "2")]
    sample_sum: f64,
    #[prost(message, repeated, tag = "3")]
    quantile: Vec<Quantile>,
}

#[derive(Clone, PartialEq, Message)]
struct Bucket {
    #[prost(uint64, tag = "1")]
    cumulative_count: u64,
    #[prost(double, tag = "2")]
    upper_bound: f64,
    #[prost(double, tag = "4")]
    cumulative_count_float: f64,
}

#[derive(Clone, PartialEq, Message)]
struct Histogram {
    #[prost(uint64, tag = "1")]
    sample_count: u64,
    #[prost(double, tag = "2")]
    sample_sum: f64,
    #[prost(message, repeated, tag = "3")]
    bucket: Vec<Bucket>,
    #[prost(double, tag = "4")]
    sample_count_float: f64,
    #[prost(sint32, optional, tag = "5")]
    schema: Option<i32>,
    #[prost(double, tag = "6")]
    zero_threshold: f64,
    #[prost(uint64, tag = "7")]
    zero_count: u64,
    #[prost(double, tag = "8")]
    zero_count_float: f64,
    #[prost(message, repeated, tag = "9")]
    negative_span: Vec<BucketSpan>,
    #[prost(sint64, repeated, packed = "false", tag = "10")]
    negative_delta: Vec<i64>,
    #[prost(double, repeated, packed = "false", tag = "11")]
    negative_count: Vec<f64>,
    #[prost(message, repeated, tag = "12")]
    positive_span: Vec<BucketSpan>,
    #[prost(sint64, repeated, packed = "false", tag = "13")]
    positive_delta: Vec<i64>,
    #[prost(double, repeated, packed = "false", tag = "14")]
    positive_count: Vec<f64>,
}

#[derive(Clone, PartialEq, Message)]
struct Metric {
    #[prost(message, repeated, tag = "1")]
    label: Vec<LabelPair>,
    #[prost(message, optional, tag = "2")]
    gauge: Option<Number>,
    #[prost(message, optional, tag = "3")]
    counter: Option<Number>,
    #[prost(message, optional, tag = "4")]
    summary: Option<Summary>,
    #[prost(message, optional, tag = "5")]
    untyped: Option<Number>,
    #[prost(int64, optional, tag = "6")]
    timestamp_ms: Option<i64>,
    #[prost(message, optional, tag = "7")]
    histogram: Option<Histogram>,
}

/// Metrics of one name.
#[derive(Clone, PartialEq, Message)]
pub(super) struct MetricFamily {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    help: String,
    #[prost(int32, tag = "3")]
    kind: i32,
    /// Messages [`Metric`], decoded one by one: in memory each takes hundreds of bytes, on the wire it may take two.
    #[prost(bytes = "vec", repeated, tag = "4")]
    metric: Vec<Vec<u8>>,
}

impl MetricFamily {
    /// Appends the samples whose timestamp, if they have one, is accepted. Returns the number of metrics that are left
    /// out. `message` is the number of the family.
    pub(super) fn read(
        &self,
        message: usize,
        accepts: impl Fn(i64) -> bool,
        batch: &mut SeriesBatch,
    ) -> Result<usize, ProtobufError> {
        if self.name.is_empty() {
            return Err(ProtobufError {
                message,
                reason: "a family without a name".into(),
            });
        }
        let kind = match self.kind {
            0 => Some(Kind::Counter),
            1 => Some(Kind::Gauge),
            2 => Some(Kind::Summary),
            4 => Some(Kind::Histogram),
            _ => None,
        };
        batch.begin(&self.name, kind, &self.help);
        let mut left_out = 0;
        for metric in &self.metric {
            let metric = Metric::decode(metric.as_slice())
                .map_err(|error| ProtobufError::new(message, &error))?;
            if metric.timestamp_ms.is_some_and(|time| !accepts(time)) {
                left_out += 1;
                continue;
            }
            let labels: Vec<(&str, &str)> = metric
                .label
                .iter()
                .map(|pair| (pair.name.as_str(), pair.value.as_str()))
                .collect();
            let numbers = [&metric.gauge, &metric.counter, &metric.untyped];
            for number in numbers.into_iter().flatten() {
                batch.push(&labels, number.value);
            }
            if let Some(summary) = &metric.summary {
                summary.read(&labels, batch);
            }
            if let Some(histogram) = &metric.histogram {
                histogram.read(&labels, batch);
            }
        }
        Ok(left_out)
    }
}

impl Summary {
    fn read(&self, labels: &[(&str, &str)], batch: &mut SeriesBatch) {
        for quantile in &self.quantile {
            let text = bound(quantile.quantile, false);
            let labels: Vec<_> = labels
                .iter()
                .copied()
                .chain([("quantile", text.as_str())])
                .collect();
            batch.push(&labels, quantile.value);
        }
        batch.push_suffixed("_sum", labels, self.sample_sum);
        batch.push_suffixed("_count", labels, self.sample_count as f64);
    }
}

impl Histogram {
    fn read(&self, labels: &[(&str, &str)], batch: &mut SeriesBatch) {
        let count = or_float(self.sample_count, self.sample_count_float);
        let classic = self
            .bucket
            .iter()
            .map(|bucket| {
                let count = or_float(bucket.cumulative_count, bucket.cumulative_count_float);
                (bucket.upper_bound, count)
            })
            .filter(|(bound, _)| bound.is_finite());
        let mut buckets: Vec<(f64, f64)> = classic.collect();
        if self.bucket.is_empty()
            && let Some(schema) = self.schema
        {
            buckets = self.native(schema);
        }
        batch.push_histogram(labels, buckets, count, Some(self.sample_sum));
    }

    /// Returns the native buckets as classic ones.
    fn native(&self, schema: i32) -> Vec<(f64, f64)> {
        let buckets = NativeBuckets {
            schema,
            zero_threshold: self.zero_threshold,
            zero_count: or_float(self.zero_count, self.zero_count_float),
            negative: counts(
                &self.negative_span,
                &self.negative_delta,
                &self.negative_count,
            ),
            positive: counts(
                &self.positive_span,
                &self.positive_delta,
                &self.positive_count,
            ),
        };
        buckets.classic()
    }
}

fn or_float(count: u64, float: f64) -> f64 {
    match count {
        0 => float,
        count => count as f64,
    }
}

#[cfg(test)]
mod tests {
    use bellwether_core::LabelSet;

    use super::*;
    use crate::SeriesParser;

    fn encoded(families: &[MetricFamily]) -> Vec<u8> {
        families
            .iter()
            .flat_map(MetricFamily::encode_length_delimited_to_vec)
            .collect()
    }

    fn lines(body: &[u8]) -> Result<Vec<String>, ProtobufError> {
        let mut batch = SeriesBatch::default();
        parse_protobuf(body, &mut batch)?;
        Ok(batch.lines().collect())
    }

    fn family(name: &str, kind: i32, metric: Metric) -> MetricFamily {
        MetricFamily {
            name: name.into(),
            help: "Help.".into(),
            kind,
            metric: vec![metric.encode_to_vec()],
        }
    }

    #[test]
    fn a_family_without_a_name_is_an_error() {
        let body = encoded(&[
            family("up", 1, Metric::default()),
            family("", 1, Metric::default()),
        ]);
        let error = lines(&body).unwrap_err().to_string();
        assert_eq!(error, "message 2: a family without a name");
    }

    #[test]
    fn each_type_is_read() {
        let label = vec![LabelPair {
            name: "a".into(),
            value: "b".into(),
        }];
        let counter = Metric {
            label: label.clone(),
            counter: Some(Number { value: 3.0 }),
            ..Metric::default()
        };
        let summary = Metric {
            summary: Some(Summary {
                sample_count: 2,
                sample_sum: 1.5,
                quantile: vec![Quantile {
                    quantile: 0.5,
                    value: 0.7,
                }],
            }),
            ..Metric::default()
        };
        let histogram = Metric {
            label,
            histogram: Some(Histogram {
                sample_count: 4,
                sample_sum: 9.0,
                bucket: vec![
                    Bucket {
                        cumulative_count: 1,
                        upper_bound: 0.5,
                        cumulative_count_float: 0.0,
                    },
                    Bucket {
                        cumulative_count: 4,
                        upper_bound: f64::INFINITY,
                        cumulative_count_float: 0.0,
                    },
                ],
                ..Histogram::default()
            }),
            ..Metric::default()
        };
        let body = encoded(&[
            family("c_total", 0, counter),
            family("s", 2, summary),
            family("h", 4, histogram),
        ]);
        assert_eq!(
            lines(&body).unwrap(),
            [
                "c_total{a=\"b\"} 3",
                "s{quantile=\"0.5\"} 0.7",
                "s_sum 1.5",
                "s_count 2",
                "h_bucket{a=\"b\", le=\"0.5\"} 1",
                "h_bucket{a=\"b\", le=\"+Inf\"} 4",
                "h_sum{a=\"b\"} 9",
                "h_count{a=\"b\"} 4",
            ]
        );
        let cut = lines(&body[..body.len() - 1]).unwrap_err();
        assert_eq!(cut.message, 3);
    }

    #[test]
    fn a_native_histogram_has_classic_buckets() {
        // Schema 0: bounds are powers of two. Buckets 1 and 3 with 2 and 5, bucket 0 below zero with 1.
        let native = Metric {
            histogram: Some(Histogram {
                sample_count: 11,
                sample_sum: 30.0,
                schema: Some(0),
                zero_threshold: 0.25,
                zero_count: 3,
                negative_span: vec![BucketSpan {
                    offset: 0,
                    length: 1,
                }],
                negative_delta: vec![1],
                positive_span: vec![
                    BucketSpan {
                        offset: 1,
                        length: 1,
                    },
                    BucketSpan {
                        offset: 1,
                        length: 1,
                    },
                ],
                positive_delta: vec![2, 3],
                ..Histogram::default()
            }),
            ..Metric::default()
        };
        assert_eq!(
            lines(&encoded(&[family("h", 4, native)])).unwrap(),
            [
                "h_bucket{le=\"-0.5\"} 1",
                "h_bucket{le=\"0.25\"} 4",
                "h_bucket{le=\"2\"} 6",
                "h_bucket{le=\"4\"} 6",
                "h_bucket{le=\"8\"} 11",
                "h_bucket{le=\"+Inf\"} 11",
                "h_sum 30",
                "h_count 11",
            ]
        );
    }

    #[test]
    fn a_parser_rewrites_series_and_leaves_out_those_of_other_times() {
        let gauge = |label: &str, time| Metric {
            label: vec![LabelPair {
                name: "a".into(),
                value: label.into(),
            }],
            gauge: Some(Number { value: 1.0 }),
            timestamp_ms: time,
            ..Metric::default()
        };
        let metrics = [gauge("x", None), gauge("y", Some(5)), gauge("z", Some(6))];
        let metric = metrics.iter().map(Metric::encode_to_vec).collect();
        let body = encoded(&[MetricFamily {
            name: "g".into(),
            help: "A \\n help.".into(),
            kind: 1,
            metric,
        }]);
        let mut parser = SeriesParser::with_rewrite(|labels| {
            let own = labels.iter().filter(|(name, _)| *name != "b");
            (labels.get("a") != "x").then(|| LabelSet::new(own.chain([("b", "c")])))
        });
        parser.accept_times(0..=5);
        for added in [2, 0] {
            let mut batch = SeriesBatch::default();
            let parsed = parser.parse_protobuf(&body, &mut batch).unwrap();
            assert_eq!(
                (parsed.samples, parsed.added, parsed.left_out),
                (2, added, 1)
            );
            let lines: Vec<String> = batch.lines().collect();
            assert_eq!(lines, ["g{a=\"y\", b=\"c\"} 1"]);
            let family = batch.families().next().unwrap();
            assert_eq!(
                (family.kind, family.help),
                (Some(Kind::Gauge), "A \\n help.")
            );
        }
        let twice = Metric {
            label: [gauge("x", None).label, gauge("y", None).label].concat(),
            ..gauge("x", None)
        };
        let error = parser.parse_protobuf(
            &encoded(&[family("g", 1, twice)]),
            &mut SeriesBatch::default(),
        );
        assert_eq!(
            error.unwrap_err().to_string(),
            "message 1: a label of \"g\" is there twice"
        );
    }

    #[test]
    fn an_invalid_metric_is_an_error_of_its_message() {
        let mut invalid = family("g", 1, Metric::default());
        invalid.metric.push(vec![0x0a, 0xff]);
        let body = encoded(&[family("f", 1, Metric::default()), invalid]);
        assert_eq!(lines(&body).unwrap_err().message, 2);
    }

    #[test]
    fn garbage_is_an_error() {
        for body in [&b"\xff"[..], b"hello", b"\x05\x0a\xff\xff\xff\xff"] {
            assert!(lines(body).is_err(), "{body:?}");
        }
    }
}
