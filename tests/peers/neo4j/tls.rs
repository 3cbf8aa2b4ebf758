//! TLS, through a proxy that ends it in front of the real server; and a proxy that can fall mute.

use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rcgen::{CertificateParams, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use super::harness::{Agent, PATIENT, shared};
use crate::support::servers::{PASSWORD, Server};

/// Stands between the collector and a server until dropped.
pub struct Proxy {
    address: SocketAddr,
    mute: watch::Sender<bool>,
    most: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<()>,
}

impl Proxy {
    /// Passes everything on.
    pub async fn plain(server: &Server) -> Self {
        Self::start(server, None).await
    }

    /// Ends TLS and passes the inside on.
    async fn tls(server: &Server, config: ServerConfig) -> Self {
        Self::start(server, Some(TlsAcceptor::from(Arc::new(config)))).await
    }

    async fn start(server: &Server, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("its address");
        let (mute, muted) = watch::channel(false);
        let target = server.address();
        let most = Arc::new(AtomicUsize::new(usize::MAX));
        let (limit, mut accepted) = (most.clone(), 0);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                accepted += 1;
                if accepted > limit.load(Ordering::SeqCst) {
                    continue;
                }
                let (tls, target, muted) = (tls.clone(), target.clone(), muted.clone());
                tokio::spawn(async move {
                    let Ok(server) = TcpStream::connect(target).await else {
                        return;
                    };
                    match tls {
                        None => relay(stream, server, muted).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                relay(stream, server, muted).await;
                            }
                        }
                    }
                });
            }
        });
        Self {
            address,
            mute,
            most,
            task,
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Closes every connection after the first `most` at once.
    pub fn close_new_after(&self, most: usize) {
        self.most.store(most, Ordering::SeqCst);
    }

    /// Holds back what the server answers.
    pub fn mute(&self, mute: bool) {
        self.mute.send_replace(mute);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn relay(
    client: impl AsyncRead + AsyncWrite,
    server: TcpStream,
    mut muted: watch::Receiver<bool>,
) {
    let ((mut from_client, mut to_client), (mut from_server, mut to_server)) =
        (split(client), split(server));
    let down = async {
        let mut buffer = vec![0; 65536];
        while let Ok(length @ 1..) = from_server.read(&mut buffer).await {
            if muted.wait_for(|muted| !muted).await.is_err()
                || to_client.write_all(&buffer[..length]).await.is_err()
                || to_client.flush().await.is_err()
            {
                return;
            }
        }
    };
    tokio::select! {
        () = down => {}
        _ = tokio::io::copy(&mut from_client, &mut to_server) => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn encrypted_with_an_authority_of_ones_own_or_unchecked() {
    let server = shared();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    fs::write(&ca, certificate.pem()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
        )
        .unwrap();
    let proxy = Proxy::tls(&server, config).await;
    let port = proxy.address().port();
    let agent = |scheme: &str, more: &str| {
        Agent::new(&format!(
            "uri: {scheme}://localhost:{port}\npassword: {PASSWORD}\n{PATIENT}\n{more}\n\
             queries: [{{name: answer, query: RETURN 42}}]"
        ))
    };
    let trusted = format!("ca_file: {}", ca.display());
    for (scheme, more) in [
        ("bolt+s", trusted.as_str()),
        ("neo4j+s", &trusted),
        ("bolt+ssc", ""),
        ("neo4j+ssc", ""),
    ] {
        let collected = agent(scheme, more).collect().await;
        assert_eq!(
            (collected.get("answer"), &collected.failure),
            (Some(42.0), &None),
            "{scheme}"
        );
    }
    let untrusted = agent("bolt+s", "").collect().await;
    let (reason, detail) = untrusted.failed();
    assert_eq!((reason, untrusted.get("neo4j_up")), ("connect", Some(0.0)));
    assert!(detail.contains("certificate"), "{detail}");
}
