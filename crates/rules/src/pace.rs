//! When a rule is judged: after the collections that concern it, and not too often.

use std::time::Duration;

use bellwether_core::{MonoMillis, Origin};

/// When a rule is judged.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Schedule {
    /// The collectors that fill what it looks at; none: any collection will do.
    pub origins: Vec<Origin>,
    /// How often it is judged, or its metrics are collected; of several the longest.
    pub interval: Duration,
    /// The shortest time between two judgements.
    pub least: Duration,
}

impl Schedule {
    /// Whether it is time, where `waited` have passed since it was judged last (`None`: never),
    /// or since the start (`idle`), and `filled` was collected just now (`None`: everything).
    #[must_use]
    pub fn is_due(
        &self,
        waited: Option<Duration>,
        idle: Duration,
        filled: Option<&[Origin]>,
    ) -> bool {
        // A collection comes a little early now and then; a tenth is no other pace.
        let early = waited.is_some_and(|waited| waited + self.least / 10 < self.least);
        let concerned = filled.is_none_or(|filled| {
            self.origins.is_empty()
                || self.origins.iter().any(|origin| filled.contains(origin))
                || idle >= self.interval.mul_f64(1.5)
        });
        concerned && !early
    }
}

/// When something was judged.
#[derive(Clone, Copy, Debug, Default)]
pub struct Judgements {
    /// The last time, or when it began.
    pub at: MonoMillis,
    /// Whether it ever was.
    pub any: bool,
}

impl Judgements {
    /// None yet.
    #[must_use]
    pub fn none(now: MonoMillis) -> Self {
        Self {
            at: now,
            any: false,
        }
    }

    /// Whether it is time at `now`; takes it as done then.
    pub fn take_turn(
        &mut self,
        pace: &Schedule,
        now: MonoMillis,
        filled: Option<&[Origin]>,
    ) -> bool {
        let idle = now.since(self.at);
        let due = pace.is_due(self.any.then_some(idle), idle, filled);
        if due {
            *self = Self { at: now, any: true };
        }
        due
    }
}
