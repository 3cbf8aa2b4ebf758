//! The channel that pages by Opsgenie's Alert API v2.
//!
//! An alert is created under an alias and closed by it. Fields and their lengths are those of
//! <https://docs.opsgenie.com/docs/alert-api> and
//! <https://docs.opsgenie.com/docs/alerts-and-alert-fields> (message 130, alias 512, description
//! 15,000 characters, 20 tags of 50), refusals those of <https://docs.opsgenie.com/docs/response>
//! and <https://docs.opsgenie.com/docs/api-rate-limiting>: 202 is taken, 422 stays refused, 429 and
//! 5xx may pass.

use std::collections::BTreeMap;
use std::path::PathBuf;

use bellwether_core::{Cause, Notification, Severity, Status};
use bellwether_http::{Access, parse_url};
use bellwether_schema::{Diagnostics, HumanDuration, Literal, Secret, SourceLocation, Spanned};
use reqwest::{Method, Url};
use serde_json::{Value, json};

use super::brief::{self, Plain, one_line, shorten, width};
use super::http::{Endpoint, check_literal, check_secret, secret};
use super::texts::{Details, Key, Texts, cut, is_blank, is_template};
use super::{Attempt, Batch, Channel, Context, DeliveryError};

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
    /// Who is called by Opsgenie.
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
    /// Somebody whom Opsgenie calls: by `id` or `name`, which may be templates, such as
    /// `{{ commonLabels.team }}`.
    pub struct OpsgenieResponder {
        /// What it is.
        pub r#type: OpsgenieResponderType,
        /// Its name; of a user the address.
        pub name: Option<Spanned<String>>,
        /// Its id.
        pub id: Option<Spanned<String>>,
    }
}

bellwether_schema::section! {
    /// Channel of type `opsgenie`: creates an alert and closes it at its end.
    pub struct OpsgenieChannel {
        /// Key of an API integration. Never shown.
        pub api_key: Option<Spanned<Secret>>,
        /// File that holds the key.
        pub api_key_file: Option<PathBuf>,
        /// Where the API is; in Europe `https://api.eu.opsgenie.com`.
        pub api_url: Spanned<String> = Spanned::nowhere("https://api.opsgenie.com".to_owned()),
        /// Who is called; without any, whom the integration belongs to.
        pub responders: Vec<OpsgenieResponder> = Vec::new(),
        /// Tags besides those of the alert: its rule and severity. Each may be a template, and then
        /// give several, between commas.
        pub tags: Vec<Spanned<String>> = Vec::new(),
        /// Further details of an alert, each as a template.
        pub details: BTreeMap<String, Spanned<Literal>> = BTreeMap::new(),
        /// Opsgenie's priority for one of our severities. Without it `emergency` is P1, `critical`
        /// P2, `warning` P3 and `info` P5.
        pub priorities: BTreeMap<String, Spanned<OpsgeniePriority>> = BTreeMap::new(),
        /// Message, as a minijinja template over Alertmanager's document. Plain text.
        pub title: Option<Spanned<Literal>>,
        /// Description, as a template. Plain text.
        pub text: Option<Spanned<Literal>>,
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
        for (index, responder) in self.responders.iter().enumerate() {
            let keys = responder.name.iter().chain(&responder.id);
            for key in keys.clone() {
                Key::check(key, &key.at, problems);
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
        for (name, priority) in &self.priorities {
            if !Severity::ALL.iter().any(|ours| ours.as_str() == name) {
                problems
                    .error(&priority.at, format!("not a severity of ours: {name:?}"))
                    .hint("info, warning, critical or emergency");
            }
        }
        for tag in &self.tags {
            Key::check(tag, &tag.at, problems);
        }
        Details::check(&self.details, problems);
        check_literal(self.api_key.as_ref(), problems);
        let long = |tag: &Spanned<String>| !is_template(tag) && width(tag) > TAG;
        if self.tags.len() > TAGS - 2 || self.tags.iter().any(long) {
            problems.error(
                &at.key("tags"),
                format!(
                    "at most {} of {TAG} characters; two are of the alert",
                    TAGS - 2
                ),
            );
        }
        if let Err(reason) = parse_url(&Secret::new(&*self.api_url.value)) {
            problems.error(&self.api_url.at, reason);
        }
        self.access(BTreeMap::new()).check(at, problems);
        Texts::check(self.title.as_ref(), self.text.as_ref(), problems);
    }

    fn access(&self, headers: BTreeMap<String, Spanned<Secret>>) -> Access {
        Access {
            headers,
            timeout: self.timeout,
            ca_file: self.ca_file.clone(),
            proxy_url: self.proxy_url.clone(),
            proxy_from_environment: self.proxy_from_environment,
            ..Access::default()
        }
    }

    pub(super) fn build(&self, context: Context) -> Result<Box<dyn Channel>, String> {
        let key = secret("api_key", self.api_key.as_ref(), self.api_key_file.as_ref())?;
        let header = Secret::new(format!("GenieKey {}", key.expose().trim()));
        let headers = BTreeMap::from([("Authorization".to_owned(), Spanned::nowhere(header))]);
        let url = format!("{}/v2/alerts", self.api_url.trim_end_matches('/'));
        let url = Url::parse(&url).map_err(|error| format!("api_url: {error}"))?;
        let access = self.access(headers);
        let endpoint = Endpoint::open(url, access, context.clock.clone())?.hiding(&key);
        let texts = Texts::new(self.title.as_ref(), self.text.as_ref(), str::to_owned)?;
        let responders = self
            .responders
            .iter()
            .map(Responder::new)
            .collect::<Result<_, _>>()?;
        let tags = self.tags.iter().filter(|tag| !is_blank(tag));
        let tags = tags
            .map(|tag| Key::new("tags", tag))
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
        let declared = self
            .priorities
            .get(ours.as_str())
            .map(|priority| priority.value);
        let usual = match ours {
            Severity::Info => OpsgeniePriority::P5,
            Severity::Warning => OpsgeniePriority::P3,
            Severity::Critical => OpsgeniePriority::P2,
            Severity::Emergency => OpsgeniePriority::P1,
        };
        declared.unwrap_or(usual).as_str()
    }
}

struct Opsgenie {
    settings: OpsgenieChannel,
    context: Context,
    endpoint: Endpoint,
    texts: Texts,
    responders: Vec<Responder>,
    tags: Vec<Key>,
    details: Details,
}

/// Somebody who is called.
struct Responder {
    r#type: OpsgenieResponderType,
    /// What the name or id is called by Opsgenie.
    key: &'static str,
    who: Key,
}

impl Responder {
    fn new(declared: &OpsgenieResponder) -> Result<Self, String> {
        // A user is called by the address, all others by their name.
        let name = match declared.r#type {
            OpsgenieResponderType::User => "username",
            _ => "name",
        };
        let (key, who) = match &declared.id {
            Some(id) => ("id", Key::new("responders.id", id)?),
            None => {
                let text = declared.name.as_ref().map_or("", |name| name.as_str());
                (name, Key::new("responders.name", text)?)
            }
        };
        Ok(Self {
            r#type: declared.r#type,
            key,
            who,
        })
    }
}

impl Channel for Opsgenie {
    fn deliver<'a>(&'a self, batch: &'a Batch) -> Attempt<'a> {
        Box::pin(async move {
            for (index, one) in batch.news.iter().enumerate() {
                if let Err(error) = self.tell(one, batch).await {
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
}

impl Opsgenie {
    async fn tell(&self, one: &Notification, batch: &Batch) -> Result<(), DeliveryError> {
        let alias = brief::identity(&one.alert, &self.context.sender);
        if one.status == Status::Resolved {
            let url = self.of_alias(&alias, "close");
            self.endpoint
                .send(Method::POST, url, self.closing(one).to_string())
                .await?;
            return Ok(());
        }
        self.endpoint
            .post(self.alert(one, batch, &alias).to_string())
            .await?;
        // To create what is there already only counts; how bad it is must be told by itself.
        if one.cause == Cause::Change && one.at > one.alert.starts() {
            let priority = json!({"priority": self.settings.priority(one.alert.severity)});
            let url = self.of_alias(&alias, "priority");
            self.endpoint
                .send(Method::PUT, url, priority.to_string())
                .await?;
        }
        Ok(())
    }

    fn of_alias(&self, alias: &str, action: &str) -> Url {
        let mut url = self.endpoint.url().clone();
        url.set_path(&format!("{}/{alias}/{action}", url.path()));
        url.set_query(Some("identifierType=alias"));
        url
    }

    fn source(&self) -> String {
        let labels = brief::labels_line(&self.context.sender.labels, SOURCE - 12);
        if labels.is_empty() {
            "Bellwether".into()
        } else {
            format!("Bellwether {labels}")
        }
    }

    fn closing(&self, one: &Notification) -> Value {
        let mut note = vec![one_line(&one.reason, 1000)];
        note.extend(brief::values(&one.alert, one.status));
        json!({"source": self.source(), "note": note.join("\n")})
    }

    fn alert(&self, one: &Notification, batch: &Batch, alias: &str) -> Value {
        let (settings, sender) = (&self.settings, &self.context.sender);
        let standing = batch.standing.clone();
        let alone = Batch {
            news: vec![one.clone()],
            standing,
            digest: None,
        };
        let told = self.texts.told(&alone, &self.context);
        let single = Batch {
            standing: Vec::new(),
            ..alone.clone()
        };
        let (responders, unknown) = self.responders(&single);
        let title = told.title.unwrap_or_else(|| brief::page_title(one));
        let trouble = [told.trouble, unknown].concat().join("\n");
        let trouble = shorten(&trouble, DESCRIPTION / 4);
        let room = DESCRIPTION - width(&trouble) - 2;
        let mut texts = match told.text {
            Some(text) => vec![cut(&text, room, |_| String::new())],
            None => {
                let cost = |text: &str| width(text) + 2;
                brief::paragraphs(&alone, sender, &Plain, room, cost)
            }
        };
        texts.extend(Some(trouble).filter(|text| !text.is_empty()));
        let mut details = brief::details(one, sender, DETAILS);
        details.extend(self.details.of(&single, &self.context));
        let mut alert = json!({
            "message": shorten(&title, MESSAGE),
            "alias": alias,
            "description": texts.join("\n\n"),
            "details": details,
            "priority": settings.priority(one.alert.severity),
            "source": self.source(),
            "tags": self.tags(one, &single),
        });
        if !responders.is_empty() {
            alert["responders"] = Value::Array(responders);
        }
        alert
    }

    /// Who is called, and of whom it is not known who that is. Without any, Opsgenie calls whom the
    /// integration belongs to.
    fn responders(&self, alone: &Batch) -> (Vec<Value>, Vec<String>) {
        let (mut known, mut unknown) = (Vec::new(), Vec::new());
        for one in &self.responders {
            match one.who.of(alone, &self.context) {
                Ok(who) => known.push(json!({"type": one.r#type.as_str(), one.key: who})),
                Err(error) => unknown.push(error.message),
            }
        }
        (known, unknown)
    }

    /// Rule and severity, and what is declared. A tag that gives nothing is none.
    fn tags(&self, one: &Notification, alone: &Batch) -> Vec<String> {
        let own = [
            one.alert.rule.to_string(),
            one.alert.severity.as_str().to_owned(),
        ];
        let declared = self.tags.iter().flat_map(|tag| {
            let text = tag.of(alone, &self.context).unwrap_or_default();
            match tag.is_template() {
                true => text.split(',').map(str::to_owned).collect(),
                false => vec![text],
            }
        });
        let all = own
            .into_iter()
            .chain(declared)
            .map(|tag| one_line(&tag, TAG));
        all.filter(|tag| !is_blank(tag)).take(TAGS).collect()
    }
}

#[cfg(test)]
mod tests;
