//! Samples that are not accepted, by reason.

use std::collections::BTreeMap;

use super::counted;

/// Reason for which a sample is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rejection {
    /// The source has as many series as it may have.
    Limit,
    /// The metric has as many series as it may have.
    MetricLimit,
    /// A label of the metric has as many values as it may have.
    LabelLimit,
    /// Another metric has the name, a configured one or one of Bellwether itself, with the same labels or another
    /// type; or it is the name of a generated series or of a recording rule.
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
    /// Its time is ahead of this host's clock.
    TooNew,
}

impl Rejection {
    /// All reasons.
    pub const ALL: [Self; 11] = [
        Self::Limit,
        Self::MetricLimit,
        Self::LabelLimit,
        Self::NameInUse,
        Self::Type,
        Self::Duplicate,
        Self::Invalid,
        Self::Malformed,
        Self::NotAccepted,
        Self::TooOld,
        Self::TooNew,
    ];

    /// Returns the reason as the value of a label.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Limit => "limit",
            Self::MetricLimit => "metric_limit",
            Self::LabelLimit => "label_limit",
            Self::NameInUse => "name_in_use",
            Self::Type => "type",
            Self::Duplicate => "duplicate",
            Self::Invalid => "invalid",
            Self::Malformed => "malformed",
            Self::NotAccepted => "not_accepted",
            Self::TooOld => "too_old",
            Self::TooNew => "too_new",
        }
    }

    fn explanation(self) -> &'static str {
        match self {
            Self::Limit => {
                "the collector has as many series as limits.series allows, or as long ones as limits.bytes"
            }
            Self::MetricLimit => "the metric has as many series as limits.metric_series allows",
            Self::LabelLimit => "the label has as many values as limits.label_values allows",
            Self::NameInUse => {
                "a configured metric, one of Bellwether itself or a recording rule has the name, with the same labels or another type"
            }
            Self::Type => "the metric is there with another type",
            Self::Duplicate => "another collector brings the series, or it came twice",
            Self::Invalid => "a name is not valid in Prometheus",
            Self::Malformed => {
                "it cannot be read, or its value is no number that the metric can have"
            }
            Self::NotAccepted => "no pattern of `accept` matches the name of the metric",
            Self::TooOld => "it is older than the collector takes, or than a sample before it",
            Self::TooNew => "its time is more than 10 minutes ahead of this host's clock",
        }
    }
}

/// Largest number of characters of the text of a sample.
const LONGEST_EXAMPLE: usize = 300;

/// Largest number of names of one reason.
const NAMES: usize = 20;
/// Largest number of names in a sentence.
const NAMES_SHOWN: usize = 3;

/// Number of rejected samples by reason, with the text of the first one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rejected(BTreeMap<Rejection, Samples>);

/// Samples that were rejected for one reason.
#[derive(Clone, Debug, Default, PartialEq)]
struct Samples {
    count: u64,
    first: String,
    /// Number by metric, or by metric and label where the label is the reason, as `requests_total{path}`; of some.
    names: BTreeMap<String, u64>,
}

impl Rejected {
    /// Adds `count` samples. `first` returns the text of the first one, if it is the first of its reason.
    pub fn add(&mut self, reason: Rejection, count: u64, first: impl FnOnce() -> String) {
        self.0.entry(reason).or_default().add(count, first);
    }

    /// As [`Rejected::add`], with one sample of the metric `name`, or of its label as `requests_total{path}`.
    pub fn add_of(&mut self, reason: Rejection, name: &str, first: impl FnOnce() -> String) {
        let samples = self.0.entry(reason).or_default();
        samples.add(1, first);
        samples.name(name, 1);
    }

    /// Adds the samples of `other`.
    pub fn extend(&mut self, other: &Self) {
        for (reason, more) in &other.0 {
            let samples = self.0.entry(*reason).or_default();
            samples.add(more.count, || more.first.clone());
            for (name, count) in &more.names {
                samples.name(name, *count);
            }
        }
    }

    /// Iterates over the reasons, the number of their samples and the text of the first one.
    pub fn iter(&self) -> impl Iterator<Item = (Rejection, u64, &str)> {
        let all = self.0.iter();
        all.map(|(reason, samples)| (*reason, samples.count, samples.first.as_str()))
    }

    /// Returns the number of samples that were rejected for `reason`.
    #[must_use]
    pub fn count(&self, reason: Rejection) -> u64 {
        self.0.get(&reason).map_or(0, |samples| samples.count)
    }

    /// Returns a sentence for each reason.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        let notes = self.0.iter().map(|(reason, samples)| {
            let (count, first) = (counted(samples.count, "sample"), &samples.first);
            let (names, explanation) = (samples.most(), reason.explanation());
            format!("rejected {count}{names}, such as {first}: {explanation}")
        });
        notes.collect()
    }
}

impl Samples {
    fn add(&mut self, count: u64, first: impl FnOnce() -> String) {
        if self.count == 0 {
            self.first = first();
            if let Some((end, _)) = self.first.char_indices().nth(LONGEST_EXAMPLE) {
                self.first.truncate(end);
                self.first.push_str("...");
            }
        }
        self.count += count;
    }

    fn name(&mut self, name: &str, count: u64) {
        if let Some(samples) = self.names.get_mut(name) {
            *samples += count;
        } else if self.names.len() < NAMES {
            self.names.insert(name.to_owned(), count);
        }
    }

    /// Returns the names with the most samples, for a sentence; nothing without names.
    fn most(&self) -> String {
        let mut names: Vec<_> = self.names.iter().collect();
        if names.is_empty() {
            return String::new();
        }
        names.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        let shown = names.iter().take(NAMES_SHOWN);
        let mut shown: Vec<_> = shown
            .map(|(name, count)| format!("{name} ({count})"))
            .collect();
        if names.len() > NAMES_SHOWN {
            shown.push("others".into());
        }
        format!(" of {}", shown.join(", "))
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
