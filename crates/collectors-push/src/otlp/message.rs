//! Messages of OTLP metrics, by `opentelemetry/proto/metrics/v1/metrics.proto`
//! (<https://github.com/open-telemetry/opentelemetry-proto>). Exemplars, minima, maxima and attributes of bytes are left out.

use prost::Message;

use crate::wire::{FieldKind, Schema, many, one};

/// Numbers of fields.
pub(super) mod field {
    /// Of `ExportMetricsServiceRequest`.
    pub(in super::super) const RESOURCE_METRICS: u32 = 1;
    /// Of `ResourceMetrics`, with `Resource` in it.
    pub(in super::super) const RESOURCE: u32 = 1;
    pub(in super::super) const SCOPE_METRICS: u32 = 2;
    pub(in super::super) const RESOURCE_ATTRIBUTES: u32 = 1;
    /// Of `ScopeMetrics`, with `InstrumentationScope` in it.
    pub(in super::super) const SCOPE: u32 = 1;
    pub(in super::super) const METRICS: u32 = 2;
    pub(in super::super) const SCOPE_NAME: u32 = 1;
    pub(in super::super) const SCOPE_VERSION: u32 = 2;
    /// Of `Metric`.
    pub(in super::super) const NAME: u32 = 1;
    pub(in super::super) const DESCRIPTION: u32 = 2;
    pub(in super::super) const UNIT: u32 = 3;
    pub(in super::super) const GAUGE: u32 = 5;
    pub(in super::super) const SUM: u32 = 7;
    pub(in super::super) const HISTOGRAM: u32 = 9;
    pub(in super::super) const EXPONENTIAL_HISTOGRAM: u32 = 10;
    pub(in super::super) const SUMMARY: u32 = 11;
    /// Of each of the five.
    pub(in super::super) const DATA_POINTS: u32 = 1;
    pub(in super::super) const TEMPORALITY: u32 = 2;
    pub(in super::super) const IS_MONOTONIC: u32 = 3;
    /// Of all points. Attributes and flags have a number in each of the types.
    pub(in super::super) const TIME: u32 = 3;
    /// Of `NumberDataPoint`.
    pub(in super::super) const AS_DOUBLE: u32 = 4;
    pub(in super::super) const AS_INT: u32 = 6;
    /// Of the other points.
    pub(in super::super) const COUNT: u32 = 4;
    pub(in super::super) const POINT_SUM: u32 = 5;
    pub(in super::super) const BUCKET_COUNTS: u32 = 6;
    pub(in super::super) const EXPLICIT_BOUNDS: u32 = 7;
    pub(in super::super) const SCALE: u32 = 6;
    pub(in super::super) const ZERO_COUNT: u32 = 7;
    pub(in super::super) const POSITIVE: u32 = 8;
    pub(in super::super) const NEGATIVE: u32 = 9;
    pub(in super::super) const ZERO_THRESHOLD: u32 = 14;
    pub(in super::super) const OFFSET: u32 = 1;
    pub(in super::super) const OFFSET_COUNTS: u32 = 2;
    pub(in super::super) const QUANTILES: u32 = 6;
    pub(in super::super) const QUANTILE: u32 = 1;
    pub(in super::super) const QUANTILE_VALUE: u32 = 2;
    /// Of `KeyValue`.
    pub(in super::super) const KEY: u32 = 1;
    pub(in super::super) const VALUE: u32 = 2;
    /// Of `AnyValue`.
    pub(in super::super) const STRING: u32 = 1;
    pub(in super::super) const BOOL: u32 = 2;
    pub(in super::super) const INT: u32 = 3;
    pub(in super::super) const DOUBLE: u32 = 4;
    pub(in super::super) const ARRAY: u32 = 5;
    pub(in super::super) const MAP: u32 = 6;
    /// Of `ArrayValue` and `KeyValueList`.
    pub(in super::super) const VALUES: u32 = 1;
}

/// `AggregationTemporality` of what came since the point before.
pub(super) const DELTA: u64 = 1;
/// `AggregationTemporality` of what came since the start.
pub(super) const CUMULATIVE: u64 = 2;

/// Bit of `flags`: the series has ended.
pub(super) const NO_RECORDED_VALUE: u64 = 1;

/// `ExportMetricsServiceRequest`.
pub(super) static REQUEST: Schema = Schema {
    fields: &[many(
        field::RESOURCE_METRICS,
        "resourceMetrics",
        FieldKind::Message(&RESOURCE_METRICS),
    )],
};

static RESOURCE_METRICS: Schema = Schema {
    fields: &[
        one(field::RESOURCE, "resource", FieldKind::Message(&RESOURCE)),
        many(
            field::SCOPE_METRICS,
            "scopeMetrics",
            FieldKind::Message(&SCOPE_METRICS),
        ),
    ],
};

static RESOURCE: Schema = Schema {
    fields: &[many(
        field::RESOURCE_ATTRIBUTES,
        "attributes",
        FieldKind::Message(&KEY_VALUE),
    )],
};

static SCOPE_METRICS: Schema = Schema {
    fields: &[
        one(field::SCOPE, "scope", FieldKind::Message(&SCOPE)),
        many(field::METRICS, "metrics", FieldKind::Message(&METRIC)),
    ],
};

static SCOPE: Schema = Schema {
    fields: &[
        one(field::SCOPE_NAME, "name", FieldKind::Text),
        one(field::SCOPE_VERSION, "version", FieldKind::Text),
    ],
};

static METRIC: Schema = Schema {
    fields: &[
        one(field::NAME, "name", FieldKind::Text),
        one(field::DESCRIPTION, "description", FieldKind::Text),
        one(field::UNIT, "unit", FieldKind::Text),
        one(field::GAUGE, "gauge", FieldKind::Message(&NUMBERS)),
        one(field::SUM, "sum", FieldKind::Message(&NUMBERS)),
        one(
            field::HISTOGRAM,
            "histogram",
            FieldKind::Message(&HISTOGRAM),
        ),
        one(
            field::EXPONENTIAL_HISTOGRAM,
            "exponentialHistogram",
            FieldKind::Message(&EXPONENTIAL_HISTOGRAM),
        ),
        one(field::SUMMARY, "summary", FieldKind::Message(&SUMMARY)),
    ],
};

/// `Gauge`, which has points alone, and `Sum`.
static NUMBERS: Schema = Schema {
    fields: &[
        many(
            field::DATA_POINTS,
            "dataPoints",
            FieldKind::Message(&NUMBER_POINT),
        ),
        one(field::TEMPORALITY, "aggregationTemporality", FieldKind::Int),
        one(field::IS_MONOTONIC, "isMonotonic", FieldKind::Bool),
    ],
};

static HISTOGRAM: Schema = Schema {
    fields: &[
        many(
            field::DATA_POINTS,
            "dataPoints",
            FieldKind::Message(&HISTOGRAM_POINT),
        ),
        one(field::TEMPORALITY, "aggregationTemporality", FieldKind::Int),
    ],
};

static EXPONENTIAL_HISTOGRAM: Schema = Schema {
    fields: &[
        many(
            field::DATA_POINTS,
            "dataPoints",
            FieldKind::Message(&EXPONENTIAL_POINT),
        ),
        one(field::TEMPORALITY, "aggregationTemporality", FieldKind::Int),
    ],
};

static SUMMARY: Schema = Schema {
    fields: &[many(
        field::DATA_POINTS,
        "dataPoints",
        FieldKind::Message(&SUMMARY_POINT),
    )],
};

static NUMBER_POINT: Schema = Schema {
    fields: &[
        one(field::TIME, "timeUnixNano", FieldKind::Fixed),
        one(field::AS_DOUBLE, "asDouble", FieldKind::Double),
        one(field::AS_INT, "asInt", FieldKind::SignedFixed),
        many(7, "attributes", FieldKind::Message(&KEY_VALUE)),
        one(8, "flags", FieldKind::Unsigned),
    ],
};

static HISTOGRAM_POINT: Schema = Schema {
    fields: &[
        one(field::TIME, "timeUnixNano", FieldKind::Fixed),
        one(field::COUNT, "count", FieldKind::Fixed),
        one(field::POINT_SUM, "sum", FieldKind::Double),
        many(field::BUCKET_COUNTS, "bucketCounts", FieldKind::Fixed),
        many(field::EXPLICIT_BOUNDS, "explicitBounds", FieldKind::Double),
        many(9, "attributes", FieldKind::Message(&KEY_VALUE)),
        one(10, "flags", FieldKind::Unsigned),
    ],
};

static EXPONENTIAL_POINT: Schema = Schema {
    fields: &[
        many(1, "attributes", FieldKind::Message(&KEY_VALUE)),
        one(field::TIME, "timeUnixNano", FieldKind::Fixed),
        one(field::COUNT, "count", FieldKind::Fixed),
        one(field::POINT_SUM, "sum", FieldKind::Double),
        one(field::SCALE, "scale", FieldKind::Zigzag),
        one(field::ZERO_COUNT, "zeroCount", FieldKind::Fixed),
        one(field::POSITIVE, "positive", FieldKind::Message(&BUCKETS)),
        one(field::NEGATIVE, "negative", FieldKind::Message(&BUCKETS)),
        one(10, "flags", FieldKind::Unsigned),
        one(field::ZERO_THRESHOLD, "zeroThreshold", FieldKind::Double),
    ],
};

/// Consecutive buckets. That with the index `i` has the lower bound `2^(i * 2^-scale)`.
static BUCKETS: Schema = Schema {
    fields: &[
        one(field::OFFSET, "offset", FieldKind::Zigzag),
        many(field::OFFSET_COUNTS, "bucketCounts", FieldKind::Unsigned),
    ],
};

static SUMMARY_POINT: Schema = Schema {
    fields: &[
        one(field::TIME, "timeUnixNano", FieldKind::Fixed),
        one(field::COUNT, "count", FieldKind::Fixed),
        one(field::POINT_SUM, "sum", FieldKind::Double),
        many(
            field::QUANTILES,
            "quantileValues",
            FieldKind::Message(&QUANTILE),
        ),
        many(7, "attributes", FieldKind::Message(&KEY_VALUE)),
        one(8, "flags", FieldKind::Unsigned),
    ],
};

static QUANTILE: Schema = Schema {
    fields: &[
        one(field::QUANTILE, "quantile", FieldKind::Double),
        one(field::QUANTILE_VALUE, "value", FieldKind::Double),
    ],
};

static KEY_VALUE: Schema = Schema {
    fields: &[
        one(field::KEY, "key", FieldKind::Text),
        one(field::VALUE, "value", FieldKind::Message(&ANY_VALUE)),
    ],
};

static ANY_VALUE: Schema = Schema {
    fields: &[
        one(field::STRING, "stringValue", FieldKind::Text),
        one(field::BOOL, "boolValue", FieldKind::Bool),
        one(field::INT, "intValue", FieldKind::Int),
        one(field::DOUBLE, "doubleValue", FieldKind::Double),
        one(field::ARRAY, "arrayValue", FieldKind::Message(&ARRAY)),
        one(field::MAP, "kvlistValue", FieldKind::Message(&MAP)),
    ],
};

static ARRAY: Schema = Schema {
    fields: &[many(
        field::VALUES,
        "values",
        FieldKind::Message(&ANY_VALUE),
    )],
};

static MAP: Schema = Schema {
    fields: &[many(
        field::VALUES,
        "values",
        FieldKind::Message(&KEY_VALUE),
    )],
};

/// Answer to a request that is accepted.
#[derive(Clone, PartialEq, Message)]
pub(super) struct ExportResponse {
    #[prost(message, optional, tag = "1")]
    pub(super) partial_success: Option<PartialSuccess>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct PartialSuccess {
    #[prost(int64, tag = "1")]
    pub(super) rejected_data_points: i64,
    #[prost(string, tag = "2")]
    pub(super) error_message: String,
}

/// Answer to a request that is rejected: `google.rpc.Status`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Status {
    #[prost(int32, tag = "1")]
    pub(super) code: i32,
    #[prost(string, tag = "2")]
    pub(super) message: String,
}
