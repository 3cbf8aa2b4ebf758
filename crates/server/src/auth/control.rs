//! Authorization of requests that change state: reload, record, silence, acknowledge, resend dead letters.
//!
//! Owns the decision over one request's head and the peer's address; pure but for reading the
//! token file when it is built. What the request then does is not its business.
//!
//! Three attackers are in mind. A stranger on the network: the peer's address or a token decides.
//! A web page in a browser on an allowed host: `Origin` and `Sec-Fetch-Site` show it, and a page
//! that rebinds its name to this address still sends that name as `Host`. A stranger behind a
//! reverse proxy on this host: one that says so, by `X-Forwarded-For` and the like, is rejected. One
//! that says nothing, such as a plain `proxy_pass` or a relay of TCP, looks like a client on this
//! host, and nothing can tell them apart. So where users are configured, which is what one does
//! before one opens the server to others, loopback alone is not enough; a token, networks that were
//! named, or the Unix socket are.

mod errors;
mod token;

use std::net::IpAddr;

use hyper::Uri;
use hyper::header::{AUTHORIZATION, FORWARDED, HOST, HeaderMap, HeaderName, ORIGIN, VIA};
use hyper::http::uri::Authority;

pub use self::errors::AccessError;
use self::errors::{CROSS_SITE, FORWARDED_REQUEST, HOST_NAME, NO_TOKEN, PEER, USERS, WRONG_TOKEN};
use self::token::Token;
pub use self::token::{TokenError, TokenErrorReason, read_token};
use crate::auth::network::{Network, NetworkError};
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

/// Control rules with their networks and the token.
#[derive(Debug)]
pub struct Control {
    /// None if a token alone decides.
    networks: Option<Vec<Network>>,
    /// True if the networks are from the configuration, and not the default.
    named: bool,
    token: Option<Token>,
}

/// Error of settings from which no control rules can be built.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    #[error("{text}: {error}")]
    Network { text: String, error: NetworkError },
    #[error(transparent)]
    Token(#[from] TokenError),
}

impl Control {
    /// Parses the networks and reads the token file.
    ///
    /// # Errors
    /// A network is invalid, or the token file cannot be read or contains no usable token.
    pub fn new(settings: &settings::Control) -> Result<Self, ControlError> {
        let networks = settings
            .networks
            .iter()
            .map(|text| {
                text.parse().map_err(|error| ControlError::Network {
                    text: text.to_string(),
                    error,
                })
            })
            .collect::<Result<Vec<Network>, ControlError>>()?;
        let token = settings
            .token_file
            .as_deref()
            .map(Token::read)
            .transpose()?;
        let named = !networks.is_empty();
        let networks = match (networks.is_empty(), &token) {
            (false, _) => Some(networks),
            (true, None) => Some(Network::loopback()),
            (true, Some(_)) => None,
        };
        Ok(Self {
            networks,
            named,
            token,
        })
    }

    /// Returns true if the request has the token. It then stands in for a user's password too: both
    /// would be in the one `Authorization` header.
    pub(crate) fn has_token(&self, headers: &HeaderMap) -> bool {
        matches!((&self.token, bearer(headers)), (Some(token), Some(sent)) if token.matches(sent))
    }

    /// Checks a request that would change state. With `users`, whose passwords are for reading, a
    /// client on this host alone is not enough.
    ///
    /// # Errors
    /// The request may not change state.
    pub(crate) fn authorize(
        &self,
        peer: Peer,
        uri: &Uri,
        headers: &HeaderMap,
        users: bool,
    ) -> Result<(), AccessError> {
        let host = host_of(uri, headers);
        if is_cross_site(headers, host.as_ref()) {
            return Err(CROSS_SITE);
        }
        let forwarded = FORWARDED_BY.iter().any(|name| headers.contains_key(name));
        let peer = match peer {
            // The mode of the socket's file has decided, unless a proxy is in front of it.
            Peer::Socket(_) if !forwarded || self.has_token(headers) => return Ok(()),
            Peer::Socket(_) => return Err(FORWARDED_REQUEST),
            Peer::Network(peer) => peer,
        };
        if let Some(networks) = &self.networks
            && !networks.iter().any(|network| network.contains(peer))
        {
            return Err(PEER);
        }
        if let Some(token) = &self.token {
            return match bearer(headers) {
                Some(sent) if token.matches(sent) => Ok(()),
                Some(_) => Err(WRONG_TOKEN),
                None => Err(NO_TOKEN),
            };
        }
        if forwarded {
            return Err(FORWARDED_REQUEST);
        }
        if users && !self.named {
            return Err(USERS);
        }
        check_host(peer, host.as_ref(), headers)
    }
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
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Host that the request is for, by its URI or its `Host` header.
fn host_of(uri: &Uri, headers: &HeaderMap) -> Option<Authority> {
    match uri.authority() {
        Some(authority) => Some(authority.clone()),
        None => headers.get(HOST)?.to_str().ok()?.parse().ok(),
    }
}

/// Returns true if a browser sent the request for a page of another site. Programs send neither
/// header.
fn is_cross_site(headers: &HeaderMap, host: Option<&Authority>) -> bool {
    let foreign_fetch = headers
        .get_all(SEC_FETCH_SITE)
        .iter()
        .any(|site| !matches!(site.as_bytes(), b"same-origin" | b"none"));
    let foreign_origin = headers.get_all(ORIGIN).iter().any(|origin| {
        let origin = origin
            .to_str()
            .ok()
            .and_then(|origin| origin.split_once("://"));
        !matches!((origin, host), (Some((_, origin)), Some(host))
            if origin.eq_ignore_ascii_case(host.as_str()))
    });
    foreign_fetch || foreign_origin
}

/// Returns true if a browser sent the request for a page of another site than this server.
pub(crate) fn is_foreign(uri: &Uri, headers: &HeaderMap) -> bool {
    is_cross_site(headers, host_of(uri, headers).as_ref())
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
