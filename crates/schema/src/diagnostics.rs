//! Diagnostics: findings in a configuration file, each with its location and help.
//!
//! All findings of a file are collected and reported together.

use std::fmt;
use std::sync::Arc;

use super::tree::Pos;

/// Location in the configuration: file, line, column and the path of keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceLocation {
    /// Line and column.
    pub pos: Pos,
    /// Path of keys, as in `performance_monitor.alerting.rules[2].metric`; empty for the file as a
    /// whole.
    pub path: Arc<str>,
    /// The file, if it is another one than the configuration file itself, or if the configuration
    /// has several.
    pub file: Option<Arc<str>>,
}

impl SourceLocation {
    /// Returns the location of the key `name` in the mapping at this location, with the same
    /// position.
    #[must_use]
    pub fn key(&self, name: &str) -> SourceLocation {
        SourceLocation {
            path: format!("{}.{name}", self.path).into(),
            ..self.clone()
        }
    }

    /// Returns whether the location is in a file of another format, such as a rule file of
    /// Prometheus.
    #[must_use]
    pub fn is_imported(&self) -> bool {
        self.file.is_some() && self.pos.file == 0
    }

    /// Returns the location in words for a help text: `line 3`, or `line 3 of other.yml`.
    #[must_use]
    pub fn words(&self) -> String {
        match &self.file {
            Some(file) => format!("line {} of {file}", self.pos.line),
            None => format!("line {}", self.pos.line),
        }
    }
}

/// One finding: an error or a warning about the configuration.
///
/// Its [`Display`](fmt::Display) form is `line:column: path: message`, and the help on a second
/// line behind `hint:`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Location of the value that is wrong.
    pub location: SourceLocation,
    /// The finding, in lower case without a full stop.
    pub message: String,
    /// Instruction for fixing it, if there is one.
    pub help: Option<String>,
}

impl Diagnostic {
    /// Sets the help.
    pub fn hint(&mut self, help: impl Into<String>) {
        self.help = Some(help.into());
    }

    /// Sets the help, or removes it.
    pub fn hint_if(&mut self, help: Option<impl Into<String>>) {
        self.help = help.map(Into::into);
    }

    /// Formats the diagnostic behind the name of its file, which is `source` if it names none.
    #[must_use]
    pub fn render(&self, source: &dyn fmt::Display) -> String {
        let separator = if self.location.pos.line > 0 {
            ":"
        } else {
            ": "
        };
        match &self.location.file {
            Some(file) => format!("{file}{separator}{self}"),
            None => format!("{source}{separator}{self}"),
        }
    }
}

/// All diagnostics of one file.
#[derive(Debug, Default)]
pub struct Diagnostics {
    list: Vec<Diagnostic>,
    warnings: Vec<Diagnostic>,
}

impl Diagnostics {
    /// Adds a diagnostic and returns it, so that a hint can be set.
    pub fn error(
        &mut self,
        location: &SourceLocation,
        message: impl Into<String>,
    ) -> &mut Diagnostic {
        push(&mut self.list, location, message)
    }

    /// Adds a warning, which is no error, and returns it, so that a hint can be set.
    pub fn warning(
        &mut self,
        location: &SourceLocation,
        message: impl Into<String>,
    ) -> &mut Diagnostic {
        push(&mut self.warnings, location, message)
    }

    /// Removes and returns the warnings.
    pub fn take_warnings(&mut self) -> Vec<Diagnostic> {
        std::mem::take(&mut self.warnings)
    }

    /// Returns whether there is no diagnostic so far.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Removes every diagnostic for which `keep` is false.
    pub fn retain(&mut self, keep: impl FnMut(&Diagnostic) -> bool) {
        self.list.retain(keep);
    }

    /// Returns the number of diagnostics so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Returns whether the location of some diagnostic satisfies `predicate`.
    #[must_use]
    pub fn any(&self, predicate: impl Fn(&SourceLocation) -> bool) -> bool {
        self.list
            .iter()
            .any(|diagnostic| predicate(&diagnostic.location))
    }

    /// Returns the diagnostics by file, those of the configuration's files first and in the order
    /// in which they were read, then by position.
    #[must_use]
    pub fn into_sorted(mut self) -> Vec<Diagnostic> {
        self.list.sort_by(|a, b| order(a).cmp(&order(b)));
        self.list
    }
}

fn order(diagnostic: &Diagnostic) -> (bool, Option<&str>, Pos) {
    let location = &diagnostic.location;
    let imported = location.file.as_deref().filter(|_| location.is_imported());
    (imported.is_some(), imported, location.pos)
}

fn push<'a>(
    list: &'a mut Vec<Diagnostic>,
    location: &SourceLocation,
    message: impl Into<String>,
) -> &'a mut Diagnostic {
    list.push(Diagnostic {
        location: location.clone(),
        message: message.into(),
        help: None,
    });
    let last = list.len() - 1;
    &mut list[last]
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SourceLocation { pos, path, .. } = &self.location;
        if pos.line > 0 {
            write!(out, "{}:{}: ", pos.line, pos.column)?;
        }
        if !path.is_empty() {
            write!(out, "{path}: ")?;
        }
        write!(out, "{}", self.message)?;
        match &self.help {
            Some(help) => write!(out, "\n  hint: {help}"),
            None => Ok(()),
        }
    }
}

/// Suggests the candidate that is most similar to `word`, as `did you mean "..."?`, by
/// Damerau-Levenshtein distance; `None` if no candidate is similar enough.
pub fn did_you_mean<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    let prefilter = Prefilter::new(word);
    candidates
        .into_iter()
        .filter(|candidate| prefilter.may_be_close(candidate))
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= max_distance(candidate.len().max(word.len())))
        .min()
        .map(|(_, candidate)| format!("did you mean {candidate:?}?"))
}

/// Returns the names that are similar to `name`, the most similar first and at most `most`: those that contain it or are
/// part of it, and those with a small edit distance.
pub fn similar_names<'a>(
    name: &str,
    names: impl IntoIterator<Item = &'a str>,
    most: usize,
) -> Vec<&'a str> {
    let prefilter = Prefilter::new(name);
    let distance = |candidate: &str| {
        // A name without its prefix, or with its unit left out, is the usual mistake.
        if candidate.contains(name) || name.contains(candidate) {
            return Some(candidate.len().abs_diff(name.len()));
        }
        let limit = max_distance(candidate.len().max(name.len()));
        prefilter
            .may_be_close(candidate)
            .then(|| strsim::damerau_levenshtein(name, candidate))
            .filter(|distance| *distance <= limit)
    };
    let names = names.into_iter().filter(|candidate| !candidate.is_empty());
    let mut ranked: Vec<(usize, &str)> = names
        .filter_map(|candidate| Some((distance(candidate)?, candidate)))
        .collect();
    ranked.sort_unstable();
    ranked.dedup();
    ranked
        .into_iter()
        .take(most)
        .map(|(_, name)| name)
        .collect()
}

/// Maximum number of edits between two words of this length that still count as a typing error.
fn max_distance(length: usize) -> usize {
    (length / 3).min(5)
}

/// Cheap test that excludes most candidates before the distance is computed: there may be thousands.
struct Prefilter {
    length: usize,
    letter_counts: [i16; 64],
    ascii: bool,
}

impl Prefilter {
    fn new(word: &str) -> Self {
        Self {
            length: word.len(),
            letter_counts: letter_counts(word),
            ascii: word.is_ascii(),
        }
    }

    /// Returns whether `other` may be close enough: each edit changes the counts of at most two letters.
    fn may_be_close(&self, other: &str) -> bool {
        let limit = max_distance(self.length.max(other.len()));
        if !self.ascii || !other.is_ascii() {
            return true;
        }
        if self.length.abs_diff(other.len()) > limit {
            return false;
        }
        let difference: usize = self
            .letter_counts
            .iter()
            .zip(&letter_counts(other))
            .map(|(a, b)| usize::from(a.abs_diff(*b)))
            .sum();
        difference <= 2 * limit
    }
}

/// Counts the letters of `word`; bytes that are equal in the low six bits share a count.
fn letter_counts(word: &str) -> [i16; 64] {
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
    fn similar_names_contain_each_other_or_are_close() {
        let names = [
            "app_cpu_percent",
            "cpu_percent",
            "cup",
            "up",
            "",
            "disk",
            "cup",
        ];
        assert_eq!(
            similar_names("cpu", names, 3),
            ["cup", "cpu_percent", "app_cpu_percent"]
        );
        assert_eq!(
            similar_names("cpu_percent_total", names, 1),
            ["cpu_percent"]
        );
        assert_eq!(similar_names("dsk", names, 5), ["disk"]);
        assert!(similar_names("xyz", names, 5).is_empty());
    }

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
        // The prefilter excludes no candidate that the distance would accept.
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
            let near = strsim::damerau_levenshtein(a, b) <= max_distance(a.len().max(b.len()));
            assert!(Prefilter::new(a).may_be_close(b) || !near, "{a} {b}");
        }
    }
}
