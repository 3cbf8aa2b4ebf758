//! Errors of records, and the number of rejected records by reason.
//!
//! Owns the bounded set of reasons, which are the label values of `application_rejected_total`. The
//! message of a single error never becomes a label.

use std::error::Error;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// Reason why a record was rejected. Serves as a label value, so the set is small and fixed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// No application metric has this name.
    UnknownMetric,
    /// The metric does not have this label.
    UnknownLabel,
    /// The record lacks a label of the metric.
    MissingLabel,
    /// The record has the same label twice.
    RepeatedLabel,
    /// The operation does not fit the metric's type, such as `set` on a counter.
    WrongKind,
    /// The value is NaN or no number at all.
    NotANumber,
    /// The value, or the total it would lead to, is infinite.
    Infinite,
    /// A counter cannot fall.
    NegativeCounter,
    /// The metric holds as many series as its `max_series` allows.
    TooManySeries,
    /// A label's value is longer than [`MAX_VALUE_LEN`] bytes.
    LabelTooLong,
    /// The record cannot be read.
    Malformed,
    /// Records of this kind are not supported: `StatsD` sets, events and service checks.
    Unsupported,
    /// The record is more than a minute old or in the future; only current values are accepted.
    Timestamp,
}

/// Longest accepted label value in bytes. A longer one is a mistake of the sender, and 10,000 of
/// them would fill the memory.
pub const MAX_VALUE_LEN: usize = 1024;

impl Reason {
    /// All reasons.
    pub const ALL: [Reason; 13] = [
        Self::UnknownMetric,
        Self::UnknownLabel,
        Self::MissingLabel,
        Self::RepeatedLabel,
        Self::WrongKind,
        Self::NotANumber,
        Self::Infinite,
        Self::NegativeCounter,
        Self::TooManySeries,
        Self::LabelTooLong,
        Self::Malformed,
        Self::Unsupported,
        Self::Timestamp,
    ];

    /// Returns the word used as a label value and in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UnknownMetric => "unknown_metric",
            Self::UnknownLabel => "unknown_label",
            Self::MissingLabel => "missing_label",
            Self::RepeatedLabel => "repeated_label",
            Self::WrongKind => "wrong_kind",
            Self::NotANumber => "not_a_number",
            Self::Infinite => "infinite",
            Self::NegativeCounter => "negative_counter",
            Self::TooManySeries => "too_many_series",
            Self::LabelTooLong => "label_too_long",
            Self::Malformed => "malformed",
            Self::Unsupported => "unsupported",
            Self::Timestamp => "timestamp",
        }
    }

    fn sentence(self) -> &'static str {
        match self {
            Self::UnknownMetric => "unknown application metric",
            Self::UnknownLabel => "the metric has no such label",
            Self::MissingLabel => "a label of the metric is missing",
            Self::RepeatedLabel => "the record has the label twice",
            Self::WrongKind => "the operation does not fit the metric's type",
            Self::NotANumber => "the value is not a number",
            Self::Infinite => "the value is infinite",
            Self::NegativeCounter => "a counter cannot fall",
            Self::TooManySeries => "the metric has reached max_series",
            Self::LabelTooLong => "the label's value is longer than 1024 bytes",
            Self::Malformed => "the record cannot be read",
            Self::Unsupported => "records of this kind are not supported",
            Self::Timestamp => "the timestamp is more than a minute off",
        }
    }
}

/// Error of a rejected record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordError {
    /// Reason, fit for a label.
    pub reason: Reason,
    /// The offending name, label or text; empty if the reason says it all.
    pub subject: String,
}

impl RecordError {
    /// Creates an error about `subject`, a name or a text of the record.
    #[cold]
    pub fn new(reason: Reason, subject: impl Into<String>) -> Self {
        Self {
            reason,
            subject: subject.into(),
        }
    }
}

impl From<Reason> for RecordError {
    #[cold]
    fn from(reason: Reason) -> Self {
        Self {
            reason,
            subject: String::new(),
        }
    }
}

impl Error for RecordError {}

impl fmt::Display for RecordError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.reason.sentence())?;
        if self.subject.is_empty() {
            Ok(())
        } else {
            write!(out, ": {}", self.subject)
        }
    }
}

/// Number of rejected records by reason.
#[derive(Debug, Default)]
pub(super) struct RejectedCounts([AtomicU64; Reason::ALL.len()]);

impl RejectedCounts {
    pub(super) fn count(&self, reason: Reason) {
        self.0[reason as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn totals(&self) -> impl Iterator<Item = (Reason, u64)> {
        Reason::ALL
            .into_iter()
            .zip(self.0.iter().map(|total| total.load(Ordering::Relaxed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_its_own_counter_and_label_value() {
        let counts = RejectedCounts::default();
        for (index, reason) in Reason::ALL.into_iter().enumerate() {
            (0..=index).for_each(|_| counts.count(reason));
        }
        let totals: Vec<_> = counts.totals().collect();
        for (index, reason) in Reason::ALL.into_iter().enumerate() {
            assert_eq!(totals[index], (reason, index as u64 + 1));
        }
        let words: std::collections::HashSet<_> = Reason::ALL.map(Reason::as_str).into();
        assert_eq!(words.len(), Reason::ALL.len());
    }

    #[test]
    fn an_error_names_its_subject() {
        let error = RecordError::new(Reason::UnknownLabel, "pod");
        assert_eq!(error.to_string(), "the metric has no such label: pod");
        assert_eq!(
            RecordError::from(Reason::Infinite).to_string(),
            "the value is infinite"
        );
    }
}
