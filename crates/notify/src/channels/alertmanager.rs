//! The channel that keeps Alertmanagers informed, as Prometheus does.
//!
//! An Alertmanager holds an alert as firing until the end that it was told; so what stands is told
//! again and again with an end a little ahead, and resolves there by itself when we are gone. Every
//! one is told everything; they agree among themselves who notifies.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bellwether_core::{Alert, Fingerprint, Labels, Status, UnixMillis};
use bellwether_http::{Access, BasicAuth, parse_url};
use bellwether_schema::{Diagnostics, HumanDuration, Secret, SourceLocation, Spanned};
use reqwest::Url;
use serde::Serialize;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tracing::{info, warn};

use super::http::Endpoint;
use super::{Attempt, Batch, Channel, Context, DeliveryError, Sender};
use crate::wire::{all_labels, annotations, ended, generator_url, rfc3339};

bellwether_schema::section! {
    /// Channel of type `alertmanager`: tells Alertmanagers by `POST /api/v2/alerts`. All of them
    /// are told; taken is what at least one answered with 2xx. While an alert fires it is told again
    /// every `resend_delay`, to end in four times that; its end is told again for 15 minutes.
    pub struct AlertmanagerChannel {
        /// The Alertmanagers: `http://host:9093`. Never shown.
        pub urls: Vec<Spanned<Secret>>,
        /// Path that their API is below, as `--web.route-prefix` of Alertmanager.
        pub path_prefix: String = "/".to_owned(),
        /// How often is told again what fires.
        pub resend_delay: HumanDuration = HumanDuration::minutes(1),
        /// Further headers. Values are never shown.
        pub headers: BTreeMap<String, Spanned<Secret>> = BTreeMap::new(),
        /// Token sent as `Authorization: Bearer`.
        pub bearer_token: Option<Secret>,
        /// File that holds the token; read again for each request.
        pub bearer_token_file: Option<PathBuf>,
        /// User and password.
        pub basic_auth: Option<BasicAuth>,
        /// How long a request may take, answer included.
        pub timeout: HumanDuration = HumanDuration::secs(10),
        /// Most alerts of one request.
        pub max_alerts: usize = 256,
        /// PEM file with the only authorities their certificates are checked against. Without it,
        /// those of the system.
        pub ca_file: Option<PathBuf>,
        /// Proxy that requests go through: `http://proxy:3128`. Never shown.
        pub proxy_url: Option<Spanned<Secret>>,
        /// Whether `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY` of the environment hold.
        pub proxy_from_environment: bool = false,
    }
}

/// An alert that is told again ends after so many `resend_delay`s, as Prometheus has it.
const ENDS_AFTER: u32 = 4;
/// An end is told again for so long.
const REMEMBERED: Duration = Duration::from_secs(15 * 60);
/// Most ends that are told again; each was told once anyway.
const MOST_ENDS: usize = 10_000;

impl AlertmanagerChannel {
    /// Where alerts are posted to, without what may be secret: user, password and query.
    #[must_use]
    pub fn shown_urls(&self) -> Vec<String> {
        let urls = self.urls.iter().filter_map(|url| parse_url(url).ok());
        let shown = urls.map(|mut url| {
            url.set_query(None);
            url.set_username("").ok();
            url.set_password(None).ok();
            let path = format!(
                "{}/{}/api/v2/alerts",
                url.path().trim_end_matches('/'),
                self.path_prefix.trim_matches('/')
            );
            url.set_path(&path.replace("//", "/"));
            url.to_string()
        });
        shown.collect()
    }

    pub(super) fn check(&self, at: &SourceLocation, problems: &mut Diagnostics) {
        if self.urls.is_empty() {
            problems
                .error(&at.key("urls"), "no Alertmanager")
                .hint("urls: [http://host:9093]");
        }
        for url in &self.urls {
            if let Err(reason) = parse_url(url) {
                problems.error(&url.at, reason).hint("http://host:9093");
            }
        }
        self.access().check(at, problems);
        if *self.resend_delay < Duration::from_secs(1) {
            problems.error(&at.key("resend_delay"), "must be at least 1s");
        }
        if self.max_alerts == 0 {
            problems.error(&at.key("max_alerts"), "must be at least 1");
        }
    }

    fn access(&self) -> Access {
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

    pub(super) fn build(&self, context: Context) -> Result<Box<dyn Channel>, String> {
        let instances = self.urls.iter().map(|url| {
            let mut url = parse_url(url)?;
            let place = url.origin().ascii_serialization();
            let path = api(&url, &self.path_prefix);
            url.set_path(&path);
            let endpoint = Endpoint::open(url, self.access(), context.clock.clone())?.of_anybody();
            let channel = context.name.clone();
            Ok(Arc::new(Instance {
                channel,
                place,
                endpoint,
                failures: AtomicU64::new(0),
            }))
        });
        Ok(Box::new(Alertmanagers {
            instances: instances.collect::<Result<_, String>>()?,
            settings: self.clone(),
            context,
            ends: Mutex::default(),
        }))
    }
}

/// Where alerts are posted below `url`.
fn api(url: &Url, prefix: &str) -> String {
    let parts = [url.path(), prefix, "api/v2/alerts"].map(|part| part.trim_matches('/'));
    parts
        .into_iter()
        .filter(|part| !part.is_empty())
        .map(|part| format!("/{part}"))
        .collect()
}

struct Alertmanagers {
    settings: AlertmanagerChannel,
    context: Context,
    instances: Vec<Arc<Instance>>,
    /// Held while something is told, so that no reminder that was begun before an end comes after
    /// it.
    ends: Mutex<HashMap<Fingerprint, End>>,
}

/// An end that was told.
struct End {
    alert: Arc<Alert>,
    at: UnixMillis,
    told: UnixMillis,
}

/// One Alertmanager.
struct Instance {
    channel: String,
    /// Scheme, host and port.
    place: String,
    endpoint: Endpoint,
    /// Failures in a row.
    failures: AtomicU64,
}

/// An alert as `POST /api/v2/alerts` takes it; see `postableAlert` of Alertmanager's `openapi.yaml`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Postable {
    labels: Labels,
    annotations: Labels,
    starts_at: String,
    ends_at: String,
    #[serde(rename = "generatorURL", skip_serializing_if = "String::is_empty")]
    generator_url: String,
}

impl Postable {
    fn new(alert: &Alert, end: UnixMillis, sender: &Sender) -> Self {
        Self {
            labels: all_labels(alert, sender),
            annotations: annotations(alert),
            starts_at: rfc3339(alert.starts()),
            ends_at: rfc3339(end),
            generator_url: generator_url(sender),
        }
    }
}

impl Channel for Alertmanagers {
    fn deliver<'a>(&'a self, batch: &'a Batch) -> Attempt<'a> {
        Box::pin(async move {
            let mut ends = self.ends.lock().await;
            let now = (self.context.clock)();
            let end = |one| ended(one).unwrap_or_else(|| self.horizon(now));
            let alerts = batch
                .news
                .iter()
                .map(|one| self.postable(&one.alert, end(one)));
            self.post(alerts.collect()).await?;
            for one in &batch.news {
                let alert = one.alert.clone();
                if one.status == Status::Firing {
                    ends.remove(&alert.fingerprint);
                } else if ends.len() < MOST_ENDS {
                    ends.insert(
                        alert.fingerprint,
                        End {
                            alert,
                            at: end(one),
                            told: now,
                        },
                    );
                }
            }
            Ok(())
        })
    }

    fn max_batch(&self) -> usize {
        self.settings.max_alerts
    }

    fn refresh_interval(&self) -> Option<Duration> {
        Some(*self.settings.resend_delay)
    }

    fn refresh<'a>(&'a self, standing: &'a [Arc<Alert>]) -> Attempt<'a> {
        Box::pin(async move {
            let mut ends = self.ends.lock().await;
            let now = (self.context.clock)();
            // A wall clock that was set back makes none of them younger.
            ends.retain(|_, end| now >= end.told && now.since(end.told) < REMEMBERED);
            let mut all: Vec<Postable> = Vec::new();
            for alert in standing {
                let over = ends.get(&alert.fingerprint);
                if over.is_none_or(|end| end.alert.starts() != alert.starts()) {
                    ends.remove(&alert.fingerprint);
                    all.push(self.postable(alert, self.horizon(now)));
                }
            }
            all.extend(ends.values().map(|end| self.postable(&end.alert, end.at)));
            while !all.is_empty() {
                let rest = all.split_off(all.len().min(self.settings.max_alerts));
                self.post(std::mem::replace(&mut all, rest)).await?;
            }
            Ok(())
        })
    }
}

impl Alertmanagers {
    /// When an alert ends that is not told again.
    fn horizon(&self, now: UnixMillis) -> UnixMillis {
        let ahead = *self.settings.resend_delay * ENDS_AFTER;
        UnixMillis(
            now.0
                .saturating_add(i64::try_from(ahead.as_millis()).unwrap_or(i64::MAX)),
        )
    }

    fn postable(&self, alert: &Alert, end: UnixMillis) -> Postable {
        Postable::new(alert, end, &self.context.sender)
    }

    /// Tells all of them; good if one of them took it.
    async fn post(&self, alerts: Vec<Postable>) -> Result<(), DeliveryError> {
        let body = serde_json::to_string(&alerts)
            .map_err(|error| DeliveryError::permanent(error.to_string()))?;
        let mut posts = JoinSet::new();
        for instance in &self.instances {
            let (instance, body) = (instance.clone(), body.clone());
            posts.spawn(async move { instance.post(body).await });
        }
        let results = posts.join_all().await;
        let mut errors = Vec::new();
        for result in results {
            match result {
                Ok(()) => return Ok(()),
                Err(error) => errors.push(error),
            }
        }
        let messages: Vec<_> = errors.iter().map(|error| error.message.as_str()).collect();
        Err(DeliveryError {
            retryable: errors.iter().any(|error| error.retryable),
            retry_after: errors.iter().filter_map(|error| error.retry_after).min(),
            message: messages.join("; "),
            delivered: Vec::new(),
        })
    }
}

impl Instance {
    async fn post(&self, body: String) -> Result<(), DeliveryError> {
        let result = self.endpoint.post(body).await;
        let (channel, instance) = (&self.channel, &self.place);
        match result {
            Ok(_) => {
                let failures = self.failures.swap(0, Ordering::Relaxed);
                if failures > 0 {
                    info!(
                        channel,
                        instance, failures, "an Alertmanager takes alerts again"
                    );
                }
                Ok(())
            }
            Err(failed) => {
                let error = DeliveryError::from(failed);
                if self.failures.fetch_add(1, Ordering::Relaxed) == 0 {
                    let error = &error.message;
                    warn!(
                        channel,
                        instance, error, "an Alertmanager does not take alerts"
                    );
                }
                Err(error)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use bellwether_schema::{Decode, DecodeContext};

    use super::*;

    fn problems(text: &str) -> Vec<String> {
        let mut problems = Diagnostics::default();
        let node = bellwether_schema::parse(text).unwrap();
        let mut cx = DecodeContext::new(&mut problems, &|_| None);
        let channel = AlertmanagerChannel::decode(&node, &mut cx).unwrap();
        channel.check(&SourceLocation::default(), &mut problems);
        problems
            .into_sorted()
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn what_is_declared_is_judged() {
        assert_eq!(
            problems("{urls: ['http://a:9093', 'https://b:9093/am']}"),
            [""; 0]
        );
        for (text, expected) in [
            ("{urls: []}", "urls: no Alertmanager"),
            ("{urls: ['a:9093']}", "urls[0]: not an HTTP URL"),
            (
                "{urls: ['http://a'], resend_delay: 10ms}",
                "resend_delay: must be at least 1s",
            ),
            (
                "{urls: ['http://a'], max_alerts: 0}",
                "max_alerts: must be at least 1",
            ),
        ] {
            let problems = problems(text);
            assert_eq!(problems.len(), 1, "{text}: {problems:?}");
            assert!(problems[0].contains(expected), "{text}: {problems:?}");
        }
    }

    #[test]
    fn the_path_of_the_api() {
        let path = |url: &str, prefix| api(&Url::parse(url).unwrap(), prefix);
        assert_eq!(path("http://a", "/"), "/api/v2/alerts");
        assert_eq!(path("http://a/x/", "am/"), "/x/am/api/v2/alerts");
    }
}
