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

    /// Takes all keys with a text or a list of texts.
    pub(super) fn lists(&mut self) -> Vec<(&'n str, Vec<&'n str>, Pos)> {
        let keys: Vec<&'n Key> = self.entries.iter().map(|(key, _)| *key).collect();
        let lists = keys.into_iter().map(|key| {
            let texts = self.texts(&key.text).into_iter();
            (
                key.text.as_str(),
                texts.map(|(text, _)| text).collect(),
                key.pos,
            )
        });
        let lists: Vec<(_, Vec<_>, _)> = lists.collect();
        lists
            .into_iter()
            .filter(|(_, texts, _)| !texts.is_empty())
            .collect()
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

    /// Takes `keys`, which another note is about.
    pub(super) fn skip(&mut self, keys: &[&str]) {
        self.entries
            .retain(|(key, _)| !keys.contains(&key.text.as_str()));
    }

    /// Takes `keys` as settings without an effect here. A remark names those that are there, with the reason.
    pub(super) fn set_aside(&mut self, keys: &[&str], reason: &str, map: &mut Map) {
        let (aside, rest): (Vec<_>, Vec<_>) = std::mem::take(&mut self.entries)
            .into_iter()
            .partition(|(key, _)| keys.contains(&key.text.as_str()));
        self.entries = rest;
        let set = aside.iter().filter(|(_, node)| node.value != Value::Null);
        let set: Vec<_> = set.map(|(key, _)| *key).collect();
        if let Some(first) = set.first() {
            let names: Vec<String> = set
                .iter()
                .map(|key| format!("{}{}", self.path, key.text))
                .collect();
            map.remark(first.pos, format!("{}: {reason}", names.join(", ")));
        }
    }

    /// As [`Fields::set_aside`], with all keys that nobody took.
    pub(super) fn set_rest_aside(mut self, reason: &str, map: &mut Map) {
        let keys: Vec<&str> = self
            .entries
            .iter()
            .map(|(key, _)| key.text.as_str())
            .collect();
        self.set_aside(&keys, reason, map);
        self.finish(map);
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

    use super::super::yaml::NoteKind;
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
    fn settings_without_an_effect_are_one_remark() {
        let node = parse("a: 1\nb: 2\nc:\nd: {e: 5}\n").unwrap();
        let (mut fields, mut map) = (Fields::of(&node), Map::default());
        fields.set_aside(&["c", "x"], "nothing", &mut map);
        assert!(map.notes.is_empty());
        fields.set_aside(&["b", "a"], "a reason", &mut map);
        fields.within("d").set_rest_aside("another", &mut map);
        fields.finish(&mut map);
        let notes: Vec<String> = map
            .notes
            .iter()
            .map(|note| format!("{} {}", note.at.line, note.text))
            .collect();
        assert_eq!(notes, ["1 a, b: a reason", "4 d.e: another"]);
        assert!(map.notes.iter().all(|note| note.kind == NoteKind::Remark));
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
