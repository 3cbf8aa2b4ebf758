//! Events of notifications, for the alert history.

use std::sync::Arc;
use std::time::Duration;

use bellwether_core::{Notification, UnixMillis};

/// Receiver of the events of every notification. Deliveries wait for it, so it must not block.
pub type Observer = Arc<dyn Fn(&Event<'_>) + Send + Sync>;

/// One step of one notification on one channel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Event<'a> {
    /// The channel's name.
    pub channel: &'a str,
    pub notification: &'a Notification,
    pub outcome: Outcome<'a>,
    pub at: UnixMillis,
}

/// Outcome of a step of a notification.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Outcome<'a> {
    /// It is queued.
    Queued,
    /// The service confirmed it.
    Delivered {
        /// Number of the attempt in a row of the channel, from 1.
        attempt: u32,
    },
    /// An attempt failed, and it is retried.
    Retried {
        /// Number of the attempt in a row of the channel, from 1.
        attempt: u32,
        /// Error; holds no secret.
        error: &'a str,
        /// Time until the retry.
        retry_in: Duration,
    },
    /// The service rejected it for good, and it is dropped.
    Rejected {
        /// Error; holds no secret.
        error: &'a str,
    },
    /// It is dropped.
    Dropped {
        /// `overflow`, `expired`, `rate_limited`, or `rejected` if the notification that it follows was
        /// rejected; for a dead letter `discarded`.
        reason: &'static str,
    },
}
