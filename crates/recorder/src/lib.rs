//! Metrics that an application records in its own process: counters, gauges, histograms and
//! summaries with labels, from any thread.

#![warn(missing_docs)]

mod cell;
mod handle;
mod helpers;
mod metric;
mod recorder;
mod refused;
mod sketch;
mod table;

pub use handle::{Counter, Gauge, Observer};
pub use metric::{Declared, MAX_LABELS};
pub use recorder::Recorder;
pub use refused::{MAX_VALUE_LEN, Reason, Refused};
