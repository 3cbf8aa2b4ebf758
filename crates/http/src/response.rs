//! Responses: error responses, bodies up to a limit, errors with their causes.

use std::time::Duration;

use bellwether_core::UnixMillis;
use bellwether_schema::Size;
use reqwest::header::{DATE, RETRY_AFTER};
use reqwest::{Response, StatusCode};

use super::error::HttpError;
use super::retry::parse_retry_after;

/// A response that is not a success.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorResponse {
    pub status: StatusCode,
    /// Delay that the server asks for.
    pub retry_after: Option<Duration>,
    /// Message with origin, status and the beginning of the body; holds no secret.
    pub message: String,
    /// Body, up to 16 KiB.
    pub body: String,
}

/// Reads an answer that is no success. `place` is where it comes from, without secrets.
pub async fn read_error_response(
    response: Response,
    place: &str,
    now: UnixMillis,
) -> ErrorResponse {
    let status = response.status();
    let header = |name| {
        response
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok())
    };
    let retry_after =
        header(RETRY_AFTER).and_then(|value| parse_retry_after(value, header(DATE), now));
    let mut message = format!("{place} answered {status}");
    if status.is_redirection() {
        message += ", which is not followed: set the final URL";
    }
    // What could be read is all there is to show.
    let (body, _) = read_prefix(response, 16 << 10).await;
    let said = excerpt(&body);
    if !said.is_empty() {
        message += &format!(": {said}");
    }
    ErrorResponse {
        status,
        retry_after,
        message,
        body,
    }
}

/// Reads the body of a success, up to 1 MiB. Some services echo the request in it.
///
/// # Errors
/// The body was cut off.
pub async fn body_text(response: Response) -> Result<String, HttpError> {
    match read_prefix(response, 1 << 20).await {
        (body, None) => Ok(body),
        (_, Some(error)) => Err(HttpError::CutOff(error.without_url())),
    }
}

/// Reads a body of at most `limit` bytes.
///
/// # Errors
/// The body is larger, or was cut off.
pub async fn body_bytes(mut response: Response, limit: u64) -> Result<Vec<u8>, HttpError> {
    let mut bytes = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
            Ok(None) => return Ok(bytes),
            Err(error) => return Err(HttpError::CutOff(error.without_url())),
        }
        if bytes.len() as u64 > limit {
            return Err(HttpError::TooLarge(Size(limit)));
        }
    }
}

/// Reads the first `longest` bytes of a body. Returns them with the error that cut it off, if any.
async fn read_prefix(mut response: Response, longest: usize) -> (String, Option<reqwest::Error>) {
    let mut bytes = Vec::new();
    let cut_off = loop {
        match response.chunk().await {
            Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
            Ok(None) => break None,
            Err(error) => break Some(error),
        }
        if bytes.len() >= longest {
            bytes.truncate(longest);
            break None;
        }
    };
    (String::from_utf8_lossy(&bytes).into_owned(), cut_off)
}

/// Returns the beginning of a text, on one line.
fn excerpt(text: &str) -> String {
    const LONGEST: usize = 200;
    let shown = &text[..text.floor_char_boundary(LONGEST)];
    shown
        .trim()
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

/// Formats an error with its causes: `error sending request: connection refused`.
#[must_use]
pub fn error_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let reason = error.to_string();
        if !text.ends_with(&reason) {
            text += &format!(": {reason}");
        }
        cause = error.source();
    }
    text
}

/// Removes `secrets` from `text`. One that is shorter than six bytes stays: it occurs in any text, as
/// the path `/` does.
#[must_use]
pub fn redacted<'a>(text: String, secrets: impl IntoIterator<Item = &'a str>) -> String {
    const SHORTEST: usize = 6;
    let secrets = secrets.into_iter();
    secrets
        .filter(|secret| secret.len() >= SHORTEST)
        .fold(text, |text, secret| text.replace(secret, "<secret>"))
}
