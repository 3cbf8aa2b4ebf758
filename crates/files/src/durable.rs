//! State files that are replaced as a whole: a crash at any time leaves the old or the new one.
//!
//! All functions block on the file system.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

mod json_file;
mod state_directory;
mod write_watch;

pub use json_file::{JsonFile, JsonState};
pub use state_directory::{Saver, StateDirectory, is_at};
pub use write_watch::WriteWatch;

use crate::{self as files, Output, beside};

/// A state file as of the start.
#[derive(Debug)]
pub enum LoadedState<T> {
    /// There is no file: the first start.
    Absent,
    /// Content of the file.
    Loaded(T),
    /// A file that cannot be used. It was renamed, and its content is not used.
    Corrupt {
        /// Its new path.
        aside: PathBuf,
        /// Error of reading it.
        reason: StateError,
    },
}

/// Reason for which the content of a state file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The file cannot be read now, or is no regular file.
    #[error(transparent)]
    Unreadable(#[from] io::Error),
    /// The file has no bytes.
    #[error("the file is empty")]
    Empty,
    /// The file ends too early.
    #[error("the file is truncated: {0}")]
    Truncated(serde_json::Error),
    /// The content is not as expected.
    #[error("{0}")]
    Invalid(String),
    /// The version is no longer read.
    #[error("unsupported version {0} of an earlier Bellwether")]
    Older(u32),
    /// The version is not read yet.
    #[error("unsupported version {0} of a newer Bellwether")]
    Newer(u32),
}

impl From<serde_json::Error> for StateError {
    fn from(error: serde_json::Error) -> Self {
        match error.is_eof() {
            true => Self::Truncated(error),
            false => Self::Invalid(error.to_string()),
        }
    }
}

/// Error of loading a state file that is not essential.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be used, and was renamed.
    #[error("{}: {reason}; it is now {}", path.display(), aside.display())]
    Corrupt {
        /// Path of the file.
        path: PathBuf,
        /// Its new path.
        aside: PathBuf,
        /// Error of reading it.
        reason: StateError,
    },
    /// The file cannot be used, and cannot be renamed either.
    #[error("{}: {error}", path.display())]
    Blocked {
        /// Path of the file.
        path: PathBuf,
        /// Error of renaming it.
        error: io::Error,
    },
}

/// Reads the file at `path` and parses it with `parse`. A file that cannot be read or parsed, or that
/// is no regular file, is renamed to `<name>.corrupt`.
///
/// # Errors
/// Returns an error if it cannot be renamed.
pub fn load<T>(
    path: &Path,
    parse: impl FnOnce(&[u8]) -> Result<T, StateError>,
) -> io::Result<LoadedState<T>> {
    let parsed = match files::read(path, files::STATE) {
        Ok(text) => parse(&text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(LoadedState::Absent),
        // A file that cannot be read now may have content that the operator wants back.
        Err(error) => Err(error.into()),
    };
    match parsed {
        Ok(state) => Ok(LoadedState::Loaded(state)),
        Err(reason) => {
            let aside = beside(path, ".corrupt");
            fs::rename(path, &aside)?;
            Ok(LoadedState::Corrupt { aside, reason })
        }
    }
}

/// Reads the file at `path` and parses it with `parse`, for content that is not essential; `None` if
/// there is no file.
///
/// # Errors
/// Returns an error if the file cannot be used. It is renamed as by [`load`].
pub fn load_optional<T>(
    path: &Path,
    parse: impl FnOnce(&[u8]) -> Result<T, StateError>,
) -> Result<Option<T>, LoadError> {
    optional(path, load(path, parse))
}

/// Returns the content that was `loaded` from `path`, if there is any.
fn optional<T>(path: &Path, loaded: io::Result<LoadedState<T>>) -> Result<Option<T>, LoadError> {
    let path = path.to_owned();
    match loaded {
        Ok(LoadedState::Absent) => Ok(None),
        Ok(LoadedState::Loaded(state)) => Ok(Some(state)),
        Ok(LoadedState::Corrupt { aside, reason }) => Err(LoadError::Corrupt {
            path,
            aside,
            reason,
        }),
        Err(error) => Err(LoadError::Blocked { path, error }),
    }
}

/// Replaces the file at `path` by one with `text`; a missing directory is created.
///
/// # Errors
/// Returns an error if the new file cannot be written, synced or renamed; the old one is unchanged
/// then.
pub fn replace(path: &Path, text: &[u8]) -> io::Result<()> {
    if let Some(directory) = path
        .parent()
        .filter(|directory| *directory != Path::new(""))
    {
        fs::create_dir_all(directory)?;
    }
    let mut file = Output::state(path)?;
    file.write_all(text)?;
    file.finish()
}
