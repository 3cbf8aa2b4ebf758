use std::io::Write;
use std::time::Duration;

use bellwether_core::{Rejection, SeriesBatch, UnixMillis};
use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;
use crate::pushed::testing;

const NOW: Now = Now {
    mono: bellwether_core::MonoMillis(1_000_000),
    wall: UnixMillis(1_700_000_000_000),
};

struct World {
    receiver: InfluxReceiver,
    memory: Memory,
}

impl World {
    fn new() -> Self {
        Self {
            receiver: InfluxReceiver {
                intake: testing::intake(&[".*"], 100),
            },
            memory: Memory::default(),
        }
    }

    /// Status and body of the answer.
    fn send(&self, target: &str, gzip: bool, body: &[u8]) -> (u16, String) {
        let mut request = Request::new(Bytes::copy_from_slice(body));
        *request.uri_mut() = target.parse().unwrap();
        if gzip {
            let value = HeaderValue::from_static("gzip");
            request.headers_mut().insert("content-encoding", value);
        }
        let response = self.receiver.receive(&self.memory, None, &request, NOW);
        let body = String::from_utf8(response.body().clone()).unwrap();
        (response.status().as_u16(), body)
    }

    fn lines(&self) -> Vec<String> {
        testing::lines(&self.receiver.intake, &self.memory, NOW)
    }
}

const DONE: (u16, String) = (204, String::new());

#[test]
fn a_field_is_a_metric_and_tags_are_labels() {
    let world = World::new();
    let text = "cpu,host=a,__name__=x,da-ta=1 usage_idle=1.5,up=t,text=\"x\" 1700000000000000000\n\
                load,host=a value=2i\n";
    assert_eq!(
        world.send("/write?db=telegraf", false, text.as_bytes()),
        DONE
    );
    assert_eq!(
        world.lines(),
        [
            "cpu_usage_idle{da_ta=\"1\", host=\"a\"} 1.5",
            "cpu_up{da_ta=\"1\", host=\"a\"} 1",
            "load{host=\"a\"} 2",
        ]
    );
}

#[test]
fn the_newest_point_counts_in_each_precision_and_old_ones_are_rejected() {
    for (precision, factor) in [
        ("ns", 1_000_000_000_i64),
        ("u", 1_000_000),
        ("ms", 1000),
        ("s", 1),
    ] {
        let world = World::new();
        let at = |age: i64| (1_700_000_000 - age) * factor;
        let text = format!(
            "m value=1 {}\nm value=2 {}\nm value=3 {}",
            at(0),
            at(10),
            at(301)
        );
        let target = format!("/api/v2/write?bucket=b&precision={precision}&org=o");
        assert_eq!(world.send(&target, false, text.as_bytes()), DONE);
        assert_eq!(world.lines(), ["m 1"], "{precision}");
    }
    let mut reader = Reader::new(
        Precision::parse("h").unwrap(),
        Duration::from_secs(300),
        1000,
        NOW.wall,
    );
    assert_eq!(
        reader.read("m value=3 1\nm value=1 9223372036854775807"),
        None
    );
    assert_eq!(reader.batch().rejected().count(Rejection::TooOld), 1);
    assert_eq!(reader.batch().lines().collect::<Vec<_>>(), ["m 1"]);
    assert_eq!(Precision::parse("day"), None);
}

#[test]
fn bodies_may_be_compressed_and_have_a_limit() {
    let world = World::new();
    let packed = |text: &str| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    };
    assert_eq!(world.send("/write", true, &packed("a value=1")), DONE);
    assert_eq!(world.lines(), ["a 1"]);
    let large = packed(&"#".repeat(11 << 20));
    assert_eq!(world.send("/write", true, &large).0, 413);
    assert_eq!(world.send("/write", true, b"no gzip").0, 400);
    assert_eq!(world.send("/write", false, b"\xff").0, 400);
}

#[test]
fn points_beside_a_wrong_one_are_taken_and_the_error_has_its_line() {
    let world = World::new();
    let text = b"a value=1\n\nb\nc value=x\nd value=2";
    let message = "partial write: line 3: missing fields: unable to parse 'b'";
    assert_eq!(
        world.send("/write", false, text),
        (400, format!("{{\"error\":\"{message}\"}}"))
    );
    assert_eq!(
        world.send("/api/v2/write", false, text),
        (
            400,
            format!("{{\"code\":\"invalid\",\"message\":\"{message}\"}}")
        )
    );
    assert_eq!(world.lines(), ["a 1", "d 2"]);
    let mut reader = Reader::new(Precision::parse("").unwrap(), Duration::MAX, 1000, NOW.wall);
    reader.read("b\nc value=x");
    let batch: &SeriesBatch = reader.batch();
    assert_eq!(batch.rejected().count(Rejection::Malformed), 2);
    let (status, body) = world.send("/write?precision=day", false, b"a value=1");
    assert_eq!(status, 400);
    assert!(body.contains("invalid precision"), "{body}");
}

#[test]
fn clients_that_look_for_the_server_find_it() {
    let world = World::new();
    assert_eq!(world.send("/ping", false, b""), DONE);
    let (status, body) = world.send("/query?q=CREATE+DATABASE+x", false, b"");
    assert_eq!(
        (status, body.as_str()),
        (200, r#"{"results":[{"statement_id":0}]}"#)
    );
}

#[test]
fn a_long_name_shared_by_many_fields_is_no_more_than_the_limit_in_memory() {
    let mut reader = Reader::new(Precision::parse("").unwrap(), Duration::MAX, 5000, NOW.wall);
    let fields: Vec<String> = (0..100).map(|field| format!("f{field}=1")).collect();
    reader.read(&format!("{} {}", "m".repeat(1000), fields.join(",")));
    assert_eq!(reader.batch().len(), 2);
    assert_eq!(reader.batch().rejected().count(Rejection::Limit), 98);
}
