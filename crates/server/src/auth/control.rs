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

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::{fmt, io};

use bellwether_files as files;
use hyper::header::{AUTHORIZATION, FORWARDED, HOST, HeaderMap, HeaderName, ORIGIN, VIA};
use hyper::http::uri::Authority;
use hyper::{StatusCode, Uri};

use crate::auth::network::{Network, NetworkError};
use crate::auth::secret::equal;
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

/// Token that is never printed.
struct Token(String);

impl fmt::Debug for Token {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("<secret>")
    }
}

/// Error for a request that may not change state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccessError {
    /// 401 if a token would help, else 403.
    pub status: StatusCode,
    /// Reason for the self-metric, from a small fixed set.
    pub reason: &'static str,
    /// Message for the client.
    pub message: &'static str,
    /// Hint how to fix it.
    pub hint: &'static str,
}

/// Error of settings from which no control rules can be built.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    #[error("{text}: {error}")]
    Network { text: String, error: NetworkError },
    #[error(transparent)]
    Token(#[from] TokenError),
}

/// Error of a token file.
#[derive(Debug)]
pub struct TokenError {
    pub path: PathBuf,
    pub reason: TokenErrorReason,
}

/// Reason why a token file is of no use.
#[derive(Debug)]
pub enum TokenErrorReason {
    Unreadable(io::Error),
    Empty,
    /// It has more than one line of printable ASCII.
    NotAscii,
}

impl fmt::Display for TokenError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match &self.reason {
            TokenErrorReason::Unreadable(error) => write!(out, "cannot read {path}: {error}"),
            TokenErrorReason::Empty => write!(out, "{path} contains no token"),
            TokenErrorReason::NotAscii => {
                write!(out, "{path} contains more than one line of printable ASCII")
            }
        }
    }
}

impl std::error::Error for TokenError {}

const fn forbidden(reason: &'static str, message: &'static str, hint: &'static str) -> AccessError {
    AccessError {
        status: StatusCode::FORBIDDEN,
        reason,
        message,
        hint,
    }
}

const CROSS_SITE: AccessError = forbidden(
    "cross_site",
    "requests from other web sites are rejected",
    "call it from a shell or a program, not from a web page",
);
const HOST_NAME: AccessError = forbidden(
    "host",
    "the Host header must name this host by address or as localhost",
    "use http://127.0.0.1 or http://localhost, or set prometheus.control.token_file",
);
const FORWARDED_REQUEST: AccessError = forbidden(
    "forwarded",
    "requests that came through a proxy are rejected",
    "set prometheus.control.token_file and send the token",
);
const PEER: AccessError = forbidden(
    "peer",
    "this address may not change state",
    "call it on the host itself, or set prometheus.control.networks or token_file",
);
const USERS: AccessError = forbidden(
    "users",
    "this changes state, and the passwords of basic_auth_users are only for reading",
    "set prometheus.control.token_file and send the token, or prometheus.control.socket for the \
     commands of this host, or prometheus.control.networks for clients that may",
);
const NO_TOKEN: AccessError = AccessError {
    status: StatusCode::UNAUTHORIZED,
    reason: "token",
    message: "a token is required",
    hint: "send Authorization: Bearer with the content of prometheus.control.token_file; \
           bellwether's commands do with --token-file",
};
const WRONG_TOKEN: AccessError = AccessError {
    message: "the token is wrong",
    hint: "compare it with the content of prometheus.control.token_file; a reload reads the file again",
    ..NO_TOKEN
};

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
            .map(read_token)
            .transpose()?
            .map(Token);
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
        // A rebound name can only come from a browser, and only a browser sends `Origin`; a name
        // without it is fine from a configured network, but no local client needs one.
        let named = !host.as_ref().is_some_and(is_local_name);
        let remote = !Network::loopback()
            .iter()
            .any(|network| network.contains(peer));
        if named && (!remote || headers.contains_key(ORIGIN)) {
            return Err(HOST_NAME);
        }
        Ok(())
    }
}

impl Token {
    fn matches(&self, sent: &str) -> bool {
        equal(self.0.as_bytes(), sent.as_bytes())
    }
}

/// Reads the token in the file at `path`. Blocks on the file system.
///
/// # Errors
/// The file cannot be read, or contains no usable token.
pub fn read_token(path: &Path) -> Result<String, TokenError> {
    let error = |reason| TokenError {
        path: path.to_owned(),
        reason,
    };
    let text = files::read_text(path, files::SMALL)
        .map_err(|reason| error(TokenErrorReason::Unreadable(reason)))?;
    let token = text.trim();
    if token.is_empty() {
        return Err(error(TokenErrorReason::Empty));
    }
    // A header can have nothing else, so such a token could never be sent.
    if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(error(TokenErrorReason::NotAscii));
    }
    Ok(token.to_owned())
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

/// Returns true for an address or `localhost`, which no page can rebind.
fn is_local_name(host: &Authority) -> bool {
    let name = host.host().trim_start_matches('[').trim_end_matches(']');
    name.parse::<IpAddr>().is_ok()
        || name.eq_ignore_ascii_case("localhost")
        || name.to_ascii_lowercase().ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use bellwether_schema::Spanned;
    use hyper::header::HeaderValue;

    use super::*;

    fn control(networks: &[&str], token: Option<&str>) -> Control {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), token.unwrap_or_default()).unwrap();
        let networks = networks
            .iter()
            .map(|network| Spanned::nowhere((*network).to_owned()));
        Control::new(&settings::Control {
            networks: networks.collect(),
            token_file: token.map(|_| file.path().to_owned()),
            socket: None,
        })
        .unwrap()
    }

    /// Takes `headers` as `name: value` lines; returns the reason of the error, or `ok`.
    fn decide_network(control: &Control, peer: &str, headers: &[&str]) -> &'static str {
        let peer: IpAddr = peer.parse().unwrap();
        decide(control, peer.into(), headers, false)
    }

    fn decide(control: &Control, peer: Peer, headers: &[&str], users: bool) -> &'static str {
        let headers: HeaderMap = headers
            .iter()
            .map(|line| {
                let (name, value) = line.split_once(": ").unwrap();
                (
                    name.parse::<HeaderName>().unwrap(),
                    HeaderValue::from_str(value).unwrap(),
                )
            })
            .collect();
        let uri = Uri::from_static("/-/reload");
        match control.authorize(peer, &uri, &headers, users) {
            Ok(()) => "ok",
            Err(error) => error.reason,
        }
    }

    #[test]
    fn without_settings_only_this_host_is_allowed() {
        let control = control(&[], None);
        for (peer, headers, expected) in [
            ("127.0.0.1", &["host: 127.0.0.1:9091"][..], "ok"),
            ("127.8.8.8", &["host: localhost:9091"], "ok"),
            ("::1", &["host: [::1]:9091"], "ok"),
            ("::ffff:127.0.0.1", &["host: 127.0.0.1"], "ok"),
            ("127.0.0.1", &["host: bellwether.localhost"], "ok"),
            ("10.0.0.1", &["host: 127.0.0.1"], "peer"),
            ("fe80::1", &["host: localhost"], "peer"),
            ("127.0.0.1", &["host: evil.example:9091"], "host"),
            ("127.0.0.1", &["host: localhost.evil.example"], "host"),
            ("127.0.0.1", &[], "host"),
            (
                "127.0.0.1",
                &["host: localhost", "x-forwarded-for: 1.2.3.4"],
                "forwarded",
            ),
            (
                "127.0.0.1",
                &["host: localhost", "forwarded: for=1.2.3.4"],
                "forwarded",
            ),
            (
                "127.0.0.1",
                &["host: localhost", "via: 1.1 proxy"],
                "forwarded",
            ),
            (
                "127.0.0.1",
                &["host: localhost", "x-real-ip: 127.0.0.1"],
                "forwarded",
            ),
            (
                "127.0.0.1",
                &["host: localhost:9091", "origin: http://localhost:9091"],
                "ok",
            ),
            (
                "127.0.0.1",
                &["host: localhost:9091", "origin: http://localhost:3000"],
                "cross_site",
            ),
            (
                "127.0.0.1",
                &["host: localhost:9091", "origin: https://evil.example"],
                "cross_site",
            ),
            (
                "127.0.0.1",
                &["host: localhost:9091", "origin: null"],
                "cross_site",
            ),
            (
                "127.0.0.1",
                &["host: localhost", "sec-fetch-site: cross-site"],
                "cross_site",
            ),
            (
                "127.0.0.1",
                &["host: localhost", "sec-fetch-site: same-site"],
                "cross_site",
            ),
            (
                "127.0.0.1",
                &["host: localhost", "sec-fetch-site: same-origin"],
                "ok",
            ),
            (
                "127.0.0.1",
                &["host: evil.example", "origin: http://evil.example"],
                "host",
            ),
            (
                "127.0.0.1",
                &["host: localhost", "authorization: Bearer guess"],
                "ok",
            ),
        ] {
            assert_eq!(
                decide_network(&control, peer, headers),
                expected,
                "{peer} {headers:?}"
            );
        }
    }

    #[test]
    fn configured_networks_replace_loopback() {
        let control = control(&["10.0.0.0/8", "fd00::/8"], None);
        for (peer, headers, expected) in [
            ("10.1.2.3", &["host: monitor.example:9091"][..], "ok"),
            ("fd00::1", &["host: [fd00::2]:9091"], "ok"),
            ("127.0.0.1", &["host: localhost"], "peer"),
            ("11.0.0.1", &["host: monitor.example"], "peer"),
            (
                "10.1.2.3",
                &["host: monitor.example", "x-forwarded-for: 1.2.3.4"],
                "forwarded",
            ),
            (
                "10.1.2.3",
                &["host: evil.example", "origin: http://evil.example"],
                "host",
            ),
            (
                "10.1.2.3",
                &["host: 10.0.0.1", "origin: http://10.0.0.1"],
                "ok",
            ),
        ] {
            assert_eq!(
                decide_network(&control, peer, headers),
                expected,
                "{peer} {headers:?}"
            );
        }
    }

    #[test]
    fn with_users_a_client_on_this_host_alone_is_not_enough() {
        let local = Peer::from(IpAddr::from([127, 0, 0, 1]));
        let host = ["host: localhost"];
        let token = ["host: localhost", "authorization: Bearer s3cret"];
        let users =
            |control: &Control, peer, headers: &[&str]| decide(control, peer, headers, true);
        assert_eq!(users(&control(&[], None), local, &host), "users");
        assert_eq!(
            users(&control(&["127.0.0.0/8"], None), local, &host),
            "ok",
            "it was named"
        );
        assert_eq!(users(&control(&[], Some("s3cret")), local, &token), "ok");
        assert_eq!(users(&control(&[], Some("s3cret")), local, &host), "token");
        assert_eq!(users(&control(&[], None), Peer::Socket(None), &host), "ok");
    }

    #[test]
    fn the_mode_of_the_socket_decides_but_for_proxies_and_web_pages() {
        for (control, headers, expected) in [
            (control(&[], None), &["host: x"][..], "ok"),
            (control(&["10.0.0.0/8"], Some("s3cret")), &["host: x"], "ok"),
            (
                control(&[], None),
                &["host: x", "x-forwarded-for: 1.2.3.4"],
                "forwarded",
            ),
            (
                control(&[], None),
                &["host: x", "origin: http://y"],
                "cross_site",
            ),
        ] {
            assert_eq!(
                decide(&control, Peer::Socket(None), headers, true),
                expected,
                "{headers:?}"
            );
        }
    }

    #[test]
    fn a_token_decides() {
        let right = "authorization: bearer s3cret";
        let alone = control(&[], Some(" s3cret\n"));
        let both = control(&["10.0.0.0/8"], Some("s3cret"));
        for (control, peer, headers, expected) in [
            (
                &alone,
                "8.8.8.8",
                &["host: monitor.example", right][..],
                "ok",
            ),
            (
                &alone,
                "127.0.0.1",
                &["host: x", "x-forwarded-for: 1.2.3.4", right],
                "ok",
            ),
            (&alone, "127.0.0.1", &["host: localhost"], "token"),
            (
                &alone,
                "127.0.0.1",
                &["host: localhost", "authorization: Bearer s3cre"],
                "token",
            ),
            (
                &alone,
                "127.0.0.1",
                &["host: localhost", "authorization: Bearer s3cret2"],
                "token",
            ),
            (
                &alone,
                "127.0.0.1",
                &["host: localhost", "authorization: Basic s3cret"],
                "token",
            ),
            (
                &alone,
                "8.8.8.8",
                &["host: m.example", right, "origin: http://e.example"],
                "cross_site",
            ),
            (&both, "10.0.0.1", &["host: monitor.example", right], "ok"),
            (&both, "127.0.0.1", &["host: localhost", right], "peer"),
            (&both, "10.0.0.1", &["host: monitor.example"], "token"),
        ] {
            assert_eq!(
                decide_network(control, peer, headers),
                expected,
                "{peer} {headers:?}"
            );
        }
        assert_eq!(format!("{alone:?}").matches("s3cret").count(), 0);
    }

    #[test]
    fn an_unusable_token_file_is_an_error() {
        let load = |path: &Path| {
            let settings = settings::Control {
                token_file: Some(path.into()),
                ..settings::Control::default()
            };
            Control::new(&settings).unwrap_err().to_string()
        };
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        assert!(load(&path).contains("cannot read"));
        for (text, expected) in [(" \n", "contains no token"), ("a\nb", "more than one line")] {
            std::fs::write(&path, text).unwrap();
            assert!(load(&path).contains(expected), "{text:?}");
        }
    }
}
