//! Records as JSON, the body of `POST /api/v1/record`.
//!
//! Owns the format. A bad record never stops the others. A body that is no JSON array records
//! nothing at all, so that a truncated one can be sent again.

use std::borrow::Cow;
use std::fmt;

use bellwether_core::{Recorded, RejectedRecord};
use bellwether_recorder::{Reason, RecordError, Recorder};
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// Maximum number of rejected records that [`Recorded`] lists; further ones are only counted, so that the answer
/// to a large body stays small.
pub const MAX_REPORTED: usize = 1000;

/// Error of a body that is no JSON array; nothing of it was recorded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a JSON array of records: {0}")]
pub struct Malformed(String);

/// Records each element of a JSON array such as
/// `[{"metric":"queue_length","labels":{"queue_name":"mail"},"set":42}]`: one of `observe`,
/// `inc`, `set` and `add` with its value. Label values are text, numbers or booleans.
///
/// # Errors
/// Returns an error if `body` as a whole is no JSON array.
pub fn record_json(recorder: &Recorder, body: &[u8]) -> Result<Recorded, Malformed> {
    let malformed = |error: serde_json::Error| Malformed(error.to_string());
    // Read twice: the syntax first, so that a truncated body records nothing.
    serde_json::from_slice::<Syntax>(body).map_err(malformed)?;
    let mut reader = serde_json::Deserializer::from_slice(body);
    reader.deserialize_seq(Records(recorder)).map_err(malformed)
}

/// Checks the syntax of an array.
struct Syntax;

impl<'de> Deserialize<'de> for Syntax {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Elements;
        impl<'de> Visitor<'de> for Elements {
            type Value = Syntax;
            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("an array")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Syntax, A::Error> {
                while array.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Syntax)
            }
        }
        from.deserialize_seq(Elements)
    }
}

/// Records the elements one by one.
struct Records<'r>(&'r Recorder);

impl<'de> Visitor<'de> for Records<'_> {
    type Value = Recorded;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Recorded, A::Error> {
        let mut answer = Recorded::default();
        let mut index = 0;
        while let Some(record) = array.next_element::<&'de RawValue>()? {
            match record_one(self.0, record.get()) {
                Ok(()) => answer.accepted += 1,
                Err(error) => add_rejected(&mut answer, index, &error),
            }
            index += 1;
        }
        Ok(answer)
    }
}

fn add_rejected(answer: &mut Recorded, index: u64, error: &RecordError) {
    answer.rejected_total += 1;
    if answer.rejected.len() < MAX_REPORTED {
        let (reason, message) = (error.reason.as_str(), error.to_string());
        answer.rejected.push(RejectedRecord {
            index,
            reason,
            message,
        });
    }
}

fn record_one(recorder: &Recorder, text: &str) -> Result<(), RecordError> {
    let malformed = |why: String| {
        recorder.count_rejected(Reason::Malformed);
        Err(RecordError::new(Reason::Malformed, why))
    };
    let record: Record<'_> = match serde_json::from_str(text) {
        Ok(record) => record,
        Err(error) => return malformed(without_location(&error)),
    };
    let labels: Vec<(&str, &str)> = record
        .labels
        .0
        .iter()
        .map(|(name, value)| (&**name, &**value))
        .collect();
    let name = &*record.metric;
    match (record.observe, record.inc, record.set, record.add) {
        (Some(value), None, None, None) => recorder.observe(name, &labels, value.0),
        (None, Some(by), None, None) => recorder.inc(name, &labels, by.0),
        (None, None, Some(value), None) => recorder.set(name, &labels, value.0),
        (None, None, None, Some(by)) => recorder.add(name, &labels, by.0),
        (None, None, None, None) => {
            malformed("one of observe, inc, set and add is required".into())
        }
        _ => malformed("only one of observe, inc, set and add is allowed".into()),
    }
}

/// Formats the error without its line and column, which count from the start of the record.
fn without_location(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.rsplit_once(" at line ")
        .map_or(text.clone(), |(what, _)| what.to_owned())
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Record<'a> {
    #[serde(borrow)]
    metric: Cow<'a, str>,
    #[serde(borrow, default)]
    labels: LabelPairs<'a>,
    #[serde(default, deserialize_with = "number_or_null")]
    observe: Option<Number>,
    #[serde(default, deserialize_with = "number_or_null")]
    inc: Option<Number>,
    #[serde(default, deserialize_with = "number_or_null")]
    set: Option<Number>,
    #[serde(default, deserialize_with = "number_or_null")]
    add: Option<Number>,
}

/// Reads `null` as NaN and not as an absent value, since JavaScript writes NaN so.
fn number_or_null<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Number>, D::Error> {
    Number::deserialize(from).map(Some)
}

/// A number, or the text of one that JSON cannot write: `"NaN"`, `"+Inf"`.
struct Number(f64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Value;
        impl Visitor<'_> for Value {
            type Value = Number;
            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a number")
            }
            fn visit_f64<E>(self, value: f64) -> Result<Number, E> {
                Ok(Number(value))
            }
            fn visit_u64<E>(self, value: u64) -> Result<Number, E> {
                Ok(Number(value as f64))
            }
            fn visit_i64<E>(self, value: i64) -> Result<Number, E> {
                Ok(Number(value as f64))
            }
            fn visit_str<E>(self, text: &str) -> Result<Number, E> {
                Ok(Number(text.parse().unwrap_or(f64::NAN)))
            }
            fn visit_unit<E>(self) -> Result<Number, E> {
                Ok(Number(f64::NAN))
            }
        }
        from.deserialize_any(Value)
    }
}

/// Labels in their order, repeated ones included, which the recorder rejects.
#[derive(Default)]
struct LabelPairs<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'de: 'a, 'a> Deserialize<'de> for LabelPairs<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = LabelPairs<'de>;
            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("an object of labels")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::new();
                while let Some((Text(name), Text(value))) = map.next_entry()? {
                    pairs.push((name, value));
                }
                Ok(LabelPairs(pairs))
            }
        }
        from.deserialize_map(Pairs)
    }
}

/// Text, a number or a boolean, as text.
struct Text<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Scalar;
        impl<'de> Visitor<'de> for Scalar {
            type Value = Text<'de>;
            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a label value: text, a number or a boolean")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
            fn visit_bool<E>(self, value: bool) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(if value { "true" } else { "false" })))
            }
            fn visit_u64<E>(self, value: u64) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(value.to_string())))
            }
            fn visit_i64<E>(self, value: i64) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(value.to_string())))
            }
            fn visit_f64<E: Error>(self, value: f64) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(value.to_string())))
            }
        }
        from.deserialize_any(Scalar)
    }
}
