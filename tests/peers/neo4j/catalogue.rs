//! The built-ins against counts that the test knows.

use std::time::Duration;

use super::harness::{Agent, ask, block_on, client, series, shared};
use crate::support::poll;

const COUNTS: &str = "queries: [{name: neo4j_node_count}, {name: neo4j_relationship_count}, \
    {name: neo4j_label_count, type: gauge, labels: [label]}, \
    {name: neo4j_relationship_type_count}]";

#[tokio::test(flavor = "multi_thread")]
async fn counts_are_those_of_the_graph() {
    let server = shared();
    let expect = series(&[
        ("neo4j_label_count{label=\"Admin\"}", 1.0),
        ("neo4j_label_count{label=\"City\"}", 1.0),
        ("neo4j_label_count{label=\"Person\"}", 2.0),
        ("neo4j_node_count", 4.0),
        ("neo4j_relationship_count", 3.0),
        ("neo4j_relationship_type_count{type=\"KNOWS\"}", 1.0),
        ("neo4j_relationship_type_count{type=\"LIVES_IN\"}", 2.0),
    ]);
    assert_eq!(Agent::of(&server, COUNTS).collect().await.good(), expect);
    // No scan: the same figures from statements that do scan.
    assert_eq!(ask(&server, "MATCH (n) RETURN count(n) AS n").await, 4);
    assert_eq!(
        ask(&server, "MATCH ()-[r]->() RETURN count(r) AS n").await,
        3
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn active_transactions_are_those_of_others() {
    let server = shared();
    let active = "queries: [{name: neo4j_transactions_active}]";
    let mut agent = Agent::of(&server, active);
    let mut durations = Agent::of(
        &server,
        "queries: [{name: neo4j_transactions_longest}, {name: neo4j_transactions_elapsed_p95}]",
    );
    let idle = agent.collect().await;
    assert_eq!(idle.good(), series(&[("neo4j_transactions_active", 0.0)]));
    let none = series(&[("neo4j_transactions_longest", 0.0)]);
    assert_eq!(durations.collect().await.good(), none);
    let others = client(&server);
    let mut open = Vec::new();
    for _ in 0..3 {
        let mut transaction = others.start_txn().await.unwrap();
        transaction.run("MATCH (n) RETURN n").await.unwrap();
        open.push(transaction);
    }
    let busy = agent.collect().await;
    assert_eq!(busy.good(), series(&[("neo4j_transactions_active", 3.0)]));
    let elapsed = durations.collect().await;
    let p95 = elapsed.get("neo4j_transactions_elapsed_p95").unwrap();
    let longest = elapsed.get("neo4j_transactions_longest").unwrap();
    assert!(0.0 < p95 && p95 <= longest, "{elapsed:?}");
    for transaction in open {
        transaction.rollback().await.unwrap();
    }
    assert_eq!(
        agent.collect().await.good(),
        series(&[("neo4j_transactions_active", 0.0)])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn apoc_reports_sizes_and_totals() {
    let server = shared();
    let mut agent = Agent::of(
        &server,
        "queries: [{name: neo4j_database_size_bytes, enabled: auto}, \
         {name: neo4j_transactions_committed, type: counter, enabled: auto}, \
         {name: neo4j_transactions_rolled_back, enabled: auto}]",
    );
    let before = agent.collect().await;
    assert_eq!(before.failure, None);
    let others = client(&server);
    for _ in 0..5 {
        others.start_txn().await.unwrap().commit().await.unwrap();
    }
    for _ in 0..7 {
        others.start_txn().await.unwrap().rollback().await.unwrap();
    }
    let after = agent.collect().await;
    let grown = |name: &str| after.get(name).unwrap() - before.get(name).unwrap();
    assert!(grown("neo4j_transactions_committed") >= 5.0, "{after:?}");
    assert!(grown("neo4j_transactions_rolled_back") >= 7.0, "{after:?}");
    assert!(
        after.get("neo4j_database_size_bytes") > Some(100_000.0),
        "{after:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn durations_and_pool_are_our_own() {
    let server = shared();
    let mut agent = Agent::of(
        &server,
        "pool: {max_size: 2}\nqueries: [{name: a, query: RETURN 1}, {name: b, query: RETURN 1}, \
         {name: c, query: RETURN 1}, {name: neo4j_connection_pool_total}, \
         {name: neo4j_connection_pool_idle}, {name: neo4j_query_duration_p50}, \
         {name: neo4j_query_duration_p95}, {name: neo4j_query_duration_p99}]",
    );
    let first = agent.collect().await;
    assert_eq!(
        (first.get("neo4j_query_duration_p50"), &first.failure),
        (None, &None),
        "planning"
    );
    let collected = agent.collect().await;
    assert_eq!(collected.failure, None);
    let get = |name: &str| collected.get(name).unwrap();
    assert_eq!((get("a"), get("b"), get("c")), (1.0, 1.0, 1.0));
    assert_eq!(
        (
            get("neo4j_connection_pool_total"),
            get("neo4j_connection_pool_idle")
        ),
        (2.0, 2.0)
    );
    let connections = "CALL dbms.listConnections() YIELD connectionId RETURN count(*) AS n";
    poll(
        "only the pool and the asking client are connected",
        Duration::from_secs(60),
        || (block_on(ask(&server, connections)) == 3).then_some(()),
    );
    let [p50, p95, p99] = ["p50", "p95", "p99"].map(|p| get(&format!("neo4j_query_duration_{p}")));
    assert!(0.0 < p50 && p50 <= p95 && p95 <= p99, "{p50} {p95} {p99}");
}

#[tokio::test(flavor = "multi_thread")]
async fn several_databases_are_distinguished() {
    let server = shared();
    let mut agent = Agent::of(
        &server,
        "databases: [neo4j, nowhere, system]\nqueries:\n  - {name: neo4j_node_count}\n  \
         - {name: here, query: \"RETURN $database AS db, 7 AS value\", labels: [db], database: neo4j}\n",
    );
    let collected = agent.collect().await;
    let (reason, detail) = collected.failed();
    assert_eq!(reason, "query");
    let expect = "database nowhere: Neo.ClientError.Database.DatabaseNotFound";
    assert!(detail.starts_with(expect), "{detail}");
    assert!(
        detail.contains("; neo4j_node_count on system: "),
        "{detail}"
    );
    let expect = series(&[
        ("here{db=\"neo4j\",database=\"neo4j\"}", 7.0),
        ("neo4j_node_count{database=\"neo4j\"}", 4.0),
        ("neo4j_up{database=\"neo4j\"}", 1.0),
        ("neo4j_up{database=\"nowhere\"}", 0.0),
        ("neo4j_up{database=\"system\"}", 1.0),
    ]);
    assert_eq!(collected.values.into_iter().collect::<Vec<_>>(), expect);
}
