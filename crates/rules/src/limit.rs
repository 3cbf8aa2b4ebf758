//! At most so many alerts of one rule: which stay, and the one alert that stands for the rest.

use bellwether_core::{AlertState, LabelSet};

use super::instance::Instance;

/// The label of the alert that stands for those left out.
pub const OVERFLOW: &str = "overflow";

/// What tells that alert apart: a label without a name, which no series has.
#[must_use]
pub fn overflow() -> LabelSet {
    LabelSet::new([("", OVERFLOW)])
}

/// Whether `key` tells that alert apart.
#[must_use]
pub fn is_overflow(key: &LabelSet) -> bool {
    key.get("") == OVERFLOW
}

/// Takes those out of `alerts` that are too many: what fires stays first, then what is pending, then
/// by labels.
#[must_use]
pub fn surplus(
    alerts: &mut Vec<(LabelSet, Instance)>,
    limit: Option<usize>,
) -> Vec<(LabelSet, Instance)> {
    let Some(limit) = limit else {
        return Vec::new();
    };
    let remembered = alerts
        .extract_if(.., |(_, alert)| alert.is_idle())
        .collect::<Vec<_>>();
    let rank = |(key, alert): &(LabelSet, Instance)| match alert.phase() {
        _ if is_overflow(key) => 0,
        AlertState::Firing => 1,
        AlertState::Pending => 2,
        AlertState::Inactive => 3,
    };
    alerts.sort_unstable_by(|a, b| (rank(a), &a.0).cmp(&(rank(b), &b.0)));
    let beside = usize::from(alerts.first().is_some_and(|(key, _)| is_overflow(key)));
    let surplus = alerts.split_off(alerts.len().min(limit + beside));
    alerts.extend(remembered);
    surplus
}

#[cfg(test)]
mod tests;
