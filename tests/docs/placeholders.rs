//! Outputs vary in times, ids and sizes: both sides are compared with words in place of them.

use std::sync::LazyLock;

use regex::Regex;

use crate::runner::Report;

/// Patterns of what varies and the word in its place, in this order. CONTRIBUTING.md has a copy of the words.
const PATTERNS: &[(&str, &str)] = &[
    (r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "<id>"),
    (r"\b[0-9a-f]{16}\b", "<id>"),
    (
        r"\b\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?(\.\d+)?(Z|[+-]\d\d:\d\d)",
        "<time>",
    ),
    (r"\b\d{4}-\d\d-\d\d( \d\d:\d\d(:\d\d)?)?", "<time>"),
    (r"\b\d\d:\d\d:\d\d\b", "<time>"),
    (r"\b(localhost|127\.0\.0\.1):\d+\b", "<address>"),
    (
        r"\b\d+(\.\d+)? ?(ms|d|h|min|m|s)( ?\d+(\.\d+)? ?(ms|d|h|min|m|s))*\b",
        "<duration>",
    ),
    (r"\b\d+(\.\d+)? ?(B|kB|KB|MB|GB|KiB|MiB|GiB)\b", "<size>"),
    (r"[+-]0\.\d\d\b", "<correlation>"),
    (r"p-value <?\d+(\.\d+)? ?%", "p-value <probability>"),
    // Of whole days, which begin and end within a minute.
    (r"\b\d{4,} (samples|evaluations)\b", "<count> $1"),
    // A chart of the last day has another shape and other limits at each hour.
    (r"^ *[\d.]* ?┤.*", "<chart>"),
    (
        r"[\u{2801}-\u{28ff}]([ \u{2800}-\u{28ff}]*[\u{2801}-\u{28ff}])?",
        "<chart>",
    ),
    (r" +", " "),
    (r" $", ""),
];

static COMPILED: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    let compile =
        |(pattern, word): &(&'static str, &'static str)| (Regex::new(pattern).unwrap(), *word);
    PATTERNS.iter().map(compile).collect()
});

/// The line with words in place of what varies.
pub fn replace(line: &str) -> String {
    let mut line = line.to_owned();
    for (pattern, word) in COMPILED.iter() {
        line = pattern.replace_all(&line, *word).into_owned();
    }
    line
}

/// Ids in a text, in its order.
pub fn ids(text: &str) -> Vec<&str> {
    static ID: LazyLock<Regex> = LazyLock::new(|| {
        let both: Vec<&str> = PATTERNS[..2].iter().map(|(pattern, _)| *pattern).collect();
        Regex::new(&both.join("|")).unwrap()
    });
    ID.find_iter(text).map(|found| found.as_str()).collect()
}

/// Returns whether an output is the expected one. A line `...` stands for any lines, and ` ...` at the end of a line
/// for the rest of it.
pub fn matches(expected: &[&str], output: &[&str]) -> bool {
    let Some((first, rest)) = expected.split_first() else {
        return output.is_empty();
    };
    if first.trim() == "..." {
        return (0..=output.len()).any(|skipped| matches(rest, &output[skipped..]));
    }
    let Some((line, others)) = output.split_first() else {
        return false;
    };
    let (wanted, line) = (replace(first), replace(line));
    let is_same = match wanted.strip_suffix(" ...") {
        Some(start) => line.starts_with(start),
        None => line == wanted,
    };
    is_same && matches(rest, others)
}

/// Checks that the comparison tells outputs apart.
pub fn check(report: &mut Report) {
    let same = [
        (
            "since 2026-11-28T22:52:51Z (1 h 39 min)",
            "since 2026-01-02T03:04:05.678Z (59 s)",
        ),
        (
            "firing  critical  11s  backlog",
            "firing critical  1m2s backlog",
        ),
        (
            "chat: firing delivered in 2 ms",
            "chat: firing delivered in 35 ms",
        ),
        ("7574984ab05bb165  lead", "16b1ef4cbf9cb15f  lead"),
        (
            "score 20 of 100: critical ...",
            "score 20 of 100: critical (host)",
        ),
        (
            "1 series, 10083 samples, 10080 evaluations",
            "1 series, 10082 samples, 10079 evaluations",
        ),
        ("      78.5 ┤   ⡄⢠⡀⣧", "           ┤"),
    ];
    let different = [
        ("queue_length 80 > 50 for 2s", "queue_length 8 > 50 for 2s"),
        ("1 passed, 0 failed", "1 passed, 1 failed"),
        ("state firing", "state pending"),
        ("", "an error"),
    ];
    let compare = |wanted: &str, line: &str| {
        let wanted: Vec<&str> = wanted.lines().collect();
        matches(&wanted, &line.lines().collect::<Vec<_>>())
    };
    for (wanted, line) in same.iter().filter(|(wanted, line)| !compare(wanted, line)) {
        report.fail(
            "placeholders",
            0,
            format!("{wanted:?} and {line:?} differ: {:?}", replace(line)),
        );
    }
    for (wanted, line) in different
        .iter()
        .filter(|(wanted, line)| compare(wanted, line))
    {
        report.fail(
            "placeholders",
            0,
            format!("{wanted:?} and {line:?} are the same"),
        );
    }
    if !compare("a\n  ...\nd", "a\nb\nc\nd") || compare("a\n  ...\nd", "a\nb") {
        report.fail(
            "placeholders",
            0,
            "lines with ... do not stand for any lines".to_owned(),
        );
    }
}
