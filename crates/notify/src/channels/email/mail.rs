//! A batch, or a bulletin, as a mail. Pure.
//!
//! Names and values that come from labels reach a header only on one line, and HTML only escaped.
//! RFC 5322 (form, threads by `References`), RFC 3834 (`Auto-Submitted`), RFC 2076 (`Precedence`).

use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bellwether_core::{Severity, UnixMillis};
use bellwether_schema::{Literal, Spanned};
use lettre::Message;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Attachment, Mailbox, MessageBuilder, MultiPart, SinglePart};
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, Value, context};
use ring::digest::{SHA256, digest};

use super::super::message::{self, Color, Markup, Plain, one_line};
use super::super::templates::{
    RenderError, TemplateError, TemplatedValue, checked_output, is_blank,
};
use super::super::{Batch, Bulletin, Context};
use crate::wire::Webhook;

pub(super) const SUBJECT: &str = "subject";
pub(super) const TEXT: &str = "text";
pub(super) const HTML: &str = "html";

/// Longest subject, in characters.
const LONGEST_SUBJECT: usize = 200;
/// Longest text, and longest HTML, in bytes; servers accept ten times that.
const LONGEST_BODY: usize = 1 << 20;

/// Compiled templates of subject, text and HTML.
pub(super) struct Templates {
    environment: Environment<'static>,
    text_only: bool,
}

impl Templates {
    /// Compiles the templates.
    ///
    /// # Errors
    /// The error of the first invalid template.
    pub(super) fn new(
        configured: &[(&'static str, &Spanned<Literal>)],
    ) -> Result<Self, TemplateError> {
        let mut environment = bellwether_template::environment();
        environment.set_auto_escape_callback(|name| match name {
            HTML => AutoEscape::Html,
            _ => AutoEscape::None,
        });
        for (name, template) in configured
            .iter()
            .filter(|(_, template)| !is_blank(template))
        {
            bellwether_template::compile(&mut environment, *name, template.value.to_string())?;
        }
        let text_only = configured
            .iter()
            .any(|(name, text)| *name == HTML && text.trim().is_empty());
        Ok(Self {
            environment,
            text_only,
        })
    }
}

/// Input of the header of a mail.
struct Head<'a> {
    subject: &'a str,
    /// Receiver and group, or nothing and the topic of a bulletin.
    thread: [&'a str; 2],
    /// Ids of the content: the same for each attempt, so that duplicates can be found.
    ids: Vec<&'a str>,
    is_urgent: bool,
    /// Alerts that the templates of headers see.
    batch: &'a Batch,
}

/// Writer of the mails of a channel.
pub(super) struct MailWriter {
    pub(super) from: Mailbox,
    pub(super) to: Vec<Mailbox>,
    pub(super) cc: Vec<Mailbox>,
    pub(super) reply_to: Option<Mailbox>,
    pub(super) headers: Vec<TemplatedValue>,
    pub(super) templates: Templates,
    pub(super) max_alerts: usize,
    pub(super) context: Context,
}

impl MailWriter {
    /// Writes the mail about `batch`.
    pub(super) fn write(&self, batch: &Batch) -> Result<Message, lettre::error::Error> {
        let mut errors = Vec::new();
        let mut rendered = |name| match self.render(name, batch)? {
            Ok(text) => Some(text),
            Err(error) => {
                errors.push(format!("The template `{name}` {error}"));
                None
            }
        };
        let subject = rendered(SUBJECT).unwrap_or_else(|| message::title(batch));
        let (text, html) = (rendered(TEXT), rendered(HTML));
        let mut text = text.unwrap_or_else(|| self.default_text(batch));
        let html = html.unwrap_or_else(|| self.default_html(batch));
        for line in errors {
            text += &format!("\n\n{}", one_line(&line, LONGEST_SUBJECT));
        }
        let text = tidy(&text[..text.floor_char_boundary(LONGEST_BODY)]);
        let group = batch.group();
        let ids = batch.notifications.iter();
        let builder = self.head(&Head {
            subject: &subject,
            thread: [&group.receiver, &group.key],
            ids: ids.map(|notification| notification.id.as_str()).collect(),
            is_urgent: matches!(message::color(batch), Color::Firing(level) if level >= Severity::Critical),
            batch,
        });
        if self.templates.text_only || html.len() > LONGEST_BODY {
            builder.singlepart(SinglePart::plain(text))
        } else {
            builder.multipart(MultiPart::alternative_plain_html(text, tidy(&html)))
        }
    }

    /// Writes the mail with `bulletin`, whose document is attached.
    pub(super) fn write_bulletin(
        &self,
        bulletin: &Bulletin,
    ) -> Result<Message, lettre::error::Error> {
        let builder = self.head(&Head {
            subject: &bulletin.title,
            thread: ["", &bulletin.topic],
            ids: vec![&bulletin.id],
            is_urgent: false,
            batch: &Batch::empty(),
        });
        let text = &bulletin.text[..bulletin.text.floor_char_boundary(LONGEST_BODY)];
        let text = SinglePart::plain(tidy(text));
        let Some(document) = &bulletin.document else {
            return builder.singlepart(text);
        };
        // One that cannot be parsed is of no type that a mail program opens.
        let kind = document.content_type.parse();
        let kind = kind.unwrap_or(ContentType::TEXT_PLAIN);
        let attachment =
            Attachment::new(document.name.clone()).body(document.content.clone(), kind);
        builder.multipart(MultiPart::mixed().singlepart(text).singlepart(attachment))
    }

    fn head(&self, head: &Head<'_>) -> MessageBuilder {
        let domain = self.from.email.domain();
        let thread_id = self.thread_id(head.thread);
        let message_id = hash(
            [thread_id.as_str()]
                .into_iter()
                .chain(head.ids.iter().copied()),
        );
        let thread = format!("<{thread_id}@{domain}>");
        let subject = one_line(head.subject, LONGEST_SUBJECT);
        let mut builder = Message::builder()
            .from(self.from.clone())
            .date(system_time((self.context.clock)()))
            .raw_header(header(HeaderName::new_from_ascii_str("Subject"), &subject))
            .message_id(Some(format!("<{message_id}@{domain}>")))
            .in_reply_to(thread.clone())
            .references(thread);
        for to in &self.to {
            builder = builder.to(to.clone());
        }
        for cc in &self.cc {
            builder = builder.cc(cc.clone());
        }
        if let Some(reply_to) = &self.reply_to {
            builder = builder.reply_to(reply_to.clone());
        }
        let own = [
            ("Auto-Submitted", "auto-generated"),
            ("Precedence", "bulk"),
            ("X-Auto-Response-Suppress", "All"),
            ("Importance", if head.is_urgent { "high" } else { "normal" }),
        ];
        let own = own.into_iter().filter(|(own, _)| {
            !self
                .headers
                .iter()
                .any(|header| header.name().eq_ignore_ascii_case(own))
        });
        let own = own.map(|(name, value)| (name, value.to_owned()));
        // A header whose template gives nothing is left out.
        let configured = self.headers.iter().filter_map(|header| {
            let value = header.of(head.batch, &self.context).ok()?;
            Some((header.name(), one_line(&value, LONGEST_SUBJECT)))
        });
        for (name, value) in own.chain(configured) {
            // An invalid name was rejected with the configuration.
            if let Ok(name) = HeaderName::new_from_ascii(name.to_owned()) {
                builder = builder.raw_header(header(name, &value));
            }
        }
        builder
    }

    /// Returns the same id for all mails of one thread of this channel and host.
    fn thread_id(&self, thread: [&str; 2]) -> String {
        let Context { name, sender, .. } = &self.context;
        let labels = sender
            .labels
            .iter()
            .flat_map(|(name, value)| [name.as_str(), value.as_str()]);
        hash([name.as_str()].into_iter().chain(thread).chain(labels))
    }

    /// Renders the template `name` for `batch`, if there is one.
    fn render(&self, name: &str, batch: &Batch) -> Option<Result<String, RenderError>> {
        let template = self.templates.environment.get_template(name).ok()?;
        let Context {
            name: channel,
            sender,
            clock,
        } = &self.context;
        let most = self.max_alerts.saturating_mul(2);
        let document = Webhook::new(batch, channel, sender, most);
        let now = clock().0 as f64 / 1000.0;
        let fields = context! { now, ..Value::from(Serde(&document)) };
        Some(checked_output(bellwether_template::whole(
            &template,
            fields,
            bellwether_template::LONGEST,
        )))
    }

    fn default_text(&self, batch: &Batch) -> String {
        let sender = &self.context.sender;
        let paragraphs = message::paragraphs(batch, sender, &Plain, LONGEST_BODY / 4, str::len);
        format!("{}\n\n{}\n", message::title(batch), paragraphs.join("\n\n"))
    }

    fn default_html(&self, batch: &Batch) -> String {
        let sender = &self.context.sender;
        let paragraphs = message::paragraphs(batch, sender, &Html, LONGEST_BODY / 4, str::len);
        let paragraphs: String = paragraphs
            .iter()
            .map(|text| format!("<p>{}</p>\n", text.replace('\n', "<br>\n")))
            .collect();
        let (title, rgb) = (escaped(&message::title(batch)), message::color(batch).rgb());
        format!(
            "<!DOCTYPE html>\n<html><head><meta charset=\"utf-8\"><title>{title}</title></head>\n\
             <body style=\"font-family:sans-serif;line-height:1.4\">\n\
             <h2 style=\"border-left:6px solid #{rgb:06x};padding-left:10px\">{title}</h2>\n\
             {paragraphs}</body></html>\n"
        )
    }
}

/// Creates a header. A label or message may look like an encoded word (RFC 2047). The whole value
/// is encoded then, so that a reader sees the text that was sent.
fn header(name: HeaderName, value: &str) -> HeaderValue {
    if !value.contains("=?") {
        return HeaderValue::new(name, value.to_owned());
    }
    // As Base64 with what is around it, less than the 75 characters of a word.
    const PIECE: usize = 39;
    let (mut words, mut rest) = (Vec::new(), value);
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(rest.floor_char_boundary(PIECE));
        words.push(format!("=?utf-8?b?{}?=", BASE64.encode(piece)));
        rest = after;
    }
    HeaderValue::dangerous_new_pre_encoded(name, value.to_owned(), words.join("\r\n "))
}

/// HTML in which no text of an alert can become markup.
struct Html;

impl Markup for Html {
    fn text(&self, plain: &str) -> String {
        escaped(plain)
    }

    fn bold(&self, plain: &str) -> String {
        format!("<b>{}</b>", escaped(plain))
    }

    fn code(&self, plain: &str) -> String {
        format!("<code>{}</code>", escaped(plain))
    }

    fn link(&self, url: &str, plain: &str) -> String {
        format!("<a href=\"{}\">{}</a>", escaped(url), escaped(plain))
    }
}

fn escaped(plain: &str) -> String {
    let mut out = String::with_capacity(plain.len());
    for c in plain.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// Removes control characters except for line ends and tabs.
fn tidy(text: &str) -> String {
    text.chars()
        .filter(|c| !c.is_control() || matches!(c, '\n' | '\t'))
        .collect()
}

/// Returns a hash of 32 hexadecimal digits.
fn hash<'a>(parts: impl IntoIterator<Item = &'a str>) -> String {
    let mut bytes = Vec::new();
    for part in parts {
        bytes.extend_from_slice(part.as_bytes());
        bytes.push(0xFF);
    }
    digest(&SHA256, &bytes).as_ref()[..16]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn system_time(at: UnixMillis) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(u64::try_from(at.0).unwrap_or_default())
}
