//! One attempt to send a chunk, and the interpretation of the response.

use std::time::Duration;

use bellwether_http::{
    Authorization, HttpError, error_chain, parse_url, read_error_response, redacted,
};
use bellwether_schema::Secret;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, RequestBuilder, Response, StatusCode, Url};

use super::batch::Chunk;
use super::encode;
use super::family::Family;
use super::settings::{Protocol, RemoteWrite};
use super::writers::WallClock;

/// Outcome of an attempt.
#[derive(Debug, PartialEq)]
pub(super) enum Outcome {
    /// The receiver accepted it, except for `rejected` samples, which are lost.
    Accepted { bytes: usize, rejected: u64 },
    /// A retryable error.
    Retry {
        message: String,
        retry_after: Option<Duration>,
        /// The request was sent and got no response, so the receiver may have it.
        unanswered: bool,
    },
    /// Rejected for good; all but `written` samples are lost.
    Rejected { message: String, written: u64 },
}

/// Client of one receiver.
pub(super) struct Sender {
    client: Client,
    authorization: Authorization,
    url: Url,
    /// Scheme, host and port: the part of the URL without secrets.
    origin: String,
    headers: HeaderMap,
    /// Version that is sent: as configured, or 1.0 if the receiver does not support 2.0.
    protocol: Protocol,
    /// True once a response has confirmed support of 2.0.
    v2_confirmed: bool,
    clock: WallClock,
    /// Secrets that a response may quote, removed from messages.
    secrets: Vec<Secret>,
}

const VERSION: HeaderName = HeaderName::from_static("x-prometheus-remote-write-version");
const SAMPLES_WRITTEN: &str = "x-prometheus-remote-write-samples-written";
const WRITTEN: [&str; 3] = [
    SAMPLES_WRITTEN,
    "x-prometheus-remote-write-histograms-written",
    "x-prometheus-remote-write-exemplars-written",
];

impl Sender {
    /// Builds the client. Reads files; for blocking threads.
    pub(super) fn new(settings: &RemoteWrite, clock: WallClock) -> Result<Self, HttpError> {
        let url = parse_url(&settings.url)?;
        Ok(Self {
            client: settings.http.client(&url)?,
            headers: settings.authorization.header_map()?,
            authorization: settings.authorization.clone(),
            origin: url.origin().ascii_serialization(),
            url,
            protocol: settings.protocol,
            v2_confirmed: false,
            clock,
            secrets: settings.authorization.secrets(),
        })
    }

    /// Returns scheme, host and port of the receiver.
    pub(super) fn origin(&self) -> &str {
        &self.origin
    }

    /// Returns the version that is sent now.
    pub(super) fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Sends `chunk`. Falls back to 1.0 for good once the receiver shows that it does not support 2.0.
    pub(super) async fn send(&mut self, chunk: &Chunk, metadata: &[Family]) -> Outcome {
        let (outcome, support) = self.attempt(chunk, self.protocol, metadata).await;
        if self.protocol == Protocol::V1 || support == V2Support::Yes {
            self.v2_confirmed = true;
            return outcome;
        }
        match support {
            V2Support::No => {
                self.protocol = Protocol::V1;
                self.attempt(chunk, Protocol::V1, metadata).await.0
            }
            V2Support::Unclear if !self.v2_confirmed => {
                let (v1_outcome, _) = self.attempt(chunk, Protocol::V1, metadata).await;
                if matches!(v1_outcome, Outcome::Accepted { .. }) {
                    self.protocol = Protocol::V1;
                }
                v1_outcome
            }
            _ => outcome,
        }
    }

    async fn attempt(
        &self,
        chunk: &Chunk,
        protocol: Protocol,
        metadata: &[Family],
    ) -> (Outcome, V2Support) {
        let body = match encode::encode_body(chunk, protocol, metadata) {
            Ok(body) => body,
            Err(error) => {
                let (message, written) = (error.to_string(), 0);
                return (Outcome::Rejected { message, written }, V2Support::Yes);
            }
        };
        let bytes = body.len();
        let request = self.request(protocol, body);
        let request = match self.authorization.authorize(request).await {
            Ok(request) => request,
            Err(error) => return retry(error.to_string(), false),
        };
        match request.send().await {
            Ok(response) => self.interpret(response, chunk, protocol, bytes).await,
            Err(error) => {
                let unanswered = !error.is_connect();
                let message = error_chain(&error.without_url());
                retry(format!("{}: {message}", self.origin), unanswered)
            }
        }
    }

    fn request(&self, protocol: Protocol, body: Vec<u8>) -> RequestBuilder {
        let (content_type, version) = match protocol {
            Protocol::V1 => ("application/x-protobuf", "0.1.0"),
            Protocol::V2 => (
                "application/x-protobuf;proto=io.prometheus.write.v2.Request",
                "2.0.0",
            ),
        };
        self.client
            .post(self.url.clone())
            .headers(self.headers.clone())
            .header(CONTENT_ENCODING, "snappy")
            .header(CONTENT_TYPE, content_type)
            .header(VERSION, version)
            .body(body)
    }

    async fn interpret(
        &self,
        response: Response,
        chunk: &Chunk,
        protocol: Protocol,
        bytes: usize,
    ) -> (Outcome, V2Support) {
        let status = response.status();
        let support = v2_support(status, response.headers());
        let sent = chunk.samples as u64;
        let written = match protocol {
            Protocol::V1 => None,
            Protocol::V2 => Some(written(response.headers()).min(sent)),
        };
        if status.is_success() {
            let rejected = written.map_or(0, |written| sent - written);
            return (Outcome::Accepted { bytes, rejected }, support);
        }
        let rejection = read_error_response(response, &self.origin, (self.clock)()).await;
        let secrets = self.secrets.iter().map(|secret| secret.expose().trim());
        let message = redacted(rejection.message, secrets);
        // Responses that are neither a success nor an error of the client, such as redirects, may be
        // fixed at the receiver.
        let outcome = if status.is_client_error() && !is_retryable(status) {
            Outcome::Rejected {
                message,
                written: written.unwrap_or(0),
            }
        } else {
            Outcome::Retry {
                message,
                retry_after: rejection.retry_after,
                unanswered: false,
            }
        };
        (outcome, support)
    }
}

/// Returns the outcome of a request without a response.
fn retry(message: String, unanswered: bool) -> (Outcome, V2Support) {
    let outcome = Outcome::Retry {
        message,
        retry_after: None,
        unanswered,
    };
    (outcome, V2Support::Unknown)
}

/// 408 means that the request did not arrive completely.
fn is_retryable(status: StatusCode) -> bool {
    [StatusCode::TOO_MANY_REQUESTS, StatusCode::REQUEST_TIMEOUT].contains(&status)
}

/// Support of version 2.0 as a response shows it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum V2Support {
    Yes,
    No,
    /// Receivers of 1.0 may respond 400 to a request that they cannot read.
    Unclear,
    Unknown,
}

/// Follows the specification of 2.0, "Required `Written` Response Headers" and "Unsupported
/// Request Content".
fn v2_support(status: StatusCode, headers: &HeaderMap<HeaderValue>) -> V2Support {
    if WRITTEN.iter().any(|name| headers.contains_key(*name)) {
        return V2Support::Yes;
    }
    match status {
        StatusCode::UNSUPPORTED_MEDIA_TYPE => V2Support::No,
        StatusCode::BAD_REQUEST => V2Support::Unclear,
        status if status.is_success() => V2Support::No,
        _ => V2Support::Unknown,
    }
}

fn written(headers: &HeaderMap<HeaderValue>) -> u64 {
    let value = headers
        .get(SAMPLES_WRITTEN)
        .and_then(|value| value.to_str().ok());
    value
        .and_then(|value| value.trim().parse().ok())
        .unwrap_or(0)
}
