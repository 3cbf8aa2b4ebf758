//! Rows of results that were left out, for the self-metrics.

use std::sync::atomic::{AtomicU64, Ordering};

/// Why a row was left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// A label is a list, a node or another thing that is no text.
    NotALabel,
    /// An earlier row has the same labels.
    RepeatedLabels,
    /// The value is text, a list or another thing that is no number.
    NotANumber,
    /// The value is NaN or infinite.
    NotFinite,
    /// The value of a counter is negative.
    NegativeCounter,
}

const WHY: [&str; 5] = [
    "not_a_label",
    "repeated_labels",
    "not_a_number",
    "not_finite",
    "negative_counter",
];

/// Counts of rows that were left out, by reason. A value that is null is no data, and none of them.
#[derive(Debug, Default)]
pub struct SkippedRows([AtomicU64; WHY.len()]);

impl SkippedRows {
    pub(super) fn count(&self, why: Why) {
        self.0[why as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Goes on from the counts of `old`, after a reload.
    pub fn adopt(&self, old: &Self) {
        for (count, old) in self.0.iter().zip(&old.0) {
            count.fetch_add(old.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }

    /// All counts with the words of their reasons.
    pub fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> {
        WHY.iter()
            .zip(&self.0)
            .map(|(why, count)| (*why, count.load(Ordering::Relaxed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_stand_under_their_words() {
        let mut skipped = SkippedRows::default();
        skipped.count(Why::NotALabel);
        skipped.count(Why::NegativeCounter);
        skipped.count(Why::NegativeCounter);
        let old = std::mem::take(&mut skipped);
        skipped.adopt(&old);
        let counted: Vec<_> = skipped.counts().filter(|(_, count)| *count > 0).collect();
        assert_eq!(counted, [("not_a_label", 1), ("negative_counter", 2)]);
    }
}
