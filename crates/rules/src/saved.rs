//! The form of the state file: versioned JSON, elapsed times instead of instants.
//!
//! Pure. Owns the names in the file and their reading; an alert that does not read back is left
//! out by being an error for the file as a whole, which `state_file` then sets aside.

use std::sync::Arc;
use std::time::Duration;

use bellwether_core::{
    Alert, AlertState, Fingerprint, LabelSet, Labels, MonoMillis, Now, Severity, UnixMillis,
};
use serde::{Deserialize, Serialize, Serializer};

use super::carry::RestoredRule;
use super::condition::MAX_LEVELS;
use super::instance::Instance;
use super::rule::Identity;
use super::step::{State, Stretch};

/// The version written. In version 1, which is read too, an alert had the values of labels whose
/// names stood with the rule.
const VERSION: u32 = 2;

#[derive(Deserialize)]
struct File {
    rules: Vec<SavedRule>,
}

/// The file as it is written: rule by rule, for there may be many.
#[derive(Serialize)]
struct Written<'a> {
    version: u32,
    saved_at_ms: i64,
    #[serde(serialize_with = "each")]
    rules: &'a [RestoredRule],
}

fn each<S: Serializer>(rules: &[RestoredRule], out: S) -> Result<S::Ok, S::Error> {
    out.collect_seq(rules.iter().map(saved_rule))
}

#[derive(Serialize, Deserialize)]
struct SavedRule {
    name: String,
    source: String,
    matchers: String,
    add_labels: Labels,
    /// Of version 1.
    #[serde(default, skip_serializing)]
    labels: Vec<String>,
    alerts: Vec<SavedAlert>,
}

#[derive(Serialize, Deserialize)]
struct SavedAlert {
    #[serde(default)]
    labels: Labels,
    /// Of version 1.
    #[serde(default, skip_serializing)]
    values: Vec<String>,
    phase: Phase,
    level: usize,
    run: u32,
    held_ms: [Option<u64>; MAX_LEVELS],
    quiet_ms: Option<u64>,
    value: Option<f64>,
    blind: bool,
    active_at_ms: i64,
    fired_at_ms: Option<i64>,
    #[serde(default)]
    fired_value: Option<f64>,
    #[serde(default)]
    peak: Option<f64>,
    /// Files of earlier versions hold nothing of it.
    #[serde(default)]
    observed: Option<bool>,
    #[serde(default)]
    missing_ms: Option<u64>,
    told: Option<Told>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Phase {
    Inactive,
    Pending,
    Firing,
}

#[derive(Serialize, Deserialize)]
struct Told {
    severity: String,
    labels: Labels,
    annotations: Labels,
    message: String,
    value: Option<f64>,
    #[serde(default)]
    fired_value: Option<f64>,
    #[serde(default)]
    peak: Option<f64>,
    threshold: Option<f64>,
    active_at_ms: i64,
    fired_at_ms: Option<i64>,
}

/// The text of the state file.
///
/// # Errors
/// If it cannot be serialized.
pub fn write(rules: &[RestoredRule], now: Now) -> Result<Vec<u8>, serde_json::Error> {
    serde_json::to_vec(&Written {
        version: VERSION,
        saved_at_ms: now.wall.0,
        rules,
    })
}

/// Reads the text of a state file.
///
/// # Errors
/// What is wrong with it.
pub fn read(text: &[u8]) -> Result<Vec<RestoredRule>, String> {
    #[derive(Deserialize)]
    struct Version {
        version: u32,
    }
    let Version { version } = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    if !(1..=VERSION).contains(&version) {
        return Err(format!(
            "version {version} is not known here, only 1 to {VERSION}"
        ));
    }
    let file: File = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    file.rules.into_iter().map(carried).collect()
}

fn saved_rule(carried: &RestoredRule) -> SavedRule {
    let Identity {
        name,
        source,
        matchers,
        add_labels,
    } = carried.identity.clone();
    SavedRule {
        name: name.to_string(),
        source,
        matchers,
        add_labels,
        labels: Vec::new(),
        alerts: carried
            .alerts
            .iter()
            .map(|(key, alert)| saved_alert(key, alert))
            .collect(),
    }
}

fn saved_alert(key: &LabelSet, alert: &Instance) -> SavedAlert {
    let length = |stretch: &Stretch| stretch.length.as_millis() as u64;
    SavedAlert {
        labels: key
            .iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
        values: Vec::new(),
        phase: match alert.state.phase {
            AlertState::Inactive => Phase::Inactive,
            AlertState::Pending => Phase::Pending,
            AlertState::Firing => Phase::Firing,
        },
        level: alert.state.level,
        run: alert.state.run,
        held_ms: alert.state.held.map(|held| held.as_ref().map(length)),
        quiet_ms: alert.state.quiet.as_ref().map(length),
        value: alert.value,
        blind: alert.blind,
        active_at_ms: alert.active_at.0,
        fired_at_ms: alert.fired_at.map(|at| at.0),
        fired_value: alert.fired_value,
        peak: alert.peak,
        observed: Some(alert.observed),
        missing_ms: alert.missing.as_ref().map(length),
        told: alert.told.as_deref().map(|told| Told {
            severity: told.severity.as_str().to_owned(),
            labels: told.labels.clone(),
            annotations: told.annotations.clone(),
            message: told.message.clone(),
            value: told.value,
            fired_value: told.fired_value,
            peak: told.peak,
            threshold: told.threshold,
            active_at_ms: told.active_at.0,
            fired_at_ms: told.fired_at.map(|at| at.0),
        }),
    }
}

fn carried(rule: SavedRule) -> Result<RestoredRule, String> {
    let name: Arc<str> = rule.name.into();
    let names = rule.labels;
    let alerts = rule
        .alerts
        .into_iter()
        .map(|alert| instance(&name, &names, alert));
    Ok(RestoredRule {
        alerts: alerts.collect::<Result<_, String>>()?,
        identity: Identity {
            name: Arc::clone(&name),
            source: rule.source,
            matchers: rule.matchers,
            add_labels: rule.add_labels,
        },
    })
}

fn instance(
    rule: &Arc<str>,
    names: &[String],
    saved: SavedAlert,
) -> Result<(LabelSet, Instance), String> {
    if saved.level >= MAX_LEVELS {
        return Err(format!("rule {rule:?}: no level {}", saved.level));
    }
    // Not seen in this process: the time in between adds nothing to a timer.
    let stretch = |length: u64| Stretch::restored(Duration::from_millis(length));
    let told = saved.told.map(|told| restored(rule, told)).transpose()?;
    let phase = match saved.phase {
        Phase::Inactive => AlertState::Inactive,
        Phase::Pending => AlertState::Pending,
        // What fires was told; without that nothing could be said of its end.
        Phase::Firing if told.is_none() => return Err(format!("rule {rule:?}: fires untold")),
        Phase::Firing => AlertState::Firing,
    };
    let state = State {
        phase,
        level: saved.level,
        run: saved.run,
        counted: None,
        held: saved.held_ms.map(|held| held.map(stretch)),
        quiet: saved.quiet_ms.map(stretch),
    };
    let labels = saved.labels.iter().chain(names.iter().zip(&saved.values));
    let key = LabelSet::new(labels);
    let instance = Instance {
        state,
        value: saved.value,
        detail: None,
        asked: None,
        blind: saved.blind,
        active_at: UnixMillis(saved.active_at_ms),
        fired_at: saved.fired_at_ms.map(UnixMillis),
        fired_value: saved.fired_value,
        peak: saved.peak,
        told,
        seen: 0,
        grace: MonoMillis::default(),
        observed: saved.observed.unwrap_or(!saved.blind || !key.is_empty()),
        missing: saved.missing_ms.map(stretch),
    };
    Ok((key, instance))
}

fn restored(rule: &Arc<str>, told: Told) -> Result<Arc<Alert>, String> {
    let severity = Severity::ALL
        .into_iter()
        .find(|known| known.as_str() == told.severity);
    Ok(Arc::new(Alert {
        fingerprint: Fingerprint::of(rule, &told.labels),
        rule: Arc::clone(rule),
        severity: severity.ok_or_else(|| format!("no severity {:?}", told.severity))?,
        labels: told.labels,
        annotations: told.annotations,
        message: told.message,
        value: told.value,
        fired_value: told.fired_value,
        peak: told.peak,
        threshold: told.threshold,
        state: AlertState::Firing,
        active_at: UnixMillis(told.active_at_ms),
        fired_at: told.fired_at_ms.map(UnixMillis),
        resolved_at: None,
    }))
}
