//! Protocol buffers, read in place: a message is not decoded into values, of which a few bytes may make many.
//!
//! [`Schema::check`] tells whether bytes are a message, as a decoder would; a [`Message`] then iterates over its fields. Of a
//! field that is there several times, the caller takes all or the last one, as the schema has it.
//! (<https://protobuf.dev/programming-guides/encoding/>)

use std::fmt;

/// Deepest nesting of messages, as in other decoders.
const DEEPEST: usize = 100;

/// Fields of a message that are read; others are skipped.
pub(crate) struct Schema {
    pub(crate) fields: &'static [Field],
}

/// Field of a message.
pub(crate) struct Field {
    pub(crate) number: u32,
    /// Name in JSON.
    pub(crate) name: &'static str,
    pub(crate) kind: FieldKind,
    /// Set if a message may have several.
    pub(crate) is_repeated: bool,
}

/// Types of fields.
#[derive(Clone, Copy)]
pub(crate) enum FieldKind {
    Message(&'static Schema),
    Text,
    Double,
    /// Unsigned, in 8 bytes.
    Fixed,
    /// Signed, in 8 bytes.
    SignedFixed,
    /// Signed, as it is.
    Int,
    /// Unsigned.
    Unsigned,
    /// Signed, in zigzag encoding.
    Zigzag,
    Bool,
}

/// Returns a field.
pub(crate) const fn one(number: u32, name: &'static str, kind: FieldKind) -> Field {
    Field {
        number,
        name,
        kind,
        is_repeated: false,
    }
}

/// Returns a field that may be there several times.
pub(crate) const fn many(number: u32, name: &'static str, kind: FieldKind) -> Field {
    Field {
        number,
        name,
        kind,
        is_repeated: true,
    }
}

/// Content of a field.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Content<'a> {
    Varint(u64),
    Fixed64(u64),
    Fixed32,
    Bytes(&'a [u8]),
}

/// Error of bytes that are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WireError {
    Cut,
    /// A field with this number has a type that its schema does not have.
    Type(u32),
    /// The text of a field with this number is not UTF-8.
    Text(u32),
    Nesting,
}

impl fmt::Display for WireError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cut => write!(out, "a message is cut"),
            Self::Type(number) => write!(out, "field {number} has another type"),
            Self::Text(number) => write!(out, "the text of field {number} is not UTF-8"),
            Self::Nesting => write!(out, "messages are nested more than {DEEPEST} deep"),
        }
    }
}

impl Schema {
    /// Checks that `bytes` are a message, with all messages in it.
    ///
    /// # Errors
    /// Returns the first error.
    pub(crate) fn check<'a>(&self, bytes: &'a [u8]) -> Result<Message<'a>, WireError> {
        self.check_within(bytes, DEEPEST)?;
        Ok(Message(bytes))
    }

    fn check_within(&self, mut bytes: &[u8], depth: usize) -> Result<(), WireError> {
        let depth = depth.checked_sub(1).ok_or(WireError::Nesting)?;
        while !bytes.is_empty() {
            let (number, content) = next(&mut bytes)?;
            let field = self.fields.iter().find(|field| field.number == number);
            let Some(field) = field else {
                continue;
            };
            field.check(content, depth)?;
        }
        Ok(())
    }
}

impl Field {
    fn check(&self, content: Content<'_>, depth: usize) -> Result<(), WireError> {
        match (self.kind, content) {
            (FieldKind::Message(schema), Content::Bytes(bytes)) => {
                schema.check_within(bytes, depth)
            }
            (FieldKind::Text, Content::Bytes(bytes)) => match str::from_utf8(bytes) {
                Ok(_) => Ok(()),
                Err(_) => Err(WireError::Text(self.number)),
            },
            (
                FieldKind::Double | FieldKind::Fixed | FieldKind::SignedFixed,
                Content::Fixed64(_),
            )
            | (
                FieldKind::Int | FieldKind::Unsigned | FieldKind::Zigzag | FieldKind::Bool,
                Content::Varint(_),
            ) => Ok(()),
            (_, Content::Bytes(mut bytes)) if self.is_packed() => {
                while !bytes.is_empty() {
                    self.packed(&mut bytes)?;
                }
                Ok(())
            }
            _ => Err(WireError::Type(self.number)),
        }
    }

    /// Returns whether one field may have several numbers.
    fn is_packed(&self) -> bool {
        self.is_repeated && !matches!(self.kind, FieldKind::Message(_) | FieldKind::Text)
    }

    /// Takes the next of several numbers.
    fn packed(&self, bytes: &mut &[u8]) -> Result<u64, WireError> {
        match self.kind {
            FieldKind::Double | FieldKind::Fixed | FieldKind::SignedFixed => fixed(bytes),
            _ => varint(bytes),
        }
    }
}

/// A message that was checked.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Message<'a>(&'a [u8]);

impl<'a> Message<'a> {
    /// Iterates over the fields, in the order in which they are there.
    pub(crate) fn fields(self) -> impl Iterator<Item = (u32, Content<'a>)> + Clone {
        let mut bytes = self.0;
        std::iter::from_fn(move || match bytes.is_empty() {
            true => None,
            false => next(&mut bytes).ok(),
        })
    }

    /// Iterates over the messages with their numbers. Texts and packed numbers are messages to it, too.
    pub(crate) fn messages(self) -> impl Iterator<Item = (u32, Message<'a>)> + Clone {
        self.fields().filter_map(|(number, content)| match content {
            Content::Bytes(bytes) => Some((number, Message(bytes))),
            _ => None,
        })
    }

    /// Iterates over the messages of a field.
    pub(crate) fn all(self, field: u32) -> impl Iterator<Item = Message<'a>> + Clone {
        let messages = self.messages();
        messages.filter_map(move |(number, message)| (number == field).then_some(message))
    }

    /// Returns the text of a field; empty if it is not there.
    pub(crate) fn text(self, field: u32) -> &'a str {
        let [text] = self.texts([field]);
        text
    }

    /// Returns the texts of fields, in one pass.
    pub(crate) fn texts<const N: usize>(self, fields: [u32; N]) -> [&'a str; N] {
        let mut texts = [Message::default(); N];
        for (number, message) in self.messages() {
            if let Some(at) = fields.iter().position(|field| *field == number) {
                texts[at] = message;
            }
        }
        texts.map(Message::as_text)
    }

    /// Returns the bytes as a text.
    pub(crate) fn as_text(self) -> &'a str {
        str::from_utf8(self.0).unwrap_or_default()
    }

    /// Returns the bits of the number of a field, if it is there.
    pub(crate) fn get(self, field: u32) -> Option<u64> {
        let [number] = self.get_all([field]);
        number
    }

    /// Returns the bits of the numbers of fields, in one pass.
    pub(crate) fn get_all<const N: usize>(self, fields: [u32; N]) -> [Option<u64>; N] {
        let mut numbers = [None; N];
        for (number, content) in self.fields() {
            if let Content::Varint(value) | Content::Fixed64(value) = content
                && let Some(at) = fields.iter().position(|field| *field == number)
            {
                numbers[at] = Some(value);
            }
        }
        numbers
    }

    /// Returns the whole number of a field; 0 if it is not there.
    pub(crate) fn number(self, field: u32) -> u64 {
        self.get(field).unwrap_or_default()
    }

    /// Returns the float of a field, if it is there.
    pub(crate) fn float(self, field: u32) -> Option<f64> {
        self.get(field).map(f64::from_bits)
    }

    /// Iterates over the numbers of a field of 8 bytes each.
    pub(crate) fn fixed(self, field: u32) -> impl Iterator<Item = u64> {
        self.numbers(field, fixed)
    }

    /// Iterates over the numbers of a field.
    pub(crate) fn varints(self, field: u32) -> impl Iterator<Item = u64> {
        self.numbers(field, varint)
    }

    fn numbers(
        self,
        field: u32,
        read: fn(&mut &[u8]) -> Result<u64, WireError>,
    ) -> impl Iterator<Item = u64> {
        let fields = self.fields().filter(move |(number, _)| *number == field);
        fields.flat_map(move |(_, content)| {
            let (mut one, mut packed) = match content {
                Content::Bytes(bytes) => (None, bytes),
                Content::Varint(value) | Content::Fixed64(value) => (Some(value), &[][..]),
                Content::Fixed32 => (None, &[][..]),
            };
            std::iter::from_fn(move || {
                one.take().or_else(|| match packed.is_empty() {
                    true => None,
                    false => read(&mut packed).ok(),
                })
            })
        })
    }

    pub(crate) fn as_bytes(self) -> &'a [u8] {
        self.0
    }
}

/// Decodes a number in zigzag encoding.
pub(crate) fn zigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// Takes the next field.
fn next<'a>(bytes: &mut &'a [u8]) -> Result<(u32, Content<'a>), WireError> {
    let tag = varint(bytes)?;
    let number = u32::try_from(tag >> 3).map_err(|_| WireError::Cut)?;
    let content = match tag & 7 {
        0 => Content::Varint(varint(bytes)?),
        1 => Content::Fixed64(fixed(bytes)?),
        2 => {
            let length = usize::try_from(varint(bytes)?).map_err(|_| WireError::Cut)?;
            let (content, rest) = bytes.split_at_checked(length).ok_or(WireError::Cut)?;
            *bytes = rest;
            Content::Bytes(content)
        }
        5 => {
            *bytes = bytes.get(4..).ok_or(WireError::Cut)?;
            Content::Fixed32
        }
        _ => return Err(WireError::Type(number)),
    };
    match number {
        0 => Err(WireError::Type(0)),
        number => Ok((number, content)),
    }
}

fn fixed(bytes: &mut &[u8]) -> Result<u64, WireError> {
    let (number, rest) = bytes.split_first_chunk::<8>().ok_or(WireError::Cut)?;
    *bytes = rest;
    Ok(u64::from_le_bytes(*number))
}

fn varint(bytes: &mut &[u8]) -> Result<u64, WireError> {
    // Tags and lengths are mostly short.
    if let Some((first, rest)) = bytes.split_first()
        && *first < 0x80
    {
        *bytes = rest;
        return Ok(u64::from(*first));
    }
    let mut number = 0;
    for (index, byte) in bytes.iter().take(10).enumerate() {
        number |= u64::from(byte & 0x7F) << (7 * index);
        if byte & 0x80 == 0 {
            *bytes = &bytes[index + 1..];
            return Ok(number);
        }
    }
    Err(WireError::Cut)
}

#[cfg(test)]
mod tests {
    use super::*;

    static TREE: Schema = Schema {
        fields: &[
            one(1, "name", FieldKind::Text),
            one(2, "size", FieldKind::Double),
            many(3, "counts", FieldKind::Unsigned),
            many(4, "child", FieldKind::Message(&TREE)),
            one(5, "depth", FieldKind::Zigzag),
        ],
    };

    fn nested(depth: usize) -> Vec<u8> {
        (0..depth).fold(Vec::new(), |inner, _| {
            let mut outer = vec![0x22];
            let mut length = inner.len();
            while length > 0x7F {
                outer.push(length as u8 | 0x80);
                length >>= 7;
            }
            outer.push(length as u8);
            [outer, inner].concat()
        })
    }

    #[test]
    fn fields_are_read_in_place() {
        // Of a single field the last one counts; numbers may be packed or not; field 9 is unknown.
        let bytes = b"\x0a\x01a\x0a\x01b\x11\0\0\0\0\0\0\xf8\x3f\x18\x05\x1a\x03\x01\x96\x01\x28\x03\x22\0\x4d\0\0\0\0";
        let message = TREE.check(bytes).unwrap();
        assert_eq!(message.text(1), "b");
        assert_eq!(message.float(2), Some(1.5));
        assert_eq!(message.varints(3).collect::<Vec<_>>(), [5, 1, 150]);
        assert_eq!(
            message.all(4).map(|child| child.0).collect::<Vec<_>>(),
            [b""]
        );
        assert_eq!(zigzag(message.number(5)), -2);
        assert_eq!((message.text(7), message.number(7)), ("", 0));
    }

    #[test]
    fn bytes_that_are_no_message_are_errors() {
        for (bytes, error) in [
            (&b"\x0a\x02a"[..], WireError::Cut),
            (b"\x11\0", WireError::Cut),
            (b"\x80", WireError::Cut),
            (
                b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
                WireError::Cut,
            ),
            (b"\x0a\x01\xff", WireError::Text(1)),
            (b"\x08\x01", WireError::Type(1)),
            (b"\x12\x08\0\0\0\0\0\0\0\0", WireError::Type(2)),
            (b"\x1a\x01\x80", WireError::Cut),
            (b"\x22\x02\x0a\x05", WireError::Cut),
            (b"\x4b", WireError::Type(9)),
            (b"\0\0", WireError::Type(0)),
        ] {
            assert_eq!(TREE.check(bytes).err(), Some(error), "{bytes:?}");
        }
        assert!(TREE.check(&nested(DEEPEST - 1)).is_ok());
        assert_eq!(TREE.check(&nested(DEEPEST)).err(), Some(WireError::Nesting));
    }
}
