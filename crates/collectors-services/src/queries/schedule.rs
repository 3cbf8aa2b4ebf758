//! Schedules of statements, and the backoff after a rejected password.
//!
//! Pure: time comes in as an argument.

use std::time::Duration;

use bellwether_core::MonoMillis;

/// Schedule of one statement. Collections run at a fixed interval; an interval of the statement that
/// is no multiple of it is kept on average, without drift.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Schedule {
    interval: Duration,
    /// `None`: due at once.
    next: Option<MonoMillis>,
}

impl Schedule {
    /// Creates a schedule that is due at once.
    pub(crate) fn new(interval: Duration) -> Self {
        Self {
            interval,
            next: None,
        }
    }

    /// Returns whether the statement is due at `now`. Up to half a collection interval early is in time.
    pub(crate) fn is_due(&self, now: MonoMillis, collection_interval: Duration) -> bool {
        self.next
            .is_none_or(|next| now.after(collection_interval / 2) >= next)
    }

    /// Sets the next start after one at `now`.
    pub(crate) fn started(&mut self, now: MonoMillis) {
        let next = self.next.map(|next| next.after(self.interval));
        self.next = next
            .filter(|next| *next > now)
            .or(Some(now.after(self.interval)));
    }

    /// Postpones the next start until `wait` has passed.
    #[cfg_attr(
        not(feature = "neo4j"),
        allow(dead_code, reason = "only Neo4j postpones")
    )]
    pub(crate) fn postpone(&mut self, now: MonoMillis, wait: Duration) {
        self.next = self.next.max(Some(now.after(wait)));
    }

    /// Makes the statement due at once.
    pub(crate) fn reset(&mut self) {
        self.next = None;
    }
}

/// First wait after a rejected password. Neo4j locks an account after three rejected attempts, for
/// five seconds unless configured otherwise; growing waits keep it usable for others.
const FIRST_WAIT: Duration = Duration::from_secs(60);
/// Longest wait after a rejected password.
const LONGEST_WAIT: Duration = Duration::from_secs(600);

/// Backoff after rejected passwords: one minute, two, four, at most ten.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Backoff {
    rejected: u32,
    until: MonoMillis,
}

impl Backoff {
    /// Returns whether another attempt is allowed.
    pub(crate) fn is_ready(&self, now: MonoMillis) -> bool {
        self.rejected == 0 || now >= self.until
    }

    /// Counts a rejected attempt and returns the wait.
    pub(crate) fn rejected(&mut self, now: MonoMillis) -> Duration {
        let wait = FIRST_WAIT
            .saturating_mul(1 << self.rejected.min(16))
            .min(LONGEST_WAIT);
        self.rejected += 1;
        self.until = now.after(wait);
        wait
    }

    /// Resets the wait, after a successful attempt or a change of the password.
    pub(crate) fn reset(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: Duration = Duration::from_secs(30);

    /// Ticks at which a statement of that interval runs, jitter in milliseconds added to each.
    fn runs(interval: u64, jitter: u64) -> Vec<u64> {
        let mut schedule = Schedule::new(Duration::from_secs(interval));
        let ticks = (0..12_u64).map(|collection_interval| {
            MonoMillis(collection_interval * 30_000 + 7_000 + (collection_interval % 3) * jitter)
        });
        let mut runs = Vec::new();
        for (collection_interval, now) in (0..).zip(ticks) {
            if schedule.is_due(now, TICK) {
                schedule.started(now);
                runs.push(collection_interval);
            }
        }
        runs
    }

    #[test]
    fn intervals_are_kept_over_ticks_that_jitter() {
        for jitter in [0, 40] {
            assert_eq!(runs(30, jitter), (0..12).collect::<Vec<_>>());
            assert_eq!(runs(60, jitter), [0, 2, 4, 6, 8, 10]);
            assert_eq!(runs(300, jitter), [0, 10]);
        }
        assert_eq!(runs(45, 0).len(), 8, "12 ticks of 30 s hold 8 of 45 s");
    }

    #[test]
    fn a_late_start_does_not_cause_a_burst() {
        let mut schedule = Schedule::new(TICK);
        schedule.started(MonoMillis(0));
        schedule.started(MonoMillis(200_000));
        assert!(!schedule.is_due(MonoMillis(201_000), TICK));
        assert!(schedule.is_due(MonoMillis(230_000), TICK));
        schedule.postpone(MonoMillis(200_000), Duration::from_secs(300));
        assert!(!schedule.is_due(MonoMillis(230_000), TICK));
        schedule.reset();
        assert!(schedule.is_due(MonoMillis(201_000), TICK));
    }

    #[test]
    fn rejected_passwords_wait_longer_and_longer() {
        let mut backoff = Backoff::default();
        assert!(backoff.is_ready(MonoMillis(0)));
        let waits: Vec<u64> = (0..6)
            .map(|_| backoff.rejected(MonoMillis(1000)).as_secs())
            .collect();
        assert_eq!(waits, [60, 120, 240, 480, 600, 600]);
        assert!(!backoff.is_ready(MonoMillis(600_999)));
        assert!(backoff.is_ready(MonoMillis(601_000)));
        backoff.reset();
        assert!(backoff.is_ready(MonoMillis(1001)));
        assert_eq!(backoff.rejected(MonoMillis(0)).as_secs(), 60);
    }
}
