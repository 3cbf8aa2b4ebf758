//! Live updates over WebSockets: messages, limits, slow clients, access, and the end of sessions.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use bellwether_core::{
    AlertState, Cause, Group, Notification, Origin, Status, Transition, UnixMillis,
};
use bellwether_schema::{HumanDuration, Spanned};
use bellwether_server::{Access, Prometheus};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio_websockets::upgrade::Response;
use tokio_websockets::{ClientBuilder, Config, Error, Message, WebSocketStream};

use super::support::{
    Reply, Running, TestBackend, alert, connect, get, run, scrape, settings, soon, start, until,
};
use super::web_config::{Pki, hash};

/// Client of live updates.
pub struct Live<S = TcpStream>(WebSocketStream<S>);

impl<S: AsyncRead + AsyncWrite + Unpin> Live<S> {
    pub async fn on(
        stream: S,
        headers: &[(&'static str, &str)],
    ) -> Result<(Self, Response), Error> {
        let mut builder = ClientBuilder::new()
            .uri("ws://localhost/api/v1/live")
            .unwrap();
        for (name, value) in headers {
            builder = builder
                .add_header(name.parse().unwrap(), value.parse().unwrap())
                .unwrap();
        }
        let (socket, response) = soon("the handshake", builder.connect_on(stream)).await?;
        Ok((Self(socket), response))
    }

    pub async fn ask(&mut self, message: Value) {
        self.0
            .send(Message::text(message.to_string()))
            .await
            .unwrap();
    }

    /// Next message with JSON.
    pub async fn next(&mut self) -> Value {
        loop {
            let message = soon("a message", self.0.next()).await.unwrap().unwrap();
            if let Some(text) = message.as_text() {
                return serde_json::from_str(text).unwrap();
            }
            assert!(!message.is_close(), "closed: {:?}", message.as_close());
        }
    }

    /// Next message of `kind`; others are skipped.
    pub async fn next_of(&mut self, kind: &str) -> Value {
        loop {
            let message = self.next().await;
            if message["type"] == kind {
                return message;
            }
        }
    }

    /// Updates until each of `ids` was in one, as one: a long round is sent in parts.
    async fn next_with(&mut self, ids: &[&str]) -> Value {
        let mut all = self.next_of("metrics_update").await;
        while ids.iter().any(|id| series_of(&all, id).is_null()) {
            let mut more = self.next_of("metrics_update").await;
            let more = more["data"]["subscriptions"].as_array_mut().unwrap();
            let all = all["data"]["subscriptions"].as_array_mut().unwrap();
            all.append(more);
        }
        all
    }

    /// Code and reason with which the server closes the session.
    pub async fn closed(&mut self) -> (u16, String) {
        loop {
            let message = soon("a close", self.0.next()).await.unwrap().unwrap();
            if let Some((code, reason)) = message.as_close() {
                return (code.into(), reason.to_owned());
            }
        }
    }

    async fn subscribe(&mut self, message: Value) -> Value {
        self.ask(message).await;
        self.next_of("subscribed").await["data"].take()
    }
}

async fn live(server: &Running) -> Live {
    let (mut live, _) = Live::on(connect(server.address).await, &[]).await.unwrap();
    assert_eq!(live.next().await["type"], "initial_data");
    live
}

async fn recording() -> Running {
    recording_with(|_| {}).await
}

async fn recording_with(change: impl FnOnce(&mut Prometheus)) -> Running {
    run(settings(change), TestBackend::with_history(3)).await
}

fn series_of(update: &Value, id: &str) -> Value {
    let subscriptions = update["data"]["subscriptions"].as_array().unwrap();
    let found = subscriptions.iter().find(|one| one["id"] == id);
    found.map_or(Value::Null, |found| found["series"].clone())
}

#[tokio::test]
async fn a_client_gets_everything_and_then_what_it_subscribed_to() {
    let server = recording().await;
    let (mut live, _) = Live::on(connect(server.address).await, &[]).await.unwrap();
    let initial = live.next().await;
    assert_eq!(initial["type"], "initial_data");
    let data = &initial["data"];
    assert_eq!(data["alerts"][0]["rule"], "too_hot");
    assert_eq!(data["summary"]["rules"], 1);
    assert_eq!(data["bottlenecks"], json!([]));
    assert_eq!(data["config"]["version"], env!("CARGO_PKG_VERSION"));
    assert!(data["time"].as_f64().unwrap() > 1e9);
    let current = json!({"data": data["current"]});
    let expected =
        json!({"labels": {"__name__": "test_load", "host": "host-000001"}, "value": 1.25});
    assert_eq!(series_of(&current, "load")[1], expected);

    let by_name = live
        .subscribe(json!({"type": "subscribe", "metric_name": "load"}))
        .await;
    assert_eq!(by_name["series"][1], expected);
    let histogram = live
        .subscribe(json!({"type": "subscribe", "metric_name": "test_took_seconds"}))
        .await;
    assert_eq!(histogram["series"].as_array().unwrap().len(), 5);
    let by_selector = live
        .subscribe(json!({"type": "subscribe", "id": "one", "selector": "{host=\"host-000001\"}"}))
        .await;
    assert_eq!(by_selector["series"], json!([expected]));
    let by_query = live
        .subscribe(json!({"type": "subscribe", "id": "sum", "query": "sum(test_load)"}))
        .await;
    assert_eq!(by_query["series"], json!([{"labels": {}, "value": 3.75}]));

    server.backend.commit(10.0);
    let update = live.next_with(&["load", "sum"]).await;
    assert_eq!(series_of(&update, "load")[0]["value"], 10.0);
    assert_eq!(series_of(&update, "sum")[0]["value"], 30.0);
    assert!(update["data"]["timestamp"].as_f64().unwrap() > 1e9);

    live.ask(json!({"type": "unsubscribe", "metric_name": "load"}))
        .await;
    live.ask(json!({"type": "unsubscribe", "id": "one"})).await;
    live.ask(json!({"type": "unsubscribe", "id": "one"})).await;
    let error = live.next_of("error").await;
    assert_eq!(error["id"], "one");
    server.backend.commit(f64::NEG_INFINITY);
    let update = live.next_with(&["sum"]).await;
    assert_eq!(series_of(&update, "load"), Value::Null);
    assert_eq!(series_of(&update, "sum")[0]["value"], "-Inf");
}

#[tokio::test]
async fn a_subscription_is_evaluated_once_for_all_clients_and_only_if_it_may_have_changed() {
    let server = recording().await;
    let mut clients = Vec::new();
    for _ in 0..5 {
        let mut live = live(&server).await;
        live.subscribe(json!({"type": "subscribe", "id": "s", "query": "sum(test_load)"}))
            .await;
        clients.push(live);
    }
    let selects = || server.backend.selects.load(SeqCst);
    let before = selects();
    server
        .backend
        .live
        .collected(Origin::SELF_METRICS, UnixMillis(1));
    for round in 1..=3_u32 {
        server.backend.commit(f64::from(round));
        for client in &mut clients {
            let update = client.next_of("metrics_update").await;
            assert_eq!(series_of(&update, "s")[0]["value"], f64::from(round) * 3.0);
        }
        assert_eq!(selects() - before, u64::from(round));
    }
    drop(clients);
    until("the clients to go", || server.stats.live_clients() == 0).await;
    let before = selects();
    server.backend.commit(9.0);
    let mut live = live(&server).await;
    server.backend.commit(10.0);
    live.subscribe(json!({"type": "subscribe", "query": "sum(test_load)"}))
        .await;
    assert_eq!(selects() - before, 1, "nothing is evaluated for nobody");
}

#[tokio::test]
async fn a_slow_client_gets_the_newest_state_and_delays_nobody() {
    const COMMITS: u32 = 60;
    let server = run(settings(|_| {}), TestBackend::with_history(500)).await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(8 * 1024).unwrap();
    let stream = socket.connect(server.address).await.unwrap();
    let (mut slow, _) = Live::on(stream, &[]).await.unwrap();
    slow.subscribe(json!({"type": "subscribe", "metric_name": "load"}))
        .await;
    let mut quick = live(&server).await;
    quick
        .subscribe(json!({"type": "subscribe", "metric_name": "load"}))
        .await;
    for commit in 1..=COMMITS {
        server.backend.commit(f64::from(commit));
        let update = quick.next_of("metrics_update").await;
        assert_eq!(series_of(&update, "load")[0]["value"], f64::from(commit));
    }
    let mut received = 0;
    loop {
        let update = slow.next_of("metrics_update").await;
        received += 1;
        if series_of(&update, "load")[0]["value"] == f64::from(COMMITS) {
            break;
        }
    }
    assert!(received < COMMITS / 4, "it got {received} of {COMMITS}");
    assert!(server.stats.live_dropped() > u64::from(COMMITS / 2));
}

#[tokio::test]
async fn a_slow_query_delays_no_other() {
    let server = recording().await;
    let mut live = live(&server).await;
    live.subscribe(
        json!({"type": "subscribe", "id": "gated", "query": "sum(test_load{host!=\"gated\"})"}),
    )
    .await;
    live.subscribe(json!({"type": "subscribe", "id": "load", "query": "sum(test_load)"}))
        .await;
    server.backend.gate.store(true, SeqCst);
    for commit in 1..=5_u32 {
        server.backend.commit(f64::from(commit));
        // An error would be that of the slow one, after its timeout.
        let update = live.next().await;
        assert_eq!(update["type"], "metrics_update", "{update}");
        assert_eq!(
            series_of(&update, "load")[0]["value"],
            f64::from(commit) * 3.0
        );
        assert_eq!(series_of(&update, "gated"), Value::Null);
    }
    server.backend.gate.store(false, SeqCst);
    let update = live.next_of("metrics_update").await;
    assert!(
        series_of(&update, "gated")[0]["value"].is_number(),
        "{update}"
    );
}

#[tokio::test]
async fn errors_name_what_is_wrong_and_how_to_fix_it() {
    let server = recording_with(|settings| {
        settings.live.max_subscriptions = Spanned::nowhere(1);
        settings.live.max_series = Spanned::nowhere(2);
        settings.live.max_message_bytes = Spanned::nowhere(1_000);
    })
    .await;
    let mut live = live(&server).await;
    for (message, id, expected) in [
        (
            json!({"type": "subscribe", "metric_name": "nope"}),
            "nope",
            "there is no metric \"nope\"; hint: ",
        ),
        (
            json!({"type": "subscribe", "id": "q", "query": "sum("}),
            "q",
            "invalid \"query\": ",
        ),
        (
            json!({"type": "subscribe", "id": "q", "selector": "sum(up)"}),
            "q",
            "invalid \"selector\": ",
        ),
        (
            json!({"type": "subscribe", "id": "q", "query": "test_load[5m]"}),
            "q",
            "instant vector",
        ),
        (
            json!({"type": "subscribe", "id": "q", "query": "\"text\""}),
            "q",
            "instant vector",
        ),
        (
            json!({"type": "listen", "id": "q"}),
            "q",
            "hint: subscribe or unsubscribe",
        ),
    ] {
        live.ask(message).await;
        let error = live.next_of("error").await;
        assert_eq!(error["id"], id, "{error}");
        assert!(
            error["error"].as_str().unwrap().contains(expected),
            "{error}"
        );
    }
    let truncated = live
        .subscribe(json!({"type": "subscribe", "metric_name": "load"}))
        .await;
    assert_eq!(truncated["series"].as_array().unwrap().len(), 2);
    assert_eq!(truncated["truncated"], true);
    live.ask(json!({"type": "subscribe", "query": "up"})).await;
    let error = live.next_of("error").await;
    assert!(
        error["error"]
            .as_str()
            .unwrap()
            .contains("max_subscriptions"),
        "{error}"
    );
    live.subscribe(json!({"type": "subscribe", "id": "load", "query": "sum(test_load)"}))
        .await;
    live.0.send(Message::binary(&b"{}"[..])).await.unwrap();
    assert!(
        live.next_of("error").await["error"]
            .as_str()
            .unwrap()
            .contains("not text")
    );
    live.ask(json!({"type": "subscribe", "query": "x".repeat(1_000)}))
        .await;
    assert_eq!(live.closed().await.0, 1009);
    // In frames that are small enough each.
    let frames = Config::default().frame_size(400);
    let builder = ClientBuilder::new().uri("ws://localhost/ws").unwrap();
    let stream = connect(server.address).await;
    let connected = builder.config(frames).connect_on(stream).await;
    let mut live = Live(connected.unwrap().0);
    live.ask(json!({"type": "subscribe", "query": "x".repeat(1_000)}))
        .await;
    assert_eq!(live.closed().await.0, 1009);
}

#[tokio::test]
async fn without_history_metrics_are_live_and_queries_say_why_not() {
    let server = start().await;
    let mut live = live(&server).await;
    let load = live
        .subscribe(json!({"type": "subscribe", "metric_name": "load"}))
        .await;
    assert_eq!(load["series"].as_array().unwrap().len(), 3);
    live.ask(json!({"type": "subscribe", "query": "up"})).await;
    let error = live.next_of("error").await;
    assert!(
        error["error"]
            .as_str()
            .unwrap()
            .contains("history is disabled"),
        "{error}"
    );
}

#[tokio::test]
async fn events_reach_every_client_and_one_that_missed_some_gets_the_state() {
    use AlertState::{Firing, Inactive, Pending};
    let server = recording().await;
    let feed = &server.backend.live;
    let (mut first, mut second) = (live(&server).await, live(&server).await);
    let transition = |from, state| Transition {
        alert: Arc::new(bellwether_core::Alert {
            state,
            ..(*alert()).clone()
        }),
        from,
        reason: String::new(),
        at: UnixMillis(0),
    };
    for (from, to) in [(Inactive, Pending), (Pending, Firing), (Firing, Inactive)] {
        feed.transitions(&[transition(from, to)], Default::default);
    }
    let notification = Notification {
        id: "1".into(),
        status: Status::Firing,
        cause: Cause::Change,
        group: Arc::new(Group::default()),
        alert: alert(),
        reason: String::new(),
        at: UnixMillis(0),
    };
    feed.notification("ops", &notification, "failed", Some("no route"));
    feed.reloaded(Some("line 1: bad"));
    for live in [&mut first, &mut second] {
        let triggered = live.next().await;
        assert_eq!(triggered["type"], "alert_triggered");
        assert_eq!(
            triggered["data"]["fingerprint"],
            alert().fingerprint.to_string()
        );
        assert_eq!(live.next().await["type"], "alert_resolved");
        let expected = json!({
            "channel": "ops", "status": "failed", "alert": "too_hot",
            "fingerprint": alert().fingerprint.to_string(), "error": "no route",
        });
        assert_eq!(
            live.next().await,
            json!({"type": "notification", "data": expected})
        );
        let expected = json!({"success": false, "error": "line 1: bad"});
        assert_eq!(
            live.next().await,
            json!({"type": "reload", "data": expected})
        );
    }
    // More at once than a client may be behind.
    for _ in 0..1_000 {
        feed.reloaded(None);
    }
    for live in [&mut first, &mut second] {
        live.next_of("initial_data").await;
    }
}

#[tokio::test]
async fn sessions_take_no_place_of_a_scrape() {
    let server = recording_with(|settings| {
        settings.limits.max_connections = Spanned::nowhere(8);
    })
    .await;
    let mut clients = Vec::new();
    for _ in 0..24 {
        clients.push(live(&server).await);
    }
    until("the connections to be free", || {
        server.stats.connections() == 0
    })
    .await;
    scrape(server.address).await;
    for live in &mut clients {
        live.subscribe(json!({"type": "subscribe", "metric_name": "load"}))
            .await;
    }
    server.backend.commit(1.0);
    scrape(server.address).await;
    for live in &mut clients {
        live.next_of("metrics_update").await;
    }
    assert_eq!(server.stats.closed_by_server().len(), 0);
}

#[tokio::test]
async fn more_clients_than_places_are_rejected() {
    let server = recording_with(|settings| settings.live.max_clients = 2).await;
    let clients = [live(&server).await, live(&server).await];
    let rejected = Live::on(connect(server.address).await, &[]).await;
    let message = rejected.err().unwrap().to_string();
    assert!(message.contains("503"), "{message}");
    drop(clients);
    until("the clients to go", || server.stats.live_clients() == 0).await;
    live(&server).await;
}

#[tokio::test]
async fn a_client_that_sends_nothing_is_closed_and_one_that_answers_pings_is_not() {
    let server = recording_with(|settings| {
        let millis = |millis| HumanDuration(Duration::from_millis(millis));
        settings.live.ping_interval = Spanned::nowhere(millis(50));
        settings.live.idle_timeout = Spanned::nowhere(millis(500));
    })
    .await;
    let silent = live(&server).await;
    let mut answering = live(&server).await;
    let answered = async {
        loop {
            answering.0.next().await.unwrap().unwrap();
        }
    };
    tokio::select! {
        () = until("the silent one to be closed", || server.stats.live_clients() == 1) => {}
        () = answered => {}
    }
    drop(silent);
    answering
        .subscribe(json!({"type": "subscribe", "metric_name": "load"}))
        .await;
}

#[tokio::test]
async fn a_stop_closes_sessions_with_a_word() {
    let mut server = recording().await;
    let mut live = live(&server).await;
    server.stop.cancel();
    let (code, reason) = live.closed().await;
    assert_eq!((code, reason.as_str()), (1001, "the server stops"));
    live.0.close().await.ok();
    soon("the server to end", &mut server.task).await.unwrap();
}

#[tokio::test]
async fn a_changed_access_closes_sessions_and_another_reload_does_not() {
    let server = recording().await;
    let mut live = live(&server).await;
    let access = |settings: &Prometheus| Access::load(settings).unwrap();
    server.handle.apply(access(&settings(|_| {})));
    live.subscribe(json!({"type": "subscribe", "metric_name": "load"}))
        .await;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("web.yml");
    std::fs::write(&path, users()).unwrap();
    let with_users = settings(|settings| settings.web_config_file = Some(path.into()));
    server.handle.apply(access(&with_users));
    let (code, reason) = live.closed().await;
    assert_eq!(code, 1012, "{reason}");
    let again = Live::on(connect(server.address).await, &[]).await;
    let message = again.err().unwrap().to_string();
    assert!(message.contains("401"), "{message}");
}

/// Web configuration with one user, `ada` with the password `secret`.
fn users() -> String {
    format!("basic_auth_users:\n  ada: {}\n", hash("secret"))
}

fn cross_site(origin: &str) -> [(&'static str, &str); 1] {
    [("origin", origin)]
}

#[tokio::test]
async fn a_page_of_another_site_follows_nothing_that_is_not_for_all() {
    let open = recording().await;
    for origin in ["http://localhost", "http://elsewhere.example"] {
        let admitted = Live::on(connect(open.address).await, &cross_site(origin)).await;
        assert!(admitted.is_ok(), "{origin}");
    }
    let own =
        recording_with(|settings| settings.cors_origin = Spanned::nowhere(String::new())).await;
    let admitted = Live::on(connect(own.address).await, &cross_site("http://localhost")).await;
    assert!(admitted.is_ok());
    for origin in ["http://elsewhere.example", "null", "http://localhost:81"] {
        let rejected = Live::on(connect(own.address).await, &cross_site(origin)).await;
        assert!(
            rejected.err().unwrap().to_string().contains("403"),
            "{origin}"
        );
    }
    assert_eq!(own.stats.rejected_requests()["cross_site"], 3);
    // With users a browser would send the password of this server along.
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("web.yml");
    std::fs::write(&path, users()).unwrap();
    let users = recording_with(|settings| settings.web_config_file = Some(path.into())).await;
    // ada:secret
    let password = ("authorization", "Basic YWRhOnNlY3JldA==");
    let admitted = Live::on(connect(users.address).await, &[password]).await;
    assert!(admitted.is_ok());
    let headers = [password, ("origin", "http://elsewhere.example")];
    let rejected = Live::on(connect(users.address).await, &headers).await;
    assert!(rejected.err().unwrap().to_string().contains("403"));
}

#[tokio::test]
async fn a_request_that_is_no_handshake_is_told_so() {
    let server = recording().await;
    let upgrade = ["connection: upgrade", "upgrade: websocket"];
    let key = "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==";
    let ask = |extra: &[&str]| {
        let extra: Vec<String> = extra.iter().map(ToString::to_string).collect();
        let address = server.address;
        async move {
            let mut text = "GET /ws HTTP/1.1\r\nhost: localhost\r\n".to_owned();
            for line in &extra {
                text += &format!("{line}\r\n");
            }
            let mut stream = connect(address).await;
            stream.write_all((text + "\r\n").as_bytes()).await.unwrap();
            let mut head = Vec::new();
            while !head.windows(4).any(|window| window == b"\r\n\r\n") {
                soon("a head", stream.read_buf(&mut head)).await.unwrap();
            }
            Reply::parse(&head).0
        }
    };
    let plain = get(server.address, "/api/v1/live", &[]).await;
    assert_eq!((plain.status, plain.header("upgrade")), (426, "websocket"));
    assert!(
        plain.json()["error"]
            .as_str()
            .unwrap()
            .contains("is a WebSocket; hint: ")
    );
    let old = ask(&[upgrade[0], upgrade[1], key, "sec-websocket-version: 8"]).await;
    assert_eq!(
        (old.status, old.header("sec-websocket-version")),
        (426, "13")
    );
    let short = "sec-websocket-key: c2hvcnQ=";
    let short = ask(&[upgrade[0], upgrade[1], short, "sec-websocket-version: 13"]).await;
    assert_eq!(short.status, 400);
    let good = ask(&[upgrade[0], upgrade[1], key, "sec-websocket-version: 13"]).await;
    assert_eq!(good.status, 101);
    assert_eq!(
        good.header("sec-websocket-accept"),
        "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    );
}

#[tokio::test]
async fn sessions_work_over_tls_and_http2_is_told_what_it_needs() {
    let pki = Pki::new();
    let path = pki.tls("");
    let server = recording_with(|settings| settings.web_config_file = Some(path.into())).await;
    let stream = pki.connect(server.address, b"http/1.1").await;
    let (mut live, _) = Live::on(stream, &[]).await.unwrap();
    live.subscribe(json!({"type": "subscribe", "metric_name": "load"}))
        .await;
    server.backend.commit(7.0);
    let update = live.next_of("metrics_update").await;
    assert_eq!(series_of(&update, "load")[0]["value"], 7.0);

    let stream = pki.connect(server.address, b"h2").await;
    let executor = hyper_util::rt::TokioExecutor::new();
    let io = hyper_util::rt::TokioIo::new(stream);
    let (mut sender, connection) = hyper::client::conn::http2::handshake(executor, io)
        .await
        .unwrap();
    tokio::spawn(connection);
    let request = hyper::Request::get("https://localhost/ws")
        .body(String::new())
        .unwrap();
    let answer = soon("an answer", sender.send_request(request))
        .await
        .unwrap();
    assert_eq!(answer.status(), 426);
    let body = http_body_util::BodyExt::collect(answer.into_body())
        .await
        .unwrap()
        .to_bytes();
    let body = String::from_utf8(body.to_vec()).unwrap();
    assert!(body.contains("needs HTTP/1.1"), "{body}");
}
