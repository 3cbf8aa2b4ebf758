//! Descriptions of sections and keys, from which the configuration reference is generated.

use std::collections::BTreeMap;

use serde::Serialize;

use super::json_schema::Json;
use super::section::Section;

/// Form of a value, as the reference and the JSON Schema describe it.
#[derive(Clone, Copy)]
pub enum Shape {
    /// A value of this kind in words, `text` or `duration`, and as JSON Schema.
    Word(&'static str, fn() -> Json),
    /// One of these words.
    Choice(&'static [Choice]),
    /// A list of these.
    List(fn() -> Shape),
    /// A mapping from names to these.
    Map(fn() -> Shape),
    /// A section of its own.
    Section(fn() -> SectionDoc),
    /// A section of its own, or a shorter form of it with this JSON Schema.
    SectionOr(fn() -> SectionDoc, fn() -> Json),
}

/// A word of the configuration that stands for a value.
#[derive(Clone, Copy, Debug)]
pub struct Choice {
    /// Canonical spelling.
    pub word: &'static str,
    /// Other accepted spellings.
    pub others: &'static [&'static str],
    /// Lines of the doc comment.
    pub doc: &'static [&'static str],
}

impl Choice {
    /// Returns words of one spelling each, which explain themselves.
    #[must_use]
    pub const fn all<const N: usize>(words: [&'static str; N]) -> [Self; N] {
        let mut choices = [Self {
            word: "",
            others: &[],
            doc: &[],
        }; N];
        let mut index = 0;
        while index < N {
            choices[index].word = words[index];
            index += 1;
        }
        choices
    }
}

impl Shape {
    /// Describes the form in words: `list of text`.
    #[must_use]
    pub fn describe(self) -> String {
        match self {
            Shape::Word(word, _) => word.to_owned(),
            Shape::Choice(choices) => choices
                .iter()
                .map(|choice| format!("`{}`", choice.word))
                .collect::<Vec<_>>()
                .join(", "),
            Shape::List(of) => format!("list of {}", of().describe()),
            Shape::Map(of) => format!("mapping of name to {}", of().describe()),
            Shape::Section(of) | Shape::SectionOr(of, _) => of().name.to_owned(),
        }
    }

    /// Returns whether the value is text without expansion of `${...}`.
    #[must_use]
    pub fn is_raw(self) -> bool {
        matches!(self, Shape::Word(words, _) if words.contains("taken as written"))
    }

    /// Returns the section inside of lists and mappings, if there is one.
    #[must_use]
    pub fn section(self) -> Option<SectionDoc> {
        match self {
            Shape::List(of) | Shape::Map(of) => of().section(),
            Shape::Section(of) | Shape::SectionOr(of, _) => Some(of()),
            Shape::Word(..) | Shape::Choice(_) => None,
        }
    }
}

/// Form of a text without expansion of `${...}`.
pub const RAW: &str = "text, taken as written";

/// Description of one section.
pub struct SectionDoc {
    /// Name of the struct.
    pub name: &'static str,
    /// Doc comment of the struct.
    pub doc: String,
    /// Keys in the order of the declaration.
    pub fields: Vec<FieldDoc>,
    /// Further keys, by the value of `type`.
    pub variants: Vec<Variant>,
    /// Rules about keys that are set together.
    pub constraints: Vec<Constraint>,
}

/// Further keys of a section with this value of `type`.
pub struct Variant {
    /// Value of `type`.
    pub word: &'static str,
    /// The further keys.
    pub section: fn() -> SectionDoc,
}

/// A rule about keys of a section that are set together. A key is set if its value is neither null
/// nor `false`. The JSON Schema has it; the check with a message is beside the declaration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Constraint {
    /// At least one of these is set.
    AnyOf(&'static [&'static str]),
    /// At most one of these is set.
    AtMostOne(&'static [&'static str]),
    /// If the first is set, at least one of the others is.
    Needs(&'static str, &'static [&'static str]),
    /// If the first is set, none of the others is.
    Excludes(&'static str, &'static [&'static str]),
}

impl SectionDoc {
    /// Returns the description of `key`.
    #[must_use]
    pub fn field(&self, key: &str) -> Option<&FieldDoc> {
        self.fields.iter().find(|field| field.key == key)
    }

    /// Returns the paths of the sections by the keys that they have, this one with an empty path. Entries of lists and of
    /// mappings are left out.
    #[must_use]
    pub fn sections_by_key(&self) -> BTreeMap<&'static str, Vec<String>> {
        let mut sections = BTreeMap::new();
        self.add_sections("", &mut sections);
        sections
    }

    fn add_sections(&self, path: &str, sections: &mut BTreeMap<&'static str, Vec<String>>) {
        for field in &self.fields {
            sections.entry(field.key).or_default().push(path.to_owned());
            if let Shape::Section(of) | Shape::SectionOr(of, _) = field.shape {
                let dot = if path.is_empty() { "" } else { "." };
                of().add_sections(&format!("{path}{dot}{}", field.key), sections);
            }
        }
    }
}

/// Description of one key of a section.
#[derive(Clone)]
pub struct FieldDoc {
    /// The key.
    pub key: &'static str,
    /// Name of the key in earlier versions.
    pub former: Option<&'static str>,
    /// Doc comment of the field.
    pub doc: String,
    /// Form of the value.
    pub shape: Shape,
    /// Value of an absent key, as JSON; `None` if the key is required.
    pub default: Option<String>,
}

/// Describes the keys of a flattened section, with `defaults` in place of their own.
#[must_use]
pub fn flattened<T: Section + Serialize>(defaults: Option<T>) -> Vec<FieldDoc> {
    let mut fields = T::doc().fields;
    if let Some(Ok(defaults)) = defaults.map(serde_json::to_value) {
        for field in &mut fields {
            field.default = defaults.get(field.key).map(ToString::to_string);
        }
    }
    fields
}

/// Returns `root` and every section below it, each once, parents before children.
#[must_use]
pub fn sections_below(root: SectionDoc) -> Vec<SectionDoc> {
    let mut sections: Vec<SectionDoc> = Vec::new();
    let mut waiting = vec![root];
    while let Some(section) = waiting.pop() {
        if sections.iter().any(|other| other.name == section.name) {
            continue;
        }
        let variants = section.variants.iter().rev();
        waiting.extend(variants.map(|variant| (variant.section)()));
        let fields = section.fields.iter().rev();
        waiting.extend(fields.filter_map(|field| field.shape.section()));
        sections.push(section);
    }
    sections
}

/// Joins the descriptions of a section's fields; one that is flattened has several.
#[must_use]
pub fn join_fields(fields: Vec<Vec<FieldDoc>>) -> Vec<FieldDoc> {
    fields.into_iter().flatten().collect()
}

/// Joins the constraints of a section with those of its flattened sections.
#[must_use]
pub fn join_constraints(constraints: Vec<Vec<Constraint>>) -> Vec<Constraint> {
    constraints.into_iter().flatten().collect()
}

/// Joins the lines of a doc comment into one line.
#[must_use]
pub fn join_doc(lines: &[&str]) -> String {
    lines
        .iter()
        .map(|line| line.trim())
        .collect::<Vec<_>>()
        .join(" ")
}
