//! The user that a program runs as.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// A user that a program cannot run as.
#[derive(Debug, Error)]
pub enum AccountError {
    /// The text is neither a name nor `UID:GID`.
    #[error("not a user: {0:?}")]
    Invalid(String),
    /// The file of all users cannot be read.
    #[error("cannot read {}: {error}", file.display())]
    Unreadable {
        /// Path of the file.
        file: PathBuf,
        /// Reason.
        error: io::Error,
    },
    /// There is no user of the name.
    #[error("no user {name:?} in {}; give UID:GID", file.display())]
    Unknown {
        /// Configured name.
        name: String,
        /// Path of the file with all users.
        file: PathBuf,
    },
    /// This process may not switch to another user.
    #[error("only root can start programs as another user ({user}:{group})")]
    Forbidden {
        /// User id.
        user: u32,
        /// Group id.
        group: u32,
    },
}

/// A configured user.
#[derive(Debug, PartialEq, Eq)]
pub enum Account<'a> {
    /// Name, as in `/etc/passwd`.
    Name(&'a str),
    /// User and group id.
    Ids(u32, u32),
}

impl<'a> Account<'a> {
    /// Reads `name` or `UID:GID`.
    ///
    /// # Errors
    /// The text is neither.
    pub fn parse(text: &'a str) -> Result<Self, AccountError> {
        let invalid = || AccountError::Invalid(text.to_owned());
        if let Some((user, group)) = text.split_once(':') {
            let ids = user.parse().ok().zip(group.parse().ok());
            return ids
                .map(|(user, group)| Self::Ids(user, group))
                .ok_or_else(invalid);
        }
        if text.is_empty()
            || !text.chars().all(|c| c.is_ascii_graphic() && c != '/')
            || text.parse::<u32>().is_ok()
        {
            return Err(invalid());
        }
        Ok(Self::Name(text))
    }

    /// Returns user and group id, or `None` for the user of this process. Reads a file.
    ///
    /// # Errors
    /// There is no such user, or this process may not switch to it.
    pub fn ids(&self, passwd: &Path) -> Result<Option<(u32, u32)>, AccountError> {
        let (user, group) = match self {
            Self::Ids(user, group) => (*user, *group),
            Self::Name(name) => {
                let file = passwd.to_owned();
                match std::fs::read_to_string(passwd) {
                    Err(error) => return Err(AccountError::Unreadable { file, error }),
                    Ok(text) => entry(&text, name).ok_or_else(|| AccountError::Unknown {
                        name: (*name).to_owned(),
                        file,
                    })?,
                }
            }
        };
        let ours = rustix::process::geteuid();
        if user == ours.as_raw() {
            return Ok(None);
        }
        if !ours.is_root() {
            return Err(AccountError::Forbidden { user, group });
        }
        Ok(Some((user, group)))
    }
}

/// User and group of a line `name:password:uid:gid:...`.
fn entry(passwd: &str, name: &str) -> Option<(u32, u32)> {
    let line = passwd
        .lines()
        .find(|line| line.split(':').next() == Some(name))?;
    let mut fields = line.split(':').skip(2);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_or_two_numbers() {
        assert_eq!(Account::parse("nobody").unwrap(), Account::Name("nobody"));
        assert_eq!(
            Account::parse("65534:65534").unwrap(),
            Account::Ids(65534, 65534)
        );
        for wrong in ["", "a b", "1000", "x:1", "1:", "../x", "-1:2"] {
            assert!(Account::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_name_is_looked_up_whole() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65533::/:/bin/false\nbad:x:a:b";
        assert_eq!(entry(passwd, "nobody"), Some((65534, 65533)));
        assert_eq!(entry(passwd, "nobod"), None);
        assert_eq!(entry(passwd, "bad"), None);
    }
}
