//! Transitions to what people want to know: from when to when an alert fired, and who heard of it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bellwether_core::{
    AlertState, Cause, Fingerprint, Labels, Notification, Severity, Status, Transition, UnixMillis,
};
use bellwether_rules::{Engine, RuleSet};

use super::RuleOutcome;
use super::pipeline::Sent;

/// One alert from its firing to its end.
#[derive(Clone, Debug, PartialEq)]
pub struct Episode {
    /// Labels of the alert.
    pub labels: Labels,
    /// The highest severity it had.
    pub severity: Severity,
    /// When the condition began to hold.
    pub active_at: UnixMillis,
    /// When it fired.
    pub fired_at: UnixMillis,
    /// When it resolved; `None`: it still fired at the end.
    pub resolved_at: Option<UnixMillis>,
    /// The value at which it fired.
    pub value: Option<f64>,
    /// Why it fired, in one sentence.
    pub reason: String,
    /// The notifications, in order.
    pub told: Vec<Told>,
}

/// One notification that would have been sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// To which channel.
    pub channel: String,
    /// What it says.
    pub status: Status,
    /// When.
    pub at: UnixMillis,
    /// Why.
    pub cause: Cause,
}

impl Episode {
    /// How long it fired; up to `end` where it did not resolve.
    #[must_use]
    pub fn lasted(&self, end: UnixMillis) -> Duration {
        self.resolved_at.unwrap_or(end).since(self.fired_at)
    }
}

/// Gathers episodes by rule.
pub(super) struct Episodes {
    rules: Vec<Gathered>,
    by_name: HashMap<Arc<str>, usize>,
}

#[derive(Default)]
struct Gathered {
    episodes: Vec<Episode>,
    /// Of each alert the newest.
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

    pub(super) fn take(&mut self, transitions: &[Transition]) {
        for transition in transitions {
            if let Some(index) = self.by_name.get(&transition.alert.rule) {
                self.rules[*index].take(transition);
            }
        }
    }

    /// Notes who was told of them.
    pub(super) fn told(&mut self, sent: Vec<Sent>) {
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
                episodes[*episode].told.push(Told {
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
    fn take(&mut self, transition: &Transition) {
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
                    told: Vec::new(),
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
