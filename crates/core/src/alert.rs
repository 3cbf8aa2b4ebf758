//! Alerts, their transitions and the notifications about them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::labels::Labels;
use super::time::{MonoMillis, UnixMillis};

/// Severity of an alert, ascending.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "lowercase")
)]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Needs a look.
    Warning,
    /// Needs action.
    Critical,
    /// Needs action now.
    Emergency,
}

impl Severity {
    /// All severities, ascending.
    pub const ALL: [Severity; 4] = [Self::Info, Self::Warning, Self::Critical, Self::Emergency];

    /// Returns the place of a word among the severities, 0 for the most severe; none for another word.
    #[must_use]
    pub fn rank(word: &str) -> Option<usize> {
        let mut descending = Self::ALL.iter().rev();
        descending.position(|severity| severity.as_str() == word)
    }

    /// Returns the word used in the configuration and in notifications.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
            Self::Emergency => "emergency",
        }
    }
}

/// Identity of an alert: a hash of the rule's name and the alert's labels, stable over restarts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(pub u64);

impl fmt::Display for Fingerprint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:016x}", self.0)
    }
}

impl Fingerprint {
    /// Computes the fingerprint of an alert from its rule's name and its labels.
    #[must_use]
    pub fn of(rule: &str, labels: &Labels) -> Self {
        let labels = labels
            .iter()
            .flat_map(|(name, value)| [name.as_str(), value]);
        Self::of_parts([rule].into_iter().chain(labels))
    }

    /// Computes FNV-1a over the parts, each followed by `0xFF`, as Prometheus's common library hashes
    /// label sets.
    #[must_use]
    pub fn of_parts<'a>(parts: impl IntoIterator<Item = &'a str>) -> Self {
        let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
        for byte in parts
            .into_iter()
            .flat_map(|part| part.bytes().chain([0xFF]))
        {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        Self(hash)
    }
}

/// State of an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "lowercase")
)]
pub enum AlertState {
    /// The condition does not hold.
    Inactive,
    /// The condition holds, but not yet for the rule's `duration`.
    Pending,
    /// The condition has held for the rule's `duration`.
    Firing,
}

impl AlertState {
    /// Returns the word used by the API and in the log.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Inactive => "inactive",
            Self::Pending => "pending",
            Self::Firing => "firing",
        }
    }
}

/// A rule's condition on one label set, as of one evaluation.
///
/// With the feature `serde` it has one JSON form, in which state files keep it: fields as here, the
/// fingerprint in hexadecimal, times in milliseconds. A value that is not finite reads as `None`.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Alert {
    /// Identity. It does not cover the severity, so a change of severity keeps it.
    pub fingerprint: Fingerprint,
    /// Name of the rule.
    #[cfg_attr(feature = "serde", serde(with = "crate::serialize::shared_text"))]
    pub rule: Arc<str>,
    /// Severity; for a rule with several thresholds, that of the threshold reached.
    pub severity: Severity,
    /// Labels of the series and of the rule. `alertname` is among them only if it is not the rule's
    /// name, and `severity` only if it is not the word of [`Alert::severity`], as in a rule file of
    /// Prometheus; the `severity` of such a rule without one is empty.
    pub labels: Labels,
    /// Rendered annotations of the rule.
    pub annotations: Labels,
    /// Rendered message of the rule.
    pub message: String,
    /// Value at the last evaluation that had one.
    pub value: Option<f64>,
    /// Value when the alert fired; `None` if it fired without one, as for no data.
    pub fired_value: Option<f64>,
    /// Worst value while the alert fired.
    pub peak: Option<f64>,
    /// Threshold that was reached, if the rule has one.
    pub threshold: Option<f64>,
    /// State after the last evaluation.
    pub state: AlertState,
    /// Time at which the condition began to hold.
    pub active_at: UnixMillis,
    /// Time at which the alert fired, if it did.
    pub fired_at: Option<UnixMillis>,
    /// Time at which the alert was resolved, if it was.
    pub resolved_at: Option<UnixMillis>,
}

impl Alert {
    /// Creates a firing alert of `rule` without values and times.
    #[must_use]
    pub fn firing(rule: &str, severity: Severity, labels: Labels) -> Self {
        Self {
            fingerprint: Fingerprint::of(rule, &labels),
            rule: rule.into(),
            severity,
            labels,
            annotations: Labels::new(),
            message: String::new(),
            value: None,
            fired_value: None,
            peak: None,
            threshold: None,
            state: AlertState::Firing,
            active_at: UnixMillis::default(),
            fired_at: None,
            resolved_at: None,
        }
    }

    /// Returns the label `alertname`, or else the rule's name.
    #[must_use]
    pub fn alertname(&self) -> &str {
        self.labels
            .get("alertname")
            .map_or(&self.rule, String::as_str)
    }

    /// Returns the value of a label, `alertname` and `severity` included; empty if there is none.
    #[must_use]
    pub fn label(&self, name: &str) -> &str {
        match (name, self.labels.get(name)) {
            (_, Some(value)) => value,
            ("alertname", None) => &self.rule,
            ("severity", None) => self.severity.as_str(),
            _ => "",
        }
    }

    /// Returns all labels, `alertname` and `severity` included. An empty `severity` is left out, as in
    /// Prometheus.
    #[must_use]
    pub fn all_labels(&self) -> Labels {
        let mut labels = self.labels.clone();
        for name in ["alertname", "severity"] {
            labels
                .entry(name.to_owned())
                .or_insert_with(|| self.label(name).to_owned());
        }
        labels.retain(|name, value| name != "severity" || !value.is_empty());
        labels
    }

    /// Returns the time at which the alert fired, or else at which its condition began to hold.
    #[must_use]
    pub fn starts(&self) -> UnixMillis {
        self.fired_at.unwrap_or(self.active_at)
    }

    /// Returns the id of its change at the time `at`: the same for every notification of that change.
    #[must_use]
    pub fn change_id(&self, at: UnixMillis) -> String {
        format!("{}-{}-{}", self.fingerprint, self.starts().0, at.0)
    }

    /// Returns how long the alert has fired, up to `now` if it is not resolved; `None` if it never
    /// fired.
    #[must_use]
    pub fn fired_for(&self, now: UnixMillis) -> Option<Duration> {
        self.fired_at
            .map(|at| self.resolved_at.unwrap_or(now).since(at))
    }
}

/// Notifications that were sent about a firing alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotifiedState {
    /// Time of the first notification.
    pub first: MonoMillis,
    /// Time of the last notification.
    pub last: MonoMillis,
    /// Severity in the last notification.
    pub severity: Severity,
}

/// A change of an alert's state; `alert` is the alert after the change.
#[derive(Clone, Debug, PartialEq)]
pub struct Transition {
    /// The alert in its new state.
    pub alert: Arc<Alert>,
    /// The state before.
    pub from: AlertState,
    /// Reason in one sentence: `cpu_percent 91 > 85 for 5m`.
    pub reason: String,
    /// Time of the change.
    pub at: UnixMillis,
}

/// Status in a notification.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "lowercase")
)]
pub enum Status {
    /// The alert fires, or its severity changed while it fires.
    Firing,
    /// The alert no longer fires.
    Resolved,
}

impl Status {
    /// Returns the word used in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Firing => "firing",
            Self::Resolved => "resolved",
        }
    }
}

/// Cause of a notification.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "lowercase")
)]
pub enum Cause {
    /// The alert changed: it fired, its severity changed, or it was resolved.
    Change,
    /// The alert still fires, and `repeat_interval` has passed.
    Repeat,
    /// Nobody acknowledged it in time.
    Escalation,
    /// The channels of the route fail.
    Fallback,
    /// The alert began or stopped flapping.
    Flapping,
    /// A dead letter was sent again on request.
    Resend,
    /// Heartbeat: rules are evaluated, notifications are delivered.
    Heartbeat,
    /// Test of a channel on request.
    Test,
}

impl Cause {
    /// All causes.
    pub const ALL: [Cause; 8] = [
        Self::Change,
        Self::Repeat,
        Self::Escalation,
        Self::Fallback,
        Self::Flapping,
        Self::Resend,
        Self::Heartbeat,
        Self::Test,
    ];

    /// Returns the word used in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Change => "change",
            Self::Repeat => "repeat",
            Self::Escalation => "escalation",
            Self::Fallback => "fallback",
            Self::Flapping => "flapping",
            Self::Resend => "resend",
            Self::Heartbeat => "heartbeat",
            Self::Test => "test",
        }
    }
}

/// A group: alerts in one notification, as in Alertmanager.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Group {
    /// Key of the group, stable as long as its route is: `{}/{severity="critical"}:{alertname="disk"}`,
    /// in the format of Alertmanager.
    pub key: String,
    /// Receiver of the route; empty without routes.
    pub receiver: String,
    /// Labels by which the alerts were grouped.
    pub labels: Labels,
    /// Set if a notification also lists the other firing alerts of the group.
    pub include_firing: bool,
}

/// A notification about one alert for one channel.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Notification {
    /// Id, the same for every attempt and after a restart: fingerprint, start and time of the change.
    /// Receivers deduplicate by it.
    pub id: String,
    /// Status: firing or resolved.
    pub status: Status,
    /// Cause of the notification.
    pub cause: Cause,
    /// Group in which the alert is notified.
    #[cfg_attr(feature = "serde", serde(with = "crate::serialize::shared"))]
    pub group: Arc<Group>,
    /// The alert at the time of the transition.
    #[cfg_attr(feature = "serde", serde(with = "crate::serialize::shared"))]
    pub alert: Arc<Alert>,
    /// Reason of the transition, in one sentence.
    pub reason: String,
    /// Time of the transition.
    pub at: UnixMillis,
}

/// Notifications of one flush, and the channels they go to.
#[derive(Clone, Debug, PartialEq)]
pub struct Dispatch {
    /// Channels; `None`: all channels. Each one filters for itself.
    pub to: Option<Arc<[Arc<str>]>>,
    /// Notifications in the order of their delivery.
    pub notifications: Vec<Notification>,
}

/// A notification that a channel rejected or dropped, and that can be sent again.
#[derive(Clone, Debug, PartialEq)]
pub struct DeadLetter {
    /// Id of the notification.
    pub id: String,
    /// Channel that rejected or dropped it.
    pub channel: Arc<str>,
    /// Time at which it was rejected or dropped.
    pub at: UnixMillis,
    /// Reason, fit for a label: `rejected`, `overflow` or `expired`.
    pub reason: String,
    /// Reason in one sentence; for a rejected notification, the answer of its receiver.
    pub error: String,
    /// The notification that was not delivered.
    pub notification: Notification,
    /// Resolved notification of the alert, if that was not delivered either.
    pub end: Option<Notification>,
}
