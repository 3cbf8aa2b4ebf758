//! Channel that sends alerts to Alertmanagers, as Prometheus does.
//!
//! An Alertmanager holds an alert as firing until its end time. So firing alerts are sent again and
//! again with an end a little ahead, and resolve there by themselves when Bellwether is gone. Every
//! Alertmanager gets all alerts; they agree among themselves which one notifies.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bellwether_core::{Alert, Fingerprint, Labels, Status, UnixMillis};
use bellwether_http::{Access, Authorization, ClientSettings, HttpError, parse_url};
use bellwether_schema::{Diagnostics, HumanDuration, Secret, SourceLocation, Spanned};
use reqwest::Url;
use serde::Serialize;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tracing::{info, warn};

use super::http::Endpoint;
use super::{Attempt, Batch, Channel, Context, DeliveryError, Sender, SettingsError};
use crate::settings::check_max_alerts;
use crate::wire::{all_labels, annotations, ended, generator_url, rfc3339, to_json};

bellwether_schema::section! {
    /// Channel of type `alertmanager`: sends alerts to all Alertmanagers by `POST /api/v2/alerts`.
    /// Delivered is what at least one answered with 2xx. A firing alert is sent again every
    /// `resend_delay`, with an end four times that ahead; a resolved one is sent again for 15
    /// minutes.
    pub struct AlertmanagerChannel {
        /// URLs of the Alertmanagers: `http://host:9093`. Never shown.
        pub urls: Vec<Spanned<Secret>>,
        /// Path prefix of their API, as `--web.route-prefix` of Alertmanager.
        pub path_prefix: String = "/".to_owned(),
        /// Interval at which firing alerts are sent again.
        pub resend_delay: HumanDuration = HumanDuration::minutes(1),
        #[serde(flatten)]
        pub authorization: Authorization,
        /// Maximum number of alerts of one request.
        pub max_alerts: usize = 256,
        #[serde(flatten)]
        pub http: ClientSettings,
    }
}

/// End of a firing alert, in multiples of `resend_delay`, as in Prometheus.
const EXPIRY_FACTOR: u32 = 4;
/// Time for which a resolved alert is sent again.
const RESEND_RESOLVED_FOR: Duration = Duration::from_secs(15 * 60);
/// Maximum number of resolved alerts that are sent again; each was sent once anyway.
const MAX_RESOLVED: usize = 10_000;

impl AlertmanagerChannel {
    /// Returns the URLs that alerts are posted to, without user, password and query.
    #[must_use]
    pub fn shown_urls(&self) -> Vec<String> {
        let urls = self.urls.iter().filter_map(|url| parse_url(url).ok());
        let shown = urls.map(|mut url| {
            url.set_query(None);
            url.set_username("").ok();
            url.set_password(None).ok();
            url.set_path(&api(&url, &self.path_prefix));
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
        self.authorization.check(at, problems);
        self.http.check(at, problems);
        if *self.resend_delay < Duration::from_secs(1) {
            problems.error(&at.key("resend_delay"), "must be at least 1s");
        }
        check_max_alerts(self.max_alerts, at, problems);
    }

    fn access(&self) -> Access {
        Access {
            authorization: self.authorization.clone(),
            client: self.http.clone(),
        }
    }

    pub(super) fn build(&self, context: Context) -> Result<Box<dyn Channel>, SettingsError> {
        let instances = self.urls.iter().map(|url| {
            let mut url = parse_url(url)?;
            url.set_path(&api(&url, &self.path_prefix));
            let endpoint =
                Endpoint::open(url, self.access(), context.clock.clone())?.accepting_any_body();
            let channel = context.name.clone();
            Ok(Arc::new(Instance {
                channel,
                endpoint,
                failures: AtomicU64::new(0),
            }))
        });
        Ok(Box::new(Alertmanagers {
            instances: instances.collect::<Result<_, HttpError>>()?,
            settings: self.clone(),
            context,
            resolved_alerts: Mutex::default(),
        }))
    }
}

/// Returns the path of the API below `url`.
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
    /// Locked while alerts are sent, so that no refresh that began before an alert resolved comes
    /// after it.
    resolved_alerts: Mutex<HashMap<Fingerprint, ResolvedAlert>>,
}

/// A resolved alert that was sent.
struct ResolvedAlert {
    alert: Arc<Alert>,
    at: UnixMillis,
    sent_at: UnixMillis,
}

/// One Alertmanager.
struct Instance {
    channel: String,
    endpoint: Endpoint,
    /// Failures in a row.
    failures: AtomicU64,
}

/// Alert in the request of `POST /api/v2/alerts`; see `postableAlert` of Alertmanager's
/// `openapi.yaml`.
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
            let mut resolved_alerts = self.resolved_alerts.lock().await;
            let now = (self.context.clock)();
            let end = |notification| ended(notification).unwrap_or_else(|| self.expiry(now));
            let alerts = batch
                .notifications
                .iter()
                .map(|notification| self.postable(&notification.alert, end(notification)));
            self.post(alerts.collect()).await?;
            for notification in &batch.notifications {
                let alert = notification.alert.clone();
                if notification.status == Status::Firing {
                    resolved_alerts.remove(&alert.fingerprint);
                } else if resolved_alerts.len() < MAX_RESOLVED {
                    resolved_alerts.insert(
                        alert.fingerprint,
                        ResolvedAlert {
                            alert,
                            at: end(notification),
                            sent_at: now,
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

    fn refresh<'a>(&'a self, still_firing: &'a [Arc<Alert>]) -> Attempt<'a> {
        Box::pin(async move {
            let mut resolved_alerts = self.resolved_alerts.lock().await;
            let now = (self.context.clock)();
            // A wall clock that was set back makes none of them younger.
            resolved_alerts.retain(|_, end| {
                now >= end.sent_at && now.since(end.sent_at) < RESEND_RESOLVED_FOR
            });
            let mut all: Vec<Postable> = Vec::new();
            for alert in still_firing {
                let resolved = resolved_alerts.get(&alert.fingerprint);
                if resolved.is_none_or(|end| end.alert.starts() != alert.starts()) {
                    resolved_alerts.remove(&alert.fingerprint);
                    all.push(self.postable(alert, self.expiry(now)));
                }
            }
            all.extend(
                resolved_alerts
                    .values()
                    .map(|end| self.postable(&end.alert, end.at)),
            );
            while !all.is_empty() {
                let rest = all.split_off(all.len().min(self.settings.max_alerts));
                self.post(std::mem::replace(&mut all, rest)).await?;
            }
            Ok(())
        })
    }
}

impl Alertmanagers {
    /// Returns the end of an alert that is not sent again.
    fn expiry(&self, now: UnixMillis) -> UnixMillis {
        let ahead = *self.settings.resend_delay * EXPIRY_FACTOR;
        UnixMillis(
            now.0
                .saturating_add(i64::try_from(ahead.as_millis()).unwrap_or(i64::MAX)),
        )
    }

    fn postable(&self, alert: &Alert, end: UnixMillis) -> Postable {
        Postable::new(alert, end, &self.context.sender)
    }

    /// Posts to all Alertmanagers; succeeds if one of them accepts.
    async fn post(&self, alerts: Vec<Postable>) -> Result<(), DeliveryError> {
        let body = to_json(&alerts)?;
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
        let (channel, instance) = (&self.channel, self.endpoint.origin());
        match result {
            Ok(_) => {
                let failures = self.failures.swap(0, Ordering::Relaxed);
                if failures > 0 {
                    info!(
                        channel,
                        instance, failures, "an Alertmanager accepts alerts again"
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
                        instance, error, "an Alertmanager does not accept alerts"
                    );
                }
                Err(error)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::checked;

    fn problems(text: &str) -> Vec<String> {
        checked(text, AlertmanagerChannel::check).1
    }

    #[test]
    fn invalid_settings_are_errors() {
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
