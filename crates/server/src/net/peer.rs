//! Peer of a connection, and the client that its share is counted by. Pure.

use std::net::{IpAddr, Ipv6Addr};

/// Peer of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    /// Host on the network.
    Network(IpAddr),
    /// Process of this host, over the Unix socket, with its user id if the kernel knows it.
    Socket(Option<u32>),
}

/// Unit of fair shares: an IPv4 address, the /64 network of an IPv6 address, of which one host has
/// as many addresses as it likes, or all of the Unix socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Client(Option<IpAddr>);

impl From<IpAddr> for Peer {
    fn from(address: IpAddr) -> Self {
        Self::Network(address.to_canonical())
    }
}

impl Peer {
    /// Returns true for a process of this host that came over the Unix socket.
    pub(crate) fn is_socket(self) -> bool {
        matches!(self, Self::Socket(_))
    }

    /// Client that its share is counted by.
    pub(crate) fn client(self) -> Client {
        Client(match self {
            Self::Socket(_) => None,
            Self::Network(IpAddr::V6(address)) => {
                let network = u128::from(address) & !u128::from(u64::MAX);
                Some(Ipv6Addr::from(network).into())
            }
            Self::Network(address) => Some(address),
        })
    }
}

impl std::fmt::Display for Peer {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Network(address) => address.fmt(out),
            Self::Socket(None) => out.write_str("unix socket"),
            Self::Socket(Some(uid)) => write!(out, "unix socket, uid {uid}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_an_address_or_a_network_that_one_host_has() {
        let client = |text: &str| Peer::from(text.parse::<IpAddr>().unwrap()).client();
        assert_eq!(client("10.0.0.1"), client("::ffff:10.0.0.1"));
        assert_ne!(client("10.0.0.1"), client("10.0.0.2"));
        assert_eq!(client("fd00:0:0:1::1"), client("fd00:0:0:1:ffff::2"));
        assert_ne!(client("fd00:0:0:1::1"), client("fd00:0:0:2::1"));
        assert_ne!(client("::"), Peer::Socket(None).client());
    }
}
