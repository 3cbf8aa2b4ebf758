//! Parses YAML into a tree in which every key and value has its position.
//!
//! Scalars keep their text as written, so `0123` stays `0123` for a text field. Aliases and merge
//! keys are resolved here, within bounds. Duplicate keys are errors.

use std::collections::HashMap;

use bellwether_core::MAX_NESTING;
use saphyr_parser::{Event, Parser, ScalarStyle, StrInput};

use super::quotes;

/// Maximum number of nodes that aliases may add, against files of nested aliases that grow exponentially.
const MAX_ALIASED: usize = 100_000;

/// Line and column, both from 1; zero if there is no position.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pos {
    /// Number of the configuration file that was read, from 1; zero for any other text.
    pub file: u16,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
}

/// A YAML value with its position.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Position of its first character.
    pub pos: Pos,
    /// The value.
    pub value: Value,
}

/// A YAML value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// No value, `null` or `~`.
    Null,
    /// A scalar as written, without its quotes.
    Scalar(String),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping in the order of the file.
    Map(Vec<(Key, Node)>),
}

/// A key of a mapping.
#[derive(Clone, Debug, PartialEq)]
pub struct Key {
    /// Text of the key.
    pub text: String,
    /// Position of the key.
    pub pos: Pos,
}

impl Node {
    /// Names the kind of value for messages: `a list`.
    #[must_use]
    pub fn form(&self) -> &'static str {
        match self.value {
            Value::Null => "nothing",
            Value::Scalar(_) => "a single value",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }

    /// Returns the number of levels of lists and mappings below this node.
    fn height(&self) -> usize {
        match &self.value {
            Value::Null | Value::Scalar(_) => 0,
            Value::List(items) => 1 + items.iter().map(Node::height).max().unwrap_or_default(),
            Value::Map(entries) => {
                1 + entries
                    .iter()
                    .map(|(_, node)| node.height())
                    .max()
                    .unwrap_or_default()
            }
        }
    }

    fn size(&self) -> usize {
        match &self.value {
            Value::Null | Value::Scalar(_) => 1,
            Value::List(items) => 1 + items.iter().map(Node::size).sum::<usize>(),
            Value::Map(entries) => 1 + entries.iter().map(|(_, node)| node.size()).sum::<usize>(),
        }
    }
}

/// Reason why a text is not YAML, with its position.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}:{}: {message}", at.line, at.column)]
pub struct YamlError {
    /// Position of the error.
    pub at: Pos,
    /// Reason without the position.
    pub message: String,
}

impl YamlError {
    fn new(at: Pos, message: impl Into<String>) -> Self {
        Self {
            at,
            message: message.into(),
        }
    }
}

/// Parses `text`, which must be one YAML document. An empty text is [`Value::Null`].
///
/// # Errors
/// The text is not valid YAML, has a second document, is nested
/// deeper than [`MAX_NESTING`] levels, or grows too large by its aliases.
pub fn parse(text: &str) -> Result<Node, YamlError> {
    parse_numbered(text, 0)
}

fn second_document(at: Pos) -> YamlError {
    YamlError::new(
        at,
        "a second YAML document: a configuration file has only one",
    )
}

/// Parses a file of a configuration that may have several: each position has the number `file`.
///
/// # Errors
/// As [`parse`].
pub fn parse_numbered(text: &str, file: u16) -> Result<Node, YamlError> {
    match first_document(text, file)? {
        (node, None) => Ok(node),
        (_, Some(at)) => Err(second_document(at)),
    }
}

/// Parses the first document of `text`, as Prometheus does, and returns the position of a second
/// document, if there is one.
///
/// # Errors
/// As [`parse`].
pub fn parse_first(text: &str) -> Result<(Node, Option<Pos>), YamlError> {
    first_document(text, 0)
}

fn first_document(text: &str, file: u16) -> Result<(Node, Option<Pos>), YamlError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    Builder::new(text, file).document().or_else(|error| {
        // Go's parser does not require continuation lines of a quoted text to be indented.
        let indented = quotes::indented(text).ok_or_else(|| error.clone())?;
        Builder::new(&indented, file).document().map_err(|_| error)
    })
}

struct Builder<'a> {
    parser: Parser<'a, StrInput<'a>>,
    file: u16,
    anchors: HashMap<usize, Node>,
    aliased: usize,
}

type Parsed<T> = Result<T, YamlError>;

impl<'a> Builder<'a> {
    fn new(text: &'a str, file: u16) -> Self {
        Self {
            parser: Parser::new_from_str(text),
            file,
            anchors: HashMap::new(),
            aliased: 0,
        }
    }

    fn next(&mut self) -> Parsed<(Event<'a>, Pos)> {
        match self.parser.next_event() {
            Some(Ok((event, span))) => Ok((event, self.pos(span.start))),
            Some(Err(error)) => Err(YamlError::new(
                self.pos(*error.marker()),
                format!("not valid YAML: {}", error.info()),
            )),
            None => Ok((Event::StreamEnd, Pos::default())),
        }
    }

    fn pos(&self, marker: saphyr_parser::Marker) -> Pos {
        Pos {
            file: self.file,
            line: marker.line() as u32,
            column: marker.col() as u32 + 1,
        }
    }

    /// Reads the first document, and the position of a second one.
    fn document(&mut self) -> Parsed<(Node, Option<Pos>)> {
        let mut root: Option<Node> = None;
        loop {
            let (event, at) = self.next()?;
            if let (Event::DocumentStart(_), Some(root)) = (&event, &mut root) {
                return Ok((
                    std::mem::replace(
                        root,
                        Node {
                            pos: at,
                            value: Value::Null,
                        },
                    ),
                    Some(at),
                ));
            }
            match event {
                Event::StreamEnd => {
                    let empty = Node {
                        pos: Pos {
                            file: self.file,
                            line: 1,
                            column: 1,
                        },
                        value: Value::Null,
                    };
                    return Ok((root.unwrap_or(empty), None));
                }
                Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd => {}
                event => root = Some(self.node(event, at, 0)?),
            }
        }
    }

    fn node(&mut self, event: Event<'a>, at: Pos, depth: usize) -> Parsed<Node> {
        check_depth(depth, at)?;
        let (value, anchor) = match event {
            Event::Scalar(text, style, anchor, _) => (scalar(&text, style), anchor),
            Event::SequenceStart(anchor, _) => (self.list(depth)?, anchor),
            Event::MappingStart(anchor, _) => (self.map(depth)?, anchor),
            Event::Alias(anchor) => return self.alias(anchor, at, depth),
            other => {
                return Err(YamlError::new(at, format!("unexpected YAML: {other:?}")));
            }
        };
        let node = Node { pos: at, value };
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn alias(&mut self, anchor: usize, at: Pos, depth: usize) -> Parsed<Node> {
        let Some(node) = self.anchors.get(&anchor) else {
            return Err(YamlError::new(at, "an alias inside its own anchor"));
        };
        check_depth(depth + node.height(), at)?;
        self.aliased += node.size();
        if self.aliased > MAX_ALIASED {
            let message = format!("aliases add more than {MAX_ALIASED} values");
            return Err(YamlError::new(at, message));
        }
        Ok(node.clone())
    }

    fn list(&mut self, depth: usize) -> Parsed<Value> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(Value::List(items)),
                (event, at) => items.push(self.node(event, at, depth + 1)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Parsed<Value> {
        let mut entries: Vec<(Key, Node)> = Vec::new();
        let mut first_at: HashMap<String, u32> = HashMap::new();
        let mut merged = Vec::new();
        loop {
            let (event, key_pos) = self.next()?;
            if event == Event::MappingEnd {
                break;
            }
            let text = match self.node(event, key_pos, depth + 1)?.value {
                Value::Scalar(text) => text,
                Value::Null => "null".into(),
                _ => return Err(YamlError::new(key_pos, "a key must be a single value")),
            };
            let (event, at) = self.next()?;
            let node = self.node(event, at, depth + 1)?;
            if text == "<<" {
                merged.push(node);
                continue;
            }
            if let Some(line) = first_at.insert(text.clone(), key_pos.line) {
                return Err(YamlError::new(
                    key_pos,
                    format!("duplicate key {text:?}, first on line {line}"),
                ));
            }
            entries.push((Key { text, pos: key_pos }, node));
        }
        for node in merged {
            merge(&mut entries, node)?;
        }
        Ok(Value::Map(entries))
    }
}

/// Rejects nesting that recursive functions could not walk through.
fn check_depth(depth: usize, at: Pos) -> Parsed<()> {
    if depth > MAX_NESTING {
        let message = format!("nested more than {MAX_NESTING} levels deep");
        return Err(YamlError::new(at, message));
    }
    Ok(())
}

/// Adds the entries of a merge key `<<` whose keys are not in `entries` yet.
fn merge(entries: &mut Vec<(Key, Node)>, from: Node) -> Parsed<()> {
    match from.value {
        Value::Map(added) => {
            for (key, node) in added {
                if !entries.iter().any(|(known, _)| known.text == key.text) {
                    entries.push((key, node));
                }
            }
            Ok(())
        }
        Value::List(items) => items.into_iter().try_for_each(|item| merge(entries, item)),
        _ => Err(YamlError::new(
            from.pos,
            "<< merges a mapping or a list of mappings",
        )),
    }
}

fn scalar(text: &str, style: ScalarStyle) -> Value {
    let null = style == ScalarStyle::Plain && matches!(text, "" | "~" | "null" | "Null" | "NULL");
    if null {
        Value::Null
    } else {
        Value::Scalar(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(line: u32, column: u32) -> Pos {
        Pos {
            line,
            column,
            ..Pos::default()
        }
    }

    fn scalar_at<'a>(node: &'a Node, key: &str) -> (&'a str, Pos) {
        let Value::Map(entries) = &node.value else {
            panic!("not a map: {node:?}")
        };
        let (_, node) = entries.iter().find(|(k, _)| k.text == key).unwrap();
        let Value::Scalar(text) = &node.value else {
            panic!("not a scalar: {node:?}")
        };
        (text, node.pos)
    }

    #[test]
    fn values_keep_their_text_and_place() {
        let root = parse("a: 0123\nb:   \"x: y\"\n").unwrap();
        assert_eq!(scalar_at(&root, "a"), ("0123", at(1, 4)));
        assert_eq!(scalar_at(&root, "b"), ("x: y", at(2, 6)));
    }

    #[test]
    fn a_duplicate_key_is_an_error_at_its_place() {
        let error = parse("a: 1\nb: 2\na: 3\n").unwrap_err();
        assert_eq!(error.at, at(3, 1));
        assert_eq!(
            error.to_string(),
            "3:1: duplicate key \"a\", first on line 1"
        );
    }

    #[test]
    fn merge_keys_add_what_is_missing() {
        let root = parse("base: &b {x: 1, y: 2}\nthis:\n  <<: *b\n  y: 3\n").unwrap();
        let Value::Map(entries) = &root.value else {
            panic!()
        };
        assert_eq!(scalar_at(&entries[1].1, "x").0, "1");
        assert_eq!(scalar_at(&entries[1].1, "y").0, "3");
    }

    #[test]
    fn bombs_are_rejected() {
        let deep = "[".repeat(100_000);
        assert!(parse(&deep).is_err());
        let mut laughs = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for level in 1..9 {
            let below = format!("*a{}", level - 1);
            laughs += &format!("a{level}: &a{level} [{}]\n", vec![below; 10].join(", "));
        }
        assert!(
            parse(&laughs)
                .unwrap_err()
                .message
                .contains("aliases add more than")
        );
        let mut stairs = String::from("a0: &a0 [x]\n");
        for level in 1..300 {
            stairs += &format!("a{level}: &a{level} [*a{}]\n", level - 1);
        }
        assert!(
            parse(&stairs)
                .unwrap_err()
                .message
                .contains("nested more than")
        );
    }

    #[test]
    fn an_empty_file_is_null_and_two_documents_are_rejected() {
        assert_eq!(parse("# only a comment\n").unwrap().value, Value::Null);
        assert!(
            parse("a: 1\n---\nb: 2\n")
                .unwrap_err()
                .message
                .contains("second YAML document")
        );
    }
}
