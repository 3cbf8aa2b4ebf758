//! Lexer: splits a template into text and actions, and an action into tokens.

use std::ops::Range;

use super::Untranslatable;

/// Piece of a template.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Piece {
    /// Text, trimmed by its neighbours.
    Text(String),
    /// Line and tokens of an action.
    Action(u32, Vec<Token>),
}

/// Token of an action.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// Text, unquoted.
    Text(String),
    /// Number as written.
    Number(String),
    /// Keyword or function.
    Word(String),
    /// `$name`; empty for `$` itself.
    Variable(String),
    /// `.name`; a field of the value before it if `joined`.
    Field { name: String, joined: bool },
    /// Dot by itself.
    Dot,
    /// `(`, `)`, `|`, `,`, `:=` or `=`.
    Sign(&'static str),
}

/// Splits a template.
pub(super) fn pieces(text: &str) -> Result<Vec<Piece>, Untranslatable> {
    Ok(placed(text)?.into_iter().map(|(piece, _)| piece).collect())
}

/// Splits a template; returns each piece with its range in `text`.
pub(super) fn placed(text: &str) -> Result<Vec<(Piece, Range<usize>)>, Untranslatable> {
    let mut pieces = Vec::new();
    let (mut rest, mut line) = (text, 0);
    let mut trims = false;
    while let Some(open) = rest.find("{{") {
        let (before, inside) = (&rest[..open], &rest[open + 2..]);
        let trimmed_left = if trims { before.trim_start() } else { before };
        let opens_with_trim = trims_after(inside);
        let shown = if opens_with_trim {
            trimmed_left.trim_end()
        } else {
            trimmed_left
        };
        let at = text.len() - rest.len();
        pieces.push((Piece::Text(shown.to_owned()), at..at + open));
        line += lines(before);
        let (tokens, length) = action(
            if opens_with_trim {
                &inside[1..]
            } else {
                inside
            },
            line,
        )?;
        let length = length + usize::from(opens_with_trim);
        let body = &inside[..length];
        trims = body.ends_with('-') && body[..body.len() - 1].ends_with(char::is_whitespace);
        if !tokens.is_empty() {
            let end = at + open + 2 + length + 2;
            pieces.push((Piece::Action(line, tokens), at + open..end));
        }
        line += lines(body);
        rest = &inside[length + 2..];
    }
    let shown = if trims { rest.trim_start() } else { rest };
    pieces.push((
        Piece::Text(shown.to_owned()),
        text.len() - rest.len()..text.len(),
    ));
    Ok(pieces)
}

fn lines(text: &str) -> u32 {
    text.matches('\n').count() as u32
}

fn trims_after(inside: &str) -> bool {
    inside
        .strip_prefix('-')
        .is_some_and(|rest| rest.starts_with(char::is_whitespace))
}

/// Returns the tokens up to the closing braces, and their length.
fn action(text: &str, line: u32) -> Result<(Vec<Token>, usize), Untranslatable> {
    let unclosed = || Untranslatable::new(line, "an action that is not closed by `}}`");
    if let Some(comment) = text.trim_start().strip_prefix("/*") {
        let end = comment.find("*/").ok_or_else(unclosed)?;
        let start = text.len() - comment.len() + end + 2;
        let close = text[start..].find("}}").ok_or_else(unclosed)?;
        return Ok((Vec::new(), start + close));
    }
    let mut tokens = Vec::new();
    let mut at = 0;
    loop {
        let rest = &text[at..];
        let first = rest.chars().next().ok_or_else(unclosed)?;
        if rest.starts_with("}}") {
            return Ok((tokens, at));
        }
        // A minus before the end trims; it is not a number.
        if first == '-' && rest[1..].starts_with("}}") && text[..at].ends_with(char::is_whitespace)
        {
            return Ok((tokens, at + 1));
        }
        if first.is_whitespace() {
            at += first.len_utf8();
            continue;
        }
        let joined =
            at > 0 && !text[..at].ends_with(|c: char| c.is_whitespace() || "(|,=".contains(c));
        let (token, length) = token(rest, joined, line)?;
        tokens.push(token);
        at += length;
    }
}

fn token(rest: &str, joined: bool, line: u32) -> Result<(Token, usize), Untranslatable> {
    for sign in [":=", "=", "(", ")", "|", ","] {
        if rest.starts_with(sign) {
            return Ok((Token::Sign(sign), sign.len()));
        }
    }
    let first = rest.chars().next().unwrap_or_default();
    match first {
        '"' | '`' | '\'' => quoted(rest, first, line),
        '$' => {
            let name = word(&rest[1..]);
            Ok((Token::Variable(name.to_owned()), 1 + name.len()))
        }
        '.' => match word(&rest[1..]) {
            "" if !rest[1..].starts_with(|c: char| c.is_ascii_digit()) => Ok((Token::Dot, 1)),
            "" => Ok(number(rest)),
            name => Ok((
                Token::Field {
                    name: name.to_owned(),
                    joined,
                },
                1 + name.len(),
            )),
        },
        '0'..='9' | '-' | '+' => Ok(number(rest)),
        _ => match word(rest) {
            "" => Err(Untranslatable::new(
                line,
                format!("an unexpected {first:?}"),
            )),
            name => Ok((Token::Word(name.to_owned()), name.len())),
        },
    }
}

fn word(text: &str) -> &str {
    match text.chars().next() {
        Some(first) if is_part_of_name(first) && !first.is_ascii_digit() => {
            &text[..text.find(|c| !is_part_of_name(c)).unwrap_or(text.len())]
        }
        _ => "",
    }
}

fn number(text: &str) -> (Token, usize) {
    let rest = text.trim_start_matches(['-', '+']);
    let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '.' || c == '_'));
    let length = text.len() - rest.len() + end.unwrap_or(rest.len());
    (Token::Number(text[..length].to_owned()), length)
}

fn is_part_of_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn quoted(rest: &str, quote: char, line: u32) -> Result<(Token, usize), Untranslatable> {
    let unclosed = || Untranslatable::new(line, "a text that is not closed");
    if quote == '`' {
        let end = rest[1..].find('`').ok_or_else(unclosed)?;
        return Ok((Token::Text(rest[1..=end].to_owned()), end + 2));
    }
    let mut text = String::new();
    let mut chars = rest.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => {
                let (_, escaped) = chars.next().ok_or_else(unclosed)?;
                let digits = match escaped {
                    'x' => 2,
                    'u' => 4,
                    'U' => 8,
                    _ => 0,
                };
                let code: String = chars
                    .by_ref()
                    .take(digits)
                    .map(|(_, digit)| digit)
                    .collect();
                text.push(match escaped {
                    'n' => '\n',
                    't' => '\t',
                    'r' => '\r',
                    'a' => '\u{7}',
                    _ if digits > 0 => u32::from_str_radix(&code, 16)
                        .ok()
                        .and_then(char::from_u32)
                        .ok_or_else(|| {
                            Untranslatable::new(line, format!("an escape \\{escaped}{code}"))
                        })?,
                    other => other,
                });
            }
            '\n' => return Err(unclosed()),
            _ if c == quote => {
                let token = if quote == '"' {
                    Token::Text(text)
                } else {
                    character(&text)
                };
                return Ok((token, at + 1));
            }
            _ => text.push(c),
        }
    }
    Err(unclosed())
}

/// A character of Go is a number.
fn character(text: &str) -> Token {
    Token::Number(text.chars().next().map_or(0, u32::from).to_string())
}
