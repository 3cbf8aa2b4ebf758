//! Progress of a destination, in a file that is replaced as a whole.
//!
//! Blocks; for blocking threads.

use std::fs;
use std::path::Path;

use bellwether_files::durable::{JsonFile, JsonState, StateError};
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

impl JsonState for Progress {
    const VERSION: u32 = 1;

    fn from_earlier(_: u32, text: &[u8]) -> Result<Self, StateError> {
        Ok(serde_json::from_slice(text)?)
    }
}

/// Progress file of one destination.
pub(super) type ProgressFile = JsonFile<Progress>;

/// Returns the progress file of destination `name` in `folder`; the file system is not touched.
pub(super) fn progress_file(folder: &Path, name: &str) -> ProgressFile {
    JsonFile::new(folder.join(format!("{name}{SUFFIX}")))
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

    fn cursor(segment: u64, offset: u64, samples: u64) -> Cursor {
        Cursor {
            segment,
            offset,
            samples,
        }
    }

    #[test]
    fn progress_is_saved_and_deleted() {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (
            progress_file(folder.path(), "a.b"),
            progress_file(folder.path(), "c"),
        );
        let load = |file: &ProgressFile| file.load_optional().unwrap();
        assert_eq!(load(&a), None);
        let progress = Progress {
            acked: cursor(1, 2, 0),
            sending: Some(cursor(1, 3, 0)),
        };
        a.save(&progress).unwrap();
        b.save(&Progress {
            acked: cursor(1, 9, 0),
            sending: None,
        })
        .unwrap();
        assert_eq!(load(&a), Some(progress));
        assert_eq!(delete_others(folder.path(), |name| name == "a.b"), ["c"]);
        assert_eq!((load(&a), load(&b)), (Some(progress), None));
        let broken = folder.path().join("a.b.cursor");
        fs::write(&broken, "{").unwrap();
        assert!(a.load_optional().is_err());
        let aside = folder.path().join("a.b.cursor.corrupt");
        assert_eq!(fs::read(aside).unwrap(), b"{", "it is kept");
    }

    #[test]
    fn a_file_from_before_versions_is_read() {
        let text = include_bytes!("../../../tests/fixtures/state/remote_write/dest.cursor");
        let progress = Progress {
            acked: cursor(1, 61_179, 4_094),
            sending: Some(cursor(2, 18_006, 5_819)),
        };
        assert_eq!(ProgressFile::parse(text).unwrap(), progress);
    }
}
