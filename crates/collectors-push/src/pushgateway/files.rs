//! Groups on disk: a file each, so that a push costs what its own group has.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use bellwether_core::{LabelSet, Labels};
use bellwether_files::durable::{JsonFile, JsonState};
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use tracing::warn;

use super::Group;

/// Directory of the groups of a collector.
#[derive(Debug)]
pub(super) struct GroupFiles {
    directory: PathBuf,
}

/// Content of a file.
#[derive(Debug, Serialize, Deserialize)]
struct Saved {
    key: Labels,
    group: Group,
}

impl JsonState for Saved {
    const VERSION: u32 = 1;
}

impl GroupFiles {
    /// Creates a handle without access to the disk.
    pub(super) fn new(directory: PathBuf) -> Self {
        Self { directory }
    }

    /// Reads all groups. What cannot be read is left out, with a warning.
    pub(super) fn load(&self) -> BTreeMap<Labels, Group> {
        let entries = match fs::read_dir(&self.directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return BTreeMap::new(),
            Err(error) => {
                let directory = self.directory.display();
                warn!(%directory, %error, "pushed metrics are lost until they are pushed again");
                return BTreeMap::new();
            }
        };
        let paths = entries.flatten().map(|entry| entry.path());
        paths
            .filter(|path| path.extension() == Some(OsStr::new("json")))
            .filter_map(|path| read(&path))
            .map(|saved| (saved.key, saved.group))
            .collect()
    }

    /// Writes a group. It is on disk when this returns.
    pub(super) fn save(&self, key: &Labels, group: &Group) -> io::Result<()> {
        fs::create_dir_all(&self.directory)?;
        let saved = Saved {
            key: key.clone(),
            group: group.clone(),
        };
        JsonFile::new(self.path(key)).save(&saved)
    }

    /// Deletes a group.
    pub(super) fn delete(&self, key: &Labels) -> io::Result<()> {
        match fs::remove_file(self.path(key)) {
            // Else a crash could bring it back.
            Ok(()) => File::open(&self.directory)?.sync_all(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Returns the path of a group: values of its labels may be any text, and long.
    fn path(&self, key: &Labels) -> PathBuf {
        let hash = digest(&SHA256, LabelSet::new(key).packed());
        let name: String = hash.as_ref()[..16]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        self.directory.join(name + ".json")
    }
}

fn read(path: &Path) -> Option<Saved> {
    JsonFile::<Saved>::new(path)
        .load_optional()
        .unwrap_or_else(|error| {
            warn!(%error, "pushed metrics of a group are lost until they are pushed again");
            None
        })
}
