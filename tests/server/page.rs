//! Answers of the routes.

use std::io::Read;
use std::sync::atomic::Ordering::SeqCst;

use tokio::io::AsyncWriteExt;

use super::support::{
    Reply, TestBackend, connect, get, read_all, request, run, scrape, send, settings, start,
};

const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

pub(super) fn gunzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    flate2::read::GzDecoder::new(bytes)
        .read_to_end(&mut out)
        .unwrap();
    out
}

#[tokio::test]
async fn the_exposition_in_both_formats() {
    let server = start().await;
    let reply = scrape(server.address).await;
    assert_eq!(reply.header("content-type"), TEXT);
    assert_eq!(reply.header("vary"), "Accept, Accept-Encoding");
    assert_eq!(reply.header("content-encoding"), "");
    assert!(
        reply
            .text()
            .contains("test_load{host=\"host-000001\"} 1.25\n")
    );
    assert!(!reply.text().contains("# EOF"));
    let accept = "accept: application/openmetrics-text;version=1.0.0,\
        application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
    let reply = get(server.address, "/metrics", &[accept]).await;
    assert_eq!(reply.header("content-type"), OPEN_METRICS);
    assert!(reply.text().ends_with("# EOF\n"));
}

#[tokio::test]
async fn values_are_those_of_the_moment() {
    let server = start().await;
    for expected in ["test_scrapes_total 1\n", "test_scrapes_total 2\n"] {
        assert!(scrape(server.address).await.text().contains(expected));
    }
}

#[tokio::test]
async fn codings_carry_the_same_exposition() {
    let server = run(settings(|_| {}), TestBackend::new(20_000)).await;
    let same = |bytes: Vec<u8>| {
        let text = String::from_utf8(bytes).unwrap();
        text.lines()
            .filter(|line| !line.starts_with("test_scrapes"))
            .collect::<Vec<_>>()
            .join("\n")
    };
    let plain = same(scrape(server.address).await.body);
    assert!(plain.len() > 700_000);
    for (accept, coding) in [
        ("accept-encoding: gzip", "gzip"),
        ("accept-encoding: gzip, identity;q=0", "gzip"),
        ("accept-encoding: zstd, gzip;q=0.9", "zstd"),
        ("accept-encoding: deflate", ""),
    ] {
        let reply = get(server.address, "/metrics", &[accept]).await;
        assert_eq!(reply.header("content-encoding"), coding, "{accept}");
        let body = match coding {
            "gzip" => gunzip(&reply.body),
            "zstd" => zstd::decode_all(&reply.body[..]).unwrap(),
            _ => reply.body,
        };
        assert_eq!(same(body), plain, "{accept}");
    }
    let reply = get(
        server.address,
        "/metrics",
        &["accept-encoding: identity;q=0"],
    )
    .await;
    assert_eq!(reply.status, 406);
    assert!(reply.text().contains("is served: identity, gzip, zstd"));
}

#[tokio::test]
async fn head_has_the_head_and_nothing_else() {
    let server = start().await;
    for path in ["/metrics", "/", "/-/healthy", "/api/v1/alerts"] {
        let reply = send(server.address, request("HEAD", path, &[], "")).await;
        assert_eq!(reply.status, 200, "{path}");
        assert!(
            reply.body.is_empty() && !reply.header("content-type").is_empty(),
            "{path}"
        );
    }
    assert_eq!(
        server.backend.refreshed.load(SeqCst),
        0,
        "nothing was rendered for HEAD"
    );
}

#[tokio::test]
async fn wrong_methods_and_paths_get_the_right_ones() {
    let server = start().await;
    for (method, path, allow) in [
        ("POST", "/metrics", "GET, HEAD"),
        ("DELETE", "/api/v1/alerts", "GET, HEAD"),
        ("GET", "/-/reload", "POST, PUT"),
        ("GET", "/api/v1/record", "POST"),
        ("OPTIONS", "/api/v1/record", "POST"),
    ] {
        let reply = send(server.address, request(method, path, &[], "")).await;
        assert_eq!(
            (reply.status, reply.header("allow")),
            (405, allow),
            "{method} {path}"
        );
    }
    let reply = get(server.address, "/metrics/", &[]).await;
    assert_eq!(reply.status, 404);
    assert!(
        reply
            .text()
            .contains("/metrics, /metrics/job<group>, /v1/metrics, /-/healthy"),
        "{}",
        reply.text()
    );
    let reply = get(server.address, "/api/v1/nothing", &[]).await;
    assert_eq!(
        (reply.status, &reply.json()["errorType"]),
        (404, &"not_found".into())
    );
}

#[tokio::test]
async fn health_and_readiness() {
    let server = start().await;
    assert_eq!(
        get(server.address, "/-/healthy", &[]).await.text(),
        "Bellwether is healthy.\n"
    );
    assert_eq!(get(server.address, "/-/ready", &[]).await.status, 200);
    server.backend.ready.store(false, SeqCst);
    let reply = get(server.address, "/-/ready", &[]).await;
    assert_eq!((reply.status, reply.header("retry-after")), (503, "1"));
    assert_eq!(get(server.address, "/-/healthy", &[]).await.status, 200);
}

#[tokio::test]
async fn the_api_shows_everything() {
    let server = start().await;
    let data = async |path: &str| {
        let reply = get(server.address, path, &[]).await;
        assert_eq!(reply.header("content-type"), "application/json");
        let json = reply.json();
        assert_eq!(json["status"], "success", "{path}");
        json["data"].clone()
    };
    let metrics = data("/api/v1/metrics?metric=load&limit=1").await;
    assert_eq!(
        metrics["metrics"][0]["values"][0]["labels"]["host"],
        "host-000000"
    );
    assert_eq!(
        (&metrics["series"], &metrics["truncated"]),
        (&3.into(), &true.into())
    );
    let alerts = data("/api/v1/alerts").await;
    assert_eq!(alerts["alerts"][0]["labels"]["alertname"], "too_hot");
    assert_eq!(alerts["alerts"][0]["value"], "9.1e+01");
    let rules = data("/api/v1/rules").await;
    assert_eq!(rules["groups"][0]["rules"][0]["query"], "load > 85");
    assert_eq!(data("/api/v1/health").await["status"], "healthy");
    let summary = data("/api/v1/summary").await;
    assert_eq!(
        (&summary["alerts"]["firing"], &summary["metrics"]),
        (&1.into(), &3.into())
    );
    for (path, status) in [
        ("/api/v1/metrics?metric=nope", 404),
        ("/api/v1/metrics?limit=x", 400),
    ] {
        let reply = get(server.address, path, &[]).await;
        assert_eq!(
            (reply.status, &reply.json()["status"]),
            (status, &"error".into()),
            "{path}"
        );
    }
}

#[tokio::test]
async fn large_answers_of_the_api_are_compressed() {
    let server = run(settings(|_| {}), TestBackend::new(5_000)).await;
    let path = "/api/v1/metrics?limit=5000";
    let plain = get(server.address, path, &[]).await;
    let reply = get(server.address, path, &["accept-encoding: gzip"]).await;
    assert_eq!(reply.header("content-encoding"), "gzip");
    assert!(reply.body.len() * 5 < plain.body.len());
    let json: serde_json::Value = serde_json::from_slice(&gunzip(&reply.body)).unwrap();
    assert_eq!(json["data"]["series"], 5_002);
}

#[tokio::test]
async fn one_connection_many_requests() {
    let server = start().await;
    let mut stream = connect(server.address).await;
    let pipeline = "GET /-/healthy HTTP/1.1\r\nhost: localhost\r\n\r\n\
        GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n\
        GET /nothing HTTP/1.1\r\nhost: localhost\r\n\r\n"
        .to_owned()
        + &request("GET", "/-/ready", &[], "");
    stream.write_all(pipeline.as_bytes()).await.unwrap();
    let bytes = read_all(&mut stream).await;
    let (healthy, rest) = Reply::parse(&bytes);
    let (page, rest) = Reply::parse(rest);
    let (nothing, rest) = Reply::parse(rest);
    let (ready, rest) = Reply::parse(rest);
    assert_eq!(healthy.text(), "Bellwether is healthy.\n");
    assert!(page.text().contains("test_load"));
    assert_eq!(
        (nothing.status, ready.text()),
        (404, "Bellwether is ready.\n")
    );
    assert!(rest.is_empty());
}

#[tokio::test]
async fn requests_in_pieces_and_of_old_clients() {
    let server = start().await;
    let mut stream = connect(server.address).await;
    for byte in request("GET", "/-/healthy", &[], "").bytes() {
        stream.write_all(&[byte]).await.unwrap();
        stream.flush().await.unwrap();
    }
    assert_eq!(Reply::parse(&read_all(&mut stream).await).0.status, 200);
    let reply = send(server.address, "GET /metrics HTTP/1.0\r\n\r\n").await;
    assert_eq!((reply.status, reply.header("transfer-encoding")), (200, ""));
    assert!(reply.text().contains("test_took_seconds_count 3\n"));
    for hosts in ["", "host: a\r\nhost: b\r\n"] {
        let request = format!("GET /metrics HTTP/1.1\r\nconnection: close\r\n{hosts}\r\n");
        assert_eq!(send(server.address, request).await.status, 400, "{hosts:?}");
    }
}

#[tokio::test]
async fn requests_are_counted_by_handler_and_code() {
    let server = start().await;
    scrape(server.address).await;
    scrape(server.address).await;
    get(server.address, "/nothing", &[]).await;
    let counts = server.stats.requests();
    assert_eq!(counts[&("metrics", 200)].count, 2);
    assert_eq!(counts[&("other", 404)].count, 1);
}

#[tokio::test]
async fn both_families_of_addresses() {
    for host in ["::1", "::", "localhost"] {
        let settings = settings(|settings| settings.host = host.to_owned().into());
        let server = run(settings, TestBackend::new(1)).await;
        let port = server.address.port();
        if host != "localhost" {
            scrape((std::net::Ipv6Addr::LOCALHOST, port).into()).await;
        }
        if host != "::1" {
            scrape((std::net::Ipv4Addr::LOCALHOST, port).into()).await;
        }
    }
}

#[tokio::test]
async fn every_path_of_the_list_of_endpoints_answers() {
    let mut backend = TestBackend::new(3);
    let history = bellwether_tsdb::history::History::in_memory(100);
    backend.history = Some(std::sync::Arc::new(history));
    let server = run(settings(|_| {}), backend).await;
    let list = get(server.address, "/", &[]).await;
    assert_eq!(list.header("content-type"), "text/plain; charset=utf-8");
    let text = list.text().to_owned();
    let paths: Vec<&str> = text
        .lines()
        .filter_map(|line| line.split_once("  "))
        .map(|(path, _)| path)
        // Nothing but these needs a parameter, or is without data in this server.
        .filter(|path| !path.contains('<') && *path != "/api/v1/alerts/history")
        .collect();
    assert!(paths.len() > 10, "{paths:?}");
    for path in paths {
        let reply = get(server.address, path, &[]).await;
        let answers = matches!(reply.status, 200 | 400 | 426);
        assert!(answers, "{path}: {} {}", reply.status, reply.text());
    }
}

#[tokio::test]
async fn repeated_slashes_and_unescaped_quotes_are_as_good() {
    let server = start().await;
    for path in [
        "//api/v1/alerts",
        "/api//v1/alerts",
        "//metrics",
        "///-/healthy",
    ] {
        assert_eq!(get(server.address, path, &[]).await.status, 200, "{path}");
    }
    let mut client = connect(server.address).await;
    for _ in 0..2 {
        let request = "GET /api/v1/metrics?metric=\"<x>\" HTTP/1.1\r\nhost: localhost\r\n\r\n";
        client.write_all(request.as_bytes()).await.unwrap();
        let mut bytes = [0; 4096];
        let count = tokio::io::AsyncReadExt::read(&mut client, &mut bytes)
            .await
            .unwrap();
        let reply = Reply::parse(&bytes[..count]).0;
        assert_eq!(reply.status, 404);
        let error = reply.json()["error"].clone();
        assert!(
            error
                .as_str()
                .unwrap()
                .contains(r#"there is no metric "\"<x>\"""#),
            "{error}"
        );
    }
}

#[tokio::test]
async fn the_date_is_that_of_the_moment() {
    let server = start().await;
    let reply = get(server.address, "/-/healthy", &[]).await;
    let printed = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(reply.header("date"));
    let apart = (jiff::Timestamp::now() - printed.unwrap()).get_seconds();
    assert!((0..60).contains(&apart), "{}", reply.header("date"));
    assert!(
        reply.header("date").ends_with(" GMT"),
        "{}",
        reply.header("date")
    );
}

#[tokio::test]
async fn what_clients_of_prometheus_ask_for_is_there() {
    let mut backend = TestBackend::new(3);
    let history = bellwether_tsdb::history::History::in_memory(100);
    let labels = bellwether_core::LabelSet::new([("__name__", "load"), ("host", "a")]);
    let series = history.series_id(&labels).unwrap();
    history.append(bellwether_core::UnixMillis(1000), &[(series, 1.0)]);
    backend.history = Some(std::sync::Arc::new(history));
    let server = run(settings(|_| {}), backend).await;
    let ask = async |path: &str| {
        let reply = get(server.address, &format!("/api/v1/{path}"), &[]).await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.text());
        reply.json()["data"].clone()
    };
    assert!(
        ask("status/config").await["yaml"]
            .as_str()
            .unwrap()
            .contains("prometheus")
    );
    assert_eq!(
        ask("status/flags").await["storage.tsdb.retention.time"],
        "15d"
    );
    let info = ask("status/runtimeinfo").await;
    assert_eq!(
        (&info["storageRetention"], &info["reloadConfigSuccess"]),
        (&"15d".into(), &true.into())
    );
    assert!(info["startTime"].as_str().unwrap().ends_with('Z'));
    let tsdb = ask("status/tsdb").await;
    assert_eq!(tsdb["headStats"]["numSeries"], 1);
    assert_eq!(
        tsdb["seriesCountByMetricName"][0],
        serde_json::json!({"name": "load", "value": 1})
    );
    assert_eq!(ask("status/walreplay").await["state"], "done");
    assert!(ask("targets").await["activeTargets"].is_array());
    let manager = &ask("alertmanagers").await["activeAlertmanagers"][0];
    assert_eq!(manager["url"], "http://alertmanager:9093/api/v2/alerts");
    assert_eq!(ask("format_query?query=foo/bar").await, "foo / bar");
    assert_eq!(ask("parse_query?query=foo").await["type"], "vectorSelector");
    assert_eq!(
        ask("query_exemplars?query=foo").await,
        serde_json::json!([])
    );
    let stats = &ask("query?query=load&time=1&stats=all").await["stats"];
    assert_eq!(stats["samples"]["totalQueryableSamples"], 1, "{stats}");
    assert!(stats["timings"]["evalTotalTime"].is_f64());
    assert!(ask("query?query=load&time=1").await.get("stats").is_none());
    for path in [
        "format_query?query=foo(",
        "parse_query",
        "rules?type=foo",
        "targets?state=x",
    ] {
        let reply = get(server.address, &format!("/api/v1/{path}"), &[]).await;
        assert_eq!(
            (reply.status, &reply.json()["errorType"]),
            (400, &"bad_data".into()),
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_multipart_form_is_as_good() {
    let server = start().await;
    let form = "--x\r\nContent-Disposition: form-data; name=\"query\"\r\n\r\na+b\r\n--x--\r\n";
    let kind = "content-type: multipart/form-data; boundary=x";
    let reply = send(
        server.address,
        request("POST", "/api/v1/format_query", &[kind], form),
    )
    .await;
    assert_eq!(
        (reply.status, &reply.json()["data"]),
        (200, &"a + b".into())
    );
}

#[tokio::test]
async fn pages_of_allowed_origins_may_read() {
    let server = run(
        settings(|settings| settings.cors_origin.value = "https?://grafana\\.example".into()),
        TestBackend::new(1),
    )
    .await;
    let allowed = "origin: https://grafana.example";
    for method in ["GET", "OPTIONS"] {
        let reply = send(
            server.address,
            request(method, "/api/v1/alerts", &[allowed], ""),
        )
        .await;
        assert_eq!(reply.status, if method == "GET" { 200 } else { 204 });
        assert_eq!(
            reply.header("access-control-allow-origin"),
            "https://grafana.example"
        );
        assert_eq!(
            reply.header("access-control-allow-methods"),
            "GET, POST, OPTIONS"
        );
    }
    for origin in [
        "origin: https://grafana.example.evil",
        "origin: https://evil",
        "x-none: 1",
    ] {
        let reply = get(server.address, "/api/v1/alerts", &[origin]).await;
        assert_eq!(
            (reply.status, reply.header("access-control-allow-origin")),
            (200, "")
        );
    }
    let reply = get(server.address, "/metrics", &[allowed]).await;
    assert_eq!(
        reply.header("access-control-allow-origin"),
        "",
        "the API alone"
    );
    let reload = send(server.address, request("POST", "/-/reload", &[allowed], "")).await;
    assert_eq!(reload.status, 403, "no page changes state");
}
