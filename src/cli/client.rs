//! Asks a running Bellwether over HTTP.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use reqwest::Method;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use serde_json::Value;

use super::Global;
use crate::files;
use crate::server::{Access, read_token};

/// Which Bellwether to ask.
#[derive(Args)]
pub(super) struct Target {
    /// Its address, such as https://user:password@host:9091; without it the declaration's port on
    /// this host.
    #[arg(long)]
    url: Option<String>,
    /// Trust this certificate authority (PEM).
    #[arg(long = "ca-file", value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// The token for what changes state, as prometheus.control.token_file of that Bellwether has
    /// it; without --url it is read from there.
    #[arg(long = "token-file", value_name = "FILE")]
    token_file: Option<PathBuf>,
}

/// What is asked of it.
struct Request<'a> {
    method: Method,
    path: &'a str,
    body: Option<&'a Value>,
    patience: Duration,
}

/// A status code and a body.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: String,
}

impl Target {
    /// Whether an address was given.
    pub(super) fn is_named(&self) -> bool {
        self.url.is_some()
    }

    /// Where it is.
    pub(super) fn address(&self, global: &Global) -> anyhow::Result<String> {
        if let Some(url) = &self.url {
            return Ok(url.trim_end_matches('/').to_owned());
        }
        let web = global.plan()?.root.performance_monitor.value.prometheus;
        let host = match web.host.as_str() {
            "0.0.0.0" => "127.0.0.1".to_owned(),
            "::" => "[::1]".to_owned(),
            ipv6 if ipv6.contains(':') => format!("[{ipv6}]"),
            host => host.to_owned(),
        };
        // Who may not read the files of the page is most likely kept from its key.
        let tls = Access::load(&web).map_or(web.web_config_file.is_some(), |web| web.is_tls());
        let scheme = if tls { "https" } else { "http" };
        Ok(format!("{scheme}://{host}:{}", web.port))
    }

    /// The Unix socket of the Bellwether on this host, where its configuration names one that this
    /// user may open.
    fn socket(&self, global: &Global) -> anyhow::Result<Option<PathBuf>> {
        if self.is_named() {
            return Ok(None);
        }
        let control = global.plan()?.root.performance_monitor.value.prometheus.control;
        let path = control.socket.map(|socket| socket.value.path);
        Ok(path.filter(|path| std::os::unix::net::UnixStream::connect(path).is_ok()))
    }

    /// GETs `path`.
    pub(super) fn get(&self, global: &Global, path: &str) -> anyhow::Result<Answer> {
        self.get_within(global, path, Duration::from_secs(10))
    }

    /// GETs `path`, which may take `patience`.
    pub(super) fn get_within(
        &self,
        global: &Global,
        path: &str,
        patience: Duration,
    ) -> anyhow::Result<Answer> {
        self.send(global, &Request { method: Method::GET, path, body: None, patience })
    }

    /// Has `path` changed by `method`, with a body in JSON where there is one.
    pub(super) fn change(
        &self,
        global: &Global,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<Answer> {
        let patience = Duration::from_secs(10);
        self.send(global, &Request { method, path, body, patience })
    }

    /// What goes with a change: the token, where one is named or declared. It stands in for a
    /// password of the address.
    fn authorization(&self, global: &Global) -> anyhow::Result<Option<HeaderValue>> {
        let declared = match (&self.token_file, &self.url) {
            (None, None) => {
                global.plan()?.root.performance_monitor.value.prometheus.control.token_file
            }
            _ => None,
        };
        let Some(file) = self.token_file.as_deref().or(declared.as_deref()) else {
            return Ok(None);
        };
        let token = read_token(file).map_err(|error| {
            anyhow::anyhow!(
                "no token: {error}\nhint: give --token-file a file that this user may read and that \
                 holds the token of prometheus.control.token_file"
            )
        })?;
        let mut value = HeaderValue::from_str(&format!("Bearer {token}"))?;
        value.set_sensitive(true);
        Ok(Some(value))
    }

    fn send(&self, global: &Global, request: &Request<'_>) -> anyhow::Result<Answer> {
        let Request { method, path, body, patience } = request;
        let socket = self.socket(global)?;
        let address = match socket {
            Some(_) => "http://localhost".to_owned(),
            None => self.address(global)?,
        };
        let authorization = match *method {
            _ if socket.is_some() => None,
            Method::GET => None,
            _ => self.authorization(global)?,
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let mut client = reqwest::Client::builder().timeout(*patience).no_proxy();
            if let Some(socket) = socket {
                client = client.unix_socket(socket);
            }
            if let Some(file) = &self.ca_file {
                let pem = files::read(file, files::SMALL)
                    .with_context(|| format!("cannot read: {}", file.display()))?;
                client = client.tls_certs_only(reqwest::Certificate::from_pem_bundle(&pem)?);
            }
            let mut request = client.build()?.request(method.clone(), format!("{address}{path}"));
            if let Some(body) = body {
                request = request.header("content-type", "application/json").body(body.to_string());
            }
            let (client, request) = request.build_split();
            let mut request = request.map_err(reqwest::Error::without_url)?;
            if let Some(authorization) = authorization {
                request.headers_mut().insert(AUTHORIZATION, authorization);
            }
            let response = client.execute(request).await;
            // The address may hold a password, so the error's own text must not name it.
            let response = response.map_err(reqwest::Error::without_url).context(
                "no answer; is it running? (bellwether run, or systemctl status bellwether)",
            )?;
            let status = response.status().as_u16();
            let body = response.text().await.map_err(reqwest::Error::without_url)?;
            Ok(Answer { status, body })
        })
    }
}
