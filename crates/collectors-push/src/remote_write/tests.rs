use bellwether_collector::Relabeling;
use bellwether_core::{Kind, Labels, METRIC_NAME, UnixMillis, staleness_marker};
use bellwether_exposition::remote_write::{
    BucketSpan, Histogram, Label, Metadata as MetadataV2, MetricMetadata, Request as RequestV2,
    Sample, TimeSeries, TimeSeriesV2, WriteRequest,
};
use bellwether_relabel::Relabel;
use proptest::prelude::*;
use prost::Message;

use super::*;
use crate::pushed::testing::{families, intake, lines};
use crate::request::testing::Samples;

const NOW: i64 = 1_700_000_000_000;

struct Peer {
    receiver: SampleReceiver,
    memory: Memory,
    history: Samples,
    now: Now,
}

impl Peer {
    fn new(accept: &str) -> Self {
        Self {
            receiver: SampleReceiver {
                intake: intake(&[accept], 10).with_times(),
                relabeler: Mutex::default(),
            },
            memory: Memory::default(),
            history: Samples::default(),
            now: Now::default().at(UnixMillis(NOW)),
        }
    }

    fn post(&self, content_type: &str, body: Vec<u8>) -> Response<Vec<u8>> {
        let mut request = Request::new(Bytes::from(body));
        let headers = request.headers_mut();
        headers.insert(CONTENT_ENCODING, "snappy".parse().unwrap());
        headers.insert(CONTENT_TYPE, content_type.parse().unwrap());
        self.receiver
            .receive(&self.memory, Some(&self.history), &request, self.now)
    }

    fn send(&self, message: &impl Message, proto: &str) -> Response<Vec<u8>> {
        let body = snap::raw::Encoder::new().compress_vec(&message.encode_to_vec());
        self.post(
            &format!("application/x-protobuf;proto={proto}"),
            body.unwrap(),
        )
    }

    fn send_v1(&self, request: &WriteRequest) -> Response<Vec<u8>> {
        self.send(request, "prometheus.WriteRequest")
    }

    fn send_v2(&self, request: &RequestV2) -> Response<Vec<u8>> {
        self.send(request, "io.prometheus.write.v2.Request")
    }

    /// Returns the samples of history, as series, age and value.
    fn past(&self) -> Vec<String> {
        let samples = self.history.0.borrow();
        let samples = samples.iter();
        samples
            .map(|(series, at, value)| format!("{series} {} {value}", NOW - at.0))
            .collect()
    }

    fn lines(&self) -> Vec<String> {
        lines(&self.receiver.intake, &self.memory, self.now)
    }
}

fn sample(value: f64, age: i64) -> Sample {
    Sample {
        value,
        timestamp: NOW - age,
        start_timestamp: 0,
    }
}

fn series(name: &str, labels: &[(&str, &str)], samples: &[Sample]) -> TimeSeries {
    let pairs = [(METRIC_NAME, name)]
        .into_iter()
        .chain(labels.iter().copied());
    let labels = pairs.map(|(name, value)| Label {
        name: name.into(),
        value: value.into(),
    });
    TimeSeries {
        labels: labels.collect(),
        samples: samples.to_vec(),
        histograms: Vec::new(),
    }
}

fn write(timeseries: &[TimeSeries]) -> WriteRequest {
    WriteRequest {
        timeseries: timeseries.to_vec(),
        metadata: Vec::new(),
    }
}

fn text(response: &Response<Vec<u8>>) -> String {
    String::from_utf8(response.body().clone()).unwrap()
}

#[test]
fn the_newest_sample_of_each_series_is_collected_until_its_end() {
    let peer = Peer::new(".*");
    let up = |value, age| {
        series(
            "up",
            &[("job", "a")],
            &[sample(0.0, 2000), sample(value, age)],
        )
    };
    let request = write(&[up(1.0, 1000), series("down", &[], &[sample(2.0, 0)])]);
    assert_eq!(peer.send_v1(&request).status(), StatusCode::NO_CONTENT);
    assert_eq!(peer.lines(), ["up{job=\"a\"} 1", "down 2"]);
    let ended = write(&[up(staleness_marker(), 0)]);
    assert_eq!(peer.send_v1(&ended).status(), StatusCode::NO_CONTENT);
    assert_eq!(peer.lines(), ["down 2"]);
}

#[test]
fn all_samples_go_to_history_at_their_times() {
    const HOUR: i64 = 3_600_000;
    let peer = Peer::new("up|down|h");
    let request = write(&[
        series(
            "up",
            &[],
            &[sample(1.0, 25 * HOUR), sample(2.0, HOUR), sample(3.0, 0)],
        ),
        // It has no current value: none came within the time to live.
        series("down", &[], &[sample(4.0, 2 * HOUR), sample(5.0, HOUR)]),
        series("other", &[], &[sample(6.0, 0), sample(7.0, 0)]),
    ]);
    let response = peer.send_v1(&request);
    assert_eq!(
        response.status(),
        StatusCode::NO_CONTENT,
        "{}",
        text(&response)
    );
    assert_eq!(peer.lines(), ["up 3"]);
    assert_eq!(
        peer.past(),
        ["up 3600000 2", "up 0 3", "down 7200000 4", "down 3600000 5"]
    );
    // The newest one counts, whatever the order.
    let samples = [sample(8.0, 1000), sample(staleness_marker(), 2000)];
    peer.send_v1(&write(&[series("down", &[], &samples)]));
    assert_eq!(peer.lines(), ["up 3", "down 8"]);
    let ended = series("down", &[], &[sample(staleness_marker(), 0)]);
    peer.send_v1(&write(&[ended]));
    assert_eq!(peer.lines(), ["up 3"]);
    assert_eq!(
        peer.past()[4..],
        ["down 1000 8", "down 2000 NaN", "down 0 NaN"]
    );
}

#[test]
fn a_sample_of_the_future_is_rejected() {
    let peer = Peer::new("up");
    let at = |age| write(&[series("up", &[], &[sample(9.0, age)])]);
    let response = peer.send_v1(&at(-600_001));
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    let reason = text(&response);
    assert!(reason.contains("ahead of this host's clock"), "{reason}");
    assert_eq!(peer.send_v1(&at(-600_000)).status(), StatusCode::NO_CONTENT);
    assert_eq!(peer.past(), ["up -600000 9"]);
}

#[test]
fn without_history_samples_are_rejected_after_the_time_to_live() {
    let peer = Peer::new("up");
    let old = write(&[series("up", &[], &[sample(1.0, 300_001)])]);
    let mut request = Request::new(Bytes::from(
        snap::raw::Encoder::new()
            .compress_vec(&old.encode_to_vec())
            .unwrap(),
    ));
    let headers = request.headers_mut();
    headers.insert(CONTENT_TYPE, "application/x-protobuf".parse().unwrap());
    let Peer {
        receiver,
        memory,
        now,
        ..
    } = &peer;
    let response = receiver.receive(memory, None, &request, *now);
    assert_eq!(response.status(), StatusCode::NO_CONTENT);
    let collected = receiver.intake.collect(memory, *now);
    assert_eq!(collected.rejected().count(Rejection::TooOld), 1);
}

#[test]
fn samples_for_history_are_relabeled_as_those_that_are_collected() {
    let mut peer = Peer::new("up");
    let labels = Labels::from([("team".to_owned(), "db".to_owned())]);
    let relabeling = Relabeling::new(labels, Relabel::default());
    peer.receiver.relabeler = Mutex::new(Relabeler::new(relabeling.into()));
    let up = series("up", &[], &[sample(1.0, 1000), sample(2.0, 0)]);
    peer.send_v1(&write(&[up]));
    assert_eq!(
        peer.past(),
        ["up{team=\"db\"} 1000 1", "up{team=\"db\"} 0 2"]
    );
}

#[test]
fn native_histograms_go_to_history_as_classic_ones_with_their_end() {
    let peer = Peer::new("h");
    let native = |sum: f64, count_int: u64, age: i64| Histogram {
        count_int,
        sum,
        positive_spans: vec![BucketSpan {
            offset: 1,
            length: 1,
        }],
        positive_deltas: vec![count_int as i64],
        timestamp: NOW - age,
        ..Histogram::default()
    };
    let send = |histograms: &[Histogram]| {
        let mut of = series("h", &[], &[]);
        of.histograms = histograms.iter().map(Message::encode_to_vec).collect();
        assert_eq!(peer.send_v1(&write(&[of])).status(), StatusCode::NO_CONTENT);
    };
    send(&[native(5.0, 1, 400_000), native(6.0, 2, 1000)]);
    let lines = peer.lines();
    assert!(lines.contains(&"h_count 2".to_owned()), "{lines:?}");
    let of = |series: &str| -> Vec<String> {
        let mut past = peer.past();
        past.retain(|sample| sample.starts_with(series));
        past
    };
    assert_eq!(of("h_count"), ["h_count 400000 1", "h_count 1000 2"]);
    assert_eq!(of("h_sum"), ["h_sum 400000 5", "h_sum 1000 6"]);
    send(&[native(staleness_marker(), 0, 0)]);
    assert_eq!(peer.lines(), [""; 0]);
    for name in ["h_count", "h_sum", "h_bucket{le=\"+Inf\"}"] {
        assert_eq!(of(name)[2..], [format!("{name} 0 NaN")]);
    }
}

#[test]
fn series_of_the_past_alone_are_limited_too() {
    let peer = Peer::new(".*");
    let many: Vec<TimeSeries> = (0..11)
        .map(|number| series(&format!("x{number}"), &[], &[sample(1.0, 1_000_000)]))
        .collect();
    let response = peer.send_v1(&write(&many));
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    assert_eq!((peer.past().len(), peer.lines().len()), (10, 0));
}

#[test]
fn a_long_symbol_that_a_series_repeats_counts_each_time() {
    let mut peer = Peer::new(".*");
    peer.receiver.intake = intake(&[".*"], 10).with_bytes(1000);
    let symbols = ["", METRIC_NAME, "up", "a", &"b".repeat(400)];
    let series = |times: usize| TimeSeriesV2 {
        labels_refs: [vec![1, 2], [3, 4].repeat(times)].concat(),
        samples: vec![sample(1.0, 0)],
        ..TimeSeriesV2::default()
    };
    let request = |times: usize| RequestV2 {
        symbols: symbols.map(str::to_owned).to_vec(),
        timeseries: vec![series(times)],
    };
    let response = peer.send_v2(&request(3));
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    let reason = text(&response);
    assert!(reason.contains("a series with too many labels"), "{reason}");
    assert_eq!((peer.lines().len(), peer.past().len()), (0, 0));
    assert_eq!(peer.send_v2(&request(1)).status(), StatusCode::NO_CONTENT);
    assert_eq!(peer.lines().len(), 1);
}

#[test]
fn a_type_of_version_1_comes_later_and_is_that_of_the_family() {
    let peer = Peer::new("t_seconds.*|jobs_total");
    let samples = [
        series("t_seconds_bucket", &[("le", "+Inf")], &[sample(3.0, 0)]),
        series("t_seconds_count", &[], &[sample(3.0, 0)]),
        series("jobs_total", &[], &[sample(4.0, 0)]),
    ];
    peer.send_v1(&write(&samples));
    // The counter is named as OpenMetrics does.
    let metadata = [(3, "t_seconds"), (1, "jobs"), (2, "not_accepted")];
    let metadata = metadata.map(|(kind, name)| MetricMetadata {
        r#type: kind,
        metric_family_name: name.into(),
        help: "Help.".into(),
    });
    let request = WriteRequest {
        timeseries: Vec::new(),
        metadata: metadata.to_vec(),
    };
    peer.send_v1(&request);
    peer.send_v1(&write(&samples));
    assert_eq!(
        families(&peer.receiver.intake, &peer.memory, peer.now),
        [
            ("t_seconds".to_owned(), Some(Kind::Histogram)),
            ("jobs_total".to_owned(), Some(Kind::Counter))
        ]
    );
}

#[test]
fn a_request_of_version_2_has_types_and_native_histograms() {
    let peer = Peer::new(".*");
    let symbols = ["", METRIC_NAME, "h", "Help.", "jobs_total", "a", "b"];
    let native = Histogram {
        count_int: 3,
        sum: 6.0,
        positive_spans: vec![BucketSpan {
            offset: 1,
            length: 2,
        }],
        positive_deltas: vec![1, 1],
        timestamp: NOW,
        ..Histogram::default()
    };
    let request = RequestV2 {
        symbols: symbols.map(str::to_owned).to_vec(),
        timeseries: vec![
            TimeSeriesV2 {
                labels_refs: vec![1, 2],
                histograms: vec![native.encode_to_vec()],
                ..TimeSeriesV2::default()
            },
            TimeSeriesV2 {
                labels_refs: vec![1, 4, 5, 6],
                samples: vec![sample(1.0, 10), sample(2.0, 0)],
                metadata: Some(MetadataV2 {
                    r#type: 1,
                    help_ref: 3,
                    unit_ref: 0,
                }),
                ..TimeSeriesV2::default()
            },
            TimeSeriesV2 {
                labels_refs: vec![1, 99],
                samples: vec![sample(1.0, 0)],
                ..TimeSeriesV2::default()
            },
        ],
    };
    let response = peer.send_v2(&request);
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    assert!(text(&response).contains("a reference to no symbol"));
    let written = |what: &str| {
        let name = format!("x-prometheus-remote-write-{what}-written");
        response.headers()[&name].to_str().unwrap().to_owned()
    };
    assert_eq!(
        ["samples", "histograms", "exemplars"].map(written),
        ["2", "1", "0"]
    );
    assert_eq!(
        peer.lines(),
        [
            "jobs_total{a=\"b\"} 2",
            "h_bucket{le=\"0\"} 0",
            "h_bucket{le=\"2\"} 1",
            "h_bucket{le=\"4\"} 3",
            "h_bucket{le=\"+Inf\"} 3",
            "h_sum 6",
            "h_count 3",
        ]
    );
}

#[test]
fn only_invalid_samples_are_an_error_of_the_client() {
    let peer = Peer::new("up|x-y");
    let left_out = write(&[
        series("down", &[], &[sample(1.0, 0)]),
        series("up", &[], &[sample(1.0, 24 * 3_600_000 + 1)]),
    ]);
    let response = peer.send_v1(&left_out);
    assert_eq!(
        (response.status(), peer.lines().len()),
        (StatusCode::NO_CONTENT, 0)
    );
    let invalid = write(&[
        series("x-y", &[], &[sample(1.0, 0)]),
        series("up", &[("a", "1"), ("a", "2")], &[sample(1.0, 0)]),
        series("up", &[], &[sample(1.0, 0)]),
    ]);
    let response = peer.send_v1(&invalid);
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    assert!(
        text(&response).starts_with("rejected 2 samples, such as "),
        "{}",
        text(&response)
    );
    assert_eq!(peer.lines(), ["up 1"]);
}

#[test]
fn what_is_no_message_is_rejected_with_its_status() {
    let peer = Peer::new(".*");
    let snappy = |bytes: &[u8]| snap::raw::Encoder::new().compress_vec(bytes).unwrap();
    let large = snappy(&vec![0; (10 << 20) + 1]);
    let protobuf = "application/x-protobuf";
    for (content_type, body, status) in [
        ("application/json", Vec::new(), 415),
        ("application/x-protobuf;proto=other", Vec::new(), 415),
        (protobuf, b"\xff".to_vec(), 400),
        (protobuf, snappy(b"\xff"), 400),
        (protobuf, large, 413),
    ] {
        let response = peer.post(content_type, body);
        assert_eq!(response.status().as_u16(), status, "{}", text(&response));
    }
    let mut gzip = Request::new(Bytes::new());
    gzip.headers_mut()
        .insert(CONTENT_ENCODING, "gzip".parse().unwrap());
    let response = peer.receiver.receive(&peer.memory, None, &gzip, peer.now);
    assert_eq!(response.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
}

proptest! {
    #[test]
    fn any_message_is_answered(bytes: Vec<u8>, version: bool) {
        let peer = Peer::new(".*");
        let body = snap::raw::Encoder::new().compress_vec(&bytes).unwrap();
        let proto = match version {
            true => "application/x-protobuf",
            false => "application/x-protobuf;proto=io.prometheus.write.v2.Request",
        };
        peer.post(proto, body);
        peer.post(proto, bytes);
        prop_assert!(peer.lines().len() <= 10);
    }

    #[test]
    fn any_native_histogram_has_few_series(
        schema: i32, offsets: Vec<(i32, u32)>, deltas: Vec<i64>, threshold: f64
    ) {
        let spans = offsets.iter().map(|(offset, length)| BucketSpan { offset: *offset, length: *length });
        let histogram = Histogram {
            schema,
            zero_threshold: threshold,
            positive_spans: spans.clone().collect(),
            positive_deltas: deltas.clone(),
            negative_spans: spans.collect(),
            negative_deltas: deltas,
            ..Histogram::default()
        };
        prop_assert!(histogram.classic().len() <= 321);
    }
}
