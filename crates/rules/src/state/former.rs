//! State files of versions 1 and 2.

use bellwether_core::{Alert, AlertState, Fingerprint, Labels, Severity, UnixMillis};
use bellwether_files::durable::StateError;
use serde::Deserialize;

use super::restore::RestoredRule;
use super::saved::{SavedAlert, SavedAlerts, SavedRule, SavedState};
use crate::eval::condition::MAX_LEVELS;

#[derive(Deserialize)]
struct FormerFile {
    saved_at_ms: UnixMillis,
    rules: Vec<FormerRule>,
}

#[derive(Deserialize)]
struct FormerRule {
    name: String,
    source: String,
    matchers: String,
    add_labels: Labels,
    /// Label names of version 1.
    #[serde(default)]
    labels: Vec<String>,
    alerts: Vec<FormerAlert>,
}

#[derive(Deserialize)]
struct FormerAlert {
    #[serde(default)]
    labels: Labels,
    /// Label values of version 1.
    #[serde(default)]
    values: Vec<String>,
    phase: AlertState,
    level: usize,
    run: u32,
    held_ms: [Option<u64>; MAX_LEVELS],
    quiet_ms: Option<u64>,
    value: Option<f64>,
    blind: bool,
    active_at_ms: UnixMillis,
    fired_at_ms: Option<UnixMillis>,
    fired_value: Option<f64>,
    peak: Option<f64>,
    observed: Option<bool>,
    missing_ms: Option<u64>,
    #[serde(rename = "told")]
    notified: Option<FormerNotified>,
}

#[derive(Deserialize)]
struct FormerNotified {
    severity: Severity,
    labels: Labels,
    annotations: Labels,
    message: String,
    value: Option<f64>,
    fired_value: Option<f64>,
    peak: Option<f64>,
    threshold: Option<f64>,
    active_at_ms: UnixMillis,
    fired_at_ms: Option<UnixMillis>,
}

/// Parses `text` of `version`.
pub(super) fn parse(version: u32, text: &[u8]) -> Result<SavedAlerts, StateError> {
    if version == 0 {
        return Err(StateError::Older(version));
    }
    let FormerFile { saved_at_ms, rules } = serde_json::from_slice(text)?;
    let rules = rules.into_iter().map(FormerRule::into_rule);
    Ok(SavedAlerts {
        saved_at: saved_at_ms,
        rules: rules
            .map(RestoredRule::try_from)
            .collect::<Result<_, _>>()
            .map_err(StateError::Invalid)?,
    })
}

impl FormerRule {
    fn into_rule(self) -> SavedRule {
        let alerts = self.alerts.into_iter();
        SavedRule {
            alerts: alerts
                .map(|alert| alert.into_alert(&self.name, &self.labels))
                .collect(),
            name: self.name,
            source: self.source,
            matchers: self.matchers,
            add_labels: self.add_labels,
        }
    }
}

impl FormerAlert {
    /// Converts an alert of `rule`; `names` are its label names in version 1.
    fn into_alert(self, rule: &str, names: &[String]) -> SavedAlert {
        let mut labels = self.labels;
        labels.extend(names.iter().cloned().zip(self.values));
        SavedAlert {
            observed: self.observed.unwrap_or(!self.blind || !labels.is_empty()),
            labels,
            state: SavedState {
                phase: self.phase,
                level: self.level,
                run: self.run,
                held_ms: self.held_ms,
                quiet_ms: self.quiet_ms,
                closed: false,
            },
            value: self.value,
            no_data: self.blind,
            active_at: self.active_at_ms,
            fired_at: self.fired_at_ms,
            fired_value: self.fired_value,
            peak: self.peak,
            missing_ms: self.missing_ms,
            notified: self.notified.map(|notified| notified.into_alert(rule)),
        }
    }
}

impl FormerNotified {
    fn into_alert(self, rule: &str) -> Alert {
        Alert {
            fingerprint: Fingerprint::of(rule, &self.labels),
            rule: rule.into(),
            severity: self.severity,
            labels: self.labels,
            annotations: self.annotations,
            message: self.message,
            value: self.value,
            fired_value: self.fired_value,
            peak: self.peak,
            threshold: self.threshold,
            state: AlertState::Firing,
            active_at: self.active_at_ms,
            fired_at: self.fired_at_ms,
            resolved_at: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use bellwether_core::LabelSet;
    use bellwether_files::durable::JsonFile;

    use super::*;

    const FILE: &str = include_str!("../../../../tests/fixtures/state/alerts.json");

    fn rules(text: &str) -> Vec<RestoredRule> {
        let saved = JsonFile::<SavedAlerts>::parse(text.as_bytes());
        saved.unwrap().rules
    }

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    /// A file that version 0.1 left.
    #[test]
    fn a_file_of_version_2_is_read() {
        let rules = rules(FILE);
        let counts: Vec<(&str, usize)> = rules
            .iter()
            .map(|rule| (&*rule.identity.name, rule.alerts.len()))
            .collect();
        assert_eq!(
            counts,
            [
                ("backlog", 1),
                ("slow", 1),
                ("levels", 2),
                ("gone", 1),
                ("target", 1)
            ]
        );
        let (key, backlog) = &rules[0].alerts[0];
        let queue = labels(&[("queue_name", "mail")]);
        assert_eq!(*key, LabelSet::new(&queue));
        assert_eq!(backlog.state.condition_duration().as_millis(), 6801);
        assert!(backlog.observed && !backlog.no_data);
        let (active_at, fired_at) = (UnixMillis(1_795_918_113_058), UnixMillis(1_795_918_114_058));
        let notified = Alert {
            annotations: labels(&[("runbook", "https://x/é")]),
            message: "42.5 wait in mail".into(),
            value: Some(42.5),
            fired_value: Some(42.5),
            peak: Some(42.5),
            threshold: Some(10.0),
            active_at,
            fired_at: Some(fired_at),
            ..Alert::firing("backlog", Severity::Critical, queue)
        };
        assert_eq!(backlog.notified.as_deref(), Some(&notified));
        assert_eq!(
            (backlog.value, backlog.fired_value, backlog.peak),
            (Some(42.5), Some(42.5), Some(42.5))
        );
        assert_eq!(
            (backlog.active_at, backlog.fired_at),
            (active_at, Some(fired_at))
        );
        let slow = &rules[1].alerts[0].1;
        assert_eq!((slow.phase(), &slow.notified), (AlertState::Pending, &None));
        let levels = &rules[2].alerts[1].1;
        assert_eq!(
            (levels.state.level, levels.state.quiet.is_some()),
            (1, true)
        );
        let gone = &rules[3].alerts[0].1;
        assert_eq!(
            (gone.no_data, gone.observed, gone.value),
            (true, false, None)
        );
        let again = super::super::saved::roundtrip(rules.clone(), bellwether_core::Now::default());
        assert_eq!(again.unwrap(), rules);
    }

    #[test]
    fn a_file_of_version_1_has_label_names_and_values_apart() {
        let first = FILE.replace(r#""version":2"#, r#""version":1"#).replace(
            r#""alerts":[{"labels":{"queue_name":"mail"},"#,
            r#""labels":["queue_name"],"alerts":[{"values":["mail"],"#,
        );
        let first = first.replace(
            r#"{"labels":{"queue_name":"mail2"},"#,
            r#"{"values":["mail2"],"#,
        );
        assert!(first.contains(r#"{"values":["mail2"]"#), "{first}");
        assert_eq!(rules(&first), rules(FILE));
    }

    #[test]
    fn the_first_files_of_version_2_have_no_values_of_the_firing() {
        let first = FILE.replace(r#""fired_value":42.5,"peak":42.5,"#, "");
        assert_ne!(first, FILE);
        let alert = &rules(&first)[0].alerts[0].1;
        assert_eq!(
            (alert.value, alert.fired_value, alert.peak),
            (Some(42.5), None, None)
        );
    }
}
