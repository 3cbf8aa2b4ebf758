//! A real Kafka, read back by a consumer of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};
use serde_json::Value;
use tempfile::TempDir;

use super::desk::{firing, open, resolved, until};
use super::support::servers::Server;

/// One message as it lies in the topic.
#[derive(Debug)]
struct Read {
    key: String,
    value: Value,
}

impl Read {
    fn text(&self, field: &str) -> &str {
        self.value[field].as_str().unwrap()
    }
}

/// Reads the topic from its beginning until `enough` of what it read, at most a minute long.
fn read_back(brokers: &str, topic: &str, enough: impl Fn(&[Read]) -> bool) -> Vec<Read> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", "test")
        .set("enable.auto.commit", "false")
        .create()
        .unwrap();
    let metadata = consumer.fetch_metadata(Some(topic), Duration::from_secs(20)).unwrap();
    let mut partitions = TopicPartitionList::new();
    for partition in metadata.topics()[0].partitions() {
        partitions.add_partition_offset(topic, partition.id(), Offset::Beginning).unwrap();
    }
    consumer.assign(&partitions).unwrap();
    let (mut read, start) = (Vec::new(), Instant::now());
    while !enough(&read) {
        assert!(start.elapsed() < Duration::from_secs(60), "not enough in a minute: {read:#?}");
        let Some(message) = consumer.poll(Duration::from_millis(100)) else { continue };
        let message = message.unwrap();
        read.push(Read {
            key: message.key_view::<str>().unwrap().unwrap().to_owned(),
            value: serde_json::from_slice(message.payload().unwrap()).unwrap(),
        });
    }
    read
}

/// The changes of each alert in the order of the topic, repetitions of one id taken as one.
fn by_alert(read: &[Read]) -> BTreeMap<String, Vec<String>> {
    let (mut seen, mut alerts) = (BTreeSet::new(), BTreeMap::<String, Vec<String>>::new());
    for message in read {
        if seen.insert(message.text("id").to_owned()) {
            let changes = alerts.entry(message.key.clone()).or_default();
            changes.push(format!("{} {}", message.text("status"), message.text("startsAt")));
        }
    }
    alerts
}

fn channel(server: &Server, topic: &str, more: &str) -> String {
    format!(
        "[{{type: kafka, brokers: '{}', topic: {topic}, timeout: 2s, \
         retry: {{initial: 50ms, max: 200ms}}{more}}}]",
        server.address()
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_goes_and_comes_back_misses_nothing() {
    let server = Server::kafka();
    let folder = TempDir::new().unwrap();
    let channels = channel(&server, "alerts", "");
    let mounts: Vec<String> = (0..20).map(|number| format!("/{number}")).collect();
    let fire =
        |minute| mounts.iter().map(|mount| firing("disk", mount, minute)).collect::<Vec<_>>();
    let end =
        |minute| mounts.iter().map(|mount| resolved("disk", mount, minute)).collect::<Vec<_>>();

    let notifier = open(folder.path(), &channels).await;
    notifier.notify(&fire(0)).await;
    until(&notifier, "kafka", |stats| stats.sent == 20).await;

    server.stop();
    notifier.notify(&end(0)).await;
    notifier.notify(&fire(2)).await;
    let stats = until(&notifier, "kafka", |stats| stats.failed >= 1).await;
    let error = stats.last_error.unwrap();
    assert!(error.contains("last error of a broker") && error.contains("refused"), "{error}");
    assert_eq!((stats.queued, stats.dropped), (40, vec![]));
    // The process ends without a word while the broker is away.
    drop(notifier);
    let notifier = open(folder.path(), &channels).await;
    notifier.notify(&end(2)).await;

    server.start();
    until(&notifier, "kafka", |stats| stats.queued == 0).await;
    notifier.stop(Duration::from_secs(5)).await;

    let address = server.address();
    let read = tokio::task::spawn_blocking(move || {
        read_back(&address, "alerts", |read| {
            read.iter().map(|message| message.text("id")).collect::<BTreeSet<_>>().len() == 80
        })
    });
    let read = read.await.unwrap();
    let alerts = by_alert(&read);
    assert_eq!(alerts.len(), 20);
    for (key, changes) in &alerts {
        let expected = [
            "firing 2026-11-21T04:00:00.000Z",
            "resolved 2026-11-21T04:00:00.000Z",
            "firing 2026-11-21T04:02:00.000Z",
            "resolved 2026-11-21T04:02:00.000Z",
        ];
        assert_eq!(changes, &expected, "{key}");
    }
    for message in &read {
        assert_eq!(message.key, message.text("fingerprint"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_no_broker_takes_holds_up_no_other() {
    let server = Server::kafka();
    let folder = TempDir::new().unwrap();
    let more = ", options: {message.max.bytes: 2000, linger.ms: 0}";
    let notifier = open(folder.path(), &channel(&server, "large", more)).await;
    let long = "x".repeat(5000);
    let transitions = [firing("disk", "/a", 0), firing("disk", &long, 0), firing("disk", "/b", 0)];
    notifier.notify(&transitions).await;
    let stats = until(&notifier, "kafka", |stats| stats.queued == 0 && stats.failed == 1).await;
    assert_eq!((stats.sent, stats.dropped), (2, vec![("refused", 1)]));
    // The one that was refused is not told its end either; the others are.
    let ends = [resolved("disk", &long, 0), resolved("disk", "/a", 0)];
    notifier.notify(&ends).await;
    until(&notifier, "kafka", |stats| stats.sent == 3).await;

    let address = server.address();
    let read =
        tokio::task::spawn_blocking(move || read_back(&address, "large", |read| read.len() == 3));
    let told: Vec<_> = read
        .await
        .unwrap()
        .iter()
        .map(|message| {
            let mount = message.value["labels"]["mount"].as_str().unwrap();
            format!("{} {mount}", message.text("status"))
        })
        .collect();
    assert_eq!(told, ["firing /a", "firing /b", "resolved /a"]);
}
