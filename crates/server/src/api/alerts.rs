//! `/api/v1/alerts`: pending and firing alerts, as Prometheus has them, with more fields.

pub(crate) mod acknowledge;
pub(crate) mod backtest;
pub(crate) mod channels;
mod command;
pub(crate) mod dead_letters;
pub(crate) mod explain;
pub(crate) mod history;
pub(crate) mod resolve;
pub(crate) mod route;
pub(crate) mod rule_tests;
pub(crate) mod rules;
pub(crate) mod silences;

use std::collections::HashMap;
use std::sync::Arc;

use bellwether_core::{Alert, Fingerprint};
use bellwether_routing::Suppression;
use serde_json::{Value, json};

use crate::api::json::{exponent, number, time};
use crate::api::response::ApiError;
use crate::api::view::ViewRequest;

/// Returns the data of `/api/v1/alerts`. A suppressed alert has `silencedBy`, `inhibitedBy` or
/// `acknowledgedBy`.
pub(crate) fn view(request: &ViewRequest<'_>) -> Result<Value, ApiError> {
    let backend = request.backend;
    let alerts = view_alerts(&backend.alerts(), &backend.suppressions());
    Ok(json!({ "alerts": alerts }))
}

/// Returns alerts, each with what suppresses it.
pub(crate) fn view_alerts(
    alerts: &[Arc<Alert>],
    suppressions: &HashMap<Fingerprint, Suppression>,
) -> Vec<Value> {
    let views = alerts.iter().map(|alert| {
        let mut view = view_alert(alert);
        if let Some(suppression) = suppressions.get(&alert.fingerprint) {
            let inhibited_by = suppression.inhibited_by.map(|by| by.to_string());
            for (key, by) in [
                ("silencedBy", &suppression.silenced_by),
                ("inhibitedBy", &inhibited_by),
                ("acknowledgedBy", &suppression.acknowledged_by),
            ] {
                if let Some(by) = by {
                    view[key] = json!(by);
                }
            }
        }
        view
    });
    views.collect()
}

/// Returns one alert with Prometheus's fields and ours.
pub(crate) fn view_alert(alert: &Alert) -> Value {
    json!({
        "labels": alert.all_labels(),
        "annotations": alert.annotations,
        "state": alert.state.as_str(),
        "activeAt": time(alert.active_at),
        "value": alert.value.map_or_else(|| "NaN".into(), exponent),
        "fingerprint": alert.fingerprint.to_string(),
        "rule": &*alert.rule,
        "severity": alert.severity.as_str(),
        "message": alert.message,
        "threshold": alert.threshold.map(number),
        "firedAt": alert.fired_at.map(time),
        "firedValue": alert.fired_value.map(number),
        "peak": alert.peak.map(number),
    })
}

#[cfg(test)]
mod tests {
    use bellwether_core::AlertState;

    use super::*;
    use crate::api::testing::alert;

    #[test]
    fn an_alert_has_prometheus_fields() {
        let alert = alert(AlertState::Firing, Some(91.0));
        let suppression = Suppression {
            silenced_by: Some("7".into()),
            ..Suppression::default()
        };
        let suppressions = HashMap::from([(alert.fingerprint, suppression)]);
        let view = &view_alerts(&[alert], &suppressions)[0];
        assert_eq!(
            (&view["silencedBy"], &view["acknowledgedBy"]),
            (&json!("7"), &Value::Null)
        );
        let expected =
            json!({"alertname": "disk_full", "severity": "critical", "mount_point": "/"});
        assert_eq!(view["labels"], expected);
        assert_eq!(view["activeAt"], "2023-11-14T22:13:20.123Z");
        assert_eq!(view["value"], "9.1e+01");
        assert_eq!(view["state"], "firing");
        assert_eq!(view["threshold"], 90.0);
        assert_eq!(
            (&view["firedValue"], &view["peak"]),
            (&json!(91.0), &json!(91.0))
        );
    }
}
