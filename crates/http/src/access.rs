//! Access to an HTTP server: address, TLS, authorization and headers.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bellwether_files as files;
use bellwether_schema::{Diagnostics, HumanDuration, Secret, SourceLocation, Spanned};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, RequestBuilder, Url};

use super::error::HttpError;
use super::tls::client_config;

bellwether_schema::section! {
    /// User and password of a receiver.
    pub struct BasicAuth {
        /// User name.
        pub username: String,
        /// Password.
        pub password: Option<Secret>,
        /// File that holds the password; read again for each request.
        pub password_file: Option<PathBuf>,
    }
}

/// HTTP settings of the section that has these keys.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// Further headers.
    pub headers: BTreeMap<String, Spanned<Secret>>,
    /// Token sent as `Authorization: Bearer`.
    pub bearer_token: Option<Secret>,
    /// File that holds the token; read again for each request.
    pub bearer_token_file: Option<PathBuf>,
    /// User and password.
    pub basic_auth: Option<BasicAuth>,
    /// Timeout of a request, including its response.
    pub timeout: HumanDuration,
    /// PEM file with the only authorities the receiver's certificate is checked against.
    pub ca_file: Option<PathBuf>,
    /// Proxy of all requests.
    pub proxy_url: Option<Spanned<Secret>>,
    /// If true, the proxies of the environment apply.
    pub proxy_from_environment: bool,
}

impl Access {
    /// Validates the settings without files and network.
    pub fn check(&self, at: &SourceLocation, problems: &mut Diagnostics) {
        self.check_authorization(at, problems);
        for (name, value) in &self.headers {
            if HeaderName::try_from(name).is_err() {
                problems.error(&value.at, format!("not a header name: {name:?}"));
            } else if HeaderValue::from_str(value.expose()).is_err() {
                problems.error(&value.at, format!("not a header value: that of {name:?}"));
            }
        }
        if self.timeout.is_zero() {
            problems.error(&at.key("timeout"), "must be longer than 0s");
        }
        if let Some(proxy) = &self.proxy_url {
            if let Err(reason) = parse_url(proxy) {
                problems
                    .error(&proxy.at, reason)
                    .hint("such as http://proxy:3128");
            }
            if self.proxy_from_environment {
                problems
                    .error(&proxy.at, "both `proxy_url` and `proxy_from_environment`")
                    .hint("keep one");
            }
        }
    }

    fn check_authorization(&self, at: &SourceLocation, problems: &mut Diagnostics) {
        let header = self
            .headers
            .keys()
            .any(|name| name.eq_ignore_ascii_case("authorization"));
        let kinds = [
            header,
            self.bearer_token.is_some(),
            self.bearer_token_file.is_some(),
            self.basic_auth.is_some(),
        ];
        if kinds.into_iter().filter(|is_set| *is_set).count() > 1 {
            problems
                .error(at, "more than one kind of authorization")
                .hint(
                    "keep one of `bearer_token`, `bearer_token_file`, `basic_auth` and the header",
                );
        }
        if let Some(basic) = &self.basic_auth
            && basic.password.is_some()
            && basic.password_file.is_some()
        {
            problems
                .error(&at.key("basic_auth"), "both `password` and `password_file`")
                .hint("keep one");
        }
    }

    /// Creates a client for `url`. Reads files, so it runs on a blocking thread.
    ///
    /// # Errors
    /// Invalid settings, or a `ca_file` that cannot be read or has no certificate.
    pub fn client(&self, url: &Url) -> Result<Client, HttpError> {
        // Fails only where the process has a provider already.
        rustls::crypto::ring::default_provider()
            .install_default()
            .ok();
        let mut builder = Client::builder()
            .timeout(*self.timeout)
            // By itself it would turn a POST into a GET; see `Client`.
            .redirect(reqwest::redirect::Policy::none())
            // Who sends is the only one that tries again, so that each attempt counts.
            .retry(reqwest::retry::never())
            .pool_max_idle_per_host(1)
            .user_agent(concat!("bellwether/", env!("CARGO_PKG_VERSION")));
        if !self.proxy_from_environment {
            builder = builder.no_proxy();
        }
        if let Some(proxy) = &self.proxy_url {
            let proxy = reqwest::Proxy::all(parse_url(proxy)?);
            builder = builder.proxy(proxy.map_err(|error| HttpError::Client(error.without_url()))?);
        }
        if let Some(path) = &self.ca_file {
            let pem = files::read(path, files::SMALL)
                .map_err(|error| HttpError::in_ca_file(path, error))?;
            let config = client_config(&pem).map_err(|error| HttpError::in_ca_file(path, error))?;
            builder = builder.tls_backend_preconfigured(config);
        } else if url.scheme() == "http" && self.has_no_authorities() {
            // Reading the system's authorities costs time and memory, and hosts without any exist.
            builder = builder.tls_certs_only([]);
        }
        builder.build().map_err(HttpError::Client)
    }

    /// Returns true if a client for `http` has no certificate authorities.
    pub(super) fn has_no_authorities(&self) -> bool {
        self.ca_file.is_none() && self.proxy_url.is_none() && !self.proxy_from_environment
    }

    /// Returns the configured headers.
    ///
    /// # Errors
    /// An invalid header; its value is not shown.
    pub fn header_map(&self) -> Result<HeaderMap, HttpError> {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            let invalid = || HttpError::InvalidHeader(name.clone());
            let mut value = HeaderValue::from_str(value.expose()).map_err(|_| invalid())?;
            value.set_sensitive(true);
            headers.insert(HeaderName::try_from(name).map_err(|_| invalid())?, value);
        }
        Ok(headers)
    }

    /// Adds the authorization to `request`; files with secrets are read each time.
    ///
    /// # Errors
    /// A file with a secret cannot be read.
    pub async fn authorize(&self, request: RequestBuilder) -> Result<RequestBuilder, HttpError> {
        if let Some(token) = &self.bearer_token {
            return Ok(request.bearer_auth(token.expose()));
        }
        if let Some(path) = &self.bearer_token_file {
            return Ok(request.bearer_auth(reread_secret(path.clone()).await?.expose()));
        }
        let Some(basic) = &self.basic_auth else {
            return Ok(request);
        };
        let password = match &basic.password_file {
            Some(path) => Some(reread_secret(path.clone()).await?),
            None => basic.password.clone(),
        };
        Ok(request.basic_auth(&basic.username, password.as_ref().map(Secret::expose)))
    }
}

/// Parses an HTTP URL.
///
/// # Errors
/// The reason why it is not an HTTP URL, without the URL.
pub fn parse_url(text: &Secret) -> Result<Url, HttpError> {
    let url = Url::parse(text.expose().trim())
        .map_err(|error| HttpError::InvalidUrl(error.to_string()))?;
    match url.scheme() {
        "http" | "https" => Ok(url),
        other => Err(HttpError::Scheme(other.to_owned())),
    }
}

/// Reads a secret from a file, without trailing line ends. Blocks.
///
/// # Errors
/// The file cannot be read.
pub fn read_secret(path: &Path) -> Result<Secret, HttpError> {
    match files::read_text(path, files::SMALL) {
        Ok(text) => Ok(Secret::new(text.trim_end_matches(['\r', '\n']))),
        Err(error) => Err(HttpError::SecretFile {
            path: path.to_owned(),
            error,
        }),
    }
}

/// Reads a secret from a file that may be replaced at any time.
async fn reread_secret(path: PathBuf) -> Result<Secret, HttpError> {
    match tokio::task::spawn_blocking(move || read_secret(&path)).await {
        Ok(read) => read,
        Err(_) => Err(HttpError::Aborted),
    }
}
