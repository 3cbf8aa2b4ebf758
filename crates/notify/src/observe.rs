//! What becomes of notifications, told to whoever keeps account of it.

use std::sync::Arc;
use std::time::Duration;

use bellwether_core::{Notification, UnixMillis};

/// Told of every step of every notification. Called where deliveries wait for it, so it must not
/// block.
pub type Observer = Arc<dyn Fn(&Event<'_>) + Send + Sync>;

/// One step of one notification on one channel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Event<'a> {
    /// The channel's name.
    pub channel: &'a str,
    /// What is told.
    pub notification: &'a Notification,
    /// What became of it.
    pub outcome: Outcome<'a>,
    /// When.
    pub at: UnixMillis,
}

/// What became of a notification.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Outcome<'a> {
    /// It waits for delivery.
    Queued,
    /// The receiver took it.
    Delivered {
        /// Which attempt of the channel in a row that was; 1 is the first.
        attempt: u32,
    },
    /// An attempt failed, and it is tried again.
    Failed {
        /// Which attempt of the channel in a row that was; 1 is the first.
        attempt: u32,
        /// What happened; holds no secret.
        error: &'a str,
        /// When it is tried again.
        retry_in: Duration,
    },
    /// The receiver refused it, and it is given up.
    Refused {
        /// What it said; holds no secret.
        error: &'a str,
    },
    /// It is given up.
    Dropped {
        /// `overflow`, `expired`, `held_back`, or `refused` where what it follows was refused; a
        /// dead letter: `discarded`.
        reason: &'static str,
    },
}
