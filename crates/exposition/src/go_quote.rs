//! Strings in Go's quotes (`strconv.Quote`), in which the tools of Prometheus print labels.

use super::error::LineError;

/// Unescapes a Go string that is given without its quotes.
///
/// # Errors
/// An escape is unknown to Go, or the result is not UTF-8.
pub(super) fn unquote(text: &str) -> Result<String, LineError> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.extend_from_slice(&rest.as_bytes()[..at]);
        rest = unescape_one(&rest[at + 1..], &mut out)?;
    }
    out.extend_from_slice(rest.as_bytes());
    String::from_utf8(out).map_err(|_| LineError::new("escapes that give no UTF-8"))
}

/// Unescapes the text behind a backslash into `out`, and returns the rest.
fn unescape_one<'t>(text: &'t str, out: &mut Vec<u8>) -> Result<&'t str, LineError> {
    let kind = text
        .chars()
        .next()
        .ok_or_else(|| LineError::new("lone backslash at the end"))?;
    let invalid = || LineError::new(format!("bad escape: \\{kind}"));
    let behind = &text[kind.len_utf8()..];
    let plain = match kind {
        'a' => 0x07,
        'b' => 0x08,
        'f' => 0x0c,
        'n' => b'\n',
        'r' => b'\r',
        't' => b'\t',
        'v' => 0x0b,
        '\\' | '"' | '\'' => kind as u8,
        _ => {
            let (number, length, radix) = match kind {
                'x' => (behind, 2, 16),
                'u' => (behind, 4, 16),
                'U' => (behind, 8, 16),
                '0'..='3' => (text, 3, 8),
                _ => return Err(invalid()),
            };
            let (digits, rest) = number.split_at_checked(length).ok_or_else(invalid)?;
            let code = u32::from_str_radix(digits, radix).map_err(|_| invalid())?;
            if matches!(kind, 'u' | 'U') {
                let c = char::from_u32(code).ok_or_else(invalid)?;
                out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            } else {
                out.push(code as u8);
            }
            return Ok(rest);
        }
    };
    out.push(plain);
    Ok(behind)
}

#[cfg(test)]
mod tests {
    use bellwether_core::GoQuoted;

    use super::*;

    #[test]
    fn go_escapes_are_read() {
        let text = r#"a\tb\r\n\x01\u00a0\U0001F600\"\\\a\b\f\v\303\251"#;
        assert_eq!(
            unquote(text).unwrap(),
            "a\tb\r\n\u{1}\u{a0}\u{1F600}\"\\\u{7}\u{8}\u{c}\u{b}é"
        );
        for bad in [r"\q", r"\x1", r"\u12", r"\xzz", r"\xff", "\\", r"\uD800"] {
            assert!(unquote(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn quoted_strings_read_back() {
        for text in [
            "",
            "a\"\\\n\t\r",
            "\u{1b}[2J\u{7f}\u{9b}\u{a0}\u{ad}\u{202e}é\u{10ffff}",
            "\0",
        ] {
            let quoted = GoQuoted(text).to_string();
            let inner = quoted
                .strip_prefix('"')
                .and_then(|text| text.strip_suffix('"'))
                .unwrap();
            assert!(!quoted.contains(char::is_control), "{quoted}");
            assert_eq!(unquote(inner).unwrap(), text);
        }
        assert_eq!(
            GoQuoted("a\u{a0}\u{1}é\t").to_string(),
            r#""a\u00a0\x01é\t""#
        );
    }
}
