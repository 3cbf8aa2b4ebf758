use std::time::Duration;

use bellwether_collector::System;
use bellwether_collector::testing::{collect, resolve_type, with_context};
use bellwether_core::{Now, Rejection, SeriesBatch, UnixMillis};
use bellwether_schema::{Decode, DecodeContext, Diagnostics, parse};

use super::*;

const NOW: Now = Now {
    mono: bellwether_core::MonoMillis(1_000_000),
    wall: UnixMillis(1_700_000_000_000),
};

/// Mappings and values of settings in YAML.
fn intake(yaml: &str) -> Intake {
    let mut problems = Diagnostics::default();
    let mut decoding = DecodeContext::new(&mut problems, &|_| None);
    let settings = StatsdLines::decode(&parse(yaml).unwrap(), &mut decoding).unwrap();
    let plan = with_context(&System::default(), &mut problems, |context| Plan {
        origin: context.origin,
        endpoints: Vec::new(),
        dialect: settings.dialect,
        mappings: settings
            .mapping
            .resolve(context.problems, context.warnings)
            .unwrap(),
        accept: Accept::resolve(&settings.accept, context.problems).unwrap(),
        limits: CollectorLimits {
            series: 30,
            ..context.limits.clone()
        },
    });
    assert!(problems.is_empty());
    let mut intake = Intake::default();
    intake.configure(&plan);
    intake
}

/// Sorted series, and the rejected samples by reason.
fn filled(intake: &mut Intake, now: Now) -> (Vec<String>, Vec<(Rejection, u64)>) {
    let mut out = SeriesBatch::default();
    intake.fill(now, &mut out);
    let mut lines: Vec<String> = out.lines().collect();
    lines.sort();
    let rejected = out.rejected().iter();
    (
        lines,
        rejected.map(|(reason, count, _)| (reason, count)).collect(),
    )
}

fn taken(yaml: &str, packets: &[&str]) -> (Vec<String>, Vec<(Rejection, u64)>) {
    let mut intake = intake(yaml);
    for packet in packets {
        intake.packet(packet.as_bytes(), NOW);
    }
    filled(&mut intake, NOW)
}

const ALL: &str = "{accept: ['.*']}";

#[test]
fn lines_of_each_type_are_mapped_and_others_are_admitted() {
    let yaml = "{accept: ['web_.*'], mappings: [
        {match: 'api.*.time', name: api_seconds, labels: {endpoint: $1}, observer_type: histogram,
         histogram_options: {buckets: [0.1, 1]}, help: Time.},
        {match: 'api.*.size', name: 'api_${1}_bytes', scale: 1024},
        {match: 'debug.*', action: drop}]}";
    let (lines, rejected) = taken(
        yaml,
        &[
            "api.users.time:320|ms|@0.5\napi.users.time:2000:50|ms",
            "api.users.size:2|g\nweb.hits:3|c|#code:200,flag\nweb.hits:1|c|@0.5|#code:200\ndebug.x:1|c\nother:1|c",
        ],
    );
    assert_eq!(
        lines,
        [
            "api_seconds_bucket{endpoint=\"users\", le=\"+Inf\"} 4",
            "api_seconds_bucket{endpoint=\"users\", le=\"0.1\"} 1",
            "api_seconds_bucket{endpoint=\"users\", le=\"1\"} 3",
            "api_seconds_count{endpoint=\"users\"} 4",
            "api_seconds_sum{endpoint=\"users\"} 2.69",
            "api_users_bytes 2048",
            "web_hits{code=\"200\"} 5",
        ]
    );
    assert_eq!(rejected, [(Rejection::NotAccepted, 1)]);
}

#[test]
fn summaries_have_quantiles_over_a_window() {
    let mut intake = intake("{accept: ['.*'], defaults: {summary_options: {max_age: 60s}}}");
    intake.packet(b"t:1:2:3|h", NOW);
    let expected = [
        "t_count 3",
        "t_sum 6",
        "t{quantile=\"0.5\"} 2.03125",
        "t{quantile=\"0.9\"} 3",
        "t{quantile=\"0.99\"} 3",
    ];
    assert_eq!(filled(&mut intake, NOW).0, expected);
    let later = NOW.after(Duration::from_secs(120));
    let lines = filled(&mut intake, later).0;
    assert_eq!(
        lines[..3],
        ["t_count 3", "t_sum 6", "t{quantile=\"0.5\"} NaN"]
    );
}

#[test]
fn tags_in_each_style_are_labels_unless_the_mapping_has_them() {
    let mapping = "{mappings: [{match: m.*, name: m, labels: {env: $1}}, \
                   {match: h.*, name: h, labels: {env: $1}, honor_labels: true}], accept: ['.*']}";
    let (lines, rejected) = taken(
        mapping,
        &[
            "m.x:1|c|#env:tag,a:b",
            "h.x:1|c|#env:tag",
            "i,a=b:1|c\nl#a=b:1|c\ns[a=b].t:1|c",
            "d:1|c|#1st.tag:x,__name__:y,empty:",
            "i,a=b:1|c|#c:d",
        ],
    );
    assert_eq!(
        lines,
        [
            "d{_1st_tag=\"x\"} 1",
            "h{env=\"tag\"} 1",
            "i{a=\"b\"} 1",
            "l{a=\"b\"} 1",
            "m{a=\"b\", env=\"x\"} 1",
            "s_t{a=\"b\"} 1",
        ]
    );
    assert_eq!(rejected, [(Rejection::Malformed, 1)]);
}

#[test]
fn a_sign_is_a_step_for_clients_without_tags() {
    let (lines, _) = taken(ALL, &["g:10|g\ng:-3|g\ng:+1|g", "d:-3|g|#a:b\nd:-3|g|#a:b"]);
    assert_eq!(lines, ["d{a=\"b\"} -3", "g 8"]);
}

#[test]
fn one_line_may_have_several_samples() {
    let (lines, rejected) = taken(ALL, &["a:1|c:2|c|@0.5:3|c", "a:1|c:x", "b:1|c|c:ci-1"]);
    assert_eq!(lines, ["a 9", "b 1"]);
    assert_eq!(rejected, [(Rejection::Malformed, 1)]);
}

#[test]
fn what_is_wrong_is_rejected_and_costs_nothing_else() {
    let many = "a".repeat(1025);
    let (lines, rejected) = taken(
        ALL,
        &[
            "a:1|c\na:1|g\na:-1|c\na:nan|c\nb:inf|g\nc:1|c|T1600000000",
            "nonsense\nu:x|s\n_e{1,1}:a|b\nq:1|h|#quantile:0.5",
            &format!("l:1|c|#x:{many}"),
        ],
    );
    assert!(
        lines.contains(&"a 2".to_owned()) || lines.contains(&"a 1".to_owned()),
        "{lines:?}"
    );
    assert_eq!(
        rejected,
        [
            (Rejection::Type, 1),
            (Rejection::Invalid, 1),
            (Rejection::Malformed, 6),
            (Rejection::TooOld, 1)
        ]
    );
    assert!(lines.contains(&"q_count 1".to_owned()), "{lines:?}");
}

#[test]
fn series_are_bounded_and_end_with_their_time_to_live() {
    let mut intake = intake("{accept: ['.*'], defaults: {ttl: 60s}}");
    for number in 0..31 {
        intake.packet(format!("c{number}:1|c").as_bytes(), NOW);
    }
    let (lines, rejected) = filled(&mut intake, NOW);
    assert_eq!((lines.len(), rejected), (30, vec![(Rejection::Limit, 1)]));
    let later = NOW.after(Duration::from_secs(50));
    intake.packet(b"c0:1|c", later);
    let (lines, _) = filled(&mut intake, NOW.after(Duration::from_secs(61)));
    assert_eq!(lines, ["c0 2"]);
    // A summary has five series, and a name without series may get another type.
    for number in 1..8 {
        intake.packet(format!("c{number}:1|h").as_bytes(), later);
    }
    let (lines, rejected) = filled(&mut intake, later);
    assert_eq!((lines.len(), rejected), (26, vec![(Rejection::Limit, 2)]));
}

#[test]
fn wrong_settings_are_errors() {
    for (settings, expected) in [
        ("", "accepts no metrics\n  hint: set `accept: [\".*\"]`"),
        ("accept: ['(']", "invalid regular expression"),
        (
            "accept: [x], listen: '8125'",
            "not an address with a port: \"8125\"",
        ),
        (
            "accept: [x], listen_tcp: a",
            "not an address with a port: \"a\"",
        ),
        ("mappings: [{match: a}]", "a mapping without a name"),
    ] {
        let problems = resolve_type::<StatsdLines>(&format!("{{{settings}}}"));
        let problems = problems.err().unwrap_or_default();
        assert!(
            problems.len() == 1 && problems[0].contains(expected),
            "{settings}: {problems:?}"
        );
    }
    assert!(resolve_type::<StatsdLines>("{mapping_file: m.yml}").is_ok());
}

#[tokio::test]
async fn lines_over_sockets_are_collected_and_sockets_outlive_a_reload() {
    use tokio::io::AsyncWriteExt;

    let tcp = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let yaml = format!("{{accept: ['.*'], listen: '127.0.0.1:0', listen_tcp: '{tcp}'}}");
    let memory = Memory::default();
    let build = resolve_type::<StatsdLines>(&yaml).unwrap();
    let mut collector = build(&memory);
    let first = collect(&mut *collector, NOW).await;
    assert_eq!(first.failure, None);
    let mut client = tokio::net::TcpStream::connect(tcp).await.unwrap();
    client.write_all(b"a:1|c\n").await.unwrap();
    drop(collector);
    let mut collector = build(&memory);
    client.write_all(b"a:1|c\n").await.unwrap();
    let arrived = tokio::time::timeout(Duration::from_secs(20), async {
        while collect(&mut *collector, NOW).await.value("a") != Some(2.0) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    arrived.await.expect("both lines arrive");
}
