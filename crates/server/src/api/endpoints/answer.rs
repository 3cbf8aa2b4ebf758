//! Shapes of answers as data.

use std::fmt;

use hyper::Method;
use serde_json::Value;

use super::Resource;

/// Content of a successful answer.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Answer {
    /// Text, in the format that its documentation names.
    Text,
    /// Messages of a WebSocket.
    WebSocket,
    /// Bytes in the format of a client's protocol.
    Protocol,
    /// JSON object in a form of its own.
    Document,
    /// JSON: `data` has the shape, in the envelope of Prometheus's API.
    Data(&'static Shape),
}

/// Shape of a JSON value.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Shape {
    Text,
    /// Number, or the text `NaN`, `+Inf` or `-Inf`, for which JSON has no number.
    Number,
    Boolean,
    /// Time in RFC 3339.
    Time,
    /// Any value.
    Any,
    /// The shape, or null.
    Nullable(&'static Self),
    List(&'static Self),
    /// Object whose keys are names.
    Map(&'static Self),
    /// Object with these keys.
    Object(&'static [Field]),
}

/// Key of an object.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) shape: Shape,
    /// True if the key may be absent.
    pub(crate) optional: bool,
}

impl Field {
    /// Returns the name in quotes, with a mark if it may be absent.
    fn quoted(&self) -> String {
        let mark = if self.optional { "?" } else { "" };
        format!("\"{}\"{mark}", self.name)
    }
}

/// Key that is always there.
pub(crate) const fn key(name: &'static str, shape: Shape) -> Field {
    Field {
        name,
        shape,
        optional: false,
    }
}

/// Key that may be absent.
pub(crate) const fn optional(name: &'static str, shape: Shape) -> Field {
    Field {
        name,
        shape,
        optional: true,
    }
}

/// Width of a line of the reference, in characters.
const WIDTH: usize = 100;

impl Shape {
    /// Formats the shape for the reference: an object that is too long for a line has a line for each
    /// key.
    pub(crate) fn pretty(&self, indent: usize) -> String {
        let line = self.to_string();
        if indent + line.len() <= WIDTH {
            return line;
        }
        match self {
            Self::Nullable(shape) => format!("{} or null", shape.pretty(indent)),
            Self::List(shape) => format!("[{}]", shape.pretty(indent)),
            Self::Map(shape) => format!("{{name: {}}}", shape.pretty(indent)),
            Self::Object(fields) => {
                let lines = fields.iter().map(|field| {
                    let shape = field.shape.pretty(indent + 2);
                    format!("{:indent$}  {}: {shape}", "", field.quoted())
                });
                let lines: Vec<String> = lines.collect();
                format!("{{\n{}\n{:indent$}}}", lines.join(",\n"), "")
            }
            Self::Text | Self::Number | Self::Boolean | Self::Time | Self::Any => line,
        }
    }

    /// Checks that `value` has the shape, and no key that the shape lacks.
    ///
    /// # Errors
    /// The first difference, with its path from `at`.
    pub(crate) fn check(&self, value: &Value, at: &str) -> Result<(), String> {
        match (self, value) {
            (Self::Any, _)
            | (Self::Nullable(_), Value::Null)
            | (Self::Text, Value::String(_))
            | (Self::Number, Value::Number(_))
            | (Self::Boolean, Value::Bool(_)) => Ok(()),
            (Self::Number, Value::String(text)) if ["NaN", "+Inf", "-Inf"].contains(&&**text) => {
                Ok(())
            }
            (Self::Time, Value::String(text)) if text.parse::<jiff::Timestamp>().is_ok() => Ok(()),
            (Self::Nullable(shape), value) => shape.check(value, at),
            (Self::List(shape), Value::Array(items)) => {
                let mut items = items.iter().enumerate();
                items.try_for_each(|(index, item)| shape.check(item, &format!("{at}[{index}]")))
            }
            (Self::Map(shape), Value::Object(entries)) => {
                let mut entries = entries.iter();
                entries.try_for_each(|(name, value)| shape.check(value, &format!("{at}.{name}")))
            }
            (Self::Object(fields), Value::Object(entries)) => check_fields(fields, entries, at),
            _ => Err(format!("{at}: expected {self}, found {value}")),
        }
    }
}

/// Answer that differs from the table of endpoints.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct AnswerError(String);

/// Checks the JSON of a successful answer to `method` at `path` against the table of endpoints.
///
/// # Errors
/// The table has no such endpoint, or its answer has another shape.
pub fn check_answer(method: &str, path: &str, answer: &Value) -> Result<(), AnswerError> {
    let wanted = method.parse::<Method>().ok();
    let endpoint = Resource::find(path).and_then(|resource| resource.endpoint(&wanted?));
    match endpoint.map(|endpoint| endpoint.answer) {
        Some(Answer::Data(shape)) => shape.check(&answer["data"], "data").map_err(AnswerError),
        Some(Answer::WebSocket) => Err(AnswerError(format!("{method} {path} is a WebSocket"))),
        Some(Answer::Protocol) => Err(AnswerError(format!(
            "{method} {path} answers as its protocol wants"
        ))),
        Some(Answer::Document) => Err(AnswerError(format!("{method} {path} has no `data`"))),
        Some(Answer::Text) => Err(AnswerError(format!("{method} {path} answers text"))),
        None => Err(AnswerError(format!("there is no {method} {path}"))),
    }
}

fn check_fields(
    fields: &[Field],
    entries: &serde_json::Map<String, Value>,
    at: &str,
) -> Result<(), String> {
    for Field {
        name,
        shape,
        optional,
    } in fields
    {
        match entries.get(*name) {
            Some(value) => shape.check(value, &format!("{at}.{name}"))?,
            None if *optional => {}
            None => return Err(format!("{at}.{name}: missing")),
        }
    }
    let mut keys = entries.keys();
    match keys.find(|key| !fields.iter().any(|field| field.name == **key)) {
        Some(unknown) => Err(format!("{at}.{unknown}: not in the table of endpoints")),
        None => Ok(()),
    }
}

/// Formats the shape for the reference: `{"a": text, "b"?: [number]}`.
impl fmt::Display for Shape {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text => out.write_str("text"),
            Self::Number => out.write_str("number"),
            Self::Boolean => out.write_str("boolean"),
            Self::Time => out.write_str("time"),
            Self::Any => out.write_str("any"),
            Self::Nullable(shape) => write!(out, "{shape} or null"),
            Self::List(shape) => write!(out, "[{shape}]"),
            Self::Map(shape) => write!(out, "{{name: {shape}}}"),
            Self::Object(fields) => {
                out.write_str("{")?;
                for (index, field) in fields.iter().enumerate() {
                    let comma = if index > 0 { ", " } else { "" };
                    write!(out, "{comma}{}: {}", field.quoted(), field.shape)?;
                }
                out.write_str("}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SHAPE: Shape = Shape::Object(&[
        key("at", Shape::Time),
        key("value", Shape::Nullable(&Shape::Number)),
        optional("labels", Shape::Map(&Shape::Text)),
    ]);

    #[test]
    fn an_answer_is_checked_key_by_key() {
        let at = "2026-11-29T06:00:00.000Z";
        for (value, expected) in [
            (
                json!({"at": at, "value": 1.5, "labels": {"a": "b"}}),
                Ok(()),
            ),
            (json!({"at": at, "value": "NaN"}), Ok(())),
            (json!({"at": at, "value": null}), Ok(())),
            (json!({"at": at}), Err("data.value: missing")),
            (
                json!({"at": "noon", "value": null}),
                Err("data.at: expected time, found \"noon\""),
            ),
            (
                json!({"at": at, "value": 1, "labels": {"a": 1}}),
                Err("data.labels.a: expected text, found 1"),
            ),
            (
                json!({"at": at, "value": 1, "x": 1}),
                Err("data.x: not in the table of endpoints"),
            ),
        ] {
            let expected = expected.map_err(str::to_owned);
            assert_eq!(SHAPE.check(&value, "data"), expected, "{value}");
        }
    }

    #[test]
    fn a_shape_has_a_line_or_one_for_each_key() {
        let expected = r#"{"at": time, "value": number or null, "labels"?: {name: text}}"#;
        assert_eq!(SHAPE.to_string(), expected);
        assert_eq!(SHAPE.pretty(0), expected);
        assert_eq!(
            SHAPE.pretty(WIDTH - 50).replace(' ', ""),
            "{\n\"at\":time,\n\"value\":numberornull,\n\"labels\"?:{name:text}\n}"
        );
    }
}
