//! Regular expressions of a program: groups get names, and conditions that hold for one line become one expression.

use regex::bytes::Regex;

/// Fields of the whole line, one for each further condition on it.
const LINE: &str = "line";

/// Returns the expression with a name for its group `number`, `group1` for the first, unless it has one.
pub(super) fn with_named_groups(source: &str) -> String {
    let mut out = String::with_capacity(source.len() + 16);
    let (mut chars, mut in_class, mut number) = (source.chars().peekable(), false, 0);
    while let Some(c) = chars.next() {
        out.push(c);
        match c {
            '\\' => out.extend(chars.next()),
            '[' if !in_class => {
                in_class = true;
                // A bracket that comes first is a member.
                if chars.peek() == Some(&'^') {
                    out.extend(chars.next());
                }
                if chars.peek() == Some(&']') {
                    out.extend(chars.next());
                }
            }
            ']' => in_class = false,
            '(' if !in_class => {
                let rest: String = chars.clone().take(3).collect();
                if rest.starts_with("?P<")
                    || (rest.starts_with("?<")
                        && !rest.starts_with("?<=")
                        && !rest.starts_with("?<!"))
                {
                    number += 1;
                } else if !rest.starts_with('?') {
                    number += 1;
                    out.push_str(&format!("?P<{}>", group(number)));
                }
            }
            _ => {}
        }
    }
    out
}

/// Name of a group that has none.
pub(super) fn group(number: usize) -> String {
    format!("group{number}")
}

/// Returns the field of a reference such as `$name` or `$1` to a group of the expression; `None` if there is no such group.
pub(super) fn field(expression: &str, reference: &str) -> Option<String> {
    let regex = Regex::new(expression).ok()?;
    let name = match reference.parse::<usize>() {
        Ok(number) => regex.capture_names().nth(number)??.to_owned(),
        Err(_) => reference.to_owned(),
    };
    regex
        .capture_names()
        .flatten()
        .any(|known| known == name)
        .then_some(name)
}

/// Returns the expression with a text in place of its group `name`; `None` if the group does not match the text.
pub(super) fn narrowed(expression: &str, name: &str, text: &str) -> Option<String> {
    let head = format!("(?P<{name}>");
    let (before, behind) = expression.split_once(&head)?;
    let (mut depth, mut in_class, mut chars) = (0_usize, false, behind.char_indices());
    let end = loop {
        let (at, c) = chars.next()?;
        match c {
            '\\' => drop(chars.next()),
            '[' => in_class = true,
            ']' => in_class = false,
            '(' if !in_class => depth += 1,
            ')' if !in_class && depth == 0 => break at,
            ')' if !in_class => depth -= 1,
            _ => {}
        }
    };
    let group = Regex::new(&format!("^(?:{})$", &behind[..end])).ok()?;
    let text = group
        .is_match(text.as_bytes())
        .then(|| regex::escape(text))?;
    Some(format!("{before}{head}{text}{}", &behind[end..]))
}

/// Returns one expression whose groups are those of `main`, and fields with the conditions that the `others` match, too.
/// `None` if `main` cannot be made to match the whole line.
pub(super) fn joined(main: &str, others: &[&str]) -> Option<(String, Vec<(String, String)>)> {
    if others.is_empty() {
        return Some((main.to_owned(), Vec::new()));
    }
    let mut expression = whole_line(main)?;
    let mut conditions = Vec::new();
    for (number, other) in (1..).zip(others) {
        let field = format!("{LINE}{number}");
        expression = format!("(?P<{field}>{expression})");
        conditions.push((field, within(other)));
    }
    Some((format!("^{expression}$"), conditions))
}

/// Returns an expression for a whole text that holds what `expression` matches.
pub(super) fn within(expression: &str) -> String {
    match (expression.strip_prefix('^'), is_alternation(expression)) {
        (Some(anchored), false) if !ends_with_anchor(anchored) => format!("{anchored}.*"),
        _ => format!("(?s:.*?)(?:{expression})(?s:.*)"),
    }
}

/// Returns the expression without anchors, with the rest of the line around it.
fn whole_line(expression: &str) -> Option<String> {
    let has_anchor = expression.starts_with('^') || ends_with_anchor(expression);
    if is_alternation(expression) {
        // The anchors belong to some of the alternatives.
        return (!has_anchor && !expression.contains(['^', '$']))
            .then(|| format!(".*?(?:{expression}).*"));
    }
    let (before, rest) = match expression.strip_prefix('^') {
        Some(rest) => ("", rest),
        None => (".*?", expression),
    };
    let (rest, behind) = match ends_with_anchor(rest) {
        true => (&rest[..rest.len() - 1], ""),
        false => (rest, ".*"),
    };
    Some(format!("{before}{rest}{behind}"))
}

fn ends_with_anchor(expression: &str) -> bool {
    let Some(before) = expression.strip_suffix('$') else {
        return false;
    };
    let backslashes = before.len() - before.trim_end_matches('\\').len();
    backslashes % 2 == 0
}

/// Returns whether an expression has a `|` outside of groups.
fn is_alternation(expression: &str) -> bool {
    let (mut depth, mut in_class, mut chars) = (0_usize, false, expression.chars());
    while let Some(c) = chars.next() {
        match c {
            '\\' => drop(chars.next()),
            '[' => in_class = true,
            ']' => in_class = false,
            '(' if !in_class => depth += 1,
            ')' if !in_class => depth = depth.saturating_sub(1),
            '|' if !in_class && depth == 0 => return true,
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_without_a_name_get_one() {
        for (source, expected) in [
            (
                "(a)(?:b)(?P<x>c)(d)",
                "(?P<group1>a)(?:b)(?P<x>c)(?P<group3>d)",
            ),
            (
                r"\((a)[(](b[]()]c)",
                r"\((?P<group1>a)[(](?P<group2>b[]()]c)",
            ),
            ("(?i)a[^](]", "(?i)a[^](]"),
        ] {
            assert_eq!(with_named_groups(source), expected);
        }
        let named = with_named_groups("(a)(?P<x>b)");
        assert_eq!(field(&named, "1").as_deref(), Some("group1"));
        assert_eq!(field(&named, "2").as_deref(), Some("x"));
        assert_eq!(field(&named, "x").as_deref(), Some("x"));
        assert_eq!(field(&named, "3"), None);
        assert_eq!(field(&named, "y"), None);
    }

    #[test]
    fn a_text_takes_the_place_of_a_group() {
        let expression = r"^(?P<a>\w+) (?P<b>[\w)]+\)(x)?)\[";
        assert_eq!(
            narrowed(expression, "b", "a)").as_deref(),
            Some(r"^(?P<a>\w+) (?P<b>a\))\[")
        );
        assert_eq!(narrowed(expression, "a", "b c"), None);
        assert_eq!(narrowed(expression, "c", "b"), None);
    }

    #[test]
    fn joined_expressions_hold_for_the_same_line() {
        for (main, other, line, holds) in [
            ("b=(?P<b>\\d)", "^a", "a b=1 c", true),
            ("b=(?P<b>\\d)", "^x", "a b=1 c", false),
            ("^a b=(?P<b>\\d)", "c$", "a b=1 c", true),
            ("b=(?P<b>\\d) c$", "a", "a b=1 c", true),
            ("b=(?P<b>\\d)|c", "a", "a b=1 c", true),
            ("b=(?P<b>\\d)", "q|a", "a b=1 c", true),
        ] {
            let (expression, conditions) = joined(main, &[other]).unwrap();
            let regex = Regex::new(&expression).unwrap();
            let captures = regex.captures(line.as_bytes()).unwrap();
            assert_eq!(&captures["b"], b"1", "{expression}");
            let whole = Regex::new(&format!("^(?:{})$", conditions[0].1)).unwrap();
            assert_eq!(
                whole.is_match(&captures[conditions[0].0.as_str()]),
                holds,
                "{main} {other}"
            );
        }
        assert_eq!(joined("^a|b", &["c"]), None);
        assert_eq!(joined("a", &[]), Some(("a".into(), Vec::new())));
    }
}
