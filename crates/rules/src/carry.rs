//! Alerts over a reload and over a restart.
//!
//! Owns which state goes on and what must be said of the rest: an alert that was told as firing
//! is either carried on or resolved, never forgotten. Files are the business of `state_file`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bellwether_core::{Alert, AlertState, LabelSet, MonoMillis, Now, Transition};

use super::engine::{Engine, Evaluation, Kept};
use super::instance::Instance;
use super::limit;
use super::recording::Recording;
use super::rule::Identity;

/// How long after a restart a missing series does not count as gone.
const GRACE: Duration = Duration::from_secs(60);

/// The alerts of one rule on their way to another engine.
#[derive(Clone, Debug, PartialEq)]
pub struct RestoredRule {
    /// Which rule.
    pub identity: Identity,
    /// The alerts by the labels of their series.
    pub alerts: Vec<(LabelSet, Instance)>,
}

impl Engine {
    /// Takes over from the engine of the declaration before: alerts of rules whose name, metric
    /// or expression and labels are the same go on as they are; firing ones of the others resolve,
    /// which is what the transitions tell.
    #[must_use]
    pub fn adopt(&mut self, old: Engine, now: Now) -> Vec<Transition> {
        self.continue_counts(old.counts());
        self.go_on_recording(&old.set.recordings, old.recorded);
        let mut before: BTreeMap<Identity, (String, MonoMillis, Option<Evaluation>)> =
            BTreeMap::new();
        let mut carried = Vec::new();
        for (rule, judged) in old.set.rules.iter().zip(old.judged) {
            let history = (rule.subject.clone(), judged.since, judged.last);
            before.insert(rule.identity.clone(), history);
            carried.push(RestoredRule {
                identity: rule.identity.clone(),
                alerts: judged
                    .alerts
                    .into_iter()
                    .map(|(key, alert)| (key, *alert))
                    .collect(),
            });
        }
        let set = Arc::clone(&self.set);
        for (rule, judged) in set.rules.iter().zip(&mut self.judged) {
            let Some((subject, since, last)) = before.remove(&rule.identity) else {
                continue;
            };
            judged.last = last;
            // What looks at other samples than before may have none of them yet.
            if subject == rule.subject {
                judged.since = since;
            }
        }
        self.take(carried, now)
    }

    /// Takes over what a process before this one left: timers go on where they stood, the time in
    /// between counts for nothing. Firing alerts whose rules are gone resolve, which is what the
    /// transitions tell; the others stay quiet until they are judged.
    #[must_use]
    pub fn restore(&mut self, mut carried: Vec<RestoredRule>, now: Now) -> Vec<Transition> {
        let longest = self
            .set
            .rules
            .iter()
            .map(|rule| rule.policy.tolerance)
            .max();
        let grace = now.mono.after(longest.unwrap_or_default().max(GRACE));
        for (_, alert) in carried.iter_mut().flat_map(|carried| &mut carried.alerts) {
            alert.grace = grace;
        }
        self.take(carried, now)
    }

    /// Series that a recording rule made go on where the rule does, and end where it is gone.
    fn go_on_recording(&mut self, rules: &[Recording], kept: Vec<Kept>) {
        let set = Arc::clone(&self.set);
        for (rule, kept) in rules.iter().zip(kept) {
            let same = |new: &Recording| new.enabled && new.is_same(rule);
            match set.recordings.iter().position(same) {
                Some(index) => {
                    let new = &mut self.recorded[index];
                    (new.series, new.last) = (kept.series, kept.last);
                }
                None => self.leaving.extend(kept.series),
            }
        }
    }

    fn take(&mut self, carried: Vec<RestoredRule>, now: Now) -> Vec<Transition> {
        let set = Arc::clone(&self.set);
        let mut places: BTreeMap<&Identity, usize> = BTreeMap::new();
        for (index, rule) in set.rules.iter().enumerate() {
            places.insert(&rule.identity, index);
        }
        let mut transitions = Vec::new();
        for RestoredRule { identity, alerts } in carried {
            let place = places.get(&identity).copied();
            let enabled = place.filter(|index| set.rules[*index].enabled);
            let fits = |key: &LabelSet| enabled.is_some_and(|index| set.rules[index].fits(key));
            let (mut kept, lost): (Vec<_>, Vec<_>) =
                alerts.into_iter().partition(|(key, _)| fits(key));
            if let Some(index) = enabled {
                let over = limit::surplus(&mut kept, set.rules[index].limit);
                let boxed = kept.into_iter().map(|(key, alert)| (key, Box::new(alert)));
                self.judged[index].alerts = boxed.collect();
                transitions.extend(ended(over, "left out by the new limit of the rule", now));
            }
            let known = set.rules.iter().any(|rule| rule.name == identity.name);
            let reason = match (place, known) {
                (Some(index), _) if !set.rules[index].enabled => "rule disabled",
                (_, true) => "rule changed",
                (_, false) => "rule removed",
            };
            transitions.extend(ended(lost, reason, now));
        }
        self.count_transitions(&transitions);
        transitions
    }

    /// What a restart must not lose.
    #[must_use]
    pub fn carried(&self) -> Vec<RestoredRule> {
        let rules = self.set.rules.iter().zip(&self.judged);
        rules
            .filter(|(_, judged)| !judged.alerts.is_empty())
            .map(|(rule, judged)| {
                let alerts = judged.alerts.iter();
                let mut alerts: Vec<_> = alerts
                    .map(|(key, alert)| (key.clone(), Instance::clone(alert)))
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

/// The end of the firing ones of `alerts`.
fn ended(alerts: Vec<(LabelSet, Instance)>, reason: &str, now: Now) -> Vec<Transition> {
    let mut ended: Vec<Transition> = alerts
        .into_iter()
        .filter(|(_, alert)| alert.phase() == AlertState::Firing)
        .filter_map(|(_, alert)| {
            let told: Arc<Alert> = alert.told.clone()?;
            Some(alert.resolved(&told, reason.to_owned(), reason.to_owned(), now.wall))
        })
        .collect();
    ended.sort_by(|a, b| a.alert.labels.cmp(&b.alert.labels));
    ended
}

#[cfg(test)]
mod tests;
