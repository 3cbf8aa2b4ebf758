//! Settings of the client of a server: timeout, certificate authorities and proxy.

use std::path::PathBuf;
use std::time::Duration;

use bellwether_schema::{Diagnostics, HumanDuration, Secret, SourceLocation, Spanned};
use reqwest::{Client, Url};

use super::error::HttpError;
use super::tls::read_client_config;

bellwether_schema::section! {
    /// Connections to a server.
    pub struct ClientSettings {
        /// Timeout of a request, including its response.
        pub timeout: HumanDuration = HumanDuration::secs(10),
        #[serde(flatten)]
        pub connection: Connection = Connection::default(),
    }
}

bellwether_schema::section! {
    /// Way to a server.
    pub struct Connection {
        /// PEM file with the only certificate authorities that are trusted for the server. By
        /// default those of the system.
        pub ca_file: Option<PathBuf> = None,
        /// Proxy that requests go through: `http://proxy:3128`. Never shown.
        pub proxy_url: Option<Spanned<Secret>> = None,
        /// If true, `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY` of the environment apply.
        pub proxy_from_environment: bool = false,
    }
}

impl Default for ClientSettings {
    fn default() -> Self {
        Self::with_timeout(HumanDuration::secs(10))
    }
}

impl ClientSettings {
    /// Returns the defaults with another timeout.
    #[must_use]
    pub fn with_timeout(timeout: HumanDuration) -> Self {
        Self {
            timeout,
            connection: Connection::default(),
        }
    }

    /// Validates the settings without files and network.
    pub fn check(&self, at: &SourceLocation, problems: &mut Diagnostics) {
        if self.timeout.is_zero() {
            problems.error(&at.key("timeout"), "must be longer than 0s");
        }
        self.connection.check(problems);
    }

    /// Creates a client for `url`. Reads files, so it runs on a blocking thread.
    ///
    /// # Errors
    /// Invalid settings, or a `ca_file` that cannot be read or has no certificate.
    pub fn client(&self, url: &Url) -> Result<Client, HttpError> {
        let connection = &self.connection;
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
        if !connection.proxy_from_environment {
            builder = builder.no_proxy();
        }
        if let Some(proxy) = &connection.proxy_url {
            let proxy = reqwest::Proxy::all(parse_url(proxy)?);
            builder = builder.proxy(proxy.map_err(|error| HttpError::Client(error.without_url()))?);
        }
        if let Some(path) = &connection.ca_file {
            builder = builder.tls_backend_preconfigured(read_client_config(path)?);
        } else if url.scheme() == "http" && connection.has_no_authorities() {
            // Reading the system's authorities costs time and memory, and hosts without any exist.
            builder = builder.tls_certs_only([]);
        }
        builder.build().map_err(HttpError::Client)
    }
}

impl Connection {
    /// Returns the settings of a client with this way.
    #[must_use]
    pub fn with_timeout(&self, timeout: Duration) -> ClientSettings {
        ClientSettings {
            timeout: HumanDuration(timeout),
            connection: self.clone(),
        }
    }

    /// Validates the settings without files and network.
    pub fn check(&self, problems: &mut Diagnostics) {
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

    /// Returns true if a client for `http` has no certificate authorities.
    pub(super) fn has_no_authorities(&self) -> bool {
        self.ca_file.is_none() && self.proxy_url.is_none() && !self.proxy_from_environment
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
