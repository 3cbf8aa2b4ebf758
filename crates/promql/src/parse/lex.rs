//! Tokens of a query.

use std::borrow::Cow;

use super::SyntaxError;
use crate::ast::{Aggregation, Span};

/// A token with its position.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Token<'t> {
    pub(super) kind: Kind,
    /// Source text, quotes included.
    pub(super) text: &'t str,
    pub(super) start: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Identifier,
    Number,
    Duration,
    String,
    /// Operator, bracket or comma, as its text says.
    Symbol,
    End,
}

impl Token<'_> {
    pub(super) fn span(&self) -> Span {
        Span {
            start: self.start,
            end: self.start + self.text.len(),
        }
    }

    pub(super) fn is(&self, symbol: &str) -> bool {
        self.kind == Kind::Symbol && self.text == symbol
    }

    /// Returns whether it is the keyword `word`, ignoring case.
    pub(super) fn is_word(&self, word: &str) -> bool {
        self.kind == Kind::Identifier && self.text.eq_ignore_ascii_case(word)
    }

    /// Describes the token in the words of Prometheus.
    pub(super) fn described(&self) -> Cow<'static, str> {
        let word = self.text.to_ascii_lowercase();
        let named = match self.kind {
            Kind::End => return "end of input".into(),
            Kind::Number => "number",
            Kind::Duration => "duration",
            Kind::String => "string",
            Kind::Symbol if "(){}[],:=".contains(self.text) => {
                return format!("{:?}", self.text).into();
            }
            Kind::Symbol => return format!("<op:{}>", self.text).into(),
            Kind::Identifier if matches!(&*word, "and" | "or" | "unless" | "atan2") => {
                return format!("<op:{}>", self.text).into();
            }
            Kind::Identifier if Aggregation::ALL.iter().any(|(name, _)| *name == word) => {
                return format!("<aggr:{}>", self.text).into();
            }
            Kind::Identifier if is_keyword(&word) => return format!("<{}>", self.text).into(),
            Kind::Identifier if self.text.contains(':') => "metric identifier",
            Kind::Identifier => "identifier",
        };
        let most = if self.kind == Kind::Identifier {
            200
        } else {
            10
        };
        let short: String = self.text.chars().take(most).collect();
        let more = if short.len() < self.text.len() {
            "..."
        } else {
            ""
        };
        format!("{named} {short:?}{more}").into()
    }
}

fn is_keyword(word: &str) -> bool {
    matches!(
        word,
        "offset" | "by" | "without" | "on" | "ignoring" | "group_left" | "group_right" | "bool"
    )
}

/// Returns the tokens of `text`, with [`Kind::End`] last. At a lexical error, returns the tokens before it
/// and the error.
pub(super) fn tokens(text: &str) -> (Vec<Token<'_>>, Option<SyntaxError>) {
    let mut tokens = Vec::new();
    let failed = read(text, &mut tokens).err();
    let start = failed.as_ref().map_or(text.len(), |error| error.at);
    tokens.push(Token {
        kind: Kind::End,
        text: "",
        start,
    });
    (tokens, failed)
}

fn read<'t>(text: &'t str, tokens: &mut Vec<Token<'t>>) -> Result<(), SyntaxError> {
    let mut at = 0;
    let mut open = OpenBrackets::default();
    while let Some(first) = text[at..].chars().next() {
        let rest = &text[at..];
        if first.is_ascii_whitespace() {
            at += 1;
            continue;
        }
        if first == '#' {
            at += rest.find('\n').unwrap_or(rest.len());
            continue;
        }
        let (kind, length) = token(rest, first, &open).map_err(|why| SyntaxError::new(at, why))?;
        if kind == Kind::Symbol {
            open.update(first)
                .map_err(|why| SyntaxError::new(at, why))?;
        }
        tokens.push(Token {
            kind,
            text: &rest[..length],
            start: at,
        });
        at += length;
    }
    open.check_closed().map_err(|why| SyntaxError::new(at, why))
}

/// Returns the kind and the length of the token at the start of `rest`.
fn token(rest: &str, first: char, open: &OpenBrackets) -> Result<(Kind, usize), String> {
    // A colon is part of a name, except in braces (matchers) and in brackets (durations).
    let colon = open.braces == 0;
    match first {
        '"' | '\'' | '`' => Ok((Kind::String, quoted(rest, first)?)),
        '0'..='9' => number(rest),
        '.' if rest[1..].starts_with(|c: char| c.is_ascii_digit()) => number(rest),
        ':' if open.brackets > 0 => Ok((Kind::Symbol, 1)),
        _ if is_letter(first) || (first == ':' && colon) => {
            let end =
                rest.find(|c: char| !(is_letter(c) || c.is_ascii_digit() || (colon && c == ':')));
            Ok((Kind::Identifier, end.unwrap_or(rest.len())))
        }
        _ => Ok((Kind::Symbol, symbol(rest, !colon)?)),
    }
}

/// Numbers of open brackets.
#[derive(Default)]
struct OpenBrackets {
    parens: usize,
    braces: usize,
    brackets: usize,
}

impl OpenBrackets {
    /// Counts the symbol, if it is a bracket.
    fn update(&mut self, symbol: char) -> Result<(), String> {
        let (open, name) = match symbol {
            '(' | ')' => (&mut self.parens, "parenthesis"),
            '{' | '}' => (&mut self.braces, "brace"),
            '[' | ']' => (&mut self.brackets, "bracket"),
            _ => return Ok(()),
        };
        if matches!(symbol, '(' | '{' | '[') {
            *open += 1;
            return Ok(());
        }
        *open = match open.checked_sub(1) {
            Some(less) => less,
            None if symbol == '}' => return Err("unexpected character: '}'".to_owned()),
            None => return Err(format!("unexpected right {name} {symbol:?}")),
        };
        Ok(())
    }

    fn check_closed(&self) -> Result<(), &'static str> {
        match (self.parens, self.braces, self.brackets) {
            (_, 1.., _) => Err("unexpected end of input inside braces"),
            (_, _, 1..) => Err("unclosed left bracket"),
            (1.., ..) => Err("unclosed left parenthesis"),
            _ => Ok(()),
        }
    }
}

fn is_letter(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_'
}

fn symbol(rest: &str, in_braces: bool) -> Result<usize, String> {
    let known: &[&str] = if in_braces {
        &["!=", "=~", "!~", "=", ",", "}"]
    } else {
        &[
            "==", "!=", ">=", "<=", "(", ")", "{", "}", "[", "]", ",", "@", "+", "-", "*", "/",
            "%", "^", ">", "<", "=", ":",
        ]
    };
    let first = rest.chars().next().unwrap_or_default();
    let second = rest.chars().nth(1);
    match (
        known.iter().find(|symbol| rest.starts_with(**symbol)),
        second,
    ) {
        (Some(&"="), Some('~')) => Err("unexpected character after '=': '~'".into()),
        (Some(symbol), _) => Ok(symbol.len()),
        (None, Some(second)) if first == '!' => {
            Err(format!("unexpected character after '!': {second:?}"))
        }
        (None, _) if first == '{' => Err("unexpected left brace '{'".into()),
        (None, _) if in_braces => Err(format!("unexpected character inside braces: {first:?}")),
        (None, _) => Err(format!("unexpected character: {first:?}")),
    }
}

/// Returns the length of the string at the beginning of `text`, quotes included.
fn quoted(text: &str, quote: char) -> Result<usize, String> {
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' if quote != '`' => drop(chars.next()),
            '\n' if quote != '`' => break,
            c if c == quote => return Ok(at + 1),
            _ => {}
        }
    }
    Err(if quote == '`' {
        "unterminated raw string"
    } else {
        "unterminated quoted string"
    }
    .into())
}

/// Returns kind and length of the number or duration at the beginning of `text`.
fn number(text: &str) -> Result<(Kind, usize), String> {
    let word = text.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '.')));
    let mut end = word.unwrap_or(text.len());
    let hexadecimal = text.starts_with("0x") || text.starts_with("0X");
    // An exponent may have a sign.
    if !hexadecimal
        && text[..end].ends_with(['e', 'E'])
        && text[..end].bytes().filter(u8::is_ascii_alphabetic).count() == 1
        && text[end..].starts_with(['+', '-'])
    {
        let rest = &text[end + 1..];
        let more = rest.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '.')));
        end += 1 + more.unwrap_or(rest.len());
    }
    let word = &text[..end];
    if value(word).is_some() {
        Ok((Kind::Number, end))
    } else if super::duration::parse(word).is_some() {
        Ok((Kind::Duration, end))
    } else {
        // As in Go, `1.2.3` is `1.2` and `.3`.
        Err(format!("bad number or duration syntax: {word:?}"))
    }
}

/// Parses a number in Go's syntax: `1_000`, `0x1F`, `017`, `1e3`, `.5`.
pub(super) fn value(word: &str) -> Option<f64> {
    let lower = word.to_ascii_lowercase();
    if let Some(digits) = lower.strip_prefix("0x") {
        let digits = digits.strip_prefix('_').unwrap_or(digits);
        let separated = digits
            .split('_')
            .all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_hexdigit()));
        return separated.then(|| {
            digits
                .chars()
                .filter_map(|c| c.to_digit(16))
                .fold(0.0, |sum, digit| sum * 16.0 + f64::from(digit))
        });
    }
    if !lower
        .match_indices('_')
        .all(|(at, _)| is_between_digits(lower.as_bytes(), at))
    {
        return None;
    }
    let plain = lower.replace('_', "");
    let known = plain
        .bytes()
        .all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'+' | b'-'));
    if !known {
        return None;
    }
    // A leading zero makes it octal.
    let octal = plain.len() > 1
        && plain.starts_with('0')
        && plain.bytes().all(|b| matches!(b, b'0'..=b'7'));
    if octal && let Ok(number) = i64::from_str_radix(&plain, 8) {
        return Some(number as f64);
    }
    plain.parse().ok()
}

fn is_between_digits(bytes: &[u8], at: usize) -> bool {
    let neighbours = [at.checked_sub(1), Some(at + 1)];
    neighbours.into_iter().all(|at| {
        at.and_then(|at| bytes.get(at))
            .is_some_and(u8::is_ascii_digit)
    })
}

/// Returns whether a number is in the range of Go's `float64`.
pub(super) fn in_range(word: &str) -> bool {
    value(word).is_some_and(f64::is_finite)
}

/// Unquotes a string as Go does, except that single quotes may contain any number of characters. A
/// string in backticks is raw.
pub(super) fn unquoted(token: &Token<'_>) -> Result<String, SyntaxError> {
    let text = token.text;
    let quote = text.chars().next().unwrap_or_default();
    let inner = text
        .get(1..text.len().saturating_sub(1))
        .unwrap_or_default();
    if quote == '`' {
        // As in Go, where a source file may have carriage returns.
        return Ok(inner.replace('\r', ""));
    }
    unescaped(inner, quote).map_err(|why| SyntaxError::new(token.start, why))
}

/// Replaces the escape sequences in the text between two `quote`s.
fn unescaped(text: &str, quote: char) -> Result<String, String> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.extend_from_slice(&rest.as_bytes()[..at]);
        let escape = &rest[at + 1..];
        let kind = escape.chars().next().unwrap_or_default();
        let length = match plain_escape(kind, quote) {
            Some(byte) => {
                out.push(byte);
                1
            }
            None => push_numbered(escape, kind, &mut out)?,
        };
        rest = &escape[length..];
    }
    out.extend_from_slice(rest.as_bytes());
    String::from_utf8(out).map_err(|_| "a text that is not UTF-8".to_owned())
}

/// Returns the character of an escape sequence of one letter.
fn plain_escape(kind: char, quote: char) -> Option<u8> {
    match kind {
        'a' => Some(7),
        'b' => Some(8),
        'f' => Some(12),
        'n' => Some(b'\n'),
        'r' => Some(b'\r'),
        't' => Some(b'\t'),
        'v' => Some(11),
        '\\' => Some(b'\\'),
        c if c == quote => Some(c as u8),
        _ => None,
    }
}

/// Pushes the character of an escape sequence with digits. Returns the length of the sequence.
fn push_numbered(escape: &str, kind: char, out: &mut Vec<u8>) -> Result<usize, String> {
    let (digits, radix, skip) = match kind {
        'x' => (2, 16, 1),
        'u' => (4, 16, 1),
        'U' => (8, 16, 1),
        '0'..='7' => (3, 8, 0),
        kind => {
            let code = u32::from(kind);
            return Err(format!("unknown escape sequence U+{code:04X} {kind:?}"));
        }
    };
    let number = escape
        .get(skip..skip + digits)
        .filter(|digits| digits.chars().all(|digit| digit.is_digit(radix)))
        .and_then(|digits| u32::from_str_radix(digits, radix).ok())
        .ok_or("invalid escape sequence")?;
    if matches!(kind, 'u' | 'U') {
        let c = char::from_u32(number).ok_or("escape sequence is not a valid character")?;
        out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    } else {
        out.push(u8::try_from(number).map_err(|_| "escape sequence is no byte")?);
    }
    Ok(skip + digits)
}
