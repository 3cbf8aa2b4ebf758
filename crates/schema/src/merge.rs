//! Merges the files of a configuration: sections key by key, lists by the names of their entries.

use std::collections::{BTreeMap, HashMap};

use serde::{Serialize, Serializer};

use super::decode::{Decode, DecodeContext, OwnIndices};
use super::diagnostics::{Diagnostics, did_you_mean};
use super::reference::Shape;
use super::tree::{Key, Node, Pos, Value};

/// Key of an entry that replaces one of an earlier file.
const OVERRIDE: &str = "override";

/// Key `override` of an entry with a name: it replaces the entry of that name of an earlier file.
///
/// [`merge`] reads it. Afterwards it has no meaning: it holds no value, and serializes as nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Override;

impl Decode for Override {
    fn decode(node: &Node, cx: &mut DecodeContext<'_>) -> Option<Self> {
        bool::decode(node, cx).map(|_| Self)
    }
    fn shape() -> Shape {
        bool::shape()
    }
    fn absent() -> Option<Self> {
        Some(Self)
    }
}

impl Serialize for Override {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_none()
    }
}

/// Merges the trees of several files, in their order.
///
/// Mappings merge key by key. Lists are appended; an entry with `override: true` replaces the entry
/// of the same name of an earlier file, in its place. Reported are a value that two files set, an
/// entry that is in two files without `override`, and one that replaces nothing (a warning).
///
/// The name of an entry is its `name`, or else its `record` with its `labels`.
#[must_use]
pub fn merge(files: Vec<Node>, cx: &mut DecodeContext<'_>) -> Node {
    let empty = files.first().map_or_else(Pos::default, |node| node.pos);
    let mut nodes = files.into_iter().filter(|node| node.value != Value::Null);
    let Some(first) = nodes.next() else {
        return Node {
            pos: empty,
            value: Value::Null,
        };
    };
    let (pos, form) = (first.pos, first.form());
    // All are looked at before anything is merged, so that one of another form does not hide the rest.
    let mut same_form = vec![first];
    for node in nodes {
        match node.form() == form {
            true => same_form.push(node),
            false => conflict(&node, pos, cx),
        }
    }
    let value = match same_form[0].value {
        Value::Map(_) => merge_maps(same_form, cx),
        Value::List(_) => merge_lists(same_form, cx),
        Value::Null | Value::Scalar(_) => {
            let first = same_form.swap_remove(0);
            same_form.iter().for_each(|node| conflict(node, pos, cx));
            first.value
        }
    };
    Node { pos, value }
}

/// Reports a value that two files set.
fn conflict(node: &Node, first: Pos, cx: &mut DecodeContext<'_>) {
    let place = cx.at(first).words();
    cx.error(node.pos, "set in two files").hint(format!(
        "it is also set on {place}; keep one of them: only entries of lists can be replaced"
    ));
}

fn merge_maps(nodes: Vec<Node>, cx: &mut DecodeContext<'_>) -> Value {
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut merged: Vec<(Key, Vec<Node>)> = Vec::new();
    for node in nodes {
        let Value::Map(entries) = node.value else {
            continue;
        };
        for (key, node) in entries {
            match places.get(&key.text) {
                Some(place) => merged[*place].1.push(node),
                None => {
                    places.insert(key.text.clone(), merged.len());
                    merged.push((key, vec![node]));
                }
            }
        }
    }
    let merged = merged.into_iter().map(|(key, nodes)| {
        let dot = if cx.is_at_top() { "" } else { "." };
        let node = cx.within(format_args!("{dot}{}", key.text), |cx| merge(nodes, cx));
        (key, node)
    });
    Value::Map(merged.collect())
}

fn merge_lists(nodes: Vec<Node>, cx: &mut DecodeContext<'_>) -> Value {
    let mut entries: Vec<Node> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut indices = OwnIndices::default();
    for node in nodes {
        let Value::List(items) = node.value else {
            continue;
        };
        for item in items {
            let index = indices.next(&item);
            let Some(name) = name(&item) else {
                entries.push(item);
                continue;
            };
            let place = places.get(&name).copied();
            let earlier = place.filter(|place| entries[*place].pos.file != item.pos.file);
            let replaces = has_override(&item, cx);
            match earlier {
                Some(place) if replaces => entries[place] = item,
                Some(place) => {
                    let first = cx.at(entries[place].pos).words();
                    cx.within(format_args!("[{index}]"), |cx| {
                        cx.error(item.pos, format!("{name} is in two files"))
                            .hint(format!(
                                "the first is on {first}; `override: true` in this entry replaces it"
                            ));
                    });
                }
                None => {
                    if replaces {
                        let known = places.keys().map(|name| name.trim_matches('"'));
                        let similar = did_you_mean(name.trim_matches('"'), known);
                        cx.within(format_args!("[{index}]"), |cx| {
                            let message =
                                format!("{name} replaces nothing: no earlier file has it");
                            cx.warning(item.pos, message)
                                .hint(similar.unwrap_or_else(|| "leave `override` out".to_owned()));
                        });
                    }
                    places.entry(name).or_insert(entries.len());
                    entries.push(item);
                }
            }
        }
    }
    Value::List(entries)
}

/// Returns the name of an entry as messages have it.
fn name(entry: &Node) -> Option<String> {
    if let Some(name) = scalar(entry, "name") {
        return Some(format!("{name:?}"));
    }
    let record = scalar(entry, "record")?;
    let labels = match value(entry, "labels").map(|labels| &labels.value) {
        Some(Value::Map(labels)) => labels
            .iter()
            .filter_map(|(key, node)| match &node.value {
                Value::Scalar(text) => Some((key.text.as_str(), text.as_str())),
                _ => None,
            })
            .collect(),
        _ => BTreeMap::new(),
    };
    let labels: Vec<String> = labels
        .into_iter()
        .map(|(name, value)| format!("{name}={value:?}"))
        .collect();
    Some(match labels.is_empty() {
        true => format!("{record:?}"),
        false => format!("{record:?} with {}", labels.join(", ")),
    })
}

/// Returns whether the entry replaces another one. An invalid value is reported when the entry is
/// decoded.
fn has_override(entry: &Node, cx: &DecodeContext<'_>) -> bool {
    let mut unreported = Diagnostics::default();
    value(entry, OVERRIDE)
        .and_then(|node| bool::decode(node, &mut cx.with_diagnostics(&mut unreported)))
        .unwrap_or_default()
}

fn value<'n>(entry: &'n Node, key: &str) -> Option<&'n Node> {
    let Value::Map(entries) = &entry.value else {
        return None;
    };
    let found = entries.iter().find(|(name, _)| name.text == key);
    found.map(|(_, node)| node)
}

fn scalar<'n>(entry: &'n Node, key: &str) -> Option<&'n str> {
    match &value(entry, key)?.value {
        Value::Scalar(text) => Some(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::parse_numbered;

    /// Merged files as text, errors and warnings. The files are called a, b and c.
    fn merged(texts: &[&str]) -> (String, Vec<String>, Vec<String>) {
        let names: Vec<Arc<str>> = vec!["a".into(), "b".into(), "c".into()];
        let nodes = texts
            .iter()
            .zip(1..)
            .map(|(text, number)| parse_numbered(text, number).unwrap())
            .collect();
        let mut diagnostics = Diagnostics::default();
        let environment = |name: &str| (name == "YES").then(|| "true".into());
        let mut cx = DecodeContext::for_files(&mut diagnostics, &environment, &names);
        let node = merge(nodes, &mut cx);
        let lines =
            |list: Vec<crate::Diagnostic>| list.iter().map(|one| one.render(&"?")).collect();
        let warnings = lines(diagnostics.take_warnings());
        (flow(&node), lines(diagnostics.into_sorted()), warnings)
    }

    fn flow(node: &Node) -> String {
        match &node.value {
            Value::Null => "~".into(),
            Value::Scalar(text) => text.clone(),
            Value::List(items) => {
                let items: Vec<String> = items.iter().map(flow).collect();
                format!("[{}]", items.join(", "))
            }
            Value::Map(entries) => {
                let entries: Vec<String> = entries
                    .iter()
                    .map(|(key, node)| format!("{}: {}", key.text, flow(node)))
                    .collect();
                format!("{{{}}}", entries.join(", "))
            }
        }
    }

    fn good(texts: &[&str]) -> String {
        let (text, errors, warnings) = merged(texts);
        assert_eq!((errors, warnings), (vec![], vec![]), "{texts:?}");
        text
    }

    #[test]
    fn sections_merge_and_lists_are_appended() {
        assert_eq!(
            good(&[
                "s: {x: 1, l: [{name: p}, 5]}\nt:\n",
                "# nothing\n",
                "s: {y: 2, l: [{name: q}, 5, {other: z}]}\nt: [1]\nu: 3\n",
            ]),
            "{s: {x: 1, l: [{name: p}, 5, {name: q}, 5, {other: z}], y: 2}, t: [1], u: 3}"
        );
        assert_eq!(good(&["", "a: 1"]), "{a: 1}");
        assert_eq!(good(&["", ""]), "~");
    }

    #[test]
    fn an_entry_replaces_one_of_its_name_only_where_it_says_so() {
        assert_eq!(
            good(&[
                "l: [{name: p, x: 1}, {name: q}]",
                "l: [{name: r}, {name: p, override: true, y: 2}]",
                "l: [{name: p, override: '${YES}', z: 3}]",
            ]),
            "{l: [{name: p, override: ${YES}, z: 3}, {name: q}, {name: r}]}"
        );
        let (text, errors, _) = merged(&[
            "l: [{name: p, x: 1}]",
            "l:\n- {name: q}\n- {name: p, override: false}",
        ]);
        assert_eq!(text, "{l: [{name: p, x: 1}, {name: q}]}");
        assert_eq!(
            errors,
            [
                "b:3:3: l[1]: \"p\" is in two files\n  hint: the first is on line 1 of a; \
              `override: true` in this entry replaces it"
            ]
        );
    }

    #[test]
    fn a_recording_is_named_by_its_labels_too() {
        let two = ["l: [{record: r, labels: {a: x, b: z}}]", "l: [{record: r}]"];
        assert_eq!(
            good(&two),
            "{l: [{record: r, labels: {a: x, b: z}}, {record: r}]}"
        );
        let (_, errors, _) = merged(&[two[0], "l: [{record: r, labels: {b: z, a: x}}]"]);
        assert!(
            errors[0].contains("\"r\" with a=\"x\", b=\"z\" is in two files"),
            "{errors:?}"
        );
    }

    #[test]
    fn an_entry_that_replaces_nothing_is_a_warning() {
        let (text, errors, warnings) = merged(&[
            "l: [{name: pressure}]",
            "l: [{name: presure, override: true}]\nm: [{name: x, override: true}]",
        ]);
        assert_eq!(errors, [""; 0]);
        assert_eq!(
            text,
            "{l: [{name: pressure}, {name: presure, override: true}], m: [{name: x, override: true}]}"
        );
        assert_eq!(
            warnings,
            [
                "b:1:5: l[0]: \"presure\" replaces nothing: no earlier file has it\n  \
                 hint: did you mean \"pressure\"?",
                "b:2:5: m[0]: \"x\" replaces nothing: no earlier file has it\n  \
                 hint: leave `override` out",
            ]
        );
    }

    #[test]
    fn a_value_that_two_files_set_is_an_error_that_shows_no_value() {
        let (text, errors, _) = merged(&[
            "s: {password: hunter2}\nt: {x: 1}",
            "s: {password: hunter3}\nt: [1]",
            "t: {y: 2}",
        ]);
        assert_eq!(text, "{s: {password: hunter2}, t: {x: 1, y: 2}}");
        let hint = "keep one of them: only entries of lists can be replaced";
        assert_eq!(
            errors,
            [
                format!(
                    "b:1:15: s.password: set in two files\n  hint: it is also set on line 1 of a; {hint}"
                ),
                format!(
                    "b:2:4: t: set in two files\n  hint: it is also set on line 2 of a; {hint}"
                ),
            ]
        );
    }
}
