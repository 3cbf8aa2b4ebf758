//! Last run of each query and counts of skipped rows, with their self-metrics.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bellwether_core::{Now, SelfMetrics, SelfMetricsBatch, self_metrics};
use parking_lot::Mutex;

self_metrics! {
    SKIPPED = "bellwether_neo4j_rows_skipped_total" Counter ["reason"]
        "Rows of Neo4j's results that did not fit their metric and were skipped.";
    DURATION = "bellwether_neo4j_query_duration_seconds" Gauge ["query"]
        "Duration of the last run of a query of Neo4j.";
    ROWS = "bellwether_neo4j_query_rows" Gauge ["query"]
        "Rows of the last answer to a query of Neo4j.";
    SUCCESS = "bellwether_neo4j_query_success" Gauge ["query"]
        "Whether the last run of a query of Neo4j succeeded (1) or not (0).";
}

/// Reason why a row was skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SkipReason {
    /// A label is a list, a node or another value that is not text.
    NotALabel,
    /// An earlier row has the same labels.
    RepeatedLabels,
    /// The value is text, a list or another value that is not a number.
    NotANumber,
    /// The value is NaN or infinite.
    NotFinite,
    /// The value of a counter is negative.
    NegativeCounter,
}

const REASONS: [&str; 5] = [
    "not_a_label",
    "repeated_labels",
    "not_a_number",
    "not_finite",
    "negative_counter",
];

/// One run of a query.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Run {
    /// Time until its answer was read; none if there was no answer.
    pub duration: Option<Duration>,
    /// Rows of the answer.
    pub rows: Option<usize>,
    pub has_succeeded: bool,
}

/// Last run of each query, and counts of skipped rows by reason. A row whose value is null is no data
/// and does not count.
#[derive(Debug, Default)]
pub struct QueryStats {
    skipped: [AtomicU64; REASONS.len()],
    runs: Mutex<BTreeMap<String, Run>>,
}

impl QueryStats {
    pub(super) fn count_skipped(&self, why: SkipReason) {
        self.skipped[why as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the counts of skipped rows by reason.
    pub fn skipped(&self) -> impl Iterator<Item = (&'static str, u64)> {
        REASONS
            .iter()
            .zip(&self.skipped)
            .map(|(why, count)| (*why, count.load(Ordering::Relaxed)))
    }

    /// Notes the last run of a query.
    pub fn record(&self, query: &str, run: Run) {
        self.runs.lock().insert(query.to_owned(), run);
    }

    /// Returns the last run of a query.
    #[must_use]
    pub fn last_run(&self, query: &str) -> Option<Run> {
        self.runs.lock().get(query).copied()
    }

    /// Forgets all queries but these, after a reload.
    pub(super) fn keep<'a>(&self, queries: impl Iterator<Item = &'a str>) {
        let queries: HashSet<&str> = queries.collect();
        self.runs
            .lock()
            .retain(|query, _| queries.contains(&**query));
    }
}

impl SelfMetrics for QueryStats {
    fn add_self_metrics(&self, batch: &mut SelfMetricsBatch<'_>, _: Now) {
        for (reason, count) in self.skipped() {
            batch.push(&SKIPPED, &[reason], count as f64);
        }
        for (query, run) in &*self.runs.lock() {
            if let Some(duration) = run.duration {
                batch.push(&DURATION, &[query], duration.as_secs_f64());
            }
            if let Some(rows) = run.rows {
                batch.push(&ROWS, &[query], rows as f64);
            }
            batch.push(&SUCCESS, &[query], f64::from(u8::from(run.has_succeeded)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_stand_under_their_words() {
        let stats = QueryStats::default();
        stats.count_skipped(SkipReason::NotALabel);
        stats.count_skipped(SkipReason::NegativeCounter);
        stats.count_skipped(SkipReason::NegativeCounter);
        let counted: Vec<_> = stats.skipped().filter(|(_, count)| *count > 0).collect();
        assert_eq!(counted, [("not_a_label", 1), ("negative_counter", 2)]);
    }

    #[test]
    fn queries_that_are_configured_no_more_are_forgotten() {
        let stats = QueryStats::default();
        stats.record("kept", Run::default());
        stats.record("gone", Run::default());
        stats.keep(["kept"].into_iter());
        assert_eq!(stats.last_run("kept"), Some(Run::default()));
        assert_eq!(stats.last_run("gone"), None);
    }
}
