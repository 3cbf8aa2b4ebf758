use std::fs;
use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};

use bellwether_core::{MonoMillis, UnixMillis};
use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;
use crate::entry::testing::resolve_entry;
use bellwether_collector::testing::http::{Reply, response, serve};
use bellwether_collector::testing::{Collected, collect};

fn at(seconds: u64) -> Now {
    Now {
        mono: MonoMillis(seconds * 1000),
        wall: UnixMillis(0),
    }
}

async fn once(yaml: &str) -> Collected {
    collect(&mut *resolve_entry(yaml).unwrap(), at(0)).await
}

fn path(request: &str) -> &str {
    request.split(' ').nth(1).unwrap_or_default()
}

const PROTOBUF: &str = "Content-Type: application/vnd.google.protobuf; encoding=delimited\r\n";

/// A server whose paths are good, bad, slow, endless and huge.
async fn target(tasks: &mut JoinSet<()>) -> u16 {
    serve(tasks, |request| match path(request) {
        "/good" => response("Content-Type: text/plain\r\n", "a{job=\"own\"} 1\nb 2\n"),
        "/html" => response("Content-Type: text/html\r\n", "<html>\n<body>1</body>\n"),
        "/binary" => response("", [b'a', b' ', 0xff, b'\n']),
        "/protobuf" => {
            // A gauge "p" of 1 with the label a="b", and its timestamp of 1 ms.
            let gauge = b"\x1c\x0a\x01p\x18\x01\x22\x15\x0a\x06\x0a\x01a\x12\x01b\x12\x09\x09\0\0\0\0\0\0\xf0\x3f\x30\x01";
            response(PROTOBUF, gauge)
        }
        "/no_protobuf" => response(PROTOBUF, "\x05hello"),
        "/times" => response("", "old 1 999\nnew 2 1000000\nnone 3\nahead 4 2000000\n"),
        "/cut" => response(
            "Content-Type: application/openmetrics-text; version=1.0.0\r\n",
            "# TYPE a gauge\na 1\n",
        ),
        "/short" => response("Content-Length: 100\r\n", "a 1\n"),
        "/gzip" => {
            assert!(
                request.to_lowercase().contains("accept-encoding: gzip"),
                "{request}"
            );
            let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(b"zipped 1\n").unwrap();
            response("Content-Encoding: gzip\r\n", encoder.finish().unwrap())
        }
        "/slow" => Reply::Hang(Vec::new()),
        "/stuck" => Reply::Hang(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\na 1\n".to_vec()),
        "/endless" => Reply::Endless([b"HTTP/1.1 200 OK\r\n\r\n", &[b'\n'; 60_000][..]].concat()),
        _ => Reply::Bytes(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_vec()),
    })
    .await
}

#[tokio::test]
async fn series_have_the_labels_of_their_target_and_each_scrape_is_reported() {
    let mut tasks = JoinSet::new();
    let port = target(&mut tasks).await;
    let yaml = format!(
        "{{name: node, type: scrape, metrics_path: /good, labels: {{site: x, job: no}},
          metric_relabel_configs: [{{source_labels: [__name__], regex: b, action: drop}}],
          static_configs: [{{targets: ['127.0.0.1:{port}'], labels: {{zone: a}}}}]}}"
    );
    let mut collector = resolve_entry(&yaml).unwrap();
    let labels = format!("instance=\"127.0.0.1:{port}\", job=\"node\", site=\"x\", zone=\"a\"");
    for added in [2.0, 0.0] {
        let mut collected = collect(&mut *collector, at(0)).await;
        assert_eq!(collected.failure, None);
        let duration = collected.lines.remove(1);
        assert!(
            duration.starts_with("scrape_duration_seconds{"),
            "{duration}"
        );
        assert_eq!(
            collected.lines,
            [
                format!("up{{{labels}}} 1"),
                format!("scrape_samples_scraped{{{labels}}} 2"),
                format!("scrape_samples_post_metric_relabeling{{{labels}}} 1"),
                format!("scrape_series_added{{{labels}}} {added}"),
                format!("a{{exported_job=\"own\", {labels}}} 1"),
            ]
        );
    }
}

#[tokio::test]
async fn a_target_that_is_invalid_or_too_slow_costs_itself_alone() {
    let mut tasks = JoinSet::new();
    let port = target(&mut tasks).await;
    for (path, error) in [
        ("/html", "line 1: no value"),
        ("/binary", "not UTF-8 at byte 2"),
        ("/no_protobuf", "message 1: "),
        ("/cut", "no # EOF at the end"),
        ("/short", "end of file before message length reached"),
        ("/none", "answered 404 Not Found"),
        ("/slow", "no answer within "),
        ("/stuck", "no answer within "),
        (
            "/endless",
            "the response is larger than 100KB; hint: limits.bytes",
        ),
    ] {
        let collected = once(&format!(
            "{{name: x, type: scrape, timeout: 500ms, limits: {{bytes: 100KB}},
              static_configs: [{{targets: ['127.0.0.1:{port}'], labels: {{__metrics_path__: {path}}}}},
                               {{targets: ['localhost:{port}'], labels: {{__metrics_path__: /good}}}}]}}"
        ))
        .await;
        let up = |host: &str| {
            let series = format!("up{{instance=\"{host}:{port}\", job=\"x\"}}");
            collected.value(&series)
        };
        assert_eq!(
            (up("127.0.0.1"), up("localhost")),
            (Some(0.0), Some(1.0)),
            "{path}"
        );
        let good = format!("b{{instance=\"localhost:{port}\", job=\"x\"}}");
        assert_eq!(collected.value(&good), Some(2.0), "{path}");
        assert_eq!(collected.lines.len(), 12, "{path}: {:?}", collected.lines);
        let (reason, detail) = collected.failure.unwrap();
        assert_eq!(reason, "scrape");
        let start = format!("1 of 2 targets down: 127.0.0.1:{port}: ");
        assert!(
            detail.starts_with(&start) && detail.contains(error),
            "{path}: {detail}"
        );
    }
}

#[tokio::test]
async fn compressed_responses_are_read() {
    let mut tasks = JoinSet::new();
    let port = target(&mut tasks).await;
    let collected = once(&format!(
        "{{name: x, type: scrape, metrics_path: /gzip, honor_labels: true,
          static_configs: [{{targets: ['127.0.0.1:{port}']}}]}}"
    ))
    .await;
    let series = format!("zipped{{instance=\"127.0.0.1:{port}\", job=\"x\"}}");
    assert_eq!(collected.value(&series), Some(1.0), "{collected:?}");
}

#[tokio::test]
async fn protocol_buffers_are_read() {
    let mut tasks = JoinSet::new();
    let port = target(&mut tasks).await;
    let collected = once(&format!(
        "{{name: x, type: scrape, metrics_path: /protobuf, scrape_protocols: [PrometheusProto],
          static_configs: [{{targets: ['127.0.0.1:{port}']}}]}}"
    ))
    .await;
    let series = format!("p{{a=\"b\", instance=\"127.0.0.1:{port}\", job=\"x\"}}");
    assert_eq!(collected.value(&series), Some(1.0), "{collected:?}");
}

#[tokio::test]
async fn samples_that_prometheus_would_not_show_are_left_out() {
    let mut tasks = JoinSet::new();
    let port = target(&mut tasks).await;
    let now = Now {
        mono: MonoMillis(0),
        wall: UnixMillis(1_200_000),
    };
    let note = format!("127.0.0.1:{port}: timestamps leave out 2 samples; hint: honor_timestamps");
    for (honor, left, notes) in [
        (true, vec!["new", "none"], vec![note]),
        (false, vec!["old", "new", "none", "ahead"], vec![]),
    ] {
        let yaml = format!(
            "{{name: x, type: scrape, metrics_path: /times, honor_timestamps: {honor},
              static_configs: [{{targets: ['127.0.0.1:{port}']}}]}}"
        );
        let mut collector = resolve_entry(&yaml).unwrap();
        let collected = collect(&mut *collector, now).await;
        let names = collected
            .lines
            .iter()
            .map(|line| line.split('{').next().unwrap());
        let own = names.filter(|name| *name != "up" && !name.starts_with("scrape_"));
        assert_eq!(own.collect::<Vec<_>>(), left);
        assert_eq!(collector.notes(), notes);
    }
}

#[tokio::test]
async fn more_samples_than_the_limit_fail_the_scrape() {
    let mut tasks = JoinSet::new();
    let port = target(&mut tasks).await;
    for (limit, up) in [(1, 0.0), (2, 1.0)] {
        let collected = once(&format!(
            "{{name: x, type: scrape, metrics_path: /good, sample_limit: {limit},
              static_configs: [{{targets: ['127.0.0.1:{port}']}}]}}"
        ))
        .await;
        let series = format!("up{{instance=\"127.0.0.1:{port}\", job=\"x\"}}");
        assert_eq!(collected.value(&series), Some(up));
    }
}

#[tokio::test]
async fn targets_that_hang_do_not_take_the_time_of_others() {
    let mut tasks = JoinSet::new();
    let port = target(&mut tasks).await;
    // As many as are scraped at a time hang, and come before the good one.
    let hanging: Vec<String> = (0..PARALLEL)
        .map(|number| {
            format!("'127.0.0.1:{port}', labels: {{__metrics_path__: /slow, n: '{number}'}}")
        })
        .map(|target| {
            target
                .replacen('\'', "{targets: ['", 1)
                .replacen("',", "'],", 1)
                + "}"
        })
        .collect();
    let yaml = format!(
        "{{name: x, type: scrape, metrics_path: /good, timeout: 1s,
          static_configs: [{}, {{targets: ['localhost:{port}']}}]}}",
        hanging.join(", ")
    );
    let mut collector = resolve_entry(&yaml).unwrap();
    let up = format!("up{{instance=\"localhost:{port}\", job=\"x\"}}");
    let first = collect(&mut *collector, at(0)).await;
    assert_eq!(first.value(&up), Some(0.0));
    let second = collect(&mut *collector, at(15)).await;
    assert_eq!(second.value(&up), Some(1.0), "{:?}", second.failure);
}

#[tokio::test]
async fn a_server_lists_targets_and_its_failure_keeps_them() {
    let mut tasks = JoinSet::new();
    let port = target(&mut tasks).await;
    static ASKED: AtomicUsize = AtomicUsize::new(0);
    let list = serve(&mut tasks, move |request| {
        assert!(
            request
                .to_lowercase()
                .contains("authorization: bearer t0ken"),
            "{request}"
        );
        match ASKED.fetch_add(1, Ordering::Relaxed) {
            0 => response(
                "",
                format!(r#"[{{"targets": ["127.0.0.1:{port}"], "labels": {{"a": "b"}}}}]"#),
            ),
            1 => response("", "{"),
            _ => response("", "[]"),
        }
    })
    .await;
    let yaml = format!(
        "{{name: x, type: scrape, metrics_path: /good,
          http_sd_configs: [{{url: 'http://127.0.0.1:{list}/', refresh_interval: 10s, bearer_token: t0ken}}]}}"
    );
    let mut collector = resolve_entry(&yaml).unwrap();
    let up = format!("up{{a=\"b\", instance=\"127.0.0.1:{port}\", job=\"x\"}}");
    let first = collect(&mut *collector, at(0)).await;
    assert_eq!((first.value(&up), first.failure), (Some(1.0), None));
    // Answers are taken up when they are there, so collections go on until then.
    let mut collected = collect(&mut *collector, at(15)).await;
    while collected.failure.is_none() {
        collected = collect(&mut *collector, at(16)).await;
    }
    assert_eq!(collected.value(&up), Some(1.0), "the last targets stay");
    let (reason, detail) = collected.failure.unwrap();
    assert_eq!(reason, "discovery");
    let start = format!("http://127.0.0.1:{list}: not a list of targets: ");
    assert!(detail.starts_with(&start), "{detail}");
    while !collect(&mut *collector, at(30)).await.lines.is_empty() {}
    assert_eq!(collector.notes(), ["no targets"]);
}

#[tokio::test]
async fn dns_gives_targets() {
    let mut tasks = JoinSet::new();
    let port = target(&mut tasks).await;
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let dns = socket.local_addr().unwrap();
    tasks.spawn(async move {
        let mut query = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut query).await {
            // The question without the record of EDNS, and one SRV record whose target is "localhost".
            let mut answer = query[..length - 11].to_vec();
            answer[2..12].copy_from_slice(&[0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]);
            answer.extend([0xc0, 12, 0, 33, 0, 1, 0, 0, 0, 5, 0, 17, 0, 0, 0, 0]);
            answer.extend(port.to_be_bytes());
            answer.extend(b"\x09localhost\x00");
            let _ = socket.send_to(&answer, from).await;
        }
    });
    let collected = once(&format!(
        "{{name: x, type: scrape, metrics_path: /good,
          relabel_configs: [{{source_labels: [__meta_dns_name], target_label: name}}],
          dns_sd_configs: [{{names: [_m._tcp.example.org], servers: ['{dns}']}}]}}"
    ))
    .await;
    let up =
        format!("up{{instance=\"localhost:{port}\", job=\"x\", name=\"_m._tcp.example.org\"}}");
    assert_eq!(collected.value(&up), Some(1.0), "{collected:?}");
}

#[tokio::test]
async fn a_file_gives_targets() {
    let mut tasks = JoinSet::new();
    let port = target(&mut tasks).await;
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("x.json");
    fs::write(
        &list,
        format!(r#"[{{"targets": ["127.0.0.1:{port}", "a/b"]}}]"#),
    )
    .unwrap();
    let collected = once(&format!(
        "{{name: x, type: scrape, metrics_path: /good,
          file_sd_configs: [{{files: ['{}/*.json']}}]}}",
        folder.path().display()
    ))
    .await;
    let up = format!("up{{instance=\"127.0.0.1:{port}\", job=\"x\"}}");
    assert_eq!(collected.value(&up), Some(1.0), "{collected:?}");
    let (reason, detail) = collected.failure.unwrap();
    assert_eq!(
        (reason, detail.as_str()),
        ("discovery", "not an address: \"a/b\"; hint: HOST:PORT")
    );
}

#[test]
fn mistakes_in_the_settings_are_reported_with_hints() {
    for (settings, message) in [
        ("", "no targets"),
        ("static_configs: {targets: [a]}", "expected a list"),
        (
            "static_configs: [{targets: ['http://a:1']}]",
            "not an address: \"http://a:1\"",
        ),
        (
            "static_configs: [{targets: [a], labels: {a-b: c}}]",
            "not a label name: \"a-b\"",
        ),
        (
            "static_configs: [{targets: [a]}], metrics_path: metrics",
            "begin it with /",
        ),
        (
            "static_configs: [{targets: [a]}], job_name: ''",
            "an empty `job_name`",
        ),
        (
            "static_configs: [{targets: [a]}], bearer_token: a, basic_auth: {username: a}",
            "more than one kind",
        ),
        (
            "static_configs: [{targets: [a]}], relabel_configs: [{regex: '(', target_label: a}]",
            "invalid regular expression",
        ),
        (
            "static_configs: [{targets: [a]}], scrape_protocols: []",
            "no `scrape_protocols`",
        ),
        (
            "static_configs: [{targets: [a]}], scrape_protocols: [PrometheusProto, PrometheusProto]",
            "PrometheusProto twice",
        ),
        (
            "file_sd_configs: [{files: [a.json]}]",
            "not an absolute path: a.json",
        ),
        (
            "file_sd_configs: [{files: [/a/*/b.json]}]",
            "a pattern in the name of a directory",
        ),
        (
            "file_sd_configs: [{files: [/a/b.txt]}]",
            "end it with .json",
        ),
        ("http_sd_configs: [{url: 'ftp://a'}]", "not an HTTP URL"),
        (
            "http_sd_configs: [{url: 'http://a', refresh_interval: 10ms}]",
            "too short: 10ms",
        ),
        ("dns_sd_configs: [{names: [a], type: A}]", "no `port`"),
        (
            "dns_sd_configs: [{names: [a], type: TXT}]",
            "no targets: TXT",
        ),
        ("dns_sd_configs: [{names: []}]", "no names"),
        (
            "dns_sd_configs: [{names: [a], servers: [x]}]",
            "not an address: \"x\"",
        ),
    ] {
        let errors = resolve_entry(&format!("{{name: x, type: scrape, {settings}}}"))
            .err()
            .unwrap_or_default();
        let found = errors.len() == 1 && errors[0].contains(message);
        assert!(found, "{settings}: {errors:?}");
    }
}
