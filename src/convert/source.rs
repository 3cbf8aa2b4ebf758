//! Files of other programs, read as far as all formats need it.

use std::path::PathBuf;
use std::sync::Arc;

use bellwether_schema::{Node, Pos, Value, YamlError, parse_numbered};

/// A file to convert.
#[derive(Clone, Debug)]
pub struct SourceFile {
    /// Path as it is shown.
    pub name: Arc<str>,
    /// Absolute path, for settings that name the file.
    pub path: PathBuf,
    pub text: String,
}

/// A file with its number, which is that of its positions.
pub(super) struct Source<'f> {
    pub(super) file: &'f SourceFile,
    pub(super) number: u16,
    /// Its content, if it is YAML.
    pub(super) yaml: Result<Node, YamlError>,
    /// Bytes at which its lines begin.
    lines: Vec<usize>,
}

impl<'f> Source<'f> {
    pub(super) fn new(file: &'f SourceFile, number: u16) -> Self {
        let newlines = file.text.match_indices('\n');
        Self {
            file,
            number,
            yaml: parse_numbered(&file.text, number),
            lines: [0]
                .into_iter()
                .chain(newlines.map(|(at, _)| at + 1))
                .collect(),
        }
    }

    /// Returns the document in YAML.
    ///
    /// # Errors
    /// It is not YAML.
    pub(super) fn yaml(&self) -> Result<&Node, YamlError> {
        self.yaml.as_ref().map_err(Clone::clone)
    }

    /// Returns the value of a key of the document; `None` if it is no mapping in YAML, or has no such key.
    pub(super) fn key(&self, key: &str) -> Option<&Node> {
        let Value::Map(entries) = &self.yaml.as_ref().ok()?.value else {
            return None;
        };
        let mut entries = entries.iter();
        entries
            .find(|(name, _)| name.text == key)
            .map(|(_, node)| node)
    }

    /// Returns whether an item of the list `key`, or a value of that mapping, has the key `inner`.
    pub(super) fn has_within(&self, key: &str, inner: &str) -> bool {
        let has = |node: &Node| match &node.value {
            Value::Map(entries) => entries.iter().any(|(name, _)| name.text == inner),
            _ => false,
        };
        match self.key(key).map(|node| &node.value) {
            Some(Value::List(items)) => items.iter().any(has),
            Some(Value::Map(entries)) => entries.iter().any(|(_, node)| has(node)),
            _ => false,
        }
    }

    /// Returns whether the value at `at` has a tag, such as `!!binary`.
    pub(super) fn has_tag(&self, at: Pos, tag: &str) -> bool {
        let line = self
            .file
            .text
            .lines()
            .nth((at.line as usize).saturating_sub(1));
        let rest = line.map(|line| line.chars().skip((at.column as usize).saturating_sub(1)));
        rest.is_some_and(|rest| rest.collect::<String>().starts_with(tag))
    }

    /// Returns the position of a byte.
    pub(super) fn pos(&self, offset: usize) -> Pos {
        let line = self.lines.partition_point(|start| *start <= offset).max(1);
        let before = self.file.text.get(self.lines[line - 1]..offset);
        Pos {
            file: self.number,
            line: line as u32,
            column: before.map_or(0, |before| before.chars().count()) as u32 + 1,
        }
    }
}
