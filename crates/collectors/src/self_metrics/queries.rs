//! Self-metrics of queries of history.

use std::time::Duration;

use super::{Id, Writer};

/// Queries of history over the HTTP API.
#[derive(Clone, Debug, Default)]
pub struct QueryStats {
    /// Finished queries by result: result, count, total duration.
    pub ended: Vec<(&'static str, u64, Duration)>,
    /// Running queries.
    pub running: u64,
    /// Waiting queries.
    pub waiting: u64,
}

impl Writer<'_> {
    pub(super) fn queries(&mut self, stats: &QueryStats) {
        for (result, count, took) in &stats.ended {
            self.write(Id::Queries, &[result], *count as f64);
            self.write(Id::QuerySeconds, &[result], took.as_secs_f64());
        }
        self.write(Id::QueriesRunning, &[], stats.running as f64);
        self.write(Id::QueriesWaiting, &[], stats.waiting as f64);
    }
}
