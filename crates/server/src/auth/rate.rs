//! Rate limit for each client: a token bucket. Time is an argument.

use std::collections::HashMap;
use std::time::Duration;

use bellwether_schema::{Diagnostics, Spanned};
use parking_lot::Mutex;

use super::web::settings::RateLimit;
use crate::net::peer::Client;

/// Maximum number of clients with a bucket that is not full.
const MAX_CLIENTS: usize = 4096;

/// Token bucket for each client, so that none uses up the requests of another.
#[derive(Debug)]
pub(crate) struct RateLimiter {
    interval: Duration,
    burst: f64,
    buckets: Mutex<HashMap<Client, Bucket>>,
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
        let burst = f64::from(settings.burst);
        Some(Self {
            interval: *settings.interval,
            burst,
            buckets: Mutex::default(),
        })
    }

    /// Takes a token of `client`; false if there is none.
    pub(crate) fn try_acquire(&self, client: Client, now_ms: u64) -> bool {
        let mut buckets = self.buckets.lock();
        if buckets.len() >= MAX_CLIENTS && !buckets.contains_key(&client) {
            buckets.retain(|_, bucket| self.refilled(*bucket, now_ms).tokens < self.burst);
            if buckets.len() >= MAX_CLIENTS {
                return false;
            }
        }
        let bucket = buckets.entry(client).or_insert(Bucket {
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
        assert_eq!(rate.buckets.lock().len(), MAX_CLIENTS);
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
