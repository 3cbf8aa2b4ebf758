//! Start and stop: the port that is taken, the requests that are under way.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use bellwether_server::{Access, Server, Stats};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use super::support::{
    PATIENCE, TestBackend, connect, read_all, request, run_with_drain, scrape, settings, soon,
    start,
};

#[tokio::test]
async fn what_keeps_a_server_from_listening_is_reported_in_a_line() {
    let server = start().await;
    let port = server.address.port();
    for (host, port, message) in [
        (
            "127.0.0.1",
            port,
            format!("cannot listen on 127.0.0.1:{port}: address already in use"),
        ),
        (
            "192.0.2.1",
            0,
            "cannot listen on 192.0.2.1:0: not an address of this host".into(),
        ),
    ] {
        let settings = settings(|settings| {
            settings.host = host.to_owned().into();
            settings.port = port;
        });
        let access = Access::load(&settings).unwrap();
        let backend = Arc::new(TestBackend::new(1));
        let error = Server::bind(&settings, access, backend, Arc::new(Stats::default()))
            .await
            .err()
            .unwrap()
            .to_string();
        let (first, hint) = error.split_once('\n').unwrap();
        assert_eq!(first, message);
        assert!(hint.starts_with("  hint: "), "{hint}");
    }
}

#[tokio::test]
async fn requests_under_way_end_and_idle_connections_close() {
    let mut backend = TestBackend::new(1);
    backend.reload_gate = Semaphore::new(0);
    // Longer than this test waits for anything: nothing here ends by being cut.
    let mut server = run_with_drain(settings(|_| {}), backend, PATIENCE * 2).await;
    let mut silent = connect(server.address).await;
    let mut beginning = connect(server.address).await;
    beginning
        .write_all(b"GET /metrics HTTP/1.1\r\n")
        .await
        .unwrap();
    let mut idle = connect(server.address).await;
    idle.write_all(b"GET /-/healthy HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .await
        .unwrap();
    assert!(soon("an answer", idle.read(&mut [0; 1000])).await.unwrap() > 0);
    let mut busy = connect(server.address).await;
    busy.write_all(b"POST /-/reload HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .await
        .unwrap();
    scrape(server.address).await;
    server.stop.cancel();
    for client in [&mut silent, &mut beginning, &mut idle] {
        assert!(read_all(client).await.is_empty());
    }
    soon("the socket to close", async {
        while TcpStream::connect((Ipv4Addr::LOCALHOST, server.address.port()))
            .await
            .is_ok()
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    assert!(!server.task.is_finished());
    server.backend.reload_gate.add_permits(1);
    assert!(read_all(&mut busy).await.starts_with(b"HTTP/1.1 200 OK"));
    soon("the stop", &mut server.task).await.unwrap();
}

#[tokio::test]
async fn what_does_not_end_in_time_is_cut() {
    let mut backend = TestBackend::new(1);
    backend.reload_gate = Semaphore::new(0);
    let mut server = run_with_drain(settings(|_| {}), backend, Duration::from_millis(50)).await;
    let mut stuck = connect(server.address).await;
    stuck
        .write_all(request("POST", "/-/reload", &[], "").as_bytes())
        .await
        .unwrap();
    scrape(server.address).await;
    server.stop.cancel();
    soon("the stop", &mut server.task).await.unwrap();
    assert!(read_all(&mut stuck).await.is_empty());
}
