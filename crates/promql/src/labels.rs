//! Label sets derived from others.

use bellwether_core::{GoQuoted, LabelSet, METRIC_NAME, is_label_name};

/// Labels that identify the metric: its name, and its type and unit if those are labels. Operations
/// that yield another metric drop all of them.
const SCHEMA: [&str; 3] = [METRIC_NAME, "__type__", "__unit__"];

/// Removes the labels that identify the metric.
pub(super) fn without_name(labels: &LabelSet) -> LabelSet {
    LabelSet::new(labels.iter().filter(|(name, _)| !SCHEMA.contains(name)))
}

/// Returns only the labels in `names`.
pub(super) fn keep(labels: &LabelSet, names: &[String]) -> LabelSet {
    LabelSet::new(
        labels
            .iter()
            .filter(|(name, _)| names.iter().any(|kept| kept == name)),
    )
}

/// Returns all labels but the metric name and those in `names`.
pub(super) fn drop(labels: &LabelSet, names: &[String]) -> LabelSet {
    LabelSet::new(
        labels
            .iter()
            .filter(|(name, _)| *name != METRIC_NAME && !names.iter().any(|one| one == name)),
    )
}

/// Sets `name` to `value`; an empty value removes the label.
pub(super) fn with(labels: &LabelSet, name: &str, value: &str) -> LabelSet {
    LabelSet::new(labels.iter().chain([(name, value)]))
}

/// Formats a label set as in the errors of Prometheus: `{__name__="up", job="x"}`.
pub(super) fn shown(labels: &LabelSet) -> String {
    let pairs: Vec<String> = labels
        .iter()
        .map(
            |(name, value)| match is_label_name(name) || name.starts_with("__") {
                true => format!("{name}={}", GoQuoted(value)),
                false => format!("{}={}", GoQuoted(name), GoQuoted(value)),
            },
        )
        .collect();
    format!("{{{}}}", pairs.join(", "))
}
