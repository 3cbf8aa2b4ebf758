//! Fields of a line in logfmt: `level=error took=0.25 msg="not \"found\""`.

use super::values::Values;

/// Sets the values of the fields `names`, whose first one has the slot `first`. Returns false if the line has no
/// `key=value` at all. Words between them are left out.
pub(super) fn read(line: &[u8], names: &[String], first: usize, values: &mut Values) -> bool {
    let mut rest = line;
    let mut has_any = false;
    while let Some((key, value, after)) = next_pair(rest) {
        rest = after;
        has_any = true;
        if let Some(index) = names.iter().position(|name| name.as_bytes() == key) {
            match value {
                Text::Plain(text) => values.set(first + index, text),
                Text::Quoted(text) => values.set(first + index, &unescape(text)),
            }
        }
    }
    has_any
}

enum Text<'a> {
    Plain(&'a [u8]),
    /// Between quotes, escapes as they are.
    Quoted(&'a [u8]),
}

/// Returns the first pair, and what is behind it.
fn next_pair(mut line: &[u8]) -> Option<(&[u8], Text<'_>, &[u8])> {
    loop {
        line = line.trim_ascii_start();
        let end = line
            .iter()
            .position(|byte| *byte == b'=' || byte.is_ascii_whitespace())?;
        let (key, behind) = line.split_at(end);
        if behind[0] != b'=' || key.is_empty() {
            line = &behind[1..];
            continue;
        }
        let (value, rest) = text(&behind[1..]);
        return Some((key, value, rest));
    }
}

fn text(line: &[u8]) -> (Text<'_>, &[u8]) {
    if let Some(quoted) = line.strip_prefix(b"\"") {
        let mut is_escaped = false;
        let end = quoted.iter().position(|byte| {
            let is_end = *byte == b'"' && !is_escaped;
            is_escaped = *byte == b'\\' && !is_escaped;
            is_end
        });
        // A line that was cut may end within quotes.
        let end = end.unwrap_or(quoted.len());
        let rest = quoted.get(end + 1..).unwrap_or_default();
        return (Text::Quoted(&quoted[..end]), rest);
    }
    let end = line.iter().position(u8::is_ascii_whitespace);
    let (value, rest) = line.split_at(end.unwrap_or(line.len()));
    (Text::Plain(value), rest)
}

fn unescape(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.iter();
    while let Some(byte) = bytes.next() {
        let plain = match byte {
            b'\\' => match bytes.next() {
                Some(b'n') => b'\n',
                Some(b't') => b'\t',
                Some(b'r') => b'\r',
                Some(other) => *other,
                None => b'\\',
            },
            byte => *byte,
        };
        out.push(plain);
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read_all(names: &[&str], line: &str) -> Option<Vec<String>> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut values = Values::new(0, names.len());
        read(line.as_bytes(), &names, 0, &mut values).then(|| {
            let slots = 0..names.len();
            slots.map(|slot| values.get(slot).to_owned()).collect()
        })
    }

    #[test]
    fn pairs_are_found_between_words_and_within_quotes() {
        let line = r#"ts=1 WARN level=error msg="not \"found\"\n a=b" empty= took=0.25ms last"#;
        let found = read_all(&["level", "msg", "took", "empty", "a"], line);
        assert_eq!(
            found.unwrap(),
            ["error", "not \"found\"\n a=b", "0.25ms", "", ""]
        );
    }

    #[test]
    fn a_line_without_a_pair_is_none() {
        for line in ["", "  ", "some text", "= x", "a =b"] {
            assert_eq!(read_all(&["a"], line), None, "{line}");
        }
        assert_eq!(read_all(&["a"], "a=\"cut").unwrap(), ["cut"]);
        assert_eq!(read_all(&["b"], "= b=\\").unwrap(), ["\\"]);
    }

    proptest! {
        #[test]
        fn no_line_panics(line in r#"[a= "\\\n\u{e9}]{0,30}"#) {
            read_all(&["a", ""], &line);
        }
    }
}
