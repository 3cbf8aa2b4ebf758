//! Buffers of chunks. One that was sent is kept for the next chunk of any response: an agent that is scraped often neither returns
//! its pages to the kernel nor has them cleared again.

use hyper::body::Bytes;
use parking_lot::Mutex;

/// Capacity for one rendered chunk, including the line that ends it.
const CAPACITY: usize = 72 * 1024;

/// Buffer that no response uses; without capacity if there is none.
static SPARE: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// Returns an empty buffer.
pub(crate) fn buffer() -> Vec<u8> {
    let spare = std::mem::take(&mut *SPARE.lock());
    match spare.capacity() {
        0 => Vec::with_capacity(CAPACITY),
        _ => spare,
    }
}

/// Keeps `buffer` for the next call of [`buffer`], if it is one of those.
pub(crate) fn keep(mut buffer: Vec<u8>) {
    if buffer.capacity() == CAPACITY {
        buffer.clear();
        *SPARE.lock() = buffer;
    }
}

/// Returns bytes to send, whose buffer is kept after the last use of them.
pub(crate) fn bytes(chunk: Vec<u8>) -> Bytes {
    Bytes::from_owner(Sent(chunk))
}

struct Sent(Vec<u8>);

impl AsRef<[u8]> for Sent {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Sent {
    fn drop(&mut self) {
        keep(std::mem::take(&mut self.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_those_of_the_chunk_and_their_buffer_comes_back_empty() {
        let mut chunk = buffer();
        chunk.extend(b"load 1\n");
        let sent = bytes(chunk);
        assert_eq!(sent.slice(5..), &b"1\n"[..]);
        drop(sent);
        let again = buffer();
        assert_eq!((again.len(), again.capacity()), (0, CAPACITY));
    }
}
