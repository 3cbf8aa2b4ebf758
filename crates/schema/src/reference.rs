//! Descriptions of sections and keys, from which the configuration reference is generated.

use serde::Serialize;

use super::section::Section;

/// Form of a value, as the reference describes it.
#[derive(Clone, Copy)]
pub enum Shape {
    /// A scalar of this kind: `text`, `duration`.
    Word(&'static str),
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A list of these.
    List(fn() -> Shape),
    /// A mapping from names to these.
    Map(fn() -> Shape),
    /// A section of its own.
    Section(fn() -> SectionDoc),
}

impl Shape {
    /// Describes the form in words: `list of text`.
    #[must_use]
    pub fn describe(self) -> String {
        match self {
            Shape::Word(word) => word.to_owned(),
            Shape::Choice(words) => words
                .iter()
                .map(|word| format!("`{word}`"))
                .collect::<Vec<_>>()
                .join(", "),
            Shape::List(of) => format!("list of {}", of().describe()),
            Shape::Map(of) => format!("mapping of name to {}", of().describe()),
            Shape::Section(of) => of().name.to_owned(),
        }
    }

    /// Returns whether the value is text without expansion of `${...}`.
    #[must_use]
    pub fn is_raw(self) -> bool {
        matches!(self, Shape::Word(words) if words.contains("taken as written"))
    }

    /// Returns the section inside of lists and mappings, if there is one.
    #[must_use]
    pub fn section(self) -> Option<SectionDoc> {
        match self {
            Shape::List(of) | Shape::Map(of) => of().section(),
            Shape::Section(of) => Some(of()),
            Shape::Word(_) | Shape::Choice(_) => None,
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
}

impl SectionDoc {
    /// Returns the description of `key`.
    #[must_use]
    pub fn field(&self, key: &str) -> Option<&FieldDoc> {
        self.fields.iter().find(|field| field.key == key)
    }
}

/// Description of one key of a section.
pub struct FieldDoc {
    /// The key.
    pub key: &'static str,
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
        waiting.extend(
            section
                .fields
                .iter()
                .rev()
                .filter_map(|field| field.shape.section()),
        );
        sections.push(section);
    }
    sections
}

/// Joins the descriptions of a section's fields; one that is flattened has several.
#[must_use]
pub fn join_fields(fields: Vec<Vec<FieldDoc>>) -> Vec<FieldDoc> {
    fields.into_iter().flatten().collect()
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
