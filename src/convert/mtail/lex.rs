//! Tokens of a program of mtail.

use bellwether_schema::YamlError;

use super::super::source::Source;

/// Token with the byte at which it begins.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) at: usize,
    /// True if a line ends before it.
    pub(super) begins_line: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    Word(String),
    Number(String),
    Text(String),
    /// A regular expression without its slashes.
    Regex(String),
    /// `$name` without the dollar.
    Capture(String),
    /// `@name` without the sign.
    Decorator(String),
    Sign(&'static str),
}

/// Signs, the longer ones first.
const SIGNS: [&str; 33] = [
    "**", "++", "--", "+=", "==", "!=", "<=", ">=", "<<", ">>", "=~", "!~", "&&", "||", "{", "}",
    "(", ")", "[", "]", ",", "+", "-", "*", "/", "%", "=", "<", ">", "!", "&", "|", "^",
];

/// Splits a program into tokens.
///
/// # Errors
/// A character that no token begins with, or a text or an expression without its end.
pub(super) fn tokens(source: &Source<'_>) -> Result<Vec<Token>, YamlError> {
    let mut lexer = Lexer {
        source,
        text: &source.file.text,
        at: 0,
        tokens: Vec::new(),
    };
    while lexer.token()? {}
    Ok(lexer.tokens)
}

struct Lexer<'s> {
    source: &'s Source<'s>,
    text: &'s str,
    at: usize,
    tokens: Vec<Token>,
}

impl Lexer<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn error(&self, at: usize, message: &str) -> YamlError {
        YamlError {
            at: self.source.pos(at),
            message: format!("not a program of mtail: {message}"),
        }
    }

    /// Reads a token; returns false at the end.
    fn token(&mut self) -> Result<bool, YamlError> {
        let begins_line = self.blank();
        let at = self.at;
        let Some(first) = self.rest().chars().next() else {
            return Ok(false);
        };
        let kind = match first {
            '"' => Kind::Text(self.delimited('"', "a text without its end")?),
            '/' if self.regex_may_begin() => {
                Kind::Regex(self.delimited('/', "a regular expression without its end")?)
            }
            '$' => {
                self.at += 1;
                Kind::Capture(self.run(is_word))
            }
            '@' => {
                self.at += 1;
                Kind::Decorator(self.run(is_word))
            }
            c if c.is_ascii_digit() => Kind::Number(self.number()),
            c if c.is_alphabetic() || c == '_' => Kind::Word(self.run(is_word)),
            c => {
                let rest = self.rest();
                let sign = SIGNS.iter().find(|sign| rest.starts_with(**sign));
                let sign = sign.ok_or_else(|| self.error(at, &format!("unexpected {c:?}")))?;
                self.at += sign.len();
                Kind::Sign(sign)
            }
        };
        self.tokens.push(Token {
            kind,
            at,
            begins_line,
        });
        Ok(true)
    }

    /// Skips blanks and comments; returns whether a line ended.
    fn blank(&mut self) -> bool {
        let before = self.at;
        loop {
            let rest = self.rest();
            let blanks = rest.len() - rest.trim_start().len();
            self.at += blanks;
            if !self.rest().starts_with('#') {
                break;
            }
            let line = self.rest().find('\n').unwrap_or(self.rest().len());
            self.at += line;
        }
        before == 0 || self.text[before..self.at].contains('\n')
    }

    fn run(&mut self, is_part: impl Fn(char) -> bool) -> String {
        let rest = self.rest();
        let end = rest.find(|c: char| !is_part(c)).unwrap_or(rest.len());
        let run = rest[..end].to_owned();
        self.at += end;
        run
    }

    /// Reads a number, which may have an exponent: `1e-3`.
    fn number(&mut self) -> String {
        let mut number = self.run(|c| c.is_ascii_alphanumeric() || c == '.');
        if number.ends_with(['e', 'E']) && self.rest().starts_with('-') {
            self.at += 1;
            number.push('-');
            number += &self.run(|c| c.is_ascii_digit());
        }
        number
    }

    /// Returns whether a slash begins an expression; behind a value it divides.
    fn regex_may_begin(&self) -> bool {
        let behind_value = match self.tokens.last().map(|token| &token.kind) {
            None => false,
            Some(Kind::Sign(sign)) => matches!(*sign, ")" | "]"),
            Some(Kind::Word(word)) => {
                !matches!(word.as_str(), "const" | "else") && !self.after_const()
            }
            Some(_) => true,
        };
        // A statement begins on a new line.
        !behind_value
            || self.text[..self.at]
                .trim_end_matches([' ', '\t'])
                .ends_with('\n')
    }

    /// Returns whether the last two tokens are `const NAME`.
    fn after_const(&self) -> bool {
        let before = self
            .tokens
            .len()
            .checked_sub(2)
            .map(|index| &self.tokens[index].kind);
        before == Some(&Kind::Word("const".to_owned()))
    }

    /// Reads up to the next `end` without a backslash. A backslash in front of `end` is dropped.
    fn delimited(&mut self, end: char, message: &str) -> Result<String, YamlError> {
        let start = self.at;
        let mut out = String::new();
        let mut chars = self.text[start + 1..].char_indices();
        while let Some((offset, c)) = chars.next() {
            match c {
                '\\' => match chars.next() {
                    Some((_, next)) if next == end => out.push(next),
                    Some((_, next)) => out.extend(['\\', next]),
                    None => break,
                },
                '\n' if end == '/' => break,
                c if c == end => {
                    self.at = start + 1 + offset + c.len_utf8();
                    return Ok(out);
                }
                c => out.push(c),
            }
        }
        Err(self.error(start, message))
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::super::super::source::SourceFile;
    use super::*;

    fn kinds(text: &str) -> Result<Vec<Kind>, YamlError> {
        let file = SourceFile {
            name: "a.mtail".into(),
            path: "/a.mtail".into(),
            text: text.to_owned(),
        };
        let tokens = tokens(&Source::new(&file, 1))?;
        Ok(tokens.into_iter().map(|token| token.kind).collect())
    }

    #[test]
    fn a_slash_divides_behind_a_value_and_begins_an_expression_elsewhere() {
        let regex = |text: &str| Kind::Regex(text.to_owned());
        let word = |text: &str| Kind::Word(text.to_owned());
        assert_eq!(
            kinds("x = $a / 10\n/a\\/b\\d/ + C {\n}").unwrap(),
            [
                word("x"),
                Kind::Sign("="),
                Kind::Capture("a".into()),
                Kind::Sign("/"),
                Kind::Number("10".into()),
                regex("a/b\\d"),
                Kind::Sign("+"),
                word("C"),
                Kind::Sign("{"),
                Kind::Sign("}"),
            ],
        );
        assert_eq!(kinds("const A /x/").unwrap()[2], regex("x"));
        assert_eq!(kinds("1e-3").unwrap(), [Kind::Number("1e-3".into())]);
        let sign = |sign| Kind::Sign(sign);
        assert_eq!(
            kinds("a++ # c\nd--").unwrap(),
            [word("a"), sign("++"), word("d"), sign("--")]
        );
    }

    #[test]
    fn what_has_no_end_is_an_error_at_its_line() {
        for text in ["a\n\"b", "a\n/b\n/", "a\n`"] {
            assert_eq!(kinds(text).unwrap_err().at.line, 2, "{text}");
        }
    }
}
