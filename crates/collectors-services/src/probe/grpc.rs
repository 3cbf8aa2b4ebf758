//! Health checks of gRPC servers (<https://grpc.io/docs/guides/health-checking/>), over HTTP/2.

use bellwether_collector::EntryContext;
use bellwether_http::Authorization;
use bellwether_schema::section;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue, TE, USER_AGENT};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::connect::{Stream, Tls, connect, resolve};
use super::credentials::Credentials;
use super::report::{GRPC_DURATION, GRPC_HEALTH, GRPC_SSL, GRPC_STATUS, Report};
use crate::dns::host_and_port;

/// Answers of a health check, by their number.
const STATUSES: [&str; 4] = ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"];
const SERVING: &str = STATUSES[1];

/// Names of the status codes of gRPC, by their number.
const CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];
const OK: usize = 0;
const UNKNOWN: usize = 2;
const DEADLINE_EXCEEDED: usize = 4;
const PERMISSION_DENIED: usize = 7;
const UNIMPLEMENTED: usize = 12;
const INTERNAL: usize = 13;
const UNAVAILABLE: usize = 14;
const UNAUTHENTICATED: usize = 16;

/// Maximum size of an answer, in bytes; two are usual.
const LONGEST: usize = 16 << 10;

section! {
    /// Health check of a gRPC probe. Its headers are the metadata of gRPC.
    pub struct GrpcProbe {
        /// Service that is asked about. Empty: the server as a whole.
        pub service: String = String::new(),
        /// If true, the connection has TLS.
        pub tls: bool = false,
        #[serde(flatten)]
        pub authorization: Authorization = Authorization::default(),
    }
}

/// A gRPC probe, checked.
pub(super) struct GrpcPlan {
    service: String,
    tls: bool,
    credentials: Credentials,
}

#[derive(Clone, PartialEq, Message)]
struct HealthCheckRequest {
    #[prost(string, tag = "1")]
    service: String,
}

#[derive(Clone, PartialEq, Message)]
struct HealthCheckResponse {
    #[prost(int32, tag = "1")]
    status: i32,
}

/// Status of a response that has no answer to the check.
#[derive(Debug, PartialEq)]
struct GrpcError {
    code: usize,
    message: String,
}

impl GrpcError {
    fn new(code: usize, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { code, message }
    }
}

impl GrpcProbe {
    pub(super) fn plan(&self, context: &mut EntryContext<'_>) -> Option<GrpcPlan> {
        Some(GrpcPlan {
            service: self.service.clone(),
            tls: self.tls,
            credentials: Credentials::plan(&self.authorization, context)?,
        })
    }
}

impl GrpcPlan {
    pub(super) async fn run(
        &self,
        target: &str,
        tls: &Tls,
        report: &mut Report,
    ) -> Result<(), String> {
        let (host, port) = host_and_port(target).ok_or("not HOST:PORT")?;
        report.set(&GRPC_SSL, 0.0);
        report.set(&GRPC_STATUS, UNAVAILABLE as f64);
        for phase in ["resolve", "check"] {
            report.set_labeled(&GRPC_DURATION, "phase", phase, 0.0);
        }
        for status in STATUSES {
            report.set_labeled(&GRPC_HEALTH, "serving_status", status, 0.0);
        }
        let metadata = self.credentials.headers().await?;
        let (addresses, resolved) = resolve(host, port, report).await?;
        report.add_phase(&GRPC_DURATION, "resolve", resolved);
        let started = Instant::now();
        let stream = connect(&addresses, report).await?;
        let stream: Box<dyn Stream> = match self.tls {
            true => Box::new(tls.encrypt(host, stream, Some(b"h2"), report).await?),
            false => Box::new(stream),
        };
        report.set(&GRPC_SSL, f64::from(u8::from(self.tls)));
        // Until the answer is there.
        report.set(&GRPC_STATUS, DEADLINE_EXCEEDED as f64);
        let checked = self.check(target, metadata, stream).await;
        report.add_phase(&GRPC_DURATION, "check", started.elapsed());
        let code = checked.as_ref().map_or_else(|error| error.code, |_| OK);
        report.set(&GRPC_STATUS, code as f64);
        let status = checked.map_err(|error| {
            let name = CODES.get(error.code).unwrap_or(&"an unknown status");
            format!("answered {name}: {}", error.message)
        })?;
        let name = STATUSES.get(status as usize);
        let name = name.ok_or_else(|| format!("answered an unknown health: {status}"))?;
        report.set_labeled(&GRPC_HEALTH, "serving_status", name, 1.0);
        match *name {
            SERVING => Ok(()),
            name => Err(format!("the service is {name}")),
        }
    }

    /// Sends the check, and returns the number of the answer.
    async fn check(
        &self,
        target: &str,
        metadata: HeaderMap,
        stream: Box<dyn Stream>,
    ) -> Result<i32, GrpcError> {
        let lost =
            |error: hyper::Error| GrpcError::new(UNAVAILABLE, bellwether_http::error_chain(&error));
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
                .await
                .map_err(lost)?;
        let _connection = AbortOnDropHandle::new(tokio::spawn(async move {
            // Its error comes with the response.
            connection.await.ok();
        }));
        let response = sender.send_request(self.request(target, metadata)?).await;
        answer(response.map_err(lost)?).await
    }

    fn request(
        &self,
        target: &str,
        metadata: HeaderMap,
    ) -> Result<Request<Full<Bytes>>, GrpcError> {
        let scheme = if self.tls { "https" } else { "http" };
        let message = HealthCheckRequest {
            service: self.service.clone(),
        }
        .encode_to_vec();
        let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
        // Not compressed, and as long as this.
        let body = [&[0][..], &length.to_be_bytes(), &message].concat();
        let agent = concat!("bellwether/", env!("CARGO_PKG_VERSION"));
        let mut headers = metadata;
        headers
            .entry(USER_AGENT)
            .or_insert(HeaderValue::from_static(agent));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert(TE, HeaderValue::from_static("trailers"));
        let url = format!("{scheme}://{target}/grpc.health.v1.Health/Check");
        let mut request = Request::post(url)
            .body(Full::new(body.into()))
            .map_err(|error| GrpcError::new(INTERNAL, error.to_string()))?;
        *request.headers_mut() = headers;
        Ok(request)
    }
}

/// Reads the answer to a check. Its status is in the trailers, or, without an answer, in the headers.
async fn answer(response: Response<Incoming>) -> Result<i32, GrpcError> {
    let (head, body) = response.into_parts();
    if head.status != StatusCode::OK {
        let message = format!("HTTP {}", head.status);
        return Err(GrpcError::new(code_of(head.status), message));
    }
    check_status(&head.headers)?;
    let collected = Limited::new(body, LONGEST).collect().await;
    let collected = collected.map_err(|error| GrpcError::new(INTERNAL, error.to_string()))?;
    match collected.trailers() {
        Some(trailers) if trailers.contains_key("grpc-status") => check_status(trailers)?,
        _ => {
            return Err(GrpcError::new(
                INTERNAL,
                "no grpc-status: not a gRPC server",
            ));
        }
    }
    status(&collected.to_bytes())
}

/// Returns the error that the headers have, if any.
fn check_status(headers: &HeaderMap) -> Result<(), GrpcError> {
    let Some(code) = headers.get("grpc-status") else {
        return Ok(());
    };
    let code = code.to_str().ok().and_then(|code| code.parse().ok());
    match code.unwrap_or(UNKNOWN) {
        OK => Ok(()),
        code => {
            let message = headers.get("grpc-message").map(HeaderValue::as_bytes);
            let message: String = message.unwrap_or_default().escape_ascii().to_string();
            Err(GrpcError::new(code, message))
        }
    }
}

/// Returns the code that stands for a status of HTTP
/// (<https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md>).
fn code_of(status: StatusCode) -> usize {
    match status.as_u16() {
        400 => INTERNAL,
        401 => UNAUTHENTICATED,
        403 => PERMISSION_DENIED,
        404 => UNIMPLEMENTED,
        429 | 502 | 503 | 504 => UNAVAILABLE,
        _ => UNKNOWN,
    }
}

/// Returns the health in a message behind its flag and length.
fn status(body: &[u8]) -> Result<i32, GrpcError> {
    let message = body.split_first_chunk::<5>().and_then(|(head, message)| {
        let [flag, length @ ..] = *head;
        let is_whole = flag == 0 && u32::from_be_bytes(length) as usize == message.len();
        is_whole.then_some(message)
    });
    let message = message.ok_or_else(|| GrpcError::new(INTERNAL, "not one message"))?;
    let response = HealthCheckResponse::decode(message);
    let response = response.map_err(|error| GrpcError::new(INTERNAL, error.to_string()))?;
    Ok(response.status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_read_behind_its_flag_and_length() {
        assert_eq!(status(&[0, 0, 0, 0, 2, 8, 1]), Ok(1));
        assert_eq!(status(&[0, 0, 0, 0, 0]), Ok(0), "all fields have defaults");
        for body in [
            &[][..],
            &[0, 0, 0, 0],
            &[1, 0, 0, 0, 2, 8, 1],
            &[0, 0, 0, 0, 3, 8, 1],
            &[0, 0xff, 0xff, 0xff, 0xff, 8],
            &[0, 0, 0, 0, 1, 0xff],
        ] {
            assert_eq!(status(body).unwrap_err().code, INTERNAL, "{body:?}");
        }
    }

    #[test]
    fn an_error_is_in_the_headers() {
        let mut headers = HeaderMap::new();
        assert_eq!(check_status(&headers), Ok(()));
        headers.insert("grpc-status", HeaderValue::from_static("0"));
        assert_eq!(check_status(&headers), Ok(()));
        headers.insert("grpc-status", HeaderValue::from_static("5"));
        headers.insert("grpc-message", HeaderValue::from_static("unknown service"));
        assert_eq!(
            check_status(&headers),
            Err(GrpcError::new(5, "unknown service"))
        );
        headers.insert("grpc-status", HeaderValue::from_static("x"));
        assert_eq!(check_status(&headers).unwrap_err().code, UNKNOWN);
    }
}
