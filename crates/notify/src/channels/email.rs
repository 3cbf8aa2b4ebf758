//! Channel that sends mail over SMTP.
//!
//! Owns the settings and the meaning of an attempt; [`mail`] writes a mail, [`smtp`] delivers it to
//! a server. One mail is about one group, and all mails of a group refer to the same message id, so
//! that a mail client shows them as one thread.

mod mail;
mod smtp;
fn is_host(text: &str) -> bool {
    let mut bytes = text.bytes();
    !text.is_empty() && bytes.all(|b| b.is_ascii_alphanumeric() || b".-_".contains(&b))
        || text.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use bellwether_core::Notification;
use bellwether_http::{HttpError, reread_secret};
use bellwether_schema::{
    Constraint, Diagnostics, HumanDuration, Literal, Secret, SourceLocation, Spanned,
};
use lettre::Message;
use lettre::message::Mailbox;
use lettre::message::header::HeaderName;
use lettre::transport::smtp::extension::ClientId;
use mail::{MailWriter, Templates};
use smtp::{Login, Server};
use thiserror::Error;

use super::templates::{TemplatedValue, is_template};
use super::{Attempt, Batch, Bulletin, Channel, Context, DeliveryError, SettingsError, same_group};
use crate::settings::check_max_alerts;

/// A text that is no address for mail.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum AddressError {
    /// It is no mail address.
    #[error("not a mail address: {0:?}")]
    Invalid(String),
    /// It is one that few servers accept.
    #[error("not a plain mail address: {0:?}")]
    NotPlain(String),
}

bellwether_schema::string_enum! {
    /// Encryption of the connection to a mail server.
    pub enum EmailTls {
        /// Encrypted from the beginning.
        Implicit = "tls",
        /// STARTTLS; a server that does not offer it gets no mail.
        Starttls = "starttls",
        /// STARTTLS if the server offers it. Does not protect from an attacker who can modify the
        /// traffic; a password is never sent unencrypted.
        Opportunistic = "opportunistic",
        /// No encryption.
        None = "none",
    }
}

bellwether_schema::string_enum! {
    /// Authentication mechanisms.
    pub enum EmailAuth {
        /// `AUTH PLAIN`.
        Plain = "plain",
        /// `AUTH LOGIN`.
        Login = "login",
    }
}

bellwether_schema::section! {
    /// Channel of type `email`: sends a mail per group of notifications, and one with an attachment for
    /// a report. It is delivered once the
    /// server accepts it for at least one recipient; rejected recipients are logged. A response of
    /// 4xx, and an error before the session begins, is retried; a response of 5xx is not.
    #[constraints = [
        Constraint::AtMostOne(&["password", "password_file"]),
        Constraint::Needs("username", &["password", "password_file"]),
        Constraint::Needs("password", &["username"]),
        Constraint::Needs("password_file", &["username"]),
    ]]
    pub struct EmailChannel {
        /// Host of the mail server.
        pub smtp_server: Spanned<String>,
        /// Port. By default 465 with `tls`, 25 with `none`, else 587.
        pub smtp_port: Option<u16>,
        /// Encryption of the connection.
        pub tls: EmailTls = EmailTls::Starttls,
        /// PEM file with the only authorities the server's certificate is checked against, or with
        /// that certificate itself if it is self-signed. Without it, the authorities of the system.
        pub ca_file: Option<PathBuf>,
        /// User name; without it there is no authentication.
        pub username: Option<Spanned<String>>,
        /// Password.
        pub password: Option<Secret>,
        /// File that holds the password; read again for each mail.
        pub password_file: Option<PathBuf>,
        /// Authentication mechanism. By default `plain` if the server supports it.
        pub auth: Option<EmailAuth>,
        /// Name in the greeting of the server. By default the name of this host.
        pub hello: Option<Spanned<String>>,
        /// Sender: `Bellwether <bellwether@example.org>`.
        pub from: Spanned<String>,
        /// Recipients.
        pub recipients: Vec<Spanned<String>>,
        /// Recipients of a copy.
        pub cc: Vec<Spanned<String>> = Vec::new(),
        /// Recipients of a copy that the others do not see.
        pub bcc: Vec<Spanned<String>> = Vec::new(),
        /// Address for replies.
        pub reply_to: Option<Spanned<String>>,
        /// Further headers; each may be a template.
        pub headers: BTreeMap<String, Spanned<String>> = BTreeMap::new(),
        /// Subject: a minijinja template over the fields of Alertmanager's webhook document.
        pub subject: Option<Spanned<Literal>>,
        /// Text, as a template.
        pub text: Option<Spanned<Literal>>,
        /// HTML, as a template in which values are escaped. If empty, mails are text only.
        pub html: Option<Spanned<Literal>>,
        /// Timeout of a session with the server.
        pub timeout: HumanDuration = HumanDuration::secs(30),
        /// Maximum number of changed alerts in one mail.
        pub max_alerts: usize = 100,
    }
}

/// Headers that `headers` cannot set, each with a hint.
const OWNED: [(&str, &str); 16] = [
    ("from", "set `from`"),
    ("sender", "set `from`"),
    ("to", "set `recipients`"),
    ("cc", "set `cc`"),
    ("bcc", "set `bcc`"),
    ("reply-to", "set `reply_to`"),
    ("subject", "set `subject`"),
    ("date", THE_CHANNEL),
    ("message-id", THE_CHANNEL),
    ("in-reply-to", THE_CHANNEL),
    ("references", THE_CHANNEL),
    ("mime-version", THE_CHANNEL),
    ("content-type", THE_CHANNEL),
    ("content-transfer-encoding", THE_CHANNEL),
    ("auto-submitted", THE_CHANNEL),
    ("precedence", THE_CHANNEL),
];

/// Returns a hint on how to set the header `name`, if `headers` cannot.
#[must_use]
pub fn owned_header(name: &str) -> Option<&'static str> {
    OWNED
        .iter()
        .find(|(owned, _)| owned.eq_ignore_ascii_case(name))
        .map(|(_, hint)| *hint)
}

const THE_CHANNEL: &str = "leave it out: the channel writes it itself";

impl EmailChannel {
    pub(super) fn check(&self, at: &SourceLocation, problems: &mut Diagnostics) {
        self.check_server(at, problems);
        self.check_login(at, problems);
        self.check_addresses(at, problems);
        self.check_headers(problems);
        for (name, template) in self.templates() {
            let Some(template) = template else { continue };
            if let Err(error) = Templates::new(&[(name, template)]) {
                problems.error(&template.at, error.to_string());
            }
        }
    }

    fn check_addresses(&self, at: &SourceLocation, problems: &mut Diagnostics) {
        if self.recipients.is_empty() {
            problems
                .error(&at.key("recipients"), "no recipients")
                .hint("recipients: [ops@example.org]");
        }
        let lists = [&self.recipients, &self.cc, &self.bcc]
            .into_iter()
            .flatten();
        for address in lists.chain([&self.from]).chain(&self.reply_to) {
            if is_template(address) {
                problems
                    .error(&address.at, "a template is not supported here")
                    .hint("use one channel per address, with routes");
            } else if let Err(error) = mailbox(address) {
                problems
                    .error(&address.at, error.to_string())
                    .hint("ops@example.org or Operations <ops@example.org>");
            }
        }
    }

    fn check_headers(&self, problems: &mut Diagnostics) {
        for (name, value) in &self.headers {
            if let Some(hint) = owned_header(name) {
                problems
                    .error(&value.at, format!("{name} is not set here"))
                    .hint(hint);
            } else if HeaderName::new_from_ascii(name.clone()).is_err() {
                problems.error(&value.at, format!("not a header name: {name:?}"));
            } else if value.chars().any(char::is_control) {
                problems.error(&value.at, format!("not a header value: that of {name:?}"));
            }
            TemplatedValue::check(value, &value.at, problems);
        }
    }

    fn check_server(&self, at: &SourceLocation, problems: &mut Diagnostics) {
        let names = [Some(&self.smtp_server), self.hello()];
        for name in names.into_iter().flatten().filter(|name| !is_host(name)) {
            problems
                .error(&name.at, format!("not a host name: {:?}", name.value))
                .hint("mail.example.org; the port goes to `smtp_port`");
        }
        if self.ca_file.is_some() && self.tls == EmailTls::None {
            problems.error(&at.key("ca_file"), "`tls: none` checks no certificate");
        }
        if self.timeout.is_zero() {
            problems.error(&at.key("timeout"), "must be longer than 0s");
        }
        check_max_alerts(self.max_alerts, at, problems);
    }

    fn check_login(&self, at: &SourceLocation, problems: &mut Diagnostics) {
        let password = self
            .password
            .as_ref()
            .filter(|word| !word.expose().is_empty());
        let passwords = usize::from(password.is_some()) + usize::from(self.password_file.is_some());
        match (self.username(), passwords) {
            (_, 2) => {
                problems
                    .error(at, "both `password` and `password_file`")
                    .hint("keep one");
            }
            (Some(user), 0) => {
                problems
                    .error(&user.at, "a user without a password")
                    .hint("set `password` or `password_file`");
            }
            (None, 1) => {
                problems
                    .error(at, "a password without a user")
                    .hint("set `username`");
            }
            (Some(user), _) if self.tls == EmailTls::None && !self.is_local() => {
                problems
                    .error(&user.at, "the password would be sent unencrypted")
                    .hint("set `tls` to starttls or tls");
            }
            _ => {}
        }
    }

    /// User name; an empty one is `None`.
    fn username(&self) -> Option<&Spanned<String>> {
        self.username.as_ref().filter(|name| !name.is_empty())
    }

    /// Name in the greeting of the server; an empty one is `None`.
    fn hello(&self) -> Option<&Spanned<String>> {
        self.hello.as_ref().filter(|name| !name.is_empty())
    }

    /// Returns true if the server is on this host.
    fn is_local(&self) -> bool {
        let ip = self.smtp_server.parse::<IpAddr>().ok();
        ip.map_or(self.smtp_server.value == "localhost", |ip| ip.is_loopback())
    }

    fn templates(&self) -> [(&'static str, Option<&Spanned<Literal>>); 3] {
        [
            (mail::SUBJECT, self.subject.as_ref()),
            (mail::TEXT, self.text.as_ref()),
            (mail::HTML, self.html.as_ref()),
        ]
    }

    pub(super) fn build(&self, context: Context) -> Result<Box<dyn Channel>, SettingsError> {
        Ok(Box::new(Email {
            bcc: mailboxes(&self.bcc)?,
            server: self.server()?,
            writer: self.writer(context)?,
            settings: self.clone(),
        }))
    }

    fn writer(&self, context: Context) -> Result<MailWriter, SettingsError> {
        let templates = self.templates();
        let configured = templates
            .iter()
            .filter_map(|(name, one)| Some((*name, (*one)?)));
        Ok(MailWriter {
            from: mailbox(&self.from)?,
            to: mailboxes(&self.recipients)?,
            cc: mailboxes(&self.cc)?,
            reply_to: self.reply_to.as_ref().map(|one| mailbox(one)).transpose()?,
            headers: self
                .headers
                .iter()
                .map(|(name, text)| {
                    TemplatedValue::new(name, text)
                        .map_err(|error| error.of(format!("headers.{name}")))
                })
                .collect::<Result<_, _>>()?,
            templates: Templates::new(&configured.collect::<Vec<_>>())?,
            max_alerts: self.max_alerts,
            context,
        })
    }

    fn server(&self) -> Result<Server, HttpError> {
        let port = self.smtp_port.unwrap_or(match self.tls {
            EmailTls::Implicit => 465,
            EmailTls::Starttls | EmailTls::Opportunistic => 587,
            EmailTls::None => 25,
        });
        Ok(Server {
            host: self.smtp_server.value.clone(),
            port,
            tls: self.tls,
            connector: smtp::connector(self)?,
            hello: match self.hello() {
                Some(name) => smtp::client_id(name),
                None => this_host(),
            },
            trusted: self.is_local(),
            limit: *self.timeout,
        })
    }
}

/// Returns the name of this host if it is valid in a greeting, else an address.
fn this_host() -> ClientId {
    let system = rustix::system::uname();
    let name = system.nodename().to_string_lossy();
    if !name.is_empty()
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b".-".contains(&b))
    {
        ClientId::Domain(name.into_owned())
    } else {
        ClientId::Ipv4([127, 0, 0, 1].into())
    }
}

fn mailbox(text: &str) -> Result<Mailbox, AddressError> {
    let parsed: Mailbox = text
        .parse()
        .map_err(|_| AddressError::Invalid(text.to_owned()))?;
    let address: &str = parsed.email.as_ref();
    // Every server takes these; few take others.
    if !address.is_ascii() || text.chars().any(char::is_control) {
        return Err(AddressError::NotPlain(text.to_owned()));
    }
    Ok(parsed)
}

fn mailboxes(texts: &[Spanned<String>]) -> Result<Vec<Mailbox>, AddressError> {
    texts.iter().map(|text| mailbox(text)).collect()
}

struct Email {
    settings: EmailChannel,
    server: Server,
    writer: MailWriter,
    bcc: Vec<Mailbox>,
}

impl Channel for Email {
    fn deliver<'a>(&'a self, batch: &'a Batch) -> Attempt<'a> {
        Box::pin(async move { self.send(self.writer.write(batch)).await })
    }

    fn publish<'a>(&'a self, bulletin: &'a Bulletin) -> Attempt<'a> {
        Box::pin(async move { self.send(self.writer.write_bulletin(bulletin)).await })
    }

    fn max_batch(&self) -> usize {
        self.settings.max_alerts
    }

    fn joins(&self, first: &Notification, next: &Notification) -> bool {
        same_group(first, next)
    }
}

impl Email {
    async fn send(&self, mail: Result<Message, lettre::error::Error>) -> Result<(), DeliveryError> {
        let mail = mail.map_err(|error| {
            DeliveryError::permanent(format!("the mail cannot be written: {error}"))
        })?;
        let recipients = [&self.writer.to, &self.writer.cc, &self.bcc]
            .into_iter()
            .flatten();
        let recipients: Vec<_> = recipients.map(|mailbox| mailbox.email.clone()).collect();
        let login = self.login().await.map_err(DeliveryError::transient)?;
        let from = &self.writer.from.email;
        let rejected = self
            .server
            .send(from, &recipients, &mail.formatted(), login.as_ref())
            .await?;
        for (recipient, reason) in rejected {
            let channel = &self.writer.context.name;
            tracing::warn!(channel, %recipient, reason, "the mail server rejected a recipient");
        }
        Ok(())
    }

    async fn login(&self) -> Result<Option<Login>, HttpError> {
        let Some(user) = self.settings.username() else {
            return Ok(None);
        };
        let password = match (&self.settings.password, &self.settings.password_file) {
            (Some(password), _) => password.clone(),
            (None, Some(path)) => reread_secret(path.clone()).await?,
            (None, None) => return Ok(None),
        };
        Ok(Some(Login {
            user: user.value.clone(),
            password,
            auth: self.settings.auth,
        }))
    }
}
