//! Progress of a destination, in a file that is replaced as a whole.
//!
//! Blocks; for blocking threads.

use std::path::{Path, PathBuf};
use std::{fs, io};

use bellwether_files as files;
use bellwether_files::durable;
use bellwether_tsdb::history::Cursor;
use serde::{Deserialize, Serialize};

/// Progress of a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Progress {
    /// The receiver has accepted everything up to here.
    pub(super) acked: Cursor,
    /// Samples from `acked` to here were being sent, and the receiver may have them. They are sent
    /// again unchanged, so that newer samples never share a request with duplicates that a receiver
    /// may reject.
    pub(super) sending: Option<Cursor>,
}

/// Progress file of one destination.
#[derive(Clone, Debug)]
pub(super) struct ProgressFile {
    path: PathBuf,
}

impl ProgressFile {
    /// Creates a handle to the file of destination `name` in `folder`; the file system is not touched.
    pub(super) fn new(folder: &Path, name: &str) -> Self {
        Self {
            path: folder.join(format!("{name}{SUFFIX}")),
        }
    }

    /// Reads the progress; `None` if there is no file.
    pub(super) fn load(&self) -> io::Result<Option<Progress>> {
        match files::read(&self.path, files::SMALL) {
            Ok(text) => serde_json::from_slice(&text)
                .map(Some)
                .map_err(io::Error::other),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Replaces the file. A crash at any time leaves the old file or the new one, whole.
    pub(super) fn save(&self, progress: Progress) -> io::Result<()> {
        let text = serde_json::to_vec(&progress).map_err(io::Error::other)?;
        durable::replace(&self.path, &text)
    }
}

const SUFFIX: &str = ".cursor";

/// Deletes the files in `folder` for whose name `keep` returns false; returns the names.
pub(super) fn delete_others(folder: &Path, keep: impl Fn(&str) -> bool) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut deleted = Vec::new();
    for entry in entries.flatten() {
        let file = entry.file_name();
        let Some(name) = file.to_str().and_then(|file| file.strip_suffix(SUFFIX)) else {
            continue;
        };
        if !keep(name) && fs::remove_file(entry.path()).is_ok() {
            deleted.push(name.to_owned());
        }
    }
    deleted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_saved_and_deleted() {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (
            ProgressFile::new(folder.path(), "a.b"),
            ProgressFile::new(folder.path(), "c"),
        );
        assert_eq!(a.load().unwrap(), None);
        let cursor = |offset| Cursor {
            segment: 1,
            offset,
            samples: 0,
        };
        let progress = Progress {
            acked: cursor(2),
            sending: Some(cursor(3)),
        };
        a.save(progress).unwrap();
        b.save(Progress {
            acked: cursor(9),
            sending: None,
        })
        .unwrap();
        assert_eq!(a.load().unwrap(), Some(progress));
        assert_eq!(delete_others(folder.path(), |name| name == "a.b"), ["c"]);
        assert_eq!(
            (a.load().unwrap(), b.load().unwrap()),
            (Some(progress), None)
        );
        fs::write(folder.path().join("a.b.cursor"), "{").unwrap();
        assert!(a.load().is_err());
    }
}
