//! Functions and operators.

use super::super::Foreign;
use super::Dialect;
use super::value::{Kind, Value};

/// Functions that are there under the same name, and what they give.
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

/// `name` of `given`, and of what is piped, which comes last.
pub(super) fn call(
    dialect: Dialect,
    name: &str,
    given: &[Value],
    piped: Option<Value>,
    line: u32,
) -> Result<Value, Foreign> {
    let mut all: Vec<Value> = given.to_vec();
    all.extend(piped.clone());
    if let Some((_, kind)) = SAME.iter().find(|(known, _)| *known == name) {
        return Ok(function(name, given, piped, *kind));
    }
    if let (Dialect::Rule, Some(value)) = (dialect, of_rule(name, &all)) {
        return Ok(value);
    }
    match (name, all.as_slice()) {
        ("true" | "false", []) => Ok(Value::new(name, Kind::Other)),
        ("nil", []) => Ok(Value::new("none", Kind::Other)),
        ("externalURL", []) => Ok(Value::new("external_url", Kind::Text)),
        ("pathPrefix", []) => Ok(Value::new("external_url | urlPath", Kind::Text)),
        // A duration, which is shown as Go shows one.
        ("since", [time]) => Ok(Value::new(
            &format!("{} | since | toDuration", time.part()),
            Kind::Other,
        )),
        ("eq", [a, b]) => Ok(operator(a, "==", b)),
        // Each value is written once, so that what is nested does not double.
        ("eq", [first, others @ ..]) if !others.is_empty() => {
            let others: Vec<_> = others.iter().map(Value::given).collect();
            let text = format!("{} in [{}]", first.given(), others.join(", "));
            Ok(Value::compound(text, Kind::Other))
        }
        ("ne", [a, b]) => Ok(operator(a, "!=", b)),
        ("lt", [a, b]) => Ok(operator(a, "<", b)),
        ("le", [a, b]) => Ok(operator(a, "<=", b)),
        ("gt", [a, b]) => Ok(operator(a, ">", b)),
        ("ge", [a, b]) => Ok(operator(a, ">=", b)),
        ("and" | "or", [_, ..]) => {
            let joined = joined(all.iter().map(Value::part), &format!(" {name} "));
            // The last may be what it gives.
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
        ("html", [_]) => Ok(function("escape", given, piped, Kind::Text)),
        ("urlquery", [_]) => Ok(function("urlQueryEscape", given, piped, Kind::Text)),
        _ => Err(Foreign::new(line, format!("the function `{name}`"))),
    }
}

/// What Prometheus has beside Alertmanager: `query`, and what takes its answer apart.
fn of_rule(name: &str, all: &[Value]) -> Option<Value> {
    // A chain of filters goes on as it is.
    let chain = |of: &Value| match of.kind {
        Kind::Samples | Kind::Sample => of.text.clone(),
        _ => of.part(),
    };
    let piped = |of: &Value, to: String, kind: Kind| {
        let text = format!("{} | {to}", chain(of));
        match kind {
            Kind::Samples | Kind::Sample => Value::compound(text, kind),
            _ => Value::new(&text, kind),
        }
    };
    Some(match (name, all) {
        ("query", [text]) => Value::new(&format!("query({})", text.given()), Kind::Samples),
        ("first", [of]) => piped(of, "first".into(), Kind::Sample),
        ("value", [of]) => piped(of, "value".into(), Kind::Number),
        ("strvalue", [of]) => piped(of, "strvalue".into(), Kind::Text),
        ("label", [label, of]) => piped(of, format!("label({})", label.given()), Kind::Text),
        ("sortByLabel", [label, of]) => {
            piped(of, format!("sortByLabel({})", label.given()), Kind::Samples)
        }
        ("args", _) => function("args", all, None, Kind::Args),
        ("now", []) => Value::new("now", Kind::Number),
        _ => return None,
    })
}

/// As a filter where there is a value to begin with, else as a function.
fn function(name: &str, given: &[Value], piped: Option<Value>, kind: Kind) -> Value {
    let texts = |values: &[Value]| {
        let given = |value: &Value| {
            if value.absent {
                value.given()
            } else {
                value.text.clone()
            }
        };
        values.iter().map(given).collect::<Vec<_>>().join(", ")
    };
    let text = match (given, piped) {
        ([], Some(piped)) => format!("{} | {name}", piped.part()),
        (given, Some(piped)) => format!("{} | {name}({})", piped.part(), texts(given)),
        ([one], None)
            if !matches!(
                name,
                "print" | "printf" | "stringSlice" | "list" | "slice" | "args"
            ) =>
        {
            format!("{} | {name}", one.part())
        }
        (given, None) => return Value::new(&format!("{name}({})", texts(given)), kind),
    };
    // A filter binds closer than any operator.
    Value::new(&text, kind)
}

fn operator(a: &Value, operator: &str, b: &Value) -> Value {
    Value::compound(
        format!("{} {operator} {}", a.given(), b.given()),
        Kind::Other,
    )
}

fn joined(parts: impl Iterator<Item = String>, by: &str) -> Value {
    Value::compound(parts.collect::<Vec<_>>().join(by), Kind::Other)
}
