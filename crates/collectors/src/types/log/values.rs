//! Values of the fields of a line.

use std::fmt::{self, Write as _};
use std::ops::Range;

/// Values by slot. Those of the source of the lines, such as the path of the file, have the first slots and outlive a
/// line. A field that is not there is empty.
#[derive(Clone, Debug)]
pub(super) struct Values {
    /// All texts. Once it has grown, a line allocates nothing.
    text: String,
    spans: Vec<Range<usize>>,
    source_slots: usize,
    /// End of the texts of the source.
    source_end: usize,
}

impl Values {
    /// Creates values, the first `source_slots` of which are those of the source.
    pub(super) fn new(source_slots: usize, slots: usize) -> Self {
        Self {
            text: String::new(),
            spans: vec![0..0; slots],
            source_slots,
            source_end: 0,
        }
    }

    pub(super) fn get(&self, slot: usize) -> &str {
        &self.text[self.spans[slot].clone()]
    }

    /// Sets a value. Invalid UTF-8 is replaced.
    pub(super) fn set(&mut self, slot: usize, value: &[u8]) {
        let start = self.text.len();
        self.text.push_str(&String::from_utf8_lossy(value));
        self.spans[slot] = start..self.text.len();
    }

    pub(super) fn set_number(&mut self, slot: usize, number: impl fmt::Display) {
        let start = self.text.len();
        write!(self.text, "{number}").ok();
        self.spans[slot] = start..self.text.len();
    }

    /// Replaces the values of the source, in the order of their slots, and clears the others.
    pub(super) fn set_source<'a>(&mut self, values: impl IntoIterator<Item = &'a str>) {
        self.text.clear();
        self.spans.fill(0..0);
        for (slot, value) in values.into_iter().enumerate() {
            self.set(slot, value.as_bytes());
        }
        self.source_end = self.text.len();
    }

    /// Clears the values of a line.
    pub(super) fn clear_line(&mut self) {
        self.text.truncate(self.source_end);
        self.spans[self.source_slots..].fill(0..0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_the_source_outlive_a_line() {
        let mut values = Values::new(1, 3);
        values.set_source(["/var/log/x"]);
        values.set(1, b"a\xff");
        assert_eq!(
            [0, 1, 2].map(|slot| values.get(slot)),
            ["/var/log/x", "a\u{fffd}", ""]
        );
        values.clear_line();
        values.set(2, b"b");
        assert_eq!(
            [0, 1, 2].map(|slot| values.get(slot)),
            ["/var/log/x", "", "b"]
        );
        values.set_source(["/y"]);
        assert_eq!([0, 2].map(|slot| values.get(slot)), ["/y", ""]);
    }
}
