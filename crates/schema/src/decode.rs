//! Tree to values, with every problem collected on the way.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use bellwether_core::{Kind, Severity};

use super::choice::decode_choice;
use super::expand::expand;
use super::problems::{Diagnostic, Diagnostics, SourceLocation, did_you_mean};
use super::reference::{RAW, Shape};
use super::scalars::{HumanDuration, Literal, Secret, Size, Spanned, parse_duration};
use super::tree::{Key, Node, Pos, Value};

/// Answers what an environment variable holds.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// A value that a declaration can hold.
pub trait Decode: Sized {
    /// Reads it; what is wrong goes to `cx`. There may be a value all the same: it serves to check
    /// what depends on it, and counts only if nothing was wrong.
    fn decode(node: &Node, cx: &mut DecodeContext<'_>) -> Option<Self>;

    /// Its form, for the reference.
    fn shape() -> Shape;

    /// What an absent key without a default means; `None` makes the key required.
    fn absent() -> Option<Self> {
        None
    }
}

/// Where decoding stands, what it may ask, and what it found wrong.
pub struct DecodeContext<'a> {
    problems: &'a mut Diagnostics,
    environment: Environment<'a>,
    path: String,
    file: Option<Arc<str>>,
}

impl<'a> DecodeContext<'a> {
    /// At the top of a file.
    pub fn new(problems: &'a mut Diagnostics, environment: Environment<'a>) -> Self {
        Self {
            problems,
            environment,
            path: String::new(),
            file: None,
        }
    }

    /// At the top of another file than the declaration, which knows no environment.
    pub fn of_file(problems: &'a mut Diagnostics, file: Arc<str>) -> Self {
        fn unset(_: &str) -> Option<OsString> {
            None
        }
        Self {
            problems,
            environment: &unset,
            path: String::new(),
            file: Some(file),
        }
    }

    /// The current path with `pos`.
    #[must_use]
    pub fn at(&self, pos: Pos) -> SourceLocation {
        SourceLocation {
            pos,
            path: self.path.as_str().into(),
            file: self.file.clone(),
        }
    }

    /// Notes a problem at `pos` under the current path.
    pub fn error(&mut self, pos: Pos, message: impl Into<String>) -> &mut Diagnostic {
        let at = self.at(pos);
        self.problems.error(&at, message)
    }

    /// Goes one step down for the time of `inner`.
    fn within<T>(
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

    /// The expanded text of a single value.
    pub fn text(&mut self, node: &Node) -> Option<String> {
        let text = self.raw(node, "text")?;
        match expand(text, self.environment) {
            Ok(text) => Some(text),
            Err((message, hint)) => {
                self.error(node.pos, message).hint_if(hint);
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

    /// A single value that `parse` understands; `expected` says what that is.
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

/// Settings of which nothing is said but `required`.
#[must_use]
pub fn blank<T: Decode>(required: &[(&str, &str)]) -> Option<T> {
    let pos = Pos::default();
    let entry = |(key, text): &(&str, &str)| {
        let value = Value::Scalar((*text).to_owned());
        (
            Key {
                text: (*key).to_owned(),
                pos,
            },
            Node { pos, value },
        )
    };
    let node = Node {
        pos,
        value: Value::Map(required.iter().map(entry).collect()),
    };
    let mut problems = Diagnostics::default();
    T::decode(&node, &mut DecodeContext::new(&mut problems, &|_| None))
}

/// Reads the keys of one mapping and, at the end, names those that nobody asked for.
pub struct MapReader<'n, 'c, 'a> {
    node: &'n Node,
    entries: &'n [(Key, Node)],
    asked: Vec<&'static str>,
    /// For problems.
    pub cx: &'c mut DecodeContext<'a>,
}

impl<'n, 'c, 'a> MapReader<'n, 'c, 'a> {
    /// Opens a mapping; nothing at all counts as an empty one.
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
            asked: Vec::new(),
            cx,
        })
    }

    /// The place of the mapping.
    #[must_use]
    pub fn at(&self) -> SourceLocation {
        self.cx.at(self.node.pos)
    }

    /// The value of `key`, or `default` (or what the type's absence means) where it is not there.
    /// A required key that is missing is a problem. The default also stands in for a value that is
    /// wrong, so that what depends on it can still be checked.
    pub fn field<T: Decode>(&mut self, key: &'static str, default: Option<T>) -> Option<T> {
        if !self.asked.contains(&key) {
            self.asked.push(key);
        }
        let found = self.entries.iter().find(|(known, _)| known.text == key);
        // A list or a mapping of which all is commented out means what an absent one does.
        let nothing = found.is_some_and(|(_, node)| matches!(node.value, Value::Null));
        if nothing && matches!(T::shape(), Shape::List(_) | Shape::Map(_)) {
            let usual = default.or_else(T::absent);
            if usual.is_none() {
                self.cx
                    .error(self.node.pos, format!("nothing behind key {key:?}"));
            }
            return usual;
        }
        let value = found.and_then(|(_, node)| self.cx.inside(key, node));
        let value = value.or(default).or_else(T::absent);
        if value.is_none() && found.is_none() {
            self.cx.error(self.node.pos, format!("missing key {key:?}"));
        }
        value
    }

    /// Notes every key that was not asked for.
    pub fn finish(self) {
        for (key, _) in self.entries {
            if !self.asked.contains(&key.text.as_str()) {
                let hint = did_you_mean(&key.text, self.asked.iter().copied())
                    .unwrap_or_else(|| format!("known keys: {}", self.asked.join(", ")));
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
    ($($type:ty: $word:literal, $expected:literal, $parse:expr;)*) => {$(
        impl Decode for $type {
            fn decode(node: &Node, cx: &mut DecodeContext<'_>) -> Option<Self> {
                cx.parsed(node, $expected, $parse)
            }
            fn shape() -> Shape {
                Shape::Word($word)
            }
        }
    )*};
}

decode_parsed! {
    bool: "true or false", "true or false", |text| match text {
        "true" | "True" | "TRUE" => Some(true),
        "false" | "False" | "FALSE" => Some(false),
        _ => None,
    };
    u16: "whole number", "a whole number from 0 to 65535", |text| text.parse().ok();
    u32: "whole number", "a whole number from 0 to 4294967295", |text| text.parse().ok();
    u64: "whole number", "a whole number, 0 or more", |text| text.parse().ok();
    usize: "whole number", "a whole number, 0 or more", |text| text.parse().ok();
    f64: "number", "a number", |text| text.parse().ok().filter(|number: &f64| number.is_finite());
    HumanDuration: "duration", "a duration such as 30, 30s, 5m, 1h30m or 7d", |text| parse_duration(text).map(HumanDuration);
    Size: "size", "a size such as 1048576, 500MB or 2GiB", Size::parse;
}

impl Decode for String {
    fn decode(node: &Node, cx: &mut DecodeContext<'_>) -> Option<Self> {
        cx.text(node)
    }
    fn shape() -> Shape {
        Shape::Word("text")
    }
}

impl Decode for Literal {
    fn decode(node: &Node, cx: &mut DecodeContext<'_>) -> Option<Self> {
        cx.raw(node, "text").map(|text| Literal(text.to_owned()))
    }
    fn shape() -> Shape {
        Shape::Word(RAW)
    }
}

impl Decode for Secret {
    fn decode(node: &Node, cx: &mut DecodeContext<'_>) -> Option<Self> {
        cx.text(node).map(Secret::new)
    }
    fn shape() -> Shape {
        Shape::Word("secret text")
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
        Shape::Word("path")
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
        Shape::Choice(&["info", "warning", "critical", "emergency"])
    }
}

impl Decode for Kind {
    fn decode(node: &Node, cx: &mut DecodeContext<'_>) -> Option<Self> {
        let kinds = [Kind::Counter, Kind::Gauge, Kind::Histogram, Kind::Summary];
        decode_choice(node, cx, &kinds.map(|kind| (kind.as_str(), kind)))
    }
    fn shape() -> Shape {
        Shape::Choice(&["counter", "gauge", "histogram", "summary"])
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

/// A key with nothing behind it is an empty list.
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
        // A broken item is told and left out, so that the others can still be checked.
        let decoded = items.iter().enumerate().filter_map(|(index, item)| {
            cx.within(format_args!("[{index}]"), |cx| T::decode(item, cx))
        });
        Some(decoded.collect())
    }
    fn shape() -> Shape {
        Shape::List(T::shape)
    }
}

/// A key with nothing behind it is an empty mapping.
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
