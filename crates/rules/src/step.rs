//! The state machine of one alert: `step(state, sight, now, policy)`, pure.
//!
//! Owns phases, timers, levels and counts. Knows no clock, no series and no text; what a change
//! of phase means to others is the engine's business.
//!
//! Time counts as evidence only where it was looked at: two sightings at most
//! [`Policy::tolerance`] apart vouch for the time between them, a longer silence (a stalled
//! process, a collector that hung, a restart) adds nothing to a timer and resets nothing. So no
//! alert fires or resolves on time that nobody watched, and a single failed collection neither
//! delays nor resets one. Prometheus counts such gaps by the wall clock, or resets them.
//!
//! Evaluations come milliseconds early or late. A timer is over at the evaluation that is nearest
//! to its end and not at the one after, so jitter never costs an interval ([`Policy::allowance`]).

use std::time::Duration;

use bellwether_core::{AlertState, MonoMillis};

use super::condition::{MAX_LEVELS, Verdict};

/// The times and counts of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// How long the condition must hold before the alert fires.
    pub duration: Duration,
    /// How long it must not hold before the alert resolves.
    pub keep_firing_for: Duration,
    /// How many samples in a row must violate before the condition counts as held.
    pub consecutive: u32,
    /// The longest silence between two sightings that counts as watched.
    pub tolerance: Duration,
    /// How often the rule is evaluated.
    pub interval: Duration,
}

impl Policy {
    /// How much of `target` may be missing at a sighting that came `step` after the one before: a
    /// quarter of that, a twentieth of the interval at the least. It is no more than half of what
    /// `target` exceeds a multiple of the interval by, so that a timer which ends between two
    /// evaluations never ends at the first of them.
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

/// A stretch of time in which something was seen again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// How much of it was watched.
    pub length: Duration,
    /// The last sighting; `None` after a restart, so that downtime adds nothing.
    pub seen: Option<MonoMillis>,
    /// The time between the last two sightings, where it was watched.
    pub step: Duration,
}

impl Stretch {
    /// One of this length of which nothing was seen yet in this process.
    #[must_use]
    pub fn restored(length: Duration) -> Self {
        Self {
            length,
            seen: None,
            step: Duration::ZERO,
        }
    }

    /// The stretch with one more sighting, `now`.
    #[must_use]
    pub fn grow(stretch: Option<Self>, now: MonoMillis, policy: &Policy) -> Self {
        let length = stretch.map_or(Duration::ZERO, |stretch| stretch.length);
        let gap = stretch
            .and_then(|stretch| stretch.seen)
            .map(|seen| now.since(seen));
        let step = gap
            .filter(|gap| *gap <= policy.tolerance)
            .unwrap_or_default();
        Self {
            length: length + step,
            seen: Some(now),
            step,
        }
    }

    /// Whether it is as long as `target`, but for the jitter of evaluations.
    #[must_use]
    pub fn reaches(&self, target: Duration, policy: &Policy) -> bool {
        self.length + policy.allowance(target, self.step) >= target
    }
}

/// What an evaluation saw of one label set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    /// A value, judged; `sample` is when it was measured, so that one is not counted twice.
    Judged {
        /// What the value means.
        verdict: Verdict,
        /// When it was measured.
        sample: MonoMillis,
    },
    /// No data, NaN or an error: changes nothing.
    Unknown,
}

impl Sight {
    /// The level for which the condition holds, if it does.
    #[must_use]
    pub fn level(self) -> Option<usize> {
        match self {
            Self::Judged {
                verdict: Verdict::Holds(level),
                ..
            } => Some(level),
            _ => None,
        }
    }
}

/// Where one alert stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    /// Inactive, pending or firing.
    pub phase: AlertState,
    /// The level told of while firing.
    pub level: usize,
    /// Violating samples in a row, as far as `consecutive` needs them.
    pub run: u32,
    /// The last sample counted in `run`.
    pub counted: Option<MonoMillis>,
    /// For each level, how long its condition has held.
    pub held: [Option<Stretch>; MAX_LEVELS],
    /// While firing, how long the condition has not held.
    pub quiet: Option<Stretch>,
}

impl State {
    /// Nothing seen yet.
    pub const INACTIVE: Self = Self {
        phase: AlertState::Inactive,
        level: 0,
        run: 0,
        counted: None,
        held: [None; MAX_LEVELS],
        quiet: None,
    };

    /// Whether a restart from `before` would do as well: it fires and fired before, at the same
    /// level and with no timer running towards the end.
    #[must_use]
    pub fn is_settled(&self, before: &State) -> bool {
        self.phase == AlertState::Firing
            && before.phase == AlertState::Firing
            && self.level == before.level
            && self.quiet.is_none()
            && before.quiet.is_none()
    }

    /// How long the condition of the current level has held.
    #[must_use]
    pub fn held_for(&self) -> Duration {
        self.held[self.level].map_or(Duration::ZERO, |stretch| stretch.length)
    }
}

/// The state after one evaluation.
#[must_use]
pub fn step(state: State, sight: Sight, now: MonoMillis, policy: &Policy) -> State {
    let firing = state.phase == AlertState::Firing;
    match sight {
        Sight::Unknown => state,
        Sight::Judged {
            verdict: Verdict::Holds(level),
            sample,
        } => holds(state, level, sample, now, policy),
        Sight::Judged {
            verdict: Verdict::Band,
            sample,
        } if firing => holds(state, 0, sample, now, policy),
        Sight::Judged { .. } if firing => clear(state, now, policy),
        Sight::Judged { .. } => State::INACTIVE,
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
        *held = (index <= level).then(|| Stretch::grow(*held, now, policy));
    }
    let long_enough = |held: &Option<Stretch>| {
        held.is_some_and(|stretch| stretch.reaches(policy.duration, policy))
    };
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
    let quiet = Stretch::grow(state.quiet, now, policy);
    if quiet.reaches(policy.keep_firing_for, policy) {
        return State::INACTIVE;
    }
    state.quiet = Some(quiet);
    state.held = [None; MAX_LEVELS];
    state
}

#[cfg(test)]
mod tests;
