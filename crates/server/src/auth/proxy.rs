//! Trusted proxies, which name the user and the client of a request. Pure.

use std::net::IpAddr;

use bellwether_schema::Diagnostics;
use hyper::header::{HeaderMap, HeaderName};

use super::network::Network;
use super::web::settings::TrustedProxies;
use crate::net::peer::Peer;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Maximum length of a user's name in bytes.
pub(crate) const MAX_USER: usize = 256;

/// Networks of the trusted proxies, and the header that names the user. Trusts nobody by default.
#[derive(Debug, Default)]
pub(crate) struct Proxies {
    networks: Vec<Network>,
    user_header: Option<HeaderName>,
}

impl Proxies {
    /// Parses the networks and the name of the header.
    pub(super) fn new(settings: &TrustedProxies, problems: &mut Diagnostics) -> Self {
        let mut networks = Vec::new();
        for text in &settings.networks {
            match text.parse() {
                Ok(network) => networks.push(network),
                Err(error) => {
                    problems
                        .error(&text.at, format!("not a network: {:?}: {error}", **text))
                        .hint("an address and a prefix length, such as 10.0.0.5/32");
                }
            }
        }
        let user_header = settings.user_header.parse().ok();
        if user_header.is_none() {
            let header = &settings.user_header;
            problems.error(
                &header.at,
                format!("not the name of a header: {:?}", **header),
            );
        }
        Self {
            networks,
            user_header,
        }
    }

    /// Returns true if `peer` is a trusted proxy.
    pub(crate) fn trusts(&self, peer: Peer) -> bool {
        matches!(peer, Peer::Network(address) if self.contains(address))
    }

    /// Returns the user that a trusted proxy names.
    pub(crate) fn user(&self, peer: Peer, headers: &HeaderMap) -> Option<String> {
        let name = self.user_header.as_ref().filter(|_| self.trusts(peer))?;
        // Two values: one may be the client's own, which the proxy did not replace.
        let mut values = headers.get_all(name).iter();
        let (Some(value), None) = (values.next(), values.next()) else {
            return None;
        };
        let user = value.to_str().ok()?.trim();
        (!user.is_empty() && user.len() <= MAX_USER).then(|| user.to_owned())
    }

    /// Returns the client behind the trusted proxies, or `peer` itself.
    pub(crate) fn client(&self, peer: Peer, headers: &HeaderMap) -> Peer {
        if !self.trusts(peer) {
            return peer;
        }
        // Each proxy appends its client, so that only the last ones are those of trusted proxies.
        let lines = headers.get_all(FORWARDED_FOR).iter();
        let mut addresses: Vec<&str> = Vec::new();
        for line in lines {
            addresses.extend(line.to_str().unwrap_or("?").split(','));
        }
        for address in addresses.into_iter().rev() {
            match address.trim().parse::<IpAddr>() {
                Ok(address) if self.contains(address) => {}
                Ok(address) => return address.into(),
                Err(_) => break,
            }
        }
        peer
    }

    /// Returns true if a trusted proxy got the request over TLS.
    pub(crate) fn is_tls(&self, peer: Peer, headers: &HeaderMap) -> bool {
        let proto = headers.get(FORWARDED_PROTO);
        self.trusts(peer) && proto.is_some_and(|proto| proto.as_bytes() == b"https")
    }

    fn contains(&self, address: IpAddr) -> bool {
        let mut networks = self.networks.iter();
        networks.any(|network| network.contains(address))
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    fn proxies() -> Proxies {
        let settings = TrustedProxies {
            networks: vec!["10.0.0.5".to_owned().into(), "fd00::/8".to_owned().into()],
            ..TrustedProxies::default()
        };
        let mut problems = Diagnostics::default();
        let proxies = Proxies::new(&settings, &mut problems);
        assert!(problems.is_empty());
        proxies
    }

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    fn peer(address: &str) -> Peer {
        address.parse::<IpAddr>().unwrap().into()
    }

    #[test]
    fn only_a_trusted_proxy_names_the_user_and_only_once() {
        let named = headers(&[("x-forwarded-user", " ada ")]);
        let user = |address, headers: &HeaderMap| proxies().user(peer(address), headers);
        assert_eq!(user("10.0.0.5", &named).as_deref(), Some("ada"));
        assert_eq!(user("fd00::7", &named).as_deref(), Some("ada"));
        assert_eq!(user("10.0.0.6", &named), None);
        assert_eq!(user("127.0.0.1", &named), None);
        let twice = headers(&[("x-forwarded-user", "ada"), ("x-forwarded-user", "bob")]);
        assert_eq!(user("10.0.0.5", &twice), None);
        assert_eq!(
            user("10.0.0.5", &headers(&[("x-forwarded-user", "")])),
            None
        );
        assert_eq!(Proxies::default().user(peer("10.0.0.5"), &named), None);
        assert_eq!(proxies().user(Peer::Socket(None), &named), None);
    }

    #[test]
    fn the_client_is_the_last_that_no_trusted_proxy_is() {
        for (address, line, expected) in [
            ("10.0.0.5", "203.0.113.9", "203.0.113.9"),
            ("10.0.0.5", "1.1.1.1, 203.0.113.9, 10.0.0.5", "203.0.113.9"),
            ("10.0.0.5", "1.1.1.1, unknown", "10.0.0.5"),
            ("10.0.0.5", "10.0.0.5", "10.0.0.5"),
            ("10.0.0.6", "203.0.113.9", "10.0.0.6"),
        ] {
            let headers = headers(&[("x-forwarded-for", line)]);
            let client = proxies().client(peer(address), &headers);
            assert_eq!(client, peer(expected), "{address} {line}");
        }
        assert_eq!(
            proxies().client(peer("10.0.0.5"), &HeaderMap::new()),
            peer("10.0.0.5")
        );
    }

    #[test]
    fn tls_is_what_a_trusted_proxy_says() {
        let https = headers(&[("x-forwarded-proto", "https")]);
        assert!(proxies().is_tls(peer("10.0.0.5"), &https));
        assert!(!proxies().is_tls(peer("10.0.0.6"), &https));
        assert!(!proxies().is_tls(peer("10.0.0.5"), &HeaderMap::new()));
    }
}
