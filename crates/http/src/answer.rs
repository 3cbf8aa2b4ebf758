//! What a receiver's answer means, and an error in words.

use std::time::Duration;

use bellwether_core::UnixMillis;
use reqwest::header::{DATE, RETRY_AFTER};
use reqwest::{Response, StatusCode};

use super::retry::parse_retry_after;

/// Why a receiver did not take what was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Its status.
    pub status: StatusCode,
    /// How long it asks to wait.
    pub retry_after: Option<Duration>,
    /// What it said, as far as it may be shown: place, status, the beginning of the body.
    pub message: String,
    /// The body, as far as it is kept.
    pub body: String,
}

/// Reads an answer that is no success. `place` is where it comes from, without secrets.
pub async fn refusal(response: Response, place: &str, now: UnixMillis) -> Refusal {
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
    let (body, _) = kept(response, 16 << 10).await;
    let said = beginning(&body);
    if !said.is_empty() {
        message += &format!(": {said}");
    }
    Refusal {
        status,
        retry_after,
        message,
        body,
    }
}

/// The body of a success, as far as it is kept. Some services repeat there what they were sent.
///
/// # Errors
/// It was cut off.
pub async fn body_text(response: Response) -> Result<String, String> {
    match kept(response, 1 << 20).await {
        (body, None) => Ok(body),
        (_, Some(error)) => Err(reasons(&error.without_url())),
    }
}

/// The first `longest` bytes of an answer's body, and what ended it before its time.
async fn kept(mut response: Response, longest: usize) -> (String, Option<reqwest::Error>) {
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

/// The beginning of what was said, on one line.
fn beginning(text: &str) -> String {
    const LONGEST: usize = 200;
    let shown = &text[..text.floor_char_boundary(LONGEST)];
    shown
        .trim()
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

/// An error with what caused it: `error sending request: connection refused`.
#[must_use]
pub fn reasons(error: &dyn std::error::Error) -> String {
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
