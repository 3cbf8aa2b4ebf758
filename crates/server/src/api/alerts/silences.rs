//! `/api/v1/silences`: JSON of requests and responses.

use bellwether_core::UnixMillis;
use bellwether_routing::{Command, NO_END, Recurs, Silence, SilenceDraft};
use serde_json::{Value, json};

use super::command::{BY, execute, execute_within};
use crate::api::endpoints::parameter::{Parameter, duration, list, text, time};
use crate::api::json::time_to_second;
use crate::api::query::bad_data;
use crate::api::request::{RequestContext, blocking};
use crate::api::response::{ApiError, HttpResponse};
use crate::api::view::ViewRequest;

/// Keys of `SilenceSettings`.
pub(crate) const CREATE: &[Parameter] = &[
    text("id", "id of the silence to change").in_body(),
    text("matchers", "matchers as in routes; may be a list")
        .in_body()
        .required(),
    time("starts_at", "start; now by default").in_body(),
    time("ends_at", "end").in_body(),
    duration("duration", "in place of `ends_at`").in_body(),
    list(
        "times",
        "recurring times; the silence is in force within any of them",
    )
    .in_body(),
    list("intervals", "names of time intervals, beside `times`").in_body(),
    text("location", "time zone of all times that have none").in_body(),
    text("created_by", "author").in_body().required(),
    text("comment", "comment").in_body(),
];

pub(crate) const EXPIRE: &[Parameter] = &[text("id", "id of the silence").in_path(), BY];

/// Returns the data of `GET /api/v1/silences`.
pub(crate) fn view(request: &ViewRequest<'_>) -> Result<Value, ApiError> {
    Ok(silences(&request.backend.silences(), request.now.wall))
}

/// Creates or edits the silence in the body.
///
/// # Errors
/// The body is invalid, or the silence cannot be created now.
pub(crate) async fn create(request: &mut RequestContext<'_>) -> Result<HttpResponse, ApiError> {
    let body = request.json_body().await?;
    let permit = request.permit().await?;
    let now = request.shared.backend.now().wall;
    // On a blocking thread: regular expressions of matchers are compiled.
    let (command, permit) = blocking(move || (parse(&body, now), permit)).await?;
    execute_within(request, command?, permit).await
}

/// Ends the silence in the path.
///
/// # Errors
/// There is none with this id, or it cannot be ended now.
pub(crate) async fn expire(request: &mut RequestContext<'_>) -> Result<HttpResponse, ApiError> {
    let id = request.path_parameter().to_owned();
    execute(request, Command::Expire(id)).await
}

fn parse(body: &[u8], now: UnixMillis) -> Result<Command, ApiError> {
    SilenceDraft::parse(body, now)
        .map(Command::Silence)
        .map_err(|error| bad_data(error.to_string()))
}

fn silences(all: &[Silence], now: UnixMillis) -> Value {
    let views = all.iter().map(|silence| {
        let mut view = json!({
            "id": silence.id,
            "state": silence.state(now).as_str(),
            "inForce": silence.is_in_force(now),
            "matchers": silence.matchers.to_string(),
            "startsAt": time_to_second(silence.starts_at),
            "endsAt": (silence.ends_at < NO_END).then(|| time_to_second(silence.ends_at)),
            "createdBy": silence.created_by,
            "comment": silence.comment,
            "updatedAt": time_to_second(silence.updated_at),
            "configured": silence.source.is_some(),
            "source": silence.source.as_deref(),
        });
        if let (Value::Object(view), false) = (&mut view, silence.recurs.is_always()) {
            view.extend(recurs(&silence.recurs));
        }
        view
    });
    json!({ "silences": views.collect::<Vec<_>>() })
}

/// Recurrence of a silence, with the keys of the request that creates one.
fn recurs(recurs: &Recurs) -> serde_json::Map<String, Value> {
    match serde_json::to_value(recurs) {
        Ok(Value::Object(words)) => words,
        _ => serde_json::Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bellwether_routing::SilenceSpec;
    use bellwether_schema::Decode;

    use super::*;

    const NOW: UnixMillis = UnixMillis(1_795_435_200_000);

    #[test]
    fn the_parameters_are_the_keys_of_a_silence() {
        let section = SilenceSpec::shape().section().unwrap();
        let keys = section.fields.iter().map(|field| field.key);
        let declared = CREATE.iter().map(|parameter| parameter.name);
        assert_eq!(declared.collect::<Vec<_>>(), keys.collect::<Vec<_>>());
    }

    #[test]
    fn a_silence_is_read_with_its_end_or_its_length() {
        let body = br#"{"matchers": ["a=b", "c=~\"d.*\""], "duration": "2h", "created_by": "ada"}"#;
        let Command::Silence(draft) = parse(body, NOW).ok().unwrap() else {
            panic!()
        };
        assert_eq!(draft.matchers.to_string(), "{a=\"b\",c=~\"d.*\"}");
        assert_eq!(
            (draft.starts_at, draft.ends_at),
            (None, UnixMillis(NOW.0 + 7_200_000))
        );
        let body = br#"{"matchers": "a=b", "startsAt": "2026-11-24T00:00:00Z",
                        "endsAt": "2026-11-25T00:00:00Z", "createdBy": "ada", "comment": "x"}"#;
        let Command::Silence(draft) = parse(body, NOW).ok().unwrap() else {
            panic!()
        };
        assert_eq!(
            draft.ends_at.since(draft.starts_at.unwrap()),
            Duration::from_secs(86_400)
        );
    }

    #[test]
    fn invalid_silences_are_errors() {
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
            let error = parse(body.as_bytes(), NOW).err().unwrap();
            assert!(
                error.message.contains(expected),
                "{body}: {}",
                error.message
            );
        }
    }
}
