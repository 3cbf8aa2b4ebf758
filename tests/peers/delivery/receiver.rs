//! An HTTP or HTTPS receiver that keeps every request and answers as scripted.

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::Value;

/// One answer.
#[derive(Clone, Debug)]
pub enum Answer {
    /// This status, these header lines, this body.
    Status(u16, &'static str, &'static str),
    /// This status, and where it leads.
    Redirect(u16, String),
    /// The connection is closed without a word.
    Closed,
    /// Half a status line, then the connection is closed.
    Half,
    /// 200, but the body is cut off.
    CutBody,
    /// Nothing at all, while the client waits.
    Mute,
}

/// It took what was sent.
pub const TAKEN: Answer = Answer::Status(200, "", "");

/// Requests that arrived.
#[derive(Clone, Debug)]
pub struct Request {
    pub line: String,
    pub headers: BTreeMap<String, String>,
    pub body: String,
    pub at: Instant,
}

impl Request {
    /// The alerts of Alertmanager's document: status and `mount`.
    pub fn alerts(&self) -> Vec<(String, String)> {
        let document: Value = serde_json::from_str(&self.body).unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let alerts = document["alerts"].as_array().unwrap().iter();
        alerts
            .map(|alert| (text(&alert["status"]), text(&alert["labels"]["mount"])))
            .collect()
    }
}

#[derive(Default)]
struct Inner {
    script: VecDeque<Answer>,
    requests: Vec<Request>,
    taken: Vec<Request>,
}

/// A running receiver. Its threads end with the test.
#[derive(Clone)]
pub struct Receiver {
    pub address: SocketAddr,
    inner: Arc<Mutex<Inner>>,
    /// Answer once the script is over.
    usual: Answer,
}

impl Receiver {
    /// Answers from `script`, then with 200.
    pub fn start(script: impl IntoIterator<Item = Answer>) -> Self {
        Self::bind("127.0.0.1:0".parse().unwrap(), None, script, TAKEN)
    }

    /// At a given address.
    pub fn start_at(address: SocketAddr) -> Self {
        Self::bind(address, None, [], TAKEN)
    }

    /// Over TLS: answers from `script`, then as `usual`.
    pub fn start_tls(
        config: Arc<ServerConfig>,
        script: impl IntoIterator<Item = Answer>,
        usual: Answer,
    ) -> Self {
        Self::bind("127.0.0.1:0".parse().unwrap(), Some(config), script, usual)
    }

    fn bind(
        address: SocketAddr,
        tls: Option<Arc<ServerConfig>>,
        script: impl IntoIterator<Item = Answer>,
        usual: Answer,
    ) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        let inner = Inner {
            script: script.into_iter().collect(),
            ..Inner::default()
        };
        let receiver = Self {
            address,
            inner: Arc::new(Mutex::new(inner)),
            usual,
        };
        let serving = receiver.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (serving, tls) = (serving.clone(), tls.clone());
                std::thread::spawn(move || {
                    // A client that goes away is a part of the tests.
                    let _ = match tls {
                        None => serving.serve(stream),
                        Some(config) => {
                            let connection = ServerConnection::new(config).unwrap();
                            serving.serve(StreamOwned::new(connection, stream))
                        }
                    };
                });
            }
        });
        receiver
    }

    /// Everything that arrived.
    pub fn requests(&self) -> Vec<Request> {
        self.inner.lock().unwrap().requests.clone()
    }

    /// Requests that were answered with a 2xx.
    pub fn taken(&self) -> Vec<Request> {
        self.inner.lock().unwrap().taken.clone()
    }

    /// The alerts of what was answered with a 2xx, in order.
    pub fn notified(&self) -> Vec<(String, String)> {
        self.taken().iter().flat_map(Request::alerts).collect()
    }

    fn serve(&self, stream: impl Read + Write) -> std::io::Result<()> {
        let mut stream = BufReader::new(stream);
        loop {
            let Some(request) = read(&mut stream)? else {
                return Ok(());
            };
            let answer = {
                let mut inner = self.inner.lock().unwrap();
                inner.requests.push(request.clone());
                let answer = inner
                    .script
                    .pop_front()
                    .unwrap_or_else(|| self.usual.clone());
                if matches!(answer, Answer::Status(200..=299, ..) | Answer::CutBody) {
                    inner.taken.push(request);
                }
                answer
            };
            let writer = stream.get_mut();
            match answer {
                Answer::Status(status, headers, body) => {
                    let length = body.len();
                    write!(
                        writer,
                        "HTTP/1.1 {status} X\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
                    )?;
                    writer.flush()?;
                }
                Answer::Redirect(status, place) => {
                    write!(
                        writer,
                        "HTTP/1.1 {status} X\r\ncontent-length: 0\r\nlocation: {place}\r\n\r\n"
                    )?;
                    writer.flush()?;
                }
                Answer::Closed => return Ok(()),
                Answer::Half => return writer.write_all(b"HTTP/1.1 2"),
                Answer::CutBody => {
                    return writer.write_all(b"HTTP/1.1 200 X\r\ncontent-length: 9\r\n\r\nab");
                }
                Answer::Mute => {
                    // Until the client has had enough.
                    return stream.read(&mut [0]).map(|_| ());
                }
            }
        }
    }
}

fn read(stream: &mut impl BufRead) -> std::io::Result<Option<Request>> {
    let mut line = String::new();
    if stream.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let (mut headers, mut header) = (BTreeMap::new(), String::new());
    while stream.read_line(&mut header)? > 2 {
        let (name, value) = header.split_once(':').unwrap();
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        header.clear();
    }
    let length = headers
        .get("content-length")
        .map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    let body = String::from_utf8(body).unwrap();
    Ok(Some(Request {
        line: line.trim().to_owned(),
        headers,
        body,
        at: Instant::now(),
    }))
}

/// An address that nothing listens on, for now.
pub fn closed_address() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], crate::support::free_port()))
}

/// Waits for something about a receiver.
pub async fn wait_for(what: &str, receiver: &Receiver, wanted: impl Fn(&Receiver) -> bool) {
    for _ in 0..3000 {
        if wanted(receiver) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!(
        "not within a minute: {what}; it got {:?}",
        receiver.notified()
    );
}

/// An authority's certificate as PEM, and a server it vouches for on 127.0.0.1.
pub fn authority() -> (String, Arc<ServerConfig>) {
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
    let mut params = CertificateParams::new([]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(["127.0.0.1".to_owned()])
        .unwrap()
        .signed_by(&key, &authority)
        .unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    (authority.pem(), Arc::new(config))
}
