//! Records of the write-ahead log: definitions of series ids, and the samples of one collection.

use bellwether_core::{LabelSet, UnixMillis};

use super::super::bytes::{Reader, put_signed, put_varint};
use super::super::frame;
use crate::history::SeriesId;

const DEFINITIONS: u8 = 1;
const SAMPLES: u8 = 2;

/// The content of one frame.
#[derive(Debug)]
pub(in super::super) enum Record<'a> {
    Definitions(Definitions<'a>),
    Samples(Samples<'a>),
}

impl<'a> Record<'a> {
    pub fn read(content: &'a [u8]) -> Option<Self> {
        let mut reader = Reader(content);
        Some(match reader.byte()? {
            DEFINITIONS => Self::Definitions(Definitions(reader)),
            SAMPLES => Self::Samples(Samples::read(reader)?),
            _ => return None,
        })
    }
}

/// Labels of series, by their id in this segment.
#[derive(Debug)]
pub(in super::super) struct Definitions<'a>(Reader<'a>);

impl Iterator for Definitions<'_> {
    type Item = (SeriesId, LabelSet);

    fn next(&mut self) -> Option<Self::Item> {
        let id = SeriesId(u32::try_from(self.0.varint()?).ok()?);
        Some((id, LabelSet::from_packed(self.0.sized()?)?))
    }
}

/// Appends a frame of definitions.
pub(super) fn put_definitions(out: &mut Vec<u8>, series: &[(SeriesId, LabelSet)]) {
    frame::put(out, |out| {
        out.push(DEFINITIONS);
        for (id, labels) in series {
            put_varint(out, u64::from(id.0));
            put_varint(out, labels.packed().len() as u64);
            out.extend_from_slice(labels.packed());
        }
    });
}

/// Samples of one time.
#[derive(Debug)]
pub(in super::super) struct Samples<'a> {
    pub at: UnixMillis,
    /// Number of samples logged before these, since the log began. A gap is the number of lost samples.
    pub before: u64,
    /// Number of samples.
    pub count: usize,
    ids: Reader<'a>,
    values: &'a [[u8; 8]],
}

impl<'a> Samples<'a> {
    fn read(mut reader: Reader<'a>) -> Option<Self> {
        let at = UnixMillis(reader.u64()? as i64);
        let before = reader.u64()?;
        let count = reader.size()?;
        let values = reader.take(count.checked_mul(8)?)?.as_chunks().0;
        Some(Self {
            at,
            before,
            count,
            ids: reader,
            values,
        })
    }

    /// Returns series ids and values.
    pub fn iter(&self) -> impl Iterator<Item = (SeriesId, f64)> + use<'a> {
        let mut ids = self.ids;
        let mut last = 0_i64;
        self.values.iter().map_while(move |bits| {
            last = last.wrapping_add(ids.signed()?);
            Some((
                SeriesId(u32::try_from(last).ok()?),
                f64::from_bits(u64::from_le_bytes(*bits)),
            ))
        })
    }
}

/// Appends a frame of samples.
pub(super) fn put_samples(
    out: &mut Vec<u8>,
    at: UnixMillis,
    before: u64,
    samples: &[(SeriesId, f64)],
) {
    frame::put(out, |out| {
        out.push(SAMPLES);
        out.extend_from_slice(&at.0.to_le_bytes());
        out.extend_from_slice(&before.to_le_bytes());
        put_varint(out, samples.len() as u64);
        out.extend(
            samples
                .iter()
                .flat_map(|(_, value)| value.to_bits().to_le_bytes()),
        );
        let mut last = 0;
        for (id, _) in samples {
            let number = i64::from(id.0);
            put_signed(out, number - last);
            last = number;
        }
    });
}
