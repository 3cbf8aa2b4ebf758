//! Transitions to episodes: the time that an alert fired, and its notifications.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bellwether_core::{
    AlertState, Cause, Fingerprint, Labels, Notification, Severity, Status, Transition, UnixMillis,
};
use bellwether_rules::{Engine, RuleSet};

use super::RuleOutcome;
use super::pipeline::Sent;

/// One alert from firing to resolving.
#[derive(Clone, Debug, PartialEq)]
pub struct Episode {
    /// Labels of the alert.
    pub labels: Labels,
    /// Highest severity.
    pub severity: Severity,
    /// Time at which the condition became true.
    pub active_at: UnixMillis,
    /// Time of firing.
    pub fired_at: UnixMillis,
    /// Time of resolving; `None`: the alert still fired at the end.
    pub resolved_at: Option<UnixMillis>,
    /// Value at which it fired.
    pub value: Option<f64>,
    /// Reason for firing, as a sentence.
    pub reason: String,
    /// Notifications in order of time.
    pub notifications: Vec<EpisodeNotification>,
}

/// A notification that would have been sent.
#[derive(Clone, Debug, PartialEq)]
pub struct EpisodeNotification {
    /// Channel.
    pub channel: String,
    /// Firing or resolved.
    pub status: Status,
    pub at: UnixMillis,
    pub cause: Cause,
}

impl Episode {
    /// Returns how long the alert fired; up to `end` if it did not resolve.
    #[must_use]
    pub fn lasted(&self, end: UnixMillis) -> Duration {
        self.resolved_at.unwrap_or(end).since(self.fired_at)
    }
}

/// Collects episodes by rule.
pub(super) struct Episodes {
    rules: Vec<Gathered>,
    by_name: HashMap<Arc<str>, usize>,
}

#[derive(Default)]
struct Gathered {
    episodes: Vec<Episode>,
    /// Index of the newest episode of each alert.
    last: HashMap<Fingerprint, usize>,
    averted: u64,
}

impl Episodes {
    pub(super) fn new(rules: &RuleSet) -> Self {
        let names = rules.rules.iter().map(|rule| Arc::clone(&rule.name));
        Self {
            rules: rules.rules.iter().map(|_| Gathered::default()).collect(),
            by_name: names.zip(0..).collect(),
        }
    }

    pub(super) fn record(&mut self, transitions: &[Transition]) {
        for transition in transitions {
            if let Some(index) = self.by_name.get(&transition.alert.rule) {
                self.rules[*index].record(transition);
            }
        }
    }

    /// Adds notifications to their episodes.
    pub(super) fn notified(&mut self, sent: Vec<Sent>) {
        for Sent {
            channel,
            notification,
            at,
        } in sent
        {
            let Some(index) = self.by_name.get(&notification.alert.rule) else {
                continue;
            };
            let Gathered { episodes, last, .. } = &mut self.rules[*index];
            if let Some(episode) = last.get(&notification.alert.fingerprint) {
                let Notification { status, cause, .. } = notification;
                episodes[*episode].notifications.push(EpisodeNotification {
                    channel,
                    status,
                    at: at.wall,
                    cause,
                });
            }
        }
    }

    pub(super) fn finish(self, engine: &Engine) -> Vec<RuleOutcome> {
        let all = self.rules.into_iter().zip(engine.rules());
        all.filter(|(_, status)| status.rule.enabled)
            .map(|(gathered, status)| RuleOutcome {
                name: Arc::clone(&status.rule.name),
                condition: status.rule.condition(),
                episodes: gathered.episodes,
                averted: gathered.averted,
                error: status.last.and_then(|last| last.error.clone()),
            })
            .collect()
    }
}

impl Gathered {
    fn record(&mut self, transition: &Transition) {
        let alert = &transition.alert;
        let last = self.last.get(&alert.fingerprint).copied();
        let open = last.filter(|index| self.episodes[*index].resolved_at.is_none());
        match (transition.from, alert.state, open) {
            (AlertState::Pending, AlertState::Inactive, _) => self.averted += 1,
            (_, AlertState::Firing, None) => {
                self.last.insert(alert.fingerprint, self.episodes.len());
                self.episodes.push(Episode {
                    labels: alert.labels.clone(),
                    severity: alert.severity,
                    active_at: alert.active_at,
                    fired_at: transition.at,
                    resolved_at: None,
                    value: alert.value,
                    reason: transition.reason.clone(),
                    notifications: Vec::new(),
                });
            }
            (_, _, Some(index)) => {
                let episode = &mut self.episodes[index];
                episode.severity = episode.severity.max(alert.severity);
                if alert.state == AlertState::Inactive {
                    episode.resolved_at = Some(transition.at);
                }
            }
            _ => {}
        }
    }
}
