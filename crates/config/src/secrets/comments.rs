//! Secrets in comments: keys that were commented out, and URLs.

use std::ops::Range;

use bellwether_schema::{Form, SpannedNode, is_reference};

use crate::print::{SECRET, hidden};

/// Returns the comments of `text`: what begins with `#` outside of keys and values.
pub(super) fn comments(text: &str, root: &SpannedNode) -> Vec<Range<usize>> {
    let mut taken = Vec::new();
    add_ranges(root, &mut taken);
    taken.sort_by_key(|range| range.start);
    let mut comments = Vec::new();
    let (mut at, mut next) = (0, taken.into_iter().peekable());
    while let Some(hash) = text[at..].find('#').map(|found| at + found) {
        while next.peek().is_some_and(|range| range.end <= hash) {
            next.next();
        }
        if let Some(range) = next.peek().filter(|range| range.start <= hash) {
            at = range.end.max(hash + 1);
            continue;
        }
        let end = text[hash..].find('\n').map_or(text.len(), |end| hash + end);
        comments.push(hash..end);
        at = end;
    }
    comments
}

fn add_ranges(node: &SpannedNode, ranges: &mut Vec<Range<usize>>) {
    match &node.form {
        Form::Scalar(_) if node.range.is_empty() => {}
        Form::Scalar(_) => ranges.push(node.range.clone()),
        Form::List(items) => items.iter().for_each(|item| add_ranges(item, ranges)),
        Form::Map(entries) => {
            for (key, value) in entries {
                ranges.push(key.range.clone());
                add_ranges(value, ranges);
            }
        }
        Form::Alias(_) => {}
    }
}

/// Words of keys whose values are hidden in comments.
const SECRET_WORDS: [&str; 8] = [
    "token",
    "secret",
    "password",
    "passwd",
    "authorization",
    "api_key",
    "_key",
    "credentials",
];

/// Returns a comment without its secrets: what follows a key that was commented out, and those of
/// URLs; none if there are none.
pub(super) fn hidden_comment(comment: &str) -> Option<String> {
    let without_urls = hidden(comment);
    let text = without_urls.as_deref().unwrap_or(comment);
    let mut colons = text.match_indices(':').map(|(at, _)| at);
    let secret = colons.find(|at| {
        let value = text[at + 1..].trim();
        let is_shown = value.is_empty() || is_reference(value.trim_matches(['"', '\'']));
        is_secret_word(&text[..*at]) && !is_shown
    });
    match secret {
        Some(at) => Some(format!("{}: {SECRET}", &text[..at])),
        None => without_urls,
    }
}

/// Returns true if the last word of `text` is one of a key with a secret.
fn is_secret_word(text: &str) -> bool {
    let is_separator = |c: char| !c.is_ascii_alphanumeric() && !['_', '-'].contains(&c);
    let text = text.trim_end_matches(['"', '\'', ' ']);
    let word = text.rsplit(is_separator).next().unwrap_or_default();
    let word = word.to_ascii_lowercase();
    SECRET_WORDS.iter().any(|secret| word.contains(secret))
}

/// Returns the comments of an edited text as they were. One that was changed stays as it is.
pub(super) fn restored_comments(
    edited: &str,
    root: &SpannedNode,
    original: &str,
    original_root: &SpannedNode,
) -> Vec<(Range<usize>, String)> {
    let mut known: Vec<(String, &str)> = comments(original, original_root)
        .into_iter()
        .filter_map(|range| {
            let comment = &original[range];
            Some((hidden_comment(comment)?, comment))
        })
        .collect();
    let comments = comments(edited, root).into_iter().filter_map(|range| {
        let text = edited[range.clone()].trim_end();
        let at = known
            .iter()
            .position(|(shown, _)| shown.trim_end() == text)?;
        Some((range, known.remove(at).1.to_owned()))
    });
    comments.collect()
}
