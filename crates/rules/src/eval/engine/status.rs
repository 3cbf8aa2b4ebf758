//! Alerts and rules of the engine, for the API.

use std::time::Duration;

use bellwether_core::{Alert, AlertState, Fingerprint};
use hashbrown::HashMap;

use super::{Engine, Evaluation, RuleState};
use crate::query::recording::Recording;
use crate::rule::Rule;

/// Status of one rule.
#[derive(Clone, Copy, Debug)]
pub struct RuleStatus<'a> {
    pub rule: &'a Rule,
    /// Highest state of its alerts.
    pub state: AlertState,
    /// Number of pending alerts.
    pub pending: usize,
    /// Number of firing alerts.
    pub firing: usize,
    /// Last evaluation.
    pub last: Option<&'a Evaluation>,
}

/// Status of one recording rule.
#[derive(Clone, Copy, Debug)]
pub struct RecordingStatus<'a> {
    pub rule: &'a Recording,
    /// Last evaluation; `holds` is the number of recorded series.
    pub last: Option<&'a Evaluation>,
}

impl Engine {
    /// Returns the pending and firing alerts, in the order of the rules.
    #[must_use]
    pub fn alerts(&self) -> Vec<Alert> {
        self.alerts_where(|_| true)
    }

    /// Returns the pending and firing alerts of the rules for which `wanted` is true.
    #[must_use]
    pub fn alerts_where(&self, wanted: impl Fn(&Rule) -> bool) -> Vec<Alert> {
        let mut alerts = Vec::new();
        let rules = self.set.rules.iter().zip(&self.rule_states);
        for (rule, rule_state) in rules.filter(|(rule, _)| wanted(rule)) {
            let start = alerts.len();
            let shown = rule_state
                .alerts
                .iter()
                .filter(|(_, alert)| alert.phase() != AlertState::Inactive);
            alerts.extend(shown.map(|(key, alert)| alert.alert(rule, &self.set.templates, key)));
            alerts[start..].sort_by(|a, b| a.labels.cmp(&b.labels));
        }
        alerts
    }

    /// Returns for each pending or firing alert the time for which its series has been missing.
    #[must_use]
    pub fn missing(&self) -> HashMap<Fingerprint, Duration> {
        let mut all = HashMap::new();
        for (rule, rule_state) in self.set.rules.iter().zip(&self.rule_states) {
            for (key, alert) in rule_state
                .alerts
                .iter()
                .filter(|(_, alert)| !alert.is_idle())
            {
                if let Some(missing) = alert.missing {
                    let labels = rule.alert_labels(key);
                    all.insert(Fingerprint::of(&rule.name, &labels), missing.length);
                }
            }
        }
        all
    }

    /// Returns the recording rules, in the order of the configuration.
    pub fn recordings(&self) -> impl Iterator<Item = RecordingStatus<'_>> {
        let recording_state = self.set.recordings.iter().zip(&self.recording_states);
        recording_state.map(|(rule, recording_state)| RecordingStatus {
            rule,
            last: recording_state.last.as_ref(),
        })
    }

    /// Returns the rules, in the order of the configuration.
    pub fn rules(&self) -> impl Iterator<Item = RuleStatus<'_>> {
        let rules = self.set.rules.iter().zip(&self.rule_states);
        rules.map(|(rule, rule_state)| rule_state.status(rule))
    }
}

impl RuleState {
    fn status<'a>(&'a self, rule: &'a Rule) -> RuleStatus<'a> {
        let count = |phase| {
            let alerts = self.alerts.values();
            alerts.filter(|alert| alert.phase() == phase).count()
        };
        let (pending, firing) = (count(AlertState::Pending), count(AlertState::Firing));
        RuleStatus {
            rule,
            state: match (pending, firing) {
                (0, 0) => AlertState::Inactive,
                (_, 0) => AlertState::Pending,
                _ => AlertState::Firing,
            },
            pending,
            firing,
            last: self.last.as_ref(),
        }
    }
}
