//! Expansion of `${NAME}`, `${NAME:-default}`, `${NAME:?message}` and the same with `$<...>`.
//!
//! Any other text with a dollar stays as it is: `$1`, `${1}`, bare `$NAME`, Cypher's `$param`.
//! `$${` and `$$<` are escapes for `${` and `$<`. The value of a variable is not expanded again.

use std::ffi::OsString;

/// Error of a reference.
#[derive(Debug)]
pub(super) struct ReferenceError {
    pub(super) message: String,
    /// Hint for fixing it.
    pub(super) hint: Option<String>,
}

impl ReferenceError {
    fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hint: Some(hint.into()),
        }
    }
}

/// Expands the references in `text`; `lookup` returns the value of a variable.
///
/// # Errors
/// A reference is malformed, or its variable is not set.
pub(super) fn expand(
    text: &str,
    lookup: &dyn Fn(&str) -> Option<OsString>,
) -> Result<String, ReferenceError> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(dollar) = rest.find('$') {
        out.push_str(&rest[..dollar]);
        rest = &rest[dollar..];
        if rest.starts_with("$${") || rest.starts_with("$$<") {
            out.push_str(&rest[1..3]);
            rest = &rest[3..];
            continue;
        }
        let Some((inside, close)) = opening(rest) else {
            out.push('$');
            rest = &rest[1..];
            continue;
        };
        let Some(end) = inside.find(close) else {
            return Err(ReferenceError::new(
                format!("unterminated reference: {rest}"),
                format!(
                    "close it with {close:?}, or write $${} for the characters themselves",
                    &rest[1..2]
                ),
            ));
        };
        out.push_str(&resolve(&inside[..end], close, lookup)?);
        rest = &inside[end + close.len_utf8()..];
    }
    out.push_str(rest);
    Ok(out)
}

/// Returns true if `text` is one reference to a variable without a default or a message, and nothing else.
#[must_use]
pub fn is_reference(text: &str) -> bool {
    let reference = opening(text).and_then(|(inside, close)| inside.strip_suffix(close));
    reference.is_some_and(|name| name_end(name) == name.len())
}

/// Returns the text behind `${` or `$<`, and the closing character, if a variable name begins there.
fn opening(text: &str) -> Option<(&str, char)> {
    let text = text.strip_prefix('$')?;
    let (inside, close) = match text.chars().next()? {
        '{' => (&text[1..], '}'),
        '<' => (&text[1..], '>'),
        _ => return None,
    };
    let first = inside.chars().next()?;
    (first.is_ascii_alphabetic() || first == '_').then_some((inside, close))
}

/// Returns the length of the variable name at the beginning of a reference.
fn name_end(reference: &str) -> usize {
    reference
        .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .unwrap_or(reference.len())
}

fn resolve(
    reference: &str,
    close: char,
    lookup: &dyn Fn(&str) -> Option<OsString>,
) -> Result<String, ReferenceError> {
    let (name, operator) = reference.split_at(name_end(reference));
    let value = lookup(name)
        .map(OsString::into_string)
        .transpose()
        .map_err(|_| {
            ReferenceError::new(
                format!("environment variable {name} is not UTF-8 text"),
                "set it to text in UTF-8",
            )
        })?;
    if operator.is_empty() {
        return value.ok_or_else(|| {
            let open = if close == '}' { "${" } else { "$<" };
            ReferenceError::new(
                format!("environment variable {name} is not set"),
                format!(
                    "set it, give a default: {open}{name}:-default{close}, or write ${open} for \
                     {open} itself"
                ),
            )
        });
    }
    let set = value.filter(|value| !value.is_empty());
    if operator.contains("${") || operator.contains("$<") {
        return Err(ReferenceError::new(
            format!("a reference inside the reference to {name}"),
            "references do not nest",
        ));
    }
    if let Some(default) = operator.strip_prefix(":-") {
        Ok(set.unwrap_or_else(|| default.to_owned()))
    } else if let Some(message) = operator.strip_prefix(":?") {
        set.ok_or_else(|| ReferenceError {
            message: format!("environment variable {name} is not set: {message}"),
            hint: None,
        })
    } else {
        Err(ReferenceError::new(
            format!("malformed reference to {name}: {operator:?} after the name"),
            "write :-default or :?message after the name",
        ))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt;

    use super::*;

    fn environment(name: &str) -> Option<OsString> {
        match name {
            "SET" => Some("value".into()),
            "EMPTY" => Some(OsString::new()),
            "TRICKY" => Some("${SET} $1 }".into()),
            "BYTES" => Some(OsString::from_vec(vec![b'a', 0xff])),
            _ => None,
        }
    }

    fn check(text: &str, expect: &str) {
        match expand(text, &environment) {
            Ok(got) => assert_eq!(got, expect, "{text}"),
            Err(error) => assert_eq!(format!("error: {}", error.message), expect, "{text}"),
        }
    }

    #[test]
    fn references() {
        check("a ${SET} b $<SET>", "a value b value");
        check("${NOT:-x:y-z} $<NOT:-9092>", "x:y-z 9092");
        check("${EMPTY:-default}|${EMPTY}|", "default||");
        check("${NOT:-}", "");
        check("${TRICKY}", "${SET} $1 }");
    }

    #[test]
    fn a_reference_is_what_is_expanded_as_a_whole() {
        for text in ["${SET}", "$<SET>", "${_1}"] {
            assert!(is_reference(text), "{text}");
        }
        for text in [
            "",
            "$",
            "$SET",
            "${}",
            "${1A}",
            "$<9>",
            "${é}",
            "é{A}",
            "${SET",
            "${SET>",
            "${SET:-x}",
            "${SET:?x}",
            "${SET}${SET}",
            " ${SET}",
            "$${SET}",
        ] {
            assert!(!is_reference(text), "{text}");
        }
    }

    #[test]
    fn other_dollars_stay() {
        for text in [
            "$1",
            "${1}",
            "$SET",
            "$",
            "a$",
            "$$",
            "${}",
            "$<>",
            "{{ $labels.x }}",
            "$param",
            "p$$w",
        ] {
            check(text, text);
        }
        check("$${SET} $$<SET>", "${SET} $<SET>");
    }

    #[test]
    fn malformed_references_are_errors() {
        check("${NOT}", "error: environment variable NOT is not set");
        check(
            "${BYTES:-default}",
            "error: environment variable BYTES is not UTF-8 text",
        );
        check(
            "${NOT:?give a name}",
            "error: environment variable NOT is not set: give a name",
        );
        check("${SET", "error: unterminated reference: ${SET");
        check(
            "${SET-x}",
            "error: malformed reference to SET: \"-x\" after the name",
        );
        check(
            "${A:-${SET}}",
            "error: a reference inside the reference to A",
        );
    }
}
