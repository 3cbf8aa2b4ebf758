//! Metrics that an application records in its own process: counters, gauges, histograms and
//! summaries with labels, from any thread.
//!
//! # Overview
//!
//! - [`Recorder`] records by name: [`inc`](Recorder::inc), [`set`](Recorder::set),
//!   [`add`](Recorder::add) and [`observe`](Recorder::observe).
//! - [`Counter`], [`Gauge`] and [`Observer`] are handles of one series, for code that records often.
//! - [`RecordedMetric`] is the definition of a metric with its limits: series, expiry, the window of
//!   a summary.
//! - [`RecordError`] is the reason why a record was rejected. Rejected records are counted by reason
//!   ([`Recorder::rejected`]), so most callers can ignore the result.
//! - [`Recorder::fill`] writes the values of all series into a [`Batch`], which an exporter reads;
//!   [`Recorder::for_each_part`] shows them without a copy.
//!
//! All metrics are defined up front. A record never defines a metric or a label, so a mistake in a
//! name or an unbounded label value costs an error and no memory: each metric has a limit of series,
//! and label values have a limit of bytes.
//!
//! # Example
//!
//! ```
//! use bellwether_recorder::{Batch, Kind, MetricDef, MetricId, RecordedMetric, Recorder};
//!
//! let requests = MetricDef::new("http_requests_total", Kind::Counter)
//!     .with_help("Served requests.")
//!     .with_labels(["method", "code"]);
//! let duration = MetricDef::new("http_request_duration_seconds", Kind::Histogram)
//!     .with_buckets([0.1, 1.0]);
//! let recorder = Recorder::new([
//!     (MetricId(0), RecordedMetric::new(requests)),
//!     (MetricId(1), RecordedMetric::new(duration)),
//! ]);
//!
//! recorder.inc("http_requests_total", &[("method", "GET"), ("code", "200")], 1.0)?;
//!
//! // A handle saves the lookup of the series.
//! let duration = recorder.observer("http_request_duration_seconds", &[])?;
//! duration.observe(0.04)?;
//! duration.observe(0.4)?;
//!
//! let mut batch = Batch::default();
//! recorder.fill(&mut batch);
//! let mut series = batch.iter();
//! assert_eq!(series.next().map(|sample| sample.values), Some(&[1.0][..]));
//! // Observations up to 0.1 and up to 1, then all of them, then their sum.
//! assert_eq!(series.next().map(|sample| sample.values), Some(&[1.0, 2.0, 2.0, 0.44][..]));
//!
//! // A label that the metric does not have is an error, and is counted.
//! assert!(recorder.inc("http_requests_total", &[("user", "7")], 1.0).is_err());
//! # Ok::<(), bellwether_recorder::RecordError>(())
//! ```
//!
//! # Cost
//!
//! Counters and gauges are atomics; histograms and summaries hold an uncontended lock for a few
//! nanoseconds. Recording by name hashes the name and the label values and allocates nothing for a
//! series that exists. A summary keeps at most 20 kB per series.

#![warn(missing_docs)]

mod cell;
mod error;
mod handle;
mod helpers;
mod metric;
mod recorder;
mod self_metrics;
mod sketch;
mod table;

pub use bellwether_core::{Batch, Kind, LabelValues, MetricDef, MetricId, MonoMillis, Now, Sample};
pub use error::{MAX_VALUE_LEN, Reason, RecordError};
pub use handle::{Counter, Gauge, Observer};
pub use metric::{MAX_LABELS, RecordedMetric};
pub use recorder::{Part, PartReader, Recorder, SeriesCount};
pub use self_metrics::SELF_METRICS;
pub use sketch::{SLOTS, Sketch};
