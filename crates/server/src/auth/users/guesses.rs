//! Limits of wrong passwords, for each client and each user.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::MAX_REMEMBERED;
use crate::auth::rate::RateLimiter;
use crate::net::peer::Client;

/// Wrong passwords that a client may send at once, and the time after which it may send one more.
const GUESSES_PER_CLIENT: (u32, Duration) = (10, Duration::from_secs(10));
/// Wrong passwords for one user by all clients that never sent the right one.
const GUESSES_PER_USER: (u32, Duration) = (50, Duration::from_secs(2));

/// Limits of wrong passwords.
pub(super) struct Guesses {
    by_client: RateLimiter,
    by_user: RateLimiter<u64>,
    /// Clients with the users whose passwords they knew: the limit of such a user is not theirs.
    knowing: Mutex<HashSet<Guess>>,
    /// Users are counted by a keyed hash, so that long names take no memory.
    hasher: RandomState,
    start: Instant,
}

/// Password that may be wrong: its client, and the hash of its user's name.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Guess {
    client: Client,
    user: u64,
}

impl Guesses {
    pub(super) fn new() -> Self {
        Self {
            by_client: RateLimiter::with(GUESSES_PER_CLIENT),
            by_user: RateLimiter::with(GUESSES_PER_USER),
            knowing: Mutex::default(),
            hasher: RandomState::new(),
            start: Instant::now(),
        }
    }

    /// Counts a password as wrong until it proves right; none if there were too many.
    pub(super) fn begin(&self, client: Client, user: &str) -> Option<Guess> {
        let now_ms = self.start.elapsed().as_millis() as u64;
        let user = self.hasher.hash_one(user);
        let guess = Guess { client, user };
        if !self.by_client.try_acquire(client, now_ms) {
            return None;
        }
        if !self.by_user.try_acquire(user, now_ms) && !self.knowing.lock().contains(&guess) {
            self.by_client.give_back(&client);
            return None;
        }
        Some(guess)
    }

    pub(super) fn give_back(&self, guess: &Guess) {
        self.by_client.give_back(&guess.client);
        self.by_user.give_back(&guess.user);
    }

    pub(super) fn was_right(&self, guess: Guess) {
        self.give_back(&guess);
        let mut knowing = self.knowing.lock();
        if knowing.len() >= MAX_REMEMBERED {
            knowing.clear();
        }
        knowing.insert(guess);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(last: u8) -> Client {
        crate::net::peer::Peer::from(std::net::IpAddr::from([10, 0, 0, last])).client()
    }

    #[test]
    fn guesses_are_limited_for_each_client_and_each_user() {
        let guesses = Guesses::new();
        let begun = |client: Client, user: &str, count: u32| {
            let begun = (0..count).filter_map(|_| guesses.begin(client, user));
            begun.count() as u32
        };
        let (per_client, per_user) = (GUESSES_PER_CLIENT.0, GUESSES_PER_USER.0);
        let guess = guesses.begin(client(99), "ada").unwrap();
        guesses.was_right(guess);
        assert_eq!(begun(client(1), "ada", 20), per_client);
        assert_eq!(begun(client(1), "bob", 1), 0, "another user does not help");
        let others = (2..50).map(|last| begun(client(last), "ada", 5));
        assert_eq!(others.sum::<u32>(), per_user - per_client);
        assert_eq!(begun(client(50), "bob", 1), 1, "who is not guessed");
        assert_eq!(begun(client(99), "ada", 1), 1, "who knew the password");
    }
}
