//! Secrets in the text of a configuration file: hidden for an editor, and put back afterwards.
//!
//! A secret is bound to its key: that of a list entry counts by the entry's `name`. So `<secret>`
//! that moves to another key is an error, and never the secret of the first.

mod comments;
mod find;

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use bellwether_schema::{
    Decode, Diagnostic, Diagnostics, Form, Shape, SourceLocation, SpannedKey, SpannedNode,
    YamlError, parse, parse_spans,
};

use self::comments::{comments, hidden_comment, restored_comments};
use self::find::analyse;
use super::print::SECRET;
use super::sections::Root;

/// Secret in a text.
#[derive(Clone, Debug, PartialEq)]
struct Secret {
    range: Range<usize>,
    /// Value.
    value: String,
    /// Value as it is shown.
    shown: String,
}

/// Kind of a file of the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// Sections of the configuration.
    Configuration,
    /// Rule file of Prometheus, in which only URLs have secrets.
    Rules,
}

impl FileKind {
    fn shape(self) -> Shape {
        match self {
            Self::Configuration => Root::shape(),
            Self::Rules => String::shape(),
        }
    }
}

/// Returns the text of a file with its secrets as `<secret>`.
///
/// # Errors
/// The text is no YAML: then nothing is known about its secrets.
pub fn hide_secrets(text: &str, kind: FileKind) -> Result<String, YamlError> {
    let (root, secrets) = analyse(text, kind)?;
    let edits = secrets.into_iter().map(|secret| {
        let written = written(&text[secret.range.clone()], &secret.shown);
        (secret.range, written)
    });
    let comments = comments(text, &root).into_iter().filter_map(|range| {
        let shown = hidden_comment(&text[range.clone()])?;
        Some((range, shown))
    });
    Ok(edited(text, edits.chain(comments).collect()))
}

/// Returns the values of the secrets in a text; none if it is no YAML.
#[must_use]
pub fn secret_values(text: &str, kind: FileKind) -> Vec<String> {
    let secrets = analyse(text, kind).map(|(_, secrets)| secrets);
    let secrets = secrets.unwrap_or_default().into_iter();
    secrets.map(|secret| secret.value).collect()
}

/// Returns `edited` with each `<secret>` as it is written at the same key of `original`. A text
/// that is no YAML stays as it is.
///
/// # Errors
/// The places that have no such secret.
pub fn restore_secrets(
    edited_text: &str,
    original: &str,
    kind: FileKind,
) -> Result<String, Vec<Diagnostic>> {
    let Ok((original_root, secrets)) = analyse(original, kind) else {
        return Ok(edited_text.to_owned());
    };
    let root = match parse_spans(edited_text) {
        Ok(root) => root,
        // A check reports what is no YAML. But it forgives more than the editor of values does.
        Err(_) if parse(edited_text).is_err() => return Ok(edited_text.to_owned()),
        Err(error) => return Err(vec![no_yaml(&error)]),
    };
    let known = by_key(&original_root, secrets);
    let mut problems = Diagnostics::default();
    let mut edits = Vec::new();
    for (path, node, value) in values(&root) {
        if !value.contains(SECRET) {
            continue;
        }
        match known.get(&path).filter(|secret| secret.shown == *value) {
            Some(secret) => {
                let written = original[secret.range.clone()].to_owned();
                edits.push((node.range.clone(), written));
            }
            None => moved(&path, node, &mut problems),
        }
    }
    edits.extend(restored_comments(
        edited_text,
        &root,
        original,
        &original_root,
    ));
    let restored = edited(edited_text, edits);
    check_restored(&restored, &root, &known, &mut problems);
    match problems.is_empty() {
        true => Ok(restored),
        false => Err(problems.into_sorted()),
    }
}

fn no_yaml(error: &YamlError) -> Diagnostic {
    Diagnostic {
        location: SourceLocation {
            pos: error.at,
            ..SourceLocation::default()
        },
        message: error.message.clone(),
        help: None,
    }
}

fn moved(path: &str, node: &SpannedNode, problems: &mut Diagnostics) {
    let at = SourceLocation {
        pos: node.pos,
        path: path.into(),
        ..SourceLocation::default()
    };
    problems
        .error(&at, format!("{SECRET} stands for no value of this key"))
        .hint("a hidden value stays at its key, of the entry of the same name; else write it anew");
}

/// Checks that each restored value is what it was: it may be indented otherwise.
fn check_restored(
    restored: &str,
    edited: &SpannedNode,
    known: &HashMap<String, Secret>,
    problems: &mut Diagnostics,
) {
    let root = parse_spans(restored);
    let now: HashMap<String, &String> = match &root {
        Ok(root) => values(root)
            .into_iter()
            .map(|(path, _, value)| (path, value))
            .collect(),
        Err(_) => HashMap::new(),
    };
    for (path, node, value) in values(edited) {
        let secret = known.get(&path).filter(|_| value.contains(SECRET));
        if secret.is_some_and(|secret| now.get(&path) != Some(&&secret.value)) {
            moved(&path, node, problems);
        }
    }
}

/// Returns the secrets of a text by their keys.
fn by_key(root: &SpannedNode, secrets: Vec<Secret>) -> HashMap<String, Secret> {
    let by_start: HashMap<usize, Secret> = secrets
        .into_iter()
        .map(|secret| (secret.range.start, secret))
        .collect();
    let known = values(root).into_iter().filter_map(|(path, node, _)| {
        let secret = by_start.get(&node.range.start)?;
        Some((path, secret.clone()))
    });
    known.collect()
}

/// Replaces ranges of `text`, which do not overlap.
fn edited(text: &str, mut edits: Vec<(Range<usize>, String)>) -> String {
    edits.sort_by_key(|(range, _)| range.start);
    let mut out = String::with_capacity(text.len());
    let mut end = 0;
    for (range, replacement) in edits {
        out += &text[end..range.start];
        out += &replacement;
        end = range.end;
    }
    out + &text[end..]
}

/// Returns a shown value as YAML: quoted if `raw` was, and not all of it is hidden.
fn written(raw: &str, shown: &str) -> String {
    let is_plain = !raw.starts_with(['"', '\'', '|', '>']);
    if shown == SECRET || is_plain && !shown.contains('\n') {
        return shown.to_owned();
    }
    // A JSON text is a YAML text in quotes.
    serde_json::Value::from(shown).to_string()
}

/// Returns all scalars with the paths of their keys, without those behind aliases.
fn values(root: &SpannedNode) -> Vec<(String, &SpannedNode, &String)> {
    let mut all = Vec::new();
    add_values(root, String::new(), &mut all);
    all
}

fn add_values<'a>(
    node: &'a SpannedNode,
    path: String,
    all: &mut Vec<(String, &'a SpannedNode, &'a String)>,
) {
    match &node.form {
        Form::Scalar(value) => all.push((path, node, value)),
        Form::List(items) => {
            for (item, label) in items.iter().zip(labels(items)) {
                add_values(item, format!("{path}[{label}]"), all);
            }
        }
        Form::Map(entries) => {
            for (key, value) in entries {
                add_values(value, format!("{path}.{}", key.text), all);
            }
        }
        Form::Alias(_) => {}
    }
}

/// Returns the names of the entries of a list, or else their numbers.
fn labels(items: &[SpannedNode]) -> Vec<String> {
    let names: Vec<Option<&str>> = items.iter().map(|item| scalar_of(item, "name")).collect();
    let mut count: BTreeMap<&str, usize> = BTreeMap::new();
    for name in names.iter().flatten() {
        *count.entry(name).or_default() += 1;
    }
    let labels = names.iter().enumerate().map(|(index, name)| match name {
        Some(name) if count[name] == 1 => format!("{name:?}"),
        _ => index.to_string(),
    });
    labels.collect()
}

/// Returns the scalar at `key` of a mapping.
fn scalar_of<'a>(node: &'a SpannedNode, key: &str) -> Option<&'a str> {
    let Form::Map(entries) = &node.form else {
        return None;
    };
    let is_key = |entry: &&(SpannedKey, SpannedNode)| entry.0.text == key;
    match &entries.iter().find(is_key)?.1.form {
        Form::Scalar(value) => Some(value),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::FileKind::Configuration;
    use super::*;

    const FILE: &str = "\
performance_monitor: # a comment
  neo4j_metrics: &n
    uri: bolt://user:hunter2@db:7687
    password: \"hunter#3\" # the password
    # password: hunter4
    # - {name: x, \"token\": 'hunter, 10'}
  alerting:
    notifications:
      channels:
        - {name: one, type: webhook, url: 'https://x/?token=hunter5', headers: {X-Key: hunter6}}
        - name: two
          type: slack
          url: ${SLACK_URL}
          tokn: hunter7
        - name: three
          type: slack
          url: |
            https://hooks/hunter8
remote_write:
  - url: https://r
    basic_auth: {username: u, password: '${P:-hunter9}'}
  - url: https://s
    basic_auth: {username: v, password: '${9hunter}'} # no name of a variable
";

    #[test]
    fn no_secret_is_shown_and_all_come_back() {
        let shown = hide_secrets(FILE, Configuration).unwrap();
        assert!(!shown.contains("hunter"), "{shown}");
        for text in [
            "password: <secret> # the password",
            "uri: bolt://<secret>@db:7687",
            "# password: <secret>",
            "# - {name: x, \"token\": <secret>",
            "url: <secret>, headers: {X-Key: <secret>}",
            "url: ${SLACK_URL}",
            "username: u",
        ] {
            assert!(shown.contains(text), "{text}: {shown}");
        }
        assert_eq!(restore_secrets(&shown, FILE, Configuration).unwrap(), FILE);
        assert!(secret_values(FILE, Configuration).contains(&"hunter#3".to_owned()));
    }

    #[test]
    fn an_edited_text_keeps_its_secrets() {
        let shown = hide_secrets(FILE, Configuration).unwrap();
        let edited = shown
            .replace("performance_monitor: # a comment", "performance_monitor:")
            .replace("name: two\n", "name: two\n          enabled: false\n");
        let restored = restore_secrets(&edited, FILE, Configuration).unwrap();
        assert_eq!(
            restored.matches("hunter").count(),
            FILE.matches("hunter").count()
        );
        assert!(restored.contains("enabled: false") && !restored.contains(SECRET));
    }

    #[test]
    fn a_secret_never_lands_at_another_key() {
        let shown = hide_secrets(FILE, Configuration).unwrap();
        for (from, to) in [
            ("name: one,", "name: other,"),
            ("username: u", "username: <secret>"),
            ("bolt://<secret>@db:7687", "bolt://<secret>@evil:7687"),
            (
                "type: webhook, url: <secret>",
                "type: webhook, bearer_token: <secret>",
            ),
            ("headers: {X-Key: <secret>}", "headers: {Y-Key: <secret>}"),
            ("    # password: <secret>\n", "    user: <secret>\n"),
            ("url: ${SLACK_URL}", "url: <secret>"),
            ("# a comment", "# a comment\n  x: <secret>"),
        ] {
            let edited = shown.replacen(from, to, 1);
            assert_ne!(edited, shown, "{from}");
            let problems = restore_secrets(&edited, FILE, Configuration).unwrap_err();
            assert!(problems[0].location.pos.line > 0, "{problems:?}");
            assert!(
                problems[0].message.contains("stands for no value"),
                "{problems:?}"
            );
        }
    }

    #[test]
    fn an_entry_that_moves_keeps_its_own() {
        let of = |order: [&str; 2]| {
            let entries = order.map(|name| {
                format!(
                    "        - {{name: {name}, type: webhook, url: 'https://x/?key={name}-s'}}\n"
                )
            });
            format!(
                "performance_monitor:\n  alerting:\n    notifications:\n      channels:\n{}",
                entries.concat()
            )
        };
        let shown = hide_secrets(&of(["b", "a"]), Configuration).unwrap();
        assert!(!shown.contains("-s"), "{shown}");
        assert_eq!(
            restore_secrets(&shown, &of(["a", "b"]), Configuration).unwrap(),
            of(["b", "a"])
        );
    }

    #[test]
    fn what_an_alias_makes_secret_is_hidden() {
        let file =
            "performance_monitor:\n  neo4j_metrics:\n    uri: &u hunter2\n    password: *u\n";
        let shown = hide_secrets(file, Configuration).unwrap();
        assert!(shown.contains("uri: &u <secret>"), "{shown}");
        assert_eq!(restore_secrets(&shown, file, Configuration).unwrap(), file);
    }

    #[test]
    fn hostile_texts_are_errors_or_nothing() {
        assert!(hide_secrets("a: [", Configuration).is_err());
        assert_eq!(
            restore_secrets("a: [", FILE, Configuration).unwrap(),
            "a: ["
        );
        assert_eq!(hide_secrets("", Configuration).unwrap(), "");
        let bomb: String = (1..40)
            .map(|n| format!("a{n}: &a{n} [*a{0}, *a{0}, *a{0}]\n", n - 1))
            .collect();
        assert!(hide_secrets(&format!("a0: &a0 x\n{bomb}"), Configuration).is_err());
        let own = "a: &a\n  b: *a\n";
        assert!(hide_secrets(own, Configuration).is_err());
    }
}
