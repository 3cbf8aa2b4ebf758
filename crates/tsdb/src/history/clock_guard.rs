//! Protection of samples from deletion by a wrong wall clock.

use std::time::Duration;

use bellwether_core::UnixMillis;

/// Time that the clock must run without a jump before samples are deleted by age.
const TRUST_AFTER: Duration = Duration::from_secs(3600);

/// Longest step forward that is not a jump.
const MAX_FORWARD: Duration = Duration::from_secs(3600);

/// Longest step back that is not a jump: collections may finish out of order.
const MAX_BACKWARD: Duration = Duration::from_secs(60);

/// Checks the times of collections for jumps. After a jump in either direction the clock is trusted only
/// after an hour without another: a clock that is in 2038 for a minute must not delete all samples.
#[derive(Debug, Default)]
pub(super) struct ClockGuard {
    since: UnixMillis,
    last: Option<UnixMillis>,
}

impl ClockGuard {
    /// Records the time of a collection.
    pub fn observe(&mut self, at: UnixMillis) {
        let even = self.last.is_some_and(|last| {
            (last.before(MAX_BACKWARD)..=last.after(MAX_FORWARD)).contains(&at)
        });
        if !even {
            self.since = at;
        }
        self.last = Some(at);
    }

    /// Returns the time of the last collection.
    pub fn last(&self) -> Option<UnixMillis> {
        self.last
    }

    /// Returns the time of the last collection if the clock is trusted.
    pub fn now(&self) -> Option<UnixMillis> {
        self.last
            .filter(|last| last.since(self.since) >= TRUST_AFTER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_in_another_year_is_not_trusted() {
        const MINUTE: Duration = Duration::from_secs(60);
        const HOUR: UnixMillis = UnixMillis(3_600_000);
        const FAR: UnixMillis = UnixMillis(400_000_000_000);
        let mut clock = ClockGuard::default();
        for minute in 0..60 {
            clock.observe(UnixMillis(minute * 60_000));
            assert_eq!(clock.now(), None);
        }
        clock.observe(HOUR);
        assert_eq!(clock.now(), Some(HOUR));
        clock.observe(HOUR.before(Duration::from_secs(1)));
        assert_eq!(clock.now(), None, "an hour short of a second");
        clock.observe(FAR);
        clock.observe(FAR.after(MINUTE));
        assert_eq!(clock.now(), None);
        clock.observe(HOUR.after(MINUTE));
        assert_eq!(clock.now(), None);
        for minute in 2..=61 {
            clock.observe(HOUR.after(MINUTE * minute));
        }
        assert_eq!(clock.now(), Some(HOUR.after(MINUTE * 61)));
    }
}
