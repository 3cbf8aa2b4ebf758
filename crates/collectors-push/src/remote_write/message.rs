//! Messages of remote write as they are received: `prometheus.WriteRequest` and `io.prometheus.write.v2.Request`. Exemplars are
//! left out, and native histograms are decoded one by one.

use crate::wire::{FieldKind, Schema, many, one};

/// Numbers of fields.
pub(super) mod field {
    /// Of a request of 1.0.
    pub(in super::super) const TIMESERIES_V1: u32 = 1;
    pub(in super::super) const METADATA_V1: u32 = 3;
    /// Of a request of 2.0.
    pub(in super::super) const SYMBOLS: u32 = 4;
    pub(in super::super) const TIMESERIES_V2: u32 = 5;
    /// Of a time series.
    pub(in super::super) const LABELS: u32 = 1;
    pub(in super::super) const SAMPLES: u32 = 2;
    pub(in super::super) const HISTOGRAMS_V1: u32 = 4;
    pub(in super::super) const HISTOGRAMS_V2: u32 = 3;
    pub(in super::super) const METADATA_V2: u32 = 5;
    /// Of a label of 1.0.
    pub(in super::super) const NAME: u32 = 1;
    pub(in super::super) const TEXT: u32 = 2;
    /// Of a sample.
    pub(in super::super) const VALUE: u32 = 1;
    pub(in super::super) const TIMESTAMP: u32 = 2;
    /// Of the metadata of a metric: name and help text, in 2.0 the symbol of a help text.
    pub(in super::super) const TYPE: u32 = 1;
    pub(in super::super) const FAMILY: u32 = 2;
    pub(in super::super) const HELP: u32 = 4;
    pub(in super::super) const HELP_REF: u32 = 3;
}

/// `prometheus.WriteRequest`.
pub(super) static REQUEST_V1: Schema = Schema {
    fields: &[
        many(
            field::TIMESERIES_V1,
            "timeseries",
            FieldKind::Message(&TIMESERIES_V1),
        ),
        many(
            field::METADATA_V1,
            "metadata",
            FieldKind::Message(&METADATA_V1),
        ),
    ],
};

static TIMESERIES_V1: Schema = Schema {
    fields: &[
        many(field::LABELS, "labels", FieldKind::Message(&LABEL)),
        many(field::SAMPLES, "samples", FieldKind::Message(&SAMPLE)),
        many(
            field::HISTOGRAMS_V1,
            "histograms",
            FieldKind::Message(&UNREAD),
        ),
    ],
};

static LABEL: Schema = Schema {
    fields: &[
        one(field::NAME, "name", FieldKind::Text),
        one(field::TEXT, "value", FieldKind::Text),
    ],
};

static SAMPLE: Schema = Schema {
    fields: &[
        one(field::VALUE, "value", FieldKind::Double),
        one(field::TIMESTAMP, "timestamp", FieldKind::Int),
    ],
};

static METADATA_V1: Schema = Schema {
    fields: &[
        one(field::TYPE, "type", FieldKind::Int),
        one(field::FAMILY, "metricFamilyName", FieldKind::Text),
        one(field::HELP, "help", FieldKind::Text),
    ],
};

/// `io.prometheus.write.v2.Request`.
pub(super) static REQUEST_V2: Schema = Schema {
    fields: &[
        many(field::SYMBOLS, "symbols", FieldKind::Text),
        many(
            field::TIMESERIES_V2,
            "timeseries",
            FieldKind::Message(&TIMESERIES_V2),
        ),
    ],
};

static TIMESERIES_V2: Schema = Schema {
    fields: &[
        many(field::LABELS, "labelsRefs", FieldKind::Unsigned),
        many(field::SAMPLES, "samples", FieldKind::Message(&SAMPLE)),
        one(
            field::METADATA_V2,
            "metadata",
            FieldKind::Message(&METADATA_V2),
        ),
        many(
            field::HISTOGRAMS_V2,
            "histograms",
            FieldKind::Message(&UNREAD),
        ),
    ],
};

static METADATA_V2: Schema = Schema {
    fields: &[
        one(field::TYPE, "type", FieldKind::Int),
        one(field::HELP_REF, "helpRef", FieldKind::Unsigned),
    ],
};

/// A native histogram, whose decoder finds what is wrong with it.
static UNREAD: Schema = Schema { fields: &[] };
