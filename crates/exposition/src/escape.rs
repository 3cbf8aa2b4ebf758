//! Escaping of label values and help texts in both formats.

/// Appends a label value with backslash, quote and line feed escaped, as both formats require.
pub(super) fn push_label_value(out: &mut String, value: &str) {
    push_escaped(out, value, true);
}

/// Appends a help text with backslash and line feed escaped, and `quotes` as OpenMetrics requires.
pub(super) fn push_help(out: &mut String, help: &str, quotes: bool) {
    push_escaped(out, help, quotes);
}

fn push_escaped(out: &mut String, text: &str, quotes: bool) {
    let mut rest = text;
    while let Some(at) = memchr::memchr3(b'\\', b'\n', b'"', rest.as_bytes()) {
        out.push_str(&rest[..at]);
        match rest.as_bytes()[at] {
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            _ if quotes => out.push_str("\\\""),
            _ => out.push('"'),
        }
        rest = &rest[at + 1..];
    }
    out.push_str(rest);
}
