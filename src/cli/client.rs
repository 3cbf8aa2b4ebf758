//! HTTP requests to a Bellwether: flags of the connection ([`Target`]), the address that they lead to,
//! and a [`Client`] for it.

mod address;
mod failure;
mod live;

use std::path::{Path, PathBuf};
use std::sync::{Once, OnceLock};
use std::time::Duration;

use anyhow::Context;
use bellwether_files as files;
use bellwether_http::{client_config, read_secret};
use bellwether_server::read_token;
use clap::Args;
use reqwest::header::{AUTHORIZATION, HeaderValue, SERVER};
use reqwest::{Method, RequestBuilder};
use serde_json::Value;
use tokio::runtime::Runtime;

use super::Global;
use super::hosts::Host;
pub(super) use address::Address;
use address::Origin;
pub(super) use failure::Failure;
pub(super) use live::{LiveError, LiveSocket};

/// Timeout of a request.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Flags of the connection to a Bellwether.
#[derive(Args, Default)]
#[command(next_help_heading = "Connection")]
pub(super) struct Target {
    /// Address of the Bellwether, such as host:9091 or https://host:9091. Default:
    /// `BELLWETHER_URL`, else the agent that runs on this host, else the address in the
    /// configuration.
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
    /// server). Default: `BELLWETHER_TOKEN_FILE`; without --url, else the file of the agent on this
    /// host.
    #[arg(long = "token-file", value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Client of the default address, once a request was sent.
    #[arg(skip)]
    client: OnceLock<Client>,
}

/// Client of one Bellwether. One request is sent at a time.
pub(super) struct Client {
    address: Address,
    credentials: Credentials,
    http: reqwest::Client,
    runtime: Runtime,
}

/// Files with what a request is authorized by.
struct Credentials {
    /// User and file with the password.
    user: Option<(String, PathBuf)>,
    token_file: Option<PathBuf>,
}

/// HTTP request.
pub(super) struct Request<'a> {
    pub(super) method: Method,
    pub(super) path: &'a str,
    pub(super) body: Option<&'a Value>,
    pub(super) timeout: Duration,
}

impl<'a> Request<'a> {
    /// Creates a GET request for `path`.
    pub(super) fn get(path: &'a str) -> Self {
        Self {
            method: Method::GET,
            path,
            body: None,
            timeout: TIMEOUT,
        }
    }
}

/// Response to a request.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: String,
    /// Address that answered, as text.
    place: String,
    /// Name of the server software, if it tells.
    server: Option<String>,
}

impl Answer {
    /// Returns whether no API of Bellwether or Prometheus sends such a response.
    pub(super) fn is_foreign(&self) -> bool {
        let body = serde_json::from_str::<Value>(&self.body);
        !body.is_ok_and(|body| body["status"].is_string())
    }

    /// Returns the error of a response that no Bellwether sends to a request for `path`.
    pub(super) fn foreign(&self, path: &str) -> anyhow::Error {
        failure::foreign(self, path).into()
    }
}

/// Creates a client of the Bellwether at `address`, with the credentials and certificates of `target`.
/// Sends nothing.
///
/// # Errors
/// A file with certificates is invalid.
pub(super) fn connect(target: &Target, address: Address) -> anyhow::Result<Client> {
    let user = target.user.clone().zip(target.password_file.clone());
    let token_file = target
        .token_file
        .clone()
        .or_else(|| variable("BELLWETHER_TOKEN_FILE").map(PathBuf::from))
        .or_else(|| address.token_file.clone());
    Ok(Client {
        credentials: Credentials { user, token_file },
        http: target.http_client(&address)?,
        runtime: tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?,
        address,
    })
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
            client: OnceLock::new(),
        }
    }

    /// Returns the same target with a connection of its own: an agent that was started again may be at another
    /// address.
    pub(super) fn afresh(&self) -> Self {
        Self {
            url: self.url.clone(),
            user: self.user.clone(),
            password_file: self.password_file.clone(),
            ca_file: self.ca_file.clone(),
            insecure: self.insecure,
            token_file: self.token_file.clone(),
            client: OnceLock::new(),
        }
    }

    /// Returns the address of `--url`, else of `BELLWETHER_URL`.
    fn given(&self) -> Option<(String, Origin)> {
        let flag = self.url.clone().map(|url| (url, Origin::Flag));
        flag.or_else(|| Some((variable("BELLWETHER_URL")?, Origin::Variable)))
    }

    /// Returns whether an address was given.
    pub(super) fn is_named(&self) -> bool {
        self.given().is_some()
    }

    /// Returns the address to use: the given one, that of the agent on this host, or that of the
    /// configuration.
    fn address(&self, global: &Global) -> anyhow::Result<Address> {
        match self.given() {
            Some((url, origin)) => Address::parse(&url, origin),
            None => Address::of_host(global),
        }
    }

    /// Returns the client of the default address.
    ///
    /// # Errors
    /// There is no address, or a file with certificates is invalid.
    pub(super) fn client(&self, global: &Global) -> anyhow::Result<&Client> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let client = connect(self, self.address(global)?)?;
        Ok(self.client.get_or_init(|| client))
    }

    /// Sends a GET request for `path`.
    pub(super) fn get(&self, global: &Global, path: &str) -> anyhow::Result<Answer> {
        self.client(global)?.send(&Request::get(path))
    }

    /// Sends a GET request for `path` with a timeout.
    pub(super) fn get_within(
        &self,
        global: &Global,
        path: &str,
        timeout: Duration,
    ) -> anyhow::Result<Answer> {
        let request = Request {
            timeout,
            ..Request::get(path)
        };
        self.client(global)?.send(&request)
    }

    /// Sends `method` to `path`, with a JSON body if there is one.
    pub(super) fn change(
        &self,
        global: &Global,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<Answer> {
        let request = Request {
            method,
            body,
            ..Request::get(path)
        };
        self.client(global)?.send(&request)
    }

    fn http_client(&self, address: &Address) -> anyhow::Result<reqwest::Client> {
        static WARNING: Once = Once::new();
        // A WebSocket needs HTTP/1.1, and nothing here needs another version.
        let mut client = reqwest::Client::builder().no_proxy().http1_only();
        if let Some(socket) = address.socket.clone() {
            client = client.unix_socket(socket);
        }
        if let Some(file) = &self.ca_file {
            let pem = files::read(file, files::SMALL)
                .with_context(|| format!("--ca-file: cannot read {}", file.display()))?;
            let mut config = client_config(&pem)
                .map_err(|error| anyhow::anyhow!("--ca-file {}: {error}", file.display()))?;
            config.alpn_protocols = vec![b"http/1.1".to_vec()];
            client = client.tls_backend_preconfigured(config);
        } else if self.insecure {
            WARNING.call_once(|| {
                eprintln!("warning: --insecure: the certificate of the server is not verified");
            });
            client = client.tls_danger_accept_invalid_certs(true);
        } else if !address.is_tls() {
            // Reading the system's authorities costs time, and hosts without any exist.
            client = client.tls_certs_only([]);
        }
        Ok(client.build()?)
    }
}

impl Credentials {
    /// Returns the `Authorization` header: the token for a request that changes state, else user
    /// and password.
    fn header(&self, method: &Method) -> anyhow::Result<Option<HeaderValue>> {
        let credentials = match (&self.token_file, &self.user) {
            (Some(file), _) if *method != Method::GET => format!("Bearer {}", token(file)?),
            (_, Some((user, file))) => {
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
}

impl Client {
    /// Sends a request and returns the response, whatever its status is.
    ///
    /// # Errors
    /// There is no response, or the server wants a user or another password.
    pub(super) fn send(&self, request: &Request<'_>) -> anyhow::Result<Answer> {
        let address = &self.address;
        let prepared = self.prepared(request)?;
        let exchange = async {
            let response = prepared.send().await?;
            let server = response.headers().get(SERVER);
            let server = server.and_then(|value| Some(value.to_str().ok()?.to_owned()));
            Ok(Answer {
                status: response.status().as_u16(),
                place: address.shown(),
                server,
                body: response.text().await?,
            })
        };
        let answer = self
            .runtime
            .block_on(exchange)
            .map_err(|error| failure::unanswered(address, request, error))?;
        match answer.status {
            // A missing or wrong token is said by the server itself.
            401 if answer.body.contains("token") => Ok(answer),
            401 => Err(self.unauthorized(request)),
            _ => Ok(answer),
        }
    }

    /// Returns a request with its body and its credentials.
    fn prepared(&self, request: &Request<'_>) -> anyhow::Result<RequestBuilder> {
        // Whoever may open the socket needs nothing else.
        let authorization = match self.address.socket {
            Some(_) => None,
            None => self.credentials.header(&request.method)?,
        };
        let url = format!("{}{}", self.address.base(), request.path);
        let mut prepared = self
            .http
            .request(request.method.clone(), url)
            .timeout(request.timeout);
        if let Some(body) = request.body {
            prepared = prepared
                .header("content-type", "application/json")
                .body(body.to_string());
        }
        if let Some(authorization) = authorization {
            prepared = prepared.header(AUTHORIZATION, authorization);
        }
        Ok(prepared)
    }

    /// Returns the error of a request for which the server wants a user or another password.
    fn unauthorized(&self, request: &Request<'_>) -> anyhow::Error {
        let user = self.credentials.user.as_ref();
        let user = user.map(|(user, _)| user.as_str());
        let user = user.or(self.address.user());
        Failure::unauthorized(&self.address, request, user).into()
    }
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
