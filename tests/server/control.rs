//! Who may reload and record, over the wire.

use std::io::Write;
use std::sync::atomic::Ordering::SeqCst;

use bellwether::server::{Access, Prometheus};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpSocket;
use tokio::sync::Semaphore;

use super::support::{
    Reply, TestBackend, connect, get, read_all, request, run, send, settings, start, until,
};

const JSON: &str = "content-type: application/json";

#[tokio::test]
async fn a_reload_tells_what_happened() {
    let server = start().await;
    let reply = send(server.address, request("POST", "/-/reload", &[], "")).await;
    assert_eq!((reply.status, reply.text()), (200, "reloaded\n"));
    let mut backend = TestBackend::new(1);
    backend.reload_result = Err("line 3: unknown key\nline 9: bad duration".into());
    let server = run(settings(|_| {}), backend).await;
    let reply = send(server.address, request("PUT", "/-/reload", &[], "")).await;
    assert_eq!((reply.status, reply.text()), (500, "line 3: unknown key\nline 9: bad duration\n"));
}

#[tokio::test]
async fn a_client_that_leaves_does_not_break_off_a_reload() {
    let mut backend = TestBackend::new(1);
    backend.reload_gate = Semaphore::new(0);
    let server = run(settings(|_| {}), backend).await;
    let mut client = connect(server.address).await;
    client.write_all(request("POST", "/-/reload", &[], "").as_bytes()).await.unwrap();
    until("the reload", || server.backend.reloads_begun.load(SeqCst) == 1).await;
    drop(client);
    until("the client to be gone", || server.stats.connections() == 0).await;
    server.backend.reload_gate.add_permits(1);
    until("the reload", || server.backend.reloads.load(SeqCst) == 1).await;
}

#[tokio::test]
async fn records_are_counted_and_refused_ones_named() {
    let server = start().await;
    let post = async |body: &str, extra: &[&str]| {
        send(server.address, request("POST", "/api/v1/record", extra, body)).await
    };
    let reply = post("[1, \"x\", 2, {}]", &[JSON]).await;
    assert_eq!(reply.status, 200);
    let data = &reply.json()["data"];
    assert_eq!(data["accepted"], 2);
    assert_eq!(
        (&data["refused"][0]["index"], &data["refused"][1]["index"]),
        (&1.into(), &3.into())
    );
    assert_eq!(data["refused"][0]["reason"], "wrong_kind");
    assert_eq!(post("[\"x\"]", &[JSON]).await.status, 422);
    assert_eq!(post("[]", &["content-type: application/json; charset=utf-8"]).await.status, 200);
    let reply = post("{", &[JSON]).await;
    assert_eq!((reply.status, &reply.json()["errorType"]), (400, &"bad_data".into()));
    for content_type in [
        "x-none: 1",
        "content-type: text/plain",
        "content-type: application/x-www-form-urlencoded",
        "content-type: multipart/form-data; boundary=x",
    ] {
        assert_eq!(post("[1]", &[content_type]).await.status, 415, "{content_type}");
    }
    assert_eq!(post("[1]", &[JSON, "content-encoding: gzip"]).await.status, 415);
}

#[tokio::test]
async fn each_refusal() {
    let server = start().await;
    for (extra, reason) in [
        (&["origin: https://evil.example"][..], "cross_site"),
        (&["origin: null"], "cross_site"),
        (&["sec-fetch-site: cross-site"], "cross_site"),
        (&["host: evil.example:9091"], "host"),
        (&["host: evil.example", "origin: http://evil.example"], "host"),
        (&["x-forwarded-for: 203.0.113.9"], "forwarded"),
        (&["forwarded: for=203.0.113.9"], "forwarded"),
    ] {
        let before = server.stats.refusals().get(reason).copied().unwrap_or_default();
        for (path, body) in [("/-/reload", ""), ("/api/v1/record", "[1]")] {
            let headers = [extra, &[JSON]].concat();
            let reply = send(server.address, request("POST", path, &headers, body)).await;
            assert_eq!(reply.status, 403, "{path} {extra:?}");
            assert!(reply.text().contains("hint: "), "{}", reply.text());
        }
        assert_eq!(server.stats.refusals()[reason], before + 2, "{extra:?}");
        // Reading is not affected.
        assert_eq!(get(server.address, "/metrics", extra).await.status, 200, "{extra:?}");
    }
    assert_eq!(server.backend.reloads.load(SeqCst), 0);
    // A request line with the whole address says itself which host is meant.
    let absolute = "POST http://evil.example/-/reload HTTP/1.1\r\nhost: localhost\r\n\
        connection: close\r\n\r\n";
    assert_eq!(send(server.address, absolute).await.status, 403);
}

async fn reload_from(source: &str, address: std::net::SocketAddr, extra: &[&str]) -> u16 {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(format!("{source}:0").parse().unwrap()).unwrap();
    let mut stream = socket.connect(address).await.unwrap();
    stream.write_all(request("POST", "/-/reload", extra, "").as_bytes()).await.unwrap();
    Reply::parse(&read_all(&mut stream).await).0.status
}

#[tokio::test]
async fn declared_networks_and_tokens_decide() {
    let mut token = tempfile::NamedTempFile::new().unwrap();
    token.write_all(b"s3cret\n").unwrap();
    let networks = vec!["127.0.0.2".to_owned().into(), "fd00::/8".to_owned().into()];
    let server = start().await;
    let apply = |change: &dyn Fn(&mut Prometheus)| {
        server.handle.apply(Access::load(&settings(|settings| change(settings))).unwrap());
    };
    apply(&|settings| settings.control.networks = networks.clone());
    assert_eq!(reload_from("127.0.0.1", server.address, &[]).await, 403);
    assert_eq!(reload_from("127.0.0.2", server.address, &[]).await, 200);
    apply(&|settings| settings.control.token_file = Some(token.path().into()));
    let right = "authorization: Bearer s3cret";
    for (source, extra, status) in [
        ("127.0.0.1", &[][..], 401),
        ("127.0.0.1", &["authorization: Bearer wrong"], 401),
        ("127.0.0.1", &[right], 200),
        ("127.0.0.2", &[right, "x-forwarded-for: 203.0.113.9", "host: monitor.example"], 200),
        ("127.0.0.2", &[right, "origin: https://evil.example"], 403),
    ] {
        assert_eq!(reload_from(source, server.address, extra).await, status, "{source} {extra:?}");
    }
    assert_eq!(server.stats.refusals()["token"], 2);
}
