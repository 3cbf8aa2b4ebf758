//! State of the dispatcher that outlives a restart: silences and acknowledgements of users, and alerts
//! that wait since the end of their inhibition. Its file is replaced as a whole at each change.

use std::collections::BTreeMap;

use bellwether_core::{Fingerprint, UnixMillis};
use bellwether_files::durable::JsonState;
use bellwether_schema::from_json;
use serde::{Deserialize, Serialize, Serializer};

use crate::mute::acknowledge::{Acknowledgement, Acknowledgements};
use crate::mute::silence::{Recurs, Silence, Silences};
use crate::route::matchers::Matchers;

/// State of the dispatcher that outlives a restart.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(try_from = "SavedState")]
pub struct State {
    /// Silences; only those of users are saved.
    pub silences: Silences,
    /// Acknowledgements.
    pub acknowledgements: Acknowledgements,
    /// End of the inhibition of alerts that were not notified since.
    pub uninhibited: BTreeMap<Fingerprint, UnixMillis>,
}

impl JsonState for State {
    const VERSION: u32 = 1;
    const FORMER_NAME: Option<&'static str> = Some("desk.json");
}

impl Serialize for State {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        SavedState::from(self).serialize(serializer)
    }
}

/// Content of the file.
#[derive(Serialize, Deserialize)]
struct SavedState {
    silences: Vec<SavedSilence>,
    acknowledgements: Vec<SavedAcknowledgement>,
    #[serde(default)]
    uninhibited: Vec<SavedUninhibited>,
}

#[derive(Serialize, Deserialize)]
struct SavedSilence {
    id: String,
    matchers: String,
    #[serde(rename = "starts_at_ms")]
    starts_at: UnixMillis,
    #[serde(rename = "ends_at_ms")]
    ends_at: UnixMillis,
    created_by: String,
    comment: String,
    #[serde(rename = "updated_at_ms")]
    updated_at: UnixMillis,
    /// In the format of the configuration.
    #[serde(default)]
    recurs: Option<serde_json::Value>,
}

#[derive(Serialize, Deserialize)]
struct SavedAcknowledgement {
    alert: Fingerprint,
    by: String,
    comment: String,
    #[serde(rename = "at_ms")]
    at: UnixMillis,
    #[serde(rename = "until_ms")]
    until: Option<UnixMillis>,
}

#[derive(Serialize, Deserialize)]
struct SavedUninhibited {
    alert: Fingerprint,
    #[serde(rename = "since_ms")]
    since: UnixMillis,
}

impl From<&State> for SavedState {
    fn from(state: &State) -> Self {
        let acknowledgements = state.acknowledgements.iter();
        let uninhibited = state.uninhibited.iter();
        Self {
            silences: state.silences.by_users().map(SavedSilence::from).collect(),
            acknowledgements: acknowledgements.map(SavedAcknowledgement::from).collect(),
            uninhibited: uninhibited
                .map(|(&alert, &since)| SavedUninhibited { alert, since })
                .collect(),
        }
    }
}

impl TryFrom<SavedState> for State {
    type Error = String;

    fn try_from(saved: SavedState) -> Result<Self, String> {
        let silences = saved.silences.into_iter().map(Silence::try_from);
        let mut acknowledgements = Acknowledgements::default();
        for acknowledgement in saved.acknowledgements {
            acknowledgements.set(acknowledgement.alert, acknowledgement.into());
        }
        let uninhibited = saved.uninhibited.into_iter();
        Ok(Self {
            silences: Silences::restored(silences.collect::<Result<_, _>>()?),
            acknowledgements,
            uninhibited: uninhibited
                .map(|saved| (saved.alert, saved.since))
                .collect(),
        })
    }
}

impl From<(Fingerprint, &Acknowledgement)> for SavedAcknowledgement {
    fn from((alert, acknowledgement): (Fingerprint, &Acknowledgement)) -> Self {
        Self {
            alert,
            by: acknowledgement.by.clone(),
            comment: acknowledgement.comment.clone(),
            at: acknowledgement.at,
            until: acknowledgement.until,
        }
    }
}

impl From<SavedAcknowledgement> for Acknowledgement {
    fn from(saved: SavedAcknowledgement) -> Self {
        Self {
            by: saved.by,
            comment: saved.comment,
            at: saved.at,
            until: saved.until,
        }
    }
}

impl From<&Silence> for SavedSilence {
    fn from(silence: &Silence) -> Self {
        Self {
            id: silence.id.clone(),
            matchers: silence.matchers.to_string(),
            starts_at: silence.starts_at,
            ends_at: silence.ends_at,
            created_by: silence.created_by.clone(),
            comment: silence.comment.clone(),
            updated_at: silence.updated_at,
            recurs: (!silence.recurs.is_always())
                .then(|| serde_json::to_value(&silence.recurs).unwrap_or_default()),
        }
    }
}

impl TryFrom<SavedSilence> for Silence {
    type Error = String;

    fn try_from(saved: SavedSilence) -> Result<Self, String> {
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
        Ok(Self {
            matchers,
            rules: None,
            starts_at: saved.starts_at,
            ends_at: saved.ends_at,
            created_by: saved.created_by,
            comment: saved.comment,
            updated_at: saved.updated_at,
            recurs,
            // Compiled later, with the time intervals of the configuration.
            times: Vec::new(),
            source: None,
            id: saved.id,
        })
    }
}

#[cfg(test)]
mod tests;
