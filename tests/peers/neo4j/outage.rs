//! Down, mute, restarted, and the wrong password.

use std::fs;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

use super::harness::{Agent, PATIENT, client, series, shared};
use crate::support::free_port;
use crate::support::servers::{PASSWORD, Server};

const QUERIES: &str = "queries: [{name: answer, query: RETURN 42, interval: 10m}, \
    {name: neo4j_node_count}, {name: neo4j_transactions_committed, enabled: auto}, \
    {name: neo4j_connection_pool_total}]";

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_is_seen_at_once_and_its_values_come_back() {
    let server = Server::neo4j();
    let mut agent = Agent::of(&server, QUERIES);
    let expect = series(&[
        ("answer", 42.0),
        ("neo4j_connection_pool_total", 3.0),
        ("neo4j_node_count", 0.0),
    ]);
    // Metrics that this server does not have are left out, without a failure.
    assert_eq!(agent.collect().await.good(), expect);

    server.kill();
    for _ in 0..3 {
        let down = agent.collect().await;
        assert_eq!(down.failed().0, "connect");
        let left = series(&[("neo4j_connection_pool_total", 0.0), ("neo4j_up", 0.0)]);
        assert_eq!(down.values.into_iter().collect::<Vec<_>>(), left);
    }

    server.start();
    client(&server).run("CREATE (:New)").await.unwrap();
    // At the first collection, also what is asked every ten minutes only.
    let back = agent.collect().await;
    assert_eq!(
        (back.get("answer"), back.get("neo4j_node_count")),
        (Some(42.0), Some(1.0))
    );
    assert_eq!((back.get("neo4j_up"), &back.failure), (Some(1.0), &None));

    // A restart between two collections costs nothing.
    server.stop();
    server.start();
    let again = agent.collect().await;
    assert_eq!(
        (again.get("neo4j_node_count"), &again.failure),
        (Some(1.0), &None)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_listening_is_reported_with_the_address() {
    let port = free_port();
    let mut agent = Agent::new(&format!(
        "uri: bolt://127.0.0.1:{port}\npassword: hush\n{QUERIES}"
    ));
    let collected = agent.collect().await;
    let (reason, detail) = collected.failed();
    assert_eq!(reason, "connect");
    assert!(
        detail.starts_with(&format!("bolt://127.0.0.1:{port}: ")),
        "{detail}"
    );
    assert!(
        detail.contains("refused") && !detail.contains("hush"),
        "{detail}"
    );
    assert_eq!(collected.get("neo4j_up"), Some(0.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mute_server_costs_a_timeout_and_no_more() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let accepted = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        // Reads and never answers; ends when the client gives up.
        let mut received = Vec::new();
        stream.read_to_end(&mut received).await.unwrap();
        received.len()
    });
    let section = format!("uri: bolt://{address}\nconnect_timeout: 200ms\n{QUERIES}");
    let collected = Agent::new(&section).collect().await;
    assert_eq!(collected.failed().0, "timeout");
    assert_eq!(collected.get("neo4j_up"), Some(0.0));
    assert_eq!(
        accepted.await.unwrap(),
        20,
        "the greeting was sent and the connection closed"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_falls_mute_while_connected_is_seen() {
    let server = shared();
    let proxy = super::tls::Proxy::plain(&server).await;
    let section = format!(
        "uri: bolt://{}\npassword: {PASSWORD}\nconnect_timeout: 3s\n{QUERIES}",
        proxy.address()
    );
    let mut agent = Agent::new(&section);
    assert_eq!(agent.collect().await.get("neo4j_up"), Some(1.0));
    proxy.mute(true);
    let mute = agent.collect().await;
    assert_eq!(
        (mute.get("neo4j_up"), mute.failed().0),
        (Some(0.0), "timeout")
    );
    proxy.mute(false);
    let back = agent.collect().await;
    assert_eq!(
        (back.get("neo4j_up"), back.get("answer")),
        (Some(1.0), Some(42.0))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_not_tried_until_the_account_is_locked() {
    let server = shared();
    let section = format!(
        "uri: bolt://{}\npassword: wrong-password\n{PATIENT}\n{QUERIES}",
        server.address()
    );
    let mut agent = Agent::new(&section);
    let first = agent.collect().await;
    let (reason, detail) = first.failed();
    assert_eq!((reason, first.get("neo4j_up")), ("auth", Some(0.0)));
    assert!(
        detail.contains("unauthorized") && detail.ends_with("next attempt after 1m"),
        "{detail}"
    );
    assert!(!detail.contains("wrong-password"), "{detail}");
    // Three rejected attempts would lock the account. These make none, and report the same.
    for _ in 0..9 {
        let next = agent.collect_after(Duration::from_secs(5)).await;
        assert_eq!(next.failed(), ("auth", detail));
    }
    let right = Agent::of(&server, QUERIES).collect().await;
    assert_eq!((right.get("answer"), &right.failure), (Some(42.0), &None));
    // Once the wait is over there is one more attempt, and a longer wait.
    let second = agent.collect_after(Duration::from_secs(20)).await;
    assert!(
        second.failed().1.ends_with("next attempt after 2m"),
        "{second:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_file_is_read_again() {
    let server = shared();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    let section = format!(
        "uri: bolt://{}\npassword_file: {}\n{PATIENT}\n{QUERIES}",
        server.address(),
        file.display()
    );
    let mut agent = Agent::new(&section);
    let missing = agent.collect().await;
    assert_eq!(
        (missing.failed().0, missing.get("neo4j_up")),
        ("io", Some(0.0))
    );
    assert!(
        missing.failed().1.contains(&*file.to_string_lossy()),
        "{missing:?}"
    );
    fs::write(&file, "not-this-one\n").unwrap();
    assert_eq!(agent.collect().await.failed().0, "auth");
    assert_eq!(
        agent.collect_after(Duration::from_secs(1)).await.failed().0,
        "auth"
    );
    fs::write(&file, format!("{PASSWORD}\n")).unwrap();
    let right = agent.collect_after(Duration::from_secs(1)).await;
    assert_eq!((right.get("answer"), &right.failure), (Some(42.0), &None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_changed_while_connected_does_not_lock_the_account() {
    let server = Server::neo4j();
    let proxy = super::tls::Proxy::plain(&server).await;
    let at = |address: String, password: &str, queries: usize| {
        let queries: Vec<String> = (0..queries)
            .map(|n| format!("{{name: q{n}, query: RETURN {n}}}"))
            .collect();
        let queries = queries.join(", ");
        Agent::new(&format!(
            "uri: bolt://{address}\npassword: {password}\n{PATIENT}\nqueries: [{queries}]"
        ))
    };
    let mut agent = at(proxy.address().to_string(), PASSWORD, 9);
    // The probe opens a connection; while a query holds it, the others get none.
    proxy.close_new_after(1);
    let first = agent.collect().await;
    assert_eq!(
        (first.get("neo4j_up"), first.failed().0),
        (Some(1.0), "query")
    );
    let changed =
        format!("ALTER CURRENT USER SET PASSWORD FROM '{PASSWORD}' TO 'another-password'");
    let changed = neo4rs::query(&changed).extra("db", "system");
    client(&server)
        .execute(changed)
        .await
        .unwrap()
        .next()
        .await
        .unwrap();
    proxy.close_new_after(usize::MAX);
    // The probe passes on the connection it has. The queries need eight more, with a password that
    // is no longer right.
    let rejected = agent.collect().await;
    assert_eq!(
        (rejected.get("neo4j_up"), rejected.failed().0),
        (Some(1.0), "auth"),
        "{rejected:?}"
    );
    let next = agent.collect().await;
    assert_eq!(
        (next.get("neo4j_up"), next.failed()),
        (Some(0.0), rejected.failed())
    );
    let right = at(server.address(), "another-password", 9).collect().await;
    assert_eq!(
        (right.get("q8"), &right.failure),
        (Some(8.0), &None),
        "not locked"
    );
}
