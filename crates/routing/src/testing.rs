//! Alerts for the tests of this crate.

use std::sync::Arc;
use std::time::Duration;

use bellwether_core::{
    Alert, AlertState, Labels, MonoMillis, Now, Severity, Transition, UnixMillis,
};

/// 2026-11-23T12:00:00Z, a Monday.
pub(super) const NOON: UnixMillis = UnixMillis(1_795_435_200_000);

/// Returns the time `seconds` after noon; the monotonic clock was at one hour then.
pub(super) fn after(seconds: u64) -> Now {
    let start = Now {
        mono: MonoMillis(3_600_000),
        wall: NOON,
    };
    start.after(Duration::from_secs(seconds))
}

/// Creates a firing alert of `rule` with the severity warning.
pub(super) fn alert(rule: &str, labels: &[(&str, &str)]) -> Alert {
    let labels: Labels = labels
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    Alert {
        value: Some(91.0),
        threshold: Some(85.0),
        fired_value: Some(91.0),
        peak: Some(91.0),
        active_at: NOON,
        fired_at: Some(NOON),
        ..Alert::firing(rule, Severity::Warning, labels)
    }
}

/// Creates the transition of `alert` to firing.
pub(super) fn fires(alert: &Alert, now: Now) -> Transition {
    let alert = Alert {
        fired_at: Some(now.wall),
        ..alert.clone()
    };
    let reason = format!("{} 91 > 85", alert.rule);
    Transition {
        alert: Arc::new(alert),
        from: AlertState::Pending,
        reason,
        at: now.wall,
    }
}

/// Creates the transition of `alert` to resolved.
pub(super) fn resolves(alert: &Alert, now: Now) -> Transition {
    let resolved_at = Some(now.wall);
    let resolved = Alert {
        state: AlertState::Inactive,
        resolved_at,
        ..alert.clone()
    };
    let reason = format!("{} 80 is no longer > 85", resolved.rule);
    Transition {
        alert: Arc::new(resolved),
        from: AlertState::Firing,
        reason,
        at: now.wall,
    }
}
