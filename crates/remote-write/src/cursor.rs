//! How far a destination got, kept in a file that is replaced as a whole.
//!
//! Blocks; call it from a thread that may.

use std::path::{Path, PathBuf};
use std::{fs, io};

use bellwether_files as files;
use bellwether_files::durable;
use bellwether_tsdb::history::Cursor;
use serde::{Deserialize, Serialize};

/// How far a destination got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Progress {
    /// The receiver has everything up to here.
    pub(super) acked: Cursor,
    /// What lies between was under way, and the receiver may have it. It is sent again as it was,
    /// so that newer samples never share a request with repeats that a receiver may refuse.
    pub(super) sending: Option<Cursor>,
}

/// The file of one destination.
#[derive(Clone, Debug)]
pub(super) struct ProgressFile {
    path: PathBuf,
}

impl ProgressFile {
    /// The file of destination `name` in `folder`; nothing is touched yet.
    pub(super) fn new(folder: &Path, name: &str) -> Self {
        Self {
            path: folder.join(format!("{name}{SUFFIX}")),
        }
    }

    /// What it says; `None` where there is no such file.
    pub(super) fn load(&self) -> io::Result<Option<Progress>> {
        match files::read(&self.path, files::SMALL) {
            Ok(text) => serde_json::from_slice(&text)
                .map(Some)
                .map_err(io::Error::other),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Replaces it. A crash at any moment leaves the old file or the new one, whole.
    pub(super) fn save(&self, progress: Progress) -> io::Result<()> {
        let text = serde_json::to_vec(&progress).map_err(io::Error::other)?;
        durable::replace(&self.path, &text)
    }
}

const SUFFIX: &str = ".cursor";

/// Deletes the files in `folder` of destinations that `keep` does not know; returns their names.
pub(super) fn forget(folder: &Path, keep: impl Fn(&str) -> bool) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut gone = Vec::new();
    for entry in entries.flatten() {
        let file = entry.file_name();
        let Some(name) = file.to_str().and_then(|file| file.strip_suffix(SUFFIX)) else {
            continue;
        };
        if !keep(name) && fs::remove_file(entry.path()).is_ok() {
            gone.push(name.to_owned());
        }
    }
    gone
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_kept_and_forgotten() {
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
        assert_eq!(forget(folder.path(), |name| name == "a.b"), ["c"]);
        assert_eq!(
            (a.load().unwrap(), b.load().unwrap()),
            (Some(progress), None)
        );
        fs::write(folder.path().join("a.b.cursor"), "{").unwrap();
        assert!(a.load().is_err());
    }
}
