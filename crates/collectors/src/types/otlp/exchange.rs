//! Requests and answers of OTLP over HTTP, in protocol buffers or in JSON.

use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Request, Response, StatusCode};
use prost::Message;
use serde_json::json;

use super::message::{ExportRequest, ExportResponse, Status};
use crate::receiver::{RequestError, answer, header, inflated};

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
    export: impl FnOnce(&ExportRequest) -> ExportResponse,
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
    match body.and_then(|body| encoding.read(&body)) {
        Ok(request) => encoding.answer(StatusCode::OK, encoding.response(&export(&request))),
        Err(error) => encoding.answer(error.status, encoding.error(&error)),
    }
}

impl Encoding {
    fn read(self, body: &[u8]) -> Result<ExportRequest, RequestError> {
        let read = match self {
            Self::Protobuf => ExportRequest::decode(body).map_err(|error| error.to_string()),
            Self::Json => serde_json::from_slice(body).map_err(|error| error.to_string()),
        };
        read.map_err(|error| {
            let message = format!("not a request of OTLP metrics: {error}");
            RequestError::new(StatusCode::BAD_REQUEST, message)
        })
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
