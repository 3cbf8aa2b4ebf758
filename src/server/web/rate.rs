//! How many requests are answered: a token bucket. The time comes as an argument.

use std::time::Duration;

use parking_lot::Mutex;

use super::settings::RateLimit;
use crate::declare::{Problems, Spanned};

/// A bucket of requests.
#[derive(Debug)]
pub(crate) struct Rate {
    interval: Duration,
    burst: f64,
    state: Mutex<Bucket>,
}

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    /// When the tokens were counted, milliseconds since the server's start.
    at: u64,
}

impl Rate {
    /// None where no limit is asked for.
    pub(super) fn new(settings: &Spanned<RateLimit>, problems: &mut Problems) -> Option<Self> {
        if settings.interval.is_zero() {
            return None;
        }
        if settings.burst == 0 {
            problems
                .error(&settings.at, "burst must be 1 or more: with 0 nothing is answered")
                .hint("such as burst: 20");
            return None;
        }
        let burst = f64::from(settings.burst);
        let state = Mutex::new(Bucket { tokens: burst, at: 0 });
        Some(Self { interval: *settings.interval, burst, state })
    }

    /// Takes one request out, if there is one.
    pub(crate) fn take(&self, now_ms: u64) -> bool {
        let mut bucket = self.state.lock();
        let gained = now_ms.saturating_sub(bucket.at) as f64 / (self.interval.as_secs_f64() * 1e3);
        bucket.tokens = (bucket.tokens + gained).min(self.burst);
        bucket.at = bucket.at.max(now_ms);
        let granted = bucket.tokens >= 1.0;
        if granted {
            bucket.tokens -= 1.0;
        }
        granted
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::declare::Span;

    #[test]
    fn a_burst_then_one_each_interval() {
        let settings = RateLimit { interval: Span::secs(1), burst: 3 };
        let rate = Rate::new(&settings.into(), &mut Problems::default()).unwrap();
        let granted: Vec<bool> = [0, 0, 0, 0, 999, 1_000, 1_001, 60_000, 60_000, 60_000, 60_000]
            .map(|now| rate.take(now))
            .into();
        let expected = "yyynnynyyyn".chars().map(|c| c == 'y').collect::<Vec<_>>();
        assert_eq!(granted, expected);
    }

    #[test]
    fn no_interval_is_no_limit_and_no_burst_a_mistake() {
        let mut problems = Problems::default();
        assert!(Rate::new(&RateLimit::default().into(), &mut problems).is_none());
        assert!(problems.is_empty());
        let settings = RateLimit { interval: Span::secs(1), burst: 0 };
        assert!(Rate::new(&settings.into(), &mut problems).is_none());
        assert_eq!(problems.len(), 1);
    }
}
