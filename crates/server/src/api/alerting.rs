//! Silences, acknowledgements and explanations: JSON of requests and responses. Pure.

use std::time::Duration;

use bellwether_core::{Alert, AlertState, Fingerprint, Now, UnixMillis};
use bellwether_routing::{
    Acknowledgement, Command, CommandError, Explanation, GroupStatus, NO_END, Recurs, RouteMatch,
    Silence, SilenceDraft,
};
use bellwether_schema::{HumanDuration, parse_duration};
use hyper::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::response::ApiError;
use crate::backend::RuleView;

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

fn bad_request(error: impl ToString) -> ApiError {
    ApiError::new(StatusCode::BAD_REQUEST, error.to_string())
}

/// Parses the body of a request for a silence.
///
/// # Errors
/// The body is invalid.
pub(crate) fn silence(body: &[u8], now: UnixMillis) -> Result<Command, ApiError> {
    SilenceDraft::parse(body, now)
        .map(Command::Silence)
        .map_err(bad_request)
}

/// Parses the body of a request to acknowledge `alert`.
///
/// # Errors
/// The body or the fingerprint is invalid.
pub(crate) fn acknowledge(alert: &str, body: &[u8], now: UnixMillis) -> Result<Command, ApiError> {
    let AcknowledgeRequest {
        by,
        comment,
        until,
        duration,
    } = serde_json::from_slice(body).map_err(bad_request)?;
    let until = end_time(until.as_deref(), duration.as_deref(), now)?;
    Ok(Command::Acknowledge {
        alert: fingerprint(alert)?,
        by,
        comment,
        until,
    })
}

/// Parses a fingerprint of 16 hexadecimal digits.
///
/// # Errors
/// It is not hexadecimal.
pub(crate) fn fingerprint(text: &str) -> Result<Fingerprint, ApiError> {
    u64::from_str_radix(text, 16).map(Fingerprint).map_err(|_| {
        bad_request(format!("not a fingerprint: {text:?}"))
            .hint("16 hexadecimal digits, as in /api/v1/alerts")
    })
}

fn end_time(
    until: Option<&str>,
    duration: Option<&str>,
    from: UnixMillis,
) -> Result<Option<UnixMillis>, ApiError> {
    match (until, duration) {
        (Some(_), Some(_)) => Err(bad_request("both until and duration").hint("keep one")),
        (Some(at), None) => parse_time("until", at).map(Some),
        (None, None) => Ok(None),
        (None, Some(text)) => {
            let duration = parse_duration(text).filter(|duration| !duration.is_zero());
            let duration = duration.ok_or_else(|| {
                bad_request(format!("not a duration: {text:?}")).hint("such as 30m, 2h or 1d12h")
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
            bad_request(format!("{key}: not a time: {text:?}")).hint("such as 2026-11-21T10:00:00Z")
        })
}

/// Maps the error of a command to a response.
pub(crate) fn command_error(error: &CommandError) -> ApiError {
    let status = match error {
        CommandError::Unknown(_) => StatusCode::NOT_FOUND,
        CommandError::Invalid(_) => StatusCode::BAD_REQUEST,
    };
    ApiError::new(status, error.to_string())
}

/// Returns the data of `/api/v1/silences`.
pub(crate) fn silences(all: &[Silence], now: UnixMillis) -> Value {
    let view = |silence: &Silence| {
        let mut view = json!({
            "id": silence.id,
            "state": silence.state(now).as_str(),
            "inForce": silence.is_in_force(now),
            "matchers": silence.matchers.to_string(),
            "startsAt": time(silence.starts_at),
            "endsAt": (silence.ends_at < NO_END).then(|| time(silence.ends_at)),
            "createdBy": silence.created_by,
            "comment": silence.comment,
            "updatedAt": time(silence.updated_at),
            "configured": silence.source.is_some(),
            "source": silence.source.as_deref(),
        });
        if let (Value::Object(view), false) = (&mut view, silence.recurs.is_always()) {
            view.extend(recurs(&silence.recurs));
        }
        view
    };
    json!({ "silences": all.iter().map(view).collect::<Vec<_>>() })
}

/// Recurrence of a silence, with the keys of the request that creates one.
fn recurs(recurs: &Recurs) -> serde_json::Map<String, Value> {
    match serde_json::to_value(recurs) {
        Ok(Value::Object(words)) => words,
        _ => serde_json::Map::new(),
    }
}

/// Formats a time as RFC 3339 in UTC; null for one that has no date, such as the end of a silence
/// without end.
pub(crate) fn time(at: UnixMillis) -> Value {
    jiff::Timestamp::from_millisecond(at.0).map_or(Value::Null, |at| format!("{at:.0}").into())
}

fn format_duration(duration: Duration) -> String {
    HumanDuration(duration).to_string()
}

fn format_seconds(duration: Duration) -> String {
    format_duration(Duration::from_secs(duration.as_secs()))
}

/// Returns one matching route of an alert as JSON.
#[must_use]
pub fn route_match_view(route: &RouteMatch) -> Value {
    let escalation = route.escalation.iter();
    json!({
        "route": route.route,
        "matchers": route.matchers,
        "receiver": route.receiver,
        "channels": route.channels,
        "fallback": route.fallback,
        "group": route.group,
        "groupWait": format_duration(route.group_wait),
        "groupInterval": format_duration(route.group_interval),
        "repeatInterval": route.repeat_interval.map(format_duration),
        "mutedBy": route.muted_by,
        "escalation": escalation
            .map(|(after, receiver)| json!({"after": format_duration(*after), "receiver": receiver}))
            .collect::<Vec<_>>(),
    })
}

fn group_view(status: &GroupStatus) -> Value {
    let mut view = route_match_view(&status.route);
    let more = json!({
        "notifiedSeverity": status.notified.map(|(severity, _)| severity.as_str()),
        "firstNotified": status.notified.map(|(_, at)| time(at)),
        "muteReason": status.muted.as_ref().map(|(name, detail)| json!({"name": name, "detail": detail})),
        "lastMessage": status.last_message.map(time),
        "nextFlush": status.next_flush.map(time),
        "nextRepeat": status.next_repeat.map(time),
        "escalatedTo": status.escalated,
        "fallbackNotified": status.fell_back,
    });
    if let (Value::Object(view), Value::Object(more)) = (&mut view, more) {
        view.extend(more);
    }
    view
}

fn acknowledgement_view(acknowledgement: &Acknowledgement) -> Value {
    json!({
        "by": acknowledgement.by,
        "comment": acknowledgement.comment,
        "at": time(acknowledgement.at),
        "until": acknowledgement.until.map(time),
    })
}

/// Returns one rule of `/api/v1/explain` with its last evaluation and its alerts, or `only` one of
/// them. `explained` looks up the routes and groups of an alert.
pub(crate) fn explain(
    rule: &RuleView,
    explained: impl Fn(Fingerprint) -> Option<Explanation>,
    only: Option<Fingerprint>,
    now: Now,
) -> Value {
    let matches =
        |alert: &&std::sync::Arc<Alert>| only.is_none_or(|only| alert.fingerprint == only);
    let alerts = rule.alerts.iter().filter(matches).map(|alert| {
        let explanation = explained(alert.fingerprint);
        let pending = now.wall.since(alert.active_at).min(rule.duration);
        json!({
            "fingerprint": alert.fingerprint.to_string(),
            "labels": alert.labels,
            "severity": alert.severity.as_str(),
            "state": alert.state.as_str(),
            "value": alert.value,
            "threshold": alert.threshold,
            "activeAt": time(alert.active_at),
            "firedAt": alert.fired_at.map(time),
            "missingFor": rule.missing.get(&alert.fingerprint).map(|at| format_seconds(*at)),
            "pendingFor": (alert.state == AlertState::Pending).then(|| format_duration(pending)),
            "reason": explanation.as_ref().map(|explanation| explanation.reason.clone()),
            "flapping": explanation.as_ref().is_some_and(|explanation| explanation.flapping),
            "acknowledged": explanation.as_ref().and_then(|explanation| explanation.acknowledged.as_ref()).map(acknowledgement_view),
            "groups": explanation.iter().flat_map(|explanation| &explanation.groups).map(group_view).collect::<Vec<_>>(),
        })
    });
    json!({
        "rule": rule.name,
        "condition": rule.query,
        "state": rule.state.as_str(),
        "duration": format_duration(rule.duration),
        "keepFiringFor": format_duration(rule.keep_firing_for),
        "onNoData": rule.on_no_data,
        "lastEvaluation": rule.last_evaluation.map(time),
        "lastError": rule.last_error,
        "note": rule.note,
        "alerts": alerts.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis(1_795_435_200_000);

    #[test]
    fn a_silence_is_read_with_its_end_or_its_length() {
        let body = br#"{"matchers": ["a=b", "c=~\"d.*\""], "duration": "2h", "created_by": "ada"}"#;
        let Command::Silence(draft) = silence(body, NOW).ok().unwrap() else {
            panic!()
        };
        assert_eq!(draft.matchers.to_string(), "{a=\"b\",c=~\"d.*\"}");
        assert_eq!(
            (draft.starts_at, draft.ends_at),
            (None, UnixMillis(NOW.0 + 7_200_000))
        );
        let body = br#"{"matchers": "a=b", "startsAt": "2026-11-24T00:00:00Z",
                        "endsAt": "2026-11-25T00:00:00Z", "createdBy": "ada", "comment": "x"}"#;
        let Command::Silence(draft) = silence(body, NOW).ok().unwrap() else {
            panic!()
        };
        assert_eq!(
            draft.ends_at.since(draft.starts_at.unwrap()),
            Duration::from_secs(86_400)
        );
    }

    #[test]
    fn invalid_bodies_are_errors() {
        for (body, expected) in [
            ("", "EOF"),
            ("{}", "missing key \"created_by\""),
            (
                r#"{"matchers": "a", "duration": "1h", "created_by": "x"}"#,
                "matchers: expected =",
            ),
            (r#"{"matchers": "a=b", "created_by": "x"}"#, "no end"),
            (
                r#"{"matchers": "a=b", "created_by": "x", "duration": "0"}"#,
                "duration: 0",
            ),
            (
                r#"{"matchers": "a=b", "created_by": "x", "ends_at": "soon"}"#,
                "ends_at: invalid time",
            ),
            (
                r#"{"matchers": "a=b", "created_by": "x", "end": "soon"}"#,
                "unknown key \"end\"",
            ),
        ] {
            let error = silence(body.as_bytes(), NOW).err().unwrap();
            assert!(
                error.message.contains(expected),
                "{body}: {}",
                error.message
            );
        }
        assert!(acknowledge("xyz", br#"{"by": "ada"}"#, NOW).is_err());
        let command = acknowledge("00ff", br#"{"by": "ada", "duration": "1h"}"#, NOW)
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
