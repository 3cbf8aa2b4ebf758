//! Silences, acknowledgements and explanations over HTTP.
//!
//! Owns the form of requests and answers.

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

use super::answer::Trouble;
use super::backend::RuleView;

/// `POST /api/v1/alerts/<fingerprint>/acknowledge`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Acknowledging {
    by: String,
    #[serde(default)]
    comment: String,
    until: Option<String>,
    /// In place of `until`.
    duration: Option<String>,
}

fn bad(error: impl ToString) -> Trouble {
    Trouble::new(StatusCode::BAD_REQUEST, error.to_string())
}

/// What a body asks to be silenced.
///
/// # Errors
/// What is wrong with it.
pub(super) fn silence(body: &[u8], now: UnixMillis) -> Result<Command, Trouble> {
    SilenceDraft::parse(body, now)
        .map(Command::Silence)
        .map_err(bad)
}

/// What a body says of who takes care of `alert`.
///
/// # Errors
/// What is wrong with it.
pub(super) fn acknowledge(alert: &str, body: &[u8], now: UnixMillis) -> Result<Command, Trouble> {
    let Acknowledging {
        by,
        comment,
        until,
        duration,
    } = serde_json::from_slice(body).map_err(bad)?;
    let until = end(until.as_deref(), duration.as_deref(), now)?;
    Ok(Command::Acknowledge {
        alert: fingerprint(alert)?,
        by,
        comment,
        until,
    })
}

/// The alert of 16 hexadecimal digits.
///
/// # Errors
/// If they are not.
pub(super) fn fingerprint(text: &str) -> Result<Fingerprint, Trouble> {
    u64::from_str_radix(text, 16).map(Fingerprint).map_err(|_| {
        bad(format!("not a fingerprint: {text:?}")).hint("16 digits, as /api/v1/alerts has them")
    })
}

fn end(
    until: Option<&str>,
    duration: Option<&str>,
    from: UnixMillis,
) -> Result<Option<UnixMillis>, Trouble> {
    match (until, duration) {
        (Some(_), Some(_)) => Err(bad("both until and duration").hint("keep one")),
        (Some(at), None) => moment("until", at).map(Some),
        (None, None) => Ok(None),
        (None, Some(text)) => {
            let span = parse_duration(text).filter(|span| !span.is_zero());
            let span = span.ok_or_else(|| {
                bad(format!("not a duration: {text:?}")).hint("30m, 2h or 1d12h, say")
            })?;
            Ok(Some(UnixMillis(
                from.0.saturating_add(span.as_millis() as i64),
            )))
        }
    }
}

fn moment(key: &str, text: &str) -> Result<UnixMillis, Trouble> {
    let time: Result<jiff::Timestamp, _> = text.parse();
    time.map(|time| UnixMillis(time.as_millisecond()))
        .map_err(|_| bad(format!("{key}: not a time: {text:?}")).hint("2026-11-21T10:00:00Z, say"))
}

/// Why an order was not carried out.
pub(super) fn refused(error: &CommandError) -> Trouble {
    let status = match error {
        CommandError::Unknown(_) => StatusCode::NOT_FOUND,
        CommandError::Invalid(_) => StatusCode::BAD_REQUEST,
    };
    Trouble::new(status, error.to_string())
}

/// `/api/v1/silences`.
pub(super) fn silences(all: &[Silence], now: UnixMillis) -> Value {
    let one = |silence: &Silence| {
        let mut view = json!({
            "id": silence.id,
            "state": silence.state(now).as_str(),
            "holds": silence.holds(now),
            "matchers": silence.matchers.to_string(),
            "startsAt": time(silence.starts_at),
            "endsAt": (silence.ends_at < NO_END).then(|| time(silence.ends_at)),
            "createdBy": silence.created_by,
            "comment": silence.comment,
            "updatedAt": time(silence.updated_at),
            "declared": silence.source.is_some(),
            "source": silence.source.as_deref(),
        });
        if let (Value::Object(view), false) = (&mut view, silence.recurs.is_always()) {
            view.extend(recurs(&silence.recurs));
        }
        view
    };
    json!({ "silences": all.iter().map(one).collect::<Vec<_>>() })
}

/// When a silence recurs, in the words by which it is made.
fn recurs(recurs: &Recurs) -> serde_json::Map<String, Value> {
    match serde_json::to_value(recurs) {
        Ok(Value::Object(words)) => words,
        _ => serde_json::Map::new(),
    }
}

/// RFC 3339 in UTC; null for the ends of time.
pub(super) fn time(at: UnixMillis) -> Value {
    let known = jiff::Timestamp::from_millisecond(at.0).ok();
    known.map_or(Value::Null, |at| format!("{at:.0}").into())
}

fn span(duration: Duration) -> String {
    HumanDuration(duration).to_string()
}

/// In whole seconds.
fn seconds(duration: Duration) -> String {
    span(Duration::from_secs(duration.as_secs()))
}

/// One route, for people and programs.
#[must_use]
pub fn route_match_view(way: &RouteMatch) -> Value {
    let escalation = way.escalation.iter();
    json!({
        "route": way.route,
        "matchers": way.matchers,
        "receiver": way.receiver,
        "channels": way.channels,
        "fallback": way.fallback,
        "group": way.group,
        "groupWait": span(way.group_wait),
        "groupInterval": span(way.group_interval),
        "repeatInterval": way.repeat_interval.map(span),
        "heldBy": way.held_by,
        "escalation": escalation
            .map(|(after, receiver)| json!({"after": span(*after), "receiver": receiver}))
            .collect::<Vec<_>>(),
    })
}

fn membership(one: &GroupStatus) -> Value {
    let mut view = route_match_view(&one.way);
    let more = json!({
        "toldAs": one.told.map(|(severity, _)| severity.as_str()),
        "firstTold": one.told.map(|(_, at)| time(at)),
        "gate": one.gate.as_ref().map(|(name, why)| json!({"name": name, "why": why})),
        "lastMessage": one.last_message.map(time),
        "nextFlush": one.next_flush.map(time),
        "nextRepeat": one.next_repeat.map(time),
        "escalatedTo": one.escalated,
        "fellBack": one.fell_back,
    });
    if let (Value::Object(view), Value::Object(more)) = (&mut view, more) {
        view.extend(more);
    }
    view
}

fn acknowledgement(one: &Acknowledgement) -> Value {
    json!({
        "by": one.by,
        "comment": one.comment,
        "at": time(one.at),
        "until": one.until.map(time),
    })
}

/// `/api/v1/explain`: a rule with its last evaluation, and each of its alerts with every gate on
/// its way.
pub(super) fn explain(
    rule: &RuleView,
    explained: impl Fn(Fingerprint) -> Option<Explanation>,
    only: Option<Fingerprint>,
    now: Now,
) -> Value {
    let wanted = |alert: &&std::sync::Arc<Alert>| only.is_none_or(|only| alert.fingerprint == only);
    let alerts = rule.alerts.iter().filter(wanted).map(|alert| {
        let known = explained(alert.fingerprint);
        let held = now.wall.since(alert.active_at).min(rule.duration);
        json!({
            "fingerprint": alert.fingerprint.to_string(),
            "labels": alert.labels,
            "severity": alert.severity.as_str(),
            "state": alert.state.as_str(),
            "value": alert.value,
            "threshold": alert.threshold,
            "activeAt": time(alert.active_at),
            "firedAt": alert.fired_at.map(time),
            "missingFor": rule.missing.get(&alert.fingerprint).map(|at| seconds(*at)),
            "heldFor": (alert.state == AlertState::Pending).then(|| span(held)),
            "reason": known.as_ref().map(|known| known.reason.clone()),
            "flapping": known.as_ref().is_some_and(|known| known.flapping),
            "acknowledged": known.as_ref().and_then(|known| known.acknowledged.as_ref()).map(acknowledgement),
            "groups": known.iter().flat_map(|known| &known.groups).map(membership).collect::<Vec<_>>(),
        })
    });
    json!({
        "rule": rule.name,
        "condition": rule.query,
        "state": rule.state.as_str(),
        "duration": span(rule.duration),
        "keepFiringFor": span(rule.keep_firing_for),
        "onMissing": rule.on_missing,
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
    fn what_is_wrong_with_a_body_is_told() {
        for (body, expected) in [
            ("", "EOF"),
            ("{}", "missing key \"created_by\""),
            (
                r#"{"matchers": "a", "duration": "1h", "created_by": "x"}"#,
                "matchers: expected =",
            ),
            (
                r#"{"matchers": "a=b", "created_by": "x"}"#,
                "it does not say when it ends",
            ),
            (
                r#"{"matchers": "a=b", "created_by": "x", "duration": "0"}"#,
                "duration: 0",
            ),
            (
                r#"{"matchers": "a=b", "created_by": "x", "ends_at": "soon"}"#,
                "ends_at: not a point in time",
            ),
            (
                r#"{"matchers": "a=b", "created_by": "x", "end": "soon"}"#,
                "unknown key \"end\"",
            ),
        ] {
            let trouble = silence(body.as_bytes(), NOW).err().unwrap();
            assert!(
                trouble.message.contains(expected),
                "{body}: {}",
                trouble.message
            );
        }
        assert!(acknowledge("xyz", br#"{"by": "ada"}"#, NOW).is_err());
        let order = acknowledge("00ff", br#"{"by": "ada", "duration": "1h"}"#, NOW)
            .ok()
            .unwrap();
        let Command::Acknowledge { alert, until, .. } = order else {
            panic!()
        };
        assert_eq!(
            (alert, until),
            (Fingerprint(255), Some(UnixMillis(NOW.0 + 3_600_000)))
        );
    }
}
