use std::sync::atomic::{AtomicBool, Ordering};

use super::testing::{
    FakeBroker, LIST_GROUPS, LIST_OFFSETS, METADATA, OFFSET_FETCH, Received, metadata, written,
};
use super::*;
use bellwether_collector::testing::{collect, resolve_type};
use bellwether_collector::{Collector, Memory};
use bellwether_core::Now;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

fn problems(settings: &str) -> Vec<String> {
    let yaml = format!("{{{settings}}}");
    resolve_type::<Kafka>(&yaml).err().unwrap_or_default()
}

fn resolved(settings: &str) -> Box<dyn Collector> {
    let build = resolve_type::<Kafka>(&format!("{{{settings}}}"));
    build.ok().unwrap()(&Memory::default())
}

#[test]
fn mistakes_in_the_settings_are_reported_without_the_secret() {
    for (settings, message) in [
        ("brokers: 'a:9092,b'", "not a broker address: \"b\""),
        (
            "security: {password: s3cret, user: u}",
            "plaintext sends no user",
        ),
        (
            "security: {protocol: ssl, key_password: s3cret}",
            "a key with a password",
        ),
        ("topics: {include: '[a'}", "not a glob"),
    ] {
        let problems = problems(settings);
        let found = problems.len() == 1 && problems[0].contains(message);
        assert!(
            found && !problems[0].contains("s3cret"),
            "{settings}: {problems:?}"
        );
    }
    assert_eq!(problems("security: {protocol: ssl}"), [""; 0]);
}

#[test]
fn names_are_included_and_then_excluded() {
    let globs = |glob: &str| Globs::new(vec![glob.to_owned()]).ok();
    let names = KafkaNames {
        include: globs("orders*"),
        exclude: globs("*-dead"),
    };
    assert!(names.select("orders-eu"));
    assert!(!names.select("orders-dead") && !names.select("audit"));
    let all = KafkaNames {
        include: None,
        exclude: None,
    };
    assert!(all.select("audit"));
}

/// Collects from a server that reads a request and answers with these bytes.
async fn collect_from(answer: &'static [u8], settings: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 1000]).await;
            let _ = stream.write_all(answer).await;
        }
    });
    let settings = format!("interval: 15s, timeout: 2s, brokers: '127.0.0.1:{port}', {settings}");
    let mut collector = resolved(&settings);
    let collected = collect(&mut *collector, Now::default()).await;
    server.abort();
    assert_eq!(collected.lines, ["kafka_up 0"]);
    let (reason, detail) = collected.failure.unwrap();
    assert_eq!(reason, "connection");
    detail.replace(&port.to_string(), "PORT")
}

#[tokio::test]
async fn a_server_that_is_no_broker_costs_no_memory_and_is_named() {
    for (answer, expected) in [
        (
            &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..],
            "127.0.0.1:PORT: the answer is larger than 10485760 bytes: 1213486160; hint: limits.bytes, or security.protocol if the broker wants TLS",
        ),
        (
            b"\0\0\0\x0a\0\0\0\x01\0\0\x7f\xff\xff\xff",
            "127.0.0.1:PORT: ApiVersions: malformed answer",
        ),
        (
            b"\0\0\0\x0a\0\0\0\x09\0\0\0\0\0\0",
            "127.0.0.1:PORT: ApiVersions: malformed answer",
        ),
        (
            b"\0\0\0\x10\0\0\0\x01\0\0\0\0\0\x01\0\x03\0\x05\0\x0c",
            "127.0.0.1:PORT: Metadata in version 1 is not known to this broker; hint: Kafka 1.0 or newer is needed",
        ),
    ] {
        assert_eq!(collect_from(answer, "").await, expected);
    }
    let cut = collect_from(b"\0\0\0\x0a\0\0\0\x01", "").await;
    assert!(cut.contains("end of file"), "{cut}");
    let hung = collect_from(b"", "").await;
    assert!(
        hung.contains("end of file") || hung.contains("in time"),
        "{hung}"
    );
}

#[tokio::test]
async fn a_broker_that_hangs_leaves_time_to_the_next_one() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let ports = [&silent, &closed].map(|listener| listener.local_addr().unwrap().port());
    drop(closed);
    let [silent_port, closed_port] = ports;
    let settings =
        format!("timeout: 1s, brokers: '127.0.0.1:{silent_port},127.0.0.1:{closed_port}'");
    let mut collector = resolved(&settings);
    let collected = collect(&mut *collector, Now::default()).await;
    let (_, detail) = collected.failure.unwrap();
    assert!(detail.contains("no answer in time; "), "{detail}");
    assert!(detail.contains("refused"), "{detail}");
}

/// Returns a collector that starts from a broker.
fn collector(broker: &FakeBroker, settings: &str) -> Box<dyn Collector> {
    let port = broker.port;
    resolved(&format!("brokers: '127.0.0.1:{port}', {settings}"))
}

const END: &str = "kafka_topic_partition_current_offset{partition=\"0\", topic=\"orders\"}";

fn lag(group: &str) -> String {
    let labels = format!("consumergroup=\"{group}\", partition=\"0\", topic=\"orders\"");
    format!("kafka_consumergroup_lag{{{labels}}}")
}

#[tokio::test]
async fn an_error_code_of_a_group_costs_its_offsets_alone() {
    let broker = FakeBroker::start(|received| {
        let is_secret = received.key == OFFSET_FETCH && received.group() == "audit";
        Some(match is_secret {
            true => written(|writer| {
                writer.i32(0);
                writer.i16(30);
            }),
            false => received.answer(&["audit", "billing"]),
        })
    })
    .await;
    let mut collector = collector(&broker, "timeout: 5s");
    for _ in 0..2 {
        let collected = collect(&mut *collector, Now::default()).await;
        assert_eq!(collected.value(&lag("billing")), Some(6.0));
        assert_eq!(collected.value(&lag("audit")), None);
        let members = "kafka_consumergroup_members{consumergroup=\"audit\"}";
        assert_eq!(collected.value(members), Some(1.0));
        assert_eq!(collected.value(END), Some(10.0));
        let (reason, detail) = collected.failure.unwrap();
        let expected = format!(
            "broker 1 (127.0.0.1:{}): group audit: OffsetFetch: not authorized to describe the group",
            broker.port
        );
        assert_eq!((reason, detail), ("broker", expected));
    }
    // Both connections were kept.
    assert_eq!(broker.connections(), 2);
}

#[tokio::test]
async fn errors_of_many_groups_are_counted() {
    let names: Vec<String> = (0..40).map(|number| format!("g{number}")).collect();
    let broker = FakeBroker::start(move |received| {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        Some(received.answer(&names))
    })
    .await;
    let mut collector = collector(&broker, "timeout: 5s, limits: {series: 2}");
    let collected = collect(&mut *collector, Now::default()).await;
    assert_eq!(collected.value(&lag("g1")), Some(6.0));
    assert_eq!(collected.value(&lag("g2")), None);
    assert_eq!(collected.value(END), Some(10.0));
    let (_, detail) = collected.failure.unwrap();
    let errors: Vec<&str> = detail.split("): ").skip(1).collect();
    assert!(
        errors[0].starts_with("group g2: more than 2 committed offsets; hint: groups.exclude"),
        "{detail}"
    );
    assert_eq!(errors.len(), 4, "{detail}");
    assert_eq!(errors[3], "errors of 35 more groups");
}

#[tokio::test]
async fn a_broker_that_cannot_list_its_groups_has_its_partitions() {
    let broker = FakeBroker::start(|received| {
        Some(match received.key {
            LIST_GROUPS => written(|writer| writer.i16(14)),
            _ => received.answer(&[]),
        })
    })
    .await;
    let mut collector = collector(&broker, "timeout: 5s");
    let collected = collect(&mut *collector, Now::default()).await;
    assert_eq!(collected.value(END), Some(10.0));
    let (_, detail) = collected.failure.unwrap();
    assert!(
        detail.ends_with("): ListGroups: the coordinator of the group is loading"),
        "{detail}"
    );
}

#[tokio::test]
async fn a_cluster_outlives_the_brokers_to_start_from() {
    let other = FakeBroker::start(|received| Some(received.answer(&[]))).await;
    let port = other.port;
    let configured = FakeBroker::start(move |received| {
        Some(match received.key {
            METADATA => metadata(&[port]),
            _ => received.answer(&[]),
        })
    })
    .await;
    let mut collector = collector(&configured, "timeout: 5s");
    let collected = collect(&mut *collector, Now::default()).await;
    assert_eq!(collected.failure, None);
    configured.stop().await;
    let collected = collect(&mut *collector, Now::default()).await;
    assert_eq!(collected.failure, None);
    assert_eq!(collected.value("kafka_up"), Some(1.0));
    assert_eq!(collected.value(END), Some(10.0));
}

/// Starts a broker that answers as `changed` says after the first collection.
async fn changing(
    changed: impl Fn(&Received) -> Option<Vec<u8>> + Send + Sync + 'static,
) -> (FakeBroker, Box<dyn Collector>) {
    let is_changed = Arc::new(AtomicBool::new(false));
    let switch = is_changed.clone();
    let broker = FakeBroker::start(move |received| match is_changed.load(Ordering::Relaxed) {
        true => changed(received),
        false => Some(received.answer(&["billing"])),
    })
    .await;
    let mut collector = collector(&broker, "timeout: 2s");
    let collected = collect(&mut *collector, Now::default()).await;
    assert_eq!(collected.failure, None);
    // The first is asked for the cluster.
    assert_eq!(broker.connections(), 2);
    switch.store(true, Ordering::Relaxed);
    (broker, collector)
}

#[tokio::test]
async fn a_kept_connection_that_is_silent_leaves_time_to_a_new_one() {
    let is_silent = |received: &Received| received.connection == 1;
    let (broker, mut collector) =
        changing(move |received| (!is_silent(received)).then(|| received.answer(&["billing"])))
            .await;
    let collected = collect(&mut *collector, Now::default()).await;
    assert_eq!(collected.failure, None);
    assert_eq!(collected.value(&lag("billing")), Some(6.0));
    assert_eq!(broker.connections(), 3);
}

#[tokio::test]
async fn a_broker_with_an_error_is_not_asked_again() {
    let (broker, mut collector) = changing(|received| {
        Some(match received.key {
            LIST_OFFSETS => Vec::new(),
            _ => received.answer(&["billing"]),
        })
    })
    .await;
    let collected = collect(&mut *collector, Now::default()).await;
    let (_, detail) = collected.failure.unwrap();
    assert!(
        detail.ends_with("): ListOffsets: malformed answer"),
        "{detail}"
    );
    assert_eq!(broker.connections(), 2);
}
