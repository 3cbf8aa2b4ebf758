//! Which names metrics and labels may have.

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
}
