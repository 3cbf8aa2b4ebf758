//! Alerts, their transitions and what is told about them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::labels::Labels;
use super::time::{MonoMillis, UnixMillis};

/// How bad it is, ascending.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
    /// All, ascending.
    pub const ALL: [Severity; 4] = [Self::Info, Self::Warning, Self::Critical, Self::Emergency];

    /// The word used in the declaration and in notifications.
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
    /// Of an alert: the rule's name and the sorted labels.
    #[must_use]
    pub fn of(rule: &str, labels: &Labels) -> Self {
        let labels = labels
            .iter()
            .flat_map(|(name, value)| [name.as_str(), value]);
        Self::of_parts([rule].into_iter().chain(labels))
    }

    /// FNV-1a over the parts, each ended by `0xFF`, as Prometheus's common library hashes label
    /// sets.
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

/// Where an alert stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AlertState {
    /// The condition does not hold.
    Inactive,
    /// It holds, not yet for the rule's `duration`.
    Pending,
    /// It held for the `duration`.
    Firing,
}

impl AlertState {
    /// The word used by the API and in the log.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Inactive => "inactive",
            Self::Pending => "pending",
            Self::Firing => "firing",
        }
    }
}

/// One rule x one label set, as others see it at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Alert {
    /// Identity. It does not hold the severity, so a change of level keeps it.
    pub fingerprint: Fingerprint,
    /// Name of the rule.
    pub rule: Arc<str>,
    /// How bad; of a rule with several thresholds, the level reached.
    pub severity: Severity,
    /// The series' labels and those the rule adds; `alertname` and `severity` only where these are
    /// others than the rule's name and our word, as in a rule file of Prometheus; there a
    /// `severity` that is not said is empty.
    pub labels: Labels,
    /// What the rule adds for people, rendered.
    pub annotations: Labels,
    /// The rule's message, rendered.
    pub message: String,
    /// The judged value at the last evaluation that had one.
    pub value: Option<f64>,
    /// The value when it fired, where it fired by one.
    pub fired_value: Option<f64>,
    /// The value furthest from good of those that held while it fired.
    pub peak: Option<f64>,
    /// The threshold it is judged by, where the rule has one.
    pub threshold: Option<f64>,
    /// Where it stands.
    pub state: AlertState,
    /// When the condition began to hold.
    pub active_at: UnixMillis,
    /// When it fired, if it did.
    pub fired_at: Option<UnixMillis>,
    /// When it resolved, if it did.
    pub resolved_at: Option<UnixMillis>,
}

impl Alert {
    /// An alert of `rule` that fires, and of which nothing more is known.
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

    /// The name that receivers know it by: the rule's, unless a label says otherwise.
    #[must_use]
    pub fn alertname(&self) -> &str {
        self.labels
            .get("alertname")
            .map_or(&self.rule, String::as_str)
    }

    /// A label, `alertname` and `severity` among them; empty where there is none.
    #[must_use]
    pub fn label(&self, name: &str) -> &str {
        match (name, self.labels.get(name)) {
            (_, Some(value)) => value,
            ("alertname", None) => &self.rule,
            ("severity", None) => self.severity.as_str(),
            _ => "",
        }
    }

    /// All labels, `alertname` and `severity` among them; an empty `severity` is none, as in
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

    /// When it fired; of one that never did, when its condition began to hold.
    #[must_use]
    pub fn starts(&self) -> UnixMillis {
        self.fired_at.unwrap_or(self.active_at)
    }

    /// The identity of a change of it `at` some moment: the same however often it is told.
    #[must_use]
    pub fn change_id(&self, at: UnixMillis) -> String {
        format!("{}-{}-{}", self.fingerprint, self.starts().0, at.0)
    }

    /// How long it fired, up to `now` where it did not resolve; `None` if it never fired.
    #[must_use]
    pub fn fired_for(&self, now: UnixMillis) -> Option<Duration> {
        self.fired_at
            .map(|at| self.resolved_at.unwrap_or(now).since(at))
    }
}

/// What channels were told of an alert that fires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotifiedState {
    /// When first.
    pub first: MonoMillis,
    /// When last.
    pub last: MonoMillis,
    /// How bad it was said to be.
    pub severity: Severity,
}

/// A change of an alert's state; `alert` is the alert after the change.
#[derive(Clone, Debug, PartialEq)]
pub struct Transition {
    /// The alert, in its new state.
    pub alert: Arc<Alert>,
    /// The state before.
    pub from: AlertState,
    /// Why, in one sentence: `cpu_percent 91 > 85 for 5m`.
    pub reason: String,
    /// When.
    pub at: UnixMillis,
}

/// What a notification says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// The alert fires, or its level changed while it fires.
    Firing,
    /// It no longer does.
    Resolved,
}

impl Status {
    /// The word used on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Firing => "firing",
            Self::Resolved => "resolved",
        }
    }
}

/// Why something is told now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// The alert changed: it fired, its level changed, it resolved.
    Change,
    /// It still fires, and `repeat_interval` is over.
    Repeat,
    /// Nobody acknowledged it in time.
    Escalation,
    /// The channels that should have told of it fail.
    Fallback,
    /// It began to change too often, or it no longer does.
    Flapping,
    /// It was given up, and somebody wants it sent again.
    Resend,
    /// A sign of life: rules are judged, notifications are delivered.
    Heartbeat,
    /// Somebody tries a channel.
    Test,
}

impl Cause {
    /// All of them.
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

    /// The word used on the wire.
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

/// Alerts that are told together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// The same as long as the route is: `{}/{severity="critical"}:{alertname="disk"}`, as
    /// Alertmanager writes it.
    pub key: String,
    /// The receiver they are for; empty without routes.
    pub receiver: String,
    /// The labels they were grouped by.
    pub labels: Labels,
    /// Whether a message also tells of those that stand: the others of the group that fire.
    pub whole: bool,
}

/// One thing to tell one channel.
#[derive(Clone, Debug, PartialEq)]
pub struct Notification {
    /// The same for every attempt and after a restart: fingerprint, start, moment of the change.
    /// Receivers deduplicate by it.
    pub id: String,
    /// What it says.
    pub status: Status,
    /// Why it is told now.
    pub cause: Cause,
    /// What it is told with.
    pub group: Arc<Group>,
    /// The alert it is about.
    pub alert: Arc<Alert>,
    /// Why, in one sentence, as the transition has it.
    pub reason: String,
    /// When the transition happened.
    pub at: UnixMillis,
}

/// Notifications on their way to channels.
#[derive(Clone, Debug, PartialEq)]
pub struct Dispatch {
    /// The channels; `None`: every one. Each takes what it must hear.
    pub to: Option<Arc<[Arc<str>]>>,
    /// What is told, in order.
    pub notifications: Vec<Notification>,
}

/// A notification that a channel gave up, and that can be sent again.
#[derive(Clone, Debug, PartialEq)]
pub struct DeadLetter {
    /// Its identity.
    pub id: String,
    /// The channel.
    pub channel: Arc<str>,
    /// When it was given up.
    pub at: UnixMillis,
    /// Why, in one word: `refused`, `overflow`, `expired`.
    pub reason: String,
    /// Why, in one sentence; of one that was refused, in the words of its receiver.
    pub error: String,
    /// What the channel was not told.
    pub notification: Notification,
    /// The end of the alert, where the channel was not told of that either.
    pub end: Option<Notification>,
}
