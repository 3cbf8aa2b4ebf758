//! Content of the state file: the alerts of all rules, with elapsed times instead of instants.
//!
//! Pure. Owns the names in the file and their parsing. An alert that cannot be parsed is an error
//! for the file as a whole, which is set aside then.

use std::sync::Arc;
use std::time::Duration;

use bellwether_core::{Alert, AlertState, LabelSet, Labels, MonoMillis, Now, UnixMillis};
use bellwether_files::durable::{JsonFile, JsonState, StateError};
use serde::{Deserialize, Serialize, Serializer};

use super::former;
use crate::alert::active_alert::ActiveAlert;
use crate::alert::state_machine::{State, Timer};
use crate::eval::condition::MAX_LEVELS;
use crate::rule::Identity;
use crate::state::restore::RestoredRule;

/// State of the alerts, which outlives a restart.
#[derive(Debug, Serialize, Deserialize)]
pub struct SavedAlerts {
    #[serde(rename = "saved_at_ms")]
    pub saved_at: UnixMillis,
    pub rules: Vec<RestoredRule>,
}

impl JsonState for SavedAlerts {
    const VERSION: u32 = 3;

    fn from_earlier(version: u32, text: &[u8]) -> Result<Self, StateError> {
        former::parse(version, text)
    }
}

/// Returns `rules` as a restart would load them from a file saved `now`.
///
/// # Errors
/// Returns an error if the file would be rejected when it is loaded.
pub fn roundtrip(rules: Vec<RestoredRule>, now: Now) -> Result<Vec<RestoredRule>, StateError> {
    let saved_at = now.wall;
    let text = JsonFile::render(&SavedAlerts { saved_at, rules })?;
    JsonFile::<SavedAlerts>::parse(&text).map(|saved| saved.rules)
}

impl Serialize for RestoredRule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        SavedRule::from(self).serialize(serializer)
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct SavedRule {
    pub(super) name: String,
    pub(super) source: String,
    pub(super) matchers: String,
    pub(super) add_labels: Labels,
    pub(super) alerts: Vec<SavedAlert>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct SavedAlert {
    /// Labels that identify the alert within its rule.
    pub(super) labels: Labels,
    pub(super) state: SavedState,
    pub(super) value: Option<f64>,
    pub(super) no_data: bool,
    pub(super) active_at: UnixMillis,
    pub(super) fired_at: Option<UnixMillis>,
    pub(super) fired_value: Option<f64>,
    pub(super) peak: Option<f64>,
    pub(super) observed: bool,
    pub(super) missing_ms: Option<u64>,
    /// The alert as its channels were notified of it last.
    pub(super) notified: Option<Alert>,
}

/// State of the state machine. Timers have their elapsed time.
#[derive(Serialize, Deserialize)]
pub(super) struct SavedState {
    pub(super) phase: AlertState,
    pub(super) level: usize,
    pub(super) run: u32,
    pub(super) held_ms: [Option<u64>; MAX_LEVELS],
    pub(super) quiet_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) closed: bool,
}

impl From<&RestoredRule> for SavedRule {
    fn from(rule: &RestoredRule) -> Self {
        let Identity {
            name,
            source,
            matchers,
            add_labels,
        } = rule.identity.clone();
        let alerts = rule.alerts.iter();
        Self {
            name: name.to_string(),
            source,
            matchers,
            add_labels,
            alerts: alerts
                .map(|(key, alert)| SavedAlert::new(key, alert))
                .collect(),
        }
    }
}

impl SavedAlert {
    fn new(key: &LabelSet, alert: &ActiveAlert) -> Self {
        Self {
            labels: key
                .iter()
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            state: SavedState::from(&alert.state),
            value: alert.value,
            no_data: alert.no_data,
            active_at: alert.active_at,
            fired_at: alert.fired_at,
            fired_value: alert.fired_value,
            peak: alert.peak,
            observed: alert.observed,
            missing_ms: alert.missing.map(elapsed_ms),
            notified: alert.notified.as_deref().cloned(),
        }
    }
}

impl From<&State> for SavedState {
    fn from(state: &State) -> Self {
        Self {
            phase: state.phase,
            level: state.level,
            run: state.run,
            held_ms: state.held.map(|held| held.map(elapsed_ms)),
            quiet_ms: state.quiet.map(elapsed_ms),
            closed: state.closed,
        }
    }
}

fn elapsed_ms(timer: Timer) -> u64 {
    timer.length.as_millis() as u64
}

/// Returns a timer that this process has not observed: downtime adds nothing to it.
fn timer(elapsed_ms: u64) -> Timer {
    Timer::restored(Duration::from_millis(elapsed_ms))
}

impl TryFrom<SavedRule> for RestoredRule {
    type Error = String;

    fn try_from(rule: SavedRule) -> Result<Self, String> {
        let name: Arc<str> = rule.name.into();
        let alerts = rule.alerts.into_iter();
        let alerts = alerts.map(|alert| alert.into_active(&name));
        Ok(Self {
            alerts: alerts
                .collect::<Result<_, _>>()
                .map_err(|reason| format!("rule {name:?}: {reason}"))?,
            identity: Identity {
                name,
                source: rule.source,
                matchers: rule.matchers,
                add_labels: rule.add_labels,
            },
        })
    }
}

impl SavedAlert {
    /// Returns the alert of `rule` with the labels that identify it.
    fn into_active(self, rule: &Arc<str>) -> Result<(LabelSet, ActiveAlert), String> {
        if self.state.phase == AlertState::Firing && self.notified.is_none() {
            // Its resolved transition is made from the alert that was notified.
            return Err("a firing alert without its notification".to_owned());
        }
        let alert = ActiveAlert {
            state: self.state.try_into()?,
            value: self.value,
            detail: None,
            rendered: None,
            no_data: self.no_data,
            active_at: self.active_at,
            fired_at: self.fired_at,
            fired_value: self.fired_value,
            peak: self.peak,
            notified: self
                .notified
                .map(|alert| Alert {
                    rule: Arc::clone(rule),
                    ..alert
                })
                .map(Arc::new),
            last_tick: 0,
            grace: MonoMillis::default(),
            observed: self.observed,
            missing: self.missing_ms.map(timer),
        };
        Ok((LabelSet::new(&self.labels), alert))
    }
}

impl TryFrom<SavedState> for State {
    type Error = String;

    fn try_from(saved: SavedState) -> Result<Self, String> {
        if saved.level >= MAX_LEVELS {
            return Err(format!("no level {}", saved.level));
        }
        Ok(Self {
            phase: saved.phase,
            level: saved.level,
            run: saved.run,
            counted: None,
            held: saved.held_ms.map(|held| held.map(timer)),
            quiet: saved.quiet_ms.map(timer),
            closed: saved.closed,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Engine;
    use crate::testing::{CPU, at, commit, rules, store};

    fn text() -> String {
        let set = rules("[{name: r, metric: cpu_percent, condition: '>', threshold: 1}]").unwrap();
        let store = store(&set);
        let mut engine = Engine::new(set, at(0));
        commit(&store, at(30), &[(CPU, &[], &[5.0])]);
        assert_eq!(engine.tick(&store, None, at(30), None).transitions.len(), 1);
        let (saved_at, rules) = (at(30).wall, engine.snapshot());
        String::from_utf8(JsonFile::render(&SavedAlerts { saved_at, rules }).unwrap()).unwrap()
    }

    #[test]
    fn a_file_of_another_version_or_sense_is_an_error() {
        let text = text();
        let begin = text.find(r#"{"fingerprint""#).unwrap();
        let notified = begin..text.rfind("}]}]}").unwrap();
        for (from, to, reason) in [
            (r#""version":3"#, r#""version":9"#, "unsupported version 9"),
            (&text[notified.clone()], "null", "without its notification"),
            (r#""level":0"#, r#""level":7"#, r#"rule "r": no level 7"#),
            (
                r#""severity":"warning""#,
                r#""severity":"bad""#,
                "unknown variant `bad`",
            ),
            (
                r#""phase":"firing""#,
                r#""phase":"burning""#,
                "unknown variant `burning`",
            ),
        ] {
            let broken = text.replacen(from, to, 1);
            assert_ne!(broken, text, "{from}");
            let error = JsonFile::<SavedAlerts>::parse(broken.as_bytes()).unwrap_err();
            assert!(error.to_string().contains(reason), "{error}");
        }
    }

    #[test]
    fn no_part_of_a_file_is_read_as_a_whole_one() {
        let whole = text();
        for end in 0..whole.len() {
            let cut = JsonFile::<SavedAlerts>::parse(&whole.as_bytes()[..end]);
            assert!(cut.is_err(), "at {end}");
        }
    }
}
