//! Flapping: detection of alerts that change too often.
//!
//! Weighting of Icinga 2 (`lib/icinga/checkable-flapping.cpp`): of the last 20 checks each that
//! changed the state counts 0.8 (the oldest) to 1.18 (the newest), in percent of 20. Flapping
//! begins above `start` and ends at `end`.

use std::time::Duration;

use bellwether_core::MonoMillis;
use bellwether_schema::{Diagnostics, Spanned, section};

section! {
    /// Alerts that change too often: the begin and the end of flapping are notified, changes between
    /// are not. The last 20 evaluations of the rule count, newer ones a little more.
    pub struct FlappingSettings {
        /// Enables the detection of flapping.
        pub enabled: bool = false,
        /// Flapping begins above this share of changes, in percent.
        pub start: Spanned<f64> = Spanned::nowhere(30.0),
        /// Flapping ends at this share of changes, in percent.
        pub end: Spanned<f64> = Spanned::nowhere(25.0),
    }
}

impl FlappingSettings {
    /// Validates the shares.
    pub(crate) fn check(&self, diagnostics: &mut Diagnostics) {
        for value in [&self.start, &self.end] {
            if !(0.0..=100.0).contains(&value.value) {
                diagnostics.error(
                    &value.at,
                    format!("not a share in percent: {}", value.value),
                );
            }
        }
        if self.end.value > self.start.value {
            diagnostics
                .error(&self.end.at, "flapping would end before it begins")
                .hint("`end` must not be more than `start`");
        }
    }
}

/// Number of checks that count.
const CHECKS: u32 = 20;

/// The last checks of one alert.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flapping {
    /// One bit per check, set where it changed the state; the newest is bit 0.
    changes: u32,
    /// Time of the newest check.
    at: MonoMillis,
    is_flapping: bool,
}

impl Flapping {
    /// Notes a change at `at` of an alert that is checked each `interval`. Checks without a change
    /// since the last one are filled in, and may end the flapping before it begins again.
    pub fn change(&mut self, settings: &FlappingSettings, at: MonoMillis, interval: Duration) {
        self.is_flapping(settings, at.before(interval), interval);
        self.changes = self.shifted(at, interval, 1) | 1;
        self.at = self.at.max(at);
    }

    /// Returns the weighted share of changes among the last checks, in percent.
    #[must_use]
    pub fn percent(&self, now: MonoMillis, interval: Duration) -> f64 {
        let changes = self.shifted(now, interval, 0);
        let changed = (0..CHECKS).filter(|age| changes & (1 << age) != 0);
        changed
            .map(|age| 0.8 + 0.02 * f64::from(CHECKS - 1 - age))
            .sum::<f64>()
            * 100.0
            / f64::from(CHECKS)
    }

    /// Returns whether the alert is flapping, which depends on whether it was.
    pub fn is_flapping(
        &mut self,
        settings: &FlappingSettings,
        now: MonoMillis,
        interval: Duration,
    ) -> bool {
        let percent = self.percent(now, interval);
        self.is_flapping = match self.is_flapping {
            true => percent > settings.end.value,
            false => percent > settings.start.value,
        };
        self.is_flapping
    }

    /// Returns the changes as of `now`, at least `least` checks older.
    fn shifted(&self, now: MonoMillis, interval: Duration, least: u32) -> u32 {
        let interval = interval.as_millis().max(1);
        // Half a check early still is the next one.
        let passed = (now.since(self.at).as_millis() + interval / 2) / interval;
        let checks = u32::try_from(passed).unwrap_or(u32::MAX).max(least);
        self.changes.checked_shl(checks).unwrap_or(0) & ((1 << CHECKS) - 1)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CHECK: Duration = Duration::from_secs(10);

    fn at(check: u64) -> MonoMillis {
        MonoMillis(1_000_000 + check * 10_000)
    }

    #[test]
    fn it_begins_and_ends_at_different_shares() {
        let settings = FlappingSettings {
            enabled: true,
            ..FlappingSettings::default()
        };
        let mut flapping = Flapping::default();
        let mut states = Vec::new();
        for check in 0..40 {
            // Seven changes, one each second check, then none.
            if check < 14 && check % 2 == 0 {
                flapping.change(&settings, at(check), CHECK);
            }
            states.push(flapping.is_flapping(&settings, at(check), CHECK));
        }
        let begins = states.iter().position(|flaps| *flaps).unwrap();
        let ends = states.iter().rposition(|flaps| *flaps).unwrap();
        assert_eq!((begins, ends), (10, 21));
        assert!(states[begins..=ends].iter().all(|flaps| *flaps));
        assert_eq!(flapping.percent(at(40), CHECK), 0.0);
    }

    proptest! {
        /// A call at each change gives the same as a call at each check.
        #[test]
        fn it_does_not_matter_how_often_it_is_asked(
            gaps in prop::collection::vec(prop_oneof![1..4_u64, 1..40_u64], 1..60),
        ) {
            let settings = FlappingSettings { enabled: true, ..FlappingSettings::default() };
            let (mut seldom, mut often) = (Flapping::default(), Flapping::default());
            let mut check = 0;
            for gap in gaps {
                for between in check + 1..check + gap {
                    often.is_flapping(&settings, at(between), CHECK);
                }
                check += gap;
                for flapping in [&mut seldom, &mut often] {
                    flapping.change(&settings, at(check), CHECK);
                }
                let flaps = seldom.is_flapping(&settings, at(check), CHECK);
                prop_assert_eq!(flaps, often.is_flapping(&settings, at(check), CHECK));
            }
        }

        /// Filling in what did not change is the same as noting each check.
        #[test]
        fn it_is_the_same_as_noting_each_check(changed in prop::collection::vec(any::<bool>(), 1..80)) {
            let settings = FlappingSettings::default();
            let mut flapping = Flapping::default();
            let mut buffer = [false; CHECKS as usize];
            for (check, changed) in changed.iter().enumerate() {
                buffer.rotate_left(1);
                buffer[CHECKS as usize - 1] = *changed;
                if *changed {
                    flapping.change(&settings, at(check as u64), CHECK);
                }
                let naive: f64 = buffer
                    .iter()
                    .enumerate()
                    .filter(|(_, changed)| **changed)
                    .map(|(index, _)| 0.8 + 0.02 * index as f64)
                    .sum::<f64>() * 5.0;
                let percent = flapping.percent(at(check as u64), CHECK);
                prop_assert!((percent - naive).abs() < 1e-9, "{percent} is not {naive}");
            }
        }
    }
}
