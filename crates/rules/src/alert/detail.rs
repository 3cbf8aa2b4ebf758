//! Details of an alert beside its value: the expected range, or the time of a forecast.

use bellwether_core::{LabelSet, Labels};
use bellwether_template::general;

/// Digits of an expected range.
const DIGITS: usize = 4;

/// Detail of an alert beside its value.
#[derive(Clone, Debug, PartialEq)]
pub enum Detail {
    /// Anomalous value.
    Anomaly {
        /// Anomaly score, in the unit of the algorithm.
        score: f64,
        /// Expected range, low and high.
        expected: Option<(f64, f64)>,
    },
    /// Time until the value is reached: `in 3 h 10 min, 2 h 40 min to 4 h 5 min`.
    Forecast(String),
    /// Labels of its series in the query result, with the metric name.
    Series(LabelSet),
}

impl Detail {
    /// Returns the expected range as text: `20 to 45.5`. It is rounded inwards, so that a value
    /// outside of the range is outside of the text too.
    #[must_use]
    pub fn expected(&self) -> Option<String> {
        match self {
            Self::Anomaly {
                expected: Some((low, high)),
                ..
            } => Some(format!(
                "{} to {}",
                general(rounded(*low), DIGITS),
                general(-rounded(-*high), DIGITS)
            )),
            _ => None,
        }
    }

    /// Returns the labels of its series, if they differ from those of the alert.
    #[must_use]
    pub fn series(&self) -> Option<&LabelSet> {
        match self {
            Self::Series(labels) => Some(labels),
            _ => None,
        }
    }

    /// Returns the middle of the expected range.
    #[must_use]
    pub fn middle(&self) -> Option<f64> {
        match self {
            Self::Anomaly {
                expected: Some((low, high)),
                ..
            } => Some(f64::midpoint(*low, *high)),
            _ => None,
        }
    }

    /// Adds the detail to `annotations`, unless the rule has an annotation of that name.
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

/// Rounds up to the digits that are shown.
fn rounded(value: f64) -> f64 {
    let near = general(value, DIGITS).parse().unwrap_or(value);
    if near >= value || !value.is_finite() {
        return near;
    }
    let unit = 10_f64.powi(value.abs().log10().floor() as i32 + 1 - DIGITS as i32);
    near + unit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_range_is_rounded_inwards() {
        for (low, high, words) in [
            (8.7512, 11.2699, "8.752 to 11.26"),
            (-11.2699, -8.7512, "-11.26 to -8.752"),
            (20.0, 45.5, "20 to 45.5"),
            (0.0, 0.0, "0 to 0"),
            (-3.0, 99.9999, "-3 to 99.99"),
            (123_456.0, 7_654_321.0, "1.235e+05 to 7.654e+06"),
        ] {
            let detail = Detail::Anomaly {
                score: 1.0,
                expected: Some((low, high)),
            };
            assert_eq!(detail.expected().as_deref(), Some(words));
        }
    }
}
