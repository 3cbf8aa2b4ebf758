//! Clients that may reload and record, over the wire.

use std::io::Write;
use std::sync::atomic::Ordering::SeqCst;

use bellwether_server::{
    Access, Actor, AuditEntry, AuditOutcome, BackendError, LocalSocket, Prometheus,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, UnixStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::support::{
    PATIENCE, Reply, TestBackend, connect, get, read_all, request, run, send, settings, soon,
    start, until,
};

const JSON: &str = "content-type: application/json";

#[tokio::test]
async fn a_reload_reports_what_happened() {
    let server = start().await;
    let reply = send(server.address, request("POST", "/-/reload", &[], "")).await;
    assert_eq!((reply.status, reply.text()), (200, "reloaded\n"));
    let mut backend = TestBackend::new(1);
    let errors = "line 3: unknown key\nline 9: bad duration";
    backend.reload_result = Err(BackendError::Failed(errors.into()));
    let server = run(settings(|_| {}), backend).await;
    let reply = send(server.address, request("PUT", "/-/reload", &[], "")).await;
    assert_eq!(
        (reply.status, reply.text()),
        (500, "line 3: unknown key\nline 9: bad duration\n")
    );
}

#[tokio::test]
async fn a_client_that_leaves_does_not_break_off_a_reload() {
    let mut backend = TestBackend::new(1);
    backend.reload_gate = Semaphore::new(0);
    let server = run(settings(|_| {}), backend).await;
    let mut client = connect(server.address).await;
    client
        .write_all(request("POST", "/-/reload", &[], "").as_bytes())
        .await
        .unwrap();
    until("the reload", || {
        server.backend.reloads_begun.load(SeqCst) == 1
    })
    .await;
    drop(client);
    until("the client to be gone", || server.stats.connections() == 0).await;
    server.backend.reload_gate.add_permits(1);
    until("the reload", || server.backend.reloads.load(SeqCst) == 1).await;
}

#[tokio::test]
async fn records_are_counted_and_rejected_ones_named() {
    let server = start().await;
    let post = async |body: &str, extra: &[&str]| {
        send(
            server.address,
            request("POST", "/api/v1/record", extra, body),
        )
        .await
    };
    let reply = post("[1, \"x\", 2, {}]", &[JSON]).await;
    assert_eq!(reply.status, 200);
    let data = &reply.json()["data"];
    assert_eq!(data["accepted"], 2);
    assert_eq!(
        (&data["rejected"][0]["index"], &data["rejected"][1]["index"]),
        (&1.into(), &3.into())
    );
    assert_eq!(data["rejected"][0]["reason"], "wrong_kind");
    assert_eq!(post("[\"x\"]", &[JSON]).await.status, 422);
    assert_eq!(
        post("[]", &["content-type: application/json; charset=utf-8"])
            .await
            .status,
        200
    );
    let reply = post("{", &[JSON]).await;
    assert_eq!(
        (reply.status, &reply.json()["errorType"]),
        (400, &"bad_data".into())
    );
    for content_type in [
        "x-none: 1",
        "content-type: text/plain",
        "content-type: application/x-www-form-urlencoded",
        "content-type: multipart/form-data; boundary=x",
    ] {
        assert_eq!(
            post("[1]", &[content_type]).await.status,
            415,
            "{content_type}"
        );
    }
    assert_eq!(
        post("[1]", &[JSON, "content-encoding: gzip"]).await.status,
        415
    );
}

#[tokio::test]
async fn a_change_has_an_audit_entry_with_its_author() {
    let server = start().await;
    let via = ["authorization: Basic YWRhOng="];
    send(server.address, request("POST", "/-/reload", &via, "")).await;
    let entries = server.backend.entries.lock().clone();
    assert_eq!(
        entries,
        [AuditEntry {
            action: "reload",
            what: "reload: reloaded".into(),
            actor: Actor {
                user: None,
                auth: Some("address"),
                from: "127.0.0.1".into(),
                via: None,
            },
            outcome: AuditOutcome::Done,
        }],
        "without configured users nobody has checked the name"
    );
    get(server.address, "/metrics", &[]).await;
    get(server.address, "/api/v1/silences", &[]).await;
    assert_eq!(server.backend.entries.lock().len(), 1);
}

#[tokio::test]
async fn a_change_that_fails_has_an_audit_entry_with_its_error() {
    let mut backend = TestBackend::new(1);
    backend.reload_result = Err(BackendError::Failed("line 3: unknown key".into()));
    let server = run(settings(|_| {}), backend).await;
    send(server.address, request("POST", "/-/reload", &[], "")).await;
    let entry = server.backend.entries.lock()[0].clone();
    let failed = AuditOutcome::Failed("line 3: unknown key".into());
    assert_eq!((entry.what, entry.outcome), ("reload".into(), failed));
}

#[tokio::test]
async fn a_client_that_leaves_does_not_keep_its_change_from_the_audit() {
    let mut backend = TestBackend::new(1);
    backend.reload_gate = Semaphore::new(0);
    let server = run(settings(|_| {}), backend).await;
    let mut client = connect(server.address).await;
    let reload = request("POST", "/-/reload", &[], "");
    client.write_all(reload.as_bytes()).await.unwrap();
    until("the reload", || {
        server.backend.reloads_begun.load(SeqCst) == 1
    })
    .await;
    drop(client);
    until("the client to be gone", || server.stats.connections() == 0).await;
    assert!(server.backend.entries.lock().is_empty());
    server.backend.reload_gate.add_permits(1);
    until("the entry", || server.backend.entries.lock().len() == 1).await;
}

#[tokio::test]
async fn a_rejected_change_has_an_audit_entry_and_a_flood_of_them_has_few() {
    let server = start().await;
    let forwarded = ["x-forwarded-for: 203.0.113.9"];
    for _ in 0..20 {
        let reload = request("POST", "/-/reload", &forwarded, "");
        assert_eq!(send(server.address, reload).await.status, 403);
    }
    let entries = server.backend.entries.lock().clone();
    assert_eq!(entries.len(), 5);
    let entry = &entries[0];
    assert_eq!(
        (entry.action, &*entry.what, entry.actor.via.as_deref()),
        (
            "reload",
            "POST /-/reload",
            Some("x-forwarded-for: 203.0.113.9")
        )
    );
    assert_eq!(
        entry.outcome,
        AuditOutcome::Rejected("requests that came through a proxy are rejected".into())
    );
}

#[tokio::test]
async fn each_rejection() {
    let server = start().await;
    for (extra, reason) in [
        (&["origin: https://evil.example"][..], "cross_site"),
        (&["origin: null"], "cross_site"),
        (&["sec-fetch-site: cross-site"], "cross_site"),
        (&["host: evil.example:9091"], "host"),
        (
            &["host: evil.example", "origin: http://evil.example"],
            "host",
        ),
        (&["x-forwarded-for: 203.0.113.9"], "forwarded"),
        (&["forwarded: for=203.0.113.9"], "forwarded"),
    ] {
        let before = server
            .stats
            .rejected_requests()
            .get(reason)
            .copied()
            .unwrap_or_default();
        for (path, body) in [("/-/reload", ""), ("/api/v1/record", "[1]")] {
            let headers = [extra, &[JSON]].concat();
            let reply = send(server.address, request("POST", path, &headers, body)).await;
            assert_eq!(reply.status, 403, "{path} {extra:?}");
            assert!(reply.text().contains("hint: "), "{}", reply.text());
        }
        assert_eq!(
            server.stats.rejected_requests()[reason],
            before + 2,
            "{extra:?}"
        );
        // Reading is not affected.
        assert_eq!(
            get(server.address, "/metrics", extra).await.status,
            200,
            "{extra:?}"
        );
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
    stream
        .write_all(request("POST", "/-/reload", extra, "").as_bytes())
        .await
        .unwrap();
    Reply::parse(&read_all(&mut stream).await).0.status
}

#[tokio::test]
async fn declared_networks_and_tokens_decide() {
    let mut token = tempfile::NamedTempFile::new().unwrap();
    token.write_all(b"s3cret\n").unwrap();
    let networks = vec!["127.0.0.2".to_owned().into(), "fd00::/8".to_owned().into()];
    let server = start().await;
    let apply = |change: &dyn Fn(&mut Prometheus)| {
        server
            .handle
            .apply(Access::load(&settings(|settings| change(settings))).unwrap());
    };
    apply(&|settings| settings.control.networks = networks.clone());
    assert_eq!(reload_from("127.0.0.1", server.address, &[]).await, 403);
    assert_eq!(reload_from("127.0.0.2", server.address, &[]).await, 200);
    apply(&|settings| settings.control.token_file = Some(token.path().to_owned().into()));
    let right = "authorization: Bearer s3cret";
    for (source, extra, status) in [
        ("127.0.0.1", &[][..], 401),
        ("127.0.0.1", &["authorization: Bearer wrong"], 401),
        ("127.0.0.1", &[right], 200),
        ("127.0.0.1", &["authorization: Token s3cret"], 200),
        (
            "127.0.0.2",
            &[
                right,
                "x-forwarded-for: 203.0.113.9",
                "host: monitor.example",
            ],
            200,
        ),
        ("127.0.0.2", &[right, "origin: https://evil.example"], 403),
    ] {
        assert_eq!(
            reload_from(source, server.address, extra).await,
            status,
            "{source} {extra:?}"
        );
    }
    assert_eq!(server.stats.rejected_requests()["token"], 2);
}

#[tokio::test]
async fn with_users_only_token_and_socket_change_state_on_this_host() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("web.yml");
    let users = format!(
        "basic_auth_users: {{ada: {}}}\n",
        super::web_config::hash("s3cret")
    );
    std::fs::write(&file, users).unwrap();
    let path = directory.path().join("control.sock");
    let server = run(
        settings(|settings| settings.web_config_file = Some(file.into())),
        TestBackend::new(1),
    )
    .await;
    // What a plain proxy_pass sends for a stranger who knows a password for reading.
    let password = "authorization: Basic YWRhOnMzY3JldA==";
    let reply = send(
        server.address,
        request("POST", "/-/reload", &[password], ""),
    )
    .await;
    assert_eq!(reply.status, 403);
    assert!(reply.text().contains("control.socket"), "{}", reply.text());
    assert_eq!(server.stats.rejected_requests()["users"], 1);
    assert_eq!(
        get(server.address, "/metrics", &[password]).await.status,
        200
    );

    let socket = LocalSocket {
        path: path.clone(),
        mode: "0600".to_owned().into(),
        owner: None,
        group: None,
    };
    let stop = CancellationToken::new();
    let listening = server.handle.bind_socket(&socket).unwrap();
    let task = tokio::spawn(listening.run(stop.clone(), PATIENCE));
    let over_socket = async |request: String| {
        let mut stream = UnixStream::connect(&path).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut bytes = Vec::new();
        soon("the answer", stream.read_to_end(&mut bytes))
            .await
            .unwrap();
        Reply::parse(&bytes).0.status
    };
    assert_eq!(
        over_socket(request("POST", "/-/reload", &[], "")).await,
        200
    );
    let uid = rustix::process::getuid().as_raw();
    let actor = server.backend.entries.lock().last().unwrap().actor.clone();
    assert_eq!(
        (actor.auth, actor.from),
        (Some("socket"), format!("unix socket, uid {uid}"))
    );
    assert_eq!(over_socket(request("GET", "/metrics", &[], "")).await, 200);
    let forwarded = ["x-forwarded-for: 203.0.113.9"];
    assert_eq!(
        over_socket(request("POST", "/-/reload", &forwarded, "")).await,
        403
    );
    stop.cancel();
    soon("the end", task).await.unwrap();
    assert!(!path.exists(), "its file went with it");
    assert_eq!(
        get(server.address, "/metrics", &[password]).await.status,
        200,
        "the address stays"
    );
}
