//! Fields of a line in JSON, without a document of it in memory.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::values::Values;

/// Fields that are looked for, as a tree of keys. A name with dots is looked for as nested keys, as one key, and as all
/// in between: `log.level` is in `{"log": {"level": "error"}}` and in `{"log.level": "error"}`.
#[derive(Clone, Debug, Default)]
pub(super) struct Fields {
    keys: Vec<(String, Fields)>,
    /// Slot of the value here.
    slot: Option<usize>,
}

/// Most dots in the name of a field: each one doubles its ways to be written.
pub(super) const MAX_DOTS: usize = 6;

impl Fields {
    /// Adds a field with at most [`MAX_DOTS`] dots in its name.
    pub(super) fn add(&mut self, name: &str, slot: usize) {
        self.child(name).slot = Some(slot);
        for (dot, _) in name.match_indices('.') {
            self.child(&name[..dot]).add(&name[dot + 1..], slot);
        }
    }

    fn child(&mut self, key: &str) -> &mut Self {
        let index = self.keys.iter().position(|(own, _)| own == key);
        let index = index.unwrap_or_else(|| {
            self.keys.push((key.to_owned(), Self::default()));
            self.keys.len() - 1
        });
        &mut self.keys[index].1
    }

    /// Sets the values of the fields in `line`. Returns false if it is no JSON object.
    pub(super) fn read(&self, line: &[u8], values: &mut Values) -> bool {
        if line.trim_ascii_start().first() != Some(&b'{') {
            return false;
        }
        if self.parse(line, values) {
            return true;
        }
        // Strings of JSON have to be UTF-8.
        std::str::from_utf8(line).is_err() && {
            values.clear_line();
            self.parse(String::from_utf8_lossy(line).as_bytes(), values)
        }
    }

    fn parse(&self, line: &[u8], values: &mut Values) -> bool {
        let mut reader = serde_json::Deserializer::from_slice(line);
        let seed = Seed {
            fields: self,
            values,
        };
        seed.deserialize(&mut reader).is_ok() && reader.end().is_ok()
    }
}

/// Reads one value, and what is looked for below it.
struct Seed<'a> {
    fields: &'a Fields,
    values: &'a mut Values,
}

impl Seed<'_> {
    fn set(self, text: &[u8]) {
        if let Some(slot) = self.fields.slot {
            self.values.set(slot, text);
        }
    }

    fn set_number(self, number: impl fmt::Display) {
        if let Some(slot) = self.fields.slot {
            self.values.set_number(slot, number);
        }
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a value")
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.set(text.as_bytes());
        Ok(())
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.set(if value { b"true" } else { b"false" });
        Ok(())
    }

    fn visit_u64<E>(self, number: u64) -> Result<(), E> {
        self.set_number(number);
        Ok(())
    }

    fn visit_i64<E>(self, number: i64) -> Result<(), E> {
        self.set_number(number);
        Ok(())
    }

    fn visit_f64<E>(self, number: f64) -> Result<(), E> {
        self.set_number(number);
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    /// A list of bytes is how the journal writes a text that is not UTF-8 or has control characters.
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let mut bytes = Vec::new();
        while let Some(byte) = items.next_element_seed(Byte)? {
            bytes.extend(byte);
        }
        self.set(&bytes);
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { fields, values } = self;
        while let Some(index) = map.next_key_seed(Key(fields))? {
            match fields.keys.get(index) {
                Some((_, fields)) => map.next_value_seed(Seed { fields, values })?,
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

/// Reads a key as the index of its field; one that is not looked for as an index beyond all.
struct Key<'a>(&'a Fields);

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = usize;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<usize, D::Error> {
        reader.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = usize;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<usize, E> {
        let index = self.0.keys.iter().position(|(own, _)| own == key);
        Ok(index.unwrap_or(usize::MAX))
    }
}

/// Reads an item of a list, if it is a byte.
struct Byte;

impl<'de> DeserializeSeed<'de> for Byte {
    type Value = Option<u8>;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Option<u8>, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Byte {
    type Value = Option<u8>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a value")
    }

    fn visit_u64<E>(self, number: u64) -> Result<Option<u8>, E> {
        Ok(u8::try_from(number).ok())
    }

    fn visit_i64<E>(self, _: i64) -> Result<Option<u8>, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Option<u8>, E> {
        Ok(None)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Option<u8>, E> {
        Ok(None)
    }

    fn visit_str<E>(self, _: &str) -> Result<Option<u8>, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Option<u8>, E> {
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Option<u8>, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Option<u8>, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(names: &[&str], line: &[u8]) -> Option<Vec<String>> {
        let mut fields = Fields::default();
        for (slot, name) in names.iter().enumerate() {
            fields.add(name, slot);
        }
        let mut values = Values::new(0, names.len());
        let slots = 0..names.len();
        fields
            .read(line, &mut values)
            .then(|| slots.map(|slot| values.get(slot).to_owned()).collect())
    }

    #[test]
    fn values_are_taken_as_they_are_written() {
        let line = br#"{"level":"err\u00f6r","status":200,"took":0.25,"n":-3,"ok":true,"none":null,"list":["x",1],"m":{"a":1}}"#;
        let names = [
            "level", "status", "took", "n", "ok", "none", "list", "m", "other",
        ];
        assert_eq!(
            read(&names, line).unwrap(),
            [
                "err\u{f6}r",
                "200",
                "0.25",
                "-3",
                "true",
                "",
                "\u{1}",
                "",
                ""
            ]
        );
    }

    #[test]
    fn a_name_with_dots_is_a_path_or_a_key() {
        for line in [
            r#"{"a":{"b":{"c":"x"}}}"#,
            r#"{"a.b":{"c":"x"}}"#,
            r#"{"a":{"b.c":"x","d":{"c":"y"}}}"#,
            r#"{"b.c":"y","a.b.c":"x"}"#,
        ] {
            assert_eq!(read(&["a.b.c"], line.as_bytes()).unwrap(), ["x"], "{line}");
        }
        let both = read(&["a", "a.b"], br#"{"a":{"b":"x"},"c":1}"#);
        assert_eq!(both.unwrap(), ["", "x"]);
    }

    #[test]
    fn what_is_no_object_is_none() {
        for line in [
            "",
            "x",
            "[1]",
            "\"a\"",
            r#"{"a":1"#,
            r#"{"a":1} x"#,
            r#"{"a" 1}"#,
        ] {
            assert_eq!(read(&["a"], line.as_bytes()), None, "{line}");
        }
    }

    #[test]
    fn bytes_and_invalid_utf8_become_text() {
        let bytes = read(&["MESSAGE"], br#"{"MESSAGE":[27,91,109,195,182]}"#);
        assert_eq!(bytes.unwrap(), ["\u{1b}[m\u{f6}"]);
        assert_eq!(read(&["a"], b"{\"a\":\"x\xff\"}").unwrap(), ["x\u{fffd}"]);
    }

    proptest! {
        #[test]
        fn no_line_panics(
            line in prop_oneof![
                prop::collection::vec(any::<u8>(), 0..40),
                r#"\{("a":)?[\[{0-9a":,.\]}tfn\\-]{0,30}\}"#.prop_map(String::into_bytes),
            ],
        ) {
            read(&["a", "a.b"], &line);
        }
    }
}
