//! Functions and operators.

use super::super::Untranslatable;
use super::Dialect;
use super::value::{Kind, Value};

/// Functions with the same name, and the kinds of their results.
const SAME: [(&str, Kind); 31] = [
    ("humanize", Kind::Text),
    ("humanize1024", Kind::Text),
    ("humanizeDuration", Kind::Text),
    ("humanizePercentage", Kind::Text),
    ("humanizeTimestamp", Kind::Text),
    ("toUpper", Kind::Text),
    ("toLower", Kind::Text),
    ("title", Kind::Text),
    ("trimSpace", Kind::Text),
    ("stripPort", Kind::Text),
    ("stripDomain", Kind::Text),
    ("join", Kind::Text),
    ("reReplaceAll", Kind::Text),
    ("printf", Kind::Text),
    ("date", Kind::Text),
    ("safeHtml", Kind::Text),
    ("safeUrl", Kind::Text),
    ("urlUnescape", Kind::Text),
    ("toJson", Kind::Text),
    ("match", Kind::Other),
    ("stringSlice", Kind::Other),
    ("list", Kind::Other),
    ("tz", Kind::Other),
    ("toTime", Kind::Other),
    ("len", Kind::Number),
    ("parseDuration", Kind::Number),
    ("toDuration", Kind::Other),
    ("urlQueryEscape", Kind::Text),
    ("graphLink", Kind::Text),
    ("tableLink", Kind::Text),
    ("slice", Kind::Other),
];

/// Writes the call of `name` with `arguments` and the piped value, which comes last.
pub(super) fn call(
    dialect: Dialect,
    name: &str,
    arguments: &[Value],
    piped: Option<Value>,
    line: u32,
) -> Result<Value, Untranslatable> {
    let mut all: Vec<Value> = arguments.to_vec();
    all.extend(piped.clone());
    if let Some((_, kind)) = SAME.iter().find(|(function, _)| *function == name) {
        return Ok(function(name, arguments, piped, *kind));
    }
    if let (Dialect::Rule, Some(value)) = (dialect, of_rule(name, &all)) {
        return Ok(value);
    }
    match (name, all.as_slice()) {
        ("true" | "false", []) => Ok(Value::new(name, Kind::Other)),
        ("nil", []) => Ok(Value::new("none", Kind::Other)),
        ("externalURL", []) => Ok(Value::new("external_url", Kind::Text)),
        ("pathPrefix", []) => Ok(Value::new("external_url | urlPath", Kind::Text)),
        // A duration, which is formatted as in Go.
        ("since", [time]) => Ok(Value::new(
            &format!("{} | since | toDuration", time.part()),
            Kind::Other,
        )),
        ("eq", [a, b]) => Ok(operator(a, "==", b)),
        // Each value is written once, so that nesting does not double the text.
        ("eq", [first, others @ ..]) if !others.is_empty() => {
            let others: Vec<_> = others.iter().map(Value::operand).collect();
            let text = format!("{} in [{}]", first.operand(), others.join(", "));
            Ok(Value::compound(text, Kind::Other))
        }
        ("ne", [a, b]) => Ok(operator(a, "!=", b)),
        ("lt", [a, b]) => Ok(operator(a, "<", b)),
        ("le", [a, b]) => Ok(operator(a, "<=", b)),
        ("gt", [a, b]) => Ok(operator(a, ">", b)),
        ("ge", [a, b]) => Ok(operator(a, ">=", b)),
        ("and" | "or", [_, ..]) => {
            let joined = joined(all.iter().map(Value::part), &format!(" {name} "));
            // The last argument may be the result.
            let absent = all.last().is_some_and(|last| last.absent);
            Ok(Value { absent, ..joined })
        }
        ("not", [value]) => Ok(Value::compound(
            format!("not {}", value.part()),
            Kind::Other,
        )),
        ("index", [map, names @ ..]) => names.iter().try_fold(map.clone(), |of, name| {
            let kind = match of.kind {
                Kind::Map => Kind::Text,
                Kind::Alerts => Kind::Alert,
                Kind::Samples => Kind::Sample,
                _ => Kind::Other,
            };
            let text = format!("{}[{}]", of.part(), name.text);
            Ok(Value {
                absent: kind == Kind::Text,
                ..Value::new(&text, kind)
            })
        }),
        ("print", _) => Ok(function("print", &all, None, Kind::Text)),
        ("println", _) => {
            let printed = function("print", &all, None, Kind::Text).text;
            Ok(Value::compound(format!("{printed} ~ \"\\n\""), Kind::Text))
        }
        ("html", [_]) => Ok(function("escape", arguments, piped, Kind::Text)),
        ("urlquery", [_]) => Ok(function("urlQueryEscape", arguments, piped, Kind::Text)),
        _ => Err(Untranslatable::new(line, format!("the function `{name}`"))),
    }
}

/// Writes functions that only Prometheus has: `query`, and those for its result.
fn of_rule(name: &str, all: &[Value]) -> Option<Value> {
    // A chain of filters continues.
    Some(match (name, all) {
        ("query", [text]) => Value::new(&format!("query({})", text.operand()), Kind::Samples),
        ("first", [of]) => piped(of, "first".into(), Kind::Sample),
        ("value", [of]) => piped(of, "value".into(), Kind::Number),
        ("strvalue", [of]) => piped(of, "strvalue".into(), Kind::Text),
        ("label", [label, of]) => piped(of, format!("label({})", label.operand()), Kind::Text),
        ("sortByLabel", [label, of]) => piped(
            of,
            format!("sortByLabel({})", label.operand()),
            Kind::Samples,
        ),
        ("args", _) => function("args", all, None, Kind::Args),
        ("now", []) => Value::new("now", Kind::Number),
        _ => return None,
    })
}

/// Writes a filter if there is a first value, else a function.
fn function(name: &str, arguments: &[Value], piped: Option<Value>, kind: Kind) -> Value {
    let text = match (arguments, piped) {
        ([], Some(piped)) => format!("{} | {name}", piped.part()),
        (arguments, Some(piped)) => format!("{} | {name}({})", piped.part(), listed(arguments)),
        ([one], None)
            if !matches!(
                name,
                "print" | "printf" | "stringSlice" | "list" | "slice" | "args"
            ) =>
        {
            format!("{} | {name}", one.part())
        }
        (arguments, None) => return Value::new(&format!("{name}({})", listed(arguments)), kind),
    };
    // A filter binds closer than any operator.
    Value::new(&text, kind)
}

/// Writes `to` behind a pipe.
fn piped(of: &Value, to: String, kind: Kind) -> Value {
    let before = match of.kind {
        Kind::Samples | Kind::Sample => of.text.clone(),
        _ => of.part(),
    };
    let text = format!("{before} | {to}");
    match kind {
        Kind::Samples | Kind::Sample => Value::compound(text, kind),
        _ => Value::new(&text, kind),
    }
}

fn listed(values: &[Value]) -> String {
    values
        .iter()
        .map(|value| {
            if value.absent {
                value.operand()
            } else {
                value.text.clone()
            }
        })
        .collect::<Vec<_>>()
        .join(", ")
}

fn operator(a: &Value, operator: &str, b: &Value) -> Value {
    Value::compound(
        format!("{} {operator} {}", a.operand(), b.operand()),
        Kind::Other,
    )
}

fn joined(parts: impl Iterator<Item = String>, by: &str) -> Value {
    Value::compound(parts.collect::<Vec<_>>().join(by), Kind::Other)
}
