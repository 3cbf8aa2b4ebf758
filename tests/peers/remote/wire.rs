//! Requests on the wire, and the effects of the receiver's answers.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use bellwether_core::{Kind, MetricDef, Origin, UnixMillis};
use bellwether_promql::SampledSeries;
use bellwether_remote_write::{Families, RemoteWrite, Setup, WriteStats, Writers, check};
use bellwether_schema::{Decode, DecodeContext, Diagnostics, Spanned};

use super::log::Memory;
use super::protobuf::{metadata, samples};
use crate::support::poll;
use crate::support::sink::{Reply, Request, Sink, status};

const V2: &str = "application/x-protobuf;proto=io.prometheus.write.v2.Request";

fn settings(yaml: &str) -> Vec<Spanned<RemoteWrite>> {
    let mut problems = Diagnostics::default();
    let node = bellwether_schema::parse(yaml).unwrap();
    let settings: Vec<Spanned<RemoteWrite>> =
        Decode::decode(&node, &mut DecodeContext::new(&mut problems, &|_| None)).unwrap();
    check(&settings, &mut problems);
    assert!(problems.is_empty(), "{:?}", problems.into_sorted());
    settings
}

fn writers(state: Option<&Path>) -> Writers {
    let state = state.map(Path::to_owned);
    Writers::new(Setup {
        state,
        clock: Arc::new(|| UnixMillis(1_000_000)),
        random: || 0.0,
    })
}

async fn send(writers: &Writers, yaml: &str, log: &Memory) {
    let prepared = writers.prepare(&settings(yaml)).unwrap();
    writers
        .replace(prepared, Arc::new(log.clone()), families())
        .await;
}

fn families() -> Families {
    Families::new(
        &[MetricDef {
            name: "a".into(),
            exported: "a".into(),
            help: "What a is.".into(),
            kind: Kind::Counter,
            labels: [].into(),
            buckets: [].into(),
            quantiles: [].into(),
            origin: Origin::APPLICATION,
            interval: Duration::from_secs(1),
        }],
        UnixMillis(900),
    )
}

fn one(address: impl std::fmt::Display, more: &str) -> String {
    format!(
        "- {{url: 'http://{address}/api/v1/write?x=1', name: sink, {more} \
         queue: {{max_samples_per_send: 3, batch_send_deadline: 20ms, min_backoff: 10ms, max_backoff: 20ms}}}}"
    )
}

/// Waits for what the figures of `sink` must become.
async fn until(writers: &Writers, what: &str, wanted: impl Fn(&WriteStats) -> bool) -> WriteStats {
    let mut last = WriteStats::default();
    for _ in 0..2000 {
        last = writers.stats().get("sink").cloned().unwrap_or_default();
        if wanted(&last) {
            return last;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("not within 20 s: {what}; {last:?}");
}

fn decoded(requests: &[Request]) -> Vec<String> {
    let samples = |one: &Request| samples(one.header("content-type"), &one.body);
    requests.iter().flat_map(samples).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn version_1_with_its_headers() {
    let sink = Sink::start(|_| status(204));
    let (log, writers) = (Memory::default(), writers(None));
    log.collect(1, &[("before", 1.0)]);
    let more = "headers: {X-Scope-OrgID: t}, basic_auth: {username: u, password: p}, \
                write_relabel_configs: [{source_labels: [__name__], regex: 'drop.*', action: drop}, \
                {target_label: site, replacement: x}],";
    send(&writers, &one(sink.address(), more), &log).await;
    log.collect(1000, &[("a", 1.5), ("dropped", 2.0), ("b", -1.0)]);
    log.collect(2000, &[("a", SampledSeries::stale()), ("b", f64::INFINITY)]);
    let figures = until(&writers, "4 samples sent", |figures| figures.sent == 4).await;
    assert_eq!(
        (figures.failed, figures.retried, &figures.last_error),
        (0, 0, &None)
    );
    assert_eq!(figures.dropped, [("relabelling", 1), ("lost", 0)]);
    assert_eq!(figures.newest_sent, 2.0);
    let requests = sink.requests();
    let mut lines = decoded(&requests);
    lines.sort();
    let a = "{__name__=\"a\",instance=\"a\",site=\"x\"}";
    let b = "{__name__=\"b\",instance=\"a\",site=\"x\"}";
    let expected = [
        format!("{a} 1000 1.5"),
        format!("{a} 2000 0x7ff0000000000002"),
        format!("{b} 1000 -1"),
        format!("{b} 2000 inf"),
    ];
    assert_eq!(lines, expected);
    for (name, value) in [
        ("content-encoding", "snappy"),
        ("content-type", "application/x-protobuf"),
        ("x-prometheus-remote-write-version", "0.1.0"),
        (
            "user-agent",
            concat!("bellwether/", env!("CARGO_PKG_VERSION")),
        ),
        ("x-scope-orgid", "t"),
        ("authorization", "Basic dTpw"),
    ] {
        assert_eq!(requests[0].header(name), value, "{name}");
    }
    assert_eq!(requests[0].path, "/api/v1/write?x=1");
    let decoded = metadata(&requests[0].body);
    assert_eq!(decoded["a"], (1, "What a is.".to_owned()));
    writers.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn version_2_with_symbols_and_metadata() {
    let sink = Sink::start(|request| {
        let count = samples(request.header("content-type"), &request.body).len();
        let headers = vec![(
            "X-Prometheus-Remote-Write-Samples-Written",
            count.to_string(),
        )];
        Some(Reply {
            status: 204,
            headers,
            ..Reply::default()
        })
    });
    let (log, writers) = (Memory::default(), writers(None));
    send(&writers, &one(sink.address(), "protocol: '2.0',"), &log).await;
    log.collect(1000, &[("a", 1.5), ("b", 2.0)]);
    until(&writers, "2 samples sent", |figures| figures.sent == 2).await;
    let requests = sink.requests();
    assert_eq!(
        decoded(&requests),
        [
            "{__name__=\"a\",instance=\"a\"} 1000 1.5 since 900 # 1 What a is.",
            "{__name__=\"b\",instance=\"a\"} 1000 2",
        ]
    );
    assert_eq!(requests[0].header("content-type"), V2);
    assert_eq!(
        requests[0].header("x-prometheus-remote-write-version"),
        "2.0.0"
    );
    writers.stop().await;
}

/// 415 as the specification asks for; 204 without a word on what was written, as receivers of 1.0
/// that do not look at the content type; 400, as others.
#[tokio::test(flavor = "multi_thread")]
async fn version_2_falls_back() {
    for code in [415, 204, 400] {
        let sink = Sink::start(move |request| {
            status(if request.header("content-type") == V2 {
                code
            } else {
                204
            })
        });
        let (log, writers) = (Memory::default(), writers(None));
        send(&writers, &one(sink.address(), "protocol: '2.0',"), &log).await;
        log.collect(1000, &[("a", 1.0)]);
        until(&writers, "the first", |figures| {
            figures.sent == 1 && figures.fell_back
        })
        .await;
        log.collect(2000, &[("a", 2.0)]);
        let figures = until(&writers, "the second", |figures| figures.sent == 2).await;
        assert_eq!((figures.failed, figures.retried), (0, 0), "{code}");
        let kinds: Vec<bool> = sink
            .requests()
            .iter()
            .map(|one| one.header("content-type") == V2)
            .collect();
        assert_eq!(kinds, [true, false, false], "{code}");
        writers.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_receiver_of_2_did_not_write_is_counted() {
    let sink = Sink::start(|_| {
        let headers = vec![("X-Prometheus-Remote-Write-Samples-Written", "1".to_owned())];
        Some(Reply {
            status: 400,
            headers,
            body: "out of order",
            ..Reply::default()
        })
    });
    let (log, writers) = (Memory::default(), writers(None));
    send(&writers, &one(sink.address(), "protocol: '2.0',"), &log).await;
    log.collect(1000, &[("a", 1.0), ("b", 2.0), ("c", 3.0)]);
    let figures = until(&writers, "the answer", |figures| figures.failed > 0).await;
    assert_eq!((figures.sent, figures.failed), (1, 2));
    assert_eq!(sink.requests().len(), 1);
    writers.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_that_may_pass_are_tried_again_in_order() {
    let count = AtomicUsize::new(0);
    let sink = Sink::start(move |_| match count.fetch_add(1, SeqCst) {
        0 => status(503),
        1 => {
            let headers = vec![("Retry-After", "0".into())];
            Some(Reply {
                status: 429,
                headers,
                ..Reply::default()
            })
        }
        2 => None,
        3 => status(307),
        _ => status(200),
    });
    let (log, writers) = (Memory::default(), writers(None));
    send(&writers, &one(sink.address(), ""), &log).await;
    for at in 1..=4 {
        log.collect(at, &[("a", at as f64), ("b", 0.0)]);
    }
    let figures = until(&writers, "all sent", |figures| figures.sent == 8).await;
    assert!(figures.retried >= 8, "{figures:?}");
    assert_eq!((figures.failed, figures.last_error), (0, None));
    let requests = sink.requests();
    for again in &requests[..4] {
        assert_eq!(
            decoded(&requests[4..5]),
            decoded(std::slice::from_ref(again))
        );
    }
    let a: Vec<String> = decoded(&requests[4..])
        .into_iter()
        .filter(|line| line.contains("\"a\","))
        .collect();
    let times: Vec<&str> = a.iter().filter_map(|line| line.split(' ').nth(1)).collect();
    assert_eq!(times, ["1", "2", "3", "4"]);
    writers.stop().await;
}

/// After an outage the receiver gets them with the first request that it accepts, and then not again
/// for a minute.
#[tokio::test(flavor = "multi_thread")]
async fn types_and_help_are_sent_until_they_are_taken() {
    let count = AtomicUsize::new(0);
    let sink = Sink::start(move |_| match count.fetch_add(1, SeqCst) {
        0..2 => status(503),
        _ => status(204),
    });
    let (log, writers) = (Memory::default(), writers(None));
    send(&writers, &one(sink.address(), ""), &log).await;
    log.collect(1000, &[("a", 1.0)]);
    until(&writers, "the first", |figures| figures.sent == 1).await;
    log.collect(2000, &[("a", 2.0)]);
    until(&writers, "the second", |figures| figures.sent == 2).await;
    let decoded: Vec<usize> = sink
        .requests()
        .iter()
        .map(|request| metadata(&request.body).len())
        .collect();
    assert_eq!(decoded, [1, 1, 1, 0]);
    writers.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_rejected_for_good_is_given_up_and_the_rest_goes_on() {
    let sink = Sink::start(|request| {
        let bad = samples(request.header("content-type"), &request.body);
        let bad = bad.iter().any(|line| line.contains("\"bad\""));
        if !bad {
            return status(204);
        }
        Some(Reply {
            status: 400,
            body: "label \"bad\" is\nnot liked from token-1234",
            ..Reply::default()
        })
    });
    let (log, writers) = (Memory::default(), writers(None));
    let token = "bearer_token: token-1234,";
    send(&writers, &one(sink.address(), token), &log).await;
    log.collect(1, &[("bad", 1.0)]);
    let figures = until(&writers, "it is rejected", |figures| figures.failed == 1).await;
    let error = figures.last_error.unwrap();
    assert!(error.contains("dropped 1 sample:"), "{error}");
    assert!(
        error.contains("400") && error.contains("label \"bad\" is not liked from <secret>"),
        "{error}"
    );
    log.collect(2, &[("good", 1.0)]);
    let figures = until(&writers, "the next is sent", |figures| figures.sent == 1).await;
    assert_eq!(
        (figures.failed, figures.retried, figures.last_error),
        (1, 0, None)
    );
    assert_eq!(sink.requests().len(), 2);
    writers.stop().await;
}

/// The receiver takes the request and the process dies before it hears of it: what follows the
/// restart is the very same request, and what was collected meanwhile is in another one.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_under_way_is_sent_again_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let log = Memory::default();
    let hung = Sink::start(|_| None);
    let first = writers(Some(folder.path()));
    send(&first, &one(hung.address(), ""), &log).await;
    log.collect(1, &[("a", 1.0), ("b", 1.0)]);
    until(&first, "an attempt", |figures| figures.retried > 0).await;
    let before = hung.requests()[0].clone();
    drop(first); // As kill -9: nothing more is written.
    log.collect(2, &[("a", 2.0)]);

    let sink = Sink::start(|_| status(204));
    let second = writers(Some(folder.path()));
    send(&second, &one(sink.address(), ""), &log).await;
    until(&second, "all sent", |figures| figures.sent == 3).await;
    let requests = sink.requests();
    assert_eq!(decoded(&requests[..1]), decoded(&[before]));
    assert_eq!(
        decoded(&requests[1..]),
        ["{__name__=\"a\",instance=\"a\"} 2 2"]
    );
    poll("it lets go of the log", Duration::from_secs(10), || {
        (log.held().get("sink") == Some(&2)).then_some(())
    });
    second.stop().await;

    // A third start has nothing to send again; one without the destination forgets it.
    let third = writers(Some(folder.path()));
    send(&third, &one(sink.address(), ""), &log).await;
    log.collect(3, &[("a", 3.0)]);
    until(&third, "the next", |figures| figures.sent == 1).await;
    assert_eq!(
        decoded(&sink.requests()[2..]),
        ["{__name__=\"a\",instance=\"a\"} 3 3"]
    );
    send(&third, "[]", &log).await;
    assert!(third.stats().is_empty() && log.held().is_empty());
    log.collect(4, &[("a", 4.0)]);
    send(&third, &one(sink.address(), ""), &log).await;
    log.collect(5, &[("a", 5.0)]);
    until(&third, "only what is new", |figures| figures.sent == 1).await;
    assert_eq!(
        decoded(&sink.requests()[3..]),
        ["{__name__=\"a\",instance=\"a\"} 5 5"]
    );
    third.stop().await;
}
