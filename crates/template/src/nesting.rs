//! Nesting depth of a template, checked before it is parsed; limits of the values that it sets.
//!
//! minijinja limits brackets and blocks, but accepts any number of signs, branches and operators in
//! a row, and its parser, its code generator and its destructors recurse over them. Values of a
//! rendering are limited by `bounds`, whose filters are put into the `set` tags here.

use std::borrow::Cow;

use bellwether_core::MAX_NESTING;
use minijinja::{Error, ErrorKind};

use super::bounds;

/// Blocks that an `end...` closes; `set` is one if it assigns nothing.
const BLOCKS: [&str; 8] = [
    "if",
    "for",
    "with",
    "macro",
    "call",
    "filter",
    "block",
    "autoescape",
];
const OPERATORS: [&str; 7] = ["not", "and", "or", "in", "is", "if", "else"];

/// Returns the template with limits on all values that it sets.
///
/// # Errors
/// It is nested deeper than [`MAX_NESTING`].
pub(super) fn prepared(source: &str) -> Result<Cow<'_, str>, Error> {
    check(source)?;
    let (mut out, mut from) = (String::new(), 0);
    for set in parts(source).filter_map(|part| part.set) {
        let filter = if set.is_part {
            bounds::PART
        } else {
            bounds::VARIABLE
        };
        match set.value {
            Some(value) => {
                out.push_str(&source[from..value]);
                out.push('(');
                out.push_str(&source[value..set.end]);
                out.push(')');
            }
            None => out.push_str(&source[from..set.end]),
        }
        out.push_str(" | ");
        out.push_str(filter);
        out.push(' ');
        from = set.end;
    }
    if from == 0 {
        return Ok(Cow::Borrowed(source));
    }
    out.push_str(&source[from..]);
    Ok(Cow::Owned(out))
}

/// Rejects a template that is nested deeper than [`MAX_NESTING`].
fn check(source: &str) -> Result<(), Error> {
    // For each open block how many levels it adds: a branch is a block inside of the one before.
    let mut blocks: Vec<usize> = Vec::new();
    for part in parts(source) {
        match part.step {
            Step::Opens => blocks.push(1),
            Step::Closes => drop(blocks.pop()),
            Step::Branches => {
                if let Some(levels) = blocks.last_mut() {
                    *levels += 1;
                }
            }
            Step::Sets | Step::None => {}
        }
        if blocks.iter().sum::<usize>() + part.deepest > MAX_NESTING {
            return Err(Error::new(
                ErrorKind::SyntaxError,
                format!("nested deeper than {MAX_NESTING} levels"),
            ));
        }
    }
    Ok(())
}

/// A part of a template that can be rendered by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece<'s> {
    pub(super) source: &'s str,
    /// True if it renders nothing and sets a variable for those after it.
    pub(super) sets: bool,
}

/// Splits the template into pieces: texts, values and whole blocks.
pub(super) fn pieces(source: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let (mut open, mut from) = (0_usize, 0);
    let mut put = |from: usize, to: usize, sets| {
        if from < to {
            pieces.push(Piece {
                source: &source[from..to],
                sets,
            });
        }
    };
    for part in parts(source) {
        if open == 0 {
            put(from, part.start, false);
            from = part.start;
        }
        match part.step {
            Step::Opens => open += 1,
            Step::Closes => open = open.saturating_sub(1),
            Step::Sets | Step::Branches | Step::None => {}
        }
        if open == 0 {
            put(from, part.end, part.step == Step::Sets);
            from = part.end;
        }
    }
    put(from, source.len(), false);
    pieces
}

/// Effect of a tag on the blocks around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Opens,
    Closes,
    Branches,
    Sets,
    None,
}

/// A tag or a comment; `raw` with all up to its end.
struct Part {
    start: usize,
    end: usize,
    step: Step,
    deepest: usize,
    set: Option<Set>,
}

/// Positions of a `set` tag.
#[derive(Clone, Copy)]
struct Set {
    /// Start of the value, if it is in the tag.
    value: Option<usize>,
    /// End of the tag, without the sign that trims blanks.
    end: usize,
    /// True if the value becomes a part of another one.
    is_part: bool,
}

/// The tags of a template in their order.
fn parts(source: &str) -> impl Iterator<Item = Part> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = &source[at..];
        let start = at
            + rest
                .match_indices('{')
                .map(|(brace, _)| brace)
                .find(|brace| rest[brace + 1..].starts_with(['{', '%', '#']))?;
        let part = Part::read(source, start);
        at = part.end;
        Some(part)
    })
}

impl Part {
    /// Reads the tag that begins at `start`.
    fn read(source: &str, start: usize) -> Self {
        let (kind, inside) = (&source[start..start + 2], &source[start + 2..]);
        let mut part = Self {
            start,
            end: source.len(),
            step: Step::None,
            deepest: 0,
            set: None,
        };
        if kind == "{#" {
            part.end = inside
                .find("#}")
                .map_or(source.len(), |end| start + 2 + end + 2);
            return part;
        }
        let tag = Tag::read(inside, if kind == "{{" { "}}" } else { "%}" });
        part.end = source.len() - tag.rest.len();
        part.deepest = tag.deepest;
        if kind == "{%" {
            part.set = tag.set(inside).map(|set| Set {
                value: set.value.map(|at| start + 2 + at),
                end: start + 2 + set.end,
                ..set
            });
            part.step = tag.step();
            if tag.first == "raw" {
                part.end = end_of_raw(tag.rest).map_or(source.len(), |end| part.end + end);
            }
        }
        part
    }
}

/// Returns the end of `{% endraw %}`.
fn end_of_raw(text: &str) -> Option<usize> {
    let mut from = 0;
    while let Some(open) = text[from..].find("{%") {
        let at = from + open;
        let inside = text[at + 2..].trim_start_matches(['-', '+']).trim_start();
        if inside.starts_with("endraw") {
            return inside
                .find("%}")
                .map(|end| text.len() - inside.len() + end + 2);
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
    /// Accesses after a value: `.x`, `[x]`, `(x)`.
    after: usize,
}

struct Tag<'s> {
    first: &'s str,
    /// End of the first `=` outside of brackets.
    assigns: Option<usize>,
    deepest: usize,
    /// Position of the closing, if there is one.
    closed: Option<usize>,
    /// Text after the tag.
    rest: &'s str,
}

impl<'s> Tag<'s> {
    /// Reads up to `close`.
    fn read(text: &'s str, close: &str) -> Self {
        let mut tag = Tag {
            first: "",
            assigns: None,
            deepest: 0,
            closed: None,
            rest: "",
        };
        let mut brackets = Brackets {
            levels: vec![Level::default()],
            after_value: false,
        };
        let mut at = 0;
        while let Some(c) = text[at..].chars().next() {
            let rest = &text[at..];
            if rest.starts_with(close) && (close == "%}" || brackets.levels.len() == 1) {
                (tag.closed, tag.rest) = (Some(at), &rest[2..]);
                return tag;
            }
            if c == '=' && !rest.starts_with("==") && brackets.levels.len() == 1 {
                tag.assigns.get_or_insert(at + 1);
            }
            let length = brackets.read(c, rest);
            if tag.first.is_empty() && is_word_start(c) {
                tag.first = &rest[..length];
            }
            at += length;
            let depth = brackets.depth();
            tag.deepest = tag.deepest.max(depth);
            // What follows makes it no less deep.
            if depth > MAX_NESTING {
                return tag;
            }
        }
        tag
    }
}

fn is_word_start(c: char) -> bool {
    c.is_alphabetic() || c == '_'
}

/// Open brackets of a tag, while it is read.
struct Brackets {
    levels: Vec<Level>,
    /// True behind a value, where a bracket is an access.
    after_value: bool,
}

impl Brackets {
    fn depth(&self) -> usize {
        let levels = self.levels.iter();
        levels.map(|level| 1 + level.operators + level.after).sum()
    }

    /// Reads the next piece of the tag, which begins with `c`. Returns its length.
    fn read(&mut self, c: char, rest: &str) -> usize {
        let top = self.levels.len() - 1;
        match c {
            '"' | '\'' => {
                self.after_value = true;
                return quoted(rest, c);
            }
            '(' | '[' | '{' => {
                self.levels[top].after += usize::from(self.after_value);
                self.levels.push(Level::default());
                self.after_value = false;
            }
            ')' | ']' | '}' => {
                if top > 0 {
                    self.levels.pop();
                }
                self.after_value = true;
            }
            ',' | ':' => self.begin_anew(),
            '=' if !rest.starts_with("==") => self.begin_anew(),
            '.' => self.levels[top].after += 1,
            '0'..='9' => {
                self.after_value = true;
                let end = rest.find(|c: char| !c.is_ascii_alphanumeric());
                return end.unwrap_or(rest.len());
            }
            _ if is_word_start(c) => return self.word(rest),
            '-' | '+' | '*' | '/' | '%' | '~' | '=' | '!' | '<' | '>' | '|' => {
                self.operator();
                let two = ["**", "//", "==", "!=", "<=", ">="];
                let is_two = two.iter().any(|two| rest.starts_with(two));
                return 1 + usize::from(is_two);
            }
            _ => {}
        }
        c.len_utf8()
    }

    fn word(&mut self, rest: &str) -> usize {
        let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_'));
        let word = &rest[..end.unwrap_or(rest.len())];
        if OPERATORS.contains(&word) {
            self.operator();
        } else {
            self.after_value = true;
        }
        word.len()
    }

    /// Begins a new expression on the same level.
    fn begin_anew(&mut self) {
        let top = self.levels.len() - 1;
        self.levels[top] = Level::default();
        self.after_value = false;
    }

    fn operator(&mut self) {
        let top = self.levels.len() - 1;
        self.levels[top].operators += 1;
        self.levels[top].after = 0;
        self.after_value = false;
    }
}

impl Tag<'_> {
    /// Returns the effect of a statement on the depth.
    fn step(&self) -> Step {
        match self.first {
            "raw" => Step::None,
            "elif" => Step::Branches,
            "set" if self.assigns.is_some() => Step::Sets,
            "set" => Step::Opens,
            word if BLOCKS.contains(&word) => Step::Opens,
            word if word.starts_with("end") => Step::Closes,
            _ => Step::None,
        }
    }

    /// Returns the positions of a `set` tag in `text`, which begins with the tag.
    fn set(&self, text: &str) -> Option<Set> {
        let closed = self.closed.filter(|_| self.first == "set")?;
        let end = match text[..closed].ends_with(['-', '+']) {
            true => closed - 1,
            false => closed,
        };
        let target = self.assigns.map_or("", |value| &text[..value]);
        // Without a value it is no tag; the parser has a better error.
        if self
            .assigns
            .is_some_and(|value| text[value..end].trim().is_empty())
        {
            return None;
        }
        Some(Set {
            value: self.assigns,
            end,
            is_part: target.contains('.'),
        })
    }
}

/// Returns the length of the quoted text at the beginning.
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
    use crate::{compile, environment};

    /// Templates that are nested `n` deep, one per kind of nesting.
    fn deep(n: usize) -> [String; 20] {
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
            format!(
                "{}{}",
                "{% for x in y %}".repeat(n),
                "{% endfor %}".repeat(n)
            ),
            format!("{}{}", "{% with %}".repeat(n), "{%- endwith -%}".repeat(n)),
            format!(
                "{}{}",
                "{% filter upper %}".repeat(n),
                "{% endfilter %}".repeat(n)
            ),
            format!("{}{}", "{% set x %}".repeat(n), "{% endset %}".repeat(n)),
        ]
    }

    #[test]
    fn what_recurses_is_counted() {
        let mut environment = environment();
        for source in deep(30) {
            compile(&mut environment, "deep", &source).unwrap_or_else(|e| panic!("{source}: {e}"));
        }
        for source in deep(20_000) {
            let error = compile(&mut environment, "deep", &source).unwrap_err();
            assert_eq!(
                error.detail(),
                Some("nested deeper than 100 levels"),
                "{}",
                &source[..40]
            );
        }
    }

    #[test]
    fn a_template_comes_in_pieces() {
        let source = "a {{ b }} c{% set x = '%}' %}{% if x %}{{ y }}{% else %}z{% endif %}\
                      {# {{ #}{% raw %}{{{% endraw %} d";
        let found = pieces(source);
        let expected = [
            "a ",
            "{{ b }}",
            " c",
            "{% set x = '%}' %}",
            "{% if x %}{{ y }}{% else %}z{% endif %}",
            "{# {{ #}",
            "{% raw %}{{{% endraw %}",
            " d",
        ];
        assert_eq!(
            found.iter().map(|piece| piece.source).collect::<Vec<_>>(),
            expected
        );
        assert!(
            found
                .iter()
                .all(|piece| piece.sets == piece.source.contains("set x"))
        );
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
