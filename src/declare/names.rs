//! Names of metrics and labels, as Prometheus wants them.

use super::problems::Problems;
use super::scalars::Spanned;

/// Whether `name` is a metric name: letters, digits, `_` and `:`, no digit first.
#[must_use]
pub fn is_metric_name(name: &str) -> bool {
    is_name(name, ":")
}

/// Whether `name` is a label name: letters, digits and `_`, no digit first, not `__...`, which
/// Prometheus keeps for itself.
#[must_use]
pub fn is_label_name(name: &str) -> bool {
    is_name(name, "") && !name.starts_with("__")
}

fn is_name(name: &str, also: &str) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || c == '_' || also.contains(c);
    !name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit()) && name.chars().all(good)
}

/// Notes a metric name that is none.
pub fn check_metric_name(name: &Spanned<String>, problems: &mut Problems) {
    if !is_metric_name(name) {
        problems
            .error(&name.at, format!("not a metric name: {:?}", name.value))
            .hint("letters, digits, underscores and colons, not starting with a digit");
    }
}

/// Notes label names that are none, and those that come twice.
pub fn check_label_names(names: &[Spanned<String>], problems: &mut Problems) {
    for (index, name) in names.iter().enumerate() {
        if !is_label_name(name) {
            problems
                .error(&name.at, format!("not a label name: {:?}", name.value))
                .hint("letters, digits and underscores, not starting with a digit or __");
        } else if names[..index].contains(name) {
            problems.error(&name.at, format!("label {:?} is declared twice", name.value));
        }
    }
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
    }

    #[test]
    fn labels_that_come_twice_are_told() {
        let mut problems = Problems::default();
        let names = ["a", "b", "a", "9"].map(|name| Spanned::nowhere(name.to_owned()));
        check_label_names(&names, &mut problems);
        let told: Vec<String> =
            problems.into_sorted().iter().map(|problem| problem.message.clone()).collect();
        assert_eq!(told, ["label \"a\" is declared twice", "not a label name: \"9\""]);
    }
}
