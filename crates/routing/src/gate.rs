//! What keeps an alert from being told, in words.

use bellwether_core::{Fingerprint, MonoMillis, Now, UnixMillis};

use super::acknowledge::Acknowledgement;

/// Why an alert is not told now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MuteReason {
    /// It fired before a restart, and its data may not be there yet.
    Restored,
    /// Another alert stands for it.
    Inhibited {
        /// The inhibition rule.
        rule: String,
        /// The other alert.
        by: Fingerprint,
    },
    /// Outside of the route's active time intervals.
    Inactive {
        /// Their names.
        intervals: Vec<String>,
    },
    /// Within one of the route's mute time intervals.
    Muted {
        /// Its name.
        interval: String,
    },
    /// Silenced.
    Silenced {
        /// The silence.
        id: String,
        /// Who made it.
        by: String,
        /// What for.
        comment: String,
    },
    /// It resolved only a short time ago.
    Cooling {
        /// When it may be told again.
        until: Now,
    },
    /// It was inhibited until a short time ago, and nobody was told of it yet.
    Uninhibited {
        /// When it may be told.
        until: Now,
    },
    /// Somebody takes care of it: it is neither repeated nor escalated.
    Acknowledged(Acknowledgement),
}

impl MuteReason {
    /// One word, for the history and for counting.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Restored => "restored",
            Self::Inhibited { .. } => "inhibited",
            Self::Inactive { .. } => "inactive",
            Self::Muted { .. } => "muted",
            Self::Silenced { .. } => "silenced",
            Self::Cooling { .. } => "cooldown",
            Self::Uninhibited { .. } => "uninhibited",
            Self::Acknowledged(_) => "acknowledged",
        }
    }

    /// Whether it keeps an alert from being told at all.
    pub(super) fn holds_back(&self) -> bool {
        !matches!(self, Self::Acknowledged(_))
    }

    /// When it ends, if that is known.
    pub(super) fn ends(&self) -> Option<MonoMillis> {
        match self {
            Self::Cooling { until } | Self::Uninhibited { until } => Some(until.mono),
            _ => None,
        }
    }

    /// One sentence; `named` tells what another alert is called.
    #[must_use]
    pub fn reason(&self, named: impl Fn(Fingerprint) -> String) -> String {
        match self {
            Self::Restored => "it fired before the restart; its data is waited for".into(),
            Self::Inhibited { rule, by } => {
                format!("inhibited by {} (inhibition rule {rule})", named(*by))
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
            Self::Cooling { until } => {
                format!(
                    "it resolved a short time ago; it may be told again at {}",
                    utc(until.wall)
                )
            }
            Self::Uninhibited { until } => {
                format!(
                    "no longer inhibited; notified at {} if it still fires",
                    utc(until.wall)
                )
            }
            Self::Acknowledged(one) => format!("acknowledged by {}: {}", one.by, one.comment),
        }
    }
}

fn utc(at: UnixMillis) -> String {
    format!(
        "{:.0}",
        jiff::Timestamp::from_millisecond(at.0).unwrap_or_default()
    )
}
