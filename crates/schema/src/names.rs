//! Checks of the names that a configuration gives to metrics, labels, files and hosts.

use bellwether_core::{is_label_name, is_metric_name};

use super::diagnostics::{Diagnostics, SourceLocation};
use super::scalars::Spanned;

/// Reports `name` if it is not a valid metric name.
pub fn check_metric_name(name: &Spanned<String>, diagnostics: &mut Diagnostics) {
    if !is_metric_name(name) {
        diagnostics
            .error(&name.at, format!("not a metric name: {:?}", name.value))
            .hint("letters, digits, underscores and colons, not starting with a digit");
    }
}

/// Reports `name` if it is not a valid label name.
pub fn check_label_name(name: &str, at: &SourceLocation, diagnostics: &mut Diagnostics) {
    if !is_label_name(name) {
        diagnostics
            .error(at, format!("not a label name: {name:?}"))
            .hint("letters, digits and underscores, not starting with a digit or __");
    }
}

/// Reports label names that are invalid or given twice.
pub fn check_label_names(names: &[Spanned<String>], diagnostics: &mut Diagnostics) {
    for (index, name) in names.iter().enumerate() {
        check_label_name(name, &name.at, diagnostics);
        if is_label_name(name) && names[..index].contains(name) {
            diagnostics.error(
                &name.at,
                format!("label {:?} is declared twice", name.value),
            );
        }
    }
}

/// Returns whether `name` is a valid file name on every common file system: 1 to 64 ASCII letters,
/// digits, `-`, `_` and `.`, not starting with a dot.
#[must_use]
pub fn is_file_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && !name.starts_with('.')
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
}

/// Returns whether `host` is a valid host name.
#[must_use]
pub fn is_host_name(host: &str) -> bool {
    // A last label of only digits is a mistyped IP address, not a name.
    let numeric = host
        .rsplit('.')
        .next()
        .is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
    host.len() <= 253
        && host.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
                && !label.starts_with('-')
                && !label.ends_with('-')
        })
        && !numeric
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_that_are_given_twice_are_reported() {
        let mut diagnostics = Diagnostics::default();
        let names = ["a", "b", "a", "9"].map(|name| Spanned::nowhere(name.to_owned()));
        check_label_names(&names, &mut diagnostics);
        let messages: Vec<String> = diagnostics
            .into_sorted()
            .iter()
            .map(|diagnostic| diagnostic.message.clone())
            .collect();
        assert_eq!(
            messages,
            ["label \"a\" is declared twice", "not a label name: \"9\""]
        );
    }
}
