//! Parameters as the analyses read them: what is wrong with one is said with how to mend it.

use std::str::FromStr;
use std::time::Duration;

use bellwether_schema::parse_duration;
use hyper::StatusCode;

use crate::answer::Trouble;
use crate::query::{Parameters, bad_data};

type Result<T> = std::result::Result<T, Trouble>;

const DURATION: &str = "a duration such as 30m, 24h or 7d";

/// What is asked makes sense, and still has no answer.
pub(super) fn no_answer(message: impl Into<String>) -> Trouble {
    Trouble::new(StatusCode::UNPROCESSABLE_ENTITY, message)
}

impl Parameters {
    /// Refuses those that are not among `known`: a misspelt one would change the answer unseen.
    pub(super) fn only(&self, known: &[&str]) -> Result<()> {
        // `timeout` is for all that is answered from history.
        let strange = self
            .names()
            .find(|name| *name != "timeout" && !known.contains(name));
        let told = |name| {
            bad_data(format!(
                "unknown parameter {name:?}; there are {}",
                known.join(", ")
            ))
        };
        strange.map_or(Ok(()), |name| Err(told(name)))
    }

    /// The first value of `name`; an empty one counts as absent.
    pub(super) fn given(&self, name: &str) -> Option<&str> {
        Some(self.text(name)).filter(|text| !text.is_empty())
    }

    /// The value of `name` as something else; `what` it should be is for people.
    fn read<T>(
        &self,
        name: &str,
        what: &str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>> {
        self.given(name)
            .map(|text| convert(name, what, text, &read))
            .transpose()
    }

    pub(super) fn number(&self, name: &str) -> Result<Option<f64>> {
        let finite = |text: &str| f64::from_str(text).ok().filter(|number| number.is_finite());
        self.read(name, "a number", finite)
    }

    pub(super) fn count(&self, name: &str, most: usize) -> Result<Option<usize>> {
        let within = |text: &str| text.parse().ok().filter(|count| (1..=most).contains(count));
        self.read(name, &format!("a whole number from 1 to {most}"), within)
    }

    pub(super) fn span(&self, name: &str) -> Result<Option<Duration>> {
        self.read(name, DURATION, positive)
    }

    /// All of them.
    pub(super) fn spans(&self, name: &str) -> Result<Vec<Duration>> {
        let given = self.all(name).filter(|text| !text.is_empty());
        given
            .map(|text| convert(name, DURATION, text, &positive))
            .collect()
    }

    /// One of a few words.
    pub(super) fn word<T: Copy>(&self, name: &str, words: &[(&str, T)]) -> Result<Option<T>> {
        let known = |text: &str| {
            words
                .iter()
                .find(|(word, _)| *word == text)
                .map(|(_, is)| *is)
        };
        let all: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        self.read(name, &format!("one of {}", all.join(", ")), known)
    }
}

fn positive(text: &str) -> Option<Duration> {
    parse_duration(text).filter(|span| !span.is_zero())
}

fn convert<T>(name: &str, what: &str, text: &str, read: &impl Fn(&str) -> Option<T>) -> Result<T> {
    let wrong = || bad_data(format!("parameter {name:?} must be {what}, not {text:?}"));
    read(text).ok_or_else(wrong)
}
