//! Body of a request, within the limits of size and time.

use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body, Bytes};
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE};
use hyper::{HeaderMap, StatusCode};
use tokio::time::timeout;

use super::RequestContext;
use crate::api::response::ApiError;

impl RequestContext<'_> {
    /// Reads the JSON body of a request that changes state.
    ///
    /// # Errors
    /// It is not announced as JSON, or cannot be read.
    pub(crate) async fn json_body(&mut self) -> Result<Bytes, ApiError> {
        check_json(&self.parts.headers)?;
        self.read_body().await
    }

    /// Reads the whole body. One that announces a larger size is rejected unread.
    ///
    /// # Errors
    /// It is too large, too slow, or the connection failed.
    pub(crate) async fn read_body(&mut self) -> Result<Bytes, ApiError> {
        let limit = *self.access.limits.max_body_bytes;
        let Some(unread) = &mut self.body else {
            return Ok(Bytes::new());
        };
        if unread.size_hint().lower() > limit {
            return Err(too_large(limit));
        }
        let _waiting = self.guard.awaits_body();
        // The body stays until all of it is read: an unread rest ends the connection.
        let limited = Limited::new(unread, usize::try_from(limit).unwrap_or(usize::MAX));
        match timeout(**self.access.limits.body_timeout, limited.collect()).await {
            Ok(Ok(read)) => {
                self.body = None;
                Ok(read.to_bytes())
            }
            Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large(limit)),
            Ok(Err(error)) => Err(ApiError::new(
                StatusCode::BAD_REQUEST,
                format!("cannot read the body: {error}"),
            )),
            Err(_) => Err(ApiError::new(
                StatusCode::REQUEST_TIMEOUT,
                "the body was not complete in time",
            )),
        }
    }
}

fn too_large(limit: u64) -> ApiError {
    let message = format!("the body is larger than {limit} bytes");
    ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, message)
        .hint("send it in parts, or raise prometheus.limits.max_body_bytes")
}

/// Checks the content type: a form that a browser posts by itself is never `application/json`.
fn check_json(headers: &HeaderMap) -> Result<(), ApiError> {
    let unsupported = |message: String| ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message);
    let value = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let media = value.split(';').next().unwrap_or_default().trim();
    if !media.eq_ignore_ascii_case("application/json") {
        return Err(unsupported(format!(
            "the content type must be application/json, not {media:?}"
        )));
    }
    match headers.get(CONTENT_ENCODING) {
        Some(coding) if coding != "identity" => Err(unsupported(
            "the body must not have a Content-Encoding".into(),
        )),
        _ => Ok(()),
    }
}
