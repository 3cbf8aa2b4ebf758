//! HTTP requests to a running Bellwether.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context, bail};
use bellwether_files as files;
use bellwether_http::{client_config, error_chain, read_secret};
use bellwether_schema::Secret;
use bellwether_server::{Access, Prometheus, read_token};
use clap::Args;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::{Method, Url};
use serde_json::Value;
use tokio::runtime::Runtime;

use super::Global;
use super::hosts::Host;

/// Address and credentials of a Bellwether.
#[derive(Args)]
#[command(next_help_heading = "Connection")]
pub(super) struct Target {
    /// Address of the Bellwether, such as host:9091 or https://host:9091. Default:
    /// `BELLWETHER_URL`, else the address in the configuration.
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// User name for basic authentication; needs --password-file.
    #[arg(long, value_name = "NAME", requires = "password_file")]
    user: Option<String>,
    /// File with the password of --user.
    #[arg(long = "password-file", value_name = "FILE", requires = "user")]
    password_file: Option<PathBuf>,
    /// PEM file with the CA certificates to trust, or with the server's own if it is self-signed.
    #[arg(long = "ca-file", value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Do not verify the server's certificate. An attacker on the network can then read and change
    /// all traffic.
    #[arg(long, conflicts_with = "ca_file")]
    insecure: bool,
    /// File with the token for requests that change state (`prometheus.control.token_file` of the
    /// server). Default: `BELLWETHER_TOKEN_FILE`; without --url, else the file that the
    /// configuration names.
    #[arg(long = "token-file", value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Server settings of the configuration, once they were read.
    #[arg(skip)]
    configured: OnceLock<Prometheus>,
    /// Connection to the server, once a request was sent.
    #[arg(skip)]
    link: OnceLock<Link>,
}

/// Connection to a Bellwether, for all requests of a command.
struct Link {
    address: Url,
    /// True for the Unix socket, which needs no credentials.
    local: bool,
    client: reqwest::Client,
    runtime: Runtime,
}

/// HTTP request.
struct Request<'a> {
    method: Method,
    path: &'a str,
    body: Option<&'a Value>,
    timeout: Duration,
}

/// Status code and body of a response.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: String,
}

/// Returns a variable of the environment unless it is empty.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

impl Target {
    /// Returns the target for a host of many; the flags are for those that have no settings of their own.
    pub(super) fn of_host(&self, host: &Host) -> Self {
        let own = &host.credentials;
        let ca_file = own.ca_file.clone().or_else(|| self.ca_file.clone());
        // Whoever names certificates speaks TLS.
        let is_tls = ca_file.is_some() || self.insecure;
        Self {
            url: Some(host.url(if is_tls { "https" } else { "http" })),
            user: own.user.clone().or_else(|| self.user.clone()),
            password_file: own
                .password_file
                .clone()
                .or_else(|| self.password_file.clone()),
            insecure: self.insecure && ca_file.is_none(),
            ca_file,
            token_file: own.token_file.clone().or_else(|| self.token_file.clone()),
            configured: OnceLock::new(),
            link: OnceLock::new(),
        }
    }

    fn given_url(&self) -> Option<String> {
        self.url.clone().or_else(|| variable("BELLWETHER_URL"))
    }

    /// Returns whether an address was given.
    pub(super) fn is_named(&self) -> bool {
        self.given_url().is_some()
    }

    /// Returns the base URL without a trailing slash.
    fn address(&self, global: &Global) -> anyhow::Result<Url> {
        if let Some(url) = self.given_url() {
            return parse_url(&url);
        }
        let web = self.configured(global)?;
        let host = match web.host.as_str() {
            "0.0.0.0" => "127.0.0.1".to_owned(),
            "::" => "[::1]".to_owned(),
            ipv6 if ipv6.contains(':') => format!("[{ipv6}]"),
            host => host.to_owned(),
        };
        // A user who may not read the files of the server most likely may not read its key.
        let tls = Access::load(web).map_or(web.web_config_file.is_some(), |web| web.is_tls());
        let scheme = if tls { "https" } else { "http" };
        Ok(Url::parse(&format!("{scheme}://{host}:{}", web.port))?)
    }

    /// Returns the Unix socket of the Bellwether on this host, if the configuration names one that
    /// this user may open.
    fn socket(&self, global: &Global) -> anyhow::Result<Option<PathBuf>> {
        if self.is_named() {
            return Ok(None);
        }
        let socket = self.configured(global)?.control.socket.as_ref();
        let path = socket.map(|socket| socket.value.path.clone());
        Ok(path.filter(|path| std::os::unix::net::UnixStream::connect(path).is_ok()))
    }

    /// Sends a GET request for `path`.
    pub(super) fn get(&self, global: &Global, path: &str) -> anyhow::Result<Answer> {
        self.get_within(global, path, Duration::from_secs(10))
    }

    /// Sends a GET request for `path` with a timeout.
    pub(super) fn get_within(
        &self,
        global: &Global,
        path: &str,
        timeout: Duration,
    ) -> anyhow::Result<Answer> {
        self.send(
            global,
            &Request {
                method: Method::GET,
                path,
                body: None,
                timeout,
            },
        )
    }

    /// Sends `method` to `path`, with a JSON body if there is one.
    pub(super) fn change(
        &self,
        global: &Global,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<Answer> {
        let timeout = Duration::from_secs(10);
        self.send(
            global,
            &Request {
                method,
                path,
                body,
                timeout,
            },
        )
    }

    /// Returns the `Authorization` header: the token for a request that changes state, else user
    /// and password.
    fn authorization(
        &self,
        global: &Global,
        method: &Method,
    ) -> anyhow::Result<Option<HeaderValue>> {
        let token_file = self
            .token_file
            .clone()
            .or_else(|| variable("BELLWETHER_TOKEN_FILE").map(PathBuf::from))
            .or_else(|| match self.given_url() {
                Some(_) => None,
                None => self.configured(global).ok()?.control.token_file.clone(),
            });
        let credentials = match (&token_file, &self.user, &self.password_file) {
            (Some(file), ..) if *method != Method::GET => format!("Bearer {}", token(file)?),
            (_, Some(user), Some(file)) => {
                let password = read_secret(file)
                    .map_err(|error| anyhow::anyhow!("--password-file: {error}"))?;
                basic(&format!("{user}:{}", password.expose()))
            }
            _ => return Ok(None),
        };
        let mut value = HeaderValue::from_str(&credentials)?;
        value.set_sensitive(true);
        Ok(Some(value))
    }

    fn client(&self, socket: Option<PathBuf>) -> anyhow::Result<reqwest::Client> {
        let mut client = reqwest::Client::builder().no_proxy();
        if let Some(socket) = socket {
            client = client.unix_socket(socket);
        }
        if let Some(file) = &self.ca_file {
            let pem = files::read(file, files::SMALL)
                .with_context(|| format!("--ca-file: cannot read {}", file.display()))?;
            let config = client_config(&pem)
                .map_err(|error| anyhow::anyhow!("--ca-file {}: {error}", file.display()))?;
            client = client.tls_backend_preconfigured(config);
        } else if self.insecure {
            static WARNED: std::sync::Once = std::sync::Once::new();
            WARNED.call_once(|| {
                eprintln!("warning: --insecure: the certificate of the server is not verified");
            });
            client = client.tls_danger_accept_invalid_certs(true);
        }
        Ok(client.build()?)
    }

    /// Returns the server settings of the configuration. Other parts may be invalid, or use
    /// variables that only the service has.
    fn configured(&self, global: &Global) -> anyhow::Result<&Prometheus> {
        if let Some(configured) = self.configured.get() {
            return Ok(configured);
        }
        let root = global.settings()?;
        Ok(self
            .configured
            .get_or_init(|| root.performance_monitor.value.prometheus))
    }

    fn link(&self, global: &Global) -> anyhow::Result<&Link> {
        if let Some(link) = self.link.get() {
            return Ok(link);
        }
        let socket = self.socket(global)?;
        let link = Link {
            address: match socket {
                Some(_) => Url::parse("http://localhost")?,
                None => self.address(global)?,
            },
            local: socket.is_some(),
            client: self.client(socket)?,
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?,
        };
        Ok(self.link.get_or_init(|| link))
    }

    fn send(&self, global: &Global, request: &Request<'_>) -> anyhow::Result<Answer> {
        let Request {
            method,
            path,
            body,
            timeout,
        } = request;
        let Link {
            address,
            local,
            client,
            runtime,
        } = self.link(global)?;
        let authorization = match local {
            true => None,
            false => self.authorization(global, method)?,
        };
        let url = format!("{}{path}", address.as_str().trim_end_matches('/'));
        let mut request = client.request(method.clone(), url).timeout(*timeout);
        if let Some(body) = body {
            request = request
                .header("content-type", "application/json")
                .body(body.to_string());
        }
        if let Some(authorization) = authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let answer = runtime
            .block_on(async {
                let response = request.send().await?;
                let status = response.status().as_u16();
                Ok(Answer {
                    status,
                    body: response.text().await?,
                })
            })
            .map_err(|error| unanswered(address, *timeout, error))?;
        match answer.status {
            // A missing or wrong token is said by the server itself.
            401 if answer.body.contains("token") => Ok(answer),
            401 if self.user.is_none() && address.password().is_none() => bail!(
                "{} wants a user and a password; hint: --user NAME --password-file FILE",
                shown(address)
            ),
            401 => bail!("{} rejected the user or the password", shown(address)),
            _ => Ok(answer),
        }
    }
}

/// Parses a URL; the default scheme is HTTP.
fn parse_url(text: &str) -> anyhow::Result<Url> {
    let text = text.trim();
    let whole = if text.contains("://") {
        text.to_owned()
    } else {
        format!("http://{text}")
    };
    bellwether_http::parse_url(&Secret::new(whole))
        .map_err(|reason| anyhow::anyhow!("--url: {reason}; hint: host:9091 or https://host:9091"))
}

/// Formats a URL without user and password.
fn shown(url: &Url) -> String {
    let mut url = url.clone();
    url.set_username("").ok();
    url.set_password(None).ok();
    url.as_str().trim_end_matches('/').to_owned()
}

/// Formats a connection error with its likely cause.
fn unanswered(address: &Url, timeout: Duration, error: reqwest::Error) -> anyhow::Error {
    let place = shown(address);
    let timed_out = error.is_timeout();
    let error = error.without_url();
    let reason = error_chain(&error);
    let lower = reason.to_ascii_lowercase();
    let hint = if timed_out {
        return anyhow::anyhow!(
            "no answer from {place} within {} s; hint: is the address right, and does a firewall drop it?",
            timeout.as_secs()
        );
    } else if lower.contains("connection refused") {
        "nothing listens there: is it running? (bellwether run, or systemctl status bellwether); \
         --url names another address"
    } else if lower.contains("invalid peer certificate") {
        "the certificate is not trusted: --ca-file FILE with its authority or, if it is self-signed, with itself"
    } else if address.scheme() == "https" && error.is_connect() {
        "TLS failed: does the server speak https there? http:// in --url if not"
    } else if address.scheme() == "http" && !error.is_connect() {
        "something listens there, but does not answer in HTTP: https:// in --url if it serves TLS, or another port"
    } else if lower.contains("dns") || lower.contains("lookup") {
        "the name is not known: check --url"
    } else {
        "is it running there? --url names another address"
    };
    anyhow::anyhow!("no answer from {place}: {reason}; hint: {hint}")
}

fn token(file: &Path) -> anyhow::Result<String> {
    read_token(file).map_err(|error| {
        anyhow::anyhow!(
            "no token: {error}; hint: give --token-file a file that this user may read and that \
             holds the token of prometheus.control.token_file"
        )
    })
}

/// Formats an `Authorization` header for `user:password` (RFC 7617).
fn basic(pair: &str) -> String {
    use base64::Engine;
    format!(
        "Basic {}",
        base64::engine::general_purpose::STANDARD.encode(pair)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_needs_no_scheme_and_is_shown_without_its_password() {
        for (text, url) in [
            ("localhost:9391", "http://localhost:9391"),
            ("http://h:1/", "http://h:1"),
            ("https://user:pass@h:1/sub/", "https://h:1/sub"),
            ("[::1]:9091", "http://[::1]:9091"),
            ("10.0.0.1", "http://10.0.0.1"),
        ] {
            assert_eq!(shown(&parse_url(text).unwrap()), url, "{text}");
        }
        for (text, error) in [("ftp://h", "not an HTTP URL"), ("http://", "not a URL")] {
            let found = parse_url(text).unwrap_err().to_string();
            assert!(found.contains(error), "{text}: {found}");
        }
    }
}
