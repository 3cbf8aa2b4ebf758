//! The JSON of protocol buffers as protocol buffers (<https://protobuf.dev/programming-guides/json/>), so that there is one
//! form of a request. Numbers of 64 bits may be texts, and so may `NaN` and `Infinity`.

use std::fmt;
use std::str::FromStr;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::wire::{Field, FieldKind, Schema};

/// Returns the message in `json`, with at most twice its size.
///
/// # Errors
/// Returns an error with its position.
pub(super) fn to_protobuf(json: &[u8], schema: &'static Schema) -> serde_json::Result<Vec<u8>> {
    let mut out = Vec::with_capacity(json.len() / 2);
    let mut json = serde_json::Deserializer::from_slice(json);
    json.deserialize_map(Fields {
        schema,
        out: &mut out,
    })?;
    json.end()?;
    Ok(out)
}

/// Reads an object as a message.
struct Fields<'o> {
    schema: &'static Schema,
    out: &'o mut Vec<u8>,
}

/// Reads a value as a field.
struct Value<'o> {
    field: &'static Field,
    /// Set within a list.
    is_element: bool,
    out: &'o mut Vec<u8>,
}

impl<'de> Visitor<'de> for Fields<'_> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { schema, out } = self;
        while let Some(key) = map.next_key_seed(Key(schema))? {
            let Some(field) = key else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            map.next_value_seed(Value {
                field,
                is_element: false,
                out,
            })?;
        }
        Ok(())
    }
}

/// Finds the field of a key; `None` if it is unknown.
struct Key(&'static Schema);

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Option<&'static Field>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_identifier(self)
    }
}

impl Visitor<'_> for Key {
    type Value = Option<&'static Field>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Self::Value, E> {
        Ok(self.0.fields.iter().find(|field| field.name == key))
    }
}

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value<'_> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.field.kind {
            _ if self.is_list() => out.write_str("a list"),
            FieldKind::Message(_) => out.write_str("an object"),
            FieldKind::Text => out.write_str("a text"),
            FieldKind::Bool => out.write_str("true or false"),
            _ => out.write_str("a number"),
        }?;
        write!(out, " as {}", self.field.name)
    }

    /// A value that is null is not there.
    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        match self.field.kind {
            FieldKind::Bool if !self.is_list() => self.varint(value.into()),
            _ => return Err(E::invalid_type(serde::de::Unexpected::Bool(value), &self)),
        }
        Ok(())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.number(&value.to_string())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.number(&value.to_string())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        match self.field.kind {
            FieldKind::Double if !self.is_list() => self.fixed(value.to_bits()),
            _ => return Err(E::invalid_type(serde::de::Unexpected::Float(value), &self)),
        }
        Ok(())
    }

    fn visit_str<E: Error>(mut self, value: &str) -> Result<(), E> {
        match self.field.kind {
            FieldKind::Text if !self.is_list() => {
                self.tag(2);
                push_varint(self.out, value.len() as u64);
                self.out.extend_from_slice(value.as_bytes());
                Ok(())
            }
            FieldKind::Message(_) | FieldKind::Bool => {
                Err(E::invalid_type(serde::de::Unexpected::Str(value), &self))
            }
            _ => self.number(value),
        }
    }

    fn visit_map<A: MapAccess<'de>>(mut self, map: A) -> Result<(), A::Error> {
        let FieldKind::Message(schema) = self.field.kind else {
            return Err(A::Error::invalid_type(serde::de::Unexpected::Map, &self));
        };
        if self.is_list() {
            return Err(A::Error::invalid_type(serde::de::Unexpected::Map, &self));
        }
        self.tag(2);
        let Self { out, .. } = self;
        let start = out.len();
        // The length is known behind the message: space for any, and none of it has to be moved.
        out.extend([0x80; LENGTH]);
        Fields { schema, out }.visit_map(map)?;
        let mut length = out.len() - start - LENGTH;
        for (index, byte) in out[start..start + LENGTH].iter_mut().enumerate() {
            let more = if index + 1 < LENGTH { 0x80 } else { 0 };
            *byte = (length & 0x7F) as u8 | more;
            length >>= 7;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        if !self.is_list() {
            return Err(A::Error::invalid_type(serde::de::Unexpected::Seq, &self));
        }
        let Self { field, out, .. } = self;
        while let Some(()) = list.next_element_seed(Value {
            field,
            is_element: true,
            out,
        })? {}
        Ok(())
    }
}

/// Bytes of the length of a message, for 2^35 bytes.
const LENGTH: usize = 5;

impl Value<'_> {
    /// Returns whether a list is expected.
    fn is_list(&self) -> bool {
        self.field.is_repeated && !self.is_element
    }

    /// Writes a number, which is whole unless the field takes floats.
    fn number<E: Error>(self, text: &str) -> Result<(), E> {
        if self.is_list() {
            return Err(E::invalid_type(serde::de::Unexpected::Other(text), &self));
        }
        match self.field.kind {
            FieldKind::Double => {
                let value: f64 = self.parse(text)?;
                self.fixed(value.to_bits());
            }
            FieldKind::Fixed => {
                let value = self.parse(text)?;
                self.fixed(value);
            }
            FieldKind::SignedFixed => {
                let value: i64 = self.parse(text)?;
                self.fixed(value as u64);
            }
            FieldKind::Unsigned => {
                let value = self.parse(text)?;
                self.varint(value);
            }
            FieldKind::Int => {
                let value: i64 = self.parse(text)?;
                self.varint(value as u64);
            }
            FieldKind::Zigzag => {
                let value: i64 = self.parse(text)?;
                self.varint((value << 1 ^ value >> 63) as u64);
            }
            FieldKind::Message(_) | FieldKind::Text | FieldKind::Bool => {
                return Err(E::invalid_type(serde::de::Unexpected::Other(text), &self));
            }
        }
        Ok(())
    }

    fn parse<T: FromStr<Err: fmt::Display>, E: Error>(&self, text: &str) -> Result<T, E> {
        text.parse().map_err(|error| {
            E::custom(format!(
                "{}: not a number: {text:?}: {error}",
                self.field.name
            ))
        })
    }

    fn fixed(mut self, bits: u64) {
        self.tag(1);
        self.out.extend_from_slice(&bits.to_le_bytes());
    }

    fn varint(mut self, number: u64) {
        self.tag(0);
        push_varint(self.out, number);
    }

    fn tag(&mut self, wire_type: u8) {
        push_varint(
            self.out,
            u64::from(self.field.number << 3) | u64::from(wire_type),
        );
    }
}

fn push_varint(out: &mut Vec<u8>, mut number: u64) {
    while number > 0x7F {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

#[cfg(test)]
mod tests {
    use super::super::message::REQUEST;
    use super::*;
    use crate::wire::{many, one};

    static POINT: Schema = Schema {
        fields: &[
            one(1, "name", FieldKind::Text),
            one(2, "size", FieldKind::Double),
            one(3, "time", FieldKind::Fixed),
            one(4, "offset", FieldKind::Zigzag),
            many(5, "counts", FieldKind::Unsigned),
            many(6, "children", FieldKind::Message(&POINT)),
            one(7, "isOpen", FieldKind::Bool),
            one(8, "change", FieldKind::SignedFixed),
            one(9, "total", FieldKind::Int),
        ],
    };

    #[test]
    fn numbers_may_be_texts_and_unknown_keys_are_skipped() {
        let json = br#"{"name": "a\n", "size": "-Infinity", "time": "18446744073709551615", "offset": -2, "counts": ["300", 1],
            "other": [{"x": null}], "children": [{}, {"name": "b", "size": 1}], "isOpen": true, "change": "-1", "total": -1}"#;
        let bytes = to_protobuf(json, &POINT).unwrap();
        let message = POINT.check(&bytes).unwrap();
        assert_eq!(message.text(1), "a\n");
        assert_eq!(message.float(2), Some(f64::NEG_INFINITY));
        assert_eq!(message.number(3), u64::MAX);
        assert_eq!(crate::wire::zigzag(message.number(4)), -2);
        assert_eq!(message.varints(5).collect::<Vec<_>>(), [300, 1]);
        let children: Vec<_> = message
            .all(6)
            .map(|child| (child.text(1), child.float(2)))
            .collect();
        assert_eq!(children, [("", None), ("b", Some(1.0))]);
        assert_eq!((message.number(7), message.number(8) as i64), (1, -1));
        assert_eq!(message.number(9) as i64, -1);
    }

    #[test]
    fn null_is_absent() {
        let json = br#"{"name": null, "size": null, "children": null, "counts": [null]}"#;
        assert_eq!(to_protobuf(json, &POINT).unwrap(), b"");
    }

    #[test]
    fn other_types_are_errors_with_their_position() {
        for (json, expected) in [
            (r#"{"name": 1}"#, "expected a text as name at line 1"),
            (r#"{"size": "x"}"#, "size: not a number: \"x\""),
            (r#"{"time": -1}"#, "time: not a number"),
            (r#"{"time": 1.5}"#, "expected a number as time"),
            (r#"{"counts": 1}"#, "expected a list as counts"),
            (r#"{"counts": [[1]]}"#, "expected a number as counts"),
            (r#"{"children": {}}"#, "expected a list as children"),
            (r#"{"children": [1]}"#, "expected an object as children"),
            (r#"{"isOpen": "true"}"#, "expected true or false as isOpen"),
            (r#"{"size": {}}"#, "expected a number as size"),
            ("[]", "expected an object"),
            ("{} {}", "trailing characters"),
            ("{", "EOF"),
        ] {
            let error = to_protobuf(json.as_bytes(), &POINT).unwrap_err();
            assert!(error.to_string().contains(expected), "{json}: {error}");
        }
    }

    #[test]
    fn a_message_has_at_most_twice_the_size_of_its_json() {
        let json = format!("{{\"resourceMetrics\":[{}{{}}]}}", "{},".repeat(10_000));
        let bytes = to_protobuf(json.as_bytes(), &REQUEST).unwrap();
        assert!(bytes.len() <= 2 * json.len());
        let request = REQUEST.check(&bytes).unwrap();
        assert_eq!(request.all(1).count(), 10_001);
    }
}
