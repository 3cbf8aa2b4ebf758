//! Alerts that the dispatcher tracks.

use std::sync::Arc;
use std::time::Duration;

use bellwether_core::{Alert, Cause, Group, MonoMillis, Notification, Now, Status, UnixMillis};

use super::flapping::Flapping;

/// An alert that fires or fired a short time ago.
#[derive(Clone, Debug)]
pub(crate) struct TrackedAlert {
    /// The alert after its last change.
    pub alert: Arc<Alert>,
    /// Reason of the last change.
    pub reason: String,
    /// Time of the last change.
    pub changed: UnixMillis,
    pub firing: bool,
    /// Changes that count for flapping.
    pub(crate) flaps: Flapping,
    /// True if it changes too often, and is active until that ends.
    pub flapping: bool,
    /// Of an alert from before a restart: time until which its data may be missing.
    pub(crate) restored_until: Option<MonoMillis>,
    /// Time of the last resolve.
    pub(crate) resolved: Option<Now>,
    /// End of the last inhibition.
    pub(crate) uninhibited: Option<Now>,
    /// Sequence number of the last change, which is the order of notifications.
    pub(crate) sequence: u64,
    /// Ids of its groups.
    pub(crate) groups: Vec<usize>,
}

impl TrackedAlert {
    /// Creates a firing alert whose last change is `now`. `fired_at` is not that change: the severity
    /// of an alert from before a restart may have changed since, and the notification id of that
    /// time may be another one's.
    pub(crate) fn new(alert: Arc<Alert>, now: UnixMillis) -> Self {
        Self {
            reason: alert.message.clone(),
            changed: now,
            firing: true,
            flaps: Flapping::default(),
            flapping: false,
            restored_until: None,
            resolved: None,
            uninhibited: None,
            sequence: 0,
            groups: Vec::new(),
            alert,
        }
    }

    /// Returns for how long it has fired by the wall clock, which counts towards `group_wait` over a
    /// restart or reload.
    pub(crate) fn firing_for(&self, now: UnixMillis) -> Duration {
        self.alert
            .fired_at
            .map(|at| now.since(at))
            .unwrap_or_default()
    }

    /// Returns whether notifications show it as firing: it fires or is flapping.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.firing || self.flapping
    }

    /// Creates a notification about it; `at`: now.
    pub(crate) fn notification(
        &self,
        cause: Cause,
        group: &Arc<Group>,
        at: UnixMillis,
    ) -> Notification {
        let alert = self.alert.clone();
        let status = if self.is_active() {
            Status::Firing
        } else {
            Status::Resolved
        };
        // A notification about a change has the time of the change, and so one id however often it is
        // sent.
        let at = if cause == Cause::Change {
            self.changed
        } else {
            at
        };
        Notification {
            id: alert.change_id(at),
            status,
            cause,
            group: group.clone(),
            alert,
            reason: self.reason_of(cause),
            at,
        }
    }

    /// Returns the reason of a notification, as a sentence.
    fn reason_of(&self, cause: Cause) -> String {
        let reason = &self.reason;
        match (cause, self.flapping) {
            (Cause::Repeat, _) => format!("still firing: {reason}"),
            (Cause::Escalation, _) => format!("not acknowledged: {reason}"),
            (Cause::Fallback, _) => format!("the channels of its receiver fail: {reason}"),
            (Cause::Flapping, true) => {
                format!("flapping; the next notification comes when that ends: {reason}")
            }
            (Cause::Flapping, false) => format!("no longer flapping: {reason}"),
            _ => reason.clone(),
        }
    }
}
