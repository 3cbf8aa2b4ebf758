//! Texts with `$1`, `${1}` and `${name}`, as Go's `regexp.Expand` reads them.

/// A text with the groups of a match.
#[derive(Debug, PartialEq)]
pub(super) struct Template(Vec<Piece>);

#[derive(Debug, PartialEq)]
enum Piece {
    Text(String),
    Group(usize),
}

impl Template {
    /// Parses a text; `group` returns the index of a group. References to no group are empty; they are returned, too.
    pub(super) fn parse(text: &str, group: impl Fn(&str) -> Option<usize>) -> (Self, Vec<String>) {
        let (mut pieces, mut unknown) = (Vec::new(), Vec::new());
        let (mut plain, mut rest) = (String::new(), text);
        while let Some((before, behind)) = rest.split_once('$') {
            plain.push_str(before);
            if let Some(after) = behind.strip_prefix('$') {
                plain.push('$');
                rest = after;
                continue;
            }
            let Some((name, after)) = reference(behind) else {
                plain.push('$');
                rest = behind;
                continue;
            };
            rest = after;
            match group(name) {
                Some(index) => {
                    pieces.push(Piece::Text(std::mem::take(&mut plain)));
                    pieces.push(Piece::Group(index));
                }
                None => unknown.push(format!("${{{name}}}")),
            }
        }
        plain.push_str(rest);
        pieces.push(Piece::Text(plain));
        pieces.retain(|piece| !matches!(piece, Piece::Text(text) if text.is_empty()));
        (Self(pieces), unknown)
    }

    /// Returns the text; `group` returns that of a group.
    pub(super) fn render<'n>(&self, group: impl Fn(usize) -> &'n str) -> String {
        let pieces = self.0.iter().map(|piece| match piece {
            Piece::Text(text) => text.as_str(),
            Piece::Group(index) => group(*index),
        });
        pieces.collect()
    }
}

/// Splits the name of a group from the rest: `1`, `{1}`, `name`.
fn reference(text: &str) -> Option<(&str, &str)> {
    let (name, rest) = match text.strip_prefix('{') {
        Some(braced) => braced.split_once('}')?,
        None => {
            let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
            text.split_at(end.unwrap_or(text.len()))
        }
    };
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    (!name.is_empty() && name.chars().all(is_word)).then_some((name, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_read_as_go_reads_them() {
        let group = |name: &str| match name {
            "who" => Some(1),
            name => name.parse().ok().filter(|index| *index <= 2),
        };
        for (text, expected, missing) in [
            ("a_$1-${2}", "a_x-y", 0),
            ("${1}_total", "x_total", 0),
            ("$1_total", "", 1),
            ("$0 $$1 ${who}", "all $1 x", 0),
            ("$3$", "$", 1),
            ("${1", "${1", 0),
            ("$-", "$-", 0),
        ] {
            let (template, unknown) = Template::parse(text, group);
            let rendered = template.render(|index| ["all", "x", "y"][index]);
            assert_eq!(
                (rendered.as_str(), unknown.len()),
                (expected, missing),
                "{text}"
            );
        }
    }
}
