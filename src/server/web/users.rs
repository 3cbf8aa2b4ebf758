//! Users and their passwords.
//!
//! bcrypt is slow by design, so it must not be a lever: one check runs at a time, on a blocking
//! thread; after a wrong password the next one waits three times as long as the check took, so
//! that guessing costs at most a quarter of a core; each peer has few checks waiting; and a
//! password that was right once is remembered (as a keyed hash), so that scrapes pass by the queue.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bcrypt::HashParts;
use hyper::header::{AUTHORIZATION, HeaderMap};
use parking_lot::Mutex;
use ring::hmac;
use ring::rand::SystemRandom;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep};

use crate::declare::{Problems, Secret, Spanned};

/// Checks that one peer may have waiting.
const WAITING_PER_PEER: u32 = 4;
/// Checks that may wait in all.
const WAITING: u32 = 32;
/// Remembered passwords; only right ones come in, so this is rarely reached.
const REMEMBERED: usize = 1024;

/// Names and hashes.
#[derive(Clone)]
pub(crate) struct Users {
    hashes: BTreeMap<String, Arc<str>>,
    /// Checked for names that are not there, so that these take as long.
    decoy: Arc<str>,
}

impl fmt::Debug for Users {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_set().entries(self.hashes.keys()).finish()
    }
}

impl Users {
    /// None where there are none.
    pub(super) fn new(
        declared: &BTreeMap<String, Spanned<Secret>>,
        problems: &mut Problems,
    ) -> Option<Self> {
        let mut cost = 4;
        let mut hashes = BTreeMap::new();
        for (name, hash) in declared {
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
        (!declared.is_empty()).then(|| Self { hashes, decoy: decoy.into() })
    }
}

/// What became of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The user is known and the password right.
    Granted,
    /// It is not, or there was none.
    Denied,
    /// Too many checks are waiting.
    Busy,
}

/// Checks passwords. Lives as long as the server, over changes of the users.
pub(crate) struct Verifier {
    /// Made at the start, so a copy of the remembered hashes is of no use elsewhere.
    key: Option<hmac::Key>,
    remembered: Mutex<HashSet<[u8; 32]>>,
    waiting: Arc<Mutex<HashMap<IpAddr, u32>>>,
    one: Arc<Semaphore>,
}

impl Verifier {
    pub(crate) fn new() -> Self {
        // Without randomness nothing is remembered, and each request pays for its check.
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new()).ok();
        Self {
            key,
            remembered: Mutex::default(),
            waiting: Arc::default(),
            one: Arc::new(Semaphore::new(1)),
        }
    }

    /// Judges the `Authorization` of a request.
    pub(crate) async fn check(&self, users: &Users, peer: IpAddr, headers: &HeaderMap) -> Verdict {
        let Some((user, password)) = credentials(headers) else { return Verdict::Denied };
        let known = users.hashes.get(&user);
        let hash = Arc::clone(known.unwrap_or(&users.decoy));
        let memory = self.key.as_ref().and_then(|key| memory(key, &user, &hash, &password));
        if memory.is_some_and(|memory| self.remembered.lock().contains(&memory)) {
            return Verdict::Granted;
        }
        let Some(waiting) = Waiting::enter(&self.waiting, peer) else { return Verdict::Busy };
        let Ok(permit) = Arc::clone(&self.one).acquire_owned().await else { return Verdict::Busy };
        // A task of its own: a guesser that leaves early must not make room for its next guess.
        let known = known.is_some();
        let check = tokio::spawn(async move {
            let start = Instant::now();
            let check = move || bcrypt::verify(password, &hash).unwrap_or(false);
            let right = tokio::task::spawn_blocking(check).await.unwrap_or(false) && known;
            if !right {
                sleep(start.elapsed() * 3).await;
            }
            drop((permit, waiting));
            right
        });
        if !check.await.unwrap_or(false) {
            return Verdict::Denied;
        }
        if let Some(memory) = memory {
            self.remember(memory);
        }
        Verdict::Granted
    }

    fn remember(&self, memory: [u8; 32]) {
        let mut remembered = self.remembered.lock();
        if remembered.len() >= REMEMBERED {
            remembered.clear();
        }
        remembered.insert(memory);
    }
}

/// A place in the queue, given back when dropped.
struct Waiting {
    all: Arc<Mutex<HashMap<IpAddr, u32>>>,
    peer: IpAddr,
}

impl Waiting {
    fn enter(all: &Arc<Mutex<HashMap<IpAddr, u32>>>, peer: IpAddr) -> Option<Self> {
        let mut waiting = all.lock();
        let own = waiting.get(&peer).copied().unwrap_or_default();
        if own >= WAITING_PER_PEER || waiting.values().sum::<u32>() >= WAITING {
            return None;
        }
        waiting.insert(peer, own + 1);
        Some(Self { all: Arc::clone(all), peer })
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut waiting = self.all.lock();
        if let Some(own) = waiting.get_mut(&self.peer) {
            *own -= 1;
            if *own == 0 {
                waiting.remove(&self.peer);
            }
        }
    }
}

/// User and password of `Authorization: Basic`.
fn credentials(headers: &HeaderMap) -> Option<(String, String)> {
    let (scheme, encoded) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (user, password) = text.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

/// What stands for this user, hash and password; none for one that is too long to be real.
fn memory(key: &hmac::Key, user: &str, hash: &str, password: &str) -> Option<[u8; 32]> {
    let mut context = hmac::Context::with_key(key);
    for part in [user, hash, password] {
        context.update(&(part.len() as u64).to_le_bytes());
        context.update(part.as_bytes());
    }
    context.sign().as_ref().try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;

    const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn users(password: &str) -> Users {
        let hash = Spanned::nowhere(Secret::new(bcrypt::hash(password, 4).unwrap()));
        Users::new(&BTreeMap::from([("alice".to_owned(), hash)]), &mut Problems::default()).unwrap()
    }

    fn basic(user: &str, password: &str) -> HeaderMap {
        let value = format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
        HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_str(&value).unwrap())])
    }

    #[tokio::test(start_paused = true)]
    async fn only_the_right_password_of_a_known_user_passes() {
        let (verifier, users) = (Verifier::new(), users("s3cret: ü"));
        let check = async |headers: HeaderMap| verifier.check(&users, PEER, &headers).await;
        assert_eq!(check(basic("alice", "s3cret: ü")).await, Verdict::Granted);
        assert_eq!(check(basic("alice", "s3cret: ü")).await, Verdict::Granted, "remembered");
        for (user, password) in [("alice", "wrong"), ("alice", ""), ("bob", "s3cret: ü"), ("", "")]
        {
            assert_eq!(check(basic(user, password)).await, Verdict::Denied, "{user} {password}");
        }
        assert_eq!(check(HeaderMap::new()).await, Verdict::Denied);
        for value in ["Basic", "Basic !", "Basic YQ==", "Bearer YTpi", "Basic /w=="] {
            let headers = HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static(value))]);
            assert_eq!(check(headers).await, Verdict::Denied, "{value}");
        }
        assert_eq!(verifier.remembered.lock().len(), 1, "wrong ones are not remembered");
    }

    #[tokio::test(start_paused = true)]
    async fn a_changed_password_is_not_remembered() {
        let verifier = Verifier::new();
        let headers = basic("alice", "old");
        assert_eq!(verifier.check(&users("old"), PEER, &headers).await, Verdict::Granted);
        assert_eq!(verifier.check(&users("new"), PEER, &headers).await, Verdict::Denied);
    }

    #[tokio::test(start_paused = true)]
    async fn a_guesser_neither_queues_up_nor_holds_up_who_is_known() {
        let (verifier, users) = (Arc::new(Verifier::new()), users("right"));
        let known = basic("alice", "right");
        assert_eq!(verifier.check(&users, PEER, &known).await, Verdict::Granted);
        let hold = Arc::clone(&verifier.one).acquire_owned().await.unwrap();
        let guesses: Vec<_> = (0..20)
            .map(|guess| {
                let (verifier, users) = (Arc::clone(&verifier), users.clone());
                tokio::spawn(async move {
                    verifier.check(&users, PEER, &basic("alice", &guess.to_string())).await
                })
            })
            .collect();
        tokio::task::yield_now().await;
        assert_eq!(verifier.check(&users, PEER, &known).await, Verdict::Granted);
        drop(hold);
        let mut busy = 0;
        for guess in guesses {
            busy += u32::from(guess.await.unwrap() == Verdict::Busy);
        }
        assert_eq!(busy, 20 - WAITING_PER_PEER);
        assert!(verifier.waiting.lock().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_guesser_that_leaves_makes_no_room_for_its_next_guess() {
        let (verifier, users) = (Verifier::new(), users("right"));
        let headers = basic("alice", "wrong");
        tokio::select! {
            biased;
            _ = verifier.check(&users, PEER, &headers) => panic!("too early"),
            () = tokio::task::yield_now() => {}
        }
        assert_eq!((verifier.one.available_permits(), verifier.waiting.lock()[&PEER]), (0, 1));
        let permit = verifier.one.acquire().await.unwrap();
        assert!(verifier.waiting.lock().is_empty());
        drop(permit);
    }

    #[test]
    fn the_decoy_is_a_hash_of_the_same_cost() {
        let users = users("x");
        assert_eq!(users.decoy.parse::<HashParts>().unwrap().get_cost(), 4);
        assert!(!bcrypt::verify("", &users.decoy).unwrap());
        assert!(!format!("{users:?}").contains("$2"));
    }
}
