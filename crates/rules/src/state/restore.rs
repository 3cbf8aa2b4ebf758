//! Alerts over a reload and over a restart.
//!
//! Owns which alerts keep their state and which transitions the others get: an alert that was
//! notified as firing is either kept or resolved, never forgotten. Knows no files; they are in
//! `saved`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bellwether_core::{Alert, AlertState, LabelSet, MonoMillis, Now, Transition};
use serde::Deserialize;

use crate::alert::active_alert::ActiveAlert;
use crate::alert::limit;
use crate::eval::engine::{Engine, Evaluation, RecordingState};
use crate::query::recording::Recording;
use crate::rule::Identity;
use crate::state::saved::SavedRule;

/// Shortest time after a restart in which a missing series does not count as stale.
const GRACE: Duration = Duration::from_secs(60);

/// Alerts of one rule, from one engine to another.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "SavedRule")]
pub struct RestoredRule {
    pub identity: Identity,
    /// Each alert with the labels that identify it.
    pub alerts: Vec<(LabelSet, ActiveAlert)>,
}

impl Engine {
    /// Adopts the alerts of the engine before a reload. Alerts of rules with the same `Identity`
    /// keep their state. Firing alerts of the other rules resolve; returns their transitions.
    #[must_use]
    pub fn adopt(&mut self, old: Engine, now: Now) -> Vec<Transition> {
        self.continue_counts(old.counts());
        self.adopt_recordings(&old.set.recordings, old.recording_states);
        let mut before: BTreeMap<Identity, (String, MonoMillis, Option<Evaluation>)> =
            BTreeMap::new();
        let mut restored = Vec::new();
        for (rule, rule_state) in old.set.rules.iter().zip(old.rule_states) {
            let history = (rule.subject.clone(), rule_state.since, rule_state.last);
            before.insert(rule.identity.clone(), history);
            restored.push(RestoredRule {
                identity: rule.identity.clone(),
                alerts: rule_state
                    .alerts
                    .into_iter()
                    .map(|(key, alert)| (key, *alert))
                    .collect(),
            });
        }
        let set = Arc::clone(&self.set);
        for (rule, rule_state) in set.rules.iter().zip(&mut self.rule_states) {
            let Some((subject, since, last)) = before.remove(&rule.identity) else {
                continue;
            };
            rule_state.last = last;
            // A rule that reads other samples than before may have none of them yet.
            if subject == rule.subject {
                rule_state.since = since;
            }
        }
        self.insert_alerts(restored, now)
    }

    /// Restores the alerts of the process before this one. Timers continue from their elapsed time;
    /// downtime adds nothing to them. Firing alerts whose rules are gone resolve; returns their
    /// transitions. The others make no transition until they are evaluated.
    #[must_use]
    pub fn restore(&mut self, mut restored: Vec<RestoredRule>, now: Now) -> Vec<Transition> {
        let longest = self
            .set
            .rules
            .iter()
            .map(|rule| rule.policy.tolerance)
            .max();
        let grace = now.mono.after(longest.unwrap_or_default().max(GRACE));
        for (_, alert) in restored.iter_mut().flat_map(|rule| &mut rule.alerts) {
            alert.grace = grace;
        }
        self.insert_alerts(restored, now)
    }

    /// Hands the recorded series to the same recording rule, or ends them where there is none.
    fn adopt_recordings(&mut self, rules: &[Recording], states: Vec<RecordingState>) {
        let set = Arc::clone(&self.set);
        for (rule, state) in rules.iter().zip(states) {
            match set
                .recordings
                .iter()
                .position(|new| new.enabled && new.is_same(rule))
            {
                Some(index) => {
                    let new = &mut self.recording_states[index];
                    (new.series, new.last) = (state.series, state.last);
                }
                None => self.ended_series.extend(state.series),
            }
        }
    }

    fn insert_alerts(&mut self, restored: Vec<RestoredRule>, now: Now) -> Vec<Transition> {
        let set = Arc::clone(&self.set);
        let mut places: BTreeMap<&Identity, usize> = BTreeMap::new();
        for (index, rule) in set.rules.iter().enumerate() {
            places.insert(&rule.identity, index);
        }
        let mut transitions = Vec::new();
        for RestoredRule { identity, alerts } in restored {
            let place = places.get(&identity).copied();
            let enabled = place.filter(|index| set.rules[*index].enabled);
            let (mut fitting, lost): (Vec<_>, Vec<_>) = alerts
                .into_iter()
                .partition(|(key, _)| enabled.is_some_and(|index| set.rules[index].fits(key)));
            if let Some(index) = enabled {
                let over_limit = limit::remove_over_limit(&mut fitting, set.rules[index].limit);
                let boxed = fitting
                    .into_iter()
                    .map(|(key, alert)| (key, Box::new(alert)));
                self.rule_states[index].alerts = boxed.collect();
                transitions.extend(resolve_firing(
                    over_limit,
                    "left out by the new limit of the rule",
                    now,
                ));
            }
            let same_name = set.rules.iter().any(|rule| rule.name == identity.name);
            let reason = match (place, same_name) {
                (Some(index), _) if !set.rules[index].enabled => "rule disabled",
                (_, true) => "rule changed",
                (_, false) => "rule removed",
            };
            transitions.extend(resolve_firing(lost, reason, now));
        }
        self.count_transitions(&transitions);
        transitions
    }

    /// Returns the alerts that a restart must not lose, by rule.
    #[must_use]
    pub fn snapshot(&self) -> Vec<RestoredRule> {
        let rules = self.set.rules.iter().zip(&self.rule_states);
        rules
            .filter(|(_, rule_state)| !rule_state.alerts.is_empty())
            .map(|(rule, rule_state)| {
                let alerts = rule_state.alerts.iter();
                let mut alerts: Vec<_> = alerts
                    .map(|(key, alert)| (key.clone(), ActiveAlert::clone(alert)))
                    .collect();
                alerts.sort_by(|a, b| a.0.cmp(&b.0));
                RestoredRule {
                    identity: rule.identity.clone(),
                    alerts,
                }
            })
            .collect()
    }
}

/// Returns the resolved transitions of the firing ones of `alerts`, ordered by labels.
fn resolve_firing(alerts: Vec<(LabelSet, ActiveAlert)>, reason: &str, now: Now) -> Vec<Transition> {
    let mut transitions: Vec<Transition> = alerts
        .into_iter()
        .filter(|(_, alert)| alert.phase() == AlertState::Firing)
        .filter_map(|(_, alert)| {
            let notified: Arc<Alert> = alert.notified.clone()?;
            Some(alert.resolved(&notified, reason.to_owned(), reason.to_owned(), now.wall))
        })
        .collect();
    transitions.sort_by(|a, b| a.alert.labels.cmp(&b.alert.labels));
    transitions
}

#[cfg(test)]
mod tests;
