//! One session with a mail server.

use std::net::IpAddr;
use std::time::Duration;

use lettre::Address;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS, Mechanism};
use lettre::transport::smtp::client::{
    AsyncSmtpConnection, Certificate, CertificateStore, TlsParameters,
};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::ClientId;
use tokio::time::timeout;

use super::super::DeliveryError;
use super::{EmailAuth, EmailChannel, EmailTls};
use bellwether_files as files;
use bellwether_http::reasons;
use bellwether_schema::Secret;

/// A server, and how it is spoken to.
pub(super) struct Server {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) tls: EmailTls,
    /// `None` only without encryption.
    pub(super) parameters: Option<TlsParameters>,
    pub(super) hello: ClientId,
    /// Whether it may be told a password without encryption.
    pub(super) trusted: bool,
    /// How long a session may take.
    pub(super) limit: Duration,
}

/// Who sends.
pub(super) struct Login {
    pub(super) user: String,
    pub(super) password: Secret,
    pub(super) auth: Option<EmailAuth>,
}

/// The TLS of the settings. Reads a file.
pub(super) fn parameters(settings: &EmailChannel) -> Result<Option<TlsParameters>, String> {
    if settings.tls == EmailTls::None {
        return Ok(None);
    }
    let mut builder = TlsParameters::builder(settings.smtp_server.value.clone());
    if let Some(path) = &settings.ca_file {
        let told = |reason: String| format!("ca_file {}: {reason}", path.display());
        let pem = files::read(path, files::SMALL).map_err(|error| told(error.to_string()))?;
        if !String::from_utf8_lossy(&pem).contains("BEGIN CERTIFICATE") {
            return Err(told("no certificate in it".into()));
        }
        let certificate = Certificate::from_pem(&pem).map_err(|error| told(reasons(&error)))?;
        builder =
            builder.certificate_store(CertificateStore::None).add_root_certificate(certificate);
    }
    builder.build_rustls().map(Some).map_err(|error| reasons(&error))
}

/// What a server is greeted with.
pub(super) fn client_id(name: &str) -> ClientId {
    match name.parse() {
        Ok(IpAddr::V4(ip)) => ClientId::Ipv4(ip),
        Ok(IpAddr::V6(ip)) => ClientId::Ipv6(ip),
        Err(_) => ClientId::Domain(name.to_owned()),
    }
}

impl Server {
    /// Hands over `mail`; what comes back are the recipients that the server does not take.
    pub(super) async fn send(
        &self,
        from: &Address,
        to: &[Address],
        mail: &[u8],
        login: Option<&Login>,
    ) -> Result<Vec<(Address, String)>, DeliveryError> {
        let session = async {
            let connected = self.connect(login).await;
            let mut connection = connected.map_err(|reason| self.told(true, &reason))?;
            let refused = self.hand_over(&mut connection, from, to, mail).await?;
            Ok((connection, refused))
        };
        match timeout(self.limit, session).await {
            Ok(Ok((mut connection, refused))) => {
                // It was taken: how the goodbye goes changes nothing.
                timeout(GOODBYE, connection.quit()).await.ok();
                Ok(refused)
            }
            Ok(Err(error)) => Err(error),
            Err(_) => Err(self.told(true, &format!("no end after {} ms", self.limit.as_millis()))),
        }
    }

    /// A connection that is encrypted and authenticated as declared. Whatever keeps it from being
    /// that can be mended.
    async fn connect(&self, login: Option<&Login>) -> Result<AsyncSmtpConnection, String> {
        let implicit = self.parameters.clone().filter(|_| self.tls == EmailTls::Implicit);
        let (address, limit) = ((self.host.as_str(), self.port), Some(self.limit));
        let connected =
            AsyncSmtpConnection::connect_tokio1(address, limit, &self.hello, implicit, None).await;
        let mut connection = connected.map_err(|error| reasons(&error))?;
        let wanted = matches!(self.tls, EmailTls::Starttls | EmailTls::Opportunistic);
        if let Some(parameters) = self.parameters.clone().filter(|_| wanted) {
            if connection.can_starttls() {
                let encrypted = connection.starttls(parameters, &self.hello).await;
                encrypted.map_err(|error| reasons(&error))?;
            } else if self.tls == EmailTls::Starttls {
                return Err("the server does not offer STARTTLS".into());
            }
        }
        let Some(login) = login else { return Ok(connection) };
        if !connection.is_encrypted() && !self.trusted {
            return Err("the server offers no encryption, so the password is not sent".into());
        }
        let mechanisms = match login.auth {
            None => DEFAULT_MECHANISMS,
            Some(EmailAuth::Plain) => &[Mechanism::Plain],
            Some(EmailAuth::Login) => &[Mechanism::Login],
        };
        let credentials = Credentials::new(login.user.clone(), login.password.expose().to_owned());
        let authenticated = connection.auth(mechanisms, &credentials).await;
        authenticated.map_err(|error| format!("authentication: {}", reasons(&error)))?;
        Ok(connection)
    }

    async fn hand_over(
        &self,
        connection: &mut AsyncSmtpConnection,
        from: &Address,
        to: &[Address],
        mail: &[u8],
    ) -> Result<Vec<(Address, String)>, DeliveryError> {
        let failed = |error: &Error| self.told(!error.is_permanent(), &reasons(error));
        let begun = connection.command(Mail::new(Some(from.clone()), vec![])).await;
        begun.map_err(|error| failed(&error))?;
        let mut refused = Vec::new();
        let mut last = None;
        for recipient in to {
            match connection.command(Rcpt::new(recipient.clone(), vec![])).await {
                Ok(_) => {}
                Err(error) => {
                    refused.push((recipient.clone(), reasons(&error)));
                    // One that may be taken later makes the whole mail one that may.
                    last = last.filter(|kept: &Error| !kept.is_permanent()).or(Some(error));
                }
            }
        }
        if let Some(error) = last.filter(|_| refused.len() == to.len()) {
            return Err(failed(&error));
        }
        connection.command(Data).await.map_err(|error| failed(&error))?;
        connection.message(mail).await.map_err(|error| failed(&error))?;
        Ok(refused)
    }

    fn told(&self, retryable: bool, reason: &str) -> DeliveryError {
        let reason: String = reason.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let message = format!("{}:{}: {reason}", self.host, self.port);
        DeliveryError { retryable, message, ..DeliveryError::default() }
    }
}

/// How long a server may take to say goodbye.
const GOODBYE: Duration = Duration::from_secs(1);
