//! `/api/v1/alerts/<fingerprint>/acknowledge`.

use bellwether_core::UnixMillis;
use bellwether_routing::Command;
use bellwether_schema::parse_duration;
use serde::Deserialize;

use super::command::{BY, execute, fingerprint};
use crate::api::endpoints::parameter::{Parameter, duration, text, time};
use crate::api::query::bad_data;
use crate::api::request::RequestContext;
use crate::api::response::{ApiError, HttpResponse};

pub(super) const FINGERPRINT: Parameter = text("fingerprint", "fingerprint of the alert").in_path();

pub(crate) const ACKNOWLEDGE: &[Parameter] = &[
    FINGERPRINT,
    text("by", "who acknowledges").in_body().required(),
    text("comment", "comment").in_body(),
    time("until", "end; without one it ends with the alert").in_body(),
    duration("duration", "in place of `until`").in_body(),
];

pub(crate) const RELEASE: &[Parameter] = &[FINGERPRINT, BY];

/// Body of `POST /api/v1/alerts/<fingerprint>/acknowledge`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AcknowledgeRequest {
    by: String,
    #[serde(default)]
    comment: String,
    until: Option<String>,
    /// Alternative to `until`.
    duration: Option<String>,
}

/// Acknowledges the alert in the path.
///
/// # Errors
/// The body or the fingerprint is invalid, or there is no such alert.
pub(crate) async fn acknowledge(
    request: &mut RequestContext<'_>,
) -> Result<HttpResponse, ApiError> {
    let body = request.json_body().await?;
    let now = request.shared.backend.now().wall;
    let command = parse(request.path_parameter(), &body, now)?;
    execute(request, command).await
}

/// Ends the acknowledgement of the alert in the path.
///
/// # Errors
/// The fingerprint is invalid, or there is no such acknowledgement.
pub(crate) async fn release(request: &mut RequestContext<'_>) -> Result<HttpResponse, ApiError> {
    let alert = fingerprint(request.path_parameter())?;
    execute(request, Command::Release(alert)).await
}

fn parse(alert: &str, body: &[u8], now: UnixMillis) -> Result<Command, ApiError> {
    let AcknowledgeRequest {
        by,
        comment,
        until,
        duration,
    } = serde_json::from_slice(body).map_err(|error| bad_data(error.to_string()))?;
    let until = end_time(until.as_deref(), duration.as_deref(), now)?;
    Ok(Command::Acknowledge {
        alert: fingerprint(alert)?,
        by,
        comment,
        until,
    })
}

fn end_time(
    until: Option<&str>,
    duration: Option<&str>,
    from: UnixMillis,
) -> Result<Option<UnixMillis>, ApiError> {
    match (until, duration) {
        (Some(_), Some(_)) => Err(bad_data("both until and duration").hint("keep one")),
        (Some(at), None) => parse_time("until", at).map(Some),
        (None, None) => Ok(None),
        (None, Some(text)) => {
            let duration = parse_duration(text).filter(|duration| !duration.is_zero());
            let duration = duration.ok_or_else(|| {
                bad_data(format!("not a duration: {text:?}")).hint("such as 30m, 2h or 1d12h")
            })?;
            Ok(Some(UnixMillis(
                from.0.saturating_add(duration.as_millis() as i64),
            )))
        }
    }
}

fn parse_time(key: &str, text: &str) -> Result<UnixMillis, ApiError> {
    let time: Result<jiff::Timestamp, _> = text.parse();
    time.map(|time| UnixMillis(time.as_millisecond()))
        .map_err(|_| {
            bad_data(format!("{key}: not a time: {text:?}")).hint("such as 2026-11-21T10:00:00Z")
        })
}

#[cfg(test)]
mod tests {
    use bellwether_core::Fingerprint;

    use super::*;

    const NOW: UnixMillis = UnixMillis(1_795_435_200_000);

    #[test]
    fn an_acknowledgement_is_read_with_its_length() {
        assert!(parse("xyz", br#"{"by": "ada"}"#, NOW).is_err());
        let command = parse("00ff", br#"{"by": "ada", "duration": "1h"}"#, NOW)
            .ok()
            .unwrap();
        let Command::Acknowledge { alert, until, .. } = command else {
            panic!()
        };
        assert_eq!(
            (alert, until),
            (Fingerprint(255), Some(UnixMillis(NOW.0 + 3_600_000)))
        );
    }
}
