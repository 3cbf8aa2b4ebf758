//! Servers that ever answered, over restarts: one that never did is no failure.
//!
//! Owns the file in the state directory. Reading and writing it blocks.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bellwether_files::durable::{self, LoadedState};
use parking_lot::Mutex;
use tracing::warn;

/// Addresses of servers that answered at least once since installation.
#[derive(Clone, Debug, Default)]
pub struct KnownServers(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    addresses: Mutex<BTreeSet<String>>,
    /// `None`: the addresses are lost with the process.
    file: Option<PathBuf>,
}

impl KnownServers {
    /// Reads the file, if there is one. A corrupt file is set aside and logged.
    #[must_use]
    pub fn load(file: Option<PathBuf>) -> Self {
        let read = |text: &[u8]| {
            serde_json::from_slice(text).map_err(|error: serde_json::Error| error.to_string())
        };
        let loaded = file.as_ref().map(|file| durable::load(file, read));
        let addresses = match loaded {
            Some(Ok(LoadedState::Loaded(addresses))) => addresses,
            Some(Ok(LoadedState::Corrupt { aside, reason })) => forgotten(&reason, &aside),
            Some(Err(error)) => {
                forgotten(&error.to_string(), file.as_deref().unwrap_or(Path::new("")))
            }
            Some(Ok(LoadedState::Absent)) | None => BTreeSet::new(),
        };
        Self(Arc::new(Inner {
            addresses: Mutex::new(addresses),
            file,
        }))
    }

    /// Returns whether the server at `address` ever answered.
    #[must_use]
    pub fn contains(&self, address: &str) -> bool {
        self.0.addresses.lock().contains(address)
    }

    /// Adds the server at `address`. Returns whether it is new, so that [`KnownServers::save`] is due.
    #[must_use]
    pub fn add(&self, address: &str) -> bool {
        self.0.addresses.lock().insert(address.to_owned())
    }

    /// Writes the file.
    ///
    /// # Errors
    /// Returns an error if the file cannot be replaced.
    pub fn save(&self) -> std::io::Result<()> {
        let Some(file) = &self.0.file else {
            return Ok(());
        };
        let text = serde_json::to_vec(&*self.0.addresses.lock()).map_err(std::io::Error::other)?;
        durable::replace(file, &text)
    }
}

fn forgotten(reason: &str, file: &Path) -> BTreeSet<String> {
    let file = file.display();
    warn!(
        reason,
        %file, "which Neo4j servers ever answered is lost: one that is away is not missed until it answers"
    );
    BTreeSet::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_known_over_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let file = Some(folder.path().join("neo4j.json"));
        let seen = KnownServers::load(file.clone());
        assert!(!seen.contains("bolt://a:7687"));
        assert!(seen.add("bolt://a:7687") && !seen.add("bolt://a:7687"));
        seen.save().unwrap();
        let seen = KnownServers::load(file.clone());
        assert!(seen.contains("bolt://a:7687") && !seen.contains("bolt://b:7687"));
        std::fs::write(file.as_ref().unwrap(), "nonsense").unwrap();
        assert!(!KnownServers::load(file).contains("bolt://a:7687"));
        assert!(KnownServers::load(None).save().is_ok());
    }
}
