//! Responses: success and errors on the wire.

use std::borrow::Cow;
use std::fmt;

use bellwether_core::UnixMillis;
use hyper::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, HeaderName, HeaderValue, VARY};
use hyper::{Response, StatusCode};
use serde_json::Value;

use crate::backend::BackendError;
use crate::net::body::ResponseBody;
use crate::net::negotiate::Coding;
use crate::net::permits::Permit;

pub(crate) type HttpResponse = Response<ResponseBody>;

const TEXT: &str = "text/plain; charset=utf-8";
pub(crate) const JSON: &str = "application/json";

/// Error with its HTTP status.
#[derive(Debug)]
pub struct ApiError {
    pub(crate) status: StatusCode,
    /// Prometheus's `errorType`, if it does not follow from the status.
    kind: Option<&'static str>,
    pub(crate) message: String,
    pub(crate) hint: Option<Box<str>>,
    header: Option<(HeaderName, Cow<'static, str>)>,
}

impl ApiError {
    pub(crate) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            kind: None,
            message: message.into(),
            hint: None,
            header: None,
        }
    }

    /// Returns an error with its own `errorType`.
    pub(crate) fn with_kind(
        status: StatusCode,
        kind: &'static str,
        message: impl Into<String>,
    ) -> Self {
        Self {
            kind: Some(kind),
            ..Self::new(status, message)
        }
    }

    /// Value of `errorType`.
    pub(crate) fn kind(&self) -> &'static str {
        self.kind.unwrap_or_else(|| error_type(self.status))
    }

    pub(crate) fn hint(self, hint: impl Into<Box<str>>) -> Self {
        Self {
            hint: Some(hint.into()),
            ..self
        }
    }

    pub(crate) fn header(self, name: HeaderName, value: impl Into<Cow<'static, str>>) -> Self {
        Self {
            header: Some((name, value.into())),
            ..self
        }
    }

    /// Returns plain text for people, or JSON for clients of the `api`.
    pub(crate) fn into_response(mut self, api: bool) -> HttpResponse {
        let header = self.header.take();
        let mut response = self.body(api);
        if let Some((name, value)) = header
            && let Ok(value) = HeaderValue::from_str(&value)
        {
            response.headers_mut().insert(name, value);
        }
        response
    }

    /// Returns the message with its hint.
    pub(crate) fn text(&self) -> String {
        match &self.hint {
            Some(hint) => format!("{}; hint: {hint}", self.message),
            None => self.message.clone(),
        }
    }

    fn body(self, api: bool) -> HttpResponse {
        if !api {
            return text(self.status, self.text() + "\n");
        }
        let body = serde_json::json!({
            "status": "error",
            "errorType": self.kind(),
            "error": self.text(),
        });
        full(self.status, JSON, body.to_string())
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.message)
    }
}

impl std::error::Error for ApiError {}

impl From<BackendError> for ApiError {
    fn from(error: BackendError) -> Self {
        let status = match error {
            BackendError::Invalid(_) => StatusCode::BAD_REQUEST,
            BackendError::Failed(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, error.to_string().trim_end())
    }
}

/// Returns the error of a request that failed for no fault of the client.
pub(crate) fn internal(message: impl Into<String>) -> ApiError {
    ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, message)
}

/// Returns the error for a client that accepts none of the codings `served`.
pub(crate) fn not_acceptable(served: &[Coding]) -> ApiError {
    let names: Vec<&str> = served
        .iter()
        .map(|coding| coding.name().unwrap_or("identity"))
        .collect();
    let message = format!(
        "none of the accepted content codings is served: {}",
        names.join(", ")
    );
    ApiError::new(StatusCode::NOT_ACCEPTABLE, message)
        .hint("accept one of these, or send no Accept-Encoding")
}

/// Prometheus's `errorType` of a status, if it has one.
fn error_type(status: StatusCode) -> &'static str {
    match status {
        StatusCode::UNAUTHORIZED => "unauthorized",
        StatusCode::FORBIDDEN => "forbidden",
        StatusCode::NOT_FOUND => "not_found",
        StatusCode::REQUEST_TIMEOUT => "timeout",
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => "unavailable",
        status if status.is_server_error() => "internal",
        _ => "bad_data",
    }
}

/// Returns a response of plain text.
pub(crate) fn text(status: StatusCode, text: impl Into<String>) -> HttpResponse {
    full(status, TEXT, text.into())
}

/// Returns `{"status":"success","data":...}`. `permit` is given back when the client has read the
/// response.
pub(crate) fn success(data: &Value, coding: Coding, permit: Option<Permit>) -> HttpResponse {
    let body = serde_json::json!({"status": "success", "data": data}).to_string();
    json(body.into_bytes(), coding, permit)
}

/// Returns a response of JSON. `permit` is given back when the client has read it.
pub(crate) fn json(text: Vec<u8>, coding: Coding, permit: Option<Permit>) -> HttpResponse {
    match ResponseBody::compressed(text, coding, permit) {
        Ok((body, coding)) => {
            let mut response = base(StatusCode::OK, JSON, body);
            set_coding(&mut response, coding);
            response
        }
        Err(error) => {
            let message = format!("cannot compress the answer: {error}");
            ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, message).into_response(true)
        }
    }
}

/// Returns a response with any body.
pub(crate) fn base(
    status: StatusCode,
    content_type: &'static str,
    body: ResponseBody,
) -> HttpResponse {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(
        "x-content-type-options",
        HeaderValue::from_static("nosniff"),
    );
    response
}

/// Formats a time for the header `Date`.
pub(crate) fn date(now: UnixMillis) -> Option<HeaderValue> {
    let now = jiff::Timestamp::from_millisecond(now.0).ok()?;
    let mut text = String::new();
    let printer = jiff::fmt::rfc2822::DateTimePrinter::new();
    printer.print_timestamp_rfc9110(&now, &mut text).ok()?;
    HeaderValue::from_str(&text).ok()
}

/// Sets `Content-Encoding`, and `Vary`: the coding depends on the request.
pub(crate) fn set_coding(response: &mut HttpResponse, coding: Coding) {
    if let Some(name) = coding.name() {
        response
            .headers_mut()
            .insert(CONTENT_ENCODING, HeaderValue::from_static(name));
    }
    response
        .headers_mut()
        .insert(VARY, HeaderValue::from_static("Accept, Accept-Encoding"));
}

fn full(status: StatusCode, content_type: &'static str, text: String) -> HttpResponse {
    base(status, content_type, ResponseBody::full(text))
}
