//! JSON Schema (draft 2020-12) of a section and of everything below it, from the same declarations as the
//! reference.
//!
//! A value may hold `${NAME}` wherever it is expanded, so a text with a reference is accepted in place of a
//! number, a boolean or a word. Regular expressions use only what ECMA 262, Python and Rust have in common.

use serde::{Serialize, Serializer};
use serde_json::Value;

use super::reference::{
    Choice, Constraint, FieldDoc, SectionDoc, Shape, Variant, join_doc, sections_below,
};
use super::scalars::{DURATION_UNITS, LARGEST_SIZE, LONGEST_SECONDS};

/// A JSON value whose keys stay in the order in which they were added.
#[derive(Clone, Debug, PartialEq)]
pub enum Json {
    /// A value without keys of its own.
    Value(Value),
    /// A list.
    List(Vec<Json>),
    /// An object.
    Object(Vec<(String, Json)>),
}

impl Json {
    /// Creates an empty object.
    #[must_use]
    pub fn object() -> Self {
        Self::Object(Vec::new())
    }

    /// Adds `key` to an object; other values stay as they are.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Json>) -> Self {
        if let Self::Object(entries) = &mut self {
            entries.push((key.to_owned(), value.into()));
        }
        self
    }

    fn get_mut(&mut self, key: &str) -> Option<&mut Self> {
        match self {
            Self::Object(entries) => {
                let mut entries = entries.iter_mut();
                entries.find_map(|(name, value)| (name == key).then_some(value))
            }
            _ => None,
        }
    }
}

macro_rules! from_scalar {
    ($($type:ty),*) => {$(
        impl From<$type> for Json {
            fn from(value: $type) -> Self {
                Self::Value(value.into())
            }
        }
    )*};
}

from_scalar!(bool, i32, i64, u64, f64, &str, String, Value);

impl From<Vec<Json>> for Json {
    fn from(items: Vec<Json>) -> Self {
        Self::List(items)
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Value(value) => value.serialize(serializer),
            Self::List(items) => serializer.collect_seq(items),
            Self::Object(entries) => {
                serializer.collect_map(entries.iter().map(|(key, value)| (key, value)))
            }
        }
    }
}

/// A reference to an environment variable, as `expand` finds it.
const REFERENCE: &str = r"\$[{<][A-Za-z_]";
const NUMBER: &str = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?";

/// Returns the schema of any value.
#[must_use]
pub fn any() -> Json {
    Json::object()
}

/// Returns the schema of text. YAML reads some of it as numbers or booleans, and the configuration takes these
/// as they are written.
#[must_use]
pub fn text() -> Json {
    types(&["string", "number", "boolean"])
}

/// Returns the schema of a whole number.
#[must_use]
pub fn integer(least: i64, most: u64) -> Json {
    types(&["integer", "string"])
        .with("minimum", least)
        .with("maximum", most)
        .with("pattern", matching("[+-]?[0-9]+"))
}

/// Returns the schema of a number.
#[must_use]
pub fn number() -> Json {
    types(&["number", "string"]).with("pattern", matching(NUMBER))
}

/// Returns the schema of true or false.
#[must_use]
pub fn boolean() -> Json {
    types(&["boolean", "string"]).with("pattern", matching("true|True|TRUE|false|False|FALSE"))
}

/// Returns the schema of text that matches `pattern` as a whole.
#[must_use]
pub fn pattern(pattern: &str) -> Json {
    types(&["string"]).with("pattern", matching(pattern))
}

/// Returns the schema of text that matches `pattern` as a whole, with `words` as examples that editors complete.
#[must_use]
pub fn pattern_with_words(words: &[&str], text: &str) -> Json {
    let words: Vec<Json> = words.iter().map(|word| Json::from(*word)).collect();
    let words = Json::object().with("enum", words);
    Json::object().with("anyOf", vec![words, pattern(text)])
}

/// Returns the schema of text that matches `pattern` as a whole, or of a number from 0 to `most`.
#[must_use]
pub fn number_or(most: f64, pattern: &str) -> Json {
    types(&["string", "number"])
        .with("minimum", 0)
        .with("maximum", most)
        .with("pattern", matching(&format!("{NUMBER}|{pattern}")))
}

/// Returns the schema of text that matches `pattern` as a whole, or of a whole number in these bounds.
#[must_use]
pub fn pattern_or_integer(pattern: &str, least: i64, most: i64) -> Json {
    types(&["string", "integer"])
        .with("minimum", least)
        .with("maximum", most)
        .with("pattern", matching(pattern))
}

/// Returns the schema of a duration.
#[must_use]
pub fn duration() -> Json {
    number_or(LONGEST_SECONDS, &duration_pattern())
}

/// Returns the schema of a number of bytes.
#[must_use]
pub fn size() -> Json {
    number_or(
        LARGEST_SIZE,
        r"[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?\s*(?:[kKmMgGtT][iI]?)?[bB]",
    )
}

/// Returns the schema of a list of `items`, which is not empty, or of one of them.
#[must_use]
pub fn one_or_many(item: Json) -> Json {
    let list = types(&["array"])
        .with("items", item.clone())
        .with("minItems", 1);
    Json::object().with("anyOf", vec![item, list])
}

/// Returns the schema of a list of `items`.
#[must_use]
pub fn list(items: Json) -> Json {
    types(&["array"]).with("items", items)
}

/// Returns the schema of a mapping from names to values of `shape`.
#[must_use]
pub fn map_of(shape: Shape) -> Json {
    types(&["object"]).with("additionalProperties", value(shape))
}

/// Returns a reference to the section called `name`.
#[must_use]
pub fn reference_to(name: &str) -> Json {
    Json::object().with("$ref", format!("#/$defs/{name}"))
}

/// Returns the schema of the words of `choices`, in any case.
#[must_use]
pub fn words(choices: &[Choice]) -> Json {
    let mut any_of: Vec<Json> = choices.iter().map(word).collect();
    // YAML reads `1.0` as a number and `true` as a boolean; the configuration takes both as words.
    let others = choices.iter().filter_map(|choice| {
        let value: Value = serde_json::from_str(choice.word).ok()?;
        (value.is_number() || value.is_boolean()).then(|| Json::object().with("const", value))
    });
    any_of.extend(others);
    any_of.push(pattern(&any_case(choices)));
    Json::object().with("anyOf", any_of)
}

fn word(choice: &Choice) -> Json {
    let word = Json::object().with("const", choice.word);
    match join_doc(choice.doc) {
        doc if doc.is_empty() => word,
        doc => word.with("description", doc),
    }
}

fn any_case(choices: &[Choice]) -> String {
    let spellings = choices.iter().flat_map(|choice| {
        [choice.word]
            .into_iter()
            .chain(choice.others.iter().copied())
    });
    spellings.map(in_any_case).collect::<Vec<_>>().join("|")
}

/// Returns a pattern of `word` in any case.
#[must_use]
pub fn in_any_case(word: &str) -> String {
    let mut pattern = String::new();
    for letter in word.chars() {
        match letter {
            letter if letter.is_ascii_alphabetic() => {
                let (upper, lower) = (letter.to_ascii_uppercase(), letter.to_ascii_lowercase());
                pattern.extend(['[', upper, lower, ']']);
            }
            letter if letter.is_ascii_digit() || matches!(letter, '_' | '-') => {
                pattern.push(letter)
            }
            letter => pattern.extend(['[', letter, ']']),
        }
    }
    pattern
}

fn types(types: &[&str]) -> Json {
    let types: Vec<Json> = types.iter().map(|name| Json::from(*name)).collect();
    Json::object().with("type", types)
}

/// Returns a pattern of text that is `pattern` as a whole or has a reference.
fn matching(pattern: &str) -> String {
    format!(r"^\s*(?:{pattern})\s*$|{REFERENCE}")
}

/// Returns a pattern of units in descending order, at least one of them: one alternative for each first unit.
fn duration_pattern() -> String {
    let units: Vec<&str> = DURATION_UNITS.iter().map(|(unit, _)| *unit).collect();
    let from = |first: usize| {
        let later = units[first + 1..]
            .iter()
            .map(|unit| format!("(?:[0-9]+{unit})?"));
        format!("[0-9]+{}{}", units[first], later.collect::<String>())
    };
    (0..units.len()).map(from).collect::<Vec<_>>().join("|")
}

/// Returns the JSON Schema of a file whose root is the section `root`.
#[must_use]
pub fn json_schema(root: SectionDoc, title: &str) -> Json {
    let mut sections = sections_below(root).into_iter();
    let mut schema = Json::object()
        .with("$schema", "https://json-schema.org/draft/2020-12/schema")
        .with("title", title);
    if let (Some(root), Json::Object(entries)) = (sections.next(), &mut schema)
        && let Json::Object(root) = section(&root)
    {
        // A file without any key is an error.
        let object = ("type".to_owned(), Json::from("object"));
        let root = root
            .into_iter()
            .filter(|(key, _)| key != "title" && key != "type");
        entries.extend([object].into_iter().chain(root));
    }
    let sections: Vec<SectionDoc> = sections.collect();
    let of_variants: Vec<&str> = sections
        .iter()
        .flat_map(|doc| &doc.variants)
        .map(|variant| (variant.section)().name)
        .collect();
    let mut definitions = Json::object();
    for doc in sections
        .iter()
        .filter(|doc| !of_variants.contains(&doc.name))
    {
        definitions = definitions.with(doc.name, section(doc));
        for variant in &doc.variants {
            let whole = with_keys_of(doc, (variant.section)());
            definitions = definitions.with(whole.name, section(&whole));
        }
    }
    schema.with("$defs", definitions)
}

/// Returns the section of a variant with the keys that all variants have, those first.
fn with_keys_of(common: &SectionDoc, mut variant: SectionDoc) -> SectionDoc {
    let own = std::mem::take(&mut variant.fields);
    variant.fields = common.fields.iter().cloned().chain(own).collect();
    variant.constraints.extend(&common.constraints);
    variant
}

fn section(doc: &SectionDoc) -> Json {
    if !doc.variants.is_empty() {
        return by_type(doc);
    }
    let required: Vec<&FieldDoc> = doc
        .fields
        .iter()
        .filter(|field| field.default.is_none())
        .collect();
    let mut properties = Json::object();
    for field in &doc.fields {
        properties = properties.with(field.key, property(field, &field.doc));
        if let Some(former) = field.former {
            let words = format!("Former name of `{}`. {}", field.key, field.doc);
            properties = properties.with(former, property(field, &words).with("deprecated", true));
        }
    }
    // Without a value a section has its defaults.
    let form = if required.is_empty() {
        types(&["object", "null"])
    } else {
        types(&["object"])
    };
    let Json::Object(form) = form else {
        return form;
    };
    let mut section = Json::object()
        .with("title", doc.name)
        .with("description", doc.doc.as_str());
    if let Json::Object(entries) = &mut section {
        entries.extend(form);
    }
    section = section.with("properties", properties);
    let names: Vec<Json> = required
        .iter()
        .filter(|field| field.former.is_none())
        .map(|field| field.key.into())
        .collect();
    if !names.is_empty() {
        section = section.with("required", names);
    }
    section = section.with("additionalProperties", false);
    let renamed = doc.fields.iter().filter_map(renamed);
    let constraints: Vec<Json> = renamed
        .chain(doc.constraints.iter().flat_map(constraint))
        .collect();
    match constraints.is_empty() {
        true => section,
        false => section.with("allOf", constraints),
    }
}

/// Returns the schema of a section whose keys depend on `type`.
fn by_type(doc: &SectionDoc) -> Json {
    let mut properties = Json::object();
    if let Some(field) = doc.field("type") {
        properties = properties.with("type", property(field, &field.doc));
    }
    let case = |variant: &Variant| {
        let word = Json::object().with("pattern", format!("^{}$", in_any_case(variant.word)));
        let is_type = Json::object()
            .with("required", vec!["type".into()])
            .with("properties", Json::object().with("type", word));
        let then = reference_to((variant.section)().name);
        Json::object().with("if", is_type).with("then", then)
    };
    types(&["object"])
        .with("title", doc.name)
        .with("description", doc.doc.as_str())
        .with("properties", properties)
        .with("required", vec!["type".into()])
        .with("allOf", doc.variants.iter().map(case).collect::<Vec<_>>())
}

/// Returns the schema of the value of a key, with the description `doc`.
fn property(field: &FieldDoc, doc: &str) -> Json {
    let is_optional = field.default.as_deref() == Some("null");
    let mut schema = value(field.shape);
    if is_optional {
        schema = or_null(schema, field.shape);
    }
    schema = schema.with("description", description(field, doc));
    match default_of(field) {
        Some(default) => schema.with("default", default),
        None => schema,
    }
}

/// Returns the doc comment, the form of a scalar and its default, for a reader who sees no table.
fn description(field: &FieldDoc, doc: &str) -> String {
    let mut text = doc.to_owned();
    if let Shape::Word(words, _) = field.shape {
        text += &format!(" Value: {words}.");
    }
    let shown = default_of(field).and_then(|default| match default {
        Value::String(text) => Some(text).filter(|text| !text.is_empty()),
        Value::Array(items) if items.is_empty() => None,
        Value::Object(_) => None,
        other => Some(other.to_string()),
    });
    if let Some(shown) = shown {
        text += &format!(" Default: `{shown}`.");
    }
    text.trim_start().to_owned()
}

/// Returns the default of a key; `None` where it has no value, or that of the section says it.
fn default_of(field: &FieldDoc) -> Option<Value> {
    let default: Value = serde_json::from_str(field.default.as_deref()?).ok()?;
    let is_section = matches!(field.shape, Shape::Section(_) | Shape::SectionOr(..));
    let is_elsewhere = is_section && default.is_object();
    (!default.is_null() && !is_elsewhere).then_some(default)
}

fn value(shape: Shape) -> Json {
    match shape {
        Shape::Word(words, schema) => {
            let mut schema = schema();
            if schema.get_mut("pattern").is_some() {
                // Read by yaml-language-server, which shows the pattern otherwise.
                schema = schema.with("patternErrorMessage", format!("Expected: {words}."));
            }
            schema
        }
        Shape::Choice(choices) => words(choices),
        // Without a value a list or a mapping is empty.
        Shape::List(of) => types(&["array", "null"]).with("items", value(of())),
        Shape::Map(of) => types(&["object", "null"]).with("additionalProperties", value(of())),
        Shape::Section(of) => reference_to(of().name),
        Shape::SectionOr(of, short) => {
            Json::object().with("anyOf", vec![reference_to(of().name), short()])
        }
    }
}

/// Adds null to what `schema` accepts.
fn or_null(mut schema: Json, shape: Shape) -> Json {
    let null = || types(&["null"]);
    let is_null_already = match shape {
        Shape::List(_) | Shape::Map(_) => true,
        Shape::Section(of) => of().fields.iter().all(|field| field.default.is_some()),
        _ => schema == any(),
    };
    if is_null_already {
        return schema;
    }
    if let Some(Json::List(types)) = schema.get_mut("type") {
        types.push("null".into());
        return schema;
    }
    if let Some(Json::List(any_of)) = schema.get_mut("anyOf") {
        any_of.push(null());
        return schema;
    }
    Json::object().with("anyOf", vec![schema, null()])
}

/// Returns that a key and its former name are not both there, and that one of them is if it is required.
fn renamed(field: &FieldDoc) -> Option<Json> {
    let keys = [field.key, field.former?];
    let both = Json::object().with("required", keys.map(Json::from).to_vec());
    let mut schema = Json::object().with("not", both);
    if field.default.is_none() {
        let either = keys.map(|key| Json::object().with("required", vec![key.into()]));
        schema = schema.with("anyOf", either.to_vec());
    }
    Some(schema)
}

/// Returns the schemas that a section must satisfy to meet `constraint`.
fn constraint(constraint: &Constraint) -> Vec<Json> {
    let any_of = |keys: &[&str]| {
        Json::object().with("anyOf", keys.iter().map(|key| set(key)).collect::<Vec<_>>())
    };
    let without = |keys: &[&str]| Json::object().with("not", any_of(keys));
    let if_then = |key: &str, then: Json| Json::object().with("if", set(key)).with("then", then);
    match constraint {
        Constraint::AnyOf(keys) => vec![any_of(keys)],
        Constraint::AtMostOne(keys) => keys
            .iter()
            .enumerate()
            .filter(|(index, _)| index + 1 < keys.len())
            .map(|(index, key)| if_then(key, without(&keys[index + 1..])))
            .collect(),
        Constraint::Needs(key, others) => vec![if_then(key, any_of(others))],
        Constraint::Excludes(key, others) => vec![if_then(key, without(others))],
    }
}

/// Returns the schema of a section in which `key` is set.
fn set(key: &str) -> Json {
    let nothing = vec![
        Value::Null.into(),
        false.into(),
        "".into(),
        Json::object(),
        Json::List(Vec::new()),
    ];
    let value = Json::object().with("not", Json::object().with("enum", nothing));
    Json::object()
        .with("required", vec![key.into()])
        .with("properties", Json::object().with(key, value))
}

#[cfg(test)]
mod tests {
    use regex::Regex;

    use super::*;
    use crate::{HumanDuration, Section, section, string_enum};

    string_enum! {
        /// Colours.
        pub enum Colour {
            /// As blood.
            Red = "red" | "rouge",
            /// As grass.
            Green = "green",
        }
    }

    section! {
        /// A pool.
        #[constraints = [Constraint::AtMostOne(&["size", "wait"])]]
        pub struct Pool {
            /// Its colour.
            pub colour: Colour,
            /// Connections.
            #[former = "connections"]
            pub size: u16 = 10,
            /// Longest wait.
            pub wait: Option<HumanDuration>,
        }
    }

    section! {
        /// A file.
        pub struct File {
            /// Pools.
            pub pools: Vec<Pool> = Vec::new(),
            /// The first.
            pub first: Option<Pool>,
        }
    }

    fn printed(json: &Json) -> String {
        serde_json::to_string(json).unwrap()
    }

    fn accepts(pattern: &Json, text: &str) -> bool {
        let Json::Object(entries) = pattern else {
            panic!("no object")
        };
        let (_, pattern) = entries.iter().find(|(key, _)| key == "pattern").unwrap();
        let Json::Value(Value::String(pattern)) = pattern else {
            panic!("no text")
        };
        Regex::new(pattern).unwrap().is_match(text)
    }

    #[test]
    fn a_section_has_its_keys_in_the_order_of_the_declaration() {
        let text = printed(&json_schema(File::doc(), "Title"));
        let start = r##"{"$schema":"https://json-schema.org/draft/2020-12/schema","title":"Title","type":"object","description":"A file.","properties":{"pools":{"type":["array","null"],"items":{"$ref":"#/$defs/Pool"},"description":"Pools.","default":[]},"first":{"anyOf":[{"$ref":"#/$defs/Pool"},{"type":["null"]}],"description":"The first."}},"additionalProperties":false,"$defs":{"Pool":{"title":"Pool","description":"A pool.","type":["object"],"properties":{"colour":{"##;
        assert!(text.starts_with(start), "{text}");
        assert!(text.contains(r#""required":["colour"],"additionalProperties":false,"#));
        assert!(text.contains(
            r#""description":"Connections. Value: whole number. Default: `10`.","default":10"#
        ));
        let former = r#""description":"Former name of `size`. Connections. Value: whole number. Default: `10`.","default":10,"deprecated":true"#;
        assert!(text.contains(former), "{text}");
        assert!(text.contains(r#"{"not":{"required":["size","connections"]}}"#));
        assert!(text.contains(r#""allOf":["#) && text.contains(r#""if":{"required":["size"]"#));
    }

    #[test]
    fn a_word_has_its_meaning_and_is_accepted_in_any_case() {
        let Shape::Choice(choices) = <Colour as crate::Decode>::shape() else {
            panic!("no choice")
        };
        let text = printed(&words(choices));
        let start = r#"{"anyOf":[{"const":"red","description":"As blood."},{"const":"green","description":"As grass."},"#;
        assert!(text.starts_with(start), "{text}");
        let pattern = pattern(&any_case(choices));
        for (word, is_accepted) in [
            ("Red", true),
            ("ROUGE", true),
            ("${COLOUR}", true),
            ("redder", false),
            ("", false),
        ] {
            assert_eq!(accepts(&pattern, word), is_accepted, "{word}");
        }
    }

    #[test]
    fn durations_and_sizes_are_those_that_are_read() {
        for text in [
            "30", "0", "1.5", "30s", "5m", "1h30m", "7d", "500ms", "1w2d", "1y", "", "s", "5 m",
            "-5s", "5m5m", "5s1h", "5x", "5mm", " 5m ",
        ] {
            let is_read = crate::parse_duration(text).is_some();
            assert_eq!(accepts(&duration(), text), is_read, "{text:?}");
        }
        for text in [
            "1048576", "500MB", "1.5 gb", "2GiB", "1000b", "7", "", "MB", "-1MB", "1XB", "1 000MB",
            "5 M",
        ] {
            let is_read = crate::Size::parse(text).is_some();
            assert_eq!(accepts(&size(), text), is_read, "{text:?}");
        }
    }
}
