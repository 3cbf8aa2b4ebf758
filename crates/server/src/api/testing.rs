//! Fixtures of tests.

use std::sync::Arc;

use bellwether_core::{Alert, AlertState, Fingerprint, Labels, Severity, UnixMillis};

/// Alert of the rule `disk_full`.
pub(crate) fn alert(state: AlertState, value: Option<f64>) -> Arc<Alert> {
    let labels = Labels::from([("mount_point".to_owned(), "/".to_owned())]);
    Arc::new(Alert {
        fingerprint: Fingerprint::of("disk_full", &labels),
        rule: "disk_full".into(),
        severity: Severity::Critical,
        labels,
        annotations: Labels::from([("runbook".to_owned(), "clean up".to_owned())]),
        message: "disk / is full".into(),
        value,
        fired_value: value,
        peak: value,
        threshold: Some(90.0),
        state,
        active_at: UnixMillis(1_700_000_000_123),
        fired_at: None,
        resolved_at: None,
    })
}
