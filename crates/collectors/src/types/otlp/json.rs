//! Numbers in the JSON of protocol buffers: those of 64 bits are texts, and so are `NaN` and `Infinity`.

use std::fmt::Display;
use std::str::FromStr;

use serde::de::Error;
use serde::{Deserialize, Deserializer};

#[derive(Deserialize)]
#[serde(untagged)]
enum Number<T> {
    Number(T),
    Text(String),
}

impl<T: FromStr<Err: Display>> Number<T> {
    fn value<E: Error>(self) -> Result<T, E> {
        match self {
            Self::Number(number) => Ok(number),
            Self::Text(text) => text
                .parse()
                .map_err(|error| E::custom(format!("not a number: {text:?}: {error}"))),
        }
    }
}

/// Reads a number.
pub(super) fn number<'de, D, T>(from: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + FromStr<Err: Display>,
{
    Number::deserialize(from)?.value()
}

/// Reads a number that may be null.
pub(super) fn optional<'de, D, T>(from: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + FromStr<Err: Display>,
{
    let number = Option::<Number<T>>::deserialize(from)?;
    number.map(Number::value).transpose()
}

/// Reads a list of numbers.
pub(super) fn numbers<'de, D, T>(from: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + FromStr<Err: Display>,
{
    let numbers = Vec::<Number<T>>::deserialize(from)?;
    numbers.into_iter().map(Number::value).collect()
}
