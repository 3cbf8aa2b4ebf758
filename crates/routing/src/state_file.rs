//! The state file: the silences and acknowledgements of people, and which alerts still wait as they
//! were inhibited a short time ago; replaced as a whole whenever one changed.
//!
//! Owns the file and its form. Blocks; call it from a thread that may.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use bellwether_core::{Fingerprint, UnixMillis};
use bellwether_files::durable::{self, Found};
use serde::{Deserialize, Serialize};

use super::acknowledge::{Acknowledgement, Acknowledgements};
use super::matchers::Matchers;
use super::silence::{Recurs, Silence, Silences, from_json};

/// The version written and read.
const VERSION: u32 = 1;

/// What a restart goes on from.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// The silences; those that people made are kept.
    pub silences: Silences,
    /// Who takes care of what.
    pub acknowledgements: Acknowledgements,
    /// Alerts that nobody was told of yet as others stood for them, and until when those did.
    pub uninhibited: BTreeMap<Fingerprint, UnixMillis>,
}

/// A file that holds what the dispatcher goes on from.
#[derive(Clone, Debug)]
pub struct StateFile {
    path: PathBuf,
}

impl StateFile {
    /// The file at `path`; nothing is touched yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads it. A file that makes no sense is set aside as `<name>.corrupt`.
    ///
    /// # Errors
    /// If it cannot be read, or not be set aside.
    pub fn load(&self) -> io::Result<Found<State>> {
        durable::load(&self.path, read)
    }

    /// Replaces it. A crash at any moment leaves the old file or the new one, whole.
    ///
    /// # Errors
    /// If the new one cannot be written, synced or put in place; the old one is then still there.
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
    /// In the words of the declaration.
    #[serde(default)]
    recurs: Option<serde_json::Value>,
}

#[derive(Serialize, Deserialize)]
struct SavedAcknowledgement {
    /// The alert's fingerprint in hexadecimal: JSON's numbers do not hold 64 bits everywhere.
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
    let silences = state.silences.made().map(|silence| SavedSilence {
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
        .map(|(alert, one)| SavedAcknowledgement {
            alert: alert.to_string(),
            by: one.by.clone(),
            comment: one.comment.clone(),
            at_ms: one.at.0,
            until_ms: one.until.map(|until| until.0),
        });
    let uninhibited = state.uninhibited.iter();
    let uninhibited = uninhibited.map(|(alert, since)| SavedUninhibited {
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
            "version {version} is not known here, only {VERSION}"
        ));
    }
    let saved: Saved = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    let silences = saved
        .silences
        .into_iter()
        .map(silence)
        .collect::<Result<_, _>>()?;
    let mut known = Acknowledgements::default();
    for one in saved.acknowledgements {
        let alert = fingerprint(&one.alert)?;
        let acknowledgement = Acknowledgement {
            by: one.by,
            comment: one.comment,
            at: UnixMillis(one.at_ms),
            until: one.until_ms.map(UnixMillis),
        };
        known.set(alert, acknowledgement);
    }
    let uninhibited = saved.uninhibited.iter();
    let uninhibited =
        uninhibited.map(|one| Ok((fingerprint(&one.alert)?, UnixMillis(one.since_ms))));
    Ok(State {
        silences: Silences::restored(silences),
        acknowledgements: known,
        uninhibited: uninhibited.collect::<Result<_, String>>()?,
    })
}

fn fingerprint(text: &str) -> Result<Fingerprint, String> {
    let alert = u64::from_str_radix(text, 16);
    alert
        .map(Fingerprint)
        .map_err(|_| format!("{text:?} is no fingerprint"))
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
        // Made of that once it is known which intervals there are.
        times: Vec::new(),
        source: None,
        id: saved.id,
    })
}

#[cfg(test)]
mod tests;
