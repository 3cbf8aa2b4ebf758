//! `StatsD` and `DogStatsD` through a real socket.

use std::io;
use std::net::UdpSocket;
use std::time::{Duration, Instant};

use bellwether_collectors::application::{Statsd, StatsdListener};
use bellwether_recorder::Recorder;
use bellwether_runtime::Clock;
use bellwether_schema::{Decode, DecodeContext, Diagnostics};

use super::{recorder, recorder_of, rejected, values};

fn settings(yaml: &str) -> Statsd {
    let mut problems = Diagnostics::default();
    let node = bellwether_schema::parse(&format!("{{listen: '127.0.0.1:0', {yaml}}}")).unwrap();
    Statsd::decode(&node, &mut DecodeContext::new(&mut problems, &|_| None)).unwrap()
}

fn start(settings: &Statsd, recorder: Recorder) -> io::Result<StatsdListener> {
    let clock = Clock::start();
    StatsdListener::start(settings, recorder, move || clock.now().wall)
}

/// Sends the packets one by one and waits until all of them were taken.
fn send(listener: &StatsdListener, packets: &[&[u8]]) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let (before, _) = listener.received();
    for (sent, packet) in packets.iter().enumerate() {
        socket.send_to(packet, listener.address().unwrap()).unwrap();
        let deadline = Instant::now() + Duration::from_secs(20);
        while listener.received().0 <= before + sent as u64 {
            assert!(
                Instant::now() < deadline,
                "a packet did not arrive: {packet:?}"
            );
            std::thread::yield_now();
        }
    }
}

fn deliver(yaml: &str, packets: &[&str]) -> Recorder {
    let recorder = recorder();
    let listener = start(&settings(yaml), recorder.clone()).unwrap();
    send(
        &listener,
        &packets
            .iter()
            .map(|packet| packet.as_bytes())
            .collect::<Vec<_>>(),
    );
    listener.stop();
    recorder
}

#[test]
fn each_type_of_line_is_recorded_in_the_metric_s_unit() {
    let recorder = deliver(
        "",
        &[
            "events:3|c\nevents:0.5|c\n",
            "queue_length:10|g|#queue_name:q\nqueue_length:+8|g|#queue_name:q",
            "queue_processing_time:320|ms|#queue_name:q\r\nqueue_processing_time:2|h|#queue_name:q",
            "latency:1:2:3|d|#op:x",
        ],
    );
    assert_eq!(values(&recorder, "events{}"), [3.5]);
    assert_eq!(values(&recorder, "queue_length{q}"), [8.0]);
    assert_eq!(
        values(&recorder, "queue_processing_time{q}"),
        [1.0, 2.0, 2.32]
    );
    assert_eq!(values(&recorder, "latency{x}")[1..], [3.0, 3.0, 6.0]);
    assert_eq!(rejected(&recorder), [].into());
}

#[test]
fn a_sign_is_part_of_a_gauge_or_a_step_by_the_dialect() {
    let plain = "mappings: [{match: g.*, metric: queue_length, labels: {queue_name: $1}}]";
    let twice = ["g.q:-5|g", "g.q:-5|g"];
    let tagged = [
        "queue_length:-5|g|#queue_name:q",
        "other:1|c|#a\nqueue_length:-5|g|#queue_name:q",
    ];
    for (dialect, packets, expected) in [
        ("auto", twice, -10.0),
        ("statsd", twice, -10.0),
        ("dogstatsd", twice, -5.0),
        ("auto", tagged, -5.0),
        ("dogstatsd", tagged, -5.0),
        ("statsd", tagged, -10.0),
    ] {
        let recorder = deliver(&format!("dialect: {dialect}, {plain}"), &packets);
        assert_eq!(
            values(&recorder, "queue_length{q}"),
            [expected],
            "{dialect} {packets:?}"
        );
    }
    // Lines without tags beside one that has them are of the same client.
    let recorder = deliver(plain, &["g.q:-5|g\nevents:1|c|#flag\ng.q:-5|g"]);
    assert_eq!(values(&recorder, "queue_length{q}"), [-5.0]);
}

#[test]
fn a_tag_without_a_value_costs_nothing() {
    let recorder = deliver(
        "ignored_tags: [env]",
        &[
            "cache_hits:1|c|#env,cache_name:x,production",
            "cache_hits:2|c|#cache_name",
        ],
    );
    assert_eq!(values(&recorder, "cache_hits{x}"), [1.0]);
    assert_eq!(values(&recorder, "cache_hits{}"), [2.0]);
    assert_eq!(rejected(&recorder), [].into());
}

#[test]
fn values_of_another_time_are_rejected() {
    let now = Clock::start().now().wall.0 / 1000;
    let recorder = deliver("", &[&format!("events:1|c|T{now}\nevents:2|c|T1656581400")]);
    assert_eq!(values(&recorder, "events{}"), [1.0]);
    assert_eq!(rejected(&recorder), [("timestamp", 1)].into());
}

#[test]
fn sample_rates_scale_counters_and_observations() {
    let recorder = deliver(
        "",
        &[
            "events:2|c|@0.1",
            "queue_processing_time:500|ms|@0.25|#queue_name:q",
        ],
    );
    assert_eq!(values(&recorder, "events{}"), [20.0]);
    assert_eq!(
        values(&recorder, "queue_processing_time{q}"),
        [4.0, 4.0, 2.0]
    );
}

#[test]
fn dotted_names_are_mapped_with_labels() {
    let recorder = deliver(
        "mappings: [
            {match: api.*.*.time, metric: api_request_duration,
             labels: {endpoint: '/$1', method: $2}},
            {match: cache.*.bytes, metric: cache_size, labels: {cache_name: $1}, scale: 0.5}],
         ignored_tags: [env]",
        &[
            "api.users.get.time:250|ms|#status:200,env:prod",
            "cache.c.bytes:300|g",
            "cache.hits:1|c|#cache-name:x",
        ],
    );
    assert_eq!(
        values(&recorder, "api_request_duration{/users,get,200}"),
        [1.0, 1.0, 0.25]
    );
    assert_eq!(values(&recorder, "cache_size{c}"), [150.0]);
    assert_eq!(values(&recorder, "cache_hits{x}"), [1.0]);
    assert_eq!(rejected(&recorder), [].into());
}

#[test]
fn rejected_lines_are_counted_by_reason_and_stop_no_other() {
    let recorder = deliver(
        "",
        &[
            "_e{5,4}:title|text\n_sc|up|0\nusers:bob|s\nnope:1|c\ngarbage\nevents:x|c\nevents:-1|c\n\
           events:1|g\nevents:1|c|#env:prod\ncache_hits:1|c\nevents:1|c|@7\nevents:1|c",
        ],
    );
    let expected = [
        ("unsupported", 3),
        ("unknown_metric", 1),
        ("malformed", 2),
        ("not_a_number", 1),
        ("negative_counter", 1),
        ("wrong_kind", 1),
        ("unknown_label", 1),
        ("missing_label", 1),
    ];
    assert_eq!(rejected(&recorder), expected.into());
    assert_eq!(values(&recorder, "events{}"), [1.0]);
}

#[test]
fn random_bytes_leave_it_listening() {
    let recorder = recorder();
    let listener = start(&settings(""), recorder.clone()).unwrap();
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for _ in 0..500 {
        let length = 1 + random() as usize % 9_000;
        let packet: Vec<u8> = (0..length).map(|_| random() as u8).collect();
        send(&listener, &[&packet]);
    }
    send(&listener, &[b"events:1|c"]);
    assert_eq!(values(&recorder, "events{}"), [1.0]);
    assert!(rejected(&recorder)["malformed"] >= 500);
    assert_eq!(listener.received().0, 501);
}

#[test]
fn one_port_two_listeners_is_an_error() {
    let first = start(&settings(""), recorder()).unwrap();
    let mut taken = settings("");
    taken.listen = first.address().unwrap().to_string().into();
    let error = start(&taken, recorder()).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
    first.stop();
    start(&taken, recorder()).unwrap().stop();
}

#[test]
fn a_reload_changes_mappings_and_keeps_the_socket() {
    let old = recorder();
    let listener = start(&settings(""), old.clone()).unwrap();
    send(&listener, &[b"events:1|c", b"a.b:1|c"]);
    let new = recorder_of("- {name: events, type: counter}");
    new.adopt(&old);
    let other = settings("receive_buffer: 100000, mappings: [{match: a.*, metric: events}]");
    assert!(listener.serves(&other));
    listener.retarget(&other);
    send(&listener, &[b"events:1|c", b"a.b:1|c"]);
    assert_eq!(values(&new, "events{}"), [3.0]);
    let mut elsewhere = settings("");
    elsewhere.listen = "127.0.0.1:1".to_owned().into();
    assert!(!listener.serves(&elsewhere));
    assert_eq!(listener.received(), (4, 4));
}
