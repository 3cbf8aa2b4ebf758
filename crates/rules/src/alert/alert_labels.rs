//! Labels of the alerts of one rule.
//!
//! Owns the step from the labels of a series to those of its alert.

use std::sync::Arc;

use bellwether_core::{LabelSet, Labels, METRIC_NAME};

/// Labels that every notification has anyway.
pub const RESERVED: [&str; 2] = ["alertname", "severity"];

/// Labels of a rule's alerts, without those that the rule adds.
#[derive(Clone, Debug, PartialEq)]
pub enum AlertLabels {
    /// Always these labels: those of configured metrics.
    Fixed(Arc<[Arc<str>]>),
    /// Labels of each series of the query result.
    FromSeries,
}

impl AlertLabels {
    /// Returns true if the alert of `key`, made before a reload, may belong to this rule.
    #[must_use]
    pub fn fits(&self, key: &LabelSet) -> bool {
        match self {
            Self::Fixed(names) => key
                .iter()
                .all(|(name, _)| names.iter().any(|n| **n == *name)),
            Self::FromSeries => true,
        }
    }

    /// Returns the key of the alert of `series`: its labels without the metric name, without those
    /// that every notification has and without those that the rule adds.
    #[must_use]
    pub fn key(&self, series: &LabelSet, added: &Labels) -> LabelSet {
        let is_reserved = |name: &str| RESERVED.contains(&name) || added.contains_key(name);
        LabelSet::new(series.iter().filter(|(name, _)| match self {
            Self::Fixed(names) => names.iter().any(|label| **label == **name),
            Self::FromSeries => *name != METRIC_NAME && !is_reserved(name),
        }))
    }

    /// Returns the labels of the alert of `key`. An empty key is the alert of the rule as a whole;
    /// else a fixed label that the series lacks is empty.
    #[must_use]
    pub fn labels(&self, key: &LabelSet, added: &Labels) -> Labels {
        let own = key
            .iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let mut labels = Labels::new();
        if let (Self::Fixed(names), false) = (self, key.is_empty()) {
            labels.extend(names.iter().map(|name| (name.to_string(), String::new())));
        }
        labels.extend(own.chain(added.clone()));
        labels
    }

    /// Returns the fixed label names.
    #[must_use]
    pub fn fixed(&self) -> &[Arc<str>] {
        match self {
            Self::Fixed(names) => names,
            Self::FromSeries => &[],
        }
    }

    /// Returns true if no series has labels.
    #[must_use]
    pub fn is_always_empty(&self) -> bool {
        matches!(self, Self::Fixed(names) if names.is_empty())
    }
}
