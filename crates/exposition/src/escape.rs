//! Escaping of label values and help texts in both formats.

/// Appends a label value with backslash, quote and line feed escaped, as both formats require.
pub(super) fn push_label_value(out: &mut String, value: &str) {
    escape(value, true, |part| out.push_str(part));
}

/// Appends a help text with backslash and line feed escaped, and `quotes` as OpenMetrics requires.
pub(super) fn push_help(out: &mut Vec<u8>, help: &str, quotes: bool) {
    escape(help, quotes, |part| out.extend_from_slice(part.as_bytes()));
}

/// Calls `push` for each part of the escaped text.
fn escape(text: &str, quotes: bool, mut push: impl FnMut(&str)) {
    let mut rest = text;
    while let Some(at) = memchr::memchr3(b'\\', b'\n', b'"', rest.as_bytes()) {
        push(&rest[..at]);
        match rest.as_bytes()[at] {
            b'\\' => push("\\\\"),
            b'\n' => push("\\n"),
            _ if quotes => push("\\\""),
            _ => push("\""),
        }
        rest = &rest[at + 1..];
    }
    push(rest);
}
