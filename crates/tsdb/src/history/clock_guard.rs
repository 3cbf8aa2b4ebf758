//! Protection of samples from deletion by a wrong wall clock.

/// Milliseconds that the clock must run without a jump before samples are deleted by age.
const TRUST_AFTER: i64 = 3_600_000;

/// Longest step forward in milliseconds that is not a jump.
const MAX_FORWARD: i64 = 3_600_000;

/// Longest step back in milliseconds that is not a jump: collections may finish out of order.
const MAX_BACKWARD: i64 = 60_000;

/// Checks the times of collections for jumps. After a jump in either direction the clock is trusted only
/// after an hour without another: a clock that is in 2038 for a minute must not delete all samples.
#[derive(Debug, Default)]
pub(super) struct ClockGuard {
    since: i64,
    last: Option<i64>,
}

impl ClockGuard {
    /// Records the time of a collection.
    pub fn observe(&mut self, at: i64) {
        let even = self.last.is_some_and(|last| {
            (last.saturating_sub(MAX_BACKWARD)..=last.saturating_add(MAX_FORWARD)).contains(&at)
        });
        if !even {
            self.since = at;
        }
        self.last = Some(at);
    }

    /// Returns the time of the last collection.
    pub fn last(&self) -> Option<i64> {
        self.last
    }

    /// Returns the time of the last collection if the clock is trusted.
    pub fn now(&self) -> Option<i64> {
        self.last
            .filter(|last| last.saturating_sub(self.since) >= TRUST_AFTER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_in_another_year_is_not_trusted() {
        const FAR: i64 = 400_000_000_000;
        let mut clock = ClockGuard::default();
        for minute in 0..60 {
            clock.observe(minute * 60_000);
            assert_eq!(clock.now(), None);
        }
        clock.observe(TRUST_AFTER);
        assert_eq!(clock.now(), Some(TRUST_AFTER));
        clock.observe(TRUST_AFTER - 1000);
        assert_eq!(clock.now(), None, "an hour short of a second");
        clock.observe(FAR);
        clock.observe(FAR + 60_000);
        assert_eq!(clock.now(), None);
        clock.observe(TRUST_AFTER + 60_000);
        assert_eq!(clock.now(), None);
        for minute in 2..=61 {
            clock.observe(TRUST_AFTER + minute * 60_000);
        }
        assert_eq!(clock.now(), Some(TRUST_AFTER + 61 * 60_000));
    }
}
