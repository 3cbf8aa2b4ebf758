//! Limit on the alerts of one rule: which alerts stay, and one alert for the rest.

use bellwether_core::{AlertState, LabelSet};

use crate::alert::active_alert::ActiveAlert;

/// Label of the alert that represents the alerts over the limit.
pub const OVERFLOW: &str = "overflow";

/// Returns the key of that alert: a label without a name, which no series has.
#[must_use]
pub fn overflow() -> LabelSet {
    LabelSet::new([("", OVERFLOW)])
}

#[must_use]
pub fn is_overflow(key: &LabelSet) -> bool {
    key.get("") == OVERFLOW
}

/// Removes and returns the alerts over `limit`. Firing alerts stay before pending ones, then by
/// labels; idle entries and the overflow alert do not count.
#[must_use]
pub fn remove_over_limit(
    alerts: &mut Vec<(LabelSet, ActiveAlert)>,
    limit: Option<usize>,
) -> Vec<(LabelSet, ActiveAlert)> {
    let Some(limit) = limit else {
        return Vec::new();
    };
    let remembered = alerts
        .extract_if(.., |(_, alert)| alert.is_idle())
        .collect::<Vec<_>>();
    alerts.sort_unstable_by(|a, b| (rank(a), &a.0).cmp(&(rank(b), &b.0)));
    let beside = usize::from(alerts.first().is_some_and(|(key, _)| is_overflow(key)));
    let over_limit = alerts.split_off(alerts.len().min(limit + beside));
    alerts.extend(remembered);
    over_limit
}

/// Order in which alerts stay within the limit.
fn rank((key, alert): &(LabelSet, ActiveAlert)) -> u8 {
    match alert.phase() {
        _ if is_overflow(key) => 0,
        AlertState::Firing => 1,
        AlertState::Pending => 2,
        AlertState::Inactive => 3,
    }
}

#[cfg(test)]
mod tests;
