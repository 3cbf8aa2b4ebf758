//! Servers that ever answered, over restarts: one that never did is no failure.
//!
//! Owns the file in the state directory. Reading and writing it blocks.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use bellwether_files::durable::{JsonFile, JsonState, StateError};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tracing::warn;

/// Addresses of servers that answered at least once since installation.
#[derive(Clone, Debug, Default)]
pub struct KnownServers(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    servers: Mutex<Servers>,
    /// `None`: the addresses are lost with the process.
    file: Option<JsonFile<Servers>>,
}

/// Content of the file.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Servers {
    addresses: BTreeSet<String>,
}

impl JsonState for Servers {
    const VERSION: u32 = 1;

    fn from_earlier(_: u32, text: &[u8]) -> Result<Self, StateError> {
        let addresses = serde_json::from_slice(text)?;
        Ok(Self { addresses })
    }
}

impl KnownServers {
    /// Reads the file, if there is one. A corrupt file is set aside and logged.
    #[must_use]
    pub fn load(file: Option<PathBuf>) -> Self {
        let file = file.map(JsonFile::<Servers>::new);
        let loaded = file.as_ref().map_or(Ok(None), JsonFile::load_optional);
        let servers = loaded.unwrap_or_else(|error| {
            warn!(
                %error,
                "which Neo4j servers ever answered is lost: one that is away is not missed until it answers"
            );
            None
        });
        Self(Arc::new(Inner {
            servers: Mutex::new(servers.unwrap_or_default()),
            file,
        }))
    }

    /// Returns whether the server at `address` ever answered.
    #[must_use]
    pub fn contains(&self, address: &str) -> bool {
        self.0.servers.lock().addresses.contains(address)
    }

    /// Adds the server at `address`. Returns whether it is new, so that [`KnownServers::save`] is due.
    #[must_use]
    pub fn add(&self, address: &str) -> bool {
        self.0.servers.lock().addresses.insert(address.to_owned())
    }

    /// Writes the file.
    ///
    /// # Errors
    /// Returns an error if the file cannot be replaced.
    pub fn save(&self) -> std::io::Result<()> {
        let Some(file) = &self.0.file else {
            return Ok(());
        };
        let servers = self.0.servers.lock().clone();
        file.save(&servers)
    }
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
        let before_versions = include_bytes!("../../../../../tests/fixtures/state/neo4j.json");
        std::fs::write(file.as_ref().unwrap(), before_versions).unwrap();
        assert!(KnownServers::load(file.clone()).contains("bolt://localhost:7687"));
        std::fs::write(file.as_ref().unwrap(), "nonsense").unwrap();
        assert!(!KnownServers::load(file).contains("bolt://a:7687"));
        assert!(KnownServers::load(None).save().is_ok());
    }
}
