//! What the queries of history tell of themselves.

use std::time::Duration;

use super::{Id, Out};

/// Queries of history over the HTTP API.
#[derive(Clone, Debug, Default)]
pub struct QueryFigures {
    /// Queries that ended and the time they took, by result.
    pub ended: Vec<(&'static str, u64, Duration)>,
    /// Queries under way.
    pub running: u64,
    /// Queries that wait for their turn.
    pub waiting: u64,
}

impl Out<'_> {
    pub(super) fn queries(&mut self, figures: &QueryFigures) {
        for (result, count, took) in &figures.ended {
            self.put(Id::Queries, &[result], *count as f64);
            self.put(Id::QuerySeconds, &[result], took.as_secs_f64());
        }
        self.put(Id::QueriesRunning, &[], figures.running as f64);
        self.put(Id::QueriesWaiting, &[], figures.waiting as f64);
    }
}
