//! State files that are replaced as a whole: a crash at any time leaves the old or the new one.
//!
//! Does not know the content of the files. All functions block on the file system.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

mod state_directory;
mod write_watch;

pub use state_directory::{Saver, StateDirectory, is_at};
pub use write_watch::WriteWatch;

use crate::{self as files, Output, beside};

/// A state file as of the start.
#[derive(Debug, PartialEq)]
pub enum LoadedState<T> {
    /// There is no file: the first start.
    Absent,
    /// Content of the file.
    Loaded(T),
    /// A file that cannot be read. It was renamed, and its content is not used.
    Corrupt {
        /// Its new path.
        aside: PathBuf,
        /// Error of reading it.
        reason: String,
    },
}

/// Reads the file at `path` and parses it with `read`. A file that cannot be read or parsed, or that
/// is no regular file, is renamed to `<name>.corrupt`.
///
/// # Errors
/// Returns an error if it cannot be renamed.
pub fn load<T>(
    path: &Path,
    read: impl FnOnce(&[u8]) -> Result<T, String>,
) -> io::Result<LoadedState<T>> {
    let read = match files::read(path, files::STATE) {
        Ok(text) => read(&text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(LoadedState::Absent),
        // A file that cannot be read now may have content that the operator wants back.
        Err(error) => Err(error.to_string()),
    };
    match read {
        Ok(state) => Ok(LoadedState::Loaded(state)),
        Err(reason) => {
            let aside = beside(path, ".corrupt");
            fs::rename(path, &aside)?;
            Ok(LoadedState::Corrupt { aside, reason })
        }
    }
}

/// Reads the file at `path` and parses it with `read`, for content that is not essential; `None` if
/// there is no file.
///
/// # Errors
/// Returns a message if the file cannot be read. A corrupt file is renamed as by [`load`].
pub fn load_optional<T>(
    path: &Path,
    read: impl FnOnce(&[u8]) -> Result<T, String>,
) -> Result<Option<T>, String> {
    let shown = path.display();
    match load(path, read) {
        Ok(LoadedState::Absent) => Ok(None),
        Ok(LoadedState::Loaded(state)) => Ok(Some(state)),
        Ok(LoadedState::Corrupt { aside, reason }) => {
            Err(format!("{shown}: {reason}; it is now {}", aside.display()))
        }
        Err(error) => Err(format!("{shown}: {error}")),
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
