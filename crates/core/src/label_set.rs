//! All labels of one series, its name included, in one allocation.

use std::cmp::Ordering;
use std::fmt::{self, Write as _};
use std::sync::Arc;

use super::labels::{END, Labels};
use super::names::{is_label_name, is_metric_name};

/// Label with the name of a series.
pub const METRIC_NAME: &str = "__name__";

/// Label names and values of one series, sorted by name, `__name__` among them. A label whose
/// value is empty counts as absent and is left out, as in Prometheus.
///
/// Packed as each name and each value in UTF-8 followed by `0xFF`: equal sets have equal bytes,
/// so it serves as a map key and costs one allocation; a clone costs none.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct LabelSet(Arc<[u8]>);

impl LabelSet {
    /// Creates a set of `pairs`, which may be in any order. Of several pairs with one name the last one
    /// counts.
    pub fn new<N: AsRef<str>, V: AsRef<str>>(pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        let mut pairs: Vec<(N, V)> = pairs.into_iter().collect();
        let mut packed = Vec::new();
        Self::pack(&mut pairs, &mut packed);
        Self(packed.into())
    }

    /// Sorts `pairs`, and appends them to `out` as they are packed in a set. Of several pairs with one name the last one
    /// counts.
    pub fn pack<N: AsRef<str>, V: AsRef<str>>(pairs: &mut [(N, V)], out: &mut Vec<u8>) {
        pairs.sort_by(|a, b| a.0.as_ref().cmp(b.0.as_ref()));
        for (index, (name, value)) in pairs.iter().enumerate() {
            let (name, value) = (name.as_ref(), value.as_ref());
            let last = pairs
                .get(index + 1)
                .is_none_or(|next| next.0.as_ref() != name);
            if last && !value.is_empty() {
                out.extend_from_slice(name.as_bytes());
                out.push(END);
                out.extend_from_slice(value.as_bytes());
                out.push(END);
            }
        }
    }

    /// Copies bytes that [`LabelSet::packed`] returned; `None` if they are no label set.
    #[must_use]
    pub fn from_packed(packed: &[u8]) -> Option<Self> {
        let parts = packed.split_inclusive(|byte| *byte == END);
        let texts: Option<Vec<&str>> = parts
            .map(|part| {
                part.strip_suffix(&[END])
                    .and_then(|text| str::from_utf8(text).ok())
            })
            .collect();
        let texts = texts?;
        let (pairs, rest) = texts.as_chunks::<2>();
        let sorted = pairs.windows(2).all(|two| two[0][0] < two[1][0]);
        let filled = pairs.iter().all(|[_, value]| !value.is_empty());
        (rest.is_empty() && sorted && filled).then(|| Self(packed.into()))
    }

    /// Returns the set with those of `defaults` whose names it lacks.
    #[must_use]
    pub fn with_defaults(&self, defaults: &Labels) -> Self {
        if defaults.is_empty() {
            return self.clone();
        }
        let defaults = defaults
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        // Of two pairs with one name the last counts.
        Self::new(defaults.chain(self.iter()))
    }

    /// Returns the packed bytes.
    #[must_use]
    pub fn packed(&self) -> &[u8] {
        &self.0
    }

    /// Iterates over names and values, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let mut parts = self
            .0
            .split_inclusive(|byte| *byte == END)
            .map(|part| str::from_utf8(&part[..part.len() - 1]).unwrap_or_default());
        std::iter::from_fn(move || Some((parts.next()?, parts.next()?)))
    }

    /// Returns the value of the label `name`; empty if there is none, as in Prometheus.
    #[must_use]
    pub fn get(&self, name: &str) -> &str {
        self.iter()
            .find(|(other, _)| *other == name)
            .map_or("", |(_, value)| value)
    }

    /// Returns the name of the series; empty if it has none.
    #[must_use]
    pub fn name(&self) -> &str {
        self.get(METRIC_NAME)
    }

    /// Returns the number of labels, the name included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Returns whether there are no labels.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Default for LabelSet {
    fn default() -> Self {
        Self(Arc::from([]))
    }
}

/// Compares label by label, the name before the value, as Prometheus sorts series.
impl Ord for LabelSet {
    fn cmp(&self, other: &Self) -> Ordering {
        self.iter().cmp(other.iter())
    }
}

impl PartialOrd for LabelSet {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Displays a text in double quotes with the escapes of Go and PromQL, without control characters.
pub struct GoQuoted<'a>(pub &'a str);

impl fmt::Display for GoQuoted<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("\"")?;
        for c in self.0.chars() {
            match c {
                '"' | '\\' => write!(out, "\\{c}")?,
                '\n' => out.write_str("\\n")?,
                '\r' => out.write_str("\\r")?,
                '\t' => out.write_str("\\t")?,
                // Rust escapes what cannot be printed as Go does, in another form.
                c if !c.is_control() && c.escape_debug().nth(1) != Some('u') => {
                    out.write_char(c)?
                }
                c if (c as u32) < 0x80 => write!(out, "\\x{:02x}", c as u32)?,
                c if (c as u32) < 0x1_0000 => write!(out, "\\u{:04x}", c as u32)?,
                c => write!(out, "\\U{:08x}", c as u32)?,
            }
        }
        out.write_str("\"")
    }
}

/// Formats a series as PromQL writes it: `up{job="x"}`, or `{"http.requests", "host-name"="a"}` if a
/// name needs quotes.
impl fmt::Display for LabelSet {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let metric = self.name();
        let mut separator = "{";
        if is_metric_name(metric) {
            out.write_str(metric)?;
        } else if !metric.is_empty() {
            write!(out, "{{{}", GoQuoted(metric))?;
            separator = ", ";
        }
        for (name, value) in self.iter().filter(|(name, _)| *name != METRIC_NAME) {
            out.write_str(separator)?;
            match is_label_name(name) {
                true => out.write_str(name)?,
                false => GoQuoted(name).fmt(out)?,
            }
            write!(out, "={}", GoQuoted(value))?;
            separator = ", ";
        }
        match separator {
            "{" if metric.is_empty() => out.write_str("{}"),
            "{" => Ok(()),
            _ => out.write_str("}"),
        }
    }
}

impl fmt::Debug for LabelSet {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_sorted_and_empty_ones_are_absent() {
        let set = LabelSet::new([("job", "x"), ("__name__", "up"), ("a", ""), ("job", "y")]);
        assert_eq!(
            set.iter().collect::<Vec<_>>(),
            [("__name__", "up"), ("job", "y")]
        );
        assert_eq!(
            (set.get("job"), set.get("a"), set.name(), set.len()),
            ("y", "", "up", 2)
        );
        assert_eq!(set, LabelSet::new([("__name__", "up"), ("job", "y")]));
        assert_eq!(set.to_string(), "up{job=\"y\"}");
        assert_eq!(LabelSet::default().to_string(), "{}");
        let utf8 = LabelSet::new([
            ("__name__", "http.requests"),
            ("host-name", "a\u{a0}"),
            ("b", "\u{1b}"),
        ]);
        assert_eq!(
            utf8.to_string(),
            r#"{"http.requests", b="\x1b", "host-name"="a\u00a0"}"#
        );
    }

    #[test]
    fn packed_bytes_are_accepted_only_if_they_are_a_set() {
        let set = LabelSet::new([("b", "é\u{0}"), ("a", "1")]);
        assert_eq!(LabelSet::from_packed(set.packed()), Some(set.clone()));
        let mut cut = set.packed().to_vec();
        cut.pop();
        for bad in [
            &cut[..],
            b"a\xFF",
            b"b\xFF1\xFFa\xFF1\xFF",
            b"a\xFF\xFF",
            b"\xC3\xFF1\xFF",
        ] {
            assert_eq!(LabelSet::from_packed(bad), None);
        }
    }

    fn set(pairs: &[(&str, &str)]) -> LabelSet {
        LabelSet::new(pairs.iter().copied())
    }

    #[test]
    fn sets_sort_label_by_label() {
        assert!(set(&[("a", "1")]) < set(&[("a", "1"), ("b", "1")]));
        assert!(set(&[("a", "1"), ("b", "1")]) < set(&[("a", "10")]));
        assert!(set(&[("a", "2")]) < set(&[("aa", "1")]));
    }
}
