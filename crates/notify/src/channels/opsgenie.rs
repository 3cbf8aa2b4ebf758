//! Channel that creates alerts by Opsgenie's Alert API v2.
//!
//! An alert is created under an alias and closed by it. Fields and their lengths are those of
//! <https://docs.opsgenie.com/docs/alert-api> and
//! <https://docs.opsgenie.com/docs/alerts-and-alert-fields> (message 130, alias 512, description
//! 15,000 characters, 20 tags of 50). Error statuses are those of
//! <https://docs.opsgenie.com/docs/response> and
//! <https://docs.opsgenie.com/docs/api-rate-limiting>: 202 is accepted, 422 is permanent, 429 and
//! 5xx are retryable.

use std::collections::BTreeMap;
use std::path::PathBuf;

use bellwether_core::{Cause, Notification, Severity, Status};
use bellwether_http::{Access, Authorization, ClientSettings};
use bellwether_schema::{Constraint, Diagnostics, Literal, Secret, SourceLocation, Spanned};
use reqwest::{Method, Url};
use serde_json::{Value, json};

use super::http::{Endpoint, api_url, check_api_url, check_literal, check_secret, secret};
use super::message::{self, Plain, one_line, shorten, width};
use super::pager::{MAX_BATCH, check_severities, send_each};
use super::templates::{
    Details, MessageTemplates, TemplateError, TemplatedValue, cut, is_blank, is_template,
};
use super::{Attempt, Batch, Channel, Context, DeliveryError, SettingsError};

bellwether_schema::string_enum! {
    /// Priorities of Opsgenie.
    pub enum OpsgeniePriority {
        /// Critical.
        P1 = "P1",
        /// High.
        P2 = "P2",
        /// Moderate.
        P3 = "P3",
        /// Low.
        P4 = "P4",
        /// Informational.
        P5 = "P5",
    }
}

bellwether_schema::string_enum! {
    /// Types of Opsgenie's responders.
    pub enum OpsgenieResponderType {
        /// A team.
        Team = "team",
        /// A user.
        User = "user",
        /// An escalation.
        Escalation = "escalation",
        /// A schedule.
        Schedule = "schedule",
    }
}

bellwether_schema::section! {
    /// Responder of an Opsgenie alert: by `id` or `name`, which may be templates, such as `{{
    /// commonLabels.team }}`.
    #[constraints = [
        Constraint::AnyOf(&["name", "id"]),
        Constraint::AtMostOne(&["name", "id"]),
    ]]
    pub struct OpsgenieResponder {
        /// Type of the responder.
        pub r#type: OpsgenieResponderType,
        /// Name; of a user the address.
        pub name: Option<Spanned<String>>,
        /// Id.
        pub id: Option<Spanned<String>>,
    }
}

bellwether_schema::section! {
    /// Channel of type `opsgenie`: creates an alert and closes it when it resolves.
    #[constraints = [
        Constraint::AnyOf(&["api_key", "api_key_file"]),
        Constraint::AtMostOne(&["api_key", "api_key_file"]),
    ]]
    pub struct OpsgenieChannel {
        /// Key of an API integration. Never shown.
        pub api_key: Option<Spanned<Secret>>,
        /// File that holds the key.
        pub api_key_file: Option<PathBuf>,
        /// URL of the API; in Europe `https://api.eu.opsgenie.com`.
        pub api_url: Spanned<String> = Spanned::nowhere("https://api.opsgenie.com".to_owned()),
        /// Responders; by default the owner of the integration.
        pub responders: Vec<OpsgenieResponder> = Vec::new(),
        /// Tags besides rule and severity. Each may be a template, which may render several,
        /// separated by commas.
        pub tags: Vec<Spanned<String>> = Vec::new(),
        /// Further details of an alert, each as a template.
        pub details: BTreeMap<String, Spanned<Literal>> = BTreeMap::new(),
        /// Opsgenie's priority by severity. By default `emergency` is P1, `critical` P2, `warning`
        /// P3 and `info` P5.
        pub priorities: BTreeMap<String, Spanned<OpsgeniePriority>> = BTreeMap::new(),
        /// Message: a minijinja template over the fields of Alertmanager's webhook document. Plain
        /// text.
        pub title: Option<Spanned<Literal>>,
        /// Description, as a template. Plain text.
        pub text: Option<Spanned<Literal>>,
        #[serde(flatten)]
        pub http: ClientSettings,
    }
}

const MESSAGE: usize = 130;
const DESCRIPTION: usize = 15_000;
const DETAILS: usize = 8000;
const TAGS: usize = 20;
const TAG: usize = 50;
const SOURCE: usize = 100;

impl OpsgenieChannel {
    pub(super) fn check(&self, at: &SourceLocation, problems: &mut Diagnostics) {
        let (key, file) = (self.api_key.as_ref(), self.api_key_file.as_ref());
        check_secret("api_key", key, file, at, problems);
        check_literal(key, problems);
        self.check_responders(at, problems);
        self.check_tags(at, problems);
        check_severities(&self.priorities, problems);
        Details::check(&self.details, problems);
        check_api_url(&self.api_url, problems);
        self.http.check(at, problems);
        MessageTemplates::check(self.title.as_ref(), self.text.as_ref(), problems);
    }

    fn check_responders(&self, at: &SourceLocation, problems: &mut Diagnostics) {
        for (index, responder) in self.responders.iter().enumerate() {
            let keys = responder.name.iter().chain(&responder.id);
            for key in keys.clone() {
                TemplatedValue::check(key, &key.at, problems);
            }
            if keys.filter(|key| !is_blank(key)).count() != 1 {
                problems
                    .error(
                        &at.key(&format!("responders[{index}]")),
                        "needs `name` or `id`",
                    )
                    .hint("one of the two");
            }
        }
    }

    fn check_tags(&self, at: &SourceLocation, problems: &mut Diagnostics) {
        for tag in &self.tags {
            TemplatedValue::check(tag, &tag.at, problems);
        }
        if self.tags.len() > TAGS - 2
            || self
                .tags
                .iter()
                .any(|tag| !is_template(tag) && width(tag) > TAG)
        {
            problems.error(
                &at.key("tags"),
                format!(
                    "at most {} tags of {TAG} characters; two more are rule and severity",
                    TAGS - 2
                ),
            );
        }
    }

    fn access(&self, key: &Secret) -> Access {
        let header = Secret::new(format!("GenieKey {}", key.expose().trim()));
        let headers = BTreeMap::from([("Authorization".to_owned(), Spanned::nowhere(header))]);
        Access {
            authorization: Authorization {
                headers,
                ..Authorization::default()
            },
            client: self.http.clone(),
        }
    }

    pub(super) fn build(&self, context: Context) -> Result<Box<dyn Channel>, SettingsError> {
        let key = secret("api_key", self.api_key.as_ref(), self.api_key_file.as_ref())?;
        let url = api_url(&self.api_url, "v2/alerts")?;
        let endpoint =
            Endpoint::open(url, self.access(&key), context.clock.clone())?.with_secret(&key);
        let texts = MessageTemplates::new(self.title.as_ref(), self.text.as_ref(), str::to_owned)?;
        let responders = self
            .responders
            .iter()
            .map(Responder::new)
            .collect::<Result<_, _>>()?;
        let tags = self.tags.iter().filter(|tag| !is_blank(tag));
        let tags = tags
            .map(|tag| TemplatedValue::new("tags", tag))
            .collect::<Result<_, _>>()?;
        let details = Details::new(&self.details)?;
        let settings = self.clone();
        Ok(Box::new(Opsgenie {
            settings,
            context,
            endpoint,
            texts,
            responders,
            tags,
            details,
        }))
    }

    fn priority(&self, ours: Severity) -> &'static str {
        let configured = self
            .priorities
            .get(ours.as_str())
            .map(|priority| priority.value);
        let usual = match ours {
            Severity::Info => OpsgeniePriority::P5,
            Severity::Warning => OpsgeniePriority::P3,
            Severity::Critical => OpsgeniePriority::P2,
            Severity::Emergency => OpsgeniePriority::P1,
        };
        configured.unwrap_or(usual).as_str()
    }
}

struct Opsgenie {
    settings: OpsgenieChannel,
    context: Context,
    endpoint: Endpoint,
    texts: MessageTemplates,
    responders: Vec<Responder>,
    tags: Vec<TemplatedValue>,
    details: Details,
}

/// A responder of an alert.
struct Responder {
    r#type: OpsgenieResponderType,
    /// Opsgenie's key for the name or id.
    key: &'static str,
    who: TemplatedValue,
}

impl Responder {
    fn new(configured: &OpsgenieResponder) -> Result<Self, TemplateError> {
        // A user is called by the address, all others by their name.
        let name = match configured.r#type {
            OpsgenieResponderType::User => "username",
            _ => "name",
        };
        let (key, who) = match &configured.id {
            Some(id) => ("id", TemplatedValue::new("responders.id", id)?),
            None => {
                let text = configured.name.as_ref().map_or("", |name| name.as_str());
                (name, TemplatedValue::new("responders.name", text)?)
            }
        };
        Ok(Self {
            r#type: configured.r#type,
            key,
            who,
        })
    }
}

impl Channel for Opsgenie {
    fn deliver<'a>(&'a self, batch: &'a Batch) -> Attempt<'a> {
        Box::pin(
            async move { send_each(batch, |notification| self.send(notification, batch)).await },
        )
    }

    fn max_batch(&self) -> usize {
        MAX_BATCH
    }
}

impl Opsgenie {
    async fn send(&self, notification: &Notification, batch: &Batch) -> Result<(), DeliveryError> {
        let alias = message::identity(&notification.alert, &self.context.sender);
        if notification.status == Status::Resolved {
            let url = self.alias_url(&alias, "close");
            self.endpoint
                .send(Method::POST, url, self.close_body(notification).to_string())
                .await?;
            return Ok(());
        }
        self.endpoint
            .post(self.alert(notification, batch, &alias).to_string())
            .await?;
        // Creating an existing alert only counts it; its priority needs a request of its own.
        if notification.cause == Cause::Change && notification.at > notification.alert.starts() {
            let priority = json!({"priority": self.settings.priority(notification.alert.severity)});
            let url = self.alias_url(&alias, "priority");
            self.endpoint
                .send(Method::PUT, url, priority.to_string())
                .await?;
        }
        Ok(())
    }

    fn alias_url(&self, alias: &str, action: &str) -> Url {
        let mut url = self.endpoint.url().clone();
        url.set_path(&format!("{}/{alias}/{action}", url.path()));
        url.set_query(Some("identifierType=alias"));
        url
    }

    fn source(&self) -> String {
        let labels = message::labels_line(&self.context.sender.labels, SOURCE - 12);
        if labels.is_empty() {
            "Bellwether".into()
        } else {
            format!("Bellwether {labels}")
        }
    }

    fn close_body(&self, notification: &Notification) -> Value {
        let mut note = vec![one_line(&notification.reason, 1000)];
        note.extend(message::values(&notification.alert, notification.status));
        json!({"source": self.source(), "note": note.join("\n")})
    }

    fn alert(&self, notification: &Notification, batch: &Batch, alias: &str) -> Value {
        let (settings, sender) = (&self.settings, &self.context.sender);
        let single = Batch::new(vec![notification.clone()]);
        let alone = Batch {
            still_firing: batch.still_firing.clone(),
            ..single.clone()
        };
        let rendered = self.texts.render(&alone, &self.context);
        let (responders, unknown) = self.responders(&single);
        let title = rendered
            .title
            .unwrap_or_else(|| message::page_title(notification));
        let errors = [rendered.errors, unknown].concat().join("\n");
        let errors = shorten(&errors, DESCRIPTION / 4);
        let room = DESCRIPTION - width(&errors) - 2;
        let mut texts = match rendered.text {
            Some(text) => vec![cut(&text, room, |_| String::new())],
            None => message::paragraphs(&alone, sender, &Plain, room, |text: &str| width(text) + 2),
        };
        texts.extend(Some(errors).filter(|text| !text.is_empty()));
        let mut details = message::details(notification, sender, DETAILS);
        details.extend(self.details.of(&single, &self.context));
        let mut alert = json!({
            "message": shorten(&title, MESSAGE),
            "alias": alias,
            "description": texts.join("\n\n"),
            "details": details,
            "priority": settings.priority(notification.alert.severity),
            "source": self.source(),
            "tags": self.tags(notification, &single),
        });
        if !responders.is_empty() {
            alert["responders"] = Value::Array(responders);
        }
        alert
    }

    /// Returns the responders, and the errors of their templates. Without any, Opsgenie notifies
    /// the owner of the integration.
    fn responders(&self, alone: &Batch) -> (Vec<Value>, Vec<String>) {
        let (mut known, mut unknown) = (Vec::new(), Vec::new());
        for notification in &self.responders {
            match notification.who.of(alone, &self.context) {
                Ok(who) => {
                    known.push(json!({"type": notification.r#type.as_str(), notification.key: who}))
                }
                Err(error) => unknown.push(error.message),
            }
        }
        (known, unknown)
    }

    /// Returns rule, severity and the configured tags. A tag without text is left out.
    fn tags(&self, notification: &Notification, alone: &Batch) -> Vec<String> {
        let own = [
            notification.alert.rule.to_string(),
            notification.alert.severity.as_str().to_owned(),
        ];
        let configured = self.tags.iter().flat_map(|tag| {
            let text = tag.of(alone, &self.context).unwrap_or_default();
            match tag.is_template() {
                true => text.split(',').map(str::to_owned).collect(),
                false => vec![text],
            }
        });
        let all = own
            .into_iter()
            .chain(configured)
            .map(|tag| one_line(&tag, TAG));
        all.filter(|tag| !is_blank(tag)).take(TAGS).collect()
    }
}

#[cfg(test)]
mod tests;
