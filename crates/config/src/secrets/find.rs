//! Secrets of a text, by the forms of the keys.

use std::collections::{HashMap, HashSet};

use bellwether_schema::{
    Decode, Form, Shape, SpannedKey, SpannedNode, YamlError, is_reference, parse, parse_spans,
};

use super::{FileKind, Secret, scalar_of};
use crate::print::{Fields, SECRET, hidden};

/// Parses a text and finds the secrets by the forms of the keys.
pub(super) fn analyse(text: &str, kind: FileKind) -> Result<(SpannedNode, Vec<Secret>), YamlError> {
    // It limits what aliases add.
    parse(text)?;
    let root = parse_spans(text)?;
    let mut finder = Finder::default();
    finder.add_anchors(&root);
    finder.walk(&root, Expected::Shape(kind.shape()));
    let found = finder.found;
    Ok((root, found))
}

/// Form that a value should have.
#[derive(Clone, Copy)]
enum Expected {
    Shape(Shape),
    /// All below is secret: of headers, and of keys that nobody knows.
    Secret,
}

#[derive(Default)]
struct Finder<'a> {
    anchors: HashMap<usize, &'a SpannedNode>,
    found: Vec<Secret>,
    starts: HashSet<usize>,
}

impl<'a> Finder<'a> {
    fn add_anchors(&mut self, node: &'a SpannedNode) {
        if node.anchor > 0 {
            self.anchors.insert(node.anchor, node);
        }
        match &node.form {
            Form::List(items) => items.iter().for_each(|item| self.add_anchors(item)),
            Form::Map(entries) => entries
                .iter()
                .for_each(|(_, value)| self.add_anchors(value)),
            Form::Scalar(_) | Form::Alias(_) => {}
        }
    }

    fn walk(&mut self, node: &'a SpannedNode, expected: Expected) {
        match (&node.form, expected) {
            (Form::Scalar(value), expected) => self.scalar(node, value, expected),
            (Form::Alias(anchor), expected) => {
                if let Some(target) = self.anchors.get(anchor).copied() {
                    self.walk(target, expected);
                }
            }
            (Form::List(items), expected) => {
                let expected = match expected {
                    Expected::Shape(Shape::List(of)) => Expected::Shape(of()),
                    other => other,
                };
                items.iter().for_each(|item| self.walk(item, expected));
            }
            (Form::Map(entries), Expected::Shape(shape)) => self.map(node, entries, shape),
            (Form::Map(entries), Expected::Secret) => {
                let values = entries.iter().map(|(_, value)| value);
                values.for_each(|value| self.walk(value, Expected::Secret));
            }
        }
    }

    fn map(
        &mut self,
        node: &'a SpannedNode,
        entries: &'a [(SpannedKey, SpannedNode)],
        shape: Shape,
    ) {
        let fields = match shape {
            Shape::Section(of) | Shape::SectionOr(of, _) => {
                Some(Fields::new(of(), scalar_of(node, "type")))
            }
            _ => None,
        };
        for (key, value) in entries {
            let expected = match (&fields, shape) {
                _ if key.text == "headers" => Expected::Secret,
                // A merge key has entries of the same section.
                _ if key.text == "<<" => Expected::Shape(shape),
                (Some(fields), _) => {
                    let known = fields.find(&key.text);
                    known.map_or(Expected::Secret, Expected::Shape)
                }
                (None, Shape::Map(of)) => Expected::Shape(of()),
                (None, shape) => Expected::Shape(shape),
            };
            self.walk(value, expected);
        }
    }

    fn scalar(&mut self, node: &SpannedNode, value: &str, expected: Expected) {
        let is_secret = match expected {
            Expected::Secret => true,
            Expected::Shape(shape) => is_secret(shape),
        };
        let shown = match is_secret {
            true if value.is_empty() || is_reference(value) => return,
            true => SECRET.to_owned(),
            false => match hidden(value) {
                Some(shown) => shown,
                None => return,
            },
        };
        if self.starts.insert(node.range.start) {
            self.found.push(Secret {
                range: node.range.clone(),
                value: value.to_owned(),
                shown,
            });
        }
    }
}

fn is_secret(shape: Shape) -> bool {
    matches!((shape, bellwether_schema::Secret::shape()),
        (Shape::Word(word, _), Shape::Word(secret, _)) if word == secret)
}
