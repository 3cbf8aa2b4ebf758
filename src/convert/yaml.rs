//! Settings to write, as data: what the writer prints, with the notes beside each part.

use std::fmt::Display;
use std::time::Duration;

use bellwether_schema::{Pos, format_duration};

/// A value to write.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Yaml {
    /// A number, a duration or a keyword: never quoted.
    Word(String),
    /// A text as the file has it, quoted where it must be.
    Text(String),
    List(Vec<Yaml>),
    Map(Map),
}

/// A mapping in the order in which it is written, below its notes.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Map {
    pub(super) notes: Vec<Note>,
    pub(super) fields: Vec<(String, Yaml)>,
}

/// A note beside an entry, which becomes a comment.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Note {
    pub(super) kind: NoteKind,
    /// Position in the source.
    pub(super) at: Pos,
    pub(super) text: String,
}

/// Meaning of a note.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoteKind {
    /// A part of the source without a counterpart.
    Lost,
    /// Something that the source does not have, and people have to add.
    ToComplete,
    /// A difference.
    Remark,
}

impl Yaml {
    pub(super) fn word(value: impl Display) -> Self {
        Self::Word(value.to_string())
    }

    /// Creates a text that is the same after references are expanded.
    pub(super) fn text(text: &str) -> Self {
        Self::Text(text.replace("${", "$${").replace("$<", "$$<"))
    }

    /// Creates a text that is taken as written: a query, a regular expression, or one with references.
    pub(super) fn raw(text: &str) -> Self {
        Self::Text(text.to_owned())
    }

    pub(super) fn duration(duration: Duration) -> Self {
        Self::Word(format_duration(duration))
    }

    pub(super) fn texts<'t>(texts: impl IntoIterator<Item = &'t str>) -> Self {
        Self::List(texts.into_iter().map(Self::text).collect())
    }

    pub(super) fn raws<'t>(texts: impl IntoIterator<Item = &'t str>) -> Self {
        Self::List(texts.into_iter().map(Self::raw).collect())
    }

    pub(super) fn words(words: impl IntoIterator<Item = impl Display>) -> Self {
        Self::List(words.into_iter().map(Self::word).collect())
    }

    /// Creates numbers that ascend: buckets, quantiles.
    pub(super) fn ascending(mut numbers: Vec<f64>) -> Self {
        numbers.sort_by(f64::total_cmp);
        numbers.dedup();
        Self::words(numbers)
    }

    pub(super) fn maps(maps: Vec<Map>) -> Self {
        Self::List(maps.into_iter().map(Self::Map).collect())
    }
}

impl Map {
    /// Creates a mapping with these keywords: `[("type", "sql")]`.
    pub(super) fn of<const N: usize>(words: [(&str, &str); N]) -> Self {
        let mut map = Self::default();
        for (key, word) in words {
            map.put(key, Yaml::text(word));
        }
        map
    }

    /// Sets `key`; an earlier value is replaced.
    pub(super) fn put(&mut self, key: &str, value: Yaml) {
        match self.fields.iter_mut().find(|(name, _)| name == key) {
            Some((_, known)) => *known = value,
            None => self.fields.push((key.to_owned(), value)),
        }
    }

    /// Sets `key`, if there is a value.
    pub(super) fn put_some(&mut self, key: &str, value: Option<Yaml>) {
        if let Some(value) = value {
            self.put(key, value);
        }
    }

    /// Sets `key` to a list or a mapping, unless it is empty.
    pub(super) fn put_filled(&mut self, key: &str, value: impl Into<Yaml>) {
        let value = value.into();
        if !matches!(&value, Yaml::List(items) if items.is_empty())
            && !matches!(&value, Yaml::Map(map) if map.fields.is_empty() && map.notes.is_empty())
        {
            self.put(key, value);
        }
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.fields.iter().any(|(name, _)| name == key)
    }

    pub(super) fn lose(&mut self, at: Pos, text: impl Into<String>) {
        self.note(NoteKind::Lost, at, text);
    }

    pub(super) fn complete(&mut self, at: Pos, text: impl Into<String>) {
        self.note(NoteKind::ToComplete, at, text);
    }

    pub(super) fn remark(&mut self, at: Pos, text: impl Into<String>) {
        self.note(NoteKind::Remark, at, text);
    }

    fn note(&mut self, kind: NoteKind, at: Pos, text: impl Into<String>) {
        let text = text.into();
        self.notes.push(Note { kind, at, text });
    }

    /// Calls `visit` for each note of the mapping and of what is below it.
    pub(super) fn each_note<'m>(&'m self, visit: &mut impl FnMut(&'m Note)) {
        self.notes.iter().for_each(&mut *visit);
        self.fields
            .iter()
            .for_each(|(_, value)| value.each_note(visit));
    }
}

impl Yaml {
    fn each_note<'m>(&'m self, visit: &mut impl FnMut(&'m Note)) {
        match self {
            Self::Word(_) | Self::Text(_) => {}
            Self::List(items) => items.iter().for_each(|item| item.each_note(visit)),
            Self::Map(map) => map.each_note(visit),
        }
    }
}

impl From<Map> for Yaml {
    fn from(map: Map) -> Self {
        Self::Map(map)
    }
}

impl From<Vec<Map>> for Yaml {
    fn from(maps: Vec<Map>) -> Self {
        Self::maps(maps)
    }
}

impl FromIterator<(String, Yaml)> for Map {
    fn from_iter<I: IntoIterator<Item = (String, Yaml)>>(fields: I) -> Self {
        Self {
            notes: Vec::new(),
            fields: fields.into_iter().collect(),
        }
    }
}
