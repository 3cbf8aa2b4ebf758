//! Addresses of sockets, and the settings of those that are no UDP sockets.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use bellwether_schema::{Diagnostics, Spanned, is_host_name, section};

section! {
    /// Sockets for lines, beside that for UDP.
    pub struct StreamSockets {
        /// Address on which it listens for TCP connections: `HOST:PORT`.
        pub listen_tcp: Option<Spanned<String>> = None,
        /// Path of a Unix socket for datagrams. A socket that a killed process left is replaced.
        pub listen_unix: Option<Spanned<PathBuf>> = None,
        /// Path of a Unix socket for streams, as clients of DogStatsD use them: the length of each packet before it.
        pub listen_unix_stream: Option<Spanned<PathBuf>> = None,
        /// Mode of the files of Unix sockets, octal: whose processes may send.
        pub socket_mode: Spanned<String> = "0660".to_owned().into(),
    }
}

/// Address of a socket.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Endpoint {
    Udp(String),
    Tcp(String),
    /// Datagrams.
    Unix {
        path: PathBuf,
        mode: u32,
    },
    /// Packets in a stream, each behind its length.
    UnixStream {
        path: PathBuf,
        mode: u32,
    },
}

impl fmt::Display for Endpoint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Udp(address) => write!(out, "UDP {address}"),
            Self::Tcp(address) => write!(out, "TCP {address}"),
            Self::Unix { path, .. } | Self::UnixStream { path, .. } => {
                write!(out, "{}", path.display())
            }
        }
    }
}

impl Endpoint {
    /// Returns path and mode of the file of a Unix socket.
    pub(super) fn file(&self) -> Option<(&Path, u32)> {
        match self {
            Self::Unix { path, mode } | Self::UnixStream { path, mode } => Some((path, *mode)),
            Self::Udp(_) | Self::Tcp(_) => None,
        }
    }

    /// Returns whether both are the same socket, whatever the mode of its file is.
    pub(super) fn is_same_socket(&self, other: &Self) -> bool {
        let path = |endpoint: &Self| endpoint.file().map(|(path, _)| path.to_owned());
        std::mem::discriminant(self) == std::mem::discriminant(other) && path(self) == path(other)
    }
}

impl StreamSockets {
    /// Checks the settings, and returns the sockets.
    pub(crate) fn endpoints(&self, problems: &mut Diagnostics) -> Vec<Endpoint> {
        let mut endpoints = Vec::new();
        if let Some(address) = &self.listen_tcp {
            check_address(address, problems);
            endpoints.push(Endpoint::Tcp(address.value.clone()));
        }
        let mode = u32::from_str_radix(&self.socket_mode, 8);
        let mode = mode.ok().filter(|mode| *mode <= 0o777).unwrap_or_else(|| {
            let message = format!("not the mode of a file: {:?}", self.socket_mode.value);
            problems
                .error(&self.socket_mode.at, message)
                .hint("octal digits in quotes, such as \"0660\"");
            0
        });
        if let Some(path) = &self.listen_unix {
            let path = path.value.clone();
            endpoints.push(Endpoint::Unix { path, mode });
        }
        if let Some(named) = &self.listen_unix_stream {
            if self.listen_unix.as_ref() == Some(named) {
                problems
                    .error(&named.at, "the same path as listen_unix")
                    .hint("give each socket a path of its own");
            }
            let path = named.value.clone();
            endpoints.push(Endpoint::UnixStream { path, mode });
        }
        endpoints
    }
}

/// Reports what is no IP address or host name with a port, an IPv6 address in brackets.
pub(crate) fn check_address(address: &Spanned<String>, problems: &mut Diagnostics) {
    let is_named = || {
        let (host, port) = address.rsplit_once(':')?;
        (port.parse::<u16>().is_ok() && is_host_name(host)).then_some(())
    };
    if address.parse::<SocketAddr>().is_err() && is_named().is_none() {
        let message = format!("not an address with a port: {:?}", address.value);
        problems
            .error(&address.at, message)
            .hint("for example 127.0.0.1:8125");
    }
}
