//! Small files that are replaced as a whole: a crash at any moment leaves the old one or the new
//! one. What is in them is their owners' business. Blocks; call it from a thread that may.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

mod state_folder;
mod write_watch;

pub use state_folder::{Saver, StateFolder, is_at};
pub use write_watch::WriteWatch;

use crate::{self as files, Output, beside};

/// What was found at the start.
#[derive(Debug, PartialEq)]
pub enum Found<T> {
    /// No file: the first start.
    Nothing,
    /// What it holds.
    State(T),
    /// A file that does not read; it was renamed aside and what it held is lost.
    Corrupt {
        /// Where it is now.
        aside: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

/// Reads the file at `path` by `read`. One that cannot be read, that is no regular file or that
/// makes no sense is set aside as `<name>.corrupt`.
///
/// # Errors
/// If it cannot be set aside.
pub fn load<T>(path: &Path, read: impl FnOnce(&[u8]) -> Result<T, String>) -> io::Result<Found<T>> {
    let read = match files::read(path, files::STATE) {
        Ok(text) => read(&text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
        // What cannot be read now may hold what somebody wants back later.
        Err(error) => Err(error.to_string()),
    };
    match read {
        Ok(state) => Ok(Found::State(state)),
        Err(reason) => {
            let aside = beside(path, ".corrupt");
            fs::rename(path, &aside)?;
            Ok(Found::Corrupt { aside, reason })
        }
    }
}

/// Reads the file at `path` by `read`, where what it holds can be done without: nothing where there is
/// no file.
///
/// # Errors
/// What is wrong with it, in words. One that makes no sense is no longer in the way.
pub fn load_if_whole<T>(
    path: &Path,
    read: impl FnOnce(&[u8]) -> Result<T, String>,
) -> Result<Option<T>, String> {
    let place = path.display();
    match load(path, read) {
        Ok(Found::Nothing) => Ok(None),
        Ok(Found::State(state)) => Ok(Some(state)),
        Ok(Found::Corrupt { aside, reason }) => {
            Err(format!("{place}: {reason}; it is now {}", aside.display()))
        }
        Err(error) => Err(format!("{place}: {error}")),
    }
}

/// Replaces the file at `path` by one that holds `text`; its folder is made where it is missing.
///
/// # Errors
/// If the new one cannot be written, synced or put in place; the old one is then still there.
pub fn replace(path: &Path, text: &[u8]) -> io::Result<()> {
    if let Some(folder) = path.parent().filter(|folder| *folder != Path::new("")) {
        fs::create_dir_all(folder)?;
    }
    let mut file = Output::state(path)?;
    file.write_all(text)?;
    file.finish()
}
