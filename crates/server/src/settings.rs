//! Settings of the server: section `prometheus`.
//!
//! Owns the keys and the checks that need no other crate. `metric_prefix` and `default_labels`
//! belong to the section and are used elsewhere.

use std::collections::{BTreeMap, HashSet};
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use bellwether_core::is_metric_name;
use bellwether_schema::{
    Diagnostics, HumanDuration, Spanned, check_label_name, is_host_name, section,
};
use regex::Regex;

use crate::api::query::QueryLimits;
use crate::auth::network::Network;
use crate::auth::role::Role;
use crate::live::LiveLimits;

section! {
    /// Address of the server, names of the exported metrics, limits and access.
    pub struct Prometheus {
        /// Address to listen on: an IP address, `::` for IPv6 and IPv4 together, or a host name.
        pub host: Spanned<String> = Spanned::nowhere("0.0.0.0".to_owned()),
        /// Port to listen on.
        pub port: u16 = 9091,
        /// Prefix of every metric's name, joined with an underscore.
        pub metric_prefix: Spanned<String> = Spanned::nowhere(String::new()),
        /// Labels that every series and every notification has. Without `instance` among them,
        /// notifications have the name of this host as `instance`; `instance: ""` leaves it out.
        pub default_labels: Spanned<BTreeMap<String, String>> = Spanned::nowhere(BTreeMap::new()),
        /// File with TLS, client certificates and users, in the format of Prometheus's
        /// exporter-toolkit. A relative path is relative to the working directory, the paths in the
        /// file to the file.
        pub web_config_file: Option<Spanned<PathBuf>> = None,
        /// Origins of web pages that may read the API from a browser, as in Prometheus's
        /// `--web.cors.origin`: a regular expression for the whole origin, such as
        /// `https?://grafana\.example`. Empty for none. None of them may change state, and browsers
        /// send them no password.
        pub cors_origin: Spanned<String> = Spanned::nowhere(".*".to_owned()),
        /// Limits for slow or large requests.
        pub limits: Limits = Limits::default(),
        /// Limits of a query of history.
        pub query: QueryLimits = QueryLimits::default(),
        /// Live updates over WebSockets.
        pub live: LiveLimits = LiveLimits::default(),
        /// Access to the requests that change state: reload, record, silence, acknowledge, resend
        /// dead letters.
        pub control: Control = Control::default(),
    }
}

section! {
    /// Limits for slow or large requests, so that a scrape is always answered.
    pub struct Limits {
        /// Maximum number of open connections, shared by client address. If all are in use, a new
        /// one replaces one of an address with more connections, else one that keeps the server
        /// waiting. Else it waits in a queue. An eighth of them, at least 2, is reserved for
        /// scrapes.
        pub max_connections: Spanned<u32> = Spanned::nowhere(256),
        /// Maximum number of requests that are answered at once, shared by client address. A new
        /// one replaces one whose client does not read its response. Scrapes have a reserve of a
        /// quarter as many, at least 2; one address may use one of the reserve.
        #[former = "max_concurrent_pages"]
        pub max_concurrent_requests: Spanned<u32> = Spanned::nowhere(16),
        /// Maximum size of a request's head in bytes.
        pub max_header_bytes: Spanned<u32> = Spanned::nowhere(16_384),
        /// Maximum size of a request's body in bytes.
        pub max_body_bytes: Spanned<u64> = Spanned::nowhere(1_048_576),
        /// Timeout for a complete request head; on a new connection it includes the TLS handshake.
        pub header_timeout: Spanned<HumanDuration> = Spanned::nowhere(HumanDuration::secs(10)),
        /// Timeout for a complete request body.
        pub body_timeout: Spanned<HumanDuration> = Spanned::nowhere(HumanDuration::secs(10)),
        /// Timeout for a client that reads nothing of its response.
        pub write_timeout: Spanned<HumanDuration> = Spanned::nowhere(HumanDuration::secs(10)),
        /// Timeout for a whole request, from its head to the last byte of the response.
        pub request_timeout: Spanned<HumanDuration> = Spanned::nowhere(HumanDuration::secs(60)),
        /// Timeout for a keep-alive connection without a request.
        pub idle_timeout: Spanned<HumanDuration> = Spanned::nowhere(HumanDuration::minutes(5)),
    }
}

section! {
    /// Access to the requests that change state, for clients without a user that has a role. Without
    /// any key, clients on this host may send all of them. If `basic_auth_users` are configured, these
    /// may not either: a reverse proxy on this host looks like a client on it.
    pub struct Control {
        /// Networks whose clients are allowed, such as `10.0.0.0/8`. They replace the loopback
        /// networks; list those too to keep them. Users and tokens may change state only from them.
        pub networks: Vec<Spanned<String>> = Vec::new(),
        /// File with a token that the client must send as `Authorization: Bearer`; it has the role
        /// `admin`. Without `networks` any client with the token is allowed.
        pub token_file: Option<Spanned<PathBuf>> = None,
        /// Further tokens.
        pub tokens: Vec<ControlToken> = Vec::new(),
        /// Unix socket on which processes of this host may read and change everything without a
        /// password or a token: the file mode decides. Commands on this host use it if it is
        /// configured.
        pub socket: Option<Spanned<LocalSocket>> = None,
    }
}

section! {
    /// Token of a program, with a role.
    pub struct ControlToken {
        /// Name, which the audit has.
        pub name: Spanned<String>,
        /// File with the token.
        pub file: Spanned<PathBuf>,
        /// Role: `viewer`, `operator` or `admin`.
        pub role: Role,
    }
}

section! {
    /// Unix socket with its permissions.
    pub struct LocalSocket {
        /// Path of the socket file, such as `/run/bellwether/control.sock`. Its directory must
        /// exist.
        pub path: PathBuf,
        /// Mode of the file in octal digits.
        pub mode: Spanned<String> = Spanned::nowhere("0660".to_owned()),
        /// Owner of the file, by name or number. Default: the user of the process.
        pub owner: Option<String> = None,
        /// Group of the file, by name or number. Default: the group of the process.
        pub group: Option<String> = None,
    }
}

impl Control {
    fn check(&self, problems: &mut Diagnostics) {
        if let Some(socket) = &self.socket {
            socket.check(problems);
        }
        self.networks(problems);
        let mut names = HashSet::new();
        for token in &self.tokens {
            if !names.insert(&*token.name.value) {
                let message = format!("another token is named {:?} too", *token.name);
                problems.error(&token.name.at, message);
            }
        }
    }
}

impl Control {
    /// Parses the networks. The invalid ones go to `problems`.
    pub(crate) fn networks(&self, problems: &mut Diagnostics) -> Vec<Network> {
        let mut networks = Vec::new();
        for text in &self.networks {
            match text.parse() {
                Ok(network) => networks.push(network),
                Err(error) => problems
                    .error(&text.at, format!("not a network: {:?}: {error}", **text))
                    .hint("an address and a prefix length, such as 10.0.0.0/8 or fd00::/8"),
            }
        }
        networks
    }
}

impl LocalSocket {
    /// Returns the mode as a number, or 0600 if it is invalid.
    pub(crate) fn mode(&self) -> u32 {
        let octal = self.mode.trim_start_matches("0o");
        u32::from_str_radix(octal, 8)
            .ok()
            .filter(|mode| *mode <= 0o777)
            .unwrap_or(0o600)
    }

    fn check(&self, problems: &mut Diagnostics) {
        let octal = self.mode.trim_start_matches("0o");
        if !u32::from_str_radix(octal, 8).is_ok_and(|mode| mode <= 0o777) {
            problems
                .error(
                    &self.mode.at,
                    format!("not the mode of a file: {:?}", *self.mode),
                )
                .hint("octal digits, such as \"0660\" for owner and group");
        }
    }
}

impl Prometheus {
    /// Checks the keys against each other.
    pub fn check(&self, problems: &mut Diagnostics) {
        if !valid_host(&self.host) {
            problems
                .error(
                    &self.host.at,
                    format!("not an address or a host name: {:?}", *self.host),
                )
                .hint("an address such as 0.0.0.0, 127.0.0.1 or ::, without the port");
        }
        if !self.metric_prefix.is_empty() && !is_metric_name(&self.metric_prefix) {
            problems
                .error(
                    &self.metric_prefix.at,
                    format!("not a valid metric name prefix: {:?}", *self.metric_prefix),
                )
                .hint("letters, digits, underscores and colons, no digit first");
        }
        for name in self.default_labels.keys() {
            let at = self.default_labels.at.key(name);
            check_label_name(name, &at, problems);
        }
        if let Err(error) = Regex::new(&self.cors_origin) {
            problems.error(
                &self.cors_origin.at,
                format!("not a regular expression: {error}"),
            );
        }
        self.limits.check(problems);
        self.query.check(**self.limits.request_timeout, problems);
        self.live.check(problems);
        self.control.check(problems);
    }

    /// Address as `host:port`, with an IPv6 address in brackets.
    #[must_use]
    pub fn address(&self) -> String {
        match self.host.parse::<IpAddr>() {
            Ok(IpAddr::V6(host)) => format!("[{host}]:{}", self.port),
            _ => format!("{}:{}", *self.host, self.port),
        }
    }
}

impl Limits {
    /// Shortest timeout of a connection: a phase that begins now passes none before.
    pub(crate) fn shortest_timeout(&self) -> Duration {
        let timeouts = [
            &self.header_timeout,
            &self.write_timeout,
            &self.request_timeout,
            &self.idle_timeout,
        ];
        timeouts
            .map(|span| ***span)
            .into_iter()
            .min()
            .unwrap_or_default()
    }

    fn check(&self, problems: &mut Diagnostics) {
        // Below 8 KiB the HTTP implementation cannot go.
        at_least(&self.max_header_bytes, 8_192, problems);
        at_least(&self.max_connections, 8, problems);
        at_least(&self.max_concurrent_requests, 1, problems);
        at_least(&self.max_body_bytes, 1, problems);
        for span in [
            &self.header_timeout,
            &self.body_timeout,
            &self.write_timeout,
            &self.request_timeout,
            &self.idle_timeout,
        ] {
            if span.is_zero() {
                problems
                    .error(&span.at, "must be more than zero")
                    .hint("such as 10s");
            }
        }
    }
}

fn at_least<T: PartialOrd + std::fmt::Display>(
    value: &Spanned<T>,
    least: T,
    problems: &mut Diagnostics,
) {
    if **value < least {
        problems.error(
            &value.at,
            format!("must be {least} or more, found {}", **value),
        );
    }
}

fn valid_host(host: &str) -> bool {
    host.parse::<IpAddr>().is_ok() || is_host_name(host)
}

#[cfg(test)]
mod tests {
    use bellwether_schema::{Decode, DecodeContext, parse};

    use super::*;

    fn check(yaml: &str) -> Vec<String> {
        let mut problems = Diagnostics::default();
        let node = parse(yaml).unwrap();
        if let Some(settings) =
            Prometheus::decode(&node, &mut DecodeContext::new(&mut problems, &|_| None))
        {
            settings.check(&mut problems);
        }
        problems
            .into_sorted()
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn the_shape_of_the_core_document() {
        let yaml = "{host: 0.0.0.0, port: 9091, metric_prefix: multi_agent_system,
                     default_labels: {environment: dev, instance: here}}";
        assert_eq!(check(yaml), Vec::<String>::new());
        assert_eq!(check(""), Vec::<String>::new());
    }

    #[test]
    fn everything_and_more_hosts() {
        for host in [
            "\"::\"",
            "\"::1\"",
            "127.0.0.1",
            "localhost",
            "a-b.example.org",
            "host1",
        ] {
            let yaml = format!(
                "{{host: {host}, limits: {{idle_timeout: 1m}},
                  control: {{networks: [10.0.0.0/8, \"::1/128\", 192.168.1.7], token_file: t,
                    socket: {{path: s, mode: \"0600\", group: adm}}}}}}"
            );
            assert_eq!(check(&yaml), Vec::<String>::new(), "{host}");
        }
    }

    #[test]
    fn invalid_settings_are_errors() {
        for (yaml, expected) in [
            (
                "host: 1.2.3.999",
                "not an address or a host name: \"1.2.3.999\"",
            ),
            ("host: \"0.0.0.0:9091\"", "not an address or a host name"),
            ("host: \"\"", "not an address or a host name"),
            (
                "port: 70000",
                "port: expected a whole number from 0 to 65535",
            ),
            (
                "metric_prefix: 9lives",
                "not a valid metric name prefix: \"9lives\"",
            ),
            ("metric_prefix: a-b", "not a valid metric name prefix"),
            (
                "default_labels: {a-b: c}",
                "default_labels.a-b: not a label name",
            ),
            ("default_labels: {__name__: c}", "not a label name"),
            ("default_labels: {a:b: c}", "not a label name: \"a:b\""),
            (
                "limits: {max_header_bytes: 100}",
                "must be 8192 or more, found 100",
            ),
            ("limits: {max_connections: 0}", "must be 8 or more, found 0"),
            (
                "limits: {write_timeout: 0}",
                "limits.write_timeout: must be more than zero",
            ),
            (
                "query: {timeout: 0}",
                "query.timeout: must be more than zero",
            ),
            (
                "query: {timeout: 60s}",
                "the request would time out before the query",
            ),
            ("query: {max_samples: 0}", "must be 1 or more, found 0"),
            (
                "query: {max_memory: 0}",
                "query.max_memory: must be more than zero",
            ),
            ("query: {max_total_memory: 1MiB}", "less than `max_memory`"),
            ("query: {max_concurrency: 0}", "must be 1 or more, found 0"),
            (
                "query: {lookback: 0s}",
                "query.lookback: must be more than zero",
            ),
            (
                "control: {networks: [10.0.0.0/33]}",
                "control.networks[0]: not a network",
            ),
            (
                "control: {networks: [10.0.0.1/8]}",
                "did you mean 10.0.0.0/8?",
            ),
            ("control: {networks: [home]}", "not a network: \"home\""),
            ("control: {network: []}", "did you mean \"networks\"?"),
            (
                "control: {socket: {path: s, mode: rw}}",
                "not the mode of a file: \"rw\"",
            ),
            (
                "control: {socket: {path: s, mode: \"1777\"}}",
                "not the mode of a file",
            ),
            (
                "control: {socket: {mode: \"0600\"}}",
                "missing key \"path\"",
            ),
        ] {
            let problems = check(yaml);
            assert_eq!(problems.len(), 1, "{yaml}: {problems:?}");
            assert!(problems[0].contains(expected), "{yaml}: {problems:?}");
        }
    }

    #[test]
    fn addresses_are_written_as_one_types_them() {
        let address = |host: &str| {
            let host = Spanned::nowhere(host.to_owned());
            Prometheus {
                host,
                ..Prometheus::default()
            }
            .address()
        };
        assert_eq!(address("0.0.0.0"), "0.0.0.0:9091");
        assert_eq!(address("::"), "[::]:9091");
        assert_eq!(address("localhost"), "localhost:9091");
    }
}
