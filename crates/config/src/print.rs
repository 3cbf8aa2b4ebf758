//! The effective configuration as YAML: defaults and environment filled in, secrets as `<secret>`.

use std::collections::BTreeMap;
use std::path::Path;

use bellwether_dashboards::{DashboardSettings, WidgetSettings};
use bellwether_rules::{RecordingSettings, RuleSettings};
use bellwether_schema::{Decode, Key, Node, Pos, SectionDoc, Shape, Value as Form, blank, parse};
use serde::Serialize;
use serde_yaml::{Mapping, Value};

use super::include::ConfigFile;
use super::sections::Root;

/// Prints `root`, which has the settings of all included files. Absent settings without a default are omitted.
///
/// # Errors
/// None for a decoded configuration.
pub fn print(root: &Root) -> Result<String, serde_yaml::Error> {
    let mut value = serde_yaml::to_value(root)?;
    if let Value::Mapping(entries) = &mut value {
        entries.shift_remove("include");
    }
    prune(&mut value);
    hide(&mut value);
    escape(&mut value, Root::shape());
    serde_yaml::to_string(&value)
}

/// Prints `root`, with a comment behind each entry and each value outside of lists: the file that it
/// is from, and the line. Values without one are defaults. `tree` is what `root` was decoded from. The
/// names of files start at the directory of the first one. A single file needs no comments.
///
/// # Errors
/// None for a decoded configuration.
pub fn print_with_origins(
    root: &Root,
    tree: &Node,
    files: &[ConfigFile],
) -> Result<String, serde_yaml::Error> {
    let text = print(root)?;
    let (2.., Ok(printed)) = (files.len(), parse(&text)) else {
        return Ok(text);
    };
    let mut origins = BTreeMap::new();
    find_origins(&printed, tree, &mut origins);
    let start = files[0].path.parent().unwrap_or(Path::new(""));
    let lines = (1..).zip(text.lines()).map(|(number, line)| {
        let origin = origins.get(&number).and_then(|pos| {
            let file = files.get(usize::from(pos.file).checked_sub(1)?)?;
            let path = file.path.strip_prefix(start).unwrap_or(&file.path);
            Some(format!("  # {}:{}", path.display(), pos.line))
        });
        format!("{line}{}\n", origin.unwrap_or_default())
    });
    Ok(lines.collect())
}

/// Finds the position in `source` of what begins on each line of `printed`.
fn find_origins(printed: &Node, source: &Node, origins: &mut BTreeMap<u32, Pos>) {
    let (Form::Map(printed), Form::Map(source)) = (&printed.value, &source.value) else {
        return;
    };
    for (key, node) in printed {
        let is_key = |(source, _): &&(Key, Node)| source.text == key.text;
        let Some((source_key, source)) = source.iter().find(is_key) else {
            continue;
        };
        match (&node.value, &source.value) {
            (Form::Map(entries), Form::Map(_)) if !entries.is_empty() => {
                find_origins(node, source, origins);
            }
            (Form::List(items), Form::List(sources)) if !items.is_empty() => {
                let places = items.iter().zip(sources);
                origins.extend(places.map(|(item, source)| (item.pos.line, source.pos)));
            }
            _ => drop(origins.insert(key.pos.line, source_key.pos)),
        }
    }
}

/// Prints rules in the format of the configuration, without defaults.
///
/// # Errors
/// None for decoded rules.
pub fn print_rules(
    rules: &[RuleSettings],
    recordings: &[RecordingSettings],
) -> Result<String, serde_yaml::Error> {
    let rules = said::<RuleSettings>(rules, &[("name", "")])?;
    let recordings = said::<RecordingSettings>(recordings, &[("record", ""), ("promql", "1")])?;
    let alerting = [("rules", rules), ("recording_rules", recordings)]
        .into_iter()
        .filter(|(_, list)| !list.is_empty())
        .map(|(key, list)| (key, Value::Sequence(list)));
    let monitor = mapping([("alerting", mapping(alerting))]);
    serde_yaml::to_string(&mapping([("performance_monitor", monitor)]))
}

/// Prints a dashboard in the format of the configuration, without defaults.
///
/// # Errors
/// None for decoded settings.
pub fn print_dashboard(dashboard: &DashboardSettings) -> Result<String, serde_yaml::Error> {
    let rows = dashboard.rows.iter().map(|row| {
        let title = row
            .title
            .iter()
            .map(|title| ("title", title.clone().into()));
        let required = [("title", ""), ("type", "line")];
        let widgets = Value::Sequence(said::<WidgetSettings>(&row.widgets, &required)?);
        Ok(mapping(title.chain([("widgets", widgets)])))
    });
    let rows = rows.collect::<Result<Vec<_>, serde_yaml::Error>>()?;
    let title = dashboard
        .title
        .iter()
        .map(|title| ("title", title.clone().into()));
    let name = [("name", dashboard.name.value.clone().into())];
    let entry = name
        .into_iter()
        .chain(title)
        .chain([("rows", Value::Sequence(rows))]);
    serde_yaml::to_string(&mapping([(
        "dashboards",
        Value::Sequence(vec![mapping(entry)]),
    )]))
}

fn mapping<'k>(entries: impl IntoIterator<Item = (&'k str, Value)>) -> Value {
    let entries = entries.into_iter();
    Value::Mapping(
        entries
            .map(|(key, value)| (Value::from(key), value))
            .collect(),
    )
}

/// Removes from each of `all` the values that it shares with one that has only `required`.
fn said<T: Serialize + Decode>(
    all: &[T],
    required: &[(&str, &str)],
) -> Result<Vec<Value>, serde_yaml::Error> {
    let usual = serde_yaml::to_value(blank::<T>(required))?;
    let mut all: Vec<Value> = all
        .iter()
        .map(serde_yaml::to_value)
        .collect::<Result<_, serde_yaml::Error>>()?;
    for value in &mut all {
        if let Value::Mapping(entries) = value {
            entries.retain(|key, value| {
                let needed = required.iter().any(|(name, _)| key.as_str() == Some(name));
                needed || usual.get(key) != Some(value)
            });
        }
        escape(value, T::shape());
        prune(value);
    }
    Ok(all)
}

/// Escapes text that would be read as an environment variable, except where `shape` says that text
/// is literal.
fn escape(value: &mut Value, shape: Shape) {
    match (value, shape) {
        // A matcher is taken as written where it is a regular expression.
        (Value::String(text), Shape::Word(words, _))
            if words.contains("=~regex") && (text.starts_with("=~") || text.starts_with("!~")) => {}
        (Value::String(text), shape) if !shape.is_raw() => {
            *text = text.replace("${", "$${").replace("$<", "$$<");
        }
        (Value::Mapping(entries), Shape::Map(of)) => {
            entries
                .iter_mut()
                .for_each(|(_, value)| escape(value, of()));
        }
        (Value::Mapping(entries), Shape::Section(of) | Shape::SectionOr(of, _)) => {
            let fields = Fields::new(of(), type_of(entries));
            for (key, value) in entries.iter_mut() {
                escape(value, fields.shape(key.as_str().unwrap_or_default()));
            }
        }
        (Value::Sequence(items), Shape::List(of)) => {
            items.iter_mut().for_each(|item| escape(item, of()));
        }
        // What may be one value or several says so in words.
        (Value::Sequence(items), shape) => items.iter_mut().for_each(|item| escape(item, shape)),
        _ => {}
    }
}

/// Returns the value of `type` of a section.
pub(super) fn type_of(entries: &Mapping) -> Option<&str> {
    entries.get("type").and_then(Value::as_str)
}

/// Forms of the values of a section.
pub(super) struct Fields {
    common: SectionDoc,
    /// A channel has the keys of its type beside those of all.
    of_type: Option<SectionDoc>,
}

impl Fields {
    /// Returns the forms for a section whose `type` is `word`.
    pub(super) fn new(common: SectionDoc, word: Option<&str>) -> Self {
        let mut variants = common.variants.iter();
        let variant = word.and_then(|word| variants.find(|variant| variant.word == word));
        let of_type = variant.map(|variant| (variant.section)());
        Self { common, of_type }
    }

    pub(super) fn shape(&self, key: &str) -> Shape {
        self.find(key).unwrap_or(String::shape())
    }

    /// Returns the form of a key, which may be a name of earlier versions; none of an unknown key.
    pub(super) fn find(&self, key: &str) -> Option<Shape> {
        let fields = self
            .common
            .fields
            .iter()
            .chain(self.of_type.iter().flat_map(|of_type| &of_type.fields));
        let mut fields = fields.filter(|field| field.key == key || field.former == Some(key));
        fields.next().map(|field| field.shape)
    }
}

/// Hides secrets inside of values that are not secret as a whole: user and password of URLs, tokens
/// in their queries, and header values.
fn hide(value: &mut Value) {
    match value {
        Value::String(text) => {
            if let Some(hidden) = hidden(text) {
                *text = hidden;
            }
        }
        Value::Mapping(entries) => {
            for (key, value) in entries.iter_mut() {
                match value {
                    Value::Mapping(headers) if key.as_str() == Some("headers") => {
                        headers
                            .iter_mut()
                            .for_each(|(_, value)| *value = SECRET.into());
                    }
                    value => hide(value),
                }
            }
        }
        Value::Sequence(items) => items.iter_mut().for_each(hide),
        _ => {}
    }
}

pub(super) const SECRET: &str = "<secret>";

/// Parts of the names of query parameters that hold a secret.
const SECRET_PARAMETERS: [&str; 7] = ["token", "key", "secret", "pass", "pwd", "auth", "sig"];

/// Returns `text` without the secrets of its URLs; `None` if there are none.
pub(super) fn hidden(text: &str) -> Option<String> {
    let (mut out, mut rest, mut found) = (String::new(), text, false);
    while let Some(start) = rest.find("://").map(|at| at + 3) {
        out += &rest[..start];
        rest = &rest[start..];
        let end = rest.find(|c: char| c.is_whitespace() || "\"'<>".contains(c));
        let (address, behind) = rest.split_at(end.unwrap_or(rest.len()));
        let host_end = address.find(['/', '?', '#']).unwrap_or(address.len());
        let (authority, path) = address.split_at(host_end);
        let host = match authority.rsplit_once('@') {
            Some((_, host)) => {
                found = true;
                out = out + SECRET + "@";
                host
            }
            None => authority,
        };
        out += host;
        match path.split_once('?') {
            Some((path, query)) => {
                out = out + path + "?";
                for (index, parameter) in query.split('&').enumerate() {
                    let separator = if index > 0 { "&" } else { "" };
                    let name = parameter.split('=').next().unwrap_or_default();
                    let lower = name.to_ascii_lowercase();
                    let secret = SECRET_PARAMETERS.iter().any(|part| lower.contains(part));
                    found |= secret;
                    out += separator;
                    out += &if secret {
                        format!("{name}={SECRET}")
                    } else {
                        parameter.to_owned()
                    };
                }
            }
            None => out += path,
        }
        rest = behind;
    }
    found.then(|| out + rest)
}

fn prune(value: &mut Value) {
    match value {
        Value::Mapping(entries) => {
            entries.retain(|_, value| !value.is_null());
            entries.iter_mut().for_each(|(_, value)| prune(value));
        }
        Value::Sequence(items) => items.iter_mut().for_each(prune),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_inside_of_addresses_are_hidden() {
        for (text, shown) in [
            (
                "https://u:p@x.org:1/a?b=c",
                "https://<secret>@x.org:1/a?b=c",
            ),
            ("http://p@ss@x", "http://<secret>@x"),
            (
                "https://x/?a=1&api_token=t&b=2",
                "https://x/?a=1&api_token=<secret>&b=2",
            ),
            (
                "see https://u:p@x and https://v@y.",
                "see https://<secret>@x and https://<secret>@y.",
            ),
        ] {
            assert_eq!(hidden(text).as_deref(), Some(shown));
        }
        for text in [
            "https://x.org/a@b?c=d",
            "a@b.org",
            "https://x.org",
            "://",
            "a://?",
        ] {
            assert_eq!(hidden(text), None, "{text}");
        }
    }
}
