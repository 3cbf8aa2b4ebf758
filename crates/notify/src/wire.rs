//! Formats of what is sent: the JSON of one notification, Alertmanager's webhook document, and the
//! JSON of a bulletin.
//!
//! Pure. Fields are a contract with services: they may be added, never renamed.

use std::collections::BTreeMap;

use bellwether_core::{Alert, Labels, Notification, Status, UnixMillis};
use serde::Serialize;
use serde_json::Value;

use super::bulletin::{Bulletin, Document};
use super::channel::{Batch, Sender};
use super::error::DeliveryError;

/// The JSON of one notification, as published to Kafka and written by the log channel.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Message<'a> {
    /// Version of this shape: `1`.
    version: &'static str,
    /// Id, the same for every attempt and after a restart; services deduplicate by it.
    id: &'a str,
    /// `firing` or `resolved`.
    status: &'static str,
    /// Cause of the notification: `change`, `repeat`, `escalation`, `fallback`, `flapping`,
    /// `resend`, `heartbeat` or `test`.
    cause: &'static str,
    /// Receiver; absent without routes.
    #[serde(skip_serializing_if = "str::is_empty")]
    receiver: &'a str,
    /// Name of the rule.
    rule: &'a str,
    /// `info`, `warning`, `critical` or `emergency`; of a resolved alert the last one sent.
    severity: &'static str,
    /// Labels of the sender and the alert.
    labels: Labels,
    /// Annotations of the rule.
    annotations: &'a Labels,
    /// The rule's message, rendered.
    message: &'a str,
    /// Reason of the change, in one sentence.
    reason: &'a str,
    /// Current value; null if there is none.
    value: Option<f64>,
    /// Value when it fired; null if there was none.
    fired_value: Option<f64>,
    /// Worst value while it fired; null if there was none.
    peak: Option<f64>,
    /// Threshold of the rule; null if there is none.
    threshold: Option<f64>,
    /// Time at which the condition began to hold (RFC 3339, UTC, milliseconds).
    active_at: String,
    /// Time at which the alert fired.
    starts_at: String,
    /// Time at which it resolved; null while it fires.
    ends_at: Option<String>,
    /// Seconds for which it fired; null while it fires.
    duration_seconds: Option<f64>,
    /// Time of this change.
    at: String,
    /// Identity of the alert, 16 hexadecimal digits; also the key in Kafka.
    fingerprint: String,
    /// External URL of Bellwether; absent if unknown.
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
            fired_value: alert.fired_value,
            peak: alert.peak,
            threshold: alert.threshold,
            active_at: rfc3339(alert.active_at),
            starts_at: rfc3339(alert.starts()),
            ends_at: ended(notification).map(rfc3339),
            duration_seconds: duration_seconds_of(notification),
            at: rfc3339(notification.at),
            fingerprint: alert.fingerprint.to_string(),
            external_url: &sender.url,
        }
    }

    /// Serializes to one line of JSON.
    pub(super) fn json(&self) -> String {
        // Strings, numbers and maps with string keys: there is nothing that could fail.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// Alertmanager's webhook document, version 4: changed alerts first, then those that still fire, up
/// to a limit. `alerts` have more keys than Alertmanager's: `id`, `cause`, `message`, `reason`,
/// `value`, `firedValue`, `peak`, `threshold` and `durationSeconds`; alerts that still fire have no
/// `id`. The rule's message is also the annotation `summary` if the rule has none.
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
    fired_value: Option<f64>,
    peak: Option<f64>,
    threshold: Option<f64>,
    duration_seconds: Option<f64>,
}

impl<'a> Webhook<'a> {
    /// Creates the document for `batch`, with at most `limit` alerts; `channel` is the name of the
    /// receiver if there are no routes.
    pub(super) fn new(
        batch: &'a Batch,
        channel: &'a str,
        sender: &'a Sender,
        limit: usize,
    ) -> Self {
        let notifications = batch
            .notifications
            .iter()
            .map(|notification| WebhookAlert::new(notification, sender));
        let still_firing = batch
            .still_firing
            .iter()
            .map(|alert| WebhookAlert::still_firing(alert, sender));
        let alerts: Vec<_> = notifications.chain(still_firing).take(limit).collect();
        let group = batch.group();
        Self {
            version: "4",
            group_key: &group.key,
            truncated_alerts: batch.notifications.len() + batch.still_firing.len() - alerts.len(),
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
            duration_seconds: duration_seconds_of(notification),
            ..Self::still_firing(&notification.alert, sender)
        }
    }

    fn still_firing(alert: &'a Alert, sender: &'a Sender) -> Self {
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
            fired_value: alert.fired_value,
            peak: alert.peak,
            threshold: alert.threshold,
            duration_seconds: None,
        }
    }
}

/// The JSON of a message that is no alert.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct BulletinMessage<'a> {
    /// Version of this shape: `1`.
    version: &'static str,
    /// Id, the same for every attempt and after a restart.
    id: &'a str,
    /// Kind and name: `report/weekly`, `audit`.
    bulletin: &'a str,
    /// Labels of the sender.
    labels: &'a Labels,
    title: &'a str,
    text: &'a str,
    /// Time of what it is about (RFC 3339, UTC, milliseconds).
    at: String,
    #[serde(rename = "externalURL")]
    external_url: &'a str,
    /// File of a report; absent if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    document: Option<BulletinDocument<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct BulletinDocument<'a> {
    name: &'a str,
    content_type: &'a str,
    /// Value of a JSON document, text of any other.
    content: Value,
}

impl<'a> BulletinMessage<'a> {
    pub(super) fn new(bulletin: &'a Bulletin, sender: &'a Sender) -> Self {
        Self {
            version: "1",
            id: &bulletin.id,
            bulletin: &bulletin.topic,
            labels: &sender.labels,
            title: &bulletin.title,
            text: &bulletin.text,
            at: rfc3339(bulletin.at),
            external_url: &sender.url,
            document: bulletin.document.as_ref().map(BulletinDocument::new),
        }
    }
}

impl<'a> BulletinDocument<'a> {
    fn new(document: &'a Document) -> Self {
        let json = (document.content_type == "application/json")
            .then(|| serde_json::from_str(&document.content).ok())
            .flatten();
        Self {
            name: &document.name,
            content_type: &document.content_type,
            content: json.unwrap_or_else(|| document.content.as_str().into()),
        }
    }
}

/// End of a firing alert: Go's zero time, as Alertmanager sends it.
const NO_END: &str = "0001-01-01T00:00:00Z";

/// Returns the labels as in Alertmanager: the sender's, the alert's, `alertname` and `severity`.
pub(super) fn all_labels(alert: &Alert, sender: &Sender) -> Labels {
    let mut labels = sender.labels.clone();
    labels.extend(alert.all_labels());
    labels
}

/// Returns the annotations, with the rule's message as `summary` if there is none.
pub(super) fn annotations(alert: &Alert) -> Labels {
    let mut annotations = alert.annotations.clone();
    if !alert.message.trim().is_empty() {
        annotations
            .entry("summary".into())
            .or_insert_with(|| alert.message.clone());
    }
    annotations
}

/// Returns the URL of the alerts in the API; empty without an external URL.
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

/// Returns the time at which the alert resolved, if it did.
pub(super) fn ended(notification: &Notification) -> Option<UnixMillis> {
    match notification.status {
        Status::Firing => None,
        Status::Resolved => Some(notification.alert.resolved_at.unwrap_or(notification.at)),
    }
}

fn duration_seconds_of(notification: &Notification) -> Option<f64> {
    ended(notification).map(|end| end.since(notification.alert.starts()).as_secs_f64())
}

/// Returns the labels that all of `sets` share.
fn common<'a>(mut sets: impl Iterator<Item = &'a Labels>) -> Labels {
    let mut shared: BTreeMap<_, _> = sets.next().cloned().unwrap_or_default();
    for set in sets {
        shared.retain(|name, value| set.get(name) == Some(value));
    }
    shared
}

/// Serializes a document of alerts for a service.
pub(super) fn to_json(document: &impl Serialize) -> Result<String, DeliveryError> {
    serde_json::to_string(document).map_err(|error| DeliveryError::permanent(error.to_string()))
}

/// Formats as RFC 3339 in UTC with milliseconds: `2026-11-21T04:13:15.250Z`.
pub(super) fn rfc3339(at: UnixMillis) -> String {
    jiff::Timestamp::from_millisecond(at.0)
        .unwrap_or_default()
        .strftime("%FT%T.%3fZ")
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{alert, batch, notification};

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
                "firedValue": 91.5,
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
        let notification = &value["alerts"][1];
        assert_eq!(notification["labels"]["mount"], "/home");
        assert_eq!(notification["annotations"]["summary"], "disk of /home");
        assert_eq!(notification["endsAt"], "2026-11-21T04:10:00.000Z");
        assert_eq!(
            notification["generatorURL"],
            "http://host-1:9091/api/v1/alerts"
        );
        assert_eq!(notification["firedValue"], 91.5);
        assert_eq!(notification["peak"], 97.25);
        assert_eq!(notification["durationSeconds"], 299.75);
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
