//! Encodes a chunk as the body of a request. Pure.

use std::collections::HashMap;

use bellwether_exposition::remote_write::{
    Label, Metadata, MetricMetadata, Request, Sample, TimeSeries, TimeSeriesV2, WriteRequest,
};
use bellwether_promql::SampledSeries;
use prost::Message;

use super::batch::{Chunk, Series};
use super::family::Family;
use super::settings::Protocol;

/// Encodes the body of a request: the message in Snappy's block format. `metadata` is sent in 1.0;
/// 2.0 has metadata with each series.
///
/// # Errors
/// The message is larger than Snappy allows (4 GiB).
pub(super) fn encode_body(
    chunk: &Chunk,
    protocol: Protocol,
    metadata: &[Family],
) -> Result<Vec<u8>, snap::Error> {
    let message = match protocol {
        Protocol::V1 => write_request_v1(chunk, metadata).encode_to_vec(),
        Protocol::V2 => write_request_v2(chunk).encode_to_vec(),
    };
    snap::raw::Encoder::new().compress_vec(&message)
}

fn write_request_v1(chunk: &Chunk, metadata: &[Family]) -> WriteRequest {
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
        histograms: Vec::new(),
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

fn write_request_v2(chunk: &Chunk) -> Request {
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
            histograms: Vec::new(),
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

/// The NaN of ordinary values in Prometheus (model/value/value.go). Receivers distinguish it from the
/// staleness marker by its bits.
const NORMAL_NAN: f64 = f64::from_bits(0x7ff8_0000_0000_0001);

fn samples(series: &Series) -> impl Iterator<Item = Sample> {
    series.samples.iter().map(|sample| {
        let is_nan = sample.value.is_nan() && !SampledSeries::is_stale(sample.value);
        Sample {
            value: if is_nan { NORMAL_NAN } else { sample.value },
            timestamp: sample.at,
            start_timestamp: sample.start,
        }
    })
}

/// Symbol table of 2.0: every text once.
#[derive(Default)]
struct Symbols {
    texts: Vec<String>,
    indices: HashMap<String, u32>,
}

impl Symbols {
    fn reference(&mut self, text: &str) -> u32 {
        if let Some(index) = self.indices.get(text) {
            return *index;
        }
        let index = self.texts.len() as u32;
        self.texts.push(text.to_owned());
        self.indices.insert(text.to_owned(), index);
        index
    }
}

#[cfg(test)]
mod tests;
