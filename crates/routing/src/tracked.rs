//! One alert as the routing knows it.

use std::sync::Arc;
use std::time::Duration;

use bellwether_core::{Alert, Cause, Group, MonoMillis, Notification, Now, Status, UnixMillis};

use super::flapping::Flapping;

/// An alert that fires, or that did a short time ago.
#[derive(Clone, Debug)]
pub struct Tracked {
    /// The alert after its last change.
    pub alert: Arc<Alert>,
    /// Why it changed last.
    pub reason: String,
    /// When it changed last.
    pub changed: UnixMillis,
    /// Whether it fires.
    pub fires: bool,
    /// Its changes, as far as they count for flapping.
    pub(super) flaps: Flapping,
    /// Whether it changes too often; it stands as long as it does.
    pub flapping: bool,
    /// It fired before a restart, and until then its data may not be there.
    pub(super) restored_until: Option<MonoMillis>,
    /// When it resolved last.
    pub(super) resolved: Option<Now>,
    /// When another alert stood for it last.
    pub(super) uninhibited: Option<Now>,
    /// Grows with each change, so that what is told is told in the order of the changes.
    pub(super) order: u64,
    /// The groups it is in.
    pub(super) groups: Vec<usize>,
}

impl Tracked {
    /// One that is met `now`. When it fired does not matter: of one from before a restart the level
    /// may have changed since, and the id of that moment may stand for another one.
    pub(super) fn new(alert: Arc<Alert>, now: UnixMillis) -> Self {
        Self {
            reason: alert.message.clone(),
            changed: now,
            fires: true,
            flaps: Flapping::default(),
            flapping: false,
            restored_until: None,
            resolved: None,
            uninhibited: None,
            order: 0,
            groups: Vec::new(),
            alert,
        }
    }

    /// How long it has fired, as far as the wall clock can tell: over a restart or reload it waited
    /// with its group for so long already.
    pub(super) fn waited(&self, now: UnixMillis) -> Duration {
        self.alert
            .fired_at
            .map(|at| now.since(at))
            .unwrap_or_default()
    }

    /// Whether people have to see it as firing.
    #[must_use]
    pub fn stands(&self) -> bool {
        self.fires || self.flapping
    }

    /// What is told of it, `at` now.
    pub(super) fn notification(
        &self,
        cause: Cause,
        group: &Arc<Group>,
        at: UnixMillis,
    ) -> Notification {
        let alert = self.alert.clone();
        let status = if self.stands() {
            Status::Firing
        } else {
            Status::Resolved
        };
        // What tells of a change has its time, and so the same id however often it is told.
        let at = if cause == Cause::Change {
            self.changed
        } else {
            at
        };
        let reason = match (cause, self.flapping) {
            (Cause::Repeat, _) => format!("still: {}", self.reason),
            (Cause::Escalation, _) => format!("nobody acknowledged it: {}", self.reason),
            (Cause::Fallback, _) => format!("the channels for it fail: {}", self.reason),
            (Cause::Flapping, true) => {
                format!(
                    "it changes too often, and is told again when that ends: {}",
                    self.reason
                )
            }
            (Cause::Flapping, false) => format!("it no longer changes often: {}", self.reason),
            _ => self.reason.clone(),
        };
        Notification {
            id: alert.change_id(at),
            status,
            cause,
            group: group.clone(),
            alert,
            reason,
            at,
        }
    }
}
