//! Schedule of a rule: after the collections of its inputs, and not too often.

use std::time::Duration;

use bellwether_core::{MonoMillis, Origin};

/// Schedule of a rule.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Schedule {
    /// Collectors of its inputs; empty: any collection.
    pub origins: Vec<Origin>,
    /// Interval of the rule, or the longest of its metrics.
    pub interval: Duration,
    /// Minimum time between two evaluations.
    pub min_interval: Duration,
}

impl Schedule {
    /// Returns true if the rule is due: `waited` since its last evaluation (`None`: there was
    /// none), `idle` since that or the start, and `collected` has just run (`None`: everything).
    #[must_use]
    pub fn is_due(
        &self,
        waited: Option<Duration>,
        idle: Duration,
        collected: Option<&[Origin]>,
    ) -> bool {
        // Collections are a little early now and then; a tenth does not count.
        let early =
            waited.is_some_and(|waited| waited + self.min_interval / 10 < self.min_interval);
        let concerned = collected.is_none_or(|collected| {
            self.origins.is_empty()
                || self.origins.iter().any(|origin| collected.contains(origin))
                || idle >= self.interval.mul_f64(1.5)
        });
        concerned && !early
    }
}

/// Last evaluation of a rule.
#[derive(Clone, Copy, Debug, Default)]
pub struct LastRun {
    /// Time of the last evaluation, or of the start.
    pub at: MonoMillis,
    /// False before the first evaluation.
    pub any: bool,
}

impl LastRun {
    #[must_use]
    pub fn none(now: MonoMillis) -> Self {
        Self {
            at: now,
            any: false,
        }
    }

    /// Returns true if the rule is due at `now`, and records the evaluation.
    pub fn start_if_due(
        &mut self,
        schedule: &Schedule,
        now: MonoMillis,
        collected: Option<&[Origin]>,
    ) -> bool {
        let idle = now.since(self.at);
        let due = schedule.is_due(self.any.then_some(idle), idle, collected);
        if due {
            *self = Self { at: now, any: true };
        }
        due
    }
}
