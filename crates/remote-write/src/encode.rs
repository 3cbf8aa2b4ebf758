//! A chunk as the body of a request: pure.

use std::collections::HashMap;

use bellwether_promql::SampledSeries;
use prost::Message;

use super::batch::{Chunk, Series};
use super::family::Family;
use super::message::{
    Label, Metadata, MetricMetadata, Request, Sample, TimeSeries, TimeSeriesV2, WriteRequest,
};
use super::settings::Protocol;

/// The body of a request: the message in Snappy's block format. `metadata` goes along in 1.0;
/// 2.0 has it beside each series.
///
/// # Errors
/// The message is larger than Snappy takes (4 GiB).
pub(super) fn body(
    chunk: &Chunk,
    protocol: Protocol,
    metadata: &[Family],
) -> Result<Vec<u8>, String> {
    let message = match protocol {
        Protocol::V1 => first(chunk, metadata).encode_to_vec(),
        Protocol::V2 => second(chunk).encode_to_vec(),
    };
    snap::raw::Encoder::new()
        .compress_vec(&message)
        .map_err(|error| error.to_string())
}

fn first(chunk: &Chunk, metadata: &[Family]) -> WriteRequest {
    let timeseries = chunk.series.iter().map(|series| TimeSeries {
        labels: series
            .labels
            .iter()
            .map(|(name, value)| Label {
                name: name.to_owned(),
                value: value.to_owned(),
            })
            .collect(),
        samples: samples(series)
            .map(|sample| Sample {
                start_timestamp: 0,
                ..sample
            })
            .collect(),
    });
    let metadata = metadata.iter().map(|family| MetricMetadata {
        r#type: family.kind_number(),
        metric_family_name: family.name.to_string(),
        help: family.help.to_string(),
    });
    WriteRequest {
        timeseries: timeseries.collect(),
        metadata: metadata.collect(),
    }
}

fn second(chunk: &Chunk) -> Request {
    let mut symbols = Symbols::default();
    symbols.reference("");
    let timeseries = chunk
        .series
        .iter()
        .map(|series| TimeSeriesV2 {
            labels_refs: series
                .labels
                .iter()
                .flat_map(|(name, value)| [symbols.reference(name), symbols.reference(value)])
                .collect(),
            samples: samples(series).collect(),
            metadata: series.family.as_ref().map(|family| Metadata {
                r#type: family.kind_number(),
                help_ref: symbols.reference(&family.help),
                unit_ref: 0,
            }),
        })
        .collect();
    Request {
        symbols: symbols.texts,
        timeseries,
    }
}

/// The NaN that is a value, as Prometheus has it (model/value/value.go). Receivers tell it from the
/// staleness marker by its bits.
const NORMAL_NAN: f64 = f64::from_bits(0x7ff8_0000_0000_0001);

fn samples(series: &Series) -> impl Iterator<Item = Sample> {
    series.samples.iter().map(|point| {
        let is_value = point.value.is_nan() && !SampledSeries::is_stale(point.value);
        Sample {
            value: if is_value { NORMAL_NAN } else { point.value },
            timestamp: point.at,
            start_timestamp: point.since,
        }
    })
}

/// Every text once.
#[derive(Default)]
struct Symbols {
    texts: Vec<String>,
    places: HashMap<String, u32>,
}

impl Symbols {
    fn reference(&mut self, text: &str) -> u32 {
        if let Some(place) = self.places.get(text) {
            return *place;
        }
        let place = self.texts.len() as u32;
        self.texts.push(text.to_owned());
        self.places.insert(text.to_owned(), place);
        place
    }
}

#[cfg(test)]
mod tests;
