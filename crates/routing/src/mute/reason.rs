//! Mute reasons, and their descriptions for users.

use bellwether_core::{Fingerprint, MonoMillis, Now, UnixMillis};

use super::acknowledge::Acknowledgement;

/// Reason for which no notification about an alert is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MuteReason {
    /// The alert fired before a restart, and its data may not be there yet.
    Restored,
    /// Another alert inhibits it.
    Inhibited {
        /// The inhibition rule.
        rule: String,
        /// The inhibiting alert.
        by: Fingerprint,
    },
    /// Outside of the active time intervals of the route.
    Inactive {
        /// Names of the intervals.
        intervals: Vec<String>,
    },
    /// Within a mute time interval of the route.
    Muted {
        /// Name of the interval.
        interval: String,
    },
    /// A silence matches it.
    Silenced {
        /// Id of the silence.
        id: String,
        /// Author of the silence.
        by: String,
        /// Comment of the silence.
        comment: String,
    },
    /// It resolved less than `cooldown_period` ago.
    Cooldown {
        /// End of the cooldown.
        until: Now,
    },
    /// It was inhibited until a short time ago, and no notification was sent yet.
    Uninhibited {
        /// End of the wait.
        until: Now,
    },
    /// It is acknowledged: changes are notified, repeats and escalation are not.
    Acknowledged(Acknowledgement),
}

impl MuteReason {
    /// Returns the name in the alert history and in metrics.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Restored => "restored",
            Self::Inhibited { .. } => "inhibited",
            Self::Inactive { .. } => "inactive",
            Self::Muted { .. } => "muted",
            Self::Silenced { .. } => "silenced",
            Self::Cooldown { .. } => "cooldown",
            Self::Uninhibited { .. } => "uninhibited",
            Self::Acknowledged(_) => "acknowledged",
        }
    }

    /// Returns whether it mutes every notification; an acknowledgement does not.
    pub(crate) fn mutes_all(&self) -> bool {
        !matches!(self, Self::Acknowledged(_))
    }

    /// Returns the time at which it ends, if that is known.
    pub(crate) fn ends_at(&self) -> Option<MonoMillis> {
        match self {
            Self::Cooldown { until } | Self::Uninhibited { until } => Some(until.mono),
            _ => None,
        }
    }

    /// Returns a sentence for users; `name_of` returns the name of another alert.
    #[must_use]
    pub fn describe(&self, name_of: impl Fn(Fingerprint) -> String) -> String {
        match self {
            Self::Restored => "fired before the restart; waiting for its data".into(),
            Self::Inhibited { rule, by } => {
                format!("inhibited by {} (inhibition rule {rule})", name_of(*by))
            }
            Self::Inactive { intervals } => {
                format!(
                    "outside of the active time intervals {}",
                    intervals.join(", ")
                )
            }
            Self::Muted { interval } => format!("muted by the time interval {interval}"),
            Self::Silenced { id, by, comment } => {
                format!("silenced by {by}: {comment} (silence {id})")
            }
            Self::Cooldown { until } => {
                format!(
                    "resolved a short time ago; notified at {} if it still fires",
                    utc(until.wall)
                )
            }
            Self::Uninhibited { until } => {
                format!(
                    "no longer inhibited; notified at {} if it still fires",
                    utc(until.wall)
                )
            }
            Self::Acknowledged(acknowledgement) => format!(
                "acknowledged by {}: {}",
                acknowledgement.by, acknowledgement.comment
            ),
        }
    }
}

fn utc(at: UnixMillis) -> String {
    format!(
        "{:.0}",
        jiff::Timestamp::from_millisecond(at.0).unwrap_or_default()
    )
}
