//! All silences: those of users, of the configuration and of files.

use std::collections::BTreeMap;
use std::time::Duration;

use bellwether_core::UnixMillis;
use bellwether_schema::{Diagnostics, ok_unless};

use super::draft::SilenceDraft;
use super::{MAX_SILENCES, Silence, SilenceError, SilenceState};
use crate::mute::time_interval::TimeIntervals;
use crate::route::view::View;

/// Time for which an expired silence is kept.
const RETENTION: Duration = Duration::from_secs(5 * 24 * 3600);

/// All silences.
#[derive(Clone, Debug, Default)]
pub struct Silences {
    /// Silences of users by id.
    by_users: BTreeMap<String, Silence>,
    /// Silences of the configuration and of files.
    configured: Vec<Silence>,
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
    pub fn configure(&mut self, configured: &[Silence], intervals: &TimeIntervals) {
        self.configured = configured.to_vec();
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
        let silence = self.compile(draft, before.as_ref(), now)?;
        match before {
            Some(before) if keeps_past(&before, &silence, now) => {
                self.by_users.insert(
                    before.id.clone(),
                    Silence {
                        id: before.id.clone(),
                        ..silence
                    },
                );
                Ok(before.id)
            }
            before => self.add(silence, before, random, now),
        }
    }

    /// Compiles a draft in place of `before` to a silence without an id.
    fn compile(
        &self,
        draft: SilenceDraft,
        before: Option<&Silence>,
        now: UnixMillis,
    ) -> Result<Silence, SilenceError> {
        let active = before.filter(|before| before.state(now) == SilenceState::Active);
        let starts_at = draft
            .starts_at
            .or(active.map(|active| active.starts_at))
            .unwrap_or(now);
        draft.check(starts_at, now)?;
        let mut diagnostics = Diagnostics::default();
        let times = draft.recurs.compile(&self.intervals, &mut diagnostics);
        Ok(Silence {
            id: String::new(),
            matchers: draft.matchers,
            rules: None,
            starts_at,
            ends_at: draft.ends_at,
            created_by: draft.created_by,
            comment: draft.comment,
            updated_at: now,
            recurs: draft.recurs,
            times: ok_unless(times, diagnostics).map_err(SilenceError::Invalid)?,
            source: None,
        })
    }

    /// Adds a silence that begins `now` at the earliest, and expires the one `before` it.
    fn add(
        &mut self,
        silence: Silence,
        before: Option<Silence>,
        random: u128,
        now: UnixMillis,
    ) -> Result<String, SilenceError> {
        self.delete_expired(now);
        if self.by_users.len() >= MAX_SILENCES {
            return Err(SilenceError::Full);
        }
        if let Some(before) = before {
            self.expire(&before.id, now).ok();
        }
        let id = uuid(random);
        let silence = Silence {
            id: id.clone(),
            starts_at: silence.starts_at.max(now),
            ..silence
        };
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
        let mut configured = self.configured.iter().filter(|silence| silence.id == id);
        if let Some(source) = configured.find_map(|silence| silence.source.clone()) {
            return Err(SilenceError::Configured(id.to_owned(), source));
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
            .or_else(|| self.configured.iter().find(|silence| silence.id == id))
    }

    /// Returns all: those of the configuration and of files in their order, then those of users.
    pub fn iter(&self) -> impl Iterator<Item = &Silence> {
        self.configured.iter().chain(self.by_users())
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

/// Makes a random UUID (RFC 9562, version 4) of the bits of `random`.
pub(super) fn uuid(random: u128) -> String {
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
