//! Channel that sends to Telegram as a bot.
//!
//! Text is HTML of <https://core.telegram.org/bots/api#html-style>, at most 4,096 characters "after
//! entities parsing" (<https://core.telegram.org/bots/api#sendmessage>); ours are counted before
//! it. An error is `"ok": false` with a description and, for a 429, `retry_after`:
//! <https://core.telegram.org/bots/api#responseparameters>. The token is a part of the URL.

use std::path::PathBuf;
use std::time::Duration;

use bellwether_core::{Notification, Severity};
use bellwether_http::ClientSettings;
use bellwether_schema::{Constraint, Diagnostics, Literal, Secret, SourceLocation, Spanned};
use reqwest::Url;
use serde::Deserialize;
use serde_json::{Value, json};

use super::http::{Endpoint, RequestError, check_api_url, check_literal, check_secret, secret};
use super::message::{self, Color, Markup, shorten, width};
use super::templates::{MessageTemplates, RenderedTexts, cut};
use super::{Attempt, Batch, Bulletin, Channel, Context, DeliveryError, SettingsError, same_group};

bellwether_schema::section! {
    /// Channel of type `telegram`: sends a message per group to a chat, as a bot.
    #[constraints = [
        Constraint::AnyOf(&["token", "token_file"]),
        Constraint::AtMostOne(&["token", "token_file"]),
    ]]
    pub struct TelegramChannel {
        /// Token of the bot, from @BotFather. Never shown.
        pub token: Option<Spanned<Secret>>,
        /// File that holds the token.
        pub token_file: Option<PathBuf>,
        /// Chat: its number (negative for a group), or `@name` of a public one.
        pub chat_id: Spanned<String>,
        /// Topic of a forum to send to.
        pub message_thread_id: Option<u32>,
        /// If true, messages make no sound.
        pub disable_notification: bool = false,
        /// URL of the Bot API.
        pub api_url: Spanned<String> = Spanned::nowhere("https://api.telegram.org".to_owned()),
        /// Title: a minijinja template over the fields of Alertmanager's webhook document. Plain
        /// text.
        pub title: Option<Spanned<Literal>>,
        /// Text, as a template. The template itself is Telegram's HTML; values are escaped unless
        /// they are marked `safe`.
        pub text: Option<Spanned<Literal>>,
        #[serde(flatten)]
        pub http: ClientSettings,
    }
}

const SERVICE: &str = "Telegram";
const MESSAGE: usize = 4096;
const TITLE: usize = 300;

impl TelegramChannel {
    pub(super) fn check(&self, at: &SourceLocation, problems: &mut Diagnostics) {
        check_secret(
            "token",
            self.token.as_ref(),
            self.token_file.as_ref(),
            at,
            problems,
        );
        check_literal(self.token.as_ref(), problems);
        let number = self.chat_id.parse::<i64>().is_ok();
        let dead_letters =
            |name: &str| name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        let name = self
            .chat_id
            .strip_prefix('@')
            .is_some_and(|n| !n.is_empty() && dead_letters(n));
        if !number && !name {
            problems
                .error(
                    &self.chat_id.at,
                    format!("not a chat: {:?}", self.chat_id.value),
                )
                .hint("a number such as -1001234567890, or \"@name\"");
        }
        check_api_url(&self.api_url, problems);
        self.http.check(at, problems);
        MessageTemplates::check(self.title.as_ref(), self.text.as_ref(), problems);
    }

    pub(super) fn build(&self, context: Context) -> Result<Box<dyn Channel>, SettingsError> {
        let token = secret("token", self.token.as_ref(), self.token_file.as_ref())?;
        let base = self.api_url.trim_end_matches('/');
        let url = Url::parse(&format!("{base}/bot{}/sendMessage", token.expose().trim()));
        // The error of a URL does not quote it.
        let url = url.map_err(|error| SettingsError::TokenUrl(error.to_string()))?;
        let endpoint =
            Endpoint::open(url, self.http.clone(), context.clock.clone())?.with_secret(&token);
        let texts = MessageTemplates::new(self.title.as_ref(), self.text.as_ref(), escape)?;
        Ok(Box::new(Telegram {
            settings: self.clone(),
            context,
            endpoint,
            texts,
        }))
    }
}

struct Telegram {
    settings: TelegramChannel,
    context: Context,
    endpoint: Endpoint,
    texts: MessageTemplates,
}

impl Channel for Telegram {
    fn deliver<'a>(&'a self, batch: &'a Batch) -> Attempt<'a> {
        Box::pin(async move {
            let (text, own) = self.text(batch);
            match self.endpoint.post(self.message(&text, true)).await {
                Ok(accepted) => self.endpoint.check_ok(accepted, SERVICE),
                // Markup of a template that Telegram does not understand must not cost the alert.
                Err(failed) if !own && failed.body.contains("can't parse entities") => {
                    let plain = self.message(&text, false);
                    let accepted = self.endpoint.post(plain).await.map_err(delivery_error)?;
                    self.endpoint.check_ok(accepted, SERVICE)
                }
                Err(failed) => Err(delivery_error(failed)),
            }
        })
    }

    fn publish<'a>(&'a self, bulletin: &'a Bulletin) -> Attempt<'a> {
        Box::pin(async move {
            let message = self.message(&self.bulletin_text(bulletin), true);
            let accepted = self.endpoint.post(message).await.map_err(delivery_error)?;
            self.endpoint.check_ok(accepted, SERVICE)
        })
    }

    fn max_batch(&self) -> usize {
        1000
    }

    fn joins(&self, first: &Notification, next: &Notification) -> bool {
        same_group(first, next)
    }
}

/// Body of an error of the Bot API.
#[derive(Deserialize)]
struct ErrorBody {
    #[serde(default)]
    parameters: Parameters,
}

#[derive(Default, Deserialize)]
struct Parameters {
    retry_after: Option<u64>,
    migrate_to_chat_id: Option<i64>,
}

fn delivery_error(failed: RequestError) -> DeliveryError {
    let Ok(ErrorBody { parameters }) = serde_json::from_str(&failed.body) else {
        return failed.error;
    };
    let mut error = failed
        .error
        .with_delay(parameters.retry_after.map(Duration::from_secs));
    if let Some(chat) = parameters.migrate_to_chat_id {
        error.message += &format!("; the group was migrated: set `chat_id` to {chat}");
    }
    error
}

impl Telegram {
    fn message(&self, text: &str, html: bool) -> String {
        let settings = &self.settings;
        let chat = settings.chat_id.parse::<i64>().map(Value::from);
        let mut message = json!({
            "chat_id": chat.unwrap_or_else(|_| json!(settings.chat_id.value)),
            "text": text,
            "link_preview_options": {"is_disabled": true},
        });
        if html {
            message["parse_mode"] = json!("HTML");
        }
        if settings.disable_notification {
            message["disable_notification"] = json!(true);
        }
        if let Some(thread) = settings.message_thread_id {
            message["message_thread_id"] = json!(thread);
        }
        message.to_string()
    }

    /// Title and text, and whether all of the markup is ours.
    fn text(&self, batch: &Batch) -> (String, bool) {
        let sender = &self.context.sender;
        let RenderedTexts {
            title,
            text,
            errors,
        } = self.texts.render(batch, &self.context);
        let title = title.unwrap_or_else(|| message::title(batch));
        let title = heading(message::color(batch), &title);
        let mut end: Vec<_> = errors.iter().map(|reason| escape(reason)).collect();
        end.extend(self.link());
        let end = end.join("\n");
        let room = room(&title, &end);
        let own = text.is_none();
        let body = match text {
            Some(text) => cut(&text, room, closing),
            None => message::paragraphs(batch, sender, &Html, room, |text: &str| width(text) + 2)
                .join("\n\n"),
        };
        (joined([title, body, end]), own)
    }

    fn bulletin_text(&self, bulletin: &Bulletin) -> String {
        let title = heading(Color::Neutral, &bulletin.title);
        let end = self.link().unwrap_or_default();
        let body = cut(&escape(&bulletin.text), room(&title, &end), closing);
        joined([title, body, end])
    }

    /// Returns the link to Bellwether's page.
    fn link(&self) -> Option<String> {
        let url = message::web_link(&self.context.sender.url)?;
        Some(Html.link(&url, "Bellwether"))
    }
}

fn heading(color: Color, title: &str) -> String {
    let title = escape(&shorten(title, TITLE));
    format!("{} <b>{title}</b>", mark(color))
}

/// Returns the limit of a text between `title` and `end`.
fn room(title: &str, end: &str) -> usize {
    MESSAGE.saturating_sub(width(title) + width(end) + 4)
}

/// Joins the parts that are not empty.
fn joined(parts: [String; 3]) -> String {
    let parts = parts.into_iter().filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join("\n\n")
}

/// Returns an emoji in place of the color, which Telegram lacks.
fn mark(color: Color) -> &'static str {
    match color {
        Color::Resolved => "🟢",
        Color::Neutral | Color::Firing(Severity::Info) => "🔵",
        Color::Firing(Severity::Warning) => "🟠",
        Color::Firing(Severity::Critical) => "🔴",
        Color::Firing(Severity::Emergency) => "🚨",
    }
}

fn escape(plain: &str) -> String {
    plain
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

/// Returns the end tags of the tags that are open at the end of `html`.
fn closing(html: &str) -> String {
    let mut open: Vec<&str> = Vec::new();
    for tag in html
        .split('<')
        .skip(1)
        .filter_map(|rest| rest.split('>').next())
    {
        match tag.strip_prefix('/') {
            Some(name) => {
                if let Some(at) = open.iter().rposition(|other| *other == name.trim()) {
                    open.remove(at);
                }
            }
            None => open.extend(tag.split_whitespace().next()),
        }
    }
    open.iter().rev().map(|name| format!("</{name}>")).collect()
}

/// The HTML that Telegram knows.
struct Html;

impl Markup for Html {
    fn text(&self, plain: &str) -> String {
        escape(plain)
    }

    fn bold(&self, plain: &str) -> String {
        format!("<b>{}</b>", escape(plain))
    }

    fn code(&self, plain: &str) -> String {
        format!("<code>{}</code>", escape(plain))
    }

    fn link(&self, url: &str, plain: &str) -> String {
        format!("<a href=\"{}\">{}</a>", escape(url), escape(plain))
    }
}

#[cfg(test)]
mod tests;
