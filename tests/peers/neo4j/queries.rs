//! Declared Cypher: values, labels, and queries that fail alone.

use std::time::Duration;

use super::harness::{Agent, ask, block_on, series, shared};
use crate::support::poll;

#[tokio::test(flavor = "multi_thread")]
async fn single_values_and_series_per_row() {
    let server = shared();
    let mut agent = Agent::of(
        &server,
        r#"queries:
  - {name: people, type: gauge, query: "MATCH (n:Person) RETURN count(n)"}
  - {name: age, query: "MATCH (n:Admin) RETURN n.age AS value, n.name AS ignored"}
  - {name: grown_up, query: "MATCH (n:Admin) RETURN n.age > 18"}
  - {name: names, labels: [name, city], query: "MATCH (n:Person) OPTIONAL MATCH (n)-[:LIVES_IN]->(c)
      WHERE n.name = 'ada' RETURN n.name AS name, c.name AS city, size(n.name) / 2.0 AS half"}
  - {name: where_asked, labels: [db], query: "RETURN $database AS db, 9007199254740993 AS value"}
  - {name: nobody, query: "MATCH (n:Nobody) RETURN n.age"}
  - {name: off, query: "RETURN 1", enabled: false}
"#,
    );
    let expect = series(&[
        ("age", 36.0),
        ("grown_up", 1.0),
        ("names{name=\"ada\",city=\"Köln\"}", 1.5),
        ("names{name=\"bob\",city=\"\"}", 1.5),
        ("people", 2.0),
        ("where_asked{db=\"neo4j\"}", 9_007_199_254_740_992.0),
    ]);
    assert_eq!(agent.collect().await.good(), expect);
    assert_eq!(agent.collect().await.good(), expect);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_query_fails_alone_and_is_named() {
    let server = shared();
    let mut agent = Agent::of(
        &server,
        r#"queries:
  - {name: good, query: "RETURN 1"}
  - {name: neo4j_query_duration_p95, type: gauge, query: "CALL dbms.queryJmx(...)", enabled: true}
  - {name: listed, query: "RETURN [1, 2]"}
  - {name: dated, query: "RETURN datetime()"}
  - {name: spanned, query: "RETURN duration('P1D')"}
  - {name: no_label, labels: [l], query: "RETURN 1"}
  - {name: no_procedure, query: "CALL no.such.thing()"}
  - {name: also_good, query: "RETURN 2"}
"#,
    );
    let collected = agent.collect().await;
    let (reason, detail) = collected.failed();
    assert_eq!(reason, "query");
    for expect in [
        "neo4j_query_duration_p95: Neo.ClientError.Statement.SyntaxError: Invalid input",
        "listed: value \"[1, 2]\" is a list, expected a number",
        "dated: value \"datetime()\" is a date and time",
        "spanned: value \"duration('P1D')\" is a duration",
        "no_label: no column \"l\"",
        "no_procedure: Neo.ClientError.Procedure.ProcedureNotFound",
    ] {
        assert!(detail.contains(expect), "{expect} in {detail}");
    }
    assert_eq!(
        collected.others(),
        series(&[("also_good", 2.0), ("good", 1.0)])
    );
    let has_succeeded = |query| agent.last_run(query).unwrap().has_succeeded;
    assert_eq!(["good", "no_label"].map(has_succeeded), [true, false]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_costs_itself() {
    let server = shared();
    let mut agent = Agent::of(
        &server,
        r#"queries:
  - {name: some, labels: [l], query: "UNWIND [['a', 1], ['b', null], ['c', 3], ['d', 'x'], ['a', 5], [null, 6],
      [['e'], 7], ['f', 0.0 / 0.0]] AS x RETURN x[0] AS l, x[1] AS value"}
  - {name: nothing, query: "MATCH (n:Nobody) RETURN max(n.x)"}
  - {name: unlabelled, query: "UNWIND [1, 2] AS x RETURN x"}
  - {name: falling, type: counter, labels: [l], query: "UNWIND [-1, 1] AS x RETURN toString(x) AS l, x AS value"}
"#,
    );
    let expect = series(&[
        ("falling{l=\"1\"}", 1.0),
        ("some{l=\"\"}", 6.0),
        ("some{l=\"a\"}", 1.0),
        ("some{l=\"c\"}", 3.0),
        ("unlabelled", 1.0),
    ]);
    assert_eq!(agent.collect().await.good(), expect);
    let left_out = [
        ("not_a_label", 1),
        ("repeated_labels", 2),
        ("not_a_number", 1),
        ("not_finite", 1),
        ("negative_counter", 1),
    ];
    assert_eq!(agent.skipped(), left_out);
    let run = agent.last_run("some").unwrap();
    assert_eq!((run.rows, run.has_succeeded), (Some(8), true));
    assert!(run.duration.is_some());
    assert_eq!(agent.notes(), ["no rows since the start: nothing"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bean_that_is_not_there_is_reported() {
    let server = shared();
    let mut agent = Agent::of(
        &server,
        r#"queries:
  - {name: bean, query: "CALL dbms.queryJmx('org.neo4j:name=Nothing') YIELD attributes
      RETURN attributes.X.value AS value"}
  - {name: good, query: "RETURN 1"}
"#,
    );
    assert_eq!(agent.collect().await.good(), series(&[("good", 1.0)]));
    assert_eq!(agent.notes(), ["no rows since the start: bean"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_system_database_is_left_out_of_what_it_cannot_report() {
    let server = shared();
    let mut agent = Agent::of(
        &server,
        "databases: [neo4j, system]\nqueries:\n  - {name: neo4j_node_count, enabled: auto}\n  \
         - {name: own, query: MATCH (n) RETURN count(n), enabled: auto}\n",
    );
    let collected = agent.collect().await;
    assert_eq!(collected.failure, None);
    for (name, value) in [
        ("neo4j_up{database=\"neo4j\"}", Some(1.0)),
        ("neo4j_up{database=\"system\"}", Some(1.0)),
        ("neo4j_node_count{database=\"neo4j\"}", Some(4.0)),
        ("own{database=\"neo4j\"}", Some(4.0)),
        ("neo4j_node_count{database=\"system\"}", None),
        ("own{database=\"system\"}", None),
    ] {
        assert_eq!(collected.get(name), value, "{name}");
    }
    let mut asked = Agent::of(
        &server,
        "databases: [neo4j, system]\nqueries: [{name: own, query: MATCH (n) RETURN count(n)}]\n",
    );
    let collected = asked.collect().await;
    let (reason, detail) = collected.failed();
    assert_eq!(reason, "query");
    assert!(detail.contains("own on system"), "{detail}");
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_are_rejected_by_the_server() {
    let server = shared();
    let before = ask(&server, "MATCH (n) RETURN count(n) AS n").await;
    let mut agent = Agent::of(
        &server,
        r#"queries:
  - {name: makes, query: "CREATE (n:Made) RETURN 1"}
  - {name: removes, query: "MATCH (n) DETACH DELETE n RETURN count(*)"}
  - {name: good, query: "RETURN 1"}
"#,
    );
    let collected = agent.collect().await;
    let (reason, detail) = collected.failed();
    assert_eq!(reason, "query");
    for name in ["makes", "removes"] {
        let expect = format!("{name}: Neo.ClientError.Statement.AccessMode: Writing in read");
        assert!(detail.contains(&expect), "{detail}");
    }
    assert_eq!(collected.others(), series(&[("good", 1.0)]));
    assert_eq!(ask(&server, "MATCH (n) RETURN count(n) AS n").await, before);
}

/// Takes far longer than any timeout here.
const SLOW: &str = "UNWIND range(1, 10000000000) AS x WITH x WHERE x % 7 = 8 RETURN count(*)";

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_query_times_out_alone_and_ends_on_the_server() {
    let server = shared();
    let mut agent = Agent::of(
        &server,
        &format!(
            "queries:\n  - {{name: slow, query: \"{SLOW}\", timeout: 1s}}\n  \
             - {{name: good, query: RETURN 1}}\n  - {{name: neo4j_connection_pool_total}}\n"
        ),
    );
    let collected = agent.collect().await;
    assert_eq!(collected.failed(), ("query", "slow: not done within 1s"));
    assert_eq!(collected.get("good"), Some(1.0));
    let open = collected.get("neo4j_connection_pool_total");
    assert_eq!(
        open,
        Some(1.0),
        "the connection of the slow query is closed"
    );
    let running = "SHOW TRANSACTIONS YIELD currentQuery WHERE currentQuery CONTAINS '% 7 = 8' AND \
                   NOT currentQuery CONTAINS 'SHOW' RETURN count(*) AS n";
    poll("the slow transaction ends", Duration::from_secs(60), || {
        (block_on(ask(&server, running)) == 0).then_some(())
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_outlasts_a_collection_comes_later_and_delays_nobody() {
    let server = shared();
    // At an interval of 4 s a collection ends after 3.2 s; the slow one counts for longer.
    let mut agent = Agent::of(
        &server,
        r#"queries:
  - {name: late, interval: 1h, timeout: 300s,
     query: "UNWIND range(1, 150000000) AS x WITH x WHERE x % 7 = 8 RETURN count(*)"}
  - {name: good, query: "RETURN 1", interval: 4s}
"#,
    );
    let first = agent.collect().await;
    assert_eq!(
        (first.get("late"), first.get("good")),
        (None, Some(1.0)),
        "{first:?}"
    );
    assert_eq!(first.failure, None);
    for _ in 0..90 {
        let next = agent.collect().await;
        assert_eq!((next.get("good"), &next.failure), (Some(1.0), &None));
        if next.get("late") == Some(0.0) {
            return;
        }
    }
    panic!("the late value never came");
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_above_the_limit_are_dropped_counted_and_reported() {
    let server = shared();
    let mut agent = Agent::of(
        &server,
        r#"row_limit: 20000
queries:
  - {name: many, labels: [x], query: "UNWIND range(1, 100000) AS x RETURN x, 1"}
  - {name: endless, labels: [x], query: "UNWIND range(1, 100000000) AS x RETURN x, 1"}
  - {name: good, query: "RETURN 1"}
"#,
    );
    let collected = agent.collect().await;
    let (reason, detail) = collected.failed();
    assert_eq!(reason, "query");
    assert!(
        detail.contains("many: 80000 rows over row_limit 20000 dropped"),
        "{detail}"
    );
    assert!(
        detail.contains("endless: at least 180000 rows over row_limit 20000"),
        "{detail}"
    );
    let count = |prefix: &str| {
        collected
            .values
            .keys()
            .filter(|k| k.starts_with(prefix))
            .count()
    };
    assert_eq!(
        (count("many{"), count("endless{"), count("good")),
        (20_000, 20_000, 1)
    );
    assert_eq!(
        collected.get("many{x=\"20000\"}"),
        Some(1.0),
        "the first rows are kept"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn own_intervals_are_kept() {
    let server = shared();
    let mut agent = Agent::of(
        &server,
        "queries:\n  - {name: often, query: RETURN 1}\n  - {name: seldom, query: RETURN 2, interval: 90s}\n",
    );
    let mut seen = Vec::new();
    for _ in 0..7 {
        let collected = agent.collect().await;
        assert_eq!(collected.get("often"), Some(1.0));
        seen.push(collected.get("seldom").is_some());
    }
    assert_eq!(seen, [true, false, false, true, false, false, true]);
}
