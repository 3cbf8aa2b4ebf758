//! What the declaration says of remote write.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use bellwether_http::{Access, BasicAuth, parse_url};
use bellwether_schema::{
    Diagnostics, HumanDuration, Secret, SourceLocation, Spanned, is_file_name,
};

use super::relabel::RelabelConfig;

bellwether_schema::string_enum! {
    /// Versions of remote write.
    pub enum Protocol {
        /// Understood by every receiver.
        V1 = "1.0",
        /// Tells type and help beside each series. A receiver that does not know it is sent
        /// 1.0.
        V2 = "2.0",
    }
}

bellwether_schema::section! {
    /// A receiver of everything that history takes, by Prometheus's remote write. What waits for
    /// it stays in history, so an outage costs nothing as long as it is shorter than the
    /// retention. Network errors, 5xx and 429 are tried again without end; what is answered with
    /// another 4xx is given up, counted and logged.
    pub struct RemoteWrite {
        /// Where to: `http://` or `https://`. Never shown.
        pub url: Spanned<Secret>,
        /// Name in the log, in metrics and of the file that keeps how far it got: letters,
        /// digits, `-`, `_` and `.`. Without one it is the URL's host and port.
        pub name: Option<Spanned<String>>,
        /// Whether anything is sent to it.
        pub enabled: bool = true,
        /// Version of the protocol.
        pub protocol: Protocol = Protocol::V1,
        /// Further headers, such as `X-Scope-OrgID`. Values are never shown.
        pub headers: BTreeMap<String, Spanned<Secret>> = BTreeMap::new(),
        /// Token sent as `Authorization: Bearer`.
        pub bearer_token: Option<Secret>,
        /// File that holds the token; read again for each request.
        pub bearer_token_file: Option<PathBuf>,
        /// User and password.
        pub basic_auth: Option<BasicAuth>,
        /// How long a request may take, answer included.
        pub timeout: HumanDuration = HumanDuration::secs(30),
        /// PEM file with the only authorities the receiver's certificate is checked against.
        /// Without it, those of the system.
        pub ca_file: Option<PathBuf>,
        /// Proxy that requests go through: `http://proxy:3128`. Never shown.
        pub proxy_url: Option<Spanned<Secret>>,
        /// Whether `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY` of the environment hold.
        pub proxy_from_environment: bool = false,
        /// Steps that each series goes through before it is sent.
        pub write_relabel_configs: Vec<Spanned<RelabelConfig>> = Vec::new(),
        /// How much is sent at once, and when to try again.
        pub queue: RemoteQueue = RemoteQueue::default(),
    }
}

bellwether_schema::section! {
    /// How much of remote write is sent at once, and when to try again.
    pub struct RemoteQueue {
        /// Most samples of one request.
        pub max_samples_per_send: usize = 2000,
        /// How long a sample may wait for others before it is sent.
        pub batch_send_deadline: HumanDuration = HumanDuration::secs(5),
        /// Longest wait after the first failure; it doubles with each. A `Retry-After` of the
        /// receiver is kept to.
        pub min_backoff: HumanDuration = HumanDuration::millis(30),
        /// Longest wait at all.
        pub max_backoff: HumanDuration = HumanDuration::secs(5),
    }
}

/// Headers that the protocol sets (its specification, "Protocol").
const RESERVED: [&str; 7] = [
    "content-encoding",
    "content-type",
    "x-prometheus-remote-write-version",
    "user-agent",
    "content-length",
    "host",
    "transfer-encoding",
];

impl RemoteWrite {
    pub(super) fn access(&self) -> Access {
        Access {
            headers: self.headers.clone(),
            bearer_token: self.bearer_token.clone(),
            bearer_token_file: self.bearer_token_file.clone(),
            basic_auth: self.basic_auth.clone(),
            timeout: self.timeout,
            ca_file: self.ca_file.clone(),
            proxy_url: self.proxy_url.clone(),
            proxy_from_environment: self.proxy_from_environment,
        }
    }

    fn check(&self, at: &SourceLocation, problems: &mut Diagnostics) {
        if let Err(reason) = parse_url(&self.url) {
            problems
                .error(&self.url.at, reason)
                .hint("such as http://prometheus:9090/api/v1/write");
        }
        self.access().check(at, problems);
        for (name, value) in &self.headers {
            if RESERVED.contains(&name.to_ascii_lowercase().as_str()) {
                problems
                    .error(
                        &value.at,
                        format!("header {name:?} belongs to the protocol"),
                    )
                    .hint("leave it out");
            }
        }
        for step in &self.write_relabel_configs {
            step.check(&step.at, problems);
        }
        let queue = &self.queue;
        let at = at.key("queue");
        if queue.max_samples_per_send == 0 {
            problems.error(&at.key("max_samples_per_send"), "must be at least 1");
        }
        for (key, span) in [
            ("batch_send_deadline", queue.batch_send_deadline),
            ("min_backoff", queue.min_backoff),
        ] {
            if *span < Duration::from_millis(10) {
                problems.error(&at.key(key), "must be at least 10ms");
            }
        }
        if queue.max_backoff < queue.min_backoff {
            let message = format!(
                "{} is shorter than `min_backoff`, {}",
                queue.max_backoff, queue.min_backoff
            );
            problems.error(&at.key("max_backoff"), message);
        }
    }
}

/// Each destination with its name, in the order of the declaration.
#[must_use]
pub fn named(destinations: &[Spanned<RemoteWrite>]) -> Vec<(String, &RemoteWrite)> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    destinations
        .iter()
        .map(|destination| {
            let name = match &destination.name {
                Some(name) => name.value.clone(),
                None => {
                    let base = of_url(&destination.url);
                    let count = seen.entry(base.clone()).or_default();
                    *count += 1;
                    if *count == 1 {
                        base
                    } else {
                        format!("{base}-{count}")
                    }
                }
            };
            (name, &destination.value)
        })
        .collect()
}

/// `prometheus-9090`: what of a URL may be shown and can name a file.
fn of_url(url: &Secret) -> String {
    let Ok(url) = parse_url(url) else {
        return "remote".into();
    };
    let host = url.host_str().unwrap_or("remote");
    let mut name: String = host
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || c == '.' {
                c
            } else {
                '-'
            }
        })
        .take(50)
        .collect();
    if let Some(port) = url.port() {
        name += &format!("-{port}");
    }
    name
}

/// Judges what decoding cannot. Reads no file and touches no network.
pub fn check(destinations: &[Spanned<RemoteWrite>], problems: &mut Diagnostics) {
    let mut names = BTreeSet::new();
    for ((name, destination), place) in named(destinations).into_iter().zip(destinations) {
        let at = destination.name.as_ref().map_or(&place.at, |name| &name.at);
        if !is_file_name(&name) {
            problems
                .error(at, format!("not a name of a destination: {name:?}"))
                .hint("use 1 to 64 letters, digits, '-', '_' and '.', not '.' first");
        } else if !names.insert(name.clone()) {
            problems
                .error(at, format!("a second destination named {name:?}"))
                .hint("set `name`");
        }
        destination.check(&place.at, problems);
    }
}
