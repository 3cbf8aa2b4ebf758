//! Frames: parts of a file with a checksum, which can be found behind damage.
//!
//! A frame is a magic number of 4 bytes, the length of its content, a CRC-32 of length and content (each
//! 4 bytes, little-endian), and the content.

use std::ops::Range;

use super::bytes::Reader;

const MARK: [u8; 4] = [0xB7, 0x57, 0xE1, 0x1C];

/// Bytes of a frame before its content.
pub(super) const OVERHEAD: usize = 12;

/// Appends a frame around what `content` appends.
pub(super) fn put(out: &mut Vec<u8>, content: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&MARK);
    out.extend_from_slice(&[0; OVERHEAD - 4]);
    content(out);
    let length = ((out.len() - start - OVERHEAD) as u32).to_le_bytes();
    let sum = checksum(&length, &out[start + OVERHEAD..]).to_le_bytes();
    out[start + 4..start + 8].copy_from_slice(&length);
    out[start + 8..start + 12].copy_from_slice(&sum);
}

fn checksum(length: &[u8], content: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(length);
    hasher.update(content);
    hasher.finalize()
}

/// Returns the content of the frame that starts at `at`; `None` if it is damaged.
pub(super) fn content(bytes: &[u8], at: usize) -> Option<Range<usize>> {
    let mut reader = Reader(bytes.get(at..)?);
    let marked = reader.take(4)? == MARK;
    let length = reader.u32()?;
    let sum = reader.u32()?;
    let content = reader.take(length as usize)?;
    let valid = marked && checksum(&length.to_le_bytes(), content) == sum;
    valid.then(|| at + OVERHEAD..at + OVERHEAD + content.len())
}

/// Returns the start of the next valid frame at or behind `from`.
pub(super) fn next(bytes: &[u8], from: usize) -> Option<usize> {
    let marks = memchr::memmem::find_iter(bytes.get(from..)?, &MARK);
    marks
        .map(|at| from + at)
        .find(|at| content(bytes, *at).is_some())
}

/// Result of scanning frames.
#[derive(Debug, Default)]
pub(super) struct Scan {
    /// Contents of valid frames, in order.
    pub contents: Vec<Range<usize>>,
    /// Number of places with damaged frames that have valid ones behind them.
    pub damaged: u64,
    /// End of the last valid frame. Bytes behind it are unfinished or damaged.
    pub end: usize,
}

/// Scans the frames in `bytes` from `start` on.
pub(super) fn scan(bytes: &[u8], start: usize) -> Scan {
    let mut scan = Scan {
        end: start,
        ..Scan::default()
    };
    loop {
        if let Some(content) = content(bytes, scan.end) {
            scan.end = content.end;
            scan.contents.push(content);
        } else if let Some(next) = next(bytes, scan.end + 1) {
            scan.damaged += 1;
            scan.end = next;
        } else {
            return scan;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the contents, the number of damaged places and the end of a scan.
    fn read(bytes: &[u8]) -> (String, u64, usize) {
        let scan = scan(bytes, 0);
        let texts: Vec<String> = scan
            .contents
            .iter()
            .map(|content| String::from_utf8_lossy(&bytes[content.clone()]).into_owned())
            .collect();
        (texts.join(" "), scan.damaged, scan.end)
    }

    #[test]
    fn one_damaged_frame_costs_no_other() {
        let mut bytes = Vec::new();
        for text in ["one", "two", "three"] {
            put(&mut bytes, |out| out.extend_from_slice(text.as_bytes()));
        }
        assert_eq!(read(&bytes), ("one two three".into(), 0, bytes.len()));
        let frame = OVERHEAD + 3;
        for bit in frame * 8..2 * frame * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(
                read(&flipped),
                ("one three".into(), 1, bytes.len()),
                "bit {bit}"
            );
        }
        for cut in 0..bytes.len() {
            let (texts, damaged, end) = read(&bytes[..cut]);
            let expected = match cut {
                cut if cut < frame => ("", 0),
                cut if cut < 2 * frame => ("one", frame),
                _ => ("one two", 2 * frame),
            };
            assert_eq!((texts.as_str(), damaged, end), (expected.0, 0, expected.1));
        }
    }
}
