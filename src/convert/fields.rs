//! Keys of a mapping of the source that are taken one by one, so that none is lost in silence.

use bellwether_schema::{Key, Node, Pos, Value};

use super::yaml::Map;

/// Name and text, with the position of the name.
pub(super) type Pair<'n> = (&'n str, &'n str, Pos);

/// Mapping of the source. Keys that nobody took are parts without a counterpart.
#[derive(Clone)]
pub(super) struct Fields<'n> {
    /// Position of the mapping.
    pub(super) at: Pos,
    /// Keys in front of those of the mapping: `http.`.
    path: String,
    entries: Vec<(&'n Key, &'n Node)>,
    /// Value that should be a mapping.
    other: Option<&'n Node>,
}

impl<'n> Fields<'n> {
    pub(super) fn of(node: &'n Node) -> Self {
        let (entries, other) = match &node.value {
            Value::Map(entries) => (
                entries.iter().map(|(key, node)| (key, node)).collect(),
                None,
            ),
            Value::Null => (Vec::new(), None),
            _ => (Vec::new(), Some(node)),
        };
        Self {
            at: node.pos,
            path: String::new(),
            entries,
            other,
        }
    }

    pub(super) fn none(at: Pos) -> Self {
        Self {
            at,
            path: String::new(),
            entries: Vec::new(),
            other: None,
        }
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.entries.iter().any(|(name, _)| name.text == key)
    }

    /// Returns the position of `key`.
    pub(super) fn pos(&self, key: &str) -> Option<Pos> {
        let entry = self.entries.iter().find(|(name, _)| name.text == key)?;
        Some(entry.0.pos)
    }

    /// Takes the value of `key` if `read` understands it.
    fn take<T>(&mut self, key: &str, read: impl FnOnce(&'n Node) -> Option<T>) -> Option<T> {
        let index = self.entries.iter().position(|(name, _)| name.text == key)?;
        let value = read(self.entries[index].1)?;
        self.entries.remove(index);
        Some(value)
    }

    /// Takes the text of `key`.
    pub(super) fn text(&mut self, key: &str) -> Option<&'n str> {
        self.text_at(key).map(|(text, _)| text)
    }

    /// Takes the text of `key`, with its position.
    pub(super) fn text_at(&mut self, key: &str) -> Option<(&'n str, Pos)> {
        self.take(key, |node| Some((scalar(node)?, node.pos)))
    }

    /// Takes the value of `key` if `read` understands its text.
    pub(super) fn parsed<T>(
        &mut self,
        key: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        self.take(key, |node| read(scalar(node)?))
    }

    pub(super) fn flag(&mut self, key: &str) -> Option<bool> {
        self.parsed(key, |text| text.to_ascii_lowercase().parse().ok())
    }

    pub(super) fn number(&mut self, key: &str) -> Option<f64> {
        self.parsed(key, number)
    }

    /// Takes the texts of the list `key`, which may also be one text.
    pub(super) fn texts(&mut self, key: &str) -> Vec<(&'n str, Pos)> {
        self.take(key, |node| {
            let items = match &node.value {
                Value::List(items) => items.as_slice(),
                _ => std::slice::from_ref(node),
            };
            items
                .iter()
                .map(|item| Some((scalar(item)?, item.pos)))
                .collect()
        })
        .unwrap_or_default()
    }

    /// Takes the numbers of the list `key`.
    pub(super) fn numbers(&mut self, key: &str) -> Option<Vec<f64>> {
        self.take(key, |node| match &node.value {
            Value::List(items) => items.iter().map(|item| number(scalar(item)?)).collect(),
            _ => None,
        })
    }

    /// Takes the mapping `key` from names to texts.
    pub(super) fn pairs(&mut self, key: &str) -> Vec<Pair<'n>> {
        self.take(key, |node| {
            let Value::Map(entries) = &node.value else {
                return None;
            };
            let pairs = entries.iter();
            pairs
                .map(|(key, node)| Some((key.text.as_str(), scalar(node)?, key.pos)))
                .collect()
        })
        .unwrap_or_default()
    }

    /// Takes the mappings of the list `key`, which may also be one mapping.
    pub(super) fn maps(&mut self, key: &str) -> Vec<Self> {
        self.take(key, |node| match &node.value {
            Value::List(items) => Some(items.iter().map(Self::of).collect()),
            Value::Map(_) => Some(vec![Self::of(node)]),
            Value::Null => Some(Vec::new()),
            Value::Scalar(_) => None,
        })
        .unwrap_or_default()
    }

    /// Takes the mapping `key` from names to mappings.
    pub(super) fn named_maps(&mut self, key: &str) -> Vec<(&'n str, Self)> {
        self.take(key, |node| match &node.value {
            Value::Map(entries) => Some(entries.as_slice()),
            _ => None,
        })
        .unwrap_or_default()
        .iter()
        .map(|(key, node)| {
            let at = key.pos;
            (
                key.text.as_str(),
                Self {
                    at,
                    ..Self::of(node)
                },
            )
        })
        .collect()
    }

    /// Takes the mapping `key`; without keys if it is missing. Messages have `key` in front of its keys.
    pub(super) fn within(&mut self, key: &str) -> Self {
        let path = format!("{}{key}.", self.path);
        let node = self.take(key, |node| {
            matches!(node.value, Value::Map(_) | Value::Null).then_some(node)
        });
        match node {
            Some(node) => Self {
                path,
                ..Self::of(node)
            },
            None => Self {
                path,
                ..Self::none(self.at)
            },
        }
    }

    /// Returns all keys with a mapping or a list of mappings, and takes them.
    pub(super) fn sections(&mut self) -> Vec<(&'n str, Vec<Self>)> {
        let names: Vec<&'n str> = self
            .entries
            .iter()
            .map(|(key, _)| key.text.as_str())
            .collect();
        names
            .into_iter()
            .map(|name| (name, self.maps(name)))
            .collect()
    }

    /// Leaves `key` out: it means nothing here.
    pub(super) fn skip(&mut self, keys: &[&str]) {
        self.entries
            .retain(|(key, _)| !keys.contains(&key.text.as_str()));
    }

    /// Leaves `key` out if it has one of these values, which mean the same here as no value.
    pub(super) fn skip_if(&mut self, key: &str, values: &[&str]) {
        self.take(key, |node| match &node.value {
            Value::Null => Some(()),
            Value::Scalar(text) => values.contains(&text.as_str()).then_some(()),
            Value::List(items) => items.is_empty().then_some(()),
            Value::Map(entries) => entries.is_empty().then_some(()),
        });
    }

    /// Takes `key` as a part without a counterpart, for a reason.
    pub(super) fn lose(&mut self, key: &str, reason: &str, map: &mut Map) {
        let Some(index) = self.entries.iter().position(|(name, _)| name.text == key) else {
            return;
        };
        let (key, node) = self.entries.remove(index);
        if node.value != Value::Null {
            map.lose(key.pos, format!("{}{}: {reason}", self.path, key.text));
        }
    }

    /// Notes all keys that nobody took.
    pub(super) fn finish(self, map: &mut Map) {
        if let Some(node) = self.other {
            let name = match self.path.strip_suffix('.') {
                Some(path) => format!("{path}: "),
                None => String::new(),
            };
            map.lose(
                node.pos,
                format!("{name}expected a mapping, found {}", node.form()),
            );
        }
        for (key, node) in self.entries {
            if node.value != Value::Null {
                map.lose(key.pos, format!("{}{}", self.path, key.text));
            }
        }
    }
}

/// Returns the text of a single value; a value that is null is none.
fn scalar(node: &Node) -> Option<&str> {
    match &node.value {
        Value::Scalar(text) => Some(text),
        _ => None,
    }
}

fn number(text: &str) -> Option<f64> {
    text.trim()
        .parse()
        .ok()
        .filter(|number: &f64| number.is_finite())
}

#[cfg(test)]
mod tests {
    use bellwether_schema::parse;

    use super::*;

    #[test]
    fn a_list_in_place_of_a_mapping_is_noted() {
        let node = parse("- a\n").unwrap();
        let mut map = Map::default();
        Fields::of(&node).finish(&mut map);
        assert_eq!(map.notes[0].text, "expected a mapping, found a list");
    }

    #[test]
    fn keys_that_nobody_took_are_noted_with_their_lines() {
        let node = parse("a: 1\nb: [x]\nc:\n  d: 2\n  e: 3\nf:\ng: {}\n").unwrap();
        let (mut fields, mut map) = (Fields::of(&node), Map::default());
        assert_eq!(fields.number("a"), Some(1.0));
        // A list is no text, so it is left.
        assert_eq!(fields.text("b"), None);
        let mut inner = fields.within("c");
        assert_eq!(inner.text("d"), Some("2"));
        inner.finish(&mut map);
        fields.finish(&mut map);
        let notes: Vec<String> = map
            .notes
            .iter()
            .map(|note| format!("{} {}", note.at.line, note.text))
            .collect();
        assert_eq!(notes, ["5 c.e", "2 b", "7 g"]);
    }

    #[test]
    fn a_text_in_place_of_a_mapping_is_noted() {
        let node = parse("a: [1, {b: 2}]").unwrap();
        let (mut fields, mut map) = (Fields::of(&node), Map::default());
        fields
            .maps("a")
            .into_iter()
            .for_each(|item| item.finish(&mut map));
        assert_eq!(map.notes.len(), 2);
    }
}
