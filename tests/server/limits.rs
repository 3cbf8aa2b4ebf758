//! Slow, huge and malicious clients, and the scrape that is answered all the same.

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use bellwether_schema::HumanDuration;
use bellwether_server::{CloseReason, Limits};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use super::support::{
    Reply, Running, TestBackend, connect, get, read_all, request, run, scrape, send, settings,
    soon, start, until,
};

async fn limited(series: usize, change: impl FnOnce(&mut Limits)) -> Running {
    run(
        settings(|settings| change(&mut settings.limits)),
        TestBackend::new(series),
    )
    .await
}

fn cuts(server: &Running, cut: CloseReason) -> u64 {
    server
        .stats
        .closed_by_server()
        .get(&cut)
        .copied()
        .unwrap_or_default()
}

/// Clients that ask for /metrics and never read it.
async fn deaf(server: &Running, count: usize) -> Vec<TcpStream> {
    let mut clients = Vec::new();
    for _ in 0..count {
        let mut client = connect(server.address).await;
        client
            .write_all(b"GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n")
            .await
            .unwrap();
        clients.push(client);
    }
    clients
}

#[tokio::test]
async fn two_hundred_slow_clients_do_not_hold_up_a_scrape() {
    let server = limited(100, |limits| limits.max_connections = 64.into()).await;
    let mut slow = Vec::new();
    for _ in 0..200 {
        let mut client = connect(server.address).await;
        client
            .write_all(b"GET /metrics HTTP/1.1\r\nx-slow: ")
            .await
            .unwrap();
        slow.push(client);
    }
    for _ in 0..20 {
        scrape(server.address).await;
        for client in &mut slow {
            client.write_all(b"x").await.ok();
        }
    }
    assert!(server.stats.connections() <= 66);
    assert!(cuts(&server, CloseReason::Evicted) >= 136);
    assert_eq!(server.stats.rejected(), 0);
}

#[tokio::test]
async fn a_head_that_does_not_end_is_cut() {
    let server = limited(1, |limits| {
        limits.header_timeout = HumanDuration::millis(200).into()
    })
    .await;
    let mut silent = connect(server.address).await;
    let mut trickling = connect(server.address).await;
    let trickle = async {
        while trickling.write_all(b"G").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    soon("the cut of a client that trickles", trickle).await;
    assert!(read_all(&mut silent).await.is_empty());
    assert_eq!(cuts(&server, CloseReason::Header), 2);
}

#[tokio::test]
async fn a_kept_alive_connection_may_stay_idle_only_so_long() {
    let server = limited(1, |limits| {
        limits.idle_timeout = HumanDuration::secs(3).into();
        limits.header_timeout = HumanDuration::millis(500).into();
    })
    .await;
    let mut client = connect(server.address).await;
    for _ in 0..2 {
        client
            .write_all(b"GET /-/healthy HTTP/1.1\r\nhost: localhost\r\n\r\n")
            .await
            .unwrap();
        let mut bytes = [0; 1000];
        assert!(soon("an answer", client.read(&mut bytes)).await.unwrap() > 100);
        // Longer than a head may take: an idle connection owes none.
        tokio::time::sleep(Duration::from_millis(700)).await;
    }
    assert!(read_all(&mut client).await.is_empty());
    assert_eq!(
        (
            cuts(&server, CloseReason::Idle),
            cuts(&server, CloseReason::Header)
        ),
        (1, 0)
    );
}

#[tokio::test]
async fn who_does_not_read_is_cut() {
    let server = limited(200_000, |limits| {
        limits.write_timeout = HumanDuration::millis(300).into()
    })
    .await;
    let deaf = deaf(&server, 3).await;
    until("the cuts", || cuts(&server, CloseReason::Write) == 3).await;
    until("the close", || server.stats.connections() == 0).await;
    drop(deaf);
}

#[tokio::test]
async fn who_reads_too_slowly_is_cut() {
    let server = limited(200_000, |limits| {
        limits.request_timeout = HumanDuration::millis(500).into();
    })
    .await;
    let mut slow = deaf(&server, 1).await.remove(0);
    let sip = async {
        let mut bytes = [0; 1024];
        while matches!(slow.read(&mut bytes).await, Ok(read) if read > 0) {
            tokio::time::sleep(Duration::from_millis(5)).await;
            if cuts(&server, CloseReason::Request) > 0 {
                return;
            }
        }
    };
    soon("the cut", sip).await;
    assert_eq!(cuts(&server, CloseReason::Request), 1);
}

#[tokio::test]
async fn clients_that_do_not_read_leave_room_for_an_exposition() {
    let server = limited(200_000, |limits| limits.max_concurrent_requests = 2.into()).await;
    // One of the reserve too: a scrape of the same address has none left.
    let deaf = deaf(&server, 3).await;
    until("the responses", || {
        server
            .stats
            .requests()
            .values()
            .map(|r| r.count)
            .sum::<u64>()
            == 3
    })
    .await;
    scrape(server.address).await;
    assert_eq!(cuts(&server, CloseReason::Evicted), 1);
    drop(deaf);
}

#[tokio::test]
async fn requests_that_hang_leave_places_for_scrapes() {
    let mut backend = TestBackend::new(1);
    backend.reload_gate = Semaphore::new(0);
    let settings = settings(|settings| settings.limits.max_connections = 8.into());
    let server = run(settings, backend).await;
    let mut busy = Vec::new();
    for begun in 1..=6 {
        let mut client = connect(server.address).await;
        client
            .write_all(request("POST", "/-/reload", &[], "").as_bytes())
            .await
            .unwrap();
        busy.push(client);
        until("the reload", || {
            server.backend.reloads_begun.load(SeqCst) == begun
        })
        .await;
    }
    let keep_alive = "GET /-/ready HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let reply = send(server.address, keep_alive).await;
    assert_eq!((reply.status, reply.header("connection")), (503, "close"));
    assert!(
        reply.text().contains("too many requests"),
        "{}",
        reply.text()
    );
    scrape(server.address).await;
    server.backend.reload_gate.add_permits(6);
    for mut client in busy {
        assert!(read_all(&mut client).await.starts_with(b"HTTP/1.1 200 "));
    }
}

#[tokio::test]
async fn requests_that_change_state_are_few_at_once() {
    let mut backend = TestBackend::new(1);
    backend.reload_gate = Semaphore::new(0);
    let settings = settings(|settings| settings.limits.max_concurrent_requests = 2.into());
    let server = run(settings, backend).await;
    let mut busy = Vec::new();
    for _ in 0..5 {
        let mut client = connect(server.address).await;
        client
            .write_all(request("POST", "/-/reload", &[], "").as_bytes())
            .await
            .unwrap();
        busy.push(client);
    }
    until("two reloads", || {
        server.backend.reloads_begun.load(SeqCst) == 2
    })
    .await;
    until("all connections", || server.stats.connections() == 5).await;
    scrape(server.address).await;
    assert_eq!(server.backend.reloads_begun.load(SeqCst), 2);
    server.backend.reload_gate.add_permits(5);
    for mut client in busy {
        assert!(read_all(&mut client).await.starts_with(b"HTTP/1.1 200 "));
    }
}

#[tokio::test]
async fn who_closes_only_its_half_gets_its_answer() {
    let server = start().await;
    for request in [
        "GET /metrics HTTP/1.0\r\n\r\n",
        "GET /api/v1/alerts HTTP/1.0\r\n\r\n",
    ] {
        let mut client = connect(server.address).await;
        client.write_all(request.as_bytes()).await.unwrap();
        client.shutdown().await.unwrap();
        assert_eq!(
            Reply::parse(&read_all(&mut client).await).0.status,
            200,
            "{request}"
        );
    }
}

#[tokio::test]
async fn what_is_rejected_unread_says_that_the_connection_closes() {
    let server = start().await;
    let json = "content-type: application/json";
    for (method, path, extra, status) in [
        (
            "POST",
            "/-/reload",
            &["origin: https://evil.example"][..],
            403,
        ),
        ("POST", "/metrics", &[], 405),
        ("POST", "/api/v1/record", &["content-type: text/plain"], 415),
        ("POST", "/nowhere", &[json], 404),
    ] {
        let head = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\n");
        let extra: String = extra.iter().map(|line| format!("{line}\r\n")).collect();
        let reply = send(
            server.address,
            format!("{head}{extra}content-length: 3\r\n\r\n[1]"),
        )
        .await;
        assert_eq!(
            (reply.status, reply.header("connection")),
            (status, "close"),
            "{path}"
        );
    }
    // What was read leaves the connection as it is.
    let mut client = connect(server.address).await;
    let record = format!("POST /api/v1/record HTTP/1.1\r\nhost: localhost\r\n{json}\r\n");
    for _ in 0..2 {
        let request = format!("{record}content-length: 3\r\n\r\n[1]");
        client.write_all(request.as_bytes()).await.unwrap();
        let mut bytes = [0; 4096];
        let count = soon("an answer", client.read(&mut bytes)).await.unwrap();
        let reply = Reply::parse(&bytes[..count]).0;
        assert_eq!((reply.status, reply.header("connection")), (200, ""));
    }
}

#[tokio::test]
async fn a_hundred_megabytes_are_rejected_unread() {
    let server = start().await;
    let head = "POST /api/v1/record HTTP/1.1\r\nhost: localhost\r\n\
        content-type: application/json\r\n";
    let announced = format!("{head}content-length: 104857600\r\n\r\n");
    let mut client = connect(server.address).await;
    client.write_all(announced.as_bytes()).await.unwrap();
    // Not one byte of the body was sent.
    let reply = Reply::parse(&read_all(&mut client).await).0;
    assert_eq!(reply.status, 413);
    assert!(reply.text().contains("larger than 1048576 bytes"));

    for head in [
        announced,
        format!("{head}transfer-encoding: chunked\r\n\r\n"),
    ] {
        let chunked = head.contains("chunked");
        let client = connect(server.address).await;
        let (mut reader, mut writer) = client.into_split();
        let sender = tokio::spawn(async move {
            writer.write_all(head.as_bytes()).await.ok();
            let block = if chunked {
                [b"100000\r\n".as_slice(), &vec![b'['; 1 << 20], b"\r\n"].concat()
            } else {
                vec![b'['; 1 << 20]
            };
            let mut sent = 0;
            while sent < 100 && writer.write_all(&block).await.is_ok() {
                sent += 1;
            }
            sent
        });
        let mut bytes = Vec::new();
        soon("the rejection", reader.read_to_end(&mut bytes))
            .await
            .ok();
        assert_eq!(Reply::parse(&bytes).0.status, 413, "chunked: {chunked}");
        let sent = soon("the sender", sender).await.unwrap();
        assert!(sent < 50, "{sent} MiB were taken");
    }
    scrape(server.address).await;
}

#[tokio::test]
async fn who_sends_a_little_too_much_gets_the_rejection_and_no_reset() {
    let server = start().await;
    let mut client = connect(server.address).await;
    let head = "POST /api/v1/record HTTP/1.1\r\nhost: localhost\r\n\
        content-type: application/json\r\ncontent-length: 6000000\r\n\r\n";
    client.write_all(head.as_bytes()).await.unwrap();
    let sent = soon("the body", client.write_all(&vec![b'['; 6_000_000])).await;
    sent.expect("no reset while the client sends");
    let mut bytes = Vec::new();
    soon("the rejection", client.read_to_end(&mut bytes))
        .await
        .expect("an orderly close");
    assert_eq!(Reply::parse(&bytes).0.status, 413);
}

#[tokio::test]
async fn a_body_that_does_not_come_is_given_up() {
    let server = limited(1, |limits| {
        limits.body_timeout = HumanDuration::millis(100).into()
    })
    .await;
    let request = "POST /api/v1/record HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
        content-type: application/json\r\ncontent-length: 10\r\n\r\n[1";
    let reply = send(server.address, request).await;
    assert_eq!(
        (reply.status, &reply.json()["errorType"]),
        (408, &"timeout".into())
    );
}

#[tokio::test]
async fn heads_that_are_too_big_are_rejected() {
    let server = start().await;
    let one_long = format!("x: {}\r\n", "y".repeat(100_000));
    let many: String = (0..2_000)
        .map(|index| format!("x-{index}: y\r\n"))
        .collect();
    let endless = "a".repeat(1 << 20);
    for (line, headers) in [
        ("GET /metrics HTTP/1.1", one_long.as_str()),
        ("GET /metrics HTTP/1.1", &many),
        (&format!("GET /{} HTTP/1.1", "u".repeat(100_000)), ""),
        (&endless, ""),
    ] {
        let mut client = connect(server.address).await;
        let request = format!("{line}\r\nhost: localhost\r\n{headers}\r\n");
        client.write_all(request.as_bytes()).await.ok();
        let bytes = read_all(&mut client).await;
        let status = String::from_utf8_lossy(&bytes[..bytes.len().min(12)]).into_owned();
        let expected = ["HTTP/1.1 431", "HTTP/1.1 414", "HTTP/1.1 400"];
        assert!(
            expected.contains(&status.as_str()),
            "{status:?} for {}",
            &line[..20]
        );
    }
    scrape(server.address).await;
}

#[tokio::test]
async fn noise_is_survived() {
    let server = limited(1, |limits| {
        limits.header_timeout = HumanDuration::millis(300).into()
    })
    .await;
    let mut state = 7_u64;
    let mut noise = move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 56) as u8
    };
    for round in 0..200 {
        let mut bytes: Vec<u8> = (0..round * 10).map(|_| noise()).collect();
        if round % 2 == 0 {
            bytes.splice(0..0, *b"GET /metrics HTTP/1.1\r\nhost: x\r\n");
        }
        let mut client = connect(server.address).await;
        client.write_all(&bytes).await.ok();
    }
    scrape(server.address).await;
    until("the noise to be gone", || server.stats.connections() == 0).await;
}

#[tokio::test]
async fn scrapes_beside_each_other_are_all_whole() {
    let server = limited(20_000, |limits| limits.max_concurrent_requests = 4.into()).await;
    let address = server.address;
    let length = scrape(address).await.text().lines().count();
    let scrapes =
        (0..32).map(|_| tokio::spawn(get(address, "/metrics", &["accept-encoding: identity"])));
    for reply in scrapes.collect::<Vec<_>>() {
        let reply = soon("a scrape", reply).await.unwrap();
        assert_eq!((reply.status, reply.text().lines().count()), (200, length));
    }
}
