use super::*;
use crate::entry::testing::{collect, resolve_entry};
use bellwether_core::Now;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

fn problems(settings: &str) -> Vec<String> {
    let entry = format!("{{name: x, type: kafka, {settings}}}");
    resolve_entry(&entry).err().unwrap_or_default()
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
    let entry = format!(
        "{{name: x, type: kafka, interval: 15s, timeout: 2s, brokers: '127.0.0.1:{port}', {settings}}}"
    );
    let mut collector = resolve_entry(&entry).ok().unwrap();
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
    let entry = format!(
        "{{name: x, type: kafka, timeout: 1s, brokers: '127.0.0.1:{silent_port},127.0.0.1:{closed_port}'}}"
    );
    let mut collector = resolve_entry(&entry).ok().unwrap();
    let collected = collect(&mut *collector, Now::default()).await;
    let (_, detail) = collected.failure.unwrap();
    assert!(detail.contains("no answer in time; "), "{detail}");
    assert!(detail.contains("refused"), "{detail}");
}
