//! Small files that are replaced as a whole: a crash at any moment leaves the old one or the new
//! one. What is in them is their owners' business. Blocks; call it from a thread that may.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

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

/// Reads the file at `path` by `read`. One that makes no sense is set aside as `<name>.corrupt`.
///
/// # Errors
/// If it cannot be read, or not be set aside.
pub fn load<T>(path: &Path, read: impl FnOnce(&[u8]) -> Result<T, String>) -> io::Result<Found<T>> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
        Err(error) => return Err(error),
    };
    match read(&text) {
        Ok(state) => Ok(Found::State(state)),
        Err(reason) => {
            let aside = beside(path, ".corrupt");
            fs::rename(path, &aside)?;
            Ok(Found::Corrupt { aside, reason })
        }
    }
}

/// Replaces the file at `path` by one that holds `text`; its folder is made where it is missing.
///
/// # Errors
/// If the new one cannot be written, synced or put in place; the old one is then still there.
pub fn replace(path: &Path, text: &[u8]) -> io::Result<()> {
    let folder = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    fs::create_dir_all(folder)?;
    let draft = beside(path, ".new");
    let written = write_synced(&draft, text).and_then(|()| fs::rename(&draft, path));
    if written.is_err() {
        // A full disk must not stay fuller for it.
        fs::remove_file(&draft).ok();
    }
    written?;
    File::open(folder)?.sync_all()
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Writes a file that is on disk when this returns.
pub(crate) fn write_synced(path: &Path, text: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(text)?;
    file.sync_all()
}
