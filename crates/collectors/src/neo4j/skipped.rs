//! Counts of skipped rows, and their self-metric.

use std::sync::atomic::{AtomicU64, Ordering};

use bellwether_core::{Now, SelfMetrics, SelfMetricsBatch, self_metrics};

self_metrics! {
    SKIPPED = "bellwether_neo4j_rows_skipped_total" Counter ["reason"]
        "Rows of Neo4j's results that did not fit their metric and were skipped.";
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

/// Counts of skipped rows by reason. A row whose value is null is no data and does not count.
#[derive(Debug, Default)]
pub struct SkippedRows([AtomicU64; REASONS.len()]);

impl SkippedRows {
    pub(super) fn count(&self, why: SkipReason) {
        self.0[why as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Returns all counts by reason.
    pub fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> {
        REASONS
            .iter()
            .zip(&self.0)
            .map(|(why, count)| (*why, count.load(Ordering::Relaxed)))
    }
}

impl SelfMetrics for SkippedRows {
    fn add_self_metrics(&self, batch: &mut SelfMetricsBatch<'_>, _: Now) {
        for (reason, count) in self.counts() {
            batch.push(&SKIPPED, &[reason], count as f64);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_stand_under_their_words() {
        let skipped = SkippedRows::default();
        skipped.count(SkipReason::NotALabel);
        skipped.count(SkipReason::NegativeCounter);
        skipped.count(SkipReason::NegativeCounter);
        let counted: Vec<_> = skipped.counts().filter(|(_, count)| *count > 0).collect();
        assert_eq!(counted, [("not_a_label", 1), ("negative_counter", 2)]);
    }
}
