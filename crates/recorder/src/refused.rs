//! Why a record was not taken, and how many were refused for each reason.
//!
//! Owns the bounded set of reasons, which is the label set of `application_refused_total`; what
//! is said about a single refusal never becomes a label.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// Why a record was refused. The words are label values: a small, fixed set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// No application metric has this name.
    UnknownMetric,
    /// The metric does not have this label.
    UnknownLabel,
    /// A label of the metric was not given.
    MissingLabel,
    /// The same label was given twice.
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
    /// The record is of a kind that has no place here: `StatsD` sets, events, service checks.
    Unsupported,
    /// The record is of another time; only current values are taken.
    Timestamp,
}

/// Longest label value taken, in bytes. Longer ones are a mistake of the sender, and 10,000 of
/// them would fill the memory.
pub const MAX_VALUE_LEN: usize = 1024;

impl Reason {
    /// All, in the order of their declaration.
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

    /// The word used as a label value and in answers.
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
            Self::UnknownMetric => "no application metric of this name is declared",
            Self::UnknownLabel => "the metric does not declare this label",
            Self::MissingLabel => "a declared label is missing",
            Self::RepeatedLabel => "the label is given twice",
            Self::WrongKind => "the operation does not fit the metric's type",
            Self::NotANumber => "the value is not a number",
            Self::Infinite => "the value is infinite",
            Self::NegativeCounter => "a counter cannot fall",
            Self::TooManySeries => "the metric holds max_series series already",
            Self::LabelTooLong => "the label's value is longer than 1024 bytes",
            Self::Malformed => "the record cannot be read",
            Self::Unsupported => "records of this kind are not supported",
            Self::Timestamp => "the timestamp is more than a minute off",
        }
    }
}

/// One refusal: why, and what it is about.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Refused {
    /// Why.
    pub reason: Reason,
    /// The name, label or text it is about; empty where the reason says it all.
    pub subject: String,
}

impl Refused {
    #[cold]
    /// A refusal of `subject`.
    pub fn new(reason: Reason, subject: impl Into<String>) -> Self {
        Self {
            reason,
            subject: subject.into(),
        }
    }
}

impl From<Reason> for Refused {
    #[cold]
    fn from(reason: Reason) -> Self {
        Self {
            reason,
            subject: String::new(),
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.reason.sentence())?;
        if self.subject.is_empty() {
            Ok(())
        } else {
            write!(out, ": {}", self.subject)
        }
    }
}

/// How many records were refused, by reason.
#[derive(Debug, Default)]
pub(super) struct Refusals([AtomicU64; Reason::ALL.len()]);

impl Refusals {
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
    fn each_reason_has_its_own_counter_and_word() {
        let refusals = Refusals::default();
        for (index, reason) in Reason::ALL.into_iter().enumerate() {
            (0..=index).for_each(|_| refusals.count(reason));
        }
        let totals: Vec<_> = refusals.totals().collect();
        for (index, reason) in Reason::ALL.into_iter().enumerate() {
            assert_eq!(totals[index], (reason, index as u64 + 1));
        }
        let words: std::collections::HashSet<_> = Reason::ALL.map(Reason::as_str).into();
        assert_eq!(words.len(), Reason::ALL.len());
    }

    #[test]
    fn a_refusal_says_what_it_is_about() {
        let refused = Refused::new(Reason::UnknownLabel, "pod");
        assert_eq!(
            refused.to_string(),
            "the metric does not declare this label: pod"
        );
        assert_eq!(
            Refused::from(Reason::Infinite).to_string(),
            "the value is infinite"
        );
    }
}
