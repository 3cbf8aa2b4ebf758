use std::sync::Arc;

use super::*;
use bellwether_core::{Kind, LabelSet};
use bellwether_promql::SampledSeries;

fn chunk() -> Chunk {
    let family = Family { name: "up".into(), kind: Kind::Gauge, help: Arc::from("Is it up.") };
    let labels = LabelSet::new([("__name__", "up"), ("job", "up")]);
    let samples = vec![(1, 2.0), (300, SampledSeries::stale())];
    Chunk {
        series: vec![Series { labels, samples, family: Some(family) }],
        samples: 2,
        newest: 300,
    }
}

fn decompressed(protocol: Protocol, metadata: &[Family]) -> Vec<u8> {
    let body = body(&chunk(), protocol, metadata).unwrap();
    snap::raw::Decoder::new().decompress_vec(&body).unwrap()
}

/// `bytes` of length up to 127 behind `tag` as a length-delimited field.
fn field(tag: u8, bytes: &[u8]) -> Vec<u8> {
    [&[tag << 3 | 2, bytes.len() as u8], bytes].concat()
}

/// Value 2.0 at 1 ms, then the staleness marker at 300 ms: by hand, from the schema.
fn samples_by_hand() -> Vec<u8> {
    let first = [&[0x09][..], &2.0_f64.to_le_bytes(), &[0x10, 1]].concat();
    let stale = 0x7ff0_0000_0000_0002_u64;
    let second = [&[0x09][..], &stale.to_le_bytes(), &[0x10, 0xAC, 0x02]].concat();
    [field(2, &first), field(2, &second)].concat()
}

#[test]
fn version_1_byte_for_byte() {
    let label = |name: &[u8], value: &[u8]| field(1, &[field(1, name), field(2, value)].concat());
    let series = [label(b"__name__", b"up"), label(b"job", b"up"), samples_by_hand()].concat();
    assert_eq!(decompressed(Protocol::V1, &[]), field(1, &series));
    let family = chunk().series[0].family.clone().unwrap();
    let metadata = [&[0x08, 2][..], &field(2, b"up"), &field(4, b"Is it up.")].concat();
    assert_eq!(
        decompressed(Protocol::V1, &[family]),
        [field(1, &series), field(3, &metadata)].concat()
    );
}

#[test]
fn version_2_byte_for_byte() {
    let symbols = ["", "__name__", "up", "job", "Is it up."];
    let symbols: Vec<u8> = symbols.iter().flat_map(|text| field(4, text.as_bytes())).collect();
    let metadata = [0x08, 2, 0x18, 4];
    let series = [field(1, &[1, 2, 3, 2]), samples_by_hand(), field(5, &metadata)].concat();
    assert_eq!(decompressed(Protocol::V2, &[]), [symbols, field(5, &series)].concat());
}
