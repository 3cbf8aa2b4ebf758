//! Users and their passwords.
//!
//! bcrypt is slow by design, so it must not be a lever: one check runs at a time, on a blocking
//! thread; after a wrong password those who sent one before wait three times as long as the check
//! took, so that guessing costs at most a quarter of a core; each client has few checks waiting; who
//! has sent no wrong password goes before those who have, and takes their place in a full queue, so
//! that guessers lock nobody out; and a password that was right once is remembered (as a keyed
//! hash), so that scrapes pass by the queue. Wrong passwords are limited for each client and each
//! user beside; who knew the password before is not held up by those who guess it.

mod guesses;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bcrypt::HashParts;
use bellwether_schema::{Diagnostics, Secret, Spanned};
use hyper::header::{AUTHORIZATION, HeaderMap};
use parking_lot::Mutex;
use ring::hmac;
use ring::rand::SystemRandom;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use self::guesses::Guesses;
use crate::net::peer::Client;

/// Maximum number of waiting checks of one client.
const WAITING_PER_CLIENT: usize = 4;
/// Maximum number of waiting checks.
const WAITING: usize = 32;
/// Time for which a wrong password counts against a client.
const WRONG_PASSWORD_MEMORY: Duration = Duration::from_secs(600);
/// Maximum number of clients whose wrong passwords are counted.
const MAX_COUNTED_CLIENTS: usize = 4096;
/// Maximum number of remembered passwords; only right ones are, so this is rarely reached.
const MAX_REMEMBERED: usize = 1024;
/// Users with their password hashes.
#[derive(Clone)]
pub(crate) struct Users {
    hashes: BTreeMap<String, Arc<str>>,
    /// Hash that is checked for unknown names, so that these take as long.
    decoy: Arc<str>,
}

impl fmt::Debug for Users {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_set().entries(self.hashes.keys()).finish()
    }
}

impl Users {
    /// Password hash of a user.
    pub(super) fn hash(&self, user: &str) -> Option<&Arc<str>> {
        self.hashes.get(user)
    }

    /// Checks the configured hashes; none if there are no users.
    pub(super) fn new(
        configured: &BTreeMap<String, Spanned<Secret>>,
        problems: &mut Diagnostics,
    ) -> Option<Self> {
        let mut cost = 4;
        let mut hashes = BTreeMap::new();
        for (name, hash) in configured {
            if name.contains(':') {
                problems.error(&hash.at, format!("user name with a colon: {name:?}"));
            }
            match hash.expose().parse::<HashParts>() {
                Ok(parts) => {
                    cost = cost.max(parts.get_cost());
                    hashes.insert(name.clone(), Arc::from(hash.expose()));
                }
                Err(_) => {
                    problems
                        .error(&hash.at, "not a bcrypt hash")
                        .hint("make one with: htpasswd -nBC 10 \"\" | tr -d ':\\n'");
                }
            }
        }
        // A salt and a hash that no password is known for.
        let decoy = format!("$2b${cost:02}$abcdefghijklmnopqrstuuC0tcG3v0ZCzEmXnLzgWzIjLxr1LkbPy");
        (!configured.is_empty()).then(|| Self {
            hashes,
            decoy: decoy.into(),
        })
    }
}

/// Result of a password check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PasswordCheck {
    /// The user exists and the password is right.
    Granted,
    /// The user or the password is wrong, or missing.
    Denied,
    /// Too many checks are waiting.
    Busy,
    /// Too many wrong passwords of this client or for this user.
    Limited,
}

/// Password checks of one server. Survives changes of the users.
pub(crate) struct Verifier {
    /// Created at the start, so a copy of the remembered digests is of no use elsewhere.
    key: Option<hmac::Key>,
    remembered: Mutex<HashSet<[u8; 32]>>,
    queue: Arc<Queue>,
    guesses: Guesses,
}

impl Verifier {
    pub(crate) fn new() -> Self {
        // Without randomness nothing is remembered, and each request pays for its check.
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new()).ok();
        Self {
            key,
            remembered: Mutex::default(),
            queue: Arc::default(),
            guesses: Guesses::new(),
        }
    }

    /// Checks the password of a user. An unknown user takes as long.
    pub(crate) async fn check(
        &self,
        users: &Users,
        client: Client,
        (user, password): (String, String),
    ) -> PasswordCheck {
        let user_hash = users.hashes.get(&user);
        let hash = Arc::clone(user_hash.unwrap_or(&users.decoy));
        let digest = self
            .key
            .as_ref()
            .and_then(|key| digest(key, &user, &hash, &password));
        if digest.is_some_and(|digest| self.remembered.lock().contains(&digest)) {
            return PasswordCheck::Granted;
        }
        let Some(guess) = self.guesses.begin(client, &user) else {
            return PasswordCheck::Limited;
        };
        let Some(turn) = Queue::turn(&self.queue, client).await else {
            self.guesses.give_back(&guess);
            return PasswordCheck::Busy;
        };
        // A task of its own: a guesser that leaves early must not make room for its next guess.
        let is_user = user_hash.is_some();
        let check = tokio::spawn(async move {
            let start = Instant::now();
            let right = tokio::task::spawn_blocking(move || {
                bcrypt::verify(password, &hash).unwrap_or(false)
            });
            let right = right.await.unwrap_or(false) && is_user;
            turn.end(right, start.elapsed());
            right
        });
        if !check.await.unwrap_or(false) {
            return PasswordCheck::Denied;
        }
        self.guesses.was_right(guess);
        if let Some(digest) = digest {
            self.remember(digest);
        }
        PasswordCheck::Granted
    }

    fn remember(&self, digest: [u8; 32]) {
        let mut remembered = self.remembered.lock();
        if remembered.len() >= MAX_REMEMBERED {
            remembered.clear();
        }
        remembered.insert(digest);
    }
}

/// Queue of password checks.
#[derive(Default)]
struct Queue {
    state: Mutex<State>,
    /// Notified after every change of `state`.
    changed: Notify,
}

#[derive(Default)]
struct State {
    busy: bool,
    /// Time until which only clients without a wrong password are checked.
    pause: Option<Instant>,
    waiting: BTreeMap<u64, Client>,
    next: u64,
    /// Number of wrong passwords by client, and the time of the last.
    wrong: HashMap<Client, (u32, Instant)>,
}

/// Right to one check; the next begins when it is dropped.
struct Turn {
    queue: Arc<Queue>,
    client: Client,
}

impl Turn {
    /// Ends the check, which took `took`.
    fn end(self, right: bool, took: Duration) {
        if !right {
            let now = Instant::now();
            let mut state = self.queue.state.lock();
            state.pause = Some(now + took * 3);
            state.count_wrong(self.client, now);
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.queue.state.lock().busy = false;
        self.queue.changed.notify_waiters();
    }
}

/// A place in the queue, left when dropped.
struct Queued<'a> {
    queue: &'a Queue,
    ticket: u64,
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        self.queue.state.lock().waiting.remove(&self.ticket);
        self.queue.changed.notify_waiters();
    }
}

impl Queue {
    /// Waits for the turn of `client`; none if the queue is full of clients that go first.
    async fn turn(self: &Arc<Self>, client: Client) -> Option<Turn> {
        let ticket = self.state.lock().enter(client, Instant::now())?;
        self.changed.notify_waiters();
        let _queued = Queued {
            queue: self,
            ticket,
        };
        loop {
            // Listens before it looks, so that no change goes by unseen.
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            let until = {
                let mut state = self.state.lock();
                let now = Instant::now();
                if !state.waiting.contains_key(&ticket) {
                    return None;
                }
                match state.next_turn(now) {
                    Some(next) if next == ticket => {
                        state.waiting.remove(&ticket);
                        state.busy = true;
                        return Some(Turn {
                            queue: Arc::clone(self),
                            client,
                        });
                    }
                    _ => state.pause.filter(|pause| *pause > now && !state.busy),
                }
            };
            match until {
                Some(until) => tokio::select! {
                    () = changed => {}
                    () = sleep_until(until) => {}
                },
                None => changed.await,
            }
        }
    }
}

impl State {
    fn wrong(&self, client: Client, now: Instant) -> u32 {
        let counted = self.wrong.get(&client);
        counted
            .filter(|(_, at)| now - *at < WRONG_PASSWORD_MEMORY)
            .map_or(0, |(count, _)| *count)
    }

    fn count_wrong(&mut self, client: Client, now: Instant) {
        if self.wrong.len() >= MAX_COUNTED_CLIENTS {
            self.wrong
                .retain(|_, (_, at)| now - *at < WRONG_PASSWORD_MEMORY);
        }
        if self.wrong.len() >= MAX_COUNTED_CLIENTS {
            let oldest = self.wrong.iter().min_by_key(|(_, (_, at))| *at);
            if let Some(oldest) = oldest.map(|(client, _)| *client) {
                self.wrong.remove(&oldest);
            }
        }
        let (count, at) = self.wrong.entry(client).or_insert((0, now));
        (*count, *at) = (count.saturating_add(1), now);
    }

    /// Adds `client` to the queue; in a full one it replaces a client with more wrong passwords.
    fn enter(&mut self, client: Client, now: Instant) -> Option<u64> {
        let own = self
            .waiting
            .values()
            .filter(|waiting| **waiting == client)
            .count();
        if own >= WAITING_PER_CLIENT {
            return None;
        }
        if self.waiting.len() >= WAITING {
            let (wrong, last) = self
                .waiting
                .iter()
                .map(|(ticket, client)| (self.wrong(*client, now), *ticket))
                .max()?;
            if wrong <= self.wrong(client, now) {
                return None;
            }
            self.waiting.remove(&last);
        }
        let ticket = self.next;
        self.next += 1;
        self.waiting.insert(ticket, client);
        Some(ticket)
    }

    /// Next in the queue: of the clients with the fewest wrong passwords the first.
    fn next_turn(&self, now: Instant) -> Option<u64> {
        if self.busy {
            return None;
        }
        let (wrong, ticket) = self
            .waiting
            .iter()
            .map(|(ticket, client)| (self.wrong(*client, now), *ticket))
            .min()?;
        (wrong == 0 || self.pause.is_none_or(|pause| pause <= now)).then_some(ticket)
    }
}

/// Parses `Authorization: Basic` to user and password.
pub(crate) fn credentials(headers: &HeaderMap) -> Option<(String, String)> {
    let (scheme, encoded) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (user, password) = text.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

/// Keyed digest of user, hash and password.
fn digest(key: &hmac::Key, user: &str, hash: &str, password: &str) -> Option<[u8; 32]> {
    let mut context = hmac::Context::with_key(key);
    for part in [user, hash, password] {
        context.update(&(part.len() as u64).to_le_bytes());
        context.update(part.as_bytes());
    }
    context.sign().as_ref().try_into().ok()
}

#[cfg(test)]
pub(super) mod testing {
    use super::*;

    /// The user alice with `password`.
    pub(crate) fn users(password: &str) -> Users {
        let hash = Spanned::nowhere(Secret::new(bcrypt::hash(password, 4).unwrap()));
        Users::new(
            &BTreeMap::from([("alice".to_owned(), hash)]),
            &mut Diagnostics::default(),
        )
        .unwrap()
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::testing::users;
    use super::*;

    fn client(last: u8) -> Client {
        crate::net::peer::Peer::from(std::net::IpAddr::from([10, 0, 0, last])).client()
    }

    fn pair(user: &str, password: &str) -> (String, String) {
        (user.to_owned(), password.to_owned())
    }

    #[tokio::test(start_paused = true)]
    async fn only_the_right_password_of_a_known_user_passes() {
        let (verifier, users) = (Verifier::new(), users("s3cret: ü"));
        let check = async |pair| verifier.check(&users, client(1), pair).await;
        assert_eq!(
            check(pair("alice", "s3cret: ü")).await,
            PasswordCheck::Granted
        );
        assert_eq!(
            check(pair("alice", "s3cret: ü")).await,
            PasswordCheck::Granted,
            "remembered"
        );
        for (user, password) in [
            ("alice", "wrong"),
            ("alice", ""),
            ("bob", "s3cret: ü"),
            ("", ""),
        ] {
            assert_eq!(
                check(pair(user, password)).await,
                PasswordCheck::Denied,
                "{user} {password}"
            );
        }
        assert_eq!(
            verifier.remembered.lock().len(),
            1,
            "wrong ones are not remembered"
        );
    }

    #[test]
    fn credentials_are_those_of_basic_alone() {
        let of = |value| {
            credentials(&HeaderMap::from_iter([(
                AUTHORIZATION,
                HeaderValue::from_static(value),
            )]))
        };
        assert_eq!(of("basic YTpiOmM="), Some(pair("a", "b:c")));
        assert_eq!(credentials(&HeaderMap::new()), None);
        for value in [
            "Basic",
            "Basic !",
            "Basic YQ==",
            "Bearer YTpi",
            "Basic /w==",
        ] {
            assert_eq!(of(value), None, "{value}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_changed_password_is_not_remembered() {
        let verifier = Verifier::new();
        let headers = pair("alice", "old");
        assert_eq!(
            verifier
                .check(&users("old"), client(1), headers.clone())
                .await,
            PasswordCheck::Granted
        );
        assert_eq!(
            verifier
                .check(&users("new"), client(1), headers.clone())
                .await,
            PasswordCheck::Denied
        );
    }

    /// Waits until `count` checks wait.
    async fn waiting(verifier: &Verifier, count: usize) {
        while verifier.queue.state.lock().waiting.len() != count {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_guesser_neither_queues_up_nor_holds_up_who_is_known() {
        let (verifier, users) = (Arc::new(Verifier::new()), users("right"));
        let known = pair("alice", "right");
        assert_eq!(
            verifier.check(&users, client(1), known.clone()).await,
            PasswordCheck::Granted
        );
        let hold = Queue::turn(&verifier.queue, client(9)).await.unwrap();
        let guesses: Vec<_> = (0..20)
            .map(|guess| {
                let (verifier, users) = (Arc::clone(&verifier), users.clone());
                tokio::spawn(async move {
                    verifier
                        .check(&users, client(1), pair("alice", &guess.to_string()))
                        .await
                })
            })
            .collect();
        waiting(&verifier, WAITING_PER_CLIENT).await;
        assert_eq!(
            verifier.check(&users, client(1), known.clone()).await,
            PasswordCheck::Granted
        );
        drop(hold);
        let mut busy = 0;
        for guess in guesses {
            busy += usize::from(guess.await.unwrap() == PasswordCheck::Busy);
        }
        assert_eq!(busy, 20 - WAITING_PER_CLIENT);
        assert!(verifier.queue.state.lock().waiting.is_empty());
    }

    #[tokio::test]
    async fn guessers_from_many_addresses_lock_nobody_out() {
        let (verifier, users) = (Arc::new(Verifier::new()), users("right"));
        // A pause that does not end in this test is for those alone who have guessed.
        {
            let mut state = verifier.queue.state.lock();
            let now = Instant::now();
            (1..=20).for_each(|last| state.count_wrong(client(last), now));
            state.pause = Some(now + Duration::from_secs(3600));
        }
        let guess = |last: u8| {
            let (verifier, users) = (Arc::clone(&verifier), users.clone());
            tokio::spawn(async move {
                verifier
                    .check(&users, client(last), pair("alice", "wrong"))
                    .await
            })
        };
        let guesses: Vec<_> = (1..=20)
            .flat_map(|last| [guess(last), guess(last)])
            .collect();
        waiting(&verifier, WAITING).await;
        let scraper = verifier
            .check(&users, client(99), pair("alice", "right"))
            .await;
        assert_eq!(scraper, PasswordCheck::Granted);
        waiting(&verifier, WAITING - 1).await;
        guesses.iter().for_each(tokio::task::JoinHandle::abort);
    }

    #[tokio::test]
    async fn a_guesser_that_leaves_makes_no_room_for_its_next_guess() {
        let (verifier, users) = (Verifier::new(), users("right"));
        let headers = pair("alice", "wrong");
        {
            let mut check = Box::pin(verifier.check(&users, client(1), headers.clone()));
            let mut context = std::task::Context::from_waker(std::task::Waker::noop());
            assert!(
                check.as_mut().poll(&mut context).is_pending(),
                "it has begun"
            );
        }
        assert!(verifier.queue.state.lock().busy);
        let turn = Queue::turn(&verifier.queue, client(2)).await;
        assert!(turn.is_some(), "it ended");
        assert_eq!(verifier.queue.state.lock().wrong[&client(1)].0, 1);
    }

    #[test]
    fn the_decoy_is_a_hash_of_the_same_cost() {
        let users = users("x");
        assert_eq!(users.decoy.parse::<HashParts>().unwrap().get_cost(), 4);
        assert!(!bcrypt::verify("", &users.decoy).unwrap());
        assert!(!format!("{users:?}").contains("$2"));
    }
}
