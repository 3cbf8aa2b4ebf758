//! Settings of remote write.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bellwether_http::{Authorization, ClientSettings, parse_url};
use bellwether_schema::{
    Diagnostics, HumanDuration, Override, Secret, SourceLocation, Spanned, is_file_name,
};

use bellwether_relabel::RelabelConfig;

bellwether_schema::string_enum! {
    /// Versions of remote write.
    pub enum Protocol {
        /// Supported by every receiver.
        V1 = "1.0",
        /// Has type and help of each series. A receiver that does not support it is sent 1.0.
        V2 = "2.0",
    }
}

bellwether_schema::section! {
    /// A receiver of all samples of history by remote write of Prometheus. Pending samples stay in
    /// history, so that none is lost in an outage shorter than the retention. Network errors, 5xx and
    /// 429 are retried without limit; samples rejected with another 4xx are dropped, counted and
    /// logged.
    pub struct RemoteWrite {
        /// URL: `http://` or `https://`. Never shown.
        pub url: Spanned<Secret>,
        /// Name in the log, in metrics and of the progress file: letters, digits, `-`, `_` and `.`. By
        /// default it is the URL's host and port.
        pub name: Option<Spanned<String>>,
        /// If true, this entry replaces the one of its name of an earlier file, as `include` describes.
        pub r#override: Override,
        /// Enables the destination.
        pub enabled: bool = true,
        /// Version of the protocol.
        pub protocol: Protocol = Protocol::V1,
        #[serde(flatten)]
        pub authorization: Authorization,
        #[serde(flatten)]
        pub http: ClientSettings = ClientSettings::with_timeout(HumanDuration::secs(30)),
        /// Relabeling steps of each series before it is sent.
        pub write_relabel_configs: Vec<Spanned<RelabelConfig>> = Vec::new(),
        /// Size of requests, and retries.
        pub queue: RemoteQueue = RemoteQueue::default(),
    }
}

bellwether_schema::section! {
    /// Size of the requests of remote write, and retries.
    pub struct RemoteQueue {
        /// Limit of samples per request.
        pub max_samples_per_send: usize = 2000,
        /// Longest time that a sample waits for others before it is sent.
        pub batch_send_deadline: HumanDuration = HumanDuration::secs(5),
        /// Longest wait after the first failure; it doubles with each failure. A `Retry-After` of the
        /// receiver is respected.
        pub min_backoff: HumanDuration = HumanDuration::millis(30),
        /// Longest wait after any failure.
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
    fn check(&self, at: &SourceLocation, diagnostics: &mut Diagnostics) {
        if let Err(reason) = parse_url(&self.url) {
            diagnostics
                .error(&self.url.at, reason)
                .hint("such as http://prometheus:9090/api/v1/write");
        }
        self.authorization.check(at, diagnostics);
        self.http.check(at, diagnostics);
        for (name, value) in &self.authorization.headers {
            if RESERVED.contains(&name.to_ascii_lowercase().as_str()) {
                diagnostics
                    .error(&value.at, format!("header {name:?} is set by the protocol"))
                    .hint("remove it");
            }
        }
        for step in &self.write_relabel_configs {
            step.check(&step.at, diagnostics);
        }
        self.queue.check(&at.key("queue"), diagnostics);
    }
}

impl RemoteQueue {
    fn check(&self, at: &SourceLocation, diagnostics: &mut Diagnostics) {
        if self.max_samples_per_send == 0 {
            diagnostics.error(&at.key("max_samples_per_send"), "must be at least 1");
        }
        for (key, span) in [
            ("batch_send_deadline", self.batch_send_deadline),
            ("min_backoff", self.min_backoff),
        ] {
            if *span < Duration::from_millis(10) {
                diagnostics.error(&at.key(key), "must be at least 10ms");
            }
        }
        if self.max_backoff < self.min_backoff {
            let message = format!(
                "{} is shorter than `min_backoff`, {}",
                self.max_backoff, self.min_backoff
            );
            diagnostics.error(&at.key("max_backoff"), message);
        }
    }
}

/// Returns each destination with its name, in the order of the configuration.
#[must_use]
pub fn named(destinations: &[Spanned<RemoteWrite>]) -> Vec<(String, &RemoteWrite)> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    destinations
        .iter()
        .map(|destination| {
            let name = match &destination.name {
                Some(name) => name.value.clone(),
                None => {
                    let base = name_of_url(&destination.url);
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

/// Returns a name such as `prometheus-9090`: the part of the URL without secrets, as a file name.
fn name_of_url(url: &Secret) -> String {
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

/// Validates the destinations. Reads no files and does not use the network.
pub fn check(destinations: &[Spanned<RemoteWrite>], diagnostics: &mut Diagnostics) {
    let mut names = BTreeSet::new();
    for ((name, destination), settings) in named(destinations).into_iter().zip(destinations) {
        let at = destination
            .name
            .as_ref()
            .map_or(&settings.at, |name| &name.at);
        if !is_file_name(&name) {
            diagnostics
                .error(at, format!("invalid destination name: {name:?}"))
                .hint("use 1 to 64 letters, digits, '-', '_' and '.'; the first must not be '.'");
        } else if !names.insert(name.clone()) {
            diagnostics
                .error(at, format!("duplicate destination {name:?}"))
                .hint("set another `name`");
        }
        destination.check(&settings.at, diagnostics);
    }
}
