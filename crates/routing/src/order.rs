//! What people say of alerts: silences and acknowledgements.

use std::fmt;

use bellwether_core::{Fingerprint, Now, UnixMillis};

use super::acknowledge::{Acknowledgement, Acknowledgements};
use super::dispatcher::Dispatcher;
use super::silence::{NO_END, SilenceDraft, SilenceError, Silences};
use super::state_file::State;

/// One thing that somebody wants done.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Alerts are silenced, or a silence is changed.
    Silence(SilenceDraft),
    /// A silence ends now.
    Expire(String),
    /// Somebody takes care of an alert.
    Acknowledge {
        /// The alert.
        alert: Fingerprint,
        /// Who.
        by: String,
        /// What they say.
        comment: String,
        /// Until when; `None`: until it resolves.
        until: Option<UnixMillis>,
    },
    /// Nobody does any more.
    Release(Fingerprint),
}

/// The line of the audit log.
impl fmt::Display for Command {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silence(draft) => {
                match &draft.id {
                    Some(id) => write!(out, "silence {id} changed to {}", draft.matchers)?,
                    None => write!(out, "silence {}", draft.matchers)?,
                }
                if let Some(from) = draft.starts_at {
                    write!(out, " from {}", utc(from))?;
                }
                if draft.ends_at != NO_END {
                    write!(out, " until {}", utc(draft.ends_at))?;
                }
                said_by(out, &draft.created_by, &draft.comment)
            }
            Self::Expire(id) => write!(out, "silence {id} expired"),
            Self::Acknowledge {
                alert,
                by,
                comment,
                until,
            } => {
                write!(out, "alert {alert} acknowledged")?;
                if let Some(until) = until {
                    write!(out, " until {}", utc(*until))?;
                }
                said_by(out, by, comment)
            }
            Self::Release(alert) => write!(out, "acknowledgement of alert {alert} removed"),
        }
    }
}

/// ` by NAME: COMMENT`; quoted, because a log line must not be forged by either.
fn said_by(out: &mut fmt::Formatter<'_>, by: &str, comment: &str) -> fmt::Result {
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

/// Why an order is not carried out.
#[derive(Clone, Debug, PartialEq)]
pub enum CommandError {
    /// What it is about is not there.
    Unknown(String),
    /// It makes no sense.
    Invalid(String),
}

impl fmt::Display for CommandError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Unknown(text) | Self::Invalid(text)) = self;
        out.write_str(text)
    }
}

impl From<SilenceError> for CommandError {
    fn from(error: SilenceError) -> Self {
        match &error {
            SilenceError::Unknown(_) => Self::Unknown(error.to_string()),
            _ => Self::Invalid(error.to_string()),
        }
    }
}

/// Longest name and comment of an acknowledgement, in bytes.
const LONGEST: usize = 4096;

impl Dispatcher {
    /// Carries out an order; the identity of the silence or the alert. `random` makes the identity
    /// of a new silence.
    ///
    /// # Errors
    /// Why not; nothing changed then.
    pub fn order(
        &mut self,
        order: Command,
        random: u128,
        now: Now,
    ) -> Result<String, CommandError> {
        let done = match order {
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
                self.standing(alert)?;
                if by.trim().is_empty() {
                    return Err(CommandError::Invalid("`by` says nobody".into()));
                }
                if by.len().max(comment.len()) > LONGEST {
                    return Err(CommandError::Invalid(format!(
                        "longer than {LONGEST} bytes"
                    )));
                }
                if until.is_some_and(|until| until <= now.wall) {
                    return Err(CommandError::Invalid("`until` is over".into()));
                }
                let one = Acknowledgement {
                    by,
                    comment,
                    at: now.wall,
                    until,
                };
                self.acknowledgements.set(alert, one);
                alert.to_string()
            }
            Command::Release(alert) => match self.acknowledgements.remove(alert) {
                Some(_) => alert.to_string(),
                None => {
                    return Err(CommandError::Unknown(format!(
                        "{alert} is not acknowledged"
                    )));
                }
            },
        };
        self.look_again(now.mono);
        Ok(done)
    }

    /// What a restart goes on from.
    #[must_use]
    pub fn state(&self) -> State {
        let uninhibited = self
            .waiting_uninhibited()
            .map(|(alert, since)| (alert, since.wall));
        State {
            silences: self.silences.clone(),
            acknowledgements: self.acknowledgements.clone(),
            uninhibited: uninhibited.collect(),
        }
    }

    /// Goes on from the state before a restart; with acknowledgements only of alerts that still
    /// fire as far as is known, and did when somebody took care of them.
    pub fn recall(&mut self, state: State, now: Now) {
        let State {
            silences,
            acknowledgements,
            uninhibited,
        } = state;
        for (alert, since) in uninhibited {
            if let Some(known) = self.alerts.get_mut(&alert) {
                known.uninhibited = Some(now.at(since.min(now.wall)));
            }
        }
        self.silences = silences;
        self.silences
            .declare(&self.routing.silences, &self.routing.intervals);
        self.acknowledgements = acknowledgements;
        let standing = &self.alerts;
        self.acknowledgements.retain(|alert, one| {
            let known = standing.get(&alert);
            known.is_some_and(|known| known.alert.fired_at.is_none_or(|at| at <= one.at))
        });
    }

    /// The silences, made by people, declared or of files.
    #[must_use]
    pub fn silences(&self) -> &Silences {
        &self.silences
    }

    /// Who takes care of what.
    #[must_use]
    pub fn acknowledgements(&self) -> &Acknowledgements {
        &self.acknowledgements
    }

    fn standing(&self, alert: Fingerprint) -> Result<(), CommandError> {
        match self
            .alerts
            .get(&alert)
            .is_some_and(|tracked| tracked.stands())
        {
            true => Ok(()),
            false => Err(CommandError::Unknown(format!("no alert {alert} fires"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Matchers, Recurs};

    #[test]
    fn the_audit_log_names_who_what_and_until_when() {
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
            "silence 7 changed to {alertname=\"disk_full\"} by \"ada\\nroot\""
        );
        let alert = Fingerprint(0xff);
        let order = Command::Acknowledge {
            alert,
            by: "eva".into(),
            comment: String::new(),
            until: None,
        };
        assert_eq!(
            order.to_string(),
            "alert 00000000000000ff acknowledged by \"eva\""
        );
        assert_eq!(
            Command::Release(alert).to_string(),
            "acknowledgement of alert 00000000000000ff removed"
        );
        assert_eq!(Command::Expire("7".into()).to_string(), "silence 7 expired");
    }
}
