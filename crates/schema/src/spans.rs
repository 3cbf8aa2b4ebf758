//! YAML text as a tree in which every value has its place in the text, for editing it in place.

use std::ops::Range;

use bellwether_core::MAX_NESTING;
use saphyr_parser::{Event, Marker, Parser, ScalarStyle, StrInput};

use super::tree::{Pos, YamlError};

/// A value with its place in the text.
#[derive(Clone, Debug, PartialEq)]
pub struct SpannedNode {
    /// Bytes of the value with its quotes, without an anchor; those of a collection are empty.
    pub range: Range<usize>,
    /// Line and column.
    pub pos: Pos,
    /// Number of its anchor, from 1; zero if it has none.
    pub anchor: usize,
    /// The value.
    pub form: Form,
}

/// A YAML value.
#[derive(Clone, Debug, PartialEq)]
pub enum Form {
    /// A scalar without its quotes.
    Scalar(String),
    /// A sequence.
    List(Vec<SpannedNode>),
    /// A mapping in the order of the file. A key that is no scalar has no text.
    Map(Vec<(SpannedKey, SpannedNode)>),
    /// The value of the anchor with this number.
    Alias(usize),
}

/// A key of a mapping.
#[derive(Clone, Debug, PartialEq)]
pub struct SpannedKey {
    /// Bytes of the key with its quotes.
    pub range: Range<usize>,
    /// Text of the key.
    pub text: String,
}

/// Parses `text`, which must be one YAML document.
///
/// # Errors
/// The text is not valid YAML, or is nested deeper than [`MAX_NESTING`] levels.
pub fn parse_spans(text: &str) -> Result<SpannedNode, YamlError> {
    let mut parser = SpanParser::new(text);
    let mut root = None;
    loop {
        match parser.next()? {
            (Event::StreamEnd, _) => break,
            (Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd, _) => {}
            (event, span) => root = Some(parser.node(event, span, 0)?),
        }
    }
    Ok(root.unwrap_or_else(|| SpannedNode {
        range: 0..0,
        pos: Pos::default(),
        anchor: 0,
        form: Form::Scalar(String::new()),
    }))
}

struct SpanParser<'a> {
    text: &'a str,
    parser: Parser<'a, StrInput<'a>>,
    /// Start of each character in bytes, and the end of the text.
    starts: Vec<usize>,
}

/// Characters of an event.
type CharRange = Range<Marker>;

impl<'a> SpanParser<'a> {
    fn new(text: &'a str) -> Self {
        // The parser does not count a byte order mark.
        let after_mark = text.strip_prefix('\u{feff}').unwrap_or(text);
        let skipped = text.len() - after_mark.len();
        let starts = after_mark.char_indices().map(|(start, _)| skipped + start);
        Self {
            text,
            parser: Parser::new_from_str(after_mark),
            starts: starts.chain([text.len()]).collect(),
        }
    }

    fn next(&mut self) -> Result<(Event<'a>, CharRange), YamlError> {
        match self.parser.next_event() {
            Some(Ok((event, span))) => Ok((event, span.start..span.end)),
            Some(Err(error)) => Err(YamlError {
                at: pos(*error.marker()),
                message: format!("not valid YAML: {}", error.info()),
            }),
            None => Ok((Event::StreamEnd, Marker::default()..Marker::default())),
        }
    }

    /// Returns the bytes of a scalar. For the parser it may begin with its anchor or behind the
    /// header of a block, and end with a comment.
    fn bytes(&self, span: &CharRange, style: ScalarStyle) -> Range<usize> {
        let byte = |index: usize| *self.starts.get(index).unwrap_or(&self.text.len());
        let (start, end) = (byte(span.start.index()), byte(span.end.index()));
        let counted = without_properties(self.text.get(start..end).unwrap_or_default());
        let start = match style {
            ScalarStyle::Literal | ScalarStyle::Folded if counted.len() == end - start => {
                block_start(self.text, start)
            }
            _ => end - counted.len(),
        };
        let counted = self.text.get(start..end).unwrap_or_default();
        let written = match style {
            ScalarStyle::DoubleQuoted => quoted(counted, '"'),
            ScalarStyle::SingleQuoted => quoted(counted, '\''),
            ScalarStyle::Literal | ScalarStyle::Folded => block(counted),
            ScalarStyle::Plain => counted,
        };
        start..start + written.trim_end().len()
    }

    fn node(
        &mut self,
        event: Event<'a>,
        span: CharRange,
        depth: usize,
    ) -> Result<SpannedNode, YamlError> {
        let at = pos(span.start);
        let style = match &event {
            Event::Scalar(_, style, ..) => *style,
            _ => ScalarStyle::Plain,
        };
        if depth > MAX_NESTING {
            let message = format!("nested more than {MAX_NESTING} levels deep");
            return Err(YamlError { at, message });
        }
        let (form, anchor) = match event {
            Event::Scalar(text, _, anchor, _) => (Form::Scalar(text.into_owned()), anchor),
            Event::SequenceStart(anchor, _) => (self.list(depth)?, anchor),
            Event::MappingStart(anchor, _) => (self.map(depth)?, anchor),
            Event::Alias(anchor) => (Form::Alias(anchor), 0),
            other => {
                let message = format!("unexpected YAML: {other:?}");
                return Err(YamlError { at, message });
            }
        };
        let is_scalar = matches!(form, Form::Scalar(_));
        Ok(SpannedNode {
            range: if is_scalar {
                self.bytes(&span, style)
            } else {
                0..0
            },
            pos: at,
            anchor,
            form,
        })
    }

    fn list(&mut self, depth: usize) -> Result<Form, YamlError> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(Form::List(items)),
                (event, span) => items.push(self.node(event, span, depth + 1)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Form, YamlError> {
        let mut entries = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if event == Event::MappingEnd {
                return Ok(Form::Map(entries));
            }
            let key = self.node(event, span, depth + 1)?;
            let text = match key.form {
                Form::Scalar(text) => text,
                _ => String::new(),
            };
            let (event, span) = self.next()?;
            let value = self.node(event, span, depth + 1)?;
            let range = key.range;
            entries.push((SpannedKey { range, text }, value));
        }
    }
}

/// Returns `text` without an anchor and a tag at its beginning.
fn without_properties(mut text: &str) -> &str {
    while text.starts_with(['&', '!']) {
        let end = text.find(char::is_whitespace).unwrap_or(text.len());
        text = text[end..].trim_start();
    }
    text
}

/// Returns the place of the `|` or `>` of a block scalar whose content is at `content`.
fn block_start(text: &str, content: usize) -> usize {
    let before = text[..content].trim_end();
    let line = before.rfind('\n').map_or(0, |end| end + 1);
    let code = before[line..].split(" #").next().unwrap_or_default();
    code.rfind(['|', '>']).map_or(content, |at| line + at)
}

/// Returns the quoted scalar at the beginning of `text`.
fn quoted(text: &str, quote: char) -> &str {
    let mut chars = text.char_indices().skip(1).peekable();
    while let Some((at, character)) = chars.next() {
        match character {
            '\\' if quote == '"' => {
                chars.next();
            }
            '\'' if quote == '\'' && chars.peek().is_some_and(|(_, next)| *next == '\'') => {
                chars.next();
            }
            character if character == quote => return &text[..=at],
            _ => {}
        }
    }
    text
}

/// Returns the block scalar at the beginning of `text`: what is indented less than its first line is
/// a comment behind it.
fn block(text: &str) -> &str {
    let indentation = |line: &str| line.len() - line.trim_start_matches(' ').len();
    let is_blank = |line: &str| line.trim().is_empty();
    let lines = || text.split_inclusive('\n').skip(1);
    let first = lines().find(|line| !is_blank(line));
    let needed = first.map(indentation).unwrap_or_default();
    let header = text.split_inclusive('\n').next().unwrap_or_default();
    let content = lines().take_while(|line| is_blank(line) || indentation(line) >= needed);
    &text[..header.len() + content.map(str::len).sum::<usize>()]
}

fn pos(marker: Marker) -> Pos {
    Pos {
        file: 0,
        line: marker.line() as u32,
        column: marker.col() as u32 + 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each scalar value as it is written, in the order of the text.
    fn written(text: &str) -> Vec<(&str, String)> {
        fn collect<'a>(text: &'a str, node: &SpannedNode, all: &mut Vec<(&'a str, String)>) {
            match &node.form {
                Form::Scalar(value) => all.push((&text[node.range.clone()], value.clone())),
                Form::List(items) => items.iter().for_each(|item| collect(text, item, all)),
                Form::Map(entries) => {
                    for (key, value) in entries {
                        assert!(text[key.range.clone()].contains(&key.text), "{}", key.text);
                        collect(text, value, all);
                    }
                }
                Form::Alias(_) => {}
            }
        }
        let mut all = Vec::new();
        collect(text, &parse_spans(text).unwrap(), &mut all);
        all
    }

    #[test]
    fn every_value_has_its_place_however_it_is_written() {
        for (text, raw, value) in [
            ("a: plain # comment\n", "plain", "plain"),
            ("a: 'it''s'\n", "'it''s'", "it's"),
            ("a: \"x\\ny\" # c\nb: 1", "\"x\\ny\"", "x\ny"),
            ("{a: flow , b: c}", "flow", "flow"),
            ("a: &x anchored\nb: *x\n", "anchored", "anchored"),
            ("a: !!str tagged\n", "tagged", "tagged"),
            (
                "a: |\n  one\n  two\nb: c\n",
                "|\n  one\n  two",
                "one\ntwo\n",
            ),
            (
                "a: >-\n  one\n  two\n\n# end\nb: c\n",
                ">-\n  one\n  two",
                "one two",
            ),
            ("ü: ä€𝄞 # x\n", "ä€𝄞", "ä€𝄞"),
            ("\u{feff}ü: ä\n", "ä", "ä"),
            ("a: two\n  lines\nb: c\n", "two\n  lines", "two lines"),
            ("- [x, 'y']\n", "x", "x"),
            ("a: 'x' # c\n# d\nb: 1", "'x'", "x"),
            ("a: \"x\\\"y\" # \"c\"\n", "\"x\\\"y\"", "x\"y"),
            ("a: 'it''s' # 'c'\n", "'it''s'", "it's"),
            ("a: plain # comment\n# more\nb: c\n", "plain", "plain"),
            ("a: |\n  one\n# c\nb: c\n", "|\n  one", "one\n"),
            ("a: |2- # x|y\n\n   one\n", "|2- # x|y\n\n   one", "\n one"),
            ("a: &x !!str 'y' # c\n", "'y'", "y"),
            ("a: &x |\n  one\nb: *x\n", "|\n  one", "one\n"),
            ("a: |\n  | one\n", "|\n  | one", "| one\n"),
            ("{a: \"x\", b: 'y' }", "\"x\"", "x"),
            ("? a\n: b\n", "b", "b"),
        ] {
            let all = written(text);
            assert_eq!(all[0], (raw, value.to_owned()), "{text:?}");
        }
    }

    #[test]
    fn an_empty_value_has_an_empty_place() {
        for text in ["a:\nb: c\n", "a: \n", "{a: , b: c}", "- \n- x\n"] {
            assert_eq!(written(text)[0].0, "", "{text:?}");
        }
        assert_eq!(written(""), [("", String::new())]);
    }

    #[test]
    fn what_is_no_yaml_is_an_error_with_its_place() {
        assert_eq!(parse_spans("a: [1\nb: }").unwrap_err().at.line, 2);
        let deep = "[".repeat(MAX_NESTING + 10) + &"]".repeat(MAX_NESTING + 10);
        assert!(parse_spans(&deep).unwrap_err().message.contains("nested"));
    }
}
