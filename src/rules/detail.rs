//! What a rule found beside a value: what was expected, or when something is reached.

use crate::model::{LabelSet, Labels};
use crate::templates::general;

/// What is known of an alert beside its value.
#[derive(Clone, Debug, PartialEq)]
pub enum Detail {
    /// The value is odd.
    Anomaly {
        /// How odd, in the measure of the algorithm.
        score: f64,
        /// The range in which it would not have been.
        expected: Option<(f64, f64)>,
    },
    /// A value will be reached: `in 3 h 10 min, 2 h 40 min to 4 h 5 min`.
    Forecast(String),
    /// The labels of its series in the answer of a query, its name among them.
    Series(LabelSet),
}

impl Detail {
    /// The expected range in words: `20 to 45.5`.
    #[must_use]
    pub fn expected(&self) -> Option<String> {
        match self {
            Self::Anomaly { expected: Some((low, high)), .. } => {
                Some(format!("{} to {}", general(*low, 4), general(*high, 4)))
            }
            _ => None,
        }
    }

    /// The labels of its series, where they are known beside those of the alert.
    #[must_use]
    pub fn series(&self) -> Option<&LabelSet> {
        match self {
            Self::Series(labels) => Some(labels),
            _ => None,
        }
    }

    /// The middle of the expected range.
    #[must_use]
    pub fn middle(&self) -> Option<f64> {
        match self {
            Self::Anomaly { expected: Some((low, high)), .. } => Some(f64::midpoint(*low, *high)),
            _ => None,
        }
    }

    /// Adds what people should know to `annotations`, where these say nothing of it.
    pub fn annotate(&self, annotations: &mut Labels) {
        let (name, text) = match self {
            Self::Anomaly { .. } => ("expected", self.expected()),
            Self::Forecast(words) => ("forecast", Some(words.clone())),
            Self::Series(_) => return,
        };
        if let Some(text) = text {
            annotations.entry(name.to_owned()).or_insert(text);
        }
    }
}
