//! Regular expressions as Prometheus reads them: RE2's, matching a value as a whole.
//!
//! Owns their limits: what is compiled is bounded in size, says how many bytes it takes, and is
//! kept for the next who asks.

mod re2;
mod replacement;

use std::fmt;
use std::sync::{Arc, LazyLock};

use bellwether_core::MAX_NESTING;
use hashbrown::{HashMap, HashSet};
use parking_lot::Mutex;
pub use re2::translate;
use regex_automata::meta;
use regex_automata::util::syntax;
pub use replacement::Replacement;

/// Largest automaton of one expression, in bytes.
const MAX_AUTOMATON: usize = 512 << 10;
/// What one expression may need while it is read, in bytes.
const MAX_READING: usize = 32 << 20;
/// Most bytes that a search of one expression keeps for the next.
const MAX_CACHE: usize = 256 << 10;
/// Bytes of compiled expressions that are kept.
const MAX_KEPT: usize = 16 << 20;

/// A regular expression that matches a text as a whole.
#[derive(Clone)]
pub struct Pattern {
    source: Arc<str>,
    kind: Kind,
}

#[derive(Clone)]
enum Kind {
    /// Nothing but texts: `a|b|c`.
    Texts(Arc<HashSet<Box<str>>>),
    Regex(Arc<meta::Regex>),
}

/// Where the groups of an expression matched.
pub struct Found<'t> {
    text: &'t str,
    groups: Option<regex_automata::util::captures::Captures>,
}

/// Expressions that were compiled before.
#[derive(Default)]
struct Kept {
    by_source: HashMap<Arc<str>, Pattern>,
    bytes: usize,
}

static KEPT: LazyLock<Mutex<Kept>> = LazyLock::new(Mutex::default);

impl Pattern {
    /// Compiles `source`, or takes what was compiled before.
    ///
    /// # Errors
    /// Why it is no regular expression, or that it is too large, in one line.
    pub fn new(source: &str) -> Result<Self, String> {
        if let Some(known) = KEPT.lock().by_source.get(source) {
            return Ok(known.clone());
        }
        let new = Self::compile(source)?;
        let bytes = new.bytes();
        let mut kept = KEPT.lock();
        if kept.bytes + bytes > MAX_KEPT {
            *kept = Kept::default();
        }
        if bytes <= MAX_KEPT / 8
            && kept
                .by_source
                .insert(new.source.clone(), new.clone())
                .is_none()
        {
            kept.bytes += bytes;
        }
        Ok(new)
    }

    fn compile(source: &str) -> Result<Self, String> {
        let kind = match texts(source) {
            Some(texts) => Kind::Texts(Arc::new(texts)),
            None => Kind::Regex(Arc::new(regex(source)?)),
        };
        Ok(Self {
            source: source.into(),
            kind,
        })
    }

    /// No less than the bytes that [`Pattern::new`] needs while it reads `source`.
    #[must_use]
    pub fn reading(source: &str) -> usize {
        if texts(source).is_some() {
            return source.len().saturating_mul(4);
        }
        // A class of Unicode is a list of up to some hundred ranges.
        let classes = source.matches("\\p").count() + source.matches("\\P").count();
        source
            .len()
            .saturating_mul(256)
            .saturating_add(classes.saturating_mul(16 << 10))
    }

    /// As it was written.
    #[must_use]
    pub fn source(&self) -> &Arc<str> {
        &self.source
    }

    /// Bytes that it takes, with what searches keep.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let own = match &self.kind {
            Kind::Texts(texts) => texts.iter().map(|text| text.len() + 32).sum(),
            Kind::Regex(regex) => {
                let automaton = regex.memory_usage();
                automaton + (automaton * 8).min(MAX_CACHE)
            }
        };
        own + 2 * self.source.len() + 128
    }

    /// Whether it matches the whole of `text`.
    #[must_use]
    pub fn is_match(&self, text: &str) -> bool {
        match &self.kind {
            Kind::Texts(texts) => texts.contains(text),
            Kind::Regex(regex) => regex.is_match(text),
        }
    }

    /// The groups, if it matches the whole of `text`.
    #[must_use]
    pub fn captures<'t>(&self, text: &'t str) -> Option<Found<'t>> {
        match &self.kind {
            Kind::Texts(texts) => texts.contains(text).then_some(Found { text, groups: None }),
            Kind::Regex(regex) => {
                let mut groups = regex.create_captures();
                regex.captures(text, &mut groups);
                groups.is_match().then_some(Found {
                    text,
                    groups: Some(groups),
                })
            }
        }
    }
}

impl<'t> Found<'t> {
    /// What group `index` matched; empty where it did not, and where there is none.
    #[must_use]
    pub fn group(&self, index: usize) -> &'t str {
        match &self.groups {
            None if index == 0 => self.text,
            None => "",
            Some(groups) => self.part(groups.get_group(index)),
        }
    }

    /// What the group called `name` matched; empty where it did not, and where there is none.
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

fn regex(source: &str) -> Result<meta::Regex, String> {
    const TOO_LARGE: &str = "regular expression is too large";
    if Pattern::reading(source) > MAX_READING {
        return Err(TOO_LARGE.into());
    }
    let pattern = format!("^(?s:{})$", translate(source)?);
    let config = meta::Config::new()
        .nfa_size_limit(Some(MAX_AUTOMATON))
        .onepass_size_limit(Some(MAX_CACHE))
        .hybrid_cache_capacity(MAX_CACHE);
    // Borders of words are those of bytes, which may be within a character.
    let syntax = syntax::Config::new()
        .utf8(false)
        .nest_limit(MAX_NESTING as u32);
    let built = meta::Builder::new()
        .configure(config)
        .syntax(syntax)
        .build(&pattern);
    built.map_err(|error| match error.syntax_error() {
        _ if error.size_limit().is_some() => TOO_LARGE.into(),
        None => one_line(&error.to_string()),
        // The last line of the crate's message is the reason, without its drawing.
        Some(error) => one_line(&error.to_string()),
    })
}

fn one_line(told: &str) -> String {
    told.lines()
        .last()
        .unwrap_or_default()
        .trim_start_matches("error: ")
        .to_owned()
}

/// The texts that `source` matches, if it is nothing but texts: `a|b\.c`, with a pair of brackets
/// around at the most.
fn texts(source: &str) -> Option<HashSet<Box<str>>> {
    let inner = source
        .strip_prefix('(')
        .and_then(|rest| rest.strip_suffix(')'));
    let inner = inner.map(|inner| inner.strip_prefix("?:").unwrap_or(inner));
    let mut texts = HashSet::new();
    // A group can be asked for, so brackets stay where a single text could be one.
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
    fn what_is_too_large_is_refused_before_it_is_made() {
        for source in ["((a{100}){100}){100}", "\\PL{1000}", &"\\pL".repeat(10_000)] {
            let error = Pattern::new(source).unwrap_err();
            assert!(
                error.contains("large") || error.contains("repeat"),
                "{source:.20}: {error}"
            );
        }
        let deep = format!("{}a{}", "(".repeat(10_000), ")".repeat(10_000));
        assert!(Pattern::new(&deep).unwrap_err().contains("nest"));
    }

    #[test]
    fn a_pattern_says_what_it_takes() {
        let (small, large) = (
            Pattern::new("a.*").unwrap(),
            Pattern::new("[^x]{300}").unwrap(),
        );
        assert!(small.bytes() < 64 << 10, "{}", small.bytes());
        assert!(large.bytes() > 100 << 10, "{}", large.bytes());
    }

    #[test]
    fn many_expressions_take_little() {
        let all = (0..400).map(|index| format!("(?i)\\w{{80}}x{index}"));
        let bytes: usize = all
            .map(|source| Pattern::compile(&source).unwrap().bytes())
            .sum();
        assert!(bytes < 256 << 20, "{bytes}");
    }

    #[test]
    fn groups_are_found_by_number_and_name() {
        let pattern = Pattern::new("(?P<host>[^:]+):(\\d+)(x)?").unwrap();
        let found = pattern.captures("é:80").unwrap();
        assert_eq!(
            [0, 1, 2, 3, 4].map(|index| found.group(index)),
            ["é:80", "é", "80", "", ""]
        );
        assert_eq!((found.named("host"), found.named("port")), ("é", ""));
        assert!(pattern.captures("é").is_none());
        assert_eq!(
            Pattern::new("a|b").unwrap().captures("b").unwrap().group(0),
            "b"
        );
    }
}
