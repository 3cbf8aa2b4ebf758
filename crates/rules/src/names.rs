//! Which labels tell the alerts of one rule apart.
//!
//! Owns the way from the labels of a series to those of its alert.

use std::sync::Arc;

use bellwether_core::{LabelSet, Labels, METRIC_NAME};

/// Labels that every notification has anyway.
pub const RESERVED: [&str; 2] = ["alertname", "severity"];

/// The labels of a rule's alerts, without those it adds.
#[derive(Clone, Debug, PartialEq)]
pub enum Names {
    /// Always these: those of declared metrics.
    Fixed(Arc<[Arc<str>]>),
    /// Those that each series of an answer has.
    OfSeries,
}

impl Names {
    /// Whether alerts may still be told apart by `key`, which another declaration made.
    #[must_use]
    pub fn fit(&self, key: &LabelSet) -> bool {
        match self {
            Self::Fixed(names) => key
                .iter()
                .all(|(name, _)| names.iter().any(|n| **n == *name)),
            Self::OfSeries => true,
        }
    }

    /// What tells the alert of a series of an answer apart: its labels but for its name, for what
    /// every notification has and for what the rule sets.
    #[must_use]
    pub fn key(&self, series: &LabelSet, added: &Labels) -> LabelSet {
        let set = |name: &str| RESERVED.contains(&name) || added.contains_key(name);
        let kept = |name: &str| match self {
            Self::Fixed(names) => names.iter().any(|known| **known == *name),
            Self::OfSeries => name != METRIC_NAME && !set(name),
        };
        LabelSet::new(series.iter().filter(|(name, _)| kept(name)))
    }

    /// The labels of the alert that `key` tells apart. One without any is about the rule as a
    /// whole; else a fixed label that the series lacks is empty.
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

    /// The names, where they are always the same.
    #[must_use]
    pub fn fixed(&self) -> &[Arc<str>] {
        match self {
            Self::Fixed(names) => names,
            Self::OfSeries => &[],
        }
    }

    /// Whether no series has labels.
    #[must_use]
    pub fn are_none(&self) -> bool {
        matches!(self, Self::Fixed(names) if names.is_empty())
    }
}
