//! The web configuration file: what it says, what is wrong with it, and what it does.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bellwether_server::{Access, CloseReason};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, SanType};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion, version};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::support::{
    Reply, Running, TestBackend, connect, get, read_all, request, run, scrape, send, settings,
    soon, start, until,
};

/// A directory with an authority, a server's certificate and clients' certificates.
pub struct Pki {
    pub directory: TempDir,
    authority: CertifiedIssuer<'static, KeyPair>,
}

impl Pki {
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(DnType::CommonName, "test authority");
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let pki = Self {
            directory: TempDir::new().unwrap(),
            authority,
        };
        pki.write("ca.pem", &pki.authority.pem());
        pki.issue("server", &["localhost"], true);
        pki
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        std::fs::write(self.path(name), text).unwrap();
        self.path(name)
    }

    /// `<name>.pem` and `<name>.key` for `sans`, signed by the authority or by itself.
    pub fn issue(&self, name: &str, sans: &[&str], signed: bool) {
        let key = KeyPair::generate().unwrap();
        let mut params =
            CertificateParams::new(sans.iter().map(ToString::to_string).collect::<Vec<_>>())
                .unwrap();
        params
            .subject_alt_names
            .push(SanType::IpAddress("127.0.0.1".parse().unwrap()));
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = if signed {
            params.signed_by(&key, &self.authority).unwrap()
        } else {
            params.self_signed(&key).unwrap()
        };
        self.write(&format!("{name}.pem"), &certificate.pem());
        self.write(&format!("{name}.key"), &key.serialize_pem());
    }

    /// A web configuration with the server's certificate and what `more` says.
    pub fn tls(&self, more: &str) -> PathBuf {
        let text =
            format!("tls_server_config:\n  cert_file: server.pem\n  key_file: server.key\n{more}");
        self.write("web.yml", &text)
    }

    /// A connection that trusts the authority and speaks `protocol`.
    pub async fn connect(&self, address: SocketAddr, protocol: &[u8]) -> TlsStream<TcpStream> {
        let mut client = self.client(None, ALL);
        client.alpn_protocols = vec![protocol.to_vec()];
        let stream = connect(address).await;
        let name = ServerName::try_from("localhost").unwrap();
        let connector = TlsConnector::from(Arc::new(client));
        let connected = soon("the handshake", connector.connect(name, stream)).await;
        connected.unwrap()
    }

    /// A client that trusts the authority, with the certificate `name` or none.
    fn client(
        &self,
        name: Option<&str>,
        versions: &[&'static SupportedProtocolVersion],
    ) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.der().clone()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots);
        let Some(name) = name else {
            return builder.with_no_client_auth();
        };
        let chain = CertificateDer::from_pem_file(self.path(&format!("{name}.pem"))).unwrap();
        let key = PrivateKeyDer::from_pem_file(self.path(&format!("{name}.key"))).unwrap();
        builder.with_client_auth_cert(vec![chain], key).unwrap()
    }
}

const ALL: &[&SupportedProtocolVersion] = &[&version::TLS13, &version::TLS12];

/// One request over TLS; what the server sent until it closed.
async fn https(address: SocketAddr, client: ClientConfig, request: &str) -> io::Result<Reply> {
    let stream = connect(address).await;
    let connector = TlsConnector::from(Arc::new(client));
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = soon("the handshake", connector.connect(name, stream)).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut bytes = Vec::new();
    // A server that closes without saying goodbye has still answered.
    match soon("the answer", stream.read_to_end(&mut bytes)).await {
        Err(error) if bytes.is_empty() => Err(error),
        _ => Ok(Reply::parse(&bytes).0),
    }
}

async fn serve(web_config: &Path) -> Running {
    let settings =
        settings(|settings| settings.web_config_file = Some(web_config.to_owned().into()));
    run(settings, TestBackend::new(3)).await
}

fn basic(user: &str, password: &str) -> String {
    format!(
        "authorization: Basic {}",
        STANDARD.encode(format!("{user}:{password}"))
    )
}

/// A hash of the least cost, so that tests do not burn time.
pub fn hash(password: &str) -> String {
    bcrypt::hash(password, 4).unwrap()
}

#[test]
fn good_files() {
    let pki = Pki::new();
    let hash = hash("x");
    let inline = |name: &str| {
        let text = std::fs::read_to_string(pki.path(name)).unwrap();
        text.lines()
            .map(|line| format!("    {line}\n"))
            .collect::<String>()
    };
    let (certificate, key) = (inline("server.pem"), inline("server.key"));
    let files = "tls_server_config: {cert_file: server.pem, key_file: server.key";
    for (text, tls) in [
        (String::new(), false),
        ("basic_auth_users: {}\n".into(), false),
        (format!("basic_auth_users: {{alice: {hash}, \"bob b\": {hash}}}\n"), false),
        (format!("{files}}}\n"), true),
        (format!("tls_server_config:\n  cert: |\n{certificate}  key: |\n{key}"), true),
        (format!("tls_server_config:\n  cert_file: server.pem\n  key: |\n{key}"), true),
        (format!("{files}, min_version: TLS13, max_version: TLS13}}\n"), true),
        (format!("{files}, cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, \
            TLS_AES_128_GCM_SHA256], prefer_server_cipher_suites: false}}\n"), true),
        (format!("{files}, curve_preferences: [CurveP384, X25519]}}\n"), true),
        (format!("{files}, client_auth_type: VerifyClientCertIfGiven}}\n"), true),
        (format!("{files}, client_auth_type: RequireAnyClientCert}}\n"), true),
        (format!("{files}, client_auth_type: RequireAndVerifyClientCert, client_ca_file: ca.pem, \
            client_allowed_sans: [a.example]}}\nhttp_server_config: {{http2: false}}\n"), true),
        ("http_server_config:\n  headers:\n    X-Frame-Options: deny\n    X-XSS-Protection: 1\n    \
            X-Content-Type-Options: nosniff\n    Strict-Transport-Security: max-age=31536000; \
            includeSubDomains\n".into(), false),
        ("rate_limit: {interval: 1s, burst: 20}\n".into(), false),
        (format!("basic_auth_users: {{alice: {hash}}}\nroles: {{alice: operator}}\n\
            sessions: {{lifetime: 8h, idle_timeout: 15m}}\n"), false),
        ("trusted_proxies: {networks: [10.0.0.5/32]}\nroles: {eva: admin}\n".into(), false),
    ] {
        let path = pki.write("web.yml", &text);
        let settings = settings(|settings| settings.web_config_file = Some(path.clone().into()));
        let access = Access::load(&settings).unwrap_or_else(|error| panic!("{error}\nin\n{text}"));
        assert_eq!(access.is_tls(), tls, "{text}");
    }
}

#[test]
fn bad_files_are_reported_with_their_place() {
    let pki = Pki::new();
    pki.issue("other", &["localhost"], true);
    pki.write("noise.pem", "hello");
    let tls = |more: &str| {
        format!("tls_server_config:\n  cert_file: server.pem\n  key_file: server.key\n{more}")
    };
    for (text, expected) in [
        ("a\nb\nc: d".to_owned(), "web.yml:"),
        (
            "hello".into(),
            "web.yml:1:1: expected a mapping, found a single value",
        ),
        (
            "tls_server_config:\n  cert_filse: a\n".into(),
            "web.yml:2:3: tls_server_config.cert_filse: unknown key",
        ),
        (
            "tls_server_config: {}\n".into(),
            "missing one of cert_file and cert",
        ),
        (
            "tls_server_config:\n  cert_file: server.pem\n".into(),
            "missing one of key_file and key",
        ),
        (
            "tls_server_config:\n  cert_file: \"\"\n  key_file: server.key\n".into(),
            "expected a path",
        ),
        (
            "tls_server_config:\n  cert: \"\"\n  key_file: server.key\n".into(),
            "missing one of cert_file and cert",
        ),
        (
            "tls_server_config:\n  cert_file: gone.pem\n  key_file: server.key\n".into(),
            "web.yml:2:14: tls_server_config.cert_file: cannot read ",
        ),
        (
            "tls_server_config:\n  cert_file: noise.pem\n  key_file: server.key\n".into(),
            "no certificate in it",
        ),
        (
            "tls_server_config:\n  cert_file: server.pem\n  key_file: noise.pem\n".into(),
            "no usable private key",
        ),
        (
            "tls_server_config:\n  cert_file: server.pem\n  key_file: other.key\n".into(),
            "certificate and key do not match",
        ),
        (tls("  cert: x\n"), "both cert_file and cert"),
        (
            tls("  client_auth_type: Sometimes\n"),
            "web.yml:4:21: tls_server_config.client_auth_type: unknown value \"Sometimes\"",
        ),
        (
            tls("  client_ca_file: ca.pem\n"),
            "client authorities without client_auth_type",
        ),
        (
            tls("  client_auth_type: RequireAndVerifyClientCert\n"),
            "missing one of client_ca_file and client_ca",
        ),
        (
            tls("  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: gone.pem\n"),
            "cannot read",
        ),
        (
            tls("  client_auth_type: RequireAnyClientCert\n  client_allowed_sans: [a]\n"),
            "client_allowed_sans needs verified certificates",
        ),
        (tls("  min_version: TLS11\n"), "unknown value \"TLS11\""),
        (
            tls("  min_version: TLS13\n  max_version: TLS12\n"),
            "max_version is below min_version",
        ),
        (
            tls("  cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA2048]\n"),
            "cipher_suites[0]: unknown value",
        ),
        (
            tls("  max_version: TLS12\n  cipher_suites: [TLS_AES_128_GCM_SHA256]\n"),
            "web.yml:5:18: tls_server_config.cipher_suites: ",
        ),
        (
            tls("  curve_preferences: [CurveP257]\n"),
            "unknown value \"CurveP257\"",
        ),
        (
            "basic_auth_users:\n  john: doe\n".into(),
            "web.yml:2:9: basic_auth_users.john: not a bcrypt hash",
        ),
        (
            format!("basic_auth_users:\n  \"a:b\": {}\n", hash("x")),
            "user name with a colon",
        ),
        (
            "http_server_config: {headers: {Content-Type: foo}}\n".into(),
            "header \"Content-Type\" cannot be set",
        ),
        (
            "http_server_config: {headers: {X-Frame-Options: foo}}\n".into(),
            "unknown value \"foo\"",
        ),
        (
            "http_server_config: {http3: true}\n".into(),
            "did you mean \"http2\"?",
        ),
        (
            "rate_limit: {interval: 1s, burst: 0}\n".into(),
            "burst must be 1 or more",
        ),
        (
            "rate_limit: {interval: soon}\n".into(),
            "expected a duration",
        ),
        (
            "roles:\n  ada: admin\n".into(),
            "web.yml:2:8: roles.ada: no user \"ada\" in basic_auth_users",
        ),
        (
            format!(
                "basic_auth_users: {{ada: {}}}\nroles: {{ada: root}}\n",
                hash("x")
            ),
            "unknown value \"root\"",
        ),
        (
            "trusted_proxies: {networks: [proxy]}\n".into(),
            "not a network: \"proxy\"",
        ),
        (
            "trusted_proxies: {user_header: \"a b\"}\n".into(),
            "not the name of a header",
        ),
        (
            "sessions: {lifetime: 0s}\n".into(),
            "must be more than zero",
        ),
    ] {
        let path = pki.write("web.yml", &text);
        let settings = settings(|settings| settings.web_config_file = Some(path.clone().into()));
        let error = Access::load(&settings)
            .err()
            .unwrap_or_else(|| panic!("no error in\n{text}"))
            .to_string();
        assert!(
            error.contains(expected),
            "{error}\nfor {expected} in\n{text}"
        );
        assert!(error.contains("web.yml:"), "{error}");
        assert!(
            !error.contains("doe"),
            "a password is no part of an error: {error}"
        );
    }
    let missing = settings(|settings| settings.web_config_file = Some(pki.path("gone.yml").into()));
    assert!(
        Access::load(&missing)
            .err()
            .unwrap()
            .to_string()
            .contains("gone.yml: No such file")
    );
}

#[test]
fn all_problems_come_at_once() {
    let pki = Pki::new();
    let text = "tls_server_config:\n  cert_file: gone.pem\n  key_file: gone.key\nbasic_auth_users:\n  a: b\n";
    let path = pki.write("web.yml", text);
    let settings = settings(|settings| settings.web_config_file = Some(path.into()));
    assert_eq!(
        Access::load(&settings)
            .err()
            .unwrap()
            .to_string()
            .matches("web.yml:")
            .count(),
        3
    );
}

#[tokio::test]
async fn tls_in_both_versions_and_no_plain_http() {
    let pki = Pki::new();
    let server = serve(&pki.tls("")).await;
    for versions in [ALL, &[&version::TLS12], &[&version::TLS13]] {
        let scrape_request = request("GET", "/metrics", &[], "");
        let reply = https(server.address, pki.client(None, versions), &scrape_request)
            .await
            .unwrap();
        assert!(reply.text().contains("test_took_seconds_count 3\n"));
    }
    let mut plain = connect(server.address).await;
    plain
        .write_all(request("GET", "/metrics", &[], "").as_bytes())
        .await
        .unwrap();
    assert!(!read_all(&mut plain).await.starts_with(b"HTTP/"));
    until("the failed handshake", || {
        server.stats.handshakes_failed() == 1
    })
    .await;
}

#[tokio::test]
async fn versions_may_be_narrowed() {
    let pki = Pki::new();
    let server = serve(&pki.tls("  min_version: TLS13\n")).await;
    let scrape_request = request("GET", "/metrics", &[], "");
    let old = pki.client(None, &[&version::TLS12]);
    assert!(https(server.address, old, &scrape_request).await.is_err());
    assert!(
        https(server.address, pki.client(None, ALL), &scrape_request)
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn a_handshake_that_does_not_come_is_cut() {
    let pki = Pki::new();
    let path = pki.tls("");
    let settings = settings(|settings| {
        settings.web_config_file = Some(path.into());
        settings.limits.header_timeout = bellwether_schema::HumanDuration::millis(100).into();
    });
    let server = run(settings, TestBackend::new(1)).await;
    let mut silent = connect(server.address).await;
    assert!(read_all(&mut silent).await.is_empty());
    assert_eq!(server.stats.closed_by_server()[&CloseReason::Header], 1);
}

#[tokio::test]
async fn http2_is_offered_and_may_be_turned_off() {
    let pki = Pki::new();
    for (more, version) in [
        ("", reqwest::Version::HTTP_2),
        (
            "http_server_config: {http2: false}\n",
            reqwest::Version::HTTP_11,
        ),
    ] {
        let server = serve(&pki.tls(more)).await;
        let mut tls = pki.client(None, ALL);
        tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .no_proxy()
            .build()
            .unwrap();
        let url = |path: &str| format!("https://localhost:{}{path}", server.address.port());
        let requests = (0..20).map(|_| client.get(url("/metrics")).send());
        let requests: Vec<_> = requests.map(tokio::spawn).collect();
        for reply in requests {
            let reply = soon("an answer", reply).await.unwrap().unwrap();
            assert_eq!((reply.status().as_u16(), reply.version()), (200, version));
            assert!(
                reply
                    .text()
                    .await
                    .unwrap()
                    .contains("test_took_seconds_count 3\n")
            );
        }
        let reload = client.post(url("/-/reload")).send().await.unwrap();
        assert_eq!(reload.status(), 200);
    }
}

/// Asks for /metrics on HTTP/2 with a window of zero bytes: the socket is never blocked, and yet
/// nothing can be sent.
async fn ask_with_closed_window(pki: &Pki, address: SocketAddr) -> impl Sized {
    let mut tls = pki.client(None, ALL);
    tls.alpn_protocols = vec![b"h2".to_vec()];
    let name = ServerName::try_from("localhost").unwrap();
    let connector = TlsConnector::from(Arc::new(tls));
    let mut stream = connector
        .connect(name, connect(address).await)
        .await
        .unwrap();
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    let settings = [0, 4, 0, 0, 0, 0];
    let head = [b"\x82\x87\x04\x08/metrics\x01\x09localhost".as_slice()].concat();
    for (kind, flags, id, payload) in [(4, 0, 0, &settings[..]), (1, 5, 1, &head)] {
        let length = u8::try_from(payload.len()).unwrap();
        bytes.extend([0, 0, length, kind, flags, 0, 0, 0, id]);
        bytes.extend(payload);
    }
    stream.write_all(&bytes).await.unwrap();
    stream
}

#[tokio::test]
async fn closed_windows_of_http2_leave_room_for_an_exposition() {
    let pki = Pki::new();
    let web = pki.tls("");
    let settings = settings(|settings| {
        settings.web_config_file = Some(web.into());
        settings.limits.max_concurrent_requests = 2.into();
    });
    let server = run(settings, TestBackend::new(20_000)).await;
    // One of the reserve too: a scrape of the same address has none left.
    let clients = [(); 3].map(|()| ask_with_closed_window(&pki, server.address));
    let mut open = Vec::new();
    for client in clients {
        open.push(client.await);
    }
    until("the responses", || {
        server
            .stats
            .requests()
            .values()
            .map(|r| r.count)
            .sum::<u64>()
            == 3
    })
    .await;
    let scrape_request = request("GET", "/metrics", &[], "");
    let reply = https(server.address, pki.client(None, ALL), &scrape_request)
        .await
        .unwrap();
    assert_eq!(reply.status, 200);
    assert_eq!(server.stats.closed_by_server()[&CloseReason::Evicted], 1);
}

#[tokio::test]
async fn client_certificates_decide() {
    let pki = Pki::new();
    pki.issue("scraper", &["scraper.example"], true);
    pki.issue("stranger", &["scraper.example"], false);
    let scrape_request = request("GET", "/metrics", &[], "");
    for (more, none, scraper, stranger) in [
        ("", true, true, true),
        ("  client_auth_type: RequestClientCert\n", true, true, true),
        (
            "  client_auth_type: RequireAnyClientCert\n",
            false,
            true,
            true,
        ),
        (
            "  client_auth_type: VerifyClientCertIfGiven\n  client_ca_file: ca.pem\n",
            true,
            true,
            false,
        ),
        (
            "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.pem\n",
            false,
            true,
            false,
        ),
        (
            "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.pem\n  \
             client_allowed_sans: [other.example, scraper.example]\n",
            false,
            true,
            false,
        ),
        (
            "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.pem\n  \
             client_allowed_sans: [example, scraper.example.org]\n",
            false,
            false,
            false,
        ),
    ] {
        let server = serve(&pki.tls(more)).await;
        for (name, passes) in [
            (None, none),
            (Some("scraper"), scraper),
            (Some("stranger"), stranger),
        ] {
            for versions in [&[&version::TLS12][..], &[&version::TLS13]] {
                let reply =
                    https(server.address, pki.client(name, versions), &scrape_request).await;
                assert_eq!(reply.is_ok(), passes, "{name:?} with{more}: {reply:?}");
            }
        }
    }
}

#[tokio::test]
async fn passwords_decide_and_health_is_exempt() {
    let pki = Pki::new();
    let users = format!("basic_auth_users:\n  alice: {}\n", hash("s3cret"));
    let server = serve(&pki.write("web.yml", &users)).await;
    for path in ["/metrics", "/api/v1/alerts", "/nothing"] {
        let reply = get(server.address, path, &[]).await;
        assert_eq!(reply.status, 401, "{path}");
        assert!(reply.header("www-authenticate").starts_with("Basic realm="));
        for (user, password) in [("alice", "wrong"), ("bob", "s3cret"), ("alice", "")] {
            let reply = get(server.address, path, &[&basic(user, password)]).await;
            assert_eq!(reply.status, 401, "{path} {user}");
        }
    }
    let right = basic("alice", "s3cret");
    assert_eq!(get(server.address, "/metrics", &[&right]).await.status, 200);
    assert_eq!(get(server.address, "/nothing", &[&right]).await.status, 404);
    for path in ["/-/healthy", "/-/ready", "/", "/alerts/0a1b"] {
        assert_eq!(get(server.address, path, &[]).await.status, 200, "{path}");
    }
    let reload = |extra: &[&str]| request("POST", "/-/reload", extra, "");
    assert_eq!(send(server.address, reload(&[])).await.status, 401);
    assert_eq!(
        send(server.address, reload(&[&right])).await.status,
        403,
        "that is for reading"
    );
    assert_eq!(server.stats.rejected_requests()["password"], 13);
}

#[tokio::test]
async fn a_token_stands_in_for_a_password() {
    let pki = Pki::new();
    let web = pki.write(
        "web.yml",
        &format!("basic_auth_users: {{alice: {}}}\n", hash("s3cret")),
    );
    let token = pki.write("token", "t0ken");
    let settings = settings(|settings| {
        settings.web_config_file = Some(web.into());
        settings.control.token_file = Some(token.into());
    });
    let server = run(settings, TestBackend::new(1)).await;
    let bearer = "authorization: Bearer t0ken";
    let reload = request("POST", "/-/reload", &[bearer], "");
    assert_eq!(send(server.address, reload).await.status, 200);
    assert_eq!(get(server.address, "/metrics", &[bearer]).await.status, 200);
    let wrong = "authorization: Bearer t0ke";
    assert_eq!(get(server.address, "/metrics", &[wrong]).await.status, 401);
}

#[tokio::test]
async fn headers_and_rate() {
    let pki = Pki::new();
    let web = "http_server_config: {headers: {X-Frame-Options: deny}}\n\
        rate_limit: {interval: 1h, burst: 2}\n";
    let server = serve(&pki.write("web.yml", web)).await;
    for expected in [200, 200, 429, 429] {
        let reply = get(server.address, "/metrics", &[]).await;
        assert_eq!(
            (reply.status, reply.header("x-frame-options")),
            (expected, "deny")
        );
    }
    assert_eq!(get(server.address, "/-/healthy", &[]).await.status, 200);
    assert_eq!(server.stats.rejected_requests()["rate"], 2);
}

#[tokio::test]
async fn a_reload_swaps_certificates_and_users() {
    let pki = Pki::new();
    let server = start().await;
    scrape(server.address).await;
    let load = |path: PathBuf| {
        Access::load(&settings(|settings| {
            settings.web_config_file = Some(path.into())
        }))
        .unwrap()
    };
    server.handle.apply(load(pki.tls("")));
    let scrape_request = request("GET", "/metrics", &[], "");
    https(server.address, pki.client(None, ALL), &scrape_request)
        .await
        .unwrap();
    // A certificate that this client does not trust distinguishes the old from the new.
    pki.issue("server", &["localhost"], false);
    https(server.address, pki.client(None, ALL), &scrape_request)
        .await
        .unwrap();
    server.handle.apply(load(pki.path("web.yml")));
    https(server.address, pki.client(None, ALL), &scrape_request)
        .await
        .unwrap_err();
}
