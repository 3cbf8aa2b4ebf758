use std::time::Duration;

use bellwether_collector::Memory;
use bellwether_core::Rejected;
use serde_json::{Value as Json, json};

use super::super::json;
use super::super::message::REQUEST;
use super::*;
use crate::pushed::testing::{families, intake, lines};

const NOW: u64 = 1_700_000_000_000_000_000;

struct Peer {
    intake: Intake,
    labeling: Labeling,
    totals: Totals,
    memory: Memory,
    now: Now,
}

impl Peer {
    fn new(accept: &str) -> Self {
        Self {
            intake: intake(&[accept], 100),
            labeling: Labeling::default(),
            totals: Totals::default(),
            memory: Memory::default(),
            now: Now::default().at(UnixMillis(1_700_000_000_000)),
        }
    }

    /// Pushes metrics in JSON, of a resource with these attributes. Returns what is rejected.
    fn push(&mut self, attributes: &Json, metrics: &Json) -> Rejected {
        let request = json!({"resourceMetrics": [{
            "resource": {"attributes": attributes},
            "scopeMetrics": [{"scope": {"name": "lib", "version": "1"}, "metrics": metrics}],
        }]});
        let request = json::to_protobuf(request.to_string().as_bytes(), &REQUEST).unwrap();
        let mut translator = Translator {
            labeling: &self.labeling,
            intake: &self.intake,
            totals: &mut self.totals,
            now: self.now,
            batch: SeriesBatch::within(100_000),
            points: 0,
        };
        translator.translate(REQUEST.check(&request).unwrap());
        let batch = translator.batch;
        self.intake.push(&self.memory, &batch, self.now)
    }

    fn lines(&self) -> Vec<String> {
        lines(&self.intake, &self.memory, self.now)
    }
}

fn attribute(key: &str, value: &str) -> Json {
    json!({"key": key, "value": {"stringValue": value}})
}

#[test]
fn numbers_are_gauges_and_counters_with_units_in_their_names() {
    let mut peer = Peer::new(".*");
    let attributes = [
        json!({"key": "http.route", "value": {"stringValue": "/"}}),
        json!({"key": "http_route", "value": {"intValue": "7"}}),
        json!({"key": "list", "value": {"arrayValue": {"values": [{"boolValue": true}, {"doubleValue": 0.5}]}}}),
    ];
    let rejected = peer.push(
        &json!([]),
        &json!([
            {"name": "queue.size", "unit": "1", "gauge": {"dataPoints": [{"asDouble": "NaN", "timeUnixNano": NOW.to_string()}]}},
            {"name": "io", "unit": "By", "description": "Bytes.", "sum": {
                "aggregationTemporality": 2, "isMonotonic": true,
                "dataPoints": [{"asInt": "5", "attributes": attributes}]}},
            {"name": "active", "sum": {"aggregationTemporality": 2, "dataPoints": [{"asInt": -3}]}},
        ]),
    );
    assert_eq!(rejected, Rejected::default());
    assert_eq!(
        peer.lines(),
        [
            "queue_size_ratio NaN",
            "io_bytes_total{http_route=\"/;7\", list=\"[true,0.5]\"} 5",
            "active -3"
        ]
    );
    let kinds = families(&peer.intake, &peer.memory, peer.now);
    let kinds: Vec<_> = kinds.into_iter().map(|(_, kind)| kind).collect();
    assert_eq!(kinds, [Kind::Gauge, Kind::Counter, Kind::Gauge].map(Some));
}

#[test]
fn a_resource_is_job_and_instance_and_target_info() {
    let mut peer = Peer::new(".*");
    peer.labeling = Labeling {
        promoted: vec!["host.name".into()],
        scope: true,
    };
    let resource = json!([
        attribute("service.name", "shop"),
        attribute("service.namespace", "web"),
        attribute("service.instance.id", "a:1"),
        attribute("host.name", "h"),
    ]);
    // The point does not decide whose it is.
    let point = json!({"asInt": 1, "attributes": [attribute("job", "other")]});
    let metrics = json!([{"name": "up", "gauge": {"dataPoints": [point]}}]);
    peer.push(&resource, &metrics);
    assert_eq!(
        peer.lines(),
        [
            "target_info{host_name=\"h\", instance=\"a:1\", job=\"web/shop\"} 1",
            "up{host_name=\"h\", instance=\"a:1\", job=\"web/shop\", otel_scope_name=\"lib\", otel_scope_version=\"1\"} 1",
        ]
    );
    let mut narrow = Peer::new("up");
    assert_eq!(narrow.push(&resource, &metrics), Rejected::default());
    assert_eq!(narrow.lines(), ["up{instance=\"a:1\", job=\"web/shop\"} 1"]);
}

#[test]
fn deltas_add_up_to_counters_and_histograms() {
    let mut peer = Peer::new(".*");
    let metrics = |time: u64| {
        json!([
            {"name": "n", "sum": {"aggregationTemporality": 1, "isMonotonic": true,
                "dataPoints": [{"asInt": "2", "timeUnixNano": (NOW + time).to_string()}]}},
            {"name": "t", "unit": "s", "histogram": {"aggregationTemporality": 1,
                "dataPoints": [{"count": "3", "sum": 4.5, "bucketCounts": ["1", "2"], "explicitBounds": [1],
                    "timeUnixNano": (NOW + time).to_string()}]}},
        ])
    };
    peer.push(&json!([]), &metrics(1));
    peer.push(&json!([]), &metrics(2));
    let repeated = peer.push(&json!([]), &metrics(2));
    assert_eq!(repeated.count(Rejection::TooOld), 2);
    assert_eq!(
        peer.lines(),
        [
            "n_total 4",
            "t_seconds_bucket{le=\"1\"} 2",
            "t_seconds_bucket{le=\"+Inf\"} 6",
            "t_seconds_sum 9",
            "t_seconds_count 6"
        ]
    );
}

#[test]
fn exponential_histograms_and_summaries_have_classic_series() {
    let mut peer = Peer::new(".*");
    // Resolution 0: the bucket -1 is (0.5, 1], and 1 is (2, 4].
    let exponential = json!({"count": "6", "sum": 9, "scale": 0, "zeroCount": "1",
        "positive": {"offset": -1, "bucketCounts": ["2", "0", "3"]}});
    let summary =
        json!({"count": "2", "sum": 3, "quantileValues": [{"quantile": 0.5, "value": 1.5}]});
    peer.push(
        &json!([]),
        &json!([
            {"name": "e", "exponentialHistogram": {"aggregationTemporality": 2, "dataPoints": [exponential]}},
            {"name": "s", "summary": {"dataPoints": [summary]}},
        ]),
    );
    assert_eq!(
        peer.lines(),
        [
            "e_bucket{le=\"0\"} 1",
            "e_bucket{le=\"1\"} 3",
            "e_bucket{le=\"2\"} 3",
            "e_bucket{le=\"4\"} 6",
            "e_bucket{le=\"+Inf\"} 6",
            "e_sum 9",
            "e_count 6",
            "s{quantile=\"0.5\"} 1.5",
            "s_sum 3",
            "s_count 2"
        ]
    );
    let ended = json!({"flags": 1});
    peer.push(
        &json!([]),
        &json!([
            {"name": "e", "exponentialHistogram": {"aggregationTemporality": 2, "dataPoints": [ended]}},
            {"name": "s", "summary": {"dataPoints": [ended]}},
        ]),
    );
    assert_eq!(peer.lines(), Vec::<String>::new());
}

#[test]
fn points_that_cannot_be_kept_are_rejected_with_a_reason() {
    let mut peer = Peer::new("a|b");
    let old = NOW - Duration::from_secs(301).as_nanos() as u64;
    let rejected = peer.push(
        &json!([]),
        &json!([
            {"name": "other", "gauge": {"dataPoints": [{"asInt": 1}, {"asInt": 2, "attributes": [attribute("k", "v")]}]}},
            {"name": "a", "gauge": {"dataPoints": [{"asInt": 1, "timeUnixNano": old.to_string()}]}},
            {"name": "b", "sum": {"dataPoints": [{"asInt": 1}]}},
            {"name": "a", "gauge": {"dataPoints": [{}]}},
            {"name": "b", "histogram": {"aggregationTemporality": 2, "dataPoints": [
                {"count": "1", "bucketCounts": ["1"], "explicitBounds": [1, 2]}]}},
        ]),
    );
    let reasons: Vec<_> = rejected
        .iter()
        .map(|(reason, count, _)| (reason, count))
        .collect();
    assert_eq!(
        reasons,
        [
            (Rejection::Invalid, 3),
            (Rejection::NotAccepted, 2),
            (Rejection::TooOld, 1)
        ]
    );
    assert_eq!(peer.lines(), Vec::<String>::new());
}

#[test]
fn a_request_that_shares_long_texts_or_has_many_buckets_is_limited() {
    let mut peer = Peer::new(".*");
    let point = json!({"asInt": 1});
    let gauges = json!([{"name": "g", "gauge": {"dataPoints": vec![point; 50]}}]);
    let long = json!([attribute("service.name", &"j".repeat(10_000))]);
    assert_eq!(peer.push(&long, &gauges).count(Rejection::Limit), 50);
    let shared = json!([attribute("service.name", &"j".repeat(8_000))]);
    let rejected = peer.push(&shared, &gauges);
    assert_eq!(rejected.count(Rejection::Limit), 37);

    // Names of attributes that become one label.
    let same: Vec<Json> = (0..3000).map(|_| attribute("a.b", "x")).collect();
    let joined =
        json!([{"name": "j", "gauge": {"dataPoints": [{"asInt": 1, "attributes": same}]}}]);
    assert_eq!(peer.push(&json!([]), &joined), Rejected::default());

    let bounds: Vec<f64> = (0..1001).map(f64::from).collect();
    let counts = vec!["1"; 1002];
    let point = json!({"explicitBounds": bounds, "bucketCounts": counts, "count": "1002"});
    let delta =
        json!([{"name": "h", "histogram": {"aggregationTemporality": 1, "dataPoints": [point]}}]);
    assert_eq!(peer.push(&json!([]), &delta).count(Rejection::Limit), 1);
}

#[test]
fn a_histogram_without_a_sum_has_no_series_of_it() {
    let mut peer = Peer::new(".*");
    let point = json!({"explicitBounds": [1], "bucketCounts": ["1", "1"], "count": "2"});
    let histogram =
        json!([{"name": "h", "histogram": {"aggregationTemporality": 2, "dataPoints": [point]}}]);
    assert_eq!(peer.push(&json!([]), &histogram), Rejected::default());
    let lines = peer.lines();
    assert!(
        lines.iter().any(|line| line.starts_with("h_count")),
        "{lines:?}"
    );
    assert!(
        !lines.iter().any(|line| line.starts_with("h_sum")),
        "{lines:?}"
    );
}
