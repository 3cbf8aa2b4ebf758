//! Regular expressions as in Prometheus: RE2 syntax, matching a value as a whole.
//!
//! Owns their limits: the size of a compiled expression is bounded and can be queried, and compiled
//! expressions are cached.

mod error;
mod re2;
mod replacement;

use std::fmt;
use std::sync::{Arc, LazyLock};

use bellwether_core::MAX_NESTING;
pub use error::PatternError;
use hashbrown::{HashMap, HashSet};
use parking_lot::Mutex;
pub use re2::translate;
use regex_automata::meta;
use regex_automata::util::syntax;
pub use replacement::Replacement;

/// Largest automaton of one expression, in bytes.
const MAX_AUTOMATON: usize = 512 << 10;
/// Largest memory for parsing one expression, in bytes.
const MAX_PARSING: usize = 32 << 20;
/// Largest state that a search of one expression keeps for the next, in bytes.
const MAX_SEARCH_CACHE: usize = 256 << 10;
/// Largest size of the cache of compiled expressions, in bytes.
const MAX_CACHED: usize = 16 << 20;

/// A regular expression that matches a text as a whole.
#[derive(Clone)]
pub struct Pattern {
    source: Arc<str>,
    kind: Kind,
}

#[derive(Clone)]
enum Kind {
    /// Only literal texts: `a|b|c`.
    Texts(Arc<HashSet<Box<str>>>),
    Regex(Arc<meta::Regex>),
}

/// Capture groups of a match.
pub struct Captures<'t> {
    text: &'t str,
    groups: Option<regex_automata::util::captures::Captures>,
}

/// Cache of compiled expressions.
#[derive(Default)]
struct Cache {
    by_source: HashMap<Arc<str>, Pattern>,
    bytes: usize,
}

static CACHE: LazyLock<Mutex<Cache>> = LazyLock::new(Mutex::default);

impl Pattern {
    /// Compiles `source`, or returns it from the cache.
    ///
    /// # Errors
    /// `source` is not a valid regular expression, or too large.
    pub fn new(source: &str) -> Result<Self, PatternError> {
        if let Some(cached) = CACHE.lock().by_source.get(source) {
            return Ok(cached.clone());
        }
        let pattern = Self::compile(source)?;
        let bytes = pattern.bytes();
        let mut cache = CACHE.lock();
        if cache.bytes + bytes > MAX_CACHED {
            *cache = Cache::default();
        }
        if bytes <= MAX_CACHED / 8
            && cache
                .by_source
                .insert(pattern.source.clone(), pattern.clone())
                .is_none()
        {
            cache.bytes += bytes;
        }
        Ok(pattern)
    }

    fn compile(source: &str) -> Result<Self, PatternError> {
        let kind = match texts(source) {
            Some(texts) => Kind::Texts(Arc::new(texts)),
            None => Kind::Regex(Arc::new(regex(source)?)),
        };
        Ok(Self {
            source: source.into(),
            kind,
        })
    }

    /// Returns an upper bound of the memory that [`Pattern::new`] needs to parse `source`, in bytes.
    #[must_use]
    pub fn parse_bytes(source: &str) -> usize {
        if texts(source).is_some() {
            return source.len().saturating_mul(4);
        }
        // A Unicode class is a list of up to some hundred ranges.
        let classes = source.matches("\\p").count() + source.matches("\\P").count();
        source
            .len()
            .saturating_mul(256)
            .saturating_add(classes.saturating_mul(16 << 10))
    }

    /// Returns the expression as it was written.
    #[must_use]
    pub fn source(&self) -> &Arc<str> {
        &self.source
    }

    /// Estimates the memory of the compiled expression and of the state its searches keep, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let compiled = match &self.kind {
            Kind::Texts(texts) => texts.iter().map(|text| text.len() + 32).sum(),
            Kind::Regex(regex) => {
                let automaton = regex.memory_usage();
                automaton + (automaton * 8).min(MAX_SEARCH_CACHE)
            }
        };
        compiled + 2 * self.source.len() + 128
    }

    /// Returns whether the expression matches the whole of `text`.
    #[must_use]
    pub fn is_match(&self, text: &str) -> bool {
        match &self.kind {
            Kind::Texts(texts) => texts.contains(text),
            Kind::Regex(regex) => regex.is_match(text),
        }
    }

    /// Returns the capture groups, if the expression matches the whole of `text`.
    #[must_use]
    pub fn captures<'t>(&self, text: &'t str) -> Option<Captures<'t>> {
        match &self.kind {
            Kind::Texts(texts) => texts
                .contains(text)
                .then_some(Captures { text, groups: None }),
            Kind::Regex(regex) => {
                let mut groups = regex.create_captures();
                regex.captures(text, &mut groups);
                groups.is_match().then_some(Captures {
                    text,
                    groups: Some(groups),
                })
            }
        }
    }
}

impl<'t> Captures<'t> {
    /// Returns the text of group `index`; empty if the group did not match or does not exist.
    #[must_use]
    pub fn group(&self, index: usize) -> &'t str {
        match &self.groups {
            None if index == 0 => self.text,
            None => "",
            Some(groups) => self.part(groups.get_group(index)),
        }
    }

    /// Returns the text of the group `name`; empty if the group did not match or does not exist.
    #[must_use]
    pub fn named(&self, name: &str) -> &'t str {
        self.groups
            .as_ref()
            .map_or("", |groups| self.part(groups.get_group_by_name(name)))
    }

    fn part(&self, span: Option<regex_automata::Span>) -> &'t str {
        span.and_then(|span| self.text.get(span.range()))
            .unwrap_or_default()
    }
}

fn regex(source: &str) -> Result<meta::Regex, PatternError> {
    if Pattern::parse_bytes(source) > MAX_PARSING {
        return Err(PatternError::TooLarge);
    }
    let pattern = format!("^(?s:{})$", translate(source)?);
    let config = meta::Config::new()
        .nfa_size_limit(Some(MAX_AUTOMATON))
        .onepass_size_limit(Some(MAX_SEARCH_CACHE))
        .hybrid_cache_capacity(MAX_SEARCH_CACHE);
    // Word boundaries are ASCII as in RE2, so they may lie inside of a UTF-8 character.
    let syntax = syntax::Config::new()
        .utf8(false)
        .nest_limit(MAX_NESTING as u32);
    meta::Builder::new()
        .configure(config)
        .syntax(syntax)
        .build(&pattern)
        .map_err(|error| match error.syntax_error() {
            _ if error.size_limit().is_some() => PatternError::TooLarge,
            None => rejected(&error.to_string()),
            Some(error) => rejected(&error.to_string()),
        })
}

/// Converts an error message of `regex-automata`: a drawing of the expression, and the reason in the
/// last line.
fn rejected(message: &str) -> PatternError {
    let reason = message.lines().last().unwrap_or_default();
    PatternError::Rejected(reason.trim_start_matches("error: ").to_owned())
}

/// Returns the texts that `source` matches, if it is an alternation of literal texts: `a|b\.c`, with
/// at most one pair of parentheses around it.
fn texts(source: &str) -> Option<HashSet<Box<str>>> {
    let inner = source
        .strip_prefix('(')
        .and_then(|rest| rest.strip_suffix(')'));
    let inner = inner.map(|inner| inner.strip_prefix("?:").unwrap_or(inner));
    let mut texts = HashSet::new();
    // Parentheses around a single text are a capture group, so they are not removed.
    let mut text = String::new();
    let mut chars = inner
        .filter(|inner| inner.contains('|'))
        .unwrap_or(source)
        .chars();
    while let Some(next) = chars.next() {
        match next {
            '|' => drop(texts.insert(std::mem::take(&mut text).into_boxed_str())),
            '\\' => text.push(chars.next().filter(char::is_ascii_punctuation)?),
            '.' | '+' | '*' | '?' | '(' | ')' | '[' | ']' | '{' | '}' | '^' | '$' => return None,
            plain => text.push(plain),
        }
    }
    texts.insert(text.into_boxed_str());
    Some(texts)
}

impl fmt::Debug for Pattern {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Pattern({:?})", self.source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(source: &str, text: &str) -> bool {
        Pattern::new(source).unwrap().is_match(text)
    }

    #[test]
    fn texts_need_no_automaton() {
        for source in ["a|b", "(a|b)", "(?:a|b)", "a\\.b|", "x", ""] {
            let pattern = Pattern::compile(source).unwrap();
            assert!(matches!(pattern.kind, Kind::Texts(_)), "{source}");
        }
        for source in ["a.b|c", "(x)", "a|(b)", "\\d|a", "a\\"] {
            assert_eq!(texts(source), None, "{source}");
        }
        assert!(matches("a\\.b|", "a.b") && matches("a\\.b|", "") && !matches("a\\.b|", "axb"));
        let many: Vec<String> = (0..20_000).map(|index| format!("host-{index}")).collect();
        let pattern = Pattern::new(&many.join("|")).unwrap();
        assert!(pattern.is_match("host-19999") && !pattern.is_match("host-20000"));
    }

    #[test]
    fn an_expression_that_is_too_large_is_rejected_before_compilation() {
        for source in ["((a{100}){100}){100}", "\\PL{1000}", &"\\pL".repeat(10_000)] {
            let error = Pattern::new(source).unwrap_err().to_string();
            assert!(
                error.contains("large") || error.contains("repeat"),
                "{source:.20}: {error}"
            );
        }
        let deep = format!("{}a{}", "(".repeat(10_000), ")".repeat(10_000));
        let error = Pattern::new(&deep).unwrap_err();
        assert!(error.to_string().contains("nest"), "{error}");
    }

    #[test]
    fn a_pattern_estimates_its_memory() {
        let (small, large) = (
            Pattern::new("a.*").unwrap(),
            Pattern::new("[^x]{300}").unwrap(),
        );
        assert!(small.bytes() < 64 << 10, "{}", small.bytes());
        assert!(large.bytes() > 100 << 10, "{}", large.bytes());
    }

    #[test]
    fn many_expressions_need_little_memory() {
        let all = (0..400).map(|index| format!("(?i)\\w{{80}}x{index}"));
        let bytes: usize = all
            .map(|source| Pattern::compile(&source).unwrap().bytes())
            .sum();
        assert!(bytes < 256 << 20, "{bytes}");
    }

    #[test]
    fn groups_are_found_by_number_and_name() {
        let pattern = Pattern::new("(?P<host>[^:]+):(\\d+)(x)?").unwrap();
        let captures = pattern.captures("é:80").unwrap();
        assert_eq!(
            [0, 1, 2, 3, 4].map(|index| captures.group(index)),
            ["é:80", "é", "80", "", ""]
        );
        assert_eq!((captures.named("host"), captures.named("port")), ("é", ""));
        assert!(pattern.captures("é").is_none());
        assert_eq!(
            Pattern::new("a|b").unwrap().captures("b").unwrap().group(0),
            "b"
        );
    }
}
