//! Silences: alerts that are not notified for a time.
//!
//! Owns the silences of users, with the rules of Alertmanager (an edit that would change the past
//! expires the old silence and creates a new one), and those of the configuration and of files. Pure:
//! ids are made of a random number of the caller.

mod draft;
mod maintenance;
mod recurrence;
mod silences;
mod spec;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use bellwether_core::UnixMillis;
pub use draft::SilenceDraft;
use globset::GlobSet;
pub use maintenance::MaintenanceSettings;
pub use recurrence::Recurs;
pub use silences::Silences;
pub use spec::{SilenceSpec, read_silences};

use super::time_interval::TimeInterval;
use crate::route::matchers::Matchers;
use crate::route::view::View;

/// End of a silence without one: the last time that RFC 3339 can express.
pub const NO_END: UnixMillis = UnixMillis(253_402_207_200_999);

/// Limit of silences, expired ones included.
const MAX_SILENCES: usize = 1000;

/// State of a silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SilenceState {
    /// Starts later.
    Pending,
    /// Between its start and end, also outside of its recurring times.
    Active,
    /// Has ended.
    Expired,
}

impl SilenceState {
    /// Returns the name in Alertmanager's API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Active => "active",
            Self::Expired => "expired",
        }
    }
}

/// A silence: alerts that are not notified for a time.
#[derive(Clone, Debug)]
pub struct Silence {
    /// Id; `maintenance/NAME` in the configuration, `file-HASH` in a file.
    pub id: String,
    /// Matchers, of which all must match.
    pub matchers: Matchers,
    /// Globs of rule names; `None`: all rules.
    pub(crate) rules: Option<GlobSet>,
    /// Start.
    pub starts_at: UnixMillis,
    /// End, or [`NO_END`].
    pub ends_at: UnixMillis,
    /// Author.
    pub created_by: String,
    /// Comment.
    pub comment: String,
    /// Time of the last change.
    pub updated_at: UnixMillis,
    /// Recurring times between start and end.
    pub recurs: Recurs,
    /// Recurring times, compiled.
    pub(crate) times: Vec<TimeInterval>,
    /// Location in the configuration or a file; `None`: a user created it.
    pub source: Option<Arc<str>>,
}

impl Silence {
    /// Returns the state at `now`.
    #[must_use]
    pub fn state(&self, now: UnixMillis) -> SilenceState {
        if now >= self.ends_at {
            SilenceState::Expired
        } else if now < self.starts_at {
            SilenceState::Pending
        } else {
            SilenceState::Active
        }
    }

    /// Returns whether it is in force: active, and within its recurring times.
    #[must_use]
    pub fn is_in_force(&self, now: UnixMillis) -> bool {
        self.state(now) == SilenceState::Active
            && (self.recurs.is_always() || self.times.iter().any(|time| time.contains(now)))
    }

    /// Returns whether the alert matches.
    #[must_use]
    pub fn matches(&self, alert: &View<'_>) -> bool {
        self.rules
            .as_ref()
            .is_none_or(|rules| rules.is_match(&*alert.alert.rule))
            && self.matchers.matches(alert)
    }

    /// Returns the next time at which it may begin or cease to be in force.
    fn next_change(&self, now: UnixMillis) -> Option<UnixMillis> {
        match self.state(now) {
            SilenceState::Expired => None,
            SilenceState::Pending => Some(self.starts_at),
            SilenceState::Active => {
                let edges = self.times.iter().filter_map(|time| time.next_edge(now));
                edges.chain([self.ends_at]).min()
            }
        }
    }
}

/// Error of creating, changing or expiring a silence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SilenceError {
    /// No silence has this id.
    #[error("no silence {0:?}")]
    Unknown(String),
    /// The silence with this id is in the configuration or a file, at this location.
    #[error("silence {0:?} is in {1}; hint: change it there, and reload")]
    Configured(String, Arc<str>),
    /// The limit of silences is reached.
    #[error("too many silences: the limit is {MAX_SILENCES}")]
    Full,
    /// Invalid, for this reason.
    #[error("{0}")]
    Invalid(String),
}
