//! Connections of probes, with the time that each step takes.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bellwether_http::{read_client_config, system_config};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ProtocolVersion};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::sync::OnceCell;
use tokio::task::spawn_blocking;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::certificate::not_after;
use super::report::{CERT_EXPIRY, DNS_LOOKUP, IP_PROTOCOL, Report, TLS_VERSION};

/// A connection, with or without TLS.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Returns the addresses of a host and how long that took.
///
/// # Errors
/// The host has none, in one sentence.
pub(super) async fn resolve(
    host: &str,
    port: u16,
    report: &mut Report,
) -> Result<(Vec<SocketAddr>, Duration), String> {
    let started = Instant::now();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let found = lookup_host((bare, port)).await;
    let took = started.elapsed();
    let before = report.get(&DNS_LOOKUP, None).unwrap_or_default();
    report.set(&DNS_LOOKUP, before + took.as_secs_f64());
    let addresses: Vec<SocketAddr> = match found {
        Ok(addresses) => addresses.collect(),
        Err(error) => return Err(format!("cannot resolve {host}: {error}")),
    };
    match addresses.first() {
        Some(first) => {
            note_protocol(*first, report);
            Ok((addresses, took))
        }
        None => Err(format!("cannot resolve {host}: no address")),
    }
}

pub(super) fn note_protocol(address: SocketAddr, report: &mut Report) {
    report.set(&IP_PROTOCOL, if address.is_ipv6() { 6.0 } else { 4.0 });
}

/// Connects to the first address that accepts.
///
/// # Errors
/// None does, with the error of the last one.
pub(super) async fn connect(
    addresses: &[SocketAddr],
    report: &mut Report,
) -> Result<TcpStream, String> {
    let mut last = String::new();
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => {
                note_protocol(*address, report);
                return Ok(stream);
            }
            Err(error) => last = format!("{address}: {error}"),
        }
    }
    Err(last)
}

/// Settings of TLS, read from files when they are needed for the first time.
#[derive(Debug)]
pub(super) struct Tls {
    ca_file: Option<PathBuf>,
    config: OnceCell<ClientConfig>,
}

impl Tls {
    pub(super) fn new(ca_file: Option<PathBuf>) -> Self {
        Self {
            ca_file,
            config: OnceCell::new(),
        }
    }

    async fn config(&self) -> Result<ClientConfig, String> {
        let config = self.config.get_or_try_init(|| async {
            let file = self.ca_file.clone();
            let read = spawn_blocking(move || match file {
                Some(path) => read_client_config(&path),
                None => system_config(),
            });
            read.await
                .map_err(|error| error.to_string())?
                .map_err(|error| error.to_string())
        });
        config.await.cloned()
    }

    /// Encrypts a connection, and reports the certificates of the server. `protocol` is the only one that is offered
    /// (ALPN); without it the server need not know of any.
    ///
    /// # Errors
    /// The server is not trusted or does not speak TLS, in one sentence.
    pub(super) async fn encrypt<S: Stream>(
        &self,
        host: &str,
        stream: S,
        protocol: Option<&[u8]>,
        report: &mut Report,
    ) -> Result<TlsStream<S>, String> {
        let bare = host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_owned();
        let name = ServerName::try_from(bare).map_err(|error| error.to_string())?;
        let mut config = self.config().await?;
        config.alpn_protocols = protocol.map(<[u8]>::to_vec).into_iter().collect();
        let connector = TlsConnector::from(Arc::new(config));
        let stream = connector
            .connect(name, stream)
            .await
            .map_err(|error| format!("TLS: {error}"))?;
        let (_, session) = stream.get_ref();
        let chain = session.peer_certificates().unwrap_or_default();
        if let Some(earliest) = chain.iter().filter_map(|der| not_after(der)).min() {
            report.set(&CERT_EXPIRY, earliest as f64);
        }
        let version = match session.protocol_version() {
            Some(ProtocolVersion::TLSv1_2) => "TLS 1.2",
            Some(ProtocolVersion::TLSv1_3) => "TLS 1.3",
            _ => "unknown",
        };
        report.set_labeled(&TLS_VERSION, "version", version, 1.0);
        Ok(stream)
    }
}
