use tokio::task::JoinSet;

use super::*;
use crate::entry::testing::resolve_entry;
use bellwether_collector::testing::http::{Reply, response, serve};
use bellwether_collector::testing::{Collected, collect};

async fn once(settings: &str) -> Collected {
    let yaml = format!("{{name: x, type: http_json, {settings}}}");
    collect(&mut *resolve_entry(&yaml).unwrap(), Now::default()).await
}

async fn server(tasks: &mut JoinSet<()>) -> u16 {
    serve(tasks, |request| {
        let path = request.split(' ').nth(1).unwrap_or_default();
        match path {
            "/queues" => response(
                "",
                r#"{"queues": [{"name": "a", "length": 3}, {"name": "b", "length": "4"}]}"#,
            ),
            "/search" => {
                let is_post = request.starts_with("POST ");
                let hits = i32::from(is_post && request.contains("content-type: application/json"));
                response("", format!("{{\"hits\": {hits}}}"))
            }
            "/xml" => response(
                "Content-Type: text/xml; charset=utf-8\r\n",
                "<queues><queue name=\"a\"><length>3</length></queue></queues>",
            ),
            "/csv" => response("Content-Type: text/csv\r\n", "name,length\na,3\nb,4\n"),
            "/pages?page=1" => response(
                "Link: </pages?page=2>; rel=\"next\"\r\n",
                r#"{"total": 3, "items": [{"n": 1}]}"#,
            ),
            "/pages?page=2" => response(
                "Link: </pages?page=1>; rel=\"first\", </pages?page=3>; rel=\"next\"\r\n",
                r#"{"total": 3, "items": [{"n": 2}]}"#,
            ),
            "/pages?page=3" => response("", r#"{"total": 3, "items": [{"n": 3}]}"#),
            "/old" => Reply::Bytes(
                b"HTTP/1.1 301 Moved\r\nLocation: /v2/items/\r\nContent-Length: 0\r\n\r\n".to_vec(),
            ),
            "/v2/items/" => response("", r#"{"items": [{"n": 1}], "next": "second"}"#),
            "/v2/items/second" => response("", r#"{"items": [{"n": 2}]}"#),
            "/circle" => response("", r#"{"items": [{"n": 1}], "next": "/circle"}"#),
            "/elsewhere" => response(
                "",
                r#"{"items": [{"n": 1}], "next": "http://localhost:1/"}"#,
            ),
            path if path.starts_with("/endless?") => {
                let at: u32 = path.rsplit('=').next().unwrap().parse().unwrap();
                let next = at + 1;
                let page = format!(r#"{{"items": [{{"n": {at}}}], "next": {next}}}"#);
                response("", page + &" ".repeat(400))
            }
            "/secret" if request.contains("x-key: k3y") => response("", "1"),
            "/html" => response("", "<html>"),
            "/large" => response("", format!("[{}1]", "1,".repeat(5000))),
            "/slow" => Reply::Hang(Vec::new()),
            _ => Reply::Bytes(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n".to_vec()),
        }
    })
    .await
}

#[tokio::test]
async fn a_document_has_series_by_its_paths() {
    let mut tasks = JoinSet::new();
    let port = server(&mut tasks).await;
    let collected = once(&format!(
        "url: 'http://127.0.0.1:{port}/queues',
         metrics: [{{name: queue_length, items: '$.queues[*]', value: $.length, labels: {{queue: $.name}}}}]"
    ))
    .await;
    assert_eq!(collected.failure, None);
    assert_eq!(
        collected.lines,
        ["queue_length{queue=\"a\"} 3", "queue_length{queue=\"b\"} 4"]
    );
    let collected = once(&format!(
        "url: 'http://127.0.0.1:{port}/search', method: POST, body: '{{}}',
         metrics: [{{name: hits, value: $.hits}}]"
    ))
    .await;
    assert_eq!(collected.lines, ["hits 1"]);
    let collected = once(&format!(
        "url: 'http://127.0.0.1:{port}/secret', headers: {{X-Key: k3y}}, metrics: [{{name: one}}]"
    ))
    .await;
    assert_eq!(collected.lines, ["one 1"]);
}

#[tokio::test]
async fn xml_and_csv_are_known_by_the_content_type() {
    let mut tasks = JoinSet::new();
    let port = server(&mut tasks).await;
    for (settings, expected) in [
        (
            "xml', metrics: [{name: length, items: '$.queue[*]', value: '$.length[0]', labels: {queue: \"$['@name']\"}}]",
            vec!["length{queue=\"a\"} 3"],
        ),
        (
            "csv', metrics: [{name: length, value: $.length, labels: {queue: $.name}}]",
            vec!["length{queue=\"a\"} 3", "length{queue=\"b\"} 4"],
        ),
        (
            "csv', format: csv, delimiter: ';', metrics: [{name: length, value: \"$['name,length']\", values: {'a,3': 1, 'b,4': 2}, labels: {row: '~'}}]",
            vec!["length{row=\"0\"} 1", "length{row=\"1\"} 2"],
        ),
    ] {
        let collected = once(&format!("url: 'http://127.0.0.1:{port}/{settings}")).await;
        assert_eq!(collected.failure, None);
        assert_eq!(collected.lines, expected);
    }
}

#[tokio::test]
async fn pages_are_read_up_to_the_last_one() {
    let mut tasks = JoinSet::new();
    let port = server(&mut tasks).await;
    let collected = once(&format!(
        "url: 'http://127.0.0.1:{port}/pages?page=1', pages: {{}},
         metrics: [{{name: total, value: $.total}}, {{name: item, items: '$.items[*]', value: $.n, labels: {{n: $.n}}}}]"
    ))
    .await;
    assert_eq!(collected.failure, None);
    assert_eq!(
        collected.lines,
        [
            "total 3",
            "item{n=\"1\"} 1",
            "item{n=\"2\"} 2",
            "item{n=\"3\"} 3"
        ]
    );
}

#[tokio::test]
async fn a_relative_link_starts_from_the_page_that_a_redirect_leads_to() {
    let mut tasks = JoinSet::new();
    let port = server(&mut tasks).await;
    let collected = once(&format!(
        "url: 'http://127.0.0.1:{port}/old', pages: {{next: $.next}},
         metrics: [{{name: item, items: '$.items[*]', value: $.n, labels: {{n: $.n}}}}]"
    ))
    .await;
    assert_eq!(collected.failure, None);
    assert_eq!(collected.lines, ["item{n=\"1\"} 1", "item{n=\"2\"} 2"]);
}

#[tokio::test]
async fn an_item_without_a_number_does_not_cost_the_pages_behind_it() {
    let mut tasks = JoinSet::new();
    let port = server(&mut tasks).await;
    let collected = once(&format!(
        "url: 'http://127.0.0.1:{port}/pages?page=1', pages: {{}},
         metrics: [{{name: total, value: $.items}}, {{name: item, items: '$.items[*]', value: $.n, labels: {{n: $.n}}}}]"
    ))
    .await;
    let (reason, detail) = collected.failure.unwrap();
    assert_eq!(reason, "parse");
    assert!(
        detail.starts_with("metric total: no number at $.items"),
        "{detail}"
    );
    assert_eq!(collected.lines.len(), 3);
}

#[tokio::test]
async fn pages_without_an_end_are_a_failure_that_keeps_those_before() {
    let mut tasks = JoinSet::new();
    let port = server(&mut tasks).await;
    for (path, pages, count, reason) in [
        (
            "circle",
            "{next: $.next}",
            1,
            "the next page is an earlier one",
        ),
        (
            "elsewhere",
            "{next: $.next}",
            1,
            "the next page is at another server: http://localhost:1",
        ),
        (
            "endless?at=0",
            "{next: $.next, parameter: at, limit: 3}",
            3,
            "more than 3 pages; hint: pages.limit",
        ),
        (
            "endless?at=0",
            "{next: $.next, parameter: at}",
            3,
            "3 pages are larger than 1KB; hint: limits.bytes",
        ),
    ] {
        let collected = once(&format!(
            "limits: {{bytes: 1KB}}, url: 'http://127.0.0.1:{port}/{path}', pages: {pages},
             metrics: [{{name: item, items: '$.items[*]', value: $.n, labels: {{n: $.n}}}}]"
        ))
        .await;
        assert_eq!(collected.failure, Some(("pages", reason.to_owned())));
        assert_eq!(collected.lines.len(), count, "{path}");
    }
}

#[tokio::test]
async fn what_is_no_document_is_a_failure_with_its_reason() {
    let mut tasks = JoinSet::new();
    let port = server(&mut tasks).await;
    for (path, reason, detail) in [
        ("/secret", "http", "answered 403 Forbidden"),
        ("/html", "parse", "not JSON: "),
        ("/large", "http", "the response is larger than 1KB"),
        ("/slow", "http", "timed out"),
    ] {
        let collected = once(&format!(
        "timeout: 300ms, limits: {{bytes: 1KB}}, url: 'http://127.0.0.1:{port}{path}', metrics: [{{name: a}}]"
        ))
        .await;
        let (found, message) = collected.failure.unwrap();
        assert!(
            found == reason && message.contains(detail),
            "{path}: {found}: {message}"
        );
        assert!(!message.contains("0 pages"), "{message}");
    }
}

#[test]
fn mistakes_in_the_settings_are_reported_with_hints() {
    for (settings, message) in [
        ("url: a, metrics: [{name: a}]", "not a URL"),
        ("url: 'http://a', metrics: []", "no metrics"),
        (
            "url: 'http://a', body: x, metrics: [{name: a}]",
            "set `method: POST`",
        ),
        (
            "url: 'http://a', metrics: [{name: a, value: x}]",
            "not a JSONPath",
        ),
        (
            "url: 'http://a', metrics: [{name: a}], pages: {next: x}",
            "not a JSONPath: \"x\"",
        ),
        (
            "url: 'http://a', metrics: [{name: a}], pages: {parameter: x}",
            "a `parameter` without `next`",
        ),
        (
            "url: 'http://a', metrics: [{name: a}], pages: {limit: 0}",
            "a limit of 0",
        ),
        (
            "url: 'http://a', metrics: [{name: a}], delimiter: ';;'",
            "not a delimiter: \";;\"",
        ),
    ] {
        let errors = resolve_entry(&format!("{{name: x, type: http_json, {settings}}}"))
            .err()
            .unwrap_or_default();
        let found = errors.len() == 1 && errors[0].contains(message);
        assert!(found, "{settings}: {errors:?}");
    }
}
