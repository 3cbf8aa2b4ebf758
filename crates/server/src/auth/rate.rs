//! Rate limit for each client or user: a token bucket. Time is an argument.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use bellwether_schema::{Diagnostics, Spanned};
use parking_lot::Mutex;

use super::web::settings::RateLimit;
use crate::net::peer::Client;

/// Maximum number of buckets that are not full.
const MAX_BUCKETS: usize = 4096;

/// Token bucket for each key, so that no client uses up the requests of another.
#[derive(Debug)]
pub(crate) struct RateLimiter<K = Client> {
    interval: Duration,
    burst: f64,
    buckets: Mutex<HashMap<K, Bucket>>,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    tokens: f64,
    /// Time of the count, in milliseconds since the start of the server.
    at: u64,
}

impl RateLimiter {
    /// Returns none if there is no limit.
    pub(super) fn new(settings: &Spanned<RateLimit>, problems: &mut Diagnostics) -> Option<Self> {
        if settings.interval.is_zero() {
            return None;
        }
        if settings.burst == 0 {
            problems
                .error(
                    &settings.at,
                    "burst must be 1 or more: with 0 nothing is answered",
                )
                .hint("such as burst: 20");
            return None;
        }
        Some(Self::with((settings.burst, *settings.interval)))
    }
}

impl<K: Eq + Hash> RateLimiter<K> {
    /// Returns a limiter of buckets that hold `burst` tokens and gain one each `interval`.
    pub(super) fn with((burst, interval): (u32, Duration)) -> Self {
        Self {
            interval,
            burst: f64::from(burst),
            buckets: Mutex::default(),
        }
    }

    /// Takes a token of `key`; false if there is none.
    pub(crate) fn try_acquire(&self, key: K, now_ms: u64) -> bool {
        let mut buckets = self.buckets.lock();
        if buckets.len() >= MAX_BUCKETS && !buckets.contains_key(&key) {
            buckets.retain(|_, bucket| self.refilled(*bucket, now_ms).tokens < self.burst);
            if buckets.len() >= MAX_BUCKETS {
                return false;
            }
        }
        let bucket = buckets.entry(key).or_insert(Bucket {
            tokens: self.burst,
            at: now_ms,
        });
        *bucket = self.refilled(*bucket, now_ms);
        let granted = bucket.tokens >= 1.0;
        if granted {
            bucket.tokens -= 1.0;
        }
        granted
    }

    /// Gives a token of `key` back.
    pub(super) fn give_back(&self, key: &K) {
        if let Some(bucket) = self.buckets.lock().get_mut(key) {
            bucket.tokens = (bucket.tokens + 1.0).min(self.burst);
        }
    }

    fn refilled(&self, bucket: Bucket, now_ms: u64) -> Bucket {
        let gained = now_ms.saturating_sub(bucket.at) as f64 / (self.interval.as_secs_f64() * 1e3);
        Bucket {
            tokens: (bucket.tokens + gained).min(self.burst),
            at: bucket.at.max(now_ms),
        }
    }
}

#[cfg(test)]
mod tests {
    use bellwether_schema::HumanDuration;

    use super::*;
    use crate::net::peer::Peer;

    fn client(number: u32) -> Client {
        Peer::from(std::net::IpAddr::from(std::net::Ipv4Addr::from(number))).client()
    }

    #[test]
    fn a_burst_then_one_each_interval() {
        let settings = RateLimit {
            interval: HumanDuration::secs(1),
            burst: 3,
        };
        let rate = RateLimiter::new(&settings.into(), &mut Diagnostics::default()).unwrap();
        let granted: Vec<bool> = [
            0, 0, 0, 0, 999, 1_000, 1_001, 60_000, 60_000, 60_000, 60_000,
        ]
        .map(|now| rate.try_acquire(client(1), now))
        .into();
        let expected = "yyynnynyyyn".chars().map(|c| c == 'y').collect::<Vec<_>>();
        assert_eq!(granted, expected);
    }

    #[test]
    fn each_client_has_a_bucket_and_they_are_bounded() {
        let settings = RateLimit {
            interval: HumanDuration::secs(1),
            burst: 1,
        };
        let rate = RateLimiter::new(&settings.into(), &mut Diagnostics::default()).unwrap();
        assert!(
            rate.try_acquire(client(1), 0)
                && !rate.try_acquire(client(1), 0)
                && rate.try_acquire(client(2), 0)
        );
        for number in 3..10_000 {
            rate.try_acquire(client(number), 0);
        }
        assert_eq!(rate.buckets.lock().len(), MAX_BUCKETS);
        assert!(
            rate.try_acquire(client(20_000), 5000),
            "those that are full again make room"
        );
        assert_eq!(rate.buckets.lock().len(), 1);
    }

    #[test]
    fn no_interval_is_no_limit_and_no_burst_a_mistake() {
        let mut problems = Diagnostics::default();
        assert!(RateLimiter::new(&RateLimit::default().into(), &mut problems).is_none());
        assert!(problems.is_empty());
        let settings = RateLimit {
            interval: HumanDuration::secs(1),
            burst: 0,
        };
        assert!(RateLimiter::new(&settings.into(), &mut problems).is_none());
        assert_eq!(problems.len(), 1);
    }
}
