//! Metrics that applications record: in process, by HTTP or by `StatsD`.
//!
//! Owns the recorded values. What others send becomes a value of a declared metric or is
//! refused by a counted reason; it never becomes a new metric.

mod record;
mod settings;
mod statsd;

use bellwether_core::{Batch, Now};
use bellwether_recorder::Recorder;
pub use record::{MAX_REPORTED, Malformed, record_json};
pub use settings::{Application, ApplicationMetric, ApplicationType, resolve};
pub use statsd::{Statsd, StatsdDialect, StatsdListener, StatsdMapping, record_packet};

use crate::{Collecting, Collector};

impl Collector for Recorder {
    fn collect<'a>(&'a mut self, batch: &'a mut Batch, now: Now) -> Collecting<'a> {
        self.tick(now);
        self.fill(batch);
        Box::pin(std::future::ready(Ok(())))
    }
}
