//! Token of the requests that change state, and the file that holds it.

use std::path::{Path, PathBuf};
use std::{fmt, io};

use bellwether_files as files;

use crate::auth::secret::equal;

/// Token that is never printed.
pub(super) struct Token(String);

impl fmt::Debug for Token {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("<secret>")
    }
}

impl Token {
    pub(super) fn read(path: &Path) -> Result<Self, TokenError> {
        read_token(path).map(Self)
    }

    pub(super) fn matches(&self, sent: &str) -> bool {
        equal(self.0.as_bytes(), sent.as_bytes())
    }
}

/// Error of a token file.
#[derive(Debug)]
pub struct TokenError {
    pub path: PathBuf,
    pub reason: TokenErrorReason,
}

/// Reason why a token file is of no use.
#[derive(Debug)]
pub enum TokenErrorReason {
    Unreadable(io::Error),
    Empty,
    /// It has more than one line of printable ASCII.
    NotAscii,
}

impl fmt::Display for TokenError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match &self.reason {
            TokenErrorReason::Unreadable(error) => write!(out, "cannot read {path}: {error}"),
            TokenErrorReason::Empty => write!(out, "{path} contains no token"),
            TokenErrorReason::NotAscii => {
                write!(out, "{path} contains more than one line of printable ASCII")
            }
        }
    }
}

impl std::error::Error for TokenError {}

/// Reads the token in the file at `path`. Blocks on the file system.
///
/// # Errors
/// The file cannot be read, or contains no usable token.
pub fn read_token(path: &Path) -> Result<String, TokenError> {
    let error = |reason| TokenError {
        path: path.to_owned(),
        reason,
    };
    let text = files::read_text(path, files::SMALL)
        .map_err(|reason| error(TokenErrorReason::Unreadable(reason)))?;
    let token = text.trim();
    if token.is_empty() {
        return Err(error(TokenErrorReason::Empty));
    }
    // A header can have nothing else, so such a token could never be sent.
    if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(error(TokenErrorReason::NotAscii));
    }
    Ok(token.to_owned())
}
