//! Samples that are not accepted, by reason.

use std::collections::BTreeMap;

use super::counted;

/// Reason for which a sample is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rejection {
    /// The source has as many series as it may have.
    Limit,
    /// Another metric has the name, a configured one or one of Bellwether itself, with the same labels or another
    /// type.
    NameInUse,
    /// The family is there with another type.
    Type,
    /// Another source brings the series, or it came twice.
    Duplicate,
    /// A name of the metric or of a label is invalid, or the labels are.
    Invalid,
    /// It cannot be read, or its value is no number.
    Malformed,
    /// No pattern of the receiver accepts the name of the metric.
    NotAccepted,
    /// It is older than what the receiver has or keeps.
    TooOld,
}

impl Rejection {
    /// All reasons.
    pub const ALL: [Self; 8] = [
        Self::Limit,
        Self::NameInUse,
        Self::Type,
        Self::Duplicate,
        Self::Invalid,
        Self::Malformed,
        Self::NotAccepted,
        Self::TooOld,
    ];

    /// Returns the reason as the value of a label.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Limit => "limit",
            Self::NameInUse => "name_in_use",
            Self::Type => "type",
            Self::Duplicate => "duplicate",
            Self::Invalid => "invalid",
            Self::Malformed => "malformed",
            Self::NotAccepted => "not_accepted",
            Self::TooOld => "too_old",
        }
    }

    fn explanation(self) -> &'static str {
        match self {
            Self::Limit => {
                "the collector has as many series as limits.series allows, or as long ones as limits.bytes"
            }
            Self::NameInUse => {
                "a configured metric, or one of Bellwether itself, has the name with the same labels or another type"
            }
            Self::Type => "the metric is there with another type",
            Self::Duplicate => "another collector brings the series, or it came twice",
            Self::Invalid => "a name is not valid in Prometheus",
            Self::Malformed => {
                "it cannot be read, or its value is no number that the metric can have"
            }
            Self::NotAccepted => "no pattern of `accept` matches the name of the metric",
            Self::TooOld => {
                "it is older than the `ttl` of the collector, or than a sample before it"
            }
        }
    }
}

/// Largest number of characters of the text of a sample.
const LONGEST_EXAMPLE: usize = 300;

/// Number of rejected samples by reason, with the text of the first one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rejected(BTreeMap<Rejection, (u64, String)>);

impl Rejected {
    /// Adds `count` samples. `first` returns the text of the first one, if it is the first of its reason.
    pub fn add(&mut self, reason: Rejection, count: u64, first: impl FnOnce() -> String) {
        let first = || {
            let mut text = first();
            if let Some((end, _)) = text.char_indices().nth(LONGEST_EXAMPLE) {
                text.truncate(end);
                text.push_str("...");
            }
            text
        };
        self.0.entry(reason).or_insert_with(|| (0, first())).0 += count;
    }

    /// Adds the samples of `other`.
    pub fn extend(&mut self, other: &Self) {
        for (reason, (count, first)) in &other.0 {
            self.add(*reason, *count, || first.clone());
        }
    }

    /// Iterates over the reasons, the number of their samples and the text of the first one.
    pub fn iter(&self) -> impl Iterator<Item = (Rejection, u64, &str)> {
        let all = self.0.iter();
        all.map(|(reason, (count, first))| (*reason, *count, first.as_str()))
    }

    /// Returns the number of samples that were rejected for `reason`.
    #[must_use]
    pub fn count(&self, reason: Rejection) -> u64 {
        self.0.get(&reason).map_or(0, |(count, _)| *count)
    }

    /// Returns a sentence for each reason.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        let notes = self.iter().map(|(reason, count, first)| {
            let samples = counted(count, "sample");
            format!(
                "rejected {samples}, such as {first}: {}",
                reason.explanation()
            )
        });
        notes.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_counted_by_reason_with_an_example() {
        let mut rejected = Rejected::default();
        rejected.add(Rejection::Type, 2, || "a".into());
        let mut more = Rejected::default();
        more.add(Rejection::Type, 1, || "b".into());
        more.add(Rejection::Limit, 1, || "c".into());
        rejected.extend(&more);
        assert_eq!(rejected.count(Rejection::Type), 3);
        assert_eq!(
            rejected.notes(),
            [
                "rejected 1 sample, such as c: the collector has as many series as limits.series allows, or as long ones as limits.bytes",
                "rejected 3 samples, such as a: the metric is there with another type"
            ]
        );
    }
}
