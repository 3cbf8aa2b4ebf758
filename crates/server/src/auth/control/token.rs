//! Tokens of programs, each with a role, and the files that hold them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fmt, io};

use bellwether_files as files;
use bellwether_schema::{Diagnostics, Secret, Spanned};

use crate::auth::role::Role;
use crate::settings::Control;

/// Token with its role. Its text is never printed.
pub(crate) struct Token {
    /// Name of the token; that of `token_file` has none.
    pub(crate) name: Option<String>,
    pub(crate) role: Role,
    text: Secret,
}

impl fmt::Debug for Token {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "<secret> {}", self.role.as_str())
    }
}

impl Token {
    /// Reads all tokens of the configuration; that of `token_file` may do everything. The errors of their files go to
    /// `problems`.
    pub(super) fn read_all(settings: &Control, problems: &mut Diagnostics) -> Vec<Arc<Self>> {
        let admin = settings.token_file.as_ref();
        let admin = admin.map(|file| (file, None, Role::Admin));
        let named = settings.tokens.iter().map(|token| {
            let name = Some(token.name.value.clone());
            (&token.file, name, token.role)
        });
        let tokens = admin.into_iter().chain(named);
        tokens
            .filter_map(|(file, name, role)| Self::read(file, name, role, problems))
            .collect()
    }

    fn read(
        file: &Spanned<PathBuf>,
        name: Option<String>,
        role: Role,
        problems: &mut Diagnostics,
    ) -> Option<Arc<Self>> {
        match read_token(file) {
            Ok(text) => {
                let text = Secret::new(text);
                Some(Arc::new(Self { name, role, text }))
            }
            Err(error) => {
                problems
                    .error(&file.at, error.to_string())
                    .hint(error.reason.hint());
                None
            }
        }
    }

    pub(super) fn matches(&self, sent: &str) -> bool {
        self.text.matches(sent)
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.name == other.name && self.role == other.role && self.matches(other.text.expose())
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

impl TokenErrorReason {
    fn hint(&self) -> &'static str {
        match self {
            Self::Unreadable(_) => UNREADABLE,
            Self::Empty | Self::NotAscii => {
                "write the token into it, one line of letters and digits: openssl rand -hex 32"
            }
        }
    }
}

/// Hint for a file of the configuration that cannot be read.
pub(crate) const UNREADABLE: &str =
    "name a file that this user may read; a relative path begins at the working directory";

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
