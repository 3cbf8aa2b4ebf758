//! Replacement of a match: a text with `$1`, `${name}` and `$$`.

use super::Captures;

/// A parsed replacement text.
#[derive(Clone, Debug)]
pub struct Replacement(Vec<Piece>);

#[derive(Clone, Debug, PartialEq)]
enum Piece {
    Text(String),
    Group(usize),
    Named(String),
}

impl Replacement {
    /// Parses a replacement as Go's `regexp.Expand` does: a `$` without the name of a group is
    /// literal.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let mut pieces = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            plain.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix('$') {
                plain.push('$');
                rest = after;
            } else if let Some((name, after)) = name(rest) {
                if !plain.is_empty() {
                    pieces.push(Piece::Text(std::mem::take(&mut plain)));
                }
                pieces.push(
                    name.parse()
                        .map_or_else(|_| Piece::Named(name.into()), Piece::Group),
                );
                rest = after;
            } else {
                plain.push('$');
            }
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            pieces.push(Piece::Text(plain));
        }
        Self(pieces)
    }

    fn parts<'a>(&'a self, captures: &Captures<'a>) -> impl Iterator<Item = &'a str> {
        self.0.iter().map(move |piece| match piece {
            Piece::Text(text) => text.as_str(),
            Piece::Group(index) => captures.group(*index),
            Piece::Named(name) => captures.named(name),
        })
    }

    /// Returns the length of [`Replacement::expand`], in bytes.
    #[must_use]
    pub fn length<'a>(&'a self, captures: &Captures<'a>) -> usize {
        self.parts(captures)
            .fold(0, |length, part| length.saturating_add(part.len()))
    }

    /// Returns the text with the groups inserted.
    #[must_use]
    pub fn expand<'a>(&'a self, captures: &Captures<'a>) -> String {
        self.parts(captures).collect()
    }
}

/// Splits the name of a group behind `$` from the rest: `1`, `{1}`, `host`, `{host}`.
fn name(rest: &str) -> Option<(&str, &str)> {
    let braced = rest.strip_prefix('{');
    let from = braced.unwrap_or(rest);
    let end = from
        .find(|c: char| !(c.is_alphanumeric() || c == '_'))
        .unwrap_or(from.len());
    let (name, after) = from.split_at(end);
    let after = if braced.is_some() {
        after.strip_prefix('}')?
    } else {
        after
    };
    (!name.is_empty()).then_some((name, after))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Pattern;

    #[test]
    fn a_replacement_is_read_as_go_does() {
        let pattern = Pattern::new("(?P<a>x+)(y)").unwrap();
        for (text, expected) in [
            ("$1-${2}", "xx-y"),
            ("$a", "xx"),
            ("${a}b", "xxb"),
            ("$1b", ""),
            ("$$1$", "$1$"),
            ("${1", "${1"),
            ("$-${}", "$-${}"),
            ("$9", ""),
            ("é$0", "éxxy"),
        ] {
            let captures = pattern.captures("xxy").unwrap();
            let replacement = Replacement::new(text);
            assert_eq!(replacement.expand(&captures), expected, "{text}");
            assert_eq!(replacement.length(&captures), expected.len(), "{text}");
        }
    }
}
