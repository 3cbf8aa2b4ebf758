//! Parameters of the analyses; each error has a hint how to fix it.

use std::str::FromStr;
use std::time::Duration;

use bellwether_schema::parse_duration;
use hyper::StatusCode;

use crate::api::endpoints::parameter::{Parameter, names, text, time};
use crate::api::query::{Parameters, TIMEOUT, bad_data};
use crate::api::response::ApiError;

type Result<T> = std::result::Result<T, ApiError>;

pub(super) const METRIC: Parameter = text(
    "metric",
    "configured or exported name, or a selector with labels",
)
.required();
pub(super) const TIME: Parameter = time("time", "end of the window; now by default");

const DURATION: &str = "a duration such as 30m, 24h or 7d";

/// Returns the error for a valid request that has no answer.
pub(super) fn unprocessable(message: impl Into<String>) -> ApiError {
    ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, message)
}

impl Parameters {
    /// Returns an error for a parameter that is neither in `known` nor `timeout`.
    pub(crate) fn reject_unknown(&self, known: &[Parameter]) -> Result<()> {
        let every = [known, &[TIMEOUT]].concat();
        match self.unknown(&every) {
            None => Ok(()),
            Some(name) => Err(bad_data(format!(
                "unknown parameter {name:?}; there are {}",
                names(known)
            ))),
        }
    }

    /// Returns the first value of `name`; an empty one counts as absent.
    pub(super) fn non_empty(&self, name: &str) -> Option<&str> {
        Some(self.text(name)).filter(|text| !text.is_empty())
    }

    /// Parses the value of `name`; `what` describes the expected value.
    fn read<T>(
        &self,
        name: &str,
        what: &str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>> {
        self.non_empty(name)
            .map(|text| convert(name, what, text, &read))
            .transpose()
    }

    pub(super) fn number(&self, name: &str) -> Result<Option<f64>> {
        self.read(name, "a number", |text| {
            f64::from_str(text).ok().filter(|number| number.is_finite())
        })
    }

    pub(super) fn count(&self, name: &str, max: usize) -> Result<Option<usize>> {
        self.read(name, &format!("a whole number from 1 to {max}"), |text| {
            text.parse().ok().filter(|count| (1..=max).contains(count))
        })
    }

    pub(super) fn positive_duration(&self, name: &str) -> Result<Option<Duration>> {
        self.read(name, DURATION, positive)
    }

    /// Parses every value of `name`.
    pub(super) fn positive_durations(&self, name: &str) -> Result<Vec<Duration>> {
        let texts = self.all(name).filter(|text| !text.is_empty());
        texts
            .map(|text| convert(name, DURATION, text, &positive))
            .collect()
    }

    /// Maps the value of `name` by `words`.
    pub(crate) fn one_of<T: Copy>(&self, name: &str, words: &[(&str, T)]) -> Result<Option<T>> {
        let names: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        self.read(name, &format!("one of {}", names.join(", ")), |text| {
            words
                .iter()
                .find(|(word, _)| *word == text)
                .map(|(_, value)| *value)
        })
    }
}

fn positive(text: &str) -> Option<Duration> {
    parse_duration(text).filter(|span| !span.is_zero())
}

fn convert<T>(name: &str, what: &str, text: &str, read: &impl Fn(&str) -> Option<T>) -> Result<T> {
    read(text).ok_or_else(|| bad_data(format!("parameter {name:?} must be {what}, not {text:?}")))
}
