//! Records, and the lines that they are written as.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use bellwether_core::{
    Alert, AlertState, Cause, Labels, Notification, Status, Transition, UnixMillis,
};
use jiff::fmt::temporal::DateTimePrinter;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A record of the alert history.
#[derive(Clone, Debug)]
pub struct Record {
    /// Time of the event.
    pub at: UnixMillis,
    /// The alert after the event.
    pub alert: Arc<Alert>,
    pub(super) event: Event,
}

#[derive(Clone, Debug)]
pub(super) enum Event {
    Transition { from: AlertState, reason: String },
    Notification(Notice),
}

/// An event of a notification.
#[derive(Clone, Debug)]
pub struct Notice {
    /// Channel; empty for a muted notification.
    pub channel: String,
    /// Receiver; empty without routes.
    pub receiver: String,
    /// Cause of the notification.
    pub cause: Cause,
    /// Status in the notification.
    pub status: Status,
    /// Reason of the alert's last change, as a sentence.
    pub reason: String,
    /// The event.
    pub step: Step,
}

/// A step on the way of a notification.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Waits for delivery.
    Queued,
    /// Is muted.
    Muted {
        /// Name of the mute reason: `silenced`, `inhibited`, `muted` and others.
        reason: &'static str,
        /// The mute reason as a sentence.
        description: String,
    },
    /// The channel delivered it.
    Delivered {
        /// Number of the attempt, from 1.
        attempt: u32,
    },
    /// An attempt failed, and is retried.
    Failed {
        /// Number of the attempt, from 1.
        attempt: u32,
        error: String,
        /// Time until the next attempt.
        retry_in: Duration,
    },
    /// The service rejected it for good.
    Rejected { error: String },
    /// Was dropped.
    Dropped {
        /// Reason: `overflow`, `expired`, `rejected` and others.
        reason: &'static str,
    },
}

impl Record {
    /// Creates the record of a transition.
    #[must_use]
    pub fn transition(transition: &Transition) -> Self {
        let (from, reason) = (transition.from, transition.reason.clone());
        let event = Event::Transition { from, reason };
        Self {
            at: transition.at,
            alert: transition.alert.clone(),
            event,
        }
    }

    /// Creates the record of a step of a notification to `channel`.
    #[must_use]
    pub fn notification(
        notification: &Notification,
        channel: &str,
        step: Step,
        at: UnixMillis,
    ) -> Self {
        let notice = Notice {
            channel: channel.to_owned(),
            receiver: notification.group.receiver.clone(),
            cause: notification.cause,
            status: notification.status,
            reason: notification.reason.clone(),
            step,
        };
        Self::notice(notification.alert.clone(), notice, at)
    }

    /// Creates the record of a notification that does not exist, since it is muted.
    #[must_use]
    pub fn notice(alert: Arc<Alert>, notice: Notice, at: UnixMillis) -> Self {
        Self {
            at,
            alert,
            event: Event::Notification(notice),
        }
    }

    pub(super) fn is_transition(&self) -> bool {
        matches!(self.event, Event::Transition { .. })
    }
}

macro_rules! named_enum {
    ($(#[$doc:meta])* $name:ident {
        $( $(#[$vdoc:meta])* $variant:ident = $word:literal $(| $former:literal)? ),+ $(,)?
    }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        pub enum $name {
            $( $(#[$vdoc])* #[serde(rename = $word $(, alias = $former)?)] $variant ),+
        }

        impl $name {
            /// All variants.
            pub const ALL: &'static [Self] = &[ $( Self::$variant ),+ ];

            /// Returns the name in files and in the API.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $( Self::$variant => $word ),+ }
            }

            /// Parses a name, also one of earlier versions.
            ///
            /// # Errors
            /// Unknown name, as a sentence with all names.
            pub fn parse(name: &str) -> Result<Self, String> {
                match name {
                    $( $word $(| $former)? => Ok(Self::$variant), )+
                    _ => Err(format!(
                        "unknown value {name:?}; hint: one of {}",
                        [ $( $word ),+ ].join(", ")
                    )),
                }
            }
        }
    };
}

named_enum! {
    /// Kind of a record.
    Kind {
        /// A transition of an alert.
        Transition = "transition",
        /// A step of a notification.
        Notification = "notification",
    }
}

named_enum! {
    /// Event of a record.
    EventKind {
        /// An alert became pending.
        Pending = "pending",
        /// An alert fired.
        Firing = "firing",
        /// The severity of a firing alert changed.
        Level = "level",
        /// A firing alert resolved.
        Resolved = "resolved",
        /// A pending alert became inactive.
        Cleared = "cleared",
        /// A notification waits for delivery.
        Queued = "queued",
        /// A notification was muted.
        Muted = "muted" | "held",
        /// A notification was delivered.
        Delivered = "delivered",
        /// An attempt of delivery failed.
        Failed = "failed",
        /// A notification was rejected by its service.
        Rejected = "rejected" | "refused",
        /// A notification was dropped.
        Dropped = "dropped",
    }
}

named_enum! {
    /// State of the alert, or its state in a notification.
    State {
        /// The alert is inactive.
        Inactive = "inactive",
        /// The alert is pending.
        Pending = "pending",
        /// The alert fires.
        Firing = "firing",
        /// The alert resolved.
        Resolved = "resolved",
    }
}

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
    pub severity: Cow<'a, str>,
    pub fingerprint: Cow<'a, str>,
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
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub cause: Cow<'a, str>,
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
        let alert = &*record.alert;
        let name = alert.alertname();
        let mut entry = Self {
            at: record.at,
            kind: Kind::Transition,
            event: EventKind::Pending,
            alertname: Cow::Borrowed(name),
            rule: Cow::Borrowed(if *alert.rule == *name {
                ""
            } else {
                &alert.rule
            }),
            severity: Cow::Borrowed(alert.severity.as_str()),
            fingerprint: Cow::Owned(alert.fingerprint.to_string()),
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
            cause: Cow::Borrowed(""),
            mute_reason: Cow::Borrowed(""),
            drop_reason: Cow::Borrowed(""),
            error: Cow::Borrowed(""),
            attempt: None,
            retry_in_seconds: None,
        };
        match &record.event {
            Event::Transition { from, reason } => entry.set_transition(alert, *from, reason),
            Event::Notification(notice) => entry.set_notice(notice),
        }
        entry
    }

    fn set_transition(&mut self, alert: &'a Alert, from: AlertState, reason: &'a str) {
        (self.event, self.state) = match (from, alert.state) {
            (_, AlertState::Pending) => (EventKind::Pending, State::Pending),
            (AlertState::Firing, AlertState::Firing) => (EventKind::Level, State::Firing),
            (_, AlertState::Firing) => (EventKind::Firing, State::Firing),
            (AlertState::Firing, AlertState::Inactive) => (EventKind::Resolved, State::Resolved),
            (_, AlertState::Inactive) => (EventKind::Cleared, State::Inactive),
        };
        self.reason = Cow::Borrowed(reason);
        let finite = |value: Option<f64>| value.filter(|value| value.is_finite());
        (self.value, self.threshold) = (finite(alert.value), finite(alert.threshold));
        self.message = Cow::Borrowed(&alert.message);
        if self.event == EventKind::Resolved {
            self.fired_for_seconds = alert
                .fired_at
                .map(|fired_at| self.at.since(fired_at).as_secs_f64());
            (self.fired_value, self.peak) = (finite(alert.fired_value), finite(alert.peak));
        }
    }

    fn set_notice(&mut self, notice: &'a Notice) {
        self.kind = Kind::Notification;
        self.state = match notice.status {
            Status::Firing => State::Firing,
            Status::Resolved => State::Resolved,
        };
        self.channel = Cow::Borrowed(&notice.channel);
        self.receiver = Cow::Borrowed(&notice.receiver);
        self.cause = Cow::Borrowed(notice.cause.as_str());
        self.reason = Cow::Borrowed(&notice.reason);
        self.event = match &notice.step {
            Step::Queued => EventKind::Queued,
            Step::Muted {
                reason,
                description,
            } => {
                self.mute_reason = Cow::Borrowed(reason);
                self.error = Cow::Borrowed(description);
                EventKind::Muted
            }
            Step::Delivered { attempt } => {
                self.attempt = Some(*attempt);
                EventKind::Delivered
            }
            Step::Failed {
                attempt,
                error,
                retry_in,
            } => {
                self.attempt = Some(*attempt);
                self.error = Cow::Borrowed(error);
                self.retry_in_seconds = Some(retry_in.as_secs_f64());
                EventKind::Failed
            }
            Step::Rejected { error } => {
                self.error = Cow::Borrowed(error);
                EventKind::Rejected
            }
            Step::Dropped { reason } => {
                self.drop_reason = Cow::Borrowed(reason);
                EventKind::Dropped
            }
        };
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
