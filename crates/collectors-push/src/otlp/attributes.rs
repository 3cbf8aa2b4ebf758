//! Attributes as labels.

use std::borrow::Cow;

use bellwether_core::Rejection;

use super::message::field;
use super::names::label_name;
use crate::pushed::MOST_LABELS;
use crate::wire::{Content, Message};

/// Name and value.
type Label<'a> = (Cow<'a, str>, Cow<'a, str>);

/// Labels, sorted by name; each name is there once.
#[derive(Clone, Debug, Default)]
pub(super) struct Labels<'a>(Vec<Label<'a>>);

impl<'a> Labels<'a> {
    /// Returns attributes as labels. Values of attributes whose labels have one name are joined in the order of the keys.
    ///
    /// # Errors
    /// There are too many.
    pub(super) fn of_attributes(
        attributes: impl Iterator<Item = Message<'a>>,
    ) -> Result<Self, Rejection> {
        let labels = sorted(attributes)?.into_iter().map(|(key, value)| {
            let value = value.map_or(Ok(Cow::Borrowed("")), text)?;
            Ok((label_name(key), value))
        });
        let mut labels: Vec<Label<'_>> = labels.collect::<Result<_, _>>()?;
        labels.sort_by(|a, b| a.0.cmp(&b.0));
        labels.dedup_by(|next, before| {
            let is_same = next.0 == before.0;
            if is_same {
                let joined = before.1.to_mut();
                joined.push(';');
                joined.push_str(&next.1);
            }
            is_same
        });
        Ok(Self(labels))
    }

    /// Adds labels, which take precedence.
    pub(super) fn extend(&mut self, others: Self) {
        self.0.retain(|(name, _)| !others.has(name));
        self.0.extend(others.0);
        self.0.sort_by(|a, b| a.0.cmp(&b.0));
    }

    /// Adds labels with names of their own, unless they are empty.
    pub(super) fn extend_filled<const N: usize>(&mut self, labels: [(&'a str, Cow<'a, str>); N]) {
        let mut labels = labels.map(|(name, value)| (Cow::Borrowed(name), value));
        labels.sort();
        let filled = labels.into_iter().filter(|(_, value)| !value.is_empty());
        self.extend(Self(filled.collect()));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the size of the values.
    pub(super) fn size(&self) -> usize {
        self.0.iter().map(|(_, value)| value.len()).sum()
    }

    /// Returns the labels with those of `outer`, which take precedence, sorted by name.
    pub(super) fn within<'l>(&'l self, outer: &'l Labels<'_>) -> Vec<(&'l str, &'l str)> {
        let mut all = Vec::with_capacity(self.0.len() + outer.0.len());
        let mut own = self.0.iter().peekable();
        for (name, value) in &outer.0 {
            while let Some((name, value)) = own.next_if(|own| own.0 < *name) {
                all.push((&**name, &**value));
            }
            own.next_if(|own| own.0 == *name);
            all.push((&**name, &**value));
        }
        all.extend(own.map(|(name, value)| (&**name, &**value)));
        all
    }

    fn has(&self, name: &str) -> bool {
        let found = self.0.binary_search_by(|(other, _)| (**other).cmp(name));
        found.is_ok()
    }
}

/// Returns the value of the first attribute with this key as a text; empty if there is none.
///
/// # Errors
/// The value is too large.
pub(super) fn get<'a>(
    mut attributes: impl Iterator<Item = Message<'a>>,
    key: &str,
) -> Result<Cow<'a, str>, Rejection> {
    let found = attributes.find(|attribute| attribute.text(field::KEY) == key);
    let value = found.and_then(|attribute| attribute.all(field::VALUE).last());
    value.map_or(Ok(Cow::Borrowed("")), text)
}

/// Returns keys and values, sorted by key.
fn sorted<'a>(
    attributes: impl Iterator<Item = Message<'a>>,
) -> Result<Vec<(&'a str, Option<Message<'a>>)>, Rejection> {
    let mut pairs = Vec::new();
    for attribute in attributes {
        if pairs.len() == MOST_LABELS {
            return Err(Rejection::Limit);
        }
        let value = attribute.all(field::VALUE).last();
        pairs.push((attribute.text(field::KEY), value));
    }
    pairs.sort_by_key(|(key, _)| *key);
    Ok(pairs)
}

/// Returns a value as a text: a list or a map in JSON.
fn text(value: Message<'_>) -> Result<Cow<'_, str>, Rejection> {
    match value.fields().last() {
        None => Ok(Cow::Borrowed("")),
        Some((field::STRING, Content::Bytes(_))) => Ok(value.text(field::STRING).into()),
        Some((field::DOUBLE, Content::Fixed64(bits))) if !f64::from_bits(bits).is_finite() => {
            Ok(Cow::Borrowed(""))
        }
        Some(_) => {
            let mut out = String::new();
            write_json(value, &mut out)?;
            Ok(out.into())
        }
    }
}

fn write_json(value: Message<'_>, out: &mut String) -> Result<(), Rejection> {
    let Some((number, content)) = value.fields().last() else {
        out.push_str("null");
        return Ok(());
    };
    match (number, content) {
        (field::STRING, _) => push(out, value.text(field::STRING)),
        (field::BOOL, Content::Varint(value)) => push(out, value != 0),
        (field::INT, Content::Varint(value)) => push(out, value as i64),
        (field::DOUBLE, Content::Fixed64(bits)) => push(out, f64::from_bits(bits)),
        (field::ARRAY, _) => {
            let lists = value.all(field::ARRAY);
            let mut before = '[';
            for element in lists.flat_map(|list| list.all(field::VALUES)) {
                out.push(before);
                write_json(element, out)?;
                before = ',';
            }
            out.push_str(if before == '[' { "[]" } else { "]" });
        }
        (field::MAP, _) => {
            let maps = value.all(field::MAP);
            let mut pairs = sorted(maps.flat_map(|map| map.all(field::VALUES)))?;
            // Of several with one key the last one counts.
            pairs.reverse();
            pairs.dedup_by_key(|(key, _)| *key);
            let mut before = '{';
            for (key, value) in pairs.into_iter().rev() {
                out.push(before);
                push(out, key);
                out.push(':');
                write_json(value.unwrap_or_default(), out)?;
                before = ',';
            }
            out.push_str(if before == '{' { "{}" } else { "}" });
        }
        _ => out.push_str("null"),
    }
    Ok(())
}

fn push(out: &mut String, value: impl Into<serde_json::Value>) {
    out.push_str(&value.into().to_string());
}
