//! Silences: alerts that are not notified for a time.
//!
//! Owns the silences of users, with the rules of Alertmanager (an edit that would change the past
//! expires the old silence and creates a new one), and those of the configuration and of files. Pure:
//! ids are made of a random number of the caller.

mod maintenance;
mod recurrence;
mod spec;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bellwether_core::UnixMillis;
use bellwether_schema::Diagnostics;
use globset::GlobSet;
pub use maintenance::MaintenanceSettings;
pub use recurrence::Recurs;
pub(crate) use spec::from_json;
pub use spec::{SilenceSpec, read_silences};

use super::time_interval::{TimeInterval, TimeIntervals};
use crate::route::matchers::Matchers;
use crate::route::view::View;

/// End of a silence without one: the last time that RFC 3339 can express.
pub const NO_END: UnixMillis = UnixMillis(253_402_207_200_999);

/// Time for which an expired silence is kept.
const RETENTION: Duration = Duration::from_secs(5 * 24 * 3600);
/// Limit of silences, expired ones included.
const MAX_SILENCES: usize = 1000;
/// Limit of matchers per silence.
const MAX_MATCHERS: usize = 64;
/// Limit of recurring times per silence.
const MAX_TIMES: usize = 64;
/// Limit of the matchers, the author and the comment, each, in bytes.
const MAX_TEXT: usize = 4096;

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

/// A silence to create or change.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SilenceDraft {
    /// Id of the silence to change; `None`: a new one.
    pub id: Option<String>,
    /// Matchers, of which all must match.
    pub matchers: Matchers,
    /// Start; `None`: now, or the start of the active silence that is changed.
    pub starts_at: Option<UnixMillis>,
    /// End, or [`NO_END`].
    pub ends_at: UnixMillis,
    /// Recurring times between start and end.
    pub recurs: Recurs,
    /// Author.
    pub created_by: String,
    /// Comment.
    pub comment: String,
}

/// Error of creating, changing or expiring a silence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SilenceError {
    /// No silence has this id.
    Unknown(String),
    /// The silence with this id is in the configuration or a file, at this location.
    Declared(String, Arc<str>),
    /// The limit of silences is reached.
    Full,
    /// Invalid, for this reason.
    Invalid(String),
}

impl fmt::Display for SilenceError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(id) => write!(out, "no silence {id:?}"),
            Self::Declared(id, source) => {
                write!(
                    out,
                    "silence {id:?} is in {source}; hint: change it there, and reload"
                )
            }
            Self::Full => write!(out, "too many silences: the limit is {MAX_SILENCES}"),
            Self::Invalid(reason) => out.write_str(reason),
        }
    }
}

impl std::error::Error for SilenceError {}

/// All silences.
#[derive(Clone, Debug, Default)]
pub struct Silences {
    /// Silences of users by id.
    by_users: BTreeMap<String, Silence>,
    /// Silences of the configuration and of files.
    declared: Vec<Silence>,
    /// Time intervals that silences refer to by name.
    intervals: TimeIntervals,
}

impl Silences {
    /// Restores silences of users from an earlier run.
    #[must_use]
    pub fn restored(silences: Vec<Silence>) -> Self {
        let by_users = silences
            .into_iter()
            .map(|silence| (silence.id.clone(), silence))
            .collect();
        Self {
            by_users,
            ..Self::default()
        }
    }

    /// Replaces the silences of the configuration and of files, and the time intervals.
    pub fn declare(&mut self, declared: &[Silence], intervals: &TimeIntervals) {
        self.declared = declared.to_vec();
        self.intervals = intervals.clone();
        for silence in self.by_users.values_mut() {
            // It was valid when it was created; an interval that is gone contains no time.
            silence.times = silence
                .recurs
                .compile(intervals, &mut Diagnostics::default());
        }
    }

    /// Returns the ids of silences that refer to a time interval that does not exist any more, each
    /// with the name of the interval.
    pub fn dangling(&self) -> impl Iterator<Item = (&str, &str)> {
        self.by_users().flat_map(|silence| {
            let unknown = silence.recurs.unknown(&self.intervals);
            unknown.map(|name| (silence.id.as_str(), name.as_str()))
        })
    }

    /// Creates a silence, or changes the one with the id of the draft, and returns its id. A change
    /// that would rewrite the past expires the old silence and creates a new one. The id of a new
    /// silence is made of `random`.
    ///
    /// # Errors
    /// Unknown, invalid or too many; nothing changed then.
    pub fn set(
        &mut self,
        draft: SilenceDraft,
        random: u128,
        now: UnixMillis,
    ) -> Result<String, SilenceError> {
        let before = match &draft.id {
            None => None,
            Some(id) => Some(self.get_mut(id)?.clone()),
        };
        let active = before
            .as_ref()
            .filter(|before| before.state(now) == SilenceState::Active);
        let starts_at = draft
            .starts_at
            .or(active.map(|active| active.starts_at))
            .unwrap_or(now);
        check(&draft, starts_at, now)?;
        let mut diagnostics = Diagnostics::default();
        let times = draft.recurs.compile(&self.intervals, &mut diagnostics);
        let times = spec::ok_unless(times, diagnostics).map_err(SilenceError::Invalid)?;
        let mut silence = Silence {
            id: uuid(random),
            matchers: draft.matchers,
            rules: None,
            starts_at,
            ends_at: draft.ends_at,
            created_by: draft.created_by,
            comment: draft.comment,
            updated_at: now,
            recurs: draft.recurs,
            times,
            source: None,
        };
        if let Some(before) = before
            .as_ref()
            .filter(|before| keeps_past(before, &silence, now))
        {
            silence.id.clone_from(&before.id);
        } else {
            self.delete_expired(now);
            if self.by_users.len() >= MAX_SILENCES {
                return Err(SilenceError::Full);
            }
            silence.starts_at = starts_at.max(now);
            if let Some(before) = before {
                self.expire(&before.id, now).ok();
            }
        }
        let id = silence.id.clone();
        self.by_users.insert(id.clone(), silence);
        Ok(id)
    }

    /// Expires a silence; an expired one stays as it is.
    ///
    /// # Errors
    /// Unknown, or a silence of the configuration or a file.
    pub fn expire(&mut self, id: &str, now: UnixMillis) -> Result<(), SilenceError> {
        let silence = self.get_mut(id)?;
        if silence.state(now) != SilenceState::Expired {
            silence.starts_at = silence.starts_at.min(now);
            silence.ends_at = now;
            silence.updated_at = now;
        }
        Ok(())
    }

    fn get_mut(&mut self, id: &str) -> Result<&mut Silence, SilenceError> {
        let mut declared = self.declared.iter().filter(|silence| silence.id == id);
        if let Some(source) = declared.find_map(|silence| silence.source.clone()) {
            return Err(SilenceError::Declared(id.to_owned(), source));
        }
        self.by_users
            .get_mut(id)
            .ok_or_else(|| SilenceError::Unknown(id.to_owned()))
    }

    /// Returns the silence with this id.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Silence> {
        self.by_users
            .get(id)
            .or_else(|| self.declared.iter().find(|silence| silence.id == id))
    }

    /// Returns all: those of the configuration and of files in their order, then those of users.
    pub fn iter(&self) -> impl Iterator<Item = &Silence> {
        self.declared.iter().chain(self.by_users())
    }

    /// Returns the silences of users.
    pub fn by_users(&self) -> impl Iterator<Item = &Silence> {
        self.by_users.values()
    }

    /// Returns the first silence in force that matches the alert.
    #[must_use]
    pub fn silencing(&self, alert: &View<'_>, now: UnixMillis) -> Option<&Silence> {
        self.in_force(now).find(|silence| silence.matches(alert))
    }

    /// Returns the silences in force, in the order of [`Silences::iter`].
    pub fn in_force(&self, now: UnixMillis) -> impl Iterator<Item = &Silence> {
        self.iter().filter(move |silence| silence.is_in_force(now))
    }

    /// Returns the next time after `now` at which a silence may begin or cease to be in force.
    #[must_use]
    pub fn next_change(&self, now: UnixMillis) -> Option<UnixMillis> {
        self.iter()
            .filter_map(|silence| silence.next_change(now))
            .min()
    }

    /// Deletes silences of users that expired five days ago; returns whether there were any.
    pub fn delete_expired(&mut self, now: UnixMillis) -> bool {
        let count = self.by_users.len();
        self.by_users
            .retain(|_, silence| silence.ends_at > now.before(RETENTION));
        self.by_users.len() < count
    }
}

/// Returns whether `after` in place of `before` silenced the same until now.
fn keeps_past(before: &Silence, after: &Silence, now: UnixMillis) -> bool {
    before.matchers == after.matchers
        && before.recurs == after.recurs
        && match before.state(now) {
            // Clients send back seconds without milliseconds, as they were shown.
            SilenceState::Active => before.starts_at.0 / 1000 == after.starts_at.0 / 1000,
            SilenceState::Pending => after.starts_at >= now,
            SilenceState::Expired => false,
        }
}

fn check(draft: &SilenceDraft, starts_at: UnixMillis, now: UnixMillis) -> Result<(), SilenceError> {
    let invalid = |reason: String| Err(SilenceError::Invalid(reason));
    let matchers = &draft.matchers;
    if matchers.is_empty() || matchers.match_empty() {
        return invalid("at least one matcher must not match the empty value".to_owned());
    }
    if matchers.len() > MAX_MATCHERS {
        return invalid(format!("more than {MAX_MATCHERS} matchers"));
    }
    if draft.recurs.len() > MAX_TIMES {
        return invalid(format!("more than {MAX_TIMES} times and intervals"));
    }
    if draft.ends_at <= starts_at {
        return invalid("the end must be after the start".to_owned());
    }
    if draft.ends_at <= now {
        return invalid("the end must not be in the past".to_owned());
    }
    let texts = [
        ("the matchers", matchers.to_string().len()),
        ("the author", draft.created_by.len()),
        ("the comment", draft.comment.len()),
    ];
    match texts.iter().find(|(_, length)| *length > MAX_TEXT) {
        Some((what, length)) => invalid(format!(
            "{what} must not exceed {MAX_TEXT} bytes, found {length}"
        )),
        None => Ok(()),
    }
}

/// Makes a random UUID (RFC 9562, version 4) of the bits of `random`.
fn uuid(random: u128) -> String {
    let bits = random & !(0xf << 76) & !(0x3 << 62) | (0x4 << 76) | (0x2 << 62);
    let hex = format!("{bits:032x}");
    [
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..],
    ]
    .join("-")
}
