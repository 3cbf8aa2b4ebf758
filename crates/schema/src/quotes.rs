//! Quoted scalars over several lines, as Go's YAML parser accepts them.
//!
//! YAML requires each continuation line to be indented deeper than the key; Go's parser, and so
//! Prometheus, does not. Leading blanks of a continuation line are not part of the text, so adding
//! some changes nothing.

/// Indents the continuation lines of quoted scalars in `text` deeper than the column of the opening
/// quote; `None` if there are none.
pub(super) fn indented(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len() + 256);
    let mut changed = false;
    // The quote of the open scalar, and its column.
    let mut open: Option<(char, usize)> = None;
    // Indentation of the key whose block scalar, behind `|` or `>`, is being skipped.
    let mut block: Option<usize> = None;
    for line in text.split_inclusive('\n') {
        let indentation = line.len() - line.trim_start_matches(' ').len();
        let blank = line.trim().is_empty();
        if let Some(outer) = block {
            if blank || indentation > outer {
                out.push_str(line);
                continue;
            }
            block = None;
        }
        if let Some((_, column)) = open
            && !blank
        {
            out.push_str(&" ".repeat(column + 1));
            changed = true;
        }
        out.push_str(line);
        let ends = scan(line, &mut open);
        if open.is_none() && ends {
            block = Some(key_column(line));
        }
    }
    changed.then_some(out)
}

/// Scans a line, beginning inside the open scalar; returns whether a block scalar follows it.
fn scan(line: &str, open: &mut Option<(char, usize)>) -> bool {
    let mut chars = line.char_indices().peekable();
    // Whether a value or a key may begin here, and the plain word so far.
    let (mut begins, mut word) = (true, String::new());
    while let Some((at, c)) = chars.next() {
        if let Some((quote, _)) = *open {
            match c {
                '\\' if quote == '"' => drop(chars.next()),
                '\'' if quote == '\'' && chars.peek().is_some_and(|(_, next)| *next == '\'') => {
                    chars.next();
                }
                _ if c == quote => (*open, begins) = (None, false),
                _ => {}
            }
            continue;
        }
        let next = chars.peek().map_or('\n', |(_, next)| *next);
        match c {
            '#' if line[..at].ends_with(char::is_whitespace) || at == 0 => break,
            '"' | '\'' if begins => *open = Some((c, at)),
            '-' | ':' | '?' if next.is_whitespace() => (begins, word) = (true, String::new()),
            '[' | '{' | ',' if begins || c == ',' => (begins, word) = (true, String::new()),
            _ if c.is_whitespace() => {}
            _ => {
                begins = false;
                word.push(c);
            }
        }
    }
    let mut word = word.chars();
    matches!(word.next(), Some('|' | '>'))
        && word.all(|c| c.is_ascii_digit() || c == '-' || c == '+')
}

/// Returns the column of the key of a line, behind the dashes of lists.
fn key_column(line: &str) -> usize {
    line.find(|c: char| c != ' ' && c != '-')
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::{Node, Value, parse};
    use super::*;

    fn texts(node: &Node) -> Vec<String> {
        match &node.value {
            Value::Null => vec!["null".into()],
            Value::Scalar(text) => vec![text.clone()],
            Value::List(items) => items.iter().flat_map(texts).collect(),
            Value::Map(entries) => entries.iter().flat_map(|(_, node)| texts(node)).collect(),
        }
    }

    #[test]
    fn continuation_lines_need_no_indentation() {
        for (text, expected) in [
            (
                "a:\n  - expr: 'up{job=\"a\"\n    } == 0'\n    b: 1\n",
                vec!["up{job=\"a\" } == 0", "1"],
            ),
            ("a: \"x\ny\n\n z\"\nb: it's\n", vec!["x y\nz", "it's"]),
            (
                "k: |\n  don't 'look\n  here\nb: 'x\ny' # it's\nc: \"\\\"q\nr\"\n",
                vec!["don't 'look\nhere\n", "x y", "\"q r"],
            ),
            ("a: {b: 'c\nd', e: ['f''\ng']}\n", vec!["c d", "f' g"]),
            ("- k: >-\n    'a\n    b\n- 'c\nd'\n", vec!["'a b", "c d"]),
        ] {
            let node = parse(text).unwrap_or_else(|problem| panic!("{text}: {problem:?}"));
            assert_eq!(texts(&node), expected, "{text}");
        }
        for text in ["a: 'b\nc", "a: 'b'\nc: [\n"] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert_eq!(indented("a: it's\nb: 'c'\n"), None);
    }
}
