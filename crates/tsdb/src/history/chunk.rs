//! Codec of times and values of one series, exact to the bit.
//!
//! Based on [pco](https://docs.rs/pco). Equal steps and equal values take a few bytes whatever their
//! number, and values that are not finite (staleness markers) are stored separately, because a single one
//! would spoil the compression of all others.

use pco::standalone::{simple_compress, simple_decompress};
use pco::{ChunkConfig, DeltaSpec};

use super::bytes::{Reader, put_signed, put_varint};

const EVEN: u8 = 0;
const EQUAL: u8 = 1;
const PACKED: u8 = 2;
const PATCHED: u8 = 3;
const RAW: u8 = 4;

/// Compression level of pco, up to 12. The next one takes twice the time and saves one percent.
const LEVEL: usize = 4;

/// Largest count of samples in a chunk; a larger one is damage.
const MAX_SAMPLES: u64 = 1 << 20;

/// Packs times in milliseconds.
pub(super) fn pack_times(times: &[i64]) -> Vec<u8> {
    let step = match times {
        [first, second, ..] => second.wrapping_sub(*first),
        _ => 0,
    };
    let mut out = Vec::new();
    if let [first, ..] = times
        && times
            .windows(2)
            .all(|two| two[1].wrapping_sub(two[0]) == step)
    {
        out.push(EVEN);
        put_varint(&mut out, times.len() as u64);
        put_signed(&mut out, *first);
        put_signed(&mut out, step);
        return out;
    }
    let config = ChunkConfig::default()
        .with_compression_level(LEVEL)
        .with_delta_spec(DeltaSpec::TryConsecutive(1));
    match simple_compress(times, &config) {
        Ok(packed) => {
            out.push(PACKED);
            out.extend_from_slice(&packed);
        }
        Err(_) => {
            out.push(RAW);
            out.extend(times.iter().flat_map(|time| time.to_le_bytes()));
        }
    }
    out
}

/// Unpacks the result of [`pack_times`]; `None` if the bytes are invalid.
pub(super) fn unpack_times(packed: &[u8]) -> Option<Vec<i64>> {
    let mut reader = Reader(packed);
    match reader.byte()? {
        EVEN => {
            let count = reader.varint()?;
            let first = reader.signed()?;
            let step = reader.signed()?;
            (count <= MAX_SAMPLES).then(|| {
                (0..count)
                    .map(|index| first.wrapping_add(step.wrapping_mul(index as i64)))
                    .collect()
            })
        }
        PACKED => simple_decompress(reader.0).ok(),
        RAW => Some(
            reader
                .0
                .as_chunks()
                .0
                .iter()
                .map(|time| i64::from_le_bytes(*time))
                .collect(),
        ),
        _ => None,
    }
}

/// Packs values.
pub(super) fn pack_values(values: &[f64]) -> Vec<u8> {
    let mut out = Vec::new();
    if let [first, rest @ ..] = values
        && rest.iter().all(|value| value.to_bits() == first.to_bits())
    {
        out.push(EQUAL);
        put_varint(&mut out, values.len() as u64);
        out.extend_from_slice(&first.to_bits().to_le_bytes());
        return out;
    }
    let special: Vec<usize> = (0..values.len())
        .filter(|at| !values[*at].is_finite())
        .collect();
    let packed = if special.is_empty() {
        out.push(PACKED);
        pack_finite(values)
    } else {
        out.push(PATCHED);
        put_varint(&mut out, special.len() as u64);
        let mut filled = values.to_vec();
        for at in special {
            put_varint(&mut out, at as u64);
            out.extend_from_slice(&values[at].to_bits().to_le_bytes());
            filled[at] = if at == 0 { 0.0 } else { filled[at - 1] };
        }
        pack_finite(&filled)
    };
    if let Some(packed) = packed {
        out.extend_from_slice(&packed);
        return out;
    }
    out.clear();
    out.push(RAW);
    out.extend(
        values
            .iter()
            .flat_map(|value| value.to_bits().to_le_bytes()),
    );
    out
}

fn pack_finite(values: &[f64]) -> Option<Vec<u8>> {
    let delta = if wanders(values) {
        DeltaSpec::TryConsecutive(1)
    } else {
        DeltaSpec::NoOp
    };
    // Trying every kind of delta, which is the default of pco, takes three times as long as this choice of
    // two, and saves two percent.
    let config = ChunkConfig::default()
        .with_compression_level(LEVEL)
        .with_delta_spec(delta);
    simple_compress(values, &config).ok()
}

/// Returns whether neighbours are closer to each other than to the mean of all.
fn wanders(values: &[f64]) -> bool {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let apart: f64 = values.iter().map(|value| (value - mean).abs()).sum();
    let steps: f64 = values.windows(2).map(|two| (two[1] - two[0]).abs()).sum();
    steps < apart || !apart.is_finite()
}

/// Unpacks the result of [`pack_values`]; `None` if the bytes are invalid.
pub(super) fn unpack_values(packed: &[u8]) -> Option<Vec<f64>> {
    let mut reader = Reader(packed);
    match reader.byte()? {
        EQUAL => {
            let count = reader.varint()?;
            let value = f64::from_bits(reader.u64()?);
            (count <= MAX_SAMPLES).then(|| vec![value; count as usize])
        }
        PACKED => simple_decompress(reader.0).ok(),
        PATCHED => {
            let mut special = Vec::new();
            for _ in 0..reader.varint()? {
                special.push((reader.size()?, f64::from_bits(reader.u64()?)));
            }
            let mut values: Vec<f64> = simple_decompress(reader.0).ok()?;
            for (at, value) in special {
                *values.get_mut(at)? = value;
            }
            Some(values)
        }
        RAW => {
            let raw = reader.0.as_chunks().0;
            Some(
                raw.iter()
                    .map(|bits| f64::from_bits(u64::from_le_bytes(*bits)))
                    .collect(),
            )
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use bellwether_promql::SampledSeries;
    use proptest::prelude::*;

    use super::*;

    fn bits(values: &[f64]) -> Vec<u64> {
        values.iter().map(|value| value.to_bits()).collect()
    }

    fn same_bits(values: &[f64]) {
        let read = unpack_values(&pack_values(values)).unwrap();
        assert_eq!(bits(&read), bits(values));
    }

    #[test]
    fn special_values_keep_their_bits() {
        let unusual = [
            SampledSeries::stale(),
            f64::NAN,
            -f64::NAN,
            f64::from_bits(0xFFF0_0000_0000_0123),
            f64::INFINITY,
            f64::NEG_INFINITY,
            -0.0,
            0.0,
            f64::MIN_POSITIVE / 2.0,
            f64::MAX,
            f64::MIN,
        ];
        same_bits(&[]);
        same_bits(&unusual);
        for value in unusual {
            same_bits(&[value]);
            same_bits(&[value; 300]);
            let mut values: Vec<f64> = (0..300).map(|n| f64::from(n * n) / 100.0).collect();
            for at in [0, 1, 150, 299] {
                values[at] = value;
                same_bits(&values);
            }
        }
    }

    #[test]
    fn a_marker_in_the_middle_costs_little() {
        let mut values: Vec<f64> = (0..480).map(|n| f64::from(n * n % 977) / 100.0).collect();
        let plain = pack_values(&values).len();
        values[200] = SampledSeries::stale();
        assert!(pack_values(&values).len() < plain + 32);
        assert!(pack_values(&[1.5; 480]).len() < 16);
        let even: Vec<i64> = (0..480).map(|n| 1_700_000_000_000 + n * 15_000).collect();
        assert!(pack_times(&even).len() < 16);
    }

    proptest! {
        #[test]
        fn any_values_and_times_come_back(
            bits in prop::collection::vec(any::<u64>(), 0..50),
            cents in prop::collection::vec(-10_000i32..10_000, 0..600),
            times in prop::collection::vec(any::<i64>(), 0..50),
            steps in prop::collection::vec(0i64..5, 0..600),
        ) {
            same_bits(&bits.iter().map(|bits| f64::from_bits(*bits)).collect::<Vec<_>>());
            same_bits(&cents.iter().map(|cents| f64::from(*cents) / 100.0).collect::<Vec<_>>());
            let jittered: Vec<i64> =
                steps.iter().scan(0, |time, step| { *time += 15_000 + step; Some(*time) }).collect();
            for times in [times, jittered] {
                prop_assert_eq!(unpack_times(&pack_times(&times)), Some(times));
            }
        }

        #[test]
        fn foreign_bytes_are_rejected_or_read_but_never_fatal(
            bytes in prop::collection::vec(any::<u8>(), 0..200)
        ) {
            let _ = (unpack_times(&bytes), unpack_values(&bytes));
        }
    }
}
