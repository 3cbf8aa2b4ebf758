//! The collector of Kafka beside real brokers and clients.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::support::agent::Agent;
use crate::support::certificates::Certificates;
use crate::support::presets::has_dashboard;
use crate::support::servers::{PASSWORD, Server};
use crate::support::{free_port, poll};

const PATIENCE: Duration = Duration::from_secs(60);

/// Metrics of kafka_exporter 1.9 about a cluster whose groups have committed.
const OF_THE_EXPORTER: [&str; 15] = [
    "kafka_broker_info",
    "kafka_brokers",
    "kafka_consumergroup_current_offset",
    "kafka_consumergroup_current_offset_sum",
    "kafka_consumergroup_lag",
    "kafka_consumergroup_lag_sum",
    "kafka_consumergroup_members",
    "kafka_topic_partition_current_offset",
    "kafka_topic_partition_in_sync_replica",
    "kafka_topic_partition_leader",
    "kafka_topic_partition_leader_is_preferred",
    "kafka_topic_partition_oldest_offset",
    "kafka_topic_partition_replicas",
    "kafka_topic_partition_under_replicated_partition",
    "kafka_topic_partitions",
];
/// Metrics that it does not have.
const OURS: [&str; 2] = ["kafka_consumergroup_state", "kafka_up"];

fn client(brokers: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers);
    config
}

/// Creates a topic, with replicas on so many brokers.
fn create_topic(brokers: &str, name: &str, partitions: i32, replicas: i32) {
    let admin: AdminClient<DefaultClientContext> = client(brokers).create().unwrap();
    let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(replicas));
    let options = AdminOptions::new().operation_timeout(Some(PATIENCE));
    let creating = admin.create_topics([&topic], &options);
    let created = Runtime::new().unwrap().block_on(creating).unwrap();
    created
        .into_iter()
        .for_each(|topic| assert!(topic.is_ok(), "{topic:?}"));
}

fn produce(brokers: &str, topic: &str, count: usize) {
    let producer: BaseProducer = client(brokers).create().unwrap();
    for _ in 0..count {
        let record = BaseRecord::<str, str>::to(topic).payload("x").partition(0);
        producer.send(record).unwrap();
    }
    producer.flush(PATIENCE).unwrap();
}

/// Joins a group, and commits so many messages.
fn consume(brokers: &str, group: &str, topic: &str, protocol: &str, count: usize) -> BaseConsumer {
    let consumer: BaseConsumer = client(brokers)
        .set("group.id", group)
        .set("group.protocol", protocol)
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "earliest")
        .create()
        .unwrap();
    consumer.subscribe(&[topic]).unwrap();
    let mut read = 0;
    poll(&format!("{group} reads {count}"), PATIENCE, || {
        if let Some(Ok(message)) = consumer.poll(Duration::from_millis(100)) {
            consumer.commit_message(&message, CommitMode::Sync).unwrap();
            read += 1;
        }
        (read == count).then_some(())
    });
    consumer
}

/// Starts an agent with the collector `x`.
fn agent(folder: &Path, settings: &str) -> Agent {
    let yaml = format!(
        "performance_monitor:\n  enabled_collectors: []\n  collectors:\n    \
         - {{name: x, type: kafka, {settings}}}\n"
    );
    Agent::start(folder, &yaml)
}

/// Returns the names of the metrics.
fn names(agent: &Agent) -> BTreeSet<String> {
    let (_, text) = agent.get("/metrics");
    let names = text.lines().filter_map(|line| {
        let name = line.strip_prefix("# TYPE kafka_")?.split(' ').next()?;
        Some(format!("kafka_{name}"))
    });
    names.collect()
}

/// Waits until the collector fails with all these words.
fn wait_for_failure(agent: &Agent, words: &[&str]) -> String {
    poll(&format!("a failure with {words:?}"), PATIENCE, || {
        let (_, text) = agent.get("/api/v1/health");
        words.iter().all(|word| text.contains(word)).then_some(text)
    })
}

#[test]
fn kafka_has_the_series_of_its_exporter_over_an_outage() {
    let kafka = Server::kafka();
    let brokers = kafka.address();
    create_topic(&brokers, "orders", 1, 1);
    create_topic(&brokers, "events", 3, 1);
    produce(&brokers, "orders", 10);
    let _classic = consume(&brokers, "billing", "orders", "classic", 4);
    let _newer = consume(&brokers, "audit", "orders", "consumer", 9);
    let folder = TempDir::new().unwrap();
    let settings = format!("interval: 500ms, brokers: '{brokers}', topics: {{exclude: '__*'}}");
    let agent = agent(folder.path(), &settings);
    for (series, expected) in [
        ("kafka_brokers", 1.0),
        ("kafka_topic_partitions{topic=\"events\"}", 3.0),
        (
            "kafka_topic_partition_current_offset{partition=\"0\",topic=\"orders\"}",
            10.0,
        ),
        (
            "kafka_topic_partition_oldest_offset{partition=\"0\",topic=\"orders\"}",
            0.0,
        ),
        (
            "kafka_topic_partition_leader{partition=\"2\",topic=\"events\"}",
            1.0,
        ),
        (
            "kafka_topic_partition_in_sync_replica{partition=\"2\",topic=\"events\"}",
            1.0,
        ),
        (
            "kafka_consumergroup_members{consumergroup=\"billing\"}",
            1.0,
        ),
        ("kafka_consumergroup_members{consumergroup=\"audit\"}", 1.0),
        (
            "kafka_consumergroup_state{consumergroup=\"billing\",state=\"Stable\"}",
            1.0,
        ),
        (
            "kafka_consumergroup_state{consumergroup=\"audit\",state=\"Stable\"}",
            1.0,
        ),
        (
            "kafka_consumergroup_current_offset{consumergroup=\"billing\",partition=\"0\",topic=\"orders\"}",
            4.0,
        ),
        (
            "kafka_consumergroup_lag{consumergroup=\"billing\",partition=\"0\",topic=\"orders\"}",
            6.0,
        ),
        (
            "kafka_consumergroup_lag_sum{consumergroup=\"billing\",topic=\"orders\"}",
            6.0,
        ),
        (
            "kafka_consumergroup_lag_sum{consumergroup=\"audit\",topic=\"orders\"}",
            1.0,
        ),
    ] {
        agent.wait_for_value(series, |value| value == expected);
    }
    let expected = OF_THE_EXPORTER.into_iter().chain(OURS).map(str::to_owned);
    assert_eq!(names(&agent), expected.collect());
    assert!(!agent.get("/metrics").1.contains("__consumer_offsets"));
    produce(&brokers, "orders", 5);
    has_dashboard(&agent, "kafka", "kafka_");
    let lag = "kafka_consumergroup_lag_sum{consumergroup=\"billing\",topic=\"orders\"}";
    agent.wait_for_value(lag, |lag| lag == 11.0);

    kafka.stop();
    agent.wait_for_value("kafka_up", |up| up == 0.0);
    assert!(!agent.get("/metrics").1.contains("kafka_brokers"));
    wait_for_failure(&agent, &[&brokers, "refused"]);
    kafka.start();
    agent.wait_for_value(lag, |lag| lag == 11.0);
}

#[test]
fn a_broker_that_hangs_or_is_gone_costs_what_it_leads() {
    let first = Server::kafka();
    let second = Server::kafka_beside(&first);
    let brokers = format!("{},{}", second.address(), first.address());
    poll("both brokers are in the cluster", PATIENCE, || {
        let consumer: BaseConsumer = client(&brokers).create().unwrap();
        let metadata = consumer.fetch_metadata(None, PATIENCE).ok()?;
        (metadata.brokers().len() == 2).then_some(())
    });
    create_topic(&brokers, "alone", 2, 1);
    create_topic(&brokers, "safe", 1, 2);
    let folder = TempDir::new().unwrap();
    let settings = format!("interval: 2s, brokers: '{brokers}', topics: {{exclude: '__*'}}");
    let agent = agent(folder.path(), &settings);
    agent.wait_for_value("kafka_brokers", |count| count == 2.0);
    let leader = |partition| {
        format!("kafka_topic_partition_leader{{partition=\"{partition}\",topic=\"alone\"}}")
    };
    let of_second = [0, 1]
        .into_iter()
        .find(|partition| agent.wait_for_value(&leader(*partition), |id| id > 0.0) == 2.0);
    let of_second = of_second.expect("two brokers share two partitions");
    let end = |partition| {
        format!("kafka_topic_partition_current_offset{{partition=\"{partition}\",topic=\"alone\"}}")
    };
    agent.wait_for_value(&end(of_second), |end| end == 0.0);

    second.signal("STOP");
    wait_for_failure(&agent, &["no answer in time", "broker 2 ("]);
    let (_, text) = agent.get("/metrics");
    assert!(!text.contains(&end(of_second)), "{text}");
    assert!(text.contains(&end(1 - of_second)), "{text}");
    // It is fenced after a while, and what it led alone has no leader.
    agent.wait_for_value(&leader(of_second), |id| id == -1.0);
    agent.wait_for_value("kafka_brokers", |count| count == 1.0);
    let behind = "kafka_topic_partition_under_replicated_partition{partition=\"0\",topic=\"safe\"}";
    agent.wait_for_value(behind, |behind| behind == 1.0);
    second.signal("CONT");
    agent.wait_for_value("kafka_brokers", |count| count == 2.0);
    agent.wait_for_value(&end(of_second), |end| end == 0.0);

    second.kill();
    agent.wait_for_value("kafka_brokers", |count| count == 1.0);
    agent.wait_for_value(&end(1 - of_second), |end| end == 0.0);
    agent.wait_for_value("kafka_up", |up| up == 1.0);
}

/// Writes the key and the certificate of a broker into one file.
fn keystore(folder: &Path, certificates: &Certificates) -> PathBuf {
    let read = |file: &str| fs::read_to_string(file).unwrap();
    let keystore = folder.join("keystore.pem");
    let pem = read(&certificates.key) + &read(&certificates.certificate);
    fs::write(&keystore, pem).unwrap();
    keystore
}

#[test]
fn a_broker_that_wants_a_certificate_gets_it() {
    let folder = TempDir::new().unwrap();
    let broker = Certificates::write(folder.path(), "broker");
    let client = Certificates::write(folder.path(), "client");
    let keystore = keystore(folder.path(), &broker);
    let port = free_port();
    let _server = Server::kafka_with_client_certificates(port, &keystore, &client.authority);
    let collector = |name: &str, more: &str| {
        format!(
            "    - {{name: {name}, type: kafka, interval: 2s, brokers: '127.0.0.1:{port}', labels: {{via: {name}}}, \
             security: {{protocol: sasl_ssl, user: user, password: {PASSWORD}, ca_file: {}{more}}}}}\n",
            broker.authority
        )
    };
    let own = format!(
        ", cert_file: {}, key_file: {}",
        client.certificate, client.key
    );
    let yaml = format!(
        "performance_monitor:\n  enabled_collectors: []\n  collectors:\n{}{}",
        collector("with", &own),
        collector("without", "")
    );
    let agent = Agent::start(folder.path(), &yaml);
    agent.wait_for_value("kafka_brokers{via=\"with\"}", |count| count == 1.0);
    agent.wait_for_value("kafka_up{via=\"without\"}", |up| up == 0.0);
    wait_for_failure(&agent, &["received fatal alert: BadCertificate"]);
}

#[test]
fn tls_and_every_mechanism_work_and_wrong_passwords_are_named() {
    let folder = TempDir::new().unwrap();
    let certificates = Certificates::write(folder.path(), "broker");
    let keystore = keystore(folder.path(), &certificates);
    let port = free_port();
    let _server = Server::kafka_with_sasl(port, &keystore);
    let ca = format!("ca_file: {}, ", certificates.authority);
    let collector = |name: &str, mechanism: &str, password: &str, ca: &str| {
        format!(
            "    - {{name: {name}, type: kafka, interval: 2s, brokers: '127.0.0.1:{port}', labels: {{via: {name}}}, \
             security: {{protocol: sasl_ssl, mechanism: {mechanism}, user: user, {ca}password: {password}}}}}\n"
        )
    };
    let collectors = [
        collector("a", "SCRAM-SHA-256", PASSWORD, &ca),
        collector("b", "SCRAM-SHA-512", PASSWORD, &ca),
        collector("c", "PLAIN", PASSWORD, &ca),
        collector("wrong", "SCRAM-SHA-512", "sesame", &ca),
        collector("plain-wrong", "PLAIN", "sesame", &ca),
        collector("unknown", "PLAIN", PASSWORD, ""),
        format!(
            "    - {{name: clear, type: kafka, interval: 2s, brokers: '127.0.0.1:{port}', labels: {{via: clear}}}}\n"
        ),
    ];
    let yaml = format!(
        "performance_monitor:\n  enabled_collectors: []\n  collectors:\n{}",
        collectors.concat()
    );
    let agent = Agent::start(folder.path(), &yaml);
    for name in ["a", "b", "c"] {
        agent.wait_for_value(&format!("kafka_brokers{{via=\"{name}\"}}"), |count| {
            count == 1.0
        });
    }
    let text = wait_for_failure(
        &agent,
        &[
            "not authenticated: Authentication failed",
            "TLS: ",
            "security.protocol",
        ],
    );
    assert!(
        !text.contains("sesame") && !text.contains(PASSWORD),
        "{text}"
    );
    for name in ["wrong", "plain-wrong", "unknown", "clear"] {
        agent.wait_for_value(&format!("kafka_up{{via=\"{name}\"}}"), |up| up == 0.0);
    }
}

#[test]
fn thousands_of_partitions_are_bounded_by_the_limit_and_groups_come_first() {
    let kafka = Server::kafka();
    let brokers = kafka.address();
    create_topic(&brokers, "orders", 1, 1);
    create_topic(&brokers, "wide", 2000, 1);
    produce(&brokers, "orders", 3);
    let _member = consume(&brokers, "billing", "orders", "classic", 1);
    let folder = TempDir::new().unwrap();
    let settings = format!("interval: 2s, brokers: '{brokers}', limits: {{series: 1000}}");
    let agent = agent(folder.path(), &settings);
    agent.wait_for_value("kafka_topic_partitions{topic=\"wide\"}", |count| {
        count == 2000.0
    });
    agent.wait_for_value("bellwether_collector_series{collector=\"x\"}", |count| {
        count == 1000.0
    });
    let lag = "kafka_consumergroup_lag_sum{consumergroup=\"billing\",topic=\"orders\"}";
    agent.wait_for_value(lag, |lag| lag == 2.0);
}
