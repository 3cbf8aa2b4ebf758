//! Silences: which alerts are not told for a time, and who said so.
//!
//! Owns those made by people, with the rules of Alertmanager (an edit that would change the past
//! ends the old one and makes a new one), and those of the declaration and of files. Pure:
//! identities come from a number that the caller draws.

mod maintenance;
mod recurs;
#[cfg(test)]
mod tests;
mod written;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bellwether_core::UnixMillis;
use bellwether_schema::Diagnostics;
use globset::GlobSet;
pub use maintenance::MaintenanceSettings;
pub use recurs::Recurs;
pub(super) use written::from_json;
pub use written::{SilenceSpec, read_silences};

use super::matchers::Matchers;
use super::time_interval::{TimeInterval, TimeIntervals};
use super::view::View;

/// The end of what has none: the last moment that can be written.
pub const NO_END: UnixMillis = UnixMillis(253_402_207_200_999);

/// How long one is kept after its end, to be looked at.
const RETENTION: Duration = Duration::from_secs(5 * 24 * 3600);
/// How many there may be, those that ended among them.
const MAX_SILENCES: usize = 1000;
/// How many matchers one may have.
const MAX_MATCHERS: usize = 64;
/// How many recurring times it may have.
const MAX_TIMES: usize = 64;
/// How long its matchers, its author and its comment may be, each, in bytes.
const MAX_TEXT: usize = 4096;

/// Where a silence stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SilenceState {
    /// It did not begin yet.
    Pending,
    /// It is in force; of one with recurring times, within its first and last moment.
    Active,
    /// It is over.
    Expired,
}

impl SilenceState {
    /// The word that Alertmanager has for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Active => "active",
            Self::Expired => "expired",
        }
    }
}

/// Alerts that are not told for a time.
#[derive(Clone, Debug)]
pub struct Silence {
    /// Its identity; `maintenance/NAME` for one of the declaration, `file-HASH` for one of a file.
    pub id: String,
    /// Which alerts; all must accept.
    pub matchers: Matchers,
    /// Globs of the rules whose alerts are meant; `None`: all rules.
    pub(super) rules: Option<GlobSet>,
    /// Its first moment.
    pub starts_at: UnixMillis,
    /// The moment it is over, or [`NO_END`].
    pub ends_at: UnixMillis,
    /// Who made it.
    pub created_by: String,
    /// What for.
    pub comment: String,
    /// When it was changed last.
    pub updated_at: UnixMillis,
    /// When it comes again, within its first and last moment.
    pub recurs: Recurs,
    /// The times of that.
    pub(super) times: Vec<TimeInterval>,
    /// Where it stands and is changed; `None`: people made it.
    pub source: Option<Arc<str>>,
}

impl Silence {
    /// Where it stands.
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

    /// Whether it is in force at this very moment: active, and within its recurring times.
    #[must_use]
    pub fn holds(&self, now: UnixMillis) -> bool {
        self.state(now) == SilenceState::Active
            && (self.recurs.is_always() || self.times.iter().any(|time| time.contains(now)))
    }

    /// Whether the alert is one of those meant.
    #[must_use]
    pub fn means(&self, alert: &View<'_>) -> bool {
        self.rules
            .as_ref()
            .is_none_or(|rules| rules.is_match(&*alert.alert.rule))
            && self.matchers.matches(alert)
    }

    /// The next moment at which it may begin or cease to be in force.
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

/// What somebody wants silenced.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SilenceDraft {
    /// The silence that is changed; `None`: a new one.
    pub id: Option<String>,
    /// Which alerts.
    pub matchers: Matchers,
    /// Its first moment; `None`: now, or when the one that is changed began.
    pub starts_at: Option<UnixMillis>,
    /// The moment it is over, or [`NO_END`].
    pub ends_at: UnixMillis,
    /// When it comes again, within its first and last moment.
    pub recurs: Recurs,
    /// Who wants it.
    pub created_by: String,
    /// What for.
    pub comment: String,
}

/// Why a silence is not made, changed or ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SilenceError {
    /// There is none of this identity.
    Unknown(String),
    /// It stands in the declaration or a file, here, and is changed there.
    Declared(String, Arc<str>),
    /// There are too many.
    Full,
    /// What is wrong with it.
    Invalid(String),
}

impl fmt::Display for SilenceError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(id) => write!(out, "there is no silence {id:?}"),
            Self::Declared(id, source) => {
                write!(
                    out,
                    "{id:?} stands in {source}; change it there, and reload"
                )
            }
            Self::Full => write!(out, "there are {MAX_SILENCES} silences, which is the limit"),
            Self::Invalid(reason) => out.write_str(reason),
        }
    }
}

impl std::error::Error for SilenceError {}

/// All silences.
#[derive(Clone, Debug, Default)]
pub struct Silences {
    /// Made by people, by identity.
    made: BTreeMap<String, Silence>,
    /// Of the declaration and of files.
    declared: Vec<Silence>,
    /// Those that may be named.
    intervals: TimeIntervals,
}

impl Silences {
    /// Those that people made, of an earlier run.
    #[must_use]
    pub fn restored(made: Vec<Silence>) -> Self {
        let made = made
            .into_iter()
            .map(|silence| (silence.id.clone(), silence))
            .collect();
        Self {
            made,
            ..Self::default()
        }
    }

    /// Replaces those of the declaration and of files, and the time intervals that may be named.
    pub fn declare(&mut self, all: &[Silence], intervals: &TimeIntervals) {
        self.declared = all.to_vec();
        self.intervals = intervals.clone();
        for silence in self.made.values_mut() {
            // What was sound when it was made; a name that is gone holds at no time.
            silence.times = silence
                .recurs
                .compile(intervals, &mut Diagnostics::default());
        }
    }

    /// Identities of those made by people that name a time interval that is not declared any more,
    /// with its name.
    pub fn dangling(&self) -> impl Iterator<Item = (&str, &str)> {
        self.made().flat_map(|silence| {
            let unknown = silence.recurs.unknown(&self.intervals);
            unknown.map(|name| (silence.id.as_str(), name.as_str()))
        })
    }

    /// Makes a silence, or changes the one that the draft names, and tells its identity. It is a
    /// new one, made of `random`, where there was none or where the change would rewrite what
    /// already was: then the old one ends now.
    ///
    /// # Errors
    /// Why it is not taken; nothing changed then.
    pub fn set(
        &mut self,
        draft: SilenceDraft,
        random: u128,
        now: UnixMillis,
    ) -> Result<String, SilenceError> {
        let before = match &draft.id {
            None => None,
            Some(id) => Some(self.changeable(id)?.clone()),
        };
        let running = before
            .as_ref()
            .filter(|one| one.state(now) == SilenceState::Active);
        let starts_at = draft
            .starts_at
            .or(running.map(|one| one.starts_at))
            .unwrap_or(now);
        check(&draft, starts_at, now)?;
        let mut problems = Diagnostics::default();
        let times = draft.recurs.compile(&self.intervals, &mut problems);
        let times = written::sound(times, problems).map_err(SilenceError::Invalid)?;
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
            .filter(|before| keeps_the_past(before, &silence, now))
        {
            silence.id.clone_from(&before.id);
        } else {
            self.forget_ended(now);
            if self.made.len() >= MAX_SILENCES {
                return Err(SilenceError::Full);
            }
            silence.starts_at = starts_at.max(now);
            if let Some(before) = before {
                self.expire(&before.id, now).ok();
            }
        }
        let id = silence.id.clone();
        self.made.insert(id.clone(), silence);
        Ok(id)
    }

    /// Ends a silence now; one that ended stays as it is.
    ///
    /// # Errors
    /// If there is none, or it stands in the declaration.
    pub fn expire(&mut self, id: &str, now: UnixMillis) -> Result<(), SilenceError> {
        let silence = self.changeable(id)?;
        if silence.state(now) != SilenceState::Expired {
            silence.starts_at = silence.starts_at.min(now);
            silence.ends_at = now;
            silence.updated_at = now;
        }
        Ok(())
    }

    fn changeable(&mut self, id: &str) -> Result<&mut Silence, SilenceError> {
        let mut declared = self.declared.iter().filter(|silence| silence.id == id);
        if let Some(source) = declared.find_map(|silence| silence.source.clone()) {
            return Err(SilenceError::Declared(id.to_owned(), source));
        }
        self.made
            .get_mut(id)
            .ok_or_else(|| SilenceError::Unknown(id.to_owned()))
    }

    /// The silence of this identity.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Silence> {
        self.made
            .get(id)
            .or_else(|| self.declared.iter().find(|silence| silence.id == id))
    }

    /// All: those of the declaration and of files in their order, then those made by people.
    pub fn iter(&self) -> impl Iterator<Item = &Silence> {
        self.declared.iter().chain(self.made())
    }

    /// Those made by people.
    pub fn made(&self) -> impl Iterator<Item = &Silence> {
        self.made.values()
    }

    /// The first that keeps the alert from being told now.
    #[must_use]
    pub fn silencing(&self, alert: &View<'_>, now: UnixMillis) -> Option<&Silence> {
        self.holding(now).find(|silence| silence.means(alert))
    }

    /// Those in force now, in the order of [`Silences::iter`].
    pub fn holding(&self, now: UnixMillis) -> impl Iterator<Item = &Silence> {
        self.iter().filter(move |silence| silence.holds(now))
    }

    /// The next moment after `now` at which one may begin or cease to be in force.
    #[must_use]
    pub fn next_change(&self, now: UnixMillis) -> Option<UnixMillis> {
        self.iter()
            .filter_map(|silence| silence.next_change(now))
            .min()
    }

    /// Forgets those of people that ended five days ago; whether there were any.
    pub fn forget_ended(&mut self, now: UnixMillis) -> bool {
        let count = self.made.len();
        self.made
            .retain(|_, silence| silence.ends_at > now.before(RETENTION));
        self.made.len() < count
    }
}

/// Whether `after` in the place of `before` leaves as it was what already was silenced.
fn keeps_the_past(before: &Silence, after: &Silence, now: UnixMillis) -> bool {
    before.matchers == after.matchers
        && before.recurs == after.recurs
        && match before.state(now) {
            // People send back the seconds that they were shown.
            SilenceState::Active => before.starts_at.0 / 1000 == after.starts_at.0 / 1000,
            SilenceState::Pending => after.starts_at >= now,
            SilenceState::Expired => false,
        }
}

fn check(draft: &SilenceDraft, starts_at: UnixMillis, now: UnixMillis) -> Result<(), SilenceError> {
    let invalid = |reason: String| Err(SilenceError::Invalid(reason));
    let matchers = &draft.matchers;
    if matchers.is_empty() || matchers.accept_nothing() {
        return invalid("at least one matcher must ask for a label that is there".to_owned());
    }
    if matchers.len() > MAX_MATCHERS {
        return invalid(format!("more than {MAX_MATCHERS} matchers"));
    }
    if draft.recurs.len() > MAX_TIMES {
        return invalid(format!("more than {MAX_TIMES} times and intervals"));
    }
    if draft.ends_at <= starts_at {
        return invalid("it must end after it starts".to_owned());
    }
    if draft.ends_at <= now {
        return invalid("it must not end in the past".to_owned());
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

/// A random UUID (RFC 9562, version 4) of the bits of `random`.
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
