//! Messages in a topic of a real Kafka.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Headers;
use rdkafka::{ClientConfig, Message as _, Offset, TopicPartitionList};
use serde_json::Value;

use super::poll;

/// One message as it lies in the topic.
#[derive(Debug)]
pub struct Message {
    /// Its key.
    pub key: String,
    /// Its headers.
    pub headers: BTreeMap<String, String>,
    /// Its content.
    pub value: Value,
}

impl Message {
    /// A text of the value.
    pub fn text(&self, field: &str) -> &str {
        self.value[field].as_str().unwrap()
    }
}

/// Reads a topic from its beginning.
pub struct Topic(BaseConsumer);

impl Topic {
    /// The topic `name` of a running server; it is made if it is missing.
    pub fn open(brokers: &str, name: &str) -> Self {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", brokers)
            .set("group.id", "test")
            .set("enable.auto.commit", "false")
            .set("allow.auto.create.topics", "true")
            .create()
            .unwrap();
        let partitions = poll("the topic's partitions", Duration::from_secs(30), || {
            let metadata = consumer
                .fetch_metadata(Some(name), Duration::from_secs(20))
                .unwrap();
            let mut partitions = TopicPartitionList::new();
            for partition in metadata.topics()[0].partitions() {
                partitions
                    .add_partition_offset(name, partition.id(), Offset::Beginning)
                    .unwrap();
            }
            (partitions.count() > 0).then_some(partitions)
        });
        consumer.assign(&partitions).unwrap();
        Self(consumer)
    }

    /// The next message, if it comes soon. An outage is a time without messages.
    pub fn next(&self) -> Option<Message> {
        let message = self.0.poll(Duration::from_millis(100))?.ok()?;
        let headers = message
            .headers()
            .into_iter()
            .flat_map(Headers::iter)
            .map(|header| {
                let value = String::from_utf8(header.value.unwrap().to_vec()).unwrap();
                (header.key.to_owned(), value)
            });
        Some(Message {
            headers: headers.collect(),
            key: message.key_view::<str>().unwrap().unwrap().to_owned(),
            value: serde_json::from_slice(message.payload().unwrap()).unwrap(),
        })
    }
}
