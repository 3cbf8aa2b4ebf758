//! A notification or a bulletin as a CloudEvent in Kafka. Pure.
//!
//! "CloudEvents", version 1.0.2, sections 3.1 and 4 (attributes, types); "Kafka Protocol Binding for
//! CloudEvents", version 1.0.2, sections 3.1 (the key, here also the extension `partitionkey`), 3.2
//! (binary mode: headers `ce_` and `content-type`) and 3.3 (structured mode).

use bellwether_core::Notification;
use rdkafka::message::{Header, OwnedHeaders};
use serde::Serialize;

use crate::bulletin::Bulletin;
use crate::channel::Sender;
use crate::wire::rfc3339;

const SPEC_VERSION: &str = "1.0";
const JSON: &str = "application/json";

/// Attributes of an event; as JSON the whole event of structured mode without its data.
#[derive(Debug, Serialize)]
pub(super) struct CloudEvent<'a> {
    specversion: &'static str,
    id: &'a str,
    source: String,
    r#type: String,
    subject: &'a str,
    time: String,
    partitionkey: String,
    datacontenttype: &'static str,
}

/// An event of structured mode.
#[derive(Serialize)]
struct Structured<'a, T> {
    #[serde(flatten)]
    attributes: &'a CloudEvent<'a>,
    data: &'a T,
}

impl<'a> CloudEvent<'a> {
    /// Creates the attributes of `notification`; `source` is the configured one.
    pub(super) fn new(
        notification: &'a Notification,
        sender: &Sender,
        source: Option<&str>,
    ) -> Self {
        Self {
            specversion: SPEC_VERSION,
            id: &notification.id,
            source: source.map_or_else(|| usual_source(sender), str::to_owned),
            r#type: format!("bellwether.alert.{}", notification.status.as_str()),
            subject: &notification.alert.rule,
            time: rfc3339(notification.at),
            partitionkey: notification.alert.fingerprint.to_string(),
            datacontenttype: JSON,
        }
    }

    /// Creates the attributes of `bulletin`, whose topic is the key.
    pub(super) fn of_bulletin(
        bulletin: &'a Bulletin,
        sender: &Sender,
        source: Option<&str>,
    ) -> Self {
        Self {
            specversion: SPEC_VERSION,
            id: &bulletin.id,
            source: source.map_or_else(|| usual_source(sender), str::to_owned),
            r#type: "bellwether.bulletin".into(),
            subject: &bulletin.topic,
            time: rfc3339(bulletin.at),
            partitionkey: bulletin.topic.clone(),
            datacontenttype: JSON,
        }
    }

    /// The headers of binary mode.
    pub(super) fn headers(&self) -> OwnedHeaders {
        let attributes = [
            ("ce_specversion", self.specversion),
            ("ce_id", self.id),
            ("ce_source", &self.source),
            ("ce_type", &self.r#type),
            ("ce_subject", self.subject),
            ("ce_time", &self.time),
            ("ce_partitionkey", &self.partitionkey),
            ("content-type", self.datacontenttype),
        ];
        let add = |headers: OwnedHeaders, (key, value)| {
            headers.insert(Header {
                key,
                value: Some(value),
            })
        };
        attributes.into_iter().fold(OwnedHeaders::new(), add)
    }

    /// The header of structured mode.
    pub(super) fn content_type() -> OwnedHeaders {
        let value = Some("application/cloudevents+json; charset=UTF-8");
        OwnedHeaders::new().insert(Header {
            key: "content-type",
            value,
        })
    }

    /// The event of structured mode.
    pub(super) fn json(&self, data: &impl Serialize) -> String {
        // Strings, numbers and maps with string keys: there is nothing that could fail.
        serde_json::to_string(&Structured {
            attributes: self,
            data,
        })
        .unwrap_or_default()
    }
}

/// Returns the external URL of Bellwether, else a path with the name of the instance.
fn usual_source(sender: &Sender) -> String {
    if !sender.url.is_empty() {
        return sender.url.clone();
    }
    let path = sender.labels.get("instance").map(|instance| {
        let name: String = form_urlencoded::byte_serialize(instance.as_bytes()).collect();
        let name = name.replace('+', "%20");
        format!("/bellwether/{name}")
    });
    path.unwrap_or_else(|| "/bellwether".into())
}

#[cfg(test)]
mod tests {
    use bellwether_core::{Labels, Status};

    use super::*;
    use crate::testing::notification;
    use crate::wire::Message;

    #[test]
    fn a_structured_event_holds_the_message_as_its_data() {
        let firing = notification("disk", "/data", Status::Firing);
        let sender = Sender {
            url: "http://host-1:9091".into(),
            ..Sender::default()
        };
        let message = Message::new(&firing, &sender);
        let json = CloudEvent::new(&firing, &sender, None).json(&message);
        let event: serde_json::Value = serde_json::from_str(&json).unwrap();
        let data: serde_json::Value = serde_json::from_str(&message.json()).unwrap();
        assert_eq!(
            event,
            serde_json::json!({
                "specversion": "1.0",
                "id": firing.id,
                "source": "http://host-1:9091",
                "type": "bellwether.alert.firing",
                "subject": "disk",
                "time": "2026-11-21T04:05:00.250Z",
                "partitionkey": firing.alert.fingerprint.to_string(),
                "datacontenttype": "application/json",
                "data": data,
            })
        );
    }

    #[test]
    fn the_source_is_a_uri_reference_also_without_an_address() {
        let resolved = notification("disk", "/data", Status::Resolved);
        let mut sender = Sender::default();
        let source =
            |sender: &Sender, configured| CloudEvent::new(&resolved, sender, configured).source;
        assert_eq!(source(&sender, None), "/bellwether");
        sender.labels = Labels::from([("instance".to_owned(), "a b/c".to_owned())]);
        assert_eq!(source(&sender, None), "/bellwether/a%20b%2Fc");
        assert_eq!(source(&sender, Some("urn:x")), "urn:x");
    }
}
