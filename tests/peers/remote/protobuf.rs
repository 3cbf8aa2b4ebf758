//! Reads remote write from the wire, by a reader of protocol buffers of its own: what the tests
//! believe must not come from the code they test.

use std::collections::BTreeMap;

/// `name{label="value"} time value` of each sample of a request, in its order. The value is shown
/// by its bits where it is NaN; `since TIME` behind it where it has a start.
pub fn samples(content_type: &str, body: &[u8]) -> Vec<String> {
    let message = snap::raw::Decoder::new()
        .decompress_vec(body)
        .expect("a Snappy block");
    match content_type {
        "application/x-protobuf" => first(&message),
        "application/x-protobuf;proto=io.prometheus.write.v2.Request" => second(&message),
        other => panic!("not a content type of remote write: {other:?}"),
    }
}

/// Types and help in a request of 1.0, by name.
pub fn metadata(body: &[u8]) -> BTreeMap<String, (u64, String)> {
    let message = snap::raw::Decoder::new()
        .decompress_vec(body)
        .expect("a Snappy block");
    let decoded = fields(&message)
        .into_iter()
        .filter(|(tag, _)| *tag == 3)
        .map(|(_, field)| {
            let inner = fields(field.bytes());
            (text(&inner, 2), (number(&inner, 1), text(&inner, 4)))
        });
    decoded.collect()
}

enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

impl<'a> Field<'a> {
    fn bytes(&self) -> &'a [u8] {
        match self {
            Field::Bytes(bytes) => bytes,
            Field::Number(number) => panic!("bytes expected: {number}"),
        }
    }

    fn number(&self) -> u64 {
        match self {
            Field::Number(number) => *number,
            Field::Bytes(bytes) => panic!("a number expected: {bytes:?}"),
        }
    }
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let (mut value, mut shift) = (0, 0);
    loop {
        let byte = bytes[0];
        *bytes = &bytes[1..];
        value |= u64::from(byte & 0x7F) << shift;
        if byte < 0x80 {
            return value;
        }
        shift += 7;
    }
}

fn fields(mut bytes: &[u8]) -> Vec<(u64, Field<'_>)> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes);
        let field = match key & 7 {
            0 => Field::Number(varint(&mut bytes)),
            1 => {
                let (value, rest) = bytes.split_at(8);
                bytes = rest;
                Field::Number(u64::from_le_bytes(value.try_into().unwrap()))
            }
            2 => {
                let length = varint(&mut bytes) as usize;
                let (value, rest) = bytes.split_at(length);
                bytes = rest;
                Field::Bytes(value)
            }
            other => panic!("wire type {other}"),
        };
        found.push((key >> 3, field));
    }
    found
}

fn text(fields: &[(u64, Field<'_>)], tag: u64) -> String {
    let found = fields.iter().find(|(other, _)| *other == tag);
    found.map_or(String::new(), |(_, field)| {
        String::from_utf8(field.bytes().to_vec()).unwrap()
    })
}

fn number(fields: &[(u64, Field<'_>)], tag: u64) -> u64 {
    fields
        .iter()
        .find(|(other, _)| *other == tag)
        .map_or(0, |(_, field)| field.number())
}

fn first(message: &[u8]) -> Vec<String> {
    let mut decoded = Vec::new();
    for (_, series) in fields(message).into_iter().filter(|(tag, _)| *tag == 1) {
        let series = fields(series.bytes());
        let labels = series
            .iter()
            .filter(|(tag, _)| *tag == 1)
            .map(|(_, label)| {
                let label = fields(label.bytes());
                (text(&label, 1), text(&label, 2))
            });
        let name = shown(&labels.collect::<Vec<_>>());
        decoded.extend(lines(&name, &series, 2));
    }
    decoded
}

fn second(message: &[u8]) -> Vec<String> {
    let all = fields(message);
    let symbols: Vec<&str> = all
        .iter()
        .filter(|(tag, _)| *tag == 4)
        .map(|(_, field)| std::str::from_utf8(field.bytes()).unwrap())
        .collect();
    assert_eq!(symbols[0], "", "the first symbol is the empty one");
    let mut sorted = symbols.clone();
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!(sorted.len(), symbols.len(), "a symbol comes twice");
    let mut decoded = Vec::new();
    for (_, series) in all.iter().filter(|(tag, _)| *tag == 5) {
        let series = fields(series.bytes());
        let mut references = series.iter().find(|(tag, _)| *tag == 1).unwrap().1.bytes();
        let mut labels = Vec::new();
        while !references.is_empty() {
            let name = symbols[varint(&mut references) as usize].to_owned();
            labels.push((name, symbols[varint(&mut references) as usize].to_owned()));
        }
        let metadata = series.iter().find(|(tag, _)| *tag == 5).map(|(_, field)| {
            let metadata = fields(field.bytes());
            format!(
                " # {} {}",
                number(&metadata, 1),
                symbols[number(&metadata, 3) as usize]
            )
        });
        let name = shown(&labels);
        let metadata = metadata.unwrap_or_default();
        decoded.extend(
            lines(&name, &series, 2)
                .into_iter()
                .map(|line| line + &metadata),
        );
    }
    decoded
}

fn shown(labels: &[(String, String)]) -> String {
    assert!(labels.is_sorted(), "labels are not sorted: {labels:?}");
    let pairs: Vec<String> = labels
        .iter()
        .map(|(name, value)| format!("{name}={value:?}"))
        .collect();
    format!("{{{}}}", pairs.join(","))
}

fn lines(name: &str, series: &[(u64, Field<'_>)], tag: u64) -> Vec<String> {
    let samples: Vec<(u64, f64, u64)> = series
        .iter()
        .filter(|(other, _)| *other == tag)
        .map(|(_, sample)| {
            let sample = fields(sample.bytes());
            (
                number(&sample, 2),
                f64::from_bits(number(&sample, 1)),
                number(&sample, 3),
            )
        })
        .collect();
    assert!(
        samples.is_sorted_by(|a, b| a.0 <= b.0),
        "samples out of order: {samples:?}"
    );
    let line = |(at, value, since): (u64, f64, u64)| {
        let since = if since > 0 {
            format!(" since {since}")
        } else {
            String::new()
        };
        match value.is_nan() {
            true => format!("{name} {at} {:#x}{since}", value.to_bits()),
            false => format!("{name} {at} {value}{since}"),
        }
    };
    samples.into_iter().map(line).collect()
}
