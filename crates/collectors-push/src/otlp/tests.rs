use std::io::Write;

use bellwether_core::UnixMillis;
use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE};
use proptest::prelude::*;
use prost::Message as _;
use serde_json::{Value as Json, json};

use super::*;
use crate::pushed::testing::{intake, lines};

struct Peer {
    exporter: Exporter,
    memory: Memory,
    now: Now,
}

impl Peer {
    fn new() -> Self {
        Self {
            exporter: Exporter {
                intake: intake(&["a|t"], 5),
                labeling: Labeling::default(),
                reading: Arc::default(),
            },
            memory: Memory::default(),
            now: Now::default().at(UnixMillis(1_700_000_000_000)),
        }
    }

    fn post(&self, content_type: &str, encoding: &str, body: Vec<u8>) -> Response<Vec<u8>> {
        let mut request = Request::new(Bytes::from(body));
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, content_type.parse().unwrap());
        headers.insert(CONTENT_ENCODING, encoding.parse().unwrap());
        self.exporter
            .receive(&self.memory, None, &request, self.now)
    }

    fn lines(&self) -> Vec<String> {
        lines(&self.exporter.intake, &self.memory, self.now)
    }
}

fn request(metrics: &Json) -> Json {
    json!({"resourceMetrics": [{"scopeMetrics": [{"metrics": metrics}]}]})
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn json_and_protobuf_say_the_same_compressed_or_not() {
    let metrics = json!([
        {"name": "a", "gauge": {"dataPoints": [{"asInt": "1"}]}},
        {"name": "b", "gauge": {"dataPoints": [{"asInt": "2"}, {"asDouble": 3}]}},
    ]);
    let json = request(&metrics).to_string().into_bytes();
    let protobuf = json::to_protobuf(&json, &message::REQUEST).unwrap();
    for encoding in ["identity", "gzip"] {
        let body = |bytes: &[u8]| match encoding {
            "gzip" => gzip(bytes),
            _ => bytes.to_vec(),
        };
        let peer = Peer::new();
        let answer = peer.post("application/json", encoding, body(&json));
        let answer: Json = serde_json::from_slice(answer.body()).unwrap();
        let partial = &answer["partialSuccess"];
        assert_eq!(partial["rejectedDataPoints"], "2");
        let why =
            "rejected 2 samples, such as b: no pattern of `accept` matches the name of the metric";
        assert_eq!(partial["errorMessage"], why);
        assert_eq!(peer.lines(), ["a 1"]);

        let peer = Peer::new();
        let answer = peer.post("application/x-protobuf", encoding, body(&protobuf));
        assert_eq!(answer.headers()[CONTENT_TYPE], "application/x-protobuf");
        let answer = ExportResponse::decode(&answer.body()[..]).unwrap();
        let partial = answer.partial_success.unwrap();
        assert_eq!(
            (partial.rejected_data_points, &*partial.error_message),
            (2, why)
        );
        assert_eq!(peer.lines(), ["a 1"]);
    }
}

#[test]
fn what_is_no_request_is_rejected_with_its_status() {
    let peer = Peer::new();
    let bomb = gzip(&vec![b' '; (10 << 20) + 1]);
    for (content_type, encoding, body, status) in [
        ("text/plain", "identity", b"{}".to_vec(), 415),
        ("application/json", "zstd", b"{}".to_vec(), 415),
        ("application/json", "identity", b"{".to_vec(), 400),
        ("application/json", "gzip", b"{}".to_vec(), 400),
        ("application/json", "gzip", bomb, 413),
        ("application/x-protobuf", "identity", b"\xff".to_vec(), 400),
    ] {
        let response = peer.post(content_type, encoding, body);
        let text = String::from_utf8_lossy(response.body()).into_owned();
        assert_eq!(response.status().as_u16(), status, "{text}");
    }
}

#[test]
fn a_histogram_that_does_not_fit_counts_as_one_point() {
    let peer = Peer::new();
    let point = json!({"count": "1", "sum": 1, "bucketCounts": ["1", "0", "0", "0"], "explicitBounds": [1, 2, 3]});
    let metrics =
        json!([{"name": "t", "histogram": {"aggregationTemporality": 2, "dataPoints": [point]}}]);
    let answer = peer.post(
        "application/json",
        "identity",
        request(&metrics).to_string().into(),
    );
    let answer: Json = serde_json::from_slice(answer.body()).unwrap();
    assert_eq!(answer["partialSuccess"]["rejectedDataPoints"], "1");
}

proptest! {
    #[test]
    fn any_body_is_answered(bytes: Vec<u8>) {
        let peer = Peer::new();
        for media in ["application/json", "application/x-protobuf"] {
            peer.post(media, "identity", bytes.clone());
            peer.post(media, "gzip", bytes.clone());
        }
        prop_assert!(peer.lines().is_empty());
    }
}
