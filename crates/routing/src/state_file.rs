//! The state file `silences.json`: silences and acknowledgements of users, and alerts that wait since
//! the end of their inhibition. Replaced as a whole at each change.
//!
//! Owns the file and its format. Blocks; for blocking threads.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

use bellwether_core::{Fingerprint, UnixMillis};
use bellwether_files::durable::{self, LoadedState};
use serde::{Deserialize, Serialize};

use crate::mute::acknowledge::{Acknowledgement, Acknowledgements};
use crate::mute::silence::{Recurs, Silence, Silences, from_json};
use crate::route::matchers::Matchers;

/// Version of the format.
const VERSION: u32 = 1;
/// Name of the file in earlier versions.
const FORMER_NAME: &str = "desk.json";

/// State of the dispatcher that outlives a restart.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// Silences; only those of users are saved.
    pub silences: Silences,
    /// Acknowledgements.
    pub acknowledgements: Acknowledgements,
    /// End of the inhibition of alerts that were not notified since.
    pub uninhibited: BTreeMap<Fingerprint, UnixMillis>,
}

/// The file with the dispatcher's state.
#[derive(Clone, Debug)]
pub struct StateFile {
    path: PathBuf,
}

impl StateFile {
    /// Creates a handle to the file at `path`; the file system is not touched.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Returns the path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the file. A corrupt file is moved to `<name>.corrupt`. If there is no file, one with the
    /// name of earlier versions, `desk.json`, is renamed and read.
    ///
    /// # Errors
    /// The file cannot be read, renamed or moved.
    pub fn load(&self) -> io::Result<LoadedState<State>> {
        self.adopt_former()?;
        durable::load(&self.path, read)
    }

    /// Renames the file of earlier versions. A name that cannot be looked up counts as absent: reading
    /// the file reports the error.
    fn adopt_former(&self) -> io::Result<()> {
        let former = self.path.with_file_name(FORMER_NAME);
        match self.path.symlink_metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            _ => return Ok(()),
        }
        match fs::rename(former, &self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Replaces the file. A crash at any time leaves the old file or the new one, whole.
    ///
    /// # Errors
    /// The new file cannot be written, synced or renamed; the old one is then still there.
    pub fn save(&self, state: &State) -> io::Result<()> {
        let text = write(state).map_err(io::Error::other)?;
        durable::replace(&self.path, &text)
    }
}

#[derive(Serialize, Deserialize)]
struct Saved {
    version: u32,
    silences: Vec<SavedSilence>,
    acknowledgements: Vec<SavedAcknowledgement>,
    #[serde(default)]
    uninhibited: Vec<SavedUninhibited>,
}

#[derive(Serialize, Deserialize)]
struct SavedSilence {
    id: String,
    matchers: String,
    starts_at_ms: i64,
    ends_at_ms: i64,
    created_by: String,
    comment: String,
    updated_at_ms: i64,
    /// In the format of the configuration.
    #[serde(default)]
    recurs: Option<serde_json::Value>,
}

#[derive(Serialize, Deserialize)]
struct SavedAcknowledgement {
    /// Fingerprint in hexadecimal, since numbers in JSON have less than 64 bits in some parsers.
    alert: String,
    by: String,
    comment: String,
    at_ms: i64,
    until_ms: Option<i64>,
}

#[derive(Serialize, Deserialize)]
struct SavedUninhibited {
    alert: String,
    since_ms: i64,
}

fn write(state: &State) -> Result<Vec<u8>, serde_json::Error> {
    let silences = state.silences.by_users().map(|silence| SavedSilence {
        id: silence.id.clone(),
        matchers: silence.matchers.to_string(),
        starts_at_ms: silence.starts_at.0,
        ends_at_ms: silence.ends_at.0,
        created_by: silence.created_by.clone(),
        comment: silence.comment.clone(),
        updated_at_ms: silence.updated_at.0,
        recurs: (!silence.recurs.is_always())
            .then(|| serde_json::to_value(&silence.recurs).unwrap_or_default()),
    });
    let acknowledgements = state
        .acknowledgements
        .iter()
        .map(|(alert, acknowledgement)| SavedAcknowledgement {
            alert: alert.to_string(),
            by: acknowledgement.by.clone(),
            comment: acknowledgement.comment.clone(),
            at_ms: acknowledgement.at.0,
            until_ms: acknowledgement.until.map(|until| until.0),
        });
    let uninhibited = state
        .uninhibited
        .iter()
        .map(|(alert, since)| SavedUninhibited {
            alert: alert.to_string(),
            since_ms: since.0,
        });
    serde_json::to_vec(&Saved {
        version: VERSION,
        silences: silences.collect(),
        acknowledgements: acknowledgements.collect(),
        uninhibited: uninhibited.collect(),
    })
}

fn read(text: &[u8]) -> Result<State, String> {
    #[derive(Deserialize)]
    struct Version {
        version: u32,
    }
    let Version { version } = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    if version != VERSION {
        return Err(format!(
            "unsupported version {version}; supported: {VERSION}"
        ));
    }
    let saved: Saved = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    let silences = saved
        .silences
        .into_iter()
        .map(silence)
        .collect::<Result<_, _>>()?;
    let mut acknowledgements = Acknowledgements::default();
    for saved in saved.acknowledgements {
        let alert = fingerprint(&saved.alert)?;
        let acknowledgement = Acknowledgement {
            by: saved.by,
            comment: saved.comment,
            at: UnixMillis(saved.at_ms),
            until: saved.until_ms.map(UnixMillis),
        };
        acknowledgements.set(alert, acknowledgement);
    }
    let uninhibited = saved
        .uninhibited
        .iter()
        .map(|saved| Ok((fingerprint(&saved.alert)?, UnixMillis(saved.since_ms))));
    Ok(State {
        silences: Silences::restored(silences),
        acknowledgements,
        uninhibited: uninhibited.collect::<Result<_, String>>()?,
    })
}

fn fingerprint(text: &str) -> Result<Fingerprint, String> {
    let alert = u64::from_str_radix(text, 16);
    alert
        .map(Fingerprint)
        .map_err(|_| format!("invalid fingerprint {text:?}"))
}

fn silence(saved: SavedSilence) -> Result<Silence, String> {
    let matchers = Matchers::parse(&saved.matchers)
        .map_err(|reason| format!("matchers of silence {:?}: {reason}", saved.id))?;
    if matchers.is_empty() {
        return Err(format!("silence {:?} has no matchers", saved.id));
    }
    let recurs = match &saved.recurs {
        Some(recurs) => from_json::<Recurs>(recurs.to_string().as_bytes())
            .map_err(|reason| format!("times of silence {:?}: {reason}", saved.id))?,
        None => Recurs::default(),
    };
    Ok(Silence {
        matchers,
        rules: None,
        starts_at: UnixMillis(saved.starts_at_ms),
        ends_at: UnixMillis(saved.ends_at_ms),
        created_by: saved.created_by,
        comment: saved.comment,
        updated_at: UnixMillis(saved.updated_at_ms),
        recurs,
        // Compiled later, with the time intervals of the configuration.
        times: Vec::new(),
        source: None,
        id: saved.id,
    })
}

#[cfg(test)]
mod tests;
