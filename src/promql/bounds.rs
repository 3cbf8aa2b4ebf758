//! What keeps a text from being parsed at all: `promql-parser` recurses over what it has built, so
//! that deep nesting exhausts the stack (5,000 nested `sum(`), and takes time by the square of the
//! length of a chain of operators (20 s for 20,000).

/// Deepest nesting of brackets.
const MAX_DEPTH: usize = 500;
/// Most operators.
const MAX_OPERATORS: usize = 5_000;
/// Longest text in bytes.
const MAX_LENGTH: usize = 1 << 18;

/// Judges a text by its length, brackets and operators, whether or not it is a query.
///
/// # Errors
/// What there is too much of.
pub(super) fn check(text: &str) -> Result<(), String> {
    if text.len() > MAX_LENGTH {
        return Err(format!("longer than {MAX_LENGTH} bytes"));
    }
    let (mut depth, mut operators) = (0_usize, 0);
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            b'+' | b'-' | b'*' | b'/' | b'%' | b'^' | b'=' | b'!' | b'<' | b'>' => operators += 1,
            b'"' | b'\'' | b'`' => rest = after_quote(rest, *byte),
            b'#' => rest = after_line(rest),
            b'a'..=b'z' | b'A'..=b'Z' | b'_' | b':' | b'0'..=b'9' => {
                let word = rest.iter().position(|byte| !is_word(*byte)).unwrap_or(rest.len());
                let start = text.len() - rest.len() - 1;
                operators += usize::from(is_operator(&text[start..=start + word]));
                rest = &rest[word..];
            }
            _ => {}
        }
        if depth > MAX_DEPTH {
            return Err(format!("nested deeper than {MAX_DEPTH}"));
        }
        if operators > MAX_OPERATORS {
            return Err(format!("more than {MAX_OPERATORS} operators"));
        }
    }
    Ok(())
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':')
}

fn is_operator(word: &str) -> bool {
    ["and", "or", "unless", "atan2"].iter().any(|known| word.eq_ignore_ascii_case(known))
}

/// What follows a quoted text; only in backquotes a backslash has no meaning.
fn after_quote(mut rest: &[u8], quote: u8) -> &[u8] {
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'\\' if quote != b'`' => rest = rest.get(1..).unwrap_or_default(),
            byte if *byte == quote => break,
            _ => {}
        }
    }
    rest
}

fn after_line(rest: &[u8]) -> &[u8] {
    let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
    &rest[end..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_much() {
        let both = |open: &str, close: &str, count| {
            format!("{}a{}", open.repeat(count), close.repeat(count))
        };
        for (text, told) in [
            (both("(", ")", 501), "nested deeper than 500"),
            (both("sum(", ")", 501), "nested deeper than 500"),
            (both("(", ")[5m:1m]", 501), "nested deeper than 500"),
            (both("-", "", 5_001), "more than 5000 operators"),
            (both("a or ", "", 5_001), "more than 5000 operators"),
            (both("a\nUNLESS ", "", 5_001), "more than 5000 operators"),
            ("x".repeat(MAX_LENGTH + 1), "longer than 262144 bytes"),
        ] {
            assert_eq!(check(&text), Err(told.to_owned()));
        }
    }

    #[test]
    fn what_is_not() {
        let signs = "-(".repeat(6_000);
        for text in [
            String::new(),
            "(".repeat(500),
            "(a)+".repeat(5_000),
            "order band nor_or ".repeat(5_000),
            format!("{{a=\"{signs}\\\"{signs}\", b='{signs}', c=`{signs}\\`}} # {signs}\n+ 1"),
            format!("\"{signs}"),
            "é-ü".repeat(100),
        ] {
            assert_eq!(check(&text), Ok(()), "{}", &text[..text.len().min(40)]);
        }
    }
}
