//! Ticks for rules that query only history: no collection triggers their evaluation.

use std::collections::BTreeSet;
use std::time::Duration;

use bellwether_core::{Origin, UnixMillis};
use bellwether_rules::{RuleSet, Schedule};

/// Returns evenly spaced times of evaluations.
pub(super) struct Ticker {
    /// Collectors whose collections the ticks stand for; without any there are no ticks.
    pub(super) origins: Vec<Origin>,
    every: Duration,
    next: UnixMillis,
}

impl Ticker {
    /// Creates the ticks for the rules that none of the replayed collectors triggers, from `start`
    /// on.
    pub(super) fn new(rules: &RuleSet, fed: &[Origin], start: UnixMillis) -> Self {
        let asking = rules
            .rules
            .iter()
            .filter(|rule| rule.enabled && rule.inputs().is_empty());
        let recording = rules
            .recordings
            .iter()
            .filter(|recording| recording.enabled);
        let paces: Vec<&Schedule> = asking
            .map(|rule| &rule.schedule)
            .chain(recording.map(|recording| &recording.schedule))
            .filter(|pace| !pace.origins.iter().any(|origin| fed.contains(origin)))
            .collect();
        let origins: BTreeSet<Origin> = paces
            .iter()
            .flat_map(|pace| {
                pace.origins
                    .iter()
                    .copied()
                    .chain(pace.origins.is_empty().then_some(Origin::SELF_METRICS))
            })
            .collect();
        let every = paces
            .iter()
            .map(|pace| pace.interval.max(pace.min_interval))
            .min();
        // Without a pace of its own a rule must not stop the clock.
        let every = every.unwrap_or_default().max(Duration::from_secs(1));
        Self {
            origins: origins.into_iter().collect(),
            every,
            next: start,
        }
    }

    /// Returns the next tick up to `until`, if there is one.
    pub(super) fn next_tick(&mut self, until: UnixMillis) -> Option<UnixMillis> {
        let due = self.next <= until && !self.origins.is_empty();
        due.then(|| {
            let every = i64::try_from(self.every.as_millis()).unwrap_or(i64::MAX);
            let after = UnixMillis(self.next.0.saturating_add(every));
            std::mem::replace(&mut self.next, after)
        })
    }
}
