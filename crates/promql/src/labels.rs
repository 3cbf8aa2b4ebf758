//! Label sets made of others.

use bellwether_core::{GoQuoted, LabelSet, METRIC_NAME, is_label_name};

/// What says which metric a series is of: its name, and its type and unit where those are labels.
/// They go together when something else is calculated from it.
const SCHEMA: [&str; 3] = [METRIC_NAME, "__type__", "__unit__"];

/// `labels` without the name.
pub(super) fn without_name(labels: &LabelSet) -> LabelSet {
    LabelSet::new(labels.iter().filter(|(name, _)| !SCHEMA.contains(name)))
}

/// Only the labels in `names`.
pub(super) fn keep(labels: &LabelSet, names: &[String]) -> LabelSet {
    LabelSet::new(
        labels
            .iter()
            .filter(|(name, _)| names.iter().any(|one| one == name)),
    )
}

/// All but the name and the labels in `names`.
pub(super) fn drop(labels: &LabelSet, names: &[String]) -> LabelSet {
    let dropped = |name: &str| name == METRIC_NAME || names.iter().any(|one| one == name);
    LabelSet::new(labels.iter().filter(|(name, _)| !dropped(name)))
}

/// With `name` set to `value`; an empty value takes the label away.
pub(super) fn with(labels: &LabelSet, name: &str, value: &str) -> LabelSet {
    LabelSet::new(labels.iter().chain([(name, value)]))
}

/// As Prometheus prints a set in its errors: `{__name__="up", job="x"}`.
pub(super) fn shown(labels: &LabelSet) -> String {
    let quoted = |(name, value): (&str, &str)| match is_label_name(name) || name.starts_with("__") {
        true => format!("{name}={}", GoQuoted(value)),
        false => format!("{}={}", GoQuoted(name), GoQuoted(value)),
    };
    let pairs: Vec<String> = labels.iter().map(quoted).collect();
    format!("{{{}}}", pairs.join(", "))
}
