//! Reader: the client of a connection that outlives its request, and what gave it the right to read.
//!
//! A request is checked once. A WebSocket goes on, so its reader is checked again when users, tokens or
//! sessions change, and when its session is due to end.

use std::sync::Arc;

use hyper::header::HeaderMap;

use super::access::Access;
use super::control::Token;
use super::identity::{Authentication, Identity};
use super::role::Role;
use super::session::{Key, Sessions};

const SESSION: &str = "the session has ended; log in again";
const USER: &str = "the user is gone or has another password; log in again";
const ROLE: &str = "the role of the user has changed; connect again";
const TOKEN: &str = "the token is gone or has another role";

/// Client with what gave it the right to read.
#[derive(Debug)]
pub(crate) struct Reader {
    identity: Identity,
    proof: Proof,
}

#[derive(Debug)]
enum Proof {
    Session(Key),
    /// Password hash of the user, which the password matched.
    Password(Arc<str>),
    Token(Arc<Token>),
    /// Whatever holds until the rules of access change: an address, a socket, the word of a proxy.
    Rules,
}

/// Users, tokens and sessions at a time, in milliseconds since the start of the server.
pub(crate) struct Rights<'a> {
    pub(crate) access: &'a Access,
    pub(crate) sessions: &'a Sessions,
    pub(crate) now_ms: u64,
}

impl Reader {
    /// Creates the reader of a request whose client is `identity`.
    pub(crate) fn new(
        identity: Identity,
        headers: &HeaderMap,
        secure: bool,
        rights: &Rights<'_>,
    ) -> Self {
        let user = identity.user.as_deref();
        let proof = match identity.auth {
            Authentication::Session => rights.sessions.key(headers, secure).map(Proof::Session),
            Authentication::Password => rights.hash(user).cloned().map(Proof::Password),
            Authentication::Token => {
                let token = rights.access.control.token(headers);
                token.cloned().map(Proof::Token)
            }
            Authentication::Proxy | Authentication::Socket | Authentication::Address => None,
        };
        Self {
            identity,
            proof: proof.unwrap_or(Proof::Rules),
        }
    }

    /// Returns the reason for which the client may no longer read; none if it may.
    pub(crate) fn ended(&self, rights: &Rights<'_>) -> Option<&'static str> {
        let user = self.identity.user.as_deref();
        match &self.proof {
            Proof::Session(key) if rights.session_ends_ms(key).is_none() => Some(SESSION),
            Proof::Password(hash) if rights.hash(user) != Some(hash) => Some(USER),
            Proof::Token(token) => (!rights.access.control.has_token(token)).then_some(TOKEN),
            Proof::Session(_) | Proof::Password(_) | Proof::Rules => {
                (self.role(rights) != self.identity.role).then_some(ROLE)
            }
        }
    }

    /// Returns the time at which the session is due to end; none without a session.
    pub(crate) fn ends_ms(&self, rights: &Rights<'_>) -> Option<u64> {
        match &self.proof {
            Proof::Session(key) => rights.session_ends_ms(key),
            Proof::Password(_) | Proof::Token(_) | Proof::Rules => None,
        }
    }

    fn role(&self, rights: &Rights<'_>) -> Option<Role> {
        let role = |user: &str| rights.access.web.role(user);
        match (&self.identity.user, self.identity.auth) {
            (Some(user), Authentication::Proxy) => Some(role(user).unwrap_or(Role::Viewer)),
            (Some(user), _) => role(user),
            (None, _) => self.identity.role,
        }
    }
}

impl Rights<'_> {
    fn hash(&self, user: Option<&str>) -> Option<&Arc<str>> {
        self.access.web.users.as_ref()?.hash(user?)
    }

    fn session_ends_ms(&self, key: &Key) -> Option<u64> {
        let web = &self.access.web;
        let users = web.users.as_ref()?;
        self.sessions
            .ends_ms(key, users, &web.sessions, self.now_ms)
    }
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;

    /// A client whose address decides.
    pub(crate) fn anonymous() -> Reader {
        Reader {
            identity: Identity::ADDRESS,
            proof: Proof::Rules,
        }
    }
}
