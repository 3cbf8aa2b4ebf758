//! Answers: how success and failure look on the wire.

use bellwether_core::UnixMillis;
use hyper::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, HeaderName, HeaderValue, VARY};
use hyper::{Response, StatusCode};
use serde_json::{Value, json};

use super::body::Outgoing;
use super::negotiate::Coding;
use super::permits::Permit;

pub(super) type Answer = Response<Outgoing>;

const TEXT: &str = "text/plain; charset=utf-8";
pub(super) const JSON: &str = "application/json";

/// Something that cannot be answered as asked.
#[derive(Debug)]
pub(super) struct Trouble {
    pub(super) status: StatusCode,
    /// Prometheus' word for it, where the status alone does not tell.
    kind: Option<&'static str>,
    pub(super) message: String,
    pub(super) hint: Option<&'static str>,
    pub(super) header: Option<(HeaderName, &'static str)>,
}

impl Trouble {
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            kind: None,
            message: message.into(),
            hint: None,
            header: None,
        }
    }

    /// With a word of its own for `errorType`.
    pub(super) fn of_kind(
        status: StatusCode,
        kind: &'static str,
        message: impl Into<String>,
    ) -> Self {
        Self {
            kind: Some(kind),
            ..Self::new(status, message)
        }
    }

    /// What `errorType` says.
    pub(super) fn kind(&self) -> &'static str {
        self.kind.unwrap_or_else(|| error_type(self.status))
    }

    pub(super) fn hint(self, hint: &'static str) -> Self {
        Self {
            hint: Some(hint),
            ..self
        }
    }

    pub(super) fn header(self, name: HeaderName, value: &'static str) -> Self {
        Self {
            header: Some((name, value)),
            ..self
        }
    }

    /// For people, or for clients of the API.
    pub(super) fn answer(self, api: bool) -> Answer {
        let header = self.header.clone();
        let mut answer = self.body(api);
        if let Some((name, value)) = header {
            answer
                .headers_mut()
                .insert(name, HeaderValue::from_static(value));
        }
        answer
    }

    fn body(self, api: bool) -> Answer {
        let hint = self
            .hint
            .map(|hint| format!("\nhint: {hint}"))
            .unwrap_or_default();
        if !api {
            return text(self.status, format!("{}{hint}\n", self.message));
        }
        let body = json!({
            "status": "error",
            "errorType": self.kind(),
            "error": format!("{}{hint}", self.message),
        });
        whole(self.status, JSON, body.to_string())
    }
}

/// Prometheus' words where it has one.
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

/// Plain text.
pub(super) fn text(status: StatusCode, text: impl Into<String>) -> Answer {
    whole(status, TEXT, text.into())
}

/// An HTML page that may load nothing and be framed by nobody.
pub(super) fn html(text: String) -> Answer {
    let mut answer = whole(StatusCode::OK, "text/html; charset=utf-8", text);
    let policy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'";
    answer
        .headers_mut()
        .insert("content-security-policy", HeaderValue::from_static(policy));
    answer
}

/// `{"status":"success","data":...}`. `permit` is given back when the answer was taken.
pub(super) fn success(data: &Value, coding: Coding, permit: Option<Permit>) -> Answer {
    let body = json!({"status": "success", "data": data}).to_string();
    match Outgoing::coded(body.into_bytes(), coding, permit) {
        Ok((body, coding)) => {
            let mut answer = base(StatusCode::OK, JSON, body);
            set_coding(&mut answer, coding);
            answer
        }
        Err(error) => {
            let message = format!("cannot compress the answer: {error}");
            Trouble::new(StatusCode::INTERNAL_SERVER_ERROR, message).answer(true)
        }
    }
}

/// Any body.
pub(super) fn base(status: StatusCode, content_type: &'static str, body: Outgoing) -> Answer {
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(
        "x-content-type-options",
        HeaderValue::from_static("nosniff"),
    );
    answer
}

/// The time as the header `Date` has it.
pub(super) fn date(now: UnixMillis) -> Option<HeaderValue> {
    let now = jiff::Timestamp::from_millisecond(now.0).ok()?;
    let mut text = String::new();
    let printer = jiff::fmt::rfc2822::DateTimePrinter::new();
    printer.print_timestamp_rfc9110(&now, &mut text).ok()?;
    HeaderValue::from_str(&text).ok()
}

/// Says how the body is coded, and that it depends on what was asked for.
pub(super) fn set_coding(answer: &mut Answer, coding: Coding) {
    if let Some(name) = coding.name() {
        answer
            .headers_mut()
            .insert(CONTENT_ENCODING, HeaderValue::from_static(name));
    }
    answer
        .headers_mut()
        .insert(VARY, HeaderValue::from_static("Accept, Accept-Encoding"));
}

fn whole(status: StatusCode, content_type: &'static str, text: String) -> Answer {
    base(status, content_type, Outgoing::whole(text))
}
