//! Keys of the web configuration file, with the names of exporter-toolkit.

use std::collections::BTreeMap;
use std::path::PathBuf;

use bellwether_schema::{
    Diagnostics, HumanDuration, Secret, SourceLocation, Spanned, section, string_enum,
};
use hyper::header::{HeaderName, HeaderValue};

use crate::auth::role::Role;

section! {
    /// TLS and users, in the format of Prometheus's exporter-toolkit.
    pub struct WebConfig {
        /// TLS of the server; without it, plain HTTP.
        pub tls_server_config: Option<Spanned<TlsServer>> = None,
        /// Details of HTTP.
        pub http_server_config: HttpServer = HttpServer::default(),
        /// Users: name to bcrypt hash of the password. With users, everything but the health
        /// endpoints and the files of the web page needs a password, a session or a token.
        pub basic_auth_users: BTreeMap<String, Spanned<Secret>> = BTreeMap::new(),
        /// Roles: name of a user to `viewer`, `operator` or `admin`. A user without one is a viewer.
        pub roles: BTreeMap<String, Spanned<Role>> = BTreeMap::new(),
        /// Sessions of users who log in on the web page.
        pub sessions: Spanned<SessionSettings> = Spanned::nowhere(SessionSettings::default()),
        /// Reverse proxies that log users in themselves.
        pub trusted_proxies: TrustedProxies = TrustedProxies::default(),
        /// Rate limit of requests.
        pub rate_limit: Option<Spanned<RateLimit>> = None,
    }
}

section! {
    /// Certificate of the server, and the verification of client certificates.
    pub struct TlsServer {
        /// Certificate chain, PEM.
        pub cert_file: Option<Spanned<PathBuf>> = None,
        /// Its private key, PEM.
        pub key_file: Option<Spanned<PathBuf>> = None,
        /// Certificate chain, PEM, in place of `cert_file`.
        pub cert: Option<Spanned<Secret>> = None,
        /// Private key, PEM, in place of `key_file`.
        pub key: Option<Spanned<Secret>> = None,
        /// Verification of client certificates. Only `RequireAndVerifyClientCert` is secure.
        pub client_auth_type: Spanned<ClientAuth> = Spanned::nowhere(ClientAuth::None),
        /// Certificate authorities of the clients' certificates, PEM.
        pub client_ca_file: Option<Spanned<PathBuf>> = None,
        /// Certificate authorities, PEM, in place of `client_ca_file`.
        pub client_ca: Option<Spanned<Secret>> = None,
        /// Subject alternative names, of which a client's certificate must have one: DNS, IP,
        /// e-mail or URI.
        pub client_allowed_sans: Option<Spanned<Vec<String>>> = None,
        /// Oldest version of TLS.
        pub min_version: Version = Version::Tls12,
        /// Newest version of TLS.
        pub max_version: Spanned<Version> = Spanned::nowhere(Version::Tls13),
        /// Cipher suites of TLS 1.2. Empty for all that are secure; those of TLS 1.3 are fixed.
        pub cipher_suites: Spanned<Vec<Suite>> = Spanned::nowhere(Vec::new()),
        /// Prefer the server's order of cipher suites to the client's.
        pub prefer_server_cipher_suites: bool = true,
        /// Curves of the key exchange in order of preference. Empty for the built-in order.
        pub curve_preferences: Vec<Curve> = Vec::new(),
    }
}

section! {
    /// Details of HTTP.
    pub struct HttpServer {
        /// Offer HTTP/2 over TLS.
        pub http2: bool = true,
        /// Headers put on every answer.
        pub headers: BTreeMap<String, Spanned<String>> = BTreeMap::new(),
    }
}

section! {
    /// Times of a session. It also ends with the password of its user, and with the process.
    pub struct SessionSettings {
        /// Time from the login to the end.
        pub lifetime: HumanDuration = HumanDuration::minutes(12 * 60),
        /// Time without a request after which it ends. A web page that is open sends requests.
        pub idle_timeout: HumanDuration = HumanDuration::minutes(60),
    }
}

section! {
    /// Reverse proxies whose word counts: they name the user, and the client in `X-Forwarded-For`.
    /// They must replace these headers of their clients.
    pub struct TrustedProxies {
        /// Addresses of the proxies, such as `10.0.0.5/32`. All users of a shared host can claim to
        /// be any user if its address is among them.
        pub networks: Vec<Spanned<String>> = Vec::new(),
        /// Header with the name of the user, whose role is in `roles`.
        pub user_header: Spanned<String> = Spanned::nowhere("X-Forwarded-User".to_owned()),
    }
}

section! {
    /// Token bucket for each client address: it holds `burst` requests and gains one each
    /// `interval`. Health endpoints are exempt.
    pub struct RateLimit {
        /// Time in which one more request is allowed; 0 for no limit.
        pub interval: HumanDuration = HumanDuration::secs(0),
        /// Requests allowed at once.
        pub burst: u32 = 0,
    }
}

string_enum! {
    /// Verification of client certificates, with the names of Go.
    pub enum ClientAuth {
        /// No certificate is requested.
        None = "NoClientCert",
        /// A certificate is optional and not verified.
        Request = "RequestClientCert",
        /// A certificate is required and not verified.
        RequireAny = "RequireAnyClientCert" | "RequireClientCert",
        /// A certificate is optional and verified.
        VerifyIfGiven = "VerifyClientCertIfGiven",
        /// A certificate is required and verified.
        RequireAndVerify = "RequireAndVerifyClientCert",
    }
}

string_enum! {
    /// Versions of TLS.
    pub enum Version {
        /// 1.2.
        Tls12 = "TLS12",
        /// 1.3.
        Tls13 = "TLS13",
    }
}

string_enum! {
    /// Cipher suites, with the names of Go.
    pub enum Suite {
        /// ECDSA, AES-128.
        EcdsaAes128 = "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        /// ECDSA, AES-256.
        EcdsaAes256 = "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
        /// ECDSA, ChaCha20.
        EcdsaChacha = "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256" | "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305",
        /// RSA, AES-128.
        RsaAes128 = "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        /// RSA, AES-256.
        RsaAes256 = "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
        /// RSA, ChaCha20.
        RsaChacha = "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256" | "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305",
        /// TLS 1.3, always on.
        Aes128 = "TLS_AES_128_GCM_SHA256",
        /// TLS 1.3, always on.
        Aes256 = "TLS_AES_256_GCM_SHA384",
        /// TLS 1.3, always on.
        Chacha = "TLS_CHACHA20_POLY1305_SHA256",
    }
}

string_enum! {
    /// Curves, with the names of Go.
    pub enum Curve {
        /// X25519.
        X25519 = "X25519",
        /// P-256.
        P256 = "CurveP256",
        /// P-384.
        P384 = "CurveP384",
    }
}

impl SessionSettings {
    pub(super) fn check(&self, at: &SourceLocation, problems: &mut Diagnostics) {
        if self.lifetime.is_zero() || self.idle_timeout.is_zero() {
            problems
                .error(at, "lifetime and idle_timeout must be more than zero")
                .hint("such as {lifetime: 8h, idle_timeout: 15m}");
        }
    }
}

impl WebConfig {
    /// Paths in the configuration, as written.
    pub(super) fn files(&self) -> impl Iterator<Item = &PathBuf> {
        self.tls_server_config.iter().flat_map(|tls| {
            [&tls.cert_file, &tls.key_file, &tls.client_ca_file]
                .into_iter()
                .flatten()
                .map(|file| &file.value)
        })
    }
}

/// Headers that may be set, with their allowed values; no values for any.
const HEADERS: [(&str, &[&str]); 5] = [
    ("Content-Security-Policy", &[]),
    ("Strict-Transport-Security", &[]),
    ("X-Content-Type-Options", &["nosniff"]),
    ("X-Frame-Options", &["deny", "sameorigin"]),
    ("X-XSS-Protection", &[]),
];

/// Parses the headers of every response.
pub(super) fn headers(
    http: &HttpServer,
    problems: &mut Diagnostics,
) -> Vec<(HeaderName, HeaderValue)> {
    let mut headers = Vec::new();
    for (name, value) in &http.headers {
        let Some((_, values)) = HEADERS.iter().find(|(allowed, _)| allowed == name) else {
            let names: Vec<&str> = HEADERS.iter().map(|(name, _)| *name).collect();
            problems
                .error(&value.at, format!("header {name:?} cannot be set"))
                .hint(format!("one of {}", names.join(", ")));
            continue;
        };
        if value.is_empty() {
            continue;
        }
        if !values.is_empty() && !values.contains(&value.as_str()) {
            problems
                .error(&value.at, format!("unknown value {:?}", **value))
                .hint(format!("one of {}", values.join(", ")));
            continue;
        }
        match (name.parse(), HeaderValue::from_str(value)) {
            (Ok(name), Ok(value)) => headers.push((name, value)),
            _ => {
                problems.error(&value.at, "not a header value: it holds control characters");
            }
        }
    }
    headers
}
