//! Records as callers hand them over.

use std::sync::Arc;
use std::time::Duration;

use bellwether_core::{Alert, AlertState, Cause, Notification, Status, Transition, UnixMillis};

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
