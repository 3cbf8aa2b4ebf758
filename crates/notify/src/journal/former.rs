//! Lines of version 1 of the journal.

use std::sync::Arc;

use bellwether_core::{AlertState, Cause, Fingerprint, Labels, Severity, Status, UnixMillis};
use serde::Deserialize;

use super::NotifiedTimes;
use crate::outbox::StoredDeadLetter;

/// The first line.
pub(super) const HEADER: &[u8] = b"\"outbox\"";

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Line {
    Episode {
        id: u64,
        #[serde(rename = "told")]
        notified: Option<(UnixMillis, UnixMillis)>,
        open: bool,
        alert: Box<Alert>,
        group: Group,
    },
    Push {
        seq: u64,
        episode: u64,
        notification: Box<Notification>,
    },
    Done {
        seq: u64,
        at: UnixMillis,
    },
    Letter {
        seq: u64,
        at: UnixMillis,
        reason: String,
        error: String,
        notification: Box<Notification>,
        end: Option<Box<Notification>>,
    },
}

#[derive(Deserialize)]
pub(super) struct Notification {
    id: String,
    resolved: bool,
    cause: Option<Cause>,
    #[serde(default)]
    group: Group,
    reason: String,
    at: UnixMillis,
    alert: Alert,
}

#[derive(Default, Deserialize)]
pub(super) struct Group {
    key: String,
    receiver: String,
    labels: Labels,
    whole: bool,
}

#[derive(Deserialize)]
pub(super) struct Alert {
    fingerprint: u64,
    rule: String,
    severity: Severity,
    labels: Labels,
    annotations: Labels,
    message: String,
    value: Option<f64>,
    fired_value: Option<f64>,
    peak: Option<f64>,
    threshold: Option<f64>,
    firing: bool,
    active_at: UnixMillis,
    fired_at: Option<UnixMillis>,
    resolved_at: Option<UnixMillis>,
}

impl Line {
    /// Converts to a line of the current version.
    pub(super) fn into_line(self) -> super::Line {
        match self {
            Self::Episode {
                id,
                notified,
                open,
                alert,
                group,
            } => super::Line::Episode {
                id,
                notified: notified.map(|(first, last)| NotifiedTimes { first, last }),
                open,
                alert: Box::new(alert.into_alert()),
                group: group.into_group(),
            },
            Self::Push {
                seq,
                episode,
                notification,
            } => super::Line::Push {
                seq,
                episode,
                notification: Box::new(notification.into_notification()),
            },
            Self::Done { seq, at } => super::Line::Delivered { seq, at },
            Self::Letter {
                seq,
                at,
                reason,
                error,
                notification,
                end,
            } => super::Line::DeadLetter(Box::new(StoredDeadLetter {
                seq,
                at,
                reason,
                error,
                notification: notification.into_notification(),
                end: end.map(|end| end.into_notification()),
            })),
        }
    }
}

impl Notification {
    fn into_notification(self) -> bellwether_core::Notification {
        bellwether_core::Notification {
            id: self.id,
            status: match self.resolved {
                true => Status::Resolved,
                false => Status::Firing,
            },
            cause: self.cause.unwrap_or(Cause::Change),
            group: Arc::new(self.group.into_group()),
            alert: Arc::new(self.alert.into_alert()),
            reason: self.reason,
            at: self.at,
        }
    }
}

impl Group {
    fn into_group(self) -> bellwether_core::Group {
        bellwether_core::Group {
            key: self.key,
            receiver: self.receiver,
            labels: self.labels,
            include_firing: self.whole,
        }
    }
}

impl Alert {
    fn into_alert(self) -> bellwether_core::Alert {
        bellwether_core::Alert {
            fingerprint: Fingerprint(self.fingerprint),
            rule: self.rule.into(),
            severity: self.severity,
            labels: self.labels,
            annotations: self.annotations,
            message: self.message,
            value: self.value,
            fired_value: self.fired_value,
            peak: self.peak,
            threshold: self.threshold,
            state: match self.firing {
                true => AlertState::Firing,
                false => AlertState::Inactive,
            },
            active_at: self.active_at,
            fired_at: self.fired_at,
            resolved_at: self.resolved_at,
        }
    }
}
