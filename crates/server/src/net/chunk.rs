//! Buffers of chunks. One that was sent is kept for the next chunk of any response: an agent that is scraped often neither returns
//! its pages to the kernel nor has them cleared again.

use hyper::body::Bytes;
use parking_lot::Mutex;

/// Capacity for one rendered chunk, including the line that ends it.
const CAPACITY: usize = 72 * 1024;

/// Buffers of all responses.
pub(crate) static BUFFERS: Buffers = Buffers::new();

/// The buffer that no response uses; without capacity if there is none.
pub(crate) struct Buffers(Mutex<Vec<u8>>);

impl Buffers {
    const fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    /// Returns an empty buffer.
    pub(crate) fn take(&self) -> Vec<u8> {
        let spare = std::mem::take(&mut *self.0.lock());
        match spare.capacity() {
            0 => Vec::with_capacity(CAPACITY),
            _ => spare,
        }
    }

    /// Keeps a buffer for the next call of [`Buffers::take`]. One that grew is not kept.
    pub(crate) fn keep(&self, mut buffer: Vec<u8>) {
        if buffer.capacity() == CAPACITY {
            buffer.clear();
            *self.0.lock() = buffer;
        }
    }

    /// Returns the bytes of a chunk, whose buffer is kept after the last use of them.
    pub(crate) fn bytes(&'static self, chunk: Vec<u8>) -> Bytes {
        let buffers = self;
        Bytes::from_owner(Sent { buffers, chunk })
    }
}

struct Sent {
    buffers: &'static Buffers,
    chunk: Vec<u8>,
}

impl AsRef<[u8]> for Sent {
    fn as_ref(&self) -> &[u8] {
        &self.chunk
    }
}

impl Drop for Sent {
    fn drop(&mut self) {
        self.buffers.keep(std::mem::take(&mut self.chunk));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_kept_empty_after_the_last_use_of_its_bytes_unless_it_grew() {
        static OWN: Buffers = Buffers::new();
        let kept = || {
            let buffer = OWN.0.lock();
            (buffer.len(), buffer.capacity())
        };
        let mut chunk = OWN.take();
        chunk.extend(b"load 1\n");
        let sent = OWN.bytes(chunk);
        let rest = sent.slice(5..);
        drop(sent);
        assert_eq!((&*rest, kept()), (&b"1\n"[..], (0, 0)));
        drop(rest);
        assert_eq!(kept(), (0, CAPACITY));
        let chunk = OWN.take();
        assert_eq!((chunk.capacity(), kept()), (CAPACITY, (0, 0)));
        drop(OWN.bytes(vec![0; CAPACITY + 1]));
        assert_eq!(kept(), (0, 0));
    }
}
