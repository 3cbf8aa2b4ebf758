//! Translation of RE2 syntax, as Prometheus uses it, to the syntax of the `regex` crate.

use std::fmt::Write as _;

use super::error::PatternError;

/// Largest repeat count of RE2.
const MAX_REPEAT: u32 = 1000;

/// Rewrites the parts of `source` that mean something else in the `regex` crate.
///
/// # Errors
/// RE2 rejects `source` and the `regex` crate does not. Errors that both report are left to the crate.
pub fn translate(source: &str) -> Result<String, PatternError> {
    let mut translator = Translator {
        rest: source,
        out: String::with_capacity(source.len() + 16),
    };
    translator.run()?;
    Ok(translator.out)
}

struct Translator<'s> {
    rest: &'s str,
    out: String,
}

impl<'s> Translator<'s> {
    fn run(&mut self) -> Result<(), PatternError> {
        let mut depth = 0_usize;
        let mut repeated = "";
        let mut nothing = true;
        while let Some(next) = self.rest.chars().next() {
            let before = self.rest;
            let operator = self.piece(next, &mut depth)?;
            if !operator {
                repeated = "";
                nothing = matches!(next, '(' | '|');
                continue;
            }
            if self.rest.starts_with('?') {
                self.copy(1);
            }
            let this = &before[..before.len() - self.rest.len()];
            if nothing {
                return Err(PatternError::MissingRepeatArgument(this.to_owned()));
            }
            if !repeated.is_empty() {
                return Err(PatternError::NestedRepetition(format!("{repeated}{this}")));
            }
            repeated = this;
        }
        if depth > 0 {
            return Err(PatternError::UnclosedGroup);
        }
        Ok(())
    }

    /// Reads a piece that begins with `next`. Returns true if it is an operator of repetition.
    fn piece(&mut self, next: char, depth: &mut usize) -> Result<bool, PatternError> {
        match next {
            '\\' => self.escaped()?,
            '[' => self.class()?,
            '(' => *depth += usize::from(self.group()?),
            ')' => {
                *depth = depth
                    .checked_sub(1)
                    .ok_or(PatternError::UnexpectedParenthesis)?;
                self.copy(1);
            }
            '*' | '+' | '?' => {
                self.copy(1);
                return Ok(true);
            }
            '{' => return self.counted(),
            ']' | '}' => {
                self.out.push('\\');
                self.copy(1);
            }
            _ => self.copy(next.len_utf8()),
        }
        Ok(false)
    }

    /// Copies `length` bytes as they are.
    fn copy(&mut self, length: usize) {
        let (copied, rest) = self.rest.split_at(length);
        self.out.push_str(copied);
        self.rest = rest;
    }

    fn skip(&mut self, length: usize) {
        self.rest = &self.rest[length..];
    }

    /// Writes a literal character.
    fn literal(&mut self, c: char) {
        if c.is_ascii_punctuation() {
            self.out.push('\\');
        }
        self.out.push(c);
    }

    /// Reads the opening of a group; returns false for a group of flags, which has no end.
    fn group(&mut self) -> Result<bool, PatternError> {
        let Some(behind) = self.rest.strip_prefix("(?") else {
            self.copy(1);
            return Ok(true);
        };
        if behind.starts_with("P<") || behind.starts_with('<') {
            let named = !behind.starts_with("<=") && !behind.starts_with("<!");
            let end = behind
                .find('>')
                .filter(|_| named)
                .ok_or_else(|| unsupported(self.rest, 4))?;
            self.copy(2 + end + 1);
            return Ok(true);
        }
        let flags = behind.find(|c: char| !matches!(c, 'i' | 'm' | 's' | 'U' | '-'));
        let end = flags
            .filter(|end| matches!(behind.as_bytes()[*end], b':' | b')'))
            .ok_or_else(|| unsupported(self.rest, 3 + flags.unwrap_or_default()))?;
        self.copy(2 + end + 1);
        Ok(behind.as_bytes()[end] == b':')
    }

    /// Reads `{2}`, `{2,}` or `{2,3}`; anything else in braces is literal.
    fn counted(&mut self) -> Result<bool, PatternError> {
        let end = self.rest.find('}');
        let inner = end.map(|end| &self.rest[1..end]);
        let numbers = inner.and_then(|inner| {
            let (least, most) = inner.split_once(',').unwrap_or((inner, inner));
            let mut digits = least.bytes().chain(most.bytes());
            (!least.is_empty() && digits.all(|byte| byte.is_ascii_digit())).then_some((least, most))
        });
        let (Some(end), Some((least, most))) = (end, numbers) else {
            self.skip(1);
            self.literal('{');
            return Ok(false);
        };
        let most = if most.is_empty() {
            Some(MAX_REPEAT)
        } else {
            repeat_count(most)
        };
        if repeat_count(least)
            .zip(most)
            .is_none_or(|(least, most)| least > most)
        {
            return Err(PatternError::InvalidRepeatCount(
                self.rest[..=end].to_owned(),
            ));
        }
        self.copy(end + 1);
        Ok(true)
    }

    fn escaped(&mut self) -> Result<(), PatternError> {
        if let Some(quoted) = self.rest.strip_prefix("\\Q") {
            let (text, rest) = quoted.split_once("\\E").unwrap_or((quoted, ""));
            text.chars().for_each(|c| self.literal(c));
            self.rest = rest;
            return Ok(());
        }
        let Some(kind) = self.rest.chars().nth(1) else {
            return Err(PatternError::TrailingBackslash);
        };
        let class = match kind {
            'A' | 'z' => Some(if kind == 'A' { "\\A" } else { "\\z" }),
            'b' => Some("(?-u:\\b)"),
            'B' => Some("(?-u:\\B)"),
            _ => None,
        };
        if let Some(class) = class {
            self.out.push_str(class);
            self.skip(2);
        } else if let Some(set) = perl(kind) {
            write!(self.out, "[{set}]").ok();
            self.skip(2);
        } else if matches!(kind, 'p' | 'P') {
            self.property()?;
        } else {
            let c = self.character()?;
            self.literal(c);
        }
        Ok(())
    }

    /// Reads `\pL`, `\p{Greek}` or `\p{^Greek}`.
    fn property(&mut self) -> Result<(), PatternError> {
        let negated = self.rest.starts_with("\\P");
        let behind = &self.rest[2..];
        let (name, length) = match behind.strip_prefix('{') {
            Some(inner) => {
                let end = inner.find('}').ok_or_else(|| range(self.rest))?;
                (&inner[..end], end + 4)
            }
            None => {
                let first = behind.chars().next().ok_or_else(|| range(self.rest))?;
                (&behind[..first.len_utf8()], 2 + first.len_utf8())
            }
        };
        let (name, inverted) = name
            .strip_prefix('^')
            .map_or((name, false), |name| (name, true));
        let letter = if negated == inverted { 'p' } else { 'P' };
        write!(self.out, "\\{letter}{{{name}}}").ok();
        self.skip(length);
        Ok(())
    }

    /// Reads one character, escaped or not.
    fn character(&mut self) -> Result<char, PatternError> {
        let mut chars = self.rest.chars();
        let first = chars.next().ok_or(PatternError::UnfinishedClass)?;
        if first != '\\' {
            self.skip(first.len_utf8());
            return Ok(first);
        }
        let Some(kind) = chars.next() else {
            return Err(PatternError::TrailingBackslash);
        };
        let behind = chars.as_str();
        let (c, length) = match kind {
            'a' => ('\u{7}', 2),
            'f' => ('\u{c}', 2),
            't' => ('\t', 2),
            'n' => ('\n', 2),
            'r' => ('\r', 2),
            'v' => ('\u{b}', 2),
            'x' => self.hexadecimal(behind)?,
            '0'..='7' => self.octal(kind, behind)?,
            kind if kind.is_ascii_punctuation() => (kind, 2),
            _ => return Err(invalid_escape(self.rest, 2)),
        };
        self.skip(length);
        Ok(c)
    }

    /// Returns the character of `\x41` or `\x{41}` and the length of the escape, whose digits are at
    /// the start of `behind`.
    fn hexadecimal(&self, behind: &str) -> Result<(char, usize), PatternError> {
        let (digits, length) = match behind.strip_prefix('{') {
            Some(inner) => {
                let end = inner
                    .find('}')
                    .ok_or_else(|| invalid_escape(self.rest, 3))?;
                (&inner[..end], end + 4)
            }
            None => (
                behind
                    .get(..2)
                    .ok_or_else(|| invalid_escape(self.rest, 3))?,
                4,
            ),
        };
        let number = u32::from_str_radix(digits, 16)
            .ok()
            .and_then(char::from_u32);
        let c = number.ok_or_else(|| invalid_escape(self.rest, length))?;
        Ok((c, length))
    }

    /// Returns the character of `\0` or `\101` and the length of the escape.
    fn octal(&self, first: char, behind: &str) -> Result<(char, usize), PatternError> {
        let digits = behind
            .bytes()
            .take(2)
            .take_while(|b| matches!(b, b'0'..=b'7'));
        let count = digits.count();
        if first != '0' && count == 0 {
            return Err(invalid_escape(self.rest, 2));
        }
        let text = &self.rest[1..2 + count];
        let number = u32::from_str_radix(text, 8).ok().and_then(char::from_u32);
        let c = number.ok_or_else(|| invalid_escape(self.rest, 2))?;
        Ok((c, 2 + count))
    }

    /// Reads `[...]`, in which only a closing bracket, a range and an escape are special.
    fn class(&mut self) -> Result<(), PatternError> {
        let whole = self.rest;
        self.copy(1);
        if self.rest.starts_with('^') {
            self.copy(1);
        }
        let mut first = true;
        while first || !self.rest.starts_with(']') {
            first = false;
            if self.rest.is_empty() {
                return Err(PatternError::UnclosedClass(whole.to_owned()));
            }
            self.class_item()?;
        }
        self.copy(1);
        Ok(())
    }

    /// Reads a named class, a property, a Perl class, a character or a range.
    fn class_item(&mut self) -> Result<(), PatternError> {
        if let Some(end) = self
            .rest
            .strip_prefix("[:")
            .and_then(|rest| rest.find(":]"))
        {
            return self.named(end + 4);
        }
        let kind = self
            .rest
            .strip_prefix('\\')
            .and_then(|rest| rest.chars().next());
        if matches!(kind, Some('p' | 'P')) {
            return self.property();
        }
        if let Some(set) = kind.and_then(perl) {
            let (open, close) = match set.starts_with('^') {
                true => ("[", "]"),
                false => ("", ""),
            };
            write!(self.out, "{open}{set}{close}").ok();
            self.skip(2);
            return Ok(());
        }
        self.character_range()
    }

    /// Reads `a` or `a-z`.
    fn character_range(&mut self) -> Result<(), PatternError> {
        let from = self.rest;
        let low = self.character()?;
        let ranged = self
            .rest
            .strip_prefix('-')
            .is_some_and(|rest| !rest.starts_with(']') && !rest.is_empty());
        let high = if ranged {
            self.skip(1);
            self.character()?
        } else {
            low
        };
        if high < low {
            return Err(range(&from[..from.len() - self.rest.len()]));
        }
        let (low, high) = (u32::from(low), u32::from(high));
        write!(self.out, "\\x{{{low:x}}}-\\x{{{high:x}}}").ok();
        Ok(())
    }

    /// Reads `[:alpha:]`, which is `length` bytes long.
    fn named(&mut self, length: usize) -> Result<(), PatternError> {
        const NAMES: [&str; 14] = [
            "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print",
            "punct", "space", "upper", "word", "xdigit",
        ];
        let whole = &self.rest[..length];
        let name = &whole[2..length - 2];
        if !NAMES.contains(&name.strip_prefix('^').unwrap_or(name)) {
            return Err(range(whole));
        }
        self.copy(length);
        Ok(())
    }
}

/// Returns the characters of a Perl class such as `\d`, without brackets: ASCII, as in RE2.
fn perl(kind: char) -> Option<&'static str> {
    Some(match kind {
        'd' => "0-9",
        'D' => "^0-9",
        's' => "\\t\\n\\f\\r ",
        'S' => "^\\t\\n\\f\\r ",
        'w' => "0-9A-Za-z_",
        'W' => "^0-9A-Za-z_",
        _ => return None,
    })
}

/// Parses a repeat count; `None` if it is above the limit.
fn repeat_count(text: &str) -> Option<u32> {
    text.parse().ok().filter(|count| *count <= MAX_REPEAT)
}

fn range(text: &str) -> PatternError {
    PatternError::InvalidClassRange(text.to_owned())
}

fn unsupported(text: &str, length: usize) -> PatternError {
    PatternError::UnsupportedSyntax(text.chars().take(length).collect())
}

fn invalid_escape(text: &str, length: usize) -> PatternError {
    PatternError::InvalidEscape(text.chars().take(length).collect())
}

#[cfg(test)]
mod tests {
    use crate::Pattern;

    /// Checked with Go's `regexp`.
    #[test]
    fn expressions_match_as_in_prometheus() {
        for (source, text, expected) in [
            ("\\Qa.b*\\E+", "a.b**", true),
            ("\\Qa.b", "a.b", true),
            ("\\Qa.b", "axb", false),
            ("[[a]k", "[k", true),
            ("[[a]k", "ak", true),
            ("[a-z&&[^b]]", "&]", true),
            ("[a-z&&[^b]]", "b]", true),
            ("[a-z&&[^b]]", "a", false),
            ("k{,3}", "k{,3}", true),
            ("k{,3}", "kk", false),
            ("k{2,3}", "kkk", true),
            ("{", "{", true),
            ("a{x}", "a{x}", true),
            ("\\d+", "٣", false),
            ("\\w", "é", false),
            ("\\W", "é", true),
            ("[\\W]", "é", true),
            ("[^\\d]", "1", false),
            ("\\s", "\u{b}", false),
            ("[]a]", "]", true),
            ("[^]a]", "]", false),
            ("[a-]", "-", true),
            ("[a\\-z]", "b", false),
            ("[[:alpha:]_]+", "a_", true),
            ("[[:^alpha:]]", "1", true),
            ("[~~a]", "~", true),
            ("a\\_b\\<", "a_b<", true),
            ("\\101", "A", true),
            ("\\x{41}\\x42", "AB", true),
            ("\\p{^Greek}", "a", true),
            ("\\pN", "٣", true),
            ("(?i)straße", "STRASSE", false),
            ("(?i)abc|d", "ABC", true),
            ("(?P<x>a)(?<y>b)", "ab", true),
            (".", "\n", true),
            ("a b#", "a b#", true),
            ("x\\b.*", "x y", true),
            ("a}]", "a}]", true),
            ("(?i:A)b", "ab", true),
            ("(?s)a(?-s).", "a\n", false),
        ] {
            let pattern = Pattern::new(source).unwrap_or_else(|error| panic!("{source}: {error}"));
            assert_eq!(pattern.is_match(text), expected, "{source} on {text:?}");
        }
        for (source, reason) in [
            ("a)|(b", "unexpected )"),
            ("a**", "invalid nested repetition operator: `**`"),
            ("a*?+", "invalid nested repetition operator: `*?+`"),
            ("a{1001}", "invalid repeat count: `{1001}`"),
            ("a{3,2}", "invalid repeat count: `{3,2}`"),
            ("(?=a)", "invalid or unsupported Perl syntax: `(?=`"),
            ("(?<!a)", "invalid or unsupported Perl syntax: `(?<!`"),
            ("(?x)a", "invalid or unsupported Perl syntax: `(?x`"),
            ("\\C", "invalid escape sequence: `\\C`"),
            ("\\y", "invalid escape sequence: `\\y`"),
            ("\\8", "invalid escape sequence: `\\8`"),
            ("[z-a]", "invalid character class range: `z-a`"),
            ("[[:foo:]]", "invalid character class range: `[:foo:]`"),
            ("[a", "missing closing ]: `[a`"),
            ("a\\", "trailing backslash at end of expression"),
            ("a(", "unclosed group"),
            ("*", "missing argument to repetition operator: `*`"),
            ("a|+", "missing argument to repetition operator: `+`"),
        ] {
            let error = Pattern::new(source).unwrap_err();
            assert_eq!(error.to_string(), reason, "{source}");
        }
    }
}
