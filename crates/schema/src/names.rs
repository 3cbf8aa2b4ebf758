//! Checks of the names that a declaration gives to metrics and labels.

use bellwether_core::{is_label_name, is_metric_name};

use super::problems::Diagnostics;
use super::scalars::Spanned;

/// Notes a metric name that is none.
pub fn check_metric_name(name: &Spanned<String>, problems: &mut Diagnostics) {
    if !is_metric_name(name) {
        problems
            .error(&name.at, format!("not a metric name: {:?}", name.value))
            .hint("letters, digits, underscores and colons, not starting with a digit");
    }
}

/// Notes label names that are none, and those that come twice.
pub fn check_label_names(names: &[Spanned<String>], problems: &mut Diagnostics) {
    for (index, name) in names.iter().enumerate() {
        if !is_label_name(name) {
            problems
                .error(&name.at, format!("not a label name: {:?}", name.value))
                .hint("letters, digits and underscores, not starting with a digit or __");
        } else if names[..index].contains(name) {
            problems.error(
                &name.at,
                format!("label {:?} is declared twice", name.value),
            );
        }
    }
}

/// Whether `name` can name a file, on any file system.
#[must_use]
pub fn is_file_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && !name.starts_with('.')
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
}

/// Whether `host` can be the name of a host.
#[must_use]
pub fn is_host_name(host: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    // A last label of digits alone is a mistyped address, never a name.
    let numeric = |host: &str| {
        host.rsplit('.')
            .next()
            .is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()))
    };
    host.len() <= 253 && host.split('.').all(label) && !numeric(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_that_come_twice_are_told() {
        let mut problems = Diagnostics::default();
        let names = ["a", "b", "a", "9"].map(|name| Spanned::nowhere(name.to_owned()));
        check_label_names(&names, &mut problems);
        let told: Vec<String> = problems
            .into_sorted()
            .iter()
            .map(|problem| problem.message.clone())
            .collect();
        assert_eq!(
            told,
            ["label \"a\" is declared twice", "not a label name: \"9\""]
        );
    }
}
