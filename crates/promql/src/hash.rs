//! Hash by which `limit_ratio` selects series. It is that of Prometheus, so that both select the same.

use bellwether_core::LabelSet;

const PRIMES: [u64; 5] = [
    0x9E37_79B1_85EB_CA87,
    0xC2B2_AE3D_27D4_EB4F,
    0x1656_67B1_9E37_79F9,
    0x85EB_CA77_C2B2_AE63,
    0x27D4_EB2F_1656_67C5,
];

/// Maps a series to a number between 0 and 1.
pub(super) fn place(labels: &LabelSet) -> f64 {
    let mut data = Vec::with_capacity(labels.packed().len());
    for (name, value) in labels.iter() {
        for text in [name, value] {
            // A length in one byte, or in three behind a 255.
            match u8::try_from(text.len()) {
                Ok(length) if length < 255 => data.push(length),
                _ => {
                    data.push(255);
                    data.extend_from_slice(&(text.len() as u32).to_le_bytes()[..3]);
                }
            }
            data.extend_from_slice(text.as_bytes());
        }
    }
    xxh64(&data) as f64 / u64::MAX as f64
}

fn round(sum: u64, input: u64) -> u64 {
    sum.wrapping_add(input.wrapping_mul(PRIMES[1]))
        .rotate_left(31)
        .wrapping_mul(PRIMES[0])
}

/// XXH64 with the seed 0.
fn xxh64(data: &[u8]) -> u64 {
    let (stripes, mut rest) = data.as_chunks::<32>();
    let mut hash = PRIMES[4];
    if !stripes.is_empty() {
        let mut sums = [
            PRIMES[0].wrapping_add(PRIMES[1]),
            PRIMES[1],
            0,
            0_u64.wrapping_sub(PRIMES[0]),
        ];
        for stripe in stripes {
            for (sum, lane) in sums.iter_mut().zip(stripe.chunks(8)) {
                *sum = round(*sum, word(lane));
            }
        }
        let turns = [1, 7, 12, 18];
        hash = sums.iter().zip(turns).fold(0, |hash: u64, (sum, turn)| {
            hash.wrapping_add(sum.rotate_left(turn))
        });
        for sum in sums {
            hash = (hash ^ round(0, sum))
                .wrapping_mul(PRIMES[0])
                .wrapping_add(PRIMES[3]);
        }
    }
    hash = hash.wrapping_add(data.len() as u64);
    while let Some((lane, after)) = rest.split_first_chunk::<8>() {
        hash = (hash ^ round(0, word(lane))).rotate_left(27);
        hash = hash.wrapping_mul(PRIMES[0]).wrapping_add(PRIMES[3]);
        rest = after;
    }
    if let Some((lane, after)) = rest.split_first_chunk::<4>() {
        hash = (hash ^ word(lane).wrapping_mul(PRIMES[0])).rotate_left(23);
        hash = hash.wrapping_mul(PRIMES[1]).wrapping_add(PRIMES[2]);
        rest = after;
    }
    for byte in rest {
        hash = (hash ^ u64::from(*byte).wrapping_mul(PRIMES[4])).rotate_left(11);
        hash = hash.wrapping_mul(PRIMES[0]);
    }
    hash = (hash ^ (hash >> 33)).wrapping_mul(PRIMES[1]);
    hash = (hash ^ (hash >> 29)).wrapping_mul(PRIMES[2]);
    hash ^ (hash >> 32)
}

/// Reads a little-endian number.
fn word(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .rev()
        .fold(0, |word, byte| (word << 8) | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checked with the reference implementation, github.com/cespare/xxhash.
    #[test]
    fn the_hash_is_xxh64() {
        assert_eq!(xxh64(b""), 0xef46_db37_51d8_e999);
        assert_eq!(xxh64(b"a"), 0xd24e_c4f1_a98c_6e5b);
        assert_eq!(xxh64(b"abc"), 0x44bc_2cf5_ad77_0999);
        let long = b"Call me Ishmael. Some years ago--never mind how long precisely-";
        assert_eq!(xxh64(long), 0x02a2_e854_70d6_fd96);
    }
}
