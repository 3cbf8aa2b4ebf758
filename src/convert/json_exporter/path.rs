//! Paths of json_exporter, which are those of Kubernetes, as JSONPath of RFC 9535.
//!
//! Source: `k8s.io/client-go/util/jsonpath`.

use serde_json_path::JsonPath;

/// Longest path in bytes: filters are within each other.
const LONGEST: usize = 1_000;

/// Returns the JSONPath of RFC 9535 for one of Kubernetes; `None` if there is none.
pub(super) fn json_path(path: &str) -> Option<String> {
    let inner = path.trim().strip_prefix('{')?.strip_suffix('}')?.trim();
    if inner.contains(['{', '}']) || inner.starts_with("range") || inner.len() > LONGEST {
        return None;
    }
    let inner = inner.strip_prefix(['$', '@']).unwrap_or(inner);
    let converted = match inner {
        "" | "." => "$".to_owned(),
        _ if inner.starts_with(['.', '[']) => format!("${}", segments(inner)?),
        _ => format!("${}", segments(&format!(".{inner}"))?),
    };
    JsonPath::parse(&converted).is_ok().then_some(converted)
}

/// Converts what is behind `$` or `@`: `.used-bytes[0]` is `['used-bytes'][0]`.
fn segments(text: &str) -> Option<String> {
    let (mut out, mut rest) = (String::new(), text);
    while !rest.is_empty() {
        if let Some(behind) = rest.strip_prefix('[') {
            let (inner, after) = bracketed(behind)?;
            let filter = inner.strip_prefix("?(");
            out += &match filter.and_then(|filter| filter.strip_suffix(')')) {
                Some(filter) => format!("[?({})]", condition(filter)?),
                None => format!("[{inner}]"),
            };
            rest = after;
            continue;
        }
        let behind = rest.strip_prefix('.')?;
        let is_descendant = behind.starts_with('.');
        let (name, after) = field(behind.strip_prefix('.').unwrap_or(behind))?;
        out += match (is_descendant, is_shorthand(&name)) {
            (true, _) => "..",
            (false, true) => ".",
            (false, false) => "",
        };
        out += &match is_shorthand(&name) {
            true => name,
            false => format!("['{}']", name.replace('\\', "\\\\").replace('\'', "\\'")),
        };
        rest = after;
    }
    Some(out)
}

/// Returns the name of a field, in which a backslash stands before what would end it, and what is behind it.
fn field(text: &str) -> Option<(String, &str)> {
    const ENDS: [char; 8] = ['.', ',', '[', ']', '$', '@', '{', '}'];
    let mut name = String::new();
    let mut chars = text.char_indices();
    let mut rest = "";
    while let Some((at, c)) = chars.next() {
        if c == '\\' {
            name.push(chars.next()?.1);
        } else if ENDS.contains(&c) || c.is_whitespace() {
            rest = &text[at..];
            break;
        } else {
            name.push(c);
        }
    }
    (!name.is_empty()).then_some((name, rest))
}

/// Returns whether a name may stand behind a dot.
fn is_shorthand(name: &str) -> bool {
    let is_letter = |c: char| c.is_ascii_alphabetic() || c == '_' || !c.is_ascii();
    name == "*"
        || (name.starts_with(is_letter) && name.chars().all(|c| is_letter(c) || c.is_ascii_digit()))
}

/// Splits behind the bracket that ends `text`, which is within one.
fn bracketed(text: &str) -> Option<(&str, &str)> {
    let (mut depth, mut quote) = (1, None);
    for (at, c) in text.char_indices() {
        match (c, quote) {
            (c, Some(end)) if c == end => quote = None,
            ('"' | '\'', None) => quote = Some(c),
            ('[', None) => depth += 1,
            (']', None) => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some((&text[..at], &text[at + 1..]));
        }
    }
    None
}

/// Converts the inside of a filter: `@.is-up==true` is `@['is-up'] == true`.
fn condition(text: &str) -> Option<String> {
    let is_operator = |c: char| matches!(c, '!' | '<' | '>' | '=');
    let Some(at) = text.find(is_operator) else {
        return operand(text);
    };
    let (left, behind) = text.split_at(at);
    let (operator, right) = behind.split_at(behind.find(|c: char| !is_operator(c))?);
    Some(format!("{} {operator} {}", operand(left)?, operand(right)?))
}

fn operand(text: &str) -> Option<String> {
    let text = text.trim();
    let start = text.chars().next()?;
    match text.strip_prefix(['@', '$']) {
        Some(rest) => Some(format!("{start}{}", segments(rest)?)),
        None if start == '.' => Some(format!("@{}", segments(text)?)),
        None => Some(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_kubernetes() {
        for (path, expected) in [
            ("{.counter}", "$.counter"),
            ("{ .a.b[0] }", "$.a.b[0]"),
            ("{.values[*]}", "$.values[*]"),
            ("{[*]}", "$[*]"),
            ("{$.x}", "$.x"),
            ("{@}", "$"),
            ("{.}", "$"),
            ("{..name}", "$..name"),
            ("{x}", "$.x"),
            (
                "{.v[?(@.state == \"ACTIVE\")]}",
                "$.v[?(@.state == \"ACTIVE\")]",
            ),
            ("{.a\\.b.c[1].d}", "$['a.b'].c[1].d"),
            ("{['a b']}", "$['a b']"),
            ("{.used-bytes}", "$['used-bytes']"),
            ("{.it\\'s.*}", "$['it\\'s'].*"),
            ("{..is-up}", "$..['is-up']"),
            ("{.v[?(@.is-up==true)].a}", "$.v[?(@['is-up'] == true)].a"),
            ("{.v[?(.a[0].b)]}", "$.v[?(@.a[0].b)]"),
            ("{.v[?(@.a == ']')]}", "$.v[?(@.a == ']')]"),
            ("{.v[0:2]['a','b-c']}", "$.v[0:2]['a','b-c']"),
        ] {
            assert_eq!(json_path(path).as_deref(), Some(expected), "{path}");
        }
        for path in [
            "",
            "x",
            "planet-{.x}",
            "{range .a[*]}{.b}{end}",
            "{.a[}",
            "{.a\\",
            "{.a\\}",
            "{.a .b}",
            "{.a.}",
            "{.v[?(@.a==)]}",
            &format!("{{{}", "[?(@".repeat(100_000)),
            &format!("{{{}}}", "[?(@".repeat(100_000)),
        ] {
            assert_eq!(json_path(path), None, "{path}");
        }
    }
}
