//! Probes over HTTP/1.1.

use bellwether_collector::EntryContext;
use bellwether_http::Authorization;
use bellwether_schema::{Literal, Spanned, section};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_LENGTH, HOST, HeaderMap, HeaderValue, LOCATION, USER_AGENT};
use hyper::{Method, Request, Response, Version};
use hyper_util::rt::TokioIo;
use regex::bytes::Regex;
use reqwest::Url;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::connect::{Stream, Tls, connect, resolve};
use super::credentials::Credentials;
use super::report::{
    FAILED_BY_REGEX, HTTP_BODY_LENGTH, HTTP_CONTENT_LENGTH, HTTP_DURATION, HTTP_REDIRECTS,
    HTTP_SSL, HTTP_STATUS, HTTP_VERSION, Report,
};

/// Maximum number of redirects, as in blackbox_exporter.
const MAX_REDIRECTS: usize = 10;

const PHASES: [&str; 5] = ["resolve", "connect", "tls", "processing", "transfer"];

section! {
    /// Request of an HTTP probe, and the response that it expects.
    pub struct HttpProbe {
        /// Method.
        pub method: Spanned<String> = Spanned::nowhere("GET".into()),
        /// Body of the request.
        pub body: Literal = Literal::default(),
        #[serde(flatten)]
        pub authorization: Authorization = Authorization::default(),
        /// Expected codes of the status. Default: 200 to 299.
        pub valid_status_codes: Vec<u16> = Vec::new(),
        /// If true, redirects are followed, ten at the most.
        pub follow_redirects: bool = true,
        /// If true, a response without TLS is a failure.
        pub fail_if_not_ssl: bool = false,
        /// Regular expressions. The probe fails if one of them matches the body.
        pub fail_if_body_matches_regexp: Vec<Spanned<Literal>> = Vec::new(),
        /// Regular expressions. The probe fails if one of them does not match the body.
        pub fail_if_body_not_matches_regexp: Vec<Spanned<Literal>> = Vec::new(),
    }
}

/// An HTTP probe, checked.
pub(super) struct HttpPlan {
    method: Method,
    body: Bytes,
    credentials: Credentials,
    valid_status_codes: Vec<u16>,
    follow_redirects: bool,
    fail_if_not_ssl: bool,
    fail_if_matches: Vec<Regex>,
    fail_if_not_matches: Vec<Regex>,
}

impl HttpProbe {
    pub(super) fn plan(&self, context: &mut EntryContext<'_>) -> Option<HttpPlan> {
        let credentials = Credentials::plan(&self.authorization, context);
        let method = Method::from_bytes(self.method.as_bytes());
        if method.is_err() {
            let message = format!("not a method: {:?}", self.method.value);
            context
                .problems
                .error(&self.method.at, message)
                .hint("such as GET");
        }
        let fail_if_matches = patterns(&self.fail_if_body_matches_regexp, context);
        let fail_if_not_matches = patterns(&self.fail_if_body_not_matches_regexp, context);
        Some(HttpPlan {
            method: method.ok()?,
            body: self.body.0.clone().into(),
            credentials: credentials?,
            valid_status_codes: self.valid_status_codes.clone(),
            follow_redirects: self.follow_redirects,
            fail_if_not_ssl: self.fail_if_not_ssl,
            fail_if_matches,
            fail_if_not_matches,
        })
    }
}

/// Compiles regular expressions, and reports invalid ones.
pub(super) fn patterns(sources: &[Spanned<Literal>], context: &mut EntryContext<'_>) -> Vec<Regex> {
    let compiled = sources.iter().filter_map(|source| {
        let pattern = Regex::new(source);
        if let Err(error) = &pattern {
            let message = format!("invalid regular expression: {error}");
            context.problems.error(&source.at, message);
        }
        pattern.ok()
    });
    compiled.collect()
}

impl HttpPlan {
    pub(super) async fn run(
        &self,
        target: &str,
        tls: &Tls,
        limit: u64,
        report: &mut Report,
    ) -> Result<(), String> {
        report.set(&HTTP_STATUS, 0.0);
        report.set(&FAILED_BY_REGEX, 0.0);
        for phase in PHASES {
            report.set_labeled(&HTTP_DURATION, "phase", phase, 0.0);
        }
        let first = Url::parse(target).map_err(|error| error.to_string())?;
        let mut url = first.clone();
        let mut redirects = 0;
        loop {
            report.set(&HTTP_REDIRECTS, redirects as f64);
            let with_secrets = url.origin() == first.origin();
            let response = self.request(&url, with_secrets, tls, report).await?;
            match self.next(&response.head, &url)? {
                Some(_) if redirects == MAX_REDIRECTS => {
                    return Err(format!("redirects more than {MAX_REDIRECTS} times"));
                }
                Some(next) => {
                    redirects += 1;
                    url = next;
                }
                None => return self.evaluate(response, &url, limit, report).await,
            }
        }
    }

    /// Sends the request to `url`, over a connection of its own.
    async fn request(
        &self,
        url: &Url,
        with_secrets: bool,
        tls: &Tls,
        report: &mut Report,
    ) -> Result<Answer, String> {
        let host = url.host_str().unwrap_or_default();
        let port = url.port_or_known_default().unwrap_or_default();
        let (addresses, resolved) = resolve(host, port, report).await?;
        report.add_phase(&HTTP_DURATION, "resolve", resolved);
        let started = Instant::now();
        let stream = connect(&addresses, report).await?;
        report.add_phase(&HTTP_DURATION, "connect", started.elapsed());
        let encrypted = url.scheme() == "https";
        report.set(&HTTP_SSL, f64::from(u8::from(encrypted)));
        let started = Instant::now();
        let stream: Box<dyn Stream> = match encrypted {
            true => Box::new(tls.encrypt(host, stream, Some(b"http/1.1"), report).await?),
            false => Box::new(stream),
        };
        if encrypted {
            report.add_phase(&HTTP_DURATION, "tls", started.elapsed());
        }

        let started = Instant::now();
        let request = self.message(url, with_secrets).await?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake::<_, Full<Bytes>>(TokioIo::new(stream))
                .await
                .map_err(|error| error.to_string())?;
        let connection = AbortOnDropHandle::new(tokio::spawn(async move {
            // Its error comes with the response.
            connection.await.ok();
        }));
        let response = sender
            .send_request(request)
            .await
            .map_err(|error| bellwether_http::error_chain(&error))?;
        report.add_phase(&HTTP_DURATION, "processing", started.elapsed());
        report.set(&HTTP_STATUS, f64::from(response.status().as_u16()));
        let version = if response.version() == Version::HTTP_10 {
            1.0
        } else {
            1.1
        };
        report.set(&HTTP_VERSION, version);
        let length = response.headers().get(CONTENT_LENGTH);
        let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
        report.set(&HTTP_CONTENT_LENGTH, length.unwrap_or(-1.0));
        let (head, body) = response.into_parts();
        Ok(Answer {
            head: Response::from_parts(head, ()),
            body,
            _connection: connection,
        })
    }

    async fn message(&self, url: &Url, with_secrets: bool) -> Result<Request<Full<Bytes>>, String> {
        let mut headers = HeaderMap::new();
        let agent = concat!("bellwether/", env!("CARGO_PKG_VERSION"));
        headers.insert(USER_AGENT, HeaderValue::from_static(agent));
        let host = url.host_str().unwrap_or_default();
        let place = match url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        let place = HeaderValue::from_str(&place).map_err(|error| error.to_string())?;
        headers.insert(HOST, place);
        if with_secrets {
            headers.extend(self.credentials.headers().await?);
        }
        let mut request = Request::new(Full::new(self.body.clone()));
        *request.method_mut() = self.method.clone();
        let query = url.query().map(|query| format!("?{query}"));
        let path = format!("{}{}", url.path(), query.unwrap_or_default());
        *request.uri_mut() = path.parse().map_err(|_| format!("not a path: {path:?}"))?;
        *request.headers_mut() = headers;
        Ok(request)
    }

    /// Returns the target of a redirect that is followed.
    fn next(&self, response: &Response<()>, from: &Url) -> Result<Option<Url>, String> {
        let location = response.headers().get(LOCATION);
        let Some(location) = location.filter(|_| {
            self.follow_redirects
                && matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308)
        }) else {
            return Ok(None);
        };
        let next = location.to_str().ok().and_then(|text| from.join(text).ok());
        match next {
            Some(next) if matches!(next.scheme(), "http" | "https") => Ok(Some(next)),
            _ => Err("redirects to an invalid URL".to_owned()),
        }
    }

    /// Compares the last response with what is expected.
    async fn evaluate(
        &self,
        answer: Answer,
        url: &Url,
        limit: u64,
        report: &mut Report,
    ) -> Result<(), String> {
        let started = Instant::now();
        let body = read(answer.body, limit).await;
        report.add_phase(&HTTP_DURATION, "transfer", started.elapsed());
        let body = body?;
        report.set(&HTTP_BODY_LENGTH, body.len() as f64);
        let found = self.fail_if_matches.iter().find(|it| it.is_match(&body));
        let missing = self
            .fail_if_not_matches
            .iter()
            .find(|it| !it.is_match(&body));
        let failed = found.is_some() || missing.is_some();
        report.set(&FAILED_BY_REGEX, f64::from(u8::from(failed)));
        let status = answer.head.status();
        let valid = match self.valid_status_codes.is_empty() {
            true => status.is_success(),
            false => self.valid_status_codes.contains(&status.as_u16()),
        };
        if !valid {
            let reason = match self.valid_status_codes.is_empty() {
                true => "",
                false => ", which is not in valid_status_codes",
            };
            return Err(format!("answered {status}{reason}"));
        }
        if self.fail_if_not_ssl && url.scheme() != "https" {
            return Err("answered without TLS".into());
        }
        if let Some(pattern) = found {
            return Err(format!("the body matches {:?}", pattern.as_str()));
        }
        if let Some(pattern) = missing {
            return Err(format!("the body does not match {:?}", pattern.as_str()));
        }
        Ok(())
    }
}

/// A response whose body was not read yet.
struct Answer {
    head: Response<()>,
    body: Incoming,
    /// Moves the bytes of the body.
    _connection: AbortOnDropHandle<()>,
}

async fn read(mut body: Incoming, limit: u64) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| bellwether_http::error_chain(&error))?;
        if let Some(data) = frame.data_ref() {
            bytes.extend_from_slice(data);
        }
        if bytes.len() as u64 > limit {
            let limit = bellwether_schema::Size(limit);
            return Err(format!(
                "the response is larger than {limit}; hint: limits.bytes"
            ));
        }
    }
    Ok(bytes)
}
