//! The channel that sends mail over SMTP.
//!
//! Owns the settings and what an attempt means; [`mail`] writes a mail, [`smtp`] hands it to a
//! server. One mail tells of one group, and all mails of a group refer to the same message id, so
//! that a mail client shows the end below the beginning.

mod mail;
mod smtp;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use bellwether_core::Notification;
use bellwether_http::read_secret;
use bellwether_schema::{Diagnostics, HumanDuration, Literal, Secret, SourceLocation, Spanned};
use lettre::message::Mailbox;
use lettre::message::header::HeaderName;
use lettre::transport::smtp::extension::ClientId;
use mail::{Letter, Templates};
use smtp::{Login, Server};

use super::texts::{Key, is_template};
use super::{Attempt, Batch, Channel, Context, DeliveryError, same_group};

bellwether_schema::string_enum! {
    /// How the connection to a mail server is encrypted.
    pub enum EmailTls {
        /// From its beginning.
        Implicit = "tls",
        /// By STARTTLS; a server that does not offer it gets no mail.
        Starttls = "starttls",
        /// By STARTTLS where the server offers it. Does not help against who can change what is
        /// sent, and never sends a password unencrypted.
        Opportunistic = "opportunistic",
        /// Not at all.
        None = "none",
    }
}

bellwether_schema::string_enum! {
    /// How the user proves who they are.
    pub enum EmailAuth {
        /// `AUTH PLAIN`.
        Plain = "plain",
        /// `AUTH LOGIN`.
        Login = "login",
    }
}

bellwether_schema::section! {
    /// Channel of type `email`: sends a mail per group of notifications. Taken is what the server
    /// takes for at least one recipient; those it refuses are told in the log. What it answers with
    /// 4xx, and what keeps a session from beginning, is tried again; a mail that it answers with
    /// 5xx is not.
    pub struct EmailChannel {
        /// Host of the mail server.
        pub smtp_server: Spanned<String>,
        /// Its port. Without it 465 with `tls`, 25 with `none`, else 587.
        pub smtp_port: Option<u16>,
        /// How the connection is encrypted.
        pub tls: EmailTls = EmailTls::Starttls,
        /// PEM file with the only authorities the server's certificate is checked against, or with
        /// that certificate itself if it is self-signed. Without it, the authorities of the system.
        pub ca_file: Option<PathBuf>,
        /// User name; without one no authentication takes place.
        pub username: Option<Spanned<String>>,
        /// Password.
        pub password: Option<Secret>,
        /// File that holds the password; read again for each mail.
        pub password_file: Option<PathBuf>,
        /// How the user proves who they are. Without it, `plain` where the server knows it.
        pub auth: Option<EmailAuth>,
        /// Name that the server is greeted with. Without it, the name of this host.
        pub hello: Option<Spanned<String>>,
        /// Who sends: `Bellwether <bellwether@example.org>`.
        pub from: Spanned<String>,
        /// Who is told.
        pub recipients: Vec<Spanned<String>>,
        /// Who gets a copy.
        pub cc: Vec<Spanned<String>> = Vec::new(),
        /// Who gets a copy that the others do not know of.
        pub bcc: Vec<Spanned<String>> = Vec::new(),
        /// Who answers go to.
        pub reply_to: Option<Spanned<String>>,
        /// Further headers; each may be a template.
        pub headers: BTreeMap<String, Spanned<String>> = BTreeMap::new(),
        /// Subject as a minijinja template over the fields of Alertmanager's document.
        pub subject: Option<Spanned<Literal>>,
        /// Text as such a template.
        pub text: Option<Spanned<Literal>>,
        /// HTML as such a template, in which values are escaped. Empty: mails are text only.
        pub html: Option<Spanned<Literal>>,
        /// How long a session with the server may take.
        pub timeout: HumanDuration = HumanDuration::secs(30),
        /// Most alerts that changed in one mail.
        pub max_alerts: usize = 100,
    }
}

/// Headers that are not set by `headers`, and by what they are.
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

/// How the header `name` is set, where that is not by `headers`.
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
        if self.recipients.is_empty() {
            problems
                .error(&at.key("recipients"), "nobody is told")
                .hint("recipients: [ops@example.org]");
        }
        let lists = [&self.recipients, &self.cc, &self.bcc]
            .into_iter()
            .flatten();
        for address in lists.chain([&self.from]).chain(&self.reply_to) {
            if is_template(address) {
                problems
                    .error(&address.at, "no template can stand here")
                    .hint("use a channel for each address, and routes to them");
            } else if let Err(reason) = mailbox(address) {
                problems
                    .error(&address.at, reason)
                    .hint("ops@example.org or Operations <ops@example.org>");
            }
        }
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
            Key::check(value, &value.at, problems);
        }
        for (name, template) in self.templates() {
            let Some(template) = template else { continue };
            if let Err(error) = Templates::new(&[(name, template)]) {
                problems.error(&template.at, error);
            }
        }
    }

    fn check_server(&self, at: &SourceLocation, problems: &mut Diagnostics) {
        let host = |text: &str| {
            let byte = |b: u8| b.is_ascii_alphanumeric() || b".-_".contains(&b);
            !text.is_empty() && text.bytes().all(byte) || text.parse::<IpAddr>().is_ok()
        };
        let names = [Some(&self.smtp_server), self.hello()];
        for name in names.into_iter().flatten().filter(|name| !host(name)) {
            problems
                .error(&name.at, format!("not a host name: {:?}", name.value))
                .hint("mail.example.org; the port goes to `smtp_port`");
        }
        if self.ca_file.is_some() && self.tls == EmailTls::None {
            problems.error(
                &at.key("ca_file"),
                "nothing is encrypted, so nobody is checked",
            );
        }
        if self.timeout.is_zero() {
            problems.error(&at.key("timeout"), "must be longer than 0s");
        }
        if self.max_alerts == 0 {
            problems.error(&at.key("max_alerts"), "must be at least 1");
        }
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

    /// The user; an empty one is none.
    fn username(&self) -> Option<&Spanned<String>> {
        self.username.as_ref().filter(|name| !name.is_empty())
    }

    /// What the server is greeted with; an empty name is none.
    fn hello(&self) -> Option<&Spanned<String>> {
        self.hello.as_ref().filter(|name| !name.is_empty())
    }

    /// Whether the server is on this host.
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

    pub(super) fn build(&self, context: Context) -> Result<Box<dyn Channel>, String> {
        Ok(Box::new(Email {
            bcc: mailboxes(&self.bcc)?,
            server: self.server()?,
            letter: self.letter(context)?,
            settings: self.clone(),
        }))
    }

    fn letter(&self, context: Context) -> Result<Letter, String> {
        let templates = self.templates();
        let declared = templates
            .iter()
            .filter_map(|(name, one)| Some((*name, (*one)?)));
        let header = |(name, text): (&String, &Spanned<String>)| {
            Key::new(name, text).map_err(|error| format!("headers.{name}: {error}"))
        };
        Ok(Letter {
            from: mailbox(&self.from)?,
            to: mailboxes(&self.recipients)?,
            cc: mailboxes(&self.cc)?,
            reply_to: self.reply_to.as_ref().map(|one| mailbox(one)).transpose()?,
            headers: self.headers.iter().map(header).collect::<Result<_, _>>()?,
            templates: Templates::new(&declared.collect::<Vec<_>>())?,
            max_alerts: self.max_alerts,
            context,
        })
    }

    fn server(&self) -> Result<Server, String> {
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

/// This host's name, where it is one that can be said to a server.
fn this_host() -> ClientId {
    let system = rustix::system::uname();
    let name = system.nodename().to_string_lossy();
    let fits = |b: u8| b.is_ascii_alphanumeric() || b".-".contains(&b);
    if !name.is_empty() && name.bytes().all(fits) {
        ClientId::Domain(name.into_owned())
    } else {
        ClientId::Ipv4([127, 0, 0, 1].into())
    }
}

fn mailbox(text: &str) -> Result<Mailbox, String> {
    let parsed: Mailbox = text
        .parse()
        .map_err(|_| format!("not a mail address: {text:?}"))?;
    let address: &str = parsed.email.as_ref();
    // Every server takes these; few take others.
    if !address.is_ascii() || text.chars().any(char::is_control) {
        return Err(format!("not a plain mail address: {text:?}"));
    }
    Ok(parsed)
}

fn mailboxes(texts: &[Spanned<String>]) -> Result<Vec<Mailbox>, String> {
    texts.iter().map(|text| mailbox(text)).collect()
}

struct Email {
    settings: EmailChannel,
    server: Server,
    letter: Letter,
    bcc: Vec<Mailbox>,
}

impl Channel for Email {
    fn deliver<'a>(&'a self, batch: &'a Batch) -> Attempt<'a> {
        Box::pin(async move {
            let mail = self.letter.write(batch).map_err(DeliveryError::permanent)?;
            let told = [&self.letter.to, &self.letter.cc, &self.bcc]
                .into_iter()
                .flatten();
            let told: Vec<_> = told.map(|mailbox| mailbox.email.clone()).collect();
            let login = self.login().await.map_err(DeliveryError::transient)?;
            let from = &self.letter.from.email;
            let refused = self
                .server
                .send(from, &told, &mail.formatted(), login.as_ref())
                .await?;
            for (recipient, reason) in refused {
                let channel = &self.letter.context.name;
                tracing::warn!(channel, %recipient, reason, "the mail server refused a recipient");
            }
            Ok(())
        })
    }

    fn max_batch(&self) -> usize {
        self.settings.max_alerts
    }

    fn joins(&self, first: &Notification, next: &Notification) -> bool {
        same_group(first, next)
    }
}

impl Email {
    async fn login(&self) -> Result<Option<Login>, String> {
        let Some(user) = self.settings.username() else {
            return Ok(None);
        };
        let password = match (&self.settings.password, self.settings.password_file.clone()) {
            (Some(password), _) => password.clone(),
            (None, Some(path)) => {
                match tokio::task::spawn_blocking(move || read_secret(&path)).await {
                    Ok(read) => read?,
                    Err(_) => return Err("the reading of the password was cut off".into()),
                }
            }
            (None, None) => return Ok(None),
        };
        Ok(Some(Login {
            user: user.value.clone(),
            password,
            auth: self.settings.auth,
        }))
    }
}
