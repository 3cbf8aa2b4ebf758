//! Transitions to what people want to know: from when to when an alert fired, and who heard of it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::RuleOutcome;
use crate::model::{AlertState, Fingerprint, Labels, Severity, Status, Transition, Wall};
use crate::notify::Preview;
use crate::rules::{Engine, RuleSet};

/// One alert from its firing to its end.
#[derive(Clone, Debug, PartialEq)]
pub struct Episode {
    /// Labels of the alert.
    pub labels: Labels,
    /// The highest severity it had.
    pub severity: Severity,
    /// When the condition began to hold.
    pub active_at: Wall,
    /// When it fired.
    pub fired_at: Wall,
    /// When it resolved; `None`: it still fired at the end.
    pub resolved_at: Option<Wall>,
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
    pub at: Wall,
}

impl Episode {
    /// How long it fired; up to `end` where it did not resolve.
    #[must_use]
    pub fn lasted(&self, end: Wall) -> Duration {
        self.resolved_at.unwrap_or(end).since(self.fired_at)
    }
}

/// Gathers episodes by rule.
pub(super) struct Episodes {
    rules: Vec<Gathered>,
    by_name: HashMap<Arc<str>, usize>,
    preview: Preview,
}

#[derive(Default)]
struct Gathered {
    episodes: Vec<Episode>,
    open: HashMap<Fingerprint, usize>,
    averted: u64,
}

impl Episodes {
    pub(super) fn new(rules: &RuleSet, preview: Preview) -> Self {
        let names = rules.rules.iter().map(|rule| Arc::clone(&rule.name));
        Self {
            rules: rules.rules.iter().map(|_| Gathered::default()).collect(),
            by_name: names.zip(0..).collect(),
            preview,
        }
    }

    pub(super) fn take(&mut self, transitions: &[Transition]) {
        for transition in transitions {
            let Some(index) = self.by_name.get(&transition.alert.rule) else { continue };
            let told = self.preview.accept(transition).into_iter().map(|(channel, note)| Told {
                channel: channel.to_owned(),
                status: note.status,
                at: note.at,
            });
            self.rules[*index].take(transition, told.collect());
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
    fn take(&mut self, transition: &Transition, told: Vec<Told>) {
        let alert = &transition.alert;
        let open = self.open.get(&alert.fingerprint).copied();
        match (transition.from, alert.state, open) {
            (AlertState::Pending, AlertState::Inactive, _) => self.averted += 1,
            (_, AlertState::Firing, None) => {
                self.open.insert(alert.fingerprint, self.episodes.len());
                self.episodes.push(Episode {
                    labels: alert.labels.clone(),
                    severity: alert.severity,
                    active_at: alert.active_at,
                    fired_at: transition.at,
                    resolved_at: None,
                    value: alert.value,
                    reason: transition.reason.clone(),
                    told,
                });
            }
            (_, _, Some(index)) => {
                let episode = &mut self.episodes[index];
                episode.severity = episode.severity.max(alert.severity);
                episode.told.extend(told);
                if alert.state == AlertState::Inactive {
                    episode.resolved_at = Some(transition.at);
                    self.open.remove(&alert.fingerprint);
                }
            }
            _ => {}
        }
    }
}
