//! Running totals to rates per second.

use std::collections::HashMap;

use crate::model::{Mono, pack};

/// The last total of each series of one metric.
#[derive(Debug, Default)]
pub(super) struct Rates {
    last: HashMap<Box<[u8]>, Last>,
    key: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
struct Last {
    total: f64,
    at: Mono,
}

impl Rates {
    /// The rate since the last total of the series; `None` for the first one.
    pub(super) fn step(&mut self, labels: &[&str], total: f64, now: Mono) -> Option<f64> {
        self.key.clear();
        pack(labels, &mut self.key);
        let Some(last) = self.last.get_mut(self.key.as_slice()) else {
            self.last.insert(self.key.as_slice().into(), Last { total, at: now });
            return None;
        };
        let seconds = now.since(last.at).as_secs_f64();
        if seconds <= 0.0 {
            return None;
        }
        let rate = increase(last.total, total) / seconds;
        *last = Last { total, at: now };
        Some(rate)
    }

    /// Forgets the series that had no total at `now`: one that comes back starts anew.
    pub(super) fn keep_only(&mut self, now: Mono) {
        self.last.retain(|_, last| last.at == now);
    }
}

/// What was added from `before` to `after`, never negative. A total that fell to less than half
/// began again at zero, so all of it is new; one that fell a little was summed up by the kernel
/// while its parts moved, and nothing is new.
fn increase(before: f64, after: f64) -> f64 {
    if after >= before {
        after - before
    } else if after < before / 2.0 {
        after
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn first_steady_reset_and_dip() {
        let mut rates = Rates::default();
        let mut step = |total, seconds: u64| rates.step(&["eth0"], total, Mono(seconds * 1000));
        assert_eq!(step(1000.0, 0), None);
        assert_eq!(step(1600.0, 30), Some(20.0));
        assert_eq!(step(1600.0, 30), None, "no time has passed");
        assert_eq!(step(300.0, 60), Some(10.0), "the counter began again");
        assert_eq!(step(299.0, 90), Some(0.0), "a dip");
        assert_eq!(step(599.0, 120), Some(10.0));
    }

    #[test]
    fn series_are_apart_and_a_lost_one_starts_anew() {
        let mut rates = Rates::default();
        assert_eq!(rates.step(&["a"], 0.0, Mono(0)), None);
        assert_eq!(rates.step(&["b"], 5.0, Mono(0)), None);
        rates.keep_only(Mono(0));
        assert_eq!(rates.step(&["a"], 1.0, Mono(1000)), Some(1.0));
        rates.keep_only(Mono(1000));
        assert_eq!(rates.step(&["b"], 9.0, Mono(2000)), None);
    }

    proptest! {
        #[test]
        fn a_rate_is_never_negative_nor_infinite(
            steps in proptest::collection::vec((any::<u64>(), 0u64..100_000), 1..40)
        ) {
            let (mut rates, mut now) = (Rates::default(), 0);
            for (total, millis) in steps {
                now += millis;
                if let Some(rate) = rates.step(&[], total as f64, Mono(now)) {
                    prop_assert!(rate >= 0.0 && rate.is_finite());
                }
            }
        }
    }
}
