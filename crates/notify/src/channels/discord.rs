//! Channel that posts to Discord by a webhook.
//!
//! A message is one embed in the color of the severity. Limits are those of
//! <https://discord.com/developers/docs/resources/message#embed-object-embed-limits> (title 256,
//! description 4,096, all embeds together 6,000 characters). Mentions are those of
//! <https://discord.com/developers/docs/resources/message#allowed-mentions-object>. The body of a
//! 429 has the delay in fractions of a second:
//! <https://discord.com/developers/docs/topics/rate-limits#exceeding-a-rate-limit>. With `wait` a
//! response confirms that the message is stored, without it only that it was received:
//! <https://discord.com/developers/docs/resources/webhook#execute-webhook>.

use std::path::PathBuf;
use std::time::Duration;

use bellwether_core::{Notification, Status, UnixMillis};
use bellwether_http::ClientSettings;
use bellwether_schema::{Constraint, Diagnostics, Literal, Secret, SourceLocation, Spanned};
use serde::Deserialize;
use serde_json::{Value, json};

use super::http::{Endpoint, RequestError, check_url, secret_url};
use super::message::{self, Color, Markup, width};
use super::templates::{
    MessageTemplates, RenderedTexts, TemplatedValue, cut, is_blank, is_template,
};
use super::{Attempt, Batch, Bulletin, Channel, Context, DeliveryError, SettingsError, same_group};
use crate::wire::rfc3339;

bellwether_schema::section! {
    /// Channel of type `discord`: posts a message per group to the channel of a webhook, colored by
    /// severity. Labels and messages cannot mention anybody; see `mention_roles`.
    #[constraints = [
        Constraint::AnyOf(&["url", "url_file"]),
        Constraint::AtMostOne(&["url", "url_file"]),
    ]]
    pub struct DiscordChannel {
        /// URL of the webhook. Never shown.
        pub url: Option<Spanned<Secret>>,
        /// File that holds the URL.
        pub url_file: Option<PathBuf>,
        /// Id of the thread to post to.
        pub thread_id: Option<Spanned<String>>,
        /// Ids of the roles that are mentioned when an alert fires.
        pub mention_roles: Vec<Spanned<String>> = Vec::new(),
        /// User name; may be a template.
        pub username: Option<Spanned<String>>,
        /// URL of the avatar; may be a template.
        pub avatar_url: Option<Spanned<String>>,
        /// Title: a minijinja template over the fields of Alertmanager's webhook document. Plain
        /// text.
        pub title: Option<Spanned<Literal>>,
        /// Text, as a template. The template itself is Discord's Markdown; values are escaped
        /// unless they are marked `safe`.
        pub text: Option<Spanned<Literal>>,
        #[serde(flatten)]
        pub http: ClientSettings,
    }
}

const TITLE: usize = 256;
const DESCRIPTION: usize = 4096;
/// Maximum number of roles of one `allowed_mentions`.
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
            TemplatedValue::check(key, &key.at, problems);
        }
        self.check_username(problems);
        self.http.check(at, problems);
        MessageTemplates::check(self.title.as_ref(), self.text.as_ref(), problems);
    }

    fn check_username(&self, problems: &mut Diagnostics) {
        let Some(name) = self
            .username
            .as_ref()
            .filter(|name| !is_blank(name) && !is_template(name))
        else {
            return;
        };
        let lower = name.to_lowercase();
        let is_reserved = ["discord", "clyde"].iter().any(|word| lower.contains(word));
        if is_reserved || !(1..=80).contains(&width(name)) {
            problems
                .error(
                    &name.at,
                    format!("not a user name that Discord accepts: {:?}", name.value),
                )
                .hint("1 to 80 characters, without \"discord\" and \"clyde\"");
        }
    }

    pub(super) fn build(&self, context: Context) -> Result<Box<dyn Channel>, SettingsError> {
        let mut url = secret_url(self.url.as_ref(), self.url_file.as_ref())?;
        url.query_pairs_mut().append_pair("wait", "true");
        if let Some(thread) = &self.thread_id {
            url.query_pairs_mut().append_pair("thread_id", thread);
        }
        let endpoint = Endpoint::open(url, self.http.clone(), context.clock.clone())?;
        let texts = MessageTemplates::new(self.title.as_ref(), self.text.as_ref(), escape)?;
        let username = TemplatedValue::configured("username", self.username.as_ref())?;
        let avatar_url = TemplatedValue::configured("avatar_url", self.avatar_url.as_ref())?;
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
    texts: MessageTemplates,
    username: Option<TemplatedValue>,
    avatar_url: Option<TemplatedValue>,
}

impl Channel for Discord {
    fn deliver<'a>(&'a self, batch: &'a Batch) -> Attempt<'a> {
        Box::pin(async move {
            let message = self.message(batch).to_string();
            self.endpoint.post(message).await.map_err(delivery_error)?;
            Ok(())
        })
    }

    fn publish<'a>(&'a self, bulletin: &'a Bulletin) -> Attempt<'a> {
        Box::pin(async move {
            let message = self.bulletin_message(bulletin).to_string();
            self.endpoint.post(message).await.map_err(delivery_error)?;
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

/// Body of a 429.
#[derive(Deserialize)]
struct RateLimited {
    retry_after: f64,
}

fn delivery_error(failed: RequestError) -> DeliveryError {
    let limit = serde_json::from_str::<RateLimited>(&failed.body).ok();
    let delay = limit.and_then(|limit| Duration::try_from_secs_f64(limit.retry_after).ok());
    failed.error.with_delay(delay)
}

impl Discord {
    fn message(&self, batch: &Batch) -> Value {
        let sender = &self.context.sender;
        let RenderedTexts {
            title,
            text,
            errors,
        } = self.texts.render(batch, &self.context);
        let title = title.unwrap_or_else(|| message::title(batch));
        let errors = errors
            .iter()
            .map(|reason| format!("\n\n{}", escape(reason)));
        let errors: String = errors.collect();
        let room = DESCRIPTION - width(&errors);
        let text = match text {
            Some(text) => cut(&text, room, |_| String::new()),
            None => {
                let render = message::paragraphs(batch, sender, &Markdown, room, |text: &str| {
                    width(text) + 2
                });
                render.join("\n\n")
            }
        };
        let text = text + &errors;
        let sent_at = batch
            .notifications
            .iter()
            .map(|notification| notification.at)
            .max()
            .unwrap_or_default();
        let embed = self.embed(&title, &text, message::color(batch), sent_at);
        self.with_mentions(batch, embed)
    }

    fn bulletin_message(&self, bulletin: &Bulletin) -> Value {
        let text = cut(&escape(&bulletin.text), DESCRIPTION, |_| String::new());
        let embed = self.embed(&bulletin.title, &text, Color::Neutral, bulletin.at);
        self.with_mentions(&Batch::empty(), embed)
    }

    fn embed(&self, title: &str, text: &str, color: Color, at: UnixMillis) -> Value {
        let mut embed = json!({
            // A title knows marks too.
            "title": cut(&escape(title), TITLE, |_| String::new()),
            "description": text,
            "color": color.rgb(),
            "timestamp": rfc3339(at),
        });
        if let Some(url) = message::web_link(&self.context.sender.url) {
            embed["url"] = json!(url);
        }
        embed
    }

    /// Returns the message with the embed, mentions, user name and avatar.
    fn with_mentions(&self, batch: &Batch, embed: Value) -> Value {
        let settings = &self.settings;
        let fires = batch
            .notifications
            .iter()
            .any(|notification| notification.status == Status::Firing);
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
            let mentions: String = roles.iter().map(|id| format!("<@&{id}>")).collect();
            message["content"] = json!(mentions);
        }
        for (key, value) in [
            ("username", &self.username),
            ("avatar_url", &self.avatar_url),
        ] {
            // If the template has no output, the webhook's own value applies.
            if let Some(Ok(value)) = value.as_ref().map(|value| value.of(batch, &self.context)) {
                message[key] = json!(value);
            }
        }
        message
    }
}

/// Escapes Discord's Markdown with backslashes, except in URLs, of which a backslash would be a
/// part.
fn escape(plain: &str) -> String {
    message::outside_urls(plain, |text| message::backslashed(text, "\\*_~`|<>[]()#@"))
}

/// Discord's Markdown.
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
