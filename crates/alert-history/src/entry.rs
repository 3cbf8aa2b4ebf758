//! What is recorded, and the line it becomes.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use bellwether_core::{
    Alert, AlertState, Cause, Labels, Notification, Status, Transition, UnixMillis,
};
use jiff::fmt::temporal::DateTimePrinter;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Something to keep.
#[derive(Clone, Debug)]
pub struct Record {
    /// When it happened.
    pub at: UnixMillis,
    /// The alert, after it.
    pub alert: Arc<Alert>,
    /// What happened.
    pub(super) event: Event,
}

#[derive(Clone, Debug)]
pub(super) enum Event {
    Transition { from: AlertState, reason: String },
    Notification(Notice),
}

/// One step of a notification.
#[derive(Clone, Debug)]
pub struct Notice {
    /// The channel; empty where none was chosen yet.
    pub channel: String,
    /// The receiver; empty without routes.
    pub receiver: String,
    /// Why it is told.
    pub cause: Cause,
    /// What it says.
    pub status: Status,
    /// Why the alert changed, in one sentence.
    pub reason: String,
    /// What became of it.
    pub step: Step,
}

/// What became of a notification.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// It waits for delivery.
    Queued,
    /// It is not told, or not now.
    Held {
        /// By what: `silence`, `inhibition`, `mute`.
        gate: &'static str,
        /// Why, in one sentence.
        why: String,
    },
    /// The receiver took it.
    Delivered {
        /// At which attempt in a row.
        attempt: u32,
    },
    /// An attempt failed, and it is tried again.
    Failed {
        /// Which attempt in a row.
        attempt: u32,
        /// What happened.
        error: String,
        /// When it is tried again.
        retry_in: Duration,
    },
    /// The receiver refused it, and it is given up.
    Refused {
        /// What it said.
        error: String,
    },
    /// It is given up.
    Dropped {
        /// Why: `overflow`, `expired`, `refused`.
        why: &'static str,
    },
}

impl Record {
    /// A change of an alert.
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

    /// A step of a notification to `channel`.
    #[must_use]
    pub fn notification(told: &Notification, channel: &str, step: Step, at: UnixMillis) -> Self {
        let notice = Notice {
            channel: channel.to_owned(),
            receiver: told.group.receiver.clone(),
            cause: told.cause,
            status: told.status,
            reason: told.reason.clone(),
            step,
        };
        Self::notice(told.alert.clone(), notice, at)
    }

    /// A step of a notification that is none yet.
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

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $( $(#[$vdoc:meta])* $variant:ident = $word:literal ),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        pub enum $name { $( $(#[$vdoc])* #[serde(rename = $word)] $variant ),+ }

        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[ $( Self::$variant ),+ ];

            /// The word for it.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $( Self::$variant => $word ),+ }
            }

            /// The one that `word` names.
            ///
            /// # Errors
            /// What there is instead.
            pub fn parse(word: &str) -> Result<Self, String> {
                let known = [ $( $word ),+ ].join(", ");
                let found = Self::ALL.iter().find(|one| one.as_str() == word).copied();
                found.ok_or_else(|| format!("unknown value {word:?}; there are {known}"))
            }
        }
    };
}

words! {
    /// What a record is about.
    Kind {
        /// A change of an alert.
        Transition = "transition",
        /// A step of a notification.
        Notification = "notification",
    }
}

words! {
    /// What happened.
    EventKind {
        /// The condition began to hold.
        Pending = "pending",
        /// It held for long enough.
        Firing = "firing",
        /// The severity of a firing alert changed.
        Level = "level",
        /// A firing alert ended.
        Resolved = "resolved",
        /// A pending alert ended.
        Cleared = "cleared",
        /// A notification waits for delivery.
        Queued = "queued",
        /// A notification is held back.
        Held = "held",
        /// A notification was delivered.
        Delivered = "delivered",
        /// An attempt failed.
        Failed = "failed",
        /// A notification was refused by its receiver and given up.
        Refused = "refused",
        /// A notification was given up.
        Dropped = "dropped",
    }
}

words! {
    /// Where the alert stands, or what a notification says of it.
    State {
        /// The condition does not hold, and the alert did not fire.
        Inactive = "inactive",
        /// It holds, not yet for long enough.
        Pending = "pending",
        /// The alert fires.
        Firing = "firing",
        /// It no longer does.
        Resolved = "resolved",
    }
}

/// A record as it lies on disk and as the API tells it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry<'a> {
    /// When it happened.
    #[serde(serialize_with = "write_time", deserialize_with = "read_time")]
    pub at: UnixMillis,
    /// What it is about.
    pub kind: Kind,
    /// What happened.
    pub event: EventKind,
    /// The name that receivers know the alert by.
    pub alertname: Cow<'a, str>,
    /// Name of the rule, where that is another.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub rule: Cow<'a, str>,
    /// How bad.
    pub severity: Cow<'a, str>,
    /// Identity of the alert.
    pub fingerprint: Cow<'a, str>,
    /// Its labels, without `alertname` and `severity`.
    pub labels: Cow<'a, Labels>,
    /// Where it stands, or what the notification says.
    pub state: State,
    /// Why, in one sentence.
    pub reason: Cow<'a, str>,
    /// The judged value, of transitions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
    /// The threshold, of transitions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
    /// The rule's message, of transitions.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub message: Cow<'a, str>,
    /// The value when it fired, of an end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fired_value: Option<f64>,
    /// The worst value since, of an end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak: Option<f64>,
    /// How long it fired, of an end, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fired_for_seconds: Option<f64>,
    /// The channel, of notifications.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub channel: Cow<'a, str>,
    /// The receiver, of notifications by routes.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub receiver: Cow<'a, str>,
    /// Why it is told, of notifications.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub cause: Cow<'a, str>,
    /// What holds it back, or why it was given up.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub gate: Cow<'a, str>,
    /// Why it is held back or what the attempt met.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub error: Cow<'a, str>,
    /// Which attempt in a row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// When it is tried again, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_in_seconds: Option<f64>,
}

impl<'a> Entry<'a> {
    /// The line of `record`.
    pub(super) fn of(record: &'a Record) -> Self {
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
            gate: Cow::Borrowed(""),
            error: Cow::Borrowed(""),
            attempt: None,
            retry_in_seconds: None,
        };
        match &record.event {
            Event::Transition { from, reason } => entry.changed(alert, *from, reason),
            Event::Notification(notice) => entry.noticed(notice),
        }
        entry
    }

    fn changed(&mut self, alert: &'a Alert, from: AlertState, reason: &'a str) {
        (self.event, self.state) = match (from, alert.state) {
            (_, AlertState::Pending) => (EventKind::Pending, State::Pending),
            (AlertState::Firing, AlertState::Firing) => (EventKind::Level, State::Firing),
            (_, AlertState::Firing) => (EventKind::Firing, State::Firing),
            (AlertState::Firing, AlertState::Inactive) => (EventKind::Resolved, State::Resolved),
            (_, AlertState::Inactive) => (EventKind::Cleared, State::Inactive),
        };
        self.reason = Cow::Borrowed(reason);
        let number = |value: Option<f64>| value.filter(|value| value.is_finite());
        (self.value, self.threshold) = (number(alert.value), number(alert.threshold));
        self.message = Cow::Borrowed(&alert.message);
        if self.event == EventKind::Resolved {
            let fired = alert
                .fired_at
                .map(|fired| self.at.since(fired).as_secs_f64());
            self.fired_for_seconds = fired;
            (self.fired_value, self.peak) = (number(alert.fired_value), number(alert.peak));
        }
    }

    fn noticed(&mut self, notice: &'a Notice) {
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
            Step::Held { gate, why } => {
                (self.gate, self.error) = (Cow::Borrowed(*gate), Cow::Borrowed(why.as_str()));
                EventKind::Held
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
            Step::Refused { error } => {
                self.error = Cow::Borrowed(error);
                EventKind::Refused
            }
            Step::Dropped { why } => {
                self.gate = Cow::Borrowed(why);
                EventKind::Dropped
            }
        };
    }

    /// Appends it as a line.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let before = out.len();
        // Plain data: there is nothing in it that could fail to serialize.
        match serde_json::to_writer(&mut *out, self) {
            Ok(()) => out.push(b'\n'),
            Err(_) => out.truncate(before),
        }
    }

    /// Reads a line.
    pub(super) fn read(line: &[u8]) -> Option<Entry<'static>> {
        serde_json::from_slice(line).ok()
    }
}

/// RFC 3339 in UTC with milliseconds, so that all lines begin alike.
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
