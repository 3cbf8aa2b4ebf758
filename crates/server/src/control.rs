//! Who may change state: reload, record, silence, acknowledge, send dead letters again.
//!
//! Owns the decision over one request's head and the peer's address; pure but for reading the
//! token file when it is built. What the request then does is not its business.
//!
//! Three attackers are in mind. A stranger on the network: the peer's address or a token decides.
//! A web page in a browser on an allowed host: `Origin` and `Sec-Fetch-Site` tell of it, and a page
//! that rebinds its name to this address still sends that name as `Host`. A stranger behind a
//! reverse proxy on this host: one that says so, by `X-Forwarded-For` and the like, is refused. One
//! that says nothing, such as a plain `proxy_pass` or a relay of TCP, looks like a client on this
//! host, and nothing can tell them apart. So where users are configured, which is what one does
//! before one opens the page to others, loopback alone is not enough; a token, networks that were
//! named, or the Unix socket are.

use std::net::IpAddr;
use std::path::Path;

use bellwether_files as files;
use hyper::header::{AUTHORIZATION, FORWARDED, HOST, HeaderMap, HeaderName, ORIGIN, VIA};
use hyper::http::uri::Authority;
use hyper::{StatusCode, Uri};

use super::network::Network;
use super::peer::Peer;
use super::secret::equal;
use super::settings;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Headers that a proxy adds.
const FORWARDED_BY: [HeaderName; 4] = [
    FORWARDED,
    VIA,
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-real-ip"),
];

/// The rules, resolved.
#[derive(Debug)]
pub struct Control {
    /// None where a token alone decides.
    networks: Option<Vec<Network>>,
    /// Whether the networks were named, and not taken for want of any.
    named: bool,
    token: Option<Token>,
}

/// Never printed.
struct Token(String);

impl std::fmt::Debug for Token {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("<secret>")
    }
}

/// Why a request may not change state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// 401 where a token would help, else 403.
    pub status: StatusCode,
    /// One of a small fixed set, for a label.
    pub reason: &'static str,
    /// What to tell the client.
    pub message: &'static str,
    /// How to mend it.
    pub hint: &'static str,
}

const fn forbidden(reason: &'static str, message: &'static str, hint: &'static str) -> Refusal {
    Refusal {
        status: StatusCode::FORBIDDEN,
        reason,
        message,
        hint,
    }
}

const CROSS_SITE: Refusal = forbidden(
    "cross_site",
    "requests from other web sites are refused",
    "call it from a shell or a program, not from a web page",
);
const HOST_NAME: Refusal = forbidden(
    "host",
    "the Host header must name this host by address or as localhost",
    "use http://127.0.0.1 or http://localhost, or set prometheus.control.token_file",
);
const FORWARDED_REQUEST: Refusal = forbidden(
    "forwarded",
    "requests that came through a proxy are refused",
    "set prometheus.control.token_file and send the token",
);
const PEER: Refusal = forbidden(
    "peer",
    "this address may not change state",
    "call it on the host itself, or set prometheus.control.networks or token_file",
);
const USERS: Refusal = forbidden(
    "users",
    "with basic_auth_users a password is for reading: this changes state",
    "set prometheus.control.token_file and send the token, or prometheus.control.socket for the \
     commands of this host, or prometheus.control.networks for clients that may",
);
const NO_TOKEN: Refusal = Refusal {
    status: StatusCode::UNAUTHORIZED,
    reason: "token",
    message: "a token is needed",
    hint: "send Authorization: Bearer with the content of prometheus.control.token_file; \
           bellwether's commands do with --token-file",
};
const WRONG_TOKEN: Refusal = Refusal {
    message: "the token is wrong",
    hint: "compare it with the content of prometheus.control.token_file; a reload re-reads it",
    ..NO_TOKEN
};

impl Control {
    /// Resolves the declaration; reads the token file.
    ///
    /// # Errors
    /// A network that is none, or a token file that cannot be read or holds no usable token.
    pub fn new(settings: &settings::Control) -> Result<Self, String> {
        let networks = settings
            .networks
            .iter()
            .map(|network| {
                network
                    .parse()
                    .map_err(|error| format!("{}: {error}", **network))
            })
            .collect::<Result<Vec<Network>, String>>()?;
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

    /// Whether the request carries the token, which then stands in for a user's password too: both
    /// would be in the one `Authorization` header.
    pub(super) fn has_token(&self, headers: &HeaderMap) -> bool {
        matches!((&self.token, bearer(headers)), (Some(token), Some(sent)) if token.is(sent))
    }

    /// Decides on a request that would change state; `users` says whether there are some, whose
    /// passwords are for reading.
    ///
    /// # Errors
    /// Why it may not.
    pub(super) fn judge(
        &self,
        peer: Peer,
        uri: &Uri,
        headers: &HeaderMap,
        users: bool,
    ) -> Result<(), Refusal> {
        let host = host_of(uri, headers);
        if is_cross_site(headers, host.as_ref()) {
            return Err(CROSS_SITE);
        }
        let forwarded = FORWARDED_BY.iter().any(|name| headers.contains_key(name));
        let peer = match peer {
            // Its file's mode has decided, but for a proxy that was put before it.
            Peer::Socket if !forwarded || self.has_token(headers) => return Ok(()),
            Peer::Socket => return Err(FORWARDED_REQUEST),
            Peer::Network(peer) => peer,
        };
        if let Some(networks) = &self.networks
            && !networks.iter().any(|network| network.contains(peer))
        {
            return Err(PEER);
        }
        if let Some(token) = &self.token {
            return match bearer(headers) {
                Some(sent) if token.is(sent) => Ok(()),
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
        // without it is fine from a network that was declared, but no local client needs one.
        let named = !host.as_ref().is_some_and(is_own);
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
    fn is(&self, sent: &str) -> bool {
        equal(self.0.as_bytes(), sent.as_bytes())
    }
}

/// The token in the file at `path`. Blocks on the file system.
///
/// # Errors
/// It cannot be read, or holds no usable token.
pub fn read_token(path: &Path) -> Result<String, String> {
    let text = files::read_text(path, files::SMALL)
        .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    let token = text.trim();
    if token.is_empty() {
        return Err(format!("{} holds no token", path.display()));
    }
    // What a header can carry; anything else could never be sent.
    if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(format!(
            "{} holds more than one line of printable ASCII",
            path.display()
        ));
    }
    Ok(token.to_owned())
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// The host that the client thinks it talks to.
fn host_of(uri: &Uri, headers: &HeaderMap) -> Option<Authority> {
    match uri.authority() {
        Some(authority) => Some(authority.clone()),
        None => headers.get(HOST)?.to_str().ok()?.parse().ok(),
    }
}

/// Whether a browser sent it for a page of another site. Programs send neither header.
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

/// Whether it is an address or `localhost`, which no page can rebind.
fn is_own(host: &Authority) -> bool {
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

    /// `headers` as `name: value` lines; the reason of the refusal, or `ok`.
    fn judge(control: &Control, peer: &str, headers: &[&str]) -> &'static str {
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
        match control.judge(peer, &uri, &headers, users) {
            Ok(()) => "ok",
            Err(refusal) => refusal.reason,
        }
    }

    #[test]
    fn without_a_declaration_only_this_host() {
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
                judge(&control, peer, headers),
                expected,
                "{peer} {headers:?}"
            );
        }
    }

    #[test]
    fn declared_networks_replace_loopback() {
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
                judge(&control, peer, headers),
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
        assert_eq!(users(&control(&[], None), Peer::Socket, &host), "ok");
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
                decide(&control, Peer::Socket, headers, true),
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
                judge(control, peer, headers),
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
            Control::new(&settings).unwrap_err()
        };
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        assert!(load(&path).contains("cannot read"));
        for (text, expected) in [(" \n", "holds no token"), ("a\nb", "more than one line")] {
            std::fs::write(&path, text).unwrap();
            assert!(load(&path).contains(expected), "{text:?}");
        }
    }
}
