//! Whether the wall clock can be trusted with deleting.

/// Milliseconds that the clock must have run evenly before anything is deleted by age.
const PROOF: i64 = 3_600_000;

/// A step forward that is no longer taken for waiting.
const LEAP: i64 = 3_600_000;

/// A step back that is no longer taken for two collections finishing in another order.
const SLIP: i64 = 60_000;

/// Watches the times of collections. A clock that jumped, forward or back, must first run an hour
/// without a jump: whoever was in 2038 for a minute must not lose what there is.
#[derive(Debug, Default)]
pub(super) struct Steady {
    since: i64,
    last: Option<i64>,
}

impl Steady {
    /// Takes note of the time of a collection.
    pub fn observe(&mut self, at: i64) {
        let even = self.last.is_some_and(|last| {
            (last.saturating_sub(SLIP)..=last.saturating_add(LEAP)).contains(&at)
        });
        if !even {
            self.since = at;
        }
        self.last = Some(at);
    }

    /// The time of the last collection.
    pub fn last(&self) -> Option<i64> {
        self.last
    }

    /// Now, once the clock has proven itself.
    pub fn now(&self) -> Option<i64> {
        self.last
            .filter(|last| last.saturating_sub(self.since) >= PROOF)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_in_another_year_proves_nothing() {
        const FAR: i64 = 400_000_000_000;
        let mut steady = Steady::default();
        for minute in 0..60 {
            steady.observe(minute * 60_000);
            assert_eq!(steady.now(), None);
        }
        steady.observe(PROOF);
        assert_eq!(steady.now(), Some(PROOF));
        steady.observe(PROOF - 1000);
        assert_eq!(steady.now(), None, "an hour short of a second");
        steady.observe(FAR);
        steady.observe(FAR + 60_000);
        assert_eq!(steady.now(), None);
        steady.observe(PROOF + 60_000);
        assert_eq!(steady.now(), None);
        for minute in 2..=61 {
            steady.observe(PROOF + minute * 60_000);
        }
        assert_eq!(steady.now(), Some(PROOF + 61 * 60_000));
    }
}
