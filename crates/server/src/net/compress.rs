//! Content codings, applied chunk by chunk.
//!
//! Owns the compressors. Never holds more than the chunk in hand and the compressor's window.

use std::io::{self, Write};

use flate2::write::GzEncoder;
use zstd::stream::write::Encoder as ZstdEncoder;

use crate::net::chunk::BUFFERS;
use crate::net::negotiate::Coding;

/// Compression level of gzip: of an exposition of 100,000 series (3.9 MB) level 1 leaves 773 kB, 2
/// leaves 469 kB in no more time, and 3 to 6 leave 462 kB in three times as much.
const GZIP_LEVEL: u32 = 2;

/// Compression level of zstd: of the same exposition level 1 leaves 73 kB in half of gzip's time, 3
/// no less in twice as much.
const ZSTD_LEVEL: i32 = 1;

/// Streaming compressor, or none.
pub(crate) enum Compressor {
    /// Passes chunks through.
    Identity,
    /// gzip into a buffer.
    Gzip(Box<GzEncoder<Vec<u8>>>),
    /// zstd into a buffer.
    Zstd(Box<ZstdEncoder<'static, Vec<u8>>>),
}

impl Compressor {
    /// Creates a compressor for one body.
    ///
    /// # Errors
    /// zstd cannot allocate its context.
    pub(crate) fn new(coding: Coding) -> io::Result<Self> {
        Ok(match coding {
            Coding::Identity => Self::Identity,
            Coding::Gzip => {
                let level = flate2::Compression::new(GZIP_LEVEL);
                Self::Gzip(Box::new(GzEncoder::new(Vec::new(), level)))
            }
            Coding::Zstd => Self::Zstd(Box::new(ZstdEncoder::new(Vec::new(), ZSTD_LEVEL)?)),
        })
    }

    /// Compresses a chunk; returns the bytes that are ready, which may be none yet.
    ///
    /// # Errors
    /// The compressor fails; the body cannot go on.
    pub(crate) fn push(&mut self, chunk: Vec<u8>) -> io::Result<Vec<u8>> {
        match self {
            Self::Identity => Ok(chunk),
            Self::Gzip(encoder) => {
                encoder.write_all(&chunk)?;
                BUFFERS.keep(chunk);
                Ok(std::mem::take(encoder.get_mut()))
            }
            Self::Zstd(encoder) => {
                encoder.write_all(&chunk)?;
                BUFFERS.keep(chunk);
                Ok(std::mem::take(encoder.get_mut()))
            }
        }
    }

    /// Ends the body; returns its last bytes.
    ///
    /// # Errors
    /// The compressor fails; the body cannot go on.
    pub(crate) fn finish(self) -> io::Result<Vec<u8>> {
        match self {
            Self::Identity => Ok(Vec::new()),
            Self::Gzip(encoder) => encoder.finish(),
            Self::Zstd(encoder) => encoder.finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn compress(coding: Coding, chunks: &[&[u8]]) -> Vec<u8> {
        let mut compressor = Compressor::new(coding).unwrap();
        let mut out = Vec::new();
        for chunk in chunks {
            out.extend(compressor.push(chunk.to_vec()).unwrap());
        }
        out.extend(compressor.finish().unwrap());
        out
    }

    #[test]
    fn round_trips() {
        let text = b"cpu_percent{core=\"0\"} 12.5\n".repeat(10_000);
        for chunks in [
            vec![],
            vec![&text[..]],
            text.chunks(65_536).collect(),
            text.chunks(7).collect(),
        ] {
            let expected = chunks.concat();
            assert_eq!(compress(Coding::Identity, &chunks), expected);
            let gzip = compress(Coding::Gzip, &chunks);
            let mut plain = Vec::new();
            flate2::read::GzDecoder::new(&gzip[..])
                .read_to_end(&mut plain)
                .unwrap();
            assert_eq!(plain, expected);
            let zstd = compress(Coding::Zstd, &chunks);
            assert_eq!(zstd::decode_all(&zstd[..]).unwrap(), expected);
        }
    }

    #[test]
    fn a_long_body_leaves_as_it_comes() {
        for coding in [Coding::Gzip, Coding::Zstd] {
            let mut compressor = Compressor::new(coding).unwrap();
            let mut state = 1_u64;
            let mut sent = 0;
            for _ in 0..32 {
                let noise = std::iter::repeat_with(|| {
                    state = state
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1);
                    (state >> 56) as u8
                });
                sent += compressor.push(noise.take(65_536).collect()).unwrap().len();
            }
            assert!(sent > 1 << 20, "{coding:?} kept the body back: {sent}");
        }
    }
}
