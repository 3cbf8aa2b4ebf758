//! Which names metrics and labels may have.

/// Whether `name` matches `[a-zA-Z_:][a-zA-Z0-9_:]*`, which every Prometheus server takes.
#[must_use]
pub fn is_metric_name(name: &str) -> bool {
    matches(name, |byte| byte == b':')
}

/// Whether `name` matches `[a-zA-Z_][a-zA-Z0-9_]*`.
#[must_use]
pub fn is_label_name(name: &str) -> bool {
    matches(name, |_| false)
}

fn matches(name: &str, also: impl Fn(u8) -> bool) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || also(byte);
    name.bytes().all(fits) && name.bytes().next().is_some_and(|first| !first.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (name, metric, label) in [
            ("a", true, true),
            ("_A9", true, true),
            ("job:rate", true, false),
            (":", true, false),
            ("", false, false),
            ("9a", false, false),
            ("a-b", false, false),
            ("é", false, false),
            ("a b", false, false),
        ] {
            assert_eq!((is_metric_name(name), is_label_name(name)), (metric, label), "{name:?}");
        }
    }
}
