//! Rate limit of a channel: a token bucket with a reserve for critical alerts.

use std::time::Duration;

use bellwether_schema::{Diagnostics, HumanDuration, SourceLocation};
use parking_lot::Mutex;
use tokio::time::Instant;

bellwether_schema::section! {
    /// Rate limit of a channel, reports and audit lines included. Notifications over the limit wait; the next message has all of
    /// them, and only the number of alerts that fired and resolved meanwhile.
    pub struct RateLimit {
        /// Maximum number of messages in `per`.
        pub messages: u32,
        /// Period of `messages`.
        pub per: HumanDuration = HumanDuration::minutes(1),
        /// Messages that are reserved for critical and emergency alerts; by default a quarter.
        pub reserve: Option<u32>,
    }
}

impl RateLimit {
    fn reserved(&self) -> u32 {
        self.reserve.unwrap_or(self.messages / 4)
    }

    /// Validates the limit beyond decoding.
    pub(super) fn check(&self, at: &SourceLocation, problems: &mut Diagnostics) {
        if self.messages == 0 {
            problems
                .error(&at.key("messages"), "must be at least 1")
                .hint("set `enabled: false` to send nothing to the channel");
        } else if self.reserved() >= self.messages {
            problems
                .error(&at.key("reserve"), "must be less than `messages`")
                .hint("otherwise only critical alerts would be sent");
        }
        if self.per.is_zero() {
            problems.error(&at.key("per"), "must be longer than 0");
        }
    }
}

/// Rate limit of a channel in force, for everything that it sends.
pub(super) struct Limiter {
    limit: RateLimit,
    bucket: Mutex<Bucket>,
    started: Instant,
}

impl Limiter {
    pub(super) fn new(limit: &RateLimit) -> Self {
        Self {
            limit: limit.clone(),
            bucket: Mutex::new(Bucket::new(limit)),
            started: Instant::now(),
        }
    }

    /// Acquires one message, or returns the delay until it is available.
    pub(super) fn try_acquire(&self, urgent: bool) -> Result<(), Duration> {
        let now = self.started.elapsed();
        self.bucket.lock().try_acquire(&self.limit, urgent, now)
    }
}

/// Messages that may be sent now. Full at the start.
#[derive(Clone, Debug)]
struct Bucket {
    tokens: f64,
    /// Time of the last refill.
    at: Duration,
}

impl Bucket {
    fn new(limit: &RateLimit) -> Self {
        Self {
            tokens: f64::from(limit.messages),
            at: Duration::ZERO,
        }
    }

    /// Acquires one message, or returns the delay until it is available. `now` is the time since
    /// any fixed start.
    fn try_acquire(
        &mut self,
        limit: &RateLimit,
        urgent: bool,
        now: Duration,
    ) -> Result<(), Duration> {
        let rate = f64::from(limit.messages) / limit.per.as_secs_f64();
        let elapsed = now.saturating_sub(self.at).as_secs_f64();
        self.tokens = (self.tokens + elapsed * rate).min(f64::from(limit.messages));
        self.at = self.at.max(now);
        let needed = if urgent {
            1.0
        } else {
            1.0 + f64::from(limit.reserved())
        };
        if self.tokens >= needed {
            self.tokens -= 1.0;
            return Ok(());
        }
        // A millisecond more, so that rounding does not make it too early.
        Err(Duration::from_secs_f64((needed - self.tokens) / rate) + Duration::from_millis(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: RateLimit = RateLimit {
        messages: 4,
        per: HumanDuration::secs(60),
        reserve: Some(2),
    };

    #[test]
    fn the_reserve_is_for_what_is_urgent() {
        let mut bucket = Bucket::new(&LIMIT);
        let zero = Duration::ZERO;
        assert_eq!(bucket.try_acquire(&LIMIT, false, zero), Ok(()));
        assert_eq!(bucket.try_acquire(&LIMIT, false, zero), Ok(()));
        assert_eq!(
            bucket.try_acquire(&LIMIT, false, zero),
            Err(Duration::from_millis(15_001))
        );
        assert_eq!(bucket.try_acquire(&LIMIT, true, zero), Ok(()));
        assert_eq!(bucket.try_acquire(&LIMIT, true, zero), Ok(()));
        assert_eq!(
            bucket.try_acquire(&LIMIT, true, zero),
            Err(Duration::from_millis(15_001))
        );
    }

    #[test]
    fn it_fills_with_time_up_to_its_size() {
        let mut bucket = Bucket::new(&LIMIT);
        for _ in 0..4 {
            bucket.try_acquire(&LIMIT, true, Duration::ZERO).unwrap();
        }
        let wait = bucket
            .try_acquire(&LIMIT, false, Duration::ZERO)
            .unwrap_err();
        assert_eq!(bucket.try_acquire(&LIMIT, false, wait), Ok(()));
        let day = Duration::from_secs(86_400);
        let acquired = (0..10)
            .take_while(|_| bucket.try_acquire(&LIMIT, true, day).is_ok())
            .count();
        assert_eq!(acquired, 4);
    }

    #[test]
    fn a_limit_leaves_room_for_what_is_not_urgent() {
        let problems = |limit: RateLimit| {
            let mut problems = Diagnostics::default();
            limit.check(&SourceLocation::default(), &mut problems);
            problems.len()
        };
        assert_eq!(problems(LIMIT), 0);
        assert_eq!(
            problems(RateLimit {
                messages: 1,
                reserve: None,
                ..LIMIT
            }),
            0
        );
        assert_eq!(
            problems(RateLimit {
                messages: 0,
                ..LIMIT
            }),
            1
        );
        assert_eq!(
            problems(RateLimit {
                reserve: Some(4),
                ..LIMIT
            }),
            1
        );
        assert_eq!(
            problems(RateLimit {
                per: HumanDuration::secs(0),
                ..LIMIT
            }),
            1
        );
    }
}
