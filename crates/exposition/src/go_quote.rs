//! Strings in Go's quotes (`strconv.Quote`), in which the tools of Prometheus print labels.

/// Unescapes a Go string that is given without its quotes.
///
/// # Errors
/// The reason, if an escape is unknown to Go or the result is not UTF-8.
pub(super) fn unquote(text: &str) -> Result<String, String> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.extend_from_slice(&rest.as_bytes()[..at]);
        rest = &rest[at + 1..];
        let kind = rest.chars().next().ok_or("lone backslash at the end")?;
        let invalid = || format!("bad escape: \\{kind}");
        rest = &rest[kind.len_utf8()..];
        let mut number = |digits: usize, radix: u32, lead: &str| {
            let text = rest.get(..digits).ok_or_else(invalid)?;
            let code =
                u32::from_str_radix(&format!("{lead}{text}"), radix).map_err(|_| invalid())?;
            rest = &rest[digits..];
            Ok::<u32, String>(code)
        };
        match kind {
            'a' => out.push(0x07),
            'b' => out.push(0x08),
            'f' => out.push(0x0c),
            'n' => out.push(b'\n'),
            'r' => out.push(b'\r'),
            't' => out.push(b'\t'),
            'v' => out.push(0x0b),
            '\\' | '"' | '\'' => out.push(kind as u8),
            'x' => out.push(number(2, 16, "")? as u8),
            '0'..='3' => out.push(number(2, 8, kind.encode_utf8(&mut [0; 4]))? as u8),
            'u' | 'U' => {
                let code = number(if kind == 'u' { 4 } else { 8 }, 16, "")?;
                let c = char::from_u32(code).ok_or_else(invalid)?;
                out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            }
            _ => return Err(invalid()),
        }
    }
    out.extend_from_slice(rest.as_bytes());
    String::from_utf8(out).map_err(|_| "escapes that give no UTF-8".into())
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
