//! Application metrics: recorded in process, over HTTP or by `StatsD`.
//!
//! A record becomes a value of a configured metric, or is rejected and counted by reason. It never
//! becomes a new metric.

mod kind;
mod listeners;
mod record;
mod settings;
mod statsd;

pub use kind::ApplicationSettings;
pub use listeners::{ListenError, Listeners, Prepared};
pub use record::{MAX_REPORTED, Malformed, record_json};
pub use settings::{Application, ApplicationMetric, ApplicationType, resolve};
pub(crate) use statsd::{Line, LineKind, tags};
pub use statsd::{
    SELF_METRICS, Statsd, StatsdDialect, StatsdListener, StatsdMapping, record_packet,
};
