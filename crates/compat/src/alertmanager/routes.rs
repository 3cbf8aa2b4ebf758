//! Import of routes and inhibition rules, with the older forms of their matchers.

use bellwether_schema::{Node, Value};

use super::fields::{Fields, MappingBuilder, scalar};
use super::{Report, items};

/// Keys with the same name and meaning.
const SAME: [&str; 8] = [
    "receiver",
    "group_by",
    "continue",
    "group_wait",
    "group_interval",
    "repeat_interval",
    "mute_time_intervals",
    "active_time_intervals",
];

/// Converts a route and its child routes.
pub(super) fn route(node: &Node, path: &str, top: bool, report: &mut Report<'_>) -> Node {
    let mut fields = Fields::of(node, path);
    let mut mapping = MappingBuilder::at(node.pos);
    let mut grouped = false;
    for key in SAME {
        if let Some(value) = fields.take(key) {
            grouped |= key == "group_by";
            mapping.put(key, value.clone());
        }
    }
    // In Alertmanager the default of the top is one group for all alerts.
    if top && !grouped {
        mapping.put(
            "group_by",
            Node {
                pos: node.pos,
                value: Value::List(Vec::new()),
            },
        );
    }
    matchers(&mut fields, "", "matchers", &mut mapping);
    if let Some(below) = fields.take("routes") {
        let routes = items(below).into_iter().enumerate().map(|(number, route)| {
            self::route(&route, &format!("{path}.routes[{number}]"), false, report)
        });
        let routes = Value::List(routes.collect());
        mapping.put_raw(
            "routes",
            Node {
                pos: below.pos,
                value: routes,
            },
        );
    }
    report.warn_remaining(fields);
    mapping.node()
}

/// Converts an inhibition rule.
pub(super) fn inhibit_rule(node: &Node, number: usize, report: &mut Report<'_>) -> Node {
    let mut fields = Fields::of(node, &format!("inhibit_rules[{number}]"));
    let mut mapping = MappingBuilder::at(node.pos);
    for key in ["name", "equal"] {
        if let Some(value) = fields.take(key) {
            mapping.put(key, value.clone());
        }
    }
    matchers(&mut fields, "source_", "source_matchers", &mut mapping);
    matchers(&mut fields, "target_", "target_matchers", &mut mapping);
    report.warn_remaining(fields);
    mapping.node()
}

/// Converts `matchers`, `match` and `match_re` of `fields`, with `prefix` before their names, to
/// one list.
fn matchers(fields: &mut Fields<'_>, prefix: &str, key: &str, mapping: &mut MappingBuilder) {
    let mut all = Vec::new();
    let mut place = None;
    if let Some(node) = fields.take(&format!("{prefix}matchers")) {
        place = Some(node.pos);
        match &node.value {
            Value::List(items) => all.extend(items.iter().cloned()),
            _ => all.push(node.clone()),
        }
    }
    for (name, operator) in [("match", "="), ("match_re", "=~")] {
        let Some(node) = fields.take(&format!("{prefix}{name}")) else {
            continue;
        };
        place = place.or(Some(node.pos));
        let Value::Map(labels) = &node.value else {
            continue;
        };
        for (label, value) in labels {
            let text = match &value.value {
                Value::Scalar(text) => text.as_str(),
                _ => "",
            };
            let text = text
                .replace('\\', "\\\\")
                .replace('"', "\\\"")
                .replace('\n', "\\n");
            let matcher = format!("{:?}{operator}\"{text}\"", label.text);
            all.push(scalar(&matcher, value.pos));
        }
    }
    if let Some(pos) = place {
        mapping.put_raw(
            key,
            Node {
                pos,
                value: Value::List(all),
            },
        );
    }
}
