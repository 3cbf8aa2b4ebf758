//! Commands of users: silences and acknowledgements.

use std::fmt;

use bellwether_core::{Fingerprint, Now, UnixMillis};

use super::dispatcher::Dispatcher;
use crate::mute::acknowledge::{Acknowledgement, Acknowledgements};
use crate::mute::silence::{NO_END, SilenceDraft, SilenceError, Silences};
use crate::state::State;

/// A command of a user.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Creates or changes a silence.
    Silence(SilenceDraft),
    /// Expires the silence with this id.
    Expire(String),
    /// Acknowledges an alert.
    Acknowledge {
        /// The alert.
        alert: Fingerprint,
        /// Author.
        by: String,
        comment: String,
        /// End; `None`: until the alert resolves.
        until: Option<UnixMillis>,
    },
    /// Removes the acknowledgement of an alert.
    Release(Fingerprint),
    /// Resolves a firing alert by hand. Only checked here: the rules end it.
    Resolve {
        /// The alert.
        alert: Fingerprint,
        /// Author.
        by: String,
        comment: String,
    },
}

/// Formats the command for the audit log, whether it succeeds or not.
impl fmt::Display for Command {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silence(draft) => {
                match &draft.id {
                    Some(id) => write!(out, "change silence {id} to {}", draft.matchers)?,
                    None => write!(out, "silence {}", draft.matchers)?,
                }
                if let Some(from) = draft.starts_at {
                    write!(out, " from {}", utc(from))?;
                }
                if draft.ends_at != NO_END {
                    write!(out, " until {}", utc(draft.ends_at))?;
                }
                write_author(out, &draft.created_by, &draft.comment)
            }
            Self::Expire(id) => write!(out, "expire silence {id}"),
            Self::Acknowledge {
                alert,
                by,
                comment,
                until,
            } => {
                write!(out, "acknowledge alert {alert}")?;
                if let Some(until) = until {
                    write!(out, " until {}", utc(*until))?;
                }
                write_author(out, by, comment)
            }
            Self::Release(alert) => write!(out, "release alert {alert}"),
            Self::Resolve { alert, by, comment } => {
                write!(out, "resolve alert {alert}")?;
                write_author(out, by, comment)
            }
        }
    }
}

/// Writes ` by NAME: COMMENT`; quoted, because neither must forge a log line.
fn write_author(out: &mut fmt::Formatter<'_>, by: &str, comment: &str) -> fmt::Result {
    write!(out, " by {by:?}")?;
    if comment.is_empty() {
        Ok(())
    } else {
        write!(out, ": {comment:?}")
    }
}

fn utc(at: UnixMillis) -> String {
    jiff::Timestamp::from_millisecond(at.0).map_or_else(|_| at.0.to_string(), |at| at.to_string())
}

/// Error of a command.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum CommandError {
    /// No such silence, alert or acknowledgement.
    #[error("{0}")]
    Unknown(String),
    /// Invalid command.
    #[error("{0}")]
    Invalid(String),
}

impl From<SilenceError> for CommandError {
    fn from(error: SilenceError) -> Self {
        match &error {
            SilenceError::Unknown(_) => Self::Unknown(error.to_string()),
            _ => Self::Invalid(error.to_string()),
        }
    }
}

/// Limit of the author and the comment of a command, in bytes.
const MAX_TEXT: usize = 4096;

/// Checks the author and the comment of a command about an alert.
fn check_author(by: &str, comment: &str) -> Result<(), CommandError> {
    if by.trim().is_empty() {
        return Err(CommandError::Invalid("`by` is empty".into()));
    }
    if by.len().max(comment.len()) > MAX_TEXT {
        let message = format!("`by` or `comment` is longer than {MAX_TEXT} bytes");
        return Err(CommandError::Invalid(message));
    }
    Ok(())
}

impl Dispatcher {
    /// Executes a command and returns the id of the silence or alert. The id of a new silence is
    /// made of `random`.
    ///
    /// # Errors
    /// Unknown or invalid; nothing changed then.
    pub fn execute(
        &mut self,
        command: Command,
        random: u128,
        now: Now,
    ) -> Result<String, CommandError> {
        let id = match command {
            Command::Silence(draft) => self.silences.set(draft, random, now.wall)?,
            Command::Expire(id) => {
                self.silences.expire(&id, now.wall)?;
                id
            }
            Command::Acknowledge {
                alert,
                by,
                comment,
                until,
            } => {
                let acknowledgement = Acknowledgement {
                    by,
                    comment,
                    at: now.wall,
                    until,
                };
                self.acknowledge(alert, acknowledgement)?
            }
            Command::Release(alert) => self.release(alert)?,
            Command::Resolve { alert, by, comment } => {
                self.check_active(alert)?;
                check_author(&by, &comment)?;
                alert.to_string()
            }
        };
        self.recheck_muted(now.mono);
        Ok(id)
    }

    fn acknowledge(
        &mut self,
        alert: Fingerprint,
        acknowledgement: Acknowledgement,
    ) -> Result<String, CommandError> {
        self.check_active(alert)?;
        let Acknowledgement {
            by,
            comment,
            at,
            until,
        } = &acknowledgement;
        check_author(by, comment)?;
        if until.is_some_and(|until| until <= *at) {
            return Err(CommandError::Invalid("`until` is in the past".into()));
        }
        self.acknowledgements.set(alert, acknowledgement);
        Ok(alert.to_string())
    }

    fn release(&mut self, alert: Fingerprint) -> Result<String, CommandError> {
        let released = self.acknowledgements.remove(alert);
        released
            .map(|_| alert.to_string())
            .ok_or_else(|| CommandError::Unknown(format!("{alert} is not acknowledged")))
    }

    /// Returns the state to save.
    #[must_use]
    pub fn state(&self) -> State {
        let uninhibited = self
            .unnotified_since_inhibition()
            .map(|(alert, since)| (alert, since.wall));
        State {
            silences: self.silences.clone(),
            acknowledgements: self.acknowledgements.clone(),
            uninhibited: uninhibited.collect(),
        }
    }

    /// Restores the saved state after [`Dispatcher::restore`]. Acknowledgements are restored only of
    /// alerts that are tracked and fired before they were acknowledged.
    pub fn restore_state(&mut self, state: State, now: Now) {
        let State {
            silences,
            acknowledgements,
            uninhibited,
        } = state;
        for (alert, since) in uninhibited {
            if let Some(tracked) = self.alerts.get_mut(&alert) {
                tracked.uninhibited = Some(now.at(since.min(now.wall)));
            }
        }
        self.silences = silences;
        self.silences
            .configure(&self.routing.silences, &self.routing.intervals);
        self.acknowledgements = acknowledgements;
        let alerts = &self.alerts;
        self.acknowledgements.retain(|alert, acknowledgement| {
            alerts.get(&alert).is_some_and(|tracked| {
                let fired_at = tracked.alert.fired_at;
                fired_at.is_none_or(|at| at <= acknowledgement.at)
            })
        });
    }

    /// Returns all silences.
    #[must_use]
    pub fn silences(&self) -> &Silences {
        &self.silences
    }

    /// Returns all acknowledgements.
    #[must_use]
    pub fn acknowledgements(&self) -> &Acknowledgements {
        &self.acknowledgements
    }

    fn check_active(&self, alert: Fingerprint) -> Result<(), CommandError> {
        match self
            .alerts
            .get(&alert)
            .is_some_and(|tracked| tracked.is_active())
        {
            true => Ok(()),
            false => Err(CommandError::Unknown(format!("no firing alert {alert}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Matchers, Recurs};

    #[test]
    fn the_audit_log_has_author_command_and_end() {
        let draft = SilenceDraft {
            id: None,
            matchers: Matchers::parse("alertname=disk_full").unwrap(),
            starts_at: None,
            ends_at: UnixMillis(1_795_435_200_000),
            recurs: Recurs::default(),
            created_by: "ada\nroot".into(),
            comment: "disk is swapped".into(),
        };
        assert_eq!(
            Command::Silence(draft.clone()).to_string(),
            "silence {alertname=\"disk_full\"} until 2026-11-23T12:00:00Z by \"ada\\nroot\": \"disk is swapped\""
        );
        let changed = SilenceDraft {
            id: Some("7".into()),
            ends_at: NO_END,
            comment: String::new(),
            ..draft
        };
        assert_eq!(
            Command::Silence(changed).to_string(),
            "change silence 7 to {alertname=\"disk_full\"} by \"ada\\nroot\""
        );
        let alert = Fingerprint(0xff);
        let command = Command::Acknowledge {
            alert,
            by: "eva".into(),
            comment: String::new(),
            until: None,
        };
        assert_eq!(
            command.to_string(),
            "acknowledge alert 00000000000000ff by \"eva\""
        );
        assert_eq!(
            Command::Release(alert).to_string(),
            "release alert 00000000000000ff"
        );
        assert_eq!(Command::Expire("7".into()).to_string(), "expire silence 7");
        let (by, comment) = ("eva".into(), "disk swapped".into());
        assert_eq!(
            Command::Resolve { alert, by, comment }.to_string(),
            "resolve alert 00000000000000ff by \"eva\": \"disk swapped\""
        );
    }
}
