//! The channel that posts to Discord by a webhook.
//!
//! A message is one embed of the severity's colour. Limits are those of
//! <https://discord.com/developers/docs/resources/message#embed-object-embed-limits> (title 256,
//! description 4,096, all embeds together 6,000 characters), who may be called is
//! <https://discord.com/developers/docs/resources/message#allowed-mentions-object>, and a 429 says
//! in its body how long to wait, in fractions of a second:
//! <https://discord.com/developers/docs/topics/rate-limits#exceeding-a-rate-limit>. With `wait` an
//! answer says that the message is kept, without it only that it was read:
//! <https://discord.com/developers/docs/resources/webhook#execute-webhook>.

use std::path::PathBuf;
use std::time::Duration;

use bellwether_core::{Notification, Status, UnixMillis};
use bellwether_http::{Access, parse_url};
use bellwether_schema::{Diagnostics, HumanDuration, Literal, Secret, SourceLocation, Spanned};
use serde::Deserialize;
use serde_json::{Value, json};

use super::brief::{self, Markup, width};
use super::http::{Endpoint, Failed, check_url, secret};
use super::texts::{Key, Texts, Told, cut, is_blank, is_template};
use super::{Attempt, Batch, Channel, Context, DeliveryError, same_group};
use crate::wire::rfc3339;

bellwether_schema::section! {
    /// Channel of type `discord`: posts a message per group to the channel of a webhook, coloured by
    /// severity. Nobody is called by what labels or messages say; see `mention_roles`.
    pub struct DiscordChannel {
        /// URL of the webhook. Never shown.
        pub url: Option<Spanned<Secret>>,
        /// File that holds the URL.
        pub url_file: Option<PathBuf>,
        /// Id of the thread to post to.
        pub thread_id: Option<Spanned<String>>,
        /// Ids of the roles that are called when an alert fires.
        pub mention_roles: Vec<Spanned<String>> = Vec::new(),
        /// Name to post under; may be a template.
        pub username: Option<Spanned<String>>,
        /// Picture to post under; may be a template.
        pub avatar_url: Option<Spanned<String>>,
        /// Title, as a minijinja template over Alertmanager's document. Plain text.
        pub title: Option<Spanned<Literal>>,
        /// Text, as a template. What it says is Discord's Markdown; what it fills in is escaped
        /// unless it is marked `safe`.
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

const TITLE: usize = 256;
const DESCRIPTION: usize = 4096;
/// Most roles of one `allowed_mentions`.
const ROLES: usize = 100;

impl DiscordChannel {
    pub(super) fn check(&self, at: &SourceLocation, problems: &mut Diagnostics) {
        check_url(self.url.as_ref(), self.url_file.as_ref(), at, problems);
        for id in self.thread_id.iter().chain(&self.mention_roles) {
            if id.is_empty() || !id.bytes().all(|b| b.is_ascii_digit()) {
                problems
                    .error(&id.at, format!("not an id of Discord: {:?}", id.value))
                    .hint("digits only: Copy ID in Discord's developer mode");
            }
        }
        if self.mention_roles.len() > ROLES {
            problems.error(&at.key("mention_roles"), format!("more than {ROLES} roles"));
        }
        for key in self.username.iter().chain(&self.avatar_url) {
            Key::check(key, &key.at, problems);
        }
        if let Some(name) = self
            .username
            .as_ref()
            .filter(|name| !is_blank(name) && !is_template(name))
        {
            let lower = name.to_lowercase();
            let refused = ["discord", "clyde"].iter().any(|word| lower.contains(word));
            if refused || !(1..=80).contains(&width(name)) {
                problems
                    .error(
                        &name.at,
                        format!("not a name that Discord takes: {:?}", name.value),
                    )
                    .hint("1 to 80 characters, without \"discord\" and \"clyde\"");
            }
        }
        self.access().check(at, problems);
        Texts::check(self.title.as_ref(), self.text.as_ref(), problems);
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
        let mut url = parse_url(&secret("url", self.url.as_ref(), self.url_file.as_ref())?)?;
        url.query_pairs_mut().append_pair("wait", "true");
        if let Some(thread) = &self.thread_id {
            url.query_pairs_mut().append_pair("thread_id", thread);
        }
        let endpoint = Endpoint::open(url, self.access(), context.clock.clone())?;
        let texts = Texts::new(self.title.as_ref(), self.text.as_ref(), escape)?;
        let username = Key::declared("username", self.username.as_ref())?;
        let avatar_url = Key::declared("avatar_url", self.avatar_url.as_ref())?;
        let settings = self.clone();
        Ok(Box::new(Discord {
            settings,
            context,
            endpoint,
            texts,
            username,
            avatar_url,
        }))
    }
}

struct Discord {
    settings: DiscordChannel,
    context: Context,
    endpoint: Endpoint,
    texts: Texts,
    username: Option<Key>,
    avatar_url: Option<Key>,
}

impl Channel for Discord {
    fn deliver<'a>(&'a self, batch: &'a Batch) -> Attempt<'a> {
        Box::pin(async move {
            let message = self.message(batch).to_string();
            self.endpoint.post(message).await.map_err(limited)?;
            Ok(())
        })
    }

    fn max_batch(&self) -> usize {
        1000
    }

    fn joins(&self, first: &Notification, next: &Notification) -> bool {
        same_group(first, next)
    }
}

/// What a 429 says.
#[derive(Deserialize)]
struct Limit {
    retry_after: f64,
}

fn limited(failed: Failed) -> DeliveryError {
    let limit = serde_json::from_str::<Limit>(&failed.body).ok();
    let wait = limit.and_then(|limit| Duration::try_from_secs_f64(limit.retry_after).ok());
    let retry_after = failed
        .error
        .retry_after
        .max(wait.filter(|_| failed.error.retryable));
    DeliveryError {
        retry_after,
        ..failed.error
    }
}

impl Discord {
    fn message(&self, batch: &Batch) -> Value {
        let sender = &self.context.sender;
        let Told {
            title,
            text,
            trouble,
        } = self.texts.told(batch, &self.context);
        let title = title.unwrap_or_else(|| brief::title(batch));
        let trouble = trouble
            .iter()
            .map(|reason| format!("\n\n{}", escape(reason)));
        let trouble: String = trouble.collect();
        let room = DESCRIPTION - width(&trouble);
        let text = match text {
            Some(text) => cut(&text, room, |_| String::new()),
            None => {
                let cost = |text: &str| width(text) + 2;
                let told = brief::paragraphs(batch, sender, &Markdown, room, cost);
                told.join("\n\n")
            }
        };
        let text = text + &trouble;
        let told_at = batch
            .news
            .iter()
            .map(|one| one.at)
            .max()
            .unwrap_or_default();
        let mut embed = json!({
            // A title knows marks too.
            "title": cut(&escape(&title), TITLE, |_| String::new()),
            "description": text,
            "color": brief::tone(batch).colour(),
            "timestamp": rfc3339(told_at),
        });
        if let Some(url) = brief::web_link(&sender.url) {
            embed["url"] = json!(url);
        }
        self.addressed(batch, embed)
    }

    /// The message: the embed, whom it calls, and who says it.
    fn addressed(&self, batch: &Batch, embed: Value) -> Value {
        let settings = &self.settings;
        let fires = batch.news.iter().any(|one| one.status == Status::Firing);
        let roles: Vec<&str> = match fires {
            true => settings
                .mention_roles
                .iter()
                .map(|id| id.as_str())
                .collect(),
            false => Vec::new(),
        };
        let mut message = json!({
            "embeds": [embed],
            "allowed_mentions": {"parse": [], "roles": roles},
        });
        if !roles.is_empty() {
            let called: String = roles.iter().map(|id| format!("<@&{id}>")).collect();
            message["content"] = json!(called);
        }
        for (key, value) in [
            ("username", &self.username),
            ("avatar_url", &self.avatar_url),
        ] {
            // Where its template gives nothing, it is told under the webhook's own.
            if let Some(Ok(value)) = value.as_ref().map(|value| value.of(batch, &self.context)) {
                message[key] = json!(value);
            }
        }
        message
    }
}

/// A backslash before every mark of Discord's Markdown; in a URL, which Discord makes a link of, it
/// would be a part of it.
fn escape(plain: &str) -> String {
    brief::outside_urls(plain, |text| brief::backslashed(text, "\\*_~`|<>[]()#@"))
}

/// Markdown as Discord has it.
struct Markdown;

impl Markup for Markdown {
    fn text(&self, plain: &str) -> String {
        escape(plain)
    }

    fn bold(&self, plain: &str) -> String {
        format!("**{}**", escape(plain))
    }

    fn code(&self, plain: &str) -> String {
        format!("`{}`", plain.replace('`', "'"))
    }

    fn link(&self, url: &str, plain: &str) -> String {
        format!("[{}]({url})", escape(plain))
    }

    fn time(&self, at: UnixMillis) -> String {
        format!("<t:{}:f>", at.0.div_euclid(1000))
    }
}

#[cfg(test)]
mod tests;
