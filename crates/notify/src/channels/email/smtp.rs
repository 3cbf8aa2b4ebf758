//! One session with a mail server.

use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use std::{fmt, io};

use bellwether_http::{HttpError, error_chain, read_client_config, system_config};
use bellwether_schema::Secret;
use lettre::Address;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, AsyncTokioStream};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt, Starttls};
use lettre::transport::smtp::extension::ClientId;
use rustls::pki_types::{InvalidDnsNameError, ServerName};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::super::DeliveryError;
use super::{EmailAuth, EmailChannel, EmailTls};

/// A mail server and its settings.
pub(super) struct Server {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) tls: EmailTls,
    /// `None` only without encryption.
    pub(super) connector: Option<TlsConnector>,
    pub(super) hello: ClientId,
    /// True if a password may be sent without encryption.
    pub(super) trusted: bool,
    /// Timeout of a session.
    pub(super) limit: Duration,
}

/// Credentials of the sender.
pub(super) struct Login {
    pub(super) user: String,
    pub(super) password: Secret,
    pub(super) auth: Option<EmailAuth>,
}

/// A session that did not begin.
#[derive(Debug, thiserror::Error)]
enum SessionError {
    /// The connection failed.
    #[error("{}", error_chain(.0))]
    Connection(#[from] io::Error),
    /// The server does not follow the protocol, or rejects a command.
    #[error("{}", error_chain(.0))]
    Protocol(#[from] Error),
    /// The server rejects the login.
    #[error("authentication: {}", error_chain(.0))]
    Authentication(Error),
    /// The connection cannot be encrypted.
    #[error("TLS: {}", error_chain(.0))]
    Tls(io::Error),
    /// No certificate can be of this host.
    #[error(transparent)]
    Host(#[from] InvalidDnsNameError),
    /// A password would be sent unencrypted.
    #[error("the server offers no encryption, so the password is not sent")]
    Unencrypted,
    /// The server cannot encrypt.
    #[error("the server does not offer STARTTLS")]
    NoStarttls,
}

/// Creates the TLS connector of the settings. Reads a file.
pub(super) fn connector(settings: &EmailChannel) -> Result<Option<TlsConnector>, HttpError> {
    if settings.tls == EmailTls::None {
        return Ok(None);
    }
    let mut config = match &settings.ca_file {
        Some(path) => read_client_config(path)?,
        None => system_config()?,
    };
    // Those of HTTP.
    config.alpn_protocols.clear();
    Ok(Some(Arc::new(config).into()))
}

/// Returns the name for the greeting of a server.
pub(super) fn client_id(name: &str) -> ClientId {
    match name.parse() {
        Ok(IpAddr::V4(ip)) => ClientId::Ipv4(ip),
        Ok(IpAddr::V6(ip)) => ClientId::Ipv6(ip),
        Err(_) => ClientId::Domain(name.to_owned()),
    }
}

impl Server {
    /// Delivers `mail`. Returns the recipients that the server rejects, with its reasons.
    pub(super) async fn send(
        &self,
        from: &Address,
        to: &[Address],
        mail: &[u8],
        login: Option<&Login>,
    ) -> Result<Vec<(Address, String)>, DeliveryError> {
        let session = async {
            let connected = self.connect(login).await;
            let mut connection = connected.map_err(|error| self.error(true, &error.to_string()))?;
            let rejected = self.send_mail(&mut connection, from, to, mail).await?;
            Ok((connection, rejected))
        };
        match timeout(self.limit, session).await {
            Ok(Ok((mut connection, rejected))) => {
                // It was taken: how the goodbye goes changes nothing.
                timeout(GOODBYE, connection.quit()).await.ok();
                Ok(rejected)
            }
            Ok(Err(error)) => Err(error),
            Err(_) => Err(self.error(
                true,
                &format!("timed out after {} ms", self.limit.as_millis()),
            )),
        }
    }

    /// Connects, encrypted and authenticated as configured. Every error is retryable, as it can be
    /// fixed without a change of the mail.
    async fn connect(&self, login: Option<&Login>) -> Result<AsyncSmtpConnection, SessionError> {
        let tcp = TcpStream::connect((self.host.as_str(), self.port)).await?;
        let (mut connection, encrypted) = match (&self.connector, self.tls) {
            (None, _) | (_, EmailTls::None) => (self.greet(Stream::new(tcp)?).await?, false),
            (Some(connector), EmailTls::Implicit) => {
                (self.greet(self.encrypt(connector, tcp).await?).await?, true)
            }
            (Some(connector), EmailTls::Starttls | EmailTls::Opportunistic) => {
                self.upgrade(connector, tcp).await?
            }
        };
        let Some(login) = login else {
            return Ok(connection);
        };
        if !encrypted && !self.trusted {
            return Err(SessionError::Unencrypted);
        }
        let mechanisms = match login.auth {
            None => DEFAULT_MECHANISMS,
            Some(EmailAuth::Plain) => &[Mechanism::Plain],
            Some(EmailAuth::Login) => &[Mechanism::Login],
        };
        let credentials = Credentials::new(login.user.clone(), login.password.expose().to_owned());
        let authenticated = connection.auth(mechanisms, &credentials).await;
        authenticated.map_err(SessionError::Authentication)?;
        Ok(connection)
    }

    /// Connects and upgrades by STARTTLS if offered. Returns true if the connection is encrypted.
    async fn upgrade(
        &self,
        connector: &TlsConnector,
        tcp: TcpStream,
    ) -> Result<(AsyncSmtpConnection, bool), SessionError> {
        let (tcp, twin) = twins(tcp)?;
        let mut plain = self.greet(Stream::new(twin)?).await?;
        if plain.can_starttls() {
            plain.command(Starttls).await?;
            // What came before the encryption is not believed, nor what was read ahead.
            drop(plain);
            let encrypted = self.encrypt(connector, tcp).await?;
            let greeted = Stream {
                greeting: b"220 encrypted\r\n",
                ..encrypted
            };
            return Ok((self.greet(greeted).await?, true));
        }
        match self.tls {
            EmailTls::Starttls => Err(SessionError::NoStarttls),
            _ => Ok((plain, false)),
        }
    }

    async fn encrypt(
        &self,
        connector: &TlsConnector,
        tcp: TcpStream,
    ) -> Result<Stream<TlsStream<TcpStream>>, SessionError> {
        let name = ServerName::try_from(self.host.clone())?;
        let plain = Stream::new(tcp)?;
        let stream = connector
            .connect(name, plain.stream)
            .await
            .map_err(SessionError::Tls)?;
        Ok(Stream {
            stream,
            peer: plain.peer,
            greeting: plain.greeting,
        })
    }

    /// Waits for the server's greeting and sends ours.
    async fn greet<S: Io>(&self, stream: Stream<S>) -> Result<AsyncSmtpConnection, SessionError> {
        let greeted = AsyncSmtpConnection::connect_with_transport(Box::new(stream), &self.hello);
        Ok(greeted.await?)
    }

    async fn send_mail(
        &self,
        connection: &mut AsyncSmtpConnection,
        from: &Address,
        to: &[Address],
        mail: &[u8],
    ) -> Result<Vec<(Address, String)>, DeliveryError> {
        let failed = |error: &Error| self.error(!error.is_permanent(), &error_chain(error));
        let begun = connection
            .command(Mail::new(Some(from.clone()), vec![]))
            .await;
        begun.map_err(|error| failed(&error))?;
        let mut rejected = Vec::new();
        let mut last = None;
        for recipient in to {
            match connection
                .command(Rcpt::new(recipient.clone(), vec![]))
                .await
            {
                Ok(_) => {}
                Err(error) => {
                    rejected.push((recipient.clone(), error_chain(&error)));
                    // One that may be taken later makes the whole mail one that may.
                    last = last
                        .filter(|error: &Error| !error.is_permanent())
                        .or(Some(error));
                }
            }
        }
        if let Some(error) = last.filter(|_| rejected.len() == to.len()) {
            return Err(failed(&error));
        }
        connection
            .command(Data)
            .await
            .map_err(|error| failed(&error))?;
        connection
            .message(mail)
            .await
            .map_err(|error| failed(&error))?;
        Ok(rejected)
    }

    fn error(&self, retryable: bool, reason: &str) -> DeliveryError {
        let reason: String = reason
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        let message = format!("{}:{}: {reason}", self.host, self.port);
        DeliveryError::new(retryable, message)
    }
}

/// Timeout of the end of a session.
const GOODBYE: Duration = Duration::from_secs(1);

/// Duplicates the handle of a connection.
fn twins(tcp: TcpStream) -> io::Result<(TcpStream, TcpStream)> {
    let tcp = tcp.into_std()?;
    let twin = tcp.try_clone()?;
    Ok((TcpStream::from_std(tcp)?, TcpStream::from_std(twin)?))
}

/// Byte stream of a connection.
trait Io: AsyncRead + AsyncWrite + Send + Sync + Unpin + fmt::Debug + 'static {}

impl<S: AsyncRead + AsyncWrite + Send + Sync + Unpin + fmt::Debug + 'static> Io for S {}

/// A connection to a server. lettre expects the server's greeting at its beginning; the server does
/// not repeat it after STARTTLS, so it is inserted then.
#[derive(Debug)]
struct Stream<S> {
    stream: S,
    peer: SocketAddr,
    greeting: &'static [u8],
}

impl Stream<TcpStream> {
    fn new(stream: TcpStream) -> io::Result<Self> {
        Ok(Self {
            peer: stream.peer_addr()?,
            stream,
            greeting: &[],
        })
    }
}

impl<S: Io> AsyncTokioStream for Stream<S> {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.peer)
    }
}

impl<S: Io> AsyncRead for Stream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.greeting.is_empty() {
            return Pin::new(&mut self.stream).poll_read(context, buffer);
        }
        let (now, later) = self
            .greeting
            .split_at(self.greeting.len().min(buffer.remaining()));
        buffer.put_slice(now);
        self.greeting = later;
        Poll::Ready(Ok(()))
    }
}

impl<S: Io> AsyncWrite for Stream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
