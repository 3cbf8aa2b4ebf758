//! Lines of the alert history: a record as files and the API have it.

use std::borrow::Cow;

use bellwether_core::{
    Alert, AlertState, Cause, Fingerprint, Labels, Severity, Status, UnixMillis,
};
use jiff::fmt::temporal::DateTimePrinter;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::record::{Event, Notice, Record, Step};
use super::words::{EventKind, Kind, State};

/// A record in a file and in the API.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry<'a> {
    /// Time of the event.
    #[serde(serialize_with = "write_time", deserialize_with = "read_time")]
    pub at: UnixMillis,
    pub kind: Kind,
    pub event: EventKind,
    /// Name of the alert in notifications.
    pub alertname: Cow<'a, str>,
    /// Name of the rule; empty if it is that of the alert.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub rule: Cow<'a, str>,
    pub severity: Severity,
    pub fingerprint: Fingerprint,
    /// Labels of the alert, without `alertname` and `severity`.
    pub labels: Cow<'a, Labels>,
    /// State of the alert, or its state in the notification.
    pub state: State,
    /// Reason as a sentence.
    pub reason: Cow<'a, str>,
    /// Of transitions: the evaluated value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
    /// Of transitions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
    /// Of transitions: the message of the rule.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub message: Cow<'a, str>,
    /// Of resolved alerts: the value when it fired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fired_value: Option<f64>,
    /// Of resolved alerts: the worst value while it fired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak: Option<f64>,
    /// Of resolved alerts: the time that it fired, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fired_for_seconds: Option<f64>,
    /// Of notifications.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub channel: Cow<'a, str>,
    /// Of notifications with routes.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub receiver: Cow<'a, str>,
    /// Of notifications: the cause.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// Of muted notifications: the mute reason. `gate` in files of earlier versions.
    #[serde(default, alias = "gate", skip_serializing_if = "str::is_empty")]
    pub mute_reason: Cow<'a, str>,
    /// Of dropped notifications: `overflow`, `expired`, `rejected` and others.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub drop_reason: Cow<'a, str>,
    /// Mute reason as a sentence, or error of the attempt.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub error: Cow<'a, str>,
    /// Number of the attempt, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// Time until the next attempt, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_in_seconds: Option<f64>,
}

impl<'a> Entry<'a> {
    /// Creates the entry of a record.
    pub(super) fn from_record(record: &'a Record) -> Self {
        let entry = Self::new(&record.alert, record.at);
        match &record.event {
            Event::Transition { from, reason } => {
                entry.with_transition(&record.alert, *from, reason)
            }
            Event::Notification(notice) => entry.with_notice(notice),
        }
    }

    /// Creates an entry with the identity of `alert`.
    fn new(alert: &'a Alert, at: UnixMillis) -> Self {
        let name = alert.alertname();
        let rule = if *alert.rule == *name {
            ""
        } else {
            &alert.rule
        };
        Self {
            at,
            kind: Kind::Transition,
            event: EventKind::Pending,
            alertname: Cow::Borrowed(name),
            rule: Cow::Borrowed(rule),
            severity: alert.severity,
            fingerprint: alert.fingerprint,
            labels: Cow::Borrowed(&alert.labels),
            state: State::Pending,
            reason: Cow::Borrowed(""),
            value: None,
            threshold: None,
            message: Cow::Borrowed(""),
            fired_value: None,
            peak: None,
            fired_for_seconds: None,
            channel: Cow::Borrowed(""),
            receiver: Cow::Borrowed(""),
            cause: None,
            mute_reason: Cow::Borrowed(""),
            drop_reason: Cow::Borrowed(""),
            error: Cow::Borrowed(""),
            attempt: None,
            retry_in_seconds: None,
        }
    }

    fn with_transition(self, alert: &'a Alert, from: AlertState, reason: &'a str) -> Self {
        let (event, state) = match (from, alert.state) {
            (_, AlertState::Pending) => (EventKind::Pending, State::Pending),
            (AlertState::Firing, AlertState::Firing) => (EventKind::Level, State::Firing),
            (_, AlertState::Firing) => (EventKind::Firing, State::Firing),
            (AlertState::Firing, AlertState::Inactive) => (EventKind::Resolved, State::Resolved),
            (_, AlertState::Inactive) => (EventKind::Cleared, State::Inactive),
        };
        let resolved = Some(alert).filter(|_| event == EventKind::Resolved);
        let fired_at = resolved.and_then(|alert| alert.fired_at);
        Self {
            event,
            state,
            reason: Cow::Borrowed(reason),
            value: finite(alert.value),
            threshold: finite(alert.threshold),
            message: Cow::Borrowed(&alert.message),
            fired_value: resolved.and_then(|alert| finite(alert.fired_value)),
            peak: resolved.and_then(|alert| finite(alert.peak)),
            fired_for_seconds: fired_at.map(|fired_at| self.at.since(fired_at).as_secs_f64()),
            ..self
        }
    }

    fn with_notice(self, notice: &'a Notice) -> Self {
        let entry = Self {
            kind: Kind::Notification,
            state: match notice.status {
                Status::Firing => State::Firing,
                Status::Resolved => State::Resolved,
            },
            channel: Cow::Borrowed(&notice.channel),
            receiver: Cow::Borrowed(&notice.receiver),
            cause: Some(notice.cause),
            reason: Cow::Borrowed(&notice.reason),
            ..self
        };
        entry.with_step(&notice.step)
    }

    fn with_step(mut self, step: &'a Step) -> Self {
        self.event = step.event();
        match step {
            Step::Queued => {}
            Step::Muted {
                reason,
                description,
            } => {
                self.mute_reason = Cow::Borrowed(reason);
                self.error = Cow::Borrowed(description);
            }
            Step::Delivered { attempt } => self.attempt = Some(*attempt),
            Step::Failed {
                attempt,
                error,
                retry_in,
            } => {
                self.attempt = Some(*attempt);
                self.error = Cow::Borrowed(error);
                self.retry_in_seconds = Some(retry_in.as_secs_f64());
            }
            Step::Rejected { error } => self.error = Cow::Borrowed(error),
            Step::Dropped { reason } => self.drop_reason = Cow::Borrowed(reason),
        }
        self
    }

    /// Appends the entry as a line.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let before = out.len();
        // Plain data, which always serializes.
        match serde_json::to_writer(&mut *out, self) {
            Ok(()) => out.push(b'\n'),
            Err(_) => out.truncate(before),
        }
    }

    /// Parses a line; `None` if it is damaged.
    pub(super) fn read(line: &[u8]) -> Option<Entry<'static>> {
        let mut entry: Entry<'static> = serde_json::from_slice(line).ok()?;
        // Earlier versions had both reasons under one key.
        if entry.event == EventKind::Dropped && entry.drop_reason.is_empty() {
            entry.drop_reason = std::mem::take(&mut entry.mute_reason);
        }
        Some(entry)
    }
}

impl Step {
    fn event(&self) -> EventKind {
        match self {
            Self::Queued => EventKind::Queued,
            Self::Muted { .. } => EventKind::Muted,
            Self::Delivered { .. } => EventKind::Delivered,
            Self::Failed { .. } => EventKind::Failed,
            Self::Rejected { .. } => EventKind::Rejected,
            Self::Dropped { .. } => EventKind::Dropped,
        }
    }
}

/// Returns the value if JSON has it.
fn finite(value: Option<f64>) -> Option<f64> {
    value.filter(|value| value.is_finite())
}

/// RFC 3339 in UTC with milliseconds, so that all lines begin the same way.
static TIMES: DateTimePrinter = DateTimePrinter::new().precision(Some(3));

fn write_time<S: Serializer>(at: &UnixMillis, serializer: S) -> Result<S::Ok, S::Error> {
    let stamp = jiff::Timestamp::from_millisecond(at.0).unwrap_or_default();
    serializer.serialize_str(&TIMES.timestamp_to_string(&stamp))
}

fn read_time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<UnixMillis, D::Error> {
    let text = Cow::<'de, str>::deserialize(deserializer)?;
    let stamp: jiff::Timestamp = text.parse().map_err(serde::de::Error::custom)?;
    Ok(UnixMillis(stamp.as_millisecond()))
}
