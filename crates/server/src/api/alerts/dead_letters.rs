//! `/api/v1/dead-letters`: lists, resends or discards notifications that their channels rejected
//! for good.
//!
//! Owns the parameters and the JSON.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use bellwether_core::{DeadLetter, counted};
use hyper::StatusCode;
use serde_json::{Value, json};

use crate::api::endpoints::parameter::{Necessity, Parameter, boolean, names, text};
use crate::api::json::time_to_second;
use crate::api::query::{Parameters, bad_data, invalid};
use crate::api::request::{RequestContext, detached};
use crate::api::response::{self, ApiError, HttpResponse};
use crate::audit::{Actor, AuditEntry, AuditOutcome};
use crate::backend::Backend;
use crate::net::negotiate::Coding;
use crate::net::permits::Permit;

pub(crate) const LIST: &[Parameter] = &parameters(Necessity::Optional);
pub(crate) const CHANGE: &[Parameter] = &parameters(Necessity::Alternative);

/// Number of ids in an audit entry.
const LISTED: usize = 10;

const fn parameters(necessity: Necessity) -> [Parameter; 3] {
    [
        text("id", "id of a dead letter").repeated().with(necessity),
        text("channel", "name of a channel")
            .repeated()
            .with(necessity),
        boolean("all", "`true` selects all").with(necessity),
    ]
}

/// Lists dead letters.
///
/// # Errors
/// A parameter is invalid.
pub(crate) async fn list(request: &mut RequestContext<'_>) -> Result<HttpResponse, ApiError> {
    let coding = request.coding()?;
    let permit = request.permit().await?;
    let all = request.shared.backend.dead_letters();
    let selected = select(&request.parameters(), false, all)?;
    let views: Vec<Value> = selected.iter().map(view).collect();
    Ok(success(&views, coding, permit))
}

/// Resends dead letters.
///
/// # Errors
/// A parameter is invalid, or none is selected.
pub(crate) async fn resend(request: &mut RequestContext<'_>) -> Result<HttpResponse, ApiError> {
    settle(request, |backend, ids, actor| async move {
        let resent = backend.resend(ids).await;
        let sent = resent.iter().filter(|(_, sent)| *sent);
        let what = summary("resend of", sent.map(|(dead_letter, _)| dead_letter));
        backend.audit(done("resend", what, actor));
        resent
            .into_iter()
            .map(|(dead_letter, sent)| resend_view(&dead_letter, sent))
            .collect()
    })
    .await
}

/// Discards dead letters.
///
/// # Errors
/// A parameter is invalid, or none is selected.
pub(crate) async fn discard(request: &mut RequestContext<'_>) -> Result<HttpResponse, ApiError> {
    settle(request, |backend, ids, actor| async move {
        let discarded = backend.discard(ids).await;
        let what = summary("discard of", discarded.iter());
        backend.audit(done("discard", what, actor));
        discarded.iter().map(view).collect()
    })
    .await
}

/// Responds with the views that `change` returns of the selected dead letters.
async fn settle<F: Future<Output = Vec<Value>> + Send + 'static>(
    request: &RequestContext<'_>,
    change: impl FnOnce(Arc<dyn Backend>, HashSet<String>, Actor) -> F,
) -> Result<HttpResponse, ApiError> {
    let coding = request.coding()?;
    let permit = request.permit().await?;
    let backend = request.backend();
    let selected = select(&request.parameters(), true, backend.dead_letters())?;
    let ids = selected.into_iter().map(|dead_letter| dead_letter.id);
    let settled = change(backend, ids.collect(), request.actor());
    let (views, permit) = detached(async move { (settled.await, permit) }).await?;
    Ok(success(&views, coding, permit))
}

fn done(action: &'static str, what: String, actor: Actor) -> AuditEntry {
    let outcome = AuditOutcome::Done;
    AuditEntry {
        action,
        what,
        actor,
        outcome,
    }
}

/// Returns the number, the channels and the first ids of dead letters, for the audit.
fn summary<'a>(what: &str, dead_letters: impl Iterator<Item = &'a DeadLetter>) -> String {
    let all: Vec<&DeadLetter> = dead_letters.collect();
    let mut text = format!("{what} {}", counted(all.len(), "dead letter"));
    let channels: BTreeSet<&str> = all.iter().map(|letter| &*letter.channel).collect();
    if !channels.is_empty() {
        let channels: Vec<&str> = channels.into_iter().collect();
        text += &format!(" of {}", channels.join(", "));
    }
    let ids: Vec<&str> = all.iter().take(LISTED).map(|letter| &*letter.id).collect();
    if !ids.is_empty() {
        let more = if all.len() > LISTED { ", ..." } else { "" };
        text += &format!(": {}{more}", ids.join(", "));
    }
    text
}

fn success(views: &[Value], coding: Coding, permit: Permit) -> HttpResponse {
    response::success(&json!({ "deadLetters": views }), coding, Some(permit))
}

/// Selects those of `all` that the parameters name. Without parameters it selects all, unless the
/// request `changes` something.
fn select(
    parameters: &Parameters,
    changes: bool,
    all: Vec<DeadLetter>,
) -> Result<Vec<DeadLetter>, ApiError> {
    if let Some(unknown) = parameters.unknown(LIST) {
        let names = names(LIST);
        return Err(bad_data(format!(
            "unknown parameter {unknown:?}: there are {names}"
        )));
    }
    let selects_all = match parameters.text("all") {
        "" | "false" => false,
        "true" => true,
        other => {
            return Err(invalid(
                "all",
                &format!("{other:?} is neither true nor false"),
            ));
        }
    };
    let ids: HashSet<&str> = parameters.all("id").collect();
    let channels: HashSet<&str> = parameters.all("channel").collect();
    if let Some(unknown) = ids
        .iter()
        .find(|id| !all.iter().any(|dead_letter| dead_letter.id == **id))
    {
        let message = format!("there is no dead letter {unknown:?}");
        return Err(ApiError::new(StatusCode::NOT_FOUND, message)
            .hint("it was sent again or discarded, or its channel was notified since"));
    }
    if changes && ids.is_empty() && channels.is_empty() && !selects_all {
        return Err(bad_data("no dead letters selected").hint("give id=, channel= or all=true"));
    }
    Ok(all
        .into_iter()
        .filter(|dead_letter| {
            (ids.is_empty() || ids.contains(&*dead_letter.id))
                && (channels.is_empty() || channels.contains(&*dead_letter.channel))
        })
        .collect())
}

fn view(dead_letter: &DeadLetter) -> Value {
    let DeadLetter {
        id,
        channel,
        at,
        reason,
        error,
        notification,
        end,
    } = dead_letter;
    let alert = &notification.alert;
    let ended_at = end.as_ref().map(|end| end.at).or(alert.resolved_at);
    json!({
        "id": id,
        "channel": &**channel,
        "at": time_to_second(*at),
        "reason": reason,
        "error": error,
        "notification": {
            "id": notification.id,
            "status": notification.status.as_str(),
            "cause": notification.cause.as_str(),
            "reason": notification.reason,
            "at": time_to_second(notification.at),
            "receiver": notification.group.receiver,
        },
        "alertname": alert.alertname(),
        "fingerprint": alert.fingerprint.to_string(),
        "severity": alert.severity.as_str(),
        "labels": alert.labels,
        "message": alert.message,
        "value": alert.value,
        "startsAt": time_to_second(alert.starts()),
        "endsAt": ended_at.map(time_to_second),
    })
}

/// Returns a dead letter with whether it is sent again.
fn resend_view(dead_letter: &DeadLetter, sent: bool) -> Value {
    let skipped_reason = if sent {
        Value::Null
    } else {
        "the channel was notified since, or is about to be".into()
    };
    let mut view = view(dead_letter);
    (view["sent"], view["skippedReason"]) = (sent.into(), skipped_reason);
    view
}

#[cfg(test)]
mod tests {
    use bellwether_core::{Alert, Cause, Labels, Notification, Severity, Status, UnixMillis};

    use super::*;

    fn dead_letter(id: &str, channel: &str) -> DeadLetter {
        let alert = Arc::new(Alert {
            fingerprint: bellwether_core::Fingerprint(7),
            message: "full".into(),
            value: Some(91.0),
            fired_at: Some(UnixMillis(1000)),
            ..Alert::firing("disk", Severity::Warning, Labels::new())
        });
        let notification = |status, at| Notification {
            id: format!("7-1000-{at}"),
            status,
            cause: Cause::Change,
            group: Arc::default(),
            alert: alert.clone(),
            reason: "91 > 90".into(),
            at: UnixMillis(at),
        };
        DeadLetter {
            id: id.into(),
            channel: channel.into(),
            at: UnixMillis(2000),
            reason: "rejected".into(),
            error: "http://pager answered 400".into(),
            notification: notification(Status::Firing, 1000),
            end: Some(notification(Status::Resolved, 5000)),
        }
    }

    fn choose(query: &str, changes: bool) -> Result<Vec<String>, String> {
        let all = vec![
            dead_letter("a", "pager"),
            dead_letter("b", "pager"),
            dead_letter("c", "mail"),
        ];
        let selected = select(&Parameters::new(query, b""), changes, all);
        selected
            .map(|selected| {
                selected
                    .into_iter()
                    .map(|dead_letter| dead_letter.id)
                    .collect()
            })
            .map_err(|error| error.message)
    }

    #[test]
    fn dead_letters_are_selected_by_id_channel_or_all_true() {
        let ids = |ids: &[&str]| Ok(ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>());
        assert_eq!(choose("", false), ids(&["a", "b", "c"]));
        assert_eq!(choose("channel=pager", true), ids(&["a", "b"]));
        assert_eq!(choose("id=c&id=a", true), ids(&["a", "c"]));
        assert_eq!(choose("all=true", true), ids(&["a", "b", "c"]));
        for (query, expected) in [
            ("", "no dead letters selected"),
            ("all=false", "no dead letters selected"),
            (
                "all=maybe",
                "invalid parameter \"all\": \"maybe\" is neither true nor false",
            ),
            ("id=a&id=x", "there is no dead letter \"x\""),
            (
                "chanel=pager",
                "unknown parameter \"chanel\": there are id, channel, all",
            ),
        ] {
            assert_eq!(choose(query, true), Err(expected.to_owned()), "{query}");
        }
    }

    #[test]
    fn the_audit_names_channels_and_the_first_ids() {
        let letters: Vec<DeadLetter> = (0..12)
            .map(|index| dead_letter(&format!("i{index}"), ["mail", "pager"][index % 2]))
            .collect();
        assert_eq!(
            summary("discard of", letters.iter()),
            "discard of 12 dead letters of mail, pager: i0, i1, i2, i3, i4, i5, i6, i7, i8, i9, ..."
        );
        assert_eq!(
            summary("resend of", letters.iter().take(1)),
            "resend of 1 dead letter of mail: i0"
        );
        assert_eq!(summary("resend of", [].iter()), "resend of 0 dead letters");
    }

    #[test]
    fn a_dead_letter_has_its_error_and_the_end_of_its_alert() {
        let view = resend_view(&dead_letter("a", "pager"), false);
        assert_eq!(
            (
                &view["error"],
                &view["notification"]["status"],
                &view["sent"]
            ),
            (
                &json!("http://pager answered 400"),
                &json!("firing"),
                &json!(false)
            )
        );
        assert_eq!(view["startsAt"], "1970-01-01T00:00:01Z");
        assert_eq!(view["endsAt"], "1970-01-01T00:00:05Z");
    }
}
