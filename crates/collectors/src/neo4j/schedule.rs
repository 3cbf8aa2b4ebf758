//! When a statement is due, and how long to leave an account alone.
//!
//! Pure: time comes in as an argument.

use std::time::Duration;

use bellwether_core::MonoMillis;

/// When one statement is due. Collections tick at a fixed pace; an interval that is no multiple of
/// it is kept on average, without drift.
#[derive(Clone, Copy, Debug)]
pub(super) struct Schedule {
    interval: Duration,
    /// `None` is at once.
    next: Option<MonoMillis>,
}

impl Schedule {
    /// Due at once.
    pub(super) fn new(interval: Duration) -> Self {
        Self {
            interval,
            next: None,
        }
    }

    /// Whether it is due at `now`, where ticks are `tick` apart: half a tick early is in time.
    pub(super) fn due(&self, now: MonoMillis, tick: Duration) -> bool {
        self.next.is_none_or(|next| now.after(tick / 2) >= next)
    }

    /// Notes that it was started at `now`.
    pub(super) fn started(&mut self, now: MonoMillis) {
        let next = self.next.map(|next| next.after(self.interval));
        self.next = next
            .filter(|next| *next > now)
            .or(Some(now.after(self.interval)));
    }

    /// Not before `wait` has passed.
    pub(super) fn postpone(&mut self, now: MonoMillis, wait: Duration) {
        self.next = self.next.max(Some(now.after(wait)));
    }

    /// Due at once again.
    pub(super) fn reset(&mut self) {
        self.next = None;
    }
}

/// First wait after a refused password. Neo4j locks an account after three refused attempts, for
/// five seconds unless configured otherwise; waits that grow keep it open to others.
const FIRST_WAIT: Duration = Duration::from_secs(60);
/// Longest wait.
const LONGEST_WAIT: Duration = Duration::from_secs(600);

/// Waits after refused passwords: one minute, two, four, at most ten.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Backoff {
    refused: u32,
    until: MonoMillis,
}

impl Backoff {
    /// Whether another attempt may be made.
    pub(super) fn ready(&self, now: MonoMillis) -> bool {
        self.refused == 0 || now >= self.until
    }

    /// Notes a refused attempt; returns the wait.
    pub(super) fn refused(&mut self, now: MonoMillis) -> Duration {
        let wait = FIRST_WAIT
            .saturating_mul(1 << self.refused.min(16))
            .min(LONGEST_WAIT);
        self.refused += 1;
        self.until = now.after(wait);
        wait
    }

    /// An attempt was good, or there is reason to believe that the next one will be.
    pub(super) fn reset(&mut self) {
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
        let ticks = (0..12_u64).map(|tick| MonoMillis(tick * 30_000 + 7_000 + (tick % 3) * jitter));
        let mut runs = Vec::new();
        for (tick, now) in (0..).zip(ticks) {
            if schedule.due(now, TICK) {
                schedule.started(now);
                runs.push(tick);
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
        assert!(!schedule.due(MonoMillis(201_000), TICK));
        assert!(schedule.due(MonoMillis(230_000), TICK));
        schedule.postpone(MonoMillis(200_000), Duration::from_secs(300));
        assert!(!schedule.due(MonoMillis(230_000), TICK));
        schedule.reset();
        assert!(schedule.due(MonoMillis(201_000), TICK));
    }

    #[test]
    fn refused_passwords_wait_longer_and_longer() {
        let mut backoff = Backoff::default();
        assert!(backoff.ready(MonoMillis(0)));
        let waits: Vec<u64> = (0..6)
            .map(|_| backoff.refused(MonoMillis(1000)).as_secs())
            .collect();
        assert_eq!(waits, [60, 120, 240, 480, 600, 600]);
        assert!(!backoff.ready(MonoMillis(600_999)));
        assert!(backoff.ready(MonoMillis(601_000)));
        backoff.reset();
        assert!(backoff.ready(MonoMillis(1001)));
        assert_eq!(backoff.refused(MonoMillis(0)).as_secs(), 60);
    }
}
