//! Channel that posts to Slack: by an incoming webhook, or as a bot by `chat.postMessage`.
//!
//! A message is its title and one attachment in the color of the severity with a block for each
//! alert. Limits and errors are those of <https://api.slack.com/reference/block-kit/blocks> (a
//! section 3,000 characters, 50 blocks), <https://api.slack.com/methods/chat.postMessage> (200 with
//! `"ok": false`), <https://api.slack.com/docs/rate-limits> (429 with `Retry-After`) and
//! <https://api.slack.com/changelog/2016-05-17-changes-to-errors-for-incoming-webhooks>. The limit
//! of some 13,000 characters for all blocks together is only known from
//! <https://github.com/slackapi/bolt-js/issues/2509>.

use std::path::PathBuf;

use bellwether_core::{Notification, UnixMillis};
use bellwether_http::{Access, Authorization, ClientSettings, parse_url, read_secret};
use bellwether_schema::{Constraint, Diagnostics, Literal, Secret, SourceLocation, Spanned};
use reqwest::Url;
use serde::Deserialize;
use serde_json::{Value, json};

use super::http::{
    Endpoint, RequestError, api_url, check_api_url, check_literal, check_secret, check_url, secret,
};
use super::message::{self, Color, Markup, shorten, width};
use super::templates::{MessageTemplates, RenderedTexts, TemplatedValue, cut};
use super::{Attempt, Batch, Bulletin, Channel, Context, DeliveryError, SettingsError, same_group};

bellwether_schema::section! {
    /// Channel of type `slack`: posts a message per group, colored by severity. Needs either `url`
    /// of an incoming webhook, or `token` of a bot with the scope `chat:write` and the `channel`
    /// that it posts to.
    #[constraints = [
        Constraint::AnyOf(&["url", "url_file", "token", "token_file"]),
        Constraint::AtMostOne(&["url", "url_file", "token", "token_file"]),
        Constraint::Needs("token", &["channel"]),
        Constraint::Needs("token_file", &["channel"]),
        Constraint::Needs("channel", &["token", "token_file"]),
    ]]
    pub struct SlackChannel {
        /// URL of an incoming webhook. Never shown.
        pub url: Option<Spanned<Secret>>,
        /// File that holds the URL.
        pub url_file: Option<PathBuf>,
        /// Token of a bot: `xoxb-...`. Never shown.
        pub token: Option<Spanned<Secret>>,
        /// File that holds the token; read again for each request.
        pub token_file: Option<PathBuf>,
        /// Channel that the bot posts to: its id, or `#name`; may be a template, such as `#{{
        /// commonLabels.team }}`.
        pub channel: Option<Spanned<String>>,
        /// URL of Slack's methods, for a bot.
        pub api_url: Spanned<String> = Spanned::nowhere("https://slack.com/api".to_owned()),
        /// User name, if Slack allows it; may be a template.
        pub username: Option<Spanned<String>>,
        /// Emoji as icon: `:rotating_light:`; may be a template.
        pub icon_emoji: Option<Spanned<String>>,
        /// Title: a minijinja template over the fields of Alertmanager's webhook document. Plain
        /// text.
        pub title: Option<Spanned<Literal>>,
        /// Text, as a template. The template itself is Slack's mrkdwn, so it may mention users
        /// (`<!here>`); values are escaped unless they are marked `safe`.
        pub text: Option<Spanned<Literal>>,
        #[serde(flatten)]
        pub http: ClientSettings,
    }
}

/// Limit of a section, less a reserve.
const SECTION: usize = 2900;
/// Limit of all blocks together.
const BLOCKS: usize = 11_000;
/// Limit of the title, before it is escaped; Slack recommends 4,000 for `text`.
const TITLE: usize = 400;

impl SlackChannel {
    pub(super) fn check(&self, at: &SourceLocation, problems: &mut Diagnostics) {
        let has_url = self.url.is_some() || self.url_file.is_some();
        match (has_url, self.is_bot()) {
            (true, true) => {
                problems.error(at, "both `url` and `token`").hint(
                    "`url` of an incoming webhook, or `token` and `channel` of a bot: keep one",
                );
            }
            (false, true) => self.check_bot(at, problems),
            (false, false) if self.channel.is_some() => {
                problems
                    .error(at, "missing key \"token\"")
                    .hint("or `token_file` of the bot that posts to the channel");
            }
            _ => self.check_webhook(at, problems),
        }
        let templates = [&self.channel, &self.username, &self.icon_emoji];
        for key in templates.into_iter().flatten() {
            TemplatedValue::check(key, &key.at, problems);
        }
        check_literal(self.token.as_ref(), problems);
        self.http.check(at, problems);
        MessageTemplates::check(self.title.as_ref(), self.text.as_ref(), problems);
    }

    fn is_bot(&self) -> bool {
        self.token.is_some() || self.token_file.is_some()
    }

    fn check_bot(&self, at: &SourceLocation, problems: &mut Diagnostics) {
        let (token, file) = (self.token.as_ref(), self.token_file.as_ref());
        check_secret("token", token, file, at, problems);
        if self.channel.is_none() {
            problems
                .error(at, "missing key \"channel\"")
                .hint("a bot posts to a channel: its id, or \"#name\"");
        }
        check_api_url(&self.api_url, problems);
    }

    fn check_webhook(&self, at: &SourceLocation, problems: &mut Diagnostics) {
        check_url(self.url.as_ref(), self.url_file.as_ref(), at, problems);
        if let Some(at) = self.method_at(at) {
            problems
                .error(&at, SettingsError::MethodOfBots.to_string())
                .hint("`token` (or `token_file`) and `channel` of the bot, without `url`");
        }
        if let Some(channel) = &self.channel {
            problems
                .error(
                    &channel.at,
                    "an incoming webhook always posts to its own channel",
                )
                .hint("leave it out, or use `token` of a bot");
        }
    }

    /// Returns the location of a URL that is a bot's method. A file that cannot be read here, such
    /// as another user's, is checked when the channel is built.
    fn method_at(&self, at: &SourceLocation) -> Option<SourceLocation> {
        match (&self.url, &self.url_file) {
            (Some(url), _) => is_method(url.expose()).then(|| url.at.clone()),
            (None, Some(path)) => {
                let url = read_secret(path).ok()?;
                is_method(url.expose()).then(|| at.key("url_file"))
            }
            (None, None) => None,
        }
    }

    fn access(&self) -> Access {
        Access {
            authorization: Authorization {
                bearer_token: self.token.as_ref().map(|token| token.value.clone()),
                bearer_token_file: self.token_file.clone(),
                ..Authorization::default()
            },
            client: self.http.clone(),
        }
    }

    pub(super) fn build(&self, context: Context) -> Result<Box<dyn Channel>, SettingsError> {
        let endpoint = Endpoint::open(self.target()?, self.access(), context.clock.clone())?;
        let keys = [
            ("channel", self.channel.as_ref()),
            ("username", self.username.as_ref()),
            ("icon_emoji", self.icon_emoji.as_ref()),
        ];
        let keys = keys
            .into_iter()
            .filter_map(|(name, key)| TemplatedValue::configured(name, key).transpose());
        Ok(Box::new(Slack {
            bot: self.is_bot(),
            context,
            endpoint,
            texts: MessageTemplates::new(self.title.as_ref(), self.text.as_ref(), escape)?,
            keys: keys.collect::<Result<_, _>>()?,
        }))
    }

    /// Returns the URL that messages are posted to.
    fn target(&self) -> Result<Url, SettingsError> {
        if self.is_bot() {
            return api_url(&self.api_url, "chat.postMessage");
        }
        let url = secret("url", self.url.as_ref(), self.url_file.as_ref())?;
        if is_method(url.expose()) {
            return Err(SettingsError::MethodOfBots);
        }
        Ok(parse_url(&url)?)
    }
}

/// Returns true if `url` is the URL of the method, and not of an incoming webhook.
fn is_method(url: &str) -> bool {
    url.trim()
        .trim_end_matches('/')
        .ends_with("/chat.postMessage")
}

struct Slack {
    bot: bool,
    context: Context,
    endpoint: Endpoint,
    texts: MessageTemplates,
    /// Channel, user name and icon.
    keys: Vec<TemplatedValue>,
}

impl Channel for Slack {
    fn deliver<'a>(&'a self, batch: &'a Batch) -> Attempt<'a> {
        Box::pin(async move {
            let message = self.message(batch)?;
            self.post(&message).await
        })
    }

    fn publish<'a>(&'a self, bulletin: &'a Bulletin) -> Attempt<'a> {
        Box::pin(async move {
            let message = self.bulletin_message(bulletin)?;
            self.post(&message).await
        })
    }

    fn max_batch(&self) -> usize {
        1000
    }

    fn joins(&self, first: &Notification, next: &Notification) -> bool {
        same_group(first, next)
    }
}

/// Body of a method's error.
#[derive(Deserialize)]
struct ErrorBody {
    error: String,
}

/// Returns true if an error of Slack is retryable.
fn is_retryable(error: &str) -> bool {
    const PASSING: [&str; 8] = [
        "ratelimited",
        "rate_limited",
        "internal_error",
        "fatal_error",
        "service_unavailable",
        "request_timeout",
        "team_added_to_org",
        "rollup_error",
    ];
    PASSING.contains(&error)
}

/// Converts an error: the body of a webhook is its code, whatever the status; a method has it in
/// `error`.
fn delivery_error(failed: RequestError) -> DeliveryError {
    let error = serde_json::from_str::<ErrorBody>(&failed.body).map(|body| body.error);
    let is_retryable = is_retryable(error.as_deref().unwrap_or(&failed.body).trim());
    DeliveryError {
        retryable: failed.error.retryable || is_retryable,
        ..failed.error
    }
}

impl Slack {
    async fn post(&self, message: &Value) -> Result<(), DeliveryError> {
        let posted = self.endpoint.post(message.to_string()).await;
        let accepted = posted.map_err(delivery_error)?;
        match self.bot {
            true => self.endpoint.check_ok(accepted, "Slack"),
            false => Ok(()),
        }
    }

    fn bulletin_message(&self, bulletin: &Bulletin) -> Result<Value, DeliveryError> {
        let title = escape(&shorten(&bulletin.title, TITLE));
        let text = cut(&escape(&bulletin.text), SECTION, |_| String::new());
        let message = self.colored(Color::Neutral, &title, &[text]);
        self.with_keys(&Batch::empty(), message)
    }

    fn message(&self, batch: &Batch) -> Result<Value, DeliveryError> {
        let sender = &self.context.sender;
        let RenderedTexts {
            title,
            text,
            errors,
        } = self.texts.render(batch, &self.context);
        let title = title.unwrap_or_else(|| message::title(batch));
        let title = escape(&shorten(&title, TITLE));
        let mut texts = match text {
            Some(text) => vec![cut(&text, SECTION, |_| String::new())],
            None => message::paragraphs(batch, sender, &Mrkdwn, BLOCKS, |text| match width(text) {
                width if width > SECTION => usize::MAX / 4,
                // Fifty blocks at most, however short they are.
                width => width.max(BLOCKS / 40),
            }),
        };
        texts.extend(errors.iter().map(|reason| escape(reason)));
        let message = self.colored(message::color(batch), &title, &texts);
        self.with_keys(batch, message)
    }

    fn colored(&self, color: Color, title: &str, texts: &[String]) -> Value {
        let rgb = format!("#{:06x}", color.rgb());
        let blocks = blocks(texts, &self.context.sender.url);
        json!({
            "text": title,
            "attachments": [{"color": rgb, "fallback": title, "blocks": blocks}],
            "unfurl_links": false,
            "unfurl_media": false,
        })
    }

    /// Adds channel, user name and icon to a message.
    fn with_keys(&self, batch: &Batch, mut message: Value) -> Result<Value, DeliveryError> {
        for key in &self.keys {
            match key.of(batch, &self.context) {
                Ok(value) => message[key.name()] = json!(value),
                Err(error) if key.name() == "channel" => return Err(error),
                // A message under the default name is better than none.
                Err(_) => {}
            }
        }
        Ok(message)
    }
}

/// Returns a section per text, and a link to Bellwether at `page`.
fn blocks(texts: &[String], page: &str) -> Vec<Value> {
    let mut blocks: Vec<Value> = texts.iter().map(|text| json!({"type": "section", "text": {"type": "mrkdwn", "text": text, "verbatim": true}})).collect();
    if let Some(url) = message::web_link(page) {
        let link = Mrkdwn.link(&url, "Bellwether");
        blocks.push(json!({"type": "context", "elements": [{"type": "mrkdwn", "text": link}]}));
    }
    blocks
}

/// <https://api.slack.com/reference/surfaces/formatting#escaping>: three characters make a mention,
/// a link or an entity. Of the marks that make bold, italic, struck or code none can be escaped, so
/// characters that look like them stand in their place; an underscore within a word is no mark. At
/// the beginning of a line `>` makes a quotation, even as an entity. A name between colons
/// (`:fire:`) makes an emoji.
fn escape(plain: &str) -> String {
    let mut text = String::with_capacity(plain.len());
    let (mut before, mut begun) = (None, false);
    let mut chars = plain.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            '*' => text.push('∗'),
            '`' => text.push('ˋ'),
            '~' => text.push('∼'),
            '_' if !is_word(before) || !is_word(chars.peek().map(|(_, c)| *c)) => text.push('ˍ'),
            '>' if !begun => text.push('›'),
            ':' if is_emoji(before, &plain[at..]) => text.push('꞉'),
            c => text += &entity(c),
        }
        begun = c != '\n' && (begun || !c.is_whitespace());
        before = Some(c);
    }
    text
}

/// Returns true if `text` begins with a possible name of an emoji: `:+1:`, `:flag-at:`. The minutes
/// of a time are none.
fn is_emoji(before: Option<char>, text: &str) -> bool {
    let inside = text[1..].split_once(':').map_or("", |(inside, _)| inside);
    let timed =
        before.is_some_and(|c| c.is_ascii_digit()) && inside.chars().all(|c| c.is_ascii_digit());
    !inside.is_empty()
        && inside
            .chars()
            .all(|c| c.is_alphanumeric() || "_+-'".contains(c))
        && !timed
}

fn entity(c: char) -> String {
    match c {
        '&' => "&amp;".into(),
        '<' => "&lt;".into(),
        '>' => "&gt;".into(),
        c => c.into(),
    }
}

/// Escapes the URL of a link.
fn entities(plain: &str) -> String {
    plain.chars().map(entity).collect()
}

/// Slack's own markup.
struct Mrkdwn;

impl Markup for Mrkdwn {
    fn text(&self, plain: &str) -> String {
        escape(plain)
    }

    fn bold(&self, plain: &str) -> String {
        format!("*{}*", escape(plain))
    }

    fn code(&self, plain: &str) -> String {
        format!("`{}`", escape(plain))
    }

    fn link(&self, url: &str, plain: &str) -> String {
        format!("<{}|{}>", entities(url), escape(&plain.replace('|', "/")))
    }

    fn time(&self, at: UnixMillis) -> String {
        let seconds = at.0.div_euclid(1000);
        format!(
            "<!date^{seconds}^{{date_short_pretty}} {{time_secs}}|{}>",
            message::utc(at)
        )
    }
}

fn is_word(c: Option<char>) -> bool {
    c.is_some_and(char::is_alphanumeric)
}

#[cfg(test)]
mod tests;
