//! What the configuration reference is made of.

/// The form of a value, for people.
#[derive(Clone, Copy)]
pub enum Shape {
    /// A kind of single value: `text`, `duration`.
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
    /// In words: `list of text`.
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

    /// Whether it is text in which nothing is expanded.
    #[must_use]
    pub fn is_raw(self) -> bool {
        matches!(self, Shape::Word(words) if words.contains("taken as written"))
    }

    /// The section inside, through lists and mappings.
    #[must_use]
    pub fn section(self) -> Option<SectionDoc> {
        match self {
            Shape::List(of) | Shape::Map(of) => of().section(),
            Shape::Section(of) => Some(of()),
            Shape::Word(_) | Shape::Choice(_) => None,
        }
    }
}

/// The form of text in which nothing is expanded.
pub const RAW: &str = "text, taken as written";

/// One section: its name in the code, what it is for, its keys.
pub struct SectionDoc {
    /// Name.
    pub name: &'static str,
    /// What it is for.
    pub doc: String,
    /// Its keys in the order of the code.
    pub fields: Vec<FieldDoc>,
}

impl SectionDoc {
    /// What is said of `key`.
    #[must_use]
    pub fn field(&self, key: &str) -> Option<&FieldDoc> {
        self.fields.iter().find(|field| field.key == key)
    }
}

/// One key of a section.
pub struct FieldDoc {
    /// The key.
    pub key: &'static str,
    /// What it means.
    pub doc: String,
    /// The form of its value.
    pub shape: Shape,
    /// What holds where the key is absent, as JSON; `None` where the key is required.
    pub default: Option<String>,
}

/// `root` and every section below it, each once, parents before children.
#[must_use]
pub fn sections_below(root: SectionDoc) -> Vec<SectionDoc> {
    let mut found: Vec<SectionDoc> = Vec::new();
    let mut waiting = vec![root];
    while let Some(section) = waiting.pop() {
        if found.iter().any(|known| known.name == section.name) {
            continue;
        }
        waiting.extend(
            section
                .fields
                .iter()
                .rev()
                .filter_map(|field| field.shape.section()),
        );
        found.push(section);
    }
    found
}

/// Joins the lines of doc comments as the macros hand them over.
#[must_use]
pub fn join_doc(lines: &[&str]) -> String {
    lines
        .iter()
        .map(|line| line.trim())
        .collect::<Vec<_>>()
        .join(" ")
}
