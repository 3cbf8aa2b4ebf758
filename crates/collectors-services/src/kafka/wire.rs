//! Primitive types of Kafka's protocol (<https://kafka.apache.org/protocol#protocol_types>).
//!
//! Nothing is allocated by a length that the other side sent: what is read takes memory in proportion to the answer.

use super::error::AnswerError;

/// Body of a request.
#[derive(Default)]
pub(super) struct Writer(Vec<u8>);

impl Writer {
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    pub(super) fn byte(&mut self, value: u8) {
        self.0.push(value);
    }

    pub(super) fn i16(&mut self, value: i16) {
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    pub(super) fn i32(&mut self, value: i32) {
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    pub(super) fn i64(&mut self, value: i64) {
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    pub(super) fn string(&mut self, text: &str) {
        self.i16(text.len() as i16);
        self.0.extend_from_slice(text.as_bytes());
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.i32(bytes.len() as i32);
        self.0.extend_from_slice(bytes);
    }

    pub(super) fn array<T>(
        &mut self,
        items: impl ExactSizeIterator<Item = T>,
        mut write: impl FnMut(&mut Self, T),
    ) {
        self.i32(items.len() as i32);
        items.for_each(|item| write(self, item));
    }

    /// Writes an array whose absence means everything.
    pub(super) fn everything(&mut self) {
        self.i32(-1);
    }

    fn varint(&mut self, mut value: usize) {
        while value >= 0x80 {
            self.byte(value as u8 | 0x80);
            value >>= 7;
        }
        self.byte(value as u8);
    }

    /// Writes an array of strings as in flexible versions.
    pub(super) fn compact_strings(&mut self, texts: &[&str]) {
        self.varint(texts.len() + 1);
        for text in texts {
            self.varint(text.len() + 1);
            self.0.extend_from_slice(text.as_bytes());
        }
    }

    /// Writes that there are no tagged fields.
    pub(super) fn no_tags(&mut self) {
        self.byte(0);
    }
}

/// An answer, from which the rest is still to be read.
pub(super) struct Reader<'a>(&'a [u8]);

type Read<T> = Result<T, AnswerError>;

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    fn take(&mut self, count: usize) -> Read<&'a [u8]> {
        let (taken, rest) = self
            .0
            .split_at_checked(count)
            .ok_or(AnswerError::Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    fn fixed<const N: usize>(&mut self) -> Read<[u8; N]> {
        let taken = self.take(N)?;
        taken.try_into().map_err(|_| AnswerError::Malformed)
    }

    pub(super) fn skip(&mut self, count: usize) -> Read<()> {
        self.take(count).map(drop)
    }

    pub(super) fn i16(&mut self) -> Read<i16> {
        self.fixed().map(i16::from_be_bytes)
    }

    pub(super) fn i32(&mut self) -> Read<i32> {
        self.fixed().map(i32::from_be_bytes)
    }

    pub(super) fn i64(&mut self) -> Read<i64> {
        self.fixed().map(i64::from_be_bytes)
    }

    /// Reads an error code.
    pub(super) fn code(&mut self) -> Read<()> {
        match self.i16()? {
            0 => Ok(()),
            code => Err(AnswerError::Code(code)),
        }
    }

    pub(super) fn string(&mut self) -> Read<String> {
        self.nullable_string()?.ok_or(AnswerError::Malformed)
    }

    pub(super) fn nullable_string(&mut self) -> Read<Option<String>> {
        match usize::try_from(self.i16()?) {
            Ok(length) => text(self.take(length)?).map(Some),
            Err(_) => Ok(None),
        }
    }

    pub(super) fn bytes(&mut self) -> Read<&'a [u8]> {
        let length = self.i32()?;
        self.take(usize::try_from(length).map_err(|_| AnswerError::Malformed)?)
    }

    /// Reads an array; one that is absent is empty.
    pub(super) fn array<T>(&mut self, item: impl FnMut(&mut Self) -> Read<T>) -> Read<Vec<T>> {
        let count = self.i32()?.max(0);
        self.items(count as usize, item)
    }

    fn items<T>(
        &mut self,
        count: usize,
        mut item: impl FnMut(&mut Self) -> Read<T>,
    ) -> Read<Vec<T>> {
        let mut items = Vec::new();
        for _ in 0..count {
            items.push(item(self)?);
        }
        Ok(items)
    }

    fn varint(&mut self) -> Read<usize> {
        let mut value = 0;
        for shift in [0, 7, 14, 21, 28] {
            let [byte] = self.fixed()?;
            value |= usize::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(AnswerError::Malformed)
    }

    /// Reads a string as in flexible versions; one that is absent is empty.
    pub(super) fn compact_string(&mut self) -> Read<String> {
        let length = self.varint()?.saturating_sub(1);
        text(self.take(length)?)
    }

    /// Reads an array as in flexible versions; one that is absent is empty.
    pub(super) fn compact_array<T>(
        &mut self,
        item: impl FnMut(&mut Self) -> Read<T>,
    ) -> Read<Vec<T>> {
        let count = self.varint()?.saturating_sub(1);
        self.items(count, item)
    }

    /// Skips the tagged fields at the end of a structure of a flexible version.
    pub(super) fn tags(&mut self) -> Read<()> {
        for _ in 0..self.varint()? {
            self.varint()?;
            let length = self.varint()?;
            self.skip(length)?;
        }
        Ok(())
    }
}

fn text(bytes: &[u8]) -> Read<String> {
    let text = std::str::from_utf8(bytes).map_err(|_| AnswerError::Malformed)?;
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let long = "x".repeat(200);
        let mut writer = Writer::default();
        writer.i16(-1);
        writer.i64(1 << 40);
        writer.string("räder");
        writer.bytes(b"ab");
        writer.array([7, 8].into_iter(), Writer::i32);
        writer.everything();
        writer.compact_strings(&["a", &long]);
        writer.no_tags();
        let bytes = writer.into_bytes();
        let mut reader = Reader::new(&bytes);
        assert_eq!(reader.nullable_string(), Ok(None));
        assert_eq!(reader.i64(), Ok(1 << 40));
        assert_eq!(reader.string().as_deref(), Ok("räder"));
        assert_eq!(reader.bytes(), Ok(&b"ab"[..]));
        assert_eq!(reader.array(Reader::i32), Ok(vec![7, 8]));
        assert_eq!(reader.array(Reader::i32), Ok(vec![]));
        let texts = reader.compact_array(Reader::compact_string);
        assert_eq!(texts, Ok(vec!["a".to_owned(), long]));
        assert_eq!(reader.tags(), Ok(()));
        assert_eq!(reader.i16(), Err(AnswerError::Malformed));
    }

    #[test]
    fn lengths_beyond_the_answer_are_errors() {
        let malformed = AnswerError::Malformed;
        let huge = [0x7f, 0xff, 0xff, 0xff, 1];
        assert_eq!(
            Reader::new(&huge).array(Reader::i32),
            Err(malformed.clone())
        );
        assert_eq!(Reader::new(&huge).bytes(), Err(malformed.clone()));
        assert_eq!(Reader::new(&huge).string(), Err(malformed.clone()));
        let endless = [0xff; 9];
        assert_eq!(Reader::new(&endless).tags(), Err(malformed.clone()));
        assert_eq!(
            Reader::new(&endless).compact_string(),
            Err(malformed.clone())
        );
        assert_eq!(Reader::new(&[0, 1, 0xff]).string(), Err(malformed));
    }
}
