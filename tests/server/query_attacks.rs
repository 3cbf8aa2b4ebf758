//! Queries made to take the agent's memory or time: each ends within its limits, and gives its place
//! back.

use std::sync::Arc;

use bellwether_core::{LabelSet, UnixMillis};
use bellwether_schema::Size;
use bellwether_tsdb::history::History;
use serde_json::json;

use crate::support::{Reply, Running, TestBackend, request, run, send, settings, until};

const START: i64 = 1_700_000_000_000;

/// 1,000 series of `g`, and one info series for each.
fn history() -> History {
    let history = History::in_memory(10_000);
    let name = |index: i64| format!("host-{index}");
    let mut samples = Vec::new();
    for index in 0..1_000 {
        for (metric, value) in [("g", index as f64 / 8.0), ("target_info", 1.0)] {
            let host = name(index);
            let labels = [
                ("__name__", metric),
                ("instance", &host),
                ("job", "a"),
                ("version", "1.2.3.4.5"),
            ];
            let labels = labels
                .into_iter()
                .filter(|(name, _)| metric != "g" || *name != "version");
            samples.push((history.series_id(&LabelSet::new(labels)).unwrap(), value));
        }
    }
    history.append(UnixMillis(START), &samples);
    history
}

async fn server(memory: u64) -> Running {
    let mut backend = TestBackend::new(3);
    backend.history = Some(Arc::new(history()));
    let settings = settings(|settings| settings.query.max_memory.value = Size(memory));
    run(settings, backend).await
}

async fn post(server: &Running, path: &str, parameters: &[(&str, &str)]) -> Reply {
    let mut form = form_urlencoded::Serializer::new(String::new());
    let form = form
        .extend_pairs(parameters)
        .append_pair("time", "1700000000")
        .finish();
    let kind = "content-type: application/x-www-form-urlencoded";
    send(server.address, request("POST", path, &[kind], &form)).await
}

async fn query(server: &Running, query: &str) -> Reply {
    post(server, "/api/v1/query", &[("query", query)]).await
}

/// Asserts that `reply` is one of a query that asked for too much, which says so in `words`.
fn rejected(reply: &Reply, words: &str) {
    let body = reply.text();
    assert_eq!(
        (reply.status, &reply.json()["errorType"]),
        (422, &json!("execution")),
        "{body}"
    );
    assert!(body.contains(words), "{words}: {body}");
}

/// `seed`, wrapped 34 times.
fn wrapped(before: &str, seed: &str, after: &str) -> String {
    format!("{}{seed}{}", before.repeat(34), after.repeat(34))
}

const SEED: &str = r#"label_replace(vector(1),"x","aaaaaaaaaaaaaaaa","","")"#;

#[tokio::test]
async fn a_label_that_doubles_again_and_again_is_rejected() {
    let server = server(128 << 20).await;
    let joined = wrapped("label_join(", SEED, r#","x","","x","x")"#);
    rejected(&query(&server, &joined).await, "labels of one series");
    let replaced = wrapped("label_replace(", SEED, r#","x","$1$1","x","(.*)")"#);
    rejected(&query(&server, &replaced).await, "labels of one series");
    let grows = "$1".repeat(100_000);
    let at_once = format!(r#"label_replace(g,"x","{grows}","instance","(.*)")"#);
    rejected(&query(&server, &at_once).await, "labels of one series");
}

#[tokio::test]
async fn long_labels_of_many_series_are_rejected() {
    let server = server(16 << 20).await;
    let text = "y".repeat(60_000);
    let each = format!(r#"count(label_replace(g,"x","{text}","",""))"#);
    rejected(&query(&server, &each).await, "prometheus.query.max_memory");
}

#[tokio::test]
async fn whatever_makes_labels_or_series_is_charged() {
    let server = server(150_000).await;
    let long = "z".repeat(400);
    for made in [
        format!(r#"count_values("{long}", g)"#),
        r#"g * on (instance) group_left (version) target_info"#.into(),
        "info(g)".into(),
        "sum by (instance, job) (g)".into(),
        "g and g".into(),
        "g or -g".into(),
        format!(r#"label_join(g, "x", "{long}", "instance", "job")"#),
        r#"histogram_quantiles(label_replace(g, "le", "1", "", ""), "q", 0.1, 0.2, 0.3)"#.into(),
    ] {
        rejected(&query(&server, &made).await, "too many bytes");
    }
    assert_eq!(query(&server, "count(g)").await.status, 200);
}

#[tokio::test]
async fn what_a_query_used_up_is_given_back() {
    let server = server(1_000_000).await;
    // Some 200 kB at once, never mind how often.
    let many = vec!["count(sum by (instance, job) (g))"; 100].join(" + ");
    assert_eq!(query(&server, &many).await.status, 200);
}

/// A long computation between two reads of history ends with its query too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_that_timed_out_ends_and_gives_its_place_back() {
    let server = server(128 << 20).await;
    let queries = Arc::clone(server.stats.queries());
    let names = r#","job""#.repeat(10_000);
    for slow in [
        format!("sort_by_label(g{names})"),
        format!("count(g * on ({}) g)", vec!["a"; 30_000].join(",")),
        format!(r#"label_join(g,"x",""{names})"#),
    ] {
        let asked = [("query", slow.as_str()), ("timeout", "20ms")];
        let reply = post(&server, "/api/v1/query", &asked).await;
        assert_eq!(
            (reply.status, &reply.json()["errorType"]),
            (503, &json!("timeout")),
            "{slow:.30}"
        );
        until("the work ends", || queries.running() == 0).await;
    }
    assert_eq!(query(&server, "1").await.status, 200);
}

#[tokio::test]
async fn warnings_made_of_labels_are_bounded() {
    let server = server(128 << 20).await;
    let text = "é".repeat(2_000);
    let malformed = format!(
        r#"histogram_quantile(0.5, label_replace(g, "le", "${{1}}{text}", "instance", "(.*)"))"#
    );
    let reply = query(&server, &malformed).await;
    assert_eq!(reply.status, 200);
    assert!(reply.text().len() < 300_000, "{}", reply.text().len());
    let warnings = reply.json()["warnings"].as_array().unwrap().len();
    assert!((2..=101).contains(&warnings), "{warnings}");
}

#[tokio::test]
async fn regular_expressions_are_charged() {
    let server = server(1_000_000).await;
    let tests: Vec<String> = (0..100)
        .map(|at| format!(r"b!~`(?i)\pL{{4}}x{at}`"))
        .collect();
    let selector = format!("g{{{}}}", tests.join(","));
    rejected(&query(&server, &selector).await, "too many bytes");
    for path in ["/api/v1/series", "/api/v1/labels"] {
        rejected(
            &post(&server, path, &[("match[]", &selector)]).await,
            "too many bytes",
        );
    }
    // A list of plain texts costs no more than they do.
    let hosts: Vec<String> = (0..2_000).map(|at| format!("host-{at}")).collect();
    let listed = format!(r#"count(g{{instance=~"{}"}})"#, hosts.join("|"));
    let reply = query(&server, &listed).await;
    assert_eq!(
        reply.json()["data"]["result"][0]["value"][1],
        "1000",
        "{}",
        reply.text()
    );
}
