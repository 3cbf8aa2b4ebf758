//! Requests and answers of OTLP over HTTP, in protocol buffers or in JSON.

use std::borrow::Cow;
use std::fmt::Display;

use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Request, Response, StatusCode};
use prost::Message as _;
use serde_json::json;

use super::json;
use super::message::{ExportResponse, REQUEST, Status};
use crate::request::{RequestError, answer, header, inflated};
use crate::wire::Message;

/// Encoding of a request and its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    Protobuf,
    Json,
}

/// Answers a request, whose body has at most `limit` bytes, by `export`.
pub(super) fn respond(
    request: &Request<Bytes>,
    limit: u64,
    export: impl FnOnce(Message<'_>) -> ExportResponse,
) -> Response<Vec<u8>> {
    let content_type = header(request.headers(), &CONTENT_TYPE);
    let media = content_type.split(';').next().unwrap_or_default().trim();
    let encoding = match media {
        "application/x-protobuf" => Encoding::Protobuf,
        "application/json" => Encoding::Json,
        _ => {
            let message = format!(
                "unknown content type: {content_type:?}; hint: send application/x-protobuf or application/json"
            );
            return answer(StatusCode::UNSUPPORTED_MEDIA_TYPE, message);
        }
    };
    let body = inflated(request.headers(), request.body(), limit);
    let response = body.and_then(|body| {
        let body = encoding.protobuf(body)?;
        let request = checked(&body).map_err(invalid)?;
        Ok(export(request))
    });
    match response {
        Ok(response) => encoding.answer(StatusCode::OK, encoding.response(&response)),
        Err(error) => encoding.answer(error.status, encoding.error(&error)),
    }
}

/// Returns the request in `body`.
///
/// # Errors
/// Returns a message for the client.
pub(super) fn checked(body: &[u8]) -> Result<Message<'_>, String> {
    let request = REQUEST.check(body);
    request.map_err(|error| not_a_request(&error))
}

fn not_a_request(error: &dyn Display) -> String {
    format!("not a request of OTLP metrics: {error}")
}

fn invalid(message: String) -> RequestError {
    RequestError::new(StatusCode::BAD_REQUEST, message)
}

impl Encoding {
    /// Returns a body as protocol buffers.
    fn protobuf(self, body: Cow<'_, [u8]>) -> Result<Cow<'_, [u8]>, RequestError> {
        match self {
            Self::Protobuf => Ok(body),
            Self::Json => {
                let message = json::to_protobuf(&body, &REQUEST);
                let message = message.map_err(|error| invalid(not_a_request(&error)))?;
                Ok(message.into())
            }
        }
    }

    fn response(self, response: &ExportResponse) -> Vec<u8> {
        match (self, &response.partial_success) {
            (Self::Protobuf, _) => response.encode_to_vec(),
            (Self::Json, None) => b"{}".to_vec(),
            (Self::Json, Some(partial)) => {
                let partial = json!({
                    "rejectedDataPoints": partial.rejected_data_points.to_string(),
                    "errorMessage": partial.error_message,
                });
                json!({ "partialSuccess": partial }).to_string().into()
            }
        }
    }

    fn error(self, error: &RequestError) -> Vec<u8> {
        // INVALID_ARGUMENT of google.rpc.Code.
        let (code, message) = (3, error.message.clone());
        match self {
            Self::Protobuf => Status { code, message }.encode_to_vec(),
            Self::Json => json!({"code": code, "message": message}).to_string().into(),
        }
    }

    fn answer(self, status: StatusCode, body: Vec<u8>) -> Response<Vec<u8>> {
        let media = match self {
            Self::Protobuf => "application/x-protobuf",
            Self::Json => "application/json",
        };
        let mut response = Response::new(body);
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(media));
        response
    }
}
