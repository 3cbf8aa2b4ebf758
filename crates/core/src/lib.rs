//! Data types that all crates of Bellwether share: metrics, labels, batches, alerts and times.
//!
//! # Overview
//!
//! - [`MetricDef`] defines a metric, [`MetricId`] is its index, [`Kind`] its type.
//! - [`Batch`] holds the samples of one collection in two flat buffers, so that filling it again
//!   allocates nothing.
//! - [`SeriesBatch`] holds the samples of one collection whose names and labels come with them.
//! - [`LabelValues`] and [`LabelSet`] are packed labels that serve as keys of maps; a [`LabelTable`] holds
//!   those of many series; [`Labels`] is the sorted map that alerts have.
//! - [`Alert`], [`Transition`] and [`Notification`] are what rules, routing and channels exchange.
//! - [`SelfMetrics`] is a source of metrics of Bellwether about itself, which
//!   [`self_metrics!`] declares.
//! - [`Now`] is one reading of both clocks. Functions take it as an argument, so that tests run in
//!   virtual time.
//!
//! There is no I/O, no clock and, without the feature `serde`, no serialization here. All other
//! crates may depend on this one; it depends on none of them.
//!
//! # Example
//!
//! ```
//! use bellwether_core::{Batch, Kind, LabelValues, MetricDef, MetricId};
//!
//! let free = MetricDef::new("disk_free_bytes", Kind::Gauge).with_labels(["mount"]);
//! assert_eq!(free.width(), 1);
//!
//! let mut batch = Batch::default();
//! batch.push(MetricId(0), &["/"], 5e9);
//! batch.push(MetricId(0), &["/home"], 7e9);
//!
//! let series: Vec<_> = batch
//!     .iter()
//!     .map(|sample| (LabelValues::from_packed(sample.labels), sample.values[0]))
//!     .collect();
//! assert_eq!(series[1].0.get(0), Some("/home"));
//! assert_eq!(series[1].1, 7e9);
//! ```

#![warn(missing_docs)]

mod alert;
mod batch;
mod bound;
mod counted;
mod label_set;
mod label_table;
mod labels;
mod metric;
mod names;
mod nesting;
mod record;
mod rejection;
mod self_metrics;
#[cfg(feature = "serde")]
mod serialize;
mod series_batch;
mod staleness;
mod time;

pub use alert::{
    Alert, AlertState, Cause, DeadLetter, Dispatch, Fingerprint, Group, Notification,
    NotifiedState, Severity, Status, Transition,
};
pub use batch::{Batch, Failure, Sample};
pub use bound::bound;
pub use counted::counted;
pub use label_set::{GoQuoted, LabelSet, METRIC_NAME};
pub use label_table::{LabelTable, reserve_tightly};
pub use labels::{LabelValues, Labels, PackedLabels, braced, pack};
pub use metric::{Kind, MetricDef, MetricId, Origin, exported_name};
pub use names::{can_be_set, is_label_name, is_metric_name, unescaped};
pub use nesting::MAX_NESTING;
pub use record::{Recorded, RejectedRecord};
pub use rejection::{Rejected, Rejection};
pub use self_metrics::{SelfMetric, SelfMetricIds, SelfMetrics, SelfMetricsBatch};
pub use series_batch::{SeriesBatch, SeriesFamily, SeriesLimits};
pub use staleness::{STALENESS_MARKER, is_staleness_marker, staleness_marker};
pub use time::{MonoMillis, Now, UnixMillis};
