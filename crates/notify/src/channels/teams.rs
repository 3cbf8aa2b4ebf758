//! Channel that posts to Microsoft Teams by the webhook of a workflow.
//!
//! A message is one Adaptive Card:
//! <https://learn.microsoft.com/en-us/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using>.
//! Its limit is some 28 KB (<https://learn.microsoft.com/en-us/connectors/teams/>, "Message size
//! limit"). A workflow responds with 202; old connectors respond with 200 and an error in the body,
//! <https://learn.microsoft.com/en-us/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using#rate-limiting-for-connectors>.

use std::path::PathBuf;

use bellwether_core::{Notification, Severity};
use bellwether_http::ClientSettings;
use bellwether_schema::{
    Constraint, Diagnostics, HumanDuration, Literal, Secret, SourceLocation, Spanned,
};
use serde_json::{Value, json};

use super::http::{Endpoint, check_url, secret_url};
use super::message::{self, Color, Markup, shorten};
use super::templates::{MessageTemplates, RenderedTexts, cut};
use super::{Attempt, Batch, Bulletin, Channel, Context, DeliveryError, SettingsError, same_group};

bellwether_schema::section! {
    /// Channel of type `teams`: posts a card per group by the webhook of a workflow of Microsoft
    /// Teams ("Post to a channel when a webhook request is received").
    #[constraints = [
        Constraint::AnyOf(&["url", "url_file"]),
        Constraint::AtMostOne(&["url", "url_file"]),
    ]]
    pub struct TeamsChannel {
        /// URL of the workflow. Never shown.
        pub url: Option<Spanned<Secret>>,
        /// File that holds the URL.
        pub url_file: Option<PathBuf>,
        /// Title: a minijinja template over the fields of Alertmanager's webhook document. Plain
        /// text.
        pub title: Option<Spanned<Literal>>,
        /// Text, as a template. The template itself is the Markdown of Adaptive Cards; values are
        /// escaped unless they are marked `safe`.
        pub text: Option<Spanned<Literal>>,
        #[serde(flatten)]
        pub http: ClientSettings = ClientSettings::with_timeout(HumanDuration::secs(20)),
    }
}

/// Limit of the texts as JSON, in bytes; the rest of 28 KB is for the card.
const TEXTS: usize = 22_000;
const TITLE: usize = 300;

impl TeamsChannel {
    pub(super) fn check(&self, at: &SourceLocation, problems: &mut Diagnostics) {
        check_url(self.url.as_ref(), self.url_file.as_ref(), at, problems);
        self.http.check(at, problems);
        MessageTemplates::check(self.title.as_ref(), self.text.as_ref(), problems);
    }

    pub(super) fn build(&self, context: Context) -> Result<Box<dyn Channel>, SettingsError> {
        let url = secret_url(self.url.as_ref(), self.url_file.as_ref())?;
        let endpoint = Endpoint::open(url, self.http.clone(), context.clock.clone())?;
        let texts = MessageTemplates::new(self.title.as_ref(), self.text.as_ref(), escape)?;
        Ok(Box::new(Teams {
            context,
            endpoint,
            texts,
        }))
    }
}

struct Teams {
    context: Context,
    endpoint: Endpoint,
    texts: MessageTemplates,
}

impl Channel for Teams {
    fn deliver<'a>(&'a self, batch: &'a Batch) -> Attempt<'a> {
        Box::pin(async move {
            let message = self.message(batch);
            self.post(&message).await
        })
    }

    fn publish<'a>(&'a self, bulletin: &'a Bulletin) -> Attempt<'a> {
        Box::pin(async move {
            let message = self.bulletin_message(bulletin);
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

/// Returns whether the error is retryable that a 2xx has in its body: `Webhook message delivery
/// failed with error: ... returned HTTP error 429 with ...`.
fn hidden_error(body: &str) -> Option<bool> {
    let status = body
        .split_once("HTTP error ")
        .and_then(|(_, after)| after.get(..3)?.parse().ok());
    let failed = body.contains("delivery failed");
    status
        .map(|status| status >= 500 || matches!(status, 408 | 412 | 429))
        .or(failed.then_some(true))
}

impl Teams {
    async fn post(&self, message: &Value) -> Result<(), DeliveryError> {
        let body = self.endpoint.post(message.to_string()).await?.body?;
        match hidden_error(&body) {
            None => Ok(()),
            Some(retryable) => Err(self
                .endpoint
                .rejection(retryable, &message::one_line(&body, 200))),
        }
    }

    fn bulletin_message(&self, bulletin: &Bulletin) -> Value {
        let title = escape(&shorten(&bulletin.title, TITLE));
        let text = cut(&escape(&bulletin.text), TEXTS / 6, |_| String::new());
        let page = &self.context.sender.url;
        attached(card(&Batch::empty(), &title, &[text], page))
    }

    fn message(&self, batch: &Batch) -> Value {
        let sender = &self.context.sender;
        let RenderedTexts {
            title,
            text,
            errors,
        } = self.texts.render(batch, &self.context);
        let title = title.unwrap_or_else(|| message::title(batch));
        let title = escape(&shorten(&title, TITLE));
        let mut texts = match text {
            // As JSON a character has six bytes at most.
            Some(text) => vec![cut(&text, TEXTS / 6, |_| String::new())],
            None => message::paragraphs(batch, sender, &CardText, TEXTS, |text| {
                json_bytes(text) + 90
            }),
        };
        texts.extend(errors.iter().map(|reason| escape(reason)));
        attached(card(batch, &title, &texts, &sender.url))
    }
}

/// Returns the message with `card`.
fn attached(card: Value) -> Value {
    json!({
        "type": "message",
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "contentUrl": null,
            "content": card,
        }],
    })
}

/// Returns the card with a block per text, and buttons that lead to Bellwether at `page` and further.
fn card(batch: &Batch, title: &str, texts: &[String], page: &str) -> Value {
    let heading = json!({
        "type": "Container",
        "style": style(message::color(batch)),
        "bleed": true,
        "items": [{
            "type": "TextBlock", "text": title, "wrap": true, "size": "Large", "weight": "Bolder",
        }],
    });
    let blocks = texts.iter().map(|text| {
        // A line of its own is a paragraph in Markdown.
        let text = text.replace('\n', "\n\n");
        json!({"type": "TextBlock", "text": text, "wrap": true, "separator": true})
    });
    let mut card = json!({
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "fallbackText": title,
        "body": std::iter::once(heading).chain(blocks).collect::<Vec<_>>(),
        "msteams": {"width": "Full"},
    });
    let actions = actions(batch, page);
    if !actions.is_empty() {
        card["actions"] = Value::Array(actions);
    }
    card
}

/// Returns the buttons: Bellwether's page, and the links of a single alert.
fn actions(batch: &Batch, page: &str) -> Vec<Value> {
    let page = message::web_link(page).map(|url| ("Bellwether".to_owned(), url));
    let alone = (batch.notifications.len() == 1)
        .then(|| message::links(&batch.notifications[0].alert).take(4));
    let all = page.into_iter().chain(alone.into_iter().flatten());
    all.map(|(title, url)| json!({"type": "Action.OpenUrl", "title": title, "url": url}))
        .collect()
}

fn json_bytes(text: &str) -> usize {
    // A line's end is written as two.
    json!(text.replace('\n', "\n\n")).to_string().len()
}

fn style(color: Color) -> &'static str {
    match color {
        Color::Resolved => "good",
        Color::Neutral | Color::Firing(Severity::Info) => "accent",
        Color::Firing(Severity::Warning) => "warning",
        Color::Firing(Severity::Critical | Severity::Emergency) => "attention",
    }
}

/// Escapes Markdown with backslashes, except in URLs, and breaks functions of cards such as
/// `{{DATE(`.
fn escape(plain: &str) -> String {
    message::outside_urls(plain, |text: &str| {
        message::backslashed(text, "\\*_~`|[]()#<>")
    })
    .replace("{{", "{\u{200b}{")
}

/// The Markdown of Adaptive Cards,
/// <https://learn.microsoft.com/en-us/adaptive-cards/authoring-cards/text-features>.
struct CardText;

impl Markup for CardText {
    fn text(&self, plain: &str) -> String {
        escape(plain)
    }

    fn bold(&self, plain: &str) -> String {
        format!("**{}**", escape(plain))
    }

    fn code(&self, plain: &str) -> String {
        escape(plain)
    }

    fn link(&self, url: &str, plain: &str) -> String {
        format!("[{}]({url})", escape(plain))
    }
}

#[cfg(test)]
mod tests;
