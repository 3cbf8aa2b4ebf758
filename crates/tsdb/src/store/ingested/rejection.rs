//! Samples that are rejected, and the result of ingesting a batch.

use std::collections::BTreeMap;

use bellwether_core::{LabelSet, counted};

use super::churn::Churn;

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
    /// type.
    NameInUse,
    /// Another source brings the family with another type.
    Type,
    /// Another source brings the series, or it came twice.
    Duplicate,
    /// A name of the metric or of a label is invalid, or the labels are.
    Invalid,
}

impl Rejection {
    /// All reasons.
    pub const ALL: [Self; 7] = [
        Self::Limit,
        Self::MetricLimit,
        Self::LabelLimit,
        Self::NameInUse,
        Self::Type,
        Self::Duplicate,
        Self::Invalid,
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
        }
    }

    fn explanation(self) -> &'static str {
        match self {
            Self::Limit => "the collector has as many series as limits.series allows",
            Self::MetricLimit => "the metric has as many series as limits.metric_series allows",
            Self::LabelLimit => "the label has as many values as limits.label_values allows",
            Self::NameInUse => {
                "a configured metric, or one of Bellwether itself, has the name with the same labels or another type"
            }
            Self::Type => "another collector brings the metric with another type",
            Self::Duplicate => "another collector brings the series, or it came twice",
            Self::Invalid => "a name is not valid in Prometheus",
        }
    }
}

/// Maximum number of names that [`Rejected`] has.
const NAMES: usize = 20;
/// Maximum number of names in a sentence.
const NAMES_SHOWN: usize = 3;

/// Samples that were rejected for one reason.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rejected {
    /// Number of samples.
    pub samples: u64,
    /// Series of the first one.
    pub first: String,
    /// Number of samples by metric, or by metric and label where the label is the reason, as `requests_total{path}`. Not
    /// more than 20.
    pub names: BTreeMap<String, u64>,
}

impl Rejected {
    fn add(&mut self, name: &str, first: impl FnOnce() -> String) {
        if self.samples == 0 {
            self.first = first();
        }
        self.samples += 1;
        if let Some(samples) = self.names.get_mut(name) {
            *samples += 1;
        } else if self.names.len() < NAMES {
            self.names.insert(name.to_owned(), 1);
        }
    }

    /// Returns the names with the most samples, for a sentence.
    fn most(&self) -> String {
        let mut names: Vec<_> = self.names.iter().collect();
        names.sort_by_key(|(_, samples)| std::cmp::Reverse(**samples));
        let shown = names.iter().take(NAMES_SHOWN);
        let mut shown: Vec<_> = shown
            .map(|(name, samples)| format!("{name} ({samples})"))
            .collect();
        if names.len() > NAMES_SHOWN {
            shown.push("others".into());
        }
        shown.join(", ")
    }
}

/// Result of ingesting the samples of a source.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ingestion {
    /// Series of the source.
    pub series: usize,
    /// Rejected samples by reason.
    pub rejected: BTreeMap<Rejection, Rejected>,
    /// Set if series of the source come and go too often.
    pub(super) churn: Option<Churn>,
}

impl Ingestion {
    pub(super) fn reject(&mut self, reason: Rejection, name: &str, packed: &[u8]) {
        let first = || match LabelSet::from_packed(packed) {
            Some(labels) => labels.to_string(),
            None => String::from_utf8_lossy(packed).replace('\u{fffd}', " "),
        };
        self.rejected.entry(reason).or_default().add(name, first);
    }

    /// Returns a sentence for each reason for which samples were rejected, and one about churn.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        let rejected = self.rejected.iter().map(|(reason, rejected)| {
            let samples = counted(rejected.samples, "sample");
            let (names, first) = (rejected.most(), &rejected.first);
            let explanation = reason.explanation();
            format!("rejected {samples} of {names}, such as {first}: {explanation}")
        });
        let churn = self.churn.iter().map(ToString::to_string);
        rejected.chain(churn).collect()
    }
}
