//! Names of metrics and labels: which are valid, and the escapes of those that are not.

use std::borrow::Cow;

use super::label_set::METRIC_NAME;

/// Returns whether `name` is a metric name: letters, digits, `_` and `:`, no digit first.
#[must_use]
pub fn is_metric_name(name: &str) -> bool {
    is_name(name, ":")
}

/// Returns whether `name` is a label name: letters, digits and `_`, no digit first. Names that begin
/// with `__` are reserved by Prometheus.
#[must_use]
pub fn is_label_name(name: &str) -> bool {
    is_name(name, "") && !name.starts_with("__")
}

/// Returns whether a rule may set the label `name`: as in Prometheus 3 any text that is not empty,
/// except `__name__`.
#[must_use]
pub fn can_be_set(name: &str) -> bool {
    !name.is_empty() && name != METRIC_NAME
}

/// Decodes a name that was escaped to letters, digits and `_`: `U__host_2d_name` is `host-name`. A
/// text without such escapes is returned as it is.
///
/// Prometheus calls this value encoding (common/model, `UnescapeName`).
#[must_use]
pub fn unescaped(escaped: &str) -> Cow<'_, str> {
    let name = escaped.strip_prefix("U__").and_then(decode);
    name.map_or(Cow::Borrowed(escaped), Cow::Owned)
}

/// Decodes `__` to `_`, and `_2d_` to the character with that code.
fn decode(text: &str) -> Option<String> {
    let mut name = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('_') {
        name.push_str(&rest[..at]);
        let (code, after) = rest[at + 1..].split_once('_')?;
        rest = after;
        match code {
            "" => name.push('_'),
            code if code.len() <= 6 && code.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
                name.push(char::from_u32(u32::from_str_radix(code, 16).ok()?)?);
            }
            _ => return None,
        }
    }
    name.push_str(rest);
    Some(name)
}

fn is_name(name: &str, also: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name
            .chars()
            .all(|c: char| c.is_ascii_alphanumeric() || c == '_' || also.contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for good in ["a", "_", "up", "a_b9", "Z"] {
            assert!(is_metric_name(good) && is_label_name(good), "{good}");
        }
        for bad in ["", "9a", "a-b", "a b", "é", "a.b"] {
            assert!(!is_metric_name(bad) && !is_label_name(bad), "{bad}");
        }
        assert!(is_metric_name("job:up") && !is_label_name("job:up"));
        assert!(is_metric_name("__x") && !is_label_name("__x"));
        assert!(["host-name", "__x", "é", "9"].into_iter().all(can_be_set));
        assert!(!can_be_set("") && !can_be_set("__name__"));
    }

    #[test]
    fn escaped_names() {
        for (escaped, name) in [
            ("U__host_2d_name", "host-name"),
            ("U__http_2e_a__b", "http.a_b"),
            ("U___1F600__E9_", "\u{1f600}é"),
            ("U__", ""),
            ("host", "host"),
            ("_2d_", "_2d_"),
            ("U_x", "U_x"),
            // Cut, no code, too long a code, no character.
            ("U__a_2d", "U__a_2d"),
            ("U__a_", "U__a_"),
            ("U__a_+1_", "U__a_+1_"),
            ("U__a_zz_", "U__a_zz_"),
            ("U__a_0000000_", "U__a_0000000_"),
            ("U__a_d800_", "U__a_d800_"),
        ] {
            assert_eq!(unescaped(escaped), name, "{escaped}");
        }
    }
}
