//! Connection to a broker: TCP, TLS and SASL, and requests one after the other.

use std::io;
use std::path::Path;
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bellwether_files as files;
use bellwether_http::{read_client_config, system_config};
use bellwether_kafka::{BrokerAddress, KafkaSecurity};
use bellwether_schema::Secret;
use ring::rand::{SecureRandom, SystemRandom};
use rustls::ClientConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::spawn_blocking;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::either::Either;

use super::error::{AnswerError, BrokerError};
use super::messages::{self, Api, REQUIRED, Request, Versions, sasl_authenticate, sasl_handshake};
use super::scram::Scram;
use super::wire::{Reader, Writer};

/// Name of this client in the logs of brokers.
const CLIENT_ID: &str = "bellwether";

/// Maximum number of mechanisms in an error.
const MAX_MECHANISMS: usize = 10;

/// Longest name of a mechanism in an error, in bytes.
const LONGEST_MECHANISM: usize = 40;

/// Settings of connections.
pub(super) struct Access {
    pub(super) security: KafkaSecurity,
    /// Maximum size of an answer, in bytes.
    pub(super) limit: u64,
}

/// Content of the files of the settings.
struct Credentials {
    tls: Option<Arc<ClientConfig>>,
    password: Option<Secret>,
}

impl Access {
    /// Reads the files. Blocks.
    fn read(&self) -> Result<Credentials, BrokerError> {
        let settings = |error: &dyn std::fmt::Display| BrokerError::Settings(error.to_string());
        let security = &self.security;
        let password = security.read_password().map_err(|error| settings(&error))?;
        if !security.encrypts() {
            let tls = None;
            return Ok(Credentials { tls, password });
        }
        let config = match &security.ca_file {
            Some(file) => read_client_config(file),
            None => system_config(),
        };
        let mut config = config.map_err(|error| settings(&error))?;
        config.alpn_protocols.clear();
        if let (Some(certificate), Some(key)) = (&security.cert_file, &security.key_file) {
            let own = read_certificate(certificate, key).map_err(BrokerError::Settings)?;
            config.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(own));
        }
        let tls = Some(Arc::new(config));
        Ok(Credentials { tls, password })
    }
}

/// Reads the certificate of this client and its key.
fn read_certificate(certificate: &Path, key: &Path) -> Result<CertifiedKey, String> {
    let read = |path: &Path| {
        files::read(path, files::SMALL).map_err(|error| format!("{}: {error}", path.display()))
    };
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read(certificate)?).collect();
    let chain = chain.map_err(|error| format!("{}: {error}", certificate.display()))?;
    let private = PrivateKeyDer::from_pem_slice(&read(key)?)
        .map_err(|error| format!("{}: {error}", key.display()))?;
    let provider = rustls::crypto::ring::default_provider();
    CertifiedKey::from_der(chain, private, &provider)
        .map_err(|error| format!("{}: {error}", certificate.display()))
}

/// A connection, authenticated where that is configured.
pub(super) struct Connection {
    stream: Either<TcpStream, Box<TlsStream<TcpStream>>>,
    limit: u64,
    /// Number of the last request that was sent.
    sent: i32,
    /// Number of the last request that was answered.
    answered: i32,
    versions: Versions,
}

impl Connection {
    /// Connects to a broker.
    pub(super) async fn open(
        access: &Arc<Access>,
        address: &BrokerAddress,
    ) -> Result<Self, BrokerError> {
        let reading = access.clone();
        let credentials = spawn_blocking(move || reading.read());
        let credentials = credentials.await.map_err(io::Error::other)??;
        let stream = TcpStream::connect((address.host.as_str(), address.port)).await?;
        stream.set_nodelay(true)?;
        let stream = match credentials.tls {
            None => Either::Left(stream),
            Some(config) => {
                let name = ServerName::try_from(address.host.clone());
                let name = name.map_err(|error| BrokerError::Settings(error.to_string()))?;
                let connecting = TlsConnector::from(config).connect(name, stream);
                let stream = connecting.await.map_err(BrokerError::Tls)?;
                Either::Right(Box::new(stream))
            }
        };
        let mut connection = Self {
            stream,
            limit: access.limit,
            sent: 0,
            answered: 0,
            versions: Versions::new(),
        };
        connection.versions = connection.call(&messages::api_versions()).await?;
        for api in REQUIRED {
            if !connection.knows(api) {
                let (request, version) = (api.name, api.version);
                return Err(BrokerError::Version { request, version });
            }
        }
        if access.security.authenticates() {
            let password = credentials.password.unwrap_or_default();
            connection.authenticate(&access.security, &password).await?;
        }
        Ok(connection)
    }

    /// Returns whether the broker knows a request.
    pub(super) fn knows(&self, api: &Api) -> bool {
        let versions = self.versions.get(&api.key);
        versions.is_some_and(|(oldest, newest)| (*oldest..=*newest).contains(&api.version))
    }

    async fn authenticate(
        &mut self,
        security: &KafkaSecurity,
        password: &Secret,
    ) -> Result<(), BrokerError> {
        let mechanism = security.mechanism.as_str();
        if let Some(offered) = self.call(&sasl_handshake(mechanism)).await? {
            let offered = join_mechanisms(&offered);
            return Err(BrokerError::Mechanism { mechanism, offered });
        }
        let user = security.user.as_deref().unwrap_or_default();
        let Some(scram) = Scram::new(security.mechanism, user, password, nonce()?) else {
            let login = format!("\0{user}\0{}", password.expose());
            return self.step(login.as_bytes()).await.map(drop);
        };
        let challenge = self.step(scram.first().as_bytes()).await?;
        let (proof, proven) = scram
            .prove(&challenge)
            .map_err(BrokerError::Authentication)?;
        match proven.accepts(&self.step(proof.as_bytes()).await?) {
            true => Ok(()),
            false => Err(BrokerError::Authentication(
                "the broker does not know the password itself".to_owned(),
            )),
        }
    }

    async fn step(&mut self, step: &[u8]) -> Result<Vec<u8>, BrokerError> {
        let answer = self.call(&sasl_authenticate(step)).await?;
        answer.map_err(BrokerError::Authentication)
    }

    /// Sends a request and reads its answer.
    pub(super) async fn call<T>(&mut self, request: &Request<T>) -> Result<T, BrokerError> {
        self.send(request).await?;
        self.receive(request).await
    }

    /// Sends a request. Answers are received in the order of their requests.
    pub(super) async fn send<T>(&mut self, request: &Request<T>) -> Result<(), BrokerError> {
        self.sent = self.sent.wrapping_add(1);
        let mut header = Writer::default();
        header.i16(request.api.key);
        header.i16(request.api.version);
        header.i32(self.sent);
        header.string(CLIENT_ID);
        let header = header.into_bytes();
        let length = (header.len() + request.body.len()) as u32;
        let frame = [&length.to_be_bytes(), &header[..], &request.body].concat();
        self.stream.write_all(&frame).await?;
        Ok(self.stream.flush().await?)
    }

    /// Reads the answer of the oldest request that has none yet.
    pub(super) async fn receive<T>(&mut self, request: &Request<T>) -> Result<T, BrokerError> {
        let frame = self.frame().await?;
        self.answered = self.answered.wrapping_add(1);
        let mut reader = Reader::new(&frame);
        let answer = match reader.i32() {
            Ok(number) if number == self.answered => (request.read)(&mut reader),
            _ => Err(AnswerError::Malformed),
        };
        answer.map_err(|error| BrokerError::Answer {
            request: request.api.name,
            error,
        })
    }

    async fn frame(&mut self) -> Result<Vec<u8>, BrokerError> {
        let size = self.stream.read_u32().await?;
        if u64::from(size) > self.limit {
            let limit = self.limit;
            return Err(BrokerError::TooLarge { size, limit });
        }
        let mut frame = Vec::new();
        let mut rest = (&mut self.stream).take(size.into());
        rest.read_to_end(&mut frame).await?;
        match frame.len() == size as usize {
            true => Ok(frame),
            false => Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
        }
    }
}

/// Returns the names of mechanisms for an error. A broker may send any number of any length.
fn join_mechanisms(names: &[String]) -> String {
    let names = names.iter().take(MAX_MECHANISMS);
    let names = names.map(|name| &name[..name.floor_char_boundary(LONGEST_MECHANISM)]);
    names.collect::<Vec<_>>().join(", ")
}

/// Returns a random text without a comma.
fn nonce() -> Result<String, BrokerError> {
    let mut bytes = [0; 24];
    let filled = SystemRandom::new().fill(&mut bytes);
    filled.map_err(|_| io::Error::other("the system has no random numbers"))?;
    Ok(BASE64_STANDARD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mechanisms_of_a_broker_are_cut_in_an_error() {
        let names = ["PLAIN", "SCRAM-SHA-256"].map(str::to_owned);
        assert_eq!(join_mechanisms(&names), "PLAIN, SCRAM-SHA-256");
        // The limit is within the 20th of these letters.
        let long = format!("x{}", "ä".repeat(1000));
        let joined = join_mechanisms(&vec![long; 1000]);
        let cut = format!("x{}", "ä".repeat(19));
        assert_eq!(joined, [cut.as_str(); 10].join(", "));
    }
}
