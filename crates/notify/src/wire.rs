//! What leaves the process: the JSON of one notification, and Alertmanager's webhook document.
//!
//! Pure. Fields are a contract with receivers: they may be added, never renamed.

use std::collections::BTreeMap;

use bellwether_core::{Alert, Labels, Notification, Status, UnixMillis};
use serde::Serialize;

use super::channels::{Batch, Sender};

/// The JSON of one notification, as published to Kafka and written by the log channel.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Message<'a> {
    /// Version of this shape: `1`.
    version: &'static str,
    /// The same for every attempt and after a restart; receivers deduplicate by it.
    id: &'a str,
    /// `firing` or `resolved`.
    status: &'static str,
    /// Why it is told now: `change`, `repeat`, `escalation`, `fallback`, `flapping`, `resend`,
    /// `heartbeat` or `test`.
    cause: &'static str,
    /// The receiver it is for; absent without routes.
    #[serde(skip_serializing_if = "str::is_empty")]
    receiver: &'a str,
    /// Name of the rule.
    rule: &'a str,
    /// `info`, `warning`, `critical` or `emergency`; of a resolved alert the last one sent.
    severity: &'static str,
    /// The sender's labels and the alert's.
    labels: Labels,
    /// What the rule adds for people.
    annotations: &'a Labels,
    /// The rule's message, rendered.
    message: &'a str,
    /// Why the alert changed, in one sentence.
    reason: &'a str,
    /// The judged value; null where there is none.
    value: Option<f64>,
    /// The value when it fired; null where there was none.
    value_at_fire: Option<f64>,
    /// The value furthest from good while it fired; null where there was none.
    peak: Option<f64>,
    /// The threshold it is judged by; null where there is none.
    threshold: Option<f64>,
    /// When the condition began to hold (RFC 3339, UTC, milliseconds).
    active_at: String,
    /// When the alert fired.
    starts_at: String,
    /// When it ended; null while it fires.
    ends_at: Option<String>,
    /// How long it fired; null while it does.
    duration_seconds: Option<f64>,
    /// When this change happened.
    at: String,
    /// Identity of the alert, 16 hexadecimal digits; also the key in Kafka.
    fingerprint: String,
    /// Where people reach Bellwether; absent where that is not known.
    #[serde(skip_serializing_if = "str::is_empty")]
    external_url: &'a str,
}

impl<'a> Message<'a> {
    pub(super) fn new(notification: &'a Notification, sender: &'a Sender) -> Self {
        let alert = &*notification.alert;
        Self {
            version: "1",
            id: &notification.id,
            status: notification.status.as_str(),
            cause: notification.cause.as_str(),
            receiver: &notification.group.receiver,
            rule: &alert.rule,
            severity: alert.severity.as_str(),
            labels: with_sender(alert, sender),
            annotations: &alert.annotations,
            message: &alert.message,
            reason: &notification.reason,
            value: alert.value,
            value_at_fire: alert.fired_value,
            peak: alert.peak,
            threshold: alert.threshold,
            active_at: rfc3339(alert.active_at),
            starts_at: rfc3339(alert.starts()),
            ends_at: ended(notification).map(rfc3339),
            duration_seconds: lasted(notification),
            at: rfc3339(notification.at),
            fingerprint: alert.fingerprint.to_string(),
            external_url: &sender.url,
        }
    }

    /// As one line of JSON.
    pub(super) fn json(&self) -> String {
        // Strings, numbers and maps with string keys: there is nothing that could fail.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// Alertmanager's webhook document, version 4: what changed first, then what stands, as many as
/// there is room for. `alerts` carry more keys than Alertmanager's: `id`, `cause`, `message`,
/// `reason`, `value`, `valueAtFire`, `peak`, `threshold` and `durationSeconds`; those that stand
/// have no `id`. The rule's message is also the annotation `summary` where the rule has none.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Webhook<'a> {
    version: &'static str,
    group_key: &'a str,
    truncated_alerts: usize,
    status: &'static str,
    receiver: &'a str,
    group_labels: &'a Labels,
    common_labels: Labels,
    common_annotations: Labels,
    #[serde(rename = "externalURL")]
    external_url: &'a str,
    alerts: Vec<WebhookAlert<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct WebhookAlert<'a> {
    status: &'static str,
    labels: Labels,
    annotations: Labels,
    starts_at: String,
    ends_at: String,
    #[serde(rename = "generatorURL")]
    generator_url: String,
    fingerprint: String,
    id: Option<&'a str>,
    cause: Option<&'static str>,
    message: &'a str,
    reason: Option<&'a str>,
    value: Option<f64>,
    value_at_fire: Option<f64>,
    peak: Option<f64>,
    threshold: Option<f64>,
    duration_seconds: Option<f64>,
}

impl<'a> Webhook<'a> {
    /// The document for `batch`, with at most `limit` alerts; `channel` is the receiver's name
    /// where there are no routes.
    pub(super) fn new(
        batch: &'a Batch,
        channel: &'a str,
        sender: &'a Sender,
        limit: usize,
    ) -> Self {
        let news = batch.news.iter().map(|one| WebhookAlert::new(one, sender));
        let standing = batch
            .standing
            .iter()
            .map(|alert| WebhookAlert::standing(alert, sender));
        let alerts: Vec<_> = news.chain(standing).take(limit).collect();
        let group = batch.group();
        Self {
            version: "4",
            group_key: &group.key,
            truncated_alerts: batch.news.len() + batch.standing.len() - alerts.len(),
            status: batch.status().as_str(),
            receiver: if group.receiver.is_empty() {
                channel
            } else {
                &group.receiver
            },
            group_labels: &group.labels,
            common_labels: common(alerts.iter().map(|alert| &alert.labels)),
            common_annotations: common(alerts.iter().map(|alert| &alert.annotations)),
            external_url: &sender.url,
            alerts,
        }
    }
}

impl<'a> WebhookAlert<'a> {
    fn new(notification: &'a Notification, sender: &'a Sender) -> Self {
        Self {
            status: notification.status.as_str(),
            ends_at: ended(notification).map_or_else(|| NO_END.to_owned(), rfc3339),
            id: Some(&notification.id),
            cause: Some(notification.cause.as_str()),
            reason: Some(&notification.reason),
            duration_seconds: lasted(notification),
            ..Self::standing(&notification.alert, sender)
        }
    }

    fn standing(alert: &'a Alert, sender: &'a Sender) -> Self {
        Self {
            status: Status::Firing.as_str(),
            labels: all_labels(alert, sender),
            annotations: annotations(alert),
            starts_at: rfc3339(alert.starts()),
            ends_at: NO_END.to_owned(),
            generator_url: generator_url(sender),
            fingerprint: alert.fingerprint.to_string(),
            id: None,
            cause: None,
            message: &alert.message,
            reason: None,
            value: alert.value,
            value_at_fire: alert.fired_value,
            peak: alert.peak,
            threshold: alert.threshold,
            duration_seconds: None,
        }
    }
}

/// Go's zero time is what Alertmanager sends while an alert fires.
const NO_END: &str = "0001-01-01T00:00:00Z";

/// The labels as Alertmanager has them: the sender's, the alert's, `alertname` and `severity`.
pub(super) fn all_labels(alert: &Alert, sender: &Sender) -> Labels {
    let mut labels = sender.labels.clone();
    labels.extend(alert.all_labels());
    labels
}

/// The annotations, the rule's message as `summary` among them where there is none.
pub(super) fn annotations(alert: &Alert) -> Labels {
    let mut annotations = alert.annotations.clone();
    if !alert.message.trim().is_empty() {
        annotations
            .entry("summary".into())
            .or_insert_with(|| alert.message.clone());
    }
    annotations
}

/// Where the alert can be looked at; empty where nobody knows.
pub(super) fn generator_url(sender: &Sender) -> String {
    match sender.url.trim_end_matches('/') {
        "" => String::new(),
        url => format!("{url}/api/v1/alerts"),
    }
}

fn with_sender(alert: &Alert, sender: &Sender) -> Labels {
    let mut labels = sender.labels.clone();
    labels.extend(
        alert
            .labels
            .iter()
            .map(|(name, value)| (name.clone(), value.clone())),
    );
    labels.retain(|name, value| name != "severity" || !value.is_empty());
    labels
}

/// When it ended, if it did.
pub(super) fn ended(notification: &Notification) -> Option<UnixMillis> {
    match notification.status {
        Status::Firing => None,
        Status::Resolved => Some(notification.alert.resolved_at.unwrap_or(notification.at)),
    }
}

fn lasted(notification: &Notification) -> Option<f64> {
    ended(notification).map(|end| end.since(notification.alert.starts()).as_secs_f64())
}

/// What all of `sets` share.
fn common<'a>(mut sets: impl Iterator<Item = &'a Labels>) -> Labels {
    let mut shared: BTreeMap<_, _> = sets.next().cloned().unwrap_or_default();
    for set in sets {
        shared.retain(|name, value| set.get(name) == Some(value));
    }
    shared
}

/// RFC 3339 in UTC with milliseconds: `2026-11-21T04:13:15.250Z`.
pub(super) fn rfc3339(at: UnixMillis) -> String {
    jiff::Timestamp::from_millisecond(at.0)
        .unwrap_or_default()
        .strftime("%FT%T.%3fZ")
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{alert, batch, notification};

    fn sender() -> Sender {
        Sender {
            labels: Labels::from([
                ("instance".to_owned(), "host-1".to_owned()),
                ("mount".to_owned(), "overruled".to_owned()),
            ]),
            url: "http://host-1:9091/".into(),
        }
    }

    #[test]
    fn the_message_of_a_firing_alert() {
        let firing = notification("disk", "/data", Status::Firing);
        let value: serde_json::Value =
            serde_json::from_str(&Message::new(&firing, &sender()).json()).unwrap();
        let fingerprint = firing.alert.fingerprint.to_string();
        assert_eq!(
            value,
            serde_json::json!({
                "version": "1",
                "id": firing.id,
                "status": "firing",
                "cause": "change",
                "rule": "disk",
                "severity": "warning",
                "labels": {"instance": "host-1", "mount": "/data"},
                "annotations": {"runbook": "https://example.org/disk"},
                "message": "disk of /data",
                "reason": "disk 91 > 85 for 5m",
                "value": 91.5,
                "valueAtFire": 91.5,
                "peak": 91.5,
                "threshold": 85.0,
                "activeAt": "2026-11-21T04:00:00.000Z",
                "startsAt": "2026-11-21T04:05:00.250Z",
                "endsAt": null,
                "durationSeconds": null,
                "at": "2026-11-21T04:05:00.250Z",
                "fingerprint": fingerprint,
                "externalUrl": "http://host-1:9091/",
            })
        );
    }

    #[test]
    fn the_document_of_alertmanager() {
        let batch = batch([
            notification("disk", "/data", Status::Resolved),
            notification("disk", "/home", Status::Resolved),
        ]);
        let sender = sender();
        let value = serde_json::to_value(Webhook::new(&batch, "pager", &sender, 64)).unwrap();
        assert_eq!(value["version"], "4");
        assert_eq!(value["status"], "resolved");
        assert_eq!(value["receiver"], "pager");
        assert_eq!(value["groupKey"], "{}:{alertname=\"disk\"}");
        assert_eq!(
            value["groupLabels"],
            serde_json::json!({"alertname": "disk"})
        );
        assert_eq!(
            value["commonLabels"],
            serde_json::json!({"alertname": "disk", "severity": "warning", "instance": "host-1"})
        );
        assert_eq!(
            value["commonAnnotations"],
            serde_json::json!({"runbook": "https://example.org/disk"})
        );
        let one = &value["alerts"][1];
        assert_eq!(one["labels"]["mount"], "/home");
        assert_eq!(one["annotations"]["summary"], "disk of /home");
        assert_eq!(one["endsAt"], "2026-11-21T04:10:00.000Z");
        assert_eq!(one["generatorURL"], "http://host-1:9091/api/v1/alerts");
        assert_eq!(one["valueAtFire"], 91.5);
        assert_eq!(one["peak"], 97.25);
        assert_eq!(one["durationSeconds"], 299.75);
    }

    #[test]
    fn a_firing_alert_has_no_end_and_wins_over_resolved_ones() {
        let batch = batch([
            notification("disk", "/data", Status::Resolved),
            notification("disk", "/home", Status::Firing),
        ]);
        let value =
            serde_json::to_value(Webhook::new(&batch, "r", &Sender::default(), 64)).unwrap();
        assert_eq!(value["status"], "firing");
        assert_eq!(value["alerts"][1]["endsAt"], "0001-01-01T00:00:00Z");
        assert_eq!(value["alerts"][1]["generatorURL"], "");
    }

    #[test]
    fn a_value_that_is_no_number_is_null() {
        let mut broken = alert("disk", "/data");
        broken.value = Some(f64::NAN);
        let mut firing = notification("disk", "/data", Status::Firing);
        firing.alert = std::sync::Arc::new(broken);
        let json = Message::new(&firing, &Sender::default()).json();
        assert!(json.contains("\"value\":null"), "{json}");
        assert!(!json.contains("externalUrl"), "{json}");
    }
}
