//! Keys of a mapping that are taken one by one, and mappings to build.

use bellwether_schema::{Key, Node, Pos, SourceLocation, Value};

/// Mapping of the file.
#[derive(Clone)]
pub(super) struct Fields<'n> {
    path: String,
    entries: Vec<(&'n Key, &'n Node)>,
}

impl<'n> Fields<'n> {
    /// Returns the keys of `node` at `path`; none if it is not a mapping.
    pub(super) fn of(node: &'n Node, path: &str) -> Self {
        let entries = match &node.value {
            Value::Map(entries) => entries.iter().map(|(key, node)| (key, node)).collect(),
            _ => Vec::new(),
        };
        Self {
            path: path.to_owned(),
            entries,
        }
    }

    pub(super) fn none() -> Self {
        Self {
            path: String::new(),
            entries: Vec::new(),
        }
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// Takes the value of `key`; `None` if it is missing or null.
    pub(super) fn take(&mut self, key: &str) -> Option<&'n Node> {
        let at = self.entries.iter().position(|(name, _)| name.text == key)?;
        let (_, node) = self.entries.remove(at);
        (node.value != Value::Null).then_some(node)
    }

    /// Takes the value of `key`; `None` if it is missing, null or an empty text.
    pub(super) fn take_non_empty(&mut self, key: &str) -> Option<&'n Node> {
        self.take(key)
            .filter(|node| node.value != Value::Scalar(String::new()))
    }

    /// Takes the text of `key`, with its location.
    pub(super) fn text(&mut self, key: &str) -> Option<(&'n str, Pos)> {
        let node = self.take(key)?;
        match &node.value {
            Value::Scalar(text) => Some((text, node.pos)),
            _ => None,
        }
    }

    /// Takes the mapping of `key`; without keys if it is missing.
    pub(super) fn within(&mut self, key: &str) -> Self {
        let path = self.at_key(key, Pos::default()).path.to_string();
        self.take(key)
            .map_or_else(Self::none, |node| Self::of(node, &path))
    }

    pub(super) fn at(&self, pos: Pos) -> SourceLocation {
        SourceLocation {
            pos,
            path: self.path.as_str().into(),
            ..SourceLocation::default()
        }
    }

    pub(super) fn at_key(&self, key: &str, pos: Pos) -> SourceLocation {
        let dot = if self.path.is_empty() { "" } else { "." };
        SourceLocation {
            pos,
            path: format!("{}{dot}{key}", self.path).into(),
            ..SourceLocation::default()
        }
    }

    /// Returns the keys that were not taken.
    pub(super) fn remaining(&self) -> impl Iterator<Item = (&'n str, SourceLocation)> {
        self.entries
            .iter()
            .map(|(key, _)| (key.text.as_str(), self.at_key(&key.text, key.pos)))
    }
}

/// Mapping of our settings, built from parts of the file.
pub(super) struct MappingBuilder {
    pos: Pos,
    entries: Vec<(Key, Node)>,
}

impl MappingBuilder {
    pub(super) fn at(pos: Pos) -> Self {
        Self {
            pos,
            entries: Vec::new(),
        }
    }

    /// Sets `key`. The file has no variables of the environment, so what looks like one is escaped.
    pub(super) fn put(&mut self, key: &str, node: Node) {
        self.put_raw(key, escaped(node));
    }

    /// Sets `key` to a text that is taken as written.
    pub(super) fn put_raw(&mut self, key: &str, node: Node) {
        self.entries.push((
            Key {
                text: key.to_owned(),
                pos: node.pos,
            },
            node,
        ));
    }

    pub(super) fn put_text(&mut self, key: &str, text: &str, pos: Pos) {
        self.put(key, scalar(text, pos));
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.entries.iter().any(|(name, _)| name.text == key)
    }

    pub(super) fn node(self) -> Node {
        map(self.pos, self.entries)
    }
}

pub(super) fn map(pos: Pos, entries: Vec<(Key, Node)>) -> Node {
    Node {
        pos,
        value: Value::Map(entries),
    }
}

pub(super) fn scalar(text: &str, pos: Pos) -> Node {
    Node {
        pos,
        value: Value::Scalar(text.to_owned()),
    }
}

fn escaped(node: Node) -> Node {
    let value = match node.value {
        Value::Scalar(text) => Value::Scalar(text.replace("${", "$${").replace("$<", "$$<")),
        Value::List(items) => Value::List(items.into_iter().map(escaped).collect()),
        Value::Map(entries) => Value::Map(
            entries
                .into_iter()
                .map(|(key, node)| (key, escaped(node)))
                .collect(),
        ),
        Value::Null => Value::Null,
    };
    Node { value, ..node }
}
