//! Format of the state file: versioned JSON with elapsed times instead of instants.
//!
//! Pure. Owns the names in the file and their parsing. An alert that cannot be parsed is an error
//! for the file as a whole, which `state_file` then sets aside.

use std::sync::Arc;
use std::time::Duration;

use bellwether_core::{
    Alert, AlertState, Fingerprint, LabelSet, Labels, MonoMillis, Now, Severity, UnixMillis,
};
use serde::{Deserialize, Serialize, Serializer};

use crate::alert::active_alert::ActiveAlert;
use crate::alert::state_machine::{State, Timer};
use crate::eval::condition::MAX_LEVELS;
use crate::rule::Identity;
use crate::state::restore::RestoredRule;

/// Version that is written. Version 1 is read too: there an alert has the label values and its rule
/// the label names.
const VERSION: u32 = 2;

#[derive(Deserialize)]
struct File {
    rules: Vec<SavedRule>,
}

/// File to write; its rules are serialized one by one, for there may be many.
#[derive(Serialize)]
struct FileToWrite<'a> {
    version: u32,
    saved_at_ms: i64,
    #[serde(serialize_with = "serialize_rules")]
    rules: &'a [RestoredRule],
}

fn serialize_rules<S: Serializer>(rules: &[RestoredRule], out: S) -> Result<S::Ok, S::Error> {
    out.collect_seq(rules.iter().map(saved_rule))
}

#[derive(Serialize, Deserialize)]
struct SavedRule {
    name: String,
    source: String,
    matchers: String,
    add_labels: Labels,
    /// Only in version 1.
    #[serde(default, skip_serializing)]
    labels: Vec<String>,
    alerts: Vec<SavedAlert>,
}

#[derive(Serialize, Deserialize)]
struct SavedAlert {
    #[serde(default)]
    labels: Labels,
    /// Only in version 1.
    #[serde(default, skip_serializing)]
    values: Vec<String>,
    phase: Phase,
    level: usize,
    run: u32,
    held_ms: [Option<u64>; MAX_LEVELS],
    quiet_ms: Option<u64>,
    value: Option<f64>,
    #[serde(rename = "blind")]
    no_data: bool,
    active_at_ms: i64,
    fired_at_ms: Option<i64>,
    #[serde(default)]
    fired_value: Option<f64>,
    #[serde(default)]
    peak: Option<f64>,
    /// Absent in files of earlier versions.
    #[serde(default)]
    observed: Option<bool>,
    #[serde(default)]
    missing_ms: Option<u64>,
    #[serde(rename = "told")]
    notified: Option<NotifiedAlert>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Phase {
    Inactive,
    Pending,
    Firing,
}

#[derive(Serialize, Deserialize)]
struct NotifiedAlert {
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

/// Serializes `rules` to the text of a state file, saved at `now`.
///
/// # Errors
/// If `serde_json` cannot serialize them.
pub fn write(rules: &[RestoredRule], now: Now) -> Result<Vec<u8>, serde_json::Error> {
    serde_json::to_vec(&FileToWrite {
        version: VERSION,
        saved_at_ms: now.wall.0,
        rules,
    })
}

/// Parses the text of a state file.
///
/// # Errors
/// If the version is unknown, the JSON is not as expected or an alert makes no sense; the text
/// says which.
pub fn read(text: &[u8]) -> Result<Vec<RestoredRule>, String> {
    #[derive(Deserialize)]
    struct Version {
        version: u32,
    }
    let Version { version } = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    if !(1..=VERSION).contains(&version) {
        return Err(format!(
            "unsupported version {version}, expected 1 to {VERSION}"
        ));
    }
    let file: File = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    file.rules.into_iter().map(restored_rule).collect()
}

fn saved_rule(rule: &RestoredRule) -> SavedRule {
    let Identity {
        name,
        source,
        matchers,
        add_labels,
    } = rule.identity.clone();
    SavedRule {
        name: name.to_string(),
        source,
        matchers,
        add_labels,
        labels: Vec::new(),
        alerts: rule
            .alerts
            .iter()
            .map(|(key, alert)| saved_alert(key, alert))
            .collect(),
    }
}

fn saved_alert(key: &LabelSet, alert: &ActiveAlert) -> SavedAlert {
    let length = |timer: &Timer| timer.length.as_millis() as u64;
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
        no_data: alert.no_data,
        active_at_ms: alert.active_at.0,
        fired_at_ms: alert.fired_at.map(|at| at.0),
        fired_value: alert.fired_value,
        peak: alert.peak,
        observed: Some(alert.observed),
        missing_ms: alert.missing.as_ref().map(length),
        notified: alert.notified.as_deref().map(|notified| NotifiedAlert {
            severity: notified.severity.as_str().to_owned(),
            labels: notified.labels.clone(),
            annotations: notified.annotations.clone(),
            message: notified.message.clone(),
            value: notified.value,
            fired_value: notified.fired_value,
            peak: notified.peak,
            threshold: notified.threshold,
            active_at_ms: notified.active_at.0,
            fired_at_ms: notified.fired_at.map(|at| at.0),
        }),
    }
}

fn restored_rule(rule: SavedRule) -> Result<RestoredRule, String> {
    let name: Arc<str> = rule.name.into();
    let names = rule.labels;
    let alerts = rule
        .alerts
        .into_iter()
        .map(|alert| restored_alert(&name, &names, alert));
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

fn restored_alert(
    rule: &Arc<str>,
    names: &[String],
    saved: SavedAlert,
) -> Result<(LabelSet, ActiveAlert), String> {
    if saved.level >= MAX_LEVELS {
        return Err(format!("rule {rule:?}: no level {}", saved.level));
    }
    // Not observed by this process: downtime adds nothing to a timer.
    let timer = |length: u64| Timer::restored(Duration::from_millis(length));
    let notified = saved
        .notified
        .map(|notified| notified_alert(rule, notified))
        .transpose()?;
    let phase = match saved.phase {
        Phase::Inactive => AlertState::Inactive,
        Phase::Pending => AlertState::Pending,
        // Its resolved transition is made from the alert that was notified.
        Phase::Firing if notified.is_none() => {
            return Err(format!(
                "rule {rule:?}: a firing alert without its notification"
            ));
        }
        Phase::Firing => AlertState::Firing,
    };
    let state = State {
        phase,
        level: saved.level,
        run: saved.run,
        counted: None,
        held: saved.held_ms.map(|held| held.map(timer)),
        quiet: saved.quiet_ms.map(timer),
    };
    let labels = saved.labels.iter().chain(names.iter().zip(&saved.values));
    let key = LabelSet::new(labels);
    let alert = ActiveAlert {
        state,
        value: saved.value,
        detail: None,
        rendered: None,
        no_data: saved.no_data,
        active_at: UnixMillis(saved.active_at_ms),
        fired_at: saved.fired_at_ms.map(UnixMillis),
        fired_value: saved.fired_value,
        peak: saved.peak,
        notified,
        last_tick: 0,
        grace: MonoMillis::default(),
        observed: saved.observed.unwrap_or(!saved.no_data || !key.is_empty()),
        missing: saved.missing_ms.map(timer),
    };
    Ok((key, alert))
}

fn notified_alert(rule: &Arc<str>, notified: NotifiedAlert) -> Result<Arc<Alert>, String> {
    let severity = Severity::ALL
        .into_iter()
        .find(|severity| severity.as_str() == notified.severity);
    Ok(Arc::new(Alert {
        fingerprint: Fingerprint::of(rule, &notified.labels),
        rule: Arc::clone(rule),
        severity: severity.ok_or_else(|| format!("no severity {:?}", notified.severity))?,
        labels: notified.labels,
        annotations: notified.annotations,
        message: notified.message,
        value: notified.value,
        fired_value: notified.fired_value,
        peak: notified.peak,
        threshold: notified.threshold,
        state: AlertState::Firing,
        active_at: UnixMillis(notified.active_at_ms),
        fired_at: notified.fired_at_ms.map(UnixMillis),
        resolved_at: None,
    }))
}
