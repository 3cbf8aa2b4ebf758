//! A real Kafka, read back by a consumer of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use bellwether_notify::Bulletin;
use serde_json::Value;
use tempfile::TempDir;

use super::notifier::{Send, firing, open, resolved, until};
use crate::support::kafka::{Message, Topic};
use crate::support::servers::Server;

/// Reads the topic from its beginning until `enough` of what it read, at most a minute long.
fn read_back(brokers: &str, topic: &str, enough: impl Fn(&[Message]) -> bool) -> Vec<Message> {
    let topic = Topic::open(brokers, topic);
    let (mut read, start) = (Vec::new(), Instant::now());
    while !enough(&read) {
        assert!(
            start.elapsed() < Duration::from_secs(60),
            "not enough in a minute: {read:#?}"
        );
        read.extend(topic.next());
    }
    read
}

/// The changes of each alert in the order of the topic, repetitions of one id taken as one.
fn by_alert(read: &[Message]) -> BTreeMap<String, Vec<String>> {
    let (mut seen, mut alerts) = (BTreeSet::new(), BTreeMap::<String, Vec<String>>::new());
    for message in read {
        if seen.insert(message.text("id").to_owned()) {
            let changes = alerts.entry(message.key.clone()).or_default();
            changes.push(format!(
                "{} {}",
                message.text("status"),
                message.text("startsAt")
            ));
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
    let fire = |minute| {
        mounts
            .iter()
            .map(|mount| firing("disk", mount, minute))
            .collect::<Vec<_>>()
    };
    let end = |minute| {
        mounts
            .iter()
            .map(|mount| resolved("disk", mount, minute))
            .collect::<Vec<_>>()
    };

    let notifier = open(folder.path(), &channels).await;
    notifier.notify(&fire(0)).await;
    until(&notifier, "kafka", |stats| stats.sent == 20).await;

    server.stop();
    notifier.notify(&end(0)).await;
    notifier.notify(&fire(2)).await;
    let stats = until(&notifier, "kafka", |stats| stats.failed >= 1).await;
    let error = stats.last_error.unwrap();
    assert!(
        error.contains("last error of a broker") && error.contains("refused"),
        "{error}"
    );
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
            read.iter()
                .map(|message| message.text("id"))
                .collect::<BTreeSet<_>>()
                .len()
                == 80
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
    let transitions = [
        firing("disk", "/a", 0),
        firing("disk", &long, 0),
        firing("disk", "/b", 0),
    ];
    notifier.notify(&transitions).await;
    let stats = until(&notifier, "kafka", |stats| {
        stats.queued == 0 && stats.failed == 1
    })
    .await;
    assert_eq!((stats.sent, stats.dropped), (2, vec![("rejected", 1)]));
    // The one that was rejected gets no resolved either; the others are.
    let ends = [resolved("disk", &long, 0), resolved("disk", "/a", 0)];
    notifier.notify(&ends).await;
    until(&notifier, "kafka", |stats| stats.sent == 3).await;

    let address = server.address();
    let read =
        tokio::task::spawn_blocking(move || read_back(&address, "large", |read| read.len() == 3));
    let delivered: Vec<_> = read
        .await
        .unwrap()
        .iter()
        .map(|message| {
            let mount = message.value["labels"]["mount"].as_str().unwrap();
            format!("{} {mount}", message.text("status"))
        })
        .collect();
    assert_eq!(delivered, ["firing /a", "firing /b", "resolved /a"]);
}

/// Checks of the "CloudEvents" specification, version 1.0.2, for events of any mode.
fn check_attributes(attribute: impl Fn(&str) -> Option<String>, data: &Value, key: &str) {
    let expected = [
        ("specversion", "1.0"),
        ("id", data["id"].as_str().unwrap()),
        ("source", "http://host-1:9091"),
        (
            "type",
            &format!("bellwether.alert.{}", data["status"].as_str().unwrap()),
        ),
        ("subject", "disk"),
        ("time", data["at"].as_str().unwrap()),
        ("partitionkey", key),
    ];
    for (name, value) in expected {
        assert_eq!(attribute(name).as_deref(), Some(value), "{name}");
    }
    assert_eq!(data["fingerprint"], key);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cloud_events_in_both_modes() {
    let server = Server::kafka();
    let folder = TempDir::new().unwrap();
    let address = server.address();
    let one = |format: &str| {
        format!(
            "{{type: kafka, name: {format}, brokers: '{address}', topic: {format}, format: {format}}}"
        )
    };
    let (binary, structured) = ("cloudevents_binary", "cloudevents_structured");
    let notifier = open(
        folder.path(),
        &format!("[{}, {}]", one(binary), one(structured)),
    )
    .await;
    notifier.notify(&[firing("disk", "/a", 0)]).await;
    notifier.notify(&[resolved("disk", "/a", 0)]).await;
    for name in [binary, structured] {
        until(&notifier, name, |stats| stats.sent == 2).await;
    }
    let read = tokio::task::spawn_blocking(move || {
        [binary, structured].map(|topic| read_back(&address, topic, |read| read.len() == 2))
    });
    let [binary, structured] = read.await.unwrap();
    // Section 3.2 of the Kafka binding: attributes are headers, the value is the data as it is.
    for message in &binary {
        assert_eq!(message.headers["content-type"], "application/json");
        let attribute = |name: &str| message.headers.get(&format!("ce_{name}")).cloned();
        check_attributes(attribute, &message.value, &message.key);
        assert_eq!(message.headers.len(), 8, "{:?}", message.headers);
    }
    // Section 3.3: the value is the event, and only its media type is a header.
    for message in &structured {
        let content_type = &message.headers["content-type"];
        assert_eq!(content_type, "application/cloudevents+json; charset=UTF-8");
        assert_eq!(message.headers.len(), 1);
        let attribute = |name: &str| message.value[name].as_str().map(str::to_owned);
        assert_eq!(message.value["datacontenttype"], "application/json");
        check_attributes(attribute, &message.value["data"], &message.key);
    }
    for messages in [binary, structured] {
        let types: Vec<_> = messages
            .iter()
            .map(|message| match message.headers.get("ce_type") {
                Some(header) => header.clone(),
                None => message.text("type").to_owned(),
            })
            .collect();
        assert_eq!(
            types,
            ["bellwether.alert.firing", "bellwether.alert.resolved"]
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn audit_lines_are_messages_of_a_topic() {
    let server = Server::kafka();
    let folder = TempDir::new().unwrap();
    let address = server.address();
    let names = ["json", "cloudevents_binary", "cloudevents_structured"];
    let channels = names.map(|format| {
        format!(
            "{{type: kafka, name: {format}, brokers: '{address}', topic: audit-{format}, \
             format: {format}, alerts: false}}"
        )
    });
    let notifier = open(folder.path(), &format!("[{}]", channels.join(", "))).await;
    for id in ["audit/1", "audit/2"] {
        let bulletin = Bulletin {
            id: id.into(),
            topic: "audit".into(),
            text: format!("line of {id}"),
            ..Bulletin::default()
        };
        let missing = notifier.publish(bulletin, &names.map(str::to_owned)).await;
        assert_eq!(missing, [""; 0]);
    }
    let read = tokio::task::spawn_blocking(move || {
        names.map(|name| read_back(&address, &format!("audit-{name}"), |read| read.len() == 2))
    });
    let [json, binary, structured] = read.await.unwrap();
    for (index, id) in ["audit/1", "audit/2"].into_iter().enumerate() {
        let (json, binary, structured) = (&json[index], &binary[index], &structured[index]);
        assert_eq!(json.key, "audit");
        assert_eq!((json.text("id"), json.text("bulletin")), (id, "audit"));
        assert_eq!(json.text("text"), format!("line of {id}"));
        assert!(json.headers.is_empty(), "{:?}", json.headers);
        assert_eq!(binary.value, json.value);
        assert_eq!(structured.value["data"], json.value);
        for (attribute, value) in [
            ("type", "bellwether.bulletin"),
            ("id", id),
            ("subject", "audit"),
            ("partitionkey", &structured.key),
        ] {
            assert_eq!(binary.headers[&format!("ce_{attribute}")], value);
            assert_eq!(structured.text(attribute), value);
        }
    }
}

/// Key and certificate of a broker on 127.0.0.1 as one PEM file, and the authority's certificate.
#[cfg(any(feature = "kafka-ssl", feature = "kafka-ssl-vendored"))]
fn keystore(folder: &std::path::Path) -> (std::path::PathBuf, std::path::PathBuf) {
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
    let mut params = CertificateParams::new([]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    // OpenSSL takes a certificate that names itself as its issuer for one that signed itself.
    params
        .distinguished_name
        .push(DnType::CommonName, "authority of the test");
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &authority).unwrap();
    let (keystore, ca) = (folder.join("broker.pem"), folder.join("ca.pem"));
    std::fs::write(&keystore, key.serialize_pem() + &certificate.pem()).unwrap();
    std::fs::write(&ca, authority.pem()).unwrap();
    (keystore, ca)
}

#[cfg(any(feature = "kafka-ssl", feature = "kafka-ssl-vendored"))]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_tls_with_every_mechanism() {
    use crate::support::free_port;
    use crate::support::servers::PASSWORD;
    let folder = TempDir::new().unwrap();
    let (keystore, ca) = keystore(folder.path());
    let port = free_port();
    let server = Server::kafka_with_sasl(port, &keystore);
    let channel = |name: &str, mechanism: &str, password: &str, ca: &str| {
        format!(
            "{{type: kafka, name: {name}, brokers: '127.0.0.1:{port}', topic: safe, timeout: 5s, \
              retry: {{initial: 50ms, max: 200ms}}, security: {{protocol: sasl_ssl, \
              mechanism: {mechanism}, user: user, password: {password}{ca}}}}}"
        )
    };
    let ca = format!(", ca_file: {}", ca.display());
    let channels = [
        channel("a", "SCRAM-SHA-256", PASSWORD, &ca),
        channel("b", "SCRAM-SHA-512", PASSWORD, &ca),
        channel("c", "PLAIN", PASSWORD, &ca),
        channel("wrong", "SCRAM-SHA-512", "sesame", &ca),
        channel("unknown", "SCRAM-SHA-512", PASSWORD, ""),
    ];
    let notifier = open(folder.path(), &format!("[{}]", channels.join(", "))).await;
    notifier.notify(&[firing("disk", "/a", 0)]).await;
    for name in ["a", "b", "c"] {
        until(&notifier, name, |stats| stats.sent == 1).await;
    }
    for (name, expected) in [
        ("wrong", "uthentication"),
        ("unknown", "certificate verify failed"),
    ] {
        let matches = |error: &String| error.contains(expected);
        let stats = until(&notifier, name, |stats| {
            stats.last_error.as_ref().is_some_and(matches)
        })
        .await;
        assert_eq!((stats.sent, stats.queued), (0, 1), "{stats:?}");
        assert!(!stats.last_error.unwrap().contains("sesame"));
    }
    let address = server.address();
    let read =
        tokio::task::spawn_blocking(move || read_back(&address, "safe", |read| read.len() == 3));
    assert!(
        read.await
            .unwrap()
            .iter()
            .all(|message| message.text("status") == "firing")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_of_a_broker_that_is_back_is_not_shown() {
    let server = Server::kafka_without_topics();
    server.stop();
    let folder = TempDir::new().unwrap();
    let notifier = open(folder.path(), &channel(&server, "missing", "")).await;
    notifier.notify(&[firing("disk", "/a", 0)]).await;
    let refused = |error: &String| error.contains("refused");
    until(&notifier, "kafka", |stats| {
        stats.last_error.as_ref().is_some_and(refused)
    })
    .await;
    server.start();
    let other = |error: &String| !error.contains("last error of a broker");
    let stats = until(&notifier, "kafka", |stats| {
        stats.last_error.as_ref().is_some_and(other)
    })
    .await;
    assert_eq!((stats.sent, stats.queued), (0, 1), "{stats:?}");
}
