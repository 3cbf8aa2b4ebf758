//! Channel that sends events by PagerDuty's Events API v2.
//!
//! One event per alert, or per group that includes its firing alerts. Fields and their lengths are
//! those of <https://developer.pagerduty.com/docs/events-api-v2/trigger-events/>; statuses and the
//! 512 KB of an event are those of <https://developer.pagerduty.com/docs/events-api-v2/overview/>:
//! 202 is accepted, 400 is permanent, 429 and 5xx are retryable.

use std::collections::BTreeMap;
use std::path::PathBuf;

use bellwether_core::{Alert, Fingerprint, Notification, Severity, Status};
use bellwether_http::ClientSettings;
use bellwether_http::redacted;
use bellwether_schema::{Constraint, Diagnostics, Literal, Secret, SourceLocation, Spanned};
use serde_json::{Value, json};

use super::http::{Endpoint, api_url, check_api_url, check_secret, secret};
use super::message::{self, Color, Plain, one_line, shorten, width};
use super::pager::{MAX_BATCH, check_severities, send_each};
use super::templates::{Details, MessageTemplates, TemplatedValue, is_blank};
use super::{Attempt, Batch, Channel, Context, DeliveryError, SettingsError, same_group};
use crate::wire::rfc3339;

bellwether_schema::string_enum! {
    /// Scope of a PagerDuty incident.
    pub enum PagerDutyIncident {
        /// One per alert.
        Alert = "alert",
        /// One per group that includes its firing alerts; without routes one per alert.
        Group = "group",
    }
}

bellwether_schema::string_enum! {
    /// Severities of PagerDuty.
    pub enum PagerDutySeverity {
        /// Most severe.
        Critical = "critical",
        Error = "error",
        Warning = "warning",
        /// Least severe.
        Info = "info",
    }
}

bellwether_schema::section! {
    /// Channel of type `pagerduty`: triggers an event per alert and resolves it when the alert
    /// resolves.
    #[constraints = [
        Constraint::AnyOf(&["routing_key", "routing_key_file"]),
        Constraint::AtMostOne(&["routing_key", "routing_key_file"]),
    ]]
    pub struct PagerDutyChannel {
        /// Integration key of an "Events API v2" integration; may be a template, such as
        /// `{{ commonLabels.pagerduty_key }}`. Never shown.
        pub routing_key: Option<Spanned<Secret>>,
        /// File that holds the key.
        pub routing_key_file: Option<PathBuf>,
        /// Scope of an incident.
        pub incident_per: PagerDutyIncident = PagerDutyIncident::Alert,
        /// PagerDuty's severity by severity. By default `info` and `warning` are the same,
        /// `critical` and `emergency` are `critical`.
        pub severities: BTreeMap<String, Spanned<PagerDutySeverity>> = BTreeMap::new(),
        /// Label with the affected system, PagerDuty's `source`.
        pub source_label: String = "instance".to_owned(),
        /// Further details of an incident, each as a template.
        pub details: BTreeMap<String, Spanned<Literal>> = BTreeMap::new(),
        /// URL of the Events API; in Europe `https://events.eu.pagerduty.com`.
        pub api_url: Spanned<String> = Spanned::nowhere("https://events.pagerduty.com".to_owned()),
        /// Summary: a minijinja template over the fields of Alertmanager's webhook document.
        pub title: Option<Spanned<Literal>>,
        #[serde(flatten)]
        pub http: ClientSettings,
    }
}

const SUMMARY: usize = 1024;
/// Limit of the details; as JSON a character has six bytes at most.
const DETAILS: usize = 60_000;

impl PagerDutyChannel {
    pub(super) fn check(&self, at: &SourceLocation, problems: &mut Diagnostics) {
        let (key, file) = (self.routing_key.as_ref(), self.routing_key_file.as_ref());
        check_secret("routing_key", key, file, at, problems);
        if let Some(key) = key {
            TemplatedValue::check(key.expose(), &key.at, problems);
        }
        Details::check(&self.details, problems);
        check_severities(&self.severities, problems);
        check_api_url(&self.api_url, problems);
        self.http.check(at, problems);
        MessageTemplates::check(self.title.as_ref(), None, problems);
    }

    pub(super) fn build(&self, context: Context) -> Result<Box<dyn Channel>, SettingsError> {
        let key = self.routing_key.as_ref();
        let key = secret("routing_key", key, self.routing_key_file.as_ref())?;
        let url = api_url(&self.api_url, "v2/enqueue")?;
        let endpoint =
            Endpoint::open(url, self.http.clone(), context.clock.clone())?.with_secret(&key);
        let texts = MessageTemplates::new(self.title.as_ref(), None, str::to_owned)?;
        let key = TemplatedValue::new("routing_key", key.expose().trim())?;
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
        let configured = self
            .severities
            .get(ours.as_str())
            .map(|severity| severity.value);
        let usual = match ours {
            Severity::Info => PagerDutySeverity::Info,
            Severity::Warning => PagerDutySeverity::Warning,
            Severity::Critical | Severity::Emergency => PagerDutySeverity::Critical,
        };
        configured.unwrap_or(usual).as_str()
    }
}

struct PagerDuty {
    settings: PagerDutyChannel,
    /// The routing key.
    key: TemplatedValue,
    context: Context,
    endpoint: Endpoint,
    texts: MessageTemplates,
    details: Details,
}

impl Channel for PagerDuty {
    fn deliver<'a>(&'a self, batch: &'a Batch) -> Attempt<'a> {
        Box::pin(async move {
            if self.is_per_group(&batch.notifications[0]) {
                return self.send(self.group_event(batch)?).await;
            }
            send_each(batch, |notification| async move {
                self.send(self.alert_event(notification, batch)?).await
            })
            .await
        })
    }

    fn max_batch(&self) -> usize {
        MAX_BATCH
    }

    fn joins(&self, first: &Notification, next: &Notification) -> bool {
        match self.is_per_group(first) {
            true => same_group(first, next),
            false => !self.is_per_group(next),
        }
    }

    fn allows_digest(&self) -> bool {
        self.settings.incident_per == PagerDutyIncident::Alert
    }
}

impl PagerDuty {
    /// Returns true if the incident is of the whole group. A group that does not include its firing
    /// alerts has no known end.
    fn is_per_group(&self, notification: &Notification) -> bool {
        self.settings.incident_per == PagerDutyIncident::Group && notification.group.include_firing
    }

    /// Sends one event. It is delivered by a 2xx whose body is not an error.
    async fn send(&self, event: Value) -> Result<(), DeliveryError> {
        let sent = self.endpoint.post(event.to_string()).await;
        let answer = sent.map_err(|failed| failed.error).and_then(|accepted| {
            // A body that is cut off does not matter: the status confirms the event.
            let body = accepted.body.unwrap_or_default();
            let body = serde_json::from_str::<Value>(&body).unwrap_or_default();
            match body["status"].as_str() {
                None | Some("success" | "ok" | "accepted" | "queued" | "processed") => Ok(()),
                // Others that take its events have words of their own for a success.
                Some(_) if body["dedup_key"].is_string() => Ok(()),
                Some(other) => Err(self.endpoint.rejection(false, &one_line(other, 200))),
            }
        });
        answer.map_err(|mut error| {
            // The channel knows no secret that a template gives.
            let key = event["routing_key"]
                .as_str()
                .filter(|_| self.key.is_template());
            error.message = redacted(error.message, key);
            error
        })
    }

    fn alert_event(
        &self,
        notification: &Notification,
        batch: &Batch,
    ) -> Result<Value, DeliveryError> {
        let dedup_key = message::identity(&notification.alert, &self.context.sender);
        let single = Batch::new(vec![notification.clone()]);
        if notification.status == Status::Resolved {
            return self.event("resolve", &dedup_key, &single);
        }
        let rendered = self.texts.render(&single, &self.context);
        let mut event = self.event("trigger", &dedup_key, &single)?;
        let summary = rendered
            .title
            .unwrap_or_else(|| message::page_title(notification));
        event["payload"] = self.payload(&notification.alert, notification.alert.severity, &summary);
        let mut details = json!(message::details(
            notification,
            &self.context.sender,
            DETAILS
        ));
        let still_firing = batch.still_firing.len();
        if still_firing > 0 {
            details["other_firing_alerts"] = json!(still_firing);
        }
        self.add_details(&mut details, &single, &rendered.errors);
        event["payload"]["custom_details"] = details;
        self.add_links(&mut event, &notification.alert);
        Ok(event)
    }

    /// Adds the configured details, and the errors of templates.
    fn add_details(&self, details: &mut Value, batch: &Batch, errors: &[String]) {
        for (name, value) in self.details.of(batch, &self.context) {
            details[name] = json!(value);
        }
        if !errors.is_empty() {
            details["template"] = json!(errors.join("\n"));
        }
    }

    fn group_event(&self, batch: &Batch) -> Result<Value, DeliveryError> {
        let (group, sender) = (batch.group(), &self.context.sender);
        let notification = Fingerprint::of(&group.key, &sender.labels);
        let dedup_key = format!("bellwether-{notification}");
        if batch.status() == Status::Resolved {
            return self.event("resolve", &dedup_key, batch);
        }
        let severity = match message::color(batch) {
            Color::Firing(severity) => severity,
            Color::Resolved | Color::Neutral => Severity::Info,
        };
        let first = &message::worst_first(batch)[0].alert;
        let mut event = self.event("trigger", &dedup_key, batch)?;
        let rendered = self.texts.render(batch, &self.context);
        let summary = rendered.title.unwrap_or_else(|| message::title(batch));
        event["payload"] = self.payload(first, severity, &summary);
        event["payload"]["group"] = json!(message::labels_line(&group.labels, 200));
        let alerts = message::paragraphs(batch, sender, &Plain, DETAILS, |text| width(text) + 2);
        let mut details = json!({"alerts": alerts.join("\n\n")});
        self.add_details(&mut details, batch, &rendered.errors);
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
        let labels = message::own_labels(alert, &self.context.sender);
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
        let links = message::links(alert)
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
            .and_then(|url| message::web_link(url));
        if let Some(src) = image.filter(|url| url.starts_with("https:")) {
            event["images"] = json!([{"src": src}]);
        }
        event["client"] = json!("Bellwether");
        if let Some(url) = message::web_link(&self.context.sender.url) {
            event["client_url"] = json!(url);
        }
    }
}

#[cfg(test)]
mod tests;
