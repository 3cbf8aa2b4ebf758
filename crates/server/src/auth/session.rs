//! Sessions of users who logged in: on the server, in memory, bounded in number and time. The
//! cookie has nothing but a random id, of which only a digest is kept.
//!
//! A session ends with its lifetime, its idle timeout, its user or the user's password. Time is an
//! argument, in milliseconds since the start of the server.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hyper::header::{COOKIE, HeaderMap};
use parking_lot::Mutex;
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom, SystemRandom};

use super::users::Users;
use super::web::settings::SessionSettings;

/// Maximum number of sessions.
const MAX_SESSIONS: usize = 1024;
/// Maximum number of sessions of one user.
const MAX_PER_USER: usize = 32;

/// Digest of a session's id.
pub(crate) type Key = [u8; 32];

/// Sessions of one server.
#[derive(Debug)]
pub(crate) struct Sessions {
    /// Name of the cookie: cookies of a host are those of all its ports, so each server has its own.
    cookie: String,
    by_key: Mutex<HashMap<Key, Session>>,
}

#[derive(Debug)]
struct Session {
    user: String,
    /// Password hash at the login.
    hash: Arc<str>,
    started_ms: u64,
    used_ms: u64,
}

impl Session {
    /// Time at which it ends unless it is used before.
    fn ends_ms(&self, settings: &SessionSettings) -> u64 {
        let after = |since: u64, span: Duration| {
            since.saturating_add(u64::try_from(span.as_millis()).unwrap_or(u64::MAX))
        };
        let lifetime = after(self.started_ms, *settings.lifetime);
        lifetime.min(after(self.used_ms, *settings.idle_timeout))
    }

    fn is_over(&self, settings: &SessionSettings, now_ms: u64) -> bool {
        now_ms >= self.ends_ms(settings)
    }

    fn goes_on(&self, users: &Users, settings: &SessionSettings, now_ms: u64) -> bool {
        users.hash(&self.user) == Some(&self.hash) && !self.is_over(settings, now_ms)
    }
}

impl Sessions {
    pub(crate) fn new() -> Self {
        // Without randomness there are no sessions either.
        let suffix = random::<6>().unwrap_or_default();
        Self {
            cookie: format!("bellwether_{}", URL_SAFE_NO_PAD.encode(suffix)),
            by_key: Mutex::default(),
        }
    }

    /// Starts a session of `user`, whose password was checked, and returns the header
    /// `Set-Cookie`; none if the user is gone or the system has no randomness.
    pub(crate) fn start(
        &self,
        user: &str,
        users: &Users,
        settings: &SessionSettings,
        secure: bool,
        now_ms: u64,
    ) -> Option<String> {
        let hash = users.hash(user)?;
        let id = URL_SAFE_NO_PAD.encode(random::<32>()?);
        let mut sessions = self.by_key.lock();
        make_room(&mut sessions, user, settings, now_ms);
        let session = Session {
            user: user.to_owned(),
            hash: Arc::clone(hash),
            started_ms: now_ms,
            used_ms: now_ms,
        };
        sessions.insert(key(&id), session);
        Some(self.set_cookie(&id, settings.lifetime.as_secs(), secure))
    }

    /// Returns the user of the session whose cookie the request has.
    pub(crate) fn user(
        &self,
        headers: &HeaderMap,
        users: &Users,
        settings: &SessionSettings,
        secure: bool,
        now_ms: u64,
    ) -> Option<String> {
        let key = self.key(headers, secure)?;
        let mut sessions = self.by_key.lock();
        let session = sessions.get_mut(&key)?;
        if !session.goes_on(users, settings, now_ms) {
            sessions.remove(&key);
            return None;
        }
        session.used_ms = now_ms;
        Some(session.user.clone())
    }

    /// Returns the time at which a session ends unless it is used before; none if it has ended.
    pub(crate) fn ends_ms(
        &self,
        key: &Key,
        users: &Users,
        settings: &SessionSettings,
        now_ms: u64,
    ) -> Option<u64> {
        let sessions = self.by_key.lock();
        let session = sessions.get(key)?;
        session
            .goes_on(users, settings, now_ms)
            .then(|| session.ends_ms(settings))
    }

    /// Returns the key of the session whose cookie the request has.
    pub(crate) fn key(&self, headers: &HeaderMap, secure: bool) -> Option<Key> {
        self.id(headers, secure).map(key)
    }

    /// Ends the session whose cookie the request has. Returns its user, and the header that deletes
    /// the cookie.
    pub(crate) fn end(&self, headers: &HeaderMap, secure: bool) -> (Option<String>, String) {
        let ended = self
            .key(headers, secure)
            .and_then(|key| self.by_key.lock().remove(&key));
        (
            ended.map(|session| session.user),
            self.set_cookie("", 0, secure),
        )
    }

    /// Returns true if the request has the cookie, of whatever value.
    pub(crate) fn has_cookie(&self, headers: &HeaderMap, secure: bool) -> bool {
        self.id(headers, secure).is_some()
    }

    fn set_cookie(&self, id: &str, lifetime_secs: u64, secure: bool) -> String {
        let (prefix, attribute) = if secure {
            (HOST_PREFIX, "; Secure")
        } else {
            ("", "")
        };
        let name = &self.cookie;
        format!(
            "{prefix}{name}={id}; Path=/; Max-Age={lifetime_secs}; HttpOnly; SameSite=Strict{attribute}"
        )
    }

    fn id<'a>(&self, headers: &'a HeaderMap, secure: bool) -> Option<&'a str> {
        let prefix = if secure { HOST_PREFIX } else { "" };
        let lines = headers.get_all(COOKIE).iter();
        lines
            .filter_map(|line| line.to_str().ok())
            .flat_map(|line| line.split(';'))
            .filter_map(|pair| pair.trim().strip_prefix(prefix)?.strip_prefix(&self.cookie))
            .find_map(|rest| rest.strip_prefix('='))
    }
}

/// Prefix of a cookie that browsers only take from this very host over TLS (RFC 6265bis).
const HOST_PREFIX: &str = "__Host-";

/// Removes what is over, and of the user or of all the longest unused if there are too many.
fn make_room(
    sessions: &mut HashMap<Key, Session>,
    user: &str,
    settings: &SessionSettings,
    now_ms: u64,
) {
    sessions.retain(|_, session| !session.is_over(settings, now_ms));
    let own = sessions.values().filter(|session| session.user == user);
    let of_user = own.count() >= MAX_PER_USER;
    if !of_user && sessions.len() < MAX_SESSIONS {
        return;
    }
    let candidates = sessions
        .iter()
        .filter(|(_, session)| !of_user || session.user == user);
    let oldest = candidates.min_by_key(|(_, session)| session.used_ms);
    if let Some(key) = oldest.map(|(key, _)| *key) {
        sessions.remove(&key);
    }
}

fn key(id: &str) -> Key {
    let mut key = Key::default();
    key.copy_from_slice(digest(&SHA256, id.as_bytes()).as_ref());
    key
}

fn random<const N: usize>() -> Option<[u8; N]> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use bellwether_schema::HumanDuration;
    use hyper::header::HeaderValue;

    use super::*;
    use crate::auth::users::testing::users;

    const SETTINGS: SessionSettings = SessionSettings {
        lifetime: HumanDuration::secs(100),
        idle_timeout: HumanDuration::secs(10),
    };

    fn start(sessions: &Sessions, users: &Users, now_ms: u64) -> HeaderMap {
        let cookie = sessions.start("alice", users, &SETTINGS, false, now_ms);
        sent(&cookie.unwrap())
    }

    /// Header that a browser sends after `Set-Cookie`, between other cookies.
    fn sent(set_cookie: &str) -> HeaderMap {
        let pair = set_cookie.split(';').next().unwrap();
        let line = format!("a=b; {pair}; bellwether_=c");
        HeaderMap::from_iter([(COOKIE, HeaderValue::from_str(&line).unwrap())])
    }

    #[test]
    fn a_session_ends_with_its_life_its_idle_time_or_a_logout() {
        let (sessions, users) = (Sessions::new(), users("s3cret"));
        let user = |headers: &HeaderMap, secs: u64| {
            sessions.user(headers, &users, &SETTINGS, false, secs * 1000)
        };
        let busy = start(&sessions, &users, 0);
        for secs in (0..100).step_by(9) {
            assert_eq!(user(&busy, secs).as_deref(), Some("alice"), "{secs}");
        }
        assert_eq!(user(&busy, 100), None, "its life is over");
        let idle = start(&sessions, &users, 0);
        assert_eq!(user(&idle, 10), None, "it was idle");
        let ended = start(&sessions, &users, 0);
        assert_eq!(sessions.end(&ended, false).0.as_deref(), Some("alice"));
        assert_eq!(user(&ended, 0), None);
        assert_eq!(sessions.end(&ended, false).0, None);
        assert!(sessions.by_key.lock().is_empty());
    }

    #[test]
    fn a_session_ends_with_its_password() {
        let sessions = Sessions::new();
        let cookie = start(&sessions, &users("old"), 0);
        let user = |users: &Users| sessions.user(&cookie, users, &SETTINGS, false, 0);
        assert_eq!(user(&users("new")), None);
        assert!(sessions.by_key.lock().is_empty(), "and does not come back");
    }

    #[test]
    fn an_id_that_the_server_did_not_give_out_is_none() {
        let (sessions, users) = (Sessions::new(), users("s3cret"));
        start(&sessions, &users, 0);
        for id in ["", "x", &"A".repeat(43)] {
            let cookie = format!("{}={id}", sessions.cookie);
            let headers = sent(&cookie);
            assert!(sessions.has_cookie(&headers, false));
            assert_eq!(sessions.user(&headers, &users, &SETTINGS, false, 0), None);
        }
    }

    #[test]
    fn the_cookie_of_tls_is_bound_to_the_host() {
        let (sessions, users) = (Sessions::new(), users("s3cret"));
        let cookie = sessions.start("alice", &users, &SETTINGS, true, 0).unwrap();
        assert!(cookie.starts_with("__Host-bellwether_"), "{cookie}");
        let attributes = "; Path=/; Max-Age=100; HttpOnly; SameSite=Strict; Secure";
        assert!(cookie.ends_with(attributes), "{cookie}");
        let user = |secure| sessions.user(&sent(&cookie), &users, &SETTINGS, secure, 0);
        assert_eq!(user(true).as_deref(), Some("alice"));
        assert_eq!(user(false), None);
        assert_eq!(sessions.start("bob", &users, &SETTINGS, true, 0), None);
    }

    #[test]
    fn sessions_are_bounded_and_the_longest_unused_goes_first() {
        let (sessions, users) = (Sessions::new(), users("s3cret"));
        let first = start(&sessions, &users, 0);
        for now_ms in 1..=MAX_PER_USER as u64 {
            start(&sessions, &users, now_ms);
        }
        assert_eq!(sessions.by_key.lock().len(), MAX_PER_USER);
        assert_eq!(sessions.user(&first, &users, &SETTINGS, false, 50), None);
    }
}
