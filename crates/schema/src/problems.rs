//! What is wrong with a declaration: gathered, then told all at once.

use std::fmt;
use std::sync::Arc;

use super::tree::Pos;

/// A place in the declaration: where in the file, and the path of keys that leads there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceLocation {
    /// Line and column.
    pub pos: Pos,
    /// `performance_monitor.alerting.rules[2].metric`; empty for the file as a whole.
    pub path: Arc<str>,
    /// The file, where that is not the declaration itself.
    pub file: Option<Arc<str>>,
}

impl SourceLocation {
    /// The place of the key `name` in the mapping at this place; the position stays the same.
    #[must_use]
    pub fn key(&self, name: &str) -> SourceLocation {
        SourceLocation {
            path: format!("{}.{name}", self.path).into(),
            ..self.clone()
        }
    }

    /// In words, for a hint: `line 3`, or `line 3 of other.yml`.
    #[must_use]
    pub fn words(&self) -> String {
        match &self.file {
            Some(file) => format!("line {} of {file}", self.pos.line),
            None => format!("line {}", self.pos.line),
        }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Where.
    pub at: SourceLocation,
    /// What.
    pub message: String,
    /// How to mend it, where that is known.
    pub hint: Option<String>,
}

impl Diagnostic {
    /// Adds how to mend it.
    pub fn hint(&mut self, hint: impl Into<String>) {
        self.hint = Some(hint.into());
    }

    /// With the file before it: its own, or `source`.
    #[must_use]
    pub fn told(&self, source: &dyn fmt::Display) -> String {
        let separator = if self.at.pos.line > 0 { ":" } else { ": " };
        match &self.at.file {
            Some(file) => format!("{file}{separator}{self}"),
            None => format!("{source}{separator}{self}"),
        }
    }

    /// Adds a hint where there is one.
    pub fn hint_if(&mut self, hint: Option<impl Into<String>>) {
        self.hint = hint.map(Into::into);
    }
}

/// All that is wrong with one file.
#[derive(Debug, Default)]
pub struct Diagnostics {
    found: Vec<Diagnostic>,
}

impl Diagnostics {
    /// Adds a problem and hands it out so that a hint can follow.
    pub fn error(&mut self, at: &SourceLocation, message: impl Into<String>) -> &mut Diagnostic {
        self.found.push(Diagnostic {
            at: at.clone(),
            message: message.into(),
            hint: None,
        });
        let last = self.found.len() - 1;
        &mut self.found[last]
    }

    /// Whether nothing is wrong so far.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Keeps those for which `wanted` holds.
    pub fn retain(&mut self, wanted: impl FnMut(&Diagnostic) -> bool) {
        self.found.retain(wanted);
    }

    /// Number of problems so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.found.len()
    }

    /// Whether a problem lies at a path for which `inside` holds.
    #[must_use]
    pub fn any(&self, inside: impl Fn(&str) -> bool) -> bool {
        self.found.iter().any(|problem| inside(&problem.at.path))
    }

    /// The problems, ordered by file, those of the declaration first, and by their place in it.
    #[must_use]
    pub fn into_sorted(mut self) -> Vec<Diagnostic> {
        self.found
            .sort_by(|a, b| (&a.at.file, a.at.pos).cmp(&(&b.at.file, b.at.pos)));
        self.found
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.at.pos.line > 0 {
            write!(out, "{}:{}: ", self.at.pos.line, self.at.pos.column)?;
        }
        if !self.at.path.is_empty() {
            write!(out, "{}: ", self.at.path)?;
        }
        write!(out, "{}", self.message)?;
        match &self.hint {
            Some(hint) => write!(out, "\n  hint: {hint}"),
            None => Ok(()),
        }
    }
}

/// The candidate that `word` was most likely meant to be: `did you mean "..."?`, or none where
/// nothing is close.
pub fn did_you_mean<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    let near = Near::to(word);
    candidates
        .into_iter()
        .filter(|candidate| near.may_be(candidate))
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= farthest(candidate.len().max(word.len())))
        .min()
        .map(|(_, candidate)| format!("did you mean {candidate:?}?"))
}

/// Most edits between words of this length that are still taken for a slip.
fn farthest(length: usize) -> usize {
    (length / 3).min(5)
}

/// What tells quickly that a word is far from another: among thousands of names few are near.
struct Near {
    length: usize,
    letters: [i16; 64],
    ascii: bool,
}

impl Near {
    fn to(word: &str) -> Self {
        Self {
            length: word.len(),
            letters: letters(word),
            ascii: word.is_ascii(),
        }
    }

    /// Whether `other` may be near enough: each edit changes the count of two letters at most.
    fn may_be(&self, other: &str) -> bool {
        let most = farthest(self.length.max(other.len()));
        if !self.ascii || !other.is_ascii() {
            return true;
        }
        if self.length.abs_diff(other.len()) > most {
            return false;
        }
        let letters = letters(other);
        let differ = self
            .letters
            .iter()
            .zip(&letters)
            .map(|(a, b)| usize::from(a.abs_diff(*b)));
        differ.sum::<usize>() <= 2 * most
    }
}

/// How often each letter is there; some share a count.
fn letters(word: &str) -> [i16; 64] {
    let mut counts = [0_i16; 64];
    for byte in word.bytes().take(10_000) {
        counts[usize::from(byte & 63)] += 1;
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggests_only_what_is_close() {
        let keys = ["interval", "timeout", "host"];
        assert_eq!(
            did_you_mean("intervall", keys).as_deref(),
            Some("did you mean \"interval\"?")
        );
        assert_eq!(
            did_you_mean("hots", keys).as_deref(),
            Some("did you mean \"host\"?")
        );
        assert_eq!(did_you_mean("xyz", keys), None);
        // What is passed over quickly is what would have been too far.
        let words = [
            "interval",
            "intervall",
            "lavretni",
            "intrval",
            "ti",
            "é",
            "intervals_é",
            "",
        ];
        for (a, b) in words.iter().flat_map(|a| words.iter().map(move |b| (a, b))) {
            let near = strsim::damerau_levenshtein(a, b) <= farthest(a.len().max(b.len()));
            assert!(Near::to(a).may_be(b) || !near, "{a} {b}");
        }
    }
}
