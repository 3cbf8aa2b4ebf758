use std::time::Duration;

use bellwether_collector::testing::{ORIGIN, collect, resolve_type};
use bellwether_core::{Now, Rejection, UnixMillis};

use super::*;

const NOW: Now = Now {
    mono: bellwether_core::MonoMillis(1_000_000),
    wall: UnixMillis(1_700_000_000_000),
};

/// Collects after packets; sorted series without those about the collector, and the rejected samples by reason.
async fn taken(settings: &str, packets: &[&str]) -> (Vec<String>, Vec<(Rejection, u64)>) {
    let memory = Memory::default();
    let yaml = format!("{{listen: '127.0.0.1:0', {settings}}}");
    let mut collector = resolve_type::<Graphite>(&yaml).unwrap()(&memory);
    let state: Arc<State> = memory.get(ORIGIN);
    for packet in packets {
        state.lines.receive(packet.as_bytes(), NOW);
    }
    let mut batch = Batch::default();
    collector.collect(&mut batch, NOW).await.unwrap();
    let lines = batch.series.lines();
    let mut lines: Vec<String> = lines
        .filter(|line| !line.starts_with("graphite_"))
        .collect();
    lines.sort();
    let rejected = batch.series.rejected().iter();
    (
        lines,
        rejected.map(|(reason, count, _)| (reason, count)).collect(),
    )
}

#[tokio::test]
async fn names_are_mapped_or_admitted_and_tags_are_labels() {
    let settings = "accept: ['servers_.*'], mappings: [
        {match: 'test.*.load', name: load, labels: {host: $1, kind: mapped}, scale: 0.5, help: Load.},
        {match: 'noise.*', action: drop}]";
    let (lines, rejected) = taken(
        settings,
        &[
            "test.a.load 4 1700000000\nservers.web-1.cpu;dc=x;1k=v;flag 0.5 1699999990\r\nnoise.x 1 1700000000\n",
            "test.b.load;kind=tag 1 -1\nservers.web-1.cpu;dc=x;1k=v 0.75 1700000000.5\nother.x 1 1700000000",
        ],
    )
    .await;
    assert_eq!(
        lines,
        [
            "load{host=\"a\", kind=\"mapped\"} 2",
            "load{host=\"b\", kind=\"mapped\"} 0.5",
            "servers_web_1_cpu{_1k=\"v\", dc=\"x\"} 0.75",
        ]
    );
    assert_eq!(rejected, [(Rejection::NotAccepted, 1)]);
}

#[tokio::test]
async fn wrong_and_old_samples_are_rejected() {
    let packet = "a 1\na x 1700000000\na nan 1700000000\na 1 now\na 1 1699999699\n\u{fffd}\na 1 1 1\na 7 1699999700";
    let (lines, rejected) = taken("accept: ['.*']", &[packet]).await;
    assert_eq!(lines, ["a 7"]);
    assert_eq!(
        rejected,
        [(Rejection::Malformed, 6), (Rejection::TooOld, 1)]
    );
}

#[tokio::test]
async fn wrong_settings_are_errors() {
    for (settings, expected) in [
        ("", "accepts no metrics"),
        ("accept: [x], listen: ':2003'", "not an address with a port"),
        ("accept: [x], ttl: 1s", "shorter than the interval: 1s"),
        ("accept: ['[']", "invalid regular expression"),
        ("accept: {a: b}", "expected a list"),
    ] {
        let problems = resolve_type::<Graphite>(&format!("{{{settings}}}"));
        let problems = problems.err().unwrap_or_default();
        assert!(
            problems.len() == 1 && problems[0].contains(expected),
            "{settings}: {problems:?}"
        );
    }
}

#[tokio::test]
async fn lines_arrive_over_tcp_and_udp_and_an_address_in_use_is_a_failure() {
    use tokio::io::AsyncWriteExt;

    let address = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let yaml = format!("{{accept: ['.*'], listen: '{address}'}}");
    let build = resolve_type::<Graphite>(&yaml).unwrap();
    let mut collector = build(&Memory::default());
    assert_eq!(collect(&mut *collector, NOW).await.failure, None);
    let mut second = build(&Memory::default());
    let (reason, detail) = collect(&mut *second, NOW).await.failure.unwrap();
    assert!(
        reason == "listen" && detail.contains(&format!("cannot listen on TCP {address}")),
        "{detail}"
    );
    let mut client = tokio::net::TcpStream::connect(address).await.unwrap();
    client.write_all(b"a 1 -1\n").await.unwrap();
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.send_to(b"b 2 -1", address).await.unwrap();
    let arrived = tokio::time::timeout(Duration::from_secs(20), async {
        loop {
            let collected = collect(&mut *collector, NOW).await;
            if (collected.value("a"), collected.value("b")) == (Some(1.0), Some(2.0)) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    arrived.await.expect("both arrive");
}
