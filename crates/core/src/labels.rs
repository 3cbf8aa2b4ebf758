//! Labels: the packed values of one metric's labels, and the sorted map that alerts have.

use std::borrow::Borrow;
use std::collections::BTreeMap;

use super::label_set::GoQuoted;
use super::names::is_label_name;

/// Label names and values, sorted by name.
pub type Labels = BTreeMap<String, String>;

/// Formats labels as Prometheus does: `{"host-name"="a",mount="/"}`.
#[must_use]
pub fn braced(labels: &Labels) -> String {
    let pairs: Vec<_> = labels
        .iter()
        .map(|(name, value)| match is_label_name(name) {
            true => format!("{name}={}", GoQuoted(value)),
            false => format!("{}={}", GoQuoted(name), GoQuoted(value)),
        })
        .collect();
    format!("{{{}}}", pairs.join(","))
}

/// Terminator of each value in the packed form. The byte never occurs in UTF-8.
pub(super) const END: u8 = 0xFF;

/// Values of a metric's labels in the order of its definition, in one allocation: the UTF-8 of each
/// value, followed by `0xFF`. Equal values have equal bytes, so it serves as a map key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LabelValues(Box<[u8]>);

impl LabelValues {
    /// Packs `values`.
    #[must_use]
    pub fn new(values: &[&str]) -> Self {
        let mut buffer = Vec::with_capacity(values.iter().map(|v| v.len() + 1).sum());
        pack(values, &mut buffer);
        Self(buffer.into_boxed_slice())
    }

    /// Copies bytes that [`pack`] wrote.
    #[must_use]
    pub fn from_packed(packed: &[u8]) -> Self {
        Self(packed.into())
    }

    /// Returns the packed bytes.
    #[must_use]
    pub fn packed(&self) -> &[u8] {
        &self.0
    }

    /// Borrows the values.
    #[must_use]
    pub fn as_packed(&self) -> PackedLabels<'_> {
        PackedLabels(&self.0)
    }

    /// Iterates over the values in the order of the metric's definition.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.as_packed().iter()
    }

    /// Returns the value of the label at `index` of the metric's definition.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&str> {
        self.as_packed().get(index)
    }
}

impl From<PackedLabels<'_>> for LabelValues {
    fn from(labels: PackedLabels<'_>) -> Self {
        Self::from_packed(labels.0)
    }
}

/// Borrowed [`LabelValues`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PackedLabels<'a>(&'a [u8]);

impl<'a> PackedLabels<'a> {
    /// Wraps bytes that [`pack`] wrote.
    #[must_use]
    pub fn new(packed: &'a [u8]) -> Self {
        Self(packed)
    }

    /// Returns the packed bytes.
    #[must_use]
    pub fn packed(self) -> &'a [u8] {
        self.0
    }

    /// Iterates over the values in the order of the metric's definition.
    pub fn iter(self) -> impl Iterator<Item = &'a str> + Clone {
        self.0
            .split_inclusive(|byte| *byte == END)
            .map(|value| std::str::from_utf8(&value[..value.len() - 1]).unwrap_or_default())
    }

    /// Returns the value of the label at `index` of the metric's definition.
    #[must_use]
    pub fn get(self, index: usize) -> Option<&'a str> {
        self.iter().nth(index)
    }
}

impl Borrow<[u8]> for LabelValues {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

/// Appends the packed form of `values` to `buffer`.
pub fn pack(values: &[&str], buffer: &mut Vec<u8>) {
    for value in values {
        buffer.extend_from_slice(value.as_bytes());
        buffer.push(END);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_written_as_prometheus_does() {
        let labels = [("host-name", "a\u{a0}"), ("mount", "\"/\"")];
        let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let shown = braced(&labels.into());
        assert_eq!(shown, r#"{"host-name"="a\u00a0",mount="\"/\""}"#);
    }

    #[test]
    fn values_survive_packing() {
        for values in [&[][..], &[""], &["a", ""], &["", "é\u{0}", "x\"y\\"]] {
            let packed = LabelValues::new(values);
            assert_eq!(packed.iter().collect::<Vec<_>>(), values);
        }
    }

    #[test]
    fn different_splits_are_different_keys() {
        assert_ne!(
            LabelValues::new(&["ab", "c"]),
            LabelValues::new(&["a", "bc"])
        );
    }
}
