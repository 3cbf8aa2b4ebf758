//! One attempt to hand a chunk over, and what its answer means.

use std::time::Duration;

use bellwether_http::{Access, error_chain, parse_url, read_error_response};
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Response, StatusCode, Url};

use super::batch::Chunk;
use super::encode;
use super::family::Family;
use super::settings::{Protocol, RemoteWrite};
use super::writers::WallClock;

/// What became of an attempt.
#[derive(Debug, PartialEq)]
pub(super) enum Outcome {
    /// The receiver has it; `refused` samples of it count as lost.
    Taken { bytes: usize, refused: u64 },
    /// It may go better later.
    Later {
        message: String,
        retry_after: Option<Duration>,
        unanswered: bool,
    },
    /// It never will; all but `written` samples of it are lost.
    Refused { message: String, written: u64 },
}

/// The way to one receiver.
pub(super) struct Sender {
    client: Client,
    access: Access,
    url: Url,
    /// Scheme, host and port: what may be shown of the URL.
    place: String,
    headers: HeaderMap,
    /// What the receiver is sent: as declared, or 1.0 because it does not know 2.0.
    speaks: Protocol,
    /// Whether it has shown that it knows 2.0.
    confirmed: bool,
    clock: WallClock,
}

const VERSION: HeaderName = HeaderName::from_static("x-prometheus-remote-write-version");
const SAMPLES_WRITTEN: &str = "x-prometheus-remote-write-samples-written";
const WRITTEN: [&str; 3] = [
    SAMPLES_WRITTEN,
    "x-prometheus-remote-write-histograms-written",
    "x-prometheus-remote-write-exemplars-written",
];

impl Sender {
    /// Builds the client. Reads files, so it runs on a blocking thread.
    pub(super) fn new(settings: &RemoteWrite, clock: WallClock) -> Result<Self, String> {
        let url = parse_url(&settings.url)?;
        let access = settings.access();
        Ok(Self {
            client: access.client(&url)?,
            headers: access.header_map()?,
            place: url.origin().ascii_serialization(),
            url,
            access,
            speaks: settings.protocol,
            confirmed: false,
            clock,
        })
    }

    /// Scheme, host and port of the receiver.
    pub(super) fn place(&self) -> &str {
        &self.place
    }

    /// The version it is sent now.
    pub(super) fn speaks(&self) -> Protocol {
        self.speaks
    }

    /// Sends `chunk`. A receiver that shows that it does not know 2.0 is sent 1.0 from then on.
    pub(super) async fn send(&mut self, chunk: &Chunk, metadata: &[Family]) -> Outcome {
        let (outcome, knows) = self.attempt(chunk, self.speaks, metadata).await;
        if self.speaks == Protocol::V1 || knows == Knows::Yes {
            self.confirmed = true;
            return outcome;
        }
        match knows {
            Knows::No => {
                self.speaks = Protocol::V1;
                self.attempt(chunk, Protocol::V1, metadata).await.0
            }
            Knows::Perhaps if !self.confirmed => {
                let (again, _) = self.attempt(chunk, Protocol::V1, metadata).await;
                if matches!(again, Outcome::Taken { .. }) {
                    self.speaks = Protocol::V1;
                }
                again
            }
            _ => outcome,
        }
    }

    async fn attempt(
        &self,
        chunk: &Chunk,
        protocol: Protocol,
        metadata: &[Family],
    ) -> (Outcome, Knows) {
        let body = match encode::body(chunk, protocol, metadata) {
            Ok(body) => body,
            Err(message) => {
                return (
                    Outcome::Refused {
                        message,
                        written: 0,
                    },
                    Knows::Yes,
                );
            }
        };
        let bytes = body.len();
        let request = self
            .client
            .post(self.url.clone())
            .headers(self.headers.clone());
        let (kind, version) = match protocol {
            Protocol::V1 => ("application/x-protobuf", "0.1.0"),
            Protocol::V2 => (
                "application/x-protobuf;proto=io.prometheus.write.v2.Request",
                "2.0.0",
            ),
        };
        let request = request
            .header(CONTENT_ENCODING, "snappy")
            .header(CONTENT_TYPE, kind)
            .header(VERSION, version)
            .body(body);
        let later = |message, unanswered| {
            let outcome = Outcome::Later {
                message,
                retry_after: None,
                unanswered,
            };
            (outcome, Knows::Unsaid)
        };
        let request = match self.access.authorize(request).await {
            Ok(request) => request,
            Err(message) => return later(message, false),
        };
        match request.send().await {
            Ok(response) => self.judge(response, chunk, protocol, bytes).await,
            Err(error) => {
                let unanswered = !error.is_connect();
                later(
                    format!("{}: {}", self.place, error_chain(&error.without_url())),
                    unanswered,
                )
            }
        }
    }

    async fn judge(
        &self,
        response: Response,
        chunk: &Chunk,
        protocol: Protocol,
        bytes: usize,
    ) -> (Outcome, Knows) {
        let status = response.status();
        let knows = knows(status, response.headers());
        let sent = chunk.samples as u64;
        let written = match protocol {
            Protocol::V1 => None,
            Protocol::V2 => Some(written(response.headers()).min(sent)),
        };
        if status.is_success() {
            let refused = written.map_or(0, |written| sent - written);
            return (Outcome::Taken { bytes, refused }, knows);
        }
        let refusal = read_error_response(response, &self.place, (self.clock)()).await;
        let message = refusal.message;
        // What is no success and no client's fault (a redirect among them) may be mended.
        let outcome = if status.is_client_error() && !may_pass(status) {
            Outcome::Refused {
                message,
                written: written.unwrap_or(0),
            }
        } else {
            Outcome::Later {
                message,
                retry_after: refusal.retry_after,
                unanswered: false,
            }
        };
        (outcome, knows)
    }
}

/// 408 says that the request did not arrive whole.
fn may_pass(status: StatusCode) -> bool {
    [StatusCode::TOO_MANY_REQUESTS, StatusCode::REQUEST_TIMEOUT].contains(&status)
}

/// Whether a receiver has shown that it knows version 2.0.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Knows {
    Yes,
    No,
    /// Receivers of 1.0 may answer 400 to what they cannot read.
    Perhaps,
    Unsaid,
}

/// As the specification of 2.0 has it, "Required `Written` Response Headers" and "Unsupported
/// Request Content".
fn knows(status: StatusCode, headers: &HeaderMap<HeaderValue>) -> Knows {
    if WRITTEN.iter().any(|name| headers.contains_key(*name)) {
        return Knows::Yes;
    }
    match status {
        StatusCode::UNSUPPORTED_MEDIA_TYPE => Knows::No,
        StatusCode::BAD_REQUEST => Knows::Perhaps,
        status if status.is_success() => Knows::No,
        _ => Knows::Unsaid,
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
