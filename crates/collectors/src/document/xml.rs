//! XML as a tree of JSON.

use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::{Reader, XmlVersion};
use serde_json::{Map, Value};

/// Deepest nesting of elements, as that of the parser of JSON.
const DEEPEST: usize = 128;
/// Maximum number of elements and attributes. Each takes some hundred bytes, however short it is in the text.
const MOST_NODES: usize = 200_000;

/// Returns the root element. Elements are lists under their names even where there is only one of a name, so that a
/// path does not depend on their number. Prefixes of namespaces are left out, as a document may choose any. A DTD is an
/// error: its entities could be as large as they like.
pub(super) fn parse(text: &str) -> Result<Value, String> {
    let mut reader = Reader::from_str(text);
    let mut tree = Tree::default();
    loop {
        let event = reader.read_event();
        let read = event.map_err(|error| error.to_string()).and_then(|event| {
            let is_end = matches!(event, Event::Eof);
            tree.read(event).map(|()| is_end)
        });
        match read {
            Ok(true) => return tree.root.ok_or_else(|| "no root element".to_owned()),
            Ok(false) => {}
            Err(error) => return Err(format!("{error}, at byte {}", reader.buffer_position())),
        }
    }
}

/// A document as far as it was read.
#[derive(Default)]
struct Tree {
    /// Elements whose end was not read yet, each in the one before.
    open: Vec<Element>,
    root: Option<Value>,
    nodes: usize,
}

#[derive(Default)]
struct Element {
    name: String,
    fields: Map<String, Value>,
    text: String,
}

impl Tree {
    fn read(&mut self, event: Event<'_>) -> Result<(), String> {
        match event {
            Event::Start(tag) => self.open(&tag),
            Event::Empty(tag) => {
                self.open(&tag)?;
                self.close();
                Ok(())
            }
            Event::End(_) => {
                self.close();
                Ok(())
            }
            Event::Text(text) => self.add_text(&text.xml10_content()),
            Event::CData(text) => self.add_text(&text.xml10_content()),
            Event::GeneralRef(reference) => self.add_text(&resolved(&reference)?),
            Event::DocType(_) => Err("a document with a DTD is not read".to_owned()),
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) => Ok(()),
            Event::Eof => match self.open.last() {
                Some(element) => Err(format!("<{}> has no end", element.name)),
                None => Ok(()),
            },
        }
    }

    fn open(&mut self, tag: &BytesStart<'_>) -> Result<(), String> {
        if self.root.is_some() {
            return Err("a second root element".to_owned());
        }
        if self.open.len() == DEEPEST {
            return Err(format!("elements are nested deeper than {DEEPEST}"));
        }
        let mut fields = Map::new();
        // Looking for one that is there twice would take the square of their number; the last one counts.
        for attribute in tag.attributes().with_checks(false) {
            let attribute = attribute.map_err(|error| error.to_string())?;
            if attribute.key.as_namespace_binding().is_some() {
                continue;
            }
            let value = attribute.normalized_value(XmlVersion::Implicit1_0);
            let value = value.map_err(|error| error.to_string())?;
            let name = format!("@{}", attribute.key.local_name().as_ref());
            fields.insert(name, value.into_owned().into());
        }
        self.nodes += 1 + fields.len();
        if self.nodes > MOST_NODES {
            return Err(format!("more than {MOST_NODES} elements and attributes"));
        }
        self.open.push(Element {
            name: tag.local_name().as_ref().to_owned(),
            fields,
            text: String::new(),
        });
        Ok(())
    }

    fn close(&mut self) {
        let Some(element) = self.open.pop() else {
            return;
        };
        let (name, value) = element.into_value();
        let Some(parent) = self.open.last_mut() else {
            self.root = Some(value);
            return;
        };
        let list = parent
            .fields
            .entry(name)
            .or_insert_with(|| Value::Array(Vec::new()));
        if let Value::Array(list) = list {
            list.push(value);
        }
    }

    fn add_text(&mut self, text: &str) -> Result<(), String> {
        match self.open.last_mut() {
            Some(element) => {
                element.text.push_str(text);
                Ok(())
            }
            None if text.trim().is_empty() => Ok(()),
            None => Err("text outside of the root element".to_owned()),
        }
    }
}

impl Element {
    fn into_value(self) -> (String, Value) {
        let Self {
            name,
            mut fields,
            text,
        } = self;
        let text = text.trim();
        if fields.is_empty() {
            return (name, text.into());
        }
        if !text.is_empty() {
            fields.insert("#text".to_owned(), text.into());
        }
        (name, Value::Object(fields))
    }
}

/// Returns the text that a reference such as `&amp;` or `&#10;` stands for.
fn resolved(reference: &BytesRef<'_>) -> Result<String, String> {
    let char = reference.resolve_char_ref();
    if let Some(char) = char.map_err(|error| error.to_string())? {
        return Ok(char.to_string());
    }
    let name = reference.xml10_content();
    let text = resolve_predefined_entity(&name);
    let text = text.ok_or_else(|| format!("an unknown entity: &{name};"))?;
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn elements_are_lists_and_attributes_have_an_at() {
        let text = "\u{feff}<?xml version=\"1.0\"?>\n<!-- a comment -->\n\
            <s:status xmlns:s=\"urn:a\" xmlns=\"urn:b\">\n\
              <queue name=\"a &amp; b\"><length>3</length></queue>\n\
              <queue name=\"c\" s:state='up'> <![CDATA[<4>]]>&lt;&#53; </queue>\n\
              <s:one> 1 </s:one><empty/>\n\
            </s:status>\n";
        assert_eq!(
            parse(text).unwrap(),
            json!({
                "queue": [
                    {"@name": "a & b", "length": ["3"]},
                    {"@name": "c", "@state": "up", "#text": "<4><5"},
                ],
                "one": ["1"],
                "empty": [""],
            })
        );
        assert_eq!(parse("<a>7</a>").unwrap(), json!("7"));
    }

    #[test]
    fn what_is_no_xml_or_a_bomb_is_an_error() {
        let nested = |depth: usize| "<a>".repeat(depth) + &"</a>".repeat(depth);
        let attributes: String = (0..300_000).map(|at| format!(" a{at}=''")).collect();
        let bomb = "<!DOCTYPE a [<!ENTITY x \"ha\"><!ENTITY y \"&x;&x;\">]><a>&y;</a>";
        for (text, reason) in [
            (
                bomb.to_owned(),
                "a document with a DTD is not read, at byte 51",
            ),
            (
                nested(129),
                "elements are nested deeper than 128, at byte 387",
            ),
            (
                nested(100_000),
                "elements are nested deeper than 128, at byte 387",
            ),
            (
                format!("<a>{}</a>", "<b/>".repeat(200_001)),
                "more than 200000 elements and attributes, at byte 800003",
            ),
            (
                format!("<a{attributes}/>"),
                "more than 200000 elements and attributes",
            ),
            ("<a><b></a>".to_owned(), "ill-formed document: "),
            ("<a><b>".to_owned(), "<b> has no end, at byte 6"),
            ("<a/><b/>".to_owned(), "a second root element, at byte 8"),
            ("<a>&b;</a>".to_owned(), "an unknown entity: &b;, at byte 6"),
            ("<a b=\"&c;\"/>".to_owned(), ""),
            ("<a b/>".to_owned(), ""),
            (
                "{}".to_owned(),
                "text outside of the root element, at byte 2",
            ),
            (String::new(), "no root element"),
        ] {
            let shown = &text[..text.len().min(60)];
            let error = parse(&text).unwrap_err();
            assert!(error.starts_with(reason), "{shown}: {error}");
        }
        assert!(parse(&nested(128)).is_ok());
    }
}
