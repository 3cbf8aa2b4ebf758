//! Metrics that applications record: in process, by HTTP or by `StatsD`.
//!
//! Owns the recorded values. What others send becomes a value of a declared metric or is
//! refused by a counted reason; it never becomes a new metric.

mod cell;
mod handle;
mod helpers;
mod metric;
mod record;
mod recorder;
mod refused;
mod settings;
mod sketch;
mod statsd;
mod table;

pub use handle::{Counter, Gauge, Observer};
pub use metric::{Declared, MAX_LABELS};
pub use record::{MAX_TOLD, Malformed, record_json};
pub use recorder::Recorder;
pub use refused::{MAX_VALUE_LEN, Reason, Refused};
pub use settings::{Application, ApplicationMetric, ApplicationType, resolve};
pub use statsd::{Statsd, StatsdDialect, StatsdListener, StatsdMapping};
