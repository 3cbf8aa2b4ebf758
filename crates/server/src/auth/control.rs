//! Authorization: the role that a request needs, and whether its client has it.
//!
//! Owns the decision over one request's head, the peer's address and the identity of the client;
//! pure but for reading the token files when it is built. What the request then does is not its
//! business.
//!
//! Three attackers are in mind. A stranger on the network: the peer's address, or a token or a user
//! with a role decides. A web page in a browser on an allowed host: `Origin` and `Sec-Fetch-Site`
//! show it, and a page that rebinds its name to this address still sends that name as `Host`. A
//! stranger behind a reverse proxy on this host: one that says so, by `X-Forwarded-For` and the
//! like, has no rights of an address. One that says nothing, such as a plain `proxy_pass` or a relay
//! of TCP, looks like a client on this host, and nothing can tell them apart. So where users are
//! configured, which is what one does before one opens the server to others, loopback alone is not
//! enough; a role, a token, networks that were named, or the Unix socket are.

mod errors;
mod token;

use std::net::IpAddr;
use std::sync::Arc;

use bellwether_schema::{Diagnostic, Diagnostics};
use hyper::header::{AUTHORIZATION, FORWARDED, HOST, HeaderMap, HeaderName, ORIGIN, VIA};
use hyper::http::uri::Authority;
use hyper::{Method, Uri};

pub use self::errors::AccessError;
use self::errors::{
    CROSS_SITE, FORWARDED_REQUEST, HOST_NAME, NO_ORIGIN, NO_TOKEN, PEER, USERS, WRONG_TOKEN,
    lacks_role,
};
pub(crate) use self::token::{Token, UNREADABLE};
pub use self::token::{TokenError, TokenErrorReason, read_token};
use crate::auth::identity::{Authentication, Identity};
use crate::auth::network::Network;
use crate::auth::role::Role;
use crate::net::peer::Peer;
use crate::settings;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Headers that proxies add.
pub(crate) const FORWARDED_BY: [HeaderName; 4] = [
    FORWARDED,
    VIA,
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-real-ip"),
];

/// Head of a request, with its way to this server.
pub(crate) struct Head<'a> {
    pub(crate) peer: Peer,
    /// True if it came through a proxy that says so, or that is trusted.
    pub(crate) is_forwarded: bool,
    pub(crate) method: &'a Method,
    pub(crate) uri: &'a Uri,
    pub(crate) headers: &'a HeaderMap,
}

/// Control rules with their networks and the tokens.
#[derive(Debug)]
pub struct Control {
    /// None if the address of a client gives no rights and takes none.
    networks: Option<Vec<Network>>,
    /// True if the networks are from the configuration, and not the default.
    named: bool,
    tokens: Vec<Arc<Token>>,
}

impl Control {
    /// Parses the networks and reads the token files.
    ///
    /// # Errors
    /// Invalid networks, and files that cannot be read or contain no usable token, each with the location of its
    /// setting.
    pub fn new(settings: &settings::Control) -> Result<Self, Vec<Diagnostic>> {
        let mut problems = Diagnostics::default();
        let networks = settings.networks(&mut problems);
        let tokens = Token::read_all(settings, &mut problems);
        if !problems.is_empty() {
            return Err(problems.into_sorted());
        }
        let mut control = Self {
            named: !networks.is_empty(),
            networks: Some(networks),
            tokens,
        };
        if !control.named {
            let by_address = !control.has_changing_token();
            control.networks = by_address.then(Network::loopback);
        }
        Ok(control)
    }

    /// Returns the token that the request has, if it is one of the configured.
    pub(crate) fn token(&self, headers: &HeaderMap) -> Option<&Arc<Token>> {
        let sent = bearer(headers)?;
        // All are compared, so that the time does not say which one is alike.
        let tokens = self.tokens.iter();
        tokens.fold(None, |found, token| match token.matches(sent) {
            true => Some(token),
            false => found,
        })
    }

    /// Returns true if a token is still one of the configured, with its role.
    pub(crate) fn has_token(&self, token: &Token) -> bool {
        self.tokens.iter().any(|other| other.is_same(token))
    }

    /// Checks that a request may do what needs the role `needed`. Whoever may send requests at all
    /// may read.
    ///
    /// # Errors
    /// It may not.
    pub(crate) fn authorize(
        &self,
        head: &Head<'_>,
        identity: &Identity,
        needed: Role,
    ) -> Result<(), AccessError> {
        if needed == Role::Viewer {
            return Ok(());
        }
        check_site(head, identity)?;
        match self.role(head, identity)? {
            role if role >= needed => Ok(()),
            _ => Err(lacks_role(needed)),
        }
    }

    /// Returns the role of a client.
    ///
    /// # Errors
    /// It may only read, for a reason other than its role.
    pub(crate) fn role(&self, head: &Head<'_>, identity: &Identity) -> Result<Role, AccessError> {
        if self.named
            && let Peer::Network(peer) = head.peer
            && !self.contains(peer)
        {
            return Err(PEER);
        }
        match identity.role {
            Some(role) => Ok(role),
            None => self.check_address(head, identity).map(|()| Role::Admin),
        }
    }

    /// Checks the rights of an address, which are those to everything.
    fn check_address(&self, head: &Head<'_>, identity: &Identity) -> Result<(), AccessError> {
        let Peer::Network(peer) = head.peer else {
            // A proxy is in front of the socket, else the mode of its file had decided.
            return Err(FORWARDED_REQUEST);
        };
        if self.networks.is_some() && !self.contains(peer) {
            return Err(PEER);
        }
        if self.has_changing_token() {
            return Err(match bearer(head.headers) {
                Some(_) => WRONG_TOKEN,
                None => NO_TOKEN,
            });
        }
        if head.is_forwarded {
            return Err(FORWARDED_REQUEST);
        }
        if identity.user.is_some() && !self.named {
            return Err(USERS);
        }
        check_host(peer, host_of(head.uri, head.headers).as_ref(), head.headers)
    }

    fn contains(&self, peer: IpAddr) -> bool {
        let mut networks = self.networks.iter().flatten();
        networks.any(|network| network.contains(peer))
    }

    /// Returns true if a token gives the right to change state: then an address does not.
    fn has_changing_token(&self) -> bool {
        self.tokens.iter().any(|token| token.role > Role::Viewer)
    }
}

/// Returns true if a proxy says that it forwards the request.
pub(crate) fn is_forwarded(headers: &HeaderMap) -> bool {
    FORWARDED_BY.iter().any(|name| headers.contains_key(name))
}

/// Rejects a request that a browser sent for a page of another site. A browser adds the cookie by
/// itself, and says where a change comes from.
///
/// # Errors
/// It is from another site, or may be.
pub(crate) fn check_site(head: &Head<'_>, identity: &Identity) -> Result<(), AccessError> {
    if is_cross_site(head.uri, head.headers) {
        return Err(CROSS_SITE);
    }
    let says_site = [ORIGIN, SEC_FETCH_SITE]
        .iter()
        .any(|name| head.headers.contains_key(name));
    if identity.auth == Authentication::Session && !head.method.is_safe() && !says_site {
        return Err(NO_ORIGIN);
    }
    Ok(())
}

/// Rejects a rebound name. It can only come from a browser, and only a browser sends `Origin`; a name
/// without it is fine from a configured network, but no local client needs one.
fn check_host(
    peer: IpAddr,
    host: Option<&Authority>,
    headers: &HeaderMap,
) -> Result<(), AccessError> {
    let named = !host.is_some_and(is_local_name);
    let remote = !Network::loopback()
        .iter()
        .any(|network| network.contains(peer));
    if named && (!remote || headers.contains_key(ORIGIN)) {
        return Err(HOST_NAME);
    }
    Ok(())
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    // Clients of InfluxDB call it Token.
    let is_token = ["bearer", "token"]
        .iter()
        .any(|word| scheme.eq_ignore_ascii_case(word));
    is_token.then(|| token.trim())
}

/// Host that the request is for, by its URI or its `Host` header.
fn host_of(uri: &Uri, headers: &HeaderMap) -> Option<Authority> {
    match uri.authority() {
        Some(authority) => Some(authority.clone()),
        None => headers.get(HOST)?.to_str().ok()?.parse().ok(),
    }
}

/// Returns true if a browser sent the request for a page of another site. Programs send neither
/// header. `Sec-Fetch-Site` counts for more: it holds behind a proxy that changes `Host` too.
pub(crate) fn is_cross_site(uri: &Uri, headers: &HeaderMap) -> bool {
    let mut sites = headers.get_all(SEC_FETCH_SITE).iter().peekable();
    if sites.peek().is_some() {
        return sites.any(|site| !matches!(site.as_bytes(), b"same-origin" | b"none"));
    }
    let host = host_of(uri, headers);
    headers.get_all(ORIGIN).iter().any(|origin| {
        let origin = origin
            .to_str()
            .ok()
            .and_then(|origin| origin.split_once("://"));
        !matches!((origin, &host), (Some((_, origin)), Some(host))
            if origin.eq_ignore_ascii_case(host.as_str()))
    })
}

/// Returns true for an address or `localhost`, which no page can rebind.
fn is_local_name(host: &Authority) -> bool {
    let name = host.host().trim_start_matches('[').trim_end_matches(']');
    name.parse::<IpAddr>().is_ok()
        || name.eq_ignore_ascii_case("localhost")
        || name.to_ascii_lowercase().ends_with(".localhost")
}

#[cfg(test)]
mod tests;
