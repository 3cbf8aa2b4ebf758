use proptest::prelude::*;

use super::*;

const POLICY: Policy = Policy {
    duration: Duration::from_secs(60),
    keep_firing_for: Duration::from_secs(60),
    consecutive: 2,
    tolerance: Duration::from_secs(90),
    interval: Duration::from_secs(30),
};

fn secs(seconds: u64) -> MonoMillis {
    MonoMillis(seconds * 1000)
}

fn sees(condition: ConditionState, at: u64) -> Observation {
    Observation::Evaluated {
        condition,
        sample: secs(at),
    }
}

const HOLDS: ConditionState = ConditionState::Breached(0);

/// The state after these sightings, one each 30 s from 0 on.
fn after(sights: &[ConditionState]) -> State {
    sights
        .iter()
        .enumerate()
        .fold(State::INACTIVE, |state, (index, condition)| {
            let at = 30 * index as u64;
            step(state, sees(*condition, at), secs(at), &POLICY)
        })
}

fn name(state: State) -> String {
    let phase = state.phase.as_str();
    match state.phase {
        AlertState::Inactive if state.run > 0 => format!("counting {}", state.run),
        AlertState::Firing if state.quiet.is_some() => "quiet".into(),
        AlertState::Firing => format!("{phase} {}", state.level),
        _ => phase.into(),
    }
}

#[test]
fn every_state_and_every_sight() {
    use ConditionState::{Hysteresis, Ok};
    let high = ConditionState::Breached(1);
    let firing = [HOLDS; 4];
    let quiet: &[ConditionState] = &[HOLDS, HOLDS, HOLDS, HOLDS, Ok];
    let loud: &[ConditionState] = &[high; 4];
    let table: [(&str, &[ConditionState], [&str; 5]); 8] = [
        //                           holds, holds higher, band, clear, unknown
        (
            "inactive",
            &[],
            [
                "counting 1",
                "counting 1",
                "inactive",
                "inactive",
                "inactive",
            ],
        ),
        (
            "counting",
            &[HOLDS],
            ["pending", "pending", "inactive", "inactive", "counting 1"],
        ),
        (
            "pending",
            &[HOLDS; 2],
            ["pending", "pending", "inactive", "inactive", "pending"],
        ),
        (
            "due",
            &[HOLDS; 3],
            ["firing 0", "firing 0", "inactive", "inactive", "pending"],
        ),
        (
            "firing",
            &firing,
            ["firing 0", "firing 0", "firing 0", "quiet", "firing 0"],
        ),
        (
            "firing high",
            loud,
            ["firing 0", "firing 1", "firing 0", "quiet", "firing 1"],
        ),
        (
            "quiet",
            quiet,
            ["firing 0", "firing 0", "firing 0", "quiet", "quiet"],
        ),
        (
            "quiet, due",
            &[HOLDS, HOLDS, HOLDS, HOLDS, Ok, Ok],
            ["firing 0", "firing 0", "firing 0", "inactive", "quiet"],
        ),
    ];
    for (label, history, expected) in table {
        let (state, at) = (after(history), 30 * history.len() as u64);
        let sights = [
            sees(HOLDS, at),
            sees(high, at),
            sees(Hysteresis, at),
            sees(Ok, at),
            Observation::Unknown,
        ];
        let found = sights.map(|observation| name(step(state, observation, secs(at), &POLICY)));
        assert_eq!(found, expected, "from {label}");
    }
}

#[test]
fn without_a_duration_it_fires_and_resolves_at_once() {
    let policy = Policy {
        duration: Duration::ZERO,
        keep_firing_for: Duration::ZERO,
        consecutive: 1,
        ..POLICY
    };
    let firing = step(State::INACTIVE, sees(HOLDS, 0), secs(0), &policy);
    assert_eq!(firing.phase, AlertState::Firing);
    assert_eq!(
        step(firing, sees(ConditionState::Ok, 0), secs(0), &policy),
        State::INACTIVE
    );
}

#[test]
fn one_sample_counts_once() {
    let first = step(State::INACTIVE, sees(HOLDS, 0), secs(0), &POLICY);
    let again = step(first, sees(HOLDS, 0), secs(10), &POLICY);
    assert_eq!((first.run, again.run), (1, 1));
    assert_eq!(
        step(again, sees(HOLDS, 30), secs(30), &POLICY).phase,
        AlertState::Pending
    );
}

#[test]
fn a_higher_level_is_entered_after_the_duration_and_left_at_once() {
    let mut state = after(&[HOLDS; 4]);
    let mut levels = Vec::new();
    for (index, level) in [1, 1, 1, 2, 2, 1, 0, 1].into_iter().enumerate() {
        let at = 120 + 30 * index as u64;
        state = step(
            state,
            sees(ConditionState::Breached(level), at),
            secs(at),
            &POLICY,
        );
        levels.push(state.level);
    }
    assert_eq!(levels, [0, 0, 1, 1, 1, 1, 0, 0]);
}

#[test]
fn time_that_nobody_watched_adds_nothing() {
    let pending = after(&[HOLDS; 2]);
    let resumed = step(pending, sees(HOLDS, 3600), secs(3600), &POLICY);
    assert_eq!(
        (resumed.phase, resumed.condition_duration()),
        (AlertState::Pending, Duration::ZERO)
    );
    let fires = step(resumed, sees(HOLDS, 3660), secs(3660), &POLICY);
    assert_eq!(fires.phase, AlertState::Firing);
}

#[test]
fn a_missed_collection_neither_delays_nor_resets() {
    let pending = after(&[HOLDS; 2]);
    let unknown = step(pending, Observation::Unknown, secs(60), &POLICY);
    assert_eq!(unknown, pending);
    let fires = step(unknown, sees(HOLDS, 90), secs(90), &POLICY);
    assert_eq!(fires.phase, AlertState::Firing);
}

#[test]
fn a_timer_that_ends_between_two_evaluations_ends_at_the_second() {
    let policy = |duration| Policy {
        duration: Duration::from_secs(duration),
        consecutive: 1,
        ..POLICY
    };
    // Evaluated each 30 s: when it fires.
    let found = [1, 29, 30, 31, 45, 59, 60, 61, 300].map(|duration| {
        let (mut state, mut at) = (State::INACTIVE, 0);
        while state.phase != AlertState::Firing {
            at += 30;
            state = step(state, sees(HOLDS, at), secs(at), &policy(duration));
        }
        at - 30
    });
    assert_eq!(found, [30, 30, 30, 60, 60, 60, 60, 90, 300]);
    // Evaluated each second, no more than a twentieth of the interval early.
    let (mut state, mut at) = (State::INACTIVE, 0);
    while state.phase != AlertState::Firing {
        at += 1;
        state = step(state, sees(HOLDS, at), secs(at), &policy(60));
    }
    assert!((59..=61).contains(&(at - 1)), "{at}");
}

/// Observation of the model.
type Event = (u64, Option<bool>);

/// Watched time between the first and the last of `events`, by the definition in the module.
fn watched(events: &[Event], tolerance: u64) -> u64 {
    let gaps = events.windows(2).map(|pair| pair[1].0 - pair[0].0);
    gaps.filter(|gap| *gap <= tolerance).sum()
}

/// Returns true if the alert fires after `events`, computed from all of them without timers.
fn fires(events: &[Event], policy: &Policy) -> bool {
    let known: Vec<Event> = events
        .iter()
        .copied()
        .filter(|(_, seen)| seen.is_some())
        .collect();
    let tolerance = policy.tolerance.as_secs();
    let mut firing = false;
    for end in 1..=known.len() {
        let seen = known[end - 1].1;
        let same = known[..end]
            .iter()
            .rev()
            .take_while(|(_, other)| *other == seen)
            .count();
        let run = &known[end - same..end];
        let skip = if seen == Some(true) {
            policy.consecutive as usize - 1
        } else {
            0
        };
        let lasted = run.get(skip..).filter(|rest| !rest.is_empty());
        let Some(lasted) = lasted.map(|rest| watched(rest, tolerance)) else {
            continue;
        };
        match (firing, seen) {
            (false, Some(true)) => firing = lasted >= policy.duration.as_secs(),
            (true, Some(false)) => firing = lasted < policy.keep_firing_for.as_secs(),
            _ => {}
        }
    }
    firing
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn the_machine_is_the_model(
        gaps in prop::collection::vec((1_u64..150, prop::option::of(any::<bool>())), 0..40),
        duration in 0_u64..200,
        keep in 0_u64..200,
        consecutive in 1_u32..4,
    ) {
        let policy = Policy {
            duration: Duration::from_secs(duration),
            keep_firing_for: Duration::from_secs(keep),
            consecutive,
            tolerance: Duration::from_secs(90),
            // Without one there is no jitter either.
            interval: Duration::ZERO,
        };
        let (mut state, mut at, mut events) = (State::INACTIVE, 0, Vec::new());
        for (gap, seen) in gaps {
            at += gap;
            events.push((at, seen));
            let observation = match seen {
                Some(true) => sees(HOLDS, at),
                Some(false) => sees(ConditionState::Ok, at),
                None => Observation::Unknown,
            };
            let before = state;
            state = step(state, observation, secs(at), &policy);
            prop_assert_eq!(state.phase == AlertState::Firing, fires(&events, &policy), "{:?}", events);
            if seen.is_none() {
                prop_assert_eq!(state, before);
            }
        }
    }

    /// Only the distances between moments matter, never the moments.
    #[test]
    fn the_origin_of_time_does_not_matter(
        sights in prop::collection::vec((1_u64..150, 0_usize..5), 0..30),
        origin in 0_u64..1_000_000_000,
    ) {
        let run = |origin: u64| {
            let (mut state, mut at, mut phases) = (State::INACTIVE, origin, Vec::new());
            for (gap, observation) in &sights {
                at += gap;
                let observation = match observation {
                    0 => Observation::Unknown,
                    1 => sees(ConditionState::Ok, at),
                    2 => sees(ConditionState::Hysteresis, at),
                    level => sees(ConditionState::Breached(level - 3), at),
                };
                state = step(state, observation, secs(at), &POLICY);
                phases.push((state.phase, state.level, state.condition_duration()));
            }
            phases
        };
        prop_assert_eq!(run(0), run(origin));
    }
}
