use std::sync::Arc;

use bellwether_core::{Kind, LabelSet};

use super::super::batch::ChunkSample;
use super::*;

fn chunk() -> Chunk {
    chunk_of(&[(1, 2.0, 0), (300, SampledSeries::stale(), 0)])
}

fn chunk_of(samples: &[(i64, f64, i64)]) -> Chunk {
    let family = Family {
        name: "up".into(),
        kind: Kind::Gauge,
        help: Arc::from("Is it up."),
    };
    let labels = LabelSet::new([("__name__", "up"), ("job", "up")]);
    let points = samples
        .iter()
        .map(|&(at, value, start)| ChunkSample { at, value, start });
    Chunk {
        series: vec![Series {
            labels,
            samples: points.collect(),
            family: Some(family),
        }],
        samples: samples.len(),
        newest: 300,
    }
}

fn decompressed(protocol: Protocol, metadata: &[Family]) -> Vec<u8> {
    message_of(&chunk(), protocol, metadata)
}

fn message_of(chunk: &Chunk, protocol: Protocol, metadata: &[Family]) -> Vec<u8> {
    let body = encode_body(chunk, protocol, metadata).unwrap();
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
    let series = [
        label(b"__name__", b"up"),
        label(b"job", b"up"),
        samples_by_hand(),
    ]
    .concat();
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
    let symbols: Vec<u8> = symbols
        .iter()
        .flat_map(|text| field(4, text.as_bytes()))
        .collect();
    let metadata = [0x08, 2, 0x18, 4];
    let series = [
        field(1, &[1, 2, 3, 2]),
        samples_by_hand(),
        field(5, &metadata),
    ]
    .concat();
    assert_eq!(
        decompressed(Protocol::V2, &[]),
        [symbols, field(5, &series)].concat()
    );
}

/// Encodes a sample by hand: value, time and start of its counter, both times below 128.
fn by_hand(bits: u64, at: u8, start: Option<u8>) -> Vec<u8> {
    let start = start.map_or(vec![], |start| vec![0x18, start]);
    field(
        2,
        &[&[0x09][..], &bits.to_le_bytes(), &[0x10, at], &start].concat(),
    )
}

fn contains(message: &[u8], part: &[u8]) -> bool {
    message.windows(part.len()).any(|window| window == part)
}

#[test]
fn nan_is_the_normal_one_whatever_its_bits() {
    let nan = [f64::NAN, -f64::NAN, f64::from_bits(0x7ff0_0000_0000_0001)];
    for value in nan {
        let chunk = chunk_of(&[(1, value, 0), (2, SampledSeries::stale(), 0)]);
        let samples = [
            by_hand(0x7ff8_0000_0000_0001, 1, None),
            by_hand(0x7ff0_0000_0000_0002, 2, None),
        ];
        for protocol in [Protocol::V1, Protocol::V2] {
            let message = message_of(&chunk, protocol, &[]);
            assert!(
                contains(&message, &samples.concat()),
                "{protocol:?} {:#x}",
                value.to_bits()
            );
        }
    }
}

#[test]
fn only_version_2_has_start_times() {
    let chunk = chunk_of(&[(9, 2.0, 7), (10, 3.0, 0)]);
    let bits = [2.0_f64.to_bits(), 3.0_f64.to_bits()];
    let second = [by_hand(bits[0], 9, Some(7)), by_hand(bits[1], 10, None)].concat();
    let first = [by_hand(bits[0], 9, None), by_hand(bits[1], 10, None)].concat();
    assert!(contains(&message_of(&chunk, Protocol::V2, &[]), &second));
    assert!(contains(&message_of(&chunk, Protocol::V1, &[]), &first));
}
