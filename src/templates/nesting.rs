//! How deep a template is nested, found before it is parsed.
//!
//! minijinja bounds brackets and blocks, but signs, branches and operators in a row it takes at
//! any length, and its parser, its code generator and its destructors recurse over them.

use minijinja::{Error, ErrorKind};

use crate::model::MAX_NESTING;

/// Blocks that an `end...` closes; `set` is one where nothing is assigned.
const BLOCKS: [&str; 8] = ["if", "for", "with", "macro", "call", "filter", "block", "autoescape"];
const OPERATORS: [&str; 7] = ["not", "and", "or", "in", "is", "if", "else"];

/// Refuses a template that is nested deeper than [`MAX_NESTING`].
pub(super) fn check(source: &str) -> Result<(), Error> {
    // For each open block how many levels it adds: a branch is a block inside of the one before.
    let mut blocks: Vec<usize> = Vec::new();
    let mut rest = source;
    while let Some(open) =
        rest.find("{{").into_iter().chain(rest.find("{%")).chain(rest.find("{#")).min()
    {
        let (kind, inside) = (&rest[open..open + 2], &rest[open + 2..]);
        if kind == "{#" {
            let Some(end) = inside.find("#}") else { return Ok(()) };
            rest = &inside[end + 2..];
            continue;
        }
        let tag = Tag::read(inside, if kind == "{{" { "}}" } else { "%}" });
        rest = tag.rest;
        if kind == "{%" {
            match tag.first {
                "raw" => {
                    let Some(end) = end_of_raw(rest) else { return Ok(()) };
                    rest = &rest[end..];
                }
                "elif" => {
                    if let Some(levels) = blocks.last_mut() {
                        *levels += 1;
                    }
                }
                "set" if !tag.assigns => blocks.push(1),
                word if BLOCKS.contains(&word) => blocks.push(1),
                word if word.starts_with("end") => {
                    blocks.pop();
                }
                _ => {}
            }
        }
        if blocks.iter().sum::<usize>() + tag.deepest > MAX_NESTING {
            return Err(Error::new(
                ErrorKind::SyntaxError,
                format!("nested deeper than {MAX_NESTING} levels"),
            ));
        }
    }
    Ok(())
}

/// Where `{% endraw %}` begins.
fn end_of_raw(text: &str) -> Option<usize> {
    let mut from = 0;
    while let Some(open) = text[from..].find("{%") {
        let at = from + open;
        let inside = text[at + 2..].trim_start_matches(['-', '+']).trim_start();
        if inside.starts_with("endraw") {
            return Some(at);
        }
        from = at + 2;
    }
    None
}

/// One pair of brackets, or the tag itself.
#[derive(Default)]
struct Level {
    /// Operators since the last comma.
    operators: usize,
    /// What follows a value: `.x`, `[x]`, `(x)`.
    after: usize,
}

struct Tag<'s> {
    first: &'s str,
    assigns: bool,
    deepest: usize,
    /// What follows the tag.
    rest: &'s str,
}

impl<'s> Tag<'s> {
    /// Reads up to `close`.
    fn read(text: &'s str, close: &str) -> Self {
        let mut tag = Tag { first: "", assigns: false, deepest: 0, rest: "" };
        let mut levels = vec![Level::default()];
        let mut after_value = false;
        let mut at = 0;
        while let Some(c) = text[at..].chars().next() {
            let rest = &text[at..];
            if rest.starts_with(close) && (close == "%}" || levels.len() == 1) {
                tag.rest = &rest[2..];
                return tag;
            }
            let top = levels.len() - 1;
            let mut length = c.len_utf8();
            match c {
                '"' | '\'' => {
                    length = quoted(rest, c);
                    after_value = true;
                }
                '(' | '[' | '{' => {
                    levels[top].after += usize::from(after_value);
                    levels.push(Level::default());
                    after_value = false;
                }
                ')' | ']' | '}' => {
                    if top > 0 {
                        levels.pop();
                    }
                    after_value = true;
                }
                ',' | ':' => {
                    levels[top] = Level::default();
                    after_value = false;
                }
                '=' if !rest.starts_with("==") => {
                    tag.assigns |= top == 0;
                    levels[top] = Level::default();
                    after_value = false;
                }
                '.' => levels[top].after += 1,
                '0'..='9' => {
                    length = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
                    after_value = true;
                }
                _ if c.is_alphabetic() || c == '_' => {
                    let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_'));
                    let word = &rest[..end.unwrap_or(rest.len())];
                    length = word.len();
                    if tag.first.is_empty() {
                        tag.first = word;
                    }
                    after_value = !OPERATORS.contains(&word);
                    if !after_value {
                        levels[top] = Level { operators: levels[top].operators + 1, after: 0 };
                    }
                }
                '-' | '+' | '*' | '/' | '%' | '~' | '=' | '!' | '<' | '>' | '|' => {
                    let two = ["**", "//", "==", "!=", "<=", ">="];
                    length = if two.iter().any(|two| rest.starts_with(two)) { 2 } else { 1 };
                    levels[top] = Level { operators: levels[top].operators + 1, after: 0 };
                    after_value = false;
                }
                _ => {}
            }
            at += length;
            let depth = levels.iter().map(|level| 1 + level.operators + level.after).sum();
            tag.deepest = tag.deepest.max(depth);
        }
        tag
    }
}

/// How long the text in quotes is that begins here.
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::templates::{compile, environment};

    #[test]
    fn what_recurses_is_counted() {
        let deep = |n: usize| {
            [
                format!("{{{{ {}1 }}}}", "-".repeat(n)),
                format!("{{{{ {}1 }}}}", "not ".repeat(n)),
                format!("{{{{ {}1{} }}}}", "(".repeat(n), ")".repeat(n)),
                format!("{{{{ {}1{} }}}}", "[".repeat(n), "]".repeat(n)),
                format!("{{{{ {}1{} }}}}", "{'a': ".repeat(n), "}".repeat(n)),
                format!("{{{{ x{} }}}}", "[0]".repeat(n)),
                format!("{{{{ x{} }}}}", ".y".repeat(n)),
                format!("{{{{ x{} }}}}", "()".repeat(n)),
                format!("{{{{ x{} }}}}", " | upper".repeat(n)),
                format!("{{{{ 1{} }}}}", " + 1".repeat(n)),
                format!("{{{{ 1{} }}}}", " ~ 'a'".repeat(n)),
                format!("{{{{ 1{} }}}}", " if 1 else 1".repeat(n)),
                format!("{{{{ 1{} }}}}", " is defined".repeat(n)),
                format!("{{{{ {}1{} }}}}", "abs(".repeat(n), ")".repeat(n)),
                format!("{}{}", "{% if 1 %}".repeat(n), "{% endif %}".repeat(n)),
                format!("{{% if 1 %}}{}{{% endif %}}", "{% elif 1 %}".repeat(n)),
                format!("{}{}", "{% for x in y %}".repeat(n), "{% endfor %}".repeat(n)),
                format!("{}{}", "{% with %}".repeat(n), "{%- endwith -%}".repeat(n)),
                format!("{}{}", "{% filter upper %}".repeat(n), "{% endfilter %}".repeat(n)),
                format!("{}{}", "{% set x %}".repeat(n), "{% endset %}".repeat(n)),
            ]
        };
        let mut environment = environment();
        for source in deep(30) {
            compile(&mut environment, "deep", &source).unwrap_or_else(|e| panic!("{source}: {e}"));
        }
        for source in deep(20_000) {
            let error = compile(&mut environment, "deep", &source).unwrap_err();
            assert_eq!(error.detail(), Some("nested deeper than 100 levels"), "{}", &source[..40]);
        }
    }

    #[test]
    fn what_is_long_and_not_deep_is_taken() {
        for source in [
            "{{ labels.a }} -- ".repeat(1_000),
            "{% if a %}x{% endif %}".repeat(1_000),
            "{% set x = 1 %}".repeat(1_000),
            format!("{{{{ [{}] }}}}", "-1, ".repeat(1_000)),
            format!("{{{{ '{}' }}}}", "(".repeat(1_000)),
            format!("{{{{ \"\\\"{}\" }}}}", "-".repeat(1_000)),
            format!(
                "{{# {} #}}{{% raw %}}{}{{% endraw %}}",
                "{{ ((".repeat(200),
                "{{ ((".repeat(200)
            ),
            "((".repeat(1_000),
        ] {
            assert!(check(&source).is_ok(), "{}", &source[..40]);
        }
    }
}
