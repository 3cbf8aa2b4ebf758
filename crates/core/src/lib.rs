//! The words every room shares: times, metrics, batches, alerts.
//!
//! Owns plain data and nothing else: no I/O, no clock, no serialization format.
//! Every other module may import this one; it imports none of them.

#![warn(missing_docs)]

mod alert;
mod batch;
mod label_set;
mod labels;
mod metric;
mod names;
mod nesting;
mod record;
#[cfg(feature = "serde")]
mod serialize;
mod time;

pub use alert::{
    Alert, AlertState, Cause, DeadLetter, Dispatch, Fingerprint, Group, Notification,
    NotifiedState, Severity, Status, Transition,
};
pub use batch::{Batch, Failure, Point};
pub use label_set::{GoQuoted, LabelSet, METRIC_NAME};
pub use labels::{LabelValues, Labels, braced, pack};
pub use metric::{Kind, MetricDef, MetricId, Origin, exported_name};
pub use names::{can_be_set, is_label_name, is_metric_name, unescaped};
pub use nesting::MAX_NESTING;
pub use record::{Recorded, RefusedRecord};
pub use time::{MonoMillis, Now, UnixMillis};
