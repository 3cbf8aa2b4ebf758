//! State machine of one alert: `step(state, observation, now, policy)`, pure.
//!
//! Owns phases, timers, levels and counts. Knows no clock, no series and no text.
//!
//! Time counts only while the condition is observed: two observations at most [`Policy::tolerance`]
//! apart count the time between them; a longer gap (a stalled process, a collector that hung, a
//! restart) adds nothing to a timer and resets nothing. So no alert fires or resolves because of
//! time that nobody observed, and a single failed collection neither delays nor resets one.
//! Prometheus counts such gaps by the wall clock, or resets its timers.
//!
//! Evaluations come milliseconds early or late. A timer ends at the evaluation that is nearest to
//! its end and not at the one after, so jitter never costs an interval ([`Policy::allowance`]).

use std::time::Duration;

use bellwether_core::{AlertState, MonoMillis};

use crate::eval::condition::{ConditionState, MAX_LEVELS};

/// Times and counts of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Time that the condition must hold before the alert fires.
    pub duration: Duration,
    /// Time that it must not hold before the alert resolves.
    pub keep_firing_for: Duration,
    /// Samples in a row that must violate before the condition holds.
    pub consecutive: u32,
    /// Longest time between two observations that counts for a timer.
    pub tolerance: Duration,
    /// Time between two evaluations.
    pub interval: Duration,
}

impl Policy {
    /// Returns the part of `target` that may be missing at an observation `step` after the last
    /// one: a quarter of `step`, at least a twentieth of the interval. It is at most half of what
    /// `target` exceeds a multiple of the interval by, so a timer that ends between two evaluations
    /// never ends at the first of them.
    fn allowance(&self, target: Duration, step: Duration) -> Duration {
        let interval = self.interval.as_millis() as u64;
        let over = match (target.as_millis() as u64).checked_rem(interval) {
            None => return Duration::ZERO,
            Some(0) => interval,
            Some(over) => over,
        };
        let step = step.min(self.interval) / 4;
        step.max(self.interval / 20)
            .min(Duration::from_millis(over) / 2)
    }
}

/// Time for which a condition has been observed again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timer {
    /// Elapsed time, without gaps longer than the tolerance.
    pub length: Duration,
    /// Last observation; `None` after a restart, so that downtime adds nothing.
    pub last_seen: Option<MonoMillis>,
    /// Time between the last two observations; zero after a gap.
    pub step: Duration,
}

impl Timer {
    /// Creates a timer with this elapsed time and no observation in this process.
    #[must_use]
    pub fn restored(length: Duration) -> Self {
        Self {
            length,
            last_seen: None,
            step: Duration::ZERO,
        }
    }

    /// Extends `timer` by an observation at `now`.
    #[must_use]
    pub fn grow(timer: Option<Self>, now: MonoMillis, policy: &Policy) -> Self {
        let length = timer.map_or(Duration::ZERO, |timer| timer.length);
        let gap = timer
            .and_then(|timer| timer.last_seen)
            .map(|last_seen| now.since(last_seen));
        let step = gap
            .filter(|gap| *gap <= policy.tolerance)
            .unwrap_or_default();
        Self {
            length: length + step,
            last_seen: Some(now),
            step,
        }
    }

    /// Returns true if the timer has reached `target`, apart from the jitter of evaluations.
    #[must_use]
    pub fn reaches(&self, target: Duration, policy: &Policy) -> bool {
        self.length + policy.allowance(target, self.step) >= target
    }
}

/// Result of evaluating one label set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Observation {
    /// A value was compared.
    Evaluated {
        condition: ConditionState,
        /// Time of the sample, so that one sample is not counted twice.
        sample: MonoMillis,
    },
    /// No data, NaN or an error: changes nothing.
    Unknown,
}

impl Observation {
    /// Returns the highest level for which the condition holds.
    #[must_use]
    pub fn level(self) -> Option<usize> {
        match self {
            Self::Evaluated {
                condition: ConditionState::Breached(level),
                ..
            } => Some(level),
            _ => None,
        }
    }
}

/// State of one alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    /// Inactive, pending or firing.
    pub phase: AlertState,
    /// Notified level while firing.
    pub level: usize,
    /// Violating samples in a row, up to `consecutive`.
    pub run: u32,
    /// Time of the last sample counted in `run`.
    pub counted: Option<MonoMillis>,
    /// Time for which the condition of each level has held.
    pub held: [Option<Timer>; MAX_LEVELS],
    /// Time for which the condition has not held while firing.
    pub quiet: Option<Timer>,
    /// Set once somebody resolved it by hand, until the condition does not hold.
    pub closed: bool,
}

impl State {
    /// State before the first observation.
    pub const INACTIVE: Self = Self {
        phase: AlertState::Inactive,
        level: 0,
        run: 0,
        counted: None,
        held: [None; MAX_LEVELS],
        quiet: None,
        closed: false,
    };

    /// State after somebody resolved the alert.
    pub const CLOSED: Self = Self {
        closed: true,
        ..Self::INACTIVE
    };

    /// Returns true if the state need not be saved again after `before`: both are closed, or both
    /// fire at the same level, and no timer runs towards the end.
    #[must_use]
    pub fn is_settled(&self, before: &State) -> bool {
        if self.closed || before.closed {
            return self == before;
        }
        self.phase == AlertState::Firing
            && before.phase == AlertState::Firing
            && self.level == before.level
            && self.quiet.is_none()
            && before.quiet.is_none()
    }

    /// Returns the time for which the condition of the current level has held.
    #[must_use]
    pub fn condition_duration(&self) -> Duration {
        self.held[self.level].map_or(Duration::ZERO, |timer| timer.length)
    }
}

/// Returns the state after one evaluation.
#[must_use]
pub fn step(state: State, observation: Observation, now: MonoMillis, policy: &Policy) -> State {
    let firing = state.phase == AlertState::Firing;
    match observation {
        Observation::Unknown => state,
        Observation::Evaluated {
            condition: ConditionState::Breached(_),
            ..
        } if state.closed => state,
        Observation::Evaluated {
            condition: ConditionState::Breached(level),
            sample,
        } => holds(state, level, sample, now, policy),
        Observation::Evaluated {
            condition: ConditionState::Hysteresis,
            sample,
        } if firing => holds(state, 0, sample, now, policy),
        Observation::Evaluated { .. } if firing => clear(state, now, policy),
        Observation::Evaluated { .. } => State::INACTIVE,
    }
}

fn holds(
    mut state: State,
    level: usize,
    sample: MonoMillis,
    now: MonoMillis,
    policy: &Policy,
) -> State {
    if state.phase == AlertState::Inactive {
        if state.counted != Some(sample) {
            state.run = state.run.saturating_add(1);
            state.counted = Some(sample);
        }
        if state.run < policy.consecutive {
            return state;
        }
    }
    for (index, held) in state.held.iter_mut().enumerate() {
        *held = (index <= level).then(|| Timer::grow(*held, now, policy));
    }
    let long_enough =
        |held: &Option<Timer>| held.is_some_and(|timer| timer.reaches(policy.duration, policy));
    let reached = state.held.iter().rposition(long_enough);
    state.quiet = None;
    match (state.phase, reached) {
        // A level is left at once and entered after `duration`, like the alert itself.
        (AlertState::Firing, _) => state.level = state.level.min(level).max(reached.unwrap_or(0)),
        (_, Some(reached)) => (state.phase, state.level) = (AlertState::Firing, reached),
        (_, None) => (state.phase, state.level) = (AlertState::Pending, 0),
    }
    state
}

fn clear(mut state: State, now: MonoMillis, policy: &Policy) -> State {
    let quiet = Timer::grow(state.quiet, now, policy);
    if quiet.reaches(policy.keep_firing_for, policy) {
        return State::INACTIVE;
    }
    state.quiet = Some(quiet);
    state.held = [None; MAX_LEVELS];
    state
}

#[cfg(test)]
mod tests;
