//! Decodes the YAML tree into values and collects every diagnostic on the way.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use bellwether_core::{Kind, Severity};

use super::choice::decode_choice;
use super::diagnostics::{Diagnostic, Diagnostics, SourceLocation, did_you_mean};
use super::expand::expand;
use super::json_schema;
use super::reference::{Choice, RAW, Shape};
use super::scalars::{HumanDuration, Literal, Secret, Size, Spanned, parse_duration};
use super::tree::{Key, Node, Pos, Value};

/// Looks up an environment variable.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// Returns the paths of the sections of the file that have a key.
pub type Places = fn(&str) -> &'static [String];

/// A value that can be read from the configuration.
pub trait Decode: Sized {
    /// Decodes `node` and reports errors to `cx`.
    ///
    /// May return a value in spite of errors, so that values that depend on it can be checked. It
    /// must not be used for anything else if there were errors.
    fn decode(node: &Node, cx: &mut DecodeContext<'_>) -> Option<Self>;

    /// Describes the form of the value, for the reference.
    fn shape() -> Shape;

    /// Returns the value of an absent key that has no default; `None` makes the key required.
    fn absent() -> Option<Self> {
        None
    }
}

/// State of decoding: current path and file, environment, and diagnostics.
pub struct DecodeContext<'a> {
    diagnostics: &'a mut Diagnostics,
    environment: Environment<'a>,
    path: String,
    file: Option<Arc<str>>,
    files: &'a [Arc<str>],
    places: Option<Places>,
}

impl<'a> DecodeContext<'a> {
    /// Creates a context at the top of the configuration file.
    pub fn new(diagnostics: &'a mut Diagnostics, environment: Environment<'a>) -> Self {
        Self {
            diagnostics,
            environment,
            path: String::new(),
            file: None,
            files: &[],
            places: None,
        }
    }

    /// Returns this context with the sections of the file, so that the error of a misplaced key says where it belongs.
    #[must_use]
    pub fn with_places(self, places: Places) -> Self {
        Self {
            places: Some(places),
            ..self
        }
    }

    /// Creates a context for a configuration of several files; `files` are the names of those that
    /// [`Pos::file`] numbers.
    pub fn for_files(
        diagnostics: &'a mut Diagnostics,
        environment: Environment<'a>,
        files: &'a [Arc<str>],
    ) -> Self {
        Self {
            files,
            ..Self::new(diagnostics, environment)
        }
    }

    /// Creates a context at the top of `file`, in which no environment variable is set.
    pub fn for_file(diagnostics: &'a mut Diagnostics, file: Arc<str>) -> Self {
        fn unset(_: &str) -> Option<OsString> {
            None
        }
        Self {
            diagnostics,
            environment: &unset,
            path: String::new(),
            file: Some(file),
            files: &[],
            places: None,
        }
    }

    /// Returns this context with other diagnostics.
    pub(super) fn with_diagnostics<'b>(&self, diagnostics: &'b mut Diagnostics) -> DecodeContext<'b>
    where
        'a: 'b,
    {
        DecodeContext {
            diagnostics,
            environment: self.environment,
            path: self.path.clone(),
            file: self.file.clone(),
            files: self.files,
            places: self.places,
        }
    }

    /// Returns whether the current path is that of the file as a whole.
    pub(super) fn is_at_top(&self) -> bool {
        self.path.is_empty()
    }

    /// Returns the location of `pos` at the current path.
    #[must_use]
    pub fn at(&self, pos: Pos) -> SourceLocation {
        let numbered = || self.files.get(usize::from(pos.file).checked_sub(1)?);
        SourceLocation {
            pos,
            path: self.path.as_str().into(),
            file: self.file.as_ref().or_else(numbered).cloned(),
        }
    }

    /// Returns the hint for a key that is unknown in the mapping at the current path, and that one other section has:
    /// one below this mapping before all others. An entry of a list has keys of its own.
    fn place_of(&self, key: &str) -> Option<String> {
        let places = self.places.filter(|_| !self.path.contains('['))?(key);
        let below = format!("{}.", self.path);
        let is_below = |place: &&String| place.starts_with(&below);
        let place = match &places.iter().filter(is_below).collect::<Vec<_>>()[..] {
            [place] => place.as_str(),
            [] if places.len() == 1 => &places[0],
            _ => return None,
        };
        Some(match place {
            "" => "write it at the top level of the file".to_owned(),
            _ => format!("write it below `{place}`"),
        })
    }

    /// Adds a diagnostic at `pos` with the current path.
    pub fn error(&mut self, pos: Pos, message: impl Into<String>) -> &mut Diagnostic {
        let at = self.at(pos);
        self.diagnostics.error(&at, message)
    }

    /// Adds a warning at `pos` with the current path.
    pub fn warning(&mut self, pos: Pos, message: impl Into<String>) -> &mut Diagnostic {
        let at = self.at(pos);
        self.diagnostics.warning(&at, message)
    }

    /// Extends the current path by `step` while `inner` runs.
    pub(super) fn within<T>(
        &mut self,
        step: std::fmt::Arguments<'_>,
        inner: impl FnOnce(&mut Self) -> T,
    ) -> T {
        let length = self.path.len();
        std::fmt::Write::write_fmt(&mut self.path, step).ok();
        let result = inner(self);
        self.path.truncate(length);
        result
    }

    /// Decodes the value of `key` in the mapping at the current path.
    fn inside<T: Decode>(&mut self, key: &str, node: &Node) -> Option<T> {
        let dot = if self.path.is_empty() { "" } else { "." };
        self.within(format_args!("{dot}{key}"), |cx| T::decode(node, cx))
    }

    /// Reads a scalar and expands its references to environment variables.
    pub fn text(&mut self, node: &Node) -> Option<String> {
        let text = self.raw(node, "text")?;
        match expand(text, self.environment) {
            Ok(text) => Some(text),
            Err(error) => {
                self.error(node.pos, error.message).hint_if(error.hint);
                None
            }
        }
    }

    pub(super) fn raw<'n>(&mut self, node: &'n Node, expected: &str) -> Option<&'n str> {
        match &node.value {
            Value::Scalar(text) => Some(text),
            _ => {
                self.mismatch(node, expected);
                None
            }
        }
    }

    fn mismatch(&mut self, node: &Node, expected: &str) {
        self.error(
            node.pos,
            format!("expected {expected}, found {}", node.form()),
        );
    }

    /// Reads a scalar with `parse`; `expected` describes it in the message if that fails.
    pub fn parsed<T>(
        &mut self,
        node: &Node,
        expected: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        self.raw(node, expected)?;
        let text = self.text(node)?;
        let value = parse(text.trim());
        if value.is_none() {
            self.error(node.pos, format!("expected {expected}, found {text:?}"));
        }
        value
    }
}

/// Decodes a section from its `required` keys alone; every other key has its default.
#[must_use]
pub fn blank<T: Decode>(required: &[(&str, &str)]) -> Option<T> {
    let pos = Pos::default();
    let node = Node {
        pos,
        value: Value::Map(
            required
                .iter()
                .map(|(key, text)| {
                    let value = Value::Scalar((*text).to_owned());
                    (
                        Key {
                            text: (*key).to_owned(),
                            pos,
                        },
                        Node { pos, value },
                    )
                })
                .collect(),
        ),
    };
    let mut diagnostics = Diagnostics::default();
    T::decode(&node, &mut DecodeContext::new(&mut diagnostics, &|_| None))
}

/// Reads the keys of one mapping; at the end reports the keys that were not read.
pub struct MapReader<'n, 'c, 'a> {
    node: &'n Node,
    entries: &'n [(Key, Node)],
    read: Vec<&'static str>,
    /// Context that errors are reported to.
    pub cx: &'c mut DecodeContext<'a>,
}

impl<'n, 'c, 'a> MapReader<'n, 'c, 'a> {
    /// Opens a mapping; null counts as an empty one.
    pub fn open(node: &'n Node, cx: &'c mut DecodeContext<'a>) -> Option<Self> {
        let entries: &[(Key, Node)] = match &node.value {
            Value::Map(entries) => entries,
            Value::Null => &[],
            _ => {
                cx.mismatch(node, "a mapping");
                return None;
            }
        };
        Some(Self {
            node,
            entries,
            read: Vec::new(),
            cx,
        })
    }

    /// Returns the location of the mapping.
    #[must_use]
    pub fn at(&self) -> SourceLocation {
        self.cx.at(self.node.pos)
    }

    /// Reads the value of `key`; if the key is absent, returns `default` or else
    /// [`Decode::absent`], and reports an error if both are `None`.
    ///
    /// The default also replaces an invalid value, so that values that depend on it can still be
    /// checked.
    pub fn field<T: Decode>(&mut self, key: &'static str, default: Option<T>) -> Option<T> {
        if !self.read.contains(&key) {
            self.read.push(key);
        }
        let entry = self.entries.iter().find(|(name, _)| name.text == key);
        // A list or mapping with all of its entries commented out counts as absent.
        let empty = entry.is_some_and(|(_, node)| matches!(node.value, Value::Null));
        if empty && matches!(T::shape(), Shape::List(_) | Shape::Map(_)) {
            let value = default.or_else(T::absent);
            if value.is_none() {
                self.cx
                    .error(self.node.pos, format!("key {key:?} has no value"));
            }
            return value;
        }
        let value = entry
            .and_then(|(_, node)| self.cx.inside(key, node))
            .or(default)
            .or_else(T::absent);
        if value.is_none() && entry.is_none() {
            self.cx.error(self.node.pos, format!("missing key {key:?}"));
        }
        value
    }

    /// Reads the value of `key` like [`field`](Self::field), or else that of `former`, its name in
    /// earlier versions, with a warning. Both together are an error.
    pub fn renamed_field<T: Decode>(
        &mut self,
        key: &'static str,
        former: &'static str,
        default: Option<T>,
    ) -> Option<T> {
        let find = |name| self.entries.iter().find(|(key, _)| key.text == name);
        match (find(key), find(former)) {
            (None, Some((found, _))) => {
                self.cx
                    .warning(found.pos, format!("key {former:?} is now {key:?}"))
                    .hint("use the new name");
                self.read.push(key);
                self.field(former, default)
            }
            (Some((current, _)), Some((old, _))) => {
                let place = self.cx.at(current.pos).words();
                let message = format!("key {former:?} is now {key:?}, which is set on {place} too");
                self.cx.error(old.pos, message).hint("keep the new name");
                self.read.push(former);
                self.field(key, default)
            }
            _ => self.field(key, default),
        }
    }

    /// Reports every key that was not read as unknown.
    pub fn finish(self) {
        for (key, _) in self.entries {
            if !self.read.contains(&key.text.as_str()) {
                let similar = || did_you_mean(&key.text, self.read.iter().copied());
                let hint = self
                    .cx
                    .place_of(&key.text)
                    .or_else(similar)
                    .unwrap_or_else(|| format!("known keys: {}", self.read.join(", ")));
                let dot = if self.cx.path.is_empty() { "" } else { "." };
                self.cx.within(format_args!("{dot}{}", key.text), |cx| {
                    cx.error(key.pos, format!("unknown key {:?}", key.text))
                        .hint(hint);
                });
            }
        }
    }
}

macro_rules! decode_parsed {
    ($($type:ty: $word:literal, $schema:expr, $expected:literal, $parse:expr;)*) => {$(
        impl Decode for $type {
            fn decode(node: &Node, cx: &mut DecodeContext<'_>) -> Option<Self> {
                cx.parsed(node, $expected, $parse)
            }
            fn shape() -> Shape {
                Shape::Word($word, $schema)
            }
        }
    )*};
}

decode_parsed! {
    bool: "true or false", json_schema::boolean, "true or false", |text| match text {
        "true" | "True" | "TRUE" => Some(true),
        "false" | "False" | "FALSE" => Some(false),
        _ => None,
    };
    u16: "whole number", || json_schema::integer(0, u16::MAX.into()), "a whole number from 0 to 65535", |text| text.parse().ok();
    u32: "whole number", || json_schema::integer(0, u32::MAX.into()), "a whole number from 0 to 4294967295", |text| text.parse().ok();
    u64: "whole number", || json_schema::integer(0, u64::MAX), "a whole number, 0 or more", |text| text.parse().ok();
    usize: "whole number", || json_schema::integer(0, u64::MAX), "a whole number, 0 or more", |text| text.parse().ok();
    f64: "number", json_schema::number, "a number", |text| text.parse().ok().filter(|number: &f64| number.is_finite());
    HumanDuration: "duration", json_schema::duration, "a duration such as 30, 30s, 5m, 1h30m or 7d", |text| parse_duration(text).map(HumanDuration);
    Size: "size", json_schema::size, "a size such as 1048576, 500MB or 2GiB", Size::parse;
}

impl Decode for String {
    fn decode(node: &Node, cx: &mut DecodeContext<'_>) -> Option<Self> {
        cx.text(node)
    }
    fn shape() -> Shape {
        Shape::Word("text", json_schema::text)
    }
}

impl Decode for Literal {
    fn decode(node: &Node, cx: &mut DecodeContext<'_>) -> Option<Self> {
        cx.raw(node, "text").map(|text| Literal(text.to_owned()))
    }
    fn shape() -> Shape {
        Shape::Word(RAW, json_schema::text)
    }
}

impl Decode for Secret {
    fn decode(node: &Node, cx: &mut DecodeContext<'_>) -> Option<Self> {
        cx.text(node).map(Secret::new)
    }
    fn shape() -> Shape {
        Shape::Word("secret text", json_schema::text)
    }
}

impl Decode for PathBuf {
    fn decode(node: &Node, cx: &mut DecodeContext<'_>) -> Option<Self> {
        let text = cx.text(node)?;
        if text.is_empty() || text.contains('\0') {
            cx.error(node.pos, format!("expected a path, found {text:?}"));
            return None;
        }
        let home = (cx.environment)("HOME").and_then(|home| home.into_string().ok());
        Some(PathBuf::from(
            shellexpand::tilde_with_context(&text, || home).into_owned(),
        ))
    }
    fn shape() -> Shape {
        Shape::Word("path", json_schema::text)
    }
}

impl Decode for Severity {
    fn decode(node: &Node, cx: &mut DecodeContext<'_>) -> Option<Self> {
        decode_choice(
            node,
            cx,
            &Severity::ALL.map(|severity| (severity.as_str(), severity)),
        )
    }
    fn shape() -> Shape {
        const WORDS: [Choice; 4] = Choice::all(["info", "warning", "critical", "emergency"]);
        Shape::Choice(&WORDS)
    }
}

impl Decode for Kind {
    fn decode(node: &Node, cx: &mut DecodeContext<'_>) -> Option<Self> {
        let kinds = [Kind::Counter, Kind::Gauge, Kind::Histogram, Kind::Summary];
        decode_choice(node, cx, &kinds.map(|kind| (kind.as_str(), kind)))
    }
    fn shape() -> Shape {
        const WORDS: [Choice; 4] = Choice::all(["counter", "gauge", "histogram", "summary"]);
        Shape::Choice(&WORDS)
    }
}

impl<T: Decode> Decode for Option<T> {
    fn decode(node: &Node, cx: &mut DecodeContext<'_>) -> Option<Self> {
        match node.value {
            Value::Null => Some(None),
            _ => T::decode(node, cx).map(Some),
        }
    }
    fn shape() -> Shape {
        T::shape()
    }
    fn absent() -> Option<Self> {
        Some(None)
    }
}

impl<T: Decode> Decode for Spanned<T> {
    fn decode(node: &Node, cx: &mut DecodeContext<'_>) -> Option<Self> {
        let at = cx.at(node.pos);
        T::decode(node, cx).map(|value| Spanned { value, at })
    }
    fn shape() -> Shape {
        T::shape()
    }
    fn absent() -> Option<Self> {
        T::absent().map(Spanned::nowhere)
    }
}

/// A key without a value is an empty list.
impl<T: Decode> Decode for Vec<T> {
    fn decode(node: &Node, cx: &mut DecodeContext<'_>) -> Option<Self> {
        let items = match &node.value {
            Value::List(items) => items.as_slice(),
            Value::Null => &[],
            _ => {
                cx.mismatch(node, "a list");
                return None;
            }
        };
        // An invalid item is reported and skipped, so that the others are still checked.
        let mut indices = OwnIndices::default();
        let decoded = items.iter().filter_map(|item| {
            let index = indices.next(item);
            cx.within(format_args!("[{index}]"), |cx| T::decode(item, cx))
        });
        Some(decoded.collect())
    }
    fn shape() -> Shape {
        Shape::List(T::shape)
    }
}

/// Counts the items of a list by their files, so that a path has the index that its file shows.
#[derive(Default)]
pub(super) struct OwnIndices(BTreeMap<u16, usize>);

impl OwnIndices {
    /// Returns the index of the next item within its file.
    pub(super) fn next(&mut self, item: &Node) -> usize {
        let count = self.0.entry(item.pos.file).or_default();
        *count += 1;
        *count - 1
    }
}

/// A key without a value is an empty mapping.
impl<T: Decode> Decode for BTreeMap<String, T> {
    fn decode(node: &Node, cx: &mut DecodeContext<'_>) -> Option<Self> {
        let entries = match &node.value {
            Value::Map(entries) => entries.as_slice(),
            Value::Null => &[],
            _ => {
                cx.mismatch(node, "a mapping");
                return None;
            }
        };
        let decoded = entries
            .iter()
            .filter_map(|(key, value)| Some((key.text.clone(), cx.inside(&key.text, value)?)));
        Some(decoded.collect())
    }
    fn shape() -> Shape {
        Shape::Map(T::shape)
    }
}
