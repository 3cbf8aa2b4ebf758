//! Silences to create or change.

use bellwether_core::UnixMillis;

use super::{Recurs, SilenceError};
use crate::route::matchers::Matchers;

/// Limit of matchers per silence.
const MAX_MATCHERS: usize = 64;
/// Limit of recurring times per silence.
const MAX_TIMES: usize = 64;
/// Limit of the matchers, the author and the comment, each, in bytes.
pub(super) const MAX_TEXT: usize = 4096;
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

impl SilenceDraft {
    /// Checks a silence that starts at `starts_at`.
    pub(super) fn check(&self, starts_at: UnixMillis, now: UnixMillis) -> Result<(), SilenceError> {
        let invalid = |reason: String| Err(SilenceError::Invalid(reason));
        let matchers = &self.matchers;
        if matchers.is_empty() || matchers.match_empty() {
            return invalid("at least one matcher must not match the empty value".to_owned());
        }
        if matchers.len() > MAX_MATCHERS {
            return invalid(format!("more than {MAX_MATCHERS} matchers"));
        }
        if self.recurs.len() > MAX_TIMES {
            return invalid(format!("more than {MAX_TIMES} times and intervals"));
        }
        if self.ends_at <= starts_at {
            return invalid("the end must be after the start".to_owned());
        }
        if self.ends_at <= now {
            return invalid("the end must not be in the past".to_owned());
        }
        let texts = [
            ("the matchers", matchers.to_string().len()),
            ("the author", self.created_by.len()),
            ("the comment", self.comment.len()),
        ];
        match texts.iter().find(|(_, length)| *length > MAX_TEXT) {
            Some((what, length)) => invalid(format!(
                "{what} must not exceed {MAX_TEXT} bytes, found {length}"
            )),
            None => Ok(()),
        }
    }
}
