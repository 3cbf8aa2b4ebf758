//! Form of the messages: texts with a JSON object that has a `type`. Pure.

use bellwether_core::UnixMillis;
use hyper::body::Bytes;
use serde_json::{Map, Value, json};

use super::message_type::MessageType;
use crate::api::query::{push_string, push_time};

/// Maximum size of an id in bytes.
const MAX_ID: usize = 256;

/// Subject of a subscription.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Subject {
    /// PromQL expression.
    Query(String),
    /// Selector of series.
    Selector(String),
    /// Configured or exported name of a metric: all its series.
    Metric(String),
}

impl Subject {
    /// Text by which the client named it.
    pub(super) fn text(&self) -> &str {
        match self {
            Self::Query(text) | Self::Selector(text) | Self::Metric(text) => text,
        }
    }
}

/// Message of a client.
#[derive(Debug, PartialEq)]
pub(super) enum Request {
    /// Without an id, the text of the subject is it.
    Subscribe {
        id: Option<Box<str>>,
        subject: Subject,
    },
    Unsubscribe {
        id: Box<str>,
    },
}

/// Message that is not understood, with its id if it has one.
#[derive(Debug, PartialEq)]
pub(super) struct Misunderstood {
    pub(super) id: Option<Box<str>>,
    pub(super) error: String,
}

impl Request {
    /// Parses a message.
    ///
    /// # Errors
    /// It is none of a client, or lacks a key.
    pub(super) fn parse(text: &str) -> Result<Self, Misunderstood> {
        let message: Map<String, Value> =
            serde_json::from_str(text).map_err(|error| Misunderstood {
                id: None,
                error: format!(
                    "the message is no JSON object: {error}; hint: \
                     {{\"type\": \"subscribe\", \"query\": \"up\"}}"
                ),
            })?;
        let id = given_id(&message)?;
        let failed = |error| Misunderstood {
            id: id.clone(),
            error,
        };
        match message.get("type").and_then(Value::as_str) {
            Some("subscribe") => {
                let subject = subject(&message).map_err(failed)?;
                Ok(Self::Subscribe { id, subject })
            }
            Some("unsubscribe") => match id {
                Some(id) => Ok(Self::Unsubscribe { id }),
                None => {
                    let id = subject(&message).map_err(failed)?.text().into();
                    Ok(Self::Unsubscribe { id })
                }
            },
            Some(other) => Err(failed(format!(
                "unknown type {other:?}; hint: subscribe or unsubscribe"
            ))),
            None => Err(failed(
                "the key \"type\" is missing; hint: subscribe or unsubscribe".into(),
            )),
        }
    }
}

fn given_id(message: &Map<String, Value>) -> Result<Option<Box<str>>, Misunderstood> {
    match message.get("id") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(id)) if id.len() <= MAX_ID => Ok(Some(id.as_str().into())),
        Some(_) => Err(Misunderstood {
            id: None,
            error: format!("\"id\" is not a text of at most {MAX_ID} bytes"),
        }),
    }
}

fn subject(message: &Map<String, Value>) -> Result<Subject, String> {
    type Make = fn(String) -> Subject;
    let makers: [(&str, Make); 3] = [
        ("query", Subject::Query),
        ("selector", Subject::Selector),
        ("metric_name", Subject::Metric),
    ];
    let mut given = makers
        .iter()
        .filter_map(|(key, make)| Some((key, make, message.get(*key)?)));
    match (given.next(), given.next()) {
        (Some((_, make, Value::String(text))), None) => Ok(make(text.clone())),
        (Some((key, _, _)), None) => Err(format!("{key:?} is not a text")),
        (Some(_), Some(_)) => Err(
            "only one of \"query\", \"selector\" and \"metric_name\" may be \
             there; hint: subscribe to each by itself"
                .into(),
        ),
        (None, _) => Err(
            "nothing to subscribe to; hint: \"query\" with PromQL, \"selector\", or \
             \"metric_name\" with the name of a configured metric"
                .into(),
        ),
    }
}

/// Returns the answer to a subscription with its `series`.
pub(super) fn subscribed(id: &str, at: UnixMillis, series: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(series.len() + id.len() + 80);
    out.extend_from_slice(b"{\"type\":\"subscribed\",\"id\":");
    push_string(&mut out, id);
    out.extend_from_slice(b",\"data\":{");
    out.extend_from_slice(series);
    out.extend_from_slice(b",\"timestamp\":");
    push_time(&mut out, at.0);
    out.extend_from_slice(b"}}");
    out.into()
}

/// Newest results of several subscriptions, while they are written.
pub(super) struct Update {
    out: Vec<u8>,
    closing: &'static [u8],
    newest: UnixMillis,
    count: usize,
}

impl Update {
    /// Begins a message with room for `bytes` of series.
    pub(super) fn message(bytes: usize) -> Self {
        Self::with(b"{\"type\":\"metrics_update\",\"data\":", b"}", bytes)
    }

    /// Begins the data of such a message alone.
    pub(super) fn data() -> Self {
        Self::with(b"", b"", 0)
    }

    fn with(opening: &[u8], closing: &'static [u8], bytes: usize) -> Self {
        let mut out = Vec::with_capacity(bytes + 100);
        out.extend_from_slice(opening);
        out.extend_from_slice(b"{\"subscriptions\":[");
        Self {
            out,
            closing,
            newest: UnixMillis(0),
            count: 0,
        }
    }

    /// Adds the result of one subscription.
    pub(super) fn push(&mut self, id: &str, at: UnixMillis, series: &[u8]) {
        if self.count > 0 {
            self.out.push(b',');
        }
        self.out.extend_from_slice(b"{\"id\":");
        push_string(&mut self.out, id);
        self.out.push(b',');
        self.out.extend_from_slice(series);
        self.out.push(b'}');
        self.newest = self.newest.max(at);
        self.count += 1;
    }

    /// Returns true if nothing was added.
    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Returns the text.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.out.extend_from_slice(b"],\"timestamp\":");
        push_time(&mut self.out, self.newest.0);
        self.out.push(b'}');
        self.out.extend_from_slice(self.closing);
        self.out
    }
}

/// Returns the message about something that happened.
pub(super) fn event(kind: MessageType, data: &Value) -> Bytes {
    json!({"type": kind.as_str(), "data": data})
        .to_string()
        .into()
}

/// Returns the message about an error of the subscription `id`, or of a message without one.
pub(super) fn error(id: Option<&str>, error: &str) -> Bytes {
    let mut out = b"{\"type\":\"error\",".to_vec();
    if let Some(id) = id {
        out.extend_from_slice(b"\"id\":");
        push_string(&mut out, id);
        out.push(b',');
    }
    out.extend_from_slice(b"\"error\":");
    push_string(&mut out, error);
    out.push(b'}');
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subscription_is_named_by_its_id_or_by_its_subject() {
        for (text, id, subject) in [
            (
                r#"{"type":"subscribe","metric_name":"cpu_usage_percent"}"#,
                None,
                Subject::Metric("cpu_usage_percent".into()),
            ),
            (
                r#"{"type":"subscribe","id":"s1","query":"sum(up)"}"#,
                Some("s1".into()),
                Subject::Query("sum(up)".into()),
            ),
            (
                r#"{"type":"subscribe","selector":"{job=\"a\"}"}"#,
                None,
                Subject::Selector("{job=\"a\"}".into()),
            ),
        ] {
            assert_eq!(Request::parse(text), Ok(Request::Subscribe { id, subject }));
        }
        for text in [
            r#"{"type":"unsubscribe","id":"up"}"#,
            r#"{"type":"unsubscribe","query":"up"}"#,
        ] {
            let id = "up".into();
            assert_eq!(Request::parse(text), Ok(Request::Unsubscribe { id }));
        }
    }

    #[test]
    fn an_error_says_how_to_fix_the_message() {
        for (text, id, expected) in [
            ("", None, "no JSON object: EOF"),
            ("[]", None, "no JSON object"),
            ("{}", None, "\"type\" is missing; hint: subscribe"),
            (
                r#"{"type":"sub","id":"a"}"#,
                Some("a"),
                "unknown type \"sub\"",
            ),
            (r#"{"type":"subscribe"}"#, None, "nothing to subscribe to"),
            (r#"{"type":"unsubscribe"}"#, None, "nothing to subscribe to"),
            (
                r#"{"type":"subscribe","id":"a","query":"up","selector":"up"}"#,
                Some("a"),
                "only one of",
            ),
            (
                r#"{"type":"subscribe","query":7}"#,
                None,
                "\"query\" is not a text",
            ),
            (
                r#"{"type":"subscribe","query":"up","id":7}"#,
                None,
                "\"id\" is not a text",
            ),
        ] {
            let Misunderstood { id: named, error } = Request::parse(text).unwrap_err();
            assert_eq!(named.as_deref(), id, "{text}");
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn messages_are_json() {
        let read = |text: Bytes| serde_json::from_slice::<Value>(&text).unwrap();
        let series = br#""series":[{"labels":{},"value":1.5}]"#;
        let at = UnixMillis(1_500);
        let list = json!([{"labels": {}, "value": 1.5}]);
        assert_eq!(
            read(subscribed("a\"\n", at, series)),
            json!({"type": "subscribed", "id": "a\"\n", "data": {"series": list, "timestamp": 1.5}})
        );
        let mut update = Update::message(10);
        update.push("a", at, series);
        update.push("b", UnixMillis(1_000), series);
        let subscriptions = json!([{"id": "a", "series": list}, {"id": "b", "series": list}]);
        assert_eq!(
            read(update.finish().into()),
            json!({
                "type": "metrics_update",
                "data": {"subscriptions": subscriptions, "timestamp": 1.5},
            })
        );
        assert_eq!(
            read(Update::data().finish().into()),
            json!({"subscriptions": [], "timestamp": 0})
        );
        assert_eq!(
            read(error(Some("a"), "bad \"x\"")),
            json!({"type": "error", "id": "a", "error": "bad \"x\""})
        );
        assert_eq!(
            read(error(None, "bad")),
            json!({"type": "error", "error": "bad"})
        );
    }
}
