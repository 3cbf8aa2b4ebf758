//! The channel that pages by PagerDuty's Events API v2.
//!
//! One event per alert, or per group that is told whole. Fields and their lengths are those of
//! <https://developer.pagerduty.com/docs/events-api-v2/trigger-events/>, refusals and the 512 KB of
//! an event those of <https://developer.pagerduty.com/docs/events-api-v2/overview/>: 202 is taken,
//! 400 stays refused, 429 and 5xx may pass.

use std::collections::BTreeMap;
use std::path::PathBuf;

use bellwether_core::{Alert, Fingerprint, Notification, Severity, Status};
use bellwether_http::{Access, parse_url};
use bellwether_schema::{Diagnostics, HumanDuration, Literal, Secret, SourceLocation, Spanned};
use reqwest::Url;
use serde_json::{Value, json};

use super::brief::{self, Plain, Tone, one_line, shorten, width};
use super::http::{Endpoint, check_secret, secret};
use super::texts::{Details, Key, Texts, is_blank};
use super::{Attempt, Batch, Channel, Context, DeliveryError, same_group};
use crate::wire::rfc3339;

bellwether_schema::string_enum! {
    /// What an incident of PagerDuty is of.
    pub enum PagerDutyIncident {
        /// Of each alert.
        Alert = "alert",
        /// Of each group that is told whole; without routes of each alert.
        Group = "group",
    }
}

bellwether_schema::string_enum! {
    /// Severities of PagerDuty.
    pub enum PagerDutySeverity {
        /// The worst.
        Critical = "critical",
        /// The next.
        Error = "error",
        /// The next.
        Warning = "warning",
        /// The least.
        Info = "info",
    }
}

bellwether_schema::section! {
    /// Channel of type `pagerduty`: triggers an event per alert and resolves it at its end.
    pub struct PagerDutyChannel {
        /// Integration key of an "Events API v2" integration; may be a template, such as
        /// `{{ commonLabels.pagerduty_key }}`. Never shown.
        pub routing_key: Option<Spanned<Secret>>,
        /// File that holds the key.
        pub routing_key_file: Option<PathBuf>,
        /// What an incident is of.
        pub incident_per: PagerDutyIncident = PagerDutyIncident::Alert,
        /// PagerDuty's severity for one of ours. Without it `info` and `warning` are the same,
        /// `critical` and `emergency` are `critical`.
        pub severities: BTreeMap<String, Spanned<PagerDutySeverity>> = BTreeMap::new(),
        /// Label that tells the affected system, PagerDuty's `source`.
        pub source_label: String = "instance".to_owned(),
        /// Further details of an incident, each as a template.
        pub details: BTreeMap<String, Spanned<Literal>> = BTreeMap::new(),
        /// Where the Events API is; in Europe `https://events.eu.pagerduty.com`.
        pub api_url: Spanned<String> = Spanned::nowhere("https://events.pagerduty.com".to_owned()),
        /// Summary, as a minijinja template over Alertmanager's document.
        pub title: Option<Spanned<Literal>>,
        /// How long a request may take, answer included.
        pub timeout: HumanDuration = HumanDuration::secs(10),
        /// PEM file with the only authorities the receiver's certificate is checked against.
        /// Without it, those of the system.
        pub ca_file: Option<PathBuf>,
        /// Proxy that requests go through: `http://proxy:3128`. Never shown.
        pub proxy_url: Option<Spanned<Secret>>,
        /// Whether `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY` of the environment hold.
        pub proxy_from_environment: bool = false,
    }
}

const SUMMARY: usize = 1024;
/// Widest details; as JSON a character has six bytes at most.
const DETAILS: usize = 60_000;

impl PagerDutyChannel {
    pub(super) fn check(&self, at: &SourceLocation, problems: &mut Diagnostics) {
        let (key, file) = (self.routing_key.as_ref(), self.routing_key_file.as_ref());
        check_secret("routing_key", key, file, at, problems);
        if let Some(key) = key {
            Key::check(key.expose(), &key.at, problems);
        }
        Details::check(&self.details, problems);
        for (name, severity) in &self.severities {
            if !Severity::ALL.iter().any(|ours| ours.as_str() == name) {
                problems
                    .error(&severity.at, format!("not a severity of ours: {name:?}"))
                    .hint("info, warning, critical or emergency");
            }
        }
        if let Err(reason) = parse_url(&Secret::new(&*self.api_url.value)) {
            problems.error(&self.api_url.at, reason);
        }
        self.access().check(at, problems);
        Texts::check(self.title.as_ref(), None, problems);
    }

    fn access(&self) -> Access {
        Access {
            timeout: self.timeout,
            ca_file: self.ca_file.clone(),
            proxy_url: self.proxy_url.clone(),
            proxy_from_environment: self.proxy_from_environment,
            ..Access::default()
        }
    }

    pub(super) fn build(&self, context: Context) -> Result<Box<dyn Channel>, String> {
        let key = self.routing_key.as_ref();
        let key = secret("routing_key", key, self.routing_key_file.as_ref())?;
        let url = format!("{}/v2/enqueue", self.api_url.trim_end_matches('/'));
        let url = Url::parse(&url).map_err(|error| format!("api_url: {error}"))?;
        let endpoint = Endpoint::open(url, self.access(), context.clock.clone())?.hiding(&key);
        let texts = Texts::new(self.title.as_ref(), None, str::to_owned)?;
        let key = Key::new("routing_key", key.expose().trim())?;
        let details = Details::new(&self.details)?;
        Ok(Box::new(PagerDuty {
            settings: self.clone(),
            key,
            context,
            endpoint,
            texts,
            details,
        }))
    }

    fn severity(&self, ours: Severity) -> &'static str {
        let declared = self
            .severities
            .get(ours.as_str())
            .map(|severity| severity.value);
        let usual = match ours {
            Severity::Info => PagerDutySeverity::Info,
            Severity::Warning => PagerDutySeverity::Warning,
            Severity::Critical | Severity::Emergency => PagerDutySeverity::Critical,
        };
        declared.unwrap_or(usual).as_str()
    }
}

struct PagerDuty {
    settings: PagerDutyChannel,
    /// The routing key.
    key: Key,
    context: Context,
    endpoint: Endpoint,
    texts: Texts,
    details: Details,
}

impl Channel for PagerDuty {
    fn deliver<'a>(&'a self, batch: &'a Batch) -> Attempt<'a> {
        Box::pin(async move {
            if self.of_group(&batch.news[0]) {
                return self.send(self.group_event(batch)?).await;
            }
            for (index, one) in batch.news.iter().enumerate() {
                let sent = match self.alert_event(one, batch) {
                    Ok(event) => self.send(event).await,
                    Err(error) => Err(error),
                };
                if let Err(error) = sent {
                    let delivered = (0..index).collect();
                    return Err(DeliveryError { delivered, ..error });
                }
            }
            Ok(())
        })
    }

    /// Each is a request of its own, and an attempt should end before long.
    fn max_batch(&self) -> usize {
        20
    }

    fn joins(&self, first: &Notification, next: &Notification) -> bool {
        match self.of_group(first) {
            true => same_group(first, next),
            false => !self.of_group(next),
        }
    }

    fn digests(&self) -> bool {
        self.settings.incident_per == PagerDutyIncident::Alert
    }
}

impl PagerDuty {
    /// Whether an incident is of all of a group. Of one that is not told whole nobody knows when
    /// all of it is over.
    fn of_group(&self, one: &Notification) -> bool {
        self.settings.incident_per == PagerDutyIncident::Group && one.group.whole
    }

    /// Sends one event. Taken is what is answered with a 2xx that says nothing else.
    async fn send(&self, event: Value) -> Result<(), DeliveryError> {
        let sent = self.endpoint.post(event.to_string()).await;
        let answer = sent.map_err(|failed| failed.error).and_then(|taken| {
            // What is cut off was taken all the same: 202 says so.
            let said = taken.said.unwrap_or_default();
            let said = serde_json::from_str::<Value>(&said).unwrap_or_default();
            match said["status"].as_str() {
                None | Some("success" | "ok" | "accepted" | "queued" | "processed") => Ok(()),
                // Others that take its events have words of their own for a success.
                Some(_) if said["dedup_key"].is_string() => Ok(()),
                Some(other) => Err(self.endpoint.unsuccessful(false, &one_line(other, 200))),
            }
        });
        answer.map_err(|mut error| {
            let key = event["routing_key"]
                .as_str()
                .filter(|_| self.key.is_template());
            if let Some(key) = key.filter(|key| key.len() >= 6) {
                error.message = error.message.replace(key, "<secret>");
            }
            error
        })
    }

    fn alert_event(&self, one: &Notification, batch: &Batch) -> Result<Value, DeliveryError> {
        let dedup_key = brief::identity(&one.alert, &self.context.sender);
        let alone = Batch {
            news: vec![one.clone()],
            standing: Vec::new(),
            digest: None,
        };
        if one.status == Status::Resolved {
            return self.event("resolve", &dedup_key, &alone);
        }
        let told = self.texts.told(&alone, &self.context);
        let mut event = self.event("trigger", &dedup_key, &alone)?;
        let summary = told.title.unwrap_or_else(|| brief::page_title(one));
        event["payload"] = self.payload(&one.alert, one.alert.severity, &summary);
        let mut details = json!(brief::details(one, &self.context.sender, DETAILS));
        let standing = batch.standing.len();
        if standing > 0 {
            details["of_the_group"] = json!(format!("{standing} more still fire"));
        }
        self.add_details(&mut details, &alone, &told.trouble);
        event["payload"]["custom_details"] = details;
        self.add_links(&mut event, &one.alert);
        Ok(event)
    }

    /// Adds the details that are declared, and what is wrong with templates.
    fn add_details(&self, details: &mut Value, batch: &Batch, trouble: &[String]) {
        for (name, value) in self.details.of(batch, &self.context) {
            details[name] = json!(value);
        }
        if !trouble.is_empty() {
            details["template"] = json!(trouble.join("\n"));
        }
    }

    fn group_event(&self, batch: &Batch) -> Result<Value, DeliveryError> {
        let (group, sender) = (batch.group(), &self.context.sender);
        let one = Fingerprint::of(&group.key, &sender.labels);
        let dedup_key = format!("bellwether-{one}");
        if batch.status() == Status::Resolved {
            return self.event("resolve", &dedup_key, batch);
        }
        let severity = match brief::tone(batch) {
            Tone::Firing(severity) => severity,
            Tone::Good | Tone::Calm => Severity::Info,
        };
        let first = &brief::worst_first(batch)[0].alert;
        let mut event = self.event("trigger", &dedup_key, batch)?;
        let told = self.texts.told(batch, &self.context);
        let summary = told.title.unwrap_or_else(|| brief::title(batch));
        event["payload"] = self.payload(first, severity, &summary);
        event["payload"]["group"] = json!(brief::labels_line(&group.labels, 200));
        let alerts = brief::paragraphs(batch, sender, &Plain, DETAILS, |text| width(text) + 2);
        let mut details = json!({"alerts": alerts.join("\n\n")});
        self.add_details(&mut details, batch, &told.trouble);
        event["payload"]["custom_details"] = details;
        self.add_links(&mut event, first);
        Ok(event)
    }

    fn event(&self, action: &str, dedup_key: &str, batch: &Batch) -> Result<Value, DeliveryError> {
        Ok(json!({
            "routing_key": self.key.of(batch, &self.context)?,
            "event_action": action,
            "dedup_key": dedup_key,
        }))
    }

    fn payload(&self, alert: &Alert, severity: Severity, summary: &str) -> Value {
        let labels = brief::own_labels(alert, &self.context.sender);
        let label = |name: &str| labels.get(name).filter(|value| !is_blank(value));
        let source = label(&self.settings.source_label).map_or(&*alert.rule, String::as_str);
        let mut payload = json!({
            "summary": shorten(summary, SUMMARY),
            "source": one_line(source, 255),
            "severity": self.settings.severity(severity),
            "timestamp": rfc3339(alert.starts()),
            "class": one_line(&alert.rule, 255),
        });
        if let Some(component) = label("component") {
            payload["component"] = json!(one_line(component, 255));
        }
        payload
    }

    fn add_links(&self, event: &mut Value, alert: &Alert) {
        let links = brief::links(alert)
            .filter(|(name, _)| name != "Image")
            .take(8);
        let links: Vec<Value> = links
            .map(|(text, href)| json!({"href": href, "text": text}))
            .collect();
        if !links.is_empty() {
            event["links"] = Value::Array(links);
        }
        let image = alert
            .annotations
            .get("image_url")
            .and_then(|url| brief::web_link(url));
        if let Some(src) = image.filter(|url| url.starts_with("https:")) {
            event["images"] = json!([{"src": src}]);
        }
        event["client"] = json!("Bellwether");
        if let Some(url) = brief::web_link(&self.context.sender.url) {
            event["client_url"] = json!(url);
        }
    }
}

#[cfg(test)]
mod tests;
