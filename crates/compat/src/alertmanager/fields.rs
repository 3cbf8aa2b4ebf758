//! The keys of a mapping, taken one by one, and mappings that are made.

use bellwether_schema::{Key, Node, Pos, SourceLocation, Value};

/// A mapping of the file.
#[derive(Clone)]
pub(super) struct Fields<'n> {
    path: String,
    left: Vec<(&'n Key, &'n Node)>,
}

impl<'n> Fields<'n> {
    /// The keys of `node`, which is at `path`; none where it is no mapping.
    pub(super) fn of(node: &'n Node, path: &str) -> Self {
        let left = match &node.value {
            Value::Map(entries) => entries.iter().map(|(key, node)| (key, node)).collect(),
            _ => Vec::new(),
        };
        Self {
            path: path.to_owned(),
            left,
        }
    }

    /// No keys.
    pub(super) fn none() -> Self {
        Self {
            path: String::new(),
            left: Vec::new(),
        }
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// The value of `key`, which nobody else gets; `None` where it is not there or nothing.
    pub(super) fn take(&mut self, key: &str) -> Option<&'n Node> {
        let at = self.left.iter().position(|(known, _)| known.text == key)?;
        let (_, node) = self.left.remove(at);
        (node.value != Value::Null).then_some(node)
    }

    /// The same; an empty text is nothing too.
    pub(super) fn said(&mut self, key: &str) -> Option<&'n Node> {
        self.take(key)
            .filter(|node| node.value != Value::Scalar(String::new()))
    }

    /// The text of `key`, and where it stands.
    pub(super) fn text(&mut self, key: &str) -> Option<(&'n str, Pos)> {
        let node = self.take(key)?;
        match &node.value {
            Value::Scalar(text) => Some((text, node.pos)),
            _ => None,
        }
    }

    /// The mapping of `key`; without keys where there is none.
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

    /// What nobody took.
    pub(super) fn left(&self) -> impl Iterator<Item = (&'n str, SourceLocation)> {
        self.left
            .iter()
            .map(|(key, _)| (key.text.as_str(), self.at_key(&key.text, key.pos)))
    }
}

/// A mapping of ours that is made of parts of the file.
pub(super) struct Made {
    pos: Pos,
    entries: Vec<(Key, Node)>,
}

impl Made {
    pub(super) fn at(pos: Pos) -> Self {
        Self {
            pos,
            entries: Vec::new(),
        }
    }

    /// Sets `key`. What looks like a variable of the environment is none in this file.
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

    /// Whether `key` is set.
    pub(super) fn has(&self, key: &str) -> bool {
        self.entries.iter().any(|(known, _)| known.text == key)
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
