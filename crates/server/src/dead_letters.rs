//! `/api/v1/dead-letters`: what channels gave up, to be looked at, sent again or discarded.
//!
//! Owns the parameters and the form of the answers.

use std::collections::HashSet;
use std::sync::Arc;

use bellwether_core::DeadLetter;
use hyper::{Method, StatusCode};
use serde_json::{Value, json};

use super::answer::{self, Answer, Trouble};
use super::desk::time;
use super::handler::{Asked, Shared, internal};
use super::query::{Parameters, bad_data};

impl Shared {
    /// Shows dead letters, sends them again or discards them.
    ///
    /// # Errors
    /// What makes no sense about the request.
    pub(super) async fn dead_letters(&self, asked: &Asked<'_>) -> Result<Answer, Trouble> {
        let coding = asked.coding()?;
        let parameters = asked.parameters();
        let method = &asked.parts.method;
        let changes = matches!(*method, Method::POST | Method::DELETE);
        let permit = self.permit(asked).await?;
        let chosen = chosen(&parameters, changes, self.backend.dead_letters())?;
        if !changes {
            let letters: Vec<Value> = chosen.iter().map(view).collect();
            return Ok(answer::success(
                &json!({ "deadLetters": letters }),
                coding,
                Some(permit),
            ));
        }
        let ids: HashSet<String> = chosen.into_iter().map(|letter| letter.id).collect();
        let backend = Arc::clone(&self.backend);
        let resends = *method == Method::POST;
        // A task of its own: a client that goes away must not leave half of it behind.
        let settled = tokio::spawn(async move {
            let settled = if resends {
                let sent = backend.resend(ids).await.into_iter();
                sent.map(|(letter, sent)| settled(&letter, sent)).collect()
            } else {
                backend
                    .discard(ids)
                    .await
                    .iter()
                    .map(view)
                    .collect::<Vec<_>>()
            };
            (settled, permit)
        });
        let (settled, permit) = settled
            .await
            .map_err(|_| internal("this request failed: see the log"))?;
        Ok(answer::success(
            &json!({ "deadLetters": settled }),
            coding,
            Some(permit),
        ))
    }
}

/// Those of `all` that the parameters choose; without any all, unless something `changes`.
fn chosen(
    parameters: &Parameters,
    changes: bool,
    all: Vec<DeadLetter>,
) -> Result<Vec<DeadLetter>, Trouble> {
    if let Some(unknown) = parameters
        .names()
        .find(|name| !["id", "channel", "all"].contains(name))
    {
        return Err(bad_data(format!(
            "unknown parameter {unknown:?}: there are id, channel, all"
        )));
    }
    let ids: HashSet<&str> = parameters.all("id").collect();
    let channels: HashSet<&str> = parameters.all("channel").collect();
    if let Some(unknown) = ids
        .iter()
        .find(|id| !all.iter().any(|letter| letter.id == **id))
    {
        let message = format!("there is no dead letter {unknown:?}");
        return Err(Trouble::new(StatusCode::NOT_FOUND, message)
            .hint("it was sent again or discarded, or its channel was told since"));
    }
    if changes && ids.is_empty() && channels.is_empty() && parameters.text("all") != "true" {
        return Err(bad_data("which dead letters?").hint("give id=, channel= or all=true"));
    }
    let wanted = |letter: &DeadLetter| {
        (ids.is_empty() || ids.contains(&*letter.id))
            && (channels.is_empty() || channels.contains(&*letter.channel))
    };
    Ok(all.into_iter().filter(wanted).collect())
}

fn view(letter: &DeadLetter) -> Value {
    let DeadLetter {
        id,
        channel,
        at,
        reason,
        error,
        notification,
        end,
    } = letter;
    let alert = &notification.alert;
    let over = end.as_ref().map(|end| end.at).or(alert.resolved_at);
    json!({
        "id": id,
        "channel": &**channel,
        "at": time(*at),
        "reason": reason,
        "error": error,
        "notification": {
            "id": notification.id,
            "status": notification.status.as_str(),
            "cause": notification.cause.as_str(),
            "reason": notification.reason,
            "at": time(notification.at),
            "receiver": notification.group.receiver,
        },
        "alertname": alert.alertname(),
        "fingerprint": alert.fingerprint.to_string(),
        "severity": alert.severity.as_str(),
        "labels": alert.labels,
        "message": alert.message,
        "value": alert.value,
        "startsAt": time(alert.starts()),
        "endsAt": over.map(time),
    })
}

/// What became of a letter that was to be sent again.
fn settled(letter: &DeadLetter, sent: bool) -> Value {
    let why = if sent {
        Value::Null
    } else {
        "the channel was told since, or is about to be".into()
    };
    let mut view = view(letter);
    (view["sent"], view["why"]) = (sent.into(), why);
    view
}

#[cfg(test)]
mod tests {
    use bellwether_core::{Alert, Cause, Labels, Notification, Severity, Status, UnixMillis};

    use super::*;

    fn letter(id: &str, channel: &str) -> DeadLetter {
        let alert = Arc::new(Alert {
            fingerprint: bellwether_core::Fingerprint(7),
            message: "full".into(),
            value: Some(91.0),
            fired_at: Some(UnixMillis(1000)),
            ..Alert::firing("disk", Severity::Warning, Labels::new())
        });
        let told = |status, at| Notification {
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
            reason: "refused".into(),
            error: "http://pager answered 400".into(),
            notification: told(Status::Firing, 1000),
            end: Some(told(Status::Resolved, 5000)),
        }
    }

    fn choose(query: &str, changes: bool) -> Result<Vec<String>, String> {
        let all = vec![
            letter("a", "pager"),
            letter("b", "pager"),
            letter("c", "mail"),
        ];
        let chosen = chosen(&Parameters::new(query, b""), changes, all);
        let ids = |chosen: Vec<DeadLetter>| chosen.into_iter().map(|one| one.id).collect();
        chosen.map(ids).map_err(|trouble| trouble.message)
    }

    #[test]
    fn letters_are_chosen_by_identity_and_channel_and_all_only_where_it_is_said() {
        let ids = |ids: &[&str]| Ok(ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>());
        assert_eq!(choose("", false), ids(&["a", "b", "c"]));
        assert_eq!(choose("channel=pager", true), ids(&["a", "b"]));
        assert_eq!(choose("id=c&id=a", true), ids(&["a", "c"]));
        assert_eq!(choose("all=true", true), ids(&["a", "b", "c"]));
        for (query, expected) in [
            ("", "which dead letters?"),
            ("all=false", "which dead letters?"),
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
    fn a_letter_is_shown_with_why_and_with_the_end_of_its_alert() {
        let view = settled(&letter("a", "pager"), false);
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
