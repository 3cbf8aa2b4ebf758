//! Totals: the increase between two readings, and the rate per second.
//!
//! Every total of the host goes through [`Total`] or [`increase`], so all of them agree on which
//! decrease is a reset and which is an inaccuracy of the kernel.

use std::collections::HashMap;
use std::time::Duration;

use bellwether_core::{MonoMillis, pack};

/// Share of a total by which it may decrease without a reset, since the kernel reads its parts one
/// after the other.
const SMALL_FALL: f64 = 0.01;

/// Time for which a series that could not be read is remembered, so that one bad line in between does
/// not cost its rate.
const REMEMBERED: Duration = Duration::from_secs(300);

/// A total as of its last reading.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Total {
    read: f64,
    /// Sum of the decreases that were no reset; the exported counter does not have them.
    fallen: f64,
}

impl Total {
    pub(super) fn new(read: f64) -> Self {
        Self { read, fallen: 0.0 }
    }

    /// Sets the next reading. Returns the increase since the last one, never negative.
    pub(super) fn advance(&mut self, read: f64) -> f64 {
        let (added, fall) = (increase(self.read, read), self.read - read);
        if fall <= 0.0 {
            self.read = read;
        } else if began_again(self.read, read) {
            *self = Self::new(read);
        } else if fall > self.read * SMALL_FALL {
            self.fallen += fall;
            self.read = read;
        }
        added
    }

    /// Returns the total as a counter: it decreases only at a reset.
    pub(super) fn value(&self) -> f64 {
        self.read + self.fallen
    }

    pub(super) fn is_zero(&self) -> bool {
        self.read <= 0.0
    }
}

/// Returns the increase from `before` to `after`, never negative. A total below half of `before` was
/// reset, so all of it is new. A smaller decrease is an inaccuracy of the kernel, and nothing is
/// new.
pub(super) fn increase(before: f64, after: f64) -> f64 {
    if after >= before {
        after - before
    } else if began_again(before, after) {
        after
    } else {
        0.0
    }
}

fn began_again(before: f64, after: f64) -> bool {
    after < before / 2.0
}

/// Totals of all series of one metric.
#[derive(Debug, Default)]
pub(super) struct Totals {
    last: HashMap<Box<[u8]>, Last>,
    key: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
struct Last {
    total: Total,
    at: MonoMillis,
}

impl Totals {
    /// Returns the total of the series as a counter.
    pub(super) fn counter(&mut self, labels: &[&str], read: f64, now: MonoMillis) -> f64 {
        match self.find(labels) {
            Some(last) => {
                last.total.advance(read);
                last.at = now;
                last.total.value()
            }
            None => {
                self.begin(read, now);
                read
            }
        }
    }

    /// Returns the rate of the series since its last reading; `None` for the first one.
    pub(super) fn rate(&mut self, labels: &[&str], read: f64, now: MonoMillis) -> Option<f64> {
        let Some(last) = self.find(labels) else {
            self.begin(read, now);
            return None;
        };
        let seconds = now.since(last.at).as_secs_f64();
        if seconds <= 0.0 {
            return None;
        }
        last.at = now;
        Some(last.total.advance(read) / seconds)
    }

    /// Packs the labels into `key`.
    fn find(&mut self, labels: &[&str]) -> Option<&mut Last> {
        self.key.clear();
        pack(labels, &mut self.key);
        self.last.get_mut(self.key.as_slice())
    }

    fn begin(&mut self, read: f64, now: MonoMillis) {
        self.last.insert(
            self.key.as_slice().into(),
            Last {
                total: Total::new(read),
                at: now,
            },
        );
    }

    /// Deletes series without a reading at `now`: one that returns starts again. If the reading was not
    /// `complete`, they are kept for a while.
    pub(super) fn keep_only(&mut self, now: MonoMillis, complete: bool) {
        let longest = if complete { Duration::ZERO } else { REMEMBERED };
        self.last.retain(|_, last| now.since(last.at) <= longest);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn first_steady_reset_and_dip() {
        let mut totals = Totals::default();
        let mut step =
            |total, seconds: u64| totals.rate(&["eth0"], total, MonoMillis(seconds * 1000));
        assert_eq!(step(1000.0, 0), None);
        assert_eq!(step(1600.0, 30), Some(20.0));
        assert_eq!(step(1600.0, 30), None, "no time has passed");
        assert_eq!(step(300.0, 60), Some(10.0), "the counter began again");
        assert_eq!(step(299.0, 90), Some(0.0), "a dip");
        assert_eq!(step(600.0, 120), Some(10.0), "counted from the larger");
        assert_eq!(step(450.0, 150), Some(0.0), "a fall that is no restart");
        assert_eq!(
            step(750.0, 180),
            Some(10.0),
            "counted from where it fell to"
        );
    }

    #[test]
    fn a_counter_falls_only_where_its_source_began_again() {
        let mut totals = Totals::default();
        let mut step = |read| totals.counter(&["iowait"], read, MonoMillis(0));
        for (read, expected) in [
            (5482.82, 5482.82),
            (5482.81, 5482.82),
            (5482.82, 5482.82),
            (5482.9, 5482.9),
            (4000.0, 5482.9),
            (4010.0, 5492.9),
            (3.0, 3.0),
            (4.0, 4.0),
            (2.0, 4.0),
            (3.0, 5.0),
            (0.0, 0.0),
            (1.0, 1.0),
        ] {
            let value: f64 = step(read);
            assert!((value - expected).abs() < 1e-9, "{read}: {value}");
        }
    }

    #[test]
    fn series_are_apart_and_a_lost_one_starts_anew() {
        let mut totals = Totals::default();
        assert_eq!(totals.rate(&["a"], 0.0, MonoMillis(0)), None);
        assert_eq!(totals.rate(&["b"], 5.0, MonoMillis(0)), None);
        totals.keep_only(MonoMillis(0), true);
        assert_eq!(totals.rate(&["a"], 1.0, MonoMillis(1000)), Some(1.0));
        totals.keep_only(MonoMillis(1000), true);
        assert_eq!(totals.rate(&["b"], 9.0, MonoMillis(2000)), None);
        totals.keep_only(MonoMillis(3000), false);
        assert_eq!(
            totals.rate(&["b"], 11.0, MonoMillis(4000)),
            Some(1.0),
            "its line was bad"
        );
        totals.keep_only(MonoMillis(400_000), false);
        assert_eq!(
            totals.rate(&["b"], 11.0, MonoMillis(400_000)),
            None,
            "for too long"
        );
    }

    proptest! {
        #[test]
        fn a_rate_is_never_negative_nor_infinite(
            steps in proptest::collection::vec((any::<u64>(), 0u64..100_000), 1..40)
        ) {
            let (mut totals, mut now) = (Totals::default(), 0);
            for (total, millis) in steps {
                now += millis;
                if let Some(rate) = totals.rate(&[], total as f64, MonoMillis(now)) {
                    prop_assert!(rate >= 0.0 && rate.is_finite());
                }
            }
        }

        /// A reader that takes each fall for a restart, as Prometheus does, counts what was added.
        #[test]
        fn a_counter_rises_by_what_was_added(reads in proptest::collection::vec(0u32..1_000_000, 2..40)) {
            let (mut totals, mut total) = (Totals::default(), Total::new(f64::from(reads[0])));
            let mut before = totals.counter(&[], f64::from(reads[0]), MonoMillis(0));
            for read in &reads[1..] {
                let added = total.advance(f64::from(*read));
                let value = totals.counter(&[], f64::from(*read), MonoMillis(0));
                let risen = if value < before { value } else { value - before };
                prop_assert!((risen - added).abs() < 1e-6, "{} after {}: {}", value, before, added);
                before = value;
            }
        }
    }
}
