//! The query API: Prometheus's forms, its errors, and what keeps queries from harming scrapes.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use bellwether_core::{LabelSet, UnixMillis};
use bellwether_matcher::LabelMatcher;
use bellwether_promql::{Guard, Queryable, SampledSeries, StorageError};
use bellwether_server::Prometheus;
use bellwether_tsdb::history::History;
use serde_json::{Value, json};

use crate::support::{
    Reply, Running, TestBackend, get, request, run, scrape, send, settings, until,
};

/// 10 hosts, 100 samples each, 15 s apart, from `START` on.
const START: i64 = 1_700_000_000_000;

fn history() -> History {
    history_of("load", |host, step| step as f64 + host as f64 / 4.0)
}

fn history_of(metric: &str, value: impl Fn(i64, i64) -> f64) -> History {
    let history = History::in_memory(1000);
    for host in 0..10 {
        let name = format!("h{host}");
        let labels = LabelSet::new([("__name__", metric), ("host", &name)]);
        let series = history.series_id(&labels).unwrap();
        for step in 0..100 {
            history.append(
                UnixMillis(START + step * 15_000),
                &[(series, value(host, step))],
            );
        }
    }
    history
}

async fn server_of(
    source: impl Queryable + 'static,
    change: impl FnOnce(&mut Prometheus),
) -> Running {
    let mut backend = TestBackend::new(3);
    backend.history = Some(Arc::new(source));
    run(settings(change), backend).await
}

async fn server() -> Running {
    server_of(history(), |_| {}).await
}

async fn ask(server: &Running, path: &str) -> Reply {
    get(server.address, &format!("/api/v1/{path}"), &[]).await
}

async fn data(server: &Running, path: &str) -> Value {
    let reply = ask(server, path).await;
    assert_eq!(reply.status, 200, "{path}: {}", reply.text());
    assert_eq!(reply.json()["status"], "success");
    reply.json()["data"].clone()
}

#[tokio::test]
async fn queries_by_get_and_post() {
    let server = server().await;
    let path = "query?query=load%7Bhost%3D%22h3%22%7D&time=1700000015.5";
    let expected = json!({"resultType": "vector", "result": [
        {"metric": {"__name__": "load", "host": "h3"}, "value": [1_700_000_015.5, "1.75"]}
    ]});
    assert_eq!(data(&server, path).await, expected);
    let form = "query=load%7Bhost%3D%22h3%22%7D&time=1700000015.5";
    let kind = "content-type: application/x-www-form-urlencoded";
    let reply = send(
        server.address,
        request("POST", "/api/v1/query", &[kind], form),
    )
    .await;
    assert_eq!((reply.status, &reply.json()["data"]), (200, &expected));
    assert_eq!(reply.header("content-type"), "application/json");
    let range = data(
        &server,
        "query_range?query=sum(load)&start=2023-11-14T22:13:20Z&end=1700000060&step=30s",
    )
    .await;
    assert_eq!(
        range,
        json!({"resultType": "matrix", "result": [{"metric": {}, "values":
            [[1_700_000_000, "11.25"], [1_700_000_030, "31.25"], [1_700_000_060, "51.25"]]}]})
    );
    assert_eq!(
        data(&server, "query?query=1%2B1&time=4").await,
        json!({"resultType": "scalar", "result": [4, "2"]})
    );
    let limited = ask(&server, "query?query=load&time=1700000000&limit=2")
        .await
        .json();
    assert_eq!(limited["data"]["result"].as_array().unwrap().len(), 2);
    assert_eq!(
        limited["warnings"],
        json!(["results truncated due to limit"])
    );
    assert!(server.stats.queries().ended()["success"].0 >= 5);
}

#[tokio::test]
async fn series_labels_and_values() {
    let server = server().await;
    let series = data(
        &server,
        "series?match[]=load%7Bhost%3D~%22h[12]%22%7D&match[]=nothing",
    )
    .await;
    assert_eq!(
        series,
        json!([{"__name__": "load", "host": "h1"}, {"__name__": "load", "host": "h2"}])
    );
    assert_eq!(data(&server, "labels").await, json!(["__name__", "host"]));
    assert_eq!(
        data(&server, "label/__name__/values").await,
        json!(["load"])
    );
    let values = data(
        &server,
        "label/host/values?match[]=load%7Bhost!~%22h[1-9]%22%7D",
    )
    .await;
    assert_eq!(values, json!(["h0"]));
    assert_eq!(data(&server, "label/other/values").await, json!([]));
    let limited = ask(&server, "label/host/values?limit=3").await.json();
    assert_eq!(limited["data"], json!(["h0", "h1", "h2"]));
    assert_eq!(
        limited["warnings"],
        json!(["results truncated due to limit"])
    );
    let metadata = data(&server, "metadata?metric=test_load").await;
    assert_eq!(
        metadata,
        json!({"test_load": [{"type": "gauge", "help": "Help.", "unit": ""}]})
    );
    assert_eq!(data(&server, "query_exemplars?query=load").await, json!([]));
    assert!(
        data(&server, "status/buildinfo")
            .await
            .get("features")
            .is_none()
    );
}

/// As Prometheus 3 names series, and as Grafana asks for a label whose name does not fit into a path.
#[tokio::test]
async fn any_utf_8_is_a_name() {
    let history = History::in_memory(1000);
    for (name, value) in [
        ("host-name", "a"),
        ("U__x", "b"),
        ("a=b&c+d", "c"),
        ("é/ü", "d"),
    ] {
        let labels = LabelSet::new([("__name__", "http.requests"), (name, value)]);
        history.append(
            UnixMillis(START),
            &[(history.series_id(&labels).unwrap(), 1.0)],
        );
    }
    let server = server_of(history, |_| {}).await;
    for (name, values) in [
        ("U__host_2d_name", json!(["a"])),
        ("host-name", json!(["a"])),
        ("U____name__", json!([])),
        ("U______name____", json!(["http.requests"])),
        // The escaped `x`.
        ("U__x", json!([])),
        ("U__U____x", json!(["b"])),
        ("a=b&c+d", json!(["c"])),
        ("U___e9__2f__fc_", json!(["d"])),
    ] {
        assert_eq!(
            data(&server, &format!("label/{name}/values")).await,
            values,
            "{name}"
        );
    }
    assert_eq!(ask(&server, "label/U__/values").await.status, 400);
    let found = json!([{"__name__": "http.requests", "host-name": "a"}]);
    for selector in [
        "%7B%22http.requests%22,%22host-name%22=%22a%22%7D",
        "%7B%22host-name%22=%22a%22%7D",
    ] {
        assert_eq!(
            data(&server, &format!("series?match[]={selector}")).await,
            found,
            "{selector}"
        );
        let path = format!("label/U__host_2d_name/values?match[]={selector}");
        assert_eq!(data(&server, &path).await, json!(["a"]), "{selector}");
        let answer = data(&server, &format!("query?query={selector}&time=1700000000")).await;
        assert_eq!(answer["result"][0]["metric"], found[0], "{selector}");
    }
    let names = json!(["U__x", "__name__", "a=b&c+d", "host-name", "é/ü"]);
    assert_eq!(data(&server, "labels").await, names);
}

#[tokio::test]
async fn errors_are_those_of_prometheus() {
    let server = server().await;
    for (path, status, kind, text) in [
        (
            "query?query=",
            400,
            "bad_data",
            "invalid parameter \"query\": ",
        ),
        (
            "query?query=sum(",
            400,
            "bad_data",
            "invalid parameter \"query\": ",
        ),
        (
            "query?query=%ff%fe(",
            400,
            "bad_data",
            "invalid parameter \"query\": ",
        ),
        (
            "query?query=up&time=soon",
            400,
            "bad_data",
            "for 'time': cannot parse",
        ),
        (
            "query?query=up&timeout=x",
            400,
            "bad_data",
            "invalid parameter \"timeout\": cannot",
        ),
        (
            "query?query=up&limit=-1",
            400,
            "bad_data",
            "limit must be non-negative",
        ),
        (
            "query_range?query=up&end=1&step=1",
            400,
            "bad_data",
            "invalid parameter \"start\": ",
        ),
        (
            "query_range?query=up&start=1&step=1",
            400,
            "bad_data",
            "invalid parameter \"end\": ",
        ),
        (
            "query_range?query=up&start=2&end=1&step=1",
            400,
            "bad_data",
            "must not be before start",
        ),
        (
            "query_range?query=up&start=1&end=2",
            400,
            "bad_data",
            "invalid parameter \"step\": ",
        ),
        (
            "query_range?query=up&start=1&end=2&step=0",
            400,
            "bad_data",
            "zero or negative query",
        ),
        (
            "query_range?query=up&start=1&end=2&step=-5",
            400,
            "bad_data",
            "zero or negative query",
        ),
        (
            "query_range?query=up&start=0&end=11001&step=1",
            400,
            "bad_data",
            "11,000 points",
        ),
        (
            "query_range?query=up[5m]&start=0&end=1&step=1",
            400,
            "bad_data",
            "\"query\": invalid expr",
        ),
        ("series", 400, "bad_data", "no match[] parameter provided"),
        (
            "series?match[]=%7B%7D",
            400,
            "bad_data",
            "invalid parameter \"match[]\": ",
        ),
        (
            "series?match[]=sum(up)",
            400,
            "bad_data",
            "invalid parameter \"match[]\": ",
        ),
        (
            "labels?match[]=%7Ba=~%22.*%22%7D",
            400,
            "bad_data",
            "non-empty matcher",
        ),
        (
            "labels?start=x",
            400,
            "bad_data",
            "invalid parameter \"start\"",
        ),
        (
            "query?query=load%2Bon()load&time=1700000000",
            422,
            "execution",
            "many-to-many",
        ),
    ] {
        let reply = ask(&server, path).await;
        let body = reply.json();
        assert_eq!(
            (reply.status, &body["errorType"]),
            (status, &json!(kind)),
            "{path}: {body}"
        );
        assert_eq!(body["status"], "error");
        assert!(
            body["error"].as_str().unwrap().contains(text),
            "{path}: {body}"
        );
    }
    let reply = send(server.address, request("PUT", "/api/v1/query", &[], "")).await;
    assert_eq!((reply.status, reply.header("allow")), (405, "GET, POST"));
}

#[tokio::test]
async fn without_history_it_says_how_to_have_one() {
    let server = run(settings(|_| {}), TestBackend::new(3)).await;
    let reply = ask(&server, "query?query=up").await;
    assert_eq!(reply.status, 503);
    assert!(
        reply.text().contains("trend_analysis: {enabled: true}"),
        "{}",
        reply.text()
    );
}

#[tokio::test]
async fn a_long_answer_streams_in_every_coding() {
    let server = server().await;
    let path = "/api/v1/query_range?query=load&start=1700000000&end=1700001485&step=1";
    let plain = get(server.address, path, &[]).await;
    assert_eq!(
        (plain.status, plain.header("transfer-encoding")),
        (200, "chunked")
    );
    let result = plain.json()["data"]["result"].as_array().unwrap().len();
    assert!(
        result == 10 && plain.body.len() > 200_000,
        "{result} {}",
        plain.body.len()
    );
    let coded = get(server.address, path, &["accept-encoding: zstd"]).await;
    assert_eq!(coded.header("content-encoding"), "zstd");
    assert_eq!(zstd::decode_all(&coded.body[..]).unwrap(), plain.body);
}

#[tokio::test]
async fn hostile_queries_are_rejected_quickly() {
    let server = server_of(history(), |settings| {
        settings.query.max_samples.value = 500;
        settings.limits.max_body_bytes.value = 400_000;
    })
    .await;
    let kind = "content-type: application/x-www-form-urlencoded";
    let post = async |body: String| {
        send(
            server.address,
            request("POST", "/api/v1/query", &[kind], &body),
        )
        .await
    };
    let nested = format!("query={}1{}", "(".repeat(50_000), ")".repeat(50_000));
    assert_eq!(post(nested).await.status, 400);
    let unary = format!("query={}up", "-".repeat(100_000));
    assert_eq!(post(unary).await.status, 400);
    assert_eq!(
        post(format!("query={}", "x".repeat(500_000))).await.status,
        413
    );
    let many = ask(&server, "query?query=load[1d]&time=1700001485").await;
    assert_eq!(
        (many.status, &many.json()["errorType"]),
        (422, &json!("execution"))
    );
    assert!(
        many.text().contains("prometheus.query.max_samples"),
        "{}",
        many.text()
    );
    scrape(server.address).await;
}

/// A source whose samples never come, until the query is ended.
struct Endless {
    ended: Arc<AtomicU64>,
}

impl Queryable for Endless {
    fn select(
        &self,
        _: &[LabelMatcher],
        _: UnixMillis,
        _: UnixMillis,
        guard: &Guard,
    ) -> Result<Vec<SampledSeries>, StorageError> {
        loop {
            if let Err(stopped) = guard.check() {
                self.ended.fetch_add(1, SeqCst);
                return Err(stopped.into());
            }
            std::hint::spin_loop();
        }
    }

    fn series(
        &self,
        _: &[LabelMatcher],
        _: UnixMillis,
        _: UnixMillis,
        _: &Guard,
    ) -> Result<Vec<LabelSet>, StorageError> {
        Ok(Vec::new())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_leaves_ends_its_query() {
    let ended = Arc::new(AtomicU64::new(0));
    let server = server_of(
        Endless {
            ended: Arc::clone(&ended),
        },
        |_| {},
    )
    .await;
    let queries = Arc::clone(server.stats.queries());
    let mut stream = crate::support::connect(server.address).await;
    let text = request("GET", "/api/v1/query?query=up", &[], "");
    tokio::io::AsyncWriteExt::write_all(&mut stream, text.as_bytes())
        .await
        .unwrap();
    until("the query runs", || queries.running() == 1).await;
    drop(stream);
    until("the work ends", || {
        ended.load(SeqCst) == 1 && queries.running() == 0
    })
    .await;
    assert_eq!(queries.ended()["canceled"].0, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_that_takes_too_long_ends() {
    let ended = Arc::new(AtomicU64::new(0));
    let server = server_of(
        Endless {
            ended: Arc::clone(&ended),
        },
        |_| {},
    )
    .await;
    let reply = ask(&server, "query?query=up&timeout=50ms").await;
    assert_eq!(
        (reply.status, &reply.json()["errorType"]),
        (503, &json!("timeout"))
    );
    let queries = Arc::clone(server.stats.queries());
    until("the work ends", || {
        ended.load(SeqCst) == 1 && queries.running() == 0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scrapes_go_on_under_a_hundred_heavy_queries() {
    let ended = Arc::new(AtomicU64::new(0));
    let server = server_of(
        Endless {
            ended: Arc::clone(&ended),
        },
        |settings| {
            settings.query.timeout.value.0 = Duration::from_secs(5);
        },
    )
    .await;
    let queries = Arc::clone(server.stats.queries());
    let asked: Vec<_> = (0..100)
        .map(|_| tokio::spawn(get_owned(server.address, "/api/v1/query?query=up")))
        .collect();
    until("queries wait", || {
        queries.running() == 4 && queries.waiting() == 64
    })
    .await;
    for _ in 0..10 {
        scrape(server.address).await;
    }
    assert_eq!(
        queries.running(),
        4,
        "the scrapes came while the queries ran"
    );
    let (mut timed_out, mut rejected) = (0, 0);
    for reply in asked {
        let reply = reply.await.unwrap();
        assert_eq!(reply.status, 503);
        match reply.json()["errorType"].as_str().unwrap() {
            "timeout" => timed_out += 1,
            "unavailable" => rejected += 1,
            other => panic!("{other}"),
        }
    }
    assert_eq!((timed_out, rejected), (68, 32));
}

async fn get_owned(address: std::net::SocketAddr, path: &'static str) -> Reply {
    get(address, path, &[]).await
}

#[tokio::test]
async fn an_unknown_rule_has_a_hint_with_a_similar_name() {
    let server = server().await;
    for (rule, hint) in [
        ("to_hot", "did you mean \\\"too_hot\\\"?"),
        ("hot", "did you mean \\\"too_hot\\\"?"),
        ("xyz", "`bellwether rules` and /api/v1/rules list the rules"),
    ] {
        let path = format!("/api/v1/explain?rule={rule}");
        let reply = get(server.address, &path, &[]).await;
        assert_eq!(reply.status, 404);
        assert!(reply.text().contains(hint), "{}", reply.text());
    }
}

#[tokio::test]
async fn samples_of_a_metric_in_the_simple_form() {
    let server = server_of(
        history_of("test_load", |host, step| step as f64 + host as f64),
        |_| {},
    )
    .await;
    let ask = |query: &str| {
        let path = format!("/api/metrics?{query}");
        async move { get(server.address, &path, &[]).await }
    };
    let range = "start_time=1700000000&end_time=1700000030";
    let samples = ask(&format!("metric_name=load&{range}")).await.json();
    assert_eq!(samples["data"]["metric_name"], "load");
    let points = samples["data"]["data_points"].as_array().unwrap();
    assert_eq!(points.len(), 30);
    let expected = json!({
        "value": 2, "timestamp": 1_700_000_030, "tags": {"host": "h0"}, "unit": "",
    });
    assert_eq!(points[2], expected);
    let path = format!("metric_name=test_load&{range}&aggregation=avg");
    let averages = ask(&path).await.json();
    let points = averages["data"]["data_points"].as_array().unwrap();
    assert_eq!(points.len(), 10);
    assert_eq!(
        (&points[0]["value"], &points[9]["value"]),
        (&json!(1), &json!(10))
    );
    for (query, status, expected) in [
        ("", 400, "metric_name is missing; hint: "),
        ("metric_name=nope", 404, "there is no metric \\\"nope\\\""),
        ("metric_name=load&aggregation=mean", 400, "none of avg, min"),
        ("metric_name=load&start=1", 400, "unknown parameter"),
        (
            "metric_name=load&start_time=2&end_time=1",
            400,
            "before start_time",
        ),
    ] {
        let reply = ask(query).await;
        assert_eq!(reply.status, status, "{query}: {}", reply.text());
        assert!(reply.text().contains(expected), "{query}: {}", reply.text());
    }
}

#[tokio::test]
async fn answers_have_the_shapes_of_the_table_of_endpoints() {
    // The name on `/metrics` of the configured metric `load`.
    let server = server_of(
        history_of("test_load", |host, step| ((step * 7 + host) % 13) as f64),
        |_| {},
    )
    .await;
    let mut differences = Vec::new();
    for path in [
        "/api/v1/metrics",
        "/api/v1/alerts",
        "/api/v1/silences",
        "/api/v1/dead-letters",
        "/api/v1/explain?rule=too_hot",
        "/api/v1/rules",
        "/api/v1/health",
        "/api/v1/summary",
        "/api/v1/query?query=1",
        "/api/v1/query?query=test_load&time=1700001400&stats=all",
        "/api/v1/query_range?query=test_load&start=1700000000&end=1700000900&step=60",
        "/api/v1/series?match[]=test_load",
        "/api/v1/labels",
        "/api/v1/label/host/values",
        "/api/v1/metadata",
        "/api/v1/query_exemplars",
        "/api/v1/status/buildinfo",
        "/api/v1/format_query?query=1",
        "/api/v1/parse_query?query=1",
        "/api/v1/targets",
        "/api/v1/scrape_pools",
        "/api/v1/alertmanagers",
        "/api/v1/status/config",
        "/api/v1/config/schema",
        "/api/v1/status/flags",
        "/api/v1/status/runtimeinfo",
        "/api/v1/status/tsdb",
        "/api/v1/status/walreplay",
        "/api/v1/dashboards",
        "/api/v1/dashboards/own",
        "/api/v1/dashboards/own/history",
        "/api/v1/dashboards/own/export?format=grafana",
        "/api/v1/trends?metric=load&window=20m&time=1700001400",
        "/api/v1/baseline?metric=load&window=20m&time=1700001400",
        "/api/v1/anomalies?metric=load&window=20m&time=1700001400",
        "/api/v1/forecast?metric=load&window=20m&time=1700001400&reaches=200&within=1h",
        "/api/v1/correlations?metric=load%7Bhost%3D%22h3%22%7D&window=20m&time=1700001400",
        "/api/v1/bottlenecks",
        "/api/v1/score",
        "/api/metrics?metric_name=load&start_time=1700000000&end_time=1700000100",
        "/api/metrics?metric_name=load&start_time=1700000000&end_time=1700000100&aggregation=avg",
        "/api/health",
        "/api/alerts",
    ] {
        let reply = get(server.address, path, &[]).await;
        let (endpoint, _) = path.split_once('?').unwrap_or((path, ""));
        let answer = reply.json();
        match bellwether_server::check_answer("GET", endpoint, &answer) {
            Ok(()) if answer["status"] == "success" => {}
            Ok(()) => differences.push(format!("{path}: {answer}")),
            Err(error) => differences.push(format!("{path}: {error}; {answer}")),
        }
    }
    assert_eq!(differences, [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_process_itself_gets_the_data_that_a_client_gets() {
    let server = server().await;
    let time = format!("time={}", (START + 99 * 15_000) / 1000);
    for (path, parameters) in [
        ("/api/v1/metrics", "limit=0".to_owned()),
        ("/api/v1/query", format!("query=sum(load)&{time}")),
        ("/api/v1/label/host/values", String::new()),
        ("/api/v1/bottlenecks", time),
    ] {
        let own = server.handle.ask(path, &parameters).await.unwrap();
        let client = get(server.address, &format!("{path}?{parameters}"), &[]).await;
        assert_eq!(own, client.json()["data"], "{path}");
        assert!(!own.is_null(), "{path}");
    }
    for (path, parameters, expected) in [
        ("/api/v1/query", "query=sum(", "unclosed left parenthesis"),
        (
            "/api/v1/alerts/history",
            "",
            "the alert history is disabled",
        ),
        (
            "/api/v1/nothing",
            "",
            "no endpoint with data: /api/v1/nothing",
        ),
        ("/-/reload", "", "no endpoint with data: /-/reload"),
        ("/", "", "no endpoint with data: /"),
    ] {
        let error = server.handle.ask(path, parameters).await.unwrap_err();
        assert!(error.to_string().contains(expected), "{path}: {error}");
    }
}
